"""Pages of papers, their cards, and what can be looked up over all papers: the scoreboard, languages."""

from __future__ import annotations

import contextlib
import html
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import langcodes

from core.errors import UserError
from core.experiment.paper import DEEDS, FAMILIES, Check, Claim, Paper, discover
from core.experiment.report import SYMBOLS, effect_alternative, interval, judged, number, prose
from core.experiment.results import OUTCOMES, Record, Verdict, recorded, records
from core.text.languages import language
from core.text.languages import name as language_name
from docs.pages import drawings, source

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Result:
    """A claim or check that was judged, at one scale."""

    paper: Paper
    record: Record
    check: Check
    verdict: Verdict

    @property
    def anchor(self) -> str:
        """Its permanent address on the paper's page."""
        kind = "claim" if isinstance(self.check, Claim) else "check"
        return f"{kind}-{self.check.id}" + ("" if self.record.preset == "tiny" else f"-{self.record.preset}")

    @property
    def languages(self) -> list[str]:
        """Codes of the languages that it was measured in, where languages are what is drawn."""
        if self.check.unit.split("/")[0] != "language" or self.check.treatment not in self.record.measurements:
            return []
        cells = self.record.measurements[self.check.treatment].values()
        paths = {path for cell in cells for path in cell.units.get(self.check.metric, {})}
        return sorted(set().union(*(_codes(path.split("/")[0]) for path in paths)))


@cache
def _codes(text: str) -> frozenset[str]:
    """The languages that a unit names: by a code, in English, or as a direction such as `de-cs`."""
    parts = text.split("-")
    # Regions and scripts are written with capitals, so that `ar-vi` is a direction and `pt-BR` a language.
    if len(parts) == 2 and all(part.islower() for part in parts) and all(map(_codes, parts)):
        return _codes(parts[0]) | _codes(parts[1])
    for asked in (lambda: language(text).bcp47, lambda: str(langcodes.find(text))):
        with contextlib.suppress(UserError, LookupError):
            return frozenset([asked()])
    return frozenset()


def results(paper: Paper) -> list[Result]:
    """All that was judged of a paper, claims first, at every scale that is recorded."""
    found = []
    for record in records(paper):
        found += [Result(paper, record, check, verdict) for check, verdict in judged(paper, record)]
    return found


def inline(text: str) -> str:
    """Text with code between backticks, as HTML."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text))


def page(paper: Paper, sources: Sequence[str]) -> str:
    """A paper's README with its links turned to the site's pages and its tables of claims as cards."""
    text = (paper.folder / "README.md").read_text(encoding="utf-8")
    heading, _, body = text.partition("\n")
    body = source.REFERENCE.sub(r"[`\2`](\1.md#\2)", body)
    body = re.sub(r"\]\((\w+\.py)(#\w+)?\)", r"](\1.md\2)", body)
    body = re.sub(r"`(\w+\.py)`", lambda m: f"[`{m[1]}`]({m[1]}.md)" if m[1] in sources else m[0], body)
    body = re.sub(r"\]\(\.\./\.\./docs/", "](../../", body)
    body = re.sub(r"\]\(\.\./(\w+)/README\.md", r"](../\1/index.md", body)
    body = re.sub(r"!\[([^\]]*)\]\((results/\w+)\.svg\)", _figure, body)
    body = re.sub(r"<details><summary>", '<details markdown="1"><summary>', body)
    found = results(paper)
    for kind, title in ((Claim, "claim"), (Check, "check")):
        cards = "".join(claim_card(result) for result in found if type(result.check) is kind)
        table = re.compile(rf"^\| {title} \|.*?\n(?=\n|<!--)", re.DOTALL | re.MULTILINE)
        if cards:
            body = table.sub(lambda _, cards=cards: f'<div class="claims">{cards}</div>\n', body, count=1)
    links = " · ".join(f"[{name}]({name}.md)" for name in sources)
    return f"{heading}\n\n{_tags(paper, '../')} Source: {links}\n{body}"


def _tags(paper: Paper, papers: str) -> str:
    """Shelf, year and deeds of a paper, with links to the like; `papers` is the way to the page of all papers."""
    links = {shelf(paper.family): paper.family} | {f"that-{tag}": tag for tag in paper.tags}
    first, *rest = (f'<a class="chip" href="{papers}{page}/">{html.escape(name)}</a>' for page, name in links.items())
    return f'{first}<span class="chip">{paper.year}</span>{"".join(rest)}'


def _figure(match: re.Match[str]) -> str:
    alternative, stem = html.escape(match[1], quote=True), match[2]
    shown = "".join(
        f'<img class="{theme}" src="{stem}-{theme}.svg" alt="{alternative}" loading="lazy">'
        for theme in ("light", "dark")
    )
    return f'<a class="figure" href="{stem}.svg" title="the figure alone">{shown}</a>'


def claim_card(result: Result) -> str:
    """A claim or check with everything that was measured, at its permanent address."""
    check, verdict = result.check, result.verdict
    order = OUTCOMES.index(verdict.outcome)
    outcome = f'<span class="outcome o{order}">{SYMBOLS[verdict.outcome]} {verdict.outcome}</span>'
    link = f'<a class="headerlink" href="#{result.anchor}" title="permanent address">¶</a>'
    parts = [f'<p class="statement">{outcome} {inline(check.statement)} {link}</p>']
    if isinstance(check, Claim):
        parts.append(f'<p class="reported"><b>The paper</b> {inline(check.reported)}</p>')
    if verdict.difference is not None:
        metric = inline(f"`{check.metric}`")
        against = metric if check.control_metric is None else inline(f"`{check.control_metric}`")
        compared = f"<b>{number(verdict.treatment)}</b> {metric} of <code>{html.escape(check.treatment)}</code>"
        if verdict.control_name in check.variants:
            compared += (
                f" · <b>{number(verdict.control)}</b> {against if check.control_metric else ''} of "
                f"<code>{html.escape(verdict.control_name)}</code>"
            )
        elif verdict.control_name:
            compared += f" · against <b>{html.escape(verdict.control_name)}</b>"
        unit = "seeds" if check.unit == "seed" else f"{check.unit.replace('/', ' / ')} and seeds"
        parts.append(
            f'<p class="numbers">{drawings.effect(check, verdict)} <b>{interval(verdict)}</b> over {unit}'
            f"<br>{compared}</p>"
        )
    details = [verdict.reason, verdict.needed, f"null arm `{check.null}`: {verdict.null}" if verdict.null else ""]
    if any(details):
        parts.append(f'<p class="details">{"; ".join(inline(detail) for detail in details if detail)}</p>')
    parts.append(_cite(result))
    return f'<article class="result" id="{result.anchor}">{"".join(parts)}</article>'


def _cite(result: Result) -> str:
    """How to point at a result: a badge and an entry, with the address of the site filled in by the browser."""
    slug, check = result.paper.slug, result.check
    where = f"{{site}}papers/{slug}/#{result.anchor}"
    badge = f"[![{slug}: {result.verdict.outcome}]({{site}}badges/{slug}/{result.anchor}.svg)]({where})"
    measured = interval(result.verdict) or "not measured"
    commit = str(result.record.environment.get("commit"))
    entry = (
        f"@misc{{{slug}-{result.anchor},\n"
        f"  title = {{{result.paper.title}: {check.id}, {result.verdict.outcome}}},\n"
        f"  note  = {{multilingual-papers, {result.record.preset} scale, {measured}, commit {commit}}},\n"
        f"  url   = {{{where}}}\n}}"
    )
    return (
        f'<details class="cite"><summary>cite</summary><pre><code>{html.escape(badge)}</code></pre>'
        f"<pre><code>{html.escape(entry)}</code></pre></details>"
    )


def card(paper: Paper, root: str) -> str:
    """A paper as a tile: its figure, what came out first, the outcomes, what it costs to see.

    Args:
        paper: Whose.
        root: The way from the page that shows it to the site's root, such as `../`.
    """
    record, found = recorded(paper), results(paper)
    folder = f"{root}papers/{paper.slug}/"
    picture = headline = ""
    if record and found:
        check, verdict = found[0].check, found[0].verdict
        alternative = html.escape(effect_alternative(paper, record), quote=True)
        picture = "".join(
            f'<img class="{theme}" src="{folder}results/{record.preset}-{theme}.svg" alt="{alternative}" '
            'loading="lazy">'
            for theme in ("light", "dark")
            if (paper.folder / "results" / f"{record.preset}.svg").exists()
        )
        control = f" <span>against {number(verdict.control)}</span>" if verdict.control_name else ""
        reported = check.reported if isinstance(check, Claim) else ""
        headline = (
            f'<p class="headline"><b>{number(verdict.treatment)}</b>{control}{drawings.effect(check, verdict)}</p>'
            f'<p class="reported">{inline(reported)}</p>'
        )
    outcomes = "".join(
        f'<span class="o{OUTCOMES.index(result.verdict.outcome)}" title="{html.escape(result.check.id)}: '
        f'{result.verdict.outcome}">{SYMBOLS[result.verdict.outcome]}</span>'
        for result in found
        if isinstance(result.check, Claim)
    )
    checks = [result for result in found if not isinstance(result.check, Claim)]
    held = sum(result.verdict.outcome == "reproduced" for result in checks)
    minutes = f"{record.minutes:.0f} min" if record else "not recorded"
    spoken = ",".join(sorted({code for result in found for code in result.languages}))
    return (
        f'<article class="paper" data-family="{html.escape(paper.family)}" data-languages="{spoken}">'
        f'<a class="whole" href="{folder}" aria-label="{html.escape(paper.title)}"></a>'
        f'<div class="picture">{picture}</div><h3>{paper.slug}</h3>'
        f'<p class="chips">{_tags(paper, f"{root}papers/")}<span class="chip">{minutes}</span></p>'
        f'<p class="summary">{inline(paper.summary)}</p>{headline}'
        f'<p class="outcomes"><span class="symbols">{outcomes}</span> '
        f"{f'checks {held} of {len(checks)}' if checks else ''}</p>"
        f"<pre><code>papers reproduce {paper.slug}</code></pre></article>"
    )


def gallery(papers: Iterable[Paper], root: str) -> str:
    """Cards of papers."""
    return '<div class="gallery">' + "".join(card(paper, root) for paper in papers) + "</div>"


def listing() -> str:
    """All papers by family."""
    kinds = " · ".join(f"[{tag}](that-{tag}.md)" for tag in DEEDS if tagged(tag))
    out = ["# Papers", "", f"By shelf; or those that {kinds}.", ""]
    for family in families():
        there = [paper for paper in discover() if paper.family == family]
        out += [f"## {family.capitalize()}", "", f"Papers that {FAMILIES[family]}.", "", gallery(there, "../"), ""]
    return "\n".join(out)


def shelf(family: str) -> str:
    """Folder of a family's page, below that of all papers."""
    return f"shelf-{family.replace(' ', '-')}"


def shelf_page(family: str) -> str:
    """The papers of a family."""
    there = [paper for paper in discover() if paper.family == family]
    return f"# {family.capitalize()}\n\nPapers that {FAMILIES[family]}.\n\n{gallery(there, '../../')}\n"


def tagged(tag: str) -> list[Paper]:
    """Papers that do this."""
    return [paper for paper in discover() if tag in paper.tags]


def tag_page(tag: str) -> str:
    """The papers that do this."""
    return f"# Papers that {tag}\n\nPapers that {DEEDS[tag]}.\n\n{gallery(tagged(tag), '../../')}\n"


def families() -> list[str]:
    """Families that have papers, in their order."""
    there = {paper.family for paper in discover()}
    return [family for family in FAMILIES if family in there]


def scoreboard() -> str:
    """Every claim and check of every paper with its effect on one scale, to be sorted and filtered."""
    found = [result for paper in discover() for result in results(paper)]
    spoken = {code for result in found for code in result.languages}
    symbols = ", ".join(f"{SYMBOLS[outcome]} {outcome}" for outcome in OUTCOMES)
    filters = "".join(
        _filter(name, options)
        for name, options in (
            ("family", [(family, family) for family in families()]),
            ("outcome", [(outcome, outcome) for outcome in OUTCOMES]),
            ("whose", [("claim", "claims of papers"), ("check", "checks of ours")]),
            ("language", sorted(((code, language_name(code)) for code in spoken), key=lambda item: item[1])),
        )
    )
    rows = "\n".join(_row(result) for result in found)
    return (
        "# Scoreboard\n\n"
        f"Every claim that was put to the test, and every check of ours. {symbols}. The dot is the difference of "
        "treatment and control, the bar its 95 % interval, to the right what is claimed, in multiples of the smallest "
        "effect that anyone would care about (of the size that the claim states, where no smallest is named); beyond "
        "one the scale is logarithmic. The dashed line is what the claim asks for. Select a title to sort; a claim "
        "opens its permanent address, with a badge and an entry to cite. [Hand in a record of your own]"
        "(guide/submit.md).\n\n"
        f'<div class="filters">{filters}<output></output></div>'
        '<div class="scoreboard"><table class="sortable"><thead><tr><th>paper</th><th>whose</th><th>claim</th>'
        f"<th>outcome</th><th>effect{drawings.scale_legend()}</th><th>difference</th><th>scale</th></tr></thead><tbody>\n"
        f"{rows}\n</tbody></table></div>\n"
    )


def _filter(name: str, options: Sequence[tuple[str, str]]) -> str:
    shown = "".join(f'<option value="{html.escape(value)}">{html.escape(text)}</option>' for value, text in options)
    return f'<label>{name} <select data-filter="{name}"><option value="">all</option>{shown}</select></label>'


def _row(result: Result) -> str:
    """One claim or check as a table row."""
    paper, check, verdict = result.paper, result.check, result.verdict
    order = OUTCOMES.index(verdict.outcome)
    whose = "claim" if isinstance(check, Claim) else "check"
    effect = "" if verdict.difference is None else f"{verdict.difference:+.3f}"
    scaled = "" if verdict.difference is None else f"{drawings.scaled(check, verdict.difference):.4f}"
    return (
        f'<tr data-family="{html.escape(paper.family)}" data-outcome="{verdict.outcome}" data-whose="{whose}" '
        f'data-language="{",".join(result.languages)}">'
        f'<td><a href="../papers/{paper.slug}/">{paper.slug}</a></td><td>{whose}</td>'
        f'<td><a class="quiet" href="../papers/{paper.slug}/#{result.anchor}">{inline(check.statement)}</a></td>'
        f'<td data-sort="{order}" class="o{order}">{SYMBOLS[verdict.outcome]} {verdict.outcome}</td>'
        f'<td data-sort="{scaled}">{drawings.effect(check, verdict) or inline(verdict.reason)}</td>'
        f'<td data-sort="{effect}">{effect}</td><td>{result.record.preset}</td></tr>'
    )


def languages() -> str:
    """For each language, the papers that were measured in it and what came out."""
    by_code: dict[str, dict[str, list[Result]]] = {}
    for paper in discover():
        for result in results(paper):
            for code in result.languages:
                by_code.setdefault(code, {}).setdefault(paper.slug, []).append(result)
    lines = [
        "# Languages",
        "",
        "What was measured in which language. A language that is missing is no obstacle: every page says under *Use it "
        "on your own* what to bring, and takes any language code or name.",
        "",
        "| language | papers, with claims and checks that drew it |",
        "|---|---|",
    ]
    for code in sorted(by_code, key=language_name):
        papers = ", ".join(f"[{slug}](papers/{slug}/index.md) {len(found)}" for slug, found in by_code[code].items())
        lines.append(f"| {prose(language_name(code))} `{code}` | {papers} |")
    return "\n".join(lines) + "\n"
