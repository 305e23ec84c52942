"""Streams with shares in tokens, and the filter of parallel text."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import corpora
from core.corpora import filtering
from core.corpora.mixture import Cycle, Mixture, mix
from core.errors import UserError


def documents(name: str, lengths: list[int]) -> list[list[str]]:
    return [[f"{name}{number}"] * length for number, length in enumerate(lengths)]


@given(
    st.lists(st.lists(st.integers(1, 30), min_size=1, max_size=8), min_size=2, max_size=4),
    st.lists(st.floats(0.1, 1), min_size=4, max_size=4),
    st.integers(0, 5),
)
def test_every_beginning_of_the_stream_has_the_shares(lengths: Any, weights: list[float], seed: int) -> None:
    names = "abcd"[: len(lengths)]
    shares = dict(zip(names, weights, strict=False))
    whole = sum(shares.values())
    found = {name: documents(name, part) for name, part in zip(names, lengths, strict=True)}
    used = dict.fromkeys(names, 0)
    for name, document in mix(found, shares, 2000, seed=seed):
        used[name] += len(document)
        read = sum(used.values())
        if read < 1900:
            assert all(abs(used[n] - shares[n] / whole * read) <= 30 * len(names) for n in names)
    for name in names:
        assert used[name] == pytest.approx(2000 * shares[name] / whole, abs=15.1)  # half of the longest document


def test_drawing_by_documents_drifts_with_their_lengths() -> None:
    found = {"long": documents("l", [30] * 20), "short": documents("s", [10] * 60)}
    shares = {}
    for accounting in ("tokens", "documents"):
        tokens = Counter[str]()
        for name, document in mix(found, {"long": 1, "short": 1}, 1200, accounting=accounting):  # type: ignore[arg-type]
            tokens[name] += len(document)
        shares[accounting] = tokens["long"] / tokens.total()
        assert tokens.total() == pytest.approx(1200, abs=30)
    assert shares["tokens"] == pytest.approx(0.5, abs=0.02)
    assert shares["documents"] == pytest.approx(0.75, abs=0.02)


def test_sources_are_opened_anew_and_the_order_follows_the_seed() -> None:
    opened = []

    def text() -> Any:
        opened.append(1)
        yield from (["w"] * 2, ["v"] * 2)

    assert len(list(mix({"a": text}, {"a": 1}, 12))) == 6
    assert len(opened) >= 3
    many = {"a": documents("a", [1] * 30)}
    orders = [[d[0] for _, d in mix(many, {"a": 1}, 30, seed=seed)] for seed in (0, 0, 1)]
    assert orders[0] == orders[1] != orders[2]
    assert Counter(orders[0]) == dict.fromkeys((f"a{n}" for n in range(30)), 1)
    assert list(mix({"a": lambda: iter(())}, {"a": 1}, 30)) == []
    assert list(mix({"a": [[], []]}, {"a": 1}, 30)) == []  # rather than empty documents for ever
    assert [document for _, document in mix({"a": [[], ["x"] * 30]}, {"a": 1}, 30)] == [["x"] * 30]


@given(
    st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=30), min_size=2, max_size=3),
    st.lists(st.lists(st.floats(5, 90), min_size=3, max_size=3), min_size=1, max_size=3),
    st.integers(0, 60),
    st.sampled_from(["tokens", "documents"]),
)
def test_a_mixture_goes_on_from_any_position(lengths: Any, stages: Any, read: int, accounting: Any) -> None:
    found = {name: documents(name, part) for name, part in zip("abc", lengths, strict=False)}
    sources = {name: part if name == "a" else lambda part=part: iter(part) for name, part in found.items()}
    budgets = [dict(zip(found, stage, strict=False)) for stage in stages]

    def mixture() -> Mixture[list[str]]:
        made = Mixture(sources, budgets, seed=2, accounting=accounting)
        for name in made.sources:
            made.sources[name] = Cycle(sources[name], len, 2, name, buffer=7)
        return made

    whole = list(mixture())
    first = mixture()
    assert list(itertools.islice(first, read)) == whole[:read]
    again = mixture()
    list(itertools.islice(again, 3))  # whatever it has done before
    again.restore(json.loads(json.dumps(first.position)))
    assert list(again) == list(first) == whole[read:]


def test_what_can_skip_is_not_read_again() -> None:
    class Skipping:
        def __init__(self, begin: int = 0) -> None:
            self.begin = begin

        def __iter__(self) -> Any:
            for number in range(self.begin, 10**12):
                yield [number]

        def skip(self, documents: int) -> Skipping:
            return Skipping(self.begin + documents)

    mixture = Mixture({"a": Skipping}, [{"a": 1e13}])
    next(mixture)
    position = mixture.position
    position["sources"]["a"]["begin"] = 10**11
    mixture.restore(position)
    assert 10**11 <= next(mixture)[2][0] < 10**11 + 10_000


def test_shares_need_sources() -> None:
    for shares in ({}, {"a": 0.0}, {"a": 1.0, "b": 1.0}):
        with pytest.raises(UserError, match="need a source each"):
            mix({"a": [["x"]]}, shares, 10)


# --- the filter -----------------------------------------------------------------------------------------------------


def test_each_rule_rejects_what_it_is_for() -> None:
    pairs = [
        ("Good morning", "Guten Morgen"),
        ("OK", "ok!"),
        ("good morning.", "GUTEN MORGEN"),
        ("Yes", "Das ist ein sehr langer Satz, der nicht passt"),
        ("Thank you", "Merci beaucoup"),
        ("Good evening", "Gute Nacht"),
        ("No", ""),
    ]
    report = filtering.filter_parallel(
        pairs,
        languages=("en", "de"),
        identify=lambda texts: ["fr" if "Merci" in t else "de" if t[:2] in ("Gu", "Da") else "en" for t in texts],
        similarity=lambda sources, targets: [0.2 if "evening" in s else 0.9 for s in sources],
    )
    assert report.reasons == [None, "same", "duplicate", "length", "language", "similarity", "length"]
    assert report.kept == pairs[:1]
    assert report.rejected == {"same": 1, "duplicate": 1, "length": 2, "language": 1, "similarity": 1}
    assert filtering.filter_parallel(pairs, rules=()).kept == pairs
    with pytest.raises(UserError, match="rule"):
        filtering.filter_parallel(pairs, rules=["spelling"])
    with pytest.raises(UserError, match="languages"):
        filtering.filter_parallel(pairs, identify=lambda texts: ["en"] * len(texts))


def test_lengths_are_relative_to_the_mean_of_each_side() -> None:
    pairs = [("abc" * 4, "x")] * 9 + [("abc" * 4, "xyzxyz")]
    kept = filtering.filter_parallel(pairs, rules=["length"]).kept
    assert kept == pairs[:9]  # twelve characters for one are normal here


def numbers(*languages: str) -> list[dict[str, str]]:
    return [dict(row) for row in corpora.load("numbers", languages=languages, values=range(400))]


def test_the_identifier_tells_languages_apart() -> None:
    rows = numbers("tr", "id", "hu")
    identify = filtering.identifier({code: [row[code] for row in rows[::2]] for code in ("en", "tr", "id", "hu")})
    for code in ("en", "tr", "id", "hu"):
        found = identify([row[code] for row in rows[1::2]])
        assert sum(guess == code for guess in found) > 0.95 * len(rows[1::2])
    assert identify([]) == []


def test_labelled_noise_is_half_wrong_numbers_and_half_wrong_languages() -> None:
    rows = numbers("id")
    pairs = [(row["en"], row["id"]) for row in rows]
    noisy = filtering.spoilt(pairs, 0.5, Random(1))
    assert noisy == filtering.spoilt(pairs, 0.5, Random(1))
    assert [source for source, _ in noisy] == [source for source, _ in pairs]
    wrong = [target for (_, target), (_, right) in zip(noisy, pairs, strict=True) if target != right]
    english = [target for target in wrong if target in {source for source, _ in pairs}]
    assert len(wrong) == pytest.approx(200, abs=40)
    assert len(english) == pytest.approx(len(wrong) / 2, abs=30)
    assert filtering.spoilt(pairs, 0.0, Random(1)) == pairs


def test_vowel_signs_belong_to_words() -> None:
    """Cut at the signs, day, gift and poor would be one word to the aligner."""
    assert [filtering.words(text) for text in ("दिन", "दान-दीन")] == [["दिन"], ["दान", "दीन"]]


@pytest.mark.parametrize("code", ["tr", "zh"])
def test_word_alignment_finds_wrong_translations(code: str) -> None:
    rows, draw = numbers(code), Random(0)
    right = [draw.random() < 0.5 for _ in rows]
    pairs = [(row["en"], (row if ok else draw.choice(rows))[code]) for row, ok in zip(rows, right, strict=True)]
    scores = filtering.alignment_similarity()([s for s, _ in pairs], [t for _, t in pairs])
    good = [score for score, ok in zip(scores, right, strict=True) if ok]
    bad = [score for score, ok in zip(scores, right, strict=True) if not ok]
    assert sorted(good)[len(good) // 5] > sorted(bad)[-len(bad) // 5], "a threshold lies between four fifths of both"
    assert 0 <= min(scores) <= max(scores) <= 1


def test_ibm_model_1_learns_the_dictionary() -> None:
    given_words = [["the", "house"], ["the", "book"], ["a", "book"]]
    table = filtering.ibm_model_1(given_words, [["das", "Haus"], ["das", "Buch"], ["ein", "Buch"]], rounds=20)
    assert table["the", "das"] > 0.9
    assert table["book", "Buch"] > 0.9
    assert table["a", "ein"] > 0.9
    for word in ("the", "a", "book"):
        assert sum(p for (x, _), p in table.items() if x == word) == pytest.approx(1)
