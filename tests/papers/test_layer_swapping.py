"""Layer swapping: parity with the brief's numbers, whole layers, the miniature, and the worked examples of the page."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from core.errors import UserError
from core.experiment.config import override, with_variant
from core.experiment.paper import find
from core.files import read_json, write_json
from core.models import merging
from core.models.architectures import miniature as shape
from core.models.loading import from_config, load_model
from core.models.tokenization import completion_row, train_bpe
from core.tasks.mathematics import Question
from papers.layer_swapping import data, method, miniature, use
from papers.layer_swapping.config import PRESETS, VARIANTS
from papers.layer_swapping.method import Recipe, placed, shares, swap
from papers.layer_swapping.use import scaled

TINY = PRESETS["tiny"]
# A tenth of the pairs of numbers from 1 to 29, in whatever order.
FAMILIES = 43.5
TASK, LANGUAGE = (10, 11, 12, 13, 14, 15), (0, 1, 2, 3, 4, 5)


def plain(bottom: int, top: int, low: int = 0, high: int = 0, weight: float = 0.5) -> Recipe:
    return Recipe(bottom, top, low, high, weight)


def stack(folder: Path, values: Sequence[float], outer: float = 0.0, names: str = "model.layers.{}.w") -> Path:
    """A checkpoint with one number a layer, in two shards, and an embedding."""
    folder.mkdir()
    half = len(values) // 2
    tensors = [(names.format(i), torch.tensor([float(value)])) for i, value in enumerate(values)]
    save_file(dict(tensors[half:]), folder / "model-2.safetensors")
    save_file(
        {**dict(tensors[:half]), "model.embed.weight": torch.tensor([float(outer)])}, folder / "model-1.safetensors"
    )
    write_json(folder / "config.json", {"tie_word_embeddings": True})
    return folder


def values(folder: Path) -> list[float]:
    found = {name: float(tensor) for file in folder.glob("*.safetensors") for name, tensor in load_file(file).items()}
    return [found[name] for name in sorted(found, key=lambda name: (merging.part(name).layer is None, name))]


# --- parity -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("recipe", "merged"),
    [
        (plain(1, 1, 1, 1), (0, 6, 12, 13, 9, 5)),
        (plain(2, 0), (0, 1, 12, 13, 14, 15)),
        (plain(0, 0), TASK),
        (plain(6, 0), LANGUAGE),
        (plain(1, 0, 2, 0, 0.25), (0, 8.5, 9.5, 13, 14, 15)),
    ],
)
def test_swaps_of_the_brief(recipe: Recipe, merged: Sequence[float], tmp_path: Path) -> None:
    task, language = stack(tmp_path / "task", TASK, 7), stack(tmp_path / "language", LANGUAGE, 8)
    made = method.swapped(task, language, recipe, tmp_path / "out")
    assert values(tmp_path / "out") == [*merged, 8]
    assert read_json(tmp_path / "out" / "layers.json") == made
    assert made["outer_tensors"] == ["model.embed.weight"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "config.json", "layers.json", "model-1.safetensors", "model-2.safetensors",
    ]  # fmt: skip


@pytest.mark.parametrize(("outer", "expected"), [("language", 8), ("task", 7), ("average", 7.5), ("base", 1)])
def test_whose_the_outer_tensors_are(outer: Any, expected: float, tmp_path: Path) -> None:
    task, language = stack(tmp_path / "task", TASK, 7), stack(tmp_path / "language", LANGUAGE, 8)
    base = stack(tmp_path / "base", [0] * 6, 1)
    recipe = Recipe(1, 1, outer=outer)
    method.swapped(task, language, recipe, tmp_path / "out", base=base)
    assert values(tmp_path / "out") == [0, 6, 12, 13, 9, 5, expected]
    if outer == "base":
        with pytest.raises(UserError, match="name it"):
            method.swapped(task, language, recipe, tmp_path / "other")


def test_soup_and_ties_of_the_brief() -> None:
    soup = merging.average([0.5, 0.5])("w", [torch.tensor(TASK).float(), torch.tensor(LANGUAGE).float()])
    assert soup.tolist() == [5, 6, 7, 8, 9, 10]
    # The brief keeps both of two equal entries; here, as in PEFT, as many as the density says. A tie is broken there.
    task, language = torch.tensor([3, -1, 0.1, 2]), torch.tensor([-1.99, -2, 0.2, 4])
    merged = merging.ties([1, 1], density=0.5)("w", [torch.zeros(4), task, language])
    assert merged.tolist() == [3, -2, 0, 3]


def test_parts_that_overlap_are_refused() -> None:
    assert shares(plain(2, 2, 1, 1), 6) == [1, 1, 0.5, 0.5, 1, 1]
    with pytest.raises(UserError, match="overlap: the model has 6 layers"):
        shares(plain(3, 2, 1, 1), 6)
    with pytest.raises(UserError, match=r"weight = 1\.5 is out of range"):
        plain(1, 1, weight=1.5)


def test_the_papers_recipe_by_depth() -> None:
    assert scaled(32) == Recipe(5, 2, 1, 1) == PRESETS["paper"].recipe
    assert (scaled(6).bottom, scaled(6).top) == (1, 1)
    assert all(len(shares(scaled(layers), layers)) == layers for layers in range(1, 100))


@settings(max_examples=30)
@given(st.integers(0, 3), st.integers(0, 3), st.floats(0, 1, width=16), st.integers(0, 99))
def test_reverse_is_the_complement_and_random_another_order(b: int, u: int, weight: float, seed: int) -> None:
    recipe = plain(b, u, 1, 1, weight)
    own, turned = placed(recipe, 8), placed(recipe, 8, "reverse")
    one, other = torch.tensor([2.0, 3.0]), torch.tensor([5.0, 7.0])

    def merged(how: tuple[Any, Any], name: str, tensors: list[torch.Tensor]) -> torch.Tensor:
        result = swap(*how)(name, tensors)
        return tensors[result] if isinstance(result, int) else result

    for layer in range(8):
        name = f"model.layers.{layer}.mlp.up_proj.weight"
        assert torch.allclose(merged(own, name, [one, other]) + merged(turned, name, [one, other]), one + other)
        assert torch.equal(merged(own, name, [one, one]), one) or 0 < own[0][layer] < 1
    assert turned[1] == "task"
    drawn, outer = placed(recipe, 8, "random", seed)
    assert sorted(drawn) == sorted(own[0])
    assert outer == "language"
    assert drawn != own[0] or len(set(own[0])) == 1


# --- whole layers of real architectures -------------------------------------------------------------------------------


@pytest.mark.parametrize("tied", [True, False])
def test_a_layer_is_swapped_with_norms_and_all(tied: bool, tmp_path: Path) -> None:
    config = shape(11, width=8, layers=3, heads=2, feed_forward=8, positions=8, tie_word_embeddings=tied)
    models: list[Any] = [from_config(config, seed=seed) for seed in (1, 2)]
    for scale, model in enumerate(models, start=2):
        for name, weight in model.named_parameters():
            if "norm" in name:
                torch.nn.init.constant_(weight, scale)
    paths = [tmp_path / name for name in ("task", "language")]
    for model, path in zip(models, paths, strict=True):
        model.save_pretrained(path)
    made = method.swapped(paths[0], paths[1], plain(1, 0), tmp_path / "out")
    assert made["layers"] == [1, 0, 0]
    merged = load_model(tmp_path / "out", dtype="float32").state_dict()
    for name, tensor in merged.items():
        assert torch.equal(tensor, models[merging.part(name).layer in (None, 0)].state_dict()[name]), name
    ids = torch.tensor([[1, 2, 3]])
    method.swapped(paths[0], paths[0], Recipe(1, 1, 0, 0), tmp_path / "same")
    again = load_model(tmp_path / "same", dtype="float32")
    assert torch.equal(again(ids).logits, models[0](ids).logits)
    other = shape(12, width=8, layers=3, heads=2, feed_forward=8, positions=8)
    from_config(other, seed=0).save_pretrained(tmp_path / "wide")
    with pytest.raises(UserError, match=r"another shape|alone"):
        method.swapped(tmp_path / "wide", paths[1], plain(1, 0), tmp_path / "never")


# --- what has changed -------------------------------------------------------------------------------------------------


def test_change_by_layer_and_the_suggested_ends(tmp_path: Path) -> None:
    base = stack(tmp_path / "base", [1] * 6, names="model.layers.{}.mlp.w")
    expert = stack(tmp_path / "expert", [5, 2, 1, 1, 2, 3], 1, names="model.layers.{}.mlp.w")
    found = method.change(base, expert)
    assert method.profile(found) == method.profile(found, "mlp") == [4, 1, 0, 0, 1, 2]
    assert found[-1] == (None, "outer", 1, 1e12)
    # 4 of 8 lie in the lowest layer, 6 in it and the highest.
    assert [use.suggested(found, share) for share in (0.5, 0.6, 0.9, 1)] == [(1, 0), (1, 1), (2, 2), (2, 2)]
    assert use.suggested(method.change(base, base)) == (0, 0)


def test_frozen_experts_change_nothing_but_what_they_give() -> None:
    config = override(TINY, {"frozen": True})
    names = {name for name, _ in from_config(miniature.scratch_shape(20), seed=0).named_parameters()}
    free = {}
    for kind in ("task", "language", "joint"):
        model: Any = from_config(miniature.scratch_shape(20), seed=0)
        data.freeze(model, config, kind)
        free[kind] = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    layers = {kind: {merging.part(name).layer for name in found} for kind, found in free.items()}
    assert layers["task"] == {1, 2, 3, 4}
    assert layers["language"] == {None, 0, 1, 4, 5}
    assert free["joint"] == names == free["task"] | free["language"]


# --- the miniature ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, 5])
def test_tested_sums_are_shown_in_english_and_in_no_target_language(seed: int) -> None:
    for config in (override(TINY, {"seed": seed, "split": split}) for split in ("test", "dev")):
        code = miniature.targets(config)[0]
        asked = miniature.asked(config, code)
        tested, unseen = ({item.cls for item in asked[name]} for name in ("add", "unseen"))
        assert len(tested) == pytest.approx(FAMILIES, abs=1)
        assert len(unseen) == pytest.approx(FAMILIES / 2, abs=1)
        assert {item.cls for item in asked["english"]} <= tested
        assert {item.cls for item in asked["unseen_english"]} == unseen
        for task in (*miniature.GENERIC, "add"):
            assert not (tested | unseen) & {item.cls for item in miniature.shown(code, task, seed)}
            assert not unseen & {item.cls for item in miniature.shown("en", task, seed)}
        assert {*asked["english"]} <= {*miniature.shown("en", "add", seed)}
        found = miniature.solvers(config, code)
        assert found["lookup"] == found["symmetric"] == found["copy"] == 0
        assert max(found.values()) < 0.05


def test_reading_alone_answers_no_sum() -> None:
    for item in miniature.items("sw", "add"):
        a, b = item.id.rpartition("/")[2].split("-")[1:]
        assert item.answer not in {miniature.answer(task, int(a), int(b)) for task in miniature.GENERIC}


def test_every_item_has_its_answer_and_family() -> None:
    found = {item.id: item for task in miniature.SIGNS for item in miniature.items("sw", task)}
    assert len(found) == 3 * 29 * 29 + 29 * 28
    item = found["sw/4-7/add-7-4"]
    assert (item.prompt, item.answer) == ("<sw> saba + nne =", "1 1")
    assert (found["sw/4-7/sub-11-4"].answer, found["sw/4-7/read-7-4"].answer) == ("7", "7 , 4")
    assert (found["sw/4-7/sub-4-11"].answer, found["sw/4-7/max-7-4"].answer) == ("7", "7")


def test_rows_are_those_of_core() -> None:
    tokenizer, one = miniature.tokenizer_for(TINY), override(TINY.task, {"steps": 1, "batch_size": 1})
    for task in miniature.SIGNS:
        item = miniature.items("en", task)[123]
        expected = completion_row(tokenizer, item.prompt, f" {item.answer}")
        assert miniature.rows(tokenizer, iter([item]), one) == [expected]


def test_six_seeds_have_twelve_languages() -> None:
    seeds = find("layer_swapping").seeds
    drawn = [code for seed in seeds for code in miniature.targets(override(TINY, {"seed": seed}))]
    assert sorted(drawn) == sorted(miniature.POOL)
    config = override(TINY, {"seed": seeds[0]})
    one, other = miniature.targets(config)
    assert miniature.stranger(config, one) == other


def test_who_sees_what() -> None:
    config = override(TINY, {"target_share": 0.1})
    one, other = miniature.targets(config)

    def seen(found: Any) -> set[tuple[str, str]]:
        items = [next(found) for _ in range(3000)]
        return {(item.language, item.id.rpartition("/")[2].partition("-")[0]) for item in items}

    def rng() -> Any:
        return miniature.Random(0)

    assert seen(miniature.of_task(config, rng())) == {("en", "add")}
    generic = {(one, task) for task in miniature.GENERIC}
    assert seen(miniature.of_language(config, rng(), one)) == generic
    assert seen(miniature.of_both(config, rng(), one)) == generic | {("en", "add")}
    base = seen(miniature.of_base(config, rng()))
    assert base == {(code, task) for code in (*miniature.HIGH, one, other) for task in miniature.SIGNS} - {
        (code, "add") for code in (one, other)
    }


def test_the_smoke_run(smoke: Callable[[str], Any]) -> None:
    run = smoke("layer_swapping")
    folders = sorted(path for path in (run.path / "artifact").iterdir() if path.is_dir())
    assert len(folders) == miniature.TARGETS
    assert read_json(folders[0] / "layers.json")["layers"] == [1, 0.5, 0, 0, 0.5, 1]
    units = run.measurement["units"]
    assert {path.partition("/")[0] for path in units["add"]} == {*miniature.targets(PRESETS["smoke"])}
    assert set(units) >= {"add", "english", "generic", "neutral"}


# --- the paper's data -------------------------------------------------------------------------------------------------


def write_lines(path: Path, rows: Sequence[Mapping[str, Any]]) -> str:
    path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8")
    return str(path)


def test_rows_of_the_papers_sets(tmp_path: Path) -> None:
    orca = write_lines(tmp_path / "orca.jsonl", [{"question": "2 + 2?", "answer": "It is 4."}] * 3)
    assert data.examples(orca, "", 2, 0) == [("2 + 2?", "It is 4.")] * 2
    aya = [
        {"inputs": "Habari?", "targets": "Nzuri.", "language": "Swahili", "language_code": "swa"},
        {"inputs": "Hi?", "targets": "Hello.", "language": "English", "language_code": "eng"},
    ]
    assert data.examples(write_lines(tmp_path / "aya.jsonl", aya), "sw", 9, 0) == [("Habari?", "Nzuri.")]
    alpaca = write_lines(tmp_path / "a.jsonl", [{"instruction": "Jumlisha", "input": "2 na 2", "output": "4"}])
    assert data.examples(alpaca, "sw", 9, 0) == [("Jumlisha\n2 na 2", "4")]
    with pytest.raises(UserError, match="no row in 'te'"):
        data.examples(str(tmp_path / "aya.jsonl"), "te", 9, 0)
    with pytest.raises(UserError, match="row 1: it has neither"):
        data.examples(write_lines(tmp_path / "b.jsonl", [{"text": "x"}]), "", 9, 0)


def test_two_examples_stand_before_a_question(tmp_path: Path) -> None:
    rows = [
        {"lang": code, "question": f"{code} {n}?", "answer": f"#### {n}"} for code in ("sw", "en") for n in range(3)
    ]
    config = override(PRESETS["paper"], {"exemplars": write_lines(tmp_path / "shots.jsonl", rows)})
    (asked,) = data.prompts(config, "sw", [Question("1", "Ngapi?", "7")])
    assert asked.startswith("Question: sw 0?\nAnswer: The answer is 0.\n\nQuestion: sw 1?") or "sw 0?" in asked
    assert asked.endswith("\n\nQuestion: Ngapi?\nAnswer:")
    with pytest.raises(UserError, match="0 examples in 'te'"):
        data.shots(config.exemplars, "te")


def test_the_papers_path_on_own_files(tmp_path: Path, command: Callable[..., Any]) -> None:
    rows = [{"lang": code, "question": f"{n} + {n}?", "answer": f"{2 * n}"} for code in ("sw", "en") for n in range(4)]
    path = write_lines(tmp_path / "rows.jsonl", rows)
    tokenizer = train_bpe([str(row) for row in rows], 300)
    model: Any = from_config(shape(len(tokenizer), width=8, layers=4, heads=2, feed_forward=8, positions=256), seed=0)
    for part in (model, tokenizer):
        part.save_pretrained(tmp_path / "base")
    words = ["smoke", "--base", "base", "--task-data", path, "--language-data", path, "--test", path]
    words += ["--exemplars", path, "--out", "run", "--quiet"]
    for stage in ("train", "eval"):
        end = command(f"papers.layer_swapping.{stage}", *words, cwd=tmp_path)
        assert end.code == 0, end.err
    found = read_json(tmp_path / "run" / "measurement.json")
    assert set(found["units"]) == {"add", "english"}
    assert set(found["units"]["add"]) == {f"sw/{number}" for number in range(1, 5)}
    assert read_json(tmp_path / "run" / "artifact" / "sw-0-0" / "layers.json")["layers"] == [1, 0.5, 0.5, 1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"system": "soup", "place": "reverse"}, "leave --system swap"),
        ({"task_experts": ("a",)}, "name --base"),
        ({"frozen": True, "base": "b", "task_experts": ("a",)}, "leave --task-experts"),
        ({"stranger": True, "base": "b", "other": "swh"}, "name it by --other"),
        ({"recipe.bottom": -1}, "out of range"),
    ],
)
def test_settings_that_mean_nothing(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        override(TINY, changes)


def test_every_variant_of_the_card_is_another_one() -> None:
    configs = [with_variant(TINY, VARIANTS, name) for name in VARIANTS]
    assert len(set(map(repr, configs))) == len(VARIANTS)


# --- use --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def experts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    stack(tmp_path / "base", [9] * 6, 9)
    stack(tmp_path / "maths", TASK, 7)
    stack(tmp_path / "swahili", LANGUAGE, 8)
    return tmp_path


def test_merging_what_somebody_has(experts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    both = ["--task-expert", "maths", "--language-expert", "swahili"]
    use.main(["merge", *both, "--out", "one", "--mergekit", "kit.yaml"])
    assert values(experts / "one") == [0, 6, 12, 13, 9, 5, 8]
    assert "2 to   3  0.00" in capsys.readouterr().out
    kit = yaml.safe_load((experts / "kit.yaml").read_text())
    assert [one["sources"][1]["layer_range"] for one in kit["slices"]] == [[0, 1], [1, 2], [2, 4], [4, 5], [5, 6]]
    weights = [[source["parameters"]["weight"] for source in one["sources"]] for one in kit["slices"]]
    assert weights[1:4] == [[0.5, 0.5], [1, 0], [0.5, 0.5]]
    assert weights[0][1] == [{"filter": "model.embed.weight", "value": 1}, {"value": 1}]
    use.main(["merge", *both, "--out", "two", "--how", "reverse", "--transition", "0"])
    assert values(experts / "two") == [10, 1, 2, 3, 4, 15, 7]
    use.main(["merge", *both, "--out", "three", "--how", "soup", "--weight", "0.25"])
    assert values(experts / "three")[:2] == [7.5, 8.5]
    use.main(["merge", *both, "--out", "four", "--how", "arithmetic", "--base", "base"])
    assert values(experts / "four") == [1, 3, 5, 7, 9, 11, 6]
    use.main(["merge", *both, "--out", "five", "--how", "soup", "--outer", "base", "--base", "base"])
    assert values(experts / "five")[:2] == [5, 6]
    with pytest.raises(SystemExit):
        use.main(["merge", *both, "--out", "six", "--outer", "base", "--base", "base", "--mergekit", "no.yaml"])
    assert not (experts / "six").exists()
    with pytest.raises(SystemExit):
        use.main(["merge", *both, "--out", "six", "--how", "soup", "--bottom", "1"])


def test_what_somebodys_fine_tune_changed(experts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    use.main(["change", "--base", "base", "--experts", "swahili", "--out", "change.tsv"])
    assert "60% of it lie in --bottom 3 --top 0" in capsys.readouterr().out
    lines = (experts / "change.tsv").read_text().splitlines()
    assert lines[0].split("\t") == ["expert", "layer", "module", "change", "relative"]
    assert lines[1].split("\t")[:4] == ["swahili", "0", "all", "9"]


def test_searching_a_recipe(experts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (experts / "mine.py").write_text(
        "from pathlib import Path\nfrom safetensors.torch import load_file\n"
        "def score():\n"
        "    def value(folder):\n"
        "        found = {}\n"
        "        for file in Path(folder).glob('*.safetensors'):\n"
        "            found |= load_file(file)\n"
        "        return -abs(float(found['model.layers.1.w']) - 1) - abs(float(found['model.layers.5.w']) - 15)\n"
        "    return value\n"
    )
    options = ["--task-expert", "maths", "--language-expert", "swahili", "--evaluate", "mine.py:score"]
    use.main(["search", *options, "--bottom", "1", "2", "--top", "0", "1", "--transition", "0", "--out", "table.tsv"])
    printed = capsys.readouterr().out
    assert "best recipe: bottom 2 top 0 transition 0/0" in printed
    assert "reverse of the best" in printed
    assert len((experts / "table.tsv").read_text().splitlines()) == 1 + 3 + 4 + 4
    assert "no less than it" not in printed
    use.main(["search", *options, "--bottom", "1", "--top", "1"])
    assert "random places score -5.0000, no less than it" in capsys.readouterr().out


def adapter(folder: Path, rank: int) -> Path:
    folder.mkdir()
    names = [f"base_model.model.model.layers.{i}.mlp.up_proj.lora_A.weight" for i in range(3)]
    save_file({name: torch.full((2, 2), float(rank)) for name in names}, folder / "adapter_model.safetensors")
    write_json(folder / "adapter_config.json", {"peft_type": "LORA", "r": rank, "lora_alpha": 4})
    return folder


def test_adapters_are_swapped_by_layer_and_not_averaged(experts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, rank in (("a", 2), ("b", 2), ("c", 3)):
        adapter(experts / name, rank)
    use.main(
        ["merge", "--task-expert", "a", "--language-expert", "b", "--out", "ab", "--transition", "0", "--bottom", "1"]
    )
    assert read_json(experts / "ab" / "layers.json")["layers"] == [1, 0, 1]
    for words, message in (
        ("--task-expert a --language-expert b", "no average of what adapters do"),
        ("--task-expert a --language-expert b --how soup", "no average of what adapters do"),
        ("--task-expert a --language-expert c --transition 0", "differ in r"),
        ("--task-expert a --language-expert maths", "Adapters and whole models"),
    ):
        with pytest.raises(SystemExit) as stop:
            use.main(["merge", *words.split(), "--out", "never"])
        assert stop.value.code == 2
        assert message in capsys.readouterr().err
    with pytest.raises(SystemExit):
        use.main(["search", "--task-expert", "a", "--language-expert", "b", "--evaluate", "mine.py:score"])
    assert "search averages too" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("merge --task-expert maths --language-expert swahili --out x --bottom 5 --top 1", "overlap"),
        ("merge --task-expert maths --language-expert swahili --out x --how ties", "name --base"),
        ("merge --task-expert maths --language-expert swahili --out base", "base exists"),
        ("merge --task-expert maths --language-expert nothing/here/x --out x", "no model folder"),
        ("search --task-expert maths --language-expert swahili --evaluate mine", "is not known"),
        ("search --task-expert maths --language-expert swahili --evaluate bad.py:score", "return a finite number"),
        (
            "search --task-expert maths --language-expert swahili --evaluate bad.py:score --bottom 9",
            "fits into 6 layers",
        ),
    ],
)
def test_mistakes_end_in_a_sentence(
    words: str, message: str, experts: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (experts / "bad.py").write_text("def score():\n    return lambda folder: float('nan')\n")
    with pytest.raises(SystemExit) as stop:
        use.main(words.split())
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


def test_the_python_of_the_page(experts: Path) -> None:
    page = (find("layer_swapping").folder / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    assert blocks
    for block in blocks:
        exec(compile(block, "README.md", "exec"), {})
