"""Documents in two languages: every form says the same, and what is wrong with a file is one sentence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.corpora.bitext import read_bitext, windows
from core.errors import UserError

DOCUMENTS = [[("Guten Tag.", "Good day."), ("Wie geht es?", "How are you?")], [("Ende.", "The end.")]]
BOTH = ("de", "en")

TMX = """<?xml version="1.0" encoding="utf-8"?>
<tmx version="1.4"><header srclang="de"/><body>
<tu><tuv xml:lang="de-DE"><seg><bpt i="1">&lt;b&gt;</bpt>Guten <hi>Tag</hi>.</seg></tuv>
<tuv xml:lang="en-US"><seg>Good day.</seg></tuv></tu>
<tu><tuv xml:lang="fr"><seg>Bonjour.</seg></tuv><tuv xml:lang="en-US"><seg>Hello.</seg></tuv></tu>
<tu><tuv lang="de"><seg>Ende.</seg></tuv><tuv lang="en"><seg>The end.</seg></tuv></tu>
</body></tmx>
"""


def srt(*lines: tuple[str, str, str]) -> str:
    return "\n\n".join(f"{n}\n00:00:{a} --> 00:00:{b}\n{text}" for n, (a, b, text) in enumerate(lines, 1)) + "\n"


def test_two_files_part_documents_at_empty_lines(tmp_path: Path) -> None:
    (tmp_path / "a b.de.txt").write_text("Guten Tag.\r\nWie geht es?\r\n\r\n\r\nEnde.\r\n", encoding="utf-8")
    (tmp_path / "b.en.txt").write_text("Good day.\nHow are you?\n\n\nThe end.\n", encoding="utf-8")
    assert list(read_bitext(str(tmp_path / "a b.de.txt"), str(tmp_path / "b.en.txt"), languages=BOTH)) == DOCUMENTS


def test_rows_part_documents_by_a_column_or_an_empty_row(tmp_path: Path) -> None:
    pairs = [(number, *pair) for number, document in enumerate(DOCUMENTS) for pair in document]
    plain = [{"document": number, "de": de, "en": en} for number, de, en in pairs]
    nested = [{"translation": {"de": de, "en": en}} for de, en in [*DOCUMENTS[0], ("", ""), *DOCUMENTS[1]]]
    for name, rows in (("plain", plain), ("nested", nested)):
        file = tmp_path / f"{name}.jsonl"
        file.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
        assert list(read_bitext(str(file), languages=BOTH)) == DOCUMENTS, name


def test_a_translation_memory_is_one_document(tmp_path: Path) -> None:
    (tmp_path / "m.tmx").write_text(TMX, encoding="utf-8")
    (found,) = read_bitext(str(tmp_path / "m.tmx"), languages=BOTH)
    assert found == [("Guten Tag.", "Good day."), ("Ende.", "The end.")]


def test_subtitles_meet_by_when_they_are_shown(tmp_path: Path) -> None:
    german = srt(
        ("01,000", "03,000", "Guten\nTag."), ("04,000", "05,000", "Aha."), ("06,000", "09,000", "<i>Ende.</i>")
    )
    english = srt(("01,200", "02,900", "Good day."), ("06,100", "08,000", "The end."), ("08,000", "08,900", "Really."))
    (tmp_path / "de.srt").write_text(german, encoding="utf-8")
    (tmp_path / "en.srt").write_text(english, encoding="utf-8")
    (found,) = read_bitext(str(tmp_path / "de.srt"), str(tmp_path / "en.srt"), languages=BOTH)
    assert found == [("Guten Tag.", "Good day."), ("Ende.", "The end.")]


def test_windows_keep_the_order() -> None:
    pairs = [(str(n), str(-n)) for n in range(5)]
    assert list(windows([pairs], 2)) == [pairs[:2], pairs[2:4], pairs[4:]]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"a.txt": "x\ny\n", "b.txt": "x\n"}, "2 lines and .* 1"),
        ({"a.txt": "x\n\n", "b.txt": "x\ny\n"}, "a.txt, line 2 is empty"),
        ({"a.tmx": "<tmx><body><tu>"}, "no translation memory"),
        ({"a.tmx": "<tmx/>"}, "no sentence in both 'de' and 'en'"),
        ({"a.srt": "hello", "b.srt": "hello"}, "no file of subtitles"),
        ({"a.jsonl": '{"de": "x"}'}, "row 1: it has no text in 'en'"),
        ({"a.txt": "x", "b.txt": "x", "c.txt": "x"}, "3 sources"),
    ],
)
def test_what_is_wrong_is_one_sentence(tmp_path: Path, files: dict[str, str], message: str) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=message):
        list(read_bitext(*(str(tmp_path / name) for name in files), languages=BOTH))
