"""NeoBabel: one multilingual decoder draws images, because captions of an image in six languages share its tokens.

An image is a row of N discrete codes. They join the vocabulary of a language model, and the model learns to fill in
codes that are masked, seeing the prompt c and the other codes, in the sequence

    [PAD] ... t2i BOS text EOS soi x_1 ... x_N eoi.

Text is read causally, as the language model learned to; image positions see the whole text and each other. With
u ~ U(0, 1) and M the masked positions, chosen at random,

    r = max(cos(pi u / 2), r_min),    |M| = max(1, round(N r)),                                                   (1)
    L = - 1 / (|M| + 2) ( sum_{i in M} log p(x_i | c, x_rest) + log p(soi) + log p(eoi) ).                        (2)

The caption is drawn uniformly from the languages in every step, and that is the point: captions in six languages tie
six languages to the same visual targets. An image is drawn in T steps: all codes masked, sample every one, keep those
that the model is surest of, mask the others again, fewer in each step:

    l = (1 + w) l(c) - w l(empty),    x_i ~ softmax(l_i),                                                         (3)
    m_s = max(1, min(#unknown - 1, floor(N cos(pi/2 (s + 1)/T)))),                                                (4)
    kappa_i = log p(x_i) + tau_s g_i,    tau_s = prod_{k <= s} (1 - (k + 1)/T),    g_i ~ Gumbel.                  (5)

Two scores ask for more than correct images: phi embeds an image I of a prompt p in language l, or in English and l,

    CLC = mean_{p, l} cos(phi(I_p^l), phi(I_p^en)),    CSS = mean_{p, l} cos(phi(I_p^(en + l)), phi(I_p^en)).     (6, 7)

`model.py` puts a language model behind it: ids, hidden states, scores, cached prompts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import cosine_similarity, cross_entropy
from torch.utils.checkpoint import checkpoint

from core.training.losses import IGNORED, Loss
from papers.neobabel.config import Decoding

if TYPE_CHECKING:
    from papers.neobabel.model import Prompt, TextToImage, Vocabulary

# Scores in memory at a time, in training: 264,203 of them weigh a megabyte a position.
CHUNK = 2**28


def prompt_ids(text: list[int], vocabulary: Vocabulary, max_text: int) -> list[int]:
    """`[PAD] ... t2i BOS text EOS`, exactly max_text + 1 ids, so that the image always starts at the same place.

    Of a longer text the beginning remains. No text is the empty prompt, for guidance.
    """
    begin = [vocabulary.marker("t2i"), *([] if text[:1] == [vocabulary.bos] else [vocabulary.bos])]
    row = [*[*begin, *text][:max_text], vocabulary.eos]
    return [vocabulary.marker("pad")] * (max_text + 1 - len(row)) + row


def image_block(ids: Int[Tensor, "batch n"], vocabulary: Vocabulary) -> Int[Tensor, "batch n+2"]:
    """`soi x_1 ... x_N eoi`. Of labels too, which are not shifted: soi and eoi are targets of themselves."""
    edge = ids.new_ones(len(ids), 1)
    return torch.cat([edge * vocabulary.marker("soi"), ids, edge * vocabulary.marker("eoi")], dim=1)


def visible(
    ids: Int[Tensor, "batch length"], vocabulary: Vocabulary, max_text: int
) -> Bool[Tensor, "batch length length"]:
    """Which key (last axis) each query sees.

    Text is causal and sees no padding; soi, image and eoi see all text and each other; padding sees padding, only so
    that no row is empty. Text never sees the image, so its keys and values are the same in every step of drawing.
    """
    place = torch.arange(ids.shape[1], device=ids.device)
    causal = place[None, :] <= place[:, None]
    padding = ids == vocabulary.marker("pad")
    in_text = causal & (padding[:, :, None] == padding[:, None, :])
    return torch.where((place > max_text)[:, None], ~padding[:, None, :], in_text)


def mask_image(
    codes: Int[Tensor, "batch n"],
    time: Float[Tensor, " batch"],
    order: Float[Tensor, "batch n"],
    vocabulary: Vocabulary,
    minimum: float = 0.0,
) -> tuple[Int[Tensor, "batch n"], Int[Tensor, "batch n"]]:
    """Equation 1, with one uniform `time` an image and uniform numbers whose `order` decides which codes are masked.

    Returns:
        Ids of the image positions, and their labels: the code's id where masked, -100 elsewhere.
    """
    share = torch.cos(time * math.pi * 0.5).clamp(min=minimum)
    masked = order.argsort(-1) < (codes.shape[1] * share).round().clamp(min=1)[:, None]
    ids = codes + vocabulary.first_code
    return ids.masked_fill(masked, vocabulary.mask), ids.masked_fill(~masked, IGNORED)


def image_loss(model: TextToImage, batch: dict[str, Any]) -> Loss:
    """Equation 2, against the whole vocabulary, text included, as a sum over targets.

    `batch` holds `prompt` [batch, max_text + 1], `block` and `labels` [batch, N + 2], and `states` where text has them.
    """
    ids, start = torch.cat([batch["prompt"], batch["block"]], dim=1), batch["prompt"].shape[1]
    seen = visible(ids, model.vocabulary, start - 1)
    chosen = batch["labels"] != IGNORED
    hidden, targets = model.hidden(ids, seen, batch.get("states"))[:, start:][chosen], batch["labels"][chosen]

    def part(h: Tensor, y: Tensor) -> Tensor:
        return cross_entropy(model.logits(h).float(), y, reduction="sum")

    size = max(1, CHUNK // model.vocabulary.size)
    parts = zip(hidden.split(size), targets.split(size), strict=True)
    losses = [checkpoint(part, *one, use_reentrant=False, preserve_rng_state=False) for one in parts]
    return Loss(torch.stack(losses).sum(), len(targets))


def guided(conditional: Tensor, unconditional: Tensor, guidance: float) -> Tensor:
    """Equation 3, as the official code writes it."""
    return (1 + guidance) * conditional - guidance * unconditional


def masked_after(tokens: int, timesteps: int) -> list[int]:
    """floor(N cos) of equation 4 for every step; in float32 the last one is just below zero, as there."""
    times = torch.tensor([(step + 1) / timesteps for step in range(timesteps)])
    return [int(count) for count in (tokens * torch.cos(times * math.pi * 0.5)).floor()]


def still_masked(target: int, unknown: Int[Tensor, " batch"]) -> Int[Tensor, " batch"]:
    """Equation 4: every step fixes at least one code and leaves at least one for the next."""
    return (unknown - 1).clamp(max=target).clamp(min=1)


def temperatures(timesteps: int) -> list[float]:
    """tau_s of equation 5. The official code shrinks it cumulatively: a product, not 1 - (s + 1) / T."""
    shrink = torch.tensor([1 - (step + 1) / timesteps for step in range(timesteps)], dtype=torch.float64)
    return shrink.cumprod(0).tolist()


def remask(
    log_p: Float[Tensor, "batch n"],
    known: Bool[Tensor, "batch n"],
    count: Int[Tensor, " batch"],
    temperature: float = 0.0,
    noise: Float[Tensor, "batch n"] | None = None,
) -> Bool[Tensor, "batch n"]:
    """Which codes are masked again: those whose noisy confidence (equation 5) is below the (count + 1)-th smallest."""
    confidence = log_p if noise is None else log_p + temperature * noise
    confidence = confidence.masked_fill(known, torch.finfo(log_p.dtype).max)  # what is fixed stays
    return confidence < confidence.sort(-1).values.gather(-1, count[:, None])


def gumbel(generators: Sequence[torch.Generator], *shape: int) -> Float[Tensor, "batch ..."]:
    """Standard Gumbel noise: from each generator, which are on the CPU for the same noise on any device, a tensor."""
    uniform = torch.stack([torch.rand(shape, generator=generator) for generator in generators])
    return -torch.log(-torch.log(uniform.clamp(1e-9, 1 - 1e-7)))


@torch.inference_mode()
def generate(
    model: TextToImage, prompts: Sequence[Prompt], empty: Prompt, decoding: Decoding, seeds: Sequence[int]
) -> Int[Tensor, "batch n"]:
    """Draw an image for each prompt, at most `decoding.batch_size` at a time: its codes between 0 and K - 1.

    Equal seeds give equal noise, in any batch.
    """
    v, n, steps, device, parts = model.vocabulary, model.tokens, decoding.timesteps, model.lm.device, []
    for begin in range(0, len(prompts), decoding.batch_size):
        rows = slice(begin, begin + decoding.batch_size)
        score = model.behind(prompts[rows], empty if decoding.guidance else None)
        noise = [torch.Generator().manual_seed(seed) for seed in seeds[rows]]
        codes = torch.zeros(len(noise), n, dtype=torch.long, device=device)
        unknown = torch.ones_like(codes, dtype=torch.bool)
        for target, tau in zip(masked_after(n, steps), temperatures(steps), strict=True):
            scores = score((codes + v.first_code).masked_fill(unknown, v.mask))
            log_p = guided(scores[0], scores[-1], decoding.guidance).log_softmax(-1)
            # The largest of log p + Gumbel is a draw from softmax(l).
            codes = torch.where(unknown, (log_p + gumbel(noise, n, v.codes).to(device)).argmax(-1), codes)
            confidence = log_p.gather(-1, codes[..., None]).squeeze(-1)
            count = still_masked(target, unknown.sum(-1))
            unknown = remask(confidence, ~unknown, count, tau, gumbel(noise, n).to(device))
        parts.append(codes)
    return torch.cat(parts)


def consistency(
    features: Mapping[str, Float[Tensor, "prompts dim"]], english: Float[Tensor, "prompts dim"]
) -> Float[Tensor, "languages prompts"]:
    """Equations 6 and 7 before their mean; a vector of zeros is like no other.

    The same wrong image in every language is perfectly consistent: read it beside accuracy, and give every language
    noise of its own.
    """
    return torch.stack([cosine_similarity(found.double(), english.double(), dim=-1) for found in features.values()])
