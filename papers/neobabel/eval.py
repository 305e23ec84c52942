"""Measure a trained model in every language: m-GenEval, cross-lingual consistency, code-switching.

    python -m papers.neobabel.eval tiny --variant native

As a library:

    painter = load_painter("runs/mine")
    images = painter(["un cœur rouge", "a blue circle"])
"""

from __future__ import annotations

import hashlib
import itertools
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from core.errors import UserError, about
from core.experiment.entrypoint import entrypoint
from core.experiment.run import Measurement, Run
from core.files import load_facts
from core.plugins import own
from papers.neobabel.config import Config, Decoding

if TYPE_CHECKING:
    from papers.neobabel.miniature import Item

Painter = Callable[..., Any]
# What drawing needs of a run's configuration.
STORED = ("frozen_encoder", "backbone", "image_tokenizer", "decoding")


def load_painter(
    folder: str | Path, config: Config | None = None, text: Any = None, image_tokenizer: str = ""
) -> Painter:
    """A run directory of `train` as a function (prompts, seeds) -> images [n, height, width, 3] in [-1, 1].

    Equal seeds give equal noise, by default that of the prompt's place.

    Args:
        folder: The run directory, perhaps of a stranger.
        config: None = what it holds, but for code that it names.
        text: Reads prompts, if not as the run did.
        image_tokenizer: Instead of the run's, as in the configuration: `file.py:function` is run.

    Raises:
        UserError: Nothing was trained there, or there is no image tokenizer, or the run names code for one.
    """
    import torch

    from core.models import loading
    from core.models.states import WhitenedStates
    from papers.neobabel import data, method, model

    artifact = Path(folder) / "artifact"
    trained = model.load(artifact, loading.default_device())
    if config is None:
        stored = load_facts(folder, "config.json", STORED, "papers.neobabel.train")
        named = image_tokenizer or stored["image_tokenizer"]
        if named not in ("", "world", image_tokenizer):
            raise UserError(
                f"{folder} was trained with the image tokenizer {named!r}, code that is not run because a folder names "
                "it: name it yourself with --image-tokenizer, if you trust it."
            )
        with about(Path(folder) / "config.json"), loading.translated(folder):
            kept = {"frozen_encoder": stored["frozen_encoder"], "backbone": stored["backbone"]}
            config = Config(**kept, image_tokenizer=named, decoding=Decoding(**stored["decoding"]))
    tokenizer, decoding = data.image_tokenizer(config.image_tokenizer), config.decoding
    if tokenizer is None:
        raise UserError("There is no image tokenizer to decode with: set image_tokenizer.")
    if text is None and config.frozen_encoder:
        text = data.FrozenText(WhitenedStates.load(config.backbone, artifact / "text"))
    read = text or data.TokenText(loading.load_tokenizer(artifact))

    def painter(prompts: Sequence[str], seeds: Sequence[int] = ()) -> Any:
        asked = [*map(read, prompts)]
        codes = method.generate(trained, asked, read(""), decoding, seeds or range(len(prompts))).cpu()
        return torch.cat([tokenizer.decode(part) for part in codes.split(decoding.batch_size)])

    return painter


def drawing(config: Config, painter: Painter, items: Sequence[Item]) -> Painter:
    """`generate_fn(prompts, language)` of an arm, with its translator; every prompt of a language has its own noise."""
    from papers.neobabel import miniature

    reference, *foreign = config.languages
    if not items and (config.crowd or config.translator == "world"):
        raise UserError("translator = 'world' and crowd know the miniature alone: give your own for a benchmark.")
    translate: Any = own(config.translator, "translator") if config.translator not in ("", "world") else None
    if config.translator == "world":
        known = miniature.translations(items, foreign, config.seed)
        translate = lambda text, language: known[language, text]  # noqa: E731

    def generate_fn(texts: Sequence[str], language: str) -> Any:
        before, seeds = Counter[str](), []
        for text in texts:
            # A prompt that is asked again gets other noise.
            name = f"{config.seed}/{language}/{text}/{before[text]}".encode()
            seeds.append(int.from_bytes(hashlib.blake2b(name, digest_size=6).digest(), "big"))
            before[text] += 1
        if translate and language != reference:
            texts = [translate(text, language) for text in texts]
        return painter(texts, seeds)

    return generate_fn


def evaluate(config: Config, run: Run) -> Measurement:
    """Scores of the miniature's held-out pairs and trained prompts, or of a benchmark in files."""
    from core.distributed import seed_everything
    from core.models import vision
    from core.tasks.geneval import read_prompts, score_images
    from core.text.codeswitch import code_switched_texts
    from papers.neobabel import data, method, miniature

    seed_everything(config.seed)
    reference, *foreign = config.languages
    items: Sequence[Item] = () if config.benchmark else miniature.items(config.split, config.seed, config.limit)
    painter = miniature.crowd if config.crowd else load_painter(run.path, config, data.text_of(config, run))
    generate_fn = drawing(config, painter, items)
    if config.benchmark:
        prompts, metadata = read_prompts(config.benchmark, config.languages)
        pairs = {number: str(number) for number in range(len(metadata))}
        mixed = code_switched_texts(prompts, reference)
        encoders = {"clip": vision.CLIP, "dinov2": "facebook/dinov2-base"}
        detector: Any = vision.ObjectDetector()
        feature_maps: dict[str, Any] = {name: vision.image_embedder(spec) for name, spec in encoders.items()}
    else:
        prompts, metadata = {c: [i.prompt(c) for i in items] for c in config.languages}, [i.metadata() for i in items]
        # Consistency is that of held-out pairs alone.
        pairs = {number: item.key for number, item in enumerate(items) if item.cls}
        mixed = {
            "EF": {code: [items[n].prompt(reference, code) for n in pairs] for code in foreign},
            "ES": {code: [items[n].prompt(code, reference) for n in pairs] for code in foreign},
        }
        detector, feature_maps = miniature.detect, miniature.FEATURES
    images = {code: generate_fn(texts, code) for code, texts in prompts.items()}
    geneval = {code: score_images(shown, metadata, detector) for code, shown in images.items()}
    drawn = {"clc": {code: images[code][[*pairs]] for code in foreign}}
    drawn |= {f"css_{name.lower()}": {c: generate_fn(mix[c], c) for c in foreign} for name, mix in mixed.items()}
    units = {"geneval": {code: scores["overall"] for code, scores in geneval.items()}}
    for (kind, shown), (name, embed) in itertools.product(drawn.items() if foreign else (), feature_maps.items()):
        # Both sides are embedded over the same prompts: a feature map may take the mean of what it is given off.
        found = method.consistency({c: embed(some) for c, some in shown.items()}, embed(images[reference][[*pairs]]))
        paths = [f"{code}/{key}" for code in foreign for key in pairs.values()]
        units[f"{kind}_{name}"] = dict(zip(paths, found.flatten().tolist(), strict=True))
    tasks = {task: {code: s["tasks"][task] for code, s in geneval.items()} for task in geneval[reference]["tasks"]}
    units |= miniature.accuracies(images, items) if items else tasks
    metrics, details = {name: fmean(found.values()) for name, found in units.items()}, dict[str, Any]()
    # GenEval's means are over tasks, whatever their numbers of prompts.
    metrics |= {f"geneval_{code}": value for code, value in units["geneval"].items()}
    if items and foreign:
        details["samples"] = miniature.samples(generate_fn, items, config.languages)
        details["base_retrieval"] = base_retrieval(config, run, items)
        metrics["base_retrieval"] = fmean(details["base_retrieval"].values())
    if config.crowd:
        named = {"": "pairs_foreign", "_geneval": "geneval", "_clc": "clc_objects"}
        metrics |= {f"trivial_crowd{name}": metrics[metric] for name, metric in named.items() if metric in metrics}
    return Measurement(metrics, units, details)


def base_retrieval(config: Config, run: Run, items: Sequence[Item]) -> dict[str, float]:
    """Whether the encoder knows a language: share of the prompts for one coloured shape whose nearest English one is
    the translation, with the pooling of the encoder's authors. The prompts are those of every seed and arm.
    """
    from core.models.states import load_once
    from core.tasks.retrieval import Pairs, retrieve

    reference, *foreign = config.languages
    said = {code: [item.prompt(code) for item in items if item.task == "colors"] for code in config.languages}

    def compute() -> dict[str, float]:
        found = retrieve(load_once(config.backbone), {code: Pairs(said[code], said[reference]) for code in foreign})
        return {code: each.accuracy() for code, each in found.items()}

    return run.once("retrieval", {"backbone": config.backbone, "prompts": said}, compute)


if __name__ == "__main__":
    entrypoint(evaluate)
