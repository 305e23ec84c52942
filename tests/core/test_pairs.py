"""Sentences and their translations: own lines in two scripts, Tatoeba, and what has to be asked for by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.corpora import hub
from core.errors import UserError
from core.tasks import pairs


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_own_lines_in_both_scripts(tmp_path: Path) -> None:
    text = "en\tnative\tromanised\r\nGood day\tДобрый день\tDobryj denj\r\nYes\tДа\tDa\r\n"
    ((language, rows),) = pairs.read(str(write(tmp_path / "ru.tsv", text)))
    assert language == "ru"
    assert rows[0] == {"en": "Good day", "native": "Добрый день", "romanised": "Dobryj denj"}
    path = write(tmp_path / "ru.jsonl", '{"en": "Good day", "native": "Добрый день"}\n{"en": "Yes", "native": "Да"}\n')
    ((_, rows),) = pairs.own_lines(path)
    assert rows[1] == {"en": "Yes", "native": "Да"}
    path = write(tmp_path / "all.tsv", "en\tru\tzh-Hant-TW\nGood day\tДобрый день\t日安\nYes\tДа\t是\n")
    assert [language for language, _ in pairs.own_lines(path)] == ["ru", "zh-Hant-TW"]
    assert [language for language, _ in pairs.own_lines(path, ("ru",))] == ["ru"]
    (tmp_path / "verses").mkdir()
    for code, text in (("en", "Yes\nNo\n"), ("ru", "Да\nНет\n")):
        write(tmp_path / "verses" / f"{code}.txt", text)
    assert [*pairs.own_lines(tmp_path / "verses")] == [
        ("ru", [{"en": "Yes", "native": "Да"}, {"en": "No", "native": "Нет"}])
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("english\tnative\nYes\tДа\n", "no column 'en'"),
        ("ru\tuk\nДа\tТак\n", "column 'en'"),
        ("en\tnative\nYes\n", "line 2"),
        ("", "is empty"),
    ],
)
def test_unusable_lines_are_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        [*pairs.own_lines(write(tmp_path / "a.tsv", text))]
    with pytest.raises(UserError, match="does not exist"):
        [*pairs.own_lines(tmp_path / "missing.tsv")]


def test_the_98_languages_are_pairs_of_tatoeba(monkeypatch: pytest.MonkeyPatch) -> None:
    """Under the name that the data set has (pes, lvs, tgl; not the wider fas, lav, fil), in its published columns."""
    asked = []

    def rows(source: hub.HubSource, config: str, *rest: object) -> list[dict[str, str]]:
        asked.append((source.hub_id, config))
        return [{"sentence1": "Да.", "sentence2": "Yes."}]

    monkeypatch.setattr(hub, "_rows", rows)
    found = dict(pairs.read("tatoeba"))
    assert len(found) == len(set(asked)) == 98
    assert {"pes", "lvs", "tgl", "cmn", "zsm", "swh"} <= set(found)
    assert asked[7] == ("mteb/tatoeba-bitext-mining", "rus-eng")
    assert [hub.tatoeba_config(code) for code in found] == [f"{code}-eng" for code in found]
    assert found["rus"] == [{"en": "Yes.", "native": "Да."}]


def test_the_bible_has_to_be_asked_for() -> None:
    with pytest.raises(UserError, match="Glot500"):
        next(pairs.read("bible"))
