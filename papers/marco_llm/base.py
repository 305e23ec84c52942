"""Where a phase of training starts: the checkpoint, a small model that knows the old languages, or the phase before."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from core import distributed
from core.experiment.run import Run
from core.models import loading
from core.models.tokenization import train_bpe
from core.text.languages import name as language_name
from core.training.checkpoint import is_sharded
from core.training.fit import fit, save_pretrained
from papers.marco_llm import miniature
from papers.marco_llm.bodies import tokenise
from papers.marco_llm.config import Config, llama_shape
from papers.marco_llm.method import StagedMixture
from papers.marco_llm.sampler import sample
from papers.marco_llm.templates import render_parallel


def start(config: Config, run: Run) -> str:
    """The checkpoint, or the miniature's base model, which all variants of a seed share."""
    if config.model is not None:
        return config.model
    inputs = {
        "scratch": asdict(config.scratch),
        "languages": [config.other_high, config.low],
        "held_out": config.held_out,
        "seed": config.seed,
    }
    if distributed.world_size() == 1:
        return str(run.stage("base", inputs, lambda folder: _save(folder, *_build(config, run))))
    # Training is a joint act of all processes, so it cannot happen where only the main one builds.
    model, tokenizer = _build(config, run)
    return str(run.stage("base", inputs, lambda folder: _save(folder, model, tokenizer)))


def in_one_piece(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, run: Run) -> PreTrainedModel:
    """The model as the next phase can take it.

    A phase under FSDP2 leaves the model sharded, and what is sharded cannot be sharded again; so it goes through the
    disk, as a checkpoint between the phases. Every rank calls this.
    """
    if not is_sharded(model):
        return model
    folder = run.path / "between"
    save_pretrained(model, folder, tokenizer)
    return loading.load(str(folder), dtype="float32").model


def _save(folder: Path, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _build(config: Config, run: Run) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Tokenizer of all languages, model of the old ones."""
    shape, settings = config.scratch, config.scratch.training
    tokenizer = train_bpe(_tokenizer_texts(config), shape.vocabulary)
    model = loading.from_config(llama_shape(shape, len(tokenizer)), seed=config.seed)
    old = [body for body in miniature.monolingual(config) if body.category != "low"]
    categories, documents = tokenise([*old, *miniature.old_bitext(config)], tokenizer)
    monolingual = 1 - shape.pairs_share
    shares = {
        "english": monolingual * shape.english_share,
        "other_high": monolingual * (1 - shape.english_share),
        "parallel": shape.pairs_share,
    }
    budget = settings.steps * settings.batch_size * settings.max_length
    plan = StagedMixture(categories, [shares], [budget], [settings.learning_rate]).plan()
    rows = [{"input_ids": ids} for _, _, ids in sample(plan, documents, seed=config.seed)]
    fit(model, rows, settings, run, seed=config.seed, name="base")
    return in_one_piece(model, tokenizer, run), tokenizer


def _tokenizer_texts(config: Config) -> list[str]:
    """Text of every language, number words and the wording of the templates, as a real base's tokenizer knows them."""
    codes, numbers = miniature.languages(config), miniature.number_languages(config)
    texts = [row[code] for row in miniature.messages_of(config).train for code in codes if row[code]]
    texts += [row[code] for row in miniature.numbers_of(config).train for code in numbers]
    for code in codes[1:]:
        texts += render_parallel([("", "")] * 40, "English", language_name(code))
    return texts
