r"""The paper's scale: answers that are written, read and rewarded, in the language that was asked in.

prompt(tokenizer, "Was ist 3 + 4?", "de", forced=True)             # what the model reads, up to `<think> Gut, ...`
correct(r"So \boxed{\frac{1}{2}}", "0.5")                          # True: the last box, compared as a number
rewards(texts, answer="7", code="de", weights=(1.0, 0.1, 0.2))     # equation 3
off_tag(texts, codes)                                              # {"de": OffTarget(rate, judged, outputs)}
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from functools import cache
from pathlib import Path
from random import Random
from statistics import fmean
from typing import TYPE_CHECKING, Any

from core.errors import UserError
from core.files import load_yaml
from core.metrics.languages import OffTarget, off_target
from core.text.identification import identifier
from core.text.languages import match, same_language
from core.training.policy import weighted
from papers.parallel_scaling.config import ORDER, UNSEEN, Config
from papers.parallel_scaling.data import Problem, Question

if TYPE_CHECKING:
    from core.experiment.run import Run

LETTERS = 20
"""Letters from which on a language is told; below, an answer counts neither as in the language nor as off it."""
_MATH = re.compile(r"\$\$.*?\$\$|\$[^$]*\$|\\\[.*?\\\]|\\\(.*?\\\)|\\boxed\{[^}]*\}|\\\w+|</?think>", re.DOTALL)
_THOUGHT = re.compile(r"\s*(?:<think>)?(.*?)</think>(.*)", re.DOTALL)
# XReasoning's pattern: it stops at the first closing brace.
_FLAT_BOX = re.compile(r"\\boxed\{([^}]+?)\}")
_FRACTION = re.compile(r"\\[dt]?frac\{([^{}]+)\}\{([^{}]+)\}")
Identify = Callable[[str, str], str | None]


# --- what is asked --------------------------------------------------------------------------------------------------


@cache
def _wordings() -> dict[str, Any]:
    return load_yaml(Path(__file__).with_name("forcing.yaml"))


def prompt(tokenizer: Any, problem: str, code: str, *, forced: bool = False) -> str:
    """What a model reads: the problem and how to answer, in its chat format if it has one.

    Args:
        tokenizer: The model's.
        problem: The problem.
        code: Its language.
        forced: Ask in it to think in it, and begin the reasoning with a sentence in it ("prompt hacking" in reviews).

    Raises:
        UserError: There is no wording in this language.
    """
    found = _wordings()
    key = match(code, list(found["languages"])) if forced else None
    if forced and key is None:
        raise UserError(f"There is no wording to force {code!r}: languages are {', '.join(found['languages'])}.")
    how = found["languages"][key]["instruction"] if key else found["free"]
    text = f"{problem}\n\n{how}"
    if tokenizer.chat_template:
        message = [{"role": "user", "content": text}]
        text = tokenizer.apply_chat_template(message, tokenize=False, add_generation_prompt=True)
    else:
        text += "\n"
    # A template may have opened the block itself.
    opened = text if text.rstrip().endswith("<think>") else f"{text}<think>\n"
    return f"{opened}{found['languages'][key]['opening']}" if key else opened


# --- what is answered -----------------------------------------------------------------------------------------------


def boxes(text: str) -> list[str]:
    """What stands in the boxes of a text, nested braces included."""
    found = []
    for start in (one.end() for one in re.finditer(r"\\boxed\s*\{", text)):
        depth = 1
        for place in range(start, len(text)):
            depth += {"{": 1, "}": -1}.get(text[place], 0)
            if not depth:
                found.append(text[start:place].strip())
                break
    return found


def flat_boxes(text: str) -> list[str]:
    """The boxes as XReasoning reads them: up to the first closing brace, less a list of all four choices."""
    found = _FLAT_BOX.findall(text)
    if {"A", "B", "C", "D"} <= {*found}:
        for letter in "ABCD":
            found.remove(letter)
    return found


def correct(text: str, answer: str, extract: str = "last") -> bool:
    """Whether a text has the right answer: in its last box or, as XReasoning, in any of its flat ones."""
    if extract == "xreasoning":
        return answer in flat_boxes(text)
    found = boxes(text)
    return bool(found) and _normal(found[-1]) == _normal(answer)


def _normal(text: str) -> str | Fraction:
    """A number as its value; else the text without marks, blanks and words around it."""
    text = re.sub(r"\\(?:text|mathrm|textbf)\{([^{}]*)\}", r"\1", text.strip().strip("$").rstrip("."))
    text = re.sub(r"\\left|\\right|\\!|\\,|\\;|\s|(?<=\d),(?=\d{3}(?!\d))", "", text)
    value = _FRACTION.sub(r"\1/\2", text).removesuffix(r"\%").removesuffix("%")
    if letter := re.fullmatch(r"\(([A-Z])\)", text):
        return letter[1]
    if re.search(r"[eE][+-]?\d{4}", value):  # a number of thousands of digits, which would take minutes
        return text
    try:
        return Fraction(value)
    except (ValueError, ZeroDivisionError):
        return text


def reasoning(text: str) -> str:
    """What is thought, without formulas: what stands before `</think>`, or all of the text."""
    thought = _THOUGHT.match(text)
    return " ".join(_MATH.sub(" ", thought[1] if thought else text).split())


def _judged(identify: Identify) -> Identify:
    """An identifier that is not asked about a few letters."""

    def decide(text: str, code: str) -> str | None:
        return identify(text, code) if sum(map(str.isalpha, text)) >= LETTERS else None

    return decide


@cache
def _identifier() -> Identify:
    return _judged(identifier((*ORDER, *UNSEEN)))


def off_tag(texts: Sequence[str], codes: Sequence[str], identify: Identify | None = None) -> dict[str, OffTarget]:
    """By language, the share of answers whose reasoning is in another one, among those whose language can be told."""
    thoughts = [reasoning(text) or " . " for text in texts]
    return off_target(thoughts, codes, identify=_judged(identify) if identify else _identifier())


def parts(
    texts: Sequence[str], answer: str, code: str, identify: Identify | None = None
) -> Mapping[str, Sequence[float]]:
    """The three parts of the reward, each 0 or 1: the right box; one thinking block, then one box; the language.

    A language that cannot be told earns nothing: else the shortest reasoning would.
    """
    decide = _judged(identify) if identify else _identifier()
    found: dict[str, list[float]] = {"accuracy": [], "format": [], "language": []}
    for text in texts:
        thought, told = _THOUGHT.match(text), decide(reasoning(text), code)
        found["accuracy"].append(float(correct(text, answer)))
        whole = thought and "think>" not in thought[2] and len(boxes(thought[2])) == 1 and "<think>" not in thought[1]
        found["format"].append(float(bool(whole)))
        found["language"].append(float(told is not None and same_language(told, code)))
    return found


def rewards(
    texts: Sequence[str], answer: str, code: str, weights: Sequence[float], identify: Identify | None = None
) -> list[float]:
    """Equation 3 for answers to one problem."""
    return weighted(
        parts(texts, answer, code, identify), dict(zip(("accuracy", "format", "language"), weights, strict=True))
    )


def measure(
    model: Any, tokenizer: Any, asked: Mapping[str, Sequence[Question]], config: Config
) -> dict[str, dict[str, Any]]:
    """Accuracy of every item as a mean over samples, the off-tag rate, and some answers."""
    from core.inference.generation import generate

    right: dict[str, dict[str, float]] = {}
    rates, samples = [], {}
    for code, items in asked.items():
        prompts = [prompt(tokenizer, one.prompt, code, forced=config.forced) for one in items]
        texts = generate(
            model, tokenizer, [text for text in prompts for _ in range(config.samples)], top_p=0.95, seed=config.seed,
            max_new_tokens=config.max_new_tokens, temperature=config.temperature,
        )  # fmt: skip
        groups = [texts[start : start + config.samples] for start in range(0, len(texts), config.samples)]
        right[code] = {
            one.id: fmean(correct(text, one.answer, config.extract) for text in own)
            for one, own in zip(items, groups, strict=True)
        }
        off = off_tag(texts, [code] * len(texts))[code]
        rates += [off.rate] if off.judged else []
        samples[code] = [{"prompt": prompts[0], "output": texts[0], "wanted": items[0].answer}]
    return {"right": right, "metrics": {"off_tag": fmean(rates)} if rates else {}, "samples": samples}


# --- training -------------------------------------------------------------------------------------------------------


def train(
    model: Any, tokenizer: Any, asked: Sequence[tuple[Problem, str]], config: Config, run: Run, *,
    identify: Identify | None = None, name: str = "train",
) -> Any:  # fmt: skip
    """Train on (problem, language) in their order: by reward through trl, or on solutions (their answers without one).

    Returns:
        The trained model.
    """
    prompts = [prompt(tokenizer, one.prompts[code], code, forced=config.forced) for one, code in asked]
    if config.paradigm == "sft":
        from dataclasses import replace

        from core.models.tokenization import completion_row
        from core.training.fit import fit

        thoughts = [one.solutions.get(code, "") for one, code in asked]
        texts = [
            f"{thought}\n</think>\n\\boxed{{{one.answer}}}" for (one, _), thought in zip(asked, thoughts, strict=True)
        ]
        rows = [completion_row(tokenizer, before, text) for before, text in zip(prompts, texts, strict=True)]
        steps = max(1, len(rows) // config.training.batch_size)
        fit(model, rows, replace(config.training, steps=steps, shuffle=False), run, seed=config.seed, name=name)
        return model
    from datasets import Dataset
    from trl import GRPOTrainer

    rng = Random(f"permuted-{config.seed}")

    def score(completions: Sequence[str], answer: Sequence[str], code: Sequence[str], **_: Any) -> list[float | None]:
        triples = zip(completions, answer, code, strict=True)
        found = [rewards([text], wanted, own, config.weights, identify)[0] for text, wanted, own in triples]
        groups = [found[start : start + config.group] for start in range(0, len(found), config.group)]
        return [one for own in groups for one in (rng.sample(own, len(own)) if config.permuted else own)]

    columns = {"prompt": prompts, "answer": [one.answer for one, _ in asked], "code": [code for _, code in asked]}
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    trainer = GRPOTrainer(
        model, reward_funcs=score, args=settings(config, len(asked), str(run.path / name)),
        train_dataset=Dataset.from_dict(columns), processing_class=tokenizer,
    )  # fmt: skip
    trainer.train()
    return trainer.accelerator.unwrap_model(trainer.model)


def settings(config: Config, examples: int, folder: str) -> Any:
    """Our settings as trl's: a step has `batch_size` prompts with G answers each, in the order of the data.

    trl divides by the standard deviation of a sample plus 1e-4, as equation 4 does.
    """
    import torch
    from trl import GRPOConfig

    from core.distributed import world_size

    own = config.training
    answers, at_once = own.batch_size * config.group, (own.micro_batch_size or own.batch_size) * world_size()
    if answers % at_once:
        raise UserError(
            f"training.batch_size = {own.batch_size} prompts of {config.group} answers are no multiple of "
            f"{at_once}, the answers that all processes take at once: change training.micro_batch_size."
        )
    return GRPOConfig(
        output_dir=folder, max_steps=max(1, examples // own.batch_size), per_device_train_batch_size=at_once
        // world_size(), gradient_accumulation_steps=answers // at_once, num_generations=config.group,
        max_completion_length=config.max_new_tokens, temperature=1.0, beta=config.beta, epsilon=0.2,
        loss_type="grpo", scale_rewards="group", shuffle_dataset=False, learning_rate=own.learning_rate,
        lr_scheduler_type="constant", max_grad_norm=own.max_grad_norm, seed=config.seed, use_vllm=config.vllm,
        vllm_mode="colocate", gradient_checkpointing=own.gradient_checkpointing, bf16=own.precision == "bf16",
        use_cpu=not torch.cuda.is_available(), report_to=[], save_strategy="no", disable_tqdm=not sys.stderr.isatty(),
        logging_steps=own.log_every,
    )  # fmt: skip
