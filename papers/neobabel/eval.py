"""Measure a trained model in every language: m-GenEval, cross-lingual consistency, code-switching.

    python -m papers.neobabel.eval tiny --variant native

As a library:

    painter = load_painter("runs/mine")
    images = painter(["un cœur rouge", "a blue circle"])
"""

from __future__ import annotations

import hashlib
import itertools
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from core.errors import UserError
from core.experiment.entrypoint import entrypoint
from core.experiment.run import Measurement, Run
from core.files import load_json, read_json, write_json
from papers.neobabel.config import Config, Decoding

if TYPE_CHECKING:
    from torch import Tensor

    from papers.neobabel.miniature import Item
    from papers.neobabel.model import Prompt

Painter = Callable[..., Any]


def load_painter(
    folder: str | Path, config: Config | None = None, text: Callable[[str], Prompt] | None = None
) -> Painter:
    """A run directory of `train` as a function (prompts, language, seeds) -> images [n, height, width, 3] in [-1, 1].

    The language makes no difference. Equal seeds start from equal noise; by default it is that of the prompt's place.

    Raises:
        UserError: Nothing was trained there, or there is no image tokenizer.
    """
    import torch

    from core.models import loading
    from core.models.states import WhitenedStates
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
        text = data.FrozenText(WhitenedStates.load(config.backbone, artifact / "text"))
    read = text or data.TokenText(loading.load_tokenizer(artifact))

    def painter(prompts: Sequence[str], language: str = "", seeds: Sequence[int] = ()) -> Tensor:
        asked = [*map(read, prompts)]
        codes = method.generate(trained, asked, read(""), decoding, seeds or range(len(prompts))).cpu()
        return torch.cat([tokenizer.decode(part) for part in codes.split(decoding.batch_size)])

    return painter


def drawing(config: Config, painter: Painter, items: Sequence[Item]) -> Painter:
    """`generate_fn(prompts, language)` of an arm, with its translator and its noise."""
    from core.plugins import own
    from papers.neobabel import miniature

    reference, *foreign = config.languages
    translate: Any = None
    if not items and (config.crowd or config.translator == "world"):
        raise UserError("translator = 'world' and crowd know the miniature alone: give your own for a benchmark.")
    if config.translator == "world":
        known = miniature.translations(items, foreign, config.seed)
        translate = lambda text, language: known[language, text]  # noqa: E731
    elif config.translator:
        translate = own(config.translator, "translator")

    def generate_fn(texts: Sequence[str], language: str) -> Any:
        before, seeds = Counter[str](), []
        for text in texts:
            # So that images agree through their prompts alone; a prompt that is asked again gets other noise.
            name = f"{config.seed}/{language}/{text}/{before[text]}".encode()
            seeds.append(int.from_bytes(hashlib.blake2b(name, digest_size=6).digest(), "big"))
            before[text] += 1
        if translate and language != reference:
            texts = [translate(text, language) for text in texts]
        return painter(texts, language, seeds)

    return generate_fn


def eyes(config: Config) -> tuple[Any, dict[str, Any]]:
    """Detector and feature maps: the miniature's exact ones; for a benchmark in files GenEval's, CLIP and DINOv2."""
    from core.models import vision
    from papers.neobabel import miniature

    if not config.benchmark:
        return miniature.detect, miniature.FEATURES
    maps = {"clip": vision.image_embedder(vision.CLIP), "dinov2": vision.image_embedder("facebook/dinov2-base")}
    return vision.ObjectDetector(), maps


def evaluate(config: Config, run: Run) -> Measurement:
    """Scores of the miniature's held-out pairs and trained prompts, or of a benchmark in files."""
    from core.distributed import seed_everything
    from core.tasks.geneval import read_prompts, score_images
    from core.text.codeswitch import code_switched_texts
    from papers.neobabel import data, method, miniature

    seed_everything(config.seed)
    reference, *foreign = config.languages
    items: Sequence[Item] = () if config.benchmark else miniature.items(config.split, config.seed, config.limit)
    painter = miniature.crowd if config.crowd else load_painter(run.path, config, data.text_of(config, run))
    generate_fn, (detector, feature_maps) = drawing(config, painter, items), eyes(config)
    if items:
        prompts, metadata = {c: [i.prompt(c) for i in items] for c in config.languages}, [i.metadata() for i in items]
        # Consistency is that of held-out pairs; of a benchmark in files, of all prompts by their number.
        pairs = {number: item.key for number, item in enumerate(items) if item.cls}
        mixed = {
            "EF": {code: [items[n].prompt(reference, code) for n in pairs] for code in foreign},
            "ES": {code: [items[n].prompt(code, reference) for n in pairs] for code in foreign},
        }
    else:
        prompts, metadata = read_prompts(config.benchmark, config.languages)
        pairs = {number: str(number) for number in range(len(metadata))}
        mixed = code_switched_texts(prompts, reference)
    images = {code: generate_fn(texts, code) for code, texts in prompts.items()}
    geneval = {code: score_images(shown, metadata, detector) for code, shown in images.items()}
    drawn = {"clc": {code: images[code][[*pairs]] for code in foreign}}
    drawn |= {f"css_{name.lower()}": {c: generate_fn(mix[c], c) for c in foreign} for name, mix in mixed.items()}
    units = {"geneval": {code: scores["overall"] for code, scores in geneval.items()}}
    for (kind, shown), (name, embed) in itertools.product(drawn.items() if foreign else (), feature_maps.items()):
        # Both sides are embedded over the same prompts: a feature map may take the mean of what it is given off.
        found = method.consistency({c: embed(some) for c, some in shown.items()}, embed(images[reference][[*pairs]]))
        units[f"{kind}_{name}"] = {
            f"{code}/{key}": value
            for code, row in zip(foreign, found.tolist(), strict=True)
            for key, value in zip(pairs.values(), row, strict=True)
        }
    tasks = {task: {code: s["tasks"][task] for code, s in geneval.items()} for task in geneval[reference]["tasks"]}
    units |= accuracies(images, items) if items else tasks
    metrics, details = {name: fmean(found.values()) for name, found in units.items()}, dict[str, Any]()
    # GenEval's means are over tasks, whatever their numbers of prompts.
    metrics |= {f"geneval_{code}": value for code, value in units["geneval"].items()}
    if items and foreign:
        details["samples"] = samples(generate_fn, items, config.languages)
        details["base_retrieval"] = base_retrieval(config, run, items)
        metrics["base_retrieval"] = fmean(details["base_retrieval"].values())
    if config.crowd:
        named = {"": "pairs_foreign", "_geneval": "geneval", "_clc": "clc_objects"}
        metrics |= {f"trivial_crowd{name}": metrics[metric] for name, metric in named.items() if metric in metrics}
    return Measurement(metrics, units, details)


def accuracies(images: Mapping[str, Any], items: Sequence[Item]) -> dict[str, dict[str, float]]:
    """GenEval's decisions: `pairs`, `colors`, ... in English by prompt and abroad by `language/prompt`.

    Of pairs also whether exactly they are shown (`exact`), whether they are with their colours exchanged, and `bound`:
    1 where the pair is shown and the exchanged one is not, -1 the other way round.
    """
    from papers.neobabel.miniature import verdict

    units: dict[str, dict[str, float]] = defaultdict(dict)
    for number, (code, shown) in enumerate(images.items()):
        place, before = ("foreign", f"{code}/") if number else ("en", "")
        for item, image in zip(items, shown, strict=True):
            path, found = f"{before}{item.key}", verdict(image, item)
            units[f"{'pairs' if item.cls else item.task}_{place}"][path] = float(found != "wrong")
            if item.cls:
                exchanged = verdict(image, item.exchanged()) != "wrong"
                units[f"exchanged_{place}"][path] = float(exchanged)
                units[f"bound_{place}"][path] = float(found != "wrong") - exchanged
                units[f"exact_{place}"][path] = float(found == "exact")
    return dict(units)


def base_retrieval(config: Config, run: Run, items: Sequence[Item]) -> dict[str, float]:
    """Whether the encoder knows a language: share of the prompts for one coloured shape whose nearest English one is
    the translation, with the pooling of the encoder's authors. The prompts are those of every seed and arm.
    """
    from core.models.states import load_once
    from core.tasks.retrieval import Pairs, retrieve

    reference, *foreign = config.languages
    said = {code: [item.prompt(code) for item in items if item.task == "colors"] for code in config.languages}

    def build(folder: Path) -> None:
        found = retrieve(load_once(config.backbone), {code: Pairs(said[code], said[reference]) for code in foreign})
        write_json(folder / "found.json", {code: each.accuracy() for code, each in found.items()})

    return read_json(run.stage("retrieval", {"backbone": config.backbone, "prompts": said}, build) / "found.json")


def samples(generate_fn: Painter, items: Sequence[Item], languages: Sequence[str]) -> list[dict[str, Any]]:
    """What the figure shows: the first held-out pair in every language and in two at once, drawn three times."""
    from core.worlds.shapes import encode
    from papers.neobabel.miniature import verdict

    item = next(item for item in items if item.cls)
    reference, *foreign = languages
    found = []
    for first, second in [*zip(languages, languages, strict=True), (reference, foreign[0]), (foreign[-1], reference)]:
        prompt = item.prompt(first, second)
        images = generate_fn([prompt] * 3, second if first == reference else first)
        shown = [{"codes": encode(image[None])[0].tolist(), "verdict": verdict(image, item)} for image in images]
        found.append({"languages": list(dict.fromkeys((first, second))), "prompt": prompt, "drawn": shown})
    return found


if __name__ == "__main__":
    entrypoint(evaluate)
