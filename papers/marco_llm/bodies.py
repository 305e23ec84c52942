"""Bodies of text: what is read, in which category, as token rows for the sampler.

A body is one source with its text. Translation pairs become text here, filtered and rendered as a configuration says.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import TYPE_CHECKING

from core.corpora import filtering
from core.corpora.mixture import Documents
from core.text.languages import name as language_name
from papers.marco_llm.config import Config
from papers.marco_llm.method import Source
from papers.marco_llm.templates import Pair, render_parallel

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class Body:
    """One source with its text.

    Attributes:
        name: Unique.
        category: Whose share it takes.
        language: Languages share a category; parallel text is shared by pair.
        texts: Opens the text anew.
        quality: Weight of the tier.
        tokens: Size, where it is known without reading; None = count.
    """

    name: str
    category: str
    language: str
    texts: Callable[[], Iterable[str]]
    quality: float = 1.0
    tokens: float | None = None


def tokenise(
    bodies: Iterable[Body], tokenizer: PreTrainedTokenizerBase
) -> tuple[dict[str, list[Source]], dict[str, Documents[list[int]]]]:
    """Sources by category, for the plan, and their token rows by name, for the sampler.

    A body of known size is not read now: its rows are a function that reads them as a stream.
    """
    categories: dict[str, list[Source]] = {}
    documents: dict[str, Documents[list[int]]] = {}
    for body in bodies:
        size = body.tokens
        if size is None:
            rows = list(_rows(body, tokenizer))
            documents[body.name], size = rows, sum(map(len, rows))
        else:
            documents[body.name] = partial(_rows, body, tokenizer)
        categories.setdefault(body.category, []).append(Source(body.name, size, body.language, body.quality))
    return categories, documents


def _rows(body: Body, tokenizer: PreTrainedTokenizerBase) -> Iterator[list[int]]:
    texts = iter(body.texts())
    while part := list(itertools.islice(texts, 1000)):
        yield from encode(tokenizer, part)


def encode(tokenizer: PreTrainedTokenizerBase, texts: list[str]) -> list[list[int]]:
    """Ids of each text between the begin and the end token.

    Checkpoints without a begin token (Qwen) read documents from the end token of the one before, packed or not.
    """
    begin = [tokenizer.bos_token_id] if tokenizer.bos_token_id is not None else []
    encoded = tokenizer(texts, add_special_tokens=False)["input_ids"]
    return [[*begin, *ids, tokenizer.eos_token_id] for ids in encoded]


# --- translation pairs --------------------------------------------------------------------------------------------


def clean_pairs(
    pairs: Sequence[Pair], languages: tuple[str, str], config: Config, identify: filtering.Identify | None = None
) -> filtering.Filtered:
    """The filter of a configuration."""
    return filtering.filter_parallel(
        pairs,
        rules=config.filter_rules,
        languages=languages,
        identify=identify,
        similarity=similarity(config.similarity) if "similarity" in config.filter_rules else None,
        threshold=config.threshold,
    )


@cache
def similarity(name: str) -> filtering.Similarity:
    """Similarity of two sentences by name: `alignment`, or an encoder's hub id, folder or wheel."""
    if name == "alignment":
        return filtering.alignment_similarity()
    return embedding_similarity(name, prefix="query: " if "e5" in name else "")


def embedding_similarity(encoder: str, prefix: str = "") -> filtering.Similarity:
    """Cosine of sentence vectors, pooled as the encoder's authors do; `prefix` stands in the place of theirs.

    LaBSE and multilingual-e5 are trained for this; a folder of the latter that does not say so wants `query: `.
    """
    from torch.nn.functional import normalize

    from core.models.embedding import load_encoder

    embed = load_encoder(encoder)
    if prefix:
        embed = replace(embed, pooling=replace(embed.pooling, prefix=prefix))

    def cosines(sources: Sequence[str], targets: Sequence[str]) -> list[float]:
        texts = list(dict.fromkeys([*sources, *targets]))
        vectors = dict(zip(texts, normalize(embed(texts).vectors, dim=-1), strict=True))
        return [float(vectors[s] @ vectors[t]) for s, t in zip(sources, targets, strict=True)]

    return cosines


def render_bitext(pairs: Sequence[Pair], source: str, target: str, config: Config) -> list[str]:
    """Each pair so often as `renderings` says, in templates and directions of its own."""
    names = language_name(source), language_name(target)
    return [
        text
        for copy in range(config.renderings)
        for text in render_parallel(pairs, *names, config.templates, seed=config.seed * 1000 + copy)
    ]
