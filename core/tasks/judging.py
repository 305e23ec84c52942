"""Answers graded by a judge model: questions, requests for a batch endpoint, ratings and their averages.

    asked = questions("vicuna.jsonl", "Nepali.xlsx")          # English questions and their translations, joined on id
    request = judge_request(question, answer, "1", "gpt-4")   # one line of a batch file for a chat endpoint
    means = aggregate(ratings(answers, "replies.jsonl"))      # mean grade by category, and over all items
    metrics = report(options, asked, outputs, answers, "Nepali")    # all of it: a verb with the options `Benchmark`

    replies = judge_of("meta-llama/Llama-3.3-70B-Instruct")({"17": "Do the two answers agree? ..."})  # {"17": "No."}
    replies = judge_of("replies.jsonl")(prompts)              # what another judge replied to `write_requests`' prompts

A judge's text is data: its verdict is read from a fixed form and from nowhere else.
"""

from __future__ import annotations

import re
import warnings
import xml.etree.ElementTree as ElementTree
import zipfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from core import corpora
from core.errors import UserError
from core.files import format_of, write_rows

_RATING = re.compile(r"\[\[\s*(\d+(?:\.\d+)?)\s*\]\]")
_SHEET = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
# Ours, in the manner of single-answer grading of MT-Bench: the criteria and the form of the verdict.
GRADING = (
    "You grade the answer of an assistant to a user's question. Consider helpfulness, relevance, accuracy, depth, "
    "creativity and level of detail. Explain your view briefly and be objective. Then give a grade from 1 to 10 in "
    "exactly this form: Rating: [[grade]]"
)

Judge = Callable[[Mapping[str, str]], dict[str, str]]
"""From prompts to replies, by key; none is left out."""


@dataclass(frozen=True)
class Benchmark:
    """Answer a benchmark without references: the answers, requests to a judge and, with its replies, the grades."""

    model: str
    """Folder of the tuned model."""
    questions: str
    """In English: JSONL with question_id, category and turns (Vicuna's benchmark, MT-Bench)."""
    translated: str
    """The same in the model's language: JSONL with question_id and text, or a spreadsheet with ids and questions."""
    judgements: str = ""
    """The judge's replies, JSONL with id and judgement; their grades are averaged by category."""
    question_suffix: str = ""
    """Appended to every question, such as a request for a short answer."""
    judge: str = "gpt-4"
    """Model that the requests name."""
    out: Path = Path("benchmark")
    """Folder for answers and requests."""

    def asked(self) -> list[dict[str, str]]:
        """The questions as :func:`questions` reads them, with the suffix."""
        found = questions(self.questions, self.translated)
        return [{**row, "instruction": f"{row['instruction']} {self.question_suffix}".strip()} for row in found]


def parse_rating(judgement: str) -> float | None:
    """The verdict of a judge, the last `[[x]]` of its text; None when there is none (`[9]` and a bare 8 are none)."""
    found = _RATING.findall(judgement)
    return float(found[-1]) if found else None


def aggregate(ratings: Iterable[tuple[str, float | str]]) -> dict[str, float]:
    """Mean rating of every category, and `overall`: the mean over items, not of the category means.

    Args:
        ratings: Pairs of category and rating; a rating may be a number or its text.

    Raises:
        ValueError: If there is no rating.
    """
    by_category: dict[str, list[float]] = defaultdict(list)
    for category, rating in ratings:
        by_category[category].append(float(rating))
    everything = [rating for values in by_category.values() for rating in values]
    if not everything:
        raise ValueError("there is no rating to average")
    means = {category: sum(values) / len(values) for category, values in sorted(by_category.items())}
    return {**means, "overall": sum(everything) / len(everything)}


def ratings(answers: Sequence[Mapping[str, str]], judgements: str | Path) -> list[tuple[str, float]]:
    """Category and rating of every item; an item without an answer gets the lowest grade, 1.

    Args:
        answers: With `id`, `category` and `answer`, which is empty where there is none to grade.
        judgements: The judge's replies to these answers, JSONL with `id` and `judgement`.

    Raises:
        UserError: An answered item has no verdict.
    """
    rows = corpora.read_jsonl(judgements, required={"id": object, "judgement": str})
    replies = {str(row["id"]): row["judgement"] for row in rows}
    pairs = []
    for item in answers:
        grade = parse_rating(replies.get(item["id"], "")) if item["answer"] else 1.0
        if grade is None:
            raise UserError(f"{judgements} has no verdict [[x]] for question {item['id']}: ask the judge again.")
        pairs.append((item["category"], grade))
    return pairs


def judge_request(question: str, answer: str, key: str, model: str, system: str = GRADING) -> dict[str, Any]:
    """One line of a batch file for a chat endpoint: grade a single answer.

    Args:
        question: As the assistant was asked.
        answer: What is to be graded.
        key: Id by which the reply is found again.
        model: Name of the judge.
        system: The instruction to the judge.
    """
    return _request(f"Question:\n{question}\n\nAnswer of the assistant:\n{answer}", key, model, system)


def write_requests(path: Path, prompts: Mapping[str, str], model: str, system: str = "") -> None:
    """A batch file for a chat endpoint, a line a prompt; its replies come back through :func:`judge_of`.

    Args:
        path: The file, JSON lines.
        prompts: What the judge is asked, by key.
        model: Name of the judge.
        system: Its instruction; empty = none.
    """
    write_rows(path, (_request(prompt, key, model, system) for key, prompt in prompts.items()))


def judge_of(source: str, system: str = "", *, max_new_tokens: int = 512) -> Judge:
    """A judge: a chat model that is asked greedily, or the replies that another one gave.

    Args:
        source: Hub id, folder or wheel of a chat model (or a server in its place, `core.models.served`); or a file of
            replies, rows with `id` and `judgement`.
        system: Instruction to a model; empty = none.
        max_new_tokens: Longest reply of a model.

    Returns:
        Called with prompts by key, it raises UserError where a file has no reply to one of them.
    """
    if format_of(source) in (".jsonl", ".json", ".csv", ".tsv"):
        recorded = dict(corpora.adapted(source, corpora.read_rows(source), _reply))

        def looked_up(prompts: Mapping[str, str]) -> dict[str, str]:
            if missing := [key for key in prompts if key not in recorded]:
                raise UserError(
                    f"{source} has no reply to {missing[0]!r} ({len(missing)} missing): ask the judge again."
                )
            return {key: recorded[key] for key in prompts}

        return looked_up

    from core.inference.chat import Chat

    chat = Chat.load(source)
    opening = [{"role": "system", "content": system}] if system else []

    def asked(prompts: Mapping[str, str]) -> dict[str, str]:
        turns = [[*opening, {"role": "user", "content": prompt}] for prompt in prompts.values()]
        return dict(zip(prompts, chat.reply(turns, max_new_tokens=max_new_tokens), strict=True))

    return asked


def erring_judge(truth: Mapping[str, str], verdicts: Sequence[str], error: float, seed: int = 0) -> Judge:
    """A judge whose faults are known: the right verdict, or with probability `error` another one, fixed by its key.

    What an instrument says of this judge (agreement, bias) can be compared with what is put in here.

    Args:
        truth: The right verdict to every key.
        verdicts: All verdicts.
        error: In [0, 1].
        seed: Of the errors.
    """

    def reply(key: str) -> str:
        draw = Random(f"{seed}/{key}")
        others = [verdict for verdict in verdicts if verdict != truth[key]]
        return draw.choice(others) if draw.random() < error else truth[key]

    return lambda prompts: {key: reply(key) for key in prompts}


def _reply(row: Mapping[str, Any], _: int) -> tuple[str, str]:
    return str(row["id"]), str(row["judgement"])


def _request(user: str, key: str, model: str, system: str) -> dict[str, Any]:
    messages = [{"role": "system", "content": system}] if system else []
    body = {"model": model, "temperature": 0, "messages": [*messages, {"role": "user", "content": user}]}
    return {"custom_id": key, "method": "POST", "url": "/v1/chat/completions", "body": body}


def report(
    options: Benchmark,
    asked: Sequence[Mapping[str, str]],
    outputs: Sequence[str],
    answers: Sequence[str],
    language: str,
) -> dict[str, float]:
    """Write answers and requests to the judge, and measure what is there to measure.

    Args:
        options: Where to write `answers-<language>.jsonl` and `judge_requests-<language>.jsonl`, and the replies, if
            there are any. The judge is not asked about what was not answered.
        asked: The questions of these options.
        outputs: What was written to each, whole; kept beside the answers.
        answers: What is graded of each output; empty where there is nothing to grade.
        language: English name of the language that the answers should be in.

    Returns:
        `answered` (share), `in_language` (share of the answers that are long enough to tell; left out with a warning
        where words cannot tell the language) and, with replies, `rating_<category>` and `rating_overall`.
    """
    import langcodes

    from core.metrics.confusion import language_confusion

    rows = [
        {**question, "question": question["instruction"], "output": output, "answer": answer}
        for question, output, answer in zip(asked, outputs, answers, strict=True)
    ]
    answered = [row for row in rows if row["answer"]]
    write_rows(options.out / f"answers-{language}.jsonl", rows)
    requests = (judge_request(row["question"], row["answer"], row["id"], options.judge) for row in answered)
    write_rows(options.out / f"judge_requests-{language}.jsonl", requests)
    metrics = {"answered": len(answered) / len(rows)}
    try:
        confusion = language_confusion([row["answer"] for row in answered], str(langcodes.find(language)))
        if confusion.judged:
            metrics["in_language"] = confusion.line_pass_rate
    except UserError as error:  # Maltese has no word list: left out rather than 0
        warnings.warn(f"in_language is left out: {error}", stacklevel=2)
    if options.judgements:
        means = aggregate(ratings(rows, options.judgements))
        metrics |= {f"rating_{category}": value for category, value in means.items()}
    return metrics


def questions(english: str | Path, translated: str | Path) -> list[dict[str, str]]:
    """Questions of a benchmark with their translation: `id`, `category`, `english`, `instruction`.

    Args:
        english: JSONL with `question_id`, `category` and `turns` (the columns of Vicuna's benchmark and of MT-Bench).
        translated: JSONL with `question_id` and `text`, or a spreadsheet: ids in the first column, questions in the
            second, under a heading.

    Raises:
        UserError: Not such a file, or a question has no translation.
    """
    rows = corpora.read_jsonl(english, required={"question_id": object, "category": str, "turns": list})
    if Path(translated).suffix == ".xlsx":
        texts = read_sheet(Path(translated))
    else:
        found = corpora.read_jsonl(translated, required={"question_id": object, "text": str})
        texts = {str(row["question_id"]): row["text"] for row in found}
    missing = [str(row["question_id"]) for row in rows if str(row["question_id"]) not in texts]
    if missing:
        raise UserError(f"{translated} has no translation of question {missing[0]}: translate it, or remove it.")
    return [
        {
            "id": str(row["question_id"]),
            "category": row["category"],
            "english": row["turns"][0],
            "instruction": texts[str(row["question_id"])].strip(),
        }
        for row in rows
    ]


def read_sheet(path: Path) -> dict[str, str]:
    """`{first column: second column}` of the first sheet of a spreadsheet with inline text, without its heading.

    Raises:
        UserError: Not such a spreadsheet.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            root = ElementTree.fromstring(archive.read("xl/worksheets/sheet1.xml"))
    except (OSError, zipfile.BadZipFile, KeyError, ElementTree.ParseError):
        raise UserError(f"{path} is not a spreadsheet: give an .xlsx with ids and questions, or JSONL.") from None
    rows = [
        ["".join(part.text or "" for part in cell.iter() if part.tag in (f"{_SHEET}t", f"{_SHEET}v")) for cell in row]
        for row in root.iter(f"{_SHEET}row")
    ]
    if any(len(row) != 2 for row in rows) or len(rows) < 2:
        raise UserError(f"{path} must have two columns, ids and questions, under a heading.")
    return {re.sub(r"\.0$", "", key): text for key, text in rows[1:]}
