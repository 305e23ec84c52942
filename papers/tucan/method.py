"""TUCAN: teach a chat model that speaks a language to call functions in it, and when not to.

The model gets a request u and function schemas F in one user turn, and answers with text or with one fenced call:

    x = s + json(F) + u,      y = fence {"name": f, "arguments": a} fence   or   an answer, a question, a refusal    (1)

The data are drawn in six scenarios z, of which three want a call and three do not, and every draw is put into words
in every language, so that mirrored items share their gold call:

    z ~ mix,    (f, template, values, F) ~ p( . | z),    item_l = render(draw, l)  for every language l              (2)

    z                                      F                               u                        y
    function_call_required                 {f}                             complete                 call
    multiple_functions_selection           f and others                    complete                 call
    ambiguous_function_selection           f and those most like it        complete, with options   call
    irrelevant_question_with_functions     others                          complete, or a question  refusal, answer
    missing_required_parameters            f and others                    lacks a required value   question
    no_functions_available                 none                            complete, or a question  answer

Low-rank adapters are trained by cross-entropy on what the assistant says, and on nothing else:

    L = -1/|y| sum_t log p(y_t | x, y_<t),      W = W_0 + (alpha / r) B A                                            (3)
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from core.experiment.run import Run
    from core.training.config import TrainingConfig
    from core.training.fit import FitResult
    from papers.tucan.catalogue import Catalogue, Part

Item = Mapping[str, Any]
CALL_SCENARIOS = ("function_call_required", "multiple_functions_selection", "ambiguous_function_selection")
NO_CALL_SCENARIOS = ("irrelevant_question_with_functions", "missing_required_parameters", "no_functions_available")
SCENARIOS = CALL_SCENARIOS + NO_CALL_SCENARIOS
# Shares in training: a quarter wants no call. Ours; the paper's are not released. Its test is taken to be balanced.
MIX: dict[str, float] = dict(zip(SCENARIOS, (0.25, 0.25, 0.25, 0.1, 0.1, 0.05), strict=True))
BALANCED = dict.fromkeys(SCENARIOS, 1 / 6)


# --- equation 1: one prompt layout, one call format -----------------------------------------------------------------


@dataclass(frozen=True)
class Tags:
    """What stands around a call and around a function's result."""

    start: str = "```tool_call"
    end: str = "```"
    result_start: str = "```tool_result"
    result_end: str = "```"


@dataclass(frozen=True)
class Prompt:
    """Wording of the one user turn.

    Attributes:
        system: First paragraph when there are functions; `{start}`, `{end}` and `{result}` stand for the tags.
        default_system: First paragraph when there are none, before the request of `user`.
        functions_header: Line before the schemas.
        query_header: Line before the request.
        indent: Indentation of the schemas' JSON; None writes them without any blank, a third of the length.
        descriptions: Keep the descriptions of functions and parameters.
    """

    system: str
    default_system: str
    functions_header: str
    query_header: str
    user: str
    tags: Tags = Tags()
    indent: int | None = 2
    descriptions: bool = True

    def render(self, request: str, functions: Sequence[Mapping[str, Any]]) -> str:
        """The user turn: everything in one message, because Gemma-2 has no system role; functions as they are given."""
        if not functions:
            return f"{self.default_system}\n\n{self.user}: {request}"
        system = self.system.replace("{start}", self.tags.start).replace("{end}", self.tags.end)
        system = system.replace("{result}", self.tags.result_start)
        shown = functions if self.descriptions else [undescribed(function) for function in functions]
        separators = None if self.indent else (",", ":")
        schemas = json.dumps(shown, ensure_ascii=False, indent=self.indent, separators=separators)
        return f"{system}\n\n{self.functions_header}\n{schemas}\n\n{self.query_header}\n{request}"


def undescribed(schema: Any, named: bool = False) -> Any:
    """A function or schema without its descriptions; a property may be *named* description, and stays."""
    if isinstance(schema, list):
        return [undescribed(element) for element in schema]
    if not isinstance(schema, Mapping):
        return schema
    kept = {key: value for key, value in schema.items() if named or key != "description"}
    return {key: undescribed(value, named=key == "properties" and not named) for key, value in kept.items()}


def render_call(name: str, arguments: Mapping[str, Any], tags: Tags = Tags()) -> str:
    """The call that a model is trained to write. Cyrillic stays Cyrillic: escapes would ruin a small model."""
    call = json.dumps({"name": name, "arguments": arguments}, ensure_ascii=False)
    return f"{tags.start}\n{call}\n{tags.end}"


def conversation(item: Item, prompt: Prompt) -> list[dict[str, str]]:
    """The chat form of an item: request, call or answer; with `result` and `final` also what the function returned (in
    the user's role: Gemma-2 knows no other) and the answer that follows from it.
    """
    expected = item["expected_behavior"]
    if expected["should_call_function"]:
        answer = render_call(expected["expected_function"], expected.get("expected_parameters") or {}, prompt.tags)
    else:
        answer = item["answer"]
    turns = [("user", prompt.render(item["user_message"], item["functions"])), ("assistant", answer)]
    if item.get("final"):
        result = json.dumps(item.get("result"), ensure_ascii=False)
        block = f"{prompt.tags.result_start}\n{result}\n{prompt.tags.result_end}"
        turns += [("user", block), ("assistant", item["final"])]
    return [{"role": role, "content": content} for role, content in turns]


# --- equation 2: scenarios and mirrored languages -------------------------------------------------------------------


@dataclass(frozen=True)
class Draw:
    """One item without a language: the function that it is about, a template or a general question, what is shown."""

    scenario: str
    name: str
    template: int = 0
    keys: tuple[tuple[str, str], ...] = ()
    missing: str = ""
    offered: tuple[str, ...] = ()
    question: int | None = None
    wording: int = 0


def draw(
    catalogue: Catalogue, scenario: str, name: str, functions: Sequence[str], part: Part, most: int, rng: random.Random
) -> Draw:
    """Equation 2 for one scenario and the function `name`: what is offered, what is asked, what is left out.

    At most `most` other functions are offered; beside a general question, `name` itself is one of those that are.
    """
    most = max(1, most)
    others = [other for other in functions if other not in {name, *catalogue.synonyms(name)}]
    few = rng.sample(others, min(len(others), rng.randint(1, most)))
    alike = [other for other in others if catalogue.topic(other) == catalogue.topic(name)] or few
    general = scenario in ("irrelevant_question_with_functions", "no_functions_available") and rng.random() < 0.5
    questions = catalogue.questions_of(part) if general else []
    offered = {
        "function_call_required": [name],
        "ambiguous_function_selection": [name, *rng.sample(alike, min(len(alike), most))],
        "irrelevant_question_with_functions": [name, *few[1:]] if questions else few,
        "no_functions_available": [],
    }.get(scenario, [name, *few])
    template = rng.choice(catalogue.templates(name, part))
    lacks, options = scenario == "missing_required_parameters", scenario == "ambiguous_function_selection"
    missing = rng.choice(catalogue.droppable(name, template)) if lacks else ""
    keys = catalogue.values_for(name, template, part, rng, without=missing, options=1.0 if options else 0.5)
    question = rng.choice(questions) if questions else None
    shown = tuple(rng.sample(offered, len(offered)))
    return Draw(scenario, name, template, keys, missing, shown, question, rng.randrange(10**6))


def mirrored(catalogue: Catalogue, drawn: Draw, languages: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The same draw in every language: the gold call differs in the spelling of values alone, or not at all."""
    for language in languages:
        yield {"language": language, **catalogue.render(drawn, language)}


# --- equation 3: the loss and the loop ------------------------------------------------------------------------------


def training_rows(tokenizer: Any, chats: Sequence[list[dict[str, str]]], loss_on: str) -> list[dict[str, list[int]]]:
    """Tokens of conversations; labels on the assistant's turns with their end tokens, or on everything."""
    from core.models.tokenization import chat_rows

    rows = chat_rows(tokenizer, chats)
    return rows if loss_on == "assistant" else [{**row, "labels": list(row["input_ids"])} for row in rows]


def tune(
    model: Any, rows: Sequence[Mapping[str, list[int]]], rank: int, settings: TrainingConfig, run: Run, seed: int
) -> tuple[Any, FitResult]:
    """Train adapters of the given rank on all linear layers, scaled by alpha / r = 2; the base is frozen."""
    from core.models.adapters import with_lora
    from core.training.fit import fit
    from core.training.losses import causal_lm_loss

    adapted = with_lora(model, rank, alpha=2 * rank, checkpointing=settings.gradient_checkpointing)
    return adapted, fit(adapted, rows, settings, run, loss_fn=causal_lm_loss, seed=seed)
