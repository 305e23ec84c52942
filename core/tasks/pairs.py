"""Sentences and their translations, to be retrieved: Tatoeba (SR-T), the Bible (SR-B), one's own lines.

    for language, rows in read("tatoeba"): ...           # 98 languages, rows with `en` and `native`
    for language, rows in read("lines.tsv"): ...

Own lines are a .tsv or .jsonl with the columns `en`, `native` and, where there are any, `romanised` (as people type
them); or with a column per language code; or a folder of aligned <language>.txt:

    en              native          romanised
    Good morning.   Доброе утро.    Dobroe utro.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from core import corpora
from core.errors import UserError

# The 98 languages of the SR-T list of Glot500, TransliCo, LangSAMP and TransMI (ISO 639-3, as the dataset calls them);
# the dataset has 112.
TATOEBA_LANGUAGES = (
    "mal aze ben tel fra spa nob rus deu tur mar por nld ara ita ind ell bul swe ces isl pol ron dan hun srp ceb heb "
    "hrv glg fin slv vie mkd slk est eus lit kaz bos epo cat tha ukr tgl gle hin kor urd sqi bel afr nno tat ast mon "
    "arz tam uzb amh war fao hye oci xho cym lat kat fry nds zsm bre tuk khm jpn yue gsw lvs kur ido uig pam pms wuu "
    "yid ina kab gla cbk hsb mhr swh cmn pes dtp lfn ile csb"
)
# Given out on request alone; nothing can be fetched by program.
_BIBLE = (
    "ask for Glot500's evaluation data (github.com/cisnlp/Glot500), put its verses into a folder of aligned "
    "<language>.txt files with en.txt among them, and give the folder"
)


def read(corpus: str, languages: Sequence[str] = ()) -> Iterator[tuple[str, list[dict[str, str]]]]:
    """Rows with `en`, `native` and perhaps `romanised`, language by language.

    Args:
        corpus: `tatoeba`, or own lines.
        languages: As the corpus spells them; all it has by default.

    Raises:
        UserError: As :func:`own_lines`; no hub; or the Bible, which has to be asked for by hand.
    """
    if corpus == "bible":
        raise UserError(f"Corpus 'bible' cannot be fetched by program: {_BIBLE}.")
    if corpus != "tatoeba":
        yield from own_lines(Path(corpus), languages)
        return
    for language in languages or TATOEBA_LANGUAGES.split():
        rows = corpora.load("tatoeba", languages=[language])
        yield language, [{"en": row["en"], "native": row["text"]} for row in rows]


def own_lines(path: Path, languages: Sequence[str] = ()) -> Iterator[tuple[str, list[dict[str, str]]]]:
    """The user's own lines: one language with `native` (and `romanised`), or one column per language code.

    Raises:
        UserError: No such file, unequal columns, no English.
    """
    header = _header(path)
    if "native" in header:
        if "en" not in header:
            raise UserError(f"{path} has no column 'en': the English lines are the queries.")
        names = [name for name in ("en", "native", "romanised") if name in header]
        table = corpora.read_parallel(path, names)
        yield path.stem, [{name: row[name] for name in names} for row in table]
        return
    table = corpora.read_parallel(path, ["en", *languages] if languages else None)
    codes = [name for name in table.column_names if name not in ("key", "en")]
    if "en" not in table.column_names or not codes:
        raise UserError(f"{path} needs a column 'en' and one for a language (or 'native'); it has {', '.join(header)}.")
    for code in codes:
        yield code, [{"en": row["en"], "native": row[code]} for row in table]


def _header(path: Path) -> list[str]:
    """Column names of a TSV or JSON lines file; nothing for a folder."""
    if not path.is_file():
        return []
    if path.suffix in corpora.TABLES:
        return corpora.columns(path)
    return corpora.read_jsonl(path).column_names
