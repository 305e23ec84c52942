"""Settings of every scale and variant.

"code" marks the official scripts (claws-lab/XLingEval, commit 75ac9c8), "ours" what they do not have. The miniature's
own values were chosen on questions that are not tested on (`results/settings.jsonl`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

from core.errors import UserError
from core.experiment.config import Range, Seed, validate

if TYPE_CHECKING:
    from core.cost.steps import Simulation
    from core.cost.workload import Workload

Axis = Literal["correctness", "consistency", "verifiability"]
AXES: tuple[Axis, ...] = get_args(Axis)
STAND_INS = ("even", "uneven")


@dataclass(frozen=True)
class Config:
    """Each field says where its value comes from."""

    seed: Seed = 0
    """Draws wrong answers, samples K answers, and what stand-ins say. Nothing is trained."""
    split: Literal["test", "dev"] = "test"
    """Which questions of the miniature; settings were chosen on dev."""

    # who is asked, and what
    model: str = "wheel:smollm2"
    """A causal model (hub id, folder, wheel), an encoder with `score = cosine`, a stand-in of known faults (`even`,
    `uneven`), or `toy`, a small untrained one. GPT-3.5 and MedAlpaca in the paper."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Number format of the forward pass."""
    device_map: str | None = None
    """`auto` spreads a model over all GPUs."""
    source: str = ""
    """A table of questions in one of the layouts of `data.py`; empty: the miniature's."""
    languages: tuple[str, ...] = ("es", "zh", "hi")
    """Beside English; the paper's. None: English alone, for a control arm."""
    limit: Annotated[int, Range(0)] = 0
    """Only so many questions; 0 = all."""
    axes: tuple[Axis, ...] = AXES
    """What is measured."""

    # correctness
    judge: str = "likelihood"
    """Who labels: `likelihood` (no answer is written: the label is which of expert's, contradictory and unrelated
    answer the question makes likeliest), `nearest` (whose vector is next to the answer's), a chat model, or a file of
    its replies (`requests` keeps the prompts for it and labels nothing). The paper's is the model itself. The first two
    know no more and less: what agrees counts as more."""
    max_new_tokens: Annotated[int, Range(1)] = 12
    """Longest answer; 1,000 (code). In the miniature it is that of an English answer: in other languages as many more
    as experts' answers take there, so that answers are cut at like lengths and not after a few Hindi words."""

    # consistency
    samples: Annotated[int, Range(2)] = 3
    """K; 10 (code)."""
    temperatures: tuple[Annotated[float, Range(0)], ...] = (0.5,)
    """0, .25, .5, .75 and 1 (code). The last one is judged, the others stand in the details. At 1 SmolLM2 writes no
    sentence in any language (dev)."""
    sampled: Annotated[int, Range(0)] = 10
    """Only so many questions are answered K times; 0 = all."""
    encoder: str = "wheel:e5-small"
    """Sentence vectors; bert-base-uncased over translations (code), here a multilingual one over the answers."""
    back_translate: str = ""
    """Encoder-decoder that translates answers to English before they are compared; Google Translate (code)."""
    topics: Annotated[int, Range(0)] = 10
    """Of the topic model (LDA); 10 to 500 (code)."""

    # verifiability
    negatives: Annotated[int, Range(1)] = 2
    """Wrong answers to a question, others with every seed; 4, and 9 in HealthQA (code)."""
    score: Literal["likelihood", "verdict", "cosine"] = "likelihood"
    """`verdict` is the paper's Yes or No. `likelihood` is how much likelier the question makes the answer (ours),
    `cosine` how close an encoder puts the two."""
    shuffled: bool = False
    """Ask for each answer under another question, to which no candidate is right (null arm)."""

    def __post_init__(self) -> None:
        """Refuse combinations that mean nothing."""
        validate(self)
        if not self.axes or not self.temperatures:
            raise UserError("--axes and --temperatures need at least one value each.")
        if "en" in self.languages:
            raise UserError("--languages names those that are compared with English: leave en out.")
        if self.model in STAND_INS and (self.source or self.judge == "likelihood" or self.score != "verdict"):
            raise UserError(f"{self.model!r} speaks of the miniature's questions: --judge nearest --score verdict.")
        if self.score == "cosine" and self.axes != ("verifiability",):
            raise UserError("An encoder writes nothing: --score cosine goes with --axes verifiability.")


_STAND_IN: dict[str, Any] = {"source": "", "judge": "nearest", "score": "verdict", "back_translate": ""}
_VERIFIER: dict[str, Any] = {"axes": ("verifiability",)}
PRESETS: dict[str, Config] = {
    "smoke": Config(
        model="toy", encoder="toy", languages=("es", "hi"), limit=3, negatives=1, samples=2, sampled=2, topics=0,
        max_new_tokens=3,
    ),
    "tiny": Config(),
    "paper": Config(
        model="meta-llama/Llama-3.1-8B-Instruct", dtype="bfloat16", device_map="auto",
        source="data/XLingHealth_LiveQA.tsv", judge="meta-llama/Llama-3.1-8B-Instruct", max_new_tokens=1000,
        samples=10,
        temperatures=(0.0, 0.25, 0.5, 0.75, 1.0), sampled=0, encoder="google-bert/bert-base-multilingual-uncased",
        back_translate="facebook/nllb-200-distilled-1.3B", topics=20, negatives=4, score="verdict",
    ),
}  # fmt: skip

VARIANTS: dict[str, dict[str, Any]] = {
    "model": {},
    # the control is about English
    "shuffled": {**_VERIFIER, "shuffled": True, "languages": ()},
    "e5": {**_VERIFIER, "model": "wheel:e5-small", "score": "cosine"},
    "even": {**_STAND_IN, "model": "even"},
    "uneven": {**_STAND_IN, "model": "uneven"},
}

# LiveQA: 246 questions, 1,230 answers to be judged, four languages; tokens of a prompt with an answer of 115 words in
# three scripts, and of an answer, are assumed.
_QUESTIONS, _LANGUAGES, _PROMPT, _ANSWER = 246, 4, 400, 300


def workload(config: Config) -> list[Workload]:
    """What is asked of the model, of its judge and of the translator, for `papers plan`."""
    from core.cost.workload import Workload

    def asked(model: str, tokens: float, name: str) -> Workload:
        return Workload(model, int(tokens), "inference", "frozen", 2048 if config.source else 512, 16, name=name)

    if not config.source:
        read = 24 * _LANGUAGES * (3 + config.negatives) * 120
        model = config.model if config.model.startswith("wheel:") else "wheel:smollm2"
        return [asked(model, read, "answers")]
    questions, temperatures = _QUESTIONS * _LANGUAGES, len(config.temperatures)
    sampled = questions * temperatures * config.samples
    return [
        asked(config.model, questions * (_PROMPT + _ANSWER), "correctness"),
        asked(config.judge, questions * (2 * _PROMPT + _ANSWER), "judge"),
        asked(config.model, sampled * (_PROMPT + _ANSWER), "consistency"),
        asked(config.back_translate, sampled * 0.75 * 2 * _ANSWER, "back-translation"),
        asked(config.model, questions * temperatures * (1 + config.negatives) * _PROMPT, "verifiability"),
    ]


def simulation(config: Config) -> list[Simulation]:
    """An answer of model and judge behind the longest prompts, for `papers plan`."""
    from functools import partial

    from core.cost.steps import Simulation, pretrained, write

    names = {"answers": config.model} | ({"judge": config.judge} if config.source else {})
    prompt, new = (2048, config.max_new_tokens) if config.source else (384, config.max_new_tokens)
    return [
        Simulation(
            name,
            pretrained(model if "/" in model or model.startswith("wheel:") else "wheel:smollm2"),
            evaluate=partial(write, prompt=prompt, new=new),
        )
        for name, model in names.items()
    ]
