"""Make a bilingual student and tune it sparsely to the task.

    python -m papers.bistil.train tiny --variant bistil
    python -m papers.bistil.train paper --target swa --texts my_texts

The artifact is the student as a `save_pretrained` folder with its tokenizer (`student/`) and the task as a sparse file
(`task.safetensors`).
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.experiment.config import to_dict
from core.experiment.entrypoint import entrypoint
from core.experiment.run import Run, is_main_process
from core.files import build_folder, write_json
from papers.bistil.config import Config

if TYPE_CHECKING:
    from core.models.loading import Loaded
    from core.tasks.finetuning import Head
    from papers.bistil.sparse import Change, Weights

# What decides the text that is read, and the vocabulary.
READ = ("base", "source", "target", "texts", "seed", "split", "trim_threshold", "keep_characters")


def train(config: Config, run: Run) -> None:
    """Trim, distil, tune; arms share the stages in which they do not differ."""
    from papers.bistil import sparse

    if config.model == "teacher":
        teacher(config, run)
        if is_main_process():
            note = {"base": config.base}
            build_folder(run.artifact, lambda folder: write_json(folder / "teacher.json", note), replace=True)
        return
    source = student(config, run)
    head, labels, loaded = classifier(source, config)
    start = sparse.weights(loaded.model)
    change = tuned(config, run, loaded)
    sparse.put(loaded.model, start)
    body: Any = loaded.model.base_model

    def fill(folder: Path) -> None:
        body.save_pretrained(folder / "student")
        loaded.tokenizer.save_pretrained(folder / "student")
        sparse.save(change, head, labels, folder / "task.safetensors")

    if is_main_process():
        build_folder(run.artifact, fill, replace=True)


def classifier(spec: str | Path, config: Config) -> tuple[Head, list[str], Loaded]:
    """What the task labels, its labels, and an encoder with a fresh head and attention that shows its probabilities."""
    from core.tasks.finetuning import load_classifier
    from core.tasks.labelled import labels_of
    from papers.bistil import data

    examples = data.labelled(config, config.source, "train")
    head, labels = data.head(examples), labels_of(examples)
    loaded = load_classifier(spec, head, labels, seed=config.seed)
    loaded.model.set_attn_implementation("eager")
    return head, labels, loaded


# --- phase one ------------------------------------------------------------------------------------------------------


def trimmed(config: Config, run: Run) -> Path:
    """The multilingual encoder with the tokens of the languages that are read."""
    from papers.bistil import data

    texts = data.texts(config)

    def build(folder: Path) -> None:
        from core.models.loading import load
        from core.models.vocabulary import cut_vocabulary, resize_embeddings
        from papers.bistil import method, miniature

        options: Any = {"task": "encoder", "dtype": "float32", "device": "cpu"}
        model, tokenizer = miniature.toy(texts) if config.base == "toy" else load(config.base, **options)
        kept = method.kept_tokens(tokenizer, texts.values(), config.trim_threshold)
        if config.keep_characters:
            kept |= data.characters(tokenizer, texts.values())
        tokenizer, rows = cut_vocabulary(tokenizer, kept)
        resize_embeddings(model, rows)
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)

    inputs = {"base": config.base, "texts": texts, "kept": [config.trim_threshold, config.keep_characters]}
    return run.stage("trimmed", inputs, build)


def student(config: Config, run: Run) -> Path:
    """The student after phase one, over the tokens of both languages."""
    from papers.bistil import method

    pair = replace(config, general="bilingual")

    def build(folder: Path) -> None:
        from core import distributed
        from core.models import loading

        read = trimmed(config if config.general == "multilingual" else pair, run)
        distributed.seed_everything(config.seed)
        model, tokenizer = loading.load(read, task="encoder", dtype="float32", device="cpu", attention="eager")
        small = method.student(model, config.factor)
        if config.general == "scratch":
            small = from_nothing(config, run, small.config, tokenizer)
        elif config.general != "none":
            distil(config, run, model, small, tokenizer)
        if config.general == "multilingual":
            tokenizer = narrowed(small, tokenizer, trimmed(pair, run))
        small.save_pretrained(folder)
        tokenizer.save_pretrained(folder)

    inputs = {name: getattr(config, name) for name in (*READ, "general", "factor", "mask_rate")}
    return run.stage("student", {**inputs, "training": to_dict(config.general_training)}, build)


def distil(config: Config, run: Run, model: Any, small: Any, tokenizer: Any) -> None:
    """Phase one: the student imitates the multilingual model, a batch of one language at a time."""
    from papers.bistil import method

    shown = method.frozen(model, head=False)
    loss = partial(method.general_loss, teacher=shown, factor=config.factor)
    general(config, run, small, tokenizer, loss)


def general(config: Config, run: Run, model: Any, tokenizer: Any, loss: Any) -> None:
    """Train on the batches of phase one, in their order."""
    from core.training.fit import fit
    from papers.bistil import data

    rows, collate = data.general_rows(config, tokenizer), data.general_collate(config, tokenizer)
    settings = replace(config.general_training, shuffle=False)
    fit(model, rows, settings, run, loss_fn=loss, collate=collate, seed=config.seed, name="general")


def from_nothing(config: Config, run: Run, shape: Any, tokenizer: Any) -> Any:
    """The paper's other baseline: the student's shape, masked language modelling on the same batches."""
    from core.models.loading import from_config
    from core.training.masking import masked_lm_loss

    model = from_config(shape, seed=config.seed, task="masked-lm")
    general(replace(config, mask_rate=config.mask_rate or 0.15), run, model, tokenizer, masked_lm_loss)
    return model.base_model


def narrowed(model: Any, tokenizer: Any, folder: Path) -> Any:
    """Cut a student down to the tokens of another tokenizer, found by their text; returns that tokenizer."""
    from core.models.loading import load_tokenizer
    from core.models.vocabulary import adopt_tokenizer

    return adopt_tokenizer(model, tokenizer, load_tokenizer(folder))


# --- phase two ------------------------------------------------------------------------------------------------------


def teacher(config: Config, run: Run) -> Path:
    """The multilingual model, tuned to the task in the source language."""

    def build(folder: Path) -> None:
        from core.tasks.finetuning import label_loss
        from core.training.fit import fit, save_pretrained
        from papers.bistil import data

        _, _, (model, tokenizer) = classifier(trimmed(replace(config, general="bilingual"), run), config)
        model.get_input_embeddings().requires_grad_(not config.freeze_embeddings)
        rows, collate, settings = *data.task_rows(config, tokenizer), config.teacher_training
        fit(model, rows, settings, run, loss_fn=label_loss, collate=collate, seed=config.seed, name="teacher")
        save_pretrained(model, folder, tokenizer)

    inputs = {name: getattr(config, name) for name in (*READ, "task", "freeze_embeddings")}
    return run.stage("teacher", {**inputs, "training": to_dict(config.teacher_training)}, build)


def tuned(config: Config, run: Run, loaded: Loaded) -> Change:
    """Phase two: sparse (or dense, or randomly placed) tuning against the task's teacher, or against the labels."""
    import torch
    from safetensors.torch import load_file, save_file

    from core.tasks.finetuning import label_loss
    from core.training.fit import fit
    from papers.bistil import data, method, sparse

    model, tokenizer = loaded
    rows, collate = data.task_rows(config, tokenizer)
    loss = label_loss
    if config.distil:
        shown = method.frozen(classifier(teacher(config, run), config)[2].model)
        if not config.task:
            order = data.permuted(len(rows), config.seed) if config.shuffled else None
            shown = data.Remembered(shown, data.collate(rows, tokenizer.pad_token_id), order)
        loss = partial(method.task_loss, teacher=shown, factor=config.factor, temperature=config.temperature)

    def step(phase: str) -> None:
        fit(model, rows, config.task_training, run, loss_fn=loss, collate=collate, seed=config.seed, name=phase)

    def dense(folder: Path) -> None:
        step("all")
        save_file(sparse.weights(model), folder / "weights.safetensors")

    def train(phase: str) -> None:
        if phase == "all":  # the same for the method, for dense tuning and for every density
            folder = run.stage("dense", {**to_dict(config), "places": None, "density": None}, dense)
            sparse.put(model, load_file(folder / "weights.safetensors"))
        else:
            step(phase)

    def anywhere(encoder: Weights) -> Weights:
        generator = torch.Generator().manual_seed(config.seed)
        return {name: torch.rand(encoder[name].shape, generator=generator) for name in sorted(encoder)}

    if config.places == "all":
        start = sparse.weights(model)
        train("all")
        return sparse.change(model, start)
    return method.sparse_tuning(model, train, config.density, anywhere if config.places == "random" else None)


if __name__ == "__main__":
    entrypoint(train)
