"""Notebooks, one a family of papers at least: small, offline, on real data, run as a reader would run them."""

from __future__ import annotations

import ast
import importlib
import json
import os
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from core.experiment.paper import discover
from core.experiment.run import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
if not NOTEBOOKS:
    pytest.skip("a copy of the code without its notebooks", allow_module_level=True)

every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def cells(path: Path, kind: str) -> list[str]:
    content = json.loads(path.read_text(encoding="utf-8"))
    return ["".join(cell["source"]) for cell in content["cells"] if cell["cell_type"] == kind]


def outputs(path: Path) -> list[dict[str, Any]]:
    content = json.loads(path.read_text(encoding="utf-8"))
    return [output for cell in content["cells"] for output in cell.get("outputs", [])]


def test_every_family_has_a_notebook() -> None:
    families = {paper.slug: paper.family for paper in discover()}
    assert {families[path.stem] for path in NOTEBOOKS} == set(families.values())


@every_notebook
def test_a_notebook_is_small_and_says_what_it_means(path: Path) -> None:
    prose, code = cells(path, "markdown"), cells(path, "code")
    assert 6 <= len(prose) + len(code) <= 12
    assert prose[0].startswith("# ")
    assert prose[-1].startswith("**What it means.**")
    assert any("plt.subplots" in cell for cell in code)
    assert path.stat().st_size < 150_000
    for target in re.findall(r"\]\(([^)#]+)\)", "\n".join(prose)):
        assert (path.parent / target).exists(), target


@every_notebook
def test_a_notebook_uses_its_paper_as_a_library(path: Path) -> None:
    tree = ast.parse("\n".join(cells(path, "code")))
    named = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module]
    slugs = {node.module.split(".")[1] for node in named if (node.module or "").startswith("papers.") and node.module}
    assert slugs == {path.stem}
    for node in named:  # what moved is found without running it
        module = importlib.import_module(node.module or "")
        for alias in node.names:
            assert hasattr(module, alias.name) or find_spec(f"{node.module}.{alias.name}"), (node.module, alias.name)


@every_notebook
def test_what_a_notebook_shows_was_printed_and_drawn_in_order(path: Path) -> None:
    """Outputs are kept, so that it can be read without being run; nothing in them is of one machine alone."""
    content = json.loads(path.read_text(encoding="utf-8"))
    counts = [cell["execution_count"] for cell in content["cells"] if cell["cell_type"] == "code"]
    assert counts == list(range(1, len(counts) + 1))
    shown = outputs(path)
    assert {output["output_type"] for output in shown} <= {"stream", "display_data", "execute_result"}
    assert {output["name"] for output in shown if output["output_type"] == "stream"} <= {"stdout"}
    drawn = [output for output in shown if "image/png" in output.get("data", {})]
    assert len(drawn) == "".join(cells(path, "code")).count("plt.subplots")
    text = json.dumps([output for output in shown if "image/png" not in output.get("data", {})])
    assert not re.search(r"/(home|root|tmp|Users|work)/|\\u001b", text)


@pytest.mark.slow
@pytest.mark.weights
@every_notebook
def test_a_notebook_runs_offline(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nbclient = pytest.importorskip("nbclient")
    import nbformat

    for name, value in {
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
        "JUPYTER_RUNTIME_DIR": str(tmp_path),
        "http_proxy": "http://127.0.0.1:9",
        "https_proxy": "http://127.0.0.1:9",
    }.items():
        monkeypatch.setenv(name, value)
    notebook = nbformat.read(path, as_version=4)
    nbclient.NotebookClient(notebook, timeout=200, resources={"metadata": {"path": str(tmp_path)}}).execute()
    drawn = [
        output
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if "image/png" in output.get("data", {})
    ]
    assert len(drawn) == "".join(cells(path, "code")).count("plt.subplots")
