"""Measure a trained model in every language: m-GenEval, cross-lingual consistency, code-switching; and draw samples.

    python -m papers.neobabel.eval tiny --variant native
    python -m papers.neobabel.eval tiny --draw "un cœur rouge et a blue circle" "两个心形"
    python -m papers.neobabel.eval --benchmark my_prompts --languages en sw --detector detector.py:load

Scores go to measurement.json and scores.tsv, and a contact sheet of samples by language to samples.png.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from core.experiment.entrypoint import entrypoint
from core.experiment.run import Measurement, Run, is_main_process
from core.files import read_json, write_text
from papers.neobabel.config import Config

if TYPE_CHECKING:
    import torch

    from papers.neobabel.data import FrozenText, TokenText
    from papers.neobabel.model import TextToImage
    from papers.neobabel.world import Item

# The tasks whose prompts name colours: what the claims are about.
ATTRIBUTES = ("colors", "color_attr")
# The noise that the official evaluation resets for every image.
NOISE_SEED = 123456


def evaluate(config: Config, run: Run) -> Measurement:
    """Scores of the miniature's prompts, or of a benchmark of the user's own."""
    from core.distributed import seed_everything
    from core.models.loading import default_device
    from papers.neobabel import data, model

    seed_everything(config.seed)
    text = data.text_of(config, run)
    painter = model.load(run.artifact, device=default_device(), attention=config.attention.implementation)
    if config.draw:
        return _draw_only(config, run, painter, text)
    if config.benchmark:
        return _own_benchmark(config, run, painter, text)
    from papers.neobabel import world

    items = world.chosen(config.split, config.limit)
    codes = {
        code: paint(config, painter, text, [route(config, item.prompt(code), code) for item in items])
        for code in config.languages
    }
    metrics, units, details = accuracy(config, items, codes)
    consistency_metrics(config, items, codes, painter, text, metrics, units)
    details["samples"] = samples(items, codes)
    details["training"] = read_json(run.artifact / "training.json")
    if is_main_process():
        _write(run, details)
    return Measurement(metrics, units, details)


def route(config: Config, prompt: str, language: str) -> str:
    """The prompt as the model gets it: as it is, or through the dictionary."""
    from papers.neobabel import world

    if config.prompt.route == "native" or language == "en":
        return prompt
    return world.translate(prompt, language, config.prompt.wrong_senses, config.seed)


def paint(
    config: Config,
    painter: TextToImage,
    text: FrozenText | TokenText,
    prompts: Sequence[str],
    places: Sequence[int] | None = None,
) -> torch.Tensor:
    """Codes of an image for each prompt. `places` numbers the prompts, so that a prompt has one noise everywhere."""
    from papers.neobabel.model import generate

    numbers = list(places if places is not None else range(len(prompts)))
    base = NOISE_SEED + config.seed
    return generate(
        painter,
        [text(prompt) for prompt in prompts],
        text(""),
        tokens=config.last.image_tokens,
        max_text=config.last.text_tokens,
        guidance=config.guidance,
        timesteps=config.timesteps,
        temperature=config.temperature,
        schedule=config.schedule,
        exponent=config.exponent,
        seeds=[base + 1000 * (number + 1) if config.noise == "per_prompt" else base for number in numbers],
    )


# --- scores -------------------------------------------------------------------------------------------------------

Numbers = dict[str, float]
Units = dict[str, dict[str, float]]


def accuracy(
    config: Config, items: Sequence[Item], codes: Mapping[str, torch.Tensor]
) -> tuple[Numbers, Units, dict[str, Any]]:
    """m-GenEval by language and task, and the units of the claims: items, averaged over the foreign languages."""
    from papers.neobabel import world
    from papers.neobabel.benchmark import score_images

    metadata = [item.metadata() for item in items]
    scores = {code: score_images(world.decode(drawn), metadata, world.detect) for code, drawn in codes.items()}
    reference, *foreign = config.languages
    units: Units = {"geneval": {code: s["overall"] for code, s in scores.items()}}
    for index, item in enumerate(items):
        right = {code: float(s["correct"][index]) for code, s in scores.items()}
        abroad = sum(right[code] for code in foreign) / max(1, len(foreign))
        for group in {item.task, "attributes" if item.task in ATTRIBUTES else item.task}:
            units.setdefault(f"{group}_{reference}", {})[item.key] = right[reference]
            if foreign:
                units.setdefault(f"{group}_foreign", {})[item.key] = abroad
        if item.task in ATTRIBUTES:
            for code in foreign:
                units.setdefault(f"attributes_{code}", {})[item.key] = right[code]
    metrics = {name: sum(values.values()) / len(values) for name, values in units.items()}
    metrics |= {f"geneval_{code}": s["overall"] for code, s in scores.items()}
    return metrics, units, {"tasks": {code: s["tasks"] for code, s in scores.items()}}


def consistency_metrics(
    config: Config,
    items: Sequence[Item],
    codes: Mapping[str, torch.Tensor],
    painter: TextToImage,
    text: FrozenText | TokenText,
    metrics: Numbers,
    units: Units,
) -> None:
    """CLC over the coloured prompts and CSS over those with two objects, for both feature maps; adds to both tables."""
    from papers.neobabel import world
    from papers.neobabel.method import code_switching_similarity, cross_lingual_consistency

    reference, *foreign = config.languages
    if not foreign:
        return
    maps = {"objects": world.object_counts, "pixels": world.pixels}
    coloured = [index for index, item in enumerate(items) if item.task in ATTRIBUTES]
    pairs = [index for index, item in enumerate(items) if item.task == "color_attr"]
    switched = {}
    for order in ("ef", "es"):
        for code in foreign:
            first, second = (reference, code) if order == "ef" else (code, reference)
            prompts = [route(config, items[index].mixed(first, second), code) for index in pairs]
            switched[order, code] = world.decode(paint(config, painter, text, prompts, pairs))
    for name, embed in maps.items():
        features = {code: embed(world.decode(drawn)) for code, drawn in codes.items()}
        some = {code: vectors[coloured] for code, vectors in features.items()}
        for mode in ("reference", "pairwise"):
            rows = cross_lingual_consistency(some, mode, reference)
            metrics[f"clc_{name}_{mode}"] = float(rows.mean())
            if mode == config.clc.mode:
                values = dict(zip((items[i].key for i in coloured), rows.mean(0).tolist(), strict=True))
                units[f"clc_{name}"], metrics[f"clc_{name}"] = values, float(rows.mean())
        some = {code: vectors[pairs] for code, vectors in features.items()}
        for order in ("ef", "es"):
            mixed = {code: embed(switched[order, code]) for code in foreign}
            rows = code_switching_similarity(mixed, some, config.css.reference, reference)
            values = dict(zip((items[i].key for i in pairs), rows.mean(0).tolist(), strict=True))
            units[f"css_{order}_{name}"], metrics[f"css_{order}_{name}"] = values, float(rows.mean())


def samples(items: Sequence[Item], codes: Mapping[str, torch.Tensor]) -> dict[str, Any]:
    """What the contact sheet shows: a fixed draw of prompts of every kind, and the codes that each language drew."""
    import numpy as np

    from papers.neobabel import world
    from papers.neobabel.benchmark import judge

    wanted = {"colors": 3, "two_object": 2, "counting": 1, "color_attr": 2}
    rng = np.random.default_rng(0)
    rows: list[int] = []
    for task, count in wanted.items():
        found = [index for index, item in enumerate(items) if item.task == task]
        rows += sorted(rng.permutation(found)[:count].tolist())
    right = {
        code: [judge(world.detect(world.decode(drawn[[i]])[0]), items[i].metadata())[0] for i in rows]
        for code, drawn in codes.items()
    }
    return {
        "prompts": {code: [items[index].prompt(code) for index in rows] for code in codes},
        "titles": [items[index].prompt(next(iter(codes)), carrier=2) for index in rows],
        "codes": {code: drawn[rows].tolist() for code, drawn in codes.items()},
        "right": right,
    }


# --- the user's own ----------------------------------------------------------------------------------------------


def _draw_only(config: Config, run: Run, painter: TextToImage, text: FrozenText | TokenText) -> Measurement:
    """samples.png with one image for each given prompt."""
    from papers.neobabel import data, sheet

    codes = paint(config, painter, text, config.draw)
    images = data.image_tokenizer(config.image_tokenizer).decode(codes)
    if is_main_process():
        sheet.write(run.path / "samples.png", {"": images}, list(config.draw))
        print(f"{run.path / 'samples.png'}: {len(config.draw)} images")
    return Measurement({"images": float(len(codes))}, {}, {"codes": codes.tolist()})


def _own_benchmark(config: Config, run: Run, painter: TextToImage, text: FrozenText | TokenText) -> Measurement:
    """m-GenEval, CLC and CSS of the user's prompts, with the user's detector."""
    from pathlib import Path

    from papers.neobabel import benchmark, data, detectors, sheet

    folder = Path(config.benchmark)
    paths = detectors.benchmark_files(folder, config.languages)
    prompts, metadata = benchmark.read_benchmark(paths)
    decode = data.image_tokenizer(config.image_tokenizer).decode
    result = benchmark.evaluate(
        lambda texts, language: decode(paint(config, painter, text, texts)),
        prompts,
        metadata,
        detector=detectors.detector(config.detector),
        feature_maps=detectors.feature_maps(config.features),
        css_reference=config.css.reference,
        reference=config.languages[0],
    )
    table = benchmark.score_table(result)
    if is_main_process():
        write_text(run.path / "scores.tsv", table)
        shown = {code: images[:8] for code, images in result["images"].items()}
        sheet.write(run.path / "samples.png", shown, prompts[config.languages[0]][:8])
        print(table)
    overall = {code: scores["overall"] for code, scores in result["geneval"].items()}
    metrics = {"geneval": sum(overall.values()) / len(overall)}
    metrics |= {
        f"clc_{name}": float(by_mode[config.clc.mode].mean()) for name, by_mode in result.get("clc", {}).items()
    }
    for order, by_map in result.get("css", {}).items():
        metrics |= {f"css_{order.lower()}_{name}": float(scores.mean()) for name, scores in by_map.items()}
    return Measurement(metrics, {"geneval": overall}, {"tasks": {c: s["tasks"] for c, s in result["geneval"].items()}})


def _write(run: Run, details: Mapping[str, Any]) -> None:
    import torch

    from papers.neobabel import sheet, world

    tasks = next(iter(details["tasks"].values()))
    lines = ["\t".join(["language", *tasks])]
    lines += ["\t".join([code, *(f"{v:.3f}" for v in by.values())]) for code, by in details["tasks"].items()]
    write_text(run.path / "scores.tsv", "\n".join(lines) + "\n")
    shown = details["samples"]
    images = {code: world.decode(torch.tensor(codes)) for code, codes in shown["codes"].items()}
    if not run.quiet:
        print("\n".join(lines))
    sheet.write(run.path / "samples.png", images, shown["titles"], shown["right"])


if __name__ == "__main__":
    entrypoint(evaluate)
