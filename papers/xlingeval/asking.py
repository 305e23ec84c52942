"""What is asked of a model: answers, K answers, verdicts, and how likely an answer is after a question.

model = Model(loading.load("wheel:smollm2"))
model.answers(["How should I wash my hands?"], "en", room=24)
model.verdicts([("How should I wash my hands?", "With soap.")], "en")       # "Yes."
model.after([("How should I wash my hands?", "With soap.")], "en")          # log p(a | q)

Prompts have the layout of the official ones and are worded anew (`prompts.yaml`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.files import load_yaml
from core.text.languages import match
from papers.xlingeval.data import NAMES
from papers.xlingeval.method import PIVOT

if TYPE_CHECKING:
    from core.models.loading import Loaded

Pair = tuple[str, str]
Turns = list[dict[str, str]]
# Room for a verdict: one word is asked for, and what a model says instead should be seen.
VERDICT_TOKENS = 8


@dataclass(frozen=True)
class Model:
    """A causal language model: chat models in their layout, others by signs for question and answer."""

    loaded: Loaded

    def answers(self, questions: Sequence[str], code: str, room: int) -> list[str]:
        """One answer to each question, greedily: the system's turn names the language, the question is bare."""
        return self._write([turns(question, worded(code)["role"]) for question in questions], room)

    def samples(
        self, questions: Sequence[str], code: str, room: int, count: int, temperature: float, seed: int
    ) -> list[list[str]]:
        """`count` answers to each question at a temperature; the system's turn is English, as officially."""
        words = worded(code)
        asked = [f"{words['doctor']}\n{words['question']} ```{question}```" for question in questions]
        conversations = [turns(text, "Assistant is a medical expert.") for text in asked for _ in range(count)]
        said = self._write(conversations, room, temperature=temperature, seed=seed)
        return [said[start : start + count] for start in range(0, len(said), count)]

    def verdicts(self, pairs: Sequence[Pair], code: str, temperature: float = 0.0, seed: int = 0) -> list[str]:
        """What it says when it is asked whether an answer is right."""
        asked = [worded(code)["verify"].format(question=question, answer=answer) for question, answer in pairs]
        return self._write([turns(text) for text in asked], VERDICT_TOKENS, temperature=temperature, seed=seed)

    def after(self, pairs: Sequence[Pair], code: str) -> list[float]:
        """log p(answer | question) of each pair, in nats; what several begin with is computed once."""
        words = worded(code)
        contexts = [f"{words['question']} {question}\n{words['answer']}" for question, _ in pairs]
        return [total for total, _ in self._likelihoods(contexts, [answer for _, answer in pairs])]

    def alone(self, answers: Sequence[str], code: str) -> list[tuple[float, int]]:
        """log p(answer) behind the cue alone, and the number of tokens."""
        return self._likelihoods([worded(code)["answer"]] * len(answers), answers)

    def _likelihoods(self, contexts: Sequence[str], answers: Sequence[str]) -> list[tuple[float, int]]:
        from core.inference.scoring import log_likelihoods

        found = log_likelihoods(*self.loaded, contexts, [f" {answer}" for answer in answers])
        return [(one.log_likelihood, one.tokens) for one in found]

    def _write(self, conversations: Sequence[Turns], room: int, **decoding: Any) -> list[str]:
        from core.inference.chat import Chat
        from core.inference.generation import generate

        if self.loaded.tokenizer.chat_template:
            return Chat(*self.loaded).reply(conversations, max_new_tokens=room, **decoding)
        prompts = ["\n".join(turn["content"] for turn in conversation) + "\n" for conversation in conversations]
        return [text.strip() for text in generate(*self.loaded, prompts, max_new_tokens=room, **decoding)]


def turns(user: str, system: str = "") -> Turns:
    """A conversation up to where the model answers."""
    return [*([{"role": "system", "content": system}] if system else []), {"role": "user", "content": user}]


@cache
def worded(code: str) -> dict[str, str]:
    """What stands around questions and answers in a language; in English for one that nobody worded it for."""
    wordings: dict[str, dict[str, str]] = load_yaml(Path(__file__).parent / "prompts.yaml")
    return wordings[match(code, wordings) or PIVOT]


def judge_prompt(question: str, expert: str, answer: str, code: str) -> str:
    """What the judge is asked, in English about texts in the language; it ends with one of four sentences."""
    return (
        f"Below are a question and two answers to it, all in {NAMES.get(code, code)}.\n"
        f"Question: {question}\nAnswer 1: {expert}\nAnswer 2: {answer}\n"
        "Compare Answer 2 with Answer 1: are they similar, and how comprehensive and appropriate is Answer 2? Answer 2 "
        "is contradictory if it says what contradicts Answer 1 and thereby answers the question wrongly. It is neither "
        "if it answers the question but is unlike Answer 1. Reason about this first. Only if the two are similar, "
        "compare how comprehensive and appropriate they are, and reason about that. Then choose one of\n"
        "1) Answer 2 is neither contradictory nor similar to Answer 1\n"
        "2) Answer 2 has contradictory information in comparison to Answer 1\n"
        "3) Answer 2 has more comprehensive and appropriate information\n"
        "4) Answer 2 has less comprehensive and appropriate information\n"
        "and end with its sentence, word for word, on the last line."
    )


def translated(spec: str, texts: Sequence[str], code: str) -> list[str]:
    """Answers in English, by an encoder-decoder; those in English as they are."""
    if code == PIVOT:
        return list(texts)
    from core.inference import seq2seq
    from core.text.languages import flores_code

    model, tokenizer = _translator(spec)
    nllb = "eng_Latn" in tokenizer.all_special_tokens
    source, target = (flores_code(code), "eng_Latn") if nllb else (code, "en")
    return seq2seq.translate(model, tokenizer, texts, source, target, longest=seq2seq.positions(model))


@cache
def _translator(spec: str) -> Loaded:
    """It is asked once a language and temperature."""
    from core.models import loading

    return loading.load(spec, task="seq2seq")
