"""Scoring answers by rule, Multi-IF's instructions and MultiLoKo's short answers, against the official scripts' way.

The scripts are none of ours, so what they do is written out, without what decides nothing: files, descriptions of
instructions, other metrics. Multi-IF's scores every answer for its language and once more for all languages together,
goes through eight variants of it, equal or not, and asks langdetect anew of each. (It does not seed it; here it is
seeded, or it would not agree with itself.) MultiLoKo's goes through every text a character at a time, and makes its set
of signs for each. The verdicts have to be the same on every answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache
from random import Random
from typing import Any

from benchmarks.common import Comparison, compare
from papers.multi_if import checkers
from papers.multi_if.method import Constraint, Conversation, Turn, score
from papers.multiloko import answers

INSTRUCTED, SHORT, ASKED = 1000, 20_000, 3
LANGUAGES = {"en": "english", "fr": "french", "ru": "russian", "hi": "hindi", "it": "italian", "pt": "portuguese",
             "es": "spanish", "zh": "simplified_mandarin"}  # fmt: skip
SIGNS = "".join(answers._SIGNS)


def measure() -> list[Comparison]:
    """Answers per second."""
    return [instructed(), short()]


# --- Multi-IF ---------------------------------------------------------------------------------------------------------


def label(text: str) -> str:
    """The language that langdetect finds, or English."""
    import langdetect

    try:
        return str(langdetect.detect(text))
    except langdetect.LangDetectException:
        return "en"


def word_count(text: str) -> int:
    import emoji

    if label(text) not in ("zh-cn", "zh-tw", "ja"):
        return len(re.findall(r"\w+", text))
    text = re.sub(r"""[\\.!?．/_,{}<>:;$%^&*(+"'—！，。？、`~@#￥…（）：；《》“”)\[\]»〔〕\-「」]+""", "", text)
    pictures, text = emoji.emoji_count(text), emoji.replace_emoji(text, "")
    own = "[\u3400-\u4dbf\u4e00-\u9fff\u3040-\u30ff\uac00-\ud7af]"
    return pictures + len(re.findall(own, text)) + len(re.sub(own, " ", text).split())


def sentence_count(text: str) -> int:
    import punkt

    if (code := label(text)) in ("zh-cn", "zh-tw", "ja"):
        return sum(len(re.findall(r"[^!?。.！？．\n]+[!?。.！？．\n]?", line.strip())) for line in text.splitlines())
    if code == "hi":
        return sum(bool(part.strip()) for part in re.split(r"(?<=[।!?])\s*", text))
    return len(punkt.sent_tokenize(text))


def highlights(text: str) -> int:
    single = [one for one in re.findall(r"\*[^\n\*]*\*", text) if one.strip("*").strip()]
    return len(single) + len([two for two in re.findall(r"\*\*[^\n\*]*\*\*", text) if two[2:-2].strip()])


def bullets(text: str) -> int:
    return sum(len(re.findall(mark, text, re.MULTILINE)) for mark in (r"^\s*\*[^\*].*$", r"^\s*-.*$"))


OFFICIAL: Mapping[str, Callable[..., bool]] = {
    "keywords:existence": lambda text, keywords: all(re.search(word, text, re.IGNORECASE) for word in keywords),
    "keywords:forbidden_words": lambda text, forbidden_words: not any(
        re.search(r"\b" + word + r"\b", text, re.IGNORECASE) for word in forbidden_words),
    "keywords:letter_frequency": lambda text, letter, let_frequency, let_relation: (
        text.lower().count(letter) >= let_frequency),
    "length_constraints:number_words": lambda text, num_words, relation: word_count(text) >= num_words,
    "length_constraints:number_sentences": lambda text, num_sentences, relation: sentence_count(text) >= num_sentences,
    "detectable_content:number_placeholders": lambda text, num_placeholders: (
        len(re.findall(r"\[.*?\]", text)) >= num_placeholders),
    "detectable_content:postscript": lambda text, postscript_marker: bool(re.findall(r"p\.\s?s\.", text.lower())),
    "detectable_format:number_bullet_lists": lambda text, num_bullets: bullets(text) == num_bullets,
    "detectable_format:number_highlighted_sections": lambda text, num_highlights: highlights(text) >= num_highlights,
    "detectable_format:title": lambda text: any(
        title.lstrip("<").rstrip(">").strip() for title in re.findall(r"<<[^\n]+>>", text)),
    "startend:end_checker": lambda text, end_phrase: text.strip().strip('"').lower().endswith(end_phrase.lower()),
    "punctuation:no_comma": lambda text: not re.search(r"\,", text),
}  # fmt: skip
"""Twelve of the 25 instructions, of which two ask for the language of the answer."""


def verdicts(text: str, asked: tuple[Constraint, ...]) -> tuple[tuple[bool, ...], tuple[bool, ...]]:
    """Strict and loose."""
    lines = text.split("\n")
    cut = [text, *("\n".join(part).strip() for part in (lines[1:], lines[:-1], lines[1:-1]))]
    variants = [*cut, *(one.replace("*", "") for one in cut)]
    of = [(OFFICIAL[one.instruction], dict(one.arguments)) for one in asked]
    strict = tuple(bool(text) and check(text, **arguments) for check, arguments in of)
    return strict, tuple(any(one.strip() and check(one, **arguments) for one in variants) for check, arguments in of)


def instructed() -> Comparison:
    """Answers of some 150 words, three instructions each."""
    from langdetect import DetectorFactory

    DetectorFactory.seed = 0
    draw = Random(0)
    talks, said = [], dict[str, list[str]]()
    for number in range(INSTRUCTED):
        code = [*LANGUAGES][number % len(LANGUAGES)]
        asked = tuple(Constraint(kind, arguments(kind, code, draw)) for kind in draw.sample([*OFFICIAL], ASKED))
        talks.append(Conversation(str(number), code, (Turn("", asked),)))
        said[str(number)] = [written(code, draw)]
    found: dict[str, list[Any]] = {}

    def ours() -> None:
        checkers.detect.cache_clear()
        found["ours"] = [(row.strict, row.loose) for row in score(talks, said, "official")]

    def instead() -> None:
        for _ in ("all languages", "its language"):
            found["script"] = [verdicts(said[talk.key][0], talk.turns[0].constraints) for talk in talks]

    row = compare(
        "Multi-IF, answers checked: ours / the official script's way", ours, instead, work=INSTRUCTED, unit="answers/s",
        expected="10", note=f"{INSTRUCTED} answers of some 900 signs, {len(LANGUAGES)} languages, {ASKED} of "
        f"{len(OFFICIAL)} instructions each, strict and loose; all verdicts agree; most of our time is langdetect's",
    )  # fmt: skip
    agree("Multi-IF", found["ours"], found["script"])
    return row


def arguments(kind: str, code: str, draw: Random) -> dict[str, Any]:
    """Those that some answers follow."""
    values = {
        "letter": "e", "let_frequency": draw.randint(20, 100), "let_relation": "at least", "relation": "at least",
        "num_words": draw.randint(100, 250), "num_sentences": draw.randint(8, 20), "num_placeholders": 1,
        "postscript_marker": "P.S.", "num_bullets": draw.randint(1, 4), "num_highlights": draw.randint(1, 3),
        "end_phrase": draw.choice(checkers.languages()[code]["endings"]),
    } | {name: draw.sample(known(code), 1) for name in ("keywords", "forbidden_words")}  # fmt: skip
    return {name: values[name] for name in checkers.CHECKERS[kind][0]}


@cache
def known(code: str) -> list[str]:
    """Common words, without signs."""
    from wordfreq import top_n_list

    return [word for word in top_n_list(code, 2000) if word.isalpha() or code == "hi"]


def written(code: str, draw: Random) -> str:
    """A text in paragraphs, with or without title, bullets, highlights, placeholder, postscript and ending."""
    comma, stop, space = {"zh": ("，", "。", ""), "hi": (", ", "। ", " ")}.get(code, (", ", ". ", " "))
    phrase = lambda: space.join(draw.choices(known(code), k=draw.randint(4, 8)))  # noqa: E731
    sentence = lambda: (comma.join(phrase() for _ in range(draw.randint(1, 2))) + stop).capitalize()  # noqa: E731
    maybe = lambda text: [text] * (draw.random() < 0.4)  # noqa: E731
    lines = [*maybe(f"<<{phrase()}>>"), *("".join(sentence() for _ in range(4)).strip() for _ in range(3))]
    lines += [f"* **{phrase()}** {sentence()}" for _ in range(draw.randint(1, 4))] * (draw.random() < 0.4)
    return "\n".join([*lines, *maybe(f"[{phrase()}]"), *maybe("P.S. " + sentence().strip()),
                      *maybe(draw.choice(checkers.languages()[code]["endings"]))])  # fmt: skip


# --- MultiLoKo --------------------------------------------------------------------------------------------------------


def normalised(text: str) -> str:
    """As the first release does."""
    excluded = set(SIGNS)
    text = "".join(sign for sign in text.lower() if sign not in excluded)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())


def short() -> Comparison:
    """Exact match of answers of some words with two right ones each."""
    draw, rows = Random(0), []
    for number in range(SHORT):
        code = [*LANGUAGES][number % len(LANGUAGES)]
        targets = [("" if code == "zh" else " ").join(draw.sample(known(code), draw.randint(1, 4))) for _ in "ab"]
        said = draw.choice([f"{targets[0].title()}.", f"“{targets[1]}”", f"The answer is {targets[0]} ({number})."])
        rows.append((said, targets, LANGUAGES[code]))
    found: dict[str, list[float]] = {}

    def ours() -> None:
        found["ours"] = [answers.score(*row, "initial", ("em",))["em"] for row in rows]

    def instead() -> None:
        pairs = [(normalised(said), [normalised(target) for target in targets]) for said, targets, _ in rows]
        found["script"] = [max(float(said == target) for target in targets) for said, targets in pairs]

    row = compare(
        "MultiLoKo, exact match: ours / the official script's way", ours, instead, work=SHORT, unit="answers/s",
        expected="10", note=f"{SHORT} answers in {len(LANGUAGES)} languages with two right ones each; all agree; "
        "without the script's five other metrics; a text costs either some calls, however short",
    )  # fmt: skip
    agree("MultiLoKo", found["ours"], found["script"])
    return row


def agree(name: str, ours: list[Any], theirs: list[Any]) -> None:
    """Or else there is nothing to compare."""
    if odd := [number for number, pair in enumerate(zip(ours, theirs, strict=True)) if pair[0] != pair[1]]:
        raise RuntimeError(f"{name}: {len(odd)} of {len(ours)} answers are judged differently, first {odd[0]}")
