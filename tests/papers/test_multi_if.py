"""Multi-IF: the official evaluator's verdicts, every checker in every language, models whose defect is known."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random
from statistics import fmean
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import UserError
from core.experiment.config import override, with_variant
from core.experiment.run import Run, temporary
from papers.multi_if import checkers, data, eval, miniature, train, use
from papers.multi_if.checkers import CHECKERS, complete, sentences, words
from papers.multi_if.config import PRESETS, VARIANTS, workload
from papers.multi_if.method import Constraint, Conversation, Turn, accuracies, check, converse, history, ratios, score

KNOWN = list(miniature.conversations(miniature.LANGUAGES, miniature.frames("dev", 2, 0)))
TALKS = [talk for talk, _ in KNOWN]

# --- parity with the official evaluator -------------------------------------------------------------------------------


# All but the one whose official reading imports NLTK, for seconds.
QUICK = set(CHECKERS) - {"change_case:capital_word_frequency"}
AT_LEAST = {"relation": "at least"}


def full(name: str) -> str:
    """An instruction's id from what stands behind its colon."""
    return next(kind for kind in CHECKERS if kind.endswith(f":{name}"))


@pytest.mark.parametrize(
    ("instruction", "arguments", "response", "strict", "loose"),
    [
        ("no_comma", {}, "你好，世界。", True, True),
        ("no_comma", {}, "Hello, world.", False, False),
        ("quotation", {}, "«Bonjour tout le monde»", False, False),
        ("quotation", {}, "“你好世界”", True, True),
        ("forbidden_words", {"forbidden_words": ["天气"]}, "今天天气很好", True, True),
        ("forbidden_words", {"forbidden_words": ["погода"]}, "Сегодня хорошая погода.", False, False),
        ("existence", {"keywords": ["sol"]}, "La solución es fácil.", True, True),
        ("frequency", {"keyword": "casa", "frequency": 2} | AT_LEAST, "La casa y las casas.", True, True),
        ("number_bullet_lists", {"num_bullets": 2}, "• uno\n• dos", False, False),
        ("number_bullet_lists", {"num_bullets": 2}, "* uno\n- dos", True, True),
        ("number_highlighted_sections", {"num_highlights": 2}, "**a** and *b*", True, True),
        ("postscript", {"postscript_marker": "P.S."}, "Texto.\nP. S. adiós", True, True),
        ("end_checker", {"end_phrase": "Is there anything else?"}, 'Sure. "Is there anything else?"', True, True),
        ("number_sentences", {"num_sentences": 3} | AT_LEAST,
         "राम घर गया। सीता बाज़ार गई! क्या तुम आओगे?", True, True),
        ("number_words", {"num_words": 10} | AT_LEAST, "今天天气很好，我们去公园吧。", True, True),
        ("json_format", {}, '```json\n{"a": 1}\n```', True, True),
        ("json_format", {}, 'Certainly!\n{"a": 1}', False, True),
    ],
)  # fmt: skip
def test_the_official_verdicts(
    instruction: str, arguments: dict[str, Any], response: str, strict: bool, loose: bool
) -> None:
    verdicts = [check(full(instruction), arguments, response, strict=how, compat="official") for how in (True, False)]
    assert verdicts == [strict, loose]


def test_the_official_counters() -> None:
    assert words("こんにちは、ジェイソンさん、Jason? Nice to meet you☺ ❤", "ja", "fixed") == 19
    assert sentences("你好。今天好吗？很好！", "zh", "fixed") == 3
    hindi = "मुझे हिन्दी बोलना पसंद है।"
    assert (words(hindi, "hi", "official"), words(hindi, "hi", "fixed")) == (10, 5)


# What the fixed reading judges otherwise, and why.
@pytest.mark.parametrize(
    ("instruction", "arguments", "response", "official", "fixed"),
    [
        ("no_comma", {}, "你好，世界。", True, False),
        ("no_comma", {}, "مرحبا، يا عالم", True, False),
        ("quotation", {}, "«Bonjour tout le monde»", False, True),
        ("quotation", {}, "„Guten Tag“", False, True),
        ("forbidden_words", {"forbidden_words": ["天气"]}, "今天天气很好", True, False),
        ("existence", {"keywords": ["sol"]}, "La solución es fácil.", True, False),
        ("existence", {"keywords": ["C++"]}, "I like cats.", True, False),
        ("existence", {"keywords": ["नदी"]}, "यह नदी है।", True, True),
        ("frequency", {"keyword": "a.c", "frequency": 1} | AT_LEAST, "abc", True, False),
        ("letter_frequency", {"letter": "ж", "let_frequency": 2, "let_relation": "at least"}, "Жук и жаба", None, True),
        ("number_bullet_lists", {"num_bullets": 2}, "• uno\n• dos", False, True),
        ("number_bullet_lists", {"num_bullets": 1}, "-5 degrees", True, False),
        ("number_highlighted_sections", {"num_highlights": 2}, "***a***", True, False),
        ("multiple_sections", {"section_spliter": "Section", "num_sections": 2}, "Section 1 Section 2", True, False),
        ("multiple_sections", {"section_spliter": "部分", "num_sections": 2}, "部分一\nx\n部分二\ny", False, True),
        ("postscript", {"postscript_marker": "P.S."}, "P.P.S. x", True, False),
        ("nth_paragraph_first_word", {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "月亮"},
         "你好。\n\n月亮很美。", False, True),
        ("nth_paragraph_first_word", {"num_paragraphs": 2, "nth_paragraph": 1, "first_word": "hola"},
         "¡Hola! Uno.\n\nDos.", False, True),
        ("repeat_prompt", {"prompt_to_repeat": "Say  it."}, "Say it. No.", False, True),
        ("end_checker", {"end_phrase": "Fin."}, "«Voilà. Fin.»", False, True),
    ],
)  # fmt: skip
def test_where_the_readings_differ(
    instruction: str, arguments: dict[str, Any], response: str, official: bool | None, fixed: bool
) -> None:
    assert check(full(instruction), arguments, response) == fixed
    if official is not None:
        assert check(full(instruction), arguments, response, compat="official") == official


def test_loose_drops_lines_and_asterisks() -> None:
    lower = {"instruction": "startend:quotation", "arguments": {}, "strict": False}
    assert check(response='Sure:\n"Yes."', **lower)  # type: ignore[arg-type]
    assert check(response='Sure:\n*"Yes."*\nBye', **lower)  # type: ignore[arg-type]
    assert not check(response='Sure:\n\nand "Yes."\nBye', **lower)  # type: ignore[arg-type]
    for strict in (True, False):
        assert not check("punctuation:no_comma", {}, "", strict=strict)


def test_what_is_missing_is_drawn_there_and_refused_here() -> None:
    for name, given_ in (("num_bullets", None), ("num_bullets", -1)):
        first, again = (complete("detectable_format:number_bullet_lists", {name: given_}, "official") for _ in range(2))
        assert first == again
        assert 1 <= first["num_bullets"] <= 5
        with pytest.raises(UserError, match="num_bullets"):
            complete("detectable_format:number_bullet_lists", {name: given_}, "fixed")
    assert len(complete("keywords:existence", {}, "official")["keywords"]) == 2
    with pytest.raises(UserError, match="combination:two_responses"):
        check("combination:two_response", {}, "x")
    for compat in ("official", "fixed"):
        for arguments in ({"keyword": "a", "frequency": 1, "relation": "more"}, {"words": 3}):
            with pytest.raises(UserError):
                check("keywords:frequency", arguments, "x", compat=compat)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="no regular expression"):
        check("keywords:existence", {"keywords": ["a("]}, "a(", compat="official")


# --- every checker in every language ----------------------------------------------------------------------------------


def test_every_checker_in_every_language() -> None:
    """A text that follows it is accepted and one that does not is refused; the official reading fails where it must."""
    assert set(miniature.examples()) == set(CHECKERS)
    assert len(CHECKERS) == 25
    assert [key for key, right in miniature.selftest(miniature.LANGUAGES, "fixed").items() if not right] == []
    wrong = {key for key, right in miniature.selftest(miniature.LANGUAGES, "official", QUICK).items() if not right}
    assert not [key for key in wrong if key[1] == "en"]
    assert {
        ("punctuation:no_comma", "zh", False), ("startend:quotation", "ru", True),
        ("length_constraints:number_words", "hi", True), ("detectable_format:constrained_response", "it", True),
    } <= wrong  # fmt: skip
    assert len(wrong) == 19


@pytest.mark.slow
def test_the_official_count_of_capitals() -> None:
    kinds = set(CHECKERS) - QUICK
    assert kinds == {"change_case:capital_word_frequency"}
    assert all(miniature.selftest(miniature.LANGUAGES, "official", kinds).values())
    assert checkers.capitals("I'M in the U.S. and Not Here.", "official") == 3
    assert checkers.capitals("I'M in the U.S. and Not Here.", "fixed") == 2


TEXTS = st.text(
    st.characters(codec="utf-8", categories=("L", "M", "N", "P", "Zs")) | st.sampled_from('\n*-,<>[]"“”'), max_size=40
)


@settings(max_examples=60, deadline=None)
@given(TEXTS, st.sampled_from(sorted(QUICK - {"language:response_language"})), st.sampled_from(["en", "hi", "zh"]))
def test_loose_forgives_and_never_punishes(text: str, kind: str, code: str) -> None:
    arguments, *_ = miniature.example(code, kind, miniature.Frame(0, 1, 2, 0, 0, 1, ()))
    for compat in ("official", "fixed"):
        verdicts = [check(kind, arguments, text, strict=how, compat=compat, language=code) for how in (True, False)]  # type: ignore[arg-type]
        assert verdicts[0] <= verdicts[1] or not text.strip()


# --- the loop ---------------------------------------------------------------------------------------------------------


def test_what_stands_before_the_last_message() -> None:
    heard: list[list[list[Any]]] = []

    def reply(dialogues: list[list[Any]]) -> list[str]:
        heard.append(dialogues)
        return [f" said {len(dialogue)} \n" for dialogue in dialogues]

    talk = TALKS[0]
    said = converse(reply, [talk, replace(talk, key="short", turns=talk.turns[:1])])
    assert said == {talk.key: ["said 1", "said 3", "said 5"], "short": ["said 1"]}
    assert [message["content"] for message in heard[2][0]] == [
        talk.turns[0].prompt, "said 1", talk.turns[1].prompt, "said 3", talk.turns[2].prompt,
    ]  # fmt: skip
    assert [message["role"] for message in heard[2][0]] == ["user", "assistant", "user", "assistant", "user"]
    oracle = history(talk, 2, said[talk.key], "oracle_history")
    assert [oracle[1]["content"], oracle[3]["content"]] == [turn.oracle for turn in talk.turns[:2]]
    (merged,) = history(talk, 2, [], "merged")
    assert merged["content"].split("\n") == [talk.turns[0].prompt, talk.turns[1].ask, talk.turns[2].ask]


def test_models_whose_defect_is_known() -> None:
    """Obedient; one that breaks what is two turns old; one without Hindi: exactly that is shown."""

    def shown(rule: miniature.Rule) -> Any:
        rows = score(TALKS, converse(miniature.Scripted(KNOWN, rule), TALKS))
        return rows, [accuracies([row for row in rows if row.turn == turn]) for turn in (1, 2, 3)]

    rows, found = shown(lambda *_: True)
    assert {one.overall for one in found} == {1.0}
    assert (ratios(rows, 1).ifr, ratios(rows, 2).ifr, ratios(rows, 2).ecr) == (0.0, 0.0, None)

    rows, found = shown(lambda code, kind, age, turn: age < 2)
    assert [(one.prompt_strict, one.instruction_strict) for one in found] == [(1, 1), (1, 1), (0, pytest.approx(2 / 3))]
    assert (ratios(rows, 1).ifr, ratios(rows, 2).ifr) == (0.0, 0.5)
    ages = eval.by_age(TALKS, rows)
    assert [fmean(ages[f"followed_age_{age}"].values()) for age in (0, 1, 2)] == [1.0, 1.0, 0.0]
    assert all(value == pytest.approx(1 / 3) for value in eval.by_turn(rows)["lost"].values())

    rows, _ = shown(lambda code, kind, age, turn: code != "hi")
    strict = {
        code: fmean(v for row in rows if row.language == code for v in row.strict) for code in miniature.LANGUAGES
    }
    assert strict == {code: float(code != "hi") for code in miniature.LANGUAGES}
    assert (ratios(rows, 1).ifr, ratios(rows, 1).ecr, ratios(rows, 1).of_missed) == (0.0, 0.0, 6)

    # Broken at turn 2 alone: mended at turn 3, which counts as a correction from 2 to 3, and of nothing from 1 to 2.
    rows, _ = shown(lambda code, kind, age, turn: turn != 2)
    assert (ratios(rows, 1).ifr, ratios(rows, 2).ecr) == (1.0, 1.0)
    # Broken until turn 3: mended later, not next.
    rows, _ = shown(lambda code, kind, age, turn: turn == 3)
    assert (ratios(rows, 1).ecr, ratios(rows, 1, "any_later").ecr) == (0.0, 1.0)


def test_intervals_cover_a_known_rate() -> None:
    """A model that keeps what it did with probability .7: the ratio is near .3, and the interval of accuracy covers."""
    known = list(miniature.conversations(("en", "ru"), miniature.frames("dev", 25, 1)))
    talks = [talk for talk, _ in known]
    draw = Random(0)
    rows = score(talks, converse(miniature.Scripted(known, lambda *_: draw.random() < 0.7), talks))
    assert ratios(rows, 2).ifr == pytest.approx(0.3, abs=0.12)
    assert ratios(rows, 2).ecr == pytest.approx(0.7, abs=0.15)
    found = eval.report(rows, draws=300)
    interval = found.intervals["all", 3]
    assert interval is not None
    assert interval.low < found.accuracies["all", 3].overall < interval.high
    assert found.accuracies["all", 3].instruction_strict == pytest.approx(0.7, abs=0.08)
    assert found.accuracies["all", 3].prompt_strict == pytest.approx(0.7**3, abs=0.1)


def test_languages_are_pooled_and_not_averaged() -> None:
    one = Constraint("punctuation:no_comma")
    talks = [Conversation(f"{n}", "en" if n else "fr", (Turn("?", (one,) * (1 if n else 3)),)) for n in range(3)]
    rows = score(talks, {"0": ["a, b"], "1": ["a"], "2": ["b"]})
    assert accuracies(rows).instruction_strict == pytest.approx(2 / 5)
    assert accuracies(rows).prompt_strict == pytest.approx(2 / 3)
    assert eval.report(rows[:1], draws=10).intervals["all", 1] is None


# --- the table --------------------------------------------------------------------------------------------------------


def official_row(**changes: Any) -> dict[str, Any]:
    """As the columns are in the authors' file: messages and lists as JSON, arguments as JSON in JSON."""
    message = json.dumps({"role": "user", "content": "你好"})
    kwargs = json.dumps([json.dumps({"num_bullets": 2})])
    row = {"key": "1000:1:zh", "language": "Chinese", "turns": "", "responses": ""}
    for turn in (1, 2):
        row |= {f"turn_{turn}_prompt": message, f"turn_{turn}_kwargs": kwargs,
                f"turn_{turn}_instruction_id_list": json.dumps(["detectable_format:number_bullet_lists"])}  # fmt: skip
    return row | {"turn_3_prompt": "None", "turn_3_kwargs": "None", "turn_3_instruction_id_list": "None"} | changes


def saved(path: Path, *rows: dict[str, Any]) -> str:
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return str(path)


def test_the_official_columns(tmp_path: Path) -> None:
    (talk,) = data.read(saved(tmp_path / "rows.jsonl", official_row()))
    assert (talk.key, talk.language, len(talk.turns), talk.turns[0].prompt) == ("1000:1:zh", "zh", 2, "你好")
    assert talk.turns[1].constraints[0].arguments == {"num_bullets": 2}
    both = data.read(
        saved(tmp_path / "rows.jsonl", official_row(), official_row(language="fr", turn_1_prompt="Salut {x}"))
    )
    assert [t.key for t in both] == ["zh/1000:1:zh", "fr/1000:1:zh"]
    assert both[1].turns[0].prompt == "Salut {x}"
    assert [t.language for t in data.read(str(tmp_path / "rows.jsonl"), ["fr"])] == ["fr"]
    data.write(tmp_path / "mine.csv", TALKS)
    assert data.read(tmp_path / "mine.csv", replies=True) == TALKS


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"language": "9"}, "no language"),
        ({"turn_1_prompt": "None"}, "turn_1_prompt"),
        ({"turn_1_kwargs": "[]"}, "one for each"),
        ({"turn_1_kwargs": "{}"}, "no list"),
        ({"turn_1_kwargs": '["[]"]'}, "no object"),
        ({"turn_1_instruction_id_list": '["title"]'}, "no instruction 'title'"),
        ({"turn_2_instruction_id_list": "[]", "turn_2_kwargs": "[]"}, "turn 2 has 0 instructions"),
    ],
)
def test_rows_that_cannot_be_read(changes: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=said) as told:
        data.read(saved(tmp_path / "rows.jsonl", official_row(**changes)))
    assert "row 1" in str(told.value)


# --- the miniature ----------------------------------------------------------------------------------------------------


def test_conversations_are_balanced_and_parts_disjoint() -> None:
    for talk, frame in KNOWN:
        assert [len(turn.constraints) for turn in talk.turns] == [1, 2, 3]
        assert not miniature.conflicting(frame.kinds)
        assert talk.turns[0].ask in talk.turns[0].prompt
    places = [{t.turns[p].constraints[p].instruction for t in TALKS[:3]} for p in range(3)]
    assert places[0] == places[1] == places[2] != set()
    drawn = {part: miniature.frames(part, 30, 1) for part in ("dev", "test")}  # type: ignore[arg-type]
    nouns = [{n for frame in frames for n in (frame.topic, frame.word, frame.other)} for frames in drawn.values()]
    assert not nouns[0] & nouns[1]
    assert miniature.frames("test", 3, 1) != miniature.frames("test", 3, 2)
    assert miniature.frames("test", 3, 1)[:1] == miniature.frames("test", 1, 1), "what is chosen is written about too"
    for seed in range(30):
        asked = Counter(kind for frame in miniature.frames("test", 3, seed) for kind in frame.kinds)
        assert {*asked} == {*miniature.KINDS}, "what is forgotten depends on the kind"
        assert max(asked.values()) == 2
    decoys = [talk for talk, _ in miniature.conversations(("en",), miniature.frames("dev", 2, 0), decoy=True)]
    for real, decoy in zip(TALKS, decoys, strict=False):
        assert [turn.prompt for turn in real.turns] == [turn.prompt for turn in decoy.turns]
        kinds = [{one.instruction for one in talk.turns[2].constraints} for talk in (real, decoy)]
        assert not kinds[0] & kinds[1]
        assert len(kinds[1]) == 3
    firsts = [
        {t.turns[0].constraints[0].instruction for t in decoys[:3]},
        {one.instruction for one in decoys[0].turns[2].constraints},
    ]
    assert firsts[0] == firsts[1], (
        "each of the decoys is once the only one, so that a share of one and of three compare"
    )


def test_pairs_differ_in_nothing_but_the_instruction() -> None:
    """Of the same words one text follows and one does not; a keyword and an ending are words themselves."""
    for talk, frame in KNOWN:
        for constraint in talk.turns[2].constraints:
            kind, arguments = constraint.instruction, constraint.arguments
            found = miniature.pairs(talk.language, kind, frame)
            assert len(set(found)) == 2
            for texts in found:
                assert [check(kind, arguments, text, language=talk.language) for text in texts] == [True, False]
                plain = {"".join(filter(str.isalpha, text.replace(arguments.get("postscript_marker", "\0"), "")))
                         for text in texts}  # fmt: skip
                assert (len(plain) == 1) == (kind not in ("keywords:existence", "startend:end_checker"))


def test_solvers_that_know_nothing_follow_little() -> None:
    """A copy of all that was said before follows the keyword alone; a neutral sentence and silence follow nothing."""
    for talk, _ in miniature.conversations(miniature.LANGUAGES, miniature.frames("dev", 12, 3)):
        table, seen = checkers.languages()[talk.language], ""
        for turn in talk.turns:
            seen = f"{seen}\n{turn.prompt}".strip()
            for one in turn.constraints:
                said = (seen, turn.prompt, turn.prompt + table["sentences"][0], table["sentences"][0], "")
                met = [check(one.instruction, one.arguments, text, language=talk.language, strict=False)
                       for text in said]  # fmt: skip
                assert not any(met[3:]), (one, talk.key)
                assert not any(met) or one.instruction == "keywords:existence", (one, talk.key, turn.prompt)


# --- whole runs -------------------------------------------------------------------------------------------------------


def test_arms_differ_in_what_they_say(smoke: Callable[[str], Any], tmp_path: Path) -> None:
    done = smoke("multi_if")
    heard = {}
    for variant in VARIANTS:
        config = with_variant(PRESETS["smoke"], VARIANTS, variant)
        run = Run(tmp_path / variant, "multi_if", config, done.stages, quiet=True).open()
        train.train(config, run)
        found = eval.evaluate(config, run)
        talks = data.read(run.artifact / "benchmark.csv", replies=True)
        heard[variant] = [(str(history(t, 2, ["a", "b"], config.mode)), t.turns[2].constraints) for t in talks]
        assert set(found.units["followed_3"]) == {talk.key for talk in talks}
        assert ("influence_age_2" in found.units) == ("followed_1" in found.units) == (config.mode == "multi_turn")
    assert len({str(texts) for texts in heard.values()}) == len(VARIANTS)


def test_influence_is_the_difference_of_differences(smoke: Callable[[str], Any], tmp_path: Path) -> None:
    from core.inference.chat import render
    from core.inference.scoring import log_likelihoods

    miniature.toy(tmp_path / "toy")
    config = replace(PRESETS["smoke"], model=str(tmp_path / "toy"), dtype="float32", languages=("en",))
    with temporary("multi_if", config) as run:
        loaded = eval.load(config, run)
        made = eval.margins(config, loaded, ("en",))
    talk, frame = next(miniature.conversations(("en",), miniature.frames("test", 1, 0)))
    texts = [text for kind in frame.kinds for text in miniature.pairs("en", kind, frame)[frame.task]]
    asks, found = [turn.ask for turn in talk.turns], []
    for asked in (asks, ["", *asks[1:]]):
        context = render(loaded.tokenizer, miniature.dialogue("en", frame, asked), prompt=True)
        likely = [one.log_likelihood for one in log_likelihoods(*loaded, [context] * 6, texts)]
        found.append([likely[at] - likely[at + 1] for at in (0, 2, 4)])
    first, middle, last = (with_it - without for with_it, without in zip(*found, strict=True))
    assert made["own"][0]["age"] == 2
    assert made["own"][0]["nats"] == pytest.approx(first - (middle + last) / 2, abs=1e-3)
    assert made["decoy"][0]["nats"] == pytest.approx(middle - last, abs=1e-3)


def test_the_paper_preset_on_a_local_copy(tmp_path: Path) -> None:
    miniature.toy(tmp_path / "toy")
    rows = [official_row(key=str(number)) for number in range(2)]
    changes = {"model": str(tmp_path / "toy"), "benchmark": saved(tmp_path / "rows.jsonl", *rows), "max_new_tokens": 3}
    config = override(PRESETS["paper"], {**changes, "dtype": "float32"})
    with temporary("multi_if", config) as run:
        train.train(config, run)
        found = eval.evaluate(config, run)
    assert set(found.units) == {"overall_1", "followed_1", "overall_2", "followed_2"}
    assert workload(PRESETS["paper"])[0].tokens > 1e7
    others = data.exchanged(TALKS)
    assert [talk.turns[2].prompt for talk in others] == [talk.turns[2].prompt for talk in TALKS]
    assert [talk.turns[2].constraints for talk in others[:5]] == [talk.turns[2].constraints for talk in TALKS[1:6]]


def test_verbs_on_own_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    miniature.toy(tmp_path / "toy")
    english = (Path(miniature.__file__).parent / "languages.yaml").read_text(encoding="utf-8").split("\nfr:")[0]
    (tmp_path / "words.yaml").write_text(
        english.replace("\nen:", "\nsw:").replace("English", "Swahili"), encoding="utf-8"
    )
    known = dict(checkers.languages())
    monkeypatch.setattr(checkers, "languages", lambda: known)
    monkeypatch.setattr(miniature, "languages", checkers.languages)
    use.main(["build", "words.yaml", "--topics", "1", "--out", "sw.csv"])
    assert "Wrote 3 conversations in sw" in capsys.readouterr().out
    use.main(["selftest", "--words", "words.yaml"])
    assert "  sw       language:response_language" in capsys.readouterr().out  # it is English, and the test says so
    use.main(["evaluate", "toy", "--data", "sw.csv", "--max-new-tokens", "2", "--out", "first"])
    told = capsys.readouterr().out
    use.main(["score", "first/transcripts.csv", "--data", "sw.csv", "--out", "again"])
    assert capsys.readouterr().out.replace("again", "first") == told
    assert (tmp_path / "first" / "accuracy.tsv").read_bytes() == (tmp_path / "again" / "accuracy.tsv").read_bytes()
    (tmp_path / "words.yaml").write_text("sw: {name: Swahili}\n", encoding="utf-8")
    with pytest.raises(SystemExit):
        use.main(["build", "words.yaml"])
    assert "nouns" in capsys.readouterr().err
