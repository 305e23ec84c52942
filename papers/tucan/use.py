"""TUCAN on your own functions: build training and evaluation data, score the answers of any model or API.

    python -m papers.tucan.use build --tools tools.json --templates bg.yaml --count 500 --out train.jsonl
    python -m papers.tucan.use build --tools tools.json --templates bg.yaml --part test --count 60 --out test.jsonl
    python -m papers.tucan.use score --items test.jsonl --answers answers.jsonl

No torch is needed. As a library: :func:`papers.tucan.build_dataset`, :func:`papers.tucan.grade`,
:func:`papers.tucan.evaluate`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from core.corpora import read_rows
from core.errors import UserError
from core.experiment.config import Range, Seed
from core.experiment.entrypoint import Verbs, tools
from core.experiment.trying import Try
from core.files import write_rows
from core.worlds.base import Part
from papers.tucan import data, grader, method
from papers.tucan.config import PromptConfig
from papers.tucan.eval import print_report, wrong_items

LONG = PromptConfig(wording="long")


@dataclass(frozen=True)
class Build:
    """Write items with their chat form: what training reads, and what scoring reads."""

    tools: str = ""
    """Functions: a JSON list of plain JSON Schema, of OpenAI's form or of an MCP server's tools. Empty: ours."""
    templates: tuple[str, ...] = ()
    """Request templates, one YAML file a language (see bg.yaml). Empty: ours."""
    count: Annotated[int, Range(1)] = 500
    """Items in all languages together."""
    part: Part = "train"
    """Whose wordings and values are used: parts share none."""
    balanced: bool = False
    """All six scenarios alike, as in a test; otherwise as in training."""
    seed: Seed = 0
    """Of the draws."""
    prompt: PromptConfig = LONG
    """Wording of the user turn."""
    out: Path = Path("items.jsonl")
    """File to write."""


@dataclass(frozen=True)
class Score:
    """Label answers, validate their arguments, and say which scenarios fail."""

    items: str
    """JSON or JSONL file of items."""
    answers: str
    """JSONL with `id` and `response`."""
    prompt: PromptConfig = LONG
    """Its tags say what a call looks like."""
    out: Path | None = None
    """Where the wrong items go."""


def build(options: Build) -> None:
    """Generate items and say what they are."""
    catalogue = data.load_catalogue(options.tools, options.templates)
    drawn: Any = {"languages": tuple(catalogue.tools), "part": options.part, "seed": options.seed}
    mix = method.BALANCED if options.balanced else method.MIX
    items = data.build_dataset(catalogue, options.count, mix=mix, **drawn)
    prompt, _ = data.load_prompt(options.prompt, catalogue.tools)
    write_rows(options.out, [{**item, "messages": method.conversation(item, prompt)} for item in items])
    counts = {scenario: sum(item["scenario_type"] == scenario for item in items) for scenario in method.SCENARIOS}
    print(f"{options.out}: {len(items)} items ({', '.join(f'{n} {name}' for name, n in counts.items() if n)})")


def score(options: Score) -> None:
    """Grade and print the diagnosis."""
    items = data.read_items(options.items)
    given: dict[str, Any] = {str(row.get("id")): row.get("response") for row in read_rows(options.answers)}
    if missing := [item["id"] for item in items if not isinstance(given.get(item["id"]), str)]:
        raise UserError(f"{options.answers} has no response for {missing[0]!r}: items and answers are joined on `id`.")
    tags = data.load_prompt(options.prompt)[0].tags
    report = grader.score(items, [given[item["id"]] for item in items], tags)
    print_report(report)
    if options.out:
        write_rows(options.out, wrong_items(items, report))


VERBS: Verbs = {"build": (Build, build), "score": (Score, score)}

TRY = Try(
    command="build --tools {data} --out {out}/items.jsonl",
    data="functions as a list of JSON Schemas, or the `tools` that an MCP server lists.",
    means="Requests, and the calls or refusals that they ask for, from your functions: to train and to score with.",
    limits="Items are made from templates: real users ask otherwise. Score real requests too.",
)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command; the user's mistakes end with one sentence and exit code 2."""
    tools("papers.tucan.use", __doc__, VERBS, arguments)


if __name__ == "__main__":
    main()
