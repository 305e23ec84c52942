"""Texts that change language in the middle, and translations that keep what they must."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.errors import UserError
from core.tasks.translated import aligned_rows, keeping_quotes
from core.text.codeswitch import code_switched, code_switched_texts


def test_texts_change_language_between_clauses_words_or_characters() -> None:
    english, french, chinese = "a red heart, above a blue square", "un cœur rouge, sur un carré bleu", "红心，蓝方"
    assert code_switched("a red heart", "un cœur rouge.") == "a red rouge."
    assert code_switched("红心", "a cat") == "红 cat"
    mixed = code_switched_texts({"fr": [french], "en": [english], "zh": [chinese]})
    assert mixed["EF"]["fr"] == ["a red heart, sur un carré bleu"]
    assert mixed["ES"] == {"fr": ["un cœur rouge, above a blue square"], "zh": ["红心， above a blue square"]}


def test_quoted_text_is_not_translated() -> None:
    assert keeping_quotes('say "hi" and "hi"', lambda text: f"dis {text[4:]}".replace("hi", "salut")) == (
        'dis "hi" and "hi"'
    )
    with pytest.raises(UserError, match="lost the quoted"):
        keeping_quotes('say "hi"', lambda text: "dis")
    with pytest.raises(UserError, match="is empty"):
        keeping_quotes("say", lambda text: " ")


def test_files_of_one_benchmark_agree_in_all_but_the_text(tmp_path: Path) -> None:
    rows = {"en": [{"tag": "a", "prompt": "x"}, {"tag": "b", "prompt": "y"}], "fr": [{"tag": "a", "prompt": "u"}]}
    rows["fr"].append({"tag": "b", "prompt": "v"})
    paths = {code: tmp_path / f"{code}.jsonl" for code in rows}

    def write() -> None:
        for code, found in rows.items():
            paths[code].write_text("\n".join(map(json.dumps, found)), encoding="utf-8")

    write()
    texts, common = aligned_rows(paths, "prompt", ["tag"])
    assert texts == {"en": ["x", "y"], "fr": ["u", "v"]}
    assert common == [{"tag": "a"}, {"tag": "b"}]
    for broken, words in (
        ({"tag": "c", "prompt": "v"}, "row 2: tag differs"),
        ({"tag": "b", "prompt": " "}, "without prompt"),
    ):
        rows["fr"][1] = broken
        write()
        with pytest.raises(UserError, match=words):
            aligned_rows(paths, "prompt", ["tag"])
    del rows["fr"][1]
    write()
    with pytest.raises(UserError, match="align"):
        aligned_rows(paths, "prompt", ["tag"])
