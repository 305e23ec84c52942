"""Measure one mixture of the grid: loss, topics, the language of what it writes, and translation where asked.

    python -m papers.cpt_mixing.eval tiny --variant bi_code
    python -m papers.cpt_mixing.eval --model my-model --sources sources.jsonl --test-corpus held_out.tsv --data bi \
        --code 0.33 --tokens 2e7 --out runs/bi_code

Give training and measurement the same options: the run is found by them. What each language got is in `languages.tsv`.

    target_bits, english_bits, related_bits     bits per byte of held-out text
    other_bits                                  of relatives, after the languages of the other group
    right_high, _mid, _low, _less, _related     topics; less = mid and low
    fidelity, to_english                        continuations of 40 tokens in the language they continue, in English
    one_language                                continuations that the filter (equation 5) would keep
    fidelity_empty, fidelity_line_empty         continuations without a word, which are in no language
    fidelity_line                               as fidelity, for the second half of a line
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from statistics import fmean
from typing import Any

from core.experiment.entrypoint import entrypoint, show
from core.experiment.run import Measurement, Run, is_main_process
from core.files import read_json, write_table
from core.text.languages import same_language
from core.text.segment import words
from papers.cpt_mixing.config import Config
from papers.cpt_mixing.method import fidelity, halved, is_monolingual
from papers.cpt_mixing.prompts import DECODING, right_topics

Units = dict[str, dict[str, float]]
# How continuations are sampled whose language is told (ours).
SAMPLING: dict[str, Any] = {"temperature": 0.8, "top_p": 0.9}


def evaluate(config: Config, run: Run) -> Measurement:
    """All groups of the mixture; units are languages, then items."""
    from core.distributed import seed_everything
    from core.inference.scoring import text_bits
    from core.models import loading
    from papers.cpt_mixing import data, miniature

    seed_everything(config.seed)
    held, groups, identify = data.held_out(config), data.groups(config), data.identifier(config)
    start = config.model or miniature.base(config, run)
    english = data.english_of([*held]) or "en"
    units: Units = defaultdict(dict)
    metrics: dict[str, list[float]] = defaultdict(list)
    samples: list[dict[str, str]] = []
    for group, (learnt, related) in groups.items():
        others = [code for name, (_, codes) in groups.items() if name != group for code in codes]
        folder = start if config.data == "none" else str(run.artifact / group)
        model, tokenizer = loading.load(folder, dtype="float32" if config.model is None else "auto")
        texts = {code: [*held[code].values()] for code in (english, *learnt, *related, *others) if code in held}
        bits = text_bits(model, tokenizer, texts)
        metrics["english_bits"].append(bits[english])
        for name, codes in (("target", learnt), ("related", related), ("other", others)):
            units[f"{name}_bits"] |= {code: bits[code] for code in codes if code in bits}
        for code in (english, *learnt, *related):
            right = right_topics(model, tokenizer, data.questions(config, code), config.label_scoring)
            if code == english:
                metrics["right_english"] += right.values()
                continue
            level = learnt.get(code, "related") or "target"
            for name in (level, "less") if level in ("mid", "low") else (level,):
                units[f"right_{name}"] |= right
        told, written = continued(model, tokenizer, {code: held[code] for code in learnt}, english, identify, config)
        for name, values in told.items():
            units[name] |= values
        samples += written
        if config.translations:
            for name, values in translated(model, tokenizer, config).items():
                units[name] |= values
    if is_main_process():
        write_table(run.path / "languages.tsv", by_language(units, groups))
    lid = [
        float(identify([text])[0] == code)
        for code in held
        if code in identified(groups)
        for text in held[code].values()
    ]
    found = {name: fmean(values.values()) for name, values in units.items() if values}
    found |= {name: fmean(values) for name, values in metrics.items() if values}
    found |= {"identified": fmean(lid), **(trivial(config) if config.sources is None else {})}
    if not run.quiet and is_main_process():
        show({name: found[name] for name in ("target_bits", "english_bits", "fidelity")})
    mixture = read_json(run.artifact / "mixture.json")
    return Measurement(
        found, {name: v for name, v in units.items() if v}, {"mixture": mixture, "samples": samples[:12]}
    )


def identified(groups: dict[str, tuple[dict[str, str], tuple[str, ...]]]) -> set[str]:
    """The languages that are learnt."""
    return {code for learnt, _ in groups.values() for code in learnt}


def continued(
    model: Any, tokenizer: Any, held: dict[str, dict[str, str]], english: str, identify: Any, config: Config
) -> tuple[Units, list[dict[str, str]]]:
    """In which language a model goes on after a text, and after half of a line; with a few samples."""
    from core.inference.generation import generate

    keys = [(code, key) for code, column in held.items() for key in column]
    wanted, units = [code for code, _ in keys], Units()
    samples: list[dict[str, str]] = []
    for name, stop in (("fidelity", ()), ("fidelity_line", ("\n",))):
        texts = [held[code][key] if name == "fidelity" else halved(held[code][key]) for code, key in keys]
        prompts = [f"{tokenizer.bos_token or ''}{text}" for text in texts]
        options: dict[str, Any] = {"max_new_tokens": config.new_tokens, "stop": stop, "seed": config.seed, **SAMPLING}
        outputs = generate(model, tokenizer, prompts, **options)
        units[f"{name}_empty"] = {
            f"{code}/{key}": float(not words(output)) for (code, key), output in zip(keys, outputs, strict=True)
        }
        right, mixed = fidelity(outputs, wanted, identify, mixed_into=english)
        units[name] = {f"{code}/{key}": value for (code, key), value in zip(keys, right, strict=True)}
        if name == "fidelity":
            units["to_english"] = {f"{code}/{key}": value for (code, key), value in zip(keys, mixed, strict=True)}
            kept = [float(is_monolingual(output, identify)) for output in outputs]
            units["one_language"] = {f"{code}/{key}": value for (code, key), value in zip(keys, kept, strict=True)}
        each = range(0, len(keys), max(1, len(keys) // 3))
        samples += [{"asked": texts[at], "said": outputs[at], "language": wanted[at]} for at in each]
    return units, samples


def translated(model: Any, tokenizer: Any, config: Config) -> Units:
    """BLEU and chrF++ of each direction with English, as the official code decodes (own test text)."""
    from core.inference.generation import generate
    from core.metrics import translation
    from papers.cpt_mixing import data

    directions, prompts, references = data.translations(config)
    outputs = generate(model, tokenizer, prompts, seed=config.seed, **DECODING)
    by: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
    for direction, output, reference in zip(directions, outputs, references, strict=True):
        by[direction].append((output.strip(), reference))
    units: Units = defaultdict(dict)
    for (source, target), pairs in by.items():
        said, wanted = ([*side] for side in zip(*pairs, strict=True))
        end = "from_english" if same_language(source, "en") else "to_english"
        units[f"bleu_{end}"][f"{source}-{target}"] = translation.bleu(said, wanted, target).score
        units[f"chrf_{end}"][f"{source}-{target}"] = translation.chrf(said, wanted, word_order=2).score
    return units


def by_language(units: Units, groups: dict[str, tuple[dict[str, str], tuple[str, ...]]]) -> list[dict[str, Any]]:
    """A row a language: its group, its level, and the mean of everything measured in it."""
    rows = []
    for group, (learnt, related) in groups.items():
        for code in (*learnt, *related):
            row: dict[str, Any] = {"language": code, "group": group, "level": learnt.get(code, "related")}
            for name in ("target_bits", "related_bits", "fidelity", "fidelity_line", "to_english", "one_language"):
                row[name] = _mean(units, (name,), code)
            row["right"] = _mean(units, [name for name in units if name.startswith("right_")], code)
            rows.append(row)
    return rows


def _mean(units: Units, names: Sequence[str], code: str) -> float | None:
    found = {key: value for name in names for key, value in units.get(name, {}).items() if key.split("/")[0] == code}
    return fmean(found.values()) if found else None


def trivial(config: Config) -> dict[str, float]:
    """Topics without a model: always one kind, and the kind whose English names have such letters."""
    from core.corpora import filtering
    from papers.cpt_mixing import miniature

    items = miniature.texts(config).items
    known = [item for item in items["train"] if item.language == "en"]
    asked = [item for item in items[config.split] if item.language != "en"]
    kinds = {kind: [item.prompt for item in known if item.answer == kind] for kind in miniature.KINDS}
    guessed = filtering.identifier(kinds)([item.prompt for item in asked])
    letters = [float(guess == item.answer) for guess, item in zip(guessed, asked, strict=True)]
    return {"trivial_one_kind": 1 / len(kinds), "trivial_letters": fmean(letters)}


if __name__ == "__main__":
    entrypoint(evaluate)
