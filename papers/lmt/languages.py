"""The 60 languages of LMT: tiers, the names that its prompts use, and who is whose auxiliary.

`languages.tsv` holds facts of the paper (Sections 3 and B, Table 12) and of the authors' `src/utils.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import langcodes

from core.corpora.files import table_rows
from core.errors import UserError
from core.text.languages import match

PIVOTS = ("en", "zh")
_ROWS = [row for _, row in table_rows(Path(__file__).with_name("languages.tsv"))]
# Names as the released prompts spell them; some are ISO 639-2 names that nobody uses in running text.
LANGUAGE_NAMES = {row["code"]: row["name"] for row in sorted(_ROWS, key=lambda row: row["code"])}
# Tier = share of the language in CulturaX: above 1 %, 0.1 to 1 %, below 0.1 % (Section 3).
TIERS = {tier: tuple(row["code"] for row in _ROWS if row["tier"] == tier) for tier in ("high", "medium", "low")}
LANGUAGES = tuple(code for tier in TIERS.values() for code in tier)
# Table 12: the auxiliary language of En <-> X. Zh <-> X always takes English; a language that is absent has none.
AUXILIARY = {row["code"]: row["auxiliary"] for row in _ROWS if row["auxiliary"]}


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
