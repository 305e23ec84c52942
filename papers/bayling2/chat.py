"""Talk to a model in the layout it was tuned in: the released checkpoints, or what `train` wrote.

chat = Chat.load("ICTNLP/bayling-2-llama-3-8b")
chat.reply([[{"role": "user", "content": "What is the speed of light?"}]])
chat.translate(["Good morning."], "en", "sw")
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from papers.bayling2.method import (
    STOP_IDS,
    WORDINGS,
    Message,
    Template,
    choose_template,
    cross_lingual_request,
    format_prompt,
)

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


@dataclass(frozen=True)
class Chat:
    """A model, its tokenizer and its template.

    Attributes:
        model: A causal language model.
        tokenizer: Its tokenizer.
        template: See :func:`papers.bayling2.method.format_prompt`.
        official_stops: Stop on exactly the ids of the official client. For Llama-3 they include 2, which there is an
            ordinary piece of text (`#`) and ends a reply at its first heading; so the default leaves it out.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    template: Template
    official_stops: bool = False

    @staticmethod
    def load(spec: str | Path, template: Template | None = None, **options: Any) -> Chat:
        """Load a checkpoint; the template is chosen by the tokenizer unless given.

        Args:
            spec: Hub id or folder.
            template: The layout of conversations.
            options: Of :func:`core.models.loading.load`.
        """
        from core.models import loading

        model, tokenizer = loading.load(spec, **options)
        return Chat(model, tokenizer, template or choose_template(tokenizer))

    def prompt(self, messages: Sequence[Message]) -> str:
        """The text that the model reads, begin token included."""
        return f"{self.tokenizer.bos_token or ''}{format_prompt(messages, self.template)}"

    def reply(
        self,
        conversations: Sequence[Sequence[Message]],
        *,
        max_new_tokens: int = 512,
        temperature: float = 0.0,
        seed: int = 0,
    ) -> list[str]:
        """The next turn of every conversation.

        Args:
            conversations: Each ends with a user's turn.
            max_new_tokens: The official client's 512.
            temperature: 0 is greedy, for scoring; the official client samples at 0.7.
            seed: Of the sampling.
        """
        from core.inference.generation import generate

        prompts = [self.prompt(messages) for messages in conversations]
        texts = generate(
            self.model, self.tokenizer, prompts, max_new_tokens=max_new_tokens, temperature=temperature, seed=seed,
            ends=self.stop_ids(),
        )  # fmt: skip
        return [text.strip() for text in texts]

    def stop_ids(self) -> list[int]:
        """Ids of the tokens that end a reply."""
        if self.official_stops:
            return list(STOP_IDS[self.template])
        ends = {self.tokenizer.eos_token_id}
        if self.template == "bayling2-llama3":
            vocabulary = self.tokenizer.get_vocab()
            ends |= {vocabulary.get("<|eot_id|>"), vocabulary.get("<|end_of_text|>")}
        return sorted(end for end in ends if end is not None)

    def translate(
        self, texts: Sequence[str], source: str, target: str, *, request_language: str = "en", max_new_tokens: int = 512
    ) -> list[str]:
        """Translations, asked for in the first wording of the training requests, decoded greedily."""
        wording = WORDINGS[request_language][0]
        requests = [cross_lingual_request(text, source, target, wording, request_language) for text in texts]
        return self.reply(
            [[{"role": "user", "content": request}] for request in requests], max_new_tokens=max_new_tokens
        )
