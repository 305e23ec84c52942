"""Benchmarks and corpora of the Hugging Face hub, at pinned revisions, brought to a few common shapes.

    corpora.load("belebele", languages=["eng_Latn", "swh_Latn"])           # needs the network the first time
    corpora.load("belebele", languages=["swh_Latn"], folder="downloads")   # reads downloads/swh_Latn.jsonl instead

Shapes: *parallel* (`key` and one column per language), *choice* (`key`, `language`, `passage`, `question`, `choices`,
`answer` as an index), *math* (`question`, `answer` as text), *label* (`text`, `label`), *pair* (`text`, `en`).

A revision is a commit of the dataset. It is pinned where at least two independent public projects name the same
commit for the same dataset; entries with `revision=None` follow the dataset's main branch, and say so.
"""

from __future__ import annotations

from ast import literal_eval as read_literal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from core.corpora.files import read_jsonl
from core.corpora.table import check_languages, parallel_table, to_dataset
from core.errors import UserError

if TYPE_CHECKING:
    from datasets import Dataset

Row = Mapping[str, Any]
Shape = Literal["parallel", "choice", "math", "label", "pair"]


@dataclass(frozen=True)
class HubSource:
    """Where a dataset lies on the hub and how its rows are read.

    Attributes:
        name: Name in the registry.
        hub_id: Dataset id.
        revision: Commit, or None when unpinned.
        description: What it is.
        licence: Licence of the data.
        shape: Which of the common shapes the rows get.
        columns: Columns that the adapter reads, as the dataset names them.
        adapt: Row of the dataset -> row of the shape, a pure function.
        config: Language code -> the dataset's name for that language.
        split: Default split.
        file: Path inside the dataset with `{config}` and `{split}`, where files are read directly; else the
            dataset's own configurations.
        header: Column names of files that have no header line.
        languages: The codes that it knows, where the list is short; empty when it is the FLORES-200 list.
        gated: Whether the terms have to be accepted on the dataset's page first.
    """

    name: str
    hub_id: str
    revision: str | None
    description: str
    licence: str
    shape: Shape
    columns: tuple[str, ...]
    adapt: Callable[[Row], dict[str, Any]]
    config: Callable[[str], str] = str
    split: str = "test"
    file: str | None = None
    header: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    gated: bool = False


def adapt_flores(row: Row) -> dict[str, Any]:
    """FLORES+: `id`, `text`."""
    return {"key": str(row["id"]), "text": row["text"]}


def adapt_belebele(row: Row) -> dict[str, Any]:
    """Belebele: four answers in columns of their own, the right one numbered from 1."""
    return {
        "key": f"{row['link']}#{row['question_number']}",
        "passage": row["flores_passage"],
        "question": row["question"],
        "choices": [row[f"mc_answer{number}"] for number in range(1, 5)],
        "answer": int(row["correct_answer_num"]) - 1,
    }


def adapt_lettered(row: Row) -> dict[str, Any]:
    """m-MMLU and m-ARC: `option_a` ... `option_e` (absent ones empty), the right one as a letter."""
    options = {letter: row.get(f"option_{letter.lower()}") for letter in "ABCDE"}
    present = [letter for letter, option in options.items() if option not in (None, "")]
    return {
        "key": str(row["id"]),
        "passage": "",
        "question": row["instruction"],
        "choices": [str(options[letter]) for letter in present],
        "answer": present.index(row["answer"].strip().upper()),
    }


def adapt_afrimmlu(row: Row) -> dict[str, Any]:
    """AfriMMLU: `choices` is a list written as text."""
    choices = row["choices"] if isinstance(row["choices"], list) else read_literal(row["choices"])
    return {
        "passage": "",
        "question": row["question"],
        "choices": [str(choice) for choice in choices],
        "answer": "ABCD".index(row["answer"].strip().upper()),
    }


def adapt_mgsm(row: Row) -> dict[str, Any]:
    """MGSM and AfriMGSM: the answer as a number, thousands unmarked."""
    number = row["answer_number"]
    text = str(number).replace(",", "")
    return {"question": row["question"], "answer": text.removesuffix(".0")}


def adapt_sib200(row: Row) -> dict[str, Any]:
    """SIB-200: topic of a FLORES sentence."""
    return {"key": str(row["index_id"]), "text": row["text"], "label": row["category"]}


def adapt_tatoeba(row: Row) -> dict[str, Any]:
    """Tatoeba: the sentence and its English translation."""
    return {"text": row["sentence1"], "en": row["sentence2"]}


def flores_plus_config(code: str) -> str:
    """FLORES+ renamed Chinese and Estonian of FLORES-200."""
    from core.text.languages import flores_code

    return {
        "zho_Hans": "cmn_Hans",
        "zho_Hant": "cmn_Hant",
        "est_Latn": "ekk_Latn",
        "aka_Latn": "twi_Latn_akua1239",
    }.get(flores_code(code), flores_code(code))


def _flores_config(code: str) -> str:
    from core.text.languages import flores_code

    return flores_code(code)


def tatoeba_config(code: str) -> str:
    """Tatoeba's pairs: ISO 639-3 of the language, then `-eng`."""
    from core.text.languages import language

    known = language(code)
    base = known.bcp47.split("-")[0]
    return f"{ {'zh': 'cmn', 'nb': 'nob', 'no': 'nob'}.get(base) or _alpha3(base) }-eng"


def _alpha3(base: str) -> str:
    import langcodes

    return {"sw": "swh", "ms": "zsm"}.get(base) or langcodes.get(base).to_alpha3()


def _iroko_config(code: str) -> str:
    from core.text.languages import language

    return _alpha3(language(code).bcp47.split("-")[0]) if not code.startswith("sw") else "swa"


_MGSM = ("bn", "de", "en", "es", "fr", "ja", "ru", "sw", "te", "th", "zh")
_OKAPI = (
    "ar", "bn", "ca", "da", "de", "en", "es", "eu", "fr", "gu", "hi", "hr", "hu", "hy", "id", "is", "it", "kn", "ml",
    "mr", "nb", "ne", "nl", "pt", "ro", "ru", "sk", "sr", "sv", "ta", "te", "uk", "vi", "zh",
)  # fmt: skip
_IROKO = (
    "amh", "eng", "ewe", "fra", "hau", "ibo", "kin", "lin", "lug", "orm", "sna", "sot", "swa", "twi", "vai", "wol",
    "xho", "yor", "zul",
)  # fmt: skip

SOURCES = (
    HubSource(
        "flores200",
        "openlanguagedata/flores_plus",
        "5fec6c13f9e5a4db2f745d4ec0d7c9721ddc4f06",
        "FLORES+, the maintained successor of FLORES-200: 997 (dev) and 1,012 (devtest) sentences in 200+ languages.",
        "CC-BY-SA-4.0",
        "parallel",
        ("id", "text"),
        adapt_flores,
        flores_plus_config,
        split="devtest",
        file="{split}/{config}.jsonl",
        gated=True,
    ),
    HubSource(
        "belebele",
        "facebook/belebele",
        "75b399394a9803252cfec289d103de462763db7c",
        "Belebele: 900 reading-comprehension questions with four answers in 122 language varieties.",
        "CC-BY-SA-4.0",
        "choice",
        (
            "link",
            "question_number",
            "flores_passage",
            "question",
            "mc_answer1",
            "mc_answer2",
            "mc_answer3",
            "mc_answer4",
            "correct_answer_num",
        ),
        adapt_belebele,
        _flores_config,
    ),
    HubSource(
        "mgsm",
        "juletxara/mgsm",
        "b2f13d426afe3be8d69a7e739b36724db8b66bbc",
        "MGSM: 250 grade-school word problems, translated by people into ten languages.",
        "CC-BY-SA-4.0",
        "math",
        ("question", "answer_number"),
        adapt_mgsm,
        # The dataset has a loading script, which datasets no longer runs; the files beside it are read instead.
        file="mgsm_{config}.tsv",
        header=("question", "answer_number"),
        languages=_MGSM,
    ),
    HubSource(
        "afrimgsm",
        "masakhane/afrimgsm",
        None,
        "AfriMGSM (IrokoBench): MGSM in 17 African languages. Unpinned: no revision could be verified.",
        "Apache-2.0",
        "math",
        ("question", "answer_number"),
        adapt_mgsm,
        _iroko_config,
        languages=_IROKO,
    ),
    HubSource(
        "afrimmlu",
        "masakhane/afrimmlu",
        "96f247619673906ae4c321a3232afc67b98ea57e",
        "AfriMMLU (IrokoBench): 500 knowledge questions with four answers in 17 African languages.",
        "Apache-2.0",
        "choice",
        ("question", "choices", "answer"),
        adapt_afrimmlu,
        _iroko_config,
        languages=_IROKO,
    ),
    HubSource(
        "sib200",
        "Davlan/sib200",
        None,
        "SIB-200: topic of 1,004 FLORES sentences in 205 language varieties. Unpinned: no revision could be verified.",
        "CC-BY-SA-4.0",
        "label",
        ("index_id", "category", "text"),
        adapt_sib200,
        _flores_config,
        file="data/{config}/{split}.tsv",
    ),
    HubSource(
        "m_mmlu",
        "alexandrainst/m_mmlu",
        None,
        "m-MMLU (Okapi): MMLU machine-translated into 34 languages. Unpinned: no revision could be verified.",
        "CC-BY-NC-4.0",
        "choice",
        ("id", "instruction", "option_a", "option_b", "option_c", "option_d", "answer"),
        adapt_lettered,
        languages=_OKAPI,
    ),
    HubSource(
        "m_arc",
        "alexandrainst/m_arc",
        None,
        "m-ARC (Okapi): ARC-Challenge machine-translated into 34 languages. Unpinned: no revision could be verified.",
        "CC-BY-NC-4.0",
        "choice",
        ("id", "instruction", "option_a", "option_b", "option_c", "answer"),
        adapt_lettered,
        languages=_OKAPI,
    ),
    HubSource(
        "tatoeba",
        "mteb/tatoeba-bitext-mining",
        "69e8f12da6e31d59addadda9a9c8a2e601a0e282",
        "Tatoeba retrieval: up to 1,000 sentences of each of 112 languages with their English translation.",
        "CC-BY-2.0-FR",
        "pair",
        ("sentence1", "sentence2"),
        adapt_tatoeba,
        tatoeba_config,
    ),
)


def load_hub(
    source: HubSource,
    languages: Sequence[str],
    *,
    split: str | None = None,
    folder: str | Path | None = None,
    revision: str | None = None,
) -> Dataset:
    """Load a dataset of the hub.

    Args:
        source: One of :data:`SOURCES`.
        languages: Codes, BCP-47 or as the dataset writes them.
        split: The dataset's split; None takes the default.
        folder: Read `<folder>/<config>.jsonl` with the dataset's own columns instead of the hub.
        revision: Another commit than the pinned one.

    Returns:
        The rows in the source's shape, languages one after the other; parallel ones aligned in columns.

    Raises:
        UserError: unknown language, missing file or column, no network, terms not accepted.
    """
    if isinstance(languages, str):
        raise UserError(f"languages must be a list of codes, not the string {languages!r}: write [{languages!r}].")
    if split not in (None, source.split) and source.file and "{split}" not in source.file and folder is None:
        raise UserError(f"Corpus {source.name!r} has the split {source.split!r} alone, not {split!r}.")
    if source.languages:
        # Both spellings are known: the dataset's own, and whatever it maps from.
        requested = [source.config(code) if source.config(code) in source.languages else code for code in languages]
        check_languages(requested, source.languages, source.name)
    rows = {code: _rows(source, source.config(code), split or source.split, folder, revision) for code in languages}
    adapted = {
        code: [{"key": str(number), **source.adapt(row)} for number, row in enumerate(found)]
        for code, found in rows.items()
    }
    if source.shape == "parallel":
        texts = {code: {row["key"]: row["text"] for row in found} for code, found in adapted.items()}
        return parallel_table(texts, list(languages), corpus=source.name, sort=False)
    return to_dataset(
        [{"key": row["key"], "language": code, **row} for code, found in adapted.items() for row in found]
    )


def _rows(
    source: HubSource, config: str, split: str, folder: str | Path | None, revision: str | None
) -> Dataset | list[dict[str, Any]]:
    if folder is not None:
        return read_jsonl(Path(folder) / f"{config}.jsonl", source.columns)
    from datasets import load_dataset

    commit = revision or source.revision
    try:
        if source.file is None:
            return load_dataset(source.hub_id, config, split=split, revision=commit)
        path = source.file.format(config=config, split=split)
        address = f"hf://datasets/{source.hub_id}{f'@{commit}' if commit else ''}/{path}"
        if path.endswith(".jsonl"):
            return load_dataset("json", data_files=address, split="train")
        options: dict[str, Any] = {"sep": "\t", "quoting": 3}
        if source.header:
            options |= {"names": list(source.header), "header": None}
        return load_dataset("csv", data_files=address, split="train", **options)
    except Exception as error:
        raise UserError(_why(source, config, split, error)) from error


def _why(source: HubSource, config: str, split: str, error: Exception) -> str:
    """One sentence on why a dataset could not be had, and what to do."""
    page = f"https://huggingface.co/datasets/{source.hub_id}"
    if source.gated:
        fix = f"accept its terms at {page} and run `hf auth login`"
    else:
        fix = "connect to the network (and unset HF_HUB_OFFLINE)"
    reason = type(error).__name__
    return (
        f"Corpus {source.name!r}, {config} {split}, cannot be loaded from {source.hub_id} ({reason}): {fix}, or give "
        f"folder=<where {config}.jsonl lies>."
    )


def loader(source: HubSource) -> Callable[..., Dataset]:
    """:func:`load_hub` of one source, for the registry."""
    return partial(load_hub, source)


def known_languages(source: HubSource) -> Sequence[str]:
    """The dataset's language codes.

    Raises:
        UserError: the list is not kept here.
    """
    if source.languages:
        return source.languages
    raise UserError(
        f"The languages of {source.name!r} are listed at https://huggingface.co/datasets/{source.hub_id}; "
        "give any of them as BCP-47 or FLORES-200 code."
    )
