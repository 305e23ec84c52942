"""Talk to a model in the layout it was tuned in: the released checkpoints, your own, or what `train` wrote.

    chat = Chat.load("ICTNLP/bayling-2-llama-3-8b", "bayling2-llama3")
    chat.reply([[{"role": "user", "content": "What is the speed of light?"}]])
    chat.translate([Segment("1", "en", "sw", "Good morning.", "")], "zh")      # asked for in Chinese

A layout is a chat template: the tokenizer's own where it has one, else that of the released checkpoints.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from core.errors import UserError
from core.models.tokenization import turn_end
from core.tasks.samples import dialogue, render
from papers.bayling2.config import WORDINGS
from papers.bayling2.method import cross_lingual_request

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from core.tasks.transfer import Item
    from core.tasks.translation import Segment

Template = Literal["bayling2-llama2", "bayling2-llama3"]
Message = Mapping[str, str]
_SYSTEM = r"""
{%- if messages[0]['role'] == 'system' -%}{%- set system = messages[0]['content'] -%}{%- set turns = messages[1:] -%}
{%- else -%}{%- set system = DEFAULT -%}{%- set turns = messages -%}{%- endif -%}
{{- bos_token -}}
"""
CHAT_TEMPLATES: dict[str, str] = {
    "bayling2-llama2": _SYSTEM.replace(
        "DEFAULT",
        "'I am an intelligent language assistant developed by the NLP Group of ICT/CAS.\\nBelow is a dialog consisting "
        "of instructions and responses. Write a response that completes the request.'",
    )
    + r"""
{{- system + '\n\n' -}}
{%- for message in turns -%}
{%- if message['role'] == 'user' -%}{{- '### Instruction:\n' + message['content'] + '\n' -}}
{%- else -%}{{- '### Response:\n' + message['content'] + eos_token + '\n' -}}{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '### Response:\n' -}}{%- endif -%}
""",
    "bayling2-llama3": _SYSTEM.replace("DEFAULT", "'I am BayLing developed by the NLP Group of ICT/CAS.'")
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
    roles = [message["role"] for message in messages]
    turns = roles[1:] if roles[:1] == ["system"] else roles
    if not turns:
        raise UserError("The conversation has no turn: give at least one message with role 'user'.")
    if unknown := [role for role in turns if role not in ("user", "assistant")]:
        raise UserError(f"A message has the role {unknown[0]!r}: use 'user' and 'assistant'.")
    rendered: Any = render_jinja_template(
        [[dict(message) for message in messages]], chat_template=CHAT_TEMPLATES[template],
        add_generation_prompt=turns[-1] == "user", bos_token="", eos_token="</s>",
    )  # fmt: skip
    return rendered[0][0]


def chat_template(tokenizer: PreTrainedTokenizerBase, template: Template | Literal["auto"] = "auto") -> str:
    """The layout as a chat template: the one that is named; else the tokenizer's own; else Llama-3's or Llama-2's.

    Between the last two decides whether the tokenizer has `<|eot_id|>`. The official client looks for
    `bayling-llama-3` in the model's path, which the hub id of the released 8B model does not contain, and so talks to
    it in the wrong layout.
    """
    if template == "auto" and tokenizer.chat_template:
        return str(tokenizer.chat_template)
    found = "bayling2-llama3" if "<|eot_id|>" in tokenizer.get_vocab() else "bayling2-llama2"
    return CHAT_TEMPLATES[found if template == "auto" else template]


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

    def stop_ids(self) -> list[int]:
        """Ids that end a reply: end tokens of the model, the tokenizer, the layout, and Llama 3's where it has them."""
        own: Any = self.model.generation_config
        own = getattr(own, "eos_token_id", None)
        vocabulary = self.tokenizer.get_vocab()
        marks = (turn_end(self.tokenizer), "<|eot_id|>", "<|end_of_text|>")
        found = {*(own if isinstance(own, list) else [own]), self.tokenizer.eos_token_id, *map(vocabulary.get, marks)}
        return sorted(end for end in found if end is not None)

    def reply(
        self, conversations: Sequence[Sequence[Message]], *, max_new_tokens: int = 512, temperature: float = 0.0,
        seed: int = 0,
    ) -> list[str]:  # fmt: skip
        """The next turn of every conversation, each of which ends with a user's.

        Args:
            conversations: Turns with `role` and `content`.
            max_new_tokens: The official client's 512.
            temperature: 0 is greedy, for scoring; the official client samples at 0.7.
            seed: Of the sampling.
        """
        from core.inference.generation import generate

        prompts = [render(self.tokenizer, messages, prompt=True) for messages in conversations]
        texts = generate(
            self.model, self.tokenizer, prompts, max_new_tokens=max_new_tokens, temperature=temperature, seed=seed,
            ends=self.stop_ids(),
        )  # fmt: skip
        return [text.strip() for text in texts]

    def translate(
        self, segments: Sequence[Segment], request_language: str = "en", *, max_new_tokens: int = 512
    ) -> list[str]:
        """Translations, asked for in the first wording of the training requests in English or Chinese, greedily."""
        wording = WORDINGS[request_language][0]
        requests = [
            cross_lingual_request(part.source_text, part.source, part.target, wording, request_language)
            for part in segments
        ]
        return self.reply([dialogue(request) for request in requests], max_new_tokens=max_new_tokens)

    def answer(self, items: Sequence[Item], max_new_tokens: int = 32) -> list[str]:
        """Answers to questions; see :func:`core.tasks.transfer.chat_answers`."""
        from core.tasks.transfer import chat_answers

        return chat_answers(self.model, self.tokenizer, items, max_new_tokens=max_new_tokens, ends=self.stop_ids())
