"""Names and number words of the Unicode locale data: CLDR through Babel, spell-out rules, emoji names.

The same concept has a name in hundreds of languages, so these are aligned word lists of real language.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, Literal

from core.corpora.table import bcp47, check_languages, clean, parallel_table
from core.errors import UserError

if TYPE_CHECKING:
    from datasets import Dataset

KINDS = ("territory", "region", "language", "currency", "script", "unit", "month", "weekday")
_PLACEHOLDER_NAME = re.compile(r"M?\d+")
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def _calendar(locale: Any, part: Literal["months", "days"]) -> dict[Any, str]:
    """Full names as they stand alone, not as they stand in a date, where many languages inflect them.

    Where a locale leaves the stand-alone form to inheritance, Babel gives the root's `M03` or the abbreviation; the
    form inside a date is then the right one.
    """
    from babel.localedata import LocaleDataDict, load

    # Babel keeps what it resolves in tables that locales share: a look at one locale would change what others say.
    table = LocaleDataDict({part: deepcopy(load(str(locale))[part])})[part]
    alone, dated = table["stand-alone"], table["format"]
    wide = dict(alone["wide"].items())
    inherited = wide == dict(alone["abbreviated"].items()) or any(map(_PLACEHOLDER_NAME.fullmatch, wide.values()))
    return dict(dated["wide"].items()) if inherited else wide


def _units(locale: Any) -> dict[str, str]:
    """Long names; a locale whose long name equals the short one stores the short one alone."""
    from babel.units import get_unit_name

    names = {}
    for unit in locale.unit_display_names:
        name = get_unit_name(unit, "long", locale=locale) or get_unit_name(unit, "short", locale=locale)
        if name:
            names[unit] = name
    return names


_READERS: dict[str, Callable[[Any], Mapping[str, str]]] = {
    "territory": lambda locale: {code: name for code, name in locale.territories.items() if not code.isdigit()},
    "region": lambda locale: {code: name for code, name in locale.territories.items() if code.isdigit()},
    "language": lambda locale: dict(locale.languages.items()),
    "currency": lambda locale: dict(locale.currencies.items()),
    "script": lambda locale: dict(locale.scripts.items()),
    "unit": _units,
    "month": lambda locale: {str(month): name for month, name in _calendar(locale, "months").items()},
    "weekday": lambda locale: {_WEEKDAYS[day]: name for day, name in _calendar(locale, "days").items()},
}


@lru_cache(maxsize=1)
def cldr_locales() -> dict[str, str]:
    """`{code: Babel locale id}` of all locales of CLDR."""
    from babel.localedata import locale_identifiers

    return {bcp47(name): name for name in sorted(locale_identifiers())}


def locale_of(code: str) -> Any:
    """Babel's locale of a language code, as `en`, `sr-Latn` or `pt_BR`.

    Raises:
        UserError: CLDR has no such language, or this is no code.
    """
    from babel import Locale, UnknownLocaleError

    try:
        return Locale.parse(code.replace("_", "-"), sep="-")
    except (UnknownLocaleError, ValueError, TypeError, AttributeError):
        raise UserError(f"CLDR knows no language {code!r}: give a code such as en, zh-Hant or pt-BR.") from None


@cache
def _cldr_names(locale_id: str, kind: str) -> dict[str, str]:
    from babel import Locale

    names = {key: clean(name) for key, name in _READERS[kind](Locale.parse(locale_id)).items()}
    return {key: name for key, name in names.items() if name and name != key and not _PLACEHOLDER_NAME.fullmatch(name)}


def cldr(
    languages: Sequence[str],
    *,
    kinds: Sequence[str] = KINDS,
    copies: bool = True,
    complete: bool = True,
    distinct: bool = False,
) -> Dataset:
    """Names of territories, regions, languages, currencies, scripts, units, months and weekdays from CLDR.

    Args:
        languages: Codes besides English (`si`, `zh-Hant`); more than a thousand locales exist.
        kinds: Which of :data:`KINDS`.
        copies: Keep names that equal the English one; otherwise they count as missing.
        complete: Keep only the concepts that all the languages name.
        distinct: Drop concepts whose name in any column repeats that of an earlier row.

    Returns:
        Columns `key` (`territory/FR`), `kind`, `en` and one per language. Names that a locale merely inherits from
        CLDR's language-neutral root (such as the month `M03`) count as missing.

    Raises:
        UserError: unknown language or kind; nothing left.
    """
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown:
        raise UserError(f"Corpus 'cldr' has no kind {unknown[0]!r}; it has {', '.join(KINDS)}.")
    locales = cldr_locales()
    chosen = [code for code in check_languages(languages, locales, "cldr") if code != "en"]
    texts: dict[str, dict[str, str]] = {code: {} for code in ["en", *chosen]}
    extra: dict[str, dict[str, str]] = {}
    for kind in kinds:
        english, root = _cldr_names("en", kind), _cldr_names("root", kind)
        for key, name in english.items():
            texts["en"][f"{kind}/{key}"] = name
            extra[f"{kind}/{key}"] = {"kind": kind}
        for code in chosen:
            for key, name in _cldr_names(locales[code], kind).items():
                if name != root.get(key) and (copies or name != english.get(key)):
                    texts[code][f"{kind}/{key}"] = name
    return parallel_table(
        texts, ["en", *chosen], corpus="cldr", complete=complete, distinct=distinct, extra=extra, sort=False
    )


def number_languages() -> dict[str, str]:
    """`{code: rule-set id}` of the languages whose numbers can be spelled out."""
    from unicode_rbnf import RbnfEngine

    return {bcp47(name): name for name in RbnfEngine.get_supported_languages()}


def numbers(
    languages: Sequence[str],
    *,
    values: Sequence[int] = range(1000),
    ruleset: str | None = None,
    complete: bool = True,
    distinct: bool = False,
) -> Dataset:
    """Numbers spelled out by the rules of CLDR ("one hundred twenty-three").

    Args:
        languages: Codes besides English.
        values: Which numbers.
        ruleset: A rule set of the library (`spellout-cardinal-feminine`); None takes each language's plain
            numbering.
        complete: Keep only the numbers that all the languages spell out (languages without a rule give digits,
            which count as missing).
        distinct: Drop numbers whose words in any column repeat those of an earlier row.

    Returns:
        Columns `key` (the number as text), `value` (the number), `en` and one per language.

    Raises:
        UserError: unknown language or rule set; nothing left.
    """
    from unicode_rbnf import RbnfEngine

    known = number_languages()
    chosen = [code for code in check_languages(languages, known, "numbers") if code != "en"]
    texts: dict[str, dict[str, str]] = {}
    for code in ["en", *chosen]:
        engine = RbnfEngine.for_language(known[code])
        column = texts[code] = {}
        for value in values:
            spelled = engine.format_number(value)
            text = spelled.text if ruleset is None else spelled.text_by_ruleset.get(ruleset, "")
            if not any(character.isdigit() for character in text):
                column[str(value)] = clean(text)
    extra = {str(value): {"value": value} for value in values}
    return parallel_table(
        texts,
        ["en", *chosen],
        corpus="numbers",
        complete=complete,
        distinct=distinct,
        extra=extra,
        sort=False,
    )


def emoji_languages() -> list[str]:
    """Codes of the languages that name emoji."""
    import emoji

    return list(emoji.LANGUAGES)


def emoji(
    languages: Sequence[str], *, variants: bool = False, complete: bool = True, distinct: bool = False
) -> Dataset:
    """Names of emoji (CLDR short names).

    Args:
        languages: Codes besides English.
        variants: Keep the skin-tone variants, whose names differ by the tone alone.
        complete: Keep only the emoji that all the languages name.
        distinct: Drop emoji whose name in any column repeats that of an earlier row.

    Returns:
        Columns `key` (the emoji itself), `en` and one per language.

    Raises:
        UserError: unknown language; nothing left.
    """
    import emoji as library

    chosen = [code for code in check_languages(languages, emoji_languages(), "emoji") if code != "en"]
    library.config.load_language(chosen)
    texts: dict[str, dict[str, str]] = {code: {} for code in ["en", *chosen]}
    for character, record in library.EMOJI_DATA.items():
        toned = any("\U0001f3fb" <= part <= "\U0001f3ff" for part in character)
        if record["status"] != library.STATUS["fully_qualified"] or (toned and not variants):
            continue
        for code, column in texts.items():
            if name := record.get(code):
                column[character] = clean(name.strip(":").replace("_", " "))
    return parallel_table(texts, ["en", *chosen], corpus="emoji", complete=complete, distinct=distinct)
