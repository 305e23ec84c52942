"""Multi-IF on your own: a chat model, transcripts from elsewhere, a new language, conversations of your own.

    python -m papers.multi_if.use evaluate Qwen/Qwen2.5-0.5B-Instruct --data facebook/Multi-IF
    python -m papers.multi_if.use score transcripts.csv --data mine.csv --compat official
    python -m papers.multi_if.use selftest --words swahili.yaml
    python -m papers.multi_if.use build swahili.yaml --out swahili.csv

As a library: :func:`papers.multi_if.check` is a reward or a filter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from tyro.conf import Positional

from core.errors import UserError
from core.experiment.config import Range, Seed
from core.experiment.entrypoint import Verbs, tools
from core.experiment.trying import Try

if TYPE_CHECKING:
    from papers.multi_if.checkers import Compat
    from papers.multi_if.eval import Report
    from papers.multi_if.method import Conversation, Mode

Scope = Literal["next", "any_later"]
Row = dict[str, str | float | None]


def evaluate(
    reply: Callable[[list[list[Mapping[str, str]]]], Sequence[str]],
    talks: Sequence[Conversation],
    *,
    mode: Mode = "multi_turn",
    compat: Compat = "fixed",
    scope: Scope = "next",
) -> tuple[Report, dict[str, list[str]]]:
    """Hold the conversations and score them.

    Args:
        reply: The next turn of each dialogue, such as `Chat.load("my-model").reply`.
        talks: The conversations (`data.read`).
        mode: What stands before the last message.
        compat: The reading of the checkers.
        scope: Where a correction counts.

    Returns:
        The report, and the replies by the conversation's key.
    """
    from papers.multi_if.eval import report
    from papers.multi_if.method import converse, score

    said = converse(reply, talks, mode)
    return report(score(talks, said, compat), scope), said


# --- as a command -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Evaluate:
    """Hold conversations with a chat model: accuracy by turn and language, forgetting, correction, transcripts."""

    model: Positional[str]
    """A chat model: hub id, folder or wheel."""
    data: str = ""
    """A table with the official columns, or a hub dataset; by default conversations of the miniature."""
    languages: tuple[str, ...] = ()
    """Codes; by default all that there are."""
    words: Path | None = None
    """Another language for the miniature, as `languages.yaml` has them."""
    topics: Annotated[int, Range(1)] = 4
    """Topics of the miniature, three conversations each in every language."""
    mode: Literal["multi_turn", "merged", "oracle_history"] = "multi_turn"
    """merged asks for everything in one message; oracle_history needs the column turn_t_oracle."""
    compat: Literal["fixed", "official"] = "fixed"
    """official decides as the authors' evaluator does."""
    ecr_scope: Scope = "next"
    """Whether a correction counts at the next turn or at any later one."""
    max_new_tokens: Annotated[int, Range(1)] = 1024
    """Longest reply."""
    temperature: Annotated[float, Range(0)] = 0.0
    """0 = greedy; the authors' runner has 0.6, with top_p 0.9."""
    top_p: Annotated[float, Range(0, 1)] = 1.0
    """Sample from the smallest set of tokens with this probability."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Number format of the model."""
    seed: Seed = 0
    """Of the sampling, and of the miniature's conversations."""
    out: Path = Path("multi-if")
    """Folder for the tables and `transcripts.csv`."""


@dataclass(frozen=True, kw_only=True)
class Score:
    """Score transcripts that were made elsewhere, or again."""

    transcripts: Positional[Path]
    """Rows of `key`, `turn` (from 1) and `response`."""
    data: str
    """The conversations: a table with the official columns, or a hub dataset."""
    compat: Literal["fixed", "official"] = "fixed"
    """official decides as the authors' evaluator does."""
    ecr_scope: Scope = "next"
    """Whether a correction counts at the next turn or at any later one."""
    out: Path = Path("multi-if")
    """Folder for the tables."""


@dataclass(frozen=True, kw_only=True)
class Selftest:
    """Does every checker accept a text that follows it and refuse one that does not, in every language?"""

    words: Path | None = None
    """Other languages, as `languages.yaml` has them."""
    compat: Literal["fixed", "official"] = "fixed"
    """The reading that is tested."""


@dataclass(frozen=True, kw_only=True)
class Build:
    """Make a table of conversations in a language of your own."""

    words: Positional[Path]
    """The language, as `languages.yaml` has them."""
    topics: Annotated[int, Range(1)] = 8
    """Topics, three conversations each."""
    seed: Seed = 0
    """Draws topics, instructions and their arguments."""
    out: Path = Path("conversations.csv")
    """The table to write, in the official columns."""


def run_model(options: Evaluate) -> None:
    """Converse, score, print, write."""
    from core.inference.chat import Chat
    from core.tasks.transcripts import write_transcripts
    from papers.multi_if import checkers, data, miniature

    codes = checkers.learn(options.words) if options.words else []
    if options.data:
        oracle = options.mode == "oracle_history"
        talks = data.read(options.data, options.languages, replies=oracle, compat=options.compat)
    else:
        frames = miniature.frames("test", options.topics, options.seed)
        codes = list(options.languages) or codes or list(miniature.LANGUAGES)
        talks = [talk for talk, _ in miniature.conversations(codes, frames)]
    decoding: dict[str, Any] = {
        name: getattr(options, name) for name in ("max_new_tokens", "temperature", "top_p", "seed")
    }
    chat = Chat.load(options.model, dtype=options.dtype)
    found, said = evaluate(
        lambda dialogues: chat.reply(dialogues, **decoding), talks, mode=options.mode, compat=options.compat,
        scope=options.ecr_scope,
    )  # fmt: skip
    write_transcripts(options.out / "transcripts.csv", said)
    data.write(options.out / "conversations.csv", talks)
    show(found, options.out)


def run_score(options: Score) -> None:
    """Score, print, write."""
    from core.tasks.transcripts import complete, read_transcripts
    from papers.multi_if import data
    from papers.multi_if.eval import report
    from papers.multi_if.method import score

    said = read_transcripts(options.transcripts)
    talks = data.read(options.data, compat=options.compat)
    complete(said, [talk.key for talk in talks], options.transcripts)
    short = [talk.key for talk in talks if len(said[talk.key]) != len(talk.turns)]
    if short:
        raise UserError(f"{options.transcripts}: {short[0]!r} has {len(said[short[0]])} turns, and another number of "
                        f"them in {options.data}.")  # fmt: skip
    show(report(score(talks, said, options.compat), options.ecr_scope), options.out)


def run_selftest(options: Selftest) -> None:
    """Print a line for every verdict that is wrong."""
    from papers.multi_if import checkers, miniature

    codes = checkers.learn(options.words) if options.words else miniature.LANGUAGES
    found = miniature.selftest(codes, options.compat)
    for (kind, code, right), judged in found.items():
        if not judged:
            print(f"  {code:8} {kind:44} {'refuses what follows it' if right else 'accepts what breaks it'}")
    wrong = sum(not judged for judged in found.values())
    print(f"{options.compat}: {len(found) - wrong} of {len(found)} verdicts are right in {', '.join(codes)}.")


def run_build(options: Build) -> None:
    """Write the table."""
    from papers.multi_if import checkers, data, miniature

    codes = checkers.learn(options.words)
    talks = [talk for talk, _ in miniature.conversations(codes, miniature.frames("test", options.topics, options.seed))]
    data.write(options.out, talks)
    print(f"Wrote {len(talks)} conversations in {', '.join(codes)} to {options.out}.")


def show(found: Report, out: Path) -> None:
    """Print the tables, and write them as files."""
    from core.files import write_table

    tables: dict[str, list[Row]] = {"accuracy": [], "forgetting": [], "instructions": []}
    for (code, turn), one in found.accuracies.items():
        low, high = (None, None) if (known := found.intervals[code, turn]) is None else (known.low, known.high)
        tables["accuracy"].append({"language": code, "turn": turn, **one._asdict(), "low": low, "high": high})
    for (code, turn), after in found.forgetting.items():
        tables["forgetting"].append({"language": code, "turns": f"{turn}-{turn + 1}", **after._asdict()})
    tables["instructions"] = [
        {"instruction": kind, "not_followed": share, "verdicts": n} for kind, (share, n) in found.kinds.items()
    ]
    for name, rows in tables.items():
        if not rows:
            continue
        write_table(out / f"{name}.tsv", rows)
        print(f"\n{name}")
        for line in [[*rows[0]], *(["" if v is None else v if isinstance(v, str) else f"{v:.3g}" for v in row.values()]
                                   for row in rows)]:  # fmt: skip
            print(
                "  " + "  ".join(f"{cell:<20}" if place == 0 else f"{cell:>12.12}" for place, cell in enumerate(line))
            )
    print(f"\nWrote {out}.")


VERBS: Verbs = {
    "evaluate": (Evaluate, run_model),
    "score": (Score, run_score),
    "selftest": (Selftest, run_selftest),
    "build": (Build, run_build),
}

TRY = Try(
    command="evaluate {model} --data {data} --out {out}",
    data="conversations as a table with the columns of facebook/Multi-IF (`papers.multi_if.use build` writes one).",
    means="How many verifiable instructions the model follows at each turn and in each language, and how many of those "
    "that it followed it breaks a turn later.",
    limits="The share of conversations in which everything is followed falls with the number of instructions alone; "
    "`-- --mode merged` asks for as many in one message. What no program can check is not measured.",
    more="--max-new-tokens 256",
)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    tools("papers.multi_if.use", __doc__, VERBS, arguments)


if __name__ == "__main__":
    main()
