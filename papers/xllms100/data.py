"""What the method is fed at the paper's scale and from own files: instructions, preferences, the five benchmarks.

records = instructions(["sw=mine.jsonl", "de=hub:bactrian/de"], seed=0)        # stage 1
pairs = preferences("pairs.jsonl", kind="cross", languages=0, seed=0)           # stage 2
usual = to_usual(pair, "chat")                                                  # prompt, chosen, rejected
asked = benchmark("paws_x", "benchmarks")                                       # questions, in the authors' wording
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any, Literal

import langcodes

from core import corpora
from core.errors import UserError
from core.tasks.instructions import read
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
    wanted: dict[str, Callable[[Mapping[str, str]], bool]] = {
        "cross": lambda row: row["lang_in"] != row["lang_out"],
        "mono": lambda row: row["lang_in"] == row["lang_out"],
        "both": lambda row: True,
    }
    kept = [row for row in found if {row["lang_in"], row["lang_out"]} <= chosen and wanted[kind](row)]
    if not kept:
        raise UserError(f"No pair of {path} is left: look at --feedback {kind} and --feedback-languages {languages}.")
    return kept


def to_official(row: Mapping[str, Any], number: int = 0) -> dict[str, str]:
    """A pair in the official columns, with its two languages (empty where the row does not say).

    Args:
        row: In these columns, or with `prompt`, `chosen` and `rejected`: texts, or lists of messages, of which the
            prompt may be the part that both answers have in common.
        number: Where it stands, for messages.

    Raises:
        UserError: Neither; or a conversation of several turns, which one instruction cannot hold.
    """
    languages = {name: str(row.get(name) or "") for name in ("lang_in", "lang_out")}
    if isinstance(row.get("instruction"), str) and all(isinstance(row.get(side), str) for side in SIDES):
        texts = [row["instruction"], row.get("input") or "", *(row[side] for side in SIDES)]
        return dict(zip(COLUMNS, (*map(str, texts), *languages.values()), strict=True))
    both = [_turns(row.get(side)) for side in ("chosen", "rejected")]
    asked = [*_turns(row.get("prompt"), "user"), *(both[0][:-1] if len(both[0]) > 1 else [])]
    if any(not turns or turns[:-1] != both[0][:-1] for turns in both) or not asked:
        raise UserError(
            f"Row {number} is no pair (it has {', '.join(row)}): give instruction, prefered_output and "
            "rejected_output, or prompt, chosen and rejected."
        )
    if [role for role, _ in asked] != ["user"]:
        raise UserError(f"Row {number} has {len(asked)} turns before its answers: only pairs of one question fit.")
    texts = [asked[0][1], "", both[0][-1][1], both[1][-1][1]]
    return dict(zip(COLUMNS, (*texts, *languages.values()), strict=True))


def _turns(value: Any, role: str = "assistant") -> list[tuple[str, str]]:
    if isinstance(value, str):
        return [(role, value)]
    turns = value if isinstance(value, list) else []
    return [
        (str(turn["role"]), str(turn["content"]))
        for turn in turns
        if isinstance(turn, Mapping) and {"role", "content"} <= {*turn}
    ]


def to_usual(row: Mapping[str, str], layout: Layout = "plain") -> dict[str, Any]:
    """A pair as preference trainers take it: `prompt`, `chosen`, `rejected`, and its languages.

    Args:
        row: In the official columns.
        layout: Of the prompt. official: the text that the authors train on; plain: instruction and input, a line each;
            chat: messages.
    """
    text = "\n".join(filter(None, (row["instruction"], row["input"])))
    asked = prompt("dpo", "official", row["instruction"], row["input"]) if layout == "official" else text
    answers = dict(zip(("chosen", "rejected"), (row[side] for side in SIDES), strict=True))
    languages = {name: row[name] for name in ("lang_in", "lang_out")}
    if layout != "chat":
        return {"prompt": asked, **answers, **languages}
    messages = {name: [{"role": "assistant", "content": answer}] for name, answer in answers.items()}
    return {"prompt": [{"role": "user", "content": asked}], **messages, **languages}


# --- answers ----------------------------------------------------------------------------------------------------------


def answers(
    model: Any, tokenizer: Any, recipe: Recipe, new: int, asked: Sequence[Request], **decoding: Any
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
    found = answers(model, tokenizer, recipe, new, repeated, temperature=1.0, seed=seed)
    return [found[start : start + count] for start in range(0, len(found), count)]


# --- benchmarks -------------------------------------------------------------------------------------------------------

Question = dict[str, str]
"""`task`, `group` (a language or direction), `key`, `instruction`, `input`, `reference`, and `wanted`: the language of
a right answer, empty where it is one word of English. FLORES is three tasks: from English, to English and neither."""
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
TASKS = ("paws_x", "xcopa", "flores", "xl_sum", "self_instruct")
# Sentences of a direction and articles of a language (code).
SENTENCES, ARTICLES = 200, 250
# Directions without English (code): high to high resource, high to low, low to high, low to low.
DIRECTIONS = """
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
""".split()  # noqa: SIM905


def benchmark(task: str, folder: str | Path) -> list[Question]:
    """The questions of a benchmark in all languages that the folder has, laid out as the official scripts read it.

    Args:
        task: One of `TASKS`: `PAWS-X/<code>/test_2k.tsv`, `XCOPA/<code>/test.<code>.jsonl`, `FLORES/<code>.devtest`,
            `XL-Sum/<language>_test.jsonl` or `Self-Instruct/<code>.jsonl`.
        folder: What holds these.

    Raises:
        UserError: There is no file of this benchmark, or a row lacks a column.
    """
    place = Path(folder) / PATTERNS[task][0]
    files = sorted(place.glob(PATTERNS[task][1]))
    if not files:
        raise UserError(f"{place} has no {PATTERNS[task][1]}: put the benchmark's files there, or leave {task} out.")
    if task == "flores":
        return _flores({file.stem: corpora.read_lines(file) for file in files})
    return [question for file in files for question in _READERS[task](file)]


PATTERNS = {
    "paws_x": ("PAWS-X", "*/test_2k.tsv"),
    "xcopa": ("XCOPA", "*/test.*.jsonl"),
    "flores": ("FLORES", "*.devtest"),
    "xl_sum": ("XL-Sum", "*_test.jsonl"),
    "self_instruct": ("Self-Instruct", "*.jsonl"),
}


def _paws_x(file: Path) -> list[Question]:
    def adapt(row: Mapping[str, Any], number: int) -> Question:
        label = {"0": "no", "1": "yes"}[str(row["label"])]
        return _question("paws_x", file.parent.name, number, WORDINGS["paws_x"].format_map(row), label)

    return list(corpora.adapted(str(file), corpora.read_rows(file), adapt))


def _xcopa(file: Path) -> list[Question]:
    def adapt(row: Mapping[str, Any], number: int) -> Question:
        return _question("xcopa", file.parent.name, number, WORDINGS["xcopa"].format_map(row), "AB"[int(row["label"])])

    return list(corpora.adapted(str(file), corpora.read_jsonl(file), adapt))


def _xl_sum(file: Path) -> list[Question]:
    code = language_of(file.name.removesuffix("_test.jsonl"))

    def adapt(row: Mapping[str, Any], number: int) -> Question:
        return _question("xl_sum", code, number, WORDINGS["xl_sum"].format_map(row), row["summary"], code)

    return list(corpora.adapted(str(file), corpora.read_jsonl(file).select(range(ARTICLES)), adapt))


def _self_instruct(file: Path) -> list[Question]:
    def adapt(row: Mapping[str, Any], number: int) -> Question:
        shown = row["instances"][0]
        found = _question("self_instruct", file.stem, number, row["instruction"], shown["output"], file.stem)
        return {**found, "input": shown["input"]}

    return list(corpora.adapted(str(file), corpora.read_jsonl(file), adapt))


def _flores(lines: Mapping[str, Sequence[str]]) -> list[Question]:
    """English to and from each language, and the directions without it of which both languages are there."""
    wanted = [pair for code in lines for pair in (("eng_Latn", code), (code, "eng_Latn")) if code != "eng_Latn"]
    wanted += [(source, target) for source, _, target in (pair.partition("-") for pair in DIRECTIONS)]
    found = []
    for source, target in wanted:
        if source in lines and target in lines:
            kind = {"eng_Latn": "flores_from_english"}.get(source, "flores_to_english")
            kind = kind if "eng_Latn" in (source, target) else "flores_without_english"
            for place in drawn(len(lines[source])):
                named = {"source": name_of(source), "target": name_of(target), "text": lines[source][place]}
                asked = WORDINGS["flores"].format_map(named)
                found.append(_question(kind, f"{source}-{target}", place, asked, lines[target][place], target))
    return found


def drawn(count: int) -> list[int]:
    """The places of the sentences that the official script draws, by `Dataset.shuffle(seed=42)`."""
    import numpy as np

    return [int(place) for place in np.random.default_rng(42).permutation(count)[:SENTENCES]]


def language_of(name: str) -> str:
    """Code of a language as XL-Sum's files name it: `chinese_simplified`, `scottish_gaelic`, `pidgin`."""
    language, _, script = name.partition("_")
    scripts = {"simplified": "zh-Hans", "traditional": "zh-Hant", "cyrillic": "sr-Cyrl", "latin": "sr-Latn"}
    if script in scripts:
        return scripts[script]
    known = {"pidgin": "pcm", "kirundi": "rn", "scottish_gaelic": "gd"}
    return known.get(name) or str(langcodes.find(language))


def _question(task: str, group: str, key: object, asked: str, reference: str, wanted: str = "") -> Question:
    return {
        "task": task, "group": group, "key": str(key), "instruction": asked, "input": "", "reference": reference,
        "wanted": wanted,
    }  # fmt: skip


_READERS = {"paws_x": _paws_x, "xcopa": _xcopa, "xl_sum": _xl_sum, "self_instruct": _self_instruct}


def picked(text: str, task: str) -> str:
    """The answer to a question with two: the first yes or no, A or B, as a word of its own; empty where there is none.

    The official repository has no parser; this one is ours.
    """
    found = re.search(r"\b(yes|no)\b" if task == "paws_x" else r"\b([ab])\b", text, re.IGNORECASE)
    return (found[1].lower() if task == "paws_x" else found[1].upper()) if found else ""
