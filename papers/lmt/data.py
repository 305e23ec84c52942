"""What LMT is fed: the fine-tuning set of a multi-way corpus with its options, and the files around it.

A multi-way corpus is the numbers of `miniature.py`, FLORES-200, or a `.tsv`, `.jsonl` or folder with one column or file
per language. A fine-tuning set is written as chat JSON lines, which any trainer loads, with what else is known:

    {"messages": [{"role": "user", "content": "Translate the following ..."}, {"role": "assistant", "content": "..."}],
     "item": "17", "source": "de", "target": "en", "source_text": "...", "target_text": "...", "auxiliary": null, ...}
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from core import corpora
from core.errors import UserError
from core.files import is_folder, write_json, write_rows
from core.tasks.samples import dialogue
from core.tasks.translation import adapt_segment, following
from papers.lmt import method, miniature
from papers.lmt.config import Config
from papers.lmt.method import Item
from papers.lmt.miniature import Corpus
from papers.lmt.prompts import AUXILIARY, PIVOTS, Example


def load(config: Config) -> Corpus:
    """The corpus of a configuration; UserError for a corpus, language or part that does not exist."""
    if config.corpus == "numbers":
        return miniature.corpus(config)
    flores = config.corpus == "flores200"
    if config.split != "test" or not (config.test_corpus or flores):
        raise UserError(
            f"{config.corpus} has no {config.split} part: give split=test, and a test_corpus to measure on."
        )
    read = partial(corpora.load, languages=[*config.pivots, *config.languages])
    sft = read(config.corpus, split="dev") if flores else read(config.corpus)
    test = read(config.test_corpus) if config.test_corpus else read(config.corpus, split="devtest")
    fresh = read_examples(config.fresh_pairs) if config.fresh_pairs else ()
    return Corpus(AUXILIARY, [*sft], [*test][: config.test_items], fresh)


def sft_examples(config: Config) -> list[Example]:
    """The fine-tuning set of a configuration; its corpus is read only where no set is given."""
    if config.sft_data:
        return read_examples(config.sft_data)
    corpus = load(config)
    examples = build_sft(
        corpus.sft, config.pivots, config.languages[: config.n_languages or None], retention_p=config.retention_p,
        pmp_fraction=config.pmp_fraction, auxiliaries=corpus.auxiliaries, seed=config.seed,
        fresh=None if config.reverse_source == "multiway" else corpus.fresh,
    )  # fmt: skip
    return shuffled(examples, config.seed) if config.reverse_source == "shuffled" else examples


def build_sft(
    items: Sequence[Item], pivots: Sequence[str] = PIVOTS, languages: Sequence[str] | None = None, *,
    retention_p: float = 0.05, pmp_fraction: float = 0.5, auxiliaries: Mapping[str, str] = AUXILIARY,
    fresh: Sequence[Example] | None = None, seed: int = 0,
) -> list[Example]:  # fmt: skip
    """The fine-tuning set of equations (1) and (2) from a multi-way corpus, item by item.

    Args:
        items: `{code: text}` with an optional `key`, else the number; a missing or empty text is skipped.
        pivots: Languages on one side of every pair; the first one is also the auxiliary of the others.
        languages: The other side; None takes every other language of the items.
        retention_p: Probability with which a reverse (X -> pivot) example is kept.
        pmp_fraction: Probability with which an example that has an auxiliary sentence shows it.
        auxiliaries: `{language: auxiliary language}` for pairs with the first pivot.
        fresh: Pairs that replace the reverse ones of their direction, each used once (the control of Figure 3).
        seed: Of all draws.

    Raises:
        UserError: A pivot or language that the corpus lacks, an empty corpus, too few fresh pairs.
    """
    items = [{**item, "key": str(item.get("key", number))} for number, item in enumerate(items)]
    if not items:
        raise UserError("The multi-way corpus is empty: give at least one item such as {'en': ..., 'de': ...}.")
    known = {code for item in items for code in corpora.codes(item) if item[code]}
    chosen = [*languages] if languages is not None else sorted(known - set(pivots))
    if absent := [code for code in (*pivots, *chosen) if code not in known]:
        raise UserError(f"The corpus has no text in {absent[0]!r}: it has {', '.join(sorted(known))}.")
    unused: dict[str, list[Example]] = defaultdict(list)
    for pair in fresh or ():
        unused[pair.direction].append(pair)
    examples: list[Example] = []
    for item, source, target in method.downsample(items, chosen, pivots, retention_p, seed):
        example = method.render(item, source, target, pivots, auxiliaries, pmp_fraction, seed)
        if fresh is not None and target in pivots and source not in pivots:
            if not unused[example.direction]:
                raise UserError(
                    f"The disjoint control has too few fresh pairs for {example.direction}: give one for every reverse "
                    "example, or lower retention_p."
                )
            example = unused[example.direction].pop()
            if method.coin(seed, "format", example.item, source, target) >= pmp_fraction:
                example = replace(example, auxiliary=None, auxiliary_text=None)
        examples.append(example)
    return examples


def shuffled(examples: Sequence[Example], seed: int) -> list[Example]:
    """Every target moved to another source, of any language, in a circle: a plain shuffle would leave some in place."""
    order = random.Random(seed).sample(examples, len(examples))
    order.sort(key=lambda example: example.target)
    others = following(order, lambda example: example.target)
    return [replace(e, target_text=other.target_text) for e, other in zip(order, others, strict=True)]


def test_examples(config: Config, corpus: Corpus) -> list[Example]:
    """Every test item in every direction that it has, with its reference auxiliary sentence where there is one."""
    pairs = method.downsample(corpus.test, config.languages, config.pivots, p=1.0)
    return [method.render(*pair, config.pivots, corpus.auxiliaries, 1.0, 0) for pair in pairs]


def few_shots(config: Config, corpus: Corpus) -> dict[str, list[Example]]:
    """The first items of the fine-tuning set, solved, for every direction."""
    found: dict[str, list[Example]] = defaultdict(list)
    for item, source, target in method.downsample(corpus.sft, config.languages, config.pivots, p=1.0):
        found[f"{source}-{target}"].append(Example(item["key"], source, target, item[source], item[target]))
    return {direction: examples[: config.base_shots] for direction, examples in found.items()}


def write_sft(folder: Path, examples: Sequence[Example], **settings: Any) -> None:
    """Write `sft.jsonl` (chat JSON lines) and `manifest.json`: the settings, and how often targets repeat."""
    turns = ((example, dialogue(example.prompt(), example.target_text)) for example in examples)
    write_rows(folder / "sft.jsonl", ({"messages": messages, **asdict(example)} for example, messages in turns))
    repetition = {code: found._asdict() for code, found in method.target_repetition(examples).items()}
    write_json(folder / "manifest.json", {**settings, "examples": len(examples), "target_repetition": repetition})


def read_examples(source: str | Path) -> list[Example]:
    """Examples of a folder that :func:`write_sft` wrote, or of JSON lines or a hub data set of pairs, in one of the
    shapes of :func:`core.tasks.translation.adapt_segment`."""
    rows = corpora.read_rows(Path(source) / "sft.jsonl" if is_folder(source) else source)
    return list(corpora.adapted(source, rows, lambda row, number: adapt_segment(row, number - 1, Example)))
