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
from core.files import is_folder
from core.text.languages import FLORES_200, flores_code, match

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
        languages: The dataset's own names of its languages.
        config: Language code -> one of these names, where :func:`core.text.languages.match` does not find it.
        split: Default split.
        file: Path inside the dataset with `{config}` and `{split}`, where files are read directly; else the
            dataset's own configurations.
        header: Column names of files that have no header line.
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
    languages: tuple[str, ...]
    config: Callable[[str], str] | None = None
    split: str = "test"
    file: str | None = None
    header: tuple[str, ...] = ()
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
    """FLORES+: its name of a language, also of those whose data FLORES-200 took for another language's."""
    return match(code, FLORES_PLUS) or RELABELLED.get(flores_code(code), flores_code(code))


def tatoeba_config(code: str) -> str:
    """Tatoeba's pairs: ISO 639-3 as the dataset has it, then `-eng`."""
    return f"{match(code.removesuffix('-eng'), _TATOEBA) or code}-eng"


_MGSM = ("bn", "de", "en", "es", "fr", "ja", "ru", "sw", "te", "th", "zh")
_OKAPI = (
    "ar", "bn", "ca", "da", "de", "en", "es", "eu", "fr", "gu", "hi", "hr", "hu", "hy", "id", "is", "it", "kn", "ml",
    "mr", "nb", "ne", "nl", "pt", "ro", "ru", "sk", "sr", "sv", "ta", "te", "uk", "vi", "zh",
)  # fmt: skip
_IROKO = (
    "amh", "eng", "ewe", "fra", "hau", "ibo", "kin", "lin", "lug", "orm", "sna", "sot", "swa", "twi", "vai", "wol",
    "xho", "yor", "zul",
)  # fmt: skip

_BELEBELE = (
    "acm_Arab", "afr_Latn", "als_Latn", "amh_Ethi", "apc_Arab", "arb_Arab", "arb_Latn", "ars_Arab", "ary_Arab",
    "arz_Arab", "asm_Beng", "azj_Latn", "bam_Latn", "ben_Beng", "ben_Latn", "bod_Tibt", "bul_Cyrl", "cat_Latn",
    "ceb_Latn", "ces_Latn", "ckb_Arab", "dan_Latn", "deu_Latn", "ell_Grek", "eng_Latn", "est_Latn", "eus_Latn",
    "fin_Latn", "fra_Latn", "fuv_Latn", "gaz_Latn", "grn_Latn", "guj_Gujr", "hat_Latn", "hau_Latn", "heb_Hebr",
    "hin_Deva", "hin_Latn", "hrv_Latn", "hun_Latn", "hye_Armn", "ibo_Latn", "ilo_Latn", "ind_Latn", "isl_Latn",
    "ita_Latn", "jav_Latn", "jpn_Jpan", "kac_Latn", "kan_Knda", "kat_Geor", "kaz_Cyrl", "kea_Latn", "khk_Cyrl",
    "khm_Khmr", "kin_Latn", "kir_Cyrl", "kor_Hang", "lao_Laoo", "lin_Latn", "lit_Latn", "lug_Latn", "luo_Latn",
    "lvs_Latn", "mal_Mlym", "mar_Deva", "mkd_Cyrl", "mlt_Latn", "mri_Latn", "mya_Mymr", "nld_Latn", "nob_Latn",
    "npi_Deva", "npi_Latn", "nso_Latn", "nya_Latn", "ory_Orya", "pan_Guru", "pbt_Arab", "pes_Arab", "plt_Latn",
    "pol_Latn", "por_Latn", "ron_Latn", "rus_Cyrl", "shn_Mymr", "sin_Latn", "sin_Sinh", "slk_Latn", "slv_Latn",
    "sna_Latn", "snd_Arab", "som_Latn", "sot_Latn", "spa_Latn", "srp_Cyrl", "ssw_Latn", "sun_Latn", "swe_Latn",
    "swh_Latn", "tam_Taml", "tel_Telu", "tgk_Cyrl", "tgl_Latn", "tha_Thai", "tir_Ethi", "tsn_Latn", "tso_Latn",
    "tur_Latn", "ukr_Cyrl", "urd_Arab", "urd_Latn", "uzn_Latn", "vie_Latn", "war_Latn", "wol_Latn", "xho_Latn",
    "yor_Latn", "zho_Hans", "zho_Hant", "zsm_Latn", "zul_Latn",
)  # fmt: skip
_TATOEBA = (
    "afr", "amh", "ang", "ara", "arq", "arz", "ast", "awa", "aze", "bel", "ben", "ber", "bos", "bre", "bul", "cat",
    "cbk", "ceb", "ces", "cha", "cmn", "cor", "csb", "cym", "dan", "deu", "dsb", "dtp", "ell", "epo", "est", "eus",
    "fao", "fin", "fra", "fry", "gla", "gle", "glg", "gsw", "heb", "hin", "hrv", "hsb", "hun", "hye", "ido", "ile",
    "ina", "ind", "isl", "ita", "jav", "jpn", "kab", "kat", "kaz", "khm", "kor", "kur", "kzj", "lat", "lfn", "lit",
    "lvs", "mal", "mar", "max", "mhr", "mkd", "mon", "nds", "nld", "nno", "nob", "nov", "oci", "orv", "pam", "pes",
    "pms", "pol", "por", "ron", "rus", "slk", "slv", "spa", "sqi", "srp", "swe", "swg", "swh", "tam", "tat", "tel",
    "tgl", "tha", "tuk", "tur", "tzl", "uig", "ukr", "urd", "uzb", "vie", "war", "wuu", "xho", "yid", "yue", "zsm",
)  # fmt: skip
# FLORES-200's names that FLORES+ gave up (its changelog, 2.0-rc.1 and rc.2), and one that FLORES-200's own table has
# wrong (its file is sat_Olck).
RELABELLED = {
    "ajp_Arab": "apc_Arab_sout3123", "aka_Latn": "twi_Latn_asan1239", "apc_Arab": "apc_Arab_nort3139",
    "est_Latn": "ekk_Latn", "grn_Latn": "gug_Latn", "kon_Latn": "ktu_Latn", "sat_Beng": "sat_Olck",
    "tgl_Latn": "fil_Latn", "twi_Latn": "twi_Latn_akua1239", "tzm_Tfng": "zgh_Tfng", "zho_Hans": "cmn_Hans",
    "zho_Hant": "cmn_Hant",
}  # fmt: skip
FLORES_PLUS = (
    *(RELABELLED.get(name, name) for name in FLORES_200),
    "apd_Arab", "arg_Latn", "brx_Deva", "cat_Latn_vale1252", "chv_Cyrl", "dar_Cyrl", "dgo_Deva", "gom_Deva",
    "kaa_Latn", "khk_Mong", "kjh_Cyrl", "lld_Latn", "lld_Latn_gard1241", "mfe_Latn", "mhr_Cyrl", "mni_Mtei",
    "myv_Cyrl", "nob_Latn_radical", "nqo_Nkoo", "oci_Latn_aran1260", "snd_Deva", "tyv_Cyrl", "udm_Cyrl", "uzs_Arab",
    "vmw_Latn", "wuu_Hans",
)  # fmt: skip
"""The files of FLORES+ at the pinned revision (version 4.6)."""

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
        FLORES_PLUS,
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
        _BELEBELE,
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
        _MGSM,
        # The dataset has a loading script, which datasets no longer runs; the files beside it are read instead.
        file="mgsm_{config}.tsv",
        header=("question", "answer_number"),
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
        _IROKO,
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
        _IROKO,
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
        (*FLORES_200, "nqo_Nkoo"),
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
        _OKAPI,
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
        _OKAPI,
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
        tuple(f"{name}-eng" for name in _TATOEBA),
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
    configs = {code: _config(source, code, folder) for code in languages}
    rows = {code: _rows(source, name, split or source.split, folder, revision) for code, name in configs.items()}
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


def _config(source: HubSource, code: str, folder: str | Path | None) -> str:
    """The dataset's name of a language; a folder may hold other languages, under any name."""

    def exists(name: str) -> bool:
        return folder is not None and (Path(folder) / f"{name}.jsonl").exists()

    try:
        name = source.config(code) if source.config else match(code, source.languages) or code
    except UserError:
        if exists(code):
            return code
        raise
    if folder is None and name not in source.languages:
        check_languages([code], [known.removesuffix("-eng") for known in source.languages], source.name)
    return code if exists(code) and not exists(name) else name


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


def snapshot(name: str | Path, patterns: Sequence[str]) -> Path:
    """The folder of some files of a hub dataset that no reader of rows fits.

    Args:
        name: `owner/name`, or a folder with such files.
        patterns: Of the files, such as `*.jsonl`.

    Raises:
        UserError: It cannot be fetched.
    """
    if is_folder(name):
        return Path(name)
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(str(name), repo_type="dataset", allow_patterns=list(patterns)))
    except Exception as error:
        raise UserError(
            f"{str(name)!r} is no folder and cannot be fetched ({type(error).__name__}): ask for access on its page "
            "and log in, or give the folder of its files."
        ) from error


def loader(source: HubSource) -> Callable[..., Dataset]:
    """:func:`load_hub` of one source, for the registry."""
    return partial(load_hub, source)


def known_languages(source: HubSource) -> Sequence[str]:
    """The dataset's own names of its languages; any other code of the same language does as well."""
    return source.languages
