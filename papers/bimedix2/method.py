"""BiMediX2: pictures for a bilingual medical language model, by a projector first and low-rank adapters second.

A frozen image encoder gives a vector for each patch of a picture I; its last layer but one is taken, without the class
token. A small perceptron puts the patches among the language model's word vectors,

    Z = E(I),   H = W_2 GELU(W_1 Z + b_1) + b_2,                                                                (1)

where they stand in place of one `<image>` of the text. Stage 1 trains W and b alone, on captions c behind the patches,

    L_1 = - sum_t log p(c_t | H, c_<t).                                                                         (2)

Stage 2 adds an update of low rank to every linear layer of the language model, except its head,

    W x + (alpha / r) B A x,   A random, B = 0,                                                                 (3)

and trains A, B and, at a tenth of their rate, the projector on conversations with and without pictures in both
languages, with the loss on what the assistant says, ends of turns included,

    L_2 = - sum_t log p(y_t | H, x, y_<t).                                                                      (4)

No tag tells the language: the answer has that of the question.

    from papers.bimedix2 import adapt, connect
    model = connect(language_model, image_encoder, image_id, seed=0); adapt(model, rank=8)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from core.errors import UserError
from core.models.adapters import with_lora
from core.models.tokenization import chat_row, completion_row
from core.training.losses import Loss, causal_lm_loss

if TYPE_CHECKING:
    from core.experiment.run import Run
    from core.training.config import TrainingConfig
    from core.training.fit import FitResult

Row = dict[str, list[int]]
Messages = Sequence[dict[str, str]]
# Where a picture stands in a text of LLaVA's format.
PLACEHOLDER = "<image>"
# Part of the names of the projector's parameters, and the layer that its input is taken from.
PROJECTOR, LAYER = "multi_modal_projector", -2
# Llama 3's turns around LLaVA's system text, which is what LLaVA-pp trains with; begin-of-text once.
LLAMA3 = (
    "{{ '<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\n"
    "A chat between a curious user and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the user\\'s questions.<|eot_id|>' }}"
    "{% for m in messages %}"
    "{{ '<|start_header_id|>' + m['role'] + '<|end_header_id|>\n\n' + m['content'] + '<|eot_id|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)


def llava_config(language: Any, vision: Any, image_id: int) -> Any:
    """The two models' configurations joined; `image_id` stands for a patch in the ids of a text."""
    from transformers import LlavaConfig

    return LlavaConfig(
        text_config=language, vision_config=vision, image_token_index=image_id, vision_feature_layer=LAYER,
        vision_feature_select_strategy="default", projector_hidden_act="gelu",
        image_seq_length=patches(vision), tie_word_embeddings=language.tie_word_embeddings,
    )  # fmt: skip


def patches(vision: Any) -> int:
    """How many tokens a picture takes: 576 of CLIP ViT-L/14 at 336 pixels."""
    return int((vision.image_size // vision.patch_size) ** 2)


def connect(language_model: Any, image_encoder: Any, image_id: int, seed: int) -> Any:
    """Both models and a fresh projector between them (equation 1) as one `LlavaForConditionalGeneration`."""
    from transformers import LlavaForConditionalGeneration

    config = llava_config(language_model.config, image_encoder.config, image_id)
    with torch.device("meta"):
        model: Any = LlavaForConditionalGeneration(config)
    device = language_model.get_input_embeddings().weight.device
    projector = model.model.multi_modal_projector.to_empty(device=device)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for layer in (projector.linear_1, projector.linear_2):
            layer.reset_parameters()
    model.model.vision_tower = image_encoder.to(device)
    model.model.language_model, model.lm_head = language_model.get_decoder(), language_model.get_output_embeddings()
    model.generation_config = language_model.generation_config
    return model.eval()


def caption_row(tokenizer: Any, messages: Messages, image_token: str, tokens: int) -> Row:
    """Equation 2: the picture, its caption, a line break. What a user has asked is left out, as in LLaVA."""
    row = completion_row(tokenizer, image_token, f"{messages[-1]['content']}\n", bos=True, eos=False)
    return spread(row, tokenizer.convert_tokens_to_ids(image_token), tokens)


def conversation_row(tokenizer: Any, messages: Messages, image_token: str, tokens: int) -> Row:
    """Equation 4: a conversation with labels on what the assistant says; a placeholder becomes the picture's tokens."""
    row = chat_row(tokenizer, placed(messages, image_token))
    return spread(row, tokenizer.convert_tokens_to_ids(image_token), tokens)


def placed(messages: Messages, image_token: str) -> list[dict[str, str]]:
    """The turns with the model's own token in place of LLaVA's."""
    return [{**turn, "content": turn["content"].replace(PLACEHOLDER, image_token)} for turn in messages]


def spread(row: Row, image_id: int, tokens: int) -> Row:
    """As many image tokens as there are patches in place of one."""
    times = [tokens if token == image_id else 1 for token in row["input_ids"]]
    return {
        name: [value for value, count in zip(values, times, strict=True) for _ in range(count)]
        for name, values in row.items()
    }


def multimodal_loss(model: Any, batch: Mapping[str, Any]) -> Loss:
    """Equations 2 and 4 as a sum over labels.

    In a batch without a picture the projector takes part with nothing: data parallelism waits for its gradient.
    """
    loss = causal_lm_loss(model, batch)
    if "pixel_values" in batch:
        return loss
    idle = [p.sum() for name, p in model.named_parameters() if PROJECTOR in name and p.requires_grad]
    return loss._replace(total=loss.total + 0.0 * sum(idle)) if idle else loss


def align(
    model: Any, rows: Any, collate: Callable[..., Any], settings: TrainingConfig, run: Run, seed: int
) -> FitResult:
    """Stage 1: the projector alone, on captions."""
    from core.training.fit import fit

    return fit(
        only_projector(model), rows, settings, run, loss_fn=multimodal_loss, collate=collate, seed=seed, name="align"
    )


def only_projector(model: Any) -> Any:
    """The model with everything frozen but its projector."""
    model.requires_grad_(False)
    model.model.multi_modal_projector.requires_grad_(True)
    return model


def adapt(model: Any, rank: int = 8, dropout: float = 0.05, *, checkpointing: bool = False) -> Any:
    """Equation 3: adapters on every linear layer of the language model but its head; the projector is trained whole.

    Alpha is twice the rank, as in the authors' script (8 and 16) and in LLaVA-pp's own (128 and 256).

    Raises:
        UserError: The language model has no linear layer that could get one.
    """
    inside = model.model.language_model.named_modules()
    names = [f"model.language_model.{name}" for name, module in inside if isinstance(module, nn.Linear)]
    if not names:
        raise UserError("The language model has no linear layers (GPT-2's are none): choose a Llama, Qwen or Mistral.")
    lora: dict[str, Any] = {"alpha": 2 * rank, "dropout": dropout, "targets": names, "whole": [PROJECTOR]}
    return with_lora(model, rank, **lora, checkpointing=checkpointing)


def instruct(
    model: Any, rows: Any, collate: Callable[..., Any], settings: TrainingConfig, run: Run, seed: int,
    projector_rate: float = 0.1,
) -> FitResult:  # fmt: skip
    """Stage 2: adapters and projector on conversations of both kinds and languages, shuffled together."""
    from core.training.fit import fit

    options: dict[str, Any] = {"loss_fn": multimodal_loss, "collate": collate, "seed": seed, "name": "instruct"}
    return fit(model, rows, settings, run, rates={PROJECTOR: projector_rate}, **options)
