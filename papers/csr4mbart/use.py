"""Add code-switching restore to your own fine-tuning, make lexicons of subwords, measure how far languages are apart.

    python -m papers.csr4mbart.use lexicon en.txt vi.txt --model facebook/mbart-large-cc25 --out lexicon
    python -m papers.csr4mbart.use tune pairs.tsv --source en --target vi --model facebook/mbart-large-cc25 --out tuned
    python -m papers.csr4mbart.use distance pairs.tsv --source en --target vi --models base tuned/restored tuned/tuned

Parallel text is a .tsv, .csv or .jsonl with a column a language code. A lexicon has a source word, a
tab and a target word a line, better ones first; its words are single subwords of the model. Or it is a folder that the
first verb has made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import Positional

from core.errors import UserError
from core.experiment.config import Range, Seed
from core.experiment.entrypoint import Verbs, tools
from core.experiment.trying import Try

if TYPE_CHECKING:
    from papers.csr4mbart.lexicon import Lexicon


@dataclass(frozen=True, kw_only=True)
class Induce:
    """Make the unsupervised lexicon of two texts, for both directions, from the numbers in digits that both have."""

    source: Positional[Path]
    """Text of one language, a sentence a line."""
    target: Positional[Path]
    """Text of the other; it need not be a translation."""
    model: str
    """Whose subwords: hub id, folder or wheel."""
    gold: Path | None = None
    """A lexicon to compare with."""
    width: Annotated[int, Range(2)] = 512
    """Of a vector, at most."""
    min_count: Annotated[int, Range(1)] = 5
    """Rarer subwords get no entry."""
    out: Path = Path("lexicon")
    """A new folder for forth.tsv and back.tsv."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How long and how fast both stages are."""

    restore_steps: Annotated[int, Range(0)] = 5000
    """Of the stage; 0 leaves it out."""
    steps: Annotated[int, Range(1)] = 30_000
    """Of fine-tuning."""
    batch_size: Annotated[int, Range(1)] = 64
    """Sentences of a step."""
    learning_rate: Annotated[float, Range(0, 1)] = 3e-5
    """Of both, at its peak."""
    seed: Seed = 0
    """Order of the data, dropout and noise."""


@dataclass(frozen=True, kw_only=True)
class Tune(Settings):
    """Fine-tune an encoder-decoder on parallel text, after a stage of code-switching restore."""

    data: Positional[str]
    """Parallel text: a file with a column a language, a folder of <language>.txt, or a hub dataset."""
    source: str
    """Column to translate from."""
    target: str
    """Column to translate into."""
    model: str
    """Hub id, folder or wheel of an encoder-decoder."""
    lexicon: Path | None = None
    """A file, for both directions, or a folder with one for each; left out, it is made from the parallel text."""
    out: Path = Path("tuned")
    """A folder for `restored` and `tuned`, which `from_pretrained` reads; the same command goes on where it stopped."""


@dataclass(frozen=True, kw_only=True)
class Distance:
    """Compare models: how far are sentences from their translations in the encoder?"""

    data: Positional[str]
    """Parallel text: a file with a column a language, a folder of <language>.txt, or a hub dataset."""
    source: str
    """A column."""
    target: str
    """Another one."""
    models: tuple[str, ...]
    """Hub ids or folders; all are compared with the first."""
    rows: Annotated[int, Range(2)] = 2000
    """Sentences, the first ones; among n there are n^2 / 2 distances."""


def tune_pairs(
    model: Any, tokenizer: Any, rows: Sequence[Mapping[str, str]], source: str, target: str, lexicon: Lexicon | None,
    options: Settings, path: Path,
) -> dict[str, tuple[float, ...]]:  # fmt: skip
    """Train the model, in place, in both stages; what was stopped goes on with the same folder and options.

    Args:
        model: An encoder-decoder.
        tokenizer: Its tokenizer.
        rows: Parallel text, `{code: text}`.
        source: Code of the language to translate from.
        target: Code of the language to translate into.
        lexicon: Of the two languages, in this order; None masks what would be replaced.
        options: Steps, rates and seed.
        path: Where checkpoints, while it trains, and the restored model are kept.

    Returns:
        Loss of every step, by stage: `restore`, `tune`.

    Raises:
        UserError: A text without a subword, or one that the tokenizer cannot mask.
    """
    from core.experiment.run import Run
    from core.files import remove
    from core.inference.seq2seq import positions
    from core.training import seq2seq
    from core.training.config import TrainingConfig
    from core.training.fit import save_pretrained
    from papers.csr4mbart import data, method

    def settings(steps: int) -> TrainingConfig:
        return TrainingConfig(
            steps=steps, batch_size=options.batch_size, learning_rate=options.learning_rate, warmup=0.08, beta2=0.98,
            epsilon=1e-6, schedule="linear", save_every=min(5000, steps), keep_checkpoints=1,
        )  # fmt: skip

    run, losses = Run(path, "csr4mbart", options, path / "stages"), {}
    pairs = data.pairs(tokenizer, rows, [(source, target)], positions(model) // 2)
    translations = data.translations(pairs)
    bucket = len(rows) >= 8 * options.batch_size  # of fewer, batches of like lengths would always be the same ones
    common: dict[str, Any] = {"pad": tokenizer.pad_token_id, "smoothing": 0.2}
    if options.restore_steps:
        noisers = data.noisers(tokenizer, {(source, target): lexicon})
        # Where the second stage was stopped, this one is done, and only reads its last checkpoint.
        stage = settings(options.restore_steps)
        pairs, stage = data.like_lengths(pairs, stage, options.seed) if bucket else (pairs, stage)
        losses["restore"] = method.restore(model, pairs, noisers, stage, run, options.seed, **common).losses
        save_pretrained(model, path / "restored", tokenizer)
    stage = settings(options.steps)
    losses["tune"] = seq2seq.train(model, translations, stage, run, options.seed, bucket=bucket, **common).losses
    remove(run.checkpoints)
    model.eval()
    return losses


def language_distance(
    model: Any, tokenizer: Any, rows: Sequence[Mapping[str, str]], source: str, target: str
) -> list[float]:
    """Distance of each sentence from its translation in the encoder, over the mean distance within a language."""
    from papers.csr4mbart import data, method

    if len(rows) < 2:
        raise UserError("One sentence has no distance from others: give two rows or more.")
    one, other = (data.encoded(model, tokenizer, [row[code] for row in rows], code) for code in (source, target))
    return (method.distances(one, other) / method.spread(one, other)).tolist()


# --- the command line -------------------------------------------------------------------------------------------------


def _parallel(options: Tune | Distance) -> list[dict[str, str]]:
    from core.corpora import read_parallel

    if options.source == options.target:
        raise UserError(f"--source and --target are both {options.source!r}: name two columns.")
    return [dict(row) for row in read_parallel(options.data, [options.source, options.target])]


def lexicon(options: Induce) -> None:
    """Write both tables, and how many words of a gold file they have."""
    from core.files import build_folder, read_lines
    from core.models.loading import load_tokenizer
    from papers.csr4mbart import data
    from papers.csr4mbart.lexicon import NONE

    if options.out.exists():
        raise UserError(f"{options.out} is there already: choose another folder with --out.")
    texts = [[line for line in read_lines(path) if line.strip()] for path in (options.source, options.target)]
    tokenizer = load_tokenizer(options.model)
    gold = data.read_lexicon(tokenizer, options.gold, 1) if options.gold else None
    found = data.build_lexicon(tokenizer, *texts, width=options.width, min_count=options.min_count)
    build_folder(options.out, lambda folder: data.write_lexicon(folder, tokenizer, found))
    print(f"  {(found.forth[:, 0] != NONE).sum():,} and {(found.back[:, 0] != NONE).sum():,} subwords with entries")
    if gold:
        print(f"  {data.precision(found, gold):.3f} of those of {options.gold} have its word among theirs")
    print(f"Wrote {options.out}.")


def tune(options: Tune) -> None:
    """Write the restored and the fine-tuned model."""
    from core.experiment.run import Run
    from core.models.loading import load
    from core.training.fit import save_pretrained
    from papers.csr4mbart import data

    rows = _parallel(options)
    run = Run(options.out, "csr4mbart", replace(options, out=Path()), options.out / "stages")  # wherever it lies
    if (options.out / "tuned").exists() or run.holds_another():
        raise UserError(f"{options.out} is there already: choose another folder with --out.")
    run.open()
    model, tokenizer = load(options.model, task="seq2seq", dtype="float32")
    found = None
    if options.restore_steps:
        columns = [[row[code] for row in rows] for code in (options.source, options.target)]
        file = options.lexicon
        found = data.read_lexicon(tokenizer, file) if file else data.build_lexicon(tokenizer, *columns)
    done = tune_pairs(model, tokenizer, rows, options.source, options.target, found, options, options.out)
    save_pretrained(model, options.out / "tuned", tokenizer)
    for name, losses in done.items():
        print(f"  {name:8} loss {losses[0]:.3f} at first, {losses[-1]:.3f} at last, {len(losses):,} steps")
    print(f"Wrote {options.out}.")


def distance(options: Distance) -> None:
    """Print the mean of each model, and its difference from the first with an interval over sentences."""
    from core.metrics import stats
    from core.models.loading import load

    rows = _parallel(options)[: options.rows]
    first: dict[str, float] = {}
    for spec in options.models:
        found = language_distance(*load(spec, task="seq2seq"), rows, options.source, options.target)
        here = {str(number): value for number, value in enumerate(found)}
        line = f"  {spec:30} {sum(found) / len(found):.3f}"
        if first:
            line += f"   {stats.compare({0: here}, {0: first}).interval:+.3f} from {options.models[0]}"
        first = first or here
        print(line)


VERBS: Verbs = {"lexicon": (Induce, lexicon), "tune": (Tune, tune), "distance": (Distance, distance)}

TRY = Try(
    command="distance {data} --source en --target {language} --models {model}",
    data="pairs of sentences, with a column `en` and one of your language.",
    means="How far apart the model puts sentences and their translations, against sentences that are none.",
    limits="Closer is not better translated: measure translations too, after fine-tuning with and without the stage.",
)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    tools("papers.csr4mbart.use", __doc__, VERBS, arguments)


if __name__ == "__main__":
    main()
