"""Language neurons of your own model: find them, switch them off, compare two models, make pairs for an alignment.

    python -m papers.language_neurons.use identify texts.jsonl --model Qwen/Qwen3-0.6B --out found
    python -m papers.language_neurons.use grid found texts.jsonl --model Qwen/Qwen3-0.6B --kind related
    python -m papers.language_neurons.use compare found found-after-tuning
    python -m papers.language_neurons.use pairs problems.jsonl --model my/model --languages sw th

As a library: :func:`papers.language_neurons.activity`, :func:`papers.language_neurons.identify`,
:func:`papers.language_neurons.switched_off`, :func:`papers.language_neurons.compare`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from tyro.conf import Positional

from core.errors import UserError
from core.experiment.config import Range, Seed
from core.experiment.entrypoint import Verbs, show, tools
from core.experiment.trying import Try

if TYPE_CHECKING:
    from papers.language_neurons.data import Texts
    from papers.language_neurons.method import Activity, Kind, Selection

# How neurons were chosen, which `grid` and `compare` repeat.
CHOSEN, HOW = "chosen.json", ("rate", "bar", "selection")


@dataclass(frozen=True, kw_only=True)
class Identify:
    """Count when neurons are active in each language, and sort them."""

    texts: Positional[str]
    """Rows of `language`, `text` and perhaps `prompt`, behind which the text is read and alone counted."""
    model: str
    """A causal model, gated or not, dense or a mixture of experts: hub id, folder or wheel."""
    rate: Annotated[float, Range(0, 1)] = 0.01
    """Part of the neurons that is kept."""
    bar: Annotated[float, Range(0, 1)] = 0.95
    """Part of all shares below the threshold."""
    selection: Literal["ours", "lape"] = "ours"
    """By the paper's score or by LAPE."""
    out: Path = Path("neurons")
    """Folder for what was counted, neurons.tsv (those that were kept) and masks.json."""


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Switch off one language after another and measure all."""

    neurons: Positional[Path]
    """What `identify` wrote."""
    texts: Positional[str]
    """Rows as of `identify`, better other ones."""
    model: str
    """The model that `identify` read."""
    kind: Literal["specific", "related", "general", "random"] = "related"
    """A language's specific neurons, its related ones too, the general ones too, or random ones of the same layers."""
    seed: Seed = 0
    """Draws random neurons."""
    out: Path = Path("grid.tsv")
    """File for the grid."""


@dataclass(frozen=True, kw_only=True)
class Compare:
    """What has become of the neurons of each kind, with lambda and threshold of the model before."""

    before: Positional[Path]
    """What `identify` wrote of the model before."""
    after: Positional[Path]
    """What it wrote of the model after; its own answers or the same texts."""


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """Sample answers, score them with a translation model, and write pairs to align with."""

    questions: Positional[str]
    """Rows of `lang`, `question` and `answer`, of which rows with one `id` are the same question."""
    model: str
    """The model to align."""
    languages: tuple[str, ...]
    """Codes of the languages to align."""
    translator: str = "facebook/nllb-200-distilled-600M"
    """A translation model of NLLB's or M2M-100's kind."""
    samples: Annotated[int, Range(2)] = 20
    """Answers to each question."""
    max_new_tokens: Annotated[int, Range(1)] = 512
    """Longest answer."""
    seed: Seed = 0
    """Of the sampling."""
    out: Path = Path("pairs.jsonl")
    """File to write."""


# --- neurons ----------------------------------------------------------------------------------------------------------


def read_texts(source: str) -> dict[str, Texts]:
    """Prompts and texts by language; a language without any text is refused."""
    from core.corpora import read_jsonl

    found: dict[str, list[tuple[str, str]]] = {}
    for row in read_jsonl(source, required={"language": str, "text": str}):
        own = found.setdefault(row["language"], [])
        if row["text"].strip():
            own.append((str(row.get("prompt") or ""), row["text"]))
    if empty := [code for code, own in found.items() if not own]:
        raise UserError(f"All texts in {empty[0]!r} in {source} are empty.")
    return dict(found)


def read_found(folder: Path) -> tuple[Activity, dict[str, Any]]:
    """What was counted, and how neurons were chosen from it: `rate`, `bar` and `selection`."""
    from core.files import load_facts
    from papers.language_neurons import data

    return data.read_activity(folder), load_facts(folder, CHOSEN, HOW, "papers.language_neurons.use identify")


def run_identify(options: Identify) -> None:
    """Write what was counted and found, and print how many neurons of each kind every language has."""
    from core.files import write_json, write_table
    from core.models.loading import load
    from papers.language_neurons import data, measures, method

    how = {name: getattr(options, name) for name in HOW}
    texts = read_texts(options.texts)
    measured = data.count(load(options.model), texts)
    found = method.identify(measured.shares, **how)
    data.write_activity(options.out, measured)
    write_json(options.out / CHOSEN, how)
    paths = [(path, place) for path, size in measured.layers.items() for place in range(size)]
    kept: list[dict[str, str | float | None]] = []
    for neuron in found.chosen.tolist():
        where = {"layer": paths[neuron][0], "neuron": paths[neuron][1], "languages": int(found.active[neuron].sum())}
        kept.append({**where, **dict(zip(measured.languages, measured.shares[neuron].tolist(), strict=True))})
    write_table(options.out / "neurons.tsv", kept)
    kinds: tuple[Kind, ...] = ("specific", "related", "general")
    languages = list(enumerate(measured.languages))
    masks = {code: {kind: measured.places(found.of(k, kind)) for kind in kinds} for k, code in languages}
    write_json(options.out / "masks.json", masks)
    print(
        f"lambda {found.weight:.4f}, threshold {found.tau:.4f}, {len(found.chosen)} of {len(measured.shares)} neurons"
    )
    active = " ".join(map(str, measures.histogram(found)))
    print(f"active in 0, 1, ... languages: {active}; general: {len(found.general)}")
    print(f"{'language':12s} {'specific':>9s} {'related':>9s}")
    number = measures.counts(found, measured.languages)
    for code in measured.languages:
        print(f"{code:12s} {number['specific'][code]:9.0f} {number['shared'][code]:9.0f}")
    print(f"Wrote neurons.tsv, masks.json and what was counted to {options.out}.")


def run_grid(options: Grid) -> None:
    """Print the grid and write it."""
    from core.files import write_table
    from core.models.loading import load
    from papers.language_neurons import measures, method

    (measured, how), texts = read_found(options.neurons), read_texts(options.texts)
    if missing := [code for code in measured.languages if code not in texts]:
        raise UserError(f"{options.texts} has no text in {missing[0]!r}, of which neurons were identified.")
    found = method.identify(measured.shares, **how)
    masks, loaded = measures.masks_of(measured, found, options.kind, options.seed), load(options.model)
    lost = measures.losses(loaded, measured, masks, texts, measures.nats_of(loaded, texts))
    print(f"nats a token lost in each language (columns) without {options.kind} neurons of each (rows)")
    print(f"{'':12s} " + " ".join(f"{code:>7s}" for code in texts))
    for code, row in lost.items():
        print(f"{code:12s} " + " ".join(f"{value:z7.2f}" for value in row.values()))
    write_table(options.out, [{"off": code, **row} for code, row in lost.items()])


def run_compare(options: Compare) -> None:
    """Print the numbers of each kind before and after, and how many neurons stayed."""
    (before, how), (after, _) = read_found(options.before), read_found(options.after)
    print(f"{'language':12s} {'specific':>17s} {'related':>17s} {'stayed':>7s}")
    for code, row in compare(before, after, **how).items():
        pairs = [f"{row[f'{name}_before']:.0f} -> {row[f'{name}_after']:.0f}" for name in ("specific", "related")]
        print(f"{code:12s} {pairs[0]:>17s} {pairs[1]:>17s} {row['stayed']:7.3f}")


def compare(
    before: Activity, after: Activity, *, rate: float = 0.01, bar: float = 0.95, selection: Selection = "ours"
) -> dict[str, dict[str, float]]:
    """Of each language, neurons that are specific and that are related (and not specific) before and after, and the
    share of both that stayed; lambda and threshold are those of before.

    Raises:
        UserError: The two do not have the same languages and layers.
    """
    from papers.language_neurons import measures, method

    # An adapter's model has its base under another name.
    sides = [{path.removeprefix("base_model.model."): n for path, n in one.layers.items()} for one in (before, after)]
    if before.languages != after.languages or sides[0] != sides[1]:
        raise UserError("The two models do not have the same layers, or were not read in the same languages.")
    how: dict[str, Any] = {"rate": rate, "bar": bar, "selection": selection}
    first = method.identify(before.shares, **how)
    second = method.identify(after.shares, **how, like=first)
    masks = (measures.masks_of(before, one, "related", 0) for one in (first, second))
    stayed, _ = measures.found_again(before, *masks)
    was, now = (measures.counts(one, before.languages) for one in (first, second))
    return {
        code: {
            "specific_before": was["specific"][code], "related_before": was["shared"][code],
            "specific_after": now["specific"][code], "related_after": now["shared"][code],
            "stayed": stayed.get(code, 1.0),
        }
        for code in before.languages
    }  # fmt: skip


# --- alignment --------------------------------------------------------------------------------------------------------


def run_pairs(options: Pairs) -> None:
    """Write the pairs and say how many there are by language."""
    from core.files import write_rows
    from core.inference.seq2seq import language_tag
    from core.metrics.answers import same_number
    from core.models.loading import load
    from core.tasks import mathematics
    from papers.language_neurons import data

    if options.questions == "mgsm":
        raise UserError("Aligned models are tested on mgsm: make pairs from other questions.")
    asked = mathematics.questions(options.questions, ["en", *options.languages])
    model = load(options.model)
    translator = load(options.translator, task="seq2seq")
    tags = {code: language_tag(translator.tokenizer, code) for code in asked}
    found = data.feedback(
        model, asked, options.languages, right=same_number,
        surprise=lambda code: partial(data.cross_entropy, *translator, source=tags[code], target=tags["en"]),
        samples=options.samples, max_new_tokens=options.max_new_tokens, seed=options.seed,
    )  # fmt: skip
    if not found:
        raise UserError(f"No question of {options.questions} has two different answers of which one is right.")
    write_rows(options.out, found)
    print(f"{options.out}: {len(found)} pairs")
    show({code: sum(row["language"] == code for row in found) for code in options.languages})


VERBS: Verbs = {
    "identify": (Identify, run_identify), "grid": (Grid, run_grid), "compare": (Compare, run_compare),
    "pairs": (Pairs, run_pairs),
}  # fmt: skip

TRY = Try(
    command="identify {data} --model {model} --out {out}",
    data="JSON lines with `language`, `text` and perhaps `prompt`, some thousand tokens of each language.",
    means="Which neurons are active in one language alone, in several, and in all; where they are.",
    limits="Active is not needed: switch them off (`grid`) and compare with random ones of the same layers. What a "
    "language owns depends on which others were read beside it.",
    more="--rate 0.05",
)


def main(arguments: Sequence[str] | None = None) -> Any:
    """The command; the user's mistakes end with one sentence and exit code 2."""
    tools("papers.language_neurons.use", __doc__, VERBS, arguments)


if __name__ == "__main__":
    main()
