"""The 60 languages of LMT: tiers, the names that its prompts use, and who is whose auxiliary.

    language_name("ky")                 # Kirghiz: the released checkpoints know it under this name
    AUXILIARY["ky"]                     # ru (Table 12)
    suggest_auxiliary("ca", ["es", "de", "ja"])   # es: for a language outside Table 12, by family and distance

Facts of the paper (Sections 3 and B, Table 12) and of the authors' `src/utils.py`.
"""

from __future__ import annotations

from collections.abc import Iterable

from core.errors import UserError

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

FAMILIES: dict[str, frozenset[str]] = {
    name: frozenset(codes.split())
    for name, codes in {
        "romance": "an ca es fr gl it oc pt ro wa",
        "west germanic": "af de fy li lb nl yi",
        "north germanic": "da is nb nn sv",
        "west slavic": "cs pl sk",
        "east slavic": "be ru uk",
        "south slavic": "bg bs hr mk sh sl sr",
        "baltic": "lt lv",
        "uralic": "et fi hu se",
        "celtic": "br cy ga gd",
        "indo-aryan": "as bn gu hi mr ne or pa si ur",
        "iranian": "fa ku ps tg",
        "turkic": "az kk ky tk tr tt ug uz",
        "semitic": "am ar he mt",
        "bantu": "rw sw xh zu",
        "dravidian": "kn ml ta te",
        "austronesian": "id jv mg ms tl",
        "tai": "lo th",
        "austroasiatic": "km vi",
        "sinitic": "yue zh",
        "tibeto-burman": "bo dz my",
        "mongolic": "mn mvf",
    }.items()
}


def language_name(code: str) -> str:
    """The English name of a language in the prompts: the released table first, CLDR's name for all others.

    Raises:
        UserError: If the code is no language tag, or CLDR has no name for it.
    """
    if code in LANGUAGE_NAMES:
        return LANGUAGE_NAMES[code]
    import langcodes

    if not langcodes.tag_is_valid(code):
        raise UserError(f"{code!r} is not a language code: use BCP 47 codes such as en, zh, yue or sr-Latn.")
    return langcodes.Language.get(code).display_name("en")


def tier(code: str) -> str:
    """`high`, `medium` or `low`; a language outside the 60 counts as `low`."""
    return next((name for name, codes in TIERS.items() if code in codes), "low")


def suggest_auxiliary(language: str, candidates: Iterable[str]) -> str | None:
    """The candidate that could help to translate `language`, for languages without an entry in Table 12.

    Relatives first (`FAMILIES`), then languages that CLDR puts near for reasons of contact (Kazakh and Russian); among
    equals those of the same script, then the better-resourced, then the nearer. Pivots never serve as auxiliaries.

    Args:
        language: BCP 47 code.
        candidates: Codes of the languages that the corpus has.

    Returns:
        A code, or None when no candidate is near.
    """
    import langcodes

    def family(code: str) -> str | None:
        return next((name for name, codes in FAMILIES.items() if code.split("-")[0] in codes), None)

    def script(code: str) -> str | None:
        return langcodes.Language.get(code).maximize().script

    def related(code: str) -> bool:
        return family(code) is not None and family(code) == family(language)

    def rank(code: str) -> tuple[bool, bool, int, int]:
        order = tuple(TIERS).index(tier(code))
        return not related(code), script(code) != script(language), order, langcodes.tag_distance(language, code)

    unrelated = 80  # what CLDR's matching data charge for "another language"; scripts and regions add to it
    options = [code for code in candidates if code != language and code not in PIVOTS]
    near = [code for code in options if related(code) or langcodes.tag_distance(language, code) < unrelated]
    return min(near, key=rank, default=None)
