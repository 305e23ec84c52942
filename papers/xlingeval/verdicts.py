"""What a model's reply means: Yes, No or neither about an answer, and the label that a judge gives one.

verdict("Yes, the diagnosis is correct.", "en")                     # 1
verdict("Yes, the diagnosis is correct.", "en", "official")         # -1: "no" stands in "diagnosis"
verdict("यह उत्तर सही नहीं है।", "hi")                                  # 0
label("They agree.\nAnswer 2 has less comprehensive and appropriate information.")     # less

`official` looks for cues as parts of the text, in the order No, Yes, unknown. `words` takes the first cue that stands
in the text as whole words, the longest where several begin there, so that "not correct" is no "correct" and "no sé" no
"no". English cues count in every language: the prompt asks for an English word.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Literal, get_args

import regex

from core.text.languages import match
from core.text.segment import is_unspaced

Parser = Literal["words", "official"]
PARSERS: tuple[Parser, ...] = get_args(Parser)
Label = Literal["neither", "contradictory", "more", "less", "none"]
LABELS: tuple[Label, ...] = get_args(Label)
# What tells the four sentences apart that the judge may end with, in the order in which they are looked for.
OPTIONS: Mapping[str, Label] = {
    "neither contradictory nor similar": "neither",
    "contradictory information in comparison": "contradictory",
    "more comprehensive and appropriate": "more",
    "less comprehensive and appropriate": "less",
}

# What the official parser looks for. Longer cues of it that hold one of these add nothing and are left out; its "yes"
# of a list runs into the next entry, as there.
_OFFICIAL_NO = (
    "no", "not entailment", "i'm sorry, but i am unable to understand", "नहीं", "नो", "不是", "不正确", "以上都不",
    "错误",
)  # fmt: skip
_OFFICIAL_YES = (
    "yesentailment", "sí", "yes", "जी हाँ", "निश्चित रूप से हाँ।", "हाँ", "可能性很大", "可能是正确的", "对", "是的", "正确",
)  # fmt: skip

CUES: Mapping[str, Mapping[int, tuple[str, ...]]] = {
    "en": {
        1: ("yes", "yeah", "correct", "right", "true", "accurate", "is factual", "not wrong", "not incorrect",
            "no doubt", "no error"),
        0: ("no", "nope", "not", "isn't", "incorrect", "wrong", "false", "inaccurate", "untrue"),
        -1: ("unknown", "depends", "n/a", "maybe", "perhaps", "not sure", "unsure", "uncertain", "not certain",
             "do not know", "don't know", "cannot tell", "can't tell", "cannot say", "can't say", "cannot answer",
             "cannot determine", "not clear", "unclear", "unable", "yes and no", "yes or no", "no idea"),
    },
    "es": {
        1: ("sí", "si", "correcto", "correcta", "cierto", "cierta", "verdadero", "verdadera", "es exacta"),
        0: ("no", "incorrecto", "incorrecta", "falso", "falsa", "erróneo", "errónea", "equivocado", "equivocada"),
        -1: ("depende", "quizá", "quizás", "tal vez", "no sé", "no lo sé", "no se sabe", "no estoy seguro",
             "no estoy segura", "no puedo", "no está claro", "desconocido", "sí y no", "sí o no"),
    },
    "zh": {
        1: ("是的", "对", "对的", "正确", "没错", "没有错", "可能性很大", "可能是正确的", "准确"),
        0: ("不", "不是", "不对", "不正确", "不准确", "不完全正确", "否", "错", "错误", "并非", "以上都不"),
        -1: ("不确定", "不清楚", "不知道", "无法", "是否", "是不是", "不一定", "不能确定", "不好说", "未知", "也许"),
    },
    "hi": {
        1: ("हाँ", "हां", "जी", "जी हाँ", "जी हां", "सही", "सही है", "सच", "ठीक"),
        0: ("नहीं", "नही", "नो", "ग़लत", "गलत", "सही नहीं", "सही नही", "सही उत्तर नहीं", "सही जवाब नहीं", "ठीक नहीं",
            "सच नहीं", "जी नहीं"),
        -1: ("पता नहीं", "नहीं पता", "मालूम नहीं", "नहीं मालूम", "शायद", "निश्चित नहीं", "तय नहीं", "कह नहीं",
             "नहीं कह", "कहना मुश्किल", "अनिश्चित", "निर्भर"),
    },
}  # fmt: skip
"""Cues of the parser `words`, by language: 1 = Yes, 0 = No, -1 = neither."""


def verdict(text: str | None, language: str, parser: Parser = "words") -> int:
    """1 = Yes, 0 = No, -1 = neither, or no text.

    Args:
        text: What the model wrote.
        language: Code of the language that it was asked in; English cues alone are known for one without cues.
        parser: See above.
    """
    if not text:
        return -1
    text = regex.sub(r"\s+", " ", text.lower().replace("’", "'"))
    if parser == "official":
        if any(cue in text for cue in _OFFICIAL_NO) and "yes" not in text:
            return 0
        # An unknown cue gives -1, and so does nothing at all.
        return 1 if any(cue in text for cue in _OFFICIAL_YES) and "no" not in text else -1
    pattern, meaning = _pattern(language)
    found = pattern.search(text)
    return meaning[found[0]] if found else -1


def label(reply: str) -> Label:
    """A judge's label: the first option that stands in its last three sentences, `none` where none does.

    Sentences are what lies between full stops, as in the official script; the piece after the last stop is one of them.
    """
    end = " ".join(" ".join(reply.split("\n")).split(".")[-3:])
    return next((name for mark, name in OPTIONS.items() if mark in end), "none")


@cache
def _pattern(language: str) -> tuple[regex.Pattern[str], dict[str, int]]:
    """Cues, longest first: the leftmost of the longest is what an alternation finds."""
    meaning: dict[str, int] = {}
    parts = []
    for code in dict.fromkeys((match(language, CUES) or "en", "en")):
        cues = {cue: value for value, own in CUES[code].items() for cue in own if cue not in meaning}
        meaning |= cues
        edges = ("", "") if is_unspaced(code) else (r"(?<![\p{L}\p{M}\p{N}])", r"(?![\p{L}\p{M}\p{N}])")
        parts += [(cue, f"{edges[0]}{regex.escape(cue)}{edges[1]}") for cue in cues]
    return regex.compile("|".join(part for _, part in sorted(parts, key=lambda pair: -len(pair[0])))), meaning
