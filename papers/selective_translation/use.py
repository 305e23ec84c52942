"""Selective translation on your own data: translate, audit, let a judge filter.

python -m papers.selective_translation.use translate en.jsonl --language Hindi --backend mine.py:translator
python -m papers.selective_translation.use audit en.jsonl hi.jsonl
python -m papers.selective_translation.use judge en.jsonl hi.jsonl --language Hindi
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from core.errors import UserError
from core.experiment.config import Range
from core.experiment.entrypoint import Verbs, show, tools
from core.experiment.trying import Try

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Translate:
    """Translate texts of records whole, but for what must stay; goes on where it was interrupted."""

    records: tyro.conf.Positional[str]
    """JSONL, JSON, TSV or parquet, or a hub dataset, with texts in these fields. A row with `unsafe` goes to the
    fallback."""
    language: str
    """English name of the language to translate into."""
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

    source: tyro.conf.Positional[str]
    """The texts."""
    translated: tyro.conf.Positional[str]
    """Their translations: rows with the same ids, or as many in the same order."""
    fields: tuple[str, ...] = ("prompt", "response")
    """What is compared."""
    out: str = ""
    """JSONL for the broken rows with what was lost and gained."""


@dataclass(frozen=True)
class Judge:
    """Write the requests to a judge; with its replies, mark what is not to be kept, and say why."""

    source: tyro.conf.Positional[str]
    """The texts."""
    translated: tyro.conf.Positional[str]
    """Their translations, as for `audit`."""
    language: str
    """English name of their language."""
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


def rows_of(source: str, fields: Sequence[str]) -> Rows:
    """Rows with ids (the row's number, where there is none) and these texts."""
    from core import corpora

    def adapt(row: Mapping[str, Any], number: int) -> dict[str, Any]:
        if lacking := [name for name in fields if not isinstance(row.get(name), str)]:
            raise UserError(f"no text in {lacking[0]!r} (it has {', '.join(map(str, row))}): name the right --fields.")
        return {**row, "id": str(row.get("id", number))}

    if not fields:
        raise UserError("fields is empty: name what holds the texts, such as prompt response.")
    return list(corpora.adapted(source, corpora.read_rows(source), adapt))


def side_by_side(source: str, translated: str, fields: Sequence[str]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Rows of both files with the same id.

    Raises:
        UserError: An id repeats, or none is in both.
    """
    from core.tasks.instructions import aligned

    pairs, lost = aligned(rows_of(source, fields), rows_of(translated, fields))
    if not pairs:
        raise UserError(f"{source} and {translated} have no id in common: give corresponding rows the same id.")
    if lost:
        print(f"{lost} rows without a partner are left out.")
    return [(a, b) for _, a, b in pairs]


def translate(options: Translate) -> None:
    """Write the translations, and say what they took and what was flagged."""
    from core.files import write_rows
    from papers.selective_translation import data, method

    if bool(options.backend) == bool(options.model):
        raise UserError("name a translator: either --backend file.py:function or --model.")
    rows = rows_of(options.records, options.fields)
    records = rows[: options.first or None]
    if any(row.get("unsafe") for row in records) and not options.fallback:
        raise UserError("rows are marked unsafe: name a --fallback, or remove the mark.")
    ask = offered(options.backend, options.workers) if options.backend else model(options)
    main = method.SelectiveTranslator(ask, options.language, options.mode, json_values=options.json_values)
    parts = {False: (main, (options.language, options.mode, options.backend or options.model, options.json_values))}
    if options.fallback:
        plain = method.SelectiveTranslator(offered(options.fallback, options.workers), options.language, "all")
        parts[True] = (plain, (options.language, "all", options.fallback, False))
    cache = options.out.with_name(f"{options.out.name}.cache.jsonl")
    done: dict[Any, Any] = {}
    costs: list[Any] = []
    for unsafe, (translator, settings) in parts.items():
        part = [row for row in records if bool(row.get("unsafe")) == unsafe]
        found, cost = data.resumed(
            part, options.fields, translator.texts, cache, str(settings), batch=options.batch,
            progress=lambda now, whole: print(f"{now}/{whole} texts", flush=True),
        )  # fmt: skip
        done |= {id(before): after for before, after in zip(part, found, strict=True)}
        costs.append(cost)
    result = [done[id(record)] for record in records]
    write_rows(options.out, result)
    flags = Counter(flag for row in result for flag in row["flags"].values())
    print(f"{options.out}: {len(result)} records, {sum(bool(row['flags']) for row in result)} of them flagged")
    show({f"flagged_{name}": count for name, count in sorted(flags.items())})
    total = dict(zip(data.Cost._fields, map(sum, zip(*costs, strict=True)), strict=True))
    show(total)
    if total["requests"] and len(records) < len(rows):
        whole, now = (sum(len(row[name]) for row in part for name in options.fields) for part in (rows, records))
        print(f"All {len(rows)} records would take about:")
        show({name: round(total[name] * whole / now) for name in total if name != "from_before"})


def model(options: Translate) -> Any:
    """A chat model as a backend; it is told the rules in mode `protect` too, where marks are special characters."""
    from core.inference.chat import Chat
    from papers.selective_translation.method import rules

    chat, language = Chat.load(options.model), options.language
    request = {"rules": "{text}", "all": f"Translate into {language}. Answer with the translation alone.\n\n{{text}}"}

    def ask(texts: Sequence[str]) -> list[str]:
        form = request.get(options.mode)
        asked = [form.replace("{text}", text) if form else rules(text, language) for text in texts]
        turns = [[{"role": "user", "content": text}] for text in asked]
        return chat.reply(turns, max_new_tokens=options.max_new_tokens)

    return ask


def offered(spec: str, workers: int) -> Any:
    """A backend of the user's `str -> str`; what it raises, and what it gives that is no text, is one sentence."""
    from core.plugins import own
    from papers.selective_translation.method import each

    function: Callable[[str], str] = own(spec, "backend")
    if not callable(function):
        raise UserError(f"{spec} gives a {type(function).__name__}: let it return a function from text to text.")

    def one(text: str) -> str:
        try:
            found = function(text)
        except Exception as error:
            raise UserError(
                f"{spec} fails ({type(error).__name__}: {error}); what is done is kept, run the command again."
            ) from error
        if not isinstance(found, str):
            raise UserError(f"{spec} gave a {type(found).__name__} for a text: let it return the translation.")
        return found

    return each(one, workers)


def audit(options: Audit) -> None:
    """Print integrity in all and by kind, and write the broken rows."""
    from core.files import write_rows
    from papers.selective_translation.spans import audit, protect

    pairs = side_by_side(options.source, options.translated, options.fields)
    texts = [(row["id"], name, row[name], other[name]) for row, other in pairs for name in options.fields]
    found = audit((source, target) for _, _, source, target in texts)
    show({"texts": found.texts, "with_spans": found.with_spans, "integrity": found.integrity})
    show({f"integrity_{kind}": share for kind, share in found.by_kind.items()})
    broken = []
    for number in found.broken:
        key, name, *sides = texts[number]
        before, after = (Counter(span.text for span in protect(text)[1]) for text in sides)
        lost, gained = sorted((before - after).elements()), sorted((after - before).elements())
        broken.append({"id": key, "field": name, "lost": lost, "gained": gained})
    for row in broken[:5]:
        print(f"{row['id']} {row['field']}: lost {row['lost']}, gained {row['gained']}")
    if options.out:
        write_rows(Path(options.out), broken)
        print(f"{options.out}: {len(broken)} broken texts")


def judge(options: Judge) -> None:
    """Write requests, or what the replies keep."""
    from core import corpora
    from core.files import write_rows
    from papers.selective_translation import method

    pairs = side_by_side(options.source, options.translated, options.fields)
    least = dict.fromkeys(method.ALIGNMENT[:3], options.aligned)
    # Of each row the requests: id, text, the keys of the reply and what each has to reach.
    asked: list[list[tuple[str, str, Sequence[str], Mapping[str, int]]]] = []
    for row, other in pairs:
        texts = {name: method.faith_prompt(row[name], other[name], options.language) for name in options.fields}
        found: list[tuple[str, str, Sequence[str], Mapping[str, int]]] = [
            (f"{row['id']}/{name}/faith", text, method.FAITH, method.BEST) for name, text in texts.items()
        ]
        if options.aligned >= 0:
            first, last = (other[options.fields[place]] for place in (0, -1))
            text = method.alignment_prompt(first, last, options.language)
            found.append((f"{row['id']}/alignment", text, method.ALIGNMENT, least))
        asked.append(found)
    if not options.replies:
        requests = (request(key, text, options.judge) for part in asked for key, text, _, _ in part)
        print(f"{options.out}: {write_rows(options.out, requests)} requests")
        return
    replies = corpora.read_jsonl(options.replies, required={"id": object, "judgement": str})
    known = {str(row["id"]): row["judgement"] for row in replies}
    if missing := [key for part in asked for key, _, _, _ in part if key not in known]:
        raise UserError(f"{options.replies} has no reply to {missing[0]}: ask the judge the rest of the requests.")
    graded = []
    for (_, other), part in zip(pairs, asked, strict=True):
        short = set()
        for key, _, keys, wanted in part:
            if (grades := method.parse_grades(known[key], keys)) is None:
                short.add("unreadable")
            else:
                short |= {n for n, low in wanted.items() if not method.keeps(grades, {n: low}, na_ok=options.na_ok)}
        graded.append({**other, "short": sorted(short)})
    write_rows(options.out, graded)
    print(f"{options.out}: {sum(not row['short'] for row in graded)} of {len(graded)} are kept")
    reasons = Counter(name for row in graded for name in row["short"])
    show({f"dropped_{name}": count for name, count in reasons.most_common()})


def request(key: str, text: str, model: str) -> dict[str, Any]:
    """One line of a batch file for a chat endpoint."""
    body = {"model": model, "temperature": 0, "messages": [{"role": "user", "content": text}]}
    return {"custom_id": key, "method": "POST", "url": "/v1/chat/completions", "body": body}


VERBS: Verbs = {
    "translate": (Translate, translate),
    "audit": (Audit, audit),
    "judge": (Judge, judge),
}

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
