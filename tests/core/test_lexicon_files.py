import re
from pathlib import Path

import pytest

from core.corpora.lexicons import (
    Lexicon,
    Member,
    lexicons,
    read_dictionary,
    read_ratings,
    read_synsets,
    read_vocabulary,
)
from core.errors import UserError


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="")
    return path


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("Wunsch\ttoive\r\n\r\nrote Rübe\tpunajuuri\r\n", [("Wunsch", "toive"), ("rote Rübe", "punajuuri")]),
        ("dog බල්ලා\ndog සුනඛයා\n", [("dog", "බල්ලා"), ("dog", "සුනඛයා")]),
    ],
)
def test_pairs_with_tabs_or_spaces(text: str, rows: list[tuple[str, str]], tmp_path: Path) -> None:
    assert read_dictionary(write(tmp_path / "pairs", text)) == rows


def test_a_dictionary_is_read_as_it_is(tmp_path: Path) -> None:
    path = write(tmp_path / "d.txt", "the ද\r\nthe එම\n\nTHE ද\nthe ද\n")
    assert read_dictionary(path) == [("the", "ද"), ("the", "එම"), ("THE", "ද")]
    assert read_dictionary(write(path, "a b\tc d\n")) == [("a b", "c d")]
    for text, words in (("a b c\n", "line 1"), ("a\tb\na\n", "line 2"), ("\n", "holds no pair")):
        with pytest.raises(UserError, match=words):
            read_dictionary(write(path, text))


def test_the_folders_name_collection_and_languages(tmp_path: Path) -> None:
    write(tmp_path / "vulic" / "bg-ca" / "bg-ca.test.2000.cc.trans", "азот\tnitrogen\n")
    write(tmp_path / "vulic" / "bg-ca" / "bg-ca.train.500.cc.trans", "мол\tmol\n")
    write(tmp_path / "glavas" / "de-fi" / "yacle.test.freq.2k.de-fi.tsv", "Wünsche\ttoiveet\n")
    assert lexicons(tmp_path) == [
        Lexicon("glavas", "de", "fi", [("Wünsche", "toiveet")]),
        Lexicon("vulic", "bg", "ca", [("азот", "nitrogen")]),
    ]
    assert [one.rows for one in lexicons(tmp_path / "vulic", "*train.500*")] == [[("мол", "mol")]]


def test_a_vocabulary_has_every_word_once(tmp_path: Path) -> None:
    path = write(tmp_path / "en_vocab.txt", "the\r\nof\nthe\n\nThe\n")
    assert read_vocabulary(path) == ["the", "of", "The"]
    assert read_vocabulary(path, 2) == ["the", "of"]


@pytest.mark.parametrize("name", ["own.csv", "own.jsonl", "own.tsv"])
def test_synsets_as_rows_or_as_columns(name: str, tmp_path: Path) -> None:
    texts = {
        "own.csv": "synset,word,language,gloss\r\n1,dog,en,\r\n1,Hund,de,ein Tier\r\n1,dog,en,\r\n2,кошка,ru,\r\n",
        "own.jsonl": '{"synset": 1, "word": "dog", "language": "en"}\n'
        '{"synset": 2, "word": "кошка", "language": "ru"}\n'
        '{"synset": 1, "word": "Hund", "language": "de", "gloss": "ein Tier"}\n',
        "own.tsv": "en\tde\tru\ndog\tHund\t\ncat\tKatze\tкошка\n",
    }
    found = read_synsets(write(tmp_path / name, texts[name]))
    gloss = "" if name == "own.tsv" else "ein Tier"
    assert {Member("1", "dog", "en"), Member("1", "Hund", "de", gloss), Member("2", "кошка", "ru")} <= set(found)
    assert len(found) == (5 if name == "own.tsv" else 3)


def test_ratings_by_pair_of_languages(tmp_path: Path) -> None:
    rated = "ID,CMN,ENG,PoS,score\n1,猫,cat,nouns,5.5\n2,猫,bank,nouns,0.5\n3,狗,dog,nouns,\n"
    write(tmp_path / "CMN-ENG.csv", rated)
    assert read_ratings(tmp_path) == {"cmn-eng": [("猫", "cat", 5.5), ("猫", "bank", 0.5)]}
    write(tmp_path / "ENG-FIN.csv", "ID,ENG,SUO,score\n1,cat,kissa,6\n")
    with pytest.raises(UserError, match=re.escape("ENG-FIN.csv, row 1")):
        read_ratings(tmp_path)


def test_refusals(tmp_path: Path) -> None:
    empty = write(tmp_path / "empty", "\n")
    three = write(tmp_path / "three", "a\tb\na\tb\tc\n")
    for read, message in (
        (lambda: read_dictionary(three), "line 2: give a source word"),
        (lambda: read_dictionary(empty), "holds no pair of words"),
        (lambda: read_vocabulary(empty), "is empty"),
        (lambda: read_synsets(write(tmp_path / "y.tsv", "en\tWort\ndog\tHund\n")), "Wort"),
        (lambda: read_synsets(write(tmp_path / "x.csv", "synset,word,language\n1,,en\n")), "row 1: word or language"),
        (lambda: lexicons(tmp_path), "holds no lexicon"),
        (lambda: lexicons(tmp_path / "nowhere"), "holds no lexicon"),
        (lambda: read_ratings(tmp_path), "holds no <L1>-<L2>.csv"),
    ):
        with pytest.raises(UserError, match=re.escape(message)):
            read()
