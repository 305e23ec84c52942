"""Grade answers by what they say, in whatever language they say it.

A grader that was pre-trained on many languages knows the facts; what a few graded answers have to teach it is the
task, the form of its reply, and to look through the language. Of an answer e to a question q it is asked for one of two
words, and is sure of "Acceptable" by

    d(q, e) = log p(Acceptable | prompt(q, e)) - log p(Unacceptable | prompt(q, e)),                               (1)

tuned by LoRA on graded answers in chosen languages, with the loss of a language model over prompt and grade (official)
or over the grade alone,

    L = - sum_t log p(w_t | w_<t).                                                                                 (2)

A frozen encoder becomes a grader of the same interface by a logistic regression on how two vectors relate,

    d(q, e) = w . [q * e, |q - e|] + b.                                                                            (3)

Probabilities are calibrated on answers of other questions, p = 1 / (1 + exp(-(a d + c))) (Platt 1999). A grader is fair
if the same content is graded alike in every language condition L:

    gap = max_L accuracy_L - min_L accuracy_L,       FRR_L = p(graded Unacceptable | Acceptable, L),               (4)

and because conditions hold the same answers, two of them are compared on the rows that only one is right on:
chi2 = (|b - c| - 1)^2 / (b + c) (McNemar).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.errors import UserError
from core.metrics.agreement import bootstrap, mcnemar
from core.metrics.intervals import Interval
from core.metrics.stats import Test

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

ACCEPTABLE, UNACCEPTABLE, UNKNOWN = "Acceptable", "Unacceptable", "Unknown"
Form = Literal["training", "asking"]
Array = NDArray[Any]
# Of the difference of features that the regression sees (3); vectors have length 1.
SCALE = 10.0

# Our words for what the official prompts say: the one to train with has the layout of Alpaca, the one to ask with is
# plain. The trailing space of the official `Grade: ` belongs to the grade, whose token it else would change.
_TASK = (
    "Grade an essay of one sentence by its content alone, as Acceptable or Unacceptable. Ignore mistakes of language "
    "and the choice of language. Reply with exactly one word."
)
_FORMS: Mapping[Form, str] = {
    "training": "Below are a task and its input. Write the reply.\n\n### Instruction:\n" + _TASK + "\n\n### Input:\n"
    "Question: {question}\nEssay: {essay}\n\n### Response:\n",
    "asking": "Question: {question}\nEssay: {essay}\nGrade:",
}  # fmt: skip
_GRADE = re.compile(r"Grade:\s*(Acceptable|Unacceptable)(?!.*Grade:)", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True)
class Answer:
    """A pupil's answer.

    Attributes:
        question: What was asked, in English even where the answer is not (official).
        essay: The answer, one sentence.
        grade: ACCEPTABLE or UNACCEPTABLE; empty where nobody has graded it.
        id: The same in every condition for the same content.
    """

    question: str
    essay: str
    grade: str = ""
    id: str = ""


# --- a language model as grader ---------------------------------------------------------------------------------------


def prompt(answer: Answer, form: Form = "asking", shots: Sequence[Answer] = ()) -> str:
    """What the model reads before the grade; graded `shots` come before the answer when asking."""
    texts = {"question": answer.question, "essay": answer.essay}
    if form == "training":
        return _FORMS[form].format(**texts)
    shown = [f"{_FORMS[form].format(question=one.question, essay=one.essay)} {one.grade}\n\n" for one in shots]
    return f"{_TASK}\n\n{''.join(shown)}{_FORMS[form].format(**texts)}"


def parse(text: str) -> str:
    """The grade that a text ends with, UNKNOWN where none follows the last `Grade:`.

    Officially the case of the word is kept, so that "acceptable" counts as wrong; here it does not matter.
    """
    found = _GRADE.search(text)
    return found.group(1).capitalize() if found else UNKNOWN


def training_rows(
    tokenizer: PreTrainedTokenizerBase, answers: Sequence[Answer], form: Form, loss_on: Literal["all", "completion"]
) -> list[dict[str, list[int]]]:
    """Rows of (2): prompt, grade, end. `all` learns the essays too (official), `completion` nothing but the grade."""
    from core.models.tokenization import completion_row

    said = "{}" if form == "training" else " {}"
    rows = [completion_row(tokenizer, prompt(one, form), said.format(one.grade)) for one in answers]
    return [{**row, "labels": [*row["input_ids"]]} if loss_on == "all" else row for row in rows]


def margins(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    answers: Sequence[Answer],
    form: Form,
    shots: Sequence[Answer] = (),
) -> Array:
    """d of (1), one an answer."""
    from core.inference.scoring import score_choices

    words = [f"{'' if form == 'training' else ' '}{grade}" for grade in (ACCEPTABLE, UNACCEPTABLE)]
    scores = score_choices(model, tokenizer, [prompt(one, form, shots) for one in answers], [words] * len(answers))
    return np.array([accept.log_likelihood - reject.log_likelihood for accept, reject in scores])


# --- an encoder as grader ---------------------------------------------------------------------------------------------


def relations(questions: Array, essays: Array) -> Array:
    """The features of (3), [answers, 2 width], from vectors of length 1, [answers, width] each."""
    return SCALE * np.hstack([questions * essays, abs(questions - essays)])


def regress(features: Array, accepted: Array, prior: float) -> tuple[Array, float]:
    """w and b of (3) from features and 0/1 grades; the smaller the prior (scikit-learn's C), the smaller the weights.

    Raises:
        UserError: All answers have one grade.
    """
    from sklearn.linear_model import LogisticRegression

    if len({*accepted.tolist()}) < 2:
        raise UserError("All answers to learn from have the same grade: give acceptable and unacceptable ones.")
    fitted = LogisticRegression(C=prior, max_iter=2000).fit(features, accepted)
    return fitted.coef_[0], float(fitted.intercept_[0])


# --- probabilities ----------------------------------------------------------------------------------------------------


class Calibration(NamedTuple):
    """a and c: the probability of "Acceptable" is that of the logistic function of a d + c."""

    slope: float = 1.0
    shift: float = 0.0

    def probabilities(self, margins: Array) -> Array:
        """One an answer, in [0, 1]."""
        return np.exp(-np.logaddexp(0.0, -(self.slope * margins + self.shift)))


def calibrate(margins: Array, accepted: Array) -> Calibration:
    """Platt's scaling on graded answers that were not trained on; as it is where these have one grade alone."""
    from sklearn.linear_model import LogisticRegression

    if len({*accepted.tolist()}) < 2:
        return Calibration()
    spread = float(margins.std()) or 1.0
    # Almost without a prior; a margin that says the opposite of the grades is a matter for the eye, so it may be < 0.
    fitted = LogisticRegression(C=1e4).fit(margins[:, None] / spread, accepted)
    return Calibration(float(fitted.coef_[0, 0]) / spread, float(fitted.intercept_[0]))


def calibration_error(probabilities: Array, accepted: Array, bins: int = 10) -> float:
    """How far shares are from probabilities, in [0, 1], over bins of equally many answers."""
    order = np.argsort(probabilities, kind="stable")
    parts = np.array_split(order, min(bins, len(order)))
    return float(sum(abs(probabilities[p].mean() - accepted[p].mean()) * len(p) for p in parts) / len(order))


# --- is it fair? ------------------------------------------------------------------------------------------------------


class Condition(NamedTuple):
    """How a grader does in one language condition; shares in [0, 1], NaN where there is nothing to divide by."""

    answers: int
    accuracy: float
    """Unknown grades count as wrong."""
    f1: float
    """Of "Acceptable"."""
    hard_auc: float
    """ROC-AUC of the 0/1 grades, which is what the paper reports: the mean of both classes' recall."""
    auc: float
    """ROC-AUC of the margins; NaN without them."""
    rejected: float
    """False-rejection rate (4): acceptable answers that are not accepted."""
    accepted: float
    """Unacceptable answers that are accepted."""
    unknown: float
    """No grade could be read."""


def condition(gold: Sequence[str], given: Sequence[str], margins: Array | None = None) -> Condition:
    """One condition's numbers.

    Args:
        gold: Right grades.
        given: The grader's.
        margins: Its margins, for a real AUC.
    """
    from sklearn.metrics import roc_auc_score

    right, said = np.array(gold) == ACCEPTABLE, np.array(given) == ACCEPTABLE
    good, bad = right.sum(), (~right).sum()
    rejected = float((right & ~said).sum() / good) if good else np.nan
    accepted = float((~right & said).sum() / bad) if bad else np.nan
    hits = int((right & said).sum())
    return Condition(
        answers=len(gold),
        accuracy=float(np.mean(np.array(gold) == np.array(given))),
        f1=2 * hits / max(1, int(right.sum() + said.sum())),
        hard_auc=(2 - rejected - accepted) / 2,
        auc=float(roc_auc_score(right, margins)) if margins is not None and good and bad else np.nan,
        rejected=rejected,
        accepted=accepted,
        unknown=float(np.mean(~np.isin(given, (ACCEPTABLE, UNACCEPTABLE)))),
    )


class Disparity(NamedTuple):
    """Two conditions on the same rows: 0/1 values that only the first, only the second has, and the test of them."""

    first_only: int
    second_only: int
    test: Test
    difference: Interval


def disparity(first: Sequence[bool], second: Sequence[bool], draws: int = 1000) -> Disparity:
    """Does a grader treat one condition better? McNemar's test, and a paired bootstrap of the difference of means.

    Args:
        first: For every row, whether it came out right (or accepted, for rejection rates) in one condition.
        second: The same in the other, row by row.
        draws: Of the bootstrap (official analysis: none; 1,000 are ours).
    """
    one, other = np.array(first, bool), np.array(second, bool)
    counts = int((one & ~other).sum()), int((~one & other).sum())
    step = one.astype(float) - other
    return Disparity(*counts, mcnemar(*counts), bootstrap(lambda rows: float(step[rows].mean()), len(step), draws))


def gap(accuracies: Mapping[str, float]) -> float:
    """Best less worst condition (4)."""
    return max(accuracies.values()) - min(accuracies.values())
