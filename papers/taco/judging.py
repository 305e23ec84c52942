"""The paper's own evaluation: a benchmark without references, graded by a judge model.

    questions = benchmark("vicuna.jsonl", "Nepali.xlsx")      # English questions and their translations, joined on id
    request = judge_request(question, answer, "1", "gpt-4")   # one line of a batch file for a chat endpoint
    means = aggregate(ratings(answers, "replies.jsonl"))      # mean grade by category, and over all items

The Vicuna benchmark has 80 questions: ten in most categories, seven on code, three on mathematics. The last two are too
few to rank methods on.
"""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ElementTree
import zipfile
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from core import corpora
from core.errors import UserError

_RATING = re.compile(r"\[\[\s*(\d+(?:\.\d+)?)\s*\]\]")
_SHEET = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


def parse_rating(judgement: str) -> float | None:
    """The verdict of a judge, the last `[[x]]` of its text; None when there is none (`[9]` and a bare 8 are none)."""
    found = _RATING.findall(judgement)
    return float(found[-1]) if found else None


def aggregate(ratings: Iterable[tuple[str, float | str]]) -> dict[str, float]:
    """Mean rating of every category, and `overall`.

    `overall` is the mean over items, as in the paper's table, not the mean of the category means. Ratings are cast: in
    the released files those of one language are numbers and those of three are strings.

    Args:
        ratings: Pairs of category and rating (1 to 10).

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


def released_ratings(path: str | Path) -> tuple[dict[str, float], dict[str, float]]:
    """Averages of a released file of judgements, from its stored numbers and from the judge's text.

    The two differ: a few items of every language hold another number than their text says, for reasons unknown. The
    paper's table follows the stored ones.

    Args:
        path: JSON list of records with `category`, `judgement` and `rating_in_number`.

    Returns:
        :func:`aggregate` of the stored numbers, and of the verdicts in the text, where there is one.

    Raises:
        UserError: Not such a file.
    """
    try:
        rows = json.loads(Path(path).read_text(encoding="utf-8"))
        stored = [(row["category"], row["rating_in_number"]) for row in rows]
        parsed = [(row["category"], parse_rating(row["judgement"])) for row in rows]
    except (OSError, ValueError, KeyError, TypeError):
        raise UserError(f"{path} is no JSON list of judgements: give a released file of the paper.") from None
    return aggregate(stored), aggregate((category, grade) for category, grade in parsed if grade is not None)


def round_trip_scores(originals: Sequence[str], returned: Sequence[str]) -> dict[str, float]:
    """How much of a text survives translation into X and back: BLEU, chrF++ and TER of sacreBLEU, in per cent.

    Args:
        originals: English sentences.
        returned: The same sentences after the round trip.

    Raises:
        ValueError: Lengths differ, or there is nothing to score.
    """
    import sacrebleu

    from core.metrics.translation import bleu, chrf

    if len(originals) != len(returned) or not originals:
        raise ValueError(f"{len(originals)} originals and {len(returned)} round trips: give equally many, at least one")
    return {
        "bleu": bleu(returned, originals).score,
        "chrf++": chrf(returned, originals, word_order=2).score,
        "ter": sacrebleu.corpus_ter(list(returned), [list(originals)]).score,
    }


def benchmark(english: str, translated: str) -> list[dict[str, str]]:
    """Questions of a benchmark with their translation, joined on the id.

    Args:
        english: JSONL with `question_id`, `category` and `turns` (the Vicuna benchmark's columns).
        translated: JSONL with `question_id` and `text`, or a spreadsheet of the official repository: ids in the first
            column, questions in the second, under a heading (which was machine-translated too, so it is not read).

    Raises:
        UserError: Not such a file, or a question has no translation.
    """
    questions = corpora.read_jsonl(english, required={"question_id": object, "category": str, "turns": list})
    if Path(translated).suffix == ".xlsx":
        texts = read_sheet(Path(translated))
    else:
        rows = corpora.read_jsonl(translated, required={"question_id": object, "text": str})
        texts = {str(row["question_id"]): row["text"] for row in rows}
    missing = [str(row["question_id"]) for row in questions if str(row["question_id"]) not in texts]
    if missing:
        raise UserError(f"{translated} has no translation of question {missing[0]}: translate it, or remove it.")
    return [
        {
            "id": str(row["question_id"]),
            "category": row["category"],
            "english": row["turns"][0],
            "instruction": texts[str(row["question_id"])].strip(),
        }
        for row in questions
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
        raise UserError(f"{path} is not a spreadsheet: give the .xlsx of the official repository, or JSONL.") from None
    rows = [
        ["".join(part.text or "" for part in cell.iter() if part.tag in (f"{_SHEET}t", f"{_SHEET}v")) for cell in row]
        for row in root.iter(f"{_SHEET}row")
    ]
    if any(len(row) != 2 for row in rows) or len(rows) < 2:
        raise UserError(f"{path} must have two columns, ids and questions, under a heading.")
    return {re.sub(r"\.0$", "", key): text for key, text in rows[1:]}


def judge_request(question: str, answer: str, key: str, model: str) -> dict[str, Any]:
    """One line of a batch file for a chat endpoint: grade a single answer from 1 to 10.

    The prompt is ours; the paper's is not published. It asks for the criteria and the verdict format that the released
    judgements show.
    """
    system = (
        "You grade the answer of an assistant to a user's question. Consider helpfulness, relevance, accuracy, depth, "
        "creativity and level of detail. Explain your view briefly and be objective. Then give a grade from 1 to 10 in "
        "exactly this form: Rating: [[grade]]"
    )
    user = f"Question:\n{question}\n\nAnswer of the assistant:\n{answer}"
    messages = [{"role": "system", "content": system}, {"role": "user", "content": user}]
    body = {"model": model, "temperature": 0, "messages": messages}
    return {"custom_id": key, "method": "POST", "url": "/v1/chat/completions", "body": body}


def ratings(answers: Sequence[Mapping[str, str]], judgements: str) -> list[tuple[str, float]]:
    """Category and rating of every item; an item without an answer gets the lowest grade, 1.

    Args:
        answers: With `id`, `category` and `answer`, which is empty where the chain was cut.
        judgements: The judge's replies, JSONL with `id` and `judgement` (the released columns).

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
