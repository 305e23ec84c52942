"""Log-likelihood of answer choices: batched, sorted by length, order restored.

A choice `y` after a context `x` is worth

    log p(y | x) = sum_t log softmax(W h_t)[y_t],

with `h_t` the last hidden state before token `y_t`. Four things make this fast without changing the number:

- The context is computed once for all its choices. They are laid out as one sequence `x y_1 y_2 ...` in which a token
  sees `x` and the earlier tokens of its own choice only (a tree-shaped attention mask); positions restart after `x`.
- What many contexts begin with (the same few-shot examples) is computed once and kept as keys and values.
- The output layer runs only at the positions that predict a choice's tokens, so no `[batch, length, vocabulary]` array
  exists; its softmax is in float32.
- Rows of like length share a batch, so that little is padding.

The text is cut into tokens by the rule of `core.models.tokenization`, as in training and generation. White space at the
end of the context counts to the choice, as in lm-evaluation-harness (Gao et al.,
https://github.com/EleutherAI/lm-evaluation-harness, `TemplateLM._encode_pair`). Scores agree with its, except where a
token would span the border (the tokens that it then scores do not spell the text) and where a tokenizer appends an end
token (it then scores the choice after the end).

    scores = score_choices(model, tokenizer, ["The capital of France is"], [[" Paris", " Rome"]])
"""

from __future__ import annotations

import contextlib
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary

import torch
from jaxtyping import Float, Int
from torch import Tensor

from core.distributed import path_of
from core.errors import UserError
from core.metrics.likelihood import bits_per_byte
from core.models.loading import longest_input, prompt_tokens, unwrapped
from core.models.tokenization import pair_ids, text_ids

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

Progress = Callable[[int, int], None]

# A beginning that is shorter than this, or shared by fewer contexts, is not worth a forward pass of its own.
_SHARED_TOKENS, _SHARED_CONTEXTS = 32, 4
# Largest number of logits that exist at once (in the model's number format, and a slice of them in float32).
_LOGITS, _LOGITS_FLOAT32 = 2**27, 2**24
# Tokens of a forward pass on a GPU.
BATCH_TOKENS = 16_384


@dataclass(frozen=True)
class ChoiceScore:
    """How likely one choice is after its context.

    Attributes:
        log_likelihood: Sum over the choice's tokens of their log-probability, in nats.
        tokens: How many tokens were scored. Divide by it for the mean per token.
        characters: Length of the choice without white space around it. Divide by it for lm-eval's `acc_norm`.
        greedy: Whether every token is the model's most likely one.
    """

    log_likelihood: float
    tokens: int
    characters: int
    greedy: bool


class _Request(NamedTuple):
    context: tuple[int, ...]
    continuation: tuple[int, ...]


class _Row(NamedTuple):
    """One context, and those of its continuations that are scored in the same sequence."""

    context: tuple[int, ...]
    continuations: list[tuple[int, ...]]

    @property
    def length(self) -> int:
        return len(self.context) + sum(len(continuation) - 1 for continuation in self.continuations)

    @property
    def targets(self) -> int:
        return sum(map(len, self.continuations))


def score_choices(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    contexts: Sequence[str],
    choices: Sequence[Sequence[str]],
    *,
    batch_tokens: int | None = None,
    progress: Progress | None = None,
) -> list[list[ChoiceScore]]:
    """Score every choice after its context.

    Args:
        model: A causal language model.
        tokenizer: Its tokenizer.
        contexts: One text an item. An empty one is replaced by the tokenizer's first (else end) token.
        choices: The choices of each item, usually with a leading space. Contexts that are too long for the model are
            cut on the left.
        batch_tokens: Tokens of one forward pass, padding included; `None` = 2,048 on CPUs, 16,384 elsewhere.
        progress: Called with (choices scored, choices in all) after each batch.

    Returns:
        `scores[item][choice]`, in the order given.

    Raises:
        UserError: Contexts and choices differ in number, or a choice is empty or longer than the model can read.
    """
    if len(contexts) != len(choices):
        raise UserError(f"{len(contexts)} contexts but {len(choices)} lists of choices: give one list for each context")
    flat = [(context, choice) for context, options in zip(contexts, choices, strict=True) for choice in options]
    scored = iter(log_likelihoods(
        model, tokenizer, [c for c, _ in flat], [c for _, c in flat], batch_tokens=batch_tokens, progress=progress
    ))  # fmt: skip
    return [[next(scored) for _ in options] for options in choices]


@torch.inference_mode()
def log_likelihoods(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    contexts: Sequence[str],
    continuations: Sequence[str],
    *,
    batch_tokens: int | None = None,
    progress: Progress | None = None,
) -> list[ChoiceScore]:
    """Score one continuation for each context; see `score_choices`. Equal pairs are computed once."""
    if len(contexts) != len(continuations):
        raise UserError(f"{len(contexts)} contexts but {len(continuations)} continuations: give as many of both")
    if batch_tokens is None:
        batch_tokens = 2048 if path_of(model.device) == "cpu" else BATCH_TOKENS
    requests = _encode(tokenizer, contexts, continuations, longest_input(model, tokenizer))
    found: dict[_Request, tuple[float, bool]] = {}
    pending = list(dict.fromkeys(requests))
    with evaluating(model):
        clusters = list(_clusters(pending, shares=True, batch_tokens=batch_tokens))
        shared = any(prefix or len(row.continuations) > 1 for prefix, rows in clusters for row in rows)
        if shared and not _reads_trees(model, pending):
            clusters = list(_clusters(pending, shares=False, batch_tokens=batch_tokens))
        padded = not pending or _ignores_what_follows(model, pending[0])
        for prefix, rows in clusters:
            cache = _prefix_cache(model, prefix) if prefix else None
            for batch in _batches(rows, batch_tokens, _vocabulary(model), padded=padded):
                for row, scores in zip(batch, _score(model, batch, prefix, cache), strict=True):
                    found.update(
                        (_Request(prefix + row.context, continuation), score)
                        for continuation, score in zip(row.continuations, scores, strict=True)
                    )
                if progress is not None:
                    progress(len(found), len(pending))
    return [
        ChoiceScore(found[request][0], len(request.continuation), len(text.strip()), found[request][1])
        for request, text in zip(requests, continuations, strict=True)
    ]


def text_bits(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, texts: Mapping[str, Sequence[str]]
) -> dict[str, float]:
    """Bits per UTF-8 byte of all texts of a language together: comparable across languages and tokenizers.

    Args:
        model: A causal language model.
        tokenizer: Its tokenizer.
        texts: By language; each is read on its own, after the begin token.
    """
    flat = [text for lines in texts.values() for text in lines]
    scores = iter(log_likelihoods(model, tokenizer, [""] * len(flat), flat))
    return {
        code: bits_per_byte(sum(next(scores).log_likelihood for _ in lines), "".join(lines))
        for code, lines in texts.items()
    }


# --- tokens -------------------------------------------------------------------------------------------------------


def _encode(
    tokenizer: PreTrainedTokenizerBase, contexts: Sequence[str], continuations: Sequence[str], longest: int
) -> list[_Request]:
    """Tokens by the rules of the module's docstring, for all pairs at once."""
    pairs = pair_ids(tokenizer, contexts, continuations)
    borders = text_ids(tokenizer, [context.rstrip() for context in contexts])
    requests = []
    for number, (start, (context, continuation)) in enumerate(zip(contexts, pairs, strict=True)):
        border = len(borders[start.rstrip()])
        # White space at the end of the context counts to the choice.
        if context[:border] == borders[start.rstrip()]:
            context, continuation = context[:border], context[border:] + continuation
        if not context:
            context = _first(tokenizer, number)
            continuation = continuation[1:] if continuation[:1] == context else continuation
        if not continuation or not continuations[number]:
            raise UserError(
                f"choice {continuations[number]!r} of context {number} adds no token: give a non-empty choice"
            )
        if len(continuation) > longest:
            raise UserError(
                f"choice {continuations[number][:40]!r}... has {len(continuation)} tokens and the model reads "
                f"{longest}: shorten it"
            )
        room = longest + 1 - len(continuation)  # the last token is predicted, not read
        requests.append(_Request(context[-room:], continuation))
    return requests


def _first(tokenizer: PreTrainedTokenizerBase, number: int) -> tuple[int, ...]:
    """What stands before a choice without a context."""
    first = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
    if first is None:
        raise UserError(f"context {number} is empty and the tokenizer has no begin or end token: give a context")
    return (first,)


# --- rows and batches ---------------------------------------------------------------------------------------------


def _clusters(
    requests: list[_Request], *, shares: bool, batch_tokens: int
) -> Iterator[tuple[tuple[int, ...], list[_Row]]]:
    """Groups of rows with the beginning that all of a group share (empty for the last group, of all the others)."""
    if not shares:
        yield (), [_Row(request.context, [request.continuation]) for request in requests]
        return
    by_context: dict[tuple[int, ...], list[tuple[int, ...]]] = defaultdict(list)
    for request in requests:
        by_context[request.context].append(request.continuation)
    by_beginning: dict[tuple[int, ...], list[tuple[int, ...]]] = defaultdict(list)
    for context in by_context:
        by_beginning[context[:_SHARED_TOKENS]].append(context)

    others: list[_Row] = []
    for contexts in by_beginning.values():
        prefix = _common(contexts)
        if len(contexts) < _SHARED_CONTEXTS or len(prefix) < _SHARED_TOKENS:
            others += [row for c in contexts for row in _rows(c, by_context[c], batch_tokens)]
            continue
        yield (
            prefix,
            [row for c in contexts for row in _rows(c[len(prefix) :], by_context[c], batch_tokens)],
        )
    if others:
        yield (), others


def _common(contexts: list[tuple[int, ...]]) -> tuple[int, ...]:
    """The longest common beginning that leaves each context its last token (which predicts the first of a choice)."""
    low, high = min(contexts), max(contexts)
    limit = min(map(len, contexts)) - 1
    same = next((i for i in range(limit) if low[i] != high[i]), limit)
    return low[:same]


def _rows(context: tuple[int, ...], continuations: list[tuple[int, ...]], batch_tokens: int) -> Iterator[_Row]:
    """One row, or several when the choices together are much longer than the context and a batch."""
    limit = max(batch_tokens - len(context), len(context))
    row: list[tuple[int, ...]] = []
    size = 0
    for continuation in continuations:
        if row and size + len(continuation) > limit:
            yield _Row(context, row)
            row, size = [], 0
        row.append(continuation)
        size += len(continuation)
    yield _Row(context, row)


def _batches(rows: list[_Row], batch_tokens: int, vocabulary: int, *, padded: bool) -> Iterator[list[_Row]]:
    """Rows of like (without padding: of equal) length, the longest first, so that what does not fit fails at once."""
    batch: list[_Row] = []
    targets = 0
    for row in sorted(rows, key=lambda row: (-row.length, row.context)):
        width = batch[0].length if batch else row.length
        full = (len(batch) + 1) * width > batch_tokens or (targets + row.targets) * vocabulary > _LOGITS
        if batch and (full or (row.length < width and not padded)):
            yield batch
            batch, targets = [], 0
        batch.append(row)
        targets += row.targets
    if batch:
        yield batch


# --- the forward pass ---------------------------------------------------------------------------------------------


# What has been seen of models: lengths up to which they read trees, and from which they do not; and who is causal.
_TREES: WeakKeyDictionary[torch.nn.Module, dict[Any, tuple[int, int]]] = WeakKeyDictionary()
_CAUSAL: WeakKeyDictionary[torch.nn.Module, bool] = WeakKeyDictionary()


def _reads_trees(model: PreTrainedModel, requests: list[_Request]) -> bool:
    """Whether shared rows give what each choice gives alone, under the model's own attention and positions.

    Seen on the longest request, once for a model and a length. Recurrent layers, positions of the model's own making
    (RoBERTa's begin after the padding id), attention windows and kernels without masks all fail this way or that.
    """
    config = model.config.get_text_config()
    longest = max(requests, key=lambda request: len(request.context) + len(request.continuation))
    tokens = longest.context + longest.continuation
    window = getattr(config, "sliding_window", None)
    if (
        prompt_tokens(model)
        or getattr(unwrapped(model), "_is_stateful", False)
        or config._attn_implementation not in {"sdpa", "eager"}
        or (window and len(tokens) > window)
    ):
        return False
    seen = _TREES.setdefault(model, {})
    key = config._attn_implementation, str(vars(model).get("active_adapter"))
    good, bad = seen.get(key, (0, 2**62))
    if good < len(tokens) < bad:
        # Rounding may fail one text (.2 was seen in Greek); what reads positions wrongly fails with every text.
        others = [request.context + request.continuation for request in requests[:: max(1, len(requests) // 4)]]
        same_length = [(other * -(-len(tokens) // len(other)))[: len(tokens)] for other in others]
        texts = [tokens, *(same_length if model.dtype != torch.float32 else [])]
        same = any(_tree_is_alone(model, text) for text in texts)
        good, bad = seen[key] = (len(tokens), bad) if same else (good, len(tokens))
    return len(tokens) <= good


def _tree_is_alone(model: PreTrainedModel, tokens: tuple[int, ...]) -> bool:
    """Whether a choice that follows another one, after a beginning of which half is cached, is predicted as alone."""
    tokens = tokens if len(tokens) > 5 else (tokens * 3)[:6]
    context, choice = tokens[:-3], tokens[-3:]
    middle = len(context) // 2
    try:
        cache = _prefix_cache(model, context[:middle])
        ours, _ = _logits(model, [_Row(context[middle:], [choice[::-1], choice])], context[:middle], cache)
    except torch.OutOfMemoryError:
        raise
    except Exception:  # each architecture refuses in its own way
        return False
    return alike(ours[-3:], _logits(model, [_Row(context, [choice])], (), None)[0])


def _ignores_what_follows(model: PreTrainedModel, request: _Request) -> bool:
    """Whether what stands on the right of a token is without influence on it; seen once for a model."""
    if model not in _CAUSAL:
        context, choice = request.context[-6:], request.continuation[:1]
        alone, ahead = (_logits(model, [_Row(context, [c])], (), None)[0][0] for c in (choice, choice + context[:1]))
        _CAUSAL[model] = alike(ahead, alone)
    if not _CAUSAL[model]:
        warnings.warn(
            f"{type(unwrapped(model)).__name__} reads ahead, so its scores of a choice have seen the choice: load a "
            "causal model, or set is_decoder = true in the configuration of an encoder",
            stacklevel=4,
        )
    return _CAUSAL[model]


def alike(ours: Float[Tensor, "*row vocabulary"], alone: Float[Tensor, "*row vocabulary"]) -> bool:
    """Whether logits agree: the root mean square of their difference, over their own spread, is rounding.

    In bfloat16 it was mostly below .1 (SmolLM2, half of the keys cached), in float32 5e-6; positions that are wrong
    gave .12 and more in both.
    """
    tolerance = 1e-3 if ours.dtype == torch.float32 else 0.1
    ours, alone = ours.float(), alone.float()
    return bool(((ours - alone).square().mean(-1).sqrt() <= tolerance * alone.std(-1)).all())


def _prefix_cache(model: PreTrainedModel, prefix: tuple[int, ...]) -> Any:
    from transformers import DynamicCache

    cache = DynamicCache()
    with _head_at(model, torch.zeros(1, dtype=torch.long), len(prefix)):
        model(
            input_ids=torch.tensor([prefix], device=model.device),
            past_key_values=cache,
            use_cache=True,
            **without_router_logits(model),
        )
    return cache


def _score(
    model: PreTrainedModel, rows: list[_Row], prefix: tuple[int, ...], cache: Any
) -> list[list[tuple[float, bool]]]:
    """`(log-likelihood, greedy)` of each continuation of each row."""
    logits, targets = _logits(model, rows, prefix, cache)
    values, greedy = _target_log_probabilities(logits, targets)

    scores: list[list[tuple[float, bool]]] = []
    at = 0
    for row in rows:
        scores.append([])
        for continuation in row.continuations:
            end = at + len(continuation)
            scores[-1].append((float(values[at:end].double().sum()), bool(greedy[at:end].all())))
            at = end
    return scores


def _logits(
    model: PreTrainedModel, rows: list[_Row], prefix: tuple[int, ...], cache: Any
) -> tuple[Float[Tensor, "target vocabulary"], Int[Tensor, " target"]]:
    """Predictions of every token of every continuation, row by row, and the tokens."""
    tree = cache is not None or any(len(row.continuations) > 1 for row in rows)
    tokens, mask, positions, where, targets = _layout(rows, len(prefix))
    inputs: dict[str, Any] = {"input_ids": tokens.to(model.device), "use_cache": False, **without_router_logits(model)}
    if tree:
        allowed = mask.to(model.device)[:, None]
        lowest = torch.finfo(model.dtype).min
        inputs["attention_mask"] = torch.zeros(allowed.shape, dtype=model.dtype, device=model.device).masked_fill(
            ~allowed, lowest
        )
        inputs["position_ids"] = positions.to(model.device)
    # Without a tree, padding is on the right of a causal sequence: nothing that is read can see it.
    if cache is not None:
        inputs.update(past_key_values=_expanded(cache, len(rows)), use_cache=True)
    with _head_at(model, where, tokens.shape[1]):
        logits = model(**inputs).logits[0]
    return logits, targets.to(logits.device)


def _layout(
    rows: list[_Row], prefix: int
) -> tuple[
    Int[Tensor, "row length"],
    Int[Tensor, "row length prefix+length"],
    Int[Tensor, "row length"],
    Int[Tensor, " target"],
    Int[Tensor, " target"],
]:
    """Tokens, who sees whom, positions, and for every scored token the (flat) place of its prediction and its id."""
    width = max(row.length for row in rows)
    tokens = torch.zeros(len(rows), width, dtype=torch.long)
    positions = torch.zeros(len(rows), width, dtype=torch.long)
    branch = torch.full((len(rows), width), -1)  # 0 = context, k = k-th continuation, -1 = padding
    where: list[int] = []
    targets: list[int] = []
    for r, row in enumerate(rows):
        n = len(row.context)
        ids, place, owner = list(row.context), list(range(prefix, prefix + n)), [0] * n
        for k, continuation in enumerate(row.continuations, start=1):
            start = r * width + len(ids)
            # The first token is predicted by the end of the context; the last one predicts nothing and is left out.
            where += [r * width + n - 1, *range(start, start + len(continuation) - 1)]
            targets += continuation
            ids += continuation[:-1]
            place += range(prefix + n, prefix + n + len(continuation) - 1)
            owner += [k] * (len(continuation) - 1)
        tokens[r, : len(ids)] = torch.tensor(ids)
        positions[r, : len(ids)] = torch.tensor(place)
        branch[r, : len(ids)] = torch.tensor(owner)
    query, key = branch[:, :, None], branch[:, None, :]
    causal = torch.ones(width, width, dtype=torch.bool).tril()
    # Padding sees itself, as a softmax over nothing is not a number.
    visible = ((key == query) | (key == 0)) & causal
    mask = torch.cat([torch.ones(len(rows), width, prefix, dtype=torch.bool), visible], dim=-1)
    return tokens, mask, positions, torch.tensor(where), torch.tensor(targets)


def _expanded(cache: Any, rows: int) -> Any:
    """The prefix's keys and values for several rows; `update` copies, so the original can be used again."""
    from transformers import DynamicCache

    copy = DynamicCache()
    for index, layer in enumerate(cache.layers):
        copy.update(layer.keys.expand(rows, -1, -1, -1), layer.values.expand(rows, -1, -1, -1), index)
    return copy


@contextlib.contextmanager
def _head_at(model: PreTrainedModel, where: Int[Tensor, " target"], width: int) -> Iterator[None]:
    """Within the context, the output layer sees only these places (of the flattened batch), as one row.

    Done by a hook, so that whatever the model does to its logits afterwards (soft caps, scales) stays in force. What
    prompt tuning puts before the tokens that were given is skipped.
    """
    head = model.get_output_embeddings()
    if head is None:
        raise UserError(f"{type(model).__name__} has no output layer: load it with task='causal-lm'")

    def select(_: torch.nn.Module, inputs: tuple[Float[Tensor, "row length dim"], ...]) -> tuple[Tensor, ...]:
        hidden = inputs[0]
        places = where.to(hidden.device)
        return (hidden[places // width, places % width + hidden.shape[1] - width][None], *inputs[1:])

    hook = head.register_forward_pre_hook(select)
    try:
        yield
    finally:
        hook.remove()


def _target_log_probabilities(
    logits: Float[Tensor, "target vocabulary"], targets: Int[Tensor, " target"]
) -> tuple[Float[Tensor, " target"], Tensor]:
    """Log-probability of each target in float32, and whether it is the most likely token."""
    values, greedy = [], []
    step = max(1, _LOGITS_FLOAT32 // logits.shape[-1])
    for part, wanted in zip(logits.split(step), targets.split(step), strict=True):
        chosen = part.gather(-1, wanted[:, None])[:, 0].float()
        values.append(chosen - part.float().logsumexp(-1))
        greedy.append(part.argmax(-1) == wanted)
    return torch.cat(values).cpu(), torch.cat(greedy).cpu()


def without_router_logits(model: PreTrainedModel) -> dict[str, bool]:
    """Arguments that keep a mixture of experts from computing its balance loss, from a mask that is not its own."""
    return {"output_router_logits": False} if hasattr(model.config, "output_router_logits") else {}


def _vocabulary(model: PreTrainedModel) -> int:
    return model.config.get_text_config().vocab_size


@contextlib.contextmanager
def evaluating(model: PreTrainedModel) -> Iterator[None]:
    """Evaluation mode (no dropout) within the context."""
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)
