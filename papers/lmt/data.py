"""What LMT is fed: the fine-tuning set of a multi-way corpus with its options, and the files around it.

* tiny: numbers, see `miniature.py`;
* paper: FLORES-200 dev for training, devtest for testing, or a released set of pairs;
* your own: a `.tsv`, `.jsonl` or folder with one column or file per language.

A fine-tuning set is written as chat JSON lines, which any trainer loads, with what else is known of each example:

    {"messages": [{"role": "user", "content": "Translate the following ..."}, {"role": "assistant", "content": "..."}],
     "item": "17", "source": "de", "target": "en", "source_text": "...", "target_text": "...", "auxiliary": null, ...}
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from core import corpora
from core.errors import UserError
from core.files import is_folder, write_json, write_rows
from papers.lmt import method
from papers.lmt.config import Config
from papers.lmt.languages import AUXILIARY, PIVOTS
from papers.lmt.method import Item
from papers.lmt.prompts import Example, Style


@dataclass(frozen=True)
class Corpus:
    """A configuration's multi-way corpus: items to tune on, and to measure on (of its split).

    `languages` are those beside the pivots, `auxiliaries` says which helps which, `fresh` are the pairs that replace
    the reverse ones of the controls, whose targets do not repeat.
    """

    languages: tuple[str, ...]
    auxiliaries: Mapping[str, str]
    sft: Sequence[Item]
    test: Sequence[Item]
    fresh: Sequence[Example] = ()


def load(config: Config) -> Corpus:
    """The corpus of a configuration.

    Raises:
        UserError: A corpus, language or part that does not exist.
    """
    if config.corpus == "numbers":
        from papers.lmt import miniature

        return miniature.corpus(config)
    codes, flores = [*config.pivots, *config.languages], config.corpus == "flores200"
    if config.split != "test" or not (config.test_corpus or flores):
        raise UserError(
            f"{config.corpus} has no {config.split} part: give split=test, and a held-out file of the same languages "
            "as test_corpus."
        )
    sft = keyed(corpora.load(config.corpus, languages=codes, **({"split": "dev"} if flores else {})))
    held_out = {} if config.test_corpus else {"split": "devtest"}
    test = keyed(corpora.load(config.test_corpus or config.corpus, languages=codes, **held_out))
    fresh = read_examples(config.fresh_pairs) if config.fresh_pairs else ()
    return Corpus(config.languages, AUXILIARY, sft, test[: config.test_items], fresh)


def keyed(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows with a `key`, which the draws depend on; the row's number where they have none."""
    return [{**row, "key": str(row.get("key", number))} for number, row in enumerate(rows)]


def sft_examples(config: Config, corpus: Corpus) -> list[Example]:
    """The fine-tuning set of a configuration."""
    if config.sft_data:
        return read_examples(config.sft_data)
    fresh = None if config.reverse_source == "multiway" else corpus.fresh
    shares: dict[str, float] = {"retention_p": config.retention_p, "pmp_fraction": config.pmp_fraction}
    codes, table = corpus.languages[: config.n_languages or None], corpus.auxiliaries
    examples = build_sft(corpus.sft, config.pivots, codes, **shares, auxiliaries=table, fresh=fresh, seed=config.seed)
    return shuffled(examples, config.seed) if config.shuffled else examples


def build_sft(
    items: Sequence[Item],
    pivots: Sequence[str] = PIVOTS,
    languages: Sequence[str] | None = None,
    *,
    retention_p: float = 0.05,
    pmp_fraction: float = 0.5,
    auxiliaries: Mapping[str, str] = AUXILIARY,
    fresh: Sequence[Example] | None = None,
    seed: int = 0,
) -> list[Example]:
    """The fine-tuning set of equations (1) and (2) from a multi-way corpus, with all options; item by item.

    Args:
        items: `{code: text}` with an optional `key`; a missing or empty text is skipped.
        pivots: Languages on one side of every pair; the first one is also the auxiliary of the others.
        languages: The other side; None takes every other language of the items.
        retention_p: Probability with which a reverse (X -> pivot) example is kept.
        pmp_fraction: Probability with which an example that has an auxiliary sentence shows it.
        auxiliaries: `{language: auxiliary language}` for pairs with the first pivot.
        fresh: Pairs that replace the reverse ones of their direction, each used once (the control of Figure 3).
        seed: Of all draws, which depend on seed, key and direction alone: sets of growing `retention_p` are nested.

    Raises:
        UserError: A pivot or language that the corpus lacks, an empty corpus, too few fresh pairs.
    """
    items = keyed(items)
    if not items:
        raise UserError("The multi-way corpus is empty: give at least one item such as {'en': ..., 'de': ...}.")
    known = {code for item in items for code, text in item.items() if code not in ("key", "value") and text}
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
    """Every target moved to another source, of any language: nothing is left to read.

    In a circle, since a plain shuffle leaves one pair a direction as it was, of three.
    """
    order = random.Random(seed).sample(examples, len(examples))
    moved = []
    for target in sorted({example.target for example in order}):
        part = [example for example in order if example.target == target]
        moved += [replace(e, target_text=other.target_text) for e, other in zip(part, part[1:] + part[:1], strict=True)]
    return moved


def test_examples(config: Config, corpus: Corpus) -> list[Example]:
    """Every test item in every direction that it has, with its reference auxiliary sentence where there is one."""
    pairs = method.downsample(corpus.test, corpus.languages, config.pivots, p=1.0)
    return [method.render(*pair, config.pivots, corpus.auxiliaries, 1.0, 0) for pair in pairs]


def few_shots(config: Config, corpus: Corpus) -> dict[str, list[Example]]:
    """The first items of the fine-tuning set, solved, for every direction."""
    found: dict[str, list[Example]] = defaultdict(list)
    for pair in method.downsample(corpus.sft, corpus.languages, config.pivots, p=1.0):
        example = method.render(*pair, config.pivots, {}, 0.0, 0)
        found[example.direction].append(example)
    return {direction: examples[: config.base_shots] for direction, examples in found.items()}


# --- files ----------------------------------------------------------------------------------------------------------


def write_sft(
    folder: Path, examples: Sequence[Example], pivots: Sequence[str], style: Style = "release", **settings: Any
) -> dict[str, Any]:
    """Write `sft.jsonl` (chat JSON lines) and `manifest.json`: the settings and what :func:`manifest` counts."""

    def row(example: Example) -> dict[str, Any]:
        turns = (("user", example.prompt(style)), ("assistant", example.target_text))
        return {"messages": [{"role": role, "content": text} for role, text in turns], **asdict(example)}

    write_rows(folder / "sft.jsonl", map(row, examples))
    facts = {"prompt_style": style, **settings, **manifest(examples, pivots)}
    write_json(folder / "manifest.json", facts)
    return facts


def manifest(examples: Sequence[Example], pivots: Sequence[str]) -> dict[str, Any]:
    """What a fine-tuning set holds: counts per direction, parallel prompts, realised retention, repetition of targets.

    Retention is the number of X -> pivot examples over that of pivot -> X.
    """
    forward = sum(example.source in pivots and example.target not in pivots for example in examples)
    reverse = sum(example.target in pivots and example.source not in pivots for example in examples)
    parallel = Counter(example.direction for example in examples if example.auxiliary)
    return {
        "examples": len(examples),
        "forward": forward,
        "reverse": reverse,
        "retention": reverse / forward if forward else None,
        "parallel_prompts": parallel.total(),
        "directions": {
            name: {"examples": count, "parallel_prompts": parallel[name]}
            for name, count in sorted(Counter(example.direction for example in examples).items())
        },
        "target_repetition": {name: asdict(found) for name, found in method.target_repetition(examples).items()},
    }


def read_examples(source: str | Path) -> list[Example]:
    """Examples of a folder that :func:`write_sft` wrote, of JSON lines, or of a hub data set of pairs.

    Raises:
        UserError: Rows in none of the shapes of :func:`adapt_row`.
    """
    rows = corpora.read_rows(Path(source) / "sft.jsonl" if is_folder(source) else source)
    return list(corpora.adapted(source, rows, lambda row, number: adapt_row(row, number - 1)))


def adapt_row(row: Mapping[str, Any], number: int = 0) -> Example:
    """One row of a set of pairs -> an example.

    Accepts our own columns (`source`, `target`, `source_text`, `target_text`, ...), the same under the names
    `src_lang`, `tgt_lang`, `src_text`, `tgt_text`, and `{"translation": {"de": ..., "en": ...}}`, source first.

    Raises:
        UserError: For any other shape, with the columns that are there.
    """
    if isinstance(pair := row.get("translation"), Mapping) and len(pair) == 2:
        (source, source_text), (target, target_text) = pair.items()
        return Example(str(row.get("id", number)), source, target, source_text, target_text)
    renamed = {"src_lang": "source", "tgt_lang": "target", "src_text": "source_text", "tgt_text": "target_text"}
    values = {renamed.get(name, name): value for name, value in row.items()}
    if missing := [name for name in renamed.values() if not isinstance(values.get(name), str)]:
        raise UserError(
            f"Row {number} has no text in {missing[0]!r}; it has {', '.join(row)}. Give source, target, source_text "
            "and target_text, or a translation column with two languages."
        )
    kept = {field.name: values[field.name] for field in fields(Example) if field.name in values}
    return Example(**{**kept, "item": str(values.get("item", number))})
