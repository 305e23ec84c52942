"""Chat models: replies in the layout of the tokenizer's chat template, ended where a turn of it ends.

chat = Chat.load("my-chat-model")
chat.reply([[{"role": "user", "content": "What is the speed of light?"}]])
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from core.errors import UserError

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

Message = Mapping[str, str]
# Of Llama 3, whose checkpoints may end with either and whose tokenizer names one.
_ENDS = ("<|eot_id|>", "<|end_of_text|>")


class Asked(Protocol):
    """A question: what the user says and, where given, what to choose from."""

    @property
    def prompt(self) -> str:
        """The user's turn."""
        ...

    @property
    def choices(self) -> Sequence[str]:
        """Possible answers; none = whatever is written."""
        ...


def render(tokenizer: Any, messages: Sequence[Message], *, prompt: bool = False) -> str:
    """The dialogue as one string; with `prompt` it ends where the assistant starts to answer.

    Raises:
        UserError: The tokenizer has no chat template.
    """
    if not tokenizer.chat_template:
        raise UserError(f"{tokenizer.name_or_path or 'The tokenizer'} has no chat template: name a chat model.")
    return str(tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=prompt))


def turn_end(tokenizer: Any) -> str:
    """What the chat template writes after an answer, white space aside (`<|im_end|>`); else the end token.

    Base checkpoints often bring a chat template and do not end a text at its end of turn: generation has to be told.
    """
    text = render(tokenizer, [{"role": "user", "content": "x"}, {"role": "assistant", "content": "7f3a"}])
    return text.rpartition("7f3a")[2].strip() or str(tokenizer.eos_token or "")


@dataclass(frozen=True)
class Chat:
    """A causal language model and its tokenizer, whose chat template is the layout."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase

    @staticmethod
    def load(spec: str | Path, **options: Any) -> Chat:
        """Load a checkpoint: hub id or folder, and options of :func:`core.models.loading.load`."""
        from core.models import loading

        return Chat(*loading.load(spec, **options))

    def stop_ids(self) -> list[int]:
        """Ids that end a reply: end tokens of the model, the tokenizer, the layout, and Llama 3's where it has them."""
        own = getattr(self.model.generation_config, "eos_token_id", None)
        vocabulary = self.tokenizer.get_vocab()
        marks = map(vocabulary.get, (turn_end(self.tokenizer), *_ENDS))
        found = {*(own if isinstance(own, list) else [own]), self.tokenizer.eos_token_id, *marks}
        return sorted(end for end in found if end is not None)

    def reply(
        self, conversations: Sequence[Sequence[Message]], *, max_new_tokens: int = 512, **decoding: Any
    ) -> list[str]:
        """The next turn of every conversation, each of which ends with a user's, without white space around it.

        Args:
            conversations: Turns with `role` and `content`.
            max_new_tokens: Longest reply.
            decoding: Of :func:`core.inference.generation.generate`, such as `temperature`; greedy without.
        """
        from core.inference.generation import generate

        prompts = [render(self.tokenizer, messages, prompt=True) for messages in conversations]
        options: dict[str, Any] = {"max_new_tokens": max_new_tokens, "ends": self.stop_ids(), **decoding}
        return [text.strip() for text in generate(self.model, self.tokenizer, prompts, **options)]

    def answer(self, items: Sequence[Asked], max_new_tokens: int = 32) -> list[str]:
        """Answers to questions: the likeliest choice where there are choices, otherwise what the model writes."""
        from core.inference.scoring import score_choices

        turns = [[{"role": "user", "content": item.prompt}] for item in items]
        opened = [turn for item, turn in zip(items, turns, strict=True) if not item.choices]
        contexts = [render(self.tokenizer, t, prompt=True) for i, t in zip(items, turns, strict=True) if i.choices]
        choices = [item.choices for item in items if item.choices]
        written = iter(self.reply(opened, max_new_tokens=max_new_tokens) if opened else [])
        scored = score_choices(self.model, self.tokenizer, contexts, choices) if contexts else []
        likely = [[score.log_likelihood for score in scores] for scores in scored]
        chosen = iter([options[found.index(max(found))] for found, options in zip(likely, choices, strict=True)])
        return [next(chosen) if item.choices else next(written) for item in items]
