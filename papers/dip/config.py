"""Settings of every scale and variant.

Of the paper its abstract and first page could be read; no code, dictionary or benchmark of it is public. "not
recovered" marks what neither says; "ours, development split" was chosen on countries that are not tested on
(`results/settings.jsonl`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from core.errors import UserError
from core.experiment.config import Range, Seed, validate

if TYPE_CHECKING:
    from core.cost.steps import Simulation
    from core.cost.workload import Workload

Source = Literal["table", "aligned", "union", "llm"]
Share = Annotated[float, Range(0, 1)]


@dataclass(frozen=True)
class Config:
    """Each field says where its value comes from."""

    seed: Seed = 0
    """Draws questions, options, demonstrations, and which entries are kept or made wrong. Nothing is trained."""
    split: Literal["test", "dev"] = "test"
    """Whose countries the miniature asks about; settings were chosen on dev."""

    # the model and what it is asked
    model: str = "wheel:smollm2"
    """A causal language model: hub id, folder, wheel:<name>, or `toy`, a small untrained one. The paper has several
    open and closed ones; which is not recovered."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Number format of the forward pass; auto is bfloat16 where the hardware is fast in it."""
    benchmark: str = ""
    """English questions that are translated: gsm8k, svamp, aqua or date (the paper's four), or a file or hub dataset
    with `question`, `answer` and perhaps `options`. Empty: the miniature's."""
    questions: str = ""
    """Questions that are in their languages already: a file of such rows for each, `{language}` in its path. Empty:
    those of the benchmark are translated."""
    translator: str = "facebook/nllb-200-3.3B"
    """Translates the benchmark. NLLB (abstract); its size is that of Chain-of-Dictionary's code."""
    languages: tuple[str, ...] = ()
    """Empty = the miniature's ten. The paper: 10, and about 200 for GSM8K (abstract); Kazakh is one of the 10."""
    items: Annotated[int, Range(0)] = 0
    """Questions of each language: a sample (miniature) or the first ones; 0 = all."""
    think_in: Literal["pivot", "native"] = "pivot"
    """Language of the steps that are asked for; the pivot's in the paper."""
    max_new_tokens: Annotated[int, Range(1)] = 512
    """Room for an answer that is written; not recovered."""

    # the dictionary
    dictionary: Source = "table"
    """table: given entries. aligned: learnt from parallel sentences. union: both, the table's first. llm: asked of the
    model, question by question (the paper, by a third party's account)."""
    lexicon: str = ""
    """The table: a file of words and glosses for each language, `{language}` in its path (.tsv, .json). Empty: names of
    Unicode CLDR and the words of the miniature's questions."""
    parallel: str = ""
    """Sentences to learn from, a file for each language, `{language}` in its path. Empty: the
    miniature's questions about other countries."""
    pivot: str = "en"
    """Language of the glosses; English in the paper."""
    coverage: Share = 1.0
    """Share of the entries that are kept, drawn."""
    noise: Share = 0.0
    """Share of the entries whose gloss is that of another one, drawn."""

    # where it goes
    placement: Literal["none", "interleave", "prepend", "append", "replace", "shuffle"] = "interleave"
    """interleave is DIP, prepend and append its rivals; replace and shuffle are ours."""
    delimiter: Literal["paren", "means", "bracket"] = "paren"
    """`word (gloss)`, `word means gloss` (Chain-of-Dictionary's code) or `word [gloss]`; DIP's own is not recovered."""
    block: Literal["lines", "line"] = "lines"
    """Entries before or after the question have a line each (Chain-of-Dictionary's code), or share one."""
    rarest: Annotated[int, Range(0)] = 0
    """Insert only so many entries of a question, those with the rarest glosses; 0 = all (SLoW, the same group's)."""
    translated: bool = False
    """Ask the English wording instead, without a dictionary: the ceiling."""

    def __post_init__(self) -> None:
        """Refuse combinations that mean nothing."""
        validate(self)
        if not (self.benchmark or self.questions) and not self.items:
            raise UserError("The miniature's questions are sampled: say how many with --items.")
        if not (self.benchmark or self.questions) and self.pivot != "en":
            raise UserError(f"The miniature's glosses are English: leave --pivot {self.pivot} out.")
        if (self.benchmark or self.questions) and not self.languages:
            raise UserError("Name the languages that are asked with --languages.")
        for name in ("questions", "lexicon", "parallel"):
            path = getattr(self, name)
            if path and "{language}" not in path and len(self.languages) != 1:
                raise UserError(f"--{name} {path} is one file for several languages: put {{language}} into its path.")


TINY = Config(items=8)
# Kazakh is named by a third party's table of results; the other nine are not recovered and stand for families.
PAPER_LANGUAGES = (
    "kaz_Cyrl", "swh_Latn", "zul_Latn", "yor_Latn", "amh_Ethi", "khm_Khmr", "sin_Sinh", "kat_Geor", "eus_Latn",
    "cym_Latn",
)  # fmt: skip
_PAPER = Config(
    model="meta-llama/Llama-3.1-8B-Instruct", dtype="bfloat16", benchmark="gsm8k", languages=PAPER_LANGUAGES,
    dictionary="llm",
)  # fmt: skip

PRESETS: dict[str, Config] = {
    "smoke": Config(model="toy", languages=("sw", "th"), items=2),
    "tiny": TINY,
    "paper": _PAPER,
}

VARIANTS: dict[str, dict[str, Any]] = {
    "none": {"placement": "none"},
    "interleave": {},
    "prepend": {"placement": "prepend", "delimiter": "means"},
    "append": {"placement": "append", "delimiter": "means"},
    # controls
    "wrong": {"noise": 1.0},
    "shuffle": {"placement": "shuffle"},
    "replace": {"placement": "replace"},
    "english": {"placement": "none", "translated": True},
    # how much of a dictionary is needed
    "half": {"coverage": 0.5},
    "noisy": {"noise": 0.5},
    "rarest": {"rarest": 2},
    "learnt": {"dictionary": "aligned"},
}

# Tokens of a question with its instruction, of one word list that is asked for, and of an answer; assumed from GSM8K in
# byte-level vocabularies, where a word of Khmer or Amharic takes several tokens.
_QUESTION, _LIST, _ANSWER = 500, 300, 250
_SIZES = {"gsm8k": 1319, "svamp": 300, "aqua": 254, "date": 369}


def workload(config: Config) -> list[Workload]:
    """A dictionary and an answer for each question, for `papers plan`."""
    from core.cost.workload import Workload

    model = "wheel:smollm2" if config.model == "toy" else config.model
    if not config.benchmark:
        return [Workload(model, 10 * config.items * 120, "inference", "frozen", 256, 8, name="questions")]
    asked = len(config.languages) * (config.items or _SIZES.get(config.benchmark, 1000))
    lists = asked * (_QUESTION + _LIST) * (config.dictionary == "llm")
    return [Workload(model, asked * (_QUESTION + _ANSWER) + lists, "inference", "frozen", 1024, 16, name="answers")]


def simulation(config: Config) -> list[Simulation]:
    """Answers that are written behind the longest prompts, or scored (miniature), for `papers plan`."""
    from functools import partial

    from core.cost.steps import Simulation, pretrained, score, write

    model = pretrained("wheel:smollm2" if config.model == "toy" else config.model)
    if not config.benchmark:
        return [Simulation("questions", model, evaluate=partial(score, length=256))]
    return [Simulation("answers", model, evaluate=partial(write, prompt=1024, new=config.max_new_tokens))]
