"""Talk to a model in the layout it was tuned in: the released checkpoints, your own, or what `train` wrote.

    chat = Chat.load("ICTNLP/bayling-2-llama-3-8b", "bayling2-llama3")
    chat.reply([[{"role": "user", "content": "What is the speed of light?"}]])
    chat.translate(["Good morning."], "en", "sw", "zh")                  # asked for in Chinese

A layout is a chat template: the tokenizer's own where it has one, else that of the released checkpoints.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from core.errors import UserError
from papers.bayling2.config import WORDINGS
from papers.bayling2.method import cross_lingual_request

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from core.tasks.transfer import Item

Template = Literal["bayling2-llama2", "bayling2-llama3"]
Message = Mapping[str, str]
# Defaults of the official client.
TEMPERATURE, MAX_NEW_TOKENS = 0.7, 512
_SYSTEM = {
    "bayling2-llama2": "I am an intelligent language assistant developed by the NLP Group of ICT/CAS.\n"
    "Below is a dialog consisting of instructions and responses. Write a response that completes the request.",
    "bayling2-llama3": "I am BayLing developed by the NLP Group of ICT/CAS.",
}
_SPLIT_SYSTEM = r"""
{%- if messages[0]['role'] == 'system' -%}{%- set system = messages[0]['content'] -%}{%- set turns = messages[1:] -%}
{%- else -%}{%- set system = DEFAULT -%}{%- set turns = messages -%}{%- endif -%}
{{- bos_token -}}
"""
CHAT_TEMPLATES: dict[str, str] = {
    "bayling2-llama2": _SPLIT_SYSTEM.replace("DEFAULT", repr(_SYSTEM["bayling2-llama2"]))
    + r"""
{{- system + '\n\n' -}}
{%- for message in turns -%}
{%- if message['role'] == 'user' -%}{{- '### Instruction:\n' + message['content'] + '\n' -}}
{%- else -%}{{- '### Response:\n' + message['content'] + eos_token + '\n' -}}{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '### Response:\n' -}}{%- endif -%}
""",
    "bayling2-llama3": _SPLIT_SYSTEM.replace("DEFAULT", repr(_SYSTEM["bayling2-llama3"]))
    + r"""
{{- '<|start_header_id|>system<|end_header_id|>\n\n' + system | trim + '<|eot_id|>' -}}
{%- for message in turns -%}
{{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' + message['content'] | trim + '<|eot_id|>' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|start_header_id|>assistant<|end_header_id|>\n\n' -}}{%- endif -%}
""",
}


def format_prompt(messages: Sequence[Message], template: Template = "bayling2-llama2") -> str:
    """A conversation as the released checkpoints read it; after a user's turn, up to where the response begins.

    The begin token is left to the tokenizer, as in the official code (its Llama-3 template assigns the begin token and
    then overwrites it). Llama-3 messages are stripped, Llama-2 messages are not.

    Args:
        messages: Turns with `role` (`user`, `assistant`) and `content`; a first `system` turn replaces the template's.
        template: `bayling2-llama2` (7B, 13B) or `bayling2-llama3` (8B).

    Raises:
        UserError: No message, or a role that the template does not know.
    """
    from transformers.utils.chat_template_utils import render_jinja_template

    if template not in CHAT_TEMPLATES:
        raise UserError(f"There is no template {template!r}: choose one of {', '.join(CHAT_TEMPLATES)}.")
    if not [message for message in messages if message["role"] != "system"]:
        raise UserError("The conversation has no turn: give at least one message with role 'user'.")
    for number, message in enumerate(messages):
        if message["role"] not in ("user", "assistant") and not (number == 0 and message["role"] == "system"):
            raise UserError(f"Message {number} has the role {message['role']!r}: use 'user' and 'assistant'.")
    rendered: Any = render_jinja_template(
        [[dict(message) for message in messages]],
        chat_template=CHAT_TEMPLATES[template],
        add_generation_prompt=messages[-1]["role"] != "assistant",
        bos_token="",
        eos_token="</s>",
    )
    return rendered[0][0]


def chat_template(tokenizer: PreTrainedTokenizerBase, template: Template | Literal["auto"] = "auto") -> str:
    """The layout as a chat template: the one that is named; else the tokenizer's own; else Llama-3's or Llama-2's.

    Between the last two decides whether the tokenizer has `<|eot_id|>`. The official client looks for
    `bayling-llama-3` in the model's path, which the hub id of the released 8B model does not contain, and so talks to
    it in the wrong layout.
    """
    if template != "auto":
        return CHAT_TEMPLATES[template]
    if tokenizer.chat_template:
        return str(tokenizer.chat_template)
    return CHAT_TEMPLATES["bayling2-llama3" if "<|eot_id|>" in tokenizer.get_vocab() else "bayling2-llama2"]


@dataclass(frozen=True)
class Chat:
    """A causal language model and its tokenizer, whose chat template is the layout."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase

    @staticmethod
    def load(spec: str | Path, template: Template | Literal["auto"] = "auto", **options: Any) -> Chat:
        """Load a checkpoint (hub id or folder); see :func:`chat_template` and :func:`core.models.loading.load`."""
        from core.models import loading

        model, tokenizer = loading.load(spec, **options)
        tokenizer.chat_template = chat_template(tokenizer, template)
        return Chat(model, tokenizer)

    def prompt(self, messages: Sequence[Message]) -> str:
        """The text that the model reads."""
        turns = [dict(message) for message in messages]
        return str(self.tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True))

    def stop_ids(self) -> list[int]:
        """Ids that end a reply: the model's and the tokenizer's end tokens, and those of Llama 3 where it has them."""
        own: Any = self.model.generation_config
        own = getattr(own, "eos_token_id", None)
        found = {*(own if isinstance(own, list) else [own]), self.tokenizer.eos_token_id}
        vocabulary = self.tokenizer.get_vocab()
        found |= {vocabulary.get("<|eot_id|>"), vocabulary.get("<|end_of_text|>")}
        return sorted(end for end in found if end is not None)

    def reply(
        self,
        conversations: Sequence[Sequence[Message]],
        *,
        max_new_tokens: int = MAX_NEW_TOKENS,
        temperature: float = 0.0,
        seed: int = 0,
    ) -> list[str]:
        """The next turn of every conversation, each of which ends with a user's.

        Args:
            conversations: Turns with `role` and `content`.
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

    def translate(
        self, texts: Sequence[str], source: str, target: str, request_language: str = "en", *,
        max_new_tokens: int = MAX_NEW_TOKENS,
    ) -> list[str]:  # fmt: skip
        """Translations, asked for in the first wording of the training requests in English or Chinese, greedily."""
        wording = WORDINGS[request_language][0]
        requests = [cross_lingual_request(text, source, target, wording, request_language) for text in texts]
        turns = [[{"role": "user", "content": request}] for request in requests]
        return self.reply(turns, max_new_tokens=max_new_tokens)

    def answer(self, items: Sequence[Item], max_new_tokens: int = 32) -> list[str]:
        """Answers to questions: the likeliest choice where there are choices, otherwise what the model writes."""
        from core.inference.generation import score_choices

        turns = [[{"role": "user", "content": item.prompt}] for item in items]
        asked = list(zip(items, turns, strict=True))
        opened = [turn for item, turn in asked if not item.choices]
        contexts = [self.prompt(turn) for item, turn in asked if item.choices]
        choices = [item.choices for item in items if item.choices]
        written = iter(self.reply(opened, max_new_tokens=max_new_tokens) if opened else [])
        scored = score_choices(self.model, self.tokenizer, contexts, choices) if contexts else []
        likely = [[score.log_likelihood for score in scores] for scores in scored]
        chosen = iter([options[found.index(max(found))] for found, options in zip(likely, choices, strict=True)])
        return [next(chosen) if item.choices else next(written) for item in items]
