"""The model that is adapted, and what it reads: items, conversations, rows of tokens.

A model from scratch is there for one purpose: to learn the copying of values from many generated items where no chat
model is at hand (`--preset tiny_scratch`, and the smoke tests). It is trained in full.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from core.errors import UserError
from core.experiment.config import to_dict
from core.experiment.run import Run
from core.models import loading
from core.models.tokenization import chat_row, train_bpe
from papers.tucan import data, files
from papers.tucan.config import Config, scratch_shape
from papers.tucan.method import Item, Prompt, conversation

Message = dict[str, str]
CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\\n' + m['content'] + eos_token + '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


def training_conversations(config: Config, prompt: Prompt) -> list[list[Message]]:
    """Chats to train on, from a file or generated."""
    if config.train_file:
        return files.read_conversations(config.train_file, prompt)
    return [conversation(item, prompt) for item in training_items(config)]


def training_items(config: Config) -> list[dict[str, Any]]:
    """Generated training items; without negatives there are as many, all of them calls."""
    return data.build_dataset(
        data.load_catalogue(config.tools, config.templates),
        config.examples,
        languages=config.languages,
        seed=config.seed,
        mix=data.MIX if config.negatives else data.without_negatives(),
        distractors=config.distractors,
        unseen=config.unseen_tools,
        multi_turn=config.multi_turn,
    )


def scored_items(config: Config) -> list[dict[str, Any]]:
    """Items to score: a file's, or generated ones that are the same for every seed and variant."""
    if config.eval_file:
        return files.read_items(config.eval_file, config.limit)
    catalogue = data.load_catalogue(config.tools, config.templates)
    languages = list(catalogue.languages)[:2]
    wanted = dict(zip(languages, config.test_items, strict=False))
    items = data.build_dataset(
        catalogue,
        max(wanted.values()) * len(languages),
        languages=languages,
        part=config.evaluate_on,
        distractors=config.distractors,
        unseen=config.unseen_tools,
    )
    return [item for i, item in enumerate(items) if i // len(languages) < wanted[item["language"]]]


def load_base(config: Config, run: Run) -> loading.Loaded:
    """The model before tuning, in evaluation mode, and its tokenizer."""
    if not config.base:
        return loading.load(_untrained(config, run), dtype="float32")
    quantization = None if config.quantization == "none" else config.quantization
    dtype = "float32" if config.adapter == "full" else "auto"
    model, tokenizer = loading.load(config.base, quantization=quantization, attention=config.attention, dtype=dtype)
    return loading.Loaded(model, with_template(tokenizer, config))


def with_template(tokenizer: PreTrainedTokenizerBase, config: Config) -> PreTrainedTokenizerBase:
    """The tokenizer with the template that the configuration asks for.

    Raises:
        UserError: A chat model is needed, and this one has no template.
    """
    if config.plain_chat and "<|im_start|>" in tokenizer.get_vocab():
        tokenizer.chat_template = CHATML
    if not tokenizer.chat_template:
        raise UserError(f"{config.base} has no chat template: name an instruction-tuned model.")
    return tokenizer


def scratch_inputs(config: Config) -> dict[str, Any]:
    """What decides the model from scratch before training: the same for all variants of a seed."""
    everything = to_dict(config)
    fields = ("seed", "scratch", "prompt", "train_file", "tools", "templates", "unseen_tools", "distractors")
    return {name: everything[name] for name in fields}


def _untrained(config: Config, run: Run) -> Path:
    """Folder of the small model with random weights, and a tokenizer that has seen conversations of all kinds."""

    def build(folder: Path) -> None:
        prompt, _ = data.prompt_of(config.prompt)
        languages = tuple(data.load_catalogue(config.tools, config.templates).languages)
        every_kind = replace(config, languages=languages, negatives=True, examples=1000, multi_turn=0.0)
        texts = [turn["content"] for chat in training_conversations(every_kind, prompt) for turn in chat]
        tokenizer = train_bpe(texts, config.scratch.vocabulary, special_tokens=["<|im_start|>"])
        tokenizer.chat_template = CHATML
        model = loading.from_config(scratch_shape(config.scratch, len(tokenizer)), seed=config.seed)
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)

    return run.stage("untrained", scratch_inputs(config), build)


def training_row(tokenizer: PreTrainedTokenizerBase, chat: list[Message], loss_on: str) -> dict[str, list[int]]:
    """Tokens of a conversation, with loss on the assistant's turns (their end token included) or on everything."""
    row = chat_row(tokenizer, chat)
    return row if loss_on == "assistant" else {**row, "labels": list(row["input_ids"])}


def opening(tokenizer: PreTrainedTokenizerBase, prompt: Prompt, item: Item) -> str:
    """The text after which a model answers an item."""
    turn = {"role": "user", "content": prompt.render(item["user_message"], item["functions"])}
    return str(tokenizer.apply_chat_template([turn], tokenize=False, add_generation_prompt=True))
