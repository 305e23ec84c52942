"""The one shape of a parallel corpus: a column `key`, then one column of text per language code.

    key     en                    fr                            id
    a1      Enter a valid value.  Saisissez une valeur valide.  Masukkan nilai yang valid.

The column that identifies a row is not called `id`, which is the code of Indonesian. Loaders of this package
collect `{language: {key: text}}` and hand it to :func:`parallel_table`, which aligns, filters and orders the rows
in one place.
"""

from __future__ import annotations

import difflib
import hashlib
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import regex

from core.errors import UserError

if TYPE_CHECKING:
    from datasets import Dataset

_SPACE = regex.compile(r"\s+")
# Format characters that do not show: direction marks and isolates, zero-width space, soft hyphen, byte-order mark.
# Those that are spelling stay: joiners of Persian and the Indic scripts, marks of Mongolian, tags of flag emoji.
_INVISIBLE = regex.compile(
    r"(?V1)[\p{Cf}&&\p{Default_Ignorable_Code_Point}--\p{Join_Control}--\p{Emoji_Component}--\p{Script=Mongolian}]"
)
# Columns that are no language: the key, the value of a number, what kind of name or message a row is.
_OF_ROWS = ("key", "value", "kind")
# Modifiers of gettext's locales that are scripts.
_MODIFIERS = {"latin": "Latn", "cyrillic": "Cyrl", "devanagari": "Deva", "iqtelif": "Latn"}


def clean(text: str) -> str:
    """`text` without invisible formatting characters and with every run of white space as one space."""
    return _SPACE.sub(" ", _INVISIBLE.sub("", text)).strip()


def short_hash(key: str) -> str:
    """Ten hex digits that depend on `key` alone: a key that survives new versions of the source."""
    return hashlib.blake2b(key.encode(), digest_size=5).hexdigest()


def bcp47(code: str) -> str:
    """`zh_Hans` -> `zh-Hans`, `sr@latin` -> `sr-Latn`: the spelling of language codes in column names."""
    code, _, modifier = code.replace("_", "-").partition("@")
    return f"{code}-{_MODIFIERS.get(modifier, modifier)}" if modifier else code


def codes(columns: Iterable[str]) -> list[str]:
    """The languages among the columns of a parallel corpus: all but the key and what a corpus says of its rows."""
    return [name for name in columns if name not in _OF_ROWS]


def check_languages(requested: Sequence[str], known: Iterable[str], corpus: str) -> list[str]:
    """The requested codes in canonical spelling, without repetition.

    Raises:
        UserError: a code that the corpus does not have, with the closest ones.
    """
    if isinstance(requested, str):
        raise UserError(f"languages must be a list of codes, not the string {requested!r}: write [{requested!r}].")
    from core.text.languages import relatives

    known = sorted(known)
    folded = {code.lower(): code for code in known}
    codes = []
    for code in map(bcp47, requested):
        if code.lower() not in folded:
            close = difflib.get_close_matches(code.lower(), folded, n=3, cutoff=0.5)
            same = relatives(code, known)
            options = same or [folded[other] for other in close] or known
            raise UserError(
                f"Corpus {corpus!r} has no language {code!r}; "
                f"it has {'' if same else 'for example '}{', '.join(options[:8])}."
            )
        codes.append(folded[code.lower()])
    return list(dict.fromkeys(codes))


def parallel_table(
    texts: Mapping[str, Mapping[str, str]],
    languages: Sequence[str],
    *,
    corpus: str,
    complete: bool = True,
    distinct: bool = False,
    extra: Mapping[str, Mapping[str, Any]] | None = None,
    sort: bool = True,
) -> Dataset:
    """Align the texts of several languages by key.

    Args:
        texts: `{language: {key: text}}`; empty texts count as missing.
        languages: Columns, in this order.
        corpus: Name for error messages.
        complete: Keep only the keys that every language has; otherwise the keys of the first language, with None
            where another has none.
        distinct: Drop a row when any of its texts stands in an earlier row. Retrieval needs this: of two equal
            sentences neither can be found strictly before the other.
        extra: `{key: {column: value}}`, further columns.
        sort: Order the rows by key; otherwise as in the first language.

    Raises:
        UserError: nothing is left.
    """
    keys = [key for key, text in texts[languages[0]].items() if text]
    if sort:
        keys.sort()
    rows: list[dict[str, Any]] = []
    seen: dict[str, set[str]] = {language: set() for language in languages}
    for key in keys:
        row = {language: texts[language].get(key) or None for language in languages}
        if complete and None in row.values():
            continue
        if distinct:
            forms = {language: unicodedata.normalize("NFC", text) for language, text in row.items() if text}
            if any(text in seen[language] for language, text in forms.items()):
                continue
            for language, text in forms.items():
                seen[language].add(text)
        rows.append({"key": key, **(extra[key] if extra else {}), **row})
    if not rows:
        fewest = min(languages, key=lambda language: len(texts[language]))
        fix = f"or leave out {fewest!r}, which has the fewest texts" if keys else "which no text passes"
        raise UserError(
            f"Corpus {corpus!r} is empty after filtering for {', '.join(languages)}: loosen the filters, {fix}."
        )
    return to_dataset(rows)


def to_dataset(rows: Sequence[Mapping[str, Any]], name: str = "The table") -> Dataset:
    """Rows with the same keys -> `datasets.Dataset` in memory; columns in the order of the first row.

    Raises:
        UserError: A column whose values are of several kinds; messages call the whole `name`.
    """
    import pyarrow as pa
    from datasets import Dataset

    columns: dict[str, Any] = {}
    for column in rows[0]:
        values = [row[column] for row in rows]
        # Arrow would infer the null type, which cannot be concatenated.
        kind = pa.string() if all(value is None for value in values) else None
        try:
            columns[column] = pa.array(values, kind)
        except (pa.ArrowException, OverflowError, TypeError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise UserError(f"{name}: the values of {column!r} are not of one kind ({reason}); make them so.") from None
    return Dataset(pa.table(columns))
