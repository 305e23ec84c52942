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
    irrelevant_question_with_functions     others                          complete                 refusal
    missing_required_parameters            f and others                    lacks a required value   question
    no_functions_available                 none                            complete                 answer

Low-rank adapters are trained by cross-entropy on what the assistant says, and on nothing else:

    L = -1/(sum_i |y_i|) sum_i sum_t log p(y_it | x_i, y_i,<t),      W = W_0 + (alpha / r) B A                       (3)

where i runs over the conversations of a step: its tokens weigh alike, whatever answer they stand in.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core.metrics.calls import undescribed
from core.tasks.samples import dialogue

if TYPE_CHECKING:
    from core.experiment.run import Run
    from core.training.config import TrainingConfig
    from core.worlds.base import Part
    from core.worlds.requests import Catalogue
    from papers.tucan.data import Chat

Item = Mapping[str, Any]
CALL_SCENARIOS = ("function_call_required", "multiple_functions_selection", "ambiguous_function_selection")
NO_CALL_SCENARIOS = ("irrelevant_question_with_functions", "missing_required_parameters", "no_functions_available")
SCENARIOS = CALL_SCENARIOS + NO_CALL_SCENARIOS
# Shares in training: half wants no call. Ours; the paper's are not released. Its test is taken to be balanced.
MIX: dict[str, float] = dict(zip(SCENARIOS, (0.17, 0.17, 0.16, 0.225, 0.225, 0.05), strict=True))
CALLS = dict.fromkeys(CALL_SCENARIOS, 1 / 3)
BALANCED = dict.fromkeys(SCENARIOS, 1 / 6)


# --- equation 1: one prompt layout, one call format -----------------------------------------------------------------


@dataclass(frozen=True)
class Tags:
    """What stands around a call."""

    start: str = "```tool_call"
    end: str = "```"


OFFICIAL = Tags()


@dataclass(frozen=True)
class Prompt:
    """Wording of the one user turn; `default_system` and `user` are for requests without functions.

    If `short`, schemas have no descriptions and blanks, a third of the length; else as the official scorer writes them.
    """

    system: str
    default_system: str
    functions_header: str
    query_header: str
    user: str
    tags: Tags
    short: bool

    def render(self, request: str, functions: Sequence[Mapping[str, Any]]) -> str:
        """The user turn: everything in one message, because Gemma-2 has no system role; functions as they are given."""
        if not functions:
            return f"{self.default_system}\n\n{self.user}: {request}"
        system = self.system.replace("{start}", self.tags.start).replace("{end}", self.tags.end)
        if self.short:
            schemas = json.dumps(undescribed(functions), ensure_ascii=False, separators=(",", ":"))
        else:
            schemas = json.dumps(functions, ensure_ascii=False, indent=2)
        return f"{system}\n\n{self.functions_header}\n{schemas}\n\n{self.query_header}\n{request}"


def render_call(name: str, arguments: Mapping[str, Any], tags: Tags = OFFICIAL) -> str:
    """The call that a model is trained to write. Cyrillic stays Cyrillic: escapes would ruin a small model."""
    call = json.dumps({"name": name, "arguments": arguments}, ensure_ascii=False)
    return f"{tags.start}\n{call}\n{tags.end}"


def conversation(item: Item, prompt: Prompt) -> Chat:
    """The chat form of an item: the request, and the gold call or the answer."""
    request, expected = prompt.render(item["user_message"], item["functions"]), item["expected_behavior"]
    if not expected["should_call_function"]:
        return dialogue(request, item["answer"])
    parameters = expected.get("expected_parameters") or {}
    return dialogue(request, render_call(expected["expected_function"], parameters, prompt.tags))


# --- equation 2: scenarios and mirrored languages -------------------------------------------------------------------


@dataclass(frozen=True)
class Draw:
    """One item without a language: the function that it is about, how it is asked for, and what is offered."""

    scenario: str
    name: str
    template: int
    values: tuple[tuple[str, Any], ...]
    missing: str
    offered: tuple[str, ...]
    wording: int


def draw(
    catalogue: Catalogue, scenario: str, name: str, functions: Sequence[str], part: Part, most: int, rng: random.Random
) -> Draw:
    """Equation 2 for one scenario and the function `name`; at most `most` other `functions` are offered."""
    others = [other for other in functions if other != name]
    few = rng.sample(others, min(len(others), rng.randint(1, most)))
    alike = [other for other in others if catalogue.topics[other] == catalogue.topics[name]] or few
    offered = {
        "function_call_required": [name],
        "ambiguous_function_selection": [name, *rng.sample(alike, min(len(alike), most))],
        "irrelevant_question_with_functions": few,
        "no_functions_available": [],
    }.get(scenario, [name, *few])
    template = rng.choice(catalogue.templates(name, part))
    lacks, options = scenario == "missing_required_parameters", scenario == "ambiguous_function_selection"
    missing = rng.choice(catalogue.droppable(name, template)) if lacks else ""
    values = catalogue.values_for(name, template, part, rng, without=missing, options=1.0 if options else 0.5)
    shown = tuple(rng.sample(offered, len(offered)))
    return Draw(scenario, name, template, values, missing, shown, rng.randrange(10**6))


def mirrored(catalogue: Catalogue, drawn: Draw, languages: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The same draw in every language: the gold call differs in the spelling of values alone, or not at all."""
    for language in languages:
        yield {"language": language, **render(catalogue, drawn, language)}


def render(catalogue: Catalogue, drawn: Draw, language: str) -> dict[str, Any]:
    """A draw in one language: the form in which it is scored, and the answer where it is no call."""
    request = catalogue.request(drawn.name, drawn.template, drawn.values, language)
    shown = [catalogue.functions[name] for name in drawn.offered]
    item = {"scenario_type": drawn.scenario, "user_message": request, "functions": shown}
    if drawn.scenario in CALL_SCENARIOS:
        gold = catalogue.arguments(drawn.name, drawn.values, language, request)
        called = {"should_call_function": True, "expected_function": drawn.name, "expected_parameters": gold}
        return {**item, "expected_behavior": called}
    kind = "text_clarification" if drawn.missing else "text_only"
    refrained = {"should_call_function": False, "expected_response_type": kind}
    asked = catalogue.tools[language][drawn.name].ask
    said = asked[drawn.missing] if drawn.missing else catalogue.refusals[language]
    said = said if drawn.offered else [catalogue.reply(drawn.name, drawn.values, language)]
    return {**item, "expected_behavior": refrained, "answer": said[drawn.wording % len(said)]}


# --- equation 3: the loss and the loop ------------------------------------------------------------------------------


def tune(
    model: Any, tokenizer: Any, chats: Sequence[Chat], rank: int, dropout: float,
    settings: TrainingConfig, run: Run, seed: int,
) -> Any:  # fmt: skip
    """Train adapters of the given rank on all linear layers, scaled by alpha / r = 2; the base is frozen.

    Labels are the tokens of the assistant's turns with what ends them.
    """
    from core.models.adapters import with_lora
    from core.models.tokenization import chat_rows
    from core.training.fit import fit
    from core.training.losses import causal_lm_loss

    rows = chat_rows(tokenizer, chats)
    adapted = with_lora(model, rank, alpha=2 * rank, dropout=dropout, checkpointing=settings.gradient_checkpointing)
    fit(adapted, rows, settings, run, loss_fn=causal_lm_loss, seed=seed)
    return adapted
