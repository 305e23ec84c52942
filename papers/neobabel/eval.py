"""Measure a trained model in every language: m-GenEval, cross-lingual consistency, code-switching.

    python -m papers.neobabel.eval tiny --variant native

Scores go to measurement.json and scores.tsv. As a library:

    painter = load_painter("runs/mine")
    images = painter(["un cœur rouge", "a blue circle"], "fr")      # what benchmark.evaluate takes as generate_fn
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from core.errors import UserError
from core.experiment.entrypoint import entrypoint
from core.experiment.run import Measurement, Run, is_main_process
from core.files import load_json, read_json, write_json, write_text
from papers.neobabel.config import Config, Decoding

if TYPE_CHECKING:
    from torch import Tensor

    from papers.neobabel.miniature import Item
    from papers.neobabel.model import Prompt

# The official evaluation resets its generator to this seed for every image.
NOISE_SEED = 123456
Units = dict[str, dict[str, float]]


def load_painter(
    folder: str | Path, config: Config | None = None, text: Callable[[str], Prompt] | None = None
) -> Callable[..., Tensor]:
    """A run directory of `train` as a function (prompts, language, seeds) -> images [n, height, width, 3] in [-1, 1].

    The language makes no difference. Equal seeds start from equal noise; by default it is that of the prompt's place.

    Raises:
        UserError: Nothing was trained there, or there is no image tokenizer.
    """
    import torch

    from core.models import loading
    from papers.neobabel import data, method, model

    artifact = Path(folder) / "artifact"
    trained = model.load(artifact, loading.default_device())
    if config is None:
        stored = load_json(Path(folder) / "config.json", dict)
        kept = {name: stored[name] for name in ("frozen_encoder", "backbone", "image_tokenizer")}
        config = Config(**kept, decoding=Decoding(**stored["decoding"]))
    if not config.image_tokenizer:
        raise UserError("There is no image tokenizer to decode with: set image_tokenizer.")
    tokenizer, decoding = data.image_tokenizer(config.image_tokenizer), config.decoding
    if text is None and config.frozen_encoder:
        text = data.FrozenText(config.backbone, artifact / "text")
    read = text or data.TokenText(loading.load_tokenizer(artifact))

    def painter(prompts: Sequence[str], language: str = "", seeds: Sequence[int] = ()) -> Tensor:
        asked = [*map(read, prompts)]
        codes = method.generate(trained, asked, read(""), decoding, seeds or range(len(prompts))).cpu()
        return torch.cat([tokenizer.decode(part) for part in codes.split(decoding.batch_size)])

    return painter


def evaluate(config: Config, run: Run) -> Measurement:
    """Scores of the miniature's held-out pairs and trained prompts, or of a benchmark in files."""
    from core.distributed import seed_everything
    from papers.neobabel import benchmark, data, miniature

    seed_everything(config.seed)
    painter = load_painter(run.path, config, data.text_of(config, run))
    reference, *foreign = config.languages
    items: Sequence[Item] = () if config.benchmark else miniature.items(config.split, config.seed, config.limit)
    asked: dict[str, Any] = {
        "prompts": {c: [item.prompt(c) for item in items] for c in config.languages},
        "metadata": [item.metadata() for item in items],
        "mixed": {
            "EF": {c: [item.mixed(reference, c) if item.cls else None for item in items] for c in foreign},
            "ES": {c: [item.mixed(c, reference) if item.cls else None for item in items] for c in foreign},
        },
    }
    if config.benchmark:
        prompts, metadata = benchmark.read_benchmark(config.benchmark, config.languages)
        asked = {"prompts": prompts, "metadata": metadata}
    generate_fn = drawing(config, painter, items)
    result = benchmark.evaluate(generate_fn, **asked, **eyes(config), reference=reference)
    if is_main_process():
        write_text(run.path / "scores.tsv", table := benchmark.score_table(result))
        print("" if run.quiet else table, end="")
    # Consistency is that of held-out pairs; of a benchmark in files, of all prompts by their number.
    columns = [index for index, item in enumerate(items) if item.cls] or list(range(len(asked["metadata"])))
    keys = [items[index].key if items else str(index) for index in columns]
    units: Units = {"geneval": {code: scores["overall"] for code, scores in result["geneval"].items()}}
    units |= {f"clc_{name}": _paths(rows[:, columns], foreign, keys) for name, rows in result["clc"].items()}
    for order, by_map in result["css"].items():
        units |= {f"css_{order.lower()}_{name}": _paths(rows, foreign, keys) for name, rows in by_map.items()}
    if not items or not foreign:
        return Measurement({name: fmean(found.values()) for name, found in units.items()}, units)
    units |= accuracies(result, items, config.languages)
    metrics = {name: fmean(found.values()) for name, found in units.items()}
    # GenEval's means are over tasks, whatever their numbers of prompts.
    metrics["geneval_en"] = units["geneval"][reference]
    metrics["geneval_foreign"] = fmean(units["geneval"][code] for code in foreign)
    details: dict[str, Any] = {"samples": samples(generate_fn, items, config.languages)}
    if config.frozen_encoder:
        details["base_retrieval"] = base_retrieval(config, run, items)
        metrics["base_retrieval"] = fmean(details["base_retrieval"].values())
    return Measurement(metrics | trivial(items, config), units, details)


def eyes(config: Config) -> dict[str, Any]:
    """Detector and feature maps: the miniature's exact ones; for a benchmark in files GenEval's, CLIP and DINOv2."""
    from core.models import vision
    from papers.neobabel import miniature

    if not config.benchmark:
        return {"detector": miniature.detect, "feature_maps": miniature.FEATURES}
    maps = {"clip": vision.image_embedder(vision.CLIP), "dinov2": vision.image_embedder("facebook/dinov2-base")}
    return {"detector": vision.ObjectDetector(), "feature_maps": maps}


def drawing(config: Config, painter: Callable[..., Tensor], items: Sequence[Item]) -> Callable[..., Tensor]:
    """`generate_fn(prompts, language)` of an arm, with its translator and its noise."""
    from core.plugins import own
    from papers.neobabel import miniature

    reference, *foreign = config.languages
    translate: Any = None
    if config.translator == "world":
        if not items:
            raise UserError("translator = 'world' knows the miniature's prompts alone: give your own for a benchmark.")
        known = miniature.translations(items, foreign, config.seed)
        translate = lambda text, language: known[language, text]  # noqa: E731
    elif config.translator:
        translate = own(config.translator, "translator")

    def generate_fn(texts: Sequence[str], language: str) -> Tensor:
        before, seeds = Counter[str](), []
        for text in texts:
            # A prompt that is asked again gets other noise.
            name = f"{config.seed}/{language}/{text}/{before[text]}".encode()
            seeds.append(int.from_bytes(hashlib.blake2b(name, digest_size=6).digest(), "big"))
            before[text] += 1
        if config.noise == "shared":
            seeds = [NOISE_SEED] * len(texts)
        if translate and language != reference:
            texts = [translate(text, language) for text in texts]
        return painter(texts, language, seeds)

    return generate_fn


# --- the miniature's units and solvers ----------------------------------------------------------------------------


def _paths(rows: Tensor, languages: Sequence[str], keys: Sequence[str]) -> dict[str, float]:
    values = zip(languages, rows.tolist(), strict=True)
    return {f"{code}/{key}": value for code, row in values for key, value in zip(keys, row, strict=True)}


def accuracies(result: Mapping[str, Any], items: Sequence[Item], languages: Sequence[str]) -> Units:
    """GenEval's decisions: `pairs`, `colors`, ... in English by prompt and abroad by `language/prompt`; and by task.

    Of pairs also whether exactly they are shown (`exact`), and whether they are with their colours exchanged.
    """
    from papers.neobabel.miniature import verdict

    units: Units = defaultdict(dict)
    for code in languages:
        place, before = ("en", "") if code == languages[0] else ("foreign", f"{code}/")
        for item, image, right in zip(items, result["images"][code], result["geneval"][code]["correct"], strict=True):
            name, path, task = "pairs" if item.cls else item.task, f"{before}{item.key}", f"{item.task}/{item.key}"
            units[f"{name}_{place}"][path] = float(right)
            units[f"geneval_{place}"][task] = units[f"geneval_{place}"].get(task, 0.0) + right
            if item.cls:
                units[f"exchanged_{place}"][path] = float(verdict(image, item.exchanged()) != "wrong")
                units[f"exact_{place}"][path] = float(verdict(image, item) == "exact")
    units["geneval_foreign"] = {path: value / (len(languages) - 1) for path, value in units["geneval_foreign"].items()}
    return dict(units)


def trivial(items: Sequence[Item], config: Config) -> dict[str, float]:
    """What pictures reach that know no prompt: nine random objects, which GenEval lets pass, and a training picture.

    Of the former also how like each other two of them are (CLC over objects).
    """
    import numpy as np
    import torch

    from core.tasks.geneval import score_images
    from papers.neobabel import benchmark, miniature

    asked = [item for item in items for _ in range(3)]
    crowd = np.random.default_rng(config.seed).choice(list(miniature.KINDS), (len(asked), miniature.TOKENS))
    drawn = {"crowd": crowd, "copy": [row["codes"] for row in miniature.training_rows(config.seed, len(asked))]}
    found: dict[str, float] = {}
    for name, codes in drawn.items():
        images = miniature.decode(torch.as_tensor(np.array(codes)))
        scores = score_images(images, [item.metadata() for item in asked], miniature.detect)
        found |= {f"trivial_{name}": scores["tasks"]["color_attr"], f"trivial_{name}_geneval": scores["overall"]}
    counts = miniature.object_counts(miniature.decode(torch.as_tensor(crowd)))
    return found | {"trivial_crowd_clc": float(benchmark.consistency({"": counts}, counts.roll(1, 0)).mean())}


def base_retrieval(config: Config, run: Run, items: Sequence[Item]) -> dict[str, float]:
    """Whether the encoder knows a language: share of the prompts for one coloured shape whose nearest English one is
    the translation, with the pooling of the encoder's authors. The prompts are those of every seed and arm.
    """
    from core.tasks.retrieval import Pairs, retrieve
    from papers.neobabel.data import load_once

    reference, *foreign = config.languages
    said = {code: [item.prompt(code) for item in items if item.task == "colors"] for code in config.languages}

    def build(folder: Path) -> None:
        found = retrieve(load_once(config.backbone), {code: Pairs(said[code], said[reference]) for code in foreign})
        write_json(folder / "found.json", {code: each.accuracy() for code, each in found.items()})

    return read_json(run.stage("retrieval", {"backbone": config.backbone, "prompts": said}, build) / "found.json")


def samples(
    generate_fn: Callable[..., Tensor], items: Sequence[Item], languages: Sequence[str]
) -> list[dict[str, Any]]:
    """What the figure shows: the first held-out pair in every language and in two at once, drawn three times."""
    from papers.neobabel.miniature import encode, verdict

    item = next(item for item in items if item.cls)
    reference, *foreign = languages
    found = []
    for first, second in [*zip(languages, languages, strict=True), (reference, foreign[0]), (foreign[-1], reference)]:
        prompt = item.mixed(first, second)
        images = generate_fn([prompt] * 3, second if first == reference else first)
        shown = [{"codes": encode(image[None])[0].tolist(), "verdict": verdict(image, item)} for image in images]
        found.append({"languages": list(dict.fromkeys((first, second))), "prompt": prompt, "drawn": shown})
    return found


if __name__ == "__main__":
    entrypoint(evaluate)
