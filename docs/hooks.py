"""What the site makes from the repository while it is built; the work is in `docs.pages`.

Pages of papers are their READMEs, so that nothing is written twice; sources, cards, scoreboard, languages and the
menu's shelves follow from the cards and records.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from core.experiment.paper import DEEDS, discover
from core.experiment.report import prose
from docs.pages import drawings, equations, papers, source

ROOT = Path(__file__).resolve().parent.parent


def on_config(config: Any) -> Any:
    """Papers by what they do and by shelf in the menu, and the repository's address where this clone has one."""
    # A shelf has a page of its own: the theme takes the first index for the section's, and would hide a paper so.
    shelves = [
        {
            family.capitalize(): [
                f"papers/{papers.shelf(family)}/index.md",
                *(f"papers/{slug}/index.md" for slug in slugs),
            ]
        }
        for family in papers.families()
        if (slugs := [paper.slug for paper in discover() if paper.family == family])
    ]
    tags = [{f"Papers that {tag}": f"papers/that-{tag}.md"} for tag in DEEDS if papers.tagged(tag)]
    for entry in config["nav"]:
        if "Papers" in entry:
            entry["Papers"] = ["papers/index.md", *tags, *shelves]
    if not config["repo_url"]:
        asked = ["git", "-C", str(ROOT), "remote", "get-url", "origin"]
        address = subprocess.run(asked, capture_output=True, text=True).stdout.strip().removesuffix(".git")
        config["repo_url"] = address if address.startswith("https://") else None
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add the generated pages and the papers' figures and records."""

    def add(path: str, content: str) -> None:
        files.append(File.generated(config, path, content=content))

    for paper in discover():
        folder = f"papers/{paper.slug}"
        readme = (paper.folder / "README.md").read_text(encoding="utf-8")
        says = source.told(readme)
        sources = sorted(
            (path.name for path in paper.folder.glob("[!_]*.py")), key=lambda name: (name != "method.py", name)
        )
        add(f"{folder}/index.md", _front({"search": {"boost": 4}}) + papers.page(paper, sources))
        for name in sources:
            told = {thing: rows for (file, thing), rows in says.items() if file == name}
            text = (paper.folder / name).read_text(encoding="utf-8")
            annotated = name == "method.py"
            made = source.page(f"{paper.slug}/{name}", text, annotated=annotated, says=told, readme=readme)
            search = {"boost": 0.3} if annotated else {"exclude": True}
            add(f"{folder}/{name}.md", _front({"hide": ["navigation", "toc"], "search": search}) + made)
        for path in sorted((paper.folder / "results").glob("*")):
            files.append(File.generated(config, f"{folder}/results/{path.name}", abs_src_path=str(path)))
            if path.suffix == ".svg":
                svg = path.read_text(encoding="utf-8")
                add(f"{folder}/results/{path.stem}-light.svg", drawings.on_light(svg))
                add(f"{folder}/results/{path.stem}-dark.svg", drawings.on_dark(svg))
        for result in papers.results(paper):
            add(f"badges/{paper.slug}/{result.anchor}.svg", drawings.badge(paper.slug, result.verdict.outcome))
    add("papers/index.md", _front({"hide": ["toc"]}) + papers.listing())
    for family in papers.families():
        add(f"papers/{papers.shelf(family)}/index.md", _front({"hide": ["toc"]}) + papers.shelf_page(family))
    for tag in DEEDS:
        if papers.tagged(tag):
            add(f"papers/that-{tag}.md", _front({"hide": ["toc"]}) + papers.tag_page(tag))
    add("scoreboard.md", _front({"hide": ["navigation", "toc"]}) + papers.scoreboard())
    add("languages.md", papers.languages())
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put what is measured where a page asks for it."""
    for mark, made in (
        ("<!-- benchmarks -->", speed_table),
        ("<!-- growth -->", growth_figures),
        ("<!-- gallery -->", lambda: papers.gallery(discover(), "")),
    ):
        if mark in markdown:
            markdown = markdown.replace(mark, made())
    return markdown


def on_page_content(content: str, **_: Any) -> str:
    """Equations as MathML; Sphinx' roles of docstrings as links, where the page or the reference has their object."""
    return source.linked(equations.render(content))


def _front(meta: dict[str, Any]) -> str:
    """Front matter; JSON is YAML."""
    return f"---\n{json.dumps(meta)}\n---\n\n"


def speed_table() -> str:
    """The recorded benchmarks, with the machine that they ran on."""
    record = json.loads((ROOT / "benchmarks" / "results.json").read_text(encoding="utf-8"))
    lines = ["| what | ratio [range] | aim | ours, instead |", "|---|---:|---:|---|"]
    for row in record["rows"]:
        spread = "" if row["low"] is None else f"<br>[{row['low']:.2f}, {row['high']:.2f}]"
        figures = f"{row['ours']:,.1f}, {row['instead']:,.1f} {row['unit']}"
        commit = row.get("commit", record["environment"]["commit"])
        note = row["note"] if commit == record["environment"]["commit"] else f"{row['note']}; commit {commit}"
        what = f"{prose(row['name'])}<br><small>{prose(note)}</small>"
        lines.append(f"| {what} | **{row['ratio']:.2f}**{spread} | {row['expected']} | {figures} |")
    where = record["environment"]
    versions = ", ".join(f"{name} {where['versions'][name]}" for name in ("torch", "transformers"))
    lines += ["", f"*{where['cores']} cores of {where['processor']}, {versions}, commit {where['commit']}.*"]
    return "\n".join(lines)


def growth_figures() -> str:
    """How recorded costs grow with the work, each as a curve on logarithmic axes beside a line of slope 1."""
    record = json.loads((ROOT / "benchmarks" / "results.json").read_text(encoding="utf-8"))
    curves = record.get("growth", [])
    made = "".join(map(drawings.growth, curves))
    return f'<div class="growth">{made}</div>' if curves else "*Not recorded yet.*"
