"""BiMediX on your own: adapt a mixture of experts, translate instructions, ask in two languages, look at the routing.

    python -m papers.bimedix.use adapt rows.jsonl --model my-moe --language ar
    python -m papers.bimedix.use translate en.jsonl --language ar --model my-chat-model
    python -m papers.bimedix.use ask en.jsonl ar.jsonl --language ar --model my-moe --adapter bimedix/artifact/adapter
    python -m papers.bimedix.use routing en=en.jsonl ar=ar.jsonl law=law.txt --model my-moe

As a library: :func:`papers.bimedix.attach_adapters`, :func:`papers.bimedix.translate_samples`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from statistics import fmean
from typing import Annotated, Any, Literal

from tyro.conf import Positional

from core.corpora import adapted, manifest, read_rows
from core.errors import UserError
from core.experiment.config import Range, Seed, name_values
from core.experiment.entrypoint import Verbs, execute, tools
from core.experiment.run import Run, temporary
from core.experiment.trying import Try
from core.files import write_json, write_rows, write_table
from core.inference.chat import Chat
from core.plugins import own_text_function
from core.tasks.samples import Sample, lesson
from core.text import languages
from papers.bimedix import train
from papers.bimedix.config import PRESETS, Config, Rounding
from papers.bimedix.data import PromptedModel, read_samples, translate_samples
from papers.bimedix.eval import bilingual, items_by_language, right, token_ids

Scores = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class Adapt:
    """Tune adapters on instructions of two languages, and say what they changed in each."""

    instructions: Positional[str]
    """Instructions in English and the second language, or in English alone; a file or a hub dataset."""
    model: str
    """A mixture of experts: hub id, folder or wheel."""
    language: str
    """Code of the second language."""
    second: str = ""
    """Instructions in the second language; empty: those among the others, by `lang` or by script."""
    ratio: tuple[Annotated[float, Range(0)], Annotated[float, Range(0)]] = (2.0, 1.0)
    """English to second, in rows; the scarcer one is repeated."""
    test_english: str = ""
    """Multiple-choice questions, to be asked before and after."""
    test_second: str = ""
    """Their translations, with the same ids."""
    scale: Literal["tiny", "paper"] = "tiny"
    """Whose rank, rounding and training: of a small model in 32 bit, or of one of billions in 4."""
    steps: Annotated[int, Range(0)] = 0
    """Optimiser steps; 0: those of the scale."""
    seed: Seed = 0
    """Of adapters and order."""
    out: Path = Path("bimedix")
    """A new folder; the adapter becomes artifact/adapter. The same command goes on where it was stopped."""


@dataclass(frozen=True)
class Translate:
    """Translate instructions; what is graded too low, and a share of the rest, is put apart for a speaker."""

    instructions: Positional[str]
    """A file or a hub dataset."""
    language: str
    """To translate into: its English name, or a code."""
    source: str = "en"
    """Code of the language that they are in."""
    model: str = ""
    """A chat model that translates, grades and refines: hub id or folder."""
    backend: str = ""
    """Instead of it yours, file.py:function; the function returns any `str -> str` that follows a request."""
    threshold: Annotated[float, Range(0, 100)] = 80.0
    """Grade below which a translation is refined, and in the end not accepted."""
    refinements: Annotated[int, Range(0)] = 2
    """Most refinements of a text."""
    audit: Annotated[float, Range(0, 1)] = 0.05
    """Share of the accepted rows that a speaker sees all the same."""
    max_new_tokens: Annotated[int, Range(1)] = 1024
    """Longest answer of the model."""
    out: Path = Path("translated")
    """Folder for accepted.jsonl and review.jsonl."""


@dataclass(frozen=True, kw_only=True)
class _Measured:
    model: str
    """A mixture of experts: hub id, folder or wheel."""
    adapter: Path | None = None
    """What training wrote as artifact/adapter: the model is measured without it and with it."""
    quantization: Rounding = "nf4"
    """How the base is rounded; as it was tuned."""


@dataclass(frozen=True, kw_only=True)
class Ask(_Measured):
    """Ask multiple-choice questions in two languages, and say how far the languages are apart."""

    english: Positional[str]
    """Questions with options and the right one."""
    second: Positional[str]
    """Their translations, with the same ids."""
    language: str
    """Code of the second language."""
    out: Path = Path("asked")
    """Folder for accuracy.tsv."""


@dataclass(frozen=True, kw_only=True)
class Routing(_Measured):
    """Which experts the tokens of languages or domains go to, before and after tuning."""

    texts: Positional[tuple[str, ...]]
    """name=file each, at least two: plain text (.txt), or rows as for tuning. The first 200 are read."""
    out: Path = Path("routing")
    """Folder for routing.tsv and routing.json."""


def adapt(options: Adapt) -> None:
    """Train, then ask and look at the routing without and with the adapter.

    Raises:
        UserError: What a file lacks, a model without experts, or a folder with something else.
    """
    files = options.instructions, options.second or options.instructions
    tests = options.test_english, options.test_second
    config = _config(options.scale, options.model, options.language, files, tests)
    training = replace(config.training, steps=options.steps, epochs=0.0) if options.steps else config.training
    config = replace(config, ratio=options.ratio, training=training, seed=options.seed)
    run = Run(options.out, "bimedix", config, options.out / "stages")
    if reason := run.holds_another():
        raise UserError(f"{reason}: choose another folder with --out.")
    asked, samples = items_by_language(config), train.samples_of(config)  # files before models
    with run.held():
        run.open()
        if not run.finished("train"):
            execute(train.train, run, "train")
    texts = {lang: [sample["messages"] for sample in some[:200]] for lang, some in samples.items()}
    _measure(config, asked if all(asked.values()) else {}, texts, run.artifact / "adapter", options.out)
    print(f"The adapter, which peft's `PeftModel.from_pretrained(model, folder)` loads: {run.artifact / 'adapter'}.")


def ask(options: Ask) -> None:
    """Print accuracy by language, and both gaps."""
    files = options.english, options.second
    config = replace(_config("tiny", options.model, options.language, files, files), quantization=options.quantization)
    _measure(config, items_by_language(config), {}, options.adapter, options.out)


def routing(options: Routing) -> None:
    """Print how far apart the groups' experts are."""
    named = name_values("texts", options.texts, "en=en.jsonl", str)
    if len(named) < 2:
        raise UserError("Give at least two groups of texts with a name of their own: en=en.jsonl sw=sw.txt.")
    read: dict[str, list[Any]] = {}
    for group, path in named:
        plain = path.endswith(".txt")
        rows = manifest.texts(path) if plain else adapted(path, read_rows(path), lambda row, _: lesson(row, ""))
        read[group] = list(islice(((row if isinstance(row, str) else row["messages"]) for row in rows), 200))
        if not read[group]:
            raise UserError(f"{path} holds no text.")
    config = _config("tiny", options.model, "second", [path for _, path in named[:2]])
    config = replace(config, quantization=options.quantization)
    _measure(config, {}, read, options.adapter, options.out)


def _config(scale: str, model: str, language: str, files: Sequence[str], tests: Sequence[str] = ("", "")) -> Config:
    """That of training, so that a base is opened as training opens it; English files come first."""
    names = ("english", "second", "test_english", "test_second")
    sources: dict[str, Any] = {n: (path,) if path else () for n, path in zip(names, (*files, *tests), strict=True)}
    return replace(PRESETS[scale], base=model, second_language=language, speed_width=0, **sources)


def _measure(
    config: Config, tests: Mapping[str, list[Sample]], texts: Mapping[str, Any], adapter: Path | None, out: Path
) -> None:
    """Accuracy and routing of the base and, where there is an adapter, with it."""
    from core.models.mixtures import chance_distance, expert_usage, moe_blocks
    from papers.bimedix.adapters import load_adapter

    with temporary("bimedix", config) as run:
        model, tokenizer = train.load_base(config, run)
    moe_blocks(model)  # refuses what has none
    ids = {name: token_ids(tokenizer, some) for name, some in texts.items()}
    scores: dict[str, Scores] = {}
    usage: dict[str, Any] = {}
    for stage in ("base", "tuned") if adapter else ("base",):
        if stage == "tuned" and adapter:
            load_adapter(model, adapter)
        scores[stage] = {lang: right(model, tokenizer, items) for lang, items in tests.items()}
        usage[stage] = expert_usage(model, ids) | {"chance": chance_distance(model, ids)}
    out.mkdir(parents=True, exist_ok=True)
    if tests:
        _tell_accuracy(scores, out / "accuracy.tsv")
    if ids:
        write_json(out / "routing.json", usage)
        _tell_routing(usage, out / "routing.tsv")


def _tell_accuracy(scores: Mapping[str, Scores], path: Path) -> None:
    """Accuracy by language, their mean and the gap between them; what tuning changed, with 95 % over questions."""
    from core.metrics.comparison import compare

    rows: list[dict[str, Any]] = []
    for stage, by_language in scores.items():
        (first, one), (second, other) = by_language.items()
        found: dict[str, tuple[Mapping[str, float], Any]] = {
            f"{stage} {first}": (one, 0.0),
            f"{stage} {second}": (other, 0.0),
            f"{stage} {first} - {second}": (one, {0: other}),
            f"{stage} both": (bilingual(one, other), 0.0),
        }
        if stage == "tuned":
            found |= {f"tuned - base {lang}": (by_language[lang], {0: scores["base"][lang]}) for lang in by_language}
        for name, (values, control) in found.items():
            gain = compare({0: values}, control, 9).interval
            rows.append({"accuracy": name, "estimate": gain.estimate, "low": gain.low, "high": gain.high})
            print(f"{name:24s} {gain:+.3f}")
    write_table(path, rows)
    print(f"Intervals: 95 % over {len(one)} questions.")


def _tell_routing(usage: Mapping[str, Any], path: Path) -> None:
    """Distance of each two groups by layer, beside that of random halves of the same texts."""
    rows: list[dict[str, Any]] = []
    for stage, found in usage.items():
        for pair, by_layer in found["distance"].items():
            halves = found["chance"][pair]
            for layer, (distance, chance) in enumerate(zip(by_layer, halves, strict=True)):
                row = {"model": stage, "groups": pair, "layer": layer, "distance": distance}
                rows.append({**row, "of random halves": chance})
            print(f"{stage}: experts of {pair} are {fmean(by_layer):.3f} apart, random halves {fmean(halves):.3f}")
    write_table(path, rows)


def translate(options: Translate) -> None:
    """Write what is accepted and what a speaker has to look at."""
    if bool(options.model) == bool(options.backend):
        raise UserError("Name a translator: either --model or --backend file.py:function.")
    samples = read_samples(options.instructions, options.source)
    writer = PromptedModel(_writer(options), languages.name(options.source), languages.name(options.language))
    accepted, review = translate_samples(
        samples, options.language, writer.translate, writer.grade, writer.refine,
        threshold=options.threshold, refinements=options.refinements, audit=options.audit,
    )  # fmt: skip
    for rows, file in ((accepted, "accepted.jsonl"), (review, "review.jsonl")):
        write_rows(options.out / file, rows)
    low = sum(row["review"] == "score" for row in review)
    doubtful = f"{low} graded below {options.threshold:g}, {len(review) - low} to audit"
    print(f"{options.out}: {len(accepted)} accepted, {doubtful}.")
    print(f"Mean grade {fmean(row['score'] for row in [*accepted, *review]):.1f}, of the lowest text of each.")


def _writer(options: Translate) -> Callable[[str], str]:
    if options.backend:
        return own_text_function(options.backend, "backend")
    chat = Chat.load(options.model)
    return lambda text: chat.reply([[{"role": "user", "content": text}]], max_new_tokens=options.max_new_tokens)[0]


VERBS: Verbs = {
    "adapt": (Adapt, adapt), "translate": (Translate, translate), "ask": (Ask, ask), "routing": (Routing, routing),
}  # fmt: skip

TRY = Try(
    command="adapt {data} --model {model} --language {language} --out {out}",
    data="instructions in English and in your language in one file (or yours with `-- --second rows.jsonl`); with "
    "`--test-english` and `--test-second` questions that are asked before and after.",
    means="What one adapter on experts, router and attention gives each language: accuracy before and after, the gap, "
    "and whether the languages go through the same experts. The adapter loads with peft.",
    limits="Without questions nothing is said about quality. Routing that differs is no harm, and random halves differ "
    "too: look at both numbers. Whether one language helped the other needs a run on the other alone "
    "(`papers.bimedix.train --languages second`).",
    more="--test-english en.jsonl --test-second mine.jsonl",
)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command; the user's mistakes end with one sentence and exit code 2."""
    tools("papers.bimedix.use", __doc__, VERBS, arguments)


if __name__ == "__main__":
    main()
