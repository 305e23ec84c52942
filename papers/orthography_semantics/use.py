"""Your own words: probe a model, build items for a new pair, screen a lexicon, compare two models on the same items.

    python -m papers.orthography_semantics.use build words.tsv --language sw --out items.jsonl
    python -m papers.orthography_semantics.use probe items.jsonl --model my-model
    python -m papers.orthography_semantics.use screen items.jsonl --model my-model --out screened.tsv
    python -m papers.orthography_semantics.use compare items.jsonl --model my-model --against other-model

Models are language models; with `--encoder` they are encoders of sentences. `words.tsv` has `english`, `english_gloss`,
`word` and `gloss`, in English. As a library: :func:`papers.orthography_semantics.probe` with any function from contexts
and choices to how well these fit, such as log-likelihoods.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

from tyro.conf import Positional

from core.errors import UserError
from core.experiment.config import Range, Seed
from core.experiment.entrypoint import Verbs, tools
from core.experiment.trying import Try
from papers.orthography_semantics import data, eval, method
from papers.orthography_semantics.config import Config
from papers.orthography_semantics.method import Fits, Item

if TYPE_CHECKING:
    from core.metrics.intervals import Interval

_MINILM = "wheel:minilm"


class Row(NamedTuple):
    """Shares of right answers of one kind: of labels, of meanings of the other and of the English word."""

    kind: str
    pairs: int
    label: Interval
    word: Interval
    english: Interval


def probe(
    items: Sequence[Item], fits: Fits, *, shown: Sequence[Item] = (), encoder: bool = False, k: int = 0, seed: int = 0
) -> eval.Scores:
    """Tasks 1 and 2 for items with wrong definitions.

    Args:
        items: What is asked; the mean of equation 1 is over them where nothing is shown.
        fits: Any model, as a function from contexts and choices to log-likelihoods, or to cosines of an encoder.
        shown: What demonstrations are drawn from.
        encoder: Task 1 is the cosine of both words, not a label behind a prompt.
        k: Demonstrations of each kind.
        seed: Of the demonstrations; takes the wording.

    Raises:
        UserError: An encoder has no prompt to show demonstrations in.
    """
    if k and encoder:
        raise UserError("k shows labelled pairs in a prompt, and an encoder has no prompt: drop --k or --encoder.")
    answer: Literal["cosine", "likelihood"] = "cosine" if encoder else "likelihood"
    config = Config(k=k, seed=seed, answer=answer, tasks=("label", "word", "english"))
    return eval.scored(config, fits, items, shown or items)


@dataclass(frozen=True, kw_only=True)
class Build:
    """Kinds, wrong definitions and a split for lists of words with glosses."""

    words: Positional[str]
    """Rows with `english`, `english_gloss`, `word` and `gloss` (English): a file or a hub dataset."""
    language: str
    """Code or name of the other language."""
    form: Annotated[float, Range(0, 1)] = 0.55
    """Forms from this likeness on are alike."""
    meaning: Annotated[float, Range(0, 1)] = 0.6
    """Glosses from this cosine on say the same."""
    encoder: str = _MINILM
    """Compares glosses: hub id, folder or wheel."""
    out: Path = Path("items.jsonl")
    """File to write."""


@dataclass(frozen=True, kw_only=True)
class Probe:
    """What does a model take the words for? A table by kind, with intervals, and how far it follows form."""

    items: Positional[str]
    """Items (`build`), a table in the same columns, or one of the authors'."""
    model: str
    """A language model, or an encoder: hub id, folder or wheel."""
    encoder: bool = False
    """The model is an encoder of sentences, asked by cosine."""
    negatives: str = _MINILM
    """Encoder that chooses wrong definitions where the file has none."""
    k: Annotated[int, Range(0)] = 0
    """Demonstrations of each kind, taken from the items and not asked."""
    seed: Seed = 0
    """Of the demonstrations; takes the wording."""


@dataclass(frozen=True, kw_only=True)
class Screen(Probe):
    """Rank a lexicon by how surely the model takes a word for what it looks like."""

    out: Path = Path("screened.tsv")
    """Every item with its margins, the worst first."""


@dataclass(frozen=True, kw_only=True)
class Compare(Probe):
    """Two models on the same items, paired."""

    against: str
    """The other model."""


def build(options: Build) -> None:
    """Write items and say how many there are of each kind."""
    from core.corpora import adapted, read_rows

    def words(row: Mapping[str, Any], _: int) -> tuple[str, str, str, str]:
        found = [" ".join(str(row.get(name) or "").split()) for name in ("english", "english_gloss", "word", "gloss")]
        if not all(found):
            raise UserError("every row needs english, english_gloss, word and gloss.")
        return found[0], found[1], found[2], found[3]

    rows = list(adapted(options.words, read_rows(options.words), words))
    encode = data.encoder(options.encoder)
    items = data.typed(rows, options.language, encode, form=options.form, meaning=options.meaning)
    data.write_items(options.out, method.with_negatives(items, encode))
    counts = {kind: sum(one.kind == kind for one in items) for kind in data.KINDS}
    print(f"{options.out}: {len(items)} pairs ({', '.join(f'{n} {kind}' for kind, n in counts.items() if n)})")


def probe_command(options: Probe) -> None:
    """Print the table."""
    asked, scores = _scores(options, options.model)
    print(f"{options.model}, {len(asked)} pairs; shares right with 95 % intervals over pairs (guessing: .5)")
    print(f"  {'kind':12} {'pairs':>5}  {'same meaning?':21} {'the word':21} {'the English word':21}")
    for row in table(asked, scores):
        cells = "  ".join(f"{one:.2f}  " for one in row[2:])
        print(f"  {row.kind:12} {row.pairs:5}  {cells}")
    if {"cognate", "false"} <= {one.kind for one in asked}:
        form, unit = eval.form(asked, scores), "in cosine" if options.encoder else "nats"
        print(
            f"  form: {form['form_slope']:+.2f} {unit} from unlike to identical forms, "
            f"d' {form['d_prime']:+.2f} (0: form alone)"
        )


def table(asked: Sequence[Item], scores: eval.Scores) -> list[Row]:
    """A row for each kind that there is."""
    import numpy as np

    from core.metrics.agreement import bootstrap
    from core.metrics.intervals import unknown

    def share(values: Sequence[bool]) -> Interval:
        numbers = np.array(values, dtype=float)
        if len(numbers) < 2:
            return unknown(float(numbers.mean()), "one pair", 0.95)
        return bootstrap(lambda rows: float(numbers[rows].mean()), len(numbers), draws=2000)

    found = []
    for kind in data.KINDS:
        own = [(one.kind, one.key) for one in asked if one.kind == kind]
        if own:
            right = [(scores.truth[key] > 0) == method.SAME_MEANING[kind] for key in own]
            meant = [[side[key] > 0 for key in own] for side in (scores.word, scores.english)]
            found.append(Row(kind, len(own), share(right), *map(share, meant)))
    return found


def screen(options: Screen) -> None:
    """Write every item with its margins."""
    from core.files import write_table

    asked, scores = _scores(options, options.model)
    rows: list[dict[str, str | float | None]] = [
        {"language": one.language, "kind": one.kind, "english": one.english, "word": one.word, "gloss": one.gloss,
         "taken_for": one.negative if scores.word[one.kind, one.key] <= 0 else one.gloss,
         "margin": scores.word[one.kind, one.key], "same_meaning": scores.truth[one.kind, one.key]}
        for one in sorted(asked, key=lambda one: scores.word[one.kind, one.key])
    ]  # fmt: skip
    write_table(options.out, rows)
    wrong = sum(float(str(row["margin"])) <= 0 for row in rows)
    print(f"{options.out}: {wrong} of {len(rows)} words are taken for something else; the surest come first.")


def compare(options: Compare) -> None:
    """Print the differences."""
    from core.metrics.stats import compare as paired

    (asked, first), (_, second) = (_scores(options, model) for model in (options.model, options.against))
    print(f"{options.model} less {options.against}, {len(asked)} pairs, 95 % intervals over pairs")
    for kind in data.KINDS:
        keys = [(one.kind, one.key) for one in asked if one.kind == kind]
        if len(keys) < 2:
            continue
        cells = []
        for name in ("truth", "word", "english"):
            wanted = name != "truth" or method.SAME_MEANING[kind]
            sides = [
                {0: {key: float((getattr(scores, name)[kind, key] > 0) == wanted) for _, key in keys}}
                for scores in (first, second)
            ]
            cells.append(f"{paired(sides[0], sides[1], depth=2).interval:+.2f}")
        print(f"  {kind:12} label {cells[0]}   word {cells[1]}   English {cells[2]}")


def _scores(options: Probe, model: str) -> tuple[list[Item], eval.Scores]:
    """Items with wrong definitions, without those that are shown, and what a model makes of them."""
    items = data.read_items(options.items)
    if not all(one.negative and one.english_negative for one in items):
        items = method.with_negatives(items, data.encoder(options.negatives))
    shown = list[Item]()
    if options.k:
        kinds = [kind for kind in ("false", "cognate") if any(one.kind == kind for one in items)]
        shown = [one for kind in kinds for one in [i for i in items if i.kind == kind][: 2 * options.k]]
    asked = [one for one in items if one not in shown]
    if not asked:
        raise UserError(f"{options.items}: all {len(items)} pairs are shown as demonstrations; lower --k.")
    fits = (eval.cosines if options.encoder else eval.likelihoods)(model)
    return asked, probe(asked, fits, shown=shown, encoder=options.encoder, k=options.k, seed=options.seed)


VERBS: Verbs = {
    "probe": (Probe, probe_command), "build": (Build, build), "screen": (Screen, screen), "compare": (Compare, compare),
}  # fmt: skip

TRY = Try(
    command="probe {data} --model {model}",
    data="pairs of words with glosses: language, kind, english, english_gloss, word and gloss.",
    means="Whether this model gives words of your language their own meaning, or that of the English word that they "
    "look like, and whether it tells cognates from false friends.",
    limits="Definitions are compared, nothing is written: a model that knows a word may still use it wrongly. Kinds "
    "with few pairs have wide intervals.",
)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    tools("papers.orthography_semantics.use", __doc__, VERBS, arguments)


if __name__ == "__main__":
    main()
