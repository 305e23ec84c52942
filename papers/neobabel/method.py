"""NeoBabel: one multilingual decoder draws images, because captions of an image in six languages share its tokens.

An image is a row of N discrete codes. They join the vocabulary of a language model, and the model learns to fill in
codes that are masked, seeing the prompt and the other codes:

    [PAD] ... t2i BOS text EOS soi x_1 ... x_N eoi,        L = - mean over masked i of log p(x_i | text, x_visible).

Text is read causally, as the language model learned to; image positions see the whole text and each other. At every
training step the caption is drawn uniformly from the languages, and that is the point: a multilingual language model
whose generator has only seen English captions stays an English generator, while captions in six languages tie six
languages to the same visual targets.

An image is drawn in T steps: all codes masked, sample every one, keep those that the model is surest of, mask the
others again, fewer in each step (MaskGIT), with classifier-free guidance. In the end checkpoints are averaged.

This file holds the sequence, the mask, the loss, the decoding rules, the quantiser, the averages and the two
consistency scores; `model.py` runs them on a language model.

    prompt_ids([bos, 17, 4], vocabulary, max_text=8)      # ids of the left-padded prompt, 9 of them
    visible(ids, vocabulary, max_text=8)                  # [batch, length, length], who sees whom
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

IGNORED = -100
# In the order in which the official code adds them to the tokenizer; most belong to tasks that it never trains.
MARKERS = ("pad", "soi", "eoi", "sov", "eov", "t2i", "mmu", "t2v", "v2v", "lvg")

Schedule = Literal["cosine", "linear", "power", "sigmoid"]
ImageAttention = Literal["bidirectional", "causal"]
MergeKind = Literal["sma", "wma", "ema"]


# --- the sequence -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Vocabulary:
    """Text ids, then ten markers, then the image codes, then the mask.

    Attributes:
        text: Number of text ids (256,000 in Gemma 2, where the markers then start).
        codes: Number of image codes K (8,192).
        bos: Text id that begins a prompt.
        eos: Text id that ends it.
    """

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


def prompt_ids(text: Sequence[int], vocabulary: Vocabulary, max_text: int, *, drop: bool = False) -> list[int]:
    """`[PAD] ... t2i BOS text EOS`: exactly max_text + 1 ids, so that the image block always starts at the same place.

    Args:
        text: Text ids; BOS is put before them if it is missing.
        vocabulary: Ids of the markers.
        max_text: The text budget Tmax. What is longer loses its end: the first Tmax ids and EOS remain.
        drop: Replace the prompt by the empty one, for classifier-free guidance.
    """
    text = list(text)
    if drop or not text or text[0] != vocabulary.bos:
        text = [vocabulary.bos, *([] if drop else text)]
    row = [vocabulary.marker("t2i"), *text, vocabulary.eos]
    if len(row) > max_text + 1:
        row = [*row[:max_text], vocabulary.eos]
    return [vocabulary.marker("pad")] * (max_text + 1 - len(row)) + row


def image_block(codes: Int[Tensor, "batch n"], vocabulary: Vocabulary) -> Int[Tensor, "batch n+2"]:
    """`soi x_1 ... x_N eoi` from ids of image positions (codes already shifted into the vocabulary, or the mask)."""
    edge = codes.new_ones(len(codes), 1)
    return torch.cat([edge * vocabulary.marker("soi"), codes, edge * vocabulary.marker("eoi")], dim=1)


def visible(
    ids: Int[Tensor, "batch length"], vocabulary: Vocabulary, max_text: int, image: ImageAttention = "bidirectional"
) -> Bool[Tensor, "batch length length"]:
    """Which key (last axis) each query sees.

    Text is causal and sees no padding; soi, image and eoi see all text and, with `bidirectional`, each other; padding
    sees padding, only so that no row is empty. Text never sees the image, so its keys and values are the same in
    every decoding step.

    Args:
        ids: Whole sequences.
        vocabulary: Ids of the markers.
        max_text: The image block starts at index max_text + 1.
        image: `causal` lets an image position see only what stands before it (control).
    """
    place = torch.arange(ids.shape[1], device=ids.device)
    causal = place[None, :] <= place[:, None]
    padding = ids == vocabulary.marker("pad")
    in_text = causal & (padding[:, :, None] == padding[:, None, :])
    in_block = ~padding[:, None, :] & (causal if image == "causal" else torch.ones_like(causal))
    return torch.where((place > max_text)[:, None], in_block, in_text)


# --- training -----------------------------------------------------------------------------------------------------


def mask_ratio(t: Float[Tensor, "*shape"], schedule: Schedule = "cosine", exponent: float = 2.0) -> Tensor:
    """Share of masked codes at time t in [0, 1]: from all (t = 0) to none. `power` is 1 - t^exponent."""
    if schedule == "cosine":
        return torch.cos(t * math.pi * 0.5)
    if schedule == "sigmoid":
        low, high = (torch.sigmoid(torch.tensor(end)) for end in (-3.0, 3.0))
        ratio = (high - torch.sigmoid(6 * t - 3)) / (high - low)
    else:
        ratio = 1 - t ** (1.0 if schedule == "linear" else exponent)
    return ratio.clamp(1e-6, 1.0)


def mask_image(
    codes: Int[Tensor, "batch n"],
    time: Float[Tensor, " batch"],
    order: Float[Tensor, "batch n"],
    vocabulary: Vocabulary,
    *,
    schedule: Schedule = "cosine",
    exponent: float = 2.0,
    minimum: float = 0.0,
) -> tuple[Int[Tensor, "batch n"], Int[Tensor, "batch n"]]:
    """Mask max(1, round(N r)) random codes of each image, r = max(mask_ratio(time), minimum).

    Args:
        codes: Image codes between 0 and K - 1.
        time: Uniform in [0, 1), one draw an image.
        order: Uniform numbers, whose order decides which positions are masked.
        vocabulary: Where codes and mask are.
        schedule: Of the share that is masked.
        exponent: Of the `power` schedule.
        minimum: The minimum masking rate (0; 0.5 in the last stage).

    Returns:
        Ids of the image positions, and their labels: the code's id where masked, -100 elsewhere.
    """
    share = mask_ratio(time, schedule, exponent).clamp(min=minimum)
    count = (codes.shape[1] * share).round().clamp(min=1)
    masked = order.argsort(-1) < count[:, None]
    ids = codes + vocabulary.first_code
    return ids.masked_fill(masked, vocabulary.mask), ids.masked_fill(~masked, IGNORED)


def block_labels(
    labels: Int[Tensor, "batch n"], vocabulary: Vocabulary, identity: bool = True
) -> Int[Tensor, "batch n+2"]:
    """Labels of the image block. They are *not* shifted: a masked position predicts itself.

    With `identity`, as in the official code, soi and eoi are targets of themselves, which is trivial.
    """
    block = image_block(labels, vocabulary)
    if not identity:
        block[:, 0] = block[:, -1] = IGNORED
    return block


def masked_cross_entropy(
    logits: Float[Tensor, "batch block vocabulary"], labels: Int[Tensor, "batch block"]
) -> tuple[Float[Tensor, ""], Int[Tensor, ""]]:
    """Sum of -log p over the labelled positions, against the *whole* vocabulary, text included; and their number."""
    total = F.cross_entropy(logits.flatten(0, -2).float(), labels.flatten(), ignore_index=IGNORED, reduction="sum")
    return total, (labels != IGNORED).sum()


# --- decoding -----------------------------------------------------------------------------------------------------


def guided(conditional: Tensor, unconditional: Tensor, guidance: float) -> Tensor:
    """Classifier-free guidance as the official code writes it: (1 + w) conditional - w unconditional."""
    return (1 + guidance) * conditional - guidance * unconditional


def masked_after(tokens: int, timesteps: int, schedule: Schedule = "cosine", exponent: float = 2.0) -> list[int]:
    """floor(N r((s + 1) / T)) for each step s: how many codes are to stay masked, before `still_masked` bounds it.

    In float32, as the official code; the last cosine is then just below zero, which the bounds repair.
    """
    times = torch.tensor([(step + 1) / timesteps for step in range(timesteps)])
    return [int(count) for count in (tokens * mask_ratio(times, schedule, exponent)).floor()]


def still_masked(target: int, unknown: Int[Tensor, " batch"]) -> Int[Tensor, " batch"]:
    """max(1, min(unknown - 1, target)): every step fixes at least one code and leaves at least one for the next."""
    return (unknown - 1).clamp(max=target).clamp(min=1)


def temperatures(timesteps: int, start: float = 1.0) -> list[float]:
    """Weight of the confidence noise in each step. The official code shrinks it cumulatively, which is a product:

    tau_s = start * prod over k <= s of (1 - (k + 1) / T), and not start * (1 - (s + 1) / T).
    """
    values, tau = [], start
    for step in range(timesteps):
        tau *= 1.0 - (step + 1) / timesteps
        values.append(tau)
    return values


def remask(
    log_p: Float[Tensor, "batch n"],
    known: Bool[Tensor, "batch n"],
    count: Int[Tensor, " batch"],
    temperature: float = 0.0,
    noise: Float[Tensor, "batch n"] | None = None,
) -> Bool[Tensor, "batch n"]:
    """Which codes are masked again: those whose noisy confidence is below the (count + 1)-th smallest.

    Args:
        log_p: Log-probability of the code that was drawn.
        known: Codes that are fixed already; they are never masked.
        count: How many each image masks.
        temperature: Of the noise.
        noise: Standard Gumbel; needed with a temperature above 0.
    """
    confidence = log_p if noise is None else log_p + temperature * noise
    confidence = confidence.masked_fill(known, torch.finfo(log_p.dtype).max)
    threshold = confidence.sort(-1).values.gather(-1, count[:, None])
    return confidence < threshold


# --- the image tokenizer's quantiser ------------------------------------------------------------------------------


def lfq_indices(latent: Float[Tensor, "*batch dims height width"]) -> Int[Tensor, "*batch height width"]:
    """Lookup-free quantisation: index = sum_j 2^(D - 1 - j) [z_j > 0]. Zero counts as 0; dimension 0 leads."""
    weights = 2 ** torch.arange(latent.shape[-3] - 1, -1, -1, device=latent.device)
    return ((latent > 0) * weights[:, None, None]).sum(-3)


def lfq_entries(indices: Int[Tensor, "*shape"], dims: int) -> Float[Tensor, "*shape dims"]:
    """The quantised vectors of codes: each bit as -1 or +1."""
    shifts = torch.arange(dims - 1, -1, -1, device=indices.device)
    return ((indices[..., None] >> shifts) & 1).float() * 2 - 1


# --- averages of checkpoints --------------------------------------------------------------------------------------


def merge_weights(kind: MergeKind, n: int, decay: float = 0.9) -> list[float]:
    """alpha_i = w_i / sum w of n checkpoints, the oldest first: 1 (sma), i (wma), decay^(n - i) (ema)."""
    raw = {
        "sma": [1.0] * n,
        "wma": [float(i) for i in range(1, n + 1)],
        "ema": [decay ** (n - i) for i in range(1, n + 1)],
    }[kind]
    return [weight / sum(raw) for weight in raw]


# --- consistency over languages -----------------------------------------------------------------------------------


def cosine(a: Float[Tensor, "*shape dim"], b: Float[Tensor, "*shape dim"]) -> Float[Tensor, "*shape"]:
    """Cosine in float64; 0 where a vector is zero, so that two empty images do not agree."""
    return F.cosine_similarity(a.double(), b.double(), dim=-1)


def cross_lingual_consistency(
    features: Mapping[str, Float[Tensor, "prompts dim"]],
    mode: Literal["pairwise", "reference"] = "pairwise",
    reference: str = "en",
) -> Float[Tensor, "others prompts"]:
    """CLC: similarity of the images that the same prompt gives in different languages; its mean is the score.

    Args:
        features: By language, one vector (any image embedding) for each prompt.
        mode: `pairwise` compares every two languages, `reference` each with one. A model that draws the same wrong
            image in every language is perfectly consistent pairwise: read it beside accuracy.
        reference: That one language.

    Returns:
        One row for every pair, or for every language but the reference, in the order of `features`.
    """
    names = list(features)
    if mode == "reference":
        pairs = [(reference, name) for name in names if name != reference]
    else:
        pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
    return torch.stack([cosine(features[a], features[b]) for a, b in pairs])


def code_switching_similarity(
    mixed: Mapping[str, Float[Tensor, "prompts dim"]],
    monolingual: Mapping[str, Float[Tensor, "prompts dim"]],
    reference: Literal["english", "mean_of_both"] = "english",
    english: str = "en",
) -> Float[Tensor, "others prompts"]:
    """CSS: similarity of the image of a prompt that changes language in the middle to that of the unmixed prompt.

    Args:
        mixed: By the language that English is mixed with: features of the mixed prompts.
        monolingual: Features of the unmixed prompts of every language.
        reference: Compare with the English image, or average that with the comparison with the other language's.
        english: How `monolingual` names English.
    """
    rows = []
    for name, vectors in mixed.items():
        row = cosine(vectors, monolingual[english])
        rows.append(row if reference == "english" else (row + cosine(vectors, monolingual[name])) / 2)
    return torch.stack(rows)
