"""Which languages are relatives: some twenty families."""

from __future__ import annotations

from types import MappingProxyType

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
