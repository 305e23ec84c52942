"""What the method is fed at the paper's scale and from own files: instructions, preferences, the five benchmarks.

records = instructions(["sw=mine.jsonl", "de=hub:bactrian/de"], seed=0)        # stage 1
pairs = preferences("pairs.jsonl", kind="cross", languages=0, seed=0)           # stage 2
usual = to_usual(pair, "chat")                                                  # prompt, chosen, rejected
asked = benchmark("paws_x", "benchmarks")                                       # in the authors' wording
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any, Literal

from core import corpora
from core.errors import UserError
from core.tasks import worded
from core.tasks.instructions import read
from core.tasks.preferences import Pair, messages, pair
from core.text.languages import name as name_of
from papers.xllms100.method import COLUMNS, Recipe, Request, prompt

Layout = Literal["official", "plain", "chat"]
# Official spelling of the columns; the languages are ours.
SIDES = ("prefered_output", "rejected_output")


# --- instructions -----------------------------------------------------------------------------------------------------


def sources(named: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """Instruction rows by language code, from `code=source` (:func:`core.tasks.instructions.read`).

    Raises:
        UserError: A name without a code, or a source that cannot be read.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    for entry in named:
        code, _, source = entry.partition("=")
        if not source:
            raise UserError(f"{entry!r} names no source: write code=file.jsonl, such as sw=alpaca-sw.jsonl.")
        rows = read(source)
        found.setdefault(code, []).extend({**row, "input": row.get("input") or "", "lang": code} for row in rows)
    return found


def instructions(named: Sequence[str], seed: int) -> list[dict[str, Any]]:
    """The rows of all languages, mixed."""
    rows = [row for part in sources(named).values() for row in part]
    Random(f"instructions-{seed}").shuffle(rows)
    return rows


# --- preferences ------------------------------------------------------------------------------------------------------


def preferences(path: str, kind: str, languages: int, seed: int) -> list[dict[str, str]]:
    """Pairs from a file in either schema.

    Args:
        path: JSONL as of :func:`to_official`.
        kind: `cross` or `mono` keeps the pairs whose two languages differ or agree; `both` all.
        languages: Keeps the pairs between so many languages, which the seed draws; 0 = all.
        seed: Of the draw.

    Raises:
        UserError: A row in no known schema or, where they are asked for, without languages; or no pair is left.
    """
    found = list(corpora.adapted(path, corpora.read_jsonl(path), to_official))
    if (kind != "both" or languages) and not all(row["lang_in"] and row["lang_out"] for row in found):
        raise UserError(
            f"{path} does not say the languages of every pair: give lang_in and lang_out, or --feedback both."
        )
    spoken = sorted({row[name] for row in found for name in ("lang_in", "lang_out")})
    chosen = set(Random(f"languages-{seed}").sample(spoken, min(languages, len(spoken))) if languages else spoken)
    kept = [
        row
        for row in found
        if {row["lang_in"], row["lang_out"]} <= chosen
        and kind in ("both", "mono" if row["lang_in"] == row["lang_out"] else "cross")
    ]
    if not kept:
        raise UserError(f"No pair of {path} is left: look at --feedback {kind} and --feedback-languages {languages}.")
    return kept


def to_official(row: Mapping[str, Any], number: int = 0) -> dict[str, str]:
    """A pair in the official columns, with its two languages (empty where the row does not say).

    Args:
        row: In these columns, or as of :func:`core.tasks.preferences.pair`.
        number: Its place; not used.

    Raises:
        UserError: It is neither.
    """
    languages = [str(row.get(name) or "") for name in ("lang_in", "lang_out")]
    if isinstance(row.get("instruction"), str) and all(isinstance(row.get(side), str) for side in SIDES):
        texts = [row["instruction"], str(row.get("input") or ""), *(row[side] for side in SIDES)]
    else:
        asked, chosen, rejected = pair(row)
        texts = [asked, "", chosen, rejected]
    return dict(zip(COLUMNS, [*texts, *languages], strict=True))


def to_usual(row: Mapping[str, str], layout: Layout = "plain") -> dict[str, Any]:
    """A pair as preference trainers take it: `prompt`, `chosen`, `rejected`, and its languages.

    Args:
        row: In the official columns.
        layout: Of the prompt. official: the text that the authors train on; plain: instruction and input, a line each;
            chat: messages.
    """
    asked = "\n".join(filter(None, (row["instruction"], row["input"])))
    if layout == "official":
        asked = prompt("dpo", "official", row["instruction"], row["input"])
    found = Pair(asked, row["prefered_output"], row["rejected_output"])
    languages = {name: row[name] for name in ("lang_in", "lang_out")}
    return {**(messages(found) if layout == "chat" else found._asdict()), **languages}


# --- answers ----------------------------------------------------------------------------------------------------------


def answers(
    model: Any, tokenizer: Any, recipe: Recipe, asked: Sequence[Request], *, new: int, **decoding: Any
) -> list[str]:
    """What a model answers, by default greedily (code)."""
    from core.inference.generation import generate

    texts = [prompt("ask", recipe, row["instruction"], row["input"]) for row in asked]
    return [text.strip() for text in generate(model, tokenizer, texts, max_new_tokens=new, **decoding)]


def sample(
    model: Any, tokenizer: Any, recipe: Recipe, count: int, new: int, seed: int, asked: Sequence[Request]
) -> list[list[str]]:
    """`count` answers to each request at temperature 1, the candidates of feedback."""
    repeated = [row for row in asked for _ in range(count)]
    found = answers(model, tokenizer, recipe, repeated, new=new, temperature=1.0, seed=seed)
    return [found[start : start + count] for start in range(0, len(found), count)]


# --- benchmarks -------------------------------------------------------------------------------------------------------

# Wording of the official scripts.
WORDINGS = {
    "paws_x": (
        "The following are two sentences:\nSentence1: {sentence1}\nSentence2: {sentence2}.\nYou should provide a yes "
        "or no answer to the question: Does Sentence1 paraphrase Sentence2?\nPlease only return either yes or no."
    ),
    "xcopa": (
        "Here is a premise: {premise}. What is the {question}? Help me pick the more plausible option: -A: {choice1}, "
        "-B: {choice2}."
    ),
    "flores": (
        "Translate the following {source} sentence from {source} to {target}.\n{source} Sentence: {text}\nPlease only "
        "return the translated {target} text."
    ),
    "xl_sum": "The followinng is an article.\nArticle: {text}\nPlease summarize the provided article.",
}
FOLDERS = {
    "paws_x": "PAWS-X", "xcopa": "XCOPA", "flores": "FLORES", "xl_sum": "XL-Sum", "self_instruct": "Self-Instruct",
}  # fmt: skip
# Sentences of a direction and articles of a language (code).
SENTENCES, ARTICLES, ENGLISH = 200, 250, "eng_Latn"
# Directions without English (code): high to high resource, high to low, low to high, low to low.
_DIRECTIONS = """
slv_Latn-kaz_Cyrl uzn_Latn-nld_Latn bul_Cyrl-bos_Latn arb_Arab-slk_Latn zul_Latn-slk_Latn fin_Latn-tur_Latn
cat_Latn-xho_Latn heb_Hebr-fin_Latn mlt_Latn-ell_Grek ron_Latn-dan_Latn pol_Latn-swe_Latn eus_Latn-mkd_Cyrl
ukr_Cyrl-lvs_Latn swe_Latn-ukr_Cyrl zul_Latn-pol_Latn
lit_Latn-kac_Latn ben_Beng-gle_Latn ell_Grek-azj_Latn lit_Latn-oci_Latn hun_Latn-guj_Gujr eus_Latn-jav_Latn
nld_Latn-lua_Latn tsn_Latn-sag_Latn als_Latn-wol_Latn kaz_Cyrl-kea_Latn zho_Hans-fao_Latn fra_Latn-kmr_Latn
ell_Grek-tso_Latn zho_Hans-lin_Latn vie_Latn-mai_Deva
uig_Arab-fin_Latn run_Latn-mkd_Cyrl kab_Latn-ron_Latn nob_Latn-tur_Latn lim_Latn-est_Latn ayr_Latn-hin_Deva
ayr_Latn-ukr_Cyrl ast_Latn-tur_Latn ars_Arab-spa_Latn kik_Latn-lit_Latn mai_Deva-zsm_Latn prs_Arab-pol_Latn
apc_Arab-pes_Arab wol_Latn-ita_Latn grn_Latn-est_Latn
kam_Latn-lmo_Latn tam_Taml-ars_Arab min_Latn-cym_Latn mri_Latn-acm_Arab tuk_Latn-dyu_Latn ban_Latn-luo_Latn
knc_Arab-ory_Orya kbp_Latn-kac_Latn acq_Arab-snd_Arab pag_Latn-mos_Latn npi_Deva-tat_Cyrl kam_Latn-pag_Latn
prs_Arab-bel_Cyrl sag_Latn-hye_Armn nya_Latn-kea_Latn
"""
DIRECTIONS = _DIRECTIONS.split()


def benchmark(task: str, folder: str | Path) -> dict[str, list[worded.Question]]:
    """A benchmark's questions in all languages that there are files of; FLORES is three: from English, to it, neither.

    Args:
        task: A key of `FOLDERS`.
        folder: With the folders that these name. Files lie as :func:`core.tasks.worded.read` says, FLORES as
            `<code>.devtest` with a sentence a line.

    Raises:
        UserError: There is no file, or a row lacks a column.
    """
    place = Path(folder) / FOLDERS[task]
    if task != "flores":
        most = ARTICLES if task == "xl_sum" else None
        return {task: worded.read(task, place, WORDINGS.get(task, "{instruction}"), most)}
    lines = {file.stem: corpora.read_lines(file) for file in sorted(place.glob("*.devtest"))}
    if not lines:
        raise UserError(f"{place} has no <code>.devtest: put the sentences of FLORES-200 there.")
    others = [code for code in lines if code != ENGLISH]
    wanted = {
        "flores_from_english": [(ENGLISH, code) for code in others],
        "flores_to_english": [(code, ENGLISH) for code in others],
        "flores_without_english": [(one, other) for one, _, other in (name.partition("-") for name in DIRECTIONS)],
    }
    there = {name: [pair for pair in pairs if {*pair} <= {*lines}] for name, pairs in wanted.items()}
    return {name: [q for pair in pairs for q in _sentences(lines, *pair)] for name, pairs in there.items() if pairs}


def _sentences(lines: Mapping[str, Sequence[str]], source: str, target: str) -> list[worded.Question]:
    names = {"source": name_of(source), "target": name_of(target)}
    return [
        worded.Question(
            f"{source}-{target}", str(place), WORDINGS["flores"].format(**names, text=lines[source][place]),
            lines[target][place], "chrf++", wanted=target,
        )
        for place in drawn(len(lines[source]))
    ]  # fmt: skip


def drawn(count: int) -> list[int]:
    """The places of the sentences that the official script draws, by `Dataset.shuffle(seed=42)`."""
    import numpy as np

    return [int(place) for place in np.random.default_rng(42).permutation(count)[:SENTENCES]]
