"""What LMT is fed, at each scale, and the files it writes.

* tiny: numbers below ten thousand spelled out in thirteen languages (Unicode's rules, package unicode-rbnf);
* paper: FLORES-200 dev for training, devtest for testing, or a released set of pairs;
* your own: a `.tsv`, `.jsonl` or folder with one column or file per language.

A fine-tuning set is written as chat JSON lines, which any trainer loads, with what else is known of each example:

    {"messages": [{"role": "user", "content": "Translate the following ..."}, {"role": "assistant", "content": "..."}],
     "item": "17", "source": "de", "target": "en", "source_text": "...", "target_text": "...", "auxiliary": null, ...}
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from core import corpora
from core.errors import UserError
from core.experiment.config import name_values
from core.experiment.run import Run
from core.files import is_folder, read_json, write_json, write_rows
from core.models.tokenization import completion_row
from papers.lmt.config import Config
from papers.lmt.inference import model_input
from papers.lmt.languages import AUXILIARY
from papers.lmt.method import Example, Style, build_sft, pivot_pairs, target_repetition

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase

Item = dict[str, Any]


@dataclass(frozen=True)
class Multiway:
    """A multi-way corpus in the parts that must not meet.

    Attributes:
        sft: Items of the fine-tuning set.
        fresh: Items that the disjoint control draws its reverse pairs from.
        dev: Items on which settings are chosen (numbers only).
        test: Items that claims are judged on.
        base: Items of the miniature's base training.
    """

    sft: list[Item]
    fresh: list[Item]
    dev: list[Item]
    test: list[Item]
    base: list[Item]


def multiway(config: Config, run: Run) -> Multiway:
    """The corpus of a configuration.

    Raises:
        UserError: A corpus or language that does not exist, or fewer numbers than the parts need.
    """
    codes = [*config.pivots, *config.languages]
    if config.corpus == "numbers":
        return _numbers(config, run)
    if config.corpus == "flores200":
        sft = _items("flores200", codes, split="dev")
        test = _items(config.test_corpus, codes) if config.test_corpus else _items("flores200", codes, split="devtest")
        fresh = _items(config.fresh_corpus, codes) if config.fresh_corpus else []
        return Multiway(sft, fresh, [], test, [])
    sft = _items(config.corpus, codes)
    if config.test_corpus is None:
        raise UserError(f"{config.corpus} has no test part: name a held-out file of the same languages as test_corpus.")
    test = _items(config.test_corpus, codes)
    fresh = _items(config.fresh_corpus, codes) if config.fresh_corpus else []
    return Multiway(sft, fresh, [], test, [])


def _items(name: str, codes: Sequence[str], **arguments: Any) -> list[Item]:
    return [dict(row) for row in corpora.load(name, languages=codes, **arguments)]


def _numbers(config: Config, run: Run) -> Multiway:
    """Spelled-out numbers; which are for what depends on the seed, the spelling is computed once for all."""
    codes = [code for code in (*config.pivots, *config.languages) if code != "en"]
    values = sorted(Random(0).sample(range(10_000), config.numbers))

    def build(folder: Path) -> None:
        table = corpora.load("numbers", languages=codes, values=values)
        write_json(folder / "numbers.json", [dict(row) for row in table])

    path = run.stage("numbers", {"languages": codes, "values": values}, build) / "numbers.json"
    items: list[Item] = read_json(path)
    Random(config.seed).shuffle(items)
    fresh = config.sft_items * len(config.languages)  # one for every reverse example of the disjoint control
    parts = []
    for size in (config.sft_items, config.numbers * 6 // 100, config.numbers * 4 // 100, fresh):
        parts.append(items[:size])
        items = items[size:]
    if len(items) < 20:
        raise UserError(f"sft_items = {config.sft_items} leaves no numbers for the base model: give fewer.")
    return Multiway(sft=parts[0], test=parts[1], dev=parts[2], fresh=parts[3], base=items)


def auxiliaries(config: Config) -> dict[str, str]:
    """`{language: auxiliary}` of a configuration: its own, or Table 12."""
    return dict(name_values("auxiliaries", config.auxiliaries, "es=pt", str)) or AUXILIARY


def sft_examples(config: Config, corpus: Multiway) -> list[Example]:
    """The fine-tuning set of a configuration."""
    if config.sft_data:
        return read_examples(config.sft_data)
    return build_sft(
        corpus.sft,
        config.pivots,
        config.chosen,
        retention_p=config.retention_p,
        pmp_fraction=config.pmp_fraction,
        auxiliaries=auxiliaries(config),
        reverse_source=config.reverse_source,
        fresh_items=corpus.fresh,
        pairs=read_examples(config.pairs) if config.pairs else (),
        sd_scope=config.sd_scope,
        seed=config.seed,
    )


def base_examples(config: Config, items: Sequence[Item], count: int) -> list[Example]:
    """Pairs of the miniature's base training: mostly X -> pivot, so that the base reads well and writes poorly.

    Some involve an auxiliary language, as the target or beside the source.
    """
    random, table = Random(config.seed), auxiliaries(config)
    examples = []
    for _ in range(count):
        item, code, pivot = random.choice(items), random.choice(config.languages), random.choice(config.pivots)
        forward = random.random() < config.scratch.forward_share
        source, target = (pivot, code) if forward else (code, pivot)
        near, drafted = table.get(code), random.random() < 0.5
        text = None
        if near in item and random.random() < config.scratch.related_share:
            source, target = (code, near) if drafted else (source, target)
            text = None if drafted else item[near]
        shown = near if text else None
        examples.append(Example(item["key"], source, target, item[source], item[target], shown, text))
    return examples


def few_shots(config: Config, items: Sequence[Item]) -> dict[tuple[str, str], list[Example]]:
    """The first items with both languages, solved, for every direction."""
    found: dict[tuple[str, str], list[Example]] = {}
    for pivot, code in pivot_pairs(config.languages, config.pivots):
        chosen = [item for item in items if item.get(pivot) and item.get(code)][: config.base_shots]
        for source, target in ((pivot, code), (code, pivot)):
            found[source, target] = [Example("", source, target, item[source], item[target]) for item in chosen]
    return found


# ---------------------------------------------------------------------------------------------- rows to train on


def pretraining_rows(config: Config, tokenizer: PreTrainedTokenizerBase, folder: Path) -> Dataset:
    """Token rows of continued pre-training, with the loss on everything; written to `folder`, not held in memory.

    The three streams are mixed by their tokens; pairs of very unequal length are left out.
    """
    import datasets

    from papers.lmt.stages import cpt_mixture, keep_pair

    @lru_cache(maxsize=1)
    def encoded(text: str) -> list[int]:
        return list(tokenizer.encode(text, add_special_tokens=False))

    def rows() -> Iterator[dict[str, list[int]]]:
        documents = (str(row["text"]) for row in corpora.read_rows(str(config.cpt.monolingual), streaming=True))
        pairs = [filter(keep_pair, read_examples(source)) for source in config.cpt.pairs]
        for text in cpt_mixture(documents, *pairs, length=lambda text: len(encoded(text)), seed=config.seed):
            tokens = [*encoded(text), int(tokenizer.eos_token_id)]
            yield {"input_ids": tokens, "labels": tokens}

    return datasets.Dataset.from_generator(rows, cache_dir=str(folder))


def training_rows(
    tokenizer: PreTrainedTokenizerBase, examples: Iterable[Example], style: Style
) -> list[dict[str, list[int]]]:
    """Token rows with the loss on the target sentence (and what ends the turn) alone."""
    if style == "tags":
        return [
            completion_row(tokenizer, model_input(tokenizer, example.prompt(style), style), example.target_text)
            for example in examples
        ]
    ending = turn_end(tokenizer)
    rows = []
    for example in examples:
        # The prompt is rendered as in inference. Templates of thinking models put an empty thought before an answer
        # that they render themselves; the released checkpoints are not asked for one.
        prompt = model_input(tokenizer, example.prompt(style), style)
        rows.append(completion_row(tokenizer, prompt, example.target_text + ending, eos=False))
    return rows


def turn_end(tokenizer: PreTrainedTokenizerBase) -> str:
    """What the chat template writes after an answer, up to the token that ends the turn (`<|im_end|>`)."""
    model_input(tokenizer, "")  # refuses one without a template
    probe = "7f3a"
    turns = [{"role": "user", "content": "x"}, {"role": "assistant", "content": probe}]
    text = str(tokenizer.apply_chat_template(turns, tokenize=False))
    ending = text.rsplit(probe, 1)[1].strip()
    return ending or str(tokenizer.eos_token)


# ------------------------------------------------------------------------------------------------ files


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
    counts = Counter(f"{example.source}-{example.target}" for example in examples)
    parallel = Counter(f"{example.source}-{example.target}" for example in examples if example.auxiliary)
    repetition = target_repetition(examples)
    forward = sum(example.source in pivots and example.target not in pivots for example in examples)
    reverse = sum(example.target in pivots and example.source not in pivots for example in examples)
    return {
        "examples": len(examples),
        "forward": forward,
        "reverse": reverse,
        "between_pivots": len(examples) - forward - reverse,
        "retention": reverse / forward if forward else None,
        "parallel_prompts": sum(parallel.values()),
        "directions": {name: {"examples": counts[name], "parallel_prompts": parallel[name]} for name in sorted(counts)},
        "target_repetition": {name: asdict(found) for name, found in repetition.items()},
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
    known = {field.name for field in fields(Example)}
    kept = {name: value for name, value in values.items() if name in known}
    return Example(**{**kept, "item": str(values.get("item", number))})
