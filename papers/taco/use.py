"""TaCo on your own data: build training records, score model outputs, ask a tuned model.

python -m papers.taco.use build --language Nepali --english alpaca_en.jsonl --translated alpaca_ne.jsonl
python -m papers.taco.use score --language Nepali --outputs outputs.jsonl --references taco-Nepali.jsonl
echo "सात जोड चार कति हुन्छ ?" | python -m papers.taco.use ask --model runs/nepali/artifact/Nepali
python -m papers.taco.use benchmark --model runs/nepali/artifact/Nepali --questions en.jsonl --translated ne.xlsx
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from core.errors import UserError
from core.experiment.entrypoint import Verbs, show, tools
from core.experiment.trying import Try
from core.tasks import instructions, judging


@dataclass(frozen=True)
class Build:
    """Turn English instruction rows and their translation into TaCo JSONL."""

    language: str
    """English name of the target language, as it will stand in the labels."""
    english: str
    """JSONL with instruction, output, and optionally input and id; or hub:alpaca/English, hub:dolly/English."""
    translated: str
    """The same rows in the target language, or hub:alpaca/<language> (132 languages; with --align order)."""
    align: Literal["id", "order"] = "id"
    """Join the two files on id, or line by line."""
    out: Path = Path("taco.jsonl")
    """File to write."""


@dataclass(frozen=True)
class Score:
    """Say how often each step of the outputs of any model succeeds: understanding, answering, translating back."""

    language: str
    """English name of the target language."""
    outputs: str
    """JSONL with id and output."""
    references: str
    """TaCo JSONL of `build`, joined on id."""
    measure: Literal["chrf", "exact"] = "chrf"
    """How a section is compared with its reference; a step counts as right from a chrF of 0.5 on."""


@dataclass(frozen=True)
class Ask:
    """Ask a tuned model instructions on standard input, one a line; only its final answers are shown."""

    model: str
    """A language's folder inside a run's artifact folder."""


def build(options: Build) -> None:
    """Write TaCo JSONL and say what was dropped."""
    from core.files import write_rows
    from papers.taco import data

    english, translated = instructions.read(options.english), instructions.read(options.translated)
    instructions.check_translation(translated, english, options.language)
    built = data.build_taco_records(english, translated, options.language, align=options.align)
    if not built.records:
        raise UserError(f"No record is left ({built.dropped}): check that the two files correspond.")
    write_rows(options.out, built.records)
    dropped = ", ".join(f"{count} {reason}" for reason, count in built.dropped.items()) or "none"
    print(f"{options.out}: {len(built.records)} records (dropped: {dropped})")


def score(options: Score) -> None:
    """Print the report of :func:`papers.taco.eval.diagnose`."""
    from core import corpora
    from papers.taco import method
    from papers.taco.eval import MEASURES, diagnose

    outputs = corpora.read_jsonl(options.outputs, required={"id": object, "output": str})
    records = instructions.read_records(options.references, options.language, method.PARTS["taco"])
    references = {record["id"]: record for record in records}
    if missing := [str(row["id"]) for row in outputs if str(row["id"]) not in references]:
        raise UserError(f"{options.references} has no record {missing[0]!r}: outputs and records are joined on `id`.")
    answers = [method.parse_chain(row["output"], options.language) for row in outputs]
    wanted = [references[str(row["id"])] for row in outputs]
    show(diagnose(answers, wanted, "taco", *MEASURES[options.measure])._asdict())


def ask(options: Ask) -> None:
    """Print the final answers; an empty line, and one whose chain is cut, gets an empty line.

    Raises:
        UserError: There is no instruction, or, when all the others have been answered, a chain was cut.
    """
    from core.files import standard_input
    from papers.taco.pipeline import TacoPipeline

    prompts = standard_input()
    asked = [prompt for prompt in prompts if prompt.strip()]
    if not asked:
        raise UserError("There is no instruction: give one a line on standard input.")
    pipeline = TacoPipeline.load(options.model)
    outputs = pipeline.write([{"instruction": prompt} for prompt in asked])
    answers = dict(zip(asked, pipeline.parse(outputs), strict=True))
    for prompt in prompts:
        print(answers[prompt].final if prompt in answers else "")
    if cut := [prompt for prompt in asked if not answers[prompt].ok]:
        raise UserError(
            f"The model did not reach its final answer to {len(cut)} of {len(asked)} instructions, the first of them "
            f"{cut[0]!r}: tune it for longer, or give it more room (--max-new-tokens of papers.taco.train)."
        )


def benchmark(options: judging.Benchmark) -> None:
    """Ask a tuned model the questions; write answers and requests to the judge, print what can be measured."""
    from papers.taco.pipeline import TacoPipeline

    asked = options.asked()
    pipeline = TacoPipeline.load(options.model)
    outputs = pipeline.write(asked)
    final = [answer.final for answer in pipeline.parse(outputs)]
    show(judging.report(options, asked, outputs, final, pipeline.lang_name))


VERBS: Verbs = {
    "build": (Build, build),
    "score": (Score, score),
    "ask": (Ask, ask),
    "benchmark": (judging.Benchmark, benchmark),
}

TRY = Try(
    command="build --language {language} --english {data} --out {out}/chains.jsonl",
    data="English instructions with responses as JSON lines; their translations come with `-- --translated "
    "rows.jsonl`.",
    means="Training rows whose answers go through English, checked step by step.",
    limits="The chain is no better than its translations: score a tuned model on both steps.",
    more="--translated rows.jsonl",
)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command; the user's mistakes end with one sentence and exit code 2."""
    tools("papers.taco.use", __doc__, VERBS, arguments)


if __name__ == "__main__":
    main()
