"""MuRIL: shares, segments, whole words of both sides, what never meets, own files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import UserError
from core.models.loading import load
from core.models.tokenization import train_wordpiece
from core.tasks.retrieval import Pairs
from papers.muril import PAPER, Line, data, encoded, masking, miniature, stream, upsampling
from papers.muril.config import PRESETS, VARIANTS, Config
from papers.muril.eval import accuracy, no_letters, told

TINY = PRESETS["tiny"]
SEEDS = PAPER.seeds[::3]


def test_shares_of_the_paper() -> None:
    """Sizes 1000, 100, 10: factors 1, 10^0.7, 100^0.7 at alpha .3."""
    found = upsampling({"a": 1000, "b": 100, "c": 10}, 0.3)
    assert [share.factor for share in found.values()] == pytest.approx([1, 5.0119, 25.1189], abs=1e-4)
    assert [share.lines * share.factor for share in found.values()] == pytest.approx([1000, 501.2, 251.2], abs=0.05)
    assert [share.share for share in found.values()] == pytest.approx([0.5707, 0.2860, 0.1433], abs=1e-4)
    mbert = upsampling({"a": 1000, "b": 100, "c": 10}, 0.7)
    assert [share.factor for share in mbert.values()] == pytest.approx([1, 1.9953, 3.9811], abs=1e-4)
    assert [share.share for share in mbert.values()] == pytest.approx([0.8069, 0.1610, 0.0321], abs=1e-4)


@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=6), st.floats(0, 1))
def test_shares_are_what_copying_gives(sizes: list[int], alpha: float) -> None:
    found = upsampling({str(place): size for place, size in enumerate(sizes)}, alpha)
    copies = [share.lines * share.factor for share in found.values()]
    assert [share.share for share in found.values()] == pytest.approx([copy / sum(copies) for copy in copies])


def test_a_stream_has_the_shares_and_turns_pairs_round() -> None:
    pools = {
        "mono": {"a": [Line(f"a{n}") for n in range(100)], "b": [Line(f"b{n}") for n in range(10)]},
        "translations": {"b": [Line("x", "y")]},
    }
    lines = list(stream(pools, {"mono": 2, "translations": 1}, 0.0, 3000, seed=0))
    counts = Counter("pair" if line.pair else line.text[0] for line in lines)
    assert all(abs(counts[kind] - 1000) < 120 for kind in ("pair", "a", "b"))
    assert abs(sum(line == Line("y", "x") for line in lines) - 500) < 80
    first = [line.text for line in lines if line.text.startswith("b")][:10]
    assert sorted(first) == sorted(f"b{n}" for n in range(10))  # in turn, before any comes again
    again = list(stream(pools, {"mono": 2, "translations": 1}, 0.0, 3000, seed=0))
    assert again == lines


def test_words_of_the_two_segments_are_never_masked_as_one() -> None:
    tokenizer = train_wordpiece(["eins zwei drei", "one two"] * 3, 60)
    (row, alone) = encoded(tokenizer, [Line("eins zwei", "one two"), Line("drei")], 32)
    assert row["token_type_ids"] == [0] * (row["input_ids"].index(3) + 1) + [1] * (
        len(row["input_ids"]) - row["input_ids"].index(3) - 1
    )
    assert set(alone["token_type_ids"]) == {0}
    ordinary = [word for word in row["words"] if word >= 0]
    assert sorted(set(ordinary)) == [0, 1, 2, 3]
    first = [word for word, kind in zip(row["words"], row["token_type_ids"], strict=True) if kind == 0 and word >= 0]
    assert max(first) == 1


def test_whole_words_up_to_the_limit() -> None:
    """Words of three pieces and of two at 15 %: BERT's procedure masks nothing, here one whole word is."""
    tokenizer = train_wordpiece(["प्लेबैक गायक"], 30)
    row = encoded(tokenizer, [Line("प्लेबैक गायक")], 64)[0]
    row = {**row, "input_ids": [2, 7, 8, 9, 10, 11, 3], "token_type_ids": [0] * 7, "words": [-1, 0, 0, 0, 1, 1, -1]}
    for seed in range(20):
        batch = masking(tokenizer, rate=0.15)([row], np.random.default_rng(seed))
        chosen = (batch["labels"][0] != -100).nonzero().flatten().tolist()
        words = {row["words"][place] for place in chosen}
        assert words in ({0}, {1})
        assert chosen == [place for place, word in enumerate(row["words"]) if word in words]
    long = encoded(tokenizer, [Line("गायक " * 200)], 512)[0]
    batch = masking(tokenizer, rate=0.9, most=80)([long], np.random.default_rng(0))
    assert int((batch["labels"] != -100).sum()) <= 80


def test_the_tiny_world_keeps_apart_what_it_says() -> None:
    for seed in SEEDS:
        config = replace(TINY, seed=seed)
        found, pools = miniature.world(config), miniature.pools(config)
        assert len(found.kinds) == 36
        romanised = {name for code, names in found.names.items() if "-Latn" in code for name in names.values()}
        text = {line.text for lines in pools["mono"].values() for line in lines}
        assert not romanised & {side for line in text for side in line.split(miniature.SEPARATOR)}
        assert len(found.withheld) == 2 * (miniature.MEASURED + len(miniature.KINDS) * miniature.TOPICS)
        taught = {frozenset(pair) for pair in miniature.topic_lines(found)}
        assert taught
        assert not taught & found.withheld
        shown = {
            frozenset(side.split(miniature.SEPARATOR))
            for lines in pools.values()
            for own in lines.values()
            for line in own
            for side in line
            if side
        }
        for names in found.names.values():
            assert not shown & {frozenset(names[key] for key in pair) for pair in found.withheld}
        unpaired = {names[key] for names in found.names.values() for key in found.unpaired}
        sides = {
            side
            for kind in ("translations", "transliterations")
            for lines in pools[kind].values()
            for line in lines
            for text in line
            for side in str(text).split(miniature.SEPARATOR)
        }
        assert not unpaired & sides
    drawn = [miniature.world(replace(TINY, seed=seed)).languages for seed in PAPER.seeds]
    assert all(not set(one) & set(other) for one, other in zip(drawn[::2], drawn[1::2], strict=True))


def test_native_names_are_written_in_no_two_languages_alike() -> None:
    found = miniature.world(TINY)
    for key in found.kinds:
        names = [found.names[code][key] for code in ("en", *found.languages)]
        assert len(set(names)) == len(names)


def test_arms_read_as_many_lines_of_each_kind_that_they_read() -> None:
    weights = {
        name: miniature.weights(replace(TINY, **VARIANTS[name])) for name in ("muril", "notlit", "notrans", "mlm")
    }
    assert {sum(found.values()) for found in weights.values()} == {2.5}
    assert weights["notlit"]["translations"] == weights["muril"]["translations"]
    assert weights["mlm"] == {"mono": 2.5}


def test_the_null_arm_has_the_same_sides_and_no_pairs() -> None:
    code = miniature.world(TINY).languages[0]
    whole, null = (miniature.pools(replace(TINY, shuffled=flag))["translations"][code] for flag in (False, True))
    assert Counter(line.pair for line in whole) == Counter(line.pair for line in null)
    assert sum(a == b for a, b in zip(whole, null, strict=True)) < len(whole) / 4


def test_accuracy_is_of_both_directions_and_of_those_asked() -> None:
    left, right = np.eye(3), np.eye(3)[[0, 2, 1]]
    assert accuracy(left, right) == pytest.approx(1 / 3)
    assert accuracy(left, right, [0]) == 1.0


def test_a_classifier_is_taught_in_one_language_and_asked_in_others() -> None:
    from sklearn.preprocessing import StandardScaler

    rng = np.random.default_rng(0)
    kinds = ["a", "b"] * 20
    signal = np.array([[1.0, 0.0] if kind == "a" else [0.0, 1.0] for kind in kinds]) + rng.normal(size=(40, 2)) / 10
    found = told(StandardScaler(), signal, kinds, {"turned": signal[::-1], "as it was": signal}, kinds[::-1])
    assert found == {"turned": 1.0, "as it was": 0.0}


def test_letters_give_away_what_one_direction_finds() -> None:
    """Alike spellings are left out, and so is a text that is found from one side or by one of two likenesses alone."""
    assert no_letters(Pairs(["germany", "india", "egypt"], ["jarmani", "bharata", "misra"])) == [1, 2]


def test_the_smoke_run_is_an_ordinary_bert(smoke: Callable[[str], Any]) -> None:
    run = smoke("muril")
    model, tokenizer = load(run.path / "artifact", task="masked-lm")
    assert type(model).__name__ == "BertForMaskedLM"
    assert model.config.type_vocab_size == 2
    assert len(tokenizer) == model.config.vocab_size
    assert {"native", "romanised", "scripts", "across", "unlike", "topics_native"} <= set(run.measurement["metrics"])


def write(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="")


def test_own_files(command: Callable[..., Any], tmp_path: Path) -> None:
    """The page's example with Greek, which the miniature lacks; Windows line ends and empty lines."""
    write(tmp_path / "mono" / "el.txt", "Καλημέρα σας\r\n\r\nΕυχαριστώ πολύ\r\n")
    write(tmp_path / "mono" / "en.txt", "Good morning\nThank you\n")
    write(tmp_path / "translations" / "el.tsv", "Good morning\tΚαλημέρα\r\n\r\nThank you\tΕυχαριστώ\r\n")
    write(tmp_path / "transliterations" / "el.tsv", "Καλημέρα\tkalimera\n")
    shape = ["--vocabulary", "120", "--width", "16", "--layers", "1", "--heads", "2", "--layer", "-1"]
    steps = ["--training.steps", "2", "--training.batch-size", "4", "--training.max-length", "32", "--quiet"]
    folders = ["--texts", "mono", "--translated", "translations", "--romanised", "transliterations", "--out", "mine"]
    end = command("papers.muril.train", *folders, *shape, *steps, cwd=tmp_path)
    assert end.code == 0, end.err
    write(tmp_path / "lines" / "el.tsv", "en\tnative\nGood morning\tΚαλημέρα\nThank you\tΕυχαριστώ\n")
    end = command("papers.muril.use", "measure", "lines/el.tsv", "--model", "mine/artifact", cwd=tmp_path)
    table = [line.split("\t") for line in end.out.splitlines()]
    assert [row[1:3] for row in table] == [["language", "script"], ["el", "native"], ["el", "romanised"]]
    assert all(float(row[4]) >= 1 for row in table[1:])
    end = command("papers.muril.use", "plan", "--sizes", "en=1000", "hi=10", cwd=tmp_path)
    assert end.out.splitlines()[2].split("\t")[:3] == ["hi", "10", "25.119"]


def test_mistakes_in_own_files(tmp_path: Path) -> None:
    write(tmp_path / "hi.tsv", "एक\n")
    with pytest.raises(UserError, match="line 1 has not two texts"):
        data.pairs(tmp_path / "hi.tsv")
    write(tmp_path / "hi.txt", "\n\n")
    with pytest.raises(UserError, match="is empty"):
        data.texts(tmp_path / "hi.txt")
    with pytest.raises(UserError, match="no file such as"):
        data.files(str(tmp_path / "nothing"), ".txt")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shuffled": True, "translations": False, "transliterations": False}, "no pairs to shuffle"),
        ({"translated": "x"}, "name a folder in texts"),
        ({"texts": "x"}, "translations need their folder"),
        ({"texts": "x", "translated": "y"}, "transliterations need their folder"),
        ({"heads": 5}, "no multiple"),
    ],
)
def test_settings_that_mean_nothing(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Config(**changes)
