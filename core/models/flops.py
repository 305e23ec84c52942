"""What a token costs in a model: read off its modules, for planning (on the meta device) and for training alike."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn
    from transformers import PretrainedConfig


def multiplied(model: nn.Module) -> dict[str, float]:
    """With how many elements of each parameter, by name, one token is multiplied.

    None of vectors, norms and looked-up rows (a tied embedding counts as the output layer); k/E of E routed experts of
    which k are used; all of any other matrix, shared experts included.
    """
    from torch import nn

    config: Any = getattr(model, "config", None)
    text = config.get_text_config() if hasattr(config, "get_text_config") else None
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    elements = dict.fromkeys(names.values(), 0.0)
    for path, module in model.named_modules():
        if isinstance(module, nn.Embedding) or "norm" in path.lower():
            continue
        for leaf, parameter in module.named_parameters(recurse=False):
            # A 4-bit matrix is stored as a vector of bytes.
            shape = tuple(getattr(getattr(parameter, "quant_state", None), "shape", parameter.shape))
            if len(shape) > 1:
                size = 1.0
                for length in shape:
                    size *= length
                elements[names[id(parameter)]] = size * routed_share(text, f"{path}.{leaf}", shape)
    return elements


def routed_share(text: Any, name: str, shape: tuple[int, ...]) -> float:
    """The share of a parameter that one token passes: k/E for the routed experts of a mixture, 1 for others."""
    experts, chosen = experts_of(text)
    stacked = len(shape) == 3 and shape[0] == experts
    return chosen / experts if experts > 1 and (stacked or re.search(r"\bexperts\b", name)) else 1.0


def experts_of(text: Any) -> tuple[int, int]:
    """(routed experts, of them used by a token); (1, 1) for dense models."""
    # DBRX keeps them in a part of its own.
    for config in (text, getattr(text, "ffn_config", None)):
        for name in ("num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts"):
            if getattr(config, name, None):
                used = (
                    "num_experts_per_tok",
                    "num_experts_per_token",
                    "top_k_experts",
                    "moe_top_k",
                    "moe_topk",
                    "moe_k",
                )
                return getattr(config, name), next((k for k in (getattr(config, n, None) for n in used) if k), 1)
    return 1, 1


def attention_flops(config: PretrainedConfig, length: float) -> float:
    """FLOPs of the two attention products of one token over `length` tokens, forward: 4 heads width length a layer.

    Layers with a window or chunks see at most those, recurrent layers nothing; causality is not subtracted, as usual.
    """
    text: Any = config.get_text_config()
    heads = getattr(text, "num_attention_heads", None) or 0
    width = getattr(text, "head_dim", None) or (text.hidden_size // heads if heads else 0)
    # Latent attention has keys and values of different widths.
    width = ((getattr(text, "qk_head_dim", None) or width) + (getattr(text, "v_head_dim", None) or width)) / 2
    bounds = {"sliding": getattr(text, "sliding_window", None), "chunked": getattr(text, "attention_chunk_size", None)}
    every = "sliding_attention" if (bounds["sliding"] or length) < length else "full_attention"
    seen = 0.0
    for kind in getattr(text, "layer_types", None) or [every] * layers_of(text):
        if "attention" in kind and "linear" not in kind:
            seen += min(length, bounds.get(kind.split("_")[0]) or length)
    return 4.0 * heads * width * seen


def layers_of(text: Any) -> int:
    """Layers, of encoder and decoder together."""
    layers = getattr(text, "num_hidden_layers", 0)
    if text.is_encoder_decoder:  # BART's family and T5's
        return layers + (getattr(text, "decoder_layers", 0) or getattr(text, "num_decoder_layers", 0))
    return layers
