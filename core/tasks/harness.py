"""Items and their scorer as a task of lm-evaluation-harness, for those who run everything through it.

    export(folder, "multiloko_swahili", rows, scorer="papers.multiloko.use:harness_scores", metrics=("em", "f1"))

writes `multiloko_swahili.yaml`, its rows as JSON lines and a small module that calls our scorer, so that the harness
and this repository score by the same code:

    lm_eval --model hf --model_args pretrained=my-model --include_path folder --tasks multiloko_swahili

:func:`run` does the same from Python. The harness is `uv sync --group bench`.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from core.errors import UserError
from core.files import write_rows, write_text

Scorer = Callable[[Mapping[str, Any], str], Mapping[str, float]]
"""From a row and what the model wrote to its scores, one for each metric."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


def export(
    folder: Path,
    name: str,
    rows: Sequence[Mapping[str, Any]],
    *,
    scorer: str,
    metrics: Sequence[str],
    max_new_tokens: int = 128,
    stop: Sequence[str] = (),
) -> Path:
    """Write a task of free answers: `<name>.yaml`, `<name>.jsonl` and `<name>_scoring.py`.

    Args:
        folder: Where the harness looks for tasks, `--include_path`; several may lie in it.
        name: Of the task: letters, digits, `_`, `-` and `.`.
        rows: Each with `prompt`, which the model continues as it stands (the harness wraps it in a chat template with
            `--apply_chat_template`), and whatever the scorer needs, in types that JSON has and that are the same in
            every row.
        scorer: `module:function`, a :data:`Scorer` that can be imported where the harness runs.
        metrics: Names of its scores; their means over rows are what the harness reports.
        max_new_tokens: Longest answer.
        stop: An answer ends before the first of these.

    Returns:
        The YAML file.

    Raises:
        UserError: no row, one without `prompt`, or a name that is none.
    """
    if not _NAME.fullmatch(name):
        raise UserError(f"{name!r} is no name of a task: use letters, digits, '_', '-' and '.'.")
    if not rows or not all(isinstance(row.get("prompt"), str) and row["prompt"] for row in rows):
        raise UserError(f"Task {name} needs at least one row, and a prompt in each.")
    import yaml

    _found(scorer)
    module, _, function = scorer.partition(":")
    code = f"{re.sub(r'[^A-Za-z0-9_]', '_', name)}_scoring"
    settings = {
        "task": name,
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str((folder / f"{name}.jsonl").resolve())}},
        "test_split": "test",
        "output_type": "generate_until",
        "doc_to_text": "{{prompt}}",
        "doc_to_target": "",
        "generation_kwargs": {"until": list(stop), "max_gen_toks": max_new_tokens, "do_sample": False},
        "metric_list": [{"metric": metric, "aggregation": "mean", "higher_is_better": True} for metric in metrics],
        "metadata": {"version": 1.0},
    }
    write_rows(folder / f"{name}.jsonl", rows)
    write_text(
        folder / f"{code}.py",
        f'"""Scores of {name}, by the code that it comes from."""\n\nfrom {module} import {function}\n\n\n'
        f"def process_results(doc, results):\n    return dict({function}(doc, results[0]))\n",
    )
    # YAML writes no tag for a function of the harness's own kind: it is one line.
    text = yaml.safe_dump(settings, allow_unicode=True, sort_keys=False)
    path = folder / f"{name}.yaml"
    write_text(path, f"{text}process_results: !function {code}.process_results\n")
    return path


def run(model: Any, tokenizer: Any, folder: Path, names: Sequence[str], *, limit: int | None = None) -> dict[str, Any]:
    """Run exported tasks through the harness on a model that is loaded.

    Args:
        model: A causal language model.
        tokenizer: Its tokenizer.
        folder: Of :func:`export`.
        names: The tasks.
        limit: Rows of each task; None = all.

    Returns:
        By task its metrics, as the harness names them (`em,none`).

    Raises:
        UserError: the harness is not installed.
    """
    try:
        import lm_eval
        from lm_eval.models.huggingface import HFLM
        from lm_eval.tasks import TaskManager
    except ModuleNotFoundError as error:
        raise UserError(f"lm-evaluation-harness is not installed ({error}): `uv sync --group bench`.") from None
    found: Any = lm_eval.simple_evaluate(
        model=HFLM(pretrained=model, tokenizer=tokenizer, batch_size=8),
        tasks=list(names),
        task_manager=TaskManager(include_path=str(folder)),
        limit=limit,
        bootstrap_iters=0,
        verbosity="ERROR",
    )
    return dict(found["results"])


def _found(scorer: str) -> Scorer:
    module, _, function = scorer.partition(":")
    try:
        found = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise UserError(f"Scorer {scorer!r} cannot be imported ({error}): name it as module:function.") from None
    return found
