"""Manifests of text: rows of the real data sets, own files, and lines that cannot be read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.corpora import manifest
from core.errors import UserError


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_rows_of_the_real_datasets() -> None:
    text, pair = manifest.adapt_text, manifest.adapt_pair
    assert text({"text": "a", "id": "x", "dump": "d", "language_score": 0.9}) == "a"  # FineWeb, FineWeb-2
    assert text({"text": "a", "timestamp": "t", "url": "u", "source": "mC4"}) == "a"  # CulturaX
    assert text({"id": "1", "url": "u", "title": "T", "text": "a"}) == "T\n\na"  # Wikipedia
    assert text({"prompt": "p", "text": "a", "token_length": 1, "audience": "x"}) == "a"  # Cosmopedia
    assert pair({"translation": {"de": "Hallo", "en": "Hi"}}, "en", "de") == ("Hi", "Hallo")  # OPUS-100
    nllb = {"translation": {"eng_Latn": "Hi", "deu_Latn": "Hallo"}, "laser_score": 1.1}
    assert pair(nllb, "en", "de") == ("Hi", "Hallo")
    with pytest.raises(UserError, match="text"):
        text({"content": "a"})
    with pytest.raises(UserError, match="'de'"):
        pair({"translation": {"fr": "Salut", "en": "Hi"}}, "en", "de")


def test_own_files_are_found_beside_the_manifest(tmp_path: Path) -> None:
    write(tmp_path / "sw.txt", "habari", "", "asante")
    write(tmp_path / "en.jsonl", json.dumps({"text": "news"}))
    write(tmp_path / "en-sw.tsv", "en\tsw", "thanks\tasante")
    write(
        tmp_path / "sources.jsonl",
        '{"path": "sw.txt", "category": "low", "language": "sw"}',
        '{"path": "en.jsonl", "category": "english", "language": "en", "tokens": 7}',
        '{"path": "en-sw.tsv", "category": "parallel", "languages": ["en", "sw"]}',
        '{"path": "some/hub#name", "category": "low", "language": "sw", "name": "web"}',
    )
    swahili, english, both, hub = manifest.read(tmp_path / "sources.jsonl")
    assert list(manifest.texts(swahili.path)) == ["habari", "asante"]
    assert list(manifest.texts(english.path)) == ["news"]
    assert (english.name, english.tokens, swahili.tokens) == ("en.jsonl", 7.0, None)
    assert list(manifest.pairs(both.path, *both.languages)) == [("thanks", "asante")]
    assert (both.language, hub.name, hub.path) == ("en-sw", "web", "some/hub#name")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"path": "x.txt", "category": "low"}', "line 1"),
        ("[1]", "line 1"),
        ("nonsense", "line 1"),
        ('{"path": "x.tsv", "category": "p", "languages": ["en"]}', "two languages"),
        ('{"path": "x.txt", "category": "low", "language": "tr", "tokens": "many"}', "line 1"),
        ('{"path": "x.txt", "category": "low", "language": "tr", "tokens": -1}', "positive"),
        ("", "names no source"),
    ],
)
def test_manifests_that_cannot_be_read(line: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message):
        manifest.read(write(tmp_path / "sources.jsonl", line))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    write(tmp_path / "sources.jsonl", '{"path": "x.txt", "category": "low", "language": "tr"}')
    with pytest.raises(UserError, match="does not exist"):
        list(manifest.texts(manifest.read(tmp_path / "sources.jsonl")[0].path))
