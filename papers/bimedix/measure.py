"""What the evaluation computes: ranking of options, expert usage, block speed, the translation exercise."""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch

from core.errors import UserError
from core.tasks.choices import LETTERS, Question, choice_scores
from papers.bimedix import data, knowledge, translation
from papers.bimedix.config import Config
from papers.bimedix.data import Sample
from papers.bimedix.method import averages, entropy, expected_accuracy, expert_load, jensen_shannon, load_balancing_loss

# ------------------------------------------------------------------------------------------------------- accuracy


def test_items(config: Config) -> dict[str, list[Sample]]:
    """Multiple-choice items by language: from files, or the miniature questions in a held-out wording."""
    sources = {"en": config.test_english, config.second_language: config.test_second}
    if config.test_english:
        return {
            lang: _limited(data.evaluation_items(data.read_samples(names, lang)), config)
            for lang, names in sources.items()
        }
    if config.english:
        return {lang: [] for lang in sources}
    return {
        lang: _limited(knowledge.items(knowledge.facts(), lang, config.phrasing, config.seed), config)
        for lang in ("en", "ar")
    }


def trained_wordings(config: Config) -> dict[str, list[Sample]]:
    """The miniature questions in a wording that was trained."""
    return {
        lang: _limited(knowledge.items(knowledge.facts(), lang, "train", config.seed), config) for lang in ("en", "ar")
    }


def training_texts(config: Config, limit: int = 200) -> list[Sample]:
    """Some of the user's own samples, to look at the routing when there are no test items."""
    pairs = ((config.english, "en"), (config.second, config.second_language))
    return [sample for sources, lang in pairs for sample in data.read_samples(sources, lang)[:limit]]


def _limited(items: list[Sample], config: Config) -> list[Sample]:
    return items[: config.limit] if config.limit else items


def score_items(model: Any, tokenizer: Any, items: Sequence[Sample], *, letters: bool = False) -> dict[str, float]:
    """Chance of each item's right option to be ranked first among four.

    Options are ranked by the mean log-probability of their tokens after the bare question; with `letters`, by the
    log-probability of the option's letter after the question with its options.
    """
    questions = []
    for item in items:
        messages = item["messages"][:1] if letters else data.dialogue(item["question"])
        options = LETTERS[: len(item["options"])] if letters else item.get("candidates") or item["options"]
        pairs = [data.continuation(tokenizer, messages, option) for option in options]
        right = item["answer"] if letters or "candidates" not in item else 0
        questions.append(Question(str(item["id"]), pairs[0][0], tuple(answer for _, answer in pairs), right))
    scored = choice_scores(model, tokenizer, questions, "sum" if letters else "token")
    found = {
        question.id: expected_accuracy(values, question.answer, len(item["options"]))
        for question, values, item in zip(questions, scored, items, strict=True)
    }
    if len(found) < len(items):
        raise UserError("Evaluation items have repeated ids: give each row of a language its own id.")
    return found


def accuracies(
    model: Any, tokenizer: Any, tests: Mapping[str, list[Sample]], languages: tuple[str, str]
) -> tuple[dict[str, float], dict[str, dict[str, float]], dict[str, Any]]:
    """Metrics, units (paired by id for the bilingual score) and a table by source; nothing without items."""
    units: dict[str, dict[str, float]] = {}
    details: dict[str, Any] = {}
    if not all(tests.values()):
        return {}, units, details
    for kind, letters in (("accuracy", False), ("letter", True)):
        for lang in languages:
            units[f"{kind}_{lang}"] = score_items(model, tokenizer, tests[lang], letters=letters)
        first, second = (units[f"{kind}_{lang}"] for lang in languages)
        units[f"{kind}_bilingual"] = {key: (first[key] + second[key]) / 2 for key in first if key in second}
    details["paired"] = len(units["accuracy_bilingual"])
    details["tasks"] = {lang: _by_source(tests[lang], units[f"accuracy_{lang}"]) for lang in languages}
    metrics: dict[str, float] = {}
    for kind in ("accuracy", "letter"):
        means = [statistics.fmean(units[f"{kind}_{lang}"].values()) for lang in languages]
        summary = averages([means[0]], [means[1]])
        metrics |= {f"{kind}_{languages[0]}": means[0], f"{kind}_{languages[1]}": means[1]}
        metrics |= {f"{kind}_bilingual": summary["bilingual"], f"{kind}_gap": summary["gap"]}
    # With several tasks the published average is the plain mean of the tasks' scores.
    if (
        len(details["tasks"][languages[0]]) == len(details["tasks"][languages[1]]) > 1
        and "source" in tests[languages[0]][0]
    ):
        summary = averages(*(details["tasks"][lang].values() for lang in languages))
        metrics |= {f"task_average_{name}": value for name, value in summary.items()}
    return metrics, {name: values for name, values in units.items() if values}, details


def _by_source(items: Iterable[Sample], values: Mapping[str, float]) -> dict[str, float]:
    groups: dict[str, list[float]] = defaultdict(list)
    for item in items:
        groups[str(item.get("source", item.get("domain", "")))].append(values[str(item["id"])])
    return {source: statistics.fmean(group) for source, group in groups.items()}


def transfer(config: Config, values: Mapping[str, float]) -> dict[str, float]:
    """Accuracy in the second language on facts that were trained there, and on facts seen in English only."""
    seen = {fact.id for fact in knowledge.chosen(knowledge.facts(), config.second_facts, config.seed, "translated")}
    groups = {
        "seen": [v for k, v in values.items() if k in seen],
        "unseen": [v for k, v in values.items() if k not in seen],
    }
    return {
        f"accuracy_{config.second_language}_{name}": statistics.fmean(group) for name, group in groups.items() if group
    }


# -------------------------------------------------------------------------------------------------------- routing


@torch.inference_mode()
def expert_usage(model: Any, tokenizer: Any, samples: Sequence[Sample], batch: int = 32) -> dict[str, Any]:
    """Where tokens go, by language and by domain (source file, or relation).

    Returns:
        For each group: `share` (layers x experts, rows sum to 1), `entropy` in bits by layer, `tokens`, and `aux`, the
        load-balancing loss over the group (k at balance); and `distance`, the Jensen-Shannon distance by layer
        between each two languages.
    """
    groups: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        groups[sample["lang"]].append(sample)
        if domain := sample.get("domain") or sample.get("source"):
            groups[f"{sample['lang']}: {domain}"].append(sample)
    k = model.config.num_experts_per_tok
    usage: dict[str, Any] = {}
    for name, members in groups.items():
        logits = [_router_logits(model, tokenizer, members[i : i + batch]) for i in range(0, len(members), batch)]
        layers = [torch.cat(parts) for parts in zip(*logits, strict=True)]
        fraction, _ = expert_load(layers, k)
        share = fraction / k
        usage[name] = {
            "share": share.tolist(),
            "entropy": entropy(share).tolist(),
            "tokens": len(layers[0]),
            "aux": load_balancing_loss(layers, k).item(),
        }
    tongues = [name for name in usage if ": " not in name]
    shares = {name: torch.tensor(usage[name]["share"]) for name in tongues}
    usage["distance"] = {
        f"{a} {b}": jensen_shannon(shares[a], shares[b]).tolist()
        for i, a in enumerate(tongues)
        for b in tongues[i + 1 :]
    }
    return usage


def _router_logits(model: Any, tokenizer: Any, samples: Sequence[Sample]) -> list[torch.Tensor]:
    """Router logits of the real tokens, one matrix a layer."""
    rows = [data.encode(tokenizer, sample["messages"])["input_ids"][:1024] for sample in samples]
    length = max(map(len, rows))
    ids = torch.tensor([row + [tokenizer.pad_token_id] * (length - len(row)) for row in rows], device=model.device)
    mask = torch.tensor([[1] * len(row) + [0] * (length - len(row)) for row in rows], device=model.device)
    output = model(input_ids=ids, attention_mask=mask, output_router_logits=True, use_cache=False, logits_to_keep=1)
    return [logits.float()[mask.flatten().bool()].cpu() for logits in output.router_logits]


def usage_summary(usage: Mapping[str, Any], languages: tuple[str, str]) -> dict[str, float]:
    """Means over layers, before and after tuning, as metrics."""
    metrics = {}
    for stage, groups in usage.items():
        for lang in languages:
            metrics[f"entropy_{lang}_{stage}"] = statistics.fmean(groups[lang]["entropy"])
        metrics[f"aux_{stage}"] = statistics.fmean(groups[lang]["aux"] for lang in languages)
        metrics[f"language_distance_{stage}"] = statistics.fmean(groups["distance"][" ".join(languages)])
    return metrics


def usage_table(usage: Mapping[str, Any]) -> str:
    """Expert usage as text: one line a group and layer."""
    lines = ["expert usage (share of tokens, %)"]
    for stage, groups in usage.items():
        for name, group in groups.items():
            if name == "distance":
                continue
            for layer, share in enumerate(group["share"]):
                cells = " ".join(f"{100 * value:5.1f}" for value in share)
                lines.append(
                    f"  {stage:6s} {name:24s} layer {layer:2d}  {cells}   entropy {group['entropy'][layer]:.2f} bits"
                )
        for pair, distances in groups["distance"].items():
            cells = " ".join(f"{value:.3f}" for value in distances)
            lines.append(f"  {stage:6s} Jensen-Shannon distance {pair}, by layer: {cells}")
    return "\n".join(lines)


# ------------------------------------------------------------------------------------- sparsity and translation


def block_speed(width: int, seed: int, rounds: int = 5, calls: int = 10) -> dict[str, Any]:
    """Time one token through a sparse block (2 of 8 experts) and a dense one with as many weights.

    Rounds alternate between the two, so that a busy machine slows both; each round gives the ratio of two medians.

    Args:
        width: Of the residual stream; an expert is 3.5 times as wide, as in Mixtral.
        seed: Of the weights and the token.
        rounds: Ratios.
        calls: Timed calls a round and block.
    """
    from transformers import LlamaConfig, MixtralConfig
    from transformers.models.llama.modeling_llama import LlamaMLP
    from transformers.models.mixtral.modeling_mixtral import MixtralSparseMoeBlock

    inner, experts, k = width * 7 // 2, 8, 2
    config = MixtralConfig(
        hidden_size=width, intermediate_size=inner, num_local_experts=experts, num_experts_per_tok=k,
        num_attention_heads=1, num_key_value_heads=1,
    )  # fmt: skip
    config._experts_implementation = "eager"  # reads the chosen experts' weights and no others
    generator = torch.Generator().manual_seed(seed)
    blocks = {
        "sparse": MixtralSparseMoeBlock(config),
        "dense": LlamaMLP(LlamaConfig(hidden_size=width, intermediate_size=experts * inner, num_attention_heads=1)),
    }
    for block in blocks.values():
        for parameter in block.parameters():
            parameter.data.uniform_(-0.02, 0.02, generator=generator)
    token = torch.randn(1, 1, width, generator=generator)
    seconds: dict[str, list[float]] = {name: [] for name in blocks}
    ratios = {}
    with torch.inference_mode():
        for number in range(rounds + 1):
            for name, block in blocks.items():
                seconds[name].append(statistics.median(_seconds(block, token) for _ in range(calls)))
            if number:  # the first round warms up
                ratios[f"round {number}"] = seconds["dense"][-1] / seconds["sparse"][-1]
    weights = {"dense": 3 * width * inner * experts, "sparse": 3 * width * inner * k + experts * width}
    return {
        "ratio": statistics.median(ratios.values()),
        "ratios": ratios,
        "milliseconds": {name: 1000 * statistics.median(values[1:]) for name, values in seconds.items()},
        "weights_read": weights,
        # One token: two operations a weight read, so FLOPs and bytes have the same ratio.
        "flop_and_byte_ratio": weights["dense"] / weights["sparse"],
    }


def _seconds(call: Callable[[torch.Tensor], Any], token: torch.Tensor) -> float:
    start = time.perf_counter()
    call(token)
    return time.perf_counter() - start


def translation_exercise(
    seed: int, errors: float = 0.3, relapse: float = 0.3
) -> tuple[dict[str, float], list[dict[str, Any]]]:
    """The review loop on the miniature sentences with injected errors: quality before and after, human share.

    Grades are chrF of the back-translation, on which a dropped negation costs only a few points: the threshold is 90.
    """
    pairs = dict(knowledge.statements())
    records = translation.translate_corpus(
        list(pairs),
        knowledge.LexiconTranslator(errors, relapse, seed),
        knowledge.BackTranslationScorer(),
        knowledge.GoldReviewer(),
        threshold=90,
        seed=seed,
    )
    right = [(r.rounds[0].translation == pairs[r.source], r.translation == pairs[r.source]) for r in records]
    metrics = {
        "translation_right_first": statistics.fmean(first for first, _ in right),
        "translation_right_final": statistics.fmean(final for _, final in right),
        "translation_human_share": statistics.fmean(bool(r.reason) for r in records),
        "translation_rounds": statistics.fmean(len(r.rounds) for r in records),
    }
    return metrics, [record.to_json() for record in records]
