"""Hold the conversations, check every reply, and see what each instruction changes.

    python -m papers.multi_if.eval tiny --variant multi_turn     # SmolLM2-135M in eight languages
    python -m papers.multi_if.eval paper                         # Llama-3.1-8B on the official table

Two tracks. Generation is the paper's: replies are written, turn by turn, and checked. Forced choice is the miniature's:
how much likelier the sentence that asks for an instruction makes a reply that follows it than one that does not,

    change(pair) = [log p(ok) - log p(bad)] with the sentence - the same without it,
    influence = change(its own pair) - mean change(the pairs of the two other instructions in force)             (6)

at the third turn, of what was asked for there and of what was asked for at the first. For models of your own: `use.py`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import cache, partial
from statistics import fmean
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from core.experiment.entrypoint import entrypoint
from core.experiment.run import Measurement, Run
from papers.multi_if.config import Config
from papers.multi_if.method import Accuracies, Conversation, Ratios, Scored, accuracies, converse, ratios, score

if TYPE_CHECKING:
    from core.metrics.intervals import Interval
    from core.models.loading import Loaded

Units = dict[str, dict[str, float]]
Model = Callable[[], "Loaded"]
TRANSCRIPTS = "transcripts.jsonl"


def evaluate(config: Config, run: Run) -> Measurement:
    """Accuracies by turn, forgetting and correction; in the miniature what each instruction changes, by its age."""
    from core.tasks.transcripts import write_transcripts
    from papers.multi_if import data, miniature

    talks = data.read(run.artifact / "benchmark.csv", replies=config.mode == "oracle_history", compat=config.compat)
    # The null arm finds what another arm has computed, and needs no model.
    model = cache(partial(load, config, run))
    # Without replies of its own before it each turn stands alone: the miniature's controls are asked for the last one.
    turns = (1, 2, 3) if config.benchmark or config.mode == "multi_turn" else (3,)
    said = replies(config, run, model, talks, turns)
    write_transcripts(run.path / TRANSCRIPTS, said)
    rows = [row for row in score(talks, said, config.compat) if row.turn in turns]
    units = by_turn(rows)
    found = report(rows, draws=0)
    metrics = {
        f"{name}_{turn}": float(value)
        for table in (found.accuracies, found.forgetting)
        for (code, turn), numbers in table.items()
        for name, value in numbers._asdict().items()
        if code == "all" and name != "overall" and value is not None
    }
    if not config.benchmark:
        units |= by_age(talks, rows)
        if config.mode == "multi_turn":
            units |= influence(config, run, model)
        copied = {talk.key: ["\n".join(t.prompt for t in talk.turns[:end]) for end in (1, 2, 3)] for talk in talks}
        silent = {talk.key: [miniature.languages()[talk.language]["sentences"][0]] * 3 for talk in talks}
        for name, solver in (("copies_all_prompts", copied), ("one_sentence", silent)):
            metrics[f"trivial_{name}"] = fmean(by_turn(score(talks, solver))["followed_3"].values())
    metrics |= {name: fmean(values.values()) for name, values in units.items()}
    shown = [{"asked": turn.prompt, "said": text} for talk in talks[:: max(1, len(talks) // 6)]
             for turn, text in zip(talk.turns, said[talk.key], strict=True)]  # fmt: skip
    languages = {f"{code}/{turn}": list(numbers) for (code, turn), numbers in found.accuracies.items()}
    return Measurement(metrics, units, {"languages": languages, "broken": found.kinds, "samples": shown})


def load(config: Config, run: Run) -> Loaded:
    """The model with its tokenizer."""
    from core.models import loading
    from papers.multi_if import miniature

    name = str(run.stage("toy", {}, miniature.toy)) if config.model == "toy" else config.model
    return loading.load(name, dtype=config.dtype)


# --- generation -------------------------------------------------------------------------------------------------------


def replies(
    config: Config, run: Run, model: Model, talks: Sequence[Conversation], turns: Collection[int]
) -> dict[str, list[str]]:
    """What the model says at these turns."""
    from core.inference.chat import Chat

    decoding = {name: getattr(config, name) for name in ("max_new_tokens", "temperature", "top_p", "seed")}
    # The null arm asks the same and checks something else.
    asked = {
        talk.key: [[turn.prompt, turn.ask, turn.oracle * (config.mode == "oracle_history")] for turn in talk.turns]
        for talk in talks
    }
    inputs = {name: getattr(config, name) for name in ("model", "dtype", "mode")} | decoding
    found: dict[str, list[str]] = run.once(
        "replies",
        {**inputs, "asked": asked},
        lambda: converse(lambda dialogues: Chat(*model()).reply(dialogues, **decoding), talks, config.mode, turns),
    )
    return found


def by_turn(rows: Iterable[Scored]) -> Units:
    """`overall` and the share of instructions that are followed (mean of strict and loose), by conversation.

    `lost` is that share at the first turn less that at the third, where both are there.
    """
    units: Units = defaultdict(dict)
    for row in rows:
        one, where = accuracies([row]), f"{row.language}/{row.key.removeprefix(f'{row.language}/')}"
        units[f"overall_{row.turn}"][where] = one.overall
        units[f"followed_{row.turn}"][where] = (one.instruction_strict + one.instruction_loose) / 2
    first, third = units.get("followed_1", {}), units.get("followed_3", {})
    if both := first.keys() & third.keys():
        units["lost"] = {where: first[where] - third[where] for where in first if where in both}
    return dict(units)


def by_age(talks: Iterable[Conversation], rows: Iterable[Scored]) -> Units:
    """At the third turn, whether an instruction is followed that was given 0, 1 or 2 turns ago."""
    units: Units = defaultdict(dict)
    last = {row.key: row for row in rows if row.turn == 3}
    for talk in talks:
        for place, constraint in enumerate(talk.turns[-1].constraints):
            units[f"followed_age_{2 - place}"][path(talk.key, constraint.instruction)] = float(
                last[talk.key].strict[place]
            )
    return dict(units)


def path(key: str, instruction: str) -> str:
    """The same for the same instruction in the three orders of a conversation."""
    return f"{key.rpartition('/')[0]}/{instruction.partition(':')[2]}"


def _by_kind(where: str) -> str:
    """The path with what is asked for in front, as what is forgotten differs by it."""
    code, frame, kind = where.split("/")
    return f"{kind}/{code}/{frame}"


# --- tables -----------------------------------------------------------------------------------------------------------


class Report(NamedTuple):
    """What was found.

    Attributes:
        accuracies: By language (`all` = all conversations pooled) and turn.
        intervals: 95 % intervals of the overall accuracy, over conversations; None for a single one.
        forgetting: By language and the turn t of t -> t+1.
        kinds: Share of the strict verdicts in which an instruction is not followed, and their number.
    """

    accuracies: dict[tuple[str, int], Accuracies]
    intervals: dict[tuple[str, int], Interval | None]
    forgetting: dict[tuple[str, int], Ratios]
    kinds: dict[str, tuple[float, int]]


def report(rows: Sequence[Scored], scope: Literal["next", "any_later"] = "next", draws: int = 2000) -> Report:
    """Tables of what was scored.

    Args:
        rows: Of :func:`papers.multi_if.score`.
        scope: Where a correction counts.
        draws: Of the bootstrap; 0 = no intervals.
    """
    languages = ("all", *dict.fromkeys(row.language for row in rows))
    found = Report({}, {}, {}, {})
    for code in languages:
        own = [row for row in rows if code in ("all", row.language)]
        for turn in (1, 2, 3):
            if not (here := [row for row in own if row.turn == turn]):
                continue
            found.accuracies[code, turn] = accuracies(here)
            found.intervals[code, turn] = _interval(here, draws)
            if (after := ratios(own, turn, scope)).of_followed or after.of_missed:
                found.forgetting[code, turn] = after
    kinds: dict[str, list[bool]] = {}
    for row in rows:
        for name, held in zip(row.names, row.strict, strict=True):
            kinds.setdefault(name.partition(" ")[0], []).append(held)
    return found._replace(kinds={kind: (1 - fmean(held), len(held)) for kind, held in sorted(kinds.items())})


def _interval(rows: Sequence[Scored], draws: int) -> Interval | None:
    """Percentile bootstrap over conversations of the pooled number (the official one resamples shares of each)."""
    import numpy as np

    from core.metrics.agreement import bootstrap

    if len(rows) < 2 or not draws:
        return None
    counts = np.array([len(row.names) for row in rows])
    followed = np.array([[sum(row.strict), sum(row.loose)] for row in rows])
    whole = followed == counts[:, None]
    return bootstrap(
        lambda drawn: float((whole[drawn].mean() + (followed[drawn].sum(0) / counts[drawn].sum()).mean()) / 2),
        len(rows),
        draws,
    )


# --- forced choice (miniature) ----------------------------------------------------------------------------------------


def influence(config: Config, run: Run, model: Model) -> Units:
    """How much each instruction changes, in nats, by age; and whether it does at all (`heeded`), by language.

    `forgotten` is the nats of an instruction that was just given less those of the same one given two turns ago, and
    `english_lead` how much more often one is heeded in English than in the mean of the other languages.
    """
    from papers.multi_if import miniature

    codes = config.languages or miniature.LANGUAGES
    inputs = {name: getattr(config, name) for name in ("model", "dtype", "chosen", "split", "seed")}
    found = run.once("influence", {**inputs, "codes": codes}, lambda: margins(config, model(), codes))
    units: Units = defaultdict(dict)
    by_path: dict[str, list[float]] = defaultdict(list)
    others: dict[str, list[float]] = defaultdict(list)
    for row in found["decoy" if config.decoy else "own"]:
        units[f"influence_age_{row['age']}"][row["path"]] = row["nats"]
        by_path[row["path"]].append(row["nats"])
    for where, values in by_path.items():
        code, _, rest = where.partition("/")
        heeded = fmean(value > 0 for value in values)
        units["heeded"][where] = units[f"heeded_{'latin' if code in miniature.LATIN else 'other'}"][where] = heeded
        if code == "en":
            units["heeded_english"][rest] = heeded
        else:
            others[rest].append(heeded)
    new, old = units["influence_age_0"], units["influence_age_2"]
    units["forgotten"] = {_by_kind(where): value - old[where] for where, value in new.items()}
    units["heeded_foreign"] = {rest: fmean(values) for rest, values in others.items()}
    units["english_lead"] = {
        rest: value - units["heeded_foreign"][rest]
        for rest, value in units["heeded_english"].items()
        if rest in units["heeded_foreign"]
    }
    return dict(units)


def margins(config: Config, loaded: Loaded, codes: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """Equation 6 for the oldest and the newest of three instructions.

    `own` is what the sentence does for the pair of replies that differ in what it asks for, beyond what it does for the
    pairs of the two others; `decoy` compares these two, of which the sentence says nothing. Both mean the same pairs
    however old the instruction is, so that its age alone differs.
    """
    from core.inference.chat import render
    from core.inference.scoring import score_choices
    from papers.multi_if import miniature

    contexts: list[str] = []
    choices: list[list[str]] = []
    made = list(miniature.conversations(codes, miniature.frames(config.split, config.chosen, config.seed)))
    for talk, frame in made:
        asks = [turn.ask for turn in talk.turns]
        texts = [text for kind in frame.kinds for text in miniature.pairs(talk.language, kind, frame)[frame.task]]
        for told in (asks, ["", *asks[1:]], [*asks[:2], ""]):
            messages = miniature.dialogue(talk.language, frame, told)
            contexts.append(render(loaded.tokenizer, messages, prompt=True))
            choices.append(texts)
    scores = iter(score_choices(*loaded, contexts, choices))
    found: dict[str, list[dict[str, Any]]] = {"own": [], "decoy": []}
    for talk, frame in made:
        margin = []
        for _ in range(3):
            likely = [one.log_likelihood for one in next(scores)]
            margin.append([ok - bad for ok, bad in zip(likely[::2], likely[1::2], strict=True)])
        for without, place in ((1, 0), (2, 2)):
            change = [told - left_out for told, left_out in zip(margin[0], margin[without], strict=True)]
            row = {"path": path(talk.key, frame.kinds[place]), "age": 2 - place}
            after, last = change[(place + 1) % 3], change[(place + 2) % 3]
            found["own"].append({**row, "nats": change[place] - (after + last) / 2})
            found["decoy"].append({**row, "nats": after - last})
    return found


if __name__ == "__main__":
    entrypoint(evaluate)
