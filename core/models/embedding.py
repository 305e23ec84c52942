"""Vectors of texts from an encoder, each pooled as its authors do; or from any layer of any model.

    encoder = load_encoder("wheel:e5-small")                               # mean pooling and the prefix "query: "
    vectors, cut = encoder(["Good morning.", "Guten Morgen."])             # [2, 384] in float32 on the CPU, ()
    layer8 = load_encoder("FacebookAI/xlm-roberta-base", Pooling("mean", layer=8, normalize=True))
    vectors = Encoder(model, tokenizer, Pooling("mean", special_tokens=False))(texts).vectors

How an encoder is pooled is read from its folder where it says so, in the format of sentence-transformers (Reimers and
Gurevych 2019, https://sbert.net): `modules.json` names a transformer, a pooling, dense layers (LaBSE: 768 x 768 with
tanh) and a normalisation, `sentence_bert_config.json` the longest input, `config_sentence_transformers.json` a default
prompt. Else from :data:`PUBLISHED`, what model cards ask for in words; else it is the mean of the last layer over all
tokens, special ones included, which is what sentence-transformers does with a plain encoder.

Texts are sorted by length and batched with padding on the right; hidden states live for one batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from core.distributed import path_of
from core.errors import UserError
from core.files import load_json
from core.models.loading import load, longest_input, materialize, prompt_tokens, translated, unwrapped

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

Mode = Literal["cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"]
"""The names of sentence-transformers. `cls` and `lasttoken` are the first and the last pooled token, `weightedmean`
weighs token t by t (Muennighoff 2022, SGPT), `mean_sqrt_len_tokens` is the sum over the root of the number."""


@dataclass(frozen=True)
class Pooling:
    """How the states of a text's tokens become its vector.

    Attributes:
        mode: One mode, or several whose vectors are concatenated.
        layer: Which hidden states: 0 = embedding output, n = after block n, -1 = the last.
        special_tokens: Whether the tokens that the tokenizer adds by itself are pooled too.
        prefix: Put before every text.
        pool_prefix: Whether the prefix (and the special tokens before it) is pooled too.
        normalize: Scale vectors to length 1 (after the encoder's dense layers).
        max_tokens: Longer texts are cut; None = as many as model and tokenizer take. Special tokens count.
        lower_case: Lower the text first.
    """

    mode: Mode | tuple[Mode, ...] = "mean"
    layer: int = -1
    special_tokens: bool = True
    prefix: str = ""
    pool_prefix: bool = True
    normalize: bool = False
    max_tokens: int | None = None
    lower_case: bool = False


# What the model cards say in words alone.
PUBLISHED: dict[str, Pooling] = {
    name: Pooling("mean", prefix="query: ", normalize=True, max_tokens=512)
    for name in ("wheel:e5-small", *(f"intfloat/multilingual-e5-{size}" for size in ("small", "base", "large")))
}


class Vectors(NamedTuple):
    """Vectors in the order of the texts (float32, on the CPU), and the numbers of the texts that had to be cut."""

    vectors: Float[Tensor, "text width"]
    cut: tuple[int, ...]


@dataclass(frozen=True)
class Encoder:
    """A model that turns texts into vectors; :func:`load_encoder` makes one.

    Attributes:
        model: An encoder, a causal language model, or an encoder-decoder (whose encoder is read).
        tokenizer: Its tokenizer.
        pooling: How token states become a vector. `dataclasses.replace(encoder, pooling=...)` changes it.
        head: What follows pooling: the dense layers of a sentence-transformers folder.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    pooling: Pooling = Pooling()
    head: nn.Module | None = None

    def __call__(self, texts: Sequence[str], *, truncate: bool = True, batch_tokens: int | None = None) -> Vectors:
        """Embed texts.

        Args:
            texts: In any order and of any length.
            truncate: False refuses texts that are too long instead of cutting and counting them.
            batch_tokens: See :func:`hidden_states`.

        Raises:
            UserError: A text without a token to pool, or with states that are not finite; or one too long to read.
        """
        pooling, rows, keep, cut = self.pooling, [], [], []
        limit = min(longest_input(self.model, self.tokenizer), pooling.max_tokens or 2**20)
        for number, text in enumerate(texts):
            ids, pooled, too_long = self._tokens(text, limit)
            if too_long and not truncate:
                raise UserError(f"text {number} ({text[:40]!r}...) is longer than {limit} tokens: shorten it")
            if not any(pooled):
                raise UserError(f"text {number} ({text!r}) has no token to pool: remove it")
            rows.append(ids)
            keep.append(pooled)
            cut += [number] * too_long
        vectors: Tensor | None = None
        for batch in hidden_states(self.model, rows, layers=(pooling.layer,), batch_tokens=batch_tokens):
            mask = torch.zeros_like(batch.mask)
            for line, row in enumerate(batch.rows):
                mask[line, : len(rows[row])] = torch.tensor(keep[row])
            states = pool(batch.layers[0], mask, pooling.mode)
            with torch.inference_mode():
                states = states if self.head is None else self.head.to(states.device)(states)
            states = nn.functional.normalize(states, dim=-1) if pooling.normalize else states
            if not states.isfinite().all():
                raise UserError(f"the states of {texts[batch.rows[0]][:40]!r} are not finite: load it in float32")
            vectors = torch.empty(len(texts), states.shape[-1]) if vectors is None else vectors
            vectors[batch.rows] = states.cpu()
        return Vectors(torch.empty(0, 0) if vectors is None else vectors, tuple(cut))

    def _tokens(self, text: str, limit: int) -> tuple[list[int], list[int], bool]:
        """Ids, 1 where a token is pooled, and whether the text was cut."""
        pooling, options = self.pooling, {"return_special_tokens_mask": True, "verbose": False}
        prefix = pooling.prefix.lower() if pooling.lower_case else pooling.prefix
        text = prefix + (text.lower() if pooling.lower_case else text)
        encoded: Any = self.tokenizer(text, **options)
        too_long = len(encoded["input_ids"]) > limit
        if too_long:
            encoded = self.tokenizer(text, truncation=True, max_length=limit, **options)
        ids, added = list(encoded["input_ids"]), encoded["special_tokens_mask"]
        pooled = [int(pooling.special_tokens or not special) for special in added]
        if not pooling.pool_prefix and prefix:
            before = self.tokenizer(prefix, **options)["input_ids"]
            shared = next((i for i, (a, b) in enumerate(zip(before, ids, strict=False)) if a != b), len(before))
            pooled[:shared] = [0] * shared
        return ids, pooled, too_long


def cosines(encoder: Encoder, sources: Sequence[str], targets: Sequence[str]) -> list[float]:
    """Cosine of the vectors of each pair, as a filter of parallel text takes it; equal texts are embedded once."""
    texts = list(dict.fromkeys([*sources, *targets]))
    vectors = dict(zip(texts, nn.functional.normalize(encoder(texts).vectors, dim=-1), strict=True))
    return [float(vectors[source] @ vectors[target]) for source, target in zip(sources, targets, strict=True)]


def load_encoder(spec: str | Path, pooling: Pooling | None = None, **options: Any) -> Encoder:
    """An encoder with the pooling of its authors, or with yours.

    Args:
        spec: As in :func:`core.models.loading.load`: a wheel, a folder, a hub id.
        pooling: Yours; then nothing that the folder says about pooling is used, dense layers included.
        options: Of :func:`core.models.loading.load`, such as `dtype`, `device` and `revision`.

    Raises:
        UserError: The folder asks for a kind of module that is unknown here, or its files do not fit each other.
    """
    options = {"task": "encoder"} | options
    if pooling is not None:
        return Encoder(*load(spec, **options), pooling)
    folder = materialize(spec, revision=options.get("revision"))
    with translated(spec):
        described = _described(str(spec), folder)
    if described is None:
        return Encoder(*load(spec, **options), PUBLISHED.get(str(spec), Pooling()))
    body, found, layers = described
    source = folder / body if body else spec
    return Encoder(*load(source, **options), found, nn.Sequential(*layers).eval() if layers else None)


def pool(
    states: Float[Tensor, "batch token width"], mask: Int[Tensor, "batch token"], mode: Mode | Sequence[Mode] = "mean"
) -> Float[Tensor, "batch modes*width"]:
    """Vectors of a batch, in float32 whatever the model computes in; differentiable.

    Args:
        states: Of one layer. What the mask leaves out adds nothing, not even the NaN that padding may hold.
        mask: 1 for the tokens that are pooled, at least one a row; padding may be on either side.
        mode: One mode, or several whose vectors are concatenated.
    """
    kept = mask.to(states.device).bool()
    states = states.float().masked_fill(~kept[..., None], 0.0)
    position = kept.cumsum(1) * kept
    count = position.amax(1, keepdim=True)
    vectors = []
    for name in [mode] if isinstance(mode, str) else mode:
        if name == "max":
            vectors.append(states.masked_fill(~kept[..., None], -torch.inf).amax(1))
            continue
        weights = {
            "cls": position == 1,
            "mean": kept / count,
            "mean_sqrt_len_tokens": kept / count.sqrt(),
            "weightedmean": position / position.sum(1, keepdim=True),
            "lasttoken": kept & (position == count),
        }[name]
        vectors.append(torch.einsum("btd,bt->bd", states, weights.float()))
    return torch.cat(vectors, dim=-1)


class States(NamedTuple):
    """Hidden states of one batch: the numbers of its rows, the states of each layer, and 1 for all but padding."""

    rows: list[int]
    layers: Sequence[Float[Tensor, "row token width"]]
    mask: Int[Tensor, "row token"]


def hidden_states(
    model: PreTrainedModel,
    ids: Sequence[Sequence[int]],
    *,
    layers: Sequence[int] | None = None,
    batch_tokens: int | None = None,
) -> Iterator[States]:
    """Hidden states of texts in batches of like length, the longest first, so that what does not fit fails at once.

    Args:
        model: A model of any kind; its output layer is not run.
        ids: Tokens of each text, special ones included; none is empty.
        layers: Which layers (0 = embedding output, -1 = the last); None = all.
        batch_tokens: Tokens of a forward pass, padding included; None = 512 on CPUs, 16,384 elsewhere.

    Raises:
        UserError: A layer that the model does not have.
    """
    budget = batch_tokens or (512 if path_of(model.device) == "cpu" else 16_384)
    order = sorted(range(len(ids)), key=lambda row: -len(ids[row]))
    start = 0
    while start < len(order):
        width = len(ids[order[start]])
        rows = order[start : start + max(1, budget // width)]
        start += len(rows)
        # The model's own pad id, since RoBERTa counts positions from it; some configurations have none or -1.
        pad = getattr(model.config.get_text_config(), "pad_token_id", None)
        tokens = torch.full((len(rows), width), max(pad or 0, 0))
        mask = torch.zeros_like(tokens)
        for line, row in enumerate(rows):
            tokens[line, : len(ids[row])] = torch.tensor(ids[row])
            mask[line, : len(ids[row])] = 1
        yield States(rows, _forward(model, tokens, mask, layers), mask)


@torch.inference_mode()
def _forward(model: Any, ids: Tensor, mask: Tensor, layers: Sequence[int] | None) -> Sequence[Tensor]:
    inputs = {"input_ids": ids.to(model.device), "attention_mask": mask.to(model.device)}
    found = _body(model)(**inputs, output_hidden_states=True, return_dict=True).hidden_states
    # What prompt tuning puts before the text is no part of it.
    found = [states[:, -ids.shape[1] :] for states in found]
    if layers is None:
        return found
    try:
        return [found[layer] for layer in layers]
    except IndexError:
        raise UserError(f"there is no layer {max(layers)}: this model has 0 (embeddings) to {len(found) - 1}") from None


def _body(model: Any) -> Any:
    """What computes hidden states: no output layer over the vocabulary, no decoder."""
    if prompt_tokens(model):
        return model
    model = unwrapped(model)
    return model.get_encoder() if model.config.is_encoder_decoder else model.base_model


# --- folders of sentence-transformers -----------------------------------------------------------------------------

_FLAGS: dict[str, Mode] = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
_ACTIVATIONS = {kind.__name__: kind for kind in (nn.Identity, nn.Tanh, nn.ReLU, nn.GELU, nn.Sigmoid)}


def _described(spec: str, folder: Path) -> tuple[str, Pooling, list[nn.Module]] | None:
    """Folder of the transformer, pooling and dense layers of a sentence-transformers folder; None for any other."""
    modules = _json(folder / "modules.json")
    if not modules:
        return None
    body, *rest = sorted(modules, key=lambda module: module["idx"])
    if _kind(body) != "Transformer":
        raise UserError(f"{spec} begins with a {_kind(body)} module, not with a Transformer: choose another encoder")
    settings = _json(folder / body["path"] / "sentence_bert_config.json") or {}
    prompts = _json(folder / "config_sentence_transformers.json") or {}
    longest = settings.get("max_seq_length")
    if longest is not None and not (type(longest) is int and longest > 0):
        raise UserError(
            f"{spec} has max_seq_length = {longest!r} in sentence_bert_config.json: give a number of tokens"
        )
    found = replace(
        PUBLISHED.get(spec, Pooling()),
        max_tokens=longest,
        lower_case=bool(settings.get("do_lower_case")),
        normalize=False,
    )
    if prompts.get("default_prompt_name"):
        found = replace(found, prefix=prompts["prompts"][prompts["default_prompt_name"]])
    layers: list[nn.Module] = []
    for module in rest:
        path = folder / module["path"]
        if _kind(module) == "Pooling":
            config = _json(path / "config.json") or {}
            found = replace(found, mode=_modes(config), pool_prefix=config.get("include_prompt", True))
        elif _kind(module) == "Dense":
            layers.append(_dense(path))
        elif _kind(module) == "Normalize":
            found = replace(found, normalize=True)
        else:
            raise UserError(f"{spec} has a {_kind(module)} module, which is unknown here: give a pooling of your own")
    if found.normalize and _kind(rest[-1]) != "Normalize":
        raise UserError(f"{spec} normalises before its last module: give a pooling of your own")
    return body["path"], found, layers


def _json(path: Path) -> Any:
    return load_json(path, sound=False) if path.exists() else None


def _kind(module: dict[str, Any]) -> str:
    return module["type"].rsplit(".", 1)[-1]


def _modes(config: dict[str, Any]) -> tuple[Mode, ...]:
    named = config.get("pooling_mode")
    named = [named] if isinstance(named, str) else named
    modes = tuple(named or (mode for flag, mode in _FLAGS.items() if config.get(flag)))
    if not modes or not set(modes) <= set(get_args(Mode)):
        raise UserError(f"the pooling {config} is unknown here: give a pooling of your own")
    return modes


def _dense(path: Path) -> nn.Module:
    from safetensors.torch import load_file

    config, weights = _json(path / "config.json"), path / "model.safetensors"
    name = str((config or {}).get("activation_function", "")).rsplit(".", 1)[-1]
    if name not in _ACTIVATIONS:
        raise UserError(f"the activation of the dense layer in {path} is {name or 'not given'}, which is unknown here")
    if not weights.exists():
        raise UserError(f"the dense layer in {path} has no model.safetensors: save the encoder again with safetensors")
    linear = nn.Linear(config["in_features"], config["out_features"], bias=config.get("bias", True))
    try:
        linear.load_state_dict({key.removeprefix("linear."): value for key, value in load_file(weights).items()})
    except RuntimeError as error:
        raise UserError(f"the weights in {path} do not fit its config.json: fetch it again") from error
    return nn.Sequential(linear, _ACTIVATIONS[name]())
