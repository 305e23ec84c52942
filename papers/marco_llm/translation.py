"""Any-to-any translation by a base model: a prompt in one of the paper's templates, greedy, a matrix of scores.

    report = any_to_any(model, tokenizer, rows, ["en", "tr", "id"], shots=1)
    print(report.matrix("chrf"))

`rows` are sentences in several languages; the first `shots` of them are the solved examples of the prompt and are not
asked. BLEU is sacrebleu's with the tokenizer of the target language, as the paper does not state one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from core.errors import UserError
from core.tasks.translation import (
    Segment,
    all_pairs,
    corpus_scores,
    means,
    segments,
    sentence_scores,
    translate,
)
from core.text.languages import name as language_name
from papers.marco_llm.templates import prompt

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

Metric = Literal["exact", "bleu", "chrf"]


@dataclass(frozen=True)
class Report:
    """What was asked and answered, scored on demand; the item of a segment is `row/template`."""

    languages: tuple[str, ...]
    segments: tuple[Segment, ...]
    outputs: tuple[str, ...]

    def exact(self) -> dict[str, float]:
        """`{"en-tr/3/B": 1 where the translation equals the reference, else 0}`."""
        return sentence_scores(self.segments, self.outputs, "exact")

    def scores(self, metric: Metric) -> dict[tuple[str, str], float]:
        """Score of each direction (source, target): `exact` in [0, 1], the others in [0, 100]."""
        if metric == "exact":
            found = means(self.exact())
        else:
            found = {name: score.score for name, score in corpus_scores(self.segments, self.outputs, metric).items()}
        return {pair: found["-".join(pair)] for pair in all_pairs(self.languages)}

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
    if len(rows) <= shots:
        raise UserError(f"{len(rows)} sentences are too few: {shots} are examples, and one must be asked.")
    if missing := [code for code in languages if any(not row.get(code) for row in rows)]:
        raise UserError(f"There are sentences without {missing[0]!r}: leave them or the language out.")
    asked = [dict(row, key=str(number)) for number, row in enumerate(rows[shots:])]
    parts = [
        replace(part, item=f"{part.item}/{template}")
        for part in segments(asked, all_pairs(languages))
        for template in templates
    ]

    def question(part: Segment) -> str:
        names = language_name(part.source), language_name(part.target)
        solved = [(row[part.source], row[part.target]) for row in rows[:shots]]
        return prompt(part.item.rpartition("/")[2], *names, part.source_text, solved)

    outputs = translate(model, tokenizer, parts, question, max_new_tokens=max_new_tokens, stop=["\n"])
    return Report(tuple(languages), tuple(parts), tuple(outputs))
