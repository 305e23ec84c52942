"""Language codes, names, scripts and how much text a language has.

    language("zh-Hant").name            # 'Chinese (Traditional)'
    language("swh_Latn").bcp47          # 'sw'
    flores_code("sw")                   # 'swh_Latn'
    match("fa", ["pes", "prs", "ara"])  # 'pes'
    same_language("zh", "cmn_Hans")     # True

Codes come in two spellings: BCP-47 (`sw`, `zh-Hant`, `sr-Latn`), which corpora use as column names, and that of
FLORES-200 (`swh_Latn`: ISO 639-3 of the individual language, then the script). Everything here takes both.

Codes are compared by what they mean. One language may be spelled in several ways (`sw`, `swa`; `iw`, `he`); a
macrolanguage stands for the individual language that CLDR holds for its standard (`zh` for `cmn`, `fa` for `pes`) and
for no other (`prs` is Dari, `yue` is Cantonese); a code without a script means the likely one.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Literal, NamedTuple

import langcodes
from langcodes import data_dicts as cldr

from core.errors import UserError

Resource = Literal["high", "medium", "low"]

FLORES_200 = (
    "ace_Arab", "ace_Latn", "acm_Arab", "acq_Arab", "aeb_Arab", "afr_Latn", "ajp_Arab", "aka_Latn", "als_Latn",
    "amh_Ethi", "apc_Arab", "arb_Arab", "arb_Latn", "ars_Arab", "ary_Arab", "arz_Arab", "asm_Beng", "ast_Latn",
    "awa_Deva", "ayr_Latn", "azb_Arab", "azj_Latn", "bak_Cyrl", "bam_Latn", "ban_Latn", "bel_Cyrl", "bem_Latn",
    "ben_Beng", "bho_Deva", "bjn_Arab", "bjn_Latn", "bod_Tibt", "bos_Latn", "bug_Latn", "bul_Cyrl", "cat_Latn",
    "ceb_Latn", "ces_Latn", "cjk_Latn", "ckb_Arab", "crh_Latn", "cym_Latn", "dan_Latn", "deu_Latn", "dik_Latn",
    "dyu_Latn", "dzo_Tibt", "ell_Grek", "eng_Latn", "epo_Latn", "est_Latn", "eus_Latn", "ewe_Latn", "fao_Latn",
    "fij_Latn", "fin_Latn", "fon_Latn", "fra_Latn", "fur_Latn", "fuv_Latn", "gaz_Latn", "gla_Latn", "gle_Latn",
    "glg_Latn", "grn_Latn", "guj_Gujr", "hat_Latn", "hau_Latn", "heb_Hebr", "hin_Deva", "hne_Deva", "hrv_Latn",
    "hun_Latn", "hye_Armn", "ibo_Latn", "ilo_Latn", "ind_Latn", "isl_Latn", "ita_Latn", "jav_Latn", "jpn_Jpan",
    "kab_Latn", "kac_Latn", "kam_Latn", "kan_Knda", "kas_Arab", "kas_Deva", "kat_Geor", "kaz_Cyrl", "kbp_Latn",
    "kea_Latn", "khk_Cyrl", "khm_Khmr", "kik_Latn", "kin_Latn", "kir_Cyrl", "kmb_Latn", "kmr_Latn", "knc_Arab",
    "knc_Latn", "kon_Latn", "kor_Hang", "lao_Laoo", "lij_Latn", "lim_Latn", "lin_Latn", "lit_Latn", "lmo_Latn",
    "ltg_Latn", "ltz_Latn", "lua_Latn", "lug_Latn", "luo_Latn", "lus_Latn", "lvs_Latn", "mag_Deva", "mai_Deva",
    "mal_Mlym", "mar_Deva", "min_Arab", "min_Latn", "mkd_Cyrl", "mlt_Latn", "mni_Beng", "mos_Latn", "mri_Latn",
    "mya_Mymr", "nld_Latn", "nno_Latn", "nob_Latn", "npi_Deva", "nso_Latn", "nus_Latn", "nya_Latn", "oci_Latn",
    "ory_Orya", "pag_Latn", "pan_Guru", "pap_Latn", "pbt_Arab", "pes_Arab", "plt_Latn", "pol_Latn", "por_Latn",
    "prs_Arab", "quy_Latn", "ron_Latn", "run_Latn", "rus_Cyrl", "sag_Latn", "san_Deva", "sat_Olck", "scn_Latn",
    "shn_Mymr", "sin_Sinh", "slk_Latn", "slv_Latn", "smo_Latn", "sna_Latn", "snd_Arab", "som_Latn", "sot_Latn",
    "spa_Latn", "srd_Latn", "srp_Cyrl", "ssw_Latn", "sun_Latn", "swe_Latn", "swh_Latn", "szl_Latn", "tam_Taml",
    "taq_Latn", "taq_Tfng", "tat_Cyrl", "tel_Telu", "tgk_Cyrl", "tgl_Latn", "tha_Thai", "tir_Ethi", "tpi_Latn",
    "tsn_Latn", "tso_Latn", "tuk_Latn", "tum_Latn", "tur_Latn", "twi_Latn", "tzm_Tfng", "uig_Arab", "ukr_Cyrl",
    "umb_Latn", "urd_Arab", "uzn_Latn", "vec_Latn", "vie_Latn", "war_Latn", "wol_Latn", "xho_Latn", "ydd_Hebr",
    "yor_Latn", "yue_Hant", "zho_Hans", "zho_Hant", "zsm_Latn", "zul_Latn",
)  # fmt: skip
"""The languages of FLORES-200 (NLLB Team 2022, table 1), as its files are named."""

# Withdrawn two-letter codes, and the two-letter code of every three-letter one of the same language. CLDR's aliases go
# further and merge languages that data sets keep apart (prs into fa, tgl into fil): they are not applied in reading.
_WITHDRAWN = {old: new for old, new in cldr.LANGUAGE_REPLACEMENTS.items() if len(old) == len(new) == 2}
_SHORT = (
    {three: two for two, three in cldr.LANGUAGE_ALPHA3.items() if len(two) == 2 and two not in _WITHDRAWN}
    | {three: two for two, three in cldr.LANGUAGE_ALPHA3_BIBLIOGRAPHIC.items()}
    | _WITHDRAWN
)
# The macrolanguage that stands for a language. CLDR says so of one member of most (of two of Akan, hence of none);
# FLORES-200 took other members of Pashto, Quechua and Fulah, and Norwegian without more is Bokmål.
_CHOSEN = {"pbt": "ps", "quy": "qu", "fuv": "ff", "nb": "no"}
_STANDARDS = Counter(cldr.NORMALIZED_MACROLANGUAGES.values())
_STANDARD = {
    individual: macro
    for individual, macro in cldr.NORMALIZED_MACROLANGUAGES.items()
    if len(individual) == 3 and _STANDARDS[macro] == 1 and macro not in _CHOSEN.values()
}
_MACRO = _STANDARD | _CHOSEN
# A region that makes another language of a macrolanguage: fa-AF is Dari.
_REGIONAL = {
    regional: individual
    for individual, regional in cldr.LANGUAGE_REPLACEMENTS.items()
    if regional.split("-")[0] == cldr.MACROLANGUAGES.get(individual) != regional
}


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


class _Subtags(NamedTuple):
    """A code taken apart: the language in its shortest spelling, and what was said besides."""

    language: str
    script: str | None
    territory: str | None
    variants: tuple[str, ...]


@cache
def _subtags(code: str) -> _Subtags | None:
    """None for what is not the code of a known language."""
    for normalize in (False, True):  # the second time for tags with more than one language, such as zh-yue
        try:
            tag = langcodes.get(code.replace("_", "-"), normalize=normalize)
        except langcodes.LanguageTagError:
            return None
        language = _SHORT.get(tag.language or "und", tag.language or "und")
        plain = langcodes.Language.make(language, script=tag.script, territory=tag.territory)
        if tag.extlangs is None and (plain.is_valid() or _iso_name(language)) and language not in ("und", "mul"):
            territory = tag.territory
            if dialect := _REGIONAL.get(f"{language}-{territory}"):
                language, territory = dialect, None
            return _Subtags(language, tag.script, territory, tuple(tag.variants or ()))
    return None


def _iso_name(language: str) -> str | None:
    """Name of an ISO 639-3 code, also of one that is younger than langcodes' list."""
    import pycountry

    known = pycountry.languages.get(alpha_3=language) if len(language) == 3 else None
    return known.name if known else None


@cache
def _usual_script(language: str, territory: str | None = None) -> str:
    """CLDR's likely script of a language, of its macrolanguage where it has none, else that of the root."""
    from babel.core import get_global

    likely = get_global("likely_subtags")
    alias = cldr.LANGUAGE_REPLACEMENTS.get(language, "")
    if script := langcodes.get(alias or "und").script:
        return script
    macro = cldr.MACROLANGUAGES.get(language, "")
    known = (likely.get(key) for key in (f"{language}_{territory}", language, alias.replace("-", "_"), macro, "und"))
    return next(entry.split("_")[1] for entry in known if entry)


@cache
def language(code: str) -> Language:
    """Look a language up.

    Args:
        code: BCP-47 or FLORES-200 code.

    Raises:
        UserError: not the code of a known language.
    """
    tag = _subtags(code)
    if tag is None:
        close = difflib.get_close_matches(code.lower(), _common_codes(), n=3, cutoff=0.5)
        hint = f" (close: {', '.join(close)})" if close else ""
        raise UserError(
            f"Unknown language code {code!r}{hint}: use BCP-47 such as 'sw' or FLORES-200 such as 'swh_Latn'."
        )
    macro = _STANDARD.get(tag.language, tag.language)
    base = macro if len(macro) < len(tag.language) else tag.language
    usual = _usual_script(base)
    # FLORES writes kor_Hang for everyday Korean.
    script = {"Hang": "Kore"}.get(tag.script or "", tag.script) or _usual_script(base, tag.territory)
    shown = langcodes.Language.make(language=base, script=None if script == usual else script, territory=tag.territory)
    named = shown if script == usual else langcodes.Language.make(base, script=script)
    unnamed = f"Unknown language [{base}]"
    return Language(
        code=code,
        bcp47=shown.to_tag(),
        name=named.display_name().replace(unnamed, _iso_name(base) or unnamed),
        script=script,
        alpha3=langcodes.Language.make(tag.language).to_alpha3(),
        resource=resource_level(base),
    )


def name(code: str, speaker: str = "en") -> str:
    """What a language is called in English, or in the speaker's language; a label of the user's is its own name."""
    if _subtags(code) is None:
        return code
    found = language(code)
    return found.name if same_language(speaker, "en") else langcodes.get(found.bcp47).display_name(speaker)


def autonym(code: str) -> str:
    """What a language is called in itself: `Kiswahili`, `فارسی`; its English name where CLDR does not say.

    Raises:
        UserError: An unknown code.
    """
    return langcodes.get(language(code).bcp47).autonym()


def script(code: str) -> str:
    """ISO 15924 code of the script that a language is written in."""
    return language(code).script


@cache
def _meanings(code: str) -> tuple[str, str, str]:
    """What a code stands for, ever wider: the language itself, its macrolanguage, what CLDR replaces that by."""
    tag = _subtags(code)
    own = tag.language if tag else code
    macro = _MACRO.get(own, own)
    return own, macro, cldr.LANGUAGE_REPLACEMENTS.get(macro, macro)


def match(code: str, names: Iterable[str]) -> str | None:
    """The name that a data set has for a language, of all the names that it has.

    Args:
        code: BCP-47 or FLORES-200 code, or a name as the data set spells it.
        names: The data set's own names of its languages, in any spelling.

    Returns:
        One of the names; None where none means the language (in the script that the code states), several do, or
        the code is neither one of them nor known.
    """
    names = list(names)
    folded = code.lower().replace("_", "-")
    if spelled := [name for name in names if name.lower().replace("_", "-") == folded]:
        return spelled[0]
    asked = _subtags(code)
    if asked is None:
        return None
    known = {name: tag for name in names if (tag := _subtags(name))}
    for level, meaning in enumerate(_meanings(code)):
        found = [name for name in known if _meanings(name)[level] == meaning]
        fitting = [name for name in found if _one_script(name, code)]
        found = fitting if fitting or asked.script or asked.territory else found
        found = [name for name in found if not known[name].variants] or found
        if found:
            return found[0] if len(found) == 1 else None
    return None


def _one_script(*codes: str) -> bool:
    scripts = {language(code).script for code in codes}
    # Hani, which some data sets and identifiers give, is both simplified and traditional.
    return len(scripts) == 1 or scripts in ({"Hani", "Hans"}, {"Hani", "Hant"})


def relatives(code: str, names: Iterable[str]) -> list[str]:
    """The names that mean the language, another script of it or a member of the same macrolanguage."""

    def root(code: str) -> str:
        _, macro, replaced = _meanings(code)
        return cldr.MACROLANGUAGES.get(macro, replaced)

    return [name for name in names if root(name) == root(code)]


def same_language(left: str, right: str) -> bool:
    """Whether two codes mean one language in one script: `zh` and `cmn_Hans`, `no` and `nb`; not `fa` and `prs`.

    A code that is not known means itself alone.
    """
    if None in (_subtags(left), _subtags(right)):
        return left == right
    return _meanings(left)[2] == _meanings(right)[2] and _one_script(left, right)


def flores_code(code: str) -> str:
    """The FLORES-200 spelling of a code: `zh-Hans` -> `zho_Hans`, `ar` -> `arb_Arab`, `eng_Latn` -> itself.

    A language that FLORES-200 lacks is spelled alike: `grc` -> `grc_Grek`.
    """
    if found := match(code, FLORES_200):
        return found
    known = language(code)
    individual = {macro: individual for individual, macro in _MACRO.items() if len(macro) == 2}
    alpha3 = langcodes.Language.make(individual.get(known.bcp47.split("-")[0], known.alpha3)).to_alpha3()
    return f"{alpha3}_{known.script.replace('Kore', 'Hang')}"


def word_list(code: str) -> str | None:
    """Name of wordfreq's word list of a language (Bosnian, Croatian and Serbian share one), None where it has none."""
    own, _, wide = _meanings(code)
    found = (name for name in word_lists("small") if _meanings(name)[2] == wide)
    return next(found, "sh" if cldr.MACROLANGUAGES.get(own) == "sh" else None)


@cache
def word_lists(size: Literal["small", "large"]) -> tuple[str, ...]:
    """Names of wordfreq's word lists."""
    from wordfreq import available_languages

    return tuple(sorted(available_languages(size)))


def resource_level(code: str) -> Resource:
    """How much text there is of a language, by what wordfreq could count.

    wordfreq (Speer 2022) builds a word list only where at least three kinds of sources exist, and a large one where
    at least five do: a large list is `high`, a small one `medium`, none `low`. This is a proxy, not a census; papers
    that define classes of their own (NLLB, Joshi et al.) carry their lists themselves.
    """
    known = word_list(code)
    return "low" if known is None else "high" if known in word_lists("large") else "medium"


@cache
def _common_codes() -> tuple[str, ...]:
    from babel.localedata import locale_identifiers

    return tuple(sorted({identifier.split("_")[0] for identifier in locale_identifiers()}))
