"""The 25 verifiable instructions: does a response follow one? In two readings.

    check("punctuation:no_comma", {}, "你好，世界。")                                   # False: a comma is a comma
    check("punctuation:no_comma", {}, "你好，世界。", compat="official")                # True: only "," is one there

`official` decides as the authors' evaluator does, quirks included; what is random there is seeded here. `fixed` means
the same instruction in every language: words are those of Unicode and not of `\\b`, arguments are no patterns, commas,
quotes, bullets and sentence ends are those of all scripts, and the language is the conversation's where it is known.
What an instruction lacks is refused in `fixed` and drawn in `official`, as there.
"""

from __future__ import annotations

import difflib
import json
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from functools import cache, lru_cache
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any, Literal

import regex

from core.corpora.catalogues import package_folder
from core.errors import UserError
from core.files import load_yaml
from core.text import segment
from core.text.languages import language as known_language

Compat = Literal["official", "fixed"]
RELATIONS = ("less than", "at least")
# Codes whose texts are counted without spaces; langdetect says zh-cn and zh-tw.
CJK = ("zh", "zh-cn", "zh-tw", "ja")

_HAN_KANA_HANGUL = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\u3040-\u30ff\uac00-\ud7af]")
_CJK_PUNCTUATION = re.compile(r"""[\\.!?．/_,{}<>:;$%^&*(+"'—！，。？、`~@#￥…（）：；《》“”)\[\]»〔〕\-「」]+""")
_CJK_SENTENCE = re.compile(r"[^!?。.！？．\n]+[!?。.！？．\n]?")
# A letter of a script that puts spaces between words: what may not stand beside a whole word.
_LETTER = r"[[\p{L}\p{M}\p{N}]--[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}]]"
# Of all scripts: the punctuation (Po) that Unicode calls a comma.
_COMMAS = frozenset(",՝،߸፣᠂᠈⸲⸴⹁⹉⹌、꓾꘍꛵︐︑﹐﹑，､𑑍𑑚𖺗𝪇")
_QUOTES = {
    "official": ('""', "“”", "「」"),
    "fixed": ('""', "“”", "「」", "『』", "«»", "»«", "„“", "„”", "””", "＂＂", "〝〞"),
}
_BULLETS = {
    "official": (r"^\s*\*[^\*].*$", r"^\s*-.*$"),
    "fixed": (r"^[ \t]*[*+•‣◦▪●○∙-][ \t]+\S.*$",),
}
_CLOSING = {"official": '"', "fixed": "\"'“”„«»‘’」』*_` \t\n"}


# --- what the two readings differ in ----------------------------------------------------------------------------------


@cache
def _detectors() -> Any:
    package_folder("langdetect", "checkers")
    from langdetect import detector_factory

    factory = detector_factory.DetectorFactory()
    factory.load_profile(detector_factory.PROFILES_DIRECTORY)
    factory.set_seed(0)
    return factory


@lru_cache(4096)
def detect(text: str) -> str | None:
    """langdetect's label, seeded for every text; None where there is nothing to tell by."""
    from langdetect import LangDetectException

    detector = _detectors().create()
    detector.append(text)
    try:
        return str(detector.detect())
    except LangDetectException:
        return None


@cache
def base(code: str) -> str:
    """A language's code without script and region."""
    return known_language(code).bcp47.partition("-")[0]


def speaks(text: str, code: str, compat: Compat) -> bool:
    """Whether a text is in a language. Where nothing can be told, `official` believes it."""
    if compat == "official":
        found = detect(text)
        return found is None or found == code
    from core.text.identification import identifier

    wanted = base(code)
    found = identifier(("en", "fr", "ru", "hi", "it", "pt", "es", "zh"))(text, wanted)
    return (found or (detect(text) or "").partition("-")[0]) == wanted


def occurrences(text: str, word: str, compat: Compat) -> int:
    """How often a word occurs. `official` takes it for a pattern and finds it inside of words."""
    if compat == "official":
        return len(_pattern(word).findall(text))
    word, text = (unicodedata.normalize("NFC", part).casefold() for part in (word, text))
    whole = regex.escape(word)
    if not segment.unspaced(word):
        before, after = (rf"(?{side}{_LETTER})" for side in ("<!", "!"))
        whole = before * word[:1].isalnum() + whole + after * bool(regex.match(r"[\p{L}\p{M}\p{N}]", word[-1:]))
    return len(regex.findall(rf"(?V1){whole}", text))


def words(text: str, language: str | None, compat: Compat) -> int:
    """The number of words. `official` uses the `\\w` of Python's re, which cuts Hindi at every vowel sign."""
    code = (base(language) if language and compat == "fixed" else detect(text)) or "en"
    if code == "th":
        from pythainlp.tokenize import word_tokenize

        found = word_tokenize(text)
        return len(found) if compat == "official" else sum(any(map(str.isalnum, token)) for token in found)
    if code in CJK:
        import emoji

        text = _CJK_PUNCTUATION.sub("", text)
        pictures, text = emoji.emoji_count(text), emoji.replace_emoji(text, "")
        rest = _HAN_KANA_HANGUL.sub(" ", text).split()
        return pictures + len(_HAN_KANA_HANGUL.findall(text)) + len(rest)
    if compat == "official":
        return len(re.findall(r"\w+", text))
    return len(segment.words(text) if segment.unspaced(text) else regex.findall(r"\w+", text))


def sentences(text: str, language: str | None, compat: Compat) -> int:
    """The number of sentences. `official` cuts all but Thai, Hindi, Chinese and Japanese as English."""
    code = (base(language) if language and compat == "fixed" else detect(text)) or "en"
    if code == "th":
        from pythainlp.tokenize import sent_tokenize

        return sum(len(sent_tokenize(line)) for line in text.splitlines())
    if code in CJK:
        return sum(len(_CJK_SENTENCE.findall(line.strip())) for line in text.splitlines())
    if compat == "fixed":
        return len(segment.sentences(text))
    if code == "hi":
        return sum(bool(piece.strip()) for piece in re.split(r"(?<=[।!?])\s*", text))
    return len(_punkt(text))


def capitals(text: str, compat: Compat) -> int:
    """The number of words that are all upper case."""
    if compat == "fixed":
        return sum(word.isupper() for word in segment.words(text))
    from nltk.tokenize import NLTKWordTokenizer

    tokens = NLTKWordTokenizer().tokenize
    return sum(token.isupper() for sentence in _punkt(text) for token in tokens(sentence))


def _punkt(text: str) -> list[str]:
    package_folder("punkt", "checkers")
    from punkt import sent_tokenize

    return list(sent_tokenize(text))


@lru_cache(1024)
def _pattern(text: str, flags: int = re.IGNORECASE) -> re.Pattern[str]:
    try:
        return re.compile(text, flags)
    except re.error as error:
        raise UserError(
            f"{text!r} is no regular expression ({error}), which the official evaluator takes it for: use fixed."
        ) from None


def _escaped(text: str, compat: Compat) -> str:
    return text if compat == "official" else re.escape(text)


def _compared(count: int, relation: str, threshold: float) -> bool:
    return count < threshold if relation == RELATIONS[0] else count >= threshold


# --- one function for each instruction --------------------------------------------------------------------------------


def _forbidden(text: str, of: Any) -> bool:
    if of.compat == "fixed":
        return not any(occurrences(text, word, "fixed") for word in of.forbidden_words)
    return not any(_pattern(rf"\b{word}\b").search(text) for word in of.forbidden_words)


def _letters(text: str, of: Any) -> bool:
    text, letter = text.lower(), of.letter.lower()
    if of.compat == "fixed":
        text, letter = (unicodedata.normalize("NFC", part) for part in (text, letter))
    return _compared(text.count(letter), of.let_relation, of.let_frequency)


def _paragraphs(text: str, of: Any) -> bool:
    pieces = [bool(piece.strip()) for piece in re.split(r"\s?\*\*\*\s?", text)]
    return all(pieces[1:-1]) and sum(pieces) == of.num_paragraphs


def _nth_paragraph(text: str, of: Any) -> bool:
    paragraphs = re.split(r"\n\n", text) if of.compat == "official" else re.split(r"\n\s*\n", text.strip())
    count, wanted = sum(bool(piece.strip()) for piece in paragraphs), of.first_word.lower()
    if not 0 < of.nth_paragraph <= count:
        return False
    paragraph = paragraphs[int(of.nth_paragraph) - 1].strip()
    if of.compat == "official":
        first = paragraph.split()[0].lstrip("'").lstrip('"') if paragraph else ""
        return bool(paragraph) and count == of.num_paragraphs and re.split("[.,?!'\"]", first)[0].lower() == wanted
    start = regex.sub(r"^[^\p{L}\p{N}]+", "", paragraph)[: len(wanted) + 1]
    return count == of.num_paragraphs and start.lower().startswith(wanted) and bool(occurrences(start, wanted, "fixed"))


def _postscript(text: str, of: Any) -> bool:
    marker = of.postscript_marker.strip().lower()
    if of.compat == "fixed":
        loose = r"\s?".join(map(re.escape, re.findall(r"[^\s.]+\.?|\.", marker)))
        return bool(re.search(rf"^[\s*_>#]*{loose}", text.lower(), re.MULTILINE))
    special = {"P.P.S": r"p\.\s?p\.\s?s", "P.S.": r"p\.\s?s\."}
    return bool(_pattern(special.get(of.postscript_marker.strip(), marker), 0).search(text.lower()))


def _bullets(text: str, of: Any) -> bool:
    return sum(len(re.findall(line, text, re.MULTILINE)) for line in _BULLETS[of.compat]) == of.num_bullets


def _highlights(text: str, of: Any) -> bool:
    if of.compat == "fixed":
        spans = re.findall(r"(?<![*\\])(\*{1,3})(?=[^\s*])[^*\n]*(?<=[^\s*])\1(?!\*)", text)
        return len(spans) >= of.num_highlights
    single = [span for span in re.findall(r"\*[^\n*]*\*", text) if span.strip("*").strip()]
    double = [span for span in re.findall(r"\*\*[^\n*]*\*\*", text) if span[2:-2].strip()]
    return len(single) + len(double) >= of.num_highlights


def _sections(text: str, of: Any) -> bool:
    name = _escaped(of.section_spliter.strip(), of.compat)
    if of.compat == "fixed":
        return len(re.findall(rf"^[\s*#_]*{name}\s?[\d一二三四五六七八九十]+", text, re.MULTILINE)) >= of.num_sections
    return len(_pattern(rf"\s?{name}\s?\d+\s?", 0).split(text)) - 1 >= of.num_sections


def _constrained(text: str, of: Any) -> bool:
    options = answers("en") if of.compat == "official" else answers(of.spoken or detect(text) or "en")
    return any(option in text for option in options)


def _json(text: str, of: Any) -> bool:
    text = text.strip()
    for fence in ("```json", "```Json", "```JSON", "```"):
        text = text.removeprefix(fence)
    try:
        json.loads(text.removesuffix("```").strip())
    except (ValueError, RecursionError):
        return False
    return True


def _two_responses(text: str, of: Any) -> bool:
    pieces = [piece.strip() for piece in text.split("******")]
    said = [piece for piece in pieces if piece]
    return all(pieces[1:-1]) and len(said) == 2 and said[0] != said[1]


def _repeated(text: str, of: Any) -> bool:
    text, prompt = (part.strip().lower() for part in (text, of.prompt_to_repeat))
    if of.compat == "fixed":
        text, prompt = (" ".join(unicodedata.normalize("NFC", part).split()) for part in (text, prompt))
    return text.startswith(prompt)


def _ending(text: str, of: Any) -> bool:
    text, phrase = text.strip().strip(_CLOSING[of.compat]).lower(), of.end_phrase.strip().lower()
    if of.compat == "fixed":
        text, phrase = (unicodedata.normalize("NFC", part.strip(_CLOSING["fixed"])) for part in (text, phrase))
    return text.endswith(phrase)


def _english_case(text: str, of: Any, upper: bool) -> bool:
    shown = text.isupper() if upper else text.islower()
    return shown and speaks(text if of.compat == "official" else text.lower(), "en", of.compat)


def _quoted(text: str, of: Any) -> bool:
    text = text.strip()
    return len(text) > 1 and text[0] + text[-1] in _QUOTES[of.compat]


def _title(text: str, of: Any) -> bool:
    return any(title.lstrip("<").rstrip(">").strip() for title in re.findall(r"<<[^\n]+>>", text))


CHECKERS: dict[str, tuple[tuple[str, ...], Callable[[str, Any], bool]]] = {
    "keywords:existence": (("keywords",), lambda text, of: all(occurrences(text, w, of.compat) for w in of.keywords)),
    "keywords:frequency": (("keyword", "frequency", "relation"), lambda text, of: _compared(
        occurrences(text, of.keyword.strip(), of.compat), of.relation, of.frequency)),
    "keywords:forbidden_words": (("forbidden_words",), _forbidden),
    "keywords:letter_frequency": (("letter", "let_frequency", "let_relation"), _letters),
    "language:response_language": (("language",), lambda text, of: speaks(text, of.language, of.compat)),
    "length_constraints:number_sentences": (("num_sentences", "relation"), lambda text, of: _compared(
        sentences(text, of.spoken, of.compat), of.relation, of.num_sentences)),
    "length_constraints:number_words": (("num_words", "relation"), lambda text, of: _compared(
        words(text, of.spoken, of.compat), of.relation, of.num_words)),
    "length_constraints:number_paragraphs": (("num_paragraphs",), _paragraphs),
    "length_constraints:nth_paragraph_first_word": (("num_paragraphs", "nth_paragraph", "first_word"), _nth_paragraph),
    "detectable_content:number_placeholders": (
        ("num_placeholders",), lambda text, of: len(re.findall(r"\[.*?\]", text)) >= of.num_placeholders),
    "detectable_content:postscript": (("postscript_marker",), _postscript),
    "detectable_format:number_bullet_lists": (("num_bullets",), _bullets),
    "detectable_format:number_highlighted_sections": (("num_highlights",), _highlights),
    "detectable_format:multiple_sections": (("section_spliter", "num_sections"), _sections),
    "detectable_format:title": ((), _title),
    "detectable_format:json_format": ((), _json),
    "detectable_format:constrained_response": ((), _constrained),
    "combination:two_responses": ((), _two_responses),
    "combination:repeat_prompt": (("prompt_to_repeat",), _repeated),
    "startend:end_checker": (("end_phrase",), _ending),
    "startend:quotation": ((), _quoted),
    "change_case:capital_word_frequency": (("capital_frequency", "capital_relation"), lambda text, of: _compared(
        capitals(text, of.compat), of.capital_relation, of.capital_frequency)),
    "change_case:english_capital": ((), lambda text, of: _english_case(text, of, upper=True)),
    "change_case:english_lowercase": ((), lambda text, of: _english_case(text, of, upper=False)),
    "punctuation:no_comma": ((), lambda text, of: not (_COMMAS if of.compat == "fixed" else {","}) & set(text)),
}  # fmt: skip
"""Of each instruction the names of its arguments, and its function of the response."""


# --- arguments --------------------------------------------------------------------------------------------------------

# What the official evaluator draws from where an argument is missing. Its 1,500 words are English nouns and verbs.
_DRAWN: dict[str, Sequence[Any]] = {
    "num_sentences": range(1, 21), "num_placeholders": range(1, 5), "num_bullets": range(1, 6),
    "num_highlights": range(1, 5), "num_sections": range(1, 6), "num_paragraphs": range(1, 6),
    "frequency": range(1, 4), "let_frequency": range(1, 11), "capital_frequency": range(1, 21),
    "num_words": range(100, 501), "nth_paragraph": range(1, 2), "letter": "abcdefghijklmnopqrstuvwxyz",
    "section_spliter": ("Section", "SECTION"), "postscript_marker": ("P.S.", "P.P.S"),
    "end_phrase": ("Any other questions?", "Is there anything else I can help with?"),
    "language": ("en", "es", "pt", "ar", "hi", "fr", "ru", "de", "ja", "it", "bn", "uk", "th", "ur", "ta", "te", "bg",
                 "ko", "pl", "he", "fa", "vi", "ne", "sw", "kn", "mr", "gu", "pa", "ml", "fi"),
} | dict.fromkeys(("relation", "let_relation", "capital_relation"), RELATIONS)  # fmt: skip
_LISTS, _WORDS = ("keywords", "forbidden_words"), ("keyword", "first_word")
_TEXTS = (*_WORDS, "postscript_marker", "section_spliter", "end_phrase", "prompt_to_repeat", "letter", "language")


def follows(instruction: str, arguments: Mapping[str, Any], response: str, compat: Compat, spoken: str | None) -> bool:
    """Whether a response follows an instruction, as it stands.

    Args:
        instruction: One of the 25 ids.
        arguments: Its arguments; what is None counts as missing.
        response: The text.
        compat: The reading.
        spoken: Code of the conversation's language, which `official` does not look at.

    Raises:
        UserError: There is no such instruction, or an argument is missing, unknown or of another kind.
    """
    of = complete(instruction, arguments, compat)
    return CHECKERS[instruction][1](response, SimpleNamespace(**of, compat=compat, spoken=spoken))


def complete(instruction: str, arguments: Mapping[str, Any], compat: Compat) -> dict[str, Any]:
    """The arguments of an instruction; in `official` those that are missing or out of range are drawn, seeded."""
    if instruction not in CHECKERS:
        near = difflib.get_close_matches(instruction, CHECKERS, n=1)
        raise UserError(f"There is no instruction {instruction!r}: {near[0] if near else ', '.join(CHECKERS)}?")
    names = CHECKERS[instruction][0]
    given = {name: value for name, value in arguments.items() if value is not None}
    if unknown := sorted(set(given) - set(names)):
        raise UserError(f"{instruction} has no argument {unknown[0]!r}: it takes {', '.join(names) or 'none'}.")
    draw = Random(f"{instruction}/{sorted(given.items(), key=str)}")
    for name in names:
        if problem := _problem(name, given, compat):
            if (
                compat == "fixed"
                or name not in {*_DRAWN, *_LISTS, *_WORDS}
                or name.endswith("relation") & (name in given)
            ):
                raise UserError(f"{instruction}: {name} = {given.get(name)!r} {problem}.")
            common = top_words()
            given[name] = (
                draw.sample(common, 2) if name in _LISTS
                else draw.choice(common if name in _WORDS else _DRAWN[name])
            )  # fmt: skip
    return given


def _problem(name: str, given: Mapping[str, Any], compat: Compat) -> str:
    value = given.get(name)
    if name in _LISTS:
        sound = isinstance(value, list) and value and all(isinstance(word, str) and word.strip() for word in value)
        return "" if sound else "is no list of words"
    if name.endswith("relation"):
        return "" if value in RELATIONS else f"is none of {RELATIONS}"
    if name in _TEXTS:
        if not isinstance(value, str) or not (value.strip() or (compat == "official" and name != "keyword")):
            return "is no text"
        if name == "letter":
            sound = value.lower() in set(_DRAWN["letter"]) if compat == "official" else len(value) == 1
            return "" if sound else "is no single letter"
        if name == "language":
            return "" if compat == "fixed" or value in _DRAWN["language"] else "is no language that it knows"
        return ""
    if isinstance(value, bool) or not isinstance(value, int | float) or (value < 0 and name != "capital_frequency"):
        return "is no count"
    if name == "nth_paragraph" and not 0 < value <= given["num_paragraphs"]:
        return "is no paragraph"
    return ""


@cache
def top_words() -> tuple[str, ...]:
    """What stands for the official evaluator's list of words."""
    from wordfreq import top_n_list

    return tuple(word for word in top_n_list("en", 2000) if len(word) > 3)


# --- what a language brings -------------------------------------------------------------------------------------------


@cache
def languages() -> dict[str, dict[str, Any]]:
    """What `languages.yaml` says of each language."""
    return load_yaml(Path(__file__).parent / "languages.yaml")


def learn(path: Path) -> list[str]:
    """Add languages of a user's, in the form of `languages.yaml`.

    Returns:
        Their codes.

    Raises:
        UserError: A table is not like the English one: something is missing, or another number of things.
    """
    found, like = load_yaml(path), languages()["en"]
    if not isinstance(found, dict) or not found:
        raise UserError(f"{path}: begin with the code of a language, as languages.yaml does.")
    for code, table in found.items():
        base(str(code))
        for name, value in like.items():
            given = table.get(name) if isinstance(table, dict) else None
            kind = type(value)
            if type(given) is not kind or (kind in (list, dict) and len(given) != len(value)):  # type: ignore[arg-type]
                many = f" of {len(value)} texts" if kind in (list, dict) else ""
                raise UserError(f"{path}: {code} needs `{name}`, a {kind.__name__}{many} like {value!r:.60}.")
            parts = given.values() if isinstance(given, dict) else given if isinstance(given, list) else ()
            if not all(isinstance(part, str) for part in parts) or (kind is dict and set(given) != set(value)):  # type: ignore[arg-type]
                raise UserError(f"{path}: {code}, `{name}` holds something else than texts like {value!r:.60}.")
    languages().update({str(code): table for code, table in found.items()})
    return list(map(str, found))


def answers(code: str) -> Sequence[str]:
    """The three constrained answers in a language; in English where they are not known."""
    table = languages()
    return table.get(base(code), table["en"])["answers"]
