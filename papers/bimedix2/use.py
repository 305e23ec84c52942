"""BiMediX2 on your own: ask about pictures, grade answers relative to references, score visual questions.

    python -m papers.bimedix2.use ask runs/mine "What is this?" --image scan.png
    python -m papers.bimedix2.use bench questions.jsonl --model runs/mine --images pictures --language ar
    python -m papers.bimedix2.use score predictions.jsonl

Training on your own conversations is `python -m papers.bimedix2.train paper` with files of yours; see the page.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Annotated, Any, Literal

from tyro.conf import Positional

from core.errors import UserError
from core.experiment.config import Range
from core.experiment.entrypoint import Verbs, show, tools
from core.experiment.trying import Try

if TYPE_CHECKING:
    from papers.bimedix2.data import Question

DOMAINS = ("chest_xray", "mri", "histology", "gross", "ct_scan")
# The judge's instruction of BiMed-MBench: for Arabic with a deduction.
_GRADE = (
    "Two AI assistants have answered a user's question about an image, which is represented here by its caption and "
    "by what its article says of it. Rate the helpfulness, relevance, accuracy and level of detail of both answers on "
    "a scale of 1 to 10.{deduct} First write a single line with nothing but the two grades, of assistant 1 and 2, "
    "separated by a space. Then explain them; the order of the answers must not matter."
)
_DEDUCT = {"en": "", "ar": " Deduct from the grade of an answer that is not in Modern Standard Arabic."}


@dataclass(frozen=True)
class Ask:
    """Ask a tuned assistant; several questions are turns of one conversation."""

    run: Positional[Path]
    """Run directory of a training."""
    questions: Positional[tuple[str, ...]]
    """In either language."""
    image: Path | None = None
    """The picture that they are about."""
    max_new_tokens: Annotated[int, Range(1)] = 256
    """Longest answer."""


@dataclass(frozen=True)
class Bench:
    """BiMed-MBench: answers and requests to a judge; with its replies the relative scores."""

    questions: Positional[Path]
    """JSONL in the form of LLaVA-Med's and BiMed-MBench's files."""
    model: Path | None = None
    """Run directory of a training, which answers; without, `answers` does."""
    answers: Path | None = None
    """JSONL with question_id and text: answers of any model."""
    images: Path = Path()
    """Folder of the pictures."""
    language: Literal["en", "ar"] = "en"
    """Of the questions; in Arabic the judge deducts for another language."""
    judge: str = "gpt-4o-2024-08-06"
    """Model that the requests name (the authors')."""
    replies: Path | None = None
    """The judge's replies, JSONL with id and judgement."""
    max_new_tokens: Annotated[int, Range(1)] = 1024
    """Longest answer."""
    out: Path = Path("bench")
    """Folder for answers and requests."""


@dataclass(frozen=True)
class Score:
    """Metrics of visual questions, by language."""

    predictions: Positional[Path]
    """Rows with question, answer (the right one), prediction, and perhaps answer_type and lang."""


def ask(options: Ask) -> None:
    """Print every answer.

    Raises:
        UserError: There is no question.
    """
    from papers.bimedix2.method import PLACEHOLDER
    from papers.bimedix2.model import Assistant

    if not options.questions:
        raise UserError("There is nothing to answer: write at least one question.")
    assistant, turns = Assistant.load(options.run / "artifact"), list[dict[str, str]]()
    for number, question in enumerate(options.questions):
        seen = f"{PLACEHOLDER}\n" if options.image and not number else ""
        turns.append({"role": "user", "content": seen + question})
        (answer,) = assistant.reply([turns], [options.image], max_new_tokens=options.max_new_tokens)
        turns.append({"role": "assistant", "content": answer})
        print(answer)


def bench(options: Bench) -> None:
    """Write `answers.jsonl` and `judge_requests.jsonl`; print scores where there are replies.

    Raises:
        UserError: Nobody answers, or an answer or a reply is missing.
    """
    from core.corpora import read_jsonl
    from core.files import write_rows
    from papers.bimedix2.eval import answers
    from papers.bimedix2.model import Assistant

    needed = {"question_id": object, "text": str, "image": str, "gpt4_answer": str, "fig_caption": str, "domain": dict}
    rows = read_jsonl(options.questions, required=needed | {"type": str})
    asked = [question_of(row, options.images, options.language) for row in rows]
    if options.answers:
        given = read_jsonl(options.answers, required={"question_id": object, "text": str})
        said = {str(row["question_id"]): row["text"] for row in given}
    elif options.model:
        texts = answers(Assistant.load(options.model / "artifact"), asked, options.max_new_tokens)
        said = {question.id: text for question, text in zip(asked, texts, strict=True)}
    else:
        raise UserError("Nobody answers: give --model, or --answers of another one.")
    if lost := [question.id for question in asked if question.id not in said]:
        raise UserError(f"Question {lost[0]} has no answer: answers are joined on question_id.")
    found = [{"question_id": row["question_id"], "text": said[str(row["question_id"])]} for row in rows]
    write_rows(options.out / "answers.jsonl", found)
    requests = [request(row, said[str(row["question_id"])], options) for row in rows]
    write_rows(options.out / "judge_requests.jsonl", requests)
    print(f"{len(rows)} answers and requests: {options.out}")
    if options.replies:
        replies = read_jsonl(options.replies, required={"id": object, "judgement": str})
        show(summary(rows, {str(row["id"]): row["judgement"] for row in replies}))


def question_of(row: Mapping[str, Any], images: Path, language: str) -> Question:
    """A row of the benchmark as a question to the assistant."""
    from papers.bimedix2.data import Question
    from papers.bimedix2.method import PLACEHOLDER

    text = row["text"].replace(PLACEHOLDER, "").strip()
    return Question(str(row["question_id"]), images / row["image"], text, row["gpt4_answer"], language, closed=False)


def request(row: Mapping[str, Any], answer: str, options: Bench) -> dict[str, Any]:
    """One line of a batch file for a chat endpoint."""
    mentions = row.get("in_text_mention") or []
    context = " ".join(m["tokens"] if isinstance(m, Mapping) else str(m) for m in mentions)
    parts = {
        "Figure caption": f"{row.get('fig_label', '')} {row['fig_caption']}", "Figure context": context,
        "Question": row["text"], "Assistant 1": row["gpt4_answer"], "Assistant 2": answer,
        "Your task": _GRADE.format(deduct=_DEDUCT[options.language]),
    }  # fmt: skip
    content = "\n\n".join(f"[{name}]\n{text}" for name, text in parts.items())
    body = {"model": options.judge, "temperature": 0, "messages": [{"role": "user", "content": content}]}
    return {"custom_id": str(row["question_id"]), "method": "POST", "url": "/v1/chat/completions", "body": body}


def summary(rows: Sequence[Mapping[str, Any]], replies: Mapping[str, str]) -> dict[str, float]:
    """Relative score by type, domain (the first that a question has) and overall, and how many verdicts failed.

    Raises:
        UserError: A question has no reply, or no reply has a verdict.
    """
    from papers.bimedix2.eval import relative_scores

    groups: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        if (key := str(row["question_id"])) not in replies:
            raise UserError(f"Question {key} has no reply: ask the judge again.")
        domain = next((name for name in DOMAINS if row["domain"].get(name)), "other")
        for group in (row["type"], domain, "overall"):
            groups[group].append(replies[key])
    found = {}
    for group, some in groups.items():
        try:
            found[group] = relative_scores(some)
        except ValueError:
            raise UserError(f"No reply about {group} has two grades in its first line: ask the judge again.") from None
    return {name: one.relative for name, one in found.items()} | {"failed": float(found["overall"].failed)}


def score(options: Score) -> None:
    """Print closed accuracy, open recall, F1 and BLEU-1 by language."""
    from core.corpora import adapted, read_rows
    from papers.bimedix2 import eval as scoring
    from papers.bimedix2.data import question_of

    def pair(row: Mapping[str, Any], number: int) -> tuple[Question, str]:
        if row.get("prediction") is None:
            raise UserError("A row needs `prediction`; one without an answer has an empty text.")
        return question_of({**row, "image": ""}, number), str(row["prediction"])

    asked, said = zip(*adapted(options.predictions, read_rows(options.predictions), pair), strict=True)
    found = scoring.score(asked, said)
    show({name: fmean(values.values()) for name, values in found.items()} | scoring.corpus_scores(asked, said))


VERBS: Verbs = {"ask": (Ask, ask), "bench": (Bench, bench), "score": (Score, score)}

TRY = Try(
    command="score {data}",
    data="predictions as JSON lines: question, reference, prediction, and whether the question is closed.",
    means="Accuracy of closed questions, recall and token F1 of open ones, by language.",
    limits="Words shared with a reference; nothing about medical use.",
)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    tools("papers.bimedix2.use", __doc__, VERBS, arguments)


if __name__ == "__main__":
    main()
