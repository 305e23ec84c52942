"""Benchmarks as records: one annotation scheme (the paper's Table 1), and what a collection of them covers.

    records = load_records("records.jsonl")
    distribution(records, "languages")            # share of benchmarks that have each language; they overlap
    distribution(records, "languages", "label")   # share of labels; they sum to 1
    coverage(records)                             # languages, seen once, Gini, entropy, high-resource only
    collect("lm_eval/tasks")                      # drafts from the task folders of lm-evaluation-harness

`records.jsonl` beside this file is our annotation: the task folders of lm-evaluation-harness 0.4.13 in at least three
languages, whose choice is not ours (`source` lm-eval), and well-known sets that it lacks (`source` ours).
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from core.corpora import adapted, read_rows
from core.errors import UserError
from core.files import read_lines
from core.text.languages import language

if TYPE_CHECKING:
    from core.tasks.judging import Judge

RECORDS = Path(__file__).parent / "records.jsonl"
HARNESS = "lm-eval"
HIGH_RESOURCE = frozenset({"en", "zh", "es", "fr", "de"})

Category = Literal["discriminative", "generative", "both"]
Size = Literal["", "<100", "100-1K", "1K-10K", "10K-100K", ">100K"]
Affiliation = Literal["", "academic", "industry", "both"]
Translation = Literal[
    "none", "human", "google", "gpt", "deepl", "nllb", "indictrans", "opus-mt", "microsoft", "other-mt"
]
Share = Literal["record", "label"]
# The bins' geometric means, for a cost that is nothing but a placeholder.
_EXAMPLES = {"<100": 30, "100-1K": 316, "1K-10K": 3162, "10K-100K": 31_623, ">100K": 316_228}


def spoken(code: str) -> str:
    """The language of a code without script and region: `ar` for `arb_Arab`, and `arz`, which is another one, as it is.

    Raises:
        UserError: Not the code of a known language.
    """
    return language(code).bcp47.partition("-")[0]


@dataclass(frozen=True)
class BenchmarkRecord:
    """One benchmark. An empty list or text is not annotated, which is no label.

    Attributes:
        id: arXiv number, DOI or name.
        title: Of the paper.
        year: Of publication; 0 is not annotated.
        month: Of publication; 0 is not annotated.
        languages: ISO 639 or BCP-47 codes; English alone is no multilingual benchmark and is refused.
        task_category: What a model has to do: choose, write, or both.
        tasks: NLI, reading, mathematics, ...
        size_bin: Examples of the test set, all languages together.
        affiliation_type: Of the authors.
        affiliations: Their institutions.
        countries: ISO 3166 alpha-2 codes of these.
        translation: How text came into the languages; `none` is text that was written in them.
        domains: News, encyclopaedia, examinations, ...
        annotators: Who annotated the record.
        source: How it came into the collection.
    """

    id: str
    title: str
    year: int
    month: int
    languages: tuple[str, ...]
    task_category: Category
    tasks: tuple[str, ...] = ()
    size_bin: Size = ""
    affiliation_type: Affiliation = ""
    affiliations: tuple[str, ...] = ()
    countries: tuple[str, ...] = ()
    translation: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()
    annotators: tuple[str, ...] = ()
    source: str = ""

    def __post_init__(self) -> None:
        """Refuse what the scheme does not allow."""
        if not self.languages or {spoken(code) for code in self.languages} == {"en"}:
            raise UserError(f"{self.id!r} has no language but English: list every language, or leave the row out.")
        if not 0 <= self.month <= 12 or not (self.year == 0 or 1950 <= self.year <= 2100):
            raise UserError(f"{self.id!r}: {self.year}-{self.month} is no month of publication.")
        for field, kind in (("task_category", Category), ("size_bin", Size), ("affiliation_type", Affiliation)):
            if getattr(self, field) not in get_args(kind):
                raise UserError(
                    f"{self.id!r}: {field} {getattr(self, field)!r} is none of {', '.join(get_args(kind))}."
                )
        if unknown := [value for value in self.translation if value not in get_args(Translation)]:
            raise UserError(f"{self.id!r}: translation {unknown[0]!r} is none of {', '.join(get_args(Translation))}.")
        if bad := [code for code in self.countries if not re.fullmatch(r"[A-Z]{2}", code)]:
            raise UserError(f"{self.id!r}: country {bad[0]!r} is no ISO 3166 code of two letters.")

    def labels(self, field: str) -> tuple[Any, ...]:
        """The labels of a field, one or several; none where it is not annotated."""
        value = getattr(self, field)
        if field == "languages":
            value = tuple(map(spoken, value))
        return tuple(dict.fromkeys(value)) if isinstance(value, tuple) else (value,) if value else ()


def load_records(path: str | Path = RECORDS) -> list[BenchmarkRecord]:
    """Records of a file (.jsonl, .json, .csv, .tsv; in tables, lists are separated by semicolons).

    Raises:
        UserError: A row that lacks a field or does not fit the scheme, a repeated id; with its number.
    """
    kinds = {field.name: str(field.type) for field in fields(BenchmarkRecord)}

    def record(row: Mapping[str, Any], number: int) -> BenchmarkRecord:
        if missing := [n for n in ("id", "title", "year", "month", "languages", "task_category") if n not in row]:
            raise UserError(f"it has no {missing[0]!r}")
        found: dict[str, Any] = {}
        for field in kinds.keys() & row.keys():
            value = row[field]
            if kinds[field].startswith("tuple"):
                parts = value.split(";") if isinstance(value, str) else value
                if not isinstance(parts, list) or not all(isinstance(part, str) for part in parts):
                    raise UserError(f"{field} has to be a list of texts")
                found[field] = tuple(part.strip() for part in parts if part.strip())
            elif kinds[field] == "int":
                if not str(value).strip().isdecimal():
                    raise UserError(f"{field} {value!r} is no whole number")
                found[field] = int(value)
            else:
                found[field] = str(value or "").strip()
        return BenchmarkRecord(**found)

    records = list(adapted(path, read_rows(path), record))
    if repeated := [key for key, times in Counter(record.id for record in records).items() if times > 1]:
        raise UserError(f"{path} has the id {repeated[0]!r} more than once: keep one record a benchmark.")
    return records


# --- what a collection covers -------------------------------------------------------------------------------------


def distribution(records: Sequence[BenchmarkRecord], field: str, share: Share = "record") -> dict[Any, float]:
    """Shares of the labels of a field, the largest first.

    Args:
        records: The collection.
        field: Of :class:`BenchmarkRecord`.
        share: Of records that carry the label (several labels a record: they sum to more than 1), or of all labels.
    """
    annotated = [record.labels(field) for record in records if record.labels(field)]
    counts = Counter(label for labels in annotated for label in labels)
    of = len(annotated) if share == "record" else sum(counts.values())
    return {label: count / of for label, count in counts.most_common()}


def coverage(records: Sequence[BenchmarkRecord]) -> dict[str, float]:
    """How unevenly the languages are served."""
    counts = Counter(code for record in records for code in {spoken(code) for code in record.languages})
    values = sorted(counts.values())
    n, total = len(values), sum(values)
    gini = sum((2 * place - n - 1) * value for place, value in enumerate(values, start=1)) / (n * total)
    entropy = -sum(value / total * math.log(value / total) for value in values)
    only_high = sum({spoken(code) for code in record.languages} <= HIGH_RESOURCE for record in records)
    return {
        "benchmarks": len(records), "languages": n, "seen once": values.count(1) / n, "gini": gini,
        "entropy": entropy / math.log(n) if n > 1 else 0.0, "high-resource only": only_high / len(records),
    }  # fmt: skip


def estimate_cost(records: Sequence[BenchmarkRecord], usd_per_example: float) -> float:
    """A placeholder: geometric means of the size bins times a price that you name. The paper's formula is unknown."""
    return usd_per_example * sum(_EXAMPLES.get(record.size_bin, 0) for record in records)


def agreements(first: Sequence[BenchmarkRecord], second: Sequence[BenchmarkRecord]) -> dict[str, tuple[int, float]]:
    """Number of records that two annotators share, and Cohen's kappa of each field (a set of labels is one answer)."""
    from core.metrics.agreement import kappa

    other = {record.id: record for record in second}
    pairs = [(record, other[record.id]) for record in first if record.id in other]
    if not pairs:
        raise UserError("The two annotations have no id in common: annotate the same benchmarks.")
    found: dict[str, tuple[int, float]] = {}
    for field in ("task_category", "size_bin", "affiliation_type", "translation", "domains", "tasks", "countries"):
        both = [[";".join(sorted(map(str, side.labels(field)))) for side in pair] for pair in pairs]
        both = [pair for pair in both if all(pair)]
        if both:
            found[field] = len(both), kappa(*map(list, zip(*both, strict=True)))
    return found


def report(records: Sequence[BenchmarkRecord], share: Share = "record", top: int = 50) -> str:
    """The collection in Markdown: shares by field, by year, and who is left out."""
    said = "records that carry the label" if share == "record" else "all labels"
    lines = [f"# {len(records)} benchmarks", "", f"Shares are of {said}; what is not annotated is left out.", ""]
    lines += [f"- {name}: {value:.3g}" for name, value in coverage(records).items()]
    for field in ("languages", "task_category", "tasks", "size_bin", "translation", "domains", "affiliation_type",
                  "countries", "year"):  # fmt: skip
        known = sum(bool(record.labels(field)) for record in records)
        lines += ["", f"## {field.replace('_', ' ')} ({known} of {len(records)} annotated)", "", "| label | share |"]
        lines += ["|---|---:|"]
        lines += [
            f"| {label} | {value:.1%} |" for label, value in list(distribution(records, field, share).items())[:top]
        ]
    once = [label for label, value in distribution(records, "languages").items() if value * len(records) < 1.5]
    lines += ["", "## Gaps", "", f"{len(once)} languages are in a single benchmark: {', '.join(sorted(once))}."]
    years = sorted({record.year for record in records})
    native = {
        year: distribution([record for record in records if record.year == year], "translation").get("none", 0.0)
        for year in years
    }
    lines += ["", "Written in the language, by year: " + ", ".join(f"{y} {v:.0%}" for y, v in native.items()) + "."]
    return "\n".join(lines) + "\n"


# --- how it is collected ------------------------------------------------------------------------------------------


def collect(folder: str | Path) -> list[dict[str, Any]]:
    """Drafts of records from the task folders of lm-evaluation-harness: languages and category, the rest is for people.

    A name such as `xnli_sw` counts where at least three languages stand in the same place and most of what stands
    there is a language; a folder with two is not found, and a draft has to be read.
    """
    root = Path(folder)
    if not root.is_dir():
        raise UserError(f"{folder} is no folder: give the tasks of an installed lm_eval.")
    drafts = []
    for group in sorted(path for path in root.iterdir() if path.is_dir()):
        files = sorted(path for path in group.rglob("*y*ml") if path.is_file())
        if languages := _languages(path.stem for path in files if path.suffix):
            kinds = {match[1] for path in files for line in read_lines(path)
                     if (match := re.match(r"output_type:\s*(\w+)", line))}  # fmt: skip
            writes, chooses = "generate_until" in kinds, bool(kinds - {"generate_until"})
            category = "both" if writes and chooses else "generative" if writes else "discriminative"
            drafts.append({"id": group.name, "languages": sorted(languages), "task_category": category})
    return drafts


def _languages(names: Iterable[str]) -> set[str]:
    """Codes that fill the same place of several names."""
    slots: dict[str, set[str]] = defaultdict(set)
    for file in names:
        parts = re.split(r"([_\-.])", re.sub(r"[_-][A-Z][a-z]{3}(?=[_\-]|$)", "", file))
        for place in range(0, len(parts), 2):
            slots["".join([*parts[:place], "*", *parts[place + 1 :]])].add(parts[place].lower())
    known = _codes()
    found = [words & known.keys() for words in slots.values() if 3 * len(words & known.keys()) >= 2 * len(words)]
    return {spoken(known[word]) for words in found if len({known[word] for word in words}) >= 3 for word in words}


def _codes() -> dict[str, str]:
    """Codes of two and three letters and English names, as the shortest code of each language."""
    import pycountry

    found: dict[str, str] = {}
    for entry in pycountry.languages:
        code = getattr(entry, "alpha_2", entry.alpha_3)
        found[entry.alpha_3] = code
        if code != entry.alpha_3:
            found |= {code: code, entry.name.split(" (")[0].lower(): code}
    return found


PROMPT = (
    "Title: {title}\nAbstract: {abstract}\n\nDoes this paper introduce a data set for evaluation that has a language "
    "other than English? Data for training alone do not count, nor does English alone. Answer yes or no."
)
_INTRODUCES = re.compile(r"\b(benchmarks?|test ?suites?|evaluation (?:data ?)?sets?|shared task|data ?sets?)\b", re.I)
_MULTILINGUAL = re.compile(r"multilingual|cross-?lingual|low-resource|\blanguages\b|bilingual|translat", re.I)


def screened(papers: Mapping[str, Mapping[str, str]], judge: Judge | None = None) -> dict[str, bool]:
    """Which papers to read: a judge's answer to the question of `PROMPT`, or the rule of two words without one.

    Args:
        papers: By id, with `title` and `abstract`.
        judge: Such as `core.tasks.judging.judge_of(...)`.
    """
    if judge:
        replies = judge(
            {key: PROMPT.format(title=row["title"], abstract=row["abstract"]) for key, row in papers.items()}
        )
        return {key: replies[key].strip().lower().lstrip("*\"'").startswith("yes") for key in papers}
    names = {word for word in _codes() if len(word) > 3} - {"english"}
    found = {}
    for key, row in papers.items():
        text = f"{row['title']} {row['abstract']}"
        other = bool(_MULTILINGUAL.search(text)) or bool(names & set(re.findall(r"\w+", text.lower())))
        found[key] = bool(_INTRODUCES.search(text)) and other
    return found
