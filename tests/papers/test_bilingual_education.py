"""bilingual_education: parity with the official parser, metrics and step count; the world of facts; leaks; verbs."""

from __future__ import annotations

import csv
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import UserError
from core.experiment.config import with_variant
from core.experiment.run import temporary
from core.training.packing import make_feed
from papers.bilingual_education import (
    Answer,
    Mixer,
    calibrate,
    condition,
    data,
    disparity,
    gap,
    graders,
    method,
    miniature,
    parse,
    prompt,
    train,
    use,
)
from papers.bilingual_education import eval as evaluation
from papers.bilingual_education.config import PRESETS, TINY, TRAINING, VARIANTS, Config, simulation, workload
from papers.bilingual_education.method import ACCEPTABLE, UNACCEPTABLE, UNKNOWN

A, U = ACCEPTABLE, UNACCEPTABLE


# --- parity with the official notebooks -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Grade: Acceptable", A),
        ("Grade: unacceptable because", U),  # officially "unacceptable", which counts as wrong
        ("Question: Grade: Acceptable\nGrade: Unacceptable", U),
        ("Grade:   Acceptable\nGrade: maybe", UNKNOWN),
        ("Grade: It is Acceptable", UNKNOWN),
        ("Grade: Unacceptable. Grade: Acceptable!", A),
        ("Grade: \n Unacceptable", U),
        ("", UNKNOWN),
    ],
)
def test_the_official_parser(text: str, found: str) -> None:
    assert parse(text) == found


GOLD = [A, A, A, U, U, A, U, A]
GIVEN = [A, U, A, U, A, A, U, A]


@pytest.mark.parametrize(
    ("place", "said", "accuracy", "auc"),
    [(1, U, 0.75, 0.7333), (1, UNKNOWN, 0.75, 0.7333), (0, "acceptable", 0.625, 0.6333)],
)
def test_the_official_numbers(place: int, said: str, accuracy: float, auc: float) -> None:
    """Measured with scikit-learn 1.9; the official F1 raises on the last two, ours counts them as wrong."""
    found = condition(GOLD, [said if n == place else one for n, one in enumerate(GIVEN)])
    assert (found.accuracy, found.hard_auc) == pytest.approx((accuracy, auc), abs=1e-4)
    assert found.unknown == (0.125 if said not in (A, U) else 0)
    if said == U:
        assert found.f1 == pytest.approx(0.8)
    assert math.isnan(found.auc)


def test_the_official_prompt_ends_so_without_its_space() -> None:
    text = prompt(Answer("Q?", "E."))
    assert text.endswith("Question: Q?\nEssay: E.\nGrade:")
    shot = prompt(Answer("Q?", "E."), shots=[Answer("P?", "D.", U)])
    assert "Question: P?\nEssay: D.\nGrade: Unacceptable\n\nQuestion: Q?" in shot
    tuned = prompt(Answer("Q?", "E."), "training")
    assert tuned.endswith("### Input:\nQuestion: Q?\nEssay: E.\n\n### Response:\n")


def test_three_epochs_of_150_are_57_steps() -> None:
    feed = make_feed([{"input_ids": [1, 2]}] * 150, TRAINING, 0, None, "padded", 0)
    assert feed.order.steps(TRAINING.epochs) == 57  # type: ignore[union-attr]
    assert workload(PRESETS["paper"])[0].tokens == 3 * 150 * 120
    assert [one.name for one in simulation(PRESETS["paper"])] == ["tuning"]
    assert [one.name for one in workload(TINY)] == ["vectors"]


def test_adapters_have_the_published_size() -> None:
    """41.9 M trainable parameters on Llama 3.1 8B (code)."""
    from core.cost.accounting import count_parameters

    trained = count_parameters(workload(PRESETS["paper"])[0]).trainable
    assert trained == pytest.approx(41.9e6, rel=0.002)


# --- metrics ----------------------------------------------------------------------------------------------------------


def test_rejections_and_gaps() -> None:
    found = condition([A, A, A, U], [A, U, U, A], np.array([2.0, -1.0, -2.0, 1.0]))
    assert (found.rejected, found.accepted, found.f1) == pytest.approx((2 / 3, 1.0, 2 / 5))
    assert found.auc == pytest.approx(1 / 3)
    assert gap({"en": 0.9, "es": 0.7, "sp": 0.8}) == pytest.approx(0.2)
    one_sided = condition([A, A], [A, U])
    assert (one_sided.rejected, math.isnan(one_sided.accepted)) == (0.5, True)


def test_conditions_are_compared_on_the_rows_that_differ() -> None:
    first, second = [True] * 40 + [False] * 20, [True] * 10 + [False] * 30 + [True] * 2 + [False] * 18
    found = disparity(first, second)
    assert (found.first_only, found.second_only) == (30, 2)
    assert found.test.statistic == pytest.approx((28 - 1) ** 2 / 32)
    assert found.difference.estimate == pytest.approx(28 / 60)
    assert 0.3 < found.difference.low < 28 / 60 < found.difference.high < 0.65
    assert disparity(first[:20], first[:20]).test.p == 1


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=30))
def test_numbers_of_a_condition_fit_each_other(pairs: list[tuple[bool, bool]]) -> None:
    gold, given_ = ([A if side else U for side in column] for column in zip(*pairs, strict=True))
    found = condition(gold, given_)
    assert 0 <= found.accuracy <= 1
    if not math.isnan(found.hard_auc):
        assert found.hard_auc == pytest.approx(1 - (found.rejected + found.accepted) / 2)
    swapped = condition([U if one == A else A for one in gold], [U if one == A else A for one in given_])
    assert swapped.accuracy == found.accuracy


def test_probabilities_are_calibrated() -> None:
    rng = np.random.default_rng(0)
    margins = rng.normal(0, 5, 4000)
    right = (rng.random(4000) < 1 / (1 + np.exp(-(0.3 * margins - 0.5)))).astype(float)
    found = calibrate(margins, right)
    assert found == pytest.approx((0.3, -0.5), abs=0.06)
    raw, fitted = (method.calibration_error(one.probabilities(margins), right) for one in (method.Calibration(), found))
    assert fitted < 0.03 < raw
    assert calibrate(margins, np.ones(4000)) == (1.0, 0.0)
    assert np.isfinite(found.probabilities(np.array([-1e9, 1e9]))).all()


# --- the world --------------------------------------------------------------------------------------------------------


def test_no_territory_is_in_two_parts() -> None:
    places = {name: {fact.territory for fact in miniature.part(name)} for name in miniature.SHARES}
    assert not places["train"] & places["test"]
    assert not places["dev"] & (places["train"] | places["test"])
    assert sum(len(miniature.part(name)) for name in places) == len(miniature.facts()) > 450
    assert len({fact.id for fact in miniature.facts()}) == len(miniature.facts())
    page = (Path(miniature.__file__).parent / "README.md").read_text(encoding="utf-8")
    assert f"{len(miniature.facts())} facts about {len(set().union(*places.values()))} territories" in page


def test_what_is_called_alike_is_in_one_part() -> None:
    """As English names say by a word of five letters or more; and every fact of a part finds a wrong answer."""
    part_of = {fact.territory: name for name in miniature.SHARES for fact in miniature.part(name)}
    for group in (
        ("GN", "GQ", "GW", "PG", "GY"), ("KP", "KR"), ("NE", "NG"), ("AS", "WS"), ("SD", "SS"), ("MR", "MU"),
        ("SX", "MF", "MQ"),
    ):  # fmt: skip
        assert len({miniature.families()[code] for code in group}) == 1, group
        assert len({part_of[code] for code in group if code in part_of}) == 1, group
    words: dict[str, set[str]] = {}
    for code, (name, _) in miniature.territories().items():
        for word in name.split():
            words.setdefault(word, set()).add(code)
    for word, codes in words.items():
        assert len(word) < 5 or len({part_of[code] for code in codes if code in part_of}) < 2, word
    for name in miniature.SHARES:
        assert len(miniature.statements(miniature.part(name), "x")) == 2 * len(miniature.part(name))


def test_what_is_said_tells_nothing() -> None:
    """Every object is said wrongly as often as rightly, in the same wording."""
    for stated in miniature.drawn(Config(seed=3)).values():
        counts = Counter((one.fact.kind, one.said.object, one.grade) for one in stated)
        assert all(counts[kind, thing, A] == counts[kind, thing, U] for kind, thing, _ in counts)
        for right, wrong in zip(stated[::2], stated[1::2], strict=True):
            assert (right.grade, wrong.grade) == (A, U)
            assert (right.fact, right.question) == (wrong.fact, wrong.question)


def test_spelling_tells_nothing() -> None:
    """What is said shares no first letters with what it is said of, rightly or wrongly, in either language."""

    def starts(names: Mapping[str, tuple[str, str]], side: int) -> set[str]:
        plain = unicodedata.normalize("NFKD", " ".join(pair[side] for pair in names.values()).casefold())
        words = re.findall(r"\w+", "".join(c for c in plain if not unicodedata.combining(c)))
        return {word[:3] for word in words if len(word) > 2}

    parts = miniature.drawn(Config(seed=3))
    for one in parts["learn"] + parts["test"]:
        assert not starts(one.fact.names, 0) & starts(one.said.names, 1), (one.fact.id, one.said.id)
    solved = miniature.solvers(parts["learn"], parts["test"], TINY.prior)
    assert all(abs(value - 0.5) < 0.05 for value in solved.values()), solved
    words = miniature.Fact("city", "GW", "GW", {"en": ("Bissau", "Guinea-Bissau"), "es": ("Bisáu", "Guinea-Bisáu")})
    assert miniature.spelt_alike(words, words)


def test_the_nearest_name_is_not_asked_about_cities() -> None:
    """About all else it is; of a fact that is learnt from it accepts what is right."""
    parts = miniature.drawn(Config(seed=3))
    asked = {one.answer("en").id for one in parts["test"] if one.fact.kind != "city"}
    for name, right in miniature.neighbours(parts["learn"], parts["test"]).items():
        assert {*right} == asked
        assert 0.4 < np.mean([*right.values()]) < 0.65, name
    known = miniature.neighbours(parts["test"], parts["test"])
    assert all(value for right in known.values() for value in right.values())


def test_the_nearest_name_is_one_of_its_kind() -> None:
    """Though none shares a letter trigram: of the same object it accepts what is right, whatever stands before it."""
    made = {fact.id: miniature.Statement(fact, fact, "", dict.fromkeys(miniature.CONDITIONS, ""))
            for fact in miniature.facts()}  # fmt: skip
    city, other, asked = (made[key] for key in ("KE/city Nairobi", "MT/continent Malta", "UA/continent Ukraine"))
    assert asked.fact.object == other.fact.object
    for right in miniature.neighbours([city, other], [asked]).values():
        assert list(right.values()) == [1.0]


def test_places_are_where_they_are() -> None:
    named = {fact.id: fact.names["es"] for fact in miniature.facts()}
    assert named["JP/continent Japan"] == ("Japón", "Asia")
    assert named["KE/city Nairobi"] == ("Nairobi", "Kenia")
    assert "RU/continent Russia" not in named  # on two
    assert "TR/continent Türkiye" not in named  # whose zone is Europe's
    assert "ZA/continent South Africa" not in named  # spelt like its own
    assert {fact.kind for fact in miniature.facts()} == {*miniature.KINDS}
    assert not {fact.territory for fact in miniature.facts()} & {"001", "ZZ", "AQ", "UM"}


def test_one_language_is_official() -> None:
    """Guam, New Zealand and Puerto Rico have two; Spain has regional ones."""
    spoken = {fact.territory: fact.names["en"][1] for fact in miniature.facts() if fact.kind == "language"}
    assert not {*spoken} & {"GU", "NZ", "PR", "ES", *miniature.OUTDATED}
    assert (spoken["AO"], spoken["JO"], spoken["CL"]) == ("Portuguese", "Arabic", "Spanish")


@pytest.mark.parametrize(("kind", "said"), [("language", "offici|oficial"), ("currency", "offici|oficial|legal")])
def test_no_wording_asks_for_less_than_official(kind: str, said: str) -> None:
    """French is written in Mauritania, and dollars are taken in Sint Maarten."""
    words = miniature.wordings()[kind]
    assert all(re.search(said, text) for texts in words.values() for text in texts)


def test_cities_are_cities_and_names_need_no_article() -> None:
    """No zone of an ocean: these are named after islands."""
    cities = {fact.names["en"][0] for fact in miniature.facts() if fact.kind == "city"}
    assert {"Nairobi", "Madrid", "Kyiv"} <= cities
    assert not cities & {"Midway", "Azores", "Canary", "Galapagos", "Bahia", "Troll", "Efate", "Macquarie Island"}
    assert not cities & {"Atikokan", "Ceuta", "Ho Chi Minh", "Ho Chi Minh City", "Ittoqqortoormiit", "Tirane", "Vaduz"}
    named = {name for fact in miniature.facts() for names in fact.names.values() for name in names}
    assert not {"Netherlands", "Países Bajos", "Cook Islands", "United States", "Myanmar (Burma)"} & named
    assert not {"Guayana Francesa", "Polinesia Francesa"} & named


def test_names_are_those_of_either_language() -> None:
    """CLDR keys some cities by an old name of their zone."""
    named = dict(pair for fact in miniature.facts() for pair in zip(fact.names["en"], fact.names["es"], strict=True))
    for one, other in {
        "Kyiv": "Kiev", "Kolkata": "Calcuta", "Kathmandu": "Katmandú", "Côte d’Ivoire": "Costa de Marfil",
        "Nuuk": "Nuuk", "Asmara": "Asmara", "Cairo": "El Cairo",
    }.items():  # fmt: skip
        assert named[one] == other


def test_conditions_are_the_same_answers_in_other_words() -> None:
    drawn = miniature.drawn(Config(seed=3))
    tests = miniature.conditions(drawn["test"])
    assert len({tuple((a.id, a.grade, a.question) for a in answers) for answers in tests.values()}) == 1
    different = [len({tests[name][n].essay for name in tests}) for n in range(len(tests["en"]))]
    assert {*different} == {3}
    learnt = {a.question for a in miniature.conditions(drawn["learn"])["en"]}
    assert not learnt & {a.question for a in tests["en"]}
    assert miniature.drawn(Config(seed=4))["learn"] != drawn["learn"]


def test_everybody_gets_another_object_or_nobody_does() -> None:
    """Each fact's object is said once of another; where more than half have one object, that is refused."""
    names = {"en": ("x", "y"), "es": ("x", "y")}
    facts = [miniature.Fact("city", str(n), "ab"[n % 2] if n < 8 else "c", names) for n in range(12)]
    for seed in range(20):
        found = miniature.others(facts, Random(seed))
        assert all(a.object != b.object for a, b in zip(facts, found, strict=True))
        assert Counter(id(one) for one in found) == Counter(id(one) for one in facts)
    with pytest.raises(UserError, match="cannot all be given a wrong answer"):
        miniature.others([replace(fact, object="a") for fact in facts[:7]] + facts[8:], Random(0))
    with pytest.raises(UserError, match="ask for another number"):
        miniature.sample([replace(fact, object="a") for fact in facts], 4, "x")


def test_written_items_have_three_versions_of_like_length() -> None:
    items = miniature.science()
    assert len(items["en"]) == 2 * 61
    for answers in items.values():
        mean = {grade: np.mean([len(a.essay.split()) for a in answers if a.grade == grade]) for grade in (A, U)}
        assert mean[A] == pytest.approx(mean[U], rel=0.05)
    assert len({a.essay for answers in items.values() for a in answers}) == 6 * 61


# --- mixing -----------------------------------------------------------------------------------------------------------

LEXICON = {"currency": "moneda", "official currency": "moneda oficial", "Germany": "Alemania", "of": "de", "is": "es"}
TEXT = "The official currency of Germany is the Euro."


def test_phrases_are_replaced_whole_and_the_rate_is_told() -> None:
    full = Mixer(LEXICON, 1.0)(TEXT)
    assert full.text == "The moneda oficial de Alemania es the Euro."
    assert full.rate == full.reachable == pytest.approx(5 / 8)
    assert Mixer(LEXICON, 0.0)(TEXT) == (TEXT, 0.0, pytest.approx(5 / 8))
    assert Mixer({"x": "y"}, 1.0)(TEXT).rate == 0


@settings(deadline=None, max_examples=40)
@given(st.floats(0, 1), st.integers(0, 50))
def test_rates_are_near_what_is_asked_for(rate: float, seed: int) -> None:
    found = Mixer(LEXICON, rate, seed)(TEXT)
    assert found == Mixer(LEXICON, rate, seed)(TEXT)
    assert abs(found.rate - min(rate, found.reachable)) <= 2 / 8
    more = Mixer(LEXICON, 1.0, seed)(TEXT)
    assert {*found.text.split()} - {*TEXT.split()} <= {*more.text.split()}


def test_bad_mixers() -> None:
    for lexicon, rate in (({}, 0.5), (LEXICON, 1.5)):
        with pytest.raises(UserError):
            Mixer(lexicon, rate)


# --- files and leaks --------------------------------------------------------------------------------------------------


def write(path: Path, answers: Sequence[Answer], **more: Sequence[str]) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["question", "essay", "grade", *more])
        table.writerows(
            [a.question, a.essay, a.grade, *(col[n] for col in more.values())] for n, a in enumerate(answers)
        )
    return str(path)


def some(count: int = 12, language: str = "en") -> list[Answer]:
    return [Answer(f"What is {n // 2}?", f"{language} it is {n}.", (A, U)[n % 2], str(n)) for n in range(count)]


def test_leaks_are_found_whatever_their_case() -> None:
    train_rows = [Answer("What is a cell?", "It is small.", A)]
    tested = [
        Answer("what is a  cell", "Big.", U), Answer("Other?", "IT is small", A), Answer("Other?", "It is.", A),
    ]  # fmt: skip
    assert data.leaked(tested, train_rows) == [True, True, False]


def test_equal_parts_have_each_content_once() -> None:
    tests = {code: some(12, code) for code in ("en", "es", "sp")}
    found = data.equal_parts(tests)
    assert [one.question for one in found] == [one.question for one in tests["en"]]
    assert Counter(one.essay[:2] for one in found) == {"en": 4, "es": 4, "sp": 4}
    assert all(one.essay[:2] == other.essay[:2] for one, other in zip(found[::2], found[1::2], strict=True))


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (some(10), "Row|answers and"),
        ([*some(11), Answer("Other?", "x", U)], "Row 12"),
        ([*some(11), Answer("What is 5?", "x", "Good")], "neither Acceptable"),
        ([*some(11), Answer("What is 5?", " ", U)], "no text in 'essay'"),
    ],
)
def test_files_that_do_not_correspond(bad: list[Answer], said: str, tmp_path: Path) -> None:
    sources = {"en": write(tmp_path / "en.csv", some()), "es": write(tmp_path / "es.csv", bad)}
    with pytest.raises(UserError, match=said):
        data.read_conditions(sources)


def release(folder: Path) -> Path:
    """Files named as the official ones: eight answers to learn from, of which the test repeats two questions."""
    for name, code in (("english", "en"), ("spanish", "es"), ("spanglish", "sp")):
        write(folder / "data_maibat" / f"train_{name}.csv", some(8, code))
        own = [replace(one, question=f"New {one.question}" if n > 3 else one.question, essay=f"{one.essay} Yes.")
               for n, one in enumerate(some(12, code))]  # fmt: skip
        write(folder / "final_test" / f"final_{name}_test.csv", own)
        if name != "spanish":
            write(
                folder / "data_maibat" / f"dev_{name}.csv", [replace(o, question=f"Dev {o.question}") for o in some(4)]
            )
    return folder


# --- end to end -------------------------------------------------------------------------------------------------------


def cell(config: Config, stages: Path, run: Any) -> Any:
    own = replace(run, stages=stages)
    train.train(config, own)
    return evaluation.evaluate(config, own)


@pytest.mark.parametrize("arm", ["bilingual", "zero"])
def test_encoder_arms(arm: str, tmp_path: Path) -> None:
    config = with_variant(replace(PRESETS["smoke"], grader="encoder"), VARIANTS, arm)
    with temporary("bilingual_education", config) as run:
        run.path.mkdir(parents=True)
        found = cell(config, tmp_path / "stages", run)
        facts = graders.load_facts(run.artifact, "grader.json", graders.FACTS, "x")
        grader = graders.load_grader(run.artifact, train.vectors(config, replace(run, stages=tmp_path / "stages")))
    assert (facts["kind"], facts["tuned"]) == ("encoder", arm != "zero")
    for name in ("en", "es", "sp"):
        assert found.metrics[f"accuracy_{name}"] == pytest.approx(np.mean([*found.units[f"accuracy_{name}"].values()]))
        for key in ("rejected", "accepted", "neighbour", "no_city", "ranked"):
            own = found.units[f"{key}_{name}"]
            assert found.metrics[f"{key}_{name}"] == pytest.approx(np.mean([*own.values()]))
        assert {*found.units[f"no_city_{name}"]} == {*found.units[f"neighbour_{name}"]}
    assert {*found.units["mixed"]} == {*found.units["unmixed"]} == {*found.units["translated"]}
    assert found.metrics["worst"] == min(found.metrics[f"accuracy_{name}"] for name in ("en", "es", "sp"))
    assert found.metrics["mixed_rate"] > 0.95
    assert (grader.threshold == 0) == (arm != "zero")


def test_equal_and_all() -> None:
    parts = miniature.conditions(miniature.drawn(PRESETS["smoke"])["learn"])
    one, every = (train.lessons(parts, replace(PRESETS["smoke"], equal=equal)) for equal in (True, False))
    assert len(every) == 3 * len(one) == 3 * len(parts["en"])


def test_grades_by_lot_are_as_many_of_each() -> None:
    parts = miniature.conditions(miniature.drawn(PRESETS["smoke"])["learn"])
    plain, lot = (train.lessons(parts, replace(PRESETS["smoke"], by_lot=lot)) for lot in (False, True))
    assert Counter(one.grade for one in plain) == Counter(one.grade for one in lot)
    assert [one.essay for one in plain] == [one.essay for one in lot]
    assert [one.grade for one in plain] != [one.grade for one in lot]


def test_the_paper_preset_on_local_files(smoke: Callable[[str], Any], tmp_path: Path) -> None:
    """The official layout, another prompt to ask with, written grades, leaks left out of all conditions."""
    (stage,) = smoke("bilingual_education").stages.glob("toy-lora-*")
    paper = replace(
        PRESETS["paper"], data=str(release(tmp_path / "data")), base=str(stage), quantized=False, shots=3,
        training=replace(TRAINING, epochs=1, max_length=512),
    )  # fmt: skip
    with temporary("bilingual_education", paper) as run:
        run.path.mkdir(parents=True)
        found = cell(paper, tmp_path / "stages", run)
        assert (run.artifact / "adapter_config.json").exists()
        scored = evaluation.evaluate(replace(paper, score="logprob", split="dev"), run)
    assert found.metrics["leaks"] == 4
    assert len(found.units["accuracy_sp"]) == 8
    assert {"accuracy_en_with_leaks", "gap", "trivial_length_sp", "unknown_es"} <= {*found.metrics}
    assert {"accuracy_en", "auc_sp"} <= {*scored.metrics}
    assert "accuracy_es" not in scored.metrics


def test_loss_on_grades_alone(smoke: Callable[[str], Any]) -> None:
    from core.models.loading import load_tokenizer

    (stage,) = smoke("bilingual_education").stages.glob("toy-lora-*")
    tokenizer: Any = load_tokenizer(stage)
    for form in ("training", "asking"):
        whole, grade = (method.training_rows(tokenizer, some(1), form, on)[0] for on in ("all", "completion"))  # type: ignore[arg-type]
        assert whole["input_ids"] == grade["input_ids"] == whole["labels"]
        kept = [token for token in grade["labels"] if token != -100]
        assert tokenizer.decode(kept, skip_special_tokens=True).strip() == A


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ({"learns": ("en", "fr")}, "'fr' is no condition"),
        ({"learns": ("en", "en")}, "twice"),
        ({"learns": (), "by_lot": True}, "nothing is learnt"),
        ({"score": "generate"}, "use grader lora"),
    ],
)
def test_settings_that_mean_nothing(bad: Mapping[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        replace(TINY, **bad)


# --- verbs ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for code in ("en", "es", "sp"):
        write(tmp_path / f"{code}.csv", some(12, code))
    (tmp_path / "mine.py").write_text(
        "def grader():\n    return lambda _, essays: ['acceptable' if e.startswith('en') else 'no' for e in essays]\n"
    )
    return tmp_path


def test_auditing_a_grader_of_ones_own(desk: Path, capsys: Any) -> None:
    use.main(["audit", "en=en.csv", "es=es.csv", "sp=sp.csv", "--grader", "mine.py:grader"])
    said = capsys.readouterr().out
    assert "rejects 100.0% of the acceptable" in said
    assert "100.0% without a grade" in said
    assert "gap 0.500" in said
    rows = [line.split("\t") for line in (desk / "audit" / "pairs.tsv").read_text().splitlines()]
    assert len(rows) == 1 + 3 * 2
    assert {row[0] for row in rows[1:]} == {"en - es", "en - sp", "es - sp"}


def test_auditing_grades_that_are_in_the_files(desk: Path, capsys: Any) -> None:
    write(desk / "given.csv", some(4), given=[A, "unacceptable", U, ""])
    use.main(["audit", "all=given.csv"])
    assert "accuracy 0.500" in capsys.readouterr().out
    for words, said in (
        (["audit", "en=en.csv"], "no grades in a column `given`"),
        (["audit", "en.csv"], "Name each file once"),
        (["audit", "en=en.csv", "--grader", "mine.py:nobody"], "nobody"),
        (["audit", "en=en.csv", "--grader", "x", "--model", "y"], "not both"),
    ):
        with pytest.raises(SystemExit):
            use.main(words)
        assert said in capsys.readouterr().err


def test_tuning_and_grading(desk: Path, smoke: Callable[[str], Any], capsys: Any) -> None:
    (stage,) = smoke("bilingual_education").stages.glob("toy-lora-*")
    options = ["--model", str(stage), "--training.epochs", "1", "--training.max-length", "256"]
    use.main(["tune", "en=en.csv", "sp=sp.csv", *options, "--equal"])
    assert "Learnt from 10 answers in en, sp; 4 to other questions" in capsys.readouterr().out
    use.main(["grade", "es.csv", "--grader", "grader"])
    with (desk / "graded.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 12
    assert all(0 <= float(row["probability"]) <= 1 and row["given"] in (A, U) for row in rows)
    use.main(["audit", "en=en.csv", "es=es.csv", "--grader", "grader"])
    assert "AUC" in capsys.readouterr().out
    write(desk / "one.csv", [replace(one, grade=A) for one in some(12)])
    with pytest.raises(SystemExit):
        use.main(["tune", "en=one.csv", "--model", str(stage)])
    assert "have one grade" in capsys.readouterr().err


def test_tuning_an_encoder(desk: Path, tmp_path: Path) -> None:
    miniature.toy("encoder", tmp_path / "toy")
    use.main(["tune", "en=en.csv", "--kind", "encoder", "--model", str(tmp_path / "toy")])
    answers = data.read_answers("es.csv")
    first = graders.load_grader("grader")
    assert first.probabilities(answers).shape == (12,)
    assert isinstance(first, graders.EncoderGrader)
    assert first.weights.shape == (64,)
    (desk / "grader" / "grader.json").write_text("{}")
    with pytest.raises(UserError, match="has no"):
        graders.load_grader("grader")


def test_mixing_a_table(desk: Path, capsys: Any) -> None:
    (desk / "words.tsv").write_text("it is\tes\nyes\tsí\n", encoding="utf-8")
    use.main(["mix", "en.csv", "--lexicon", "words.tsv", "--rate", "1"])
    assert "12 rows, 33.3% of their words replaced" in capsys.readouterr().out
    with (desk / "mixed.csv").open(encoding="utf-8") as file:
        row = next(csv.DictReader(file))
    assert (row["essay"], row["mixed_rate"]) == ("en es 0.", "0.3333")
    with pytest.raises(SystemExit):
        use.main(["mix", "en.csv", "--lexicon", "words.tsv", "--column", "text"])
    assert "no text in 'text'" in capsys.readouterr().err
