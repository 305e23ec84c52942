"""The miniature: a small Mixtral that has read about 98 conditions in two languages, and is tuned to answer questions.

The base reads every fact as statements, twice as often in English as in Arabic, and is asked about some conditions in
wordings of its own: like Mixtral it can answer. Tuning asks about others; what is tested are conditions that no model
was ever asked about, in wordings that none has seen, with options that are drawn anew. So the knowledge is the base's,
as in the paper most of it is Mixtral's, and what tuning gives is to bring it out in a language.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from core.experiment.config import to_dict
from core.models.tokenization import chat_rows, text_ids, train_bpe
from core.tasks.choices import credit, from_items
from core.tasks.samples import CHAT_TEMPLATE, Sample, dialogue, multiple_choice
from core.worlds import medicine
from core.worlds.base import Item
from core.worlds.medicine import Wording
from papers.bimedix.config import Config, mixtral_shape

if TYPE_CHECKING:
    from core.experiment.run import Run

# Of a question; chance is a fourth.
OPTIONS = 4
# How often the base reads an English sentence for each time it reads an Arabic one: English-heavy, like Mixtral.
ENGLISH_SHARE = 2


def by_letters(item: Sample) -> float:
    """What the option that shares most letters with the question earns, without a model."""
    shared = [len(medicine.fragments(item["question"]) & medicine.fragments(option)) for option in item["options"]]
    return credit(shared, item["answer"])


def tuning_samples(config: Config, lang: str) -> list[Sample]:
    """Instructions about the training conditions: open questions, one multiple-choice question a fact, a dialogue."""
    trained = medicine.parts(config.seed)["train"]
    items = [item for item in medicine.questions((lang,), "train") if item.cls in trained]
    items = medicine.permuted(items, config.seed) if config.permuted else items
    samples: list[Sample] = []
    asked = list(zip(items, _choices(items, f"train {config.seed}", lang), strict=True))
    for item, choice in asked[: 20 * config.limit or None]:
        samples.append({"lang": lang, "messages": dialogue(item.prompt, item.answer)})
        if item.id.endswith("-0"):
            samples += [choice, {"lang": lang, "messages": dialogue(*medicine.dialogue(item))}]
    return samples


def items_of(config: Config, lang: str, part: Wording | None = None) -> list[Sample]:
    """Multiple-choice items about the conditions of a part, by default those that are to be measured.

    Options are drawn for each language by itself.
    """
    part = part or config.split
    asked = medicine.parts(config.seed)[part]
    items = [item for item in medicine.questions((lang,), part) if item.cls in asked]
    return _choices(items, f"{part} {config.seed}", lang)


def _choices(items: Sequence[Item], draw: str, lang: str) -> list[Sample]:
    asked = [(q, [option.strip() for option in q.choices]) for q in _questions(items, draw)]
    return [{"id": q.id, "lang": lang} | multiple_choice(q.context, options, q.answer, lang) for q, options in asked]


def told(config: Config, lang: str) -> list[Any]:
    """Statements about the tested conditions as the base has read them, to be ended by one of four answers."""
    asked = medicine.parts(config.seed)[config.split]
    items = [item for item in medicine.statements((lang,)) if item.cls in asked]
    return _questions(items, f"told {config.seed}")


def _questions(items: Sequence[Item], draw: str) -> list[Any]:
    """The id, `<relation> <wording>/<condition>`, leaves the language out, so that items are paired."""
    found = from_items(
        items, options=OPTIONS, seed=random.Random(draw).getrandbits(32),
        group=lambda item: (item.language, medicine.relation(item)),
    )  # fmt: skip
    return [replace(q, id="{2} {3}/{1}".format(*q.id.split("/"))) for q in found]


def base(config: Config, run: Run) -> Path:
    """Folder of the small Mixtral and its tokenizer, made once for all variants that share its shape and seed."""
    from core.models import loading
    from core.training.fit import fit, save_pretrained
    from core.training.losses import causal_lm_loss

    shape, seed, asked = config.base_model, config.seed, medicine.parts(config.seed)["base"]

    def build(folder: Path) -> None:
        facts, answered = medicine.statements(), [i for i in medicine.questions(wording="base") if i.cls in asked]
        if config.permuted:
            facts, answered = medicine.permuted(facts, seed), medicine.permuted(answered, seed)
        times = {"en": ENGLISH_SHARE, "ar": 1}
        facts, answered = ([one for one in some for _ in range(times[one.language])] for some in (facts, answered))
        texts = [f"{item.prompt} {item.answer}." for item in facts]
        texts += [line for en, ar in medicine.glossary() for line in (f"{en} = {ar}", f"{ar} = {en}")]
        # Trained on all questions, so that their words are cut alike.
        words = [i.prompt for kind in get_args(Wording) for i in medicine.questions(wording=kind)] + texts
        tokenizer = train_bpe(words, shape.vocabulary, special_tokens=["[INST]", "[/INST]"])
        tokenizer.chat_template = CHAT_TEMPLATE
        model = loading.from_config(mixtral_shape(shape, len(tokenizer)), seed=seed)
        ids, begin, end = text_ids(tokenizer, texts), tokenizer.bos_token_id, tokenizer.eos_token_id
        rows = [{"input_ids": [begin, *ids[text], end]} for text in texts]
        rows += chat_rows(tokenizer, [dialogue(item.prompt, item.answer) for item in answered])
        loss = partial(causal_lm_loss, router_aux_weight=0.02)
        fit(model, rows, shape.training, run, loss_fn=loss, seed=seed, name="base")
        save_pretrained(model, folder, tokenizer)

    return run.stage("base", {"base": to_dict(shape), "seed": seed, "permuted": config.permuted}, build)
