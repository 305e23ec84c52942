"""The script barrier of an encoder, layer by layer: how far a sentence lies from its own transliteration.

    for layer in script_barrier(model, tokenizer, pairs): ...     # any encoder (or decoder) of transformers

Both sides say the same in the same words, so that what tells them apart is script alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from core.errors import UserError
from core.metrics.representation import variance_share
from core.metrics.retrieval import cosine_similarity
from core.models.embedding import Encoder, Pooling
from core.tasks.retrieval import ranked
from papers.translico.method import Pair


class Layer(NamedTuple):
    """One layer's barrier.

    Attributes:
        own: Mean cosine of a sentence and its transliteration.
        others: Mean cosine of a sentence and the transliterations of other sentences.
        found: Share of the sentences whose transliteration is the nearest of all (and the reverse), in [0, 1].
        script: Share of the variance of all vectors that script explains; 0 = no barrier, NaN = all vectors are equal.
    """

    own: float
    others: float
    found: float
    script: float


def script_barrier(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, pairs: Sequence[Pair], layers: Sequence[int] = ()
) -> list[Layer]:
    """The barrier after some layers, or after the embeddings (0) and every layer; states are averaged over all tokens.

    Longer texts than the model reads are cut.

    Raises:
        UserError: Fewer than two pairs, or no such layer.
    """
    if len(pairs) < 2:
        raise UserError("A pair alone is found by itself: give at least two.")
    scripts = [side for side in range(2) for _ in pairs]
    found = []
    for layer in layers or range(model.config.get_text_config().num_hidden_layers + 1):
        encoder = Encoder(model, tokenizer, Pooling("mean", layer=layer))
        vectors = encoder([row["text"] for row in pairs] + [row["transliteration"] for row in pairs]).vectors.numpy()
        cosines = cosine_similarity(vectors[: len(pairs)], vectors[len(pairs) :])
        own, hit = float(cosines.diagonal().mean()), ranked(cosines)
        others = float((cosines.sum() - cosines.trace()) / (cosines.size - len(pairs)))
        both = (hit.accuracy() + hit.accuracy(direction="backward")) / 2
        found.append(Layer(own, others, both, variance_share(vectors, scripts)))
    return found
