"""Vega-MT: all directions first, then the one that is wanted; and text of one language, cleaned and pseudo-translated.

One encoder-decoder f(x, a -> b) reads `<a> x </s>` and writes `</s> <b> y </s>`. Of the pairs B_k of English and each
language k, training goes through steps of the same loss (label smoothed, core/training/seq2seq.py), at equal updates:

    D_multi = union over k of {(x -> y), (y -> x) : (x, y) in B_k}          multidirectional pre-training         (1)
    D_bi    = {(x -> y), (y -> x) : (x, y) in B_k},  D_uni = {(x -> y)}     specific-direction tuning             (2)
    p(a -> b) ∝ |D_ab|^(1/T)                                                sampling of directions                (3)

    x^ = f(f(x, a -> b), b -> a),  s = chrF(x, x^) / 100                    cycle translation of x in M_a:        (4)
         s >= keep: x stays;   low <= s < keep: x^ in its place;   s < low: dropped

    {(x, f(x, a -> b)) : x in B_a + M_a}  forward,  {(f(y, b -> a), y) : y in B_b + M_b}  backward                (5)
         bidirectional self-training: both, for both directions, with the genuine pairs at least a third of all

    theta <- (1 - w) theta_before + w theta_tuned                           generalisation tuning: a short one on (6)
         few pairs of many domains, averaged with what was there before

    P(y_t) = mean over checkpoints of P_i(y_t);  add a checkpoint while the development score improves            (7)

Previous work of the authors (BiT) begins with D_bi; Vega-MT scales it up to D_multi. Swapped pairs bring no new data.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import LogitsProcessor, LogitsProcessorList

from core.experiment.run import Run
from core.metrics.translation import sentence_chrf
from core.tasks.translation import Segment
from core.text.sampling import allocate
from core.training import seq2seq
from core.training.config import TrainingConfig

Direction = tuple[str, str]
Scope = Literal["multi", "bi", "uni"]
Translate = Callable[[Sequence[str], str, str], list[str]]
"""(texts, source, target) -> translations."""


def directions(scope: Scope, wanted: Direction, languages: Iterable[str], pivot: str = "en") -> list[Direction]:
    """Of (1) and (2): all directions from and into the pivot, both of the wanted pair, or the wanted one."""
    if scope == "multi":
        return [direction for code in languages for direction in ((pivot, code), (code, pivot))]
    return [wanted, wanted[::-1]] if scope == "bi" else [wanted]


def sample(parts: Sequence[Segment], temperature: float) -> list[Segment]:
    """(3) As many segments, the directions' shares flattened; T = 1 takes each once."""
    groups: dict[str, list[Segment]] = defaultdict(list)
    for part in parts:
        groups[part.direction].append(part)
    drawn = allocate({name: len(group) for name, group in groups.items()}, len(parts), temperature=temperature)
    return [groups[name][number % len(groups[name])] for name in groups for number in range(drawn[name].draws)]


def train(
    model: Any, tokenizer: Any, parts: Sequence[Segment], settings: TrainingConfig, run: Run, seed: int, name: str,
    *, smoothing: float = 0.1, longest: int = 256, bucket: bool = False,
) -> None:  # fmt: skip
    """One step of the recipe: train a model, in place, on segments of any directions."""
    groups: dict[Direction, list[Segment]] = defaultdict(list)
    for part in parts:
        groups[part.source, part.target].append(part)
    rows: list[seq2seq.Row] = []
    for direction, group in groups.items():
        texts = [part.source_text for part in group], [part.target_text for part in group]
        rows += seq2seq.pairs(tokenizer, *texts, *direction, longest)
    pad = tokenizer.pad_token_id
    seq2seq.train(model, rows, settings, run, seed, pad=pad, smoothing=smoothing, bucket=bucket, name=name)


# --- text of one language ---------------------------------------------------------------------------------------------


class Cleaned(NamedTuple):
    """A line after its round trip: `text` is the line itself, its round trip, or empty where it is dropped."""

    line: str
    text: str
    score: float
    verdict: Literal["kept", "replaced", "dropped"]


def cycle_translate(
    lines: Sequence[str], forward: Callable[[Sequence[str]], list[str]], backward: Callable[[Sequence[str]], list[str]],
    keep: float = 0.8, low: float = 0.3,
) -> list[Cleaned]:  # fmt: skip
    """(4) Lines of one language, cleaned by the way there and back; any two translators will do."""
    found = []
    for line, returned in zip(lines, backward(forward(lines)), strict=True):
        score = sentence_chrf(returned, line) / 100
        if score >= keep:
            found.append(Cleaned(line, line, score, "kept"))
        elif score >= low:
            found.append(Cleaned(line, returned, score, "replaced"))
        else:
            found.append(Cleaned(line, "", score, "dropped"))
    return found


def bidirectional_pseudo(
    genuine: Sequence[Segment], monolingual: Mapping[str, Sequence[str]], translate: Translate,
    kinds: Iterable[Literal["forward", "backward"]] = ("forward", "backward"),
) -> list[Segment]:  # fmt: skip
    """(5) Pseudo pairs of the directions that genuine pairs have; `forward/monolingual/3` says where one is from."""
    found: list[Segment] = []
    known: dict[Direction, dict[str, str]] = defaultdict(dict)

    def translations(texts: Sequence[str], source: str, target: str) -> list[str]:
        table = known[source, target]
        if new := [text for text in dict.fromkeys(texts) if text not in table]:
            table.update(zip(new, translate(new, source, target), strict=True))
        return [table[text] for text in texts]

    for a, b in dict.fromkeys((part.source, part.target) for part in genuine):
        own = [part for part in genuine if (part.source, part.target) == (a, b)]
        for kind in kinds:
            here, there = (a, b) if kind == "forward" else (b, a)
            side = [part.source_text if kind == "forward" else part.target_text for part in own]
            for origin, texts in (("bilingual", side), ("monolingual", list(monolingual.get(here, ())))):
                for number, (text, pseudo) in enumerate(zip(texts, translations(texts, here, there), strict=True)):
                    pair = (text, pseudo) if kind == "forward" else (pseudo, text)
                    found += [Segment(f"{kind}/{origin}/{number}", a, b, *pair)] if pseudo else []
    return found


def mixed(genuine: Sequence[Segment], pseudo: Sequence[Segment]) -> list[Segment]:
    """Genuine pairs, repeated until they are a third of all, and pseudo pairs."""
    times = max(1, -(-len(pseudo) // (2 * len(genuine))))
    return [*list(genuine) * times, *pseudo]


def shares(parts: Sequence[Segment]) -> dict[str, float]:
    """What a mix consists of: `{"genuine": .34, "forward/monolingual": .2, ...}`."""
    counts = Counter(part.item.rpartition("/")[0] or "genuine" for part in parts)
    return {name: count / len(parts) for name, count in sorted(counts.items())}


# --- decoding ---------------------------------------------------------------------------------------------------------


class Ensemble:
    """(7) Several checkpoints as one for `generate`, greedy or with beams: their probabilities are averaged."""

    def __init__(self, models: Sequence[Any]) -> None:
        self.models = list(models)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.models[0], name)

    def generate(self, input_ids: Int[Tensor, "row length"], attention_mask: Tensor, **options: Any) -> Tensor:
        """As of the first model, with the others' opinion of every token."""
        beams, others = options.get("num_beams", 1), []
        for model in self.models[1:]:
            states = model.get_encoder()(input_ids=input_ids, attention_mask=attention_mask)[0]
            others.append((model, states.repeat_interleave(beams, 0)))
        mask = attention_mask.repeat_interleave(beams, 0)

        class Mean(LogitsProcessor):
            def __call__(
                self, input_ids: Int[Tensor, "beam written"], scores: Float[Tensor, "beam vocabulary"]
            ) -> Tensor:
                found = [scores.log_softmax(-1)]
                for model, states in others:
                    read = {"encoder_outputs": (states,), "attention_mask": mask, "decoder_input_ids": input_ids}
                    found.append(model(**read).logits[:, -1].float().log_softmax(-1))
                return torch.stack(found).logsumexp(0) - torch.log(torch.tensor(len(found)))

        options["logits_processor"] = LogitsProcessorList([Mean()])
        return self.models[0].generate(input_ids=input_ids, attention_mask=attention_mask, **options)


def greedy_ensemble(candidates: Sequence[Any], score: Callable[[Any], float]) -> list[int]:
    """(7) Places of the checkpoints to decode with: the best one, and each further one that improves the score."""
    scores = [score(candidate) for candidate in candidates]
    first, *others = sorted(range(len(scores)), key=lambda place: -scores[place])
    chosen, best = [first], scores[first]
    for place in others:
        found = score(Ensemble([candidates[other] for other in (*chosen, place)]))
        if found > best:
            chosen, best = [*chosen, place], found
    return chosen
