"""Selective translation on your own data: translate, audit, let a judge filter.

python -m papers.selective_translation.use translate en.jsonl --language Hindi --backend mine.py:translator
python -m papers.selective_translation.use audit en.jsonl hi.jsonl
python -m papers.selective_translation.use judge en.jsonl hi.jsonl --language Hindi
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from tyro.conf import Positional

from core.errors import UserError, about
from core.experiment.config import Range
from core.experiment.entrypoint import Verbs, show, tools
from core.experiment.trying import Try


@dataclass(frozen=True)
class Translate:
    """Translate texts of records whole, but for what must stay; goes on where it was interrupted."""

    records: Positional[str]
    """JSONL, JSON, TSV or parquet, or a hub dataset, with texts in these fields or other usual columns. A row with
    `unsafe` goes to the fallback."""
    language: str
    """The language to translate into: its English name, or a code."""
    fields: tuple[str, ...] = ("prompt", "response")
    """What is translated; for preferences prompt chosen rejected."""
    backend: str = ""
    """Your translator, file.py:function; the function returns any `str -> str`."""
    model: str = ""
    """Instead of it a chat model, folder or hub id, perhaps behind a server (MULTILINGUAL_PAPERS_SERVER)."""
    mode: Literal["protect", "rules", "all"] = "protect"
    """protect: spans are hidden from the translator; rules: a language model is told what stays (the paper); all:
    everything is translated (the baseline)."""
    fallback: str = ""
    """Translator for rows with `unsafe`, which language models refuse; file.py:function. It translates everything, as
    in the paper."""
    json_values: bool = False
    """Translate the texts inside JSON objects; their keys stay."""
    workers: Annotated[int, Range(1, 1024)] = 8
    """Texts that the backend is asked at a time."""
    batch: Annotated[int, Range(1)] = 64
    """Texts after which everything is on the disk."""
    max_new_tokens: Annotated[int, Range(1)] = 1024
    """Longest translation of the model."""
    first: Annotated[int, Range(0)] = 0
    """Translate the first so many records alone, to see what all would cost; 0 = all."""
    out: Path = Path("translated.jsonl")
    """File to write; beside it stays a cache, from which an interrupted or longer run goes on."""


@dataclass(frozen=True)
class Audit:
    """Count what a translation, of whoever, has done to code, links, placeholders and the like."""

    source: Positional[str]
    """The texts."""
    translated: Positional[str]
    """Their translations: rows with the same ids, or as many in the same order."""
    fields: tuple[str, ...] = ("prompt", "response")
    """What is compared."""
    out: str = ""
    """JSONL for the broken texts with what was lost and gained."""


@dataclass(frozen=True)
class Judge:
    """Write the requests to a judge; with its replies, mark what is not to be kept, and say why."""

    source: Positional[str]
    """The texts."""
    translated: Positional[str]
    """Their translations, as for `audit`."""
    language: str
    """Their language."""
    replies: str = ""
    """The judge's replies, JSONL with id and judgement; ids are those of the requests."""
    fields: tuple[str, ...] = ("prompt", "response")
    """What is graded; the first is the question and the last its answer for the grades of alignment."""
    aligned: Annotated[int, Range(-1, 5)] = 4
    """Least helpfulness, correctness and coherence of prompt and response; the paper does not say. -1: not asked."""
    na_ok: bool = False
    """Keep what is graded 0, which means: does not apply."""
    judge: str = "nvidia/Llama-3.1-Nemotron-70B-Instruct-HF"
    """Model that the requests name (the paper's)."""
    out: Path = Path("judged.jsonl")
    """File for the requests or, with replies, for the translations; `short` names the grades that fall short."""


def side_by_side(options: Audit | Judge) -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Id and rows of both files with the same id.

    Raises:
        UserError: An id repeats, or none is in both.
    """
    from core.tasks.instructions import aligned
    from papers.selective_translation.data import rows

    source, translated = (rows(path, options.fields) for path in (options.source, options.translated))
    with about(options.source, options.translated):
        pairs, lost = aligned(source, translated)
    if not pairs:
        raise UserError(f"{options.source} and {options.translated} have no id in common: give partners the same id.")
    if lost:
        print(f"{lost} rows without a partner are left out.")
    return pairs


def named(language: str) -> str:
    """English name of a language, given by name or code."""
    from core.text.languages import name

    if not language.strip():
        raise UserError("language is empty: name the language of the translation, such as Hindi.")
    return name(language)


def translate(options: Translate) -> None:
    """Write the translations, and say what they took and what was flagged."""
    from core.files import write_rows
    from core.plugins import own_text_function
    from papers.selective_translation.data import Cost, each, resumed, rows
    from papers.selective_translation.method import SelectiveTranslator

    if bool(options.backend) == bool(options.model):
        raise UserError("name a translator: either --backend file.py:function or --model.")
    whole, language = rows(options.records, options.fields), named(options.language)
    records = whole[: options.first or None]
    if any(row.get("unsafe") for row in records) and not options.fallback:
        raise UserError("rows are marked unsafe: name a --fallback, or remove the mark.")
    ask = (
        each(own_text_function(options.backend, "backend"), options.workers)
        if options.backend
        else model(options, language)
    )
    main = SelectiveTranslator(ask, language, options.mode, json_values=options.json_values)
    parts = {False: (main, options.backend or f"{options.model} {options.max_new_tokens}")}
    if options.fallback:
        ask = each(own_text_function(options.fallback, "backend"), options.workers)
        parts[True] = SelectiveTranslator(ask, language, "all"), options.fallback
    done: dict[int, dict[str, Any]] = {}
    total: dict[str, float] = dict.fromkeys(Cost._fields, 0)
    for unsafe, (translator, backend) in parts.items():
        chosen = [number for number, row in enumerate(records) if bool(row.get("unsafe")) == unsafe]
        found, cost = resumed(
            [records[n] for n in chosen], options.fields, translator,
            options.out.with_name(f"{options.out.name}.cache.jsonl"), backend, batch=options.batch,
            progress=lambda now, whole: print(f"{now}/{whole} texts", flush=True),
        )  # fmt: skip
        done |= dict(zip(chosen, found, strict=True))
        total = {name: value + getattr(cost, name) for name, value in total.items()}
    write_rows(options.out, (done[number] for number in range(len(records))))
    flags = Counter(flag for row in done.values() for flag in row["flags"].values())
    print(f"{options.out}: {len(records)} records, {sum(bool(row['flags']) for row in done.values())} of them flagged")
    show({**{f"flagged_{name}": count for name, count in sorted(flags.items())}, **total})
    if total["requests"] and len(records) < len(whole):
        texts = {row[name] for row in whole for name in options.fields}
        share = sum(map(len, texts)) / max(1, total["characters_read"])
        told = {"requests": len(texts), **{name: round(total[name] * share) for name in Cost._fields[2:]}}
        print(f"All {len(whole)} records would take about:")
        show(told)


def model(options: Translate, language: str) -> Any:
    """A chat model as a backend; it is told the rules in mode `protect` too, where marks are special characters. What
    is too long for it comes back empty, and is flagged."""
    from core.inference.chat import Chat, render
    from core.models.loading import longest_input
    from core.models.tokenization import prompt_ids
    from papers.selective_translation.method import rules

    chat = Chat.load(options.model)
    longest = getattr(chat.model, "longest", None) or longest_input(chat.model, chat.tokenizer)

    def turn(text: str) -> list[dict[str, str]]:
        if options.mode == "protect":
            text = rules(text, language)
        if options.mode == "all":
            text = f"Translate into {language}. Answer with the translation alone.\n\n{text}"
        return [{"role": "user", "content": text}]

    def ask(texts: Sequence[str]) -> list[str]:
        turns = [turn(text) for text in texts]
        read = prompt_ids(chat.tokenizer, [render(chat.tokenizer, one, prompt=True) for one in turns])
        fits = [len(prompt.ids) + options.max_new_tokens <= longest for prompt in read]
        asked = [one for one, well in zip(turns, fits, strict=True) if well]
        answers = iter(chat.reply(asked, max_new_tokens=options.max_new_tokens) if asked else ())
        return [next(answers) if well else "" for well in fits]

    return ask


def audit(options: Audit) -> None:
    """Print integrity in all and by kind, and write the broken texts."""
    from core.files import write_rows
    from papers.selective_translation.spans import audit

    texts = [(key, name, a[name], b[name]) for key, a, b in side_by_side(options) for name in options.fields]
    found = audit((source, target) for _, _, source, target in texts)
    show({"texts": found.texts, "with_spans": found.with_spans, "integrity": found.integrity})
    show({f"integrity_{kind}": share for kind, share in found.by_kind.items()})
    broken = [
        {"id": texts[place][0], "field": texts[place][1], "lost": lost, "gained": gained}
        for place, lost, gained in found.broken
    ]
    for row in broken[:5]:
        print(f"{row['id']} {row['field']}: lost {row['lost']}, gained {row['gained']}")
    if options.out:
        write_rows(Path(options.out), broken)
        print(f"{options.out}: {len(broken)} broken texts")


def requests(options: Judge) -> list[tuple[dict[str, Any], dict[str, tuple[str, dict[str, int]]]]]:
    """Each translation with its requests by id: the text, and what the grades have to reach."""
    from papers.selective_translation import method

    least, language = dict.fromkeys(method.ALIGNMENT[:3], options.aligned), named(options.language)
    found = []
    for key, row, other in side_by_side(options):
        texts = {name: method.faith_prompt(row[name], other[name], language) for name in options.fields}
        asked = {f"{key}/{name}/faith": (text, method.BEST) for name, text in texts.items()}
        if options.aligned >= 0:
            text = method.alignment_prompt(other[options.fields[0]], other[options.fields[-1]], language)
            asked[f"{key}/alignment"] = (text, least)
        found.append((other, asked))
    return found


def judge(options: Judge) -> None:
    """Write requests, or what the replies keep."""
    from core import corpora
    from core.files import write_rows
    from core.tasks.judging import chat_request
    from papers.selective_translation.method import keeps, parse_grades

    found = requests(options)
    if not options.replies:
        asked = (chat_request(key, options.judge, text) for _, part in found for key, (text, _) in part.items())
        print(f"{options.out}: {write_rows(options.out, asked)} requests")
        return
    replies = corpora.read_jsonl(options.replies, required={"id": object, "judgement": str})
    known = {str(row["id"]): row["judgement"] for row in replies}
    if missing := [key for _, part in found for key in part if key not in known]:
        raise UserError(f"{options.replies} has no reply to {missing[0]}: ask the judge the rest of the requests.")
    graded, reasons = [], Counter[str]()
    for other, part in found:
        short = set()
        for key, (_, least) in part.items():
            grades = parse_grades(known[key], [*least])
            wrong = (name for name, low in least.items() if not keeps(grades, {name: low}, na_ok=options.na_ok))
            short |= {"unreadable"} if grades is None else set(wrong)
        reasons.update(short)
        graded.append({**other, "short": sorted(short)})
    write_rows(options.out, graded)
    print(f"{options.out}: {sum(not row['short'] for row in graded)} of {len(graded)} are kept")
    show({f"dropped_{name}": count for name, count in reasons.most_common()})


VERBS: Verbs = {"translate": (Translate, translate), "audit": (Audit, audit), "judge": (Judge, judge)}

TRY = Try(
    command="translate {data} --language {language} --model {model} --out {out}/translated.jsonl",
    data="records with `prompt` and `response` (other fields: `-- --fields prompt chosen rejected`).",
    means="The records in your language with code, keys, paths, formulas and markup as they were, and a flag on "
    "each that went wrong.",
    limits="Whether a translation is good, a judge has to say (`judge`); a flag means that something was lost, not "
    "that the rest is right.",
)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command; the user's mistakes end with one sentence and exit code 2."""
    tools("papers.selective_translation.use", __doc__, VERBS, arguments)


if __name__ == "__main__":
    main()
