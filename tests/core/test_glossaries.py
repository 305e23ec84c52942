"""Lexicons: found in texts of any script, learnt from parallel sentences, read from files."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.corpora.glossaries import Lexicon, agreement, learn, look_up, read_lexicon
from core.errors import UserError

COUNTING = Lexicon({"kumi": "ten", "na": "and", "saba": "seven", "kumi na saba": "seventeen"})


def glosses(text: str, lexicon: Lexicon, **options: object) -> list[str | None]:
    return [match.gloss for match in look_up(text, lexicon, **options)]  # type: ignore[arg-type]


def test_the_longest_phrase_is_found_and_none_across_punctuation() -> None:
    assert look_up("«Kumi na saba»!", COUNTING) == [(1, 13, 3, "seventeen")]
    assert glosses("kumi na saba", COUNTING, max_ngram=2) == ["ten", "and", "seven"]
    assert glosses("kumi, na saba nane", COUNTING) == ["ten", "and", "seven", None]
    assert look_up(" ... ", COUNTING) == []
    assert glosses("12 x", Lexicon({"12": "twelve", "x": "y"})) == [None, "y"]


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        ("فاکس\u200cنیوز", "فاکسنیوز"),  # joiner
        ("कज़ाख", "क\u095bाख"),  # nukta, precomposed
        ("كتاب", "كـتـاب"),  # tatweel
        ("Österreich", "O\u0308STERREICH"),
    ],
)
def test_normal_forms_do_not_hide_an_entry(entry: str, text: str) -> None:
    assert Lexicon({entry: "gloss"}).find(text) == "gloss"


def test_of_entries_that_differ_in_case_the_exact_one_is_taken() -> None:
    lexicon = Lexicon({"may": "can", "May": "month"})
    assert [lexicon.find(word) for word in ("may", "May", "MAY", "mai")] == ["can", "month", "can", None]


def test_scripts_without_spaces() -> None:
    thai = Lexicon({"ประเทศ": "country", "เมือง": "city", "เมืองหลวง": "capital", "ของ": "of", "ไทย": "Thailand"})
    text = "เมืองหลวงของประเทศไทยคือ: AB เมือง"
    assert glosses(text, thai) == ["capital", "of", "country", "Thailand", None, None, "city"]
    assert look_up(text, thai)[4][2] == 1  # what lies between two entries is one word
    cut = lambda text: ["เมือง", "หลวง", "ของ", "ประเทศ", "ไทย", "คือ"]  # noqa: E731
    assert glosses(text, thai, tokenize=cut) == ["capital", "of", "country", "Thailand", None]


def test_a_lemmatizer_is_asked_last() -> None:
    lexicon = Lexicon({"kitap": "book", "kitaplar": "books"})
    stem = lambda word: word.removesuffix("lar").removesuffix("ta")  # noqa: E731
    assert glosses("kitaplar kitapta", lexicon, lemmatize=stem) == ["books", "book"]


def test_words_are_learnt_from_sentences() -> None:
    pairs = [("das haus", "the house"), ("das buch", "the book"), ("ein buch", "a book"), ("ein haus 7", "a house 7")]
    assert learn(pairs * 2) == {"haus": "house", "buch": "book"}  # function words are no glosses
    assert learn(pairs, seen=3) == {}
    assert learn([("ประเทศไทย", "Thailand")] * 3) == {}  # nothing tells words apart
    assert learn([("ประเทศไทย", "Thailand")] * 3, tokenize=lambda text: [text]) == {"ประเทศไทย": "thailand"}
    with pytest.raises(UserError, match="no parallel sentences"):
        learn([])


def test_agreement() -> None:
    assert agreement(Lexicon({"a": "x", "b": "y", "c": "z"}), Lexicon({"A": "X", "b": "z"})) == 0.5
    assert agreement(Lexicon({"a": "x"}), Lexicon()) is None


def test_lexicon_files(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("mji mkuu\tcapital\nnchi\tcountry\nnchi\tland\n", encoding="utf-8")
    (tmp_path / "a.json").write_text('{"nchi": " country"}', encoding="utf-8")
    assert read_lexicon(tmp_path / "a.tsv") == {"mji mkuu": "capital", "nchi": "country"}
    assert read_lexicon(tmp_path / "a.json") == {"nchi": "country"}
    for bad in ('{"nchi": 3}', "{}", "[]"):
        (tmp_path / "a.json").write_text(bad, encoding="utf-8")
        with pytest.raises(UserError, match=r"a\.json"):
            read_lexicon(tmp_path / "a.json")
