"""A language model that draws: ids, hidden states, scores of codes, and prompts that are read once.

model = TextToImage(language_model, vocabulary, tokens=1024, max_text=512)           # the paper: Gemma 2
model = TextToImage(decoder, vocabulary, tokens=9, max_text=17, text_width=256)       # text from a frozen encoder
codes = method.generate(model, prompts, empty, Decoding(), seeds)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional
from transformers import DynamicCache

from core.distributed import barrier, is_main, whole
from core.errors import UserError
from core.files import load_facts, replacing, write_json
from core.models import loading
from core.training.fit import save_pretrained
from papers.neobabel.method import image_block, prompt_ids, visible

# In the order in which the official code adds them to the tokenizer; most belong to tasks that it never trains.
MARKERS = ("pad", "soi", "eoi", "sov", "eov", "t2i", "mmu", "t2v", "v2v", "lvg")
SIZES = ("tokens", "max_text", "text_width")
Scores = Callable[[Int[Tensor, "batch n"]], Sequence[Float[Tensor, "batch n k"]]]


@dataclass(frozen=True)
class Vocabulary:
    """`text` ids (256,000 in Gemma 2, with `bos` and `eos` among them), ten markers, `codes` image codes, the mask."""

    text: int
    codes: int
    bos: int
    eos: int

    def marker(self, name: str) -> int:
        """Id of one of `MARKERS`. The padding is a new token, too: Gemma's own is not used."""
        return self.text + MARKERS.index(name)

    @property
    def first_code(self) -> int:
        """Id of image code 0."""
        return self.text + len(MARKERS)

    @property
    def mask(self) -> int:
        """Id of the mask, the last one."""
        return self.first_code + self.codes

    @property
    def size(self) -> int:
        """All ids."""
        return self.mask + 1


class Prompt(NamedTuple):
    """`BOS text` without EOS; for a model with `text_width` also a vector for each of these ids, and one for EOS."""

    ids: list[int]
    states: Float[Tensor, "text width"] | None = None


class TextToImage(nn.Module):
    """A decoder with image codes in its vocabulary: a causal language model whose embedding has `vocabulary.size` rows.

    It draws images of `tokens` codes (N) behind a text of at most `max_text` ids (Tmax). `text_width` is that of the
    vectors that stand for text, if it comes from a frozen encoder; 0 = text ids.
    """

    def __init__(self, lm: Any, vocabulary: Vocabulary, tokens: int, max_text: int, text_width: int = 0) -> None:
        super().__init__()
        rows = lm.get_input_embeddings().weight.shape[0]
        if rows != vocabulary.size:
            raise UserError(f"The model has {rows} embedding rows, the vocabulary {vocabulary.size}: resize the model.")
        if getattr(lm.config, "attn_logit_softcapping", None) and lm.config._attn_implementation != "eager":
            raise UserError("This model caps its attention scores, which only eager attention does: load it so.")
        self.lm, self.vocabulary, self.text_width = lm, vocabulary, text_width
        self.tokens, self.max_text = tokens, max_text
        self.project = nn.Linear(text_width, lm.config.hidden_size) if text_width else nn.Identity()
        # What the training loop asks a transformers model for.
        self.config, self._no_split_modules = lm.config, getattr(lm, "_no_split_modules", None)
        self.gradient_checkpointing_enable = lm.gradient_checkpointing_enable
        self.gradient_checkpointing_disable = lm.gradient_checkpointing_disable

    def hidden(
        self,
        ids: Int[Tensor, "batch length"],
        seen: Bool[Tensor, "batch length keys"],
        states: Float[Tensor, "batch text width"] | None = None,
        cache: Any = None,
    ) -> Float[Tensor, "batch length dim"]:
        """Final hidden states. `states` replaces the embeddings of the ids that are text, from the left."""
        embedded = self.lm.get_input_embeddings()(ids)
        if states is not None:
            text = (ids[:, : states.shape[1]] < self.vocabulary.text)[..., None]
            head = torch.where(text, self.project(states.to(embedded)), embedded[:, : states.shape[1]])
            embedded = torch.cat([head, embedded[:, states.shape[1] :]], dim=1)
        mask = torch.zeros(seen.shape, dtype=embedded.dtype, device=ids.device)
        # The dtype's own minimum: the official code casts the smallest int64, which overflows half precision.
        mask = mask.masked_fill(~seen, torch.finfo(embedded.dtype).min)[:, None]
        # Transformers takes a mask of four dimensions as it is, for layers of every kind.
        options = {"attention_mask": mask, "past_key_values": cache, "use_cache": cache is not None}
        return self.lm.base_model(inputs_embeds=embedded, **options).last_hidden_state

    def logits(self, hidden: Float[Tensor, "... dim"], columns: slice = slice(None)) -> Float[Tensor, "... columns"]:
        """Scores of some ids, all by default, soft-capped where the model does so; no other column is computed."""
        head = self.lm.get_output_embeddings()
        bias = None if head.bias is None else head.bias[columns]
        scores = functional.linear(hidden, head.weight[columns], bias)
        cap = getattr(self.config, "final_logit_softcapping", None)
        return scores if cap is None else cap * torch.tanh(scores / cap)

    def behind(self, prompts: Sequence[Prompt], empty: Prompt | None) -> Scores:
        """Scores of the image codes behind prompts, and behind `empty` for guidance, that are read once and kept."""
        v, cache, copies = self.vocabulary, DynamicCache(), 2 if empty else 1
        ids, states = prefix([*prompts, *[empty] * len(prompts)] if empty else prompts, v, self.max_text)
        prompt = ids.to(self.lm.device)
        self.hidden(prompt, visible(prompt, v, self.max_text), states, cache)

        def scores(codes: Int[Tensor, "batch n"]) -> Sequence[Float[Tensor, "batch n k"]]:
            block = image_block(codes.repeat(copies, 1), v)
            seen = visible(torch.cat([prompt, block], dim=1), v, self.max_text)
            hidden = self.hidden(block, seen[:, prompt.shape[1] :], None, cache)
            cache.crop(-block.shape[1])
            columns = slice(v.first_code, v.first_code + v.codes)  # and no other one is computed
            return self.logits(hidden[:, 1:-1], columns).float().chunk(copies)

        return scores


def prefix(prompts: Sequence[Prompt], vocabulary: Vocabulary, max_text: int) -> tuple[Tensor, Tensor | None]:
    """Ids [batch, max_text + 1] of the prompts, and the states that stand for their text ids, if they have any."""
    rows = torch.tensor([prompt_ids(prompt.ids, vocabulary, max_text) for prompt in prompts])
    known = [prompt.states for prompt in prompts if prompt.states is not None]
    if not known:
        return rows, None
    states = torch.zeros(*rows.shape, known[0].shape[1])
    for row, found in zip(states, known, strict=True):
        kept = min(len(found) - 1, max_text - 1)
        row[max_text - kept : max_text] = found[:kept]
        row[max_text] = found[-1]
    return rows, states


def save(model: TextToImage, folder: Path, tokenizer: Any = None) -> None:
    """A `save_pretrained` folder of the decoder, and beside it the projection and the vocabulary. Every rank calls."""
    save_pretrained(model.lm, folder, tokenizer)
    project = {name: whole(p).cpu() for name, p in model.project.state_dict().items()}
    if is_main():
        with replacing(folder / "projection.safetensors") as path:
            save_file(project, path)
        sizes = {name: getattr(model, name) for name in SIZES}
        write_json(folder / "neobabel.json", {"vocabulary": asdict(model.vocabulary), **sizes})
    barrier()


def load(folder: Path, device: Any = "cpu") -> TextToImage:
    """The inverse of :func:`save`, in evaluation mode; UserError for a folder that it did not write."""
    facts = load_facts(folder, "neobabel.json", ("vocabulary", *SIZES), "papers.neobabel.train")
    with loading.translated(folder):
        lm = loading.load_model(folder, dtype="float32", device="cpu", attention="eager")
        model = TextToImage(lm, Vocabulary(**facts.pop("vocabulary")), **facts)
        model.project.load_state_dict(load_file(folder / "projection.safetensors"))
    return model.to(device).eval()
