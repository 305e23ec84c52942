"""Language codes, names, scripts and how much text a language has.

    language("zh-Hant").name          # 'Chinese (Traditional)'
    language("swh_Latn").bcp47        # 'sw'
    flores_code("sw")                 # 'swh_Latn'

Codes come in two spellings: BCP-47 (`sw`, `zh-Hant`, `sr-Latn`), which corpora use as column names, and that of
FLORES-200 (`swh_Latn`: ISO 639-3 of the individual language, then the script). Everything here takes both.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from functools import cache
from typing import Literal

import langcodes

from core.errors import UserError

Resource = Literal["high", "medium", "low"]

# The individual language that FLORES-200 took for a macrolanguage or collection (NLLB Team 2022, table 1).
_INDIVIDUAL = {
    "ar": "arb", "ay": "ayr", "az": "azj", "et": "est", "fa": "pes", "fil": "tgl", "gn": "grn", "ku": "kmr",
    "lv": "lvs", "mg": "plt", "mn": "khk", "ms": "zsm", "ne": "npi", "no": "nob", "om": "gaz", "or": "ory",
    "ps": "pbt", "qu": "quy", "sq": "als", "sw": "swh", "tl": "tgl", "uz": "uzn", "yi": "ydd",
}  # fmt: skip
_MACRO = {individual: macro for macro, individual in _INDIVIDUAL.items() if macro not in ("no", "fil")} | {
    "cmn": "zh",
    "ekk": "et",
    "nob": "nb",
    "tgl": "tl",
}
# CLDR's likely script is historical or that of a minority here.
_SCRIPTS = {"grc": "Grek", "azb": "Arab", "yue": "Hant"}


@dataclass(frozen=True)
class Language:
    """What is known of a language.

    Attributes:
        code: The code as asked for.
        bcp47: The shortest BCP-47 spelling; the script is part of it only where it was asked for and is not the
            usual one.
        name: English name.
        script: ISO 15924 code of the script it is written in (`Latn`, `Hans`).
        alpha3: ISO 639-3 code.
        resource: :func:`resource_level`.
    """

    code: str
    bcp47: str
    name: str
    script: str
    alpha3: str
    resource: Resource


@cache
def language(code: str) -> Language:
    """Look a language up.

    Args:
        code: BCP-47 or FLORES-200 code.

    Raises:
        UserError: not the code of a known language.
    """
    try:
        tag = langcodes.get(code.replace("_", "-"))
    except langcodes.LanguageTagError:
        tag = None
    if tag is None or not tag.is_valid() or not tag.language or tag.language in ("und", "mul"):
        close = difflib.get_close_matches(code.lower(), _common_codes(), n=3, cutoff=0.5)
        hint = f" (close: {', '.join(close)})" if close else ""
        raise UserError(
            f"Unknown language code {code!r}{hint}: use BCP-47 such as 'sw' or FLORES-200 such as 'swh_Latn'."
        )
    base = _MACRO.get(tag.language, tag.language)
    usual = _SCRIPTS.get(base) or langcodes.get(base).maximize().script or "Zyyy"
    written = {"Hang": "Kore"}.get(tag.script or "", tag.script)  # FLORES writes kor_Hang for everyday Korean
    script = written or (_SCRIPTS.get(base) or tag.maximize().script or "Zyyy")
    shown = langcodes.Language.make(language=base, script=None if script == usual else script, territory=tag.territory)
    return Language(
        code=code,
        bcp47=shown.to_tag(),
        name=shown.display_name() if script == usual else langcodes.Language.make(base, script=script).display_name(),
        script=script,
        alpha3=tag.language if len(tag.language) == 3 else tag.to_alpha3(),
        resource=resource_level(base),
    )


def name(code: str) -> str:
    """English name of a language."""
    return language(code).name


def script(code: str) -> str:
    """ISO 15924 code of the script that a language is written in."""
    return language(code).script


def flores_code(code: str) -> str:
    """The FLORES-200 spelling of a code: `zh-Hans` -> `zho_Hans`, `ar` -> `arb_Arab`, `eng_Latn` -> itself."""
    known = language(code)
    base = known.bcp47.split("-")[0]
    individual = _INDIVIDUAL.get(base) or langcodes.get(base).to_alpha3()
    return f"{individual}_{'Hang' if known.script == 'Kore' else known.script}"


@cache
def _frequency_lists(wordlist: str) -> frozenset[str]:
    from wordfreq import available_languages

    return frozenset(available_languages(wordlist))


def resource_level(code: str) -> Resource:
    """How much text there is of a language, by what wordfreq could count.

    wordfreq (Speer 2022) builds a word list only where at least three kinds of sources exist, and a large one where
    at least five do: a large list is `high`, a small one `medium`, none `low`. This is a proxy, not a census; papers
    that define classes of their own (NLLB, Joshi et al.) carry their lists themselves.
    """
    base = langcodes.get(code.replace("_", "-")).language or code
    base = {"hr": "sh", "sr": "sh", "bs": "sh", "tl": "fil", "no": "nb"}.get(
        _MACRO.get(base, base), _MACRO.get(base, base)
    )
    if base in _frequency_lists("large"):
        return "high"
    return "medium" if base in _frequency_lists("small") else "low"


@cache
def _common_codes() -> tuple[str, ...]:
    from babel.localedata import locale_identifiers

    return tuple(sorted({identifier.split("_")[0] for identifier in locale_identifiers()}))
