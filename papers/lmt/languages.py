"""The 60 languages of LMT: tiers, the names that its prompts use, and who is whose auxiliary.

Facts of the paper (Sections 3 and B, Table 12) and of the authors' `src/utils.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

import langcodes

from core.errors import UserError
from core.text.languages import match

PIVOTS = ("en", "zh")

# Tier = share of the language in CulturaX: above 1 %, 0.1 to 1 %, below 0.1 % (Section 3).
TIERS: dict[str, tuple[str, ...]] = {
    tier: tuple(codes.split())
    for tier, codes in {
        "high": "ar en es de fr it ja nl pl pt ru tr zh",
        "medium": "bg bn cs da el fa fi hi hu id ko nb ro sk sv th uk vi",
        "low": "am az bo he hr hy is jv ka kk km ky lo mvf mr ms my ne ps si sw ta te tg tl ug ur uz yue",
    }.items()
}
LANGUAGES: tuple[str, ...] = tuple(code for tier in TIERS.values() for code in tier)

# Names as the released prompts spell them; some are ISO 639-2 names that nobody uses in running text.
_NAMES = (
    "af Afrikaans, am Amharic, an Aragonese, ar Arabic, as Assamese, av Avaric, az Azerbaijani, be Belarusian, "
    "bg Bulgarian, bn Bengali, bo Tibetan, br Breton, bs Bosnian, ca Catalan, cs Czech, cy Welsh, da Danish, "
    "de German, dz Dzongkha, el Modern Greek, en English, eo Esperanto, es Spanish, et Estonian, eu Basque, "
    "fa Persian, fi Finnish, fr French, fy Western Frisian, ga Irish, gd Gaelic, gl Galician, gu Gujarati, "
    "ha Hausa, he Modern Hebrew, hi Hindi, hr Croatian, hu Hungarian, hy Armenian, id Indonesian, ig Igbo, "
    "is Icelandic, it Italian, ja Japanese, jv Javanese, ka Georgian, kk Kazakh, km Central Khmer, kn Kannada, "
    "ko Korean, ku Kurdish, ky Kirghiz, li Limburgish, lo Lao, lt Lithuanian, lv Latvian, mg Malagasy, "
    "mk Macedonian, ml Malayalam, mn Khalkha Mongolian, mr Marathi, ms Malay, mt Maltese, mvf Inner Mongolian, "
    "my Burmese, nb Norwegian Bokmål, ne Nepali, nl Dutch, nn Norwegian Nynorsk, oc Occitan, or Oriya, "
    "pa Panjabi, pl Polish, ps Pashto, pt Portuguese, ro Romanian, ru Russian, rw Kinyarwanda, "
    "se Northern Sami, sh Serbo-Croatian, si Sinhala, sk Slovak, sl Slovene, sq Albanian, sr Serbian, "
    "sv Swedish, sw Swahili, ta Tamil, te Telugu, tg Tajik, th Thai, tk Turkmen, tl Tagalog, tr Turkish, "
    "tt Tatar, ug Uighur, uk Ukrainian, ur Urdu, uz Uzbek, vi Vietnamese, wa Walloon, xh Xhosa, yi Yiddish, "
    "yo Yoruba, yue Yue Chinese, zh Chinese, zu Zulu"
)
LANGUAGE_NAMES: dict[str, str] = dict(entry.split(" ", 1) for entry in _NAMES.split(", "))

# Table 12: the auxiliary language of En <-> X. Zh <-> X always takes English; a language that is absent has none.
_AUXILIARIES = (
    "es>pt de>nl fr>it it>fr nl>de pl>cs bg>ru cs>pl da>nb fa>ar fi>hu hi>bn hu>fi id>nl nb>da ro>it sk>cs sv>nb "
    "uk>ru vi>fr az>tr hr>cs is>da jv>id kk>ru ky>ru lo>th mr>hi ms>id ne>hi ps>fa tg>ru tl>id ug>fa ur>fa uz>fr"
)
AUXILIARY: dict[str, str] = dict(pair.split(">") for pair in _AUXILIARIES.split())


def language_name(code: str) -> str:
    """The name of a language in the prompts: the released table's, under any code (`iw`, `fil`), then CLDR's.

    Raises:
        UserError: If the code is no language tag.
    """
    if code in LANGUAGE_NAMES:
        return LANGUAGE_NAMES[code]
    if not langcodes.tag_is_valid(code):
        raise UserError(f"{code!r} is not a language code: use BCP 47 codes such as en, zh, yue or sr-Latn.")
    known = match(code, LANGUAGE_NAMES)
    return LANGUAGE_NAMES[known] if known else langcodes.Language.get(code).display_name("en")


def tier(code: str) -> str:
    """`high`, `medium` or `low`; a language outside the 60 counts as `low`."""
    return next((name for name, codes in TIERS.items() if code in codes), "low")


def auxiliary_for(
    source: str, target: str, pivots: Sequence[str] = PIVOTS, auxiliaries: Mapping[str, str] = AUXILIARY
) -> str | None:
    """The auxiliary language of a direction: Table 12 for pairs with the first pivot, the first pivot for all others.

    Returns:
        None when the table has no entry (the direction is then trained with standard prompts only).
    """
    first = pivots[0]
    if first not in (source, target):
        return first
    code = target if source == first else source
    found = auxiliaries.get(code) or auxiliaries.get(_in_table(code) or code)
    return found if found not in (source, target) else None


@cache
def _in_table(code: str) -> str | None:
    return match(code, AUXILIARY)  # `fil` is Table 12's `tl`
