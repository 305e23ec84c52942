"""Serve a tuned model: the whole chain is written, the end user sees its last section.

pipeline = TacoPipeline.load("runs/nepali/artifact/Nepali")
answer = pipeline.generate("सात जोड चार कति हुन्छ ?")      # TacoAnswer(instruction_en, response_en, response_xx, ok)
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import UserError
from papers.taco.config import Chain, Template
from papers.taco.method import TacoAnswer, parse_chain, render_prompt

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_FENCE = re.compile(r"```.*?```", re.DOTALL)


@dataclass(frozen=True)
class TacoPipeline:
    """A tuned model that answers prompts in one language."""

    model: PreTrainedModel
    """A causal language model, tuned on chains."""
    tokenizer: PreTrainedTokenizerBase
    """Its tokenizer."""
    lang_name: str
    """English name of the language."""
    chain: Chain = "taco"
    """The chain that it was tuned on."""
    template: Template = "alpaca"
    """The prompt template that it was tuned on."""
    max_new_tokens: int = 1024
    """Room for all texts of the chain; a chain that is cut has `ok=False`."""
    keep_code: bool = False
    """Copy code blocks of the English response into the answer."""

    @staticmethod
    def load(folder: str | Path, **options: Any) -> TacoPipeline:
        """A pipeline from a language's folder of `python -m papers.taco.train`, with other values for some fields.

        Raises:
            UserError: No such folder.
        """
        from core.files import load_json
        from core.models import loading

        if not (Path(folder) / "taco.json").exists():
            raise UserError(f"{folder} holds no taco.json: give a language's folder inside a run's artifact folder.")
        facts = load_json(Path(folder) / "taco.json", dict)
        if lost := {"revision", "quantization", "language", "chain", "template", "max_new_tokens"} - facts.keys():
            raise UserError(f"{folder}/taco.json has no {min(lost)!r}: give a folder that papers.taco.train wrote.")
        model, tokenizer = loading.load(folder, revision=facts["revision"], quantization=facts["quantization"])
        fields = {name: facts[name] for name in ("chain", "template", "max_new_tokens")}
        return TacoPipeline(model, tokenizer, facts["language"], **{**fields, **options})

    def generate(self, prompt: str, text: str = "") -> TacoAnswer:
        """Answer one prompt (with an optional input); only `response_xx` is for the end user."""
        return self.parse(self.write([(prompt, text)]))[0]

    def write(self, asked: Sequence[tuple[str, str]]) -> list[str]:
        """Greedy outputs, whole chains, to instructions with their inputs (empty for none)."""
        from core.inference.generation import generate

        begin = self.tokenizer.bos_token or ""
        prompts = [f"{begin}{render_prompt(self.template, prompt, text)}" for prompt, text in asked]
        return generate(self.model, self.tokenizer, prompts, max_new_tokens=self.max_new_tokens)

    def parse(self, outputs: Sequence[str]) -> list[TacoAnswer]:
        """The sections of outputs."""
        answers = [parse_chain(output, self.lang_name, self.chain) for output in outputs]
        return [keep_code(answer) for answer in answers] if self.keep_code else answers


def keep_code(answer: TacoAnswer) -> TacoAnswer:
    """Copy the fenced code blocks of the English response into the final answer.

    The chain translates everything back, code too, and loses its line breaks. Blocks are replaced one for one; blocks
    that the final answer lacks are appended.
    """
    blocks = _FENCE.findall(answer.response_en or "")
    if not blocks or answer.response_xx is None:
        return answer
    remaining = iter(blocks)
    text = _FENCE.sub(lambda match: next(remaining, match[0]), answer.response_xx)
    return replace(answer, response_xx="\n\n".join([text, *remaining]))
