"""Multiple choice: the answer is the choice that the model finds likeliest after the question.

    questions = exam("belebele", "swh_Latn", shots=5)          # a benchmark, in the wording of lm-evaluation-harness
    questions = from_items(world.items, options=4, seed=0)     # a miniature world; wrong answers of other items
    right = answer(model, tokenizer, questions, by="token")    # {id: 1.0 or 0.0}
    trivial(train, questions)                                  # what is right without a model

How a choice's log-likelihood is made comparable is a setting of its own, because papers differ in it:

    by          score of choice y after context x                 who
    sum         log p(y | x)                                      lm-eval's `acc`; letters
    token       log p(y | x) / tokens of y
    character   log p(y | x) / characters of y                    lm-eval's `acc_norm`
    prior       log p(y | x) - log p(y | x without content)       Brown et al. 2020; Holtzman et al. 2021
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, Literal

from core import corpora
from core.errors import UserError
from core.worlds.base import Item

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from core.inference.scoring import Progress

By = Literal["sum", "token", "character", "prior"]
LETTERS = "ABCDEFGHIJ"


@dataclass(frozen=True)
class Question:
    """A multiple-choice question.

    Attributes:
        id: A path, unique in its language; the same in two languages where it asks the same.
        context: The prompt up to the answer.
        choices: Continuations, each with its leading space.
        answer: Index of the right one.
        prior: The prompt without the question's content, for `by="prior"`.
        texts: What the choices stand for where they are letters; else the choices themselves.
    """

    id: str
    context: str
    choices: tuple[str, ...]
    answer: int
    prior: str | None = None
    texts: tuple[str, ...] = ()


def choice_scores(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    questions: Sequence[Question],
    by: By = "sum",
    *,
    batch_tokens: int | None = None,
    progress: Progress | None = None,
) -> list[list[float]]:
    """The score of every choice, in nats (a token, a character).

    Args:
        model: A causal language model.
        tokenizer: Its tokenizer.
        questions: What is asked.
        by: See the table above.
        batch_tokens: See :func:`core.inference.scoring.score_choices`.
        progress: See there.

    Raises:
        UserError: a context or choice that the model cannot read.
        ValueError: `by="prior"` for a question that has none.
    """
    from core.inference.scoring import score_choices

    contexts = [question.context for question in questions]
    choices = [question.choices for question in questions]
    if by == "prior":
        priors = [question.prior for question in questions if question.prior is not None]
        if len(priors) < len(questions):
            raise ValueError("by='prior' needs a prior in every question.")
        contexts, choices = [*contexts, *priors], choices * 2
    scored = score_choices(model, tokenizer, contexts, choices, batch_tokens=batch_tokens, progress=progress)
    if by == "prior":
        pairs = zip(scored[: len(questions)], scored[len(questions) :], strict=True)
        return [
            [a.log_likelihood - b.log_likelihood for a, b in zip(after, before, strict=True)] for after, before in pairs
        ]
    size = {"sum": lambda score: 1, "token": lambda score: score.tokens, "character": lambda score: score.characters}
    return [[score.log_likelihood / size[by](score) for score in scores] for scores in scored]


def credit(scores: Sequence[float], right: int) -> float:
    """1 where the right choice has the best score, 0 where another has, 1/n where n share it: a constant is chance."""
    best = max(scores)
    return (scores[right] == best) / sum(score == best for score in scores)


def answer(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    questions: Sequence[Question],
    by: By = "sum",
    *,
    batch_tokens: int | None = None,
    progress: Progress | None = None,
) -> dict[str, float]:
    """`{question id: credit}` in [0, 1]; see :func:`choice_scores` and :func:`credit`.

    Raises:
        UserError: as there, or two questions have one id.
    """
    scores = choice_scores(model, tokenizer, questions, by, batch_tokens=batch_tokens, progress=progress)
    right = {q.id: credit(values, q.answer) for q, values in zip(questions, scores, strict=True)}
    if len(right) < len(questions):
        repeated = Counter(question.id for question in questions).most_common(1)[0][0]
        raise UserError(f"Several questions have the id {repeated!r}: give each question of a language its own.")
    return right


# --- questions ------------------------------------------------------------------------------------------------------


def lettered(options: Iterable[str], mark: str = ".") -> str:
    """`A. first`, `B. second`, ..., one a line."""
    return "\n".join(f"{letter}{mark} {option}" for letter, option in zip(LETTERS, options, strict=False))


def exam(
    name: str, code: str, *, shots: int = 0, limit: int | None = None, folder: str | Path | None = None
) -> list[Question]:
    """The questions of a benchmark of shape *choice* (`core.corpora.hub`), in lm-evaluation-harness's wording.

    Examples are the first ones, as lm-eval takes them for Belebele (from the test set itself, never the question asked)
    and m-MMLU (from `train`). For m-ARC it draws them at random for each question; here they are the first of `train`.

    Args:
        name: The corpus.
        code: Its language code.
        shots: Examples before the question.
        limit: Only the first questions.
        folder: Read `<folder>/<split>/<code>.jsonl` instead of the hub.

    Raises:
        UserError: the corpus cannot be loaded.
    """

    def rows(split: str) -> list[dict[str, Any]]:
        place = {} if folder is None else {"folder": Path(folder) / split}
        return list(corpora.load(name, languages=[code], split=split, **place))

    own = name == "belebele"
    asked = rows("test")
    examples = asked[: shots + 1] if own else rows("train")[:shots] if shots else []
    questions = []
    for row in asked[:limit]:
        shown = [example for example in examples if not own or example["key"] != row["key"]][:shots]
        before = "".join(f"{_prompt(name, e)}{_choices(name, e)[e['answer']]}\n\n" for e in shown)
        texts = tuple(row["choices"])
        questions.append(
            Question(row["key"], before + _prompt(name, row), _choices(name, row), row["answer"], texts=texts)
        )
    return questions


def _prompt(name: str, row: Mapping[str, Any]) -> str:
    question = row["question"].strip()
    if name == "m_arc":
        return f"Question: {_plain(question)}\nAnswer:"
    if name == "belebele":
        return f"P: {row['passage']}\nQ: {question}\n{lettered(row['choices'], ':')}\nAnswer:"
    passage = f"{row['passage']}\n" if row["passage"] else ""
    return f"{passage}{question}\n{lettered(row['choices'])}\nAnswer:"


def _choices(name: str, row: Mapping[str, Any]) -> tuple[str, ...]:
    if name == "m_arc":
        return tuple(f" {_plain(choice)}" for choice in row["choices"])
    return tuple(f" {letter}" for letter in LETTERS[: len(row["choices"])])


def _plain(text: str) -> str:
    """ARC's texts carry marks of the page they come from: `[title]` and other brackets."""
    text = re.sub(r"\[.*?\]", "", text.strip().replace(" [title]", ". "))
    return text.replace("  ", " ")


def from_items(
    items: Sequence[Item],
    *,
    options: int = 4,
    seed: int,
    group: Callable[[Item], Hashable] = lambda item: item.language,
) -> list[Question]:
    """Items of a world as questions whose wrong options are right answers of other items of the group.

    So an option's text does not tell whether it is right. Options and their order are drawn by seed and item id: two
    phrasings or languages of one class do not share the draw, which could be learnt.

    Args:
        items: Of the part that is asked, so that no wrong option is an answer of another part.
        options: How many, the right one included.
        seed: Of the draw.
        group: What wrong options have to have in common with the item, such as language and relation.

    Raises:
        UserError: a group has too few different answers.
    """
    answers: dict[Hashable, dict[str, None]] = defaultdict(dict)
    right: dict[tuple[str, str], set[str]] = defaultdict(set)
    for item in items:
        answers[group(item)][item.answer] = None
        right[item.prompt, item.language].add(item.answer)
    questions = []
    for item in items:
        # A prompt with two right answers must not offer the second as a wrong one.
        wrong = [text for text in answers[group(item)] if text not in right[item.prompt, item.language]]
        if len(wrong) < options - 1:
            raise UserError(f"{item.id}: {len(wrong)} other answers cannot fill {options} options, ask for fewer.")
        draw = Random(f"{seed}/{item.id}")
        texts = [item.answer, *draw.sample(wrong, options - 1)]
        draw.shuffle(texts)
        questions.append(Question(item.id, item.prompt, tuple(f" {t}" for t in texts), texts.index(item.answer)))
    return questions


def trivial(train: Sequence[Question], test: Sequence[Question]) -> dict[str, float]:
    """Accuracy on `test` without a model, in [0, 1].

    `chance` is 1 / choices. `position` takes the place that is right most often in `train`, `majority` the option that
    is right most often there where it is offered, `longest` and `shortest` go by characters.

    Raises:
        ValueError: nothing to test on.
    """
    if not test:
        raise ValueError("There is no question to test on.")
    places = Counter(question.answer for question in train)
    offered = Counter(text for question in train for text in _texts(question))
    right = Counter(_texts(question)[question.answer] for question in train)
    solvers: dict[str, Callable[[list[str]], list[float]]] = {
        "chance": lambda options: [0.0] * len(options),
        "position": lambda options: [places[place] for place in range(len(options))],
        # An option that training did not offer is as good as any.
        "majority": lambda options: [(right[text] + 1) / (offered[text] + len(options)) for text in options],
        "longest": lambda options: [len(text) for text in options],
        "shortest": lambda options: [-len(text) for text in options],
    }
    return {
        name: sum(credit(solve(_texts(question)), question.answer) for question in test) / len(test)
        for name, solve in solvers.items()
    }


def _texts(question: Question) -> list[str]:
    return [text.strip() for text in question.texts or question.choices]
