"""Run the survey's protocols: fairness of a tokenizer, bits of its decoder, representations of a model.

    python -m papers.mllm_survey.eval tiny --variant balanced       # after its train
    python -m papers.mllm_survey.eval paper --variant centred       # Llama-2-7b on FLORES-200

For a tokenizer or model of your own see `use.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from core.errors import UserError
from core.experiment.entrypoint import entrypoint
from core.experiment.run import Measurement, Run
from papers.mllm_survey.config import Config

if TYPE_CHECKING:
    from papers.mllm_survey.method import Vectors

Units = dict[str, dict[str, float]]
Texts = Mapping[str, Sequence[str]]
Found = tuple[dict[str, float], Units, dict[str, Any]]


def evaluate(config: Config, run: Run) -> Measurement:
    """Every protocol that is asked for."""
    metrics, units, details = dict[str, float](), Units(), dict[str, Any]()
    for protocol, measure in (("representation", representations), ("tokenizer", tokens), ("decoder", bits)):
        if protocol in config.protocols:
            values, by_language, more = measure(config, run)
            metrics, units, details = metrics | values, units | by_language, details | more
    return Measurement({name: fmean(by.values()) for name, by in units.items() if by} | metrics, units, details)


# --- tokenizers ---------------------------------------------------------------------------------------------------


def tokens(config: Config, run: Run) -> Found:
    """Fertility and parity by language; of the pivot what it pays; and what bytes and characters would have."""
    from core.models.loading import load_tokenizer
    from papers.mllm_survey import data, method

    texts = data.parallel(config, data.languages_of(config)[1:], trained=True)
    pivot, others = texts[config.pivot], [code for code in texts if code != config.pivot]
    count = method.counter(load_tokenizer(run.artifact))
    fair = method.parity(count, texts, config.pivot)
    units: Units = {
        "parity": fair,
        "fertility": {code: method.fertility(count, texts[code]) for code in others},
        "compression": {code: method.compression(count, texts[code]) for code in others},
        "above_two": {code: float(value > 2) for code, value in fair.items()},
        "parity_left_out": {code: fair[code] for code in data.left_out(config)},
    }
    metrics = {"pivot_fertility": method.fertility(count, pivot), "pivot_tokens": float(sum(count(pivot)))}
    for name in ("bytes", "characters"):
        untrained = method.counter(name)
        metrics[f"trivial_parity_{name}"] = fmean(method.parity(untrained, texts, config.pivot).values())
        metrics[f"trivial_fertility_{name}"] = fmean(method.fertility(untrained, texts[code]) for code in others)
    return metrics, units, {}


def bits(config: Config, run: Run) -> Found:
    """Bits a byte of texts by language, which do not depend on how a tokenizer cuts; the pivot's apart."""
    from core.inference.scoring import text_bits
    from core.metrics.likelihood import letter_bits
    from core.models.loading import load
    from papers.mllm_survey import data

    texts = data.parallel(config, data.languages_of(config)[1:], trained=True)
    model, tokenizer = load(run.artifact, dtype="float32")
    found = text_bits(model, tokenizer, {code: list(lines) for code, lines in texts.items()})
    metrics = {"pivot_bits": found.pop(config.pivot)}
    if not config.text:
        train = data.miniature.text(tuple(texts), config.sentences or 0, config.seed)
        metrics["trivial_letters_bits"] = fmean(letter_bits(train[code], texts[code]) for code in found)
    return metrics, {"bits": found}, {}


# --- representations ----------------------------------------------------------------------------------------------


def representations(config: Config, run: Run) -> Found:
    """Retrieval into the pivot, and what tells the language, at every layer, after what the arm takes from the vectors.

    Calibration texts are every other one: means are taken from them and the layer is chosen on them. All numbers are of
    the others.
    """
    from core.tasks.retrieval import Pairs, trivial
    from papers.mllm_survey import data, miniature

    texts = data.parallel(config, config.languages or miniature.LANGUAGES, trained=False)
    raw = read(config, run, texts)
    found = profile(removed(config, raw, texts), texts, config.pivot)
    before = profile(raw, texts, config.pivot)
    by_layer, by_layer_before, chosen_on = curve(found.retrieval), curve(before.retrieval), curve(found.calibration)
    half = middle(len(by_layer))
    peak = half.start + int(chosen_on[half].argmax())
    units: Units = {
        "retrieval": {code: float(by.mean()) for code, by in found.retrieval.items()},
        "probe": {code: float(by.mean()) for code, by in found.probe.items()},
        "nearest": {code: float(by.mean()) for code, by in found.nearest.items()},
        "gain": {code: float(by.mean() - before.retrieval[code].mean()) for code, by in found.retrieval.items()},
        "hump": {
            code: float(by[peak].mean() - max(by[0].mean(), by[-1].mean())) for code, by in found.retrieval.items()
        },
        "to_pivot": {code: float(by[half].mean()) for code, by in found.retrieval.items()},
        "to_others": {code: float(by[half].mean()) for code, by in found.others.items()},
    }
    both = {code: (units["to_pivot"][code], units["to_others"][code]) for code in found.retrieval}
    units["lean"] = {code: pivot - third for code, (pivot, third) in both.items()}
    units["hub"] = {code: (pivot - third) / ((pivot + third) or 1.0) for code, (pivot, third) in both.items()}
    asked = {code: lines[1::2] for code, lines in texts.items()}
    solved = [trivial(Pairs(asked[code], asked[config.pivot])) for code in found.retrieval]
    metrics = {f"trivial_{name}": fmean(one[name] for one in solved) for name in solved[0]}
    metrics |= {"trivial_retrieval_guess": 1 / len(asked[config.pivot]), "trivial_nearest_guess": 1 / len(texts)}
    metrics |= {"least_gain": float((by_layer - by_layer_before).min()), "peak": float(by_layer[peak])}
    details = {
        "retrieval_by_layer": by_layer.round(4).tolist(),
        "probe_by_layer": curve(found.probe).round(4).tolist(),
        "nearest_by_layer": curve(found.nearest).round(4).tolist(),
        "peak_layer": peak,
        "texts": len(texts[config.pivot]),
    }
    return metrics, units, details


def read(config: Config, run: Run, texts: Texts) -> Vectors:
    """Mean vectors of all texts at every layer, language after language; read once for all arms of a model."""
    from safetensors.numpy import load_file, save_file

    def build(folder: Path) -> None:
        found = text_vectors(source(config, run), texts, drop_first=config.drop_first)
        save_file({"vectors": found}, folder / "vectors.safetensors")

    inputs: dict[str, Any] = {name: getattr(config, name) for name in ("model", "architecture", "drop_first")}
    inputs |= {"texts": texts, "weights": config.seed if config.untrained else None}
    folder = run.stage("vectors", inputs, build)
    return load_file(folder / "vectors.safetensors")["vectors"]


def source(config: Config, run: Run) -> Source:
    """Model, tokenizer and prefix: as published, or the same architecture with random weights."""
    from core.models import loading
    from papers.mllm_survey import miniature

    name = str(run.stage("toy", {}, miniature.toy)) if config.model == "toy" else config.model
    if not config.untrained:
        return load_source(name, config.architecture)
    return Source(*loading.untrained(name, seed=config.seed, task=config.architecture))


def removed(config: Config, vectors: Vectors, texts: Texts) -> Vectors:
    """The vectors less what the arm takes from them."""
    from papers.mllm_survey.method import centre, low_rank

    languages, fit = labels(texts)
    if config.removal == "none":
        return vectors
    if config.removal == "low-rank":
        return low_rank(vectors, languages, fit, config.rank)
    if config.removal == "common":
        return centre(vectors, ["all"] * len(languages), fit)
    codes = [*texts]
    of = dict(zip(codes, codes[1:] + codes[:1], strict=True)) if config.removal == "others" else None
    return centre(vectors, languages, fit, of)


# --- of any model ---------------------------------------------------------------------------------------------------


class Source(NamedTuple):
    """A model, its tokenizer, and what its authors put before every text."""

    model: Any
    tokenizer: Any
    prefix: str = ""


class Profile(NamedTuple):
    """What each text is worth at every layer, 1.0 or 0.0, by language, [layers, text].

    Attributes:
        retrieval: Whether it finds its translation in the pivot, of the texts that are measured.
        calibration: The same of the calibration texts, to choose layers by.
        others: Share of the third languages in which it finds its translation.
        probe: Whether the probe tells its language, the pivot's texts too.
        nearest: Whether its nearest calibration text is in its language, the pivot's texts too.
    """

    retrieval: dict[str, np.ndarray]
    calibration: dict[str, np.ndarray]
    others: dict[str, np.ndarray]
    probe: dict[str, np.ndarray]
    nearest: dict[str, np.ndarray]


def load_source(name: str, architecture: str) -> Source:
    """A causal language model, or an encoder with the prefix that its authors use."""
    from core.models.embedding import load_encoder
    from core.models.loading import load

    if architecture == "causal-lm":
        return Source(*load(name))
    encoder = load_encoder(name)
    return Source(encoder.model, encoder.tokenizer, encoder.pooling.prefix)


def text_vectors(source: Source, texts: Texts, *, drop_first: int = 0) -> Vectors:
    """Mean over the tokens of each text at every layer (0 = embedding output), [layers, text, width], in float32.

    Raises:
        UserError: States that are not finite, or a text that the model cannot read.
    """
    from core.models.embedding import pool
    from core.models.states import token_states

    lines = [source.prefix + line for own in texts.values() for line in own]
    found: np.ndarray | None = None
    # A begin token takes the place of the word that would else be the attention sink, and be left out.
    for rows, layers, mask in token_states((source.model, source.tokenizer), lines, add_bos=bool(drop_first)):
        kept = mask.clone()
        kept[:, :drop_first] = 0
        vectors = np.stack([pool(states, kept).cpu().numpy() for states in layers])
        if not np.isfinite(vectors).all():
            raise UserError(f"The states of {lines[rows[0]]!r} are not finite: load the model in float32.")
        found = np.empty((len(vectors), len(lines), vectors.shape[-1]), np.float32) if found is None else found
        found[:, rows] = vectors
    assert found is not None
    return found


def labels(texts: Texts) -> tuple[list[str], np.ndarray]:
    """The language of each text, and which are calibration texts: every other one, the same in all languages."""
    pairs = [(code, place % 2 == 0) for code, lines in texts.items() for place in range(len(lines))]
    return [code for code, _ in pairs], np.array([fit for _, fit in pairs])


def profile(vectors: Vectors, texts: Texts, pivot: str) -> Profile:
    """Retrieval, probe and nearest language at every layer."""
    from papers.mllm_survey.method import language_probe, nearest_language, retrieval_top1

    languages, fit = labels(texts)
    own = np.array(languages)
    asked, known = ({code: vectors[:, (own == code) & half] for code in texts} for half in (~fit, fit))
    others = [code for code in texts if code != pivot]
    told, near = (tell(vectors, languages, fit) for tell in (language_probe, nearest_language))
    return Profile(
        {code: retrieval_top1(asked[code], asked[pivot]) for code in others},
        {code: retrieval_top1(known[code], known[pivot]) for code in others},
        {
            code: np.mean([retrieval_top1(asked[code], asked[third]) for third in others if third != code], axis=0)
            for code in others
        },
        {code: told[:, own[~fit] == code] for code in texts},
        {code: near[:, own[~fit] == code] for code in texts},
    )


def curve(by_language: Mapping[str, np.ndarray]) -> np.ndarray:
    """The mean of languages at every layer."""
    return np.mean([values.mean(-1) for values in by_language.values()], axis=0)


def middle(layers: int) -> slice:
    """The middle half of a model's layers, a quarter away from either end: 7 to 23 of 0 to 30."""
    return slice(layers // 4, layers - layers // 4)


if __name__ == "__main__":
    entrypoint(evaluate)
