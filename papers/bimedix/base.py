"""The frozen model that adapters are added to: any mixture of experts, or a small Mixtral pre-trained on the spot."""

from __future__ import annotations

import functools
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from core import corpora, distributed
from core.experiment.config import to_dict
from core.experiment.run import Run
from core.models import loading
from core.models.tokenization import train_bpe
from core.training.fit import fit
from core.training.losses import causal_lm_loss
from papers.bimedix import data, knowledge
from papers.bimedix.config import BaseModel, Config, mixtral_shape
from papers.bimedix.method import quantize_base


def load_base(config: Config, run: Run) -> loading.Loaded:
    """The base with its weights rounded as the configuration says, frozen, and its tokenizer.

    A base that is kept in packed 4-bit codes is read into main memory and quantised there: in 16 bit it may be larger
    than the accelerator's memory.
    """
    spec = config.base or pretrained(config, run)
    place: dict[str, Any] = {"device": "cpu", "dtype": "bfloat16"} if config.packed else {}
    model, tokenizer = loading.load(spec, **(place if config.base else {"dtype": "float32"}))
    model.requires_grad_(False)
    if config.quantization != "none":
        quantize_base(model, double=config.quantization == "nf4-double", packed=config.packed)
    return loading.Loaded(model, tokenizer)


def pretrained(config: Config, run: Run) -> Path:
    """Folder of the small Mixtral, pre-trained once for all variants that share its shape and seed."""
    inputs = {"base": to_dict(config.base_model), "seed": config.seed}
    if distributed.world_size() == 1:
        return run.stage("base", inputs, lambda folder: _save(folder, *_pretrain(config.base_model, config.seed, run)))
    # Training is a joint act of all processes, so it cannot happen where only the main one builds.
    model, tokenizer = _pretrain(config.base_model, config.seed, run)
    return run.stage("base", inputs, lambda folder: _save(folder, model, tokenizer))


def _save(folder: Path, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _pretrain(shape: BaseModel, seed: int, run: Run) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    prose = list(general_prose(shape))
    # Trained on prose alone, as a real base's tokenizer is: it cuts medical Arabic into small, familiar pieces.
    texts = prose or [t["content"] for s in _instructions(knowledge.facts(), seed) for t in s["messages"]]
    tokenizer = train_bpe(texts, shape.vocabulary, special_tokens=["[INST]", "[/INST]"])
    tokenizer.chat_template = data.CHAT_TEMPLATE
    model = loading.from_config(mixtral_shape(shape, len(tokenizer)), seed=seed)
    loss = functools.partial(causal_lm_loss, router_aux_weight=0.02)
    rows = list(_pretraining_rows(tokenizer, shape, prose, seed))
    fit(model, rows, shape.training, run, loss_fn=loss, seed=seed, name="base")
    return model, tokenizer


def _instructions(known: Sequence[knowledge.Fact], seed: int) -> list[data.Sample]:
    return [sample for lang in ("en", "ar") for sample in knowledge.training_samples(known, lang, seed)]


def general_prose(shape: BaseModel) -> Iterator[str]:
    """Arabic and English narrations without vowel signs, which everyday Arabic does not write either."""
    if shape.documents:
        rows = corpora.load("narrations", min_chars=40, max_chars=600).select(range(shape.documents))
        yield from map(data.normalize_arabic, knowledge.general_text(rows, shape.english_share))


def _pretraining_rows(
    tokenizer: PreTrainedTokenizerBase, shape: BaseModel, prose: list[str], seed: int
) -> Iterator[dict[str, list[int]]]:
    """Prose, glossary lines, and some English medical instructions: all of their tokens are learned."""
    known = knowledge.chosen(knowledge.facts(), shape.known_facts, seed, "known to the base")
    rows = [tokenizer(tokenizer.bos_token + text, add_special_tokens=False)["input_ids"] for text in prose]
    lines = [
        tokenizer(tokenizer.bos_token + line, add_special_tokens=False)["input_ids"] for line in knowledge.glossary()
    ]
    samples = [*knowledge.glossary_samples(), *knowledge.training_samples(known, "en", seed)]
    seen = [data.encode(tokenizer, sample["messages"])["input_ids"] for sample in samples]
    rows += (lines + seen) * shape.repeats
    random.Random(seed).shuffle(rows)
    for ids in rows:
        yield {"input_ids": ids, "labels": ids}
