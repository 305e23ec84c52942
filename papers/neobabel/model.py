"""A language model that draws: the sequence, mask and decoding rules of `method.py` on any transformers decoder.

model = TextToImage(language_model, vocabulary)                    # the paper: Gemma 2, trained as a whole
model = TextToImage(small_decoder, vocabulary, text_width=96)      # text arrives as states of a frozen encoder
codes = generate(model, prompts, empty, tokens=9, max_text=24, guidance=2.0, timesteps=6, seeds=[0] * len(prompts))
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from transformers import DynamicCache

from core.distributed import is_main
from core.errors import UserError
from core.files import load_json, replacing, write_json
from core.models import loading
from core.training.fit import save_pretrained
from core.training.losses import Loss
from papers.neobabel.method import (
    IGNORED,
    ImageAttention,
    Schedule,
    Vocabulary,
    guided,
    image_block,
    masked_after,
    masked_cross_entropy,
    prompt_ids,
    remask,
    still_masked,
    temperatures,
    visible,
)

# Logits of one chunk of positions: 264,203 of them weigh a megabyte a position.
CHUNK = 2**28


class Prompt(NamedTuple):
    """A tokenised prompt.

    Attributes:
        ids: `BOS text`, without EOS.
        states: For a model with `text_width`: a vector for each of the ids, and one for EOS.
    """

    ids: list[int]
    states: Float[Tensor, "text width"] | None = None


class TextToImage(nn.Module):
    """A decoder with image codes in its vocabulary.

    Args:
        lm: Any transformers causal language model whose embedding has `vocabulary.size` rows.
        vocabulary: Where the markers and codes are.
        text_width: Width of the vectors that stand for text, if it comes from a frozen encoder; 0 = text ids.
        image: Whether image positions see each other.
        qk_norm: Normalise queries and keys. The paper says so, the released code does not do it.
    """

    def __init__(
        self,
        lm: Any,
        vocabulary: Vocabulary,
        text_width: int = 0,
        image: ImageAttention = "bidirectional",
        qk_norm: bool = False,
    ) -> None:
        super().__init__()
        rows = lm.get_input_embeddings().weight.shape[0]
        if rows != vocabulary.size:
            raise UserError(f"The model has {rows} embedding rows, the vocabulary {vocabulary.size}: resize the model.")
        check_kernel(lm.config, lm.config._attn_implementation)
        self.lm, self.vocabulary, self.image = lm, vocabulary, image
        self.text_width, self.qk_norm = text_width, qk_norm
        # Checkpointing and FSDP wrap the decoder's blocks.
        self._no_split_modules = getattr(lm, "_no_split_modules", None)
        self.project = nn.Linear(text_width, lm.config.hidden_size) if text_width else None
        if qk_norm:
            add_qk_norm(lm)

    @property
    def config(self) -> Any:
        """The language model's."""
        return self.lm.config

    def gradient_checkpointing_enable(self, **options: Any) -> None:
        """Recompute activations in the backward pass."""
        self.lm.gradient_checkpointing_enable(**options)

    def gradient_checkpointing_disable(self) -> None:
        """Keep activations."""
        self.lm.gradient_checkpointing_disable()

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
        body = self.lm.base_model
        return body(
            inputs_embeds=embedded, attention_mask=mask, past_key_values=cache, use_cache=cache is not None
        ).last_hidden_state

    def logits(self, hidden: Float[Tensor, "... dim"]) -> Float[Tensor, "... vocabulary"]:
        """Scores of all ids, soft-capped where the model does so."""
        scores = self.lm.get_output_embeddings()(hidden)
        cap = getattr(self.config, "final_logit_softcapping", None)
        return scores if cap is None else cap * torch.tanh(scores / cap)


def check_kernel(config: Any, implementation: str) -> None:
    """Refuse an attention kernel that leaves out the model's soft-cap, as older versions of transformers let pass.

    Raises:
        UserError: SDPA for a model like Gemma 2.
    """
    if getattr(config, "attn_logit_softcapping", None) and implementation == "sdpa":
        raise UserError("SDPA leaves out this model's attention soft-cap: use --attention.implementation eager.")


def add_qk_norm(lm: Any) -> None:
    """Put an RMS norm over each head's width behind every query and key projection, in place."""
    config = lm.config
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    for module in list(lm.modules()):
        for name in ("q_proj", "k_proj"):
            if isinstance(getattr(module, name, None), nn.Linear):
                setattr(module, name, nn.Sequential(getattr(module, name), HeadNorm(width)))


class HeadNorm(nn.Module):
    """RMS norm of each head's part of a projection."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.RMSNorm(width, eps=1e-6)

    def forward(self, x: Float[Tensor, "... heads_width"]) -> Float[Tensor, "... heads_width"]:
        """Same shape."""
        return self.norm(x.unflatten(-1, (-1, self.norm.normalized_shape[0]))).flatten(-2)


# --- prompts and training batches ---------------------------------------------------------------------------------


def prefix(prompts: Sequence[Prompt], vocabulary: Vocabulary, max_text: int) -> tuple[Tensor, Tensor | None]:
    """Ids [batch, max_text + 1] of the prompts, and the states that stand for their text ids, if they have any."""
    rows = [prompt_ids(prompt.ids, vocabulary, max_text) for prompt in prompts]
    first = prompts[0].states
    if first is None:
        return torch.tensor(rows), None
    states = torch.zeros(len(prompts), max_text + 1, first.shape[1])
    for row, prompt in zip(states, prompts, strict=True):
        assert prompt.states is not None
        kept = min(len(prompt.ids), max_text - 1)
        row[max_text - kept : max_text] = prompt.states[:kept]
        row[max_text] = prompt.states[-1]
    return torch.tensor(rows), states


def image_loss(model: TextToImage, batch: dict[str, Any]) -> Loss:
    """The loss of the paper, for `core.training.fit`.

    `batch` holds `prompt` [batch, max_text + 1], `block` and `labels` [batch, N + 2], and `states` where text has them.
    """
    ids = torch.cat([batch["prompt"], batch["block"]], dim=1)
    start = batch["prompt"].shape[1]
    seen = visible(ids, model.vocabulary, start - 1, model.image)
    hidden = model.hidden(ids, seen, batch.get("states"))[:, start:]
    labels = batch["labels"]
    chosen = labels != IGNORED
    hidden, targets = hidden[chosen], labels[chosen]
    size = max(1, CHUNK // model.vocabulary.size)
    if len(targets) <= size:
        return Loss(*masked_cross_entropy(model.logits(hidden), targets))
    total = sum(
        checkpoint(lambda h, y: masked_cross_entropy(model.logits(h), y)[0], h, y, use_reentrant=False)
        for h, y in zip(hidden.split(size), targets.split(size), strict=True)
    )
    return Loss(torch.as_tensor(total), len(targets))


# --- drawing ------------------------------------------------------------------------------------------------------


class Noise:
    """Gumbel noise that depends on each row's seed alone, so that equal seeds give equal noise in any batch."""

    def __init__(self, seeds: Sequence[int]) -> None:
        self.generators = {seed: torch.Generator().manual_seed(seed) for seed in seeds}
        self.rows = [list(self.generators).index(seed) for seed in seeds]

    def __call__(self, *shape: int) -> Float[Tensor, "batch ..."]:
        """Standard Gumbel noise, one tensor of `shape` for every row."""
        uniform = torch.stack([torch.rand(shape, generator=generator) for generator in self.generators.values()])
        return -torch.log(-torch.log(uniform.clamp(1e-9, 1 - 1e-7)))[self.rows]


@torch.inference_mode()
def generate(
    model: TextToImage,
    prompts: Sequence[Prompt],
    empty: Prompt,
    *,
    tokens: int,
    max_text: int,
    guidance: float = 5.0,
    timesteps: int = 50,
    temperature: float = 1.0,
    schedule: Schedule = "cosine",
    exponent: float = 2.0,
    seeds: Sequence[int] | None = None,
    start: Int[Tensor, "batch n"] | None = None,
    region: Bool[Tensor, "batch n"] | None = None,
    cached: bool = True,
    batch_size: int = 256,
) -> Int[Tensor, "batch n"]:
    """Draw one image for each prompt.

    Args:
        model: In evaluation mode.
        prompts: What to draw.
        empty: The empty prompt, for guidance.
        tokens: N, codes of an image.
        max_text: Tmax.
        guidance: w; 0 leaves the unconditional pass out. 5 in the paper.
        timesteps: T; 50 at 512 pixels, 12 at 256.
        temperature: tau_0.
        schedule: Of the share that stays masked.
        exponent: Of the `power` schedule.
        seeds: Noise of each image; equal seeds share it. By default all share seed 123456, as the official
            evaluation does, which resets its generator for every batch of one.
        start: Codes to begin with, for inpainting.
        region: With `start`: the positions to draw anew.
        cached: Compute the prompt's keys and values once (they never depend on the image); False in every step.
        batch_size: Images at a time.

    Returns:
        Codes between 0 and K - 1: the last full sample.
    """
    seeds = list(seeds) if seeds is not None else [123456] * len(prompts)
    parts = []
    for begin in range(0, len(prompts), batch_size):
        rows = slice(begin, begin + batch_size)
        begun = None if start is None or region is None else (start[rows], region[rows])
        block = _Block(model, prompts[rows], empty if guidance else None, max_text, cached)
        noise = Noise(seeds[rows])
        parts.append(_draw(block, noise, tokens, guidance, timesteps, temperature, (schedule, exponent), begun))
    return torch.cat(parts) if parts else torch.zeros(0, tokens, dtype=torch.long)


def _draw(
    block: _Block,
    noise: Noise,
    tokens: int,
    guidance: float,
    timesteps: int,
    temperature: float,
    shape: tuple[Schedule, float],
    begun: tuple[Tensor, Tensor] | None,
) -> Int[Tensor, "batch n"]:
    vocabulary = block.model.vocabulary
    codes = torch.zeros(block.batch, tokens, dtype=torch.long, device=block.device)
    unknown = torch.ones_like(codes, dtype=torch.bool)
    if begun is not None:
        codes, unknown = (part.to(block.device) for part in begun)
    targets = masked_after(tokens, timesteps, *shape)
    for target, tau in zip(targets, temperatures(timesteps, temperature), strict=True):
        ids = (codes + vocabulary.first_code).masked_fill(unknown, vocabulary.mask)
        log_p = block.log_probabilities(ids, guidance)
        drawn = (log_p + noise(tokens, vocabulary.codes).to(log_p)).argmax(-1)
        codes = torch.where(unknown, drawn, codes)
        confidence = log_p.gather(-1, codes[..., None]).squeeze(-1)
        count = still_masked(target, unknown.sum(-1))
        unknown = remask(confidence, ~unknown, count, tau, noise(tokens).to(log_p))
    return codes.cpu()


class _Block:
    """Scores of the image positions of a batch under fixed prompts."""

    def __init__(
        self, model: TextToImage, prompts: Sequence[Prompt], empty: Prompt | None, max_text: int, cached: bool
    ) -> None:
        self.model, self.batch, self.max_text = model, len(prompts), max_text
        self.device = model.lm.get_input_embeddings().weight.device
        both = [*prompts, *([empty] * len(prompts) if empty is not None else [])]
        ids, states = prefix(both, model.vocabulary, max_text)
        self.prompt = ids.to(self.device)
        self.states = None if states is None else states.to(self.device)
        self.cache = None
        if cached:
            self.cache = DynamicCache()
            seen = visible(self.prompt, model.vocabulary, max_text, model.image)
            model.hidden(self.prompt, seen, self.states, self.cache)

    def log_probabilities(self, codes: Int[Tensor, "batch n"], guidance: float) -> Float[Tensor, "batch n k"]:
        """Guided log-probabilities of the image codes alone; the text columns are left out."""
        model, start = self.model, self.max_text + 1
        block = image_block(codes.repeat(len(self.prompt) // self.batch, 1), model.vocabulary)
        ids = torch.cat([self.prompt, block], dim=1)
        seen = visible(ids, model.vocabulary, self.max_text, model.image)
        if self.cache is None:
            hidden = model.hidden(ids, seen, self.states)[:, start:]
        else:
            hidden = model.hidden(block, seen[:, start:], None, self.cache)
            self.cache.crop(-block.shape[1])
        first = model.vocabulary.first_code
        logits = model.logits(hidden[:, 1:-1])[..., first : first + model.vocabulary.codes].float()
        if len(self.prompt) > self.batch:
            conditional, unconditional = logits.chunk(2)
            logits = guided(conditional, unconditional, guidance)
        return logits.log_softmax(-1)


def region_of(mask: Float[Tensor, "height width"], grid: int) -> Bool[Tensor, " n"]:
    """Token positions of a mask image (1 = draw anew): resized to the token grid, threshold 0.5."""
    small = nn.functional.interpolate(mask[None, None].float(), size=(grid, grid), mode="bilinear", antialias=True)
    return (small >= 0.5).flatten()


def extrapolate(
    model: TextToImage,
    prompts: Sequence[Prompt],
    empty: Prompt,
    codes: Int[Tensor, "grid grid"],
    *,
    columns: int,
    seed: int = 0,
    **options: Any,
) -> Int[Tensor, "grid wide"]:
    """Continue an image to the right, by `columns` of tokens for each prompt; every prompt may be in another language.

    The window moves: its left part is what was drawn before, its right part is masked.
    """
    grid = codes.shape[0]
    if not 0 < columns < grid:
        raise UserError(f"columns = {columns} must lie between 1 and {grid - 1}, so that the window sees some image.")
    wide = codes
    region = (torch.arange(grid) >= grid - columns).expand(grid, grid).reshape(1, -1)
    for step, prompt in enumerate(prompts):
        window = torch.cat([wide[:, columns - grid :], torch.zeros(grid, columns, dtype=torch.long)], dim=1)
        drawn = generate(
            model,
            [prompt],
            empty,
            tokens=grid * grid,
            seeds=[seed + step],
            start=window.reshape(1, -1),
            region=region,
            **options,
        )
        wide = torch.cat([wide, drawn.view(grid, grid)[:, -columns:]], dim=1)
    return wide


# --- files --------------------------------------------------------------------------------------------------------


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
    v = model.vocabulary
    write_json(
        folder / "neobabel.json",
        {
            "vocabulary": {"text": v.text, "codes": v.codes, "bos": v.bos, "eos": v.eos},
            "text_width": model.text_width,
            "image": model.image,
            "qk_norm": model.qk_norm,
        },
    )


def load(folder: Path, device: Any = "cpu", attention: str = "eager") -> TextToImage:
    """The inverse of :func:`save`.

    Raises:
        UserError: No such folder, or not one that `save` wrote.
    """
    if not (folder / "neobabel.json").exists():
        raise UserError(f"{folder} holds no NeoBabel model (no neobabel.json): give the artifact of a training run.")
    with loading.translated(folder):
        settings = load_json(folder / "neobabel.json", dict)
        vocabulary = Vocabulary(**settings["vocabulary"])
        if settings["qk_norm"]:
            # The class of the checkpoint does not know these norms, so its weights are put back by name.
            lm = loading.from_config(loading.load_config(folder), seed=0, attention=attention)
        else:
            lm = loading.load_model(folder, dtype="float32", device="cpu", attention=attention)
        model = TextToImage(lm, vocabulary, settings["text_width"], settings["image"], settings["qk_norm"])
        if settings["qk_norm"]:
            weights = {
                name: value for file in folder.glob("model*.safetensors") for name, value in load_file(file).items()
            }
            lm.load_state_dict(weights, strict=False)
        if model.project is not None:
            model.project.load_state_dict(load_file(folder / "projection.safetensors"))
    return model.to(device).eval()
