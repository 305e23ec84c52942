"""multiloko: parity with the three official scorers, known cases of the diagnostics, the world of facts, verbs."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import UserError
from core.experiment.config import with_variant
from core.files import read_json_lines
from core.tasks.transcripts import read_predictions, write_predictions
from papers.multiloko import (
    answer_variants,
    audit,
    consistency,
    data,
    diagnose,
    eval,
    gap_of_equals,
    language_of,
    method,
    miniature,
    normalise,
    parity,
    report,
    score,
    set_name,
    translation,
    use,
)
from papers.multiloko.answers import ARTICLES, METRICS, PREFIXES, Scorer
from papers.multiloko.config import PRESETS, TINY, VARIANTS, simulation, workload
from papers.multiloko.data import Row

# --- parity with the official scorers ---------------------------------------------------------------------------------

# key, prediction, targets; of `initial` its form, em, f1, chrf, edit distance, similarity; of `current` forms, em, f1
PARITY: list[tuple[str, str, list[str], tuple[Any, ...], tuple[list[str], float, float]]] = [
    ("english", "The Eiffel Tower.", ["Eiffel Tower"], ("eiffel tower", 1, 1, 100, 0, 1),
     (["the eiffel tower", "eiffel tower"], 1, 1)),
    ("german", "Der Hund", ["Hund"], ("der hund", 0, 0.6667, 79.0682, 4, 0.6667), (["der hund", "hund"], 1, 1)),
    ("japanese", "東京です", ["東京"], ("東京です", 0, 0, 78.125, 2, 0.6667), (["東京"], 1, 1)),
    ("vietnamese", "An ninh", ["ninh"], ("ninh", 1, 1, 100, 0, 1), (["an ninh"], 0, 0.6667)),
    ("spanish_translated_human_english", "The answer is July 4, 1776", ["4 July 1776", "July 4 1776"],
     ("answer is july 4 1776", 0, 0.75, 79.7386, 10, 0.6875), (["july 4 1776"], 1, 1)),
    ("french", "", ["Paris"], ("", 0, 0, 0, 5, 0), ([], 0, 0)),
]  # fmt: skip


@pytest.mark.parametrize(("key", "said", "targets", "initial", "current"), PARITY, ids=[row[0] for row in PARITY])
def test_numbers_of_the_official_scripts(
    key: str, said: str, targets: list[str], initial: tuple[Any, ...], current: tuple[list[str], float, float]
) -> None:
    language = language_of(key)
    form, *numbers = initial
    found = score(said, targets, language, "initial")
    assert answer_variants(said, language, "initial") == [form]
    names = ("em", "f1", "chrf", "edit_distance", "edit_similarity")
    assert [found[name] for name in names] == pytest.approx(numbers, abs=5e-5)  # type: ignore[index]
    forms, em, f1 = current
    found = score(said, targets, language)
    assert answer_variants(said, language) == forms
    assert (found["em"], found["f1"]) == pytest.approx((em, f1), abs=5e-5)


def test_the_false_match_of_the_first_scorer_is_a_near_miss_of_the_current_one() -> None:
    found = score("An ninh", ["ninh"], "vietnamese")
    assert (found["chrf"], found["edit_distance"], found["contains"]) == pytest.approx((84.6774, 3, 1), abs=5e-5)


@pytest.mark.parametrize(
    ("language", "text", "forms"),
    [
        ("german", "ein Kind", ["ein kind"]),  # an article that also means "one" stays
        ("urdu", "جواب غزل ہے", ["جواب غزل ہے", "غزل"]),
        ("urdu", "جواب ہے", ["جواب ہے", "ہے"]),
        ("dutch", "Het antwoord is Amsterdam", ["het antwoord is amsterdam", "antwoord is amsterdam"]),
        ("english", "???", []),
        ("english", "the", ["the"]),
        ("hebrew", "הספר", ["הספר", "ספר"]),
        ("hebrew", "הר", ["הר"]),  # one letter would remain
        ("arabic", "الكتاب", ["الكتاب", "كتاب"]),
        ("french", "l'attitude", ["lattitude"]),
        ("vietnamese", "Thiên An Môn", ["thiên an môn"]),
        ("spanish", "El Equipo A", ["el equipo a", "equipo a"]),
        ("japanese", "です", []),
        ("japanese", "東京 です", ["東京 ", "東京"]),  # the first as officially, with its space
        ("klingon", "the cat", ["the cat"]),
        ("farsi", "قطب\u200cزاده", ["قطب\u200cزاده", "قطب زاده", "قطبزاده"]),
        ("farsi", "\u200c", ["\u200c"]),
    ],
)
def test_forms_of_the_official_unit_tests(language: str, text: str, forms: list[str]) -> None:
    assert answer_variants(text, language) == forms


def test_a_translated_set_is_scored_in_the_language_that_it_is_written_in() -> None:
    assert language_of("english_translated_machine_simplified_mandarin") == "simplified_mandarin"
    key = "vietnamese_translated_human_english"
    assert answer_variants("The Gate", language_of(key)) == ["the gate", "gate"]


def test_the_second_scorer_is_between_the_two() -> None:
    """v1: English articles in every language, all punctuation of Unicode, and the phrase before an answer."""
    assert answer_variants("An ninh", "vietnamese", "v1") == ["ninh"]
    assert answer_variants("The answer is the Danube.", "english", "v1") == ["danube"]
    assert answer_variants("東京です", "japanese", "v1") == ["東京"]
    assert [normalise("क।", "hindi", name) for name in get_args(Scorer)] == ["क।", "क", "क"]
    assert [normalise("a~b^c", "polish", name) for name in get_args(Scorer)] == ["abc"] * 3


def test_blank_right_answers() -> None:
    """In everything with v1, as its script counts; in nothing with the current one, whose script stops there."""
    assert score("anything", ["", "Ich Troje"], "polish", "v1")["contains"] == 1
    assert score("anything", ["", "Ich Troje"], "polish")["contains"] == 0
    assert score("", ["..."], "polish", "v1")["em"] == 1
    found = score("anything", ["..."], "polish")
    assert {found[name] for name in METRICS if name != "edit_distance"} == {0.0}
    assert found["edit_distance"] == 8
    assert data.unanswerable([Row("1", "?", ("...", ""), ""), Row("2", "?", ("", "x"), "")], "polish") == ["1"]


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=24)
languages = st.sampled_from([*ARTICLES, *PREFIXES, "urdu", "japanese", "thai"])


@settings(deadline=None)
@given(text=texts, language=languages)
def test_forms_are_few_distinct_and_stable(text: str, language: str) -> None:
    found = answer_variants(text, language)
    assert len({*found}) == len(found)
    assert all(form.strip() for form in found)
    # An answer always matches itself, and what is written in another case.
    if found:
        assert score(text, [text], language, metrics=("em", "contains")) == {"em": 1.0, "contains": 1.0}
        assert score(f"  {text} . ", [text], language, metrics=("em",))["em"] == 1.0
    assert len(answer_variants(text, language, "initial")) == len(answer_variants(text, language, "v1")) == 1


@settings(deadline=None)
@given(one=texts, other=texts, language=languages)
def test_metrics_are_bounded_and_agree(one: str, other: str, language: str) -> None:
    found = score(one, [other], language)
    assert all(0 <= found[name] <= (math.inf if name == "edit_distance" else 100.0001) for name in METRICS)
    if found["em"]:
        assert found["contains"] == found["edit_similarity"] == 1
        assert found["edit_distance"] == 0


# --- diagnostics whose result is known --------------------------------------------------------------------------------


def scores(**means: float) -> dict[str, dict[str, float]]:
    """Sets of 20 questions with these means; `german_en` is German in English, `english_de` English in German."""
    full = {"german": "german", "thai": "thai", "english": "english"}
    names = {"de": "german", "th": "thai", "en": "english"}
    found = {}
    for short, mean in means.items():
        home, _, rest = short.partition("_")
        to, _, by = rest.partition("_")
        key = set_name(full[home], names[to], "machine" if by else "human") if to else home
        found[key] = {str(n): float(n < round(20 * mean)) for n in range(20)}
    return found


KNOWN = scores(english=0.9, german=0.6, thai=0.3, german_en=0.4, thai_en=0.5, english_de=0.1, english_th=0.3,
               german_en_machine=0.3, thai_en_machine=0.2)  # fmt: skip


def test_differences_of_means() -> None:
    found = diagnose(KNOWN)
    spread = found.parity
    assert (spread.average, spread.gap, spread.best, spread.worst) == (
        pytest.approx(0.6),
        pytest.approx(0.6),
        "english",
        "thai",
    )
    assert spread.twice_error == pytest.approx(2 * 0.3 / math.sqrt(3))
    assert found.mother_tongue is not None
    assert found.mother_tongue.mean == pytest.approx(0.0)
    assert found.mother_tongue.by_language["german"] == (pytest.approx(0.6), pytest.approx(0.4))
    assert found.mother_tongue.twice_error == pytest.approx(0.4)
    assert found.locality is not None
    assert found.locality.mean == pytest.approx(0.25)
    machine = diagnose(KNOWN, "machine")
    assert machine.mother_tongue is not None
    assert machine.mother_tongue.mean == pytest.approx(0.2)
    assert machine.locality is None
    loss = translation(KNOWN)
    assert loss is not None
    assert loss.mean == pytest.approx(0.2)
    assert method.order(loss) == pytest.approx(-1.0)
    assert translation(KNOWN, into_pivot=False) is None


def test_what_was_not_asked_is_not_made_up() -> None:
    found = diagnose(scores(thai=0.3, german=0.5))
    assert (found.mother_tongue, found.locality, found.consistency) == (None, None, {})
    with pytest.raises(ValueError, match="max"):
        parity({})
    assert math.isnan(parity(scores(thai=0.3)).twice_error)


def test_the_official_average_runs_over_all_sets_and_ours_over_local_ones() -> None:
    assert parity(KNOWN).average == pytest.approx(fmean([0.9, 0.6, 0.3, 0.4, 0.5, 0.1, 0.3, 0.3, 0.2]))
    assert method.local(KNOWN) == ["english", "german", "thai"]


def test_consistency_is_of_the_same_questions() -> None:
    found = consistency({"1": 1, "2": 1, "3": 0, "4": 0}, {"1": 1, "2": 0, "3": 1, "5": 1})
    assert found == (pytest.approx(1 / 3), pytest.approx(1 / 3))
    assert math.isnan(consistency({"1": 0}, {"1": 0}).overlap)
    assert consistency({"1": 0}, {"1": 0}).agreement == 1.0
    with pytest.raises(ValueError, match="no question in common"):
        consistency({"1": 1}, {"2": 1})


def test_equal_languages_have_a_gap() -> None:
    """Of 31 languages with 250 questions each and a true rate of 31 %, best and worst are 12 points apart by chance."""
    assert gap_of_equals(0.31, [250] * 31) == pytest.approx(0.12, abs=0.005)
    assert gap_of_equals(0.31, [250_000] * 31) < 0.01
    assert gap_of_equals(0.0, [10, 10]) == 0
    rng = random.Random(0)
    sets = {str(n): {str(q): float(rng.random() < 0.5) for q in range(50)} for n in range(20)}
    spread = parity(sets)
    assert spread.gap == pytest.approx(spread.gap_of_equals, abs=0.12)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=12))
def test_the_effect_changes_sign_with_its_terms(pairs: list[tuple[bool, bool]]) -> None:
    one = {str(n): float(a) for n, (a, _) in enumerate(pairs)}
    other = {str(n): float(b) for n, (_, b) in enumerate(pairs)}
    there, back = (
        method.mother_tongue({"thai": a, set_name("thai", "english"): b}) for a, b in ((one, other), (other, one))
    )
    assert there is not None
    assert back is not None
    assert there.mean == pytest.approx(-back.mean)
    assert consistency(one, other) == pytest.approx(consistency(other, one), nan_ok=True)


# --- files in the official layout -------------------------------------------------------------------------------------

ROW = {
    "text": "Bern ist seit 1848 die Bundesstadt.", "question": "Seit wann ist Bern Bundesstadt?",
    "targets": ["1848", "Seit 1848"],
    "target": "Bern ist seit 1848 Bundesstadt.", "id": "007_Bern.txt", "output_type": "Jahr",
}  # fmt: skip


def test_sets_are_read_as_they_were_written(tmp_path: Path) -> None:
    rows = [data.as_row(ROW, 1), replace(data.as_row(ROW, 2), id="2", targets=("x",))]
    keys = ["german", "german_translated_human_english", "english", "english_translated_machine_simplified_mandarin"]
    paths = [data.write_set(tmp_path, key, rows) for key in keys]
    assert [path.relative_to(tmp_path).as_posix() for path in paths] == [
        "german/dev.jsonl", "german/dev_translated_human_english.jsonl", "english/dev.jsonl",
        "english/dev_translated_machine_simplified_mandarin.jsonl",
    ]  # fmt: skip
    assert {*read_json_lines(paths[0])[0]} == {*ROW}
    data.write_set(tmp_path, "german", rows, data.SHOTS)
    (tmp_path / ".cache").mkdir()
    found = data.read_sets(tmp_path)
    assert sorted(found) == sorted(keys)
    assert all(own == rows for own in found.values())
    assert sorted(data.read_sets(tmp_path, languages=("german", "english"))) == sorted(keys[:3])
    for bad, said in (
        ({"languages": ("dutch",)}, "no dutch/dev"),
        ({"subset": "test"}, "holds no <language>/test"),
        ({"subset": "/dev"}, "is no name of files"),
    ):
        with pytest.raises(UserError, match=said):
            data.read_sets(tmp_path, **bad)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="is no folder and cannot be fetched"):
        data.read_sets("nobody/nothing")
    (tmp_path / "twice.jsonl").write_text(f"{json.dumps(ROW)}\r\n{json.dumps(ROW | {'targets': 'a | b'})}\r\n")
    with pytest.warns(UserWarning, match="1 of 2 questions"):
        found = {"german": data.read_set(tmp_path / "twice.jsonl")}
    assert found["german"][0].targets == ("a", "b")


@pytest.mark.parametrize("bad", [{"targets": []}, {"targets": [1]}, {"question": " "}, {"text": 3}])
def test_rows_that_cannot_be_asked(bad: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(ROW | bad), encoding="utf-8")
    with pytest.raises(UserError, match="row 1"):
        data.read_set(path)


def test_prompts_are_in_the_language_of_the_question() -> None:
    row, shot = data.as_row(ROW, 1), Row("s", "Was?", ("Das", "Dies"), "")
    assert data.prompt(row, "german", [shot]) == (
        "F: Was?\nA: Das\n\nF: Seit wann ist Bern Bundesstadt? Antworte so kurz wie möglich, nur hiermit: Jahr.\nA:"
    )
    assert data.prompt(row, "japanese").startswith("質問：Seit")
    assert data.prompt(row, "japanese").endswith("\n回答：")
    assert (
        data.prompt(row, "german", [shot], "chat")
        == "Seit wann ist Bern Bundesstadt? Antworte so kurz wie möglich, nur hiermit: Jahr."
    )
    assert data.prompt(row, "quechua") == "? Seit wann ist Bern Bundesstadt? (Jahr)\n= ".rstrip()
    assert len(data.wordings()) == 31
    assert all(
        "{type}" in words["only"] and words["question"] and words["answer"] for words in data.wordings().values()
    )


# --- the world of known facts -----------------------------------------------------------------------------------------


def test_facts_are_of_one_part_and_names_of_one_language() -> None:
    assert {code: len(found) for code, found in miniature.facts().items()}["thai"] > 70
    dev = {
        fact.id
        for code in miniature.wordings()
        for fact in miniature.drawn(code, replace(TINY, split="dev", facts=999))
    }
    test = {fact.id for code in miniature.wordings() for fact in miniature.drawn(code, replace(TINY, facts=999))}
    assert not dev & test
    assert all(len(miniature.drawn(code, TINY, "shots")) >= VARIANTS["smollm2"]["shots"] for code in miniature.facts())
    own = next(fact for fact in miniature.facts()["japanese"] if fact.id == "JP-01")
    assert (own.names["japanese"], own.names["english"], own.answer) == ("北海道", "Hokkaido", "01")
    seeds = [{fact.id for fact in miniature.drawn("thai", replace(TINY, seed=seed))} for seed in (0, 1)]
    assert seeds[0] != seeds[1]


def effects(**changes: Any) -> dict[str, float]:
    return eval.measured(miniature.truth(with_variant(TINY, VARIANTS, changes.pop("arm"))))[0]


def test_the_truth_of_every_arm() -> None:
    found = {arm: effects(arm=arm) for arm in ("own", "half", "both", "english", "nothing")}
    assert found["own"]["mte"] == found["own"]["le"] == pytest.approx(0.6, abs=0.2)
    assert found["half"]["mte"] == pytest.approx(found["own"]["mte"] / 2, abs=0.05)
    assert found["both"]["mte"] == 0
    assert found["english"]["mte"] == pytest.approx(-found["own"]["mte"])
    assert found["english"]["le"] == -1
    assert found["own"]["gap"] == found["both"]["gap"] > 0.4
    assert {value for key, value in found["nothing"].items() if key in ("average", "mte", "gap")} == {0.0}
    # The machine errs on three of ten questions, whatever is known.
    assert found["both"]["machine_loss"] == pytest.approx(0.15, abs=0.08)
    assert found["both"]["mte_machine"] == pytest.approx(found["both"]["machine_loss"])


def test_a_reader_reads_what_it_is_said_to_and_nothing_else() -> None:
    config = replace(TINY, reads="half", languages=("thai", "japanese"))
    known, pairs = miniature.read(config), miniature.reading(config)
    assert len(pairs) == sum(map(len, known.values()))
    thai = {*known["thai"]}
    assert {*known["thai_translated_human_english"]} < thai
    assert sum("ISOコード" in asked for asked, _ in pairs) == sum(said.endswith("です") for _, said in pairs)
    null = miniature.reading(replace(config, reads="nothing"))
    assert len({said for asked, said in null if asked == null[0][0]}) > 2
    with pytest.raises(UserError, match="asks nothing in 'german': it has english"):
        miniature.asked_languages(replace(TINY, languages=("german",)))


def perfect(config: Any, **wrong: str) -> tuple[data.Sets, dict[str, dict[str, str]]]:
    """The sets, and what one who has read what the configuration says would answer."""
    asked, known = miniature.sets(config), miniature.truth(config)
    said = {
        key: {
            row.id: miniature.wordings()[language_of(key)].get("said", "{code}").format(code=row.targets[0])
            if known[key][row.id]
            else "?"
            for row in rows
        }
        for key, rows in asked.items()
    }
    return asked, said


@pytest.mark.parametrize("arm", ["own", "half", "both", "english"])
def test_answers_of_the_truth_give_the_truth(arm: str) -> None:
    config = with_variant(TINY, VARIANTS, arm)
    asked, said = perfect(config)
    found = eval.measured(eval.graded(asked, said, "current"))[0]
    true = effects(arm=arm)
    for name in ("average", "gap", "mte", "le", "mte_machine"):
        assert found[name] == pytest.approx(true[name]), name
    # The first scorer takes the Japanese copula for a part of the answer.
    first = eval.graded(asked, said, "initial")
    assert sum(first["japanese"].values()) == 0
    assert first["thai"] == eval.graded(asked, said, "current")["thai"]
    assert {name: value < 0.25 for name, value in miniature.trivial(asked).items()} == {
        "trivial_frequent": True, "trivial_letters": True, "trivial_silence": True,
    }  # fmt: skip


# --- whole runs and verbs ---------------------------------------------------------------------------------------------


def test_a_smoke_run_can_be_scored_again(
    smoke: Callable[[str], Any], tmp_path: Path, capsys: Any, monkeypatch: Any
) -> None:
    done = smoke("multiloko")
    metrics = done.measurement["metrics"]
    assert metrics["average"] == metrics["average_current"]
    assert {"mte", "le", "gap", "machine_loss", "known", "mte_far_truth"} <= {*metrics}
    monkeypatch.chdir(tmp_path)
    (folder,) = done.stages.glob("sets-*")
    predictions = done.path / "predictions.jsonl"
    use.main(["score", str(predictions), "--references", str(folder)])
    printed = capsys.readouterr().out
    assert f"average {100 * metrics['average']:.2f}" in printed
    assert f"mother-tongue effect (human) {100 * metrics['mte']:+.2f}" in printed
    rows = read_json_lines(tmp_path / "scores" / "questions.jsonl")
    own = [row["em"] for row in rows if row["set"] == "japanese"]
    assert fmean(own) == pytest.approx(
        fmean(v for k, v in done.measurement["units"]["average"].items() if "japanese" in k)
    )
    assert {"forms", "targets", "contains", "scorer"} <= {*rows[0]}


def test_models_are_compared_on_the_same_questions(tmp_path: Path, capsys: Any, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    config = replace(TINY, facts=6, languages=("turkish", "thai", "korean"))
    miniature.write_sets(config, tmp_path / "refs")
    for reads in ("own", "both", "nothing"):
        write_predictions(tmp_path / f"{reads}.csv", perfect(replace(config, reads=reads))[1])  # type: ignore[arg-type]
    names = ["own.csv", "both.csv", "nothing.csv"]
    use.main(["score", *names, "--references", "refs", "--metric", "f1"])
    printed = capsys.readouterr().out
    assert "both.csv less own.csv: +0.00" in printed
    assert "Rank correlation of the models between human and machine translations: 1.00" in printed
    lines = (tmp_path / "scores" / "languages.tsv").read_text(encoding="utf-8").splitlines()
    assert lines[0].split("\t")[:4] == ["language", "questions", "score", "contains"]
    assert len(lines) == 5
    said = read_predictions("own.csv")
    asked = data.read_sets("refs")
    for change, expected in (
        ({**said, "klingon": {}}, "there is no such set"),
        ({**said, "thai": dict(list(said["thai"].items())[1:])}, "no answer to"),
        ({"thai_translated_human_english": said["thai_translated_human_english"]}, "no language's own questions"),
    ):
        with pytest.raises(UserError, match=expected):
            report(asked, change, source="mine")
    with pytest.raises(UserError, match="better when lower"):
        report(asked, said, metric="edit_distance")


def test_a_single_language_has_no_spread(tmp_path: Path, capsys: Any, monkeypatch: Any) -> None:
    """What `build` makes for one language is reported without errors over languages, and compared over questions."""
    monkeypatch.chdir(tmp_path)
    keys = ["thai", *(set_name("thai", "english", by) for by in method.TRANSLATORS)]
    for key in keys:
        data.write_set(tmp_path / "mine", key, [Row(str(n), f"{n}?", (str(n),), "") for n in range(8)])
    for name, right in (("one", 2), ("two", 6)):
        said = {key: {str(n): str(n) if n < right else "x" for n in range(8)} for key in keys}
        write_predictions(tmp_path / f"{name}.jsonl", said)
    use.main(["score", "one.jsonl", "two.jsonl", "--references", "mine"])
    told = capsys.readouterr().out
    assert "nan" not in told
    assert "inf" not in told
    assert "gap" not in told
    assert "two.jsonl less one.jsonl: +50.00" in told
    assert "95 % over questions" in told


def test_a_set_for_a_language_that_the_benchmark_lacks(tmp_path: Path, capsys: Any, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    own = [
        {"id": str(n), "question": f"Яке місто {n}?", "targets": ["Львів"], "text": "Львів — місто."} for n in range(4)
    ]
    own[3] |= {"question": "Де є Одеса?", "targets": ["Одеса"]}
    there = [{"id": str(n), "question": f"Which city {n}?", "targets": "Lviv | Lwów"} for n in range(4)]
    for name, rows in (("own", own), ("there", there), ("odd", there[:3])):
        (tmp_path / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    words = ["build", "own.jsonl", "--language", "ukrainian", "--out", "mine", "--shots", "own.jsonl"]
    use.main([*words, "--human", "there.jsonl", "--english", "there.jsonl", "--from-human", "own.jsonl"])
    printed = capsys.readouterr().out
    assert "mine/ukrainian/dev_translated_human_english.jsonl: 4 questions" in printed
    assert "1 of 4 have a right answer in the question: 3" in printed
    assert "1 of 4 have no right answer in the text: 3" in printed
    assert "3 of 4 have 'львів' as right answer: 0, 1, 2" in printed
    sets = data.read_sets("mine")
    said = {key: {row.id: row.targets[-1] for row in rows} for key, rows in sets.items()}
    assert report(sets, said).diagnosis.mother_tongue is not None
    for options, expected in (
        (["--language", "ukrainian", "--human", "odd.jsonl"], "'3' is in one of them alone"),
        (["--language", "uk-UA"], "small letters and underscores"),
        (["--language", "ukrainian", "--from-human", "own.jsonl"], "give --english"),
    ):
        with pytest.raises(SystemExit):
            use.main(["build", "own.jsonl", *options])
        assert expected in capsys.readouterr().err
    assert not audit([data.as_row(ROW, 1)], "german")


@pytest.mark.parametrize("mode", ["base", "chat"])
def test_any_model_end_to_end(
    mode: str, smoke: Callable[[str], Any], tmp_path: Path, capsys: Any, monkeypatch: Any
) -> None:
    from core.models import loading
    from core.tasks.samples import CHAT_TEMPLATE

    done = smoke("multiloko")
    monkeypatch.chdir(tmp_path)
    (folder,), (stage,) = done.stages.glob("sets-*"), done.stages.glob("reader-*")
    model, tokenizer = loading.load(stage / "model", dtype="float32")
    tokenizer.chat_template = CHAT_TEMPLATE
    for one in (model, tokenizer):
        one.save_pretrained(tmp_path / "model")
    options = ["--mode", mode, "--shots", "1", "--languages", "japanese", "--max-new-tokens", "3"]
    use.main(["evaluate", str(folder), "--model", "model", *options])
    assert "scorer current; initial" in capsys.readouterr().out
    said = read_predictions("scores/predictions.jsonl")
    assert {"japanese", "english_translated_human_japanese", "english"} <= {*said}
    assert not any("turkish" in key for key in said)


def test_forms_on_the_command_line(capsys: Any) -> None:
    use.main(["normalise", "Der Hund", "--language", "german"])
    assert capsys.readouterr().out == "der hund\nhund\n"


def test_the_paper_preset_on_local_copies(smoke: Callable[[str], Any], tmp_path: Path) -> None:
    """The official layout, five demonstrations, a base model; the miniature's measures are not there."""
    from core.experiment.run import temporary

    config = replace(TINY, facts=3, languages=("turkish",))
    miniature.write_sets(config, tmp_path / "release")
    (stage,) = smoke("multiloko").stages.glob("reader-*")
    paper = replace(
        PRESETS["paper"], source=str(tmp_path / "release"), model=str(stage / "model"), dtype="float32",
        device_map=None, shots=2, max_new_tokens=2,
    )  # fmt: skip
    with temporary("multiloko", paper) as run:
        run.path.mkdir(parents=True)
        found = eval.evaluate(paper, run)
    assert "mte" in found.metrics
    assert "known" not in found.metrics
    with pytest.raises(UserError, match="add some, or lower --shots"):
        data.demonstrations(tmp_path / "release", ("turkish",), 99)


def test_the_plan() -> None:
    assert workload(PRESETS["paper"])[0].tokens == 37_750 * 460  # questions as the brief counts them
    assert workload(PRESETS["smoke"])
    assert [one.name for one in simulation(PRESETS["paper"])] == ["answers"]
    assert simulation(TINY)[0].training is not None
