"""Serve a tuned model: the whole chain is written, the end user sees its last section."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.text import fences
from papers.taco.config import Chain, Template
from papers.taco.method import TacoAnswer, parse_chain, render_prompt

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


@dataclass(frozen=True)
class TacoPipeline:
    """A causal language model that answers prompts in one language, its tokenizer, and the chain and prompt template
    that it was tuned on."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    lang_name: str
    """English name of the language."""
    chain: Chain = "taco"
    template: Template = "alpaca"
    max_new_tokens: int = 1024
    """Room for all texts of the chain; a chain that is cut has `ok=False`."""
    keep_code: bool = False
    """Copy code blocks of the English response into the answer."""

    @staticmethod
    def load(folder: str | Path, dtype: str = "auto", **options: Any) -> TacoPipeline:
        """A pipeline from a language's folder of `python -m papers.taco.train`, with other values for some fields.

        Raises:
            UserError: No such folder.
        """
        from core.files import load_facts
        from core.models import loading

        read, fields = ("revision", "quantization"), ("chain", "template", "max_new_tokens")
        facts = load_facts(folder, "taco.json", {*read, "language", *fields}, "papers.taco.train")
        model, tokenizer = loading.load(folder, dtype=dtype, **{name: facts[name] for name in read})
        tuned = {name: facts[name] for name in fields} | options
        return TacoPipeline(model, tokenizer, facts["language"], **tuned)

    def generate(self, prompt: str, text: str = "") -> TacoAnswer:
        """Answer one prompt (with an optional input); only `response_xx` is for the end user."""
        return self.parse(self.write([{"instruction": prompt, "input": text}]))[0]

    def write(self, asked: Sequence[Mapping[str, str]]) -> list[str]:
        """Greedy outputs, whole chains, to records or rows with `instruction` and perhaps `input`."""
        from core.inference.generation import generate

        begin = self.tokenizer.bos_token or ""
        prompts = [begin + render_prompt(self.template, row["instruction"], row.get("input", "")) for row in asked]
        return generate(self.model, self.tokenizer, prompts, max_new_tokens=self.max_new_tokens)

    def parse(self, outputs: Sequence[str]) -> list[TacoAnswer]:
        """The sections of outputs."""
        answers = [parse_chain(output, self.lang_name, self.chain) for output in outputs]
        return [keep_code(answer) for answer in answers] if self.keep_code else answers


def keep_code(answer: TacoAnswer) -> TacoAnswer:
    """Copy the fenced code blocks of the English response into the final answer, as the chain translates code, too."""
    if answer.response_en is None or answer.response_xx is None:
        return answer
    return replace(answer, response_xx=fences.keep_code(answer.response_xx, answer.response_en))
