"""Coloured shapes: the quantiser by the official code's numbers, words and pictures that say the same, the sheet."""

from __future__ import annotations

import itertools
from pathlib import Path
from random import Random

import numpy as np
import pytest
import torch

from core.errors import UserError
from core.worlds import shapes
from core.worlds.shapes import Thing


def test_lookup_free_quantisation() -> None:
    planes = torch.tensor([[[0.2, -1], [0, 3]], [[-0.1, -2], [0.5, 0.1]], [[0.7, 0.3], [-0.4, -0.2]]])
    assert shapes.lfq_indices(planes).tolist() == [[5, 1], [2, 6]]
    assert shapes.lfq_entries(torch.tensor(5), 3).tolist() == [1, -1, 1]
    codes = torch.arange(32).view(4, 8)
    assert (shapes.lfq_indices(shapes.lfq_entries(codes, 5).movedim(-1, 0)) == codes).all()


def test_pictures_are_read_back_without_error() -> None:
    rng = np.random.default_rng(0)
    for one, other in itertools.product(shapes.KINDS.values(), repeat=2):
        codes = shapes.place([one, other], rng)
        picture = shapes.decode(codes[None])[0]
        assert (shapes.encode(picture[None])[0] == codes).all()
        assert sorted(thing for _, thing in shapes.things(picture)) == sorted([one, other])
    shown = shapes.things(shapes.decode(shapes.place([Thing("heart")], rng)[None])[0])
    assert [thing.shape for _, thing in shown] == ["heart"]
    assert not shapes.things(shapes.decode(torch.tensor([[0, 8, 16, 24, 0, 0, 0, 0, 0]]))[0]), "shapes without a colour"


def test_words() -> None:
    pair = (Thing("circle", "red"), Thing("square", "blue"))
    assert shapes.describe(pair, "nl") == "een rode cirkel en een blauw vierkant"
    assert shapes.describe(pair, "zh") == "一个红色的圆形和一个蓝色的正方形"
    assert shapes.describe(pair, "en", "fr") == "a red circle and un carré bleu"
    assert shapes.describe(pair, "fr", "en") == "un cercle rouge et a blue square"
    assert shapes.describe([Thing("heart")], "fr") == "un cœur"
    for language in shapes.GRAMMARS:
        said = {shapes.describe([thing], language) for thing in shapes.KINDS.values()}
        assert len(said) == len(shapes.KINDS), "no two things have one name"
    with pytest.raises(UserError, match="no prompts in 'sw'"):
        shapes.describe(pair, "sw")


def test_a_sheet_keeps_every_script_as_text(tmp_path: Path) -> None:
    from matplotlib import pyplot

    figure, axes = pyplot.subplots()
    codes = torch.tensor([[shapes.code(Thing(shape, "red")) for shape in shapes.SHAPES] + [0] * 5])
    pictures = [[(shapes.decode(codes)[0], "green")], [(torch.zeros(5, 5, 3), "")]]
    assert shapes.sheet(axes, [("两个心形", "Chinese"), ("x", "")], [("title", pictures)]) > 2
    assert len(axes.patches) == 6, "ground, four shapes and a frame"
    figure.savefig(tmp_path / "x.svg")
    pyplot.close(figure)
    assert "两个心形" in (tmp_path / "x.svg").read_text(encoding="utf-8")


def test_a_crowd_shows_everything_and_is_like_no_other_crowd() -> None:
    seeds = range(200)
    crowd = shapes.crowd(seeds)
    shown = [shapes.things(picture) for picture in crowd]
    assert {len(found) for found in shown} == {shapes.TOKENS}
    assert {thing for found in shown for _, thing in found} == {*shapes.KINDS.values()}
    assert torch.equal(shapes.crowd(seeds), crowd)
    other = shapes.crowd(range(1000, 1200))
    for embed in (shapes.object_counts, shapes.looks):
        alike, apart = (torch.cosine_similarity(embed(crowd), embed(some), dim=-1).mean() for some in (crowd, other))
        assert alike > 0.999
        assert abs(apart) < 0.1


def test_features_are_blind_to_places_and_looks_to_which_part_is_whose() -> None:
    rng = np.random.default_rng(0)
    pairs = [[Thing("circle", "red"), Thing("square", "blue")], [Thing("circle", "blue"), Thing("square", "red")]]
    codes = [shapes.place(pair, rng) for pair in (pairs[0], pairs[0], pairs[1], [Thing("heart", "white")])]
    pictures = shapes.decode(torch.stack(codes))
    counts, looks = shapes.object_counts(pictures), shapes.looks(pictures)
    assert torch.allclose(counts[0], counts[1])
    assert torch.allclose(looks[0], looks[1])
    assert torch.cosine_similarity(counts[0], counts[2], dim=0) < 0
    assert torch.cosine_similarity(looks[0], looks[2], dim=0) > torch.cosine_similarity(looks[0], looks[3], dim=0)


def test_a_mistaken_word_has_the_sense_of_another() -> None:
    asked = Thing("circle", "red")
    assert shapes.mistaken(asked, 0.0, Random(0)) == asked
    read = [shapes.mistaken(asked, 0.5, Random(seed)) for seed in range(600)]
    assert abs(sum(thing.shape != "circle" for thing in read) / 600 - 0.5) < 0.07
    assert {thing.shape for thing in read} == {*shapes.SHAPES}
    wrong = shapes.mistaken(Thing("circle"), 1.0, Random(0))
    assert (wrong.shape != "circle", wrong.colour) == (True, ""), "what is not said is not mistaken"
