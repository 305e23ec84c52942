"""What DIP is fed: questions in many languages with their English wording, and a dictionary of each language.

    questions(config, run)                       # {"sw": [Question(...), ...], ...}
    lexicons(config, ask)                        # {"sw": {"": Lexicon({...})}}; by question where a model was asked

At the tiny scale both are the miniature's. At the paper's the questions are English benchmarks, translated sentence by
sentence by NLLB and translated back, so that the quality of what is asked stands beside what comes out.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.corpora import adapted, read_rows, read_translations
from core.corpora.glossaries import Lexicon, learn, read_lexicon
from core.errors import UserError
from core.files import read_json_lines, write_rows
from core.text.languages import flores_code, name
from core.text.segment import sentences
from papers.dip.method import dictionary_request, parse_dictionary

if TYPE_CHECKING:
    from core.experiment.run import Run
    from papers.dip.config import Config

# Where the paper's benchmarks lie on the hub.
BENCHMARKS = {
    "gsm8k": "openai/gsm8k#main@test",
    "svamp": "ChilleD/SVAMP@test",
    "aqua": "deepmind/aqua_rat#raw@test",
    "date": "tasksource/bigbench#date_understanding@train",
}
Ask = Callable[[Sequence[str]], list[str]]
"""A model: prompts -> answers."""


@dataclass(frozen=True)
class Question:
    """What is asked in a language.

    Attributes:
        id: A path that begins with the language.
        text: The question.
        english: The same in English; empty if that is not known.
        answer: The right answer, one of the options if there are any.
        options: What to choose from.
    """

    id: str
    text: str
    english: str
    answer: str
    options: tuple[str, ...] = ()


# --- questions --------------------------------------------------------------------------------------------------------


def questions(config: Config, run: Run) -> dict[str, list[Question]]:
    """What is asked in each language."""
    from papers.dip import miniature

    if not (config.benchmark or config.questions):
        part, codes = config.split, config.languages or miniature.LANGUAGES
        return {code: miniature.questions(code, part, config.items, config.seed) for code in codes}
    if config.questions:
        files = {code: config.questions.replace("{language}", code) for code in config.languages}
        return {code: read_questions(path, code, config.items) for code, path in files.items()}
    source = BENCHMARKS.get(config.benchmark, config.benchmark)
    asked = read_questions(source, "en", config.items)
    return {code: _translated(config, run, asked, code) for code in config.languages}


def read_questions(source: str, code: str, most: int = 0) -> list[Question]:
    """Rows of a benchmark by the columns that they have; the page lists them.

    Raises:
        UserError: The file cannot be read, or a row has other columns.
    """
    rows = islice(read_rows(source, split="test"), most or None)
    found = list(adapted(source, rows, lambda row, number: _question(row, f"{code}/{row.get('id', number)}")))
    if repeated := len(found) - len({question.id for question in found}):
        raise UserError(f"{source}: {repeated} rows repeat the id of another one: give each its own.")
    return found


def _question(row: Mapping[str, Any], key: str) -> Question:
    english = str(row.get("english") or "")
    if "Body" in row:  # SVAMP
        return Question(key, f"{row['Body']} {row['Question']}", english, str(row["Answer"]))
    if "correct" in row:  # AQuA: options as "A)21"
        options = tuple(re.sub(r"^[A-E]\)\s*", "", option) for option in row["options"])
        return Question(key, row["question"], english, options["ABCDE".index(row["correct"])], options)
    if "multiple_choice_targets" in row:  # BIG-bench
        options = tuple(row["multiple_choice_targets"])
        text = re.sub(r"^Q: |\n(choice:|A:|Answer:|  choice:).*", "", row["inputs"], flags=re.DOTALL).strip()
        return Question(key, text, english, options[row["multiple_choice_scores"].index(1)], options)
    text, answer, options = row["question"], row["answer"], tuple(map(str, row.get("options") or ()))
    if not isinstance(text, str) or not text.strip():
        raise UserError("the question is no text: fill it in.")
    answer = str(answer).rpartition("####")[2].strip()  # GSM8K's follows its steps
    if options and answer not in options:
        raise UserError(f"the answer {answer!r} is none of the options: give the option's text.")
    return Question(key, text, english, answer, options)


def _translated(config: Config, run: Run, asked: Sequence[Question], code: str) -> list[Question]:
    """English questions in another language, and what comes back; options stay English, so that they need no gloss."""

    def build(folder: Path) -> None:
        from core.inference.seq2seq import translate
        from core.metrics.translation import sentence_chrf
        from core.models.loading import load

        model, tokenizer = load(config.translator, task="seq2seq", dtype=config.dtype)
        there, back = (flores_code(language) for language in (code, "en"))
        parts = [sentences(question.text) for question in asked]
        found = translate(model, tokenizer, [part for whole in parts for part in whole], back, there)
        returned = translate(model, tokenizer, found, there, back)
        rows, at = [], 0
        for question, whole in zip(asked, parts, strict=True):
            text, again = (" ".join(texts[at : at + len(whole)]) for texts in (found, returned))
            at += len(whole)
            key = question.id.partition("/")[2]
            rows.append({
                "id": key, "question": text, "english": question.text, "answer": question.answer,
                "options": list(question.options), "back": again, "chrf": sentence_chrf(again, question.text),
            })  # fmt: skip
        write_rows(folder / "questions.jsonl", rows)

    inputs = {"asked": [question.text for question in asked], "language": code, "translator": config.translator}
    rows = read_json_lines(run.stage("translated", inputs, build) / "questions.jsonl")
    return [_question(row, f"{code}/{row['id']}") for row in rows]


# --- dictionaries -----------------------------------------------------------------------------------------------------


def lexicons(config: Config, asked: Mapping[str, Sequence[Question]], ask: Ask | None = None) -> dict[str, Any]:
    """`{language: {"": entries}}`, or entries by the id of the question where a model is asked for them.

    Args:
        config: Says where they come from.
        asked: The questions of each language.
        ask: The model, for `llm`.
    """
    if config.dictionary == "llm":
        if ask is None:
            raise ValueError("A dictionary that a model makes needs the model.")
        found: dict[str, Any] = {}
        for code, own in asked.items():
            requests = [dictionary_request(q.text, name(code), name(config.pivot)) for q in own]
            lists = zip(own, ask(requests), strict=True)
            found[code] = {q.id: parse_dictionary(answer, q.text) for q, answer in lists}
        return found
    return {code: {"": _lexicon(config, code)} for code in asked}


def _lexicon(config: Config, code: str) -> Lexicon:
    from papers.dip import miniature

    own, source = not (config.benchmark or config.questions), config.dictionary
    given: Mapping[str, str] = {}
    if config.lexicon:
        given = read_lexicon(config.lexicon.replace("{language}", code)) if source != "aligned" else {}
    elif own:
        # Names are CLDR's in every language; what is learnt are the words.
        given = miniature.names_table(code) if source == "aligned" else miniature.table(code)
    elif source != "aligned":
        raise UserError(f"There is no table for {code}: give --lexicon, or another --dictionary.")
    return Lexicon({**(learnt(config, code) if source != "table" else {}), **given})


def learnt(config: Config, code: str) -> Lexicon:
    """IBM Model 1 on the parallel sentences of a language."""
    from papers.dip import miniature

    if config.parallel:
        rows = read_translations(config.parallel.replace("{language}", code), [code, config.pivot])
        pairs = [(row[code], row[config.pivot]) for row in rows]
    elif config.benchmark or config.questions:
        raise UserError(f"There are no sentences in {code} to learn from: give --parallel.")
    else:
        pairs = miniature.parallel(code, config.split)
    return learn(pairs, config.pivot)


def changed(config: Config, entries: Mapping[str, str]) -> Lexicon:
    """A dictionary with the share of wrong glosses, and of the entries, that the configuration says."""
    return kept(spoilt(Lexicon(entries), config.noise, config.seed), config.coverage, config.seed)


def kept(lexicon: Lexicon, share: float, seed: int) -> Lexicon:
    """A part of the entries, drawn; the entries of a smaller share are among those of a larger one."""
    order = random.Random(f"kept/{seed}").sample(sorted(lexicon), len(lexicon))
    chosen = set(order[: round(share * len(order))])
    return Lexicon({word: gloss for word, gloss in lexicon.items() if word in chosen})


def spoilt(lexicon: Lexicon, share: float, seed: int) -> Lexicon:
    """A part of the entries, drawn, gets the gloss of another entry, drawn; none of these is right."""
    rng = random.Random(f"spoilt/{seed}")
    glosses = sorted(set(lexicon.values()))
    order = rng.sample(sorted(lexicon), len(lexicon))[: round(share * len(lexicon))]
    wrong = {}
    for word in order:
        others = [gloss for gloss in rng.sample(glosses, min(2, len(glosses))) if gloss != lexicon[word]]
        wrong[word] = others[0] if others else lexicon[word]
    return Lexicon({**lexicon, **wrong})
