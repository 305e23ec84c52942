"""Train one arm: base model, fine-tuning on the downsampled multi-way set, and where asked GRPO.

    python -m papers.lmt.train tiny --variant symmetric
    python -m papers.lmt.train tiny --retention-p 0.1 --pmp-fraction 0.5
    accelerate launch -m papers.lmt.train paper --sft-data my_set/sft.jsonl --model Qwen/Qwen3-0.6B-Base

The artifact is a `save_pretrained` folder with model and tokenizer, and the manifest of its fine-tuning set.
"""

from __future__ import annotations

import math
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.experiment.entrypoint import entrypoint
from core.experiment.run import Run, is_main_process
from core.files import write_json
from papers.lmt.config import Config, scratch_shape

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from core.training.config import TrainingConfig
    from papers.lmt.data import Multiway


def train(config: Config, run: Run) -> None:
    """Continued pre-training, fine-tuning, GRPO; each only where the configuration wants it."""
    from core.distributed import seed_everything
    from core.models import loading
    from core.training.fit import fit, save_pretrained
    from papers.lmt import data

    seed_everything(config.seed)
    corpus = data.multiway(config, run)
    model, tokenizer = loading.load(_start(config, run, corpus), dtype="float32", device="auto")
    if config.use_cpt and config.cpt.monolingual:
        texts = data.pretraining_rows(config, tokenizer, run.path / "pretraining")
        fit(model, texts, config.cpt.training, run, seed=config.seed, name="cpt")
    facts: dict[str, Any] = {}
    if config.use_sft:
        _stop_after_answers(model, tokenizer, config)
        examples = data.sft_examples(config, corpus)
        facts = data.manifest(examples, config.pivots)
        rows = data.training_rows(tokenizer, examples, config.prompt_style)
        fit(model, rows, _schedule(config, corpus), run, seed=config.seed, name="sft")
        if config.use_grpo:
            from papers.lmt.grpo import reinforce

            reinforce(model, tokenizer, examples, config, run)
    save_pretrained(model, run.artifact, tokenizer)
    if is_main_process():
        write_json(run.artifact / "manifest.json", facts)


def _schedule(config: Config, corpus: Multiway) -> TrainingConfig:
    """The settings of the fine-tuning; matched controls make as many updates as the symmetric set of all languages."""
    from papers.lmt import method

    if not config.matched_updates:
        return config.sft
    pairs = method.pivot_pairs(config.languages, config.pivots)
    symmetric = 2 * len(corpus.sft) * len(pairs)
    return replace(config.sft, steps=math.ceil(symmetric * config.sft.epochs / config.sft.batch_size))


def _start(config: Config, run: Run, corpus: Multiway) -> str:
    """Where training starts: the checkpoint, or the miniature's base model, which all variants of a seed share."""
    if config.model is not None:
        after_cpt = config.use_cpt and not config.cpt.monolingual
        return config.model if after_cpt else str(config.cpt_base)
    inputs = {
        "scratch": asdict(config.scratch),
        "languages": [config.pivots, config.languages, config.auxiliaries],
        "numbers": [len(corpus.base), config.sft_items],
        "seed": config.seed,
    }
    return str(run.stage("base", inputs, lambda folder: _build_base(config, run, corpus, folder)))


def _build_base(config: Config, run: Run, corpus: Multiway, folder: Path) -> None:
    """Train tokenizer and base model from nothing."""
    from core.models import loading
    from core.models.tokenization import train_bpe
    from core.training.fit import fit
    from papers.lmt import data

    scratch, codes = config.scratch, [*config.pivots, *config.languages]
    texts = [item[code] for item in corpus.base for code in codes]
    tokenizer = train_bpe(texts, scratch.vocabulary, special_tokens=[f"<{code}>" for code in codes])
    model = loading.from_config(scratch_shape(len(tokenizer), scratch), seed=config.seed)
    examples = data.base_examples(config, corpus.base, scratch.training.steps * scratch.training.batch_size)
    rows = data.training_rows(tokenizer, examples, "tags")
    fit(model, rows, scratch.training, run, seed=config.seed, name="base")
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _stop_after_answers(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, config: Config) -> None:
    """Let `generate` stop where a turn ends: base checkpoints do not know the chat template's end token."""
    from papers.lmt import data

    if config.prompt_style != "tags" and model.generation_config is not None:
        ending = tokenizer.encode(data.turn_end(tokenizer), add_special_tokens=False)[-1]
        model.generation_config.eos_token_id = sorted({ending, int(tokenizer.eos_token_id)})


if __name__ == "__main__":
    entrypoint(train)
