"""Which languages are relatives: some twenty families, and the language of a set that is nearest to another.

family("ca")                           # "romance"
nearest("ca", ["ja", "de", "es"])      # "es"
"""

from __future__ import annotations

from collections.abc import Collection
from types import MappingProxyType

import langcodes

from core.text.languages import language, match

FAMILIES = MappingProxyType(
    {
        name: frozenset(codes.split())
        for name, codes in {
            "romance": "an ca es fr gl it oc pt ro wa",
            "west germanic": "af de en fy lb li nl yi",
            "north germanic": "da fo is nb nn no sv",
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
            "austronesian": "fil id jv mg ms tl",
            "tai": "lo th",
            "austroasiatic": "km vi",
            "sinitic": "yue zh",
            "tibeto-burman": "bo dz my",
            "mongolic": "mn mvf",
        }.items()
    }
)
# What CLDR's matching data charge for "another language"; scripts and regions add to it.
_UNRELATED = 80


def family(code: str) -> str | None:
    """The family of a language, any script or region of it; None for one that the table lacks."""
    return next((name for name, codes in FAMILIES.items() if match(code, codes)), None)


def nearest(code: str, candidates: Collection[str], order: Collection[str] = ()) -> str | None:
    """The candidate that is nearest to a language.

    Relatives first, then languages that CLDR puts near for reasons of contact (Kazakh and Russian); among equals those
    of the same script, then those that stand first in `order`, then the nearer.

    Args:
        code: BCP 47 or FLORES-200 code.
        candidates: Codes to choose from; the language itself is left out.
        order: Preferred candidates, the best first.

    Returns:
        A candidate, or None when none is near.

    Raises:
        UserError: Not the code of a known language.
    """
    own, script, preferred = family(code), language(code).script, list(order)

    def related(other: str) -> bool:
        return own is not None and family(other) == own

    def rank(other: str) -> tuple[bool, bool, int, int]:
        place = preferred.index(other) if other in preferred else len(preferred)
        return not related(other), language(other).script != script, place, langcodes.tag_distance(code, other)

    others = [other for other in candidates if match(other, [code]) is None]
    near = [other for other in others if related(other) or langcodes.tag_distance(code, other) < _UNRELATED]
    return min(near, key=rank, default=None)
