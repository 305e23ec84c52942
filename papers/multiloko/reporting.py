"""What one model's answers say, in points, and what is odd about a set of questions.

found = report(read_sets("benchmark_data"), read_predictions("predictions.csv"))
print("\\n".join(lines(found)))
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from statistics import fmean
from typing import TYPE_CHECKING, Any, get_args

from core.errors import UserError
from papers.multiloko import method
from papers.multiloko.answers import Metric, Scorer, answer_variants, normalise

if TYPE_CHECKING:
    from papers.multiloko.data import Row, Sets

Said = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True)
class Report:
    """What one model's answers say.

    Attributes:
        scores: Of every question, by set and id, 0 to 1.
        contains: The same for `contains`, which forgives what is said around an answer.
        diagnosis: With human translations.
        machine: With machine translations; the same parity.
        scorer: Which official version.
        averages: Over local sets, by each of the three: they do not agree.
    """

    scores: dict[str, dict[str, float]]
    contains: dict[str, dict[str, float]]
    diagnosis: method.Diagnosis
    machine: method.Diagnosis
    scorer: Scorer
    averages: dict[str, float]


def report(asked: Sets, said: Said, scorer: Scorer = "current", metric: Metric = "em", source: object = "") -> Report:
    """Score answers and compare the sets.

    Args:
        asked: What was asked (:func:`papers.multiloko.data.read_sets`).
        said: Answers by set and id; a set that is not there was not asked, an id that is not there is an error.
        scorer: Which official version.
        metric: What is compared; better when higher.
        source: Where the answers are from, for messages.

    Raises:
        UserError: An answer is missing, or belongs to no question; no language's own questions were answered.
    """
    from core.tasks.transcripts import complete
    from papers.multiloko.eval import graded

    if metric == "edit_distance":
        raise UserError("edit_distance is better when lower: compare languages by edit_similarity.")
    for key, answers in said.items():
        if key not in asked:
            raise UserError(f"{source} answers {key!r}, and there is no such set: the sets are {', '.join(asked)}.")
        complete(answers, [row.id for row in asked[key]], f"{source}, {key},")
    own = {key: asked[key] for key in method.local(said)}
    if not own:
        raise UserError(f"{source} answers no language's own questions: add rows whose language is one of them.")
    averages = {}
    for name in get_args(Scorer):
        averages[name] = fmean(fmean(values.values()) for values in graded(own, said, name, metric).values())
    scores, contained = graded(asked, said, scorer, metric), graded(asked, said, scorer, "contains")
    both = method.diagnose(scores), method.diagnose(scores, "machine")
    return Report(scores, contained, *both, scorer, averages)


def lines(found: Report) -> list[str]:
    """The report in points, as text."""
    spread, scores = found.diagnosis.parity, found.scores
    others = ", ".join(f"{name} {100 * value:.2f}" for name, value in found.averages.items())
    over = " (2 standard errors over languages)" if isfinite(spread.twice_error) else ""
    told = [
        f"average {100 * spread.average:.2f}{_error(spread.twice_error)}{over} with scorer {found.scorer}; {others}"
    ]
    if over:
        told.append(
            f"gap {100 * spread.gap:.2f} from {spread.best} to {spread.worst}; equal languages would show "
            f"{100 * spread.gap_of_equals:.2f} by the choice of questions"
        )
    effects = [
        effect
        for by, one in zip(method.TRANSLATORS, (found.diagnosis, found.machine), strict=True)
        for effect in (
            (f"mother-tongue effect ({by})", one.mother_tongue, "in the language", "in English"),
            (f"locality effect ({by})", one.locality, "local", "from English"),
        )
    ]
    for name, into in (("in English", True), ("of English questions", False)):
        effects.append((f"human less machine, {name}", method.translation(scores, into_pivot=into), "human", "machine"))
    for name, effect, *terms in effects:
        if effect:
            means = [100 * fmean(values) for values in zip(*effect.by_language.values(), strict=True)]
            shown = [f"{term} {mean:.2f}" for term, mean in zip(terms, means, strict=True)]
            if "less" in name and isfinite(order := method.order(effect)):
                shown.append(f"rank correlation of languages {order:.2f}")
            told.append(f"{name} {100 * effect.mean:+.2f}{_error(effect.twice_error)} ({', '.join(shown)})")
    for by in method.TRANSLATORS:
        kinds: dict[str, list[str]] = {"in English": [], "English questions in each language": []}
        for key in scores:
            if f"_translated_{by}_" in key:
                kinds["in English" if key.endswith("_english") else "English questions in each language"].append(key)
        for name, keys in kinds.items():
            if len(keys) > 1:
                part = method.parity({key: scores[key] for key in keys})
                told.append(f"{name} ({by}): average {100 * part.average:.2f}, gap {100 * part.gap:.2f}")
    if same := found.diagnosis.consistency:
        told.append(f"right or wrong in both languages alike: {fmean(one.agreement for one in same.values()):.0%}")
    return told


def _error(twice: float) -> str:
    """Nothing where there is one language alone."""
    return f" ± {100 * twice:.2f}" if isfinite(twice) else ""


def table(found: Report) -> list[dict[str, Any]]:
    """A row a language: questions, score and `contains` of its own questions, the other terms, effects; in points."""
    rows = []
    for code in method.local(found.scores):
        row: dict[str, Any] = {"language": code, "questions": len(found.scores[code])}
        for name, of in (("score", found.scores), ("contains", found.contains)):
            row[name] = round(100 * fmean(of[code].values()), 2)
        for by, one in zip(method.TRANSLATORS, (found.diagnosis, found.machine), strict=True):
            for name, short, effect in (("in_english", "mte", one.mother_tongue), ("from_english", "le", one.locality)):
                pair = effect.by_language.get(code) if effect else None
                row[f"{name}_{by}"] = round(100 * pair[1], 2) if pair else None
                row[f"{short}_{by}"] = round(100 * (pair[0] - pair[1]), 2) if pair else None
        rows.append(row)
    return rows


def audit(rows: Sequence[Row], language: str) -> list[str]:
    """What is odd about questions, a sentence a kind: right answers that are blank, stand in the question or not in the
    text, or are right too often.
    """
    from papers.multiloko.data import unanswerable

    odd: dict[str, list[str]] = {"no right answer that can be matched": unanswerable(rows, language)}
    common, count = Counter(normalise(row.targets[0], language) for row in rows).most_common(1)[0]
    for row in rows:
        forms = [form for target in row.targets for form in answer_variants(target, language)]
        if any(form in normalise(row.question, language) for form in forms):
            odd.setdefault("a right answer in the question", []).append(row.id)
        if row.text and forms and not any(form in normalise(row.text, language) for form in forms):
            odd.setdefault("no right answer in the text", []).append(row.id)
        if count > max(2, len(rows) // 10) and normalise(row.targets[0], language) == common:
            odd.setdefault(f"{common!r} as right answer", []).append(row.id)
    return [f"{len(ids)} of {len(rows)} have {what}: {', '.join(ids[:5])}" for what, ids in odd.items() if ids]
