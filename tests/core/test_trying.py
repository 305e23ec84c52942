"""`papers try`: what it asks for, the report and the model card."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
from pathlib import Path

import pytest

from core import cli
from core.errors import UserError
from core.experiment import trying
from core.experiment.paper import find, slugs
from core.experiment.trying import Try

TRIED = [slug for slug in slugs() if (find(slug).folder / "use.py").exists()]


@pytest.mark.parametrize("slug", TRIED)
def test_the_main_verb_takes_what_is_said(slug: str) -> None:
    how = trying.trial(slug)
    words = how.words(slug, {name: "mine" if name in how.needs else None for name in trying.OPTIONS}, Path("out"))
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        importlib.import_module(f"papers.{slug}.use").main([*words, *how.more.split(), "--dry-run"])
    assert "mine" in printed.getvalue()
    assert "data" in how.needs
    assert all(text.endswith(".") for text in (how.data, how.means, how.limits))


def test_what_is_missing_or_too_much_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    how = Try("score {data} --model {model}", "lines.", "This.", "Not that.")
    with pytest.raises(UserError, match="papers try x needs --model: a hub id"):
        how.words("x", {"data": "a", "model": None, "language": None}, Path("out"))
    with pytest.raises(UserError, match="needs --data: lines"):
        how.words("x", {"data": None, "model": "m", "language": None}, Path("out"))
    with pytest.raises(UserError, match="takes no --language"):
        how.words("x", {"data": "a", "model": "m", "language": "sw"}, Path("out"))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match="Use it on your own"):
        trying.trial("bimedix")


def test_without_data_it_is_told_what_to_bring(capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["try", "dip"])
    told = capsys.readouterr().out
    assert "Bring questions" in told
    assert "papers try dip --model MODEL --data DATA -- --lexicon words.tsv" in told


def test_a_report_holds_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    module = importlib.import_module("papers.mexa.use")

    def main(words: list[str]) -> None:
        print("fr 0.31 <b>")
        folder = Path(words[words.index("--out") + 1])
        (folder / "model").mkdir(parents=True)
        (folder / "model" / "config.json").write_text("{}", encoding="utf-8")
        (folder / "model" / "model.safetensors").write_bytes(b"")
        (folder / "drawn.svg").write_text("<svg/>", encoding="utf-8")
        (folder / "languages.tsv").write_text(
            "language\tscore\tlow\thigh\nfr\t0.3\t0.2\t0.4\n<i>\t0.1\t0\t0.2\n", "utf-8"
        )

    monkeypatch.setattr(module, "main", main)
    monkeypatch.chdir(tmp_path)
    cli.main(["try", "mexa", "--model", "org/base", "--data", "lines.tsv", "--out", "mine", "--", "--keep-first"])
    assert "fr 0.31 <b>" in capsys.readouterr().out
    report = (tmp_path / "mine" / "report.html").read_text(encoding="utf-8")
    assert "fr 0.31 &lt;b&gt;" in report
    assert "<i>" not in report
    assert 'src="data:image/svg+xml;base64,PHN2Zy8+"' in report
    assert "0.30" in report
    assert "--keep-first" in report
    assert "What it does not mean" in report
    card = (tmp_path / "mine" / "model" / "README.md").read_text(encoding="utf-8")
    front = dict(line.split(": ", 1) for line in card.split("---")[1].strip().splitlines())
    assert json.loads(front["base_model"]) == "org/base"
    assert json.loads(front["tags"]) == ["multilingual-papers", "mexa"]
    (tmp_path / "mine" / "model" / "README.md").write_text("mine", encoding="utf-8")
    trying.write_card(tmp_path / "mine" / "model", find("mexa"), trying.trial("mexa"), {})
    assert (tmp_path / "mine" / "model" / "README.md").read_text(encoding="utf-8") == "mine"
