"""The stages before and after fine-tuning: continued pre-training (Section 3.1) and GRPO (Section 3.3).

    for text in cpt_mixture(documents, english_pairs, chinese_pairs): ...       # 1 : 1 : 1, "<en2ky> ... <ky> ..."
    loss, count = grpo_loss(logp, logp.detach(), reference, group_advantages(rewards).flatten(), mask)

GRPO is that of Shao et al. (2024), as the paper names no variant: the rollouts of one prompt are their own baseline,

    A_r = (R_r - mean R) / std R,     loss = - A_r * ratio + beta * (exp(d) - d - 1),   d = log pi_ref - log pi.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from papers.lmt.method import Example, uniform


def cpt_text(source_text: str, target_text: str, source: str, target: str) -> str:
    """A pair as continued pre-training reads it, with direction and target tags (Figure 4)."""
    return f"<{source}2{target}> {source_text} <{target}> {target_text}"


def keep_pair(
    example: Example,
    identify: Callable[[str], tuple[str, float]] | None = None,
    *,
    low_resource: Iterable[str] = (),
    max_ratio: float = 3.0,
    threshold: float = 0.5,
) -> bool:
    """The filters of the bilingual pre-training text: length ratio (in characters) and language identification.

    Args:
        example: The pair.
        identify: Text -> (language code, probability); None skips this filter.
        low_resource: Languages for which the top label is enough; others also need `threshold`.
        max_ratio: Largest ratio of the two lengths.
        threshold: Smallest probability of the label.
    """
    lengths = sorted((len(example.source_text), len(example.target_text)))
    if lengths[0] == 0 or lengths[1] / lengths[0] > max_ratio:
        return False
    if identify is None:
        return True
    sides = ((example.source, example.source_text), (example.target, example.target_text))
    found = [(code, *identify(text)) for code, text in sides]
    return all(label == code and (code in low_resource or sure >= threshold) for code, label, sure in found)


def cpt_mixture(
    monolingual: Iterable[str],
    *bilingual: Iterable[Example],
    length: Callable[[str], int] = len,
    seed: int = 0,
) -> Iterator[str]:
    """Interleave monolingual text and one stream of pairs per pivot, 1 : 1 : 1 in length (Section 3.1).

    Each pair is used in a direction drawn with probability 1/2. The mixture ends with its first exhausted stream.

    Args:
        monolingual: Documents.
        bilingual: Streams of pairs, one per pivot.
        length: Tokens of a document; characters by default.
        seed: Seed of the directions.
    """

    def rendered(pairs: Iterable[Example]) -> Iterator[str]:
        for number, pair in enumerate(pairs):
            sides = [(pair.source, pair.source_text), (pair.target, pair.target_text)]
            if uniform(seed, "direction", str(number), pair.source, pair.target) < 0.5:
                sides.reverse()
            (source, source_text), (target, target_text) = sides
            yield cpt_text(source_text, target_text, source, target)

    streams = [iter(monolingual), *map(rendered, bilingual)]
    used = [0] * len(streams)
    while True:
        shortest = used.index(min(used))
        text = next(streams[shortest], None)
        if text is None:
            return
        used[shortest] += length(text)
        yield text


def group_advantages(
    rewards: Float[Tensor, "prompts rollouts"], epsilon: float = 1e-4
) -> Float[Tensor, "prompts rollouts"]:
    """Rewards relative to the other rollouts of the same prompt: zero mean, unit deviation, zero where all agree.

    Raises:
        ValueError: If there is one rollout only, which has nothing to be compared with.
    """
    if rewards.shape[1] < 2:
        raise ValueError("a group needs at least two rollouts")
    centred = rewards - rewards.mean(1, keepdim=True)
    return centred / (rewards.std(1, keepdim=True) + epsilon)


def grpo_loss(
    logp: Float[Tensor, "rollouts time"],
    old_logp: Float[Tensor, "rollouts time"],
    reference_logp: Float[Tensor, "rollouts time"],
    advantages: Float[Tensor, " rollouts"],
    mask: Bool[Tensor, "rollouts time"],
    *,
    kl: float = 0.001,
    clip: float = 0.2,
) -> tuple[Float[Tensor, ""], int]:
    """The clipped policy gradient with the unbiased estimate of the divergence from the reference model.

    Args:
        logp: Log probability of each rollout token under the model.
        old_logp: The same when the rollouts were sampled, without gradient.
        reference_logp: The same under the fine-tuned model that training started from.
        advantages: One per rollout.
        mask: True on tokens of the rollout, its end token included.
        kl: Weight of the divergence (0.001, Table 5).
        clip: Probability ratios count up to 1 plus or minus this (the paper does not say; the usual 0.2).

    Returns:
        The sum over rollouts of each rollout's mean token loss, and the number of rollouts.
    """
    ratio = (logp - old_logp).exp()
    weight = advantages[:, None]
    gain = torch.minimum(ratio * weight, ratio.clamp(1 - clip, 1 + clip) * weight)
    drift = torch.where(mask, reference_logp - logp, 0.0)
    token_loss = torch.where(mask, kl * (drift.exp() - drift - 1) - gain, 0.0)
    return (token_loss.sum(1) / mask.sum(1).clamp(min=1)).sum(), len(advantages)
