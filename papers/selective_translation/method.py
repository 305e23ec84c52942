"""Selective translation: alignment data for another language in which code, keys, paths and formulas stay as they are.

Machine translation renders whatever it is given, line by line, keywords and keys included, and a model aligned on the
result learns broken formats. Here a whole prompt or a whole response goes to the translator at once, with S(x) the
spans of a text that must stay,

    y = T(x)   so that   S(y) = S(x)   as multisets,                                                              (1)

either because a language model is told so (`rules`, the paper) or by protecting them around any translator (ours). A
judge grades each translation on five scales, and only those with the best grade on all of them are kept,

    D_F = {(x, y) : min_j faith_j(x, y) = 5}.                                                                     (2)

The model is tuned on all of the English data E and k of the kept translations,

    L_SFT = - sum over E and k of D_F of log p(response | prompt),                                                (3)

and then on preference pairs of both languages, with the tuned model as reference (DPO),

    L_DPO = - log sigma(beta [log p(y_w|x) / ref(y_w|x) - log p(y_l|x) / ref(y_l|x)]).                            (4)

    translator = SelectiveTranslator(each(my_model), "Hindi")
    records = translator.translate(english, ["prompt", "response"])
    kept = faith_filter(english, records, my_judge, ["prompt", "response"])
    tune(model, tokenizer, mix(english, kept, k=1000, seed=0), settings, run, seed=0)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from core.errors import UserError
from core.models.tokenization import completion_row
from papers.selective_translation.spans import complete, preserved, protect, restore, translated_values

if TYPE_CHECKING:
    from core.experiment.run import Run
    from core.training.config import TrainingConfig
    from core.training.fit import FitResult

Record = Mapping[str, Any]
Backend = Callable[[Sequence[str]], Sequence[str]]
Mode = Literal["protect", "rules", "all"]


def rules(text: str, language: str) -> str:
    """What a language model is asked (appendix A, in our words): one call for a whole text."""
    return (
        f"You translate from English into {language}. Translate the text below, and leave exactly as they are: (1) "
        "program code and anything that belongs to programming; (2) URLs, file paths and e-mail addresses; (3) the "
        "structure of tables, lists and other strictly formatted data, and their content; (4) examples and phrases "
        "whose meaning or use a translation would change; (5) special characters, mathematical notation and technical "
        "abbreviations; (6) HTML, XML and other markup. Keep the order and the flow of the text as a whole. Answer "
        "with the translation alone. Where there is nothing to translate, answer with the text as it is.\n\n"
        f"Text:\n{text}"
    )


class Translated(NamedTuple):
    """A translation, and why it should not be trusted: `lost` (a mark), `changed` (a span), `empty`; or nothing."""

    text: str
    flag: str


def _flagged(text: str, answer: str, result: str, wrong: str) -> Translated:
    return Translated(result, "empty" if text.strip() and not answer.strip() else wrong)


class SelectiveTranslator:
    """Equation 1 around any backend.

    Args:
        backend: Texts to translations, in order; :func:`papers.selective_translation.data.each` makes one of any
            `str -> str`.
        language: English name of the target language, as `rules` says it.
        mode: protect (marks in place of spans, for any translator), rules (the paper: a language model is told), or
            all (everything is translated: the baseline).
        json_values: In mode `protect`, translate the texts inside JSON objects too, whose keys stay.
    """

    def __init__(self, backend: Backend, language: str, mode: Mode = "protect", *, json_values: bool = False) -> None:
        if json_values and mode != "protect":
            raise UserError(f"json_values needs the mode protect, not {mode}: leave one of them out.")
        self.backend, self.language, self.mode, self.json_values = backend, language, mode, json_values

    def texts(self, texts: Sequence[str]) -> list[Translated]:
        """Translations of whole texts; a mark that the backend lost or doubled is flagged, never guessed back."""
        if self.mode != "protect":
            told = self.mode == "rules"
            answers = self.backend([rules(text, self.language) if told else text for text in texts])
            pairs = list(zip(texts, answers, strict=True))
            return [_flagged(t, a, a, "changed" if told and not preserved(t, a) else "") for t, a in pairs]
        masked = [protect(text) for text in texts]
        if self.json_values:
            masked = [(text, translated_values(spans, self.backend)) for text, spans in masked]
        # What is nothing but spans needs no translator.
        asked = [text for text in dict(masked) if any(map(str.isalpha, text))]
        known = dict(zip(asked, self.backend(asked), strict=True)) if asked else {}
        answered = [(text, known.get(text, text), spans) for text, spans in masked]
        return [_flagged(t, a, restore(a, spans), "" if complete(a, spans) else "lost") for t, a, spans in answered]

    def translate(self, records: Sequence[Record], fields: Sequence[str]) -> list[dict[str, Any]]:
        """Records with these fields translated, each whole, and `flags` of those that went wrong."""
        found = iter(self.texts([record[name] for record in records for name in fields]))
        return [filled(record, {name: next(found) for name in fields}) for record in records]


def filled(record: Record, texts: Mapping[str, Translated]) -> dict[str, Any]:
    """A record with translations in place of its texts."""
    flags = {name: found.flag for name, found in texts.items() if found.flag}
    return {**record, **{name: found.text for name, found in texts.items()}, "flags": flags}


# --- the judge --------------------------------------------------------------------------------------------------------

FAITH = ("Fluency", "Accuracy", "Idiomaticity", "Terminology", "Handling_of_Format")
BEST = dict.fromkeys(FAITH, 5)
ALIGNMENT = ("Helpfulness", "Correctness", "Coherence", "Complexity", "Verbosity")
_FORM = (
    "Grade each of {keys} from 1 (worst) to 5 (best); 0 where it does not apply; -1 for all if {missing} is missing. "
    "Answer with one JSON object that has these keys and integers."
)


def faith_prompt(source: str, translation: str, language: str) -> str:
    """What the judge of a translation is asked (our wording of the paper's)."""
    form = _FORM.format(missing="the translation", keys=", ".join(FAITH))
    return f"Grade this translation into {language}.\n{form}\n\nSource:\n{source}\n\nTranslation:\n{translation}"


def alignment_prompt(prompt: str, response: str, language: str) -> str:
    """What the judge of a translated pair is asked, without its source (our wording)."""
    form = _FORM.format(missing="the response", keys=", ".join(ALIGNMENT))
    return f"Grade this response to a prompt in {language}.\n{form}\n\nPrompt:\n{prompt}\n\nResponse:\n{response}"


def parse_grades(reply: str, keys: Sequence[str]) -> dict[str, int] | None:
    """The grades in a judge's reply, the last of each; None where one is missing or none of -1 to 5."""
    found = {key: re.findall(rf'"{key}"\s*:\s*"?(-?\d+)(?![\d.])', reply) for key in keys}
    grades = {key: int(values[-1]) for key, values in found.items() if values}
    return grades if len(grades) == len(keys) and all(-1 <= grade <= 5 for grade in grades.values()) else None


def keeps(grades: Mapping[str, int] | None, least: Mapping[str, int], *, na_ok: bool = False) -> bool:
    """Whether every grade reaches its least; 0 (does not apply) falls short, unless `na_ok`. No grades are no reason to
    keep (equation 2 with a least of 5 on the five of FAITH)."""
    return grades is not None and all(grades[key] >= low or (na_ok and grades[key] == 0) for key, low in least.items())


def faith_filter(
    sources: Sequence[Record], translated: Sequence[Record], judge: Callable[[str, str], str], fields: Sequence[str]
) -> list[Any]:
    """Equation 2: the translations whose fields all have the best grades; the judge replies to a source text and its
    translation as to :func:`faith_prompt`."""

    def best(source: Record, target: Record) -> bool:
        return all(keeps(parse_grades(judge(source[name], target[name]), FAITH), BEST) for name in fields)

    return [target for source, target in zip(sources, translated, strict=True) if best(source, target)]


# --- alignment --------------------------------------------------------------------------------------------------------


def mix(english: Sequence[Record], translated: Sequence[Record], k: int, seed: int) -> list[Any]:
    """All of the English data (none, for a model of the target language alone) and k translations."""
    return [*english, *Random(f"mix-{seed}").sample(translated, k)]


def template(prompt: str) -> str:
    """What the model reads before its response; the paper's is not published."""
    return f"Question: {prompt}\nAnswer: "


def tune(
    model: Any, tokenizer: Any, records: Sequence[Record], settings: TrainingConfig, run: Run, seed: int
) -> FitResult:
    """Equation 3, in place: cross-entropy on responses, none on prompts."""
    from core.training.fit import fit

    rows = [completion_row(tokenizer, template(record["prompt"]), record["response"]) for record in records]
    return fit(model, rows, settings, run, seed=seed, name="sft")


def prefer(
    model: Any, tokenizer: Any, pairs: Sequence[Record], settings: TrainingConfig, run: Run, seed: int, *, beta: float
) -> FitResult:
    """Equation 4, in place; the model as it is now is the reference."""
    from core.training import preference

    prompts = [template(pair["prompt"]) for pair in pairs]
    better, worse = ([pair[side] for pair in pairs] for side in ("chosen", "rejected"))
    rows = preference.pairs(tokenizer, prompts, better, worse, longest=settings.max_length)
    rows = preference.with_reference(model, rows)
    return preference.train(model, rows, settings, run, seed, beta=beta, name="dpo")
