"""Talk to a model in the layout it was tuned in: the released checkpoints, your own, or what `train` wrote.

    chat = load_chat("ICTNLP/bayling-2-llama-3-8b", "bayling2-llama3")
    chat.reply([[{"role": "user", "content": "What is the speed of light?"}]])
    translate(chat, [Segment("1", "en", "sw", "Good morning.", "")], "zh")      # asked for in Chinese

A layout is a chat template: the tokenizer's own where it has one, else that of the released checkpoints.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from core.files import read_lines
from core.inference.chat import Chat
from core.tasks.samples import dialogue
from papers.bayling2.config import WORDINGS, Template
from papers.bayling2.method import cross_lingual_request

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from core.tasks.translation import Segment

# The begin token is left to the tokenizer, as in the official code (its Llama-3 template assigns the begin token and
# then overwrites it). Llama-3 messages are stripped, Llama-2 messages are not.
CHAT_TEMPLATES: dict[str, str] = {
    name: "\n".join(read_lines(Path(__file__).with_name(f"{name}.jinja"))) for name in get_args(Template)[1:]
}


def chat_template(tokenizer: PreTrainedTokenizerBase, template: Template = "auto") -> str:
    """The layout as a chat template: the one that is named; else the tokenizer's own; else Llama-3's or Llama-2's.

    Between the last two decides whether the tokenizer has `<|eot_id|>`. The official client looks for
    `bayling-llama-3` in the model's path, which the hub id of the released 8B model does not contain, and so talks to
    it in the wrong layout.
    """
    if template == "auto" and tokenizer.chat_template:
        return str(tokenizer.chat_template)
    found = "bayling2-llama3" if "<|eot_id|>" in tokenizer.get_vocab() else "bayling2-llama2"
    return CHAT_TEMPLATES[found if template == "auto" else template]


def load_chat(spec: str | Path, template: Template = "auto", **options: Any) -> Chat:
    """A checkpoint (hub id or folder) in a layout; see :func:`chat_template` and :class:`core.inference.chat.Chat`."""
    chat = Chat.load(spec, **options)
    chat.tokenizer.chat_template = chat_template(chat.tokenizer, template)
    return chat


def translate(
    chat: Chat, segments: Sequence[Segment], request_language: str = "en", *, max_new_tokens: int = 512
) -> list[str]:
    """Translations, asked for in the first wording of the training requests in English or Chinese, greedily."""
    wording = WORDINGS[request_language][0]
    requests = [
        dialogue(cross_lingual_request(part.source_text, part.source, part.target, wording, request_language))
        for part in segments
    ]
    return chat.reply(requests, max_new_tokens=max_new_tokens)
