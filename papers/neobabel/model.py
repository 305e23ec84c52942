"""A language model that draws: ids, hidden states, scores of codes, and prompts that are read once.

model = TextToImage(language_model, vocabulary, tokens=1024, max_text=512)           # the paper: Gemma 2
model = TextToImage(decoder, vocabulary, tokens=9, max_text=17, text_width=256)       # text from a frozen encoder
codes = method.generate(model, prompts, empty, Decoding(), seeds)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional
from transformers import DynamicCache

from core.distributed import is_main
from core.errors import UserError
from core.files import load_json, replacing, write_json
from core.models import loading
from core.training.fit import save_pretrained
from papers.neobabel.method import image_block, prompt_ids, visible

# In the order in which the official code adds them to the tokenizer; most belong to tasks that it never trains.
MARKERS = ("pad", "soi", "eoi", "sov", "eov", "t2i", "mmu", "t2v", "v2v", "lvg")


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
    """A decoder with image codes in its vocabulary.

    Args:
        lm: Any transformers causal language model whose embedding has `vocabulary.size` rows.
        vocabulary: Where the markers and codes are.
        tokens: N, codes of the images that it draws.
        max_text: Tmax, its text budget.
        text_width: Width of the vectors that stand for text, if it comes from a frozen encoder; 0 = text ids.

    Raises:
        UserError: Another number of rows, or an attention kernel that drops the model's soft-cap.
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
        self.project = nn.Linear(text_width, lm.config.hidden_size) if text_width else None
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
        if self.project is not None and states is not None:
            text = (ids[:, : states.shape[1]] < self.vocabulary.text)[..., None]
            head = torch.where(text, self.project(states.to(embedded.dtype)), embedded[:, : states.shape[1]])
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

    def canvas(self, prompts: Sequence[Prompt], empty: Prompt | None, seeds: Sequence[int]) -> Canvas:
        """Prompts, read and kept, behind which images are drawn; `empty` for guidance."""
        return Canvas(self, prompts, empty, seeds)


def prefix(prompts: Sequence[Prompt], vocabulary: Vocabulary, max_text: int) -> tuple[Tensor, Tensor | None]:
    """Ids [batch, max_text + 1] of the prompts, and the states that stand for their text ids, if they have any."""
    rows = torch.tensor([prompt_ids(prompt.ids, vocabulary, max_text) for prompt in prompts])
    first = prompts[0].states
    if first is None:
        return rows, None
    states = torch.zeros(len(prompts), max_text + 1, first.shape[1])
    for row, prompt in zip(states, prompts, strict=True):
        assert prompt.states is not None
        kept = min(len(prompt.ids), max_text - 1)
        row[max_text - kept : max_text] = prompt.states[:kept]
        row[max_text] = prompt.states[-1]
    return rows, states


class Canvas:
    """Scores and noise of the image positions of a batch whose prompts have been read once."""

    def __init__(self, model: TextToImage, prompts: Sequence[Prompt], empty: Prompt | None, seeds: Sequence[int]):
        self.model = model
        self.device = model.lm.get_input_embeddings().weight.device
        ids, states = prefix([*prompts, *([empty] * len(prompts) if empty else [])], model.vocabulary, model.max_text)
        self.prompt, self.cache = ids.to(self.device), DynamicCache()
        seen = visible(self.prompt, model.vocabulary, model.max_text)
        model.hidden(self.prompt, seen, None if states is None else states.to(self.device), self.cache)
        self.copies = 2 if empty else 1
        # One generator a seed, on the CPU: equal seeds give equal noise in any batch and on any device.
        self.generators = {seed: torch.Generator().manual_seed(seed) for seed in seeds}
        place = {seed: row for row, seed in enumerate(self.generators)}
        self.rows = [place[seed] for seed in seeds]

    def scores(self, ids: Int[Tensor, "batch n"]) -> Sequence[Float[Tensor, "batch n k"]]:
        """Of the image codes and of no other column, behind the prompts and, for guidance, behind the empty one."""
        model, v = self.model, self.model.vocabulary
        block = image_block(ids.repeat(self.copies, 1), v)
        seen = visible(torch.cat([self.prompt, block], dim=1), v, model.max_text)
        hidden = model.hidden(block, seen[:, model.max_text + 1 :], None, self.cache)
        self.cache.crop(-block.shape[1])
        columns = slice(v.first_code, v.first_code + v.codes)
        return model.logits(hidden[:, 1:-1], columns).float().chunk(self.copies)

    def noise(self, *shape: int) -> Float[Tensor, "batch ..."]:
        """Standard Gumbel noise, one tensor of `shape` for every image."""
        uniform = torch.stack([torch.rand(shape, generator=generator) for generator in self.generators.values()])
        return -torch.log(-torch.log(uniform.clamp(1e-9, 1 - 1e-7)))[self.rows].to(self.device)


def save(model: TextToImage, folder: Path, tokenizer: Any = None) -> None:
    """A `save_pretrained` folder of the decoder, and beside it the projection and the vocabulary. Every rank calls."""
    save_pretrained(model.lm, folder, tokenizer)
    project = {} if model.project is None else model.project.state_dict()
    project = {name: (p.full_tensor() if hasattr(p, "full_tensor") else p).cpu() for name, p in project.items()}
    if not is_main():
        return
    if project:
        with replacing(folder / "projection.safetensors") as path:
            save_file(project, path)
    rest = {name: getattr(model, name) for name in ("tokens", "max_text", "text_width")}
    write_json(folder / "neobabel.json", {"vocabulary": asdict(model.vocabulary), **rest})


def load(folder: Path, device: Any = "cpu") -> TextToImage:
    """The inverse of :func:`save`, in evaluation mode.

    Raises:
        UserError: No such folder, or not one that `save` wrote.
    """
    if not (folder / "neobabel.json").exists():
        raise UserError(f"{folder} holds no NeoBabel model (no neobabel.json): give the artifact of a training run.")
    with loading.translated(folder):
        settings = load_json(folder / "neobabel.json", dict)
        vocabulary = Vocabulary(**settings.pop("vocabulary"))
        lm = loading.load_model(folder, dtype="float32", device="cpu", attention="eager")
        model = TextToImage(lm, vocabulary, **settings)
        if model.project is not None:
            model.project.load_state_dict(load_file(folder / "projection.safetensors"))
    return model.to(device).eval()
