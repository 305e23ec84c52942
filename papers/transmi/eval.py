"""Measure a model on text in two scripts: its own and Latin.

    python -m papers.transmi.eval tiny --variant max
    python -m papers.transmi.eval --corpus my_lines.tsv --base FacebookAI/xlm-roberta-base --layer 8 --prefix ""

Retrieval, as the official code does it: English sentences are the queries, the sentences of the language the
candidates; a sentence is the mean of one layer's states over all its tokens, `<s>` and `</s>` included, L2-normalised;
accuracy@k counts the queries whose translation is among the k nearest. The unmodified model is measured beside the
adapted one (once for all variants), so that one command answers whether adapting pays.

Classification and tagging: the model that train.py fine-tuned on English is tested on every language, in both scripts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.experiment.entrypoint import entrypoint
from core.experiment.run import Measurement, Run
from core.files import read_json, write_json
from papers.transmi.config import Config

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from papers.transmi.data import Parallel


def evaluate(config: Config, run: Run) -> Measurement:
    """Retrieval in both scripts, or the scores of the fine-tuned task."""
    if config.task != "retrieval":
        from papers.transmi import tasks

        return tasks.evaluate(config, run)
    return _retrieval(config, run)


def _retrieval(config: Config, run: Run) -> Measurement:
    from core.models import loading
    from core.text.romanize import resolve
    from papers.transmi import data

    samples = data.parallel(config)
    # Languages in Latin script are read as they are: what matters there is that nothing changes.
    latin = (
        [replace(s, romanized=()) for s in data.parallel(config, config.latin_languages)]
        if config.latin_languages
        else []
    )
    base = data.base_folder(config, run)
    original = _baseline(config, run, base, [*samples, *latin])
    before = loading.load_tokenizer(base)
    if config.merge_mode == "none":
        after, results = before, original
    else:
        model, after = loading.load(str(run.artifact), task="encoder")
        results = measure(model, after, [*samples, *latin], config)
    adaptation = read_json(run.artifact / "transmi.json") or {}
    known, vocabulary = before.get_vocab(), after.get_vocab()
    added = {index for token, index in vocabulary.items() if token not in known}
    ambiguous = {vocabulary[piece] for piece in adaptation.pop("collisions", {})}
    romanize = resolve(data.romanizer(config.romanizer))
    first = f"acc{config.k[0]}"
    units: dict[str, dict[str, float]] = {}
    for sample in samples:
        code, values = sample.language, results[sample.language]
        gain = values[f"{first}_romanised"] - original[code][f"{first}_romanised"]
        values = values | {
            f"gain_{first}": gain,
            "gains": float(gain > 0),
            "new_native": _share(after, sample.native, added),
            "new_romanised": _share(after, sample.romanized, added),
            "ambiguous_romanised": _share(after, sample.romanized, ambiguous),
            "images": _images(before, after, sample, romanize),
            "changed_english": _changed(before, after, sample.english),
        }
        for name, value in values.items():
            units.setdefault(name, {})[code] = value
    for sample in latin:
        units.setdefault(f"{first}_latin", {})[sample.language] = results[sample.language][f"{first}_native"]
        units.setdefault("changed_latin", {})[sample.language] = _changed(before, after, sample.native)
    metrics = {name: sum(values.values()) / len(values) for name, values in units.items()}
    return Measurement(
        metrics={**metrics, "new_pieces": float(len(added))},
        units=units,
        details={
            "adaptation": adaptation,
            "examples": [_example(before, after, sample) for sample in samples],
            "original": original,
        },
    )


def _baseline(config: Config, run: Run, base: Path, samples: Sequence[Parallel]) -> dict[str, dict[str, float]]:
    """Results of the unmodified model, computed once for all variants of a sample."""
    from core.models import loading
    from papers.transmi.data import identity

    fields = ("corpus", "layer", "prefix", "k", "max_length")
    inputs: dict[str, Any] = {name: getattr(config, name) for name in fields}
    inputs["base"] = identity(base)
    inputs["texts"] = [[s.language, s.english, s.native, s.romanized] for s in samples]

    def build(folder: Any) -> None:
        model, tokenizer = loading.load(base, task="encoder")
        write_json(folder / "results.json", measure(model, tokenizer, samples, config))

    return read_json(run.stage("original", inputs, build) / "results.json")


def measure(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, samples: Sequence[Parallel], config: Config
) -> dict[str, dict[str, float]]:
    """Accuracy@k and mean length in pieces, in both scripts (or the one that a sample has), by language.

    Of candidates with equal similarity the right one counts as the last, so that equal vectors earn nothing.
    """
    from core.metrics.retrieval import accuracy_at_k

    texts = list(dict.fromkeys(t for s in samples for t in (*s.english, *s.native, *s.romanized)))
    vectors = encode(model, tokenizer, texts, config)
    place = {text: index for index, text in enumerate(texts)}
    results: dict[str, dict[str, float]] = {}
    for sample in samples:
        queries = vectors[[place[text] for text in sample.english]]
        values: dict[str, float] = {}
        for side, lines in (("native", sample.native), ("romanised", sample.romanized)):
            if not lines:
                continue
            similarity = queries @ vectors[[place[text] for text in lines]].T
            for k in config.k:
                values[f"acc{k}_{side}"] = accuracy_at_k(similarity, k)
            pieces = tokenizer(list(lines), add_special_tokens=False)["input_ids"]
            values[f"length_{side}"] = sum(map(len, pieces)) / len(pieces)
        results[sample.language] = values
    return results


def encode(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], config: Config
) -> Float[Tensor, "texts width"]:
    """Mean-pooled, normalised sentence vectors in float32.

    Batches are filled with texts of similar length, so that hardly anything is padding.
    """
    import torch
    from torch.nn import functional as F

    from papers.transmi.data import batches

    limit = min(config.max_length, tokenizer.model_max_length)
    ids = tokenizer([config.prefix + text for text in texts], truncation=True, max_length=limit)["input_ids"]
    encoder = model.base_model
    vectors = torch.empty(len(texts), model.config.hidden_size)
    with torch.inference_mode():
        for chosen in batches([len(row) for row in ids], config.batch_tokens):
            batch = tokenizer.pad({"input_ids": [ids[index] for index in chosen]}, return_tensors="pt").to(model.device)
            output = encoder(**batch, output_hidden_states=config.layer > 0)
            states = output.hidden_states[config.layer] if config.layer else output.last_hidden_state
            mask = batch["attention_mask"][..., None]
            pooled = (states.float() * mask).sum(1) / mask.sum(1)
            vectors[chosen] = F.normalize(pooled, dim=-1).cpu()
    return vectors


def _share(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], wanted: set[int]) -> float:
    """Share of the pieces of some texts that are in a set of ids."""
    pieces = [index for ids in tokenizer(list(texts), add_special_tokens=False)["input_ids"] for index in ids]
    return sum(index in wanted for index in pieces) / len(pieces)


def _images(
    before: PreTrainedTokenizerBase,
    after: PreTrainedTokenizerBase,
    sample: Parallel,
    romanize: Callable[[str], str],
) -> float:
    """Share of the pieces of native text whose image the romanised text is cut into: what TransMI is for."""
    found = total = 0
    for native, romanized in zip(sample.native, sample.romanized, strict=True):
        images = Counter(filter(None, (romanize(piece).strip() for piece in before.tokenize(native))))
        found += (images & Counter(after.tokenize(romanized))).total()
        total += images.total()
    return found / total


def _changed(before: PreTrainedTokenizerBase, after: PreTrainedTokenizerBase, texts: Sequence[str]) -> float:
    """Share of texts that the two tokenizers cut differently."""
    return sum(before.tokenize(text) != after.tokenize(text) for text in texts) / len(texts)


def _example(before: PreTrainedTokenizerBase, after: PreTrainedTokenizerBase, sample: Parallel) -> dict[str, Any]:
    """The shortest message of a language and how it is cut."""
    shortest = min(range(len(sample.native)), key=lambda index: len(sample.native[index]))
    native, romanized = sample.native[shortest], sample.romanized[shortest]
    return {
        "language": sample.language,
        "english": sample.english[shortest],
        "native": native,
        "romanised": romanized,
        "native_pieces": before.tokenize(native),
        "original_pieces": before.tokenize(romanized),
        "transmi_pieces": after.tokenize(romanized),
    }


if __name__ == "__main__":
    entrypoint(evaluate)
