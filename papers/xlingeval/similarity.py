"""How alike K answers to a question are, by each of the paper's similarities; all of it on text, whoever wrote it.

found = consistency({"1": ["first answer", "second"], "2": ["...", "..."]}, "hi", load_encoder("wheel:e5-small"))
found["alike"]["1"]                     # cosine beyond that of answers to other questions, equation 4

`unigram` and `bigram` cut words of any script; `unigram_official` and `bigram_official` as the official script, which
is meant for answers that were translated back into English.
"""

from __future__ import annotations

import itertools
import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean, pstdev
from typing import TYPE_CHECKING

import numpy as np

from core.errors import UserError
from core.text.scripts import in_script_share
from core.text.segment import words
from papers.xlingeval import method

if TYPE_CHECKING:
    from jaxtyping import Float

    from core.models.embedding import Encoder

TOPIC_SEED = 42  # official
Found = dict[str, dict[str, float]]


def consistency(
    answers: Mapping[str, Sequence[str]], code: str, encoder: Encoder | None = None, topics: int = 10, *,
    matched: bool = True,
) -> Found:  # fmt: skip
    """Every similarity of every question.

    Args:
        answers: By question, at least two each; all in one language, or translated back into English.
        code: The language they should be in.
        encoder: For `alike`, `cosine` and `bertscore`, which are left out without one.
        topics: Of the topic model that is fitted on all answers; 0 = none.
        matched: With `bertscore`, for which each answer is read once more.

    Returns:
        `{metric: {question: value}}`; NaN where an answer has nothing to compare.

    Raises:
        UserError: A question has a single answer.
    """
    if short := [key for key, texts in answers.items() if len(texts) < 2]:
        raise UserError(f"Question {short[0]!r} has a single answer in {code!r}: consistency needs two or more.")
    texts = {key: [cleaned(text) for text in found] for key, found in answers.items()}
    result: Found = defaultdict(dict)
    if encoder is not None:
        _with_encoder(texts, encoder, result, matched)
    for key, found in texts.items():
        cut = [words(text.lower()) for text in found]
        counts = [*map(len, cut)]
        result["length_mean"][key], result["length_std"][key] = fmean(counts), pstdev(counts)
        for mark, lists in (("", cut), ("_official", [official_words(text) for text in found])):
            for n, name in ((1, "unigram"), (2, "bigram")):
                pairs = itertools.combinations(lists, 2)
                result[f"{name}{mark}"][key] = _mean(jaccard(one, other, n) for one, other in pairs)
    if topics:
        _topics(texts, topics, result)
    return dict(result) | {"own_script": own_script(texts, code)}


def own_script(answers: Mapping[str, Sequence[str]], code: str) -> dict[str, float]:
    """Share of letters in the language's script: a model that answers in English may look consistent."""
    return {key: _mean(in_script_share(text, code) for text in texts) for key, texts in answers.items()}


def cleaned(text: str) -> str:
    """An answer without the marks of a prompt template (`### Input:`) and of headings, white space collapsed."""
    return " ".join(re.sub(r"### \w+:", " ", text).replace("#", " ").split())


def official_words(text: str) -> list[str]:
    """Words of two characters or more, as the official script cuts English.

    This breaks Devanagari at its marks and takes a Chinese clause for one word; there it is meant for text that was
    translated back into English.
    """
    return re.findall(r"\b\w\w+\b", text.lower())


def jaccard(one: Sequence[str], other: Sequence[str], n: int = 1) -> float:
    """Shared n-grams of two token lists over all of both; NaN where neither has one."""
    sets = [{tuple(words[k : k + n]) for k in range(len(words) - n + 1)} for words in (one, other)]
    union = sets[0] | sets[1]
    return len(sets[0] & sets[1]) / len(union) if union else math.nan


def bertscore(one: Float[np.ndarray, "token width"], other: Float[np.ndarray, "token width"]) -> tuple[float, ...]:
    """Precision, recall and F1 of greedily matched token vectors of length 1; raw, without idf or rescaling."""
    similarity = one @ other.T
    recall, precision = float(similarity.max(axis=1).mean()), float(similarity.max(axis=0).mean())
    return precision, recall, 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def vectors(encoder: Encoder, texts: Sequence[str]) -> np.ndarray:
    """Sentence vectors of length 1, shape [text, width]; nothing, where a model wrote nothing, is like nothing."""
    from torch.nn.functional import normalize

    said = list(dict.fromkeys(text for text in texts if text.strip()))
    if not said:
        return np.zeros((len(texts), 1), dtype=np.float32)
    known = normalize(encoder(said).vectors, dim=-1).numpy()
    by_text = dict(zip(said, known, strict=True))
    nothing = np.zeros(known.shape[1], dtype=np.float32)
    return np.stack([by_text.get(text, nothing) for text in texts])


def _with_encoder(texts: Mapping[str, Sequence[str]], encoder: Encoder, result: Found, matched: bool) -> None:
    flat = [text for found in texts.values() for text in found]
    rows = iter(vectors(encoder, flat))
    by_question = {key: np.stack([next(rows) for _ in found]) for key, found in texts.items()}
    if len(texts) > 1:
        result["alike"] = method.excess(by_question)
    result["cosine"] = {key: method.pair_mean(own @ own.T) for key, own in by_question.items()}
    states = iter(_token_states(encoder, flat) if matched else ())
    for key, found in texts.items() if matched else ():
        pairs = itertools.combinations([next(states) for _ in found], 2)
        result["bertscore"][key] = _mean(
            bertscore(one, other)[2] if len(one) and len(other) else math.nan for one, other in pairs
        )


def _token_states(encoder: Encoder, texts: Sequence[str]) -> list[np.ndarray]:
    """Last states of length 1 of each text's tokens, without the special ones."""
    from torch.nn.functional import normalize

    from core.models.embedding import hidden_states
    from core.models.loading import longest_input

    options = {"truncation": True, "max_length": longest_input(encoder.model, encoder.tokenizer)}
    read = [encoder.tokenizer(text, return_special_tokens_mask=True, **options) for text in texts]
    found = [np.zeros((0, 1), dtype=np.float32)] * len(texts)
    known = [number for number, one in enumerate(read) if one["input_ids"]]
    for batch in hidden_states(encoder.model, [read[number]["input_ids"] for number in known], layers=(-1,)):
        for line, row in enumerate(batch.rows):
            special = np.array(read[known[row]]["special_tokens_mask"], dtype=bool)
            states = normalize(batch.layers[0][line, : len(special)].float(), dim=-1).cpu().numpy()
            found[known[row]] = states[~special]
    return found


def _topics(texts: Mapping[str, Sequence[str]], topics: int, result: Found) -> None:
    """Cosines of the answers' mixtures of topics (LDA), fitted on all answers: mean and spread over pairs."""
    from sklearn.decomposition import LatentDirichletAllocation
    from sklearn.feature_extraction.text import CountVectorizer

    flat = [words(text.lower()) for found in texts.values() for text in found]
    if not any(flat):
        return
    counts = CountVectorizer(analyzer=list).fit_transform(flat)
    mixtures = LatentDirichletAllocation(topics, random_state=TOPIC_SEED).fit_transform(counts)
    mixtures /= np.linalg.norm(mixtures, axis=1, keepdims=True)
    rows = iter(mixtures)
    for key, found in texts.items():
        own = np.stack([next(rows) for _ in found])
        result["topics"][key], result["topics_std"][key] = method.pair_mean(own @ own.T), pair_spread(own @ own.T)


def pair_spread(similarity: np.ndarray) -> float:
    """Standard deviation above the diagonal, n - 1; NaN for one pair."""
    values = similarity[np.triu_indices(len(similarity), 1)]
    return float(values.std(ddof=1)) if len(values) > 1 else math.nan


def _mean(values: Iterable[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return fmean(known) if known else math.nan
