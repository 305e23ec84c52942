"""What is asked of a model, whatever it is: answers, K answers, verdicts, and how likely an answer is after a question.

model = Model(loading.load("wheel:smollm2"), max_new_tokens=24)
model.answers(["How should I wash my hands?"], "en")
model.verdicts([("How should I wash my hands?", "With soap.")], "en")       # "Yes."
model.after([("How should I wash my hands?", "With soap.")], "en")          # log p(a | q)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from papers.xlingeval import data

if TYPE_CHECKING:
    from core.models.embedding import Encoder
    from core.models.loading import Loaded

Pair = tuple[str, str]
# Room for a verdict: one word is asked for, and what a model says instead should be seen.
VERDICT_TOKENS = 8


@dataclass(frozen=True)
class Model:
    """A causal language model: chat models in their layout, others by signs for question and answer."""

    loaded: Loaded
    max_new_tokens: int = 1000

    def answers(self, questions: Sequence[str], code: str) -> list[str]:
        """One answer to each question, greedily."""
        return self._write([data.answer_turns(question, code) for question in questions], self.max_new_tokens)

    def samples(
        self, questions: Sequence[str], code: str, count: int, temperature: float, seed: int, room: int
    ) -> list[list[str]]:
        """`count` answers to each question at a temperature, of at most `room` tokens."""
        turns = [data.sample_turns(question, code) for question in questions for _ in range(count)]
        said = self._write(turns, room, temperature=temperature, seed=seed)
        return [said[start : start + count] for start in range(0, len(said), count)]

    def verdicts(self, pairs: Sequence[Pair], code: str, temperature: float = 0.0, seed: int = 0) -> list[str]:
        """What it says when it is asked whether an answer is right."""
        turns = [data.verify_turns(*pair, code) for pair in pairs]
        return self._write(turns, VERDICT_TOKENS, temperature=temperature, seed=seed)

    def after(self, pairs: Sequence[Pair], code: str) -> list[float]:
        """log p(answer | question) of each pair, in nats; what several begin with is computed once."""
        contexts = [data.plain(question, code) for question, _ in pairs]
        return [total for total, _ in self._likelihoods(contexts, [answer for _, answer in pairs])]

    def alone(self, answers: Sequence[str], code: str) -> list[tuple[float, int]]:
        """log p(answer) behind the cue alone, and the number of tokens."""
        return self._likelihoods([data.worded(code)["answer"]] * len(answers), answers)

    def _likelihoods(self, contexts: Sequence[str], answers: Sequence[str]) -> list[tuple[float, int]]:
        from core.inference.scoring import log_likelihoods

        found = log_likelihoods(*self.loaded, contexts, [f" {answer}" for answer in answers])
        return [(one.log_likelihood, one.tokens) for one in found]

    def _write(self, conversations: Sequence[list[dict[str, str]]], room: int, **decoding: Any) -> list[str]:
        from core.inference.chat import Chat
        from core.inference.generation import generate

        if self.loaded.tokenizer.chat_template:
            return Chat(*self.loaded).reply(conversations, max_new_tokens=room, **decoding)
        prompts = ["\n".join(turn["content"] for turn in turns) + "\n" for turns in conversations]
        return [text.strip() for text in generate(*self.loaded, prompts, max_new_tokens=room, **decoding)]


def closeness(encoder: Encoder, pairs: Sequence[Pair]) -> list[float]:
    """Cosine of question and answer: what an encoder has to say about them, in any language."""
    from core.models.embedding import cosines

    return cosines(encoder, [question for question, _ in pairs], [answer for _, answer in pairs])


def translated(spec: str, texts: Sequence[str], code: str) -> list[str]:
    """Answers in English, by an encoder-decoder; those in English as they are."""
    if code == "en":
        return list(texts)
    from core.inference import seq2seq
    from core.text.languages import flores_code

    model, tokenizer = _translator(spec)
    nllb = "eng_Latn" in tokenizer.all_special_tokens
    source, target = (flores_code(code), "eng_Latn") if nllb else (code, "en")
    return seq2seq.translate(model, tokenizer, texts, source, target)


@cache
def _translator(spec: str) -> Loaded:
    """It is asked once a language and temperature."""
    from core.models import loading

    return loading.load(spec, task="seq2seq")
