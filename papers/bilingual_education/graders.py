"""Two graders behind one interface: `fit(answers)`, `score(answers)`, and a folder that both are written to.

grader = LanguageGrader("meta-llama/Llama-3.1-8B-Instruct")        # (1) and (2): LoRA on a causal model
grader = EncoderGrader("wheel:e5-small")                           # (3): a regression on a frozen encoder
grader.fit(answers, run); grader.calibrate(others); grader.save(folder)
load_grader(folder).probabilities(answers)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from core.errors import UserError
from core.experiment.run import Run, is_main_process
from core.files import load_facts, write_json
from papers.bilingual_education import method
from papers.bilingual_education.config import ALPHA, LORA_RANK, TARGETS, Config
from papers.bilingual_education.method import ACCEPTABLE, UNACCEPTABLE, Answer, Array, Calibration

if TYPE_CHECKING:
    from core.training.config import TrainingConfig

Embed = Callable[[Sequence[str]], Array]
FACTS = ("kind", "base", "slope", "shift", "bias", "threshold", "prompt", "tuned")


def accepted(answers: Sequence[Answer]) -> Array:
    """1.0 where the right grade is "Acceptable"."""
    return np.array([float(one.grade == ACCEPTABLE) for one in answers])


def encoder(base: str) -> Embed:
    """Vectors of length 1 by a frozen encoder, pooled as its authors do."""
    from core.models.embedding import load_encoder

    loaded = load_encoder(base)
    loaded = replace(loaded, pooling=replace(loaded.pooling, normalize=True))
    return lambda texts: loaded(texts).vectors.numpy()


class Grader:
    """What both have in common: a threshold and a calibration of the margins.

    Attributes:
        base: Hub id, folder or wheel of the model.
        threshold: Margins above it are accepted.
        calibration: From margins to probabilities.
        tuned: Whether it has learnt from graded answers.
    """

    kind: Literal["encoder", "lora"]

    def __init__(self, base: str) -> None:
        self.base, self.threshold, self.calibration, self.tuned = base, 0.0, Calibration(), False

    def score(self, answers: Sequence[Answer]) -> Array:
        """Margins, one an answer."""
        raise NotImplementedError

    def grades(self, margins: Array) -> list[str]:
        """The grade of every margin."""
        return [ACCEPTABLE if margin > self.threshold else UNACCEPTABLE for margin in margins]

    def calibrate(self, answers: Sequence[Answer]) -> None:
        """Fit probabilities to graded answers that it has not learnt from."""
        self.calibration = method.calibrate(self.score(answers), accepted(answers))

    def accept_half(self, answers: Sequence[Answer]) -> None:
        """Without any grade: accept what has a greater margin than half of these answers, of all conditions."""
        self.threshold = float(np.median(self.score(answers)))

    def probabilities(self, answers: Sequence[Answer]) -> Array:
        """That each answer is acceptable, in [0, 1]."""
        return self.calibration.probabilities(self.score(answers))

    def _facts(self) -> dict[str, Any]:
        return {
            "kind": self.kind, "base": self.base, "threshold": self.threshold, "slope": self.calibration.slope,
            "shift": self.calibration.shift, "bias": 0.0, "prompt": "asking", "tuned": self.tuned,
        }  # fmt: skip


class EncoderGrader(Grader):
    """A frozen encoder; untuned, its margin is the cosine of question and answer."""

    kind = "encoder"

    def __init__(self, base: str, embed: Embed | None = None, prior: float = Config.prior) -> None:
        """
        Args:
            base: The encoder.
            embed: Vectors of length 1 for texts, instead of loading it.
            prior: Of the regression.
        """
        super().__init__(base)
        self.weights, self.bias, self.prior, self._embed = np.zeros(0), 0.0, prior, embed

    def score(self, answers: Sequence[Answer]) -> Array:
        """Cosines, or d of (3)."""
        questions, essays = self._vectors(answers)
        if not self.tuned:
            return (questions * essays).sum(1)
        return method.relations(questions, essays) @ self.weights + self.bias

    def fit(self, answers: Sequence[Answer]) -> None:
        """Learn the regression."""
        features = method.relations(*self._vectors(answers))
        self.weights, self.bias = method.regress(features, accepted(answers), self.prior)
        self.tuned, self.threshold = True, 0.0

    def save(self, folder: Path) -> None:
        """Write the regression; the encoder is not changed."""
        from safetensors.numpy import save_file

        folder.mkdir(parents=True, exist_ok=True)
        save_file({"weights": self.weights}, folder / "regression.safetensors")
        write_json(folder / "grader.json", self._facts() | {"bias": self.bias})

    def _vectors(self, answers: Sequence[Answer]) -> tuple[Array, Array]:
        self._embed = self._embed or encoder(self.base)
        texts = list(dict.fromkeys([text for one in answers for text in (one.question, one.essay)]))
        vectors = dict(zip(texts, self._embed(texts), strict=True))
        return tuple(np.stack([vectors[t] for t in side]) for side in zip(*map(_texts, answers), strict=True))  # type: ignore[return-value]


def _texts(answer: Answer) -> tuple[str, str]:
    return answer.question, answer.essay


class LanguageGrader(Grader):
    """A causal language model, as it is or with LoRA."""

    kind = "lora"

    def __init__(
        self, base: str, *, same_prompt: bool = False, shots: Sequence[Answer] = (), quantized: bool = False,
        loaded: Any = None, dtype: str = "auto",
    ) -> None:  # fmt: skip
        """
        Args:
            base: The model.
            same_prompt: Train with the prompt that asks; officially they differ.
            shots: Graded answers before each one that is asked for.
            quantized: In 4 bit (needs CUDA).
            loaded: Model and tokenizer, instead of loading them.
            dtype: Number format of the base.
        """
        from core.models import loading

        super().__init__(base)
        self.form: method.Form = "asking" if same_prompt else "training"
        self.shots = tuple(shots)
        options: dict[str, Any] = {"quantization": "nf4"} if quantized else {}
        model: Any
        tokenizer: Any
        model, tokenizer = loaded or loading.load(base, dtype=dtype, **options)
        self.model, self.tokenizer = model, tokenizer

    def score(self, answers: Sequence[Answer]) -> Array:
        """d of (1)."""
        return method.margins(self.model, self.tokenizer, answers, "asking", self.shots)

    def fit(
        self, answers: Sequence[Answer], run: Run, settings: TrainingConfig, *, seed: int = 0,
        loss_on: Literal["all", "completion"] = "all",
    ) -> None:  # fmt: skip
        """Train adapters on graded answers (2)."""
        from core.distributed import seed_everything
        from core.models.adapters import with_lora
        from core.training.fit import fit

        seed_everything(seed, 0)
        self.model = with_lora(
            self.model, LORA_RANK, alpha=ALPHA, dropout=0.0, targets=TARGETS,
            checkpointing=settings.gradient_checkpointing,
        )  # fmt: skip
        fit(self.model, method.training_rows(self.tokenizer, answers, self.form, loss_on), settings, run, seed=seed)
        self.model.eval()
        self.tuned = True

    def write_grades(self, answers: Sequence[Answer]) -> list[str]:
        """Grades as the official evaluation has them: five new tokens, parsed."""
        from core.inference.generation import generate

        prompts = [method.prompt(one, "asking", self.shots) for one in answers]
        texts = generate(self.model, self.tokenizer, prompts, max_new_tokens=5)
        return [method.parse(f"Grade:{text}") for text in texts]

    def save(self, folder: Path) -> None:
        """Write the adapter; every rank calls this."""
        from core.training.fit import save_pretrained

        if self.tuned:
            save_pretrained(self.model, folder, self.tokenizer)
        if is_main_process():
            folder.mkdir(parents=True, exist_ok=True)
            write_json(folder / "grader.json", self._facts() | {"prompt": self.form})


def load_grader(folder: str | Path, embed: Embed | None = None, **options: Any) -> EncoderGrader | LanguageGrader:
    """A grader that was saved.

    Args:
        folder: What `save` wrote.
        embed: Of an encoder.
        options: Of a language model.

    Raises:
        UserError: The folder holds no grader, or not a whole one.
    """
    facts = load_facts(folder, "grader.json", FACTS, "papers.bilingual_education")
    try:
        grader: EncoderGrader | LanguageGrader
        numbers = {name: float(facts[name]) for name in ("slope", "shift", "bias", "threshold")}
        if facts["kind"] == "encoder":
            grader = EncoderGrader(str(facts["base"]), embed)
            grader.weights, grader.bias = _weights(Path(folder)), numbers["bias"]
        else:
            spec = str(folder) if facts["tuned"] else str(facts["base"])
            grader = LanguageGrader(spec, same_prompt=facts["prompt"] == "asking", **options)
            grader.base = str(facts["base"])
    except (TypeError, ValueError) as error:
        raise UserError(f"{folder}/grader.json holds {error}: give a folder that was not edited.") from error
    grader.tuned, grader.threshold = bool(facts["tuned"]), numbers["threshold"]
    grader.calibration = Calibration(numbers["slope"], numbers["shift"])
    return grader


def _weights(folder: Path) -> Array:
    from safetensors.numpy import load_file

    from core.models import loading

    with loading.translated(str(folder)):
        return load_file(folder / "regression.safetensors")["weights"]
