"""Any-to-any translation by a base model: a prompt in one of the paper's templates, greedy, a matrix of scores.

    report = any_to_any(model, tokenizer, rows, ["en", "tr", "id"], shots=1)
    print(report.matrix("chrf"))

`rows` are sentences in several languages; the first `shots` of them are the solved examples of the prompt and are not
asked. BLEU is sacrebleu's with the tokenizer of the target language, as the paper does not state one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from core.errors import UserError
from core.text.languages import name as language_name
from papers.marco_llm.templates import prompt

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

Metric = Literal["exact", "bleu", "chrf"]


@dataclass(frozen=True)
class Answer:
    """One translation."""

    source: str
    target: str
    template: str
    item: int
    question: str
    output: str
    reference: str

    @property
    def correct(self) -> bool:
        """Whether it equals the reference, but for white space around it."""
        return self.output.strip() == self.reference.strip()


@dataclass(frozen=True)
class Report:
    """All answers, scored on demand."""

    languages: tuple[str, ...]
    answers: tuple[Answer, ...]

    def scores(self, metric: Metric) -> dict[tuple[str, str], float]:
        """Score of each direction (source, target): `exact` in [0, 1], the others in [0, 100]."""
        from core.metrics.translation import bleu, chrf

        found = {}
        for source in self.languages:
            for target in self.languages:
                part = [a for a in self.answers if (a.source, a.target) == (source, target)]
                if not part:
                    continue
                outputs, references = [a.output for a in part], [a.reference for a in part]
                if metric == "exact":
                    score = sum(a.correct for a in part) / len(part)
                elif metric == "bleu":
                    score = bleu(outputs, references, target).score
                else:
                    score = chrf(outputs, references).score
                found[source, target] = score
        return found

    def matrix(self, metric: Metric = "chrf") -> str:
        """A table: rows translate from, columns into."""
        scores = self.scores(metric)
        digits = 2 if metric == "exact" else 1
        lines = [f"{metric:10s}" + "".join(f"{code:>10s}" for code in self.languages)]
        for source in self.languages:
            cells = [scores.get((source, target)) for target in self.languages]
            shown = ["-" if cell is None else f"{cell:.{digits}f}" for cell in cells]
            lines.append(f"{source:10s}" + "".join(f"{cell:>10s}" for cell in shown))
        return "\n".join(lines)


def source_gain(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    rows: Sequence[Mapping[str, str]],
    languages: Sequence[str],
    template: str = "C",
) -> dict[tuple[str, str, int], float]:
    """Bits per byte by which the true source makes a translation cheaper than another sentence's source does.

    Zero for a model that ignores what it is to translate, and above zero long before its translations are right.

    Args:
        model: A causal language model.
        tokenizer: Its tokenizer.
        rows: Sentences by language code, at least two.
        languages: Which of them.
        template: Letter of Table 13.

    Returns:
        The gain of each (source language, target language, row).
    """
    from core.inference.scoring import log_likelihoods
    from core.metrics.likelihood import bits_per_byte

    wanted = [(s, t, n) for s in languages for t in languages if s != t for n in range(len(rows))]
    contexts, texts = [], []
    for source, target, number in wanted:
        names = language_name(source), language_name(target)
        for shown in (number, (number + 1) % len(rows)):
            contexts.append((tokenizer.bos_token or "") + prompt(template, *names, rows[shown][source]))
            texts.append(" " + rows[number][target])
    found = [
        bits_per_byte(score.log_likelihood, text.strip())
        for score, text in zip(log_likelihoods(model, tokenizer, contexts, texts), texts, strict=True)
    ]
    return {key: wrong - right for key, right, wrong in zip(wanted, found[::2], found[1::2], strict=True)}


def any_to_any(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    rows: Sequence[Mapping[str, str]],
    languages: Sequence[str],
    *,
    templates: Sequence[str] = ("C",),
    shots: int = 1,
    max_new_tokens: int = 128,
) -> Report:
    """Translate every row from every language into every other.

    Args:
        model: A causal language model; it needs no chat template.
        tokenizer: Its tokenizer.
        rows: Sentences by language code.
        languages: Which of them.
        templates: Letters of Table 13, each asked in turn.
        shots: Solved examples in the prompt, taken from the first rows (the paper: 1).
        max_new_tokens: Longest translation.

    Raises:
        UserError: No row is left after the examples, or one lacks a language.
    """
    from core.inference.generation import generate

    if len(rows) <= shots:
        raise UserError(f"{len(rows)} sentences are too few: {shots} are examples, and one must be asked.")
    if missing := [code for code in languages if any(not row.get(code) for row in rows)]:
        raise UserError(f"There are sentences without {missing[0]!r}: leave them or the language out.")
    asked, prompts = [], []
    for source in languages:
        for target in languages:
            if source == target:
                continue
            names = language_name(source), language_name(target)
            solved = [(row[source], row[target]) for row in rows[:shots]]
            for template in templates:
                for item, row in enumerate(rows[shots:]):
                    asked.append((source, target, template, item, row[source], row[target]))
                    begin = tokenizer.bos_token or ""
                    prompts.append(begin + prompt(template, *names, row[source], solved))
    outputs = generate(model, tokenizer, prompts, max_new_tokens=max_new_tokens, stop=["\n"])
    answers = [
        Answer(source, target, template, item, question, output.strip(), reference)
        for (source, target, template, item, question, reference), output in zip(asked, outputs, strict=True)
    ]
    return Report(tuple(languages), tuple(answers))
