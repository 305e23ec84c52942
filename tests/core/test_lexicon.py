import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from core.errors import UserError
from core.tasks import lexicon
from core.tasks.lexicon import Space, agreement, hubness, induce, precision, reciprocal


def rotated() -> tuple[np.ndarray, np.ndarray]:
    """Forty words in a space and in a noisy rotation of it, with ten further target words."""
    rng = np.random.RandomState(0)
    x = rng.randn(40, 6)
    rotation = np.linalg.qr(rng.randn(6, 6))[0]
    y = np.vstack([x @ rotation.T + 0.35 * rng.randn(40, 6), rng.randn(10, 6)])
    return tuple((side / np.linalg.norm(side, axis=1, keepdims=True)).round(6) for side in (x, y))


def test_numbers_of_the_official_code():
    """Words 15 to 39 translated by Procrustes over words 0 to 14: the functions of RCSLS's repository give these."""
    x, y = rotated()
    u, _, v = np.linalg.svd(y[:15].T @ x[:15])
    mapped = x @ (u @ v).T
    gold = [{place} for place in range(15, 40)]
    cosine, csls = Space(y), Space(y, mapped, k=3)
    assert np.mean(precision(cosine.ranks(mapped[15:], gold))) == 1.0
    ranks = csls.ranks(mapped[15:], gold)
    assert np.mean(precision(ranks)) == pytest.approx(0.92)
    assert np.mean(precision(ranks, 5)) == 1.0


def test_several_right_answers_count_once():
    """Ranking 7, 5, 2 with the right answers 2 and 5: not the first, but among five, and at rank 2."""
    angles = np.full(8, 2.0)
    angles[[7, 5, 2]] = 0.1, 0.2, 0.3
    ranks = Space(np.stack([np.cos(angles), np.sin(angles)], 1)).ranks([[1.0, 0.0]], [{2, 5}])
    assert (ranks, precision(ranks), precision(ranks, 5), reciprocal(ranks)) == ([2], [0.0], [1.0], [0.5])


def test_reciprocal_ranks_by_hand():
    space = Space([[0.9, 0.1], [0.2, 0.8], [0.5, 0.5], [-1.0, 0.0]])
    ranks = space.ranks([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], [[0], [2], [2]])
    assert np.mean(reciprocal(ranks)) == pytest.approx(0.8333, abs=1e-4)
    assert np.mean(precision(ranks)) == pytest.approx(0.6667, abs=1e-4)


@given(st.integers(0, 99), st.integers(1, 12), st.booleans())
def test_nearest_and_ranks_agree_with_all_pairs(seed, k, by_csls):
    rng = np.random.default_rng(seed)
    sources, targets = rng.normal(size=(9, 4)), rng.normal(size=(11, 4))
    left, right = (side / np.linalg.norm(side, axis=1, keepdims=True) for side in (sources, targets))
    scores = left @ right.T
    if by_csls:
        near = np.sort(scores, 1)[:, -k:].mean(1), np.sort(scores, 0)[-k:].mean(0)
        scores = 2 * scores - near[0][:, None] - near[1]
    space = Space(targets, sources if by_csls else None, k=k)
    found = space.nearest(sources, 3)
    assert found.places.tolist() == np.argsort(-scores)[:, :3].tolist()
    assert found.scores.numpy() == pytest.approx(np.sort(scores)[:, ::-1][:, :3], abs=1e-5)
    gold = [{int(rng.integers(11)), int(rng.integers(11))} for _ in range(9)]
    order = np.argsort(-scores)
    assert space.ranks(sources, gold) == [
        min(order[row].tolist().index(place) for place in gold[row]) + 1 for row in range(9)
    ]


def test_chunks_change_nothing(monkeypatch):
    x, y = rotated()
    whole = Space(y, x).nearest(x, 5)
    monkeypatch.setattr(lexicon, "CHUNK", 7)
    assert torch.equal(Space(y, x).nearest(x, 5).places, whole.places)
    assert hubness(y, x).numpy() == pytest.approx(np.sort(y @ x.T)[:, -10:].mean(1), abs=1e-5)


def test_a_wrong_word_with_an_equal_score_stands_before_the_right_one():
    assert Space(np.ones((5, 2))).ranks(np.ones((1, 2)), [{3}]) == [5]


def test_a_query_without_an_answer_is_refused():
    with pytest.raises(ValueError, match="2 queries need as many non-empty"):
        Space(np.eye(2)).ranks(np.eye(2), [{0}, set()])


def test_every_direction_by_the_language_that_asks():
    """Of two German words for the second synset one is nearest; Turkish has no word for it and asks once."""
    vectors = {
        "de": torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]]),
        "en": torch.tensor([[0.8, 0.6], [0.0, 1.0]]),
        "tr": torch.tensor([[0.0, 1.0]]),
    }
    synsets = {"one": {"de": [0], "en": [0], "tr": [0]}, "two": {"de": [1, 2], "en": [1]}}
    assert induce(vectors, synsets, ["de"], ["de", "en"]) == {"de/one": 1.0, "de/two": 0.75}
    found = induce(vectors, synsets, ["en", "tr"], ["de", "en"])
    assert found == {"en/one": 1 / 2, "en/two": 1.0, "tr/one": pytest.approx((1 / 3 + 1 / 2) / 2)}


def test_agreement_is_of_ranks_and_of_directions_alone():
    angles = torch.tensor([0.1, 3.0, 1.0])
    left = torch.tensor([[1.0, 0.0]]).repeat(3, 1)
    right = torch.stack([angles.cos(), angles.sin()], 1) * torch.tensor([[1.0], [9.0], [0.2]])
    assert agreement(left, right, [5.5, 0.5, 4.0]) == 1.0
    assert agreement(left, right, [5.5, 4.0, 0.5]) == pytest.approx(0.5)


def test_words_that_a_vocabulary_lacks_are_counted() -> None:
    pairs = [("a", "x"), ("a", "y"), ("b", "nowhere"), ("c", "x"), ("unseen", "x")]
    looked = lexicon.look_up(pairs, ["c", "a", "b"], ["y", "x"])
    assert looked.places == {1: [1, 0], 0: [1]}
    assert looked.coverage == 0.5  # a and c of a, b, c and unseen: source words, not pairs


def test_dictionaries_are_built_as_in_the_paper() -> None:
    source, target = ["s0", "s1", "s2", "s3", "s4"], [f"t{i}" for i in range(9)]
    raw = [("s3", "t0"), ("s1", "t1"), ("s1", "t2"), ("s1", "t3"), ("s0", "t1"), ("s0", "lost"), ("s4", "t5"),
           ("rare", "t1"), ("s1", "t1")]  # fmt: skip
    built = lexicon.build_dictionaries(raw, source, target, train=2, test=1, most=2)
    assert built.train == [("s0", "t1"), ("s1", "t1"), ("s1", "t2")]
    assert built.test == [("s3", "t0")]
    assert built.full == [("s0", "t1"), ("s1", "t1"), ("s1", "t2"), ("s1", "t3"), ("s4", "t5")]
    sizes = lexicon.statistics(built.train)
    assert sizes == {"pairs": 3, "source words": 2, "target words": 2, "targets of a word": 1.5}
    with pytest.raises(UserError, match="4 source words have a translation"):
        lexicon.build_dictionaries(raw, source, target, train=4, test=1)


def test_a_dictionary_falls_apart_by_source_word():
    pairs = [(f"s{i % 7}", f"t{i}") for i in range(20)]
    one, other = lexicon.apart(pairs, 0.3, seed=0)
    assert sorted(one + other) == sorted(pairs)
    assert {source for source, _ in one}.isdisjoint(source for source, _ in other)
    assert len({source for source, _ in other}) == 2
    assert lexicon.apart(pairs, 0.3, seed=1)[1] != other


def test_what_letters_alone_translate():
    table = dict(zip("ангол", "angol", strict=True))
    found = lexicon.by_letters(["angola", "japan"], ["ангола", "япония"], table)
    assert found == ([1.0, 0.5], [False, True])  # one is found, and of what shares nothing one in two by chance
    assert lexicon.by_letters(["ab", "cd"], ["cd", "ab"], "none") == ([0.0, 0.0], [True, True])


def test_words_of_parallel_sentences_are_paired_the_most_exclusive_ones_first() -> None:
    found = lexicon.aligned(["one hundred", "two hundred", "one"], ["un cent", "deux cent", "un"])
    assert found[:3] == [("hundred", "cent"), ("one", "un"), ("two", "deux")]
    assert lexicon.aligned(["b a"], ["y x"]) == [("a", "x"), ("a", "y"), ("b", "x"), ("b", "y")]
    assert set(found) == {(a, b) for a in ("one", "two", "hundred") for b in ("un", "deux", "cent")} - {
        ("one", "deux"), ("two", "un"),
    }  # fmt: skip
