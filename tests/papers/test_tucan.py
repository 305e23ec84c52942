"""TUCAN: parity of the grader with the official one, schema validation, the generator, adapters, worked examples."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.cost.plan import plan
from core.errors import UserError
from core.experiment.config import override, with_variant
from core.experiment.entrypoint import entrypoint
from core.experiment.paper import find
from core.experiment.run import Run, temporary
from core.files import read_json
from papers.tucan import data, files, method, use
from papers.tucan.config import PRESETS, VARIANTS, Config, workload
from papers.tucan.schema import violations

WEATHER = {
    "should_call_function": True,
    "expected_function": "get_weather",
    "expected_parameters": {"location": "София"},
}
NOTHING = {"should_call_function": False, "expected_response_type": "text_only"}
RIGHT = '{"name": "get_weather", "arguments": {"location": "София"}}'


def fenced(payload: str) -> str:
    return f"Разбира се.\n```tool_call\n{payload}\n```"


def weather(**arguments: Any) -> str:
    return fenced(json.dumps({"name": "get_weather", "arguments": arguments}, ensure_ascii=False))


# --- parity with the official scorer ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("response", "label"),
    [
        (fenced(RIGHT), "CORRECT"),
        (weather(location="Sofiya"), "CORRECT"),
        (weather(location="sofia"), "WRONG_PARAMETERS"),
        (weather(location=" софия. "), "WRONG_PARAMETERS"),
        (weather(location="софия."), "CORRECT"),
        (fenced(RIGHT.replace("arguments", "parameters")), "CORRECT"),
        (f"```tool_call\n{RIGHT}", "NO_CALL_WHEN_EXPECTED"),
        (f"```json\n{RIGHT}\n```", "NO_CALL_WHEN_EXPECTED"),
        (fenced(RIGHT.replace('"}}', '",}}')), "MALFORMED_JSON"),
        (weather(location="София", unit="C"), "WRONG_PARAMETERS"),
        (weather(), "WRONG_PARAMETERS"),
        (fenced("{}"), "NO_CALL_WHEN_EXPECTED"),
        (fenced(RIGHT.replace('{"name"', '{"error": "x", "name"')), "MALFORMED_JSON"),
        (fenced(RIGHT) + fenced('{"name": "other", "arguments": {}}'), "CORRECT"),
        (fenced('{"name": "other", "arguments": {}}') + fenced(RIGHT), "WRONG_FUNCTION"),
        (fenced(RIGHT.replace("get_weather", "Get_Weather")), "WRONG_FUNCTION"),
        ("Времето е хубаво.", "NO_CALL_WHEN_EXPECTED"),
        # Where the official scorer raises an exception:
        (fenced("[1, 2]"), "MALFORMED_JSON"),
        (fenced('"text"'), "MALFORMED_JSON"),
        (fenced("5"), "MALFORMED_JSON"),
        (fenced("null"), "MALFORMED_JSON"),
        (fenced('{"name": "get_weather", "arguments": ["София"]}'), "WRONG_PARAMETERS"),
        (fenced('{"name": ["get_weather"], "arguments": {}}'), "WRONG_FUNCTION"),
    ],
)
def test_labels_of_the_official_scorer(response: str, label: str) -> None:
    assert method.grade(response, WEATHER) == label


@pytest.mark.parametrize(
    ("response", "label"),
    [
        ("За кой град?", "CORRECT"),
        ("абвгд 123", "CORRECT"),  # whatever the text says
        (fenced("{}"), "CORRECT"),
        (fenced(RIGHT), "UNEXPECTED_CALL"),
        (fenced("{oops"), "MALFORMED_JSON"),  # takes precedence
        (f"```json\n{RIGHT}\n```", "CORRECT"),
    ],
)
def test_labels_where_no_call_is_expected(response: str, label: str) -> None:
    assert method.grade(response, NOTHING) == label


@pytest.mark.parametrize(
    ("expected", "actual", "same"),
    [
        (5, "5", True), (5.0, "5", True), ("5", 5.5, False), (5, 5.0, True), (True, "true", False), (True, 1, True),
        (["a", "b"], ["b", "a"], False), (["a", "b"], ["A ", "b."], True), ("да!", "да", True),
        ("19:00", "19:00ч", False),
        ("Щъркел", "shchrkel", True), ("Щъркел", "shcharkel", False), (None, None, True), (None, "", False),
        (0, None, False),
        (7.5, "7.5", True), (7.5, "7,5", False), ({"a": {"b": "София"}}, {"a": {"b": "Sofiya"}}, True),
        ({"a": 1}, {"a": 1, "b": None}, False), ({"A": 1}, {"a": 1}, False), ("Търговище", "trgovishche", True),
        ("Търговище", "targovishte", False), ("Стара  Загора", "стара загора", True), ([1], "1", False),
        ("x", 3, False),
    ],
)  # fmt: skip
def test_equivalence_of_values(expected: Any, actual: Any, same: bool) -> None:
    assert method.equivalent(expected, actual) is same


def test_normalisation_of_the_official_scorer() -> None:
    assert method.normalize("  „Стара Загора“ ") == "stara zagora“"
    assert method.normalize(" софия. ") == "sofiya."
    assert method.normalize("ЮЛИЯ!?") == "yuliya"
    assert method.normalize("ъьЪЬ") == ""
    assert method.normalize("Plovdiv € 5") == "plovdiv € 5"


def test_the_bulgarian_standard_is_an_option() -> None:
    for name, latin in (("Търговище", "Targovishte"), ("София", "Sofia"), ("Щъркел", "shtarkel"), ("Ямбол", "Yambol")):
        assert method.equivalent(name, latin, "bg_standard")
    call = weather(location="Sofia")
    assert method.grade(call, WEATHER) == "WRONG_PARAMETERS"
    assert method.grade(call, WEATHER, translit="bg_standard") == "CORRECT"


def test_a_fence_inside_a_value_ends_the_call() -> None:
    assert method.grade(weather(location="a ``` b"), WEATHER) == "MALFORMED_JSON"
    xml = method.Tags(start="<tool_call>", end="</tool_call>")
    assert method.grade(f"<tool_call>{RIGHT}</tool_call>", WEATHER, xml) == "CORRECT"
    assert method.grade(fenced(RIGHT), WEATHER, xml) == "NO_CALL_WHEN_EXPECTED"


JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None, max_examples=200)
@given(st.text() | JSONS.map(lambda value: fenced(json.dumps(value))), st.booleans())
def test_no_answer_breaks_the_grader(response: str, expected: bool) -> None:
    behaviour = WEATHER if expected else NOTHING
    item = {"functions": [WEATHER_TOOL], "expected_behavior": behaviour}
    verdict = method.examine(response, item)
    assert verdict.label == method.grade(response, behaviour)
    assert verdict.label in method.LABELS


@pytest.mark.parametrize(
    "payload", ["[" * 100_000, '{"name": ' + "9" * 5000 + "}", '{"a": NaN}', "\x00", '{"name": 1}']
)
def test_hostile_payloads_are_labelled(payload: str) -> None:
    assert method.grade(fenced(payload), NOTHING) in ("MALFORMED_JSON", "UNEXPECTED_CALL")


def test_calls_are_parsed_and_never_run(tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    payload = f"__import__('pathlib').Path({str(trap)!r}).touch()"
    assert method.grade(fenced(payload), NOTHING) == "MALFORMED_JSON"
    assert not trap.exists()
    for name in ("method", "schema", "eval", "files", "data"):
        source = (find("tucan").folder / f"{name}.py").read_text(encoding="utf-8")
        assert not re.search(r"(?<![\w.])(eval|exec|literal_eval)\(", source)


@settings(deadline=None, max_examples=100)
@given(st.dictionaries(st.text(min_size=1), JSONS, max_size=4))
def test_what_we_write_we_read(arguments: dict[str, Any]) -> None:
    text = method.render_call("f", arguments, method.Tags("<call>", "</call>"))
    if "</call>" not in json.dumps(arguments, ensure_ascii=False):
        assert method.parse_call(text, method.Tags("<call>", "</call>")) == method.Call("f", arguments)


# --- schemas ------------------------------------------------------------------------------------------------------

WEATHER_TOOL = {
    "name": "get_weather",
    "description": "Weather",
    "parameters": {
        "type": "object",
        "properties": {
            "location": {"type": "string", "description": "City"},
            "days": {"type": "integer", "minimum": 1, "maximum": 7},
            "unit": {"type": ["string", "null"], "enum": ["C", "F", None]},
            "tags": {"type": "array", "items": {"type": "string"}, "maxItems": 2},
            "when": {"anyOf": [{"type": "string"}, {"$ref": "#/$defs/hour"}]},
        },
        "required": ["location"],
        "additionalProperties": False,
        "$defs": {"hour": {"type": "integer", "exclusiveMaximum": 24}},
    },
}


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ({"location": "София"}, None),
        ({"location": "София", "days": 3, "unit": None, "tags": ["a"], "when": 23}, None),
        ({"location": "София", "days": 3.0, "when": "19:00"}, None),
        ({}, "location is missing"),
        ({"location": 5}, "location: 5 is no string"),
        ({"location": "x", "days": 0}, "days: 0 is less than 1"),
        ({"location": "x", "days": 8}, "days: 8 is more than 7"),
        ({"location": "x", "days": 2.5}, "days: 2.5 is no integer"),
        ({"location": "x", "days": True}, "days: True is no integer"),
        ({"location": "x", "unit": "K"}, "unit: 'K' is none of C, F, None"),
        ({"location": "x", "tags": ["a", 1]}, "tags[1]: 1 is no string"),
        ({"location": "x", "tags": ["a"] * 3}, "tags: its length 3 violates maxItems 2"),
        ({"location": "x", "when": 24}, "when: 24 fits 0 of the 2 options of anyOf"),
        ({"location": "x", "extra": 1}, "extra: nothing is allowed here"),
        ([], "[] is no object"),
    ],
)
def test_arguments_against_their_schema(value: Any, problem: str | None) -> None:
    assert violations(value, WEATHER_TOOL["parameters"]) == ([] if problem is None else [problem])


def test_schemas_that_cannot_be_read_are_refused() -> None:
    for schema, message in (
        ({"type": "text"}, "type 'text'"),
        ({"$ref": "https://x"}, "leaves the schema"),
        ({"$ref": "#/$defs/a"}, "leads nowhere"),
        ({"$ref": "#"}, "without end"),
        (5, "is no object"),
    ):
        with pytest.raises(UserError, match=re.escape(message)):
            violations({}, schema)


def test_agreement_with_jsonschema() -> None:
    jsonschema = pytest.importorskip("jsonschema")

    @settings(deadline=None, max_examples=300)
    @given(st.dictionaries(st.sampled_from(["location", "days", "unit", "tags", "when", "z"]), JSONS, max_size=4))
    def agree(value: dict[str, Any]) -> None:
        valid = jsonschema.Draft202012Validator(WEATHER_TOOL["parameters"]).is_valid(value)
        assert (not violations(value, WEATHER_TOOL["parameters"])) is valid

    agree()


# --- reports ------------------------------------------------------------------------------------------------------


def item(scenario: str, expected: dict[str, Any], functions: Any = (WEATHER_TOOL,), **more: Any) -> dict[str, Any]:
    return {
        "id": scenario, "scenario_type": scenario, "user_message": "Какво е времето?", "functions": list(functions),
        "expected_behavior": expected, **more,
    }  # fmt: skip


BALANCED = [item(s, WEATHER if s in method.CALL_SCENARIOS else NOTHING) for s in method.SCENARIOS]


def test_a_mute_model_gets_half_of_a_balanced_benchmark() -> None:
    prompt, _ = data.load_prompt("long-bg")
    report = method.evaluate(lambda prompts: ["Не знам."] * len(prompts), BALANCED, prompt)
    assert report.accuracy == report.never_call == 0.5
    assert report.recall == 0
    assert math.isnan(report.precision)
    assert report.errors["NO_CALL_WHEN_EXPECTED"] == 3
    assert report.confusion == {"get_weather": {"": 3}}


def test_a_report_counts_what_happened() -> None:
    prompt, _ = data.load_prompt("short-en", indent=None)
    answers = [
        weather(location="София"),
        weather(location="x", days=9),
        fenced("{"),
        weather(location="София"),
        "a",
        "b",
    ]
    report = method.evaluate(lambda prompts: answers, BALANCED, prompt)
    assert report.accuracy == pytest.approx(3 / 6)
    assert (report.precision, report.recall) == (pytest.approx(3 / 4), pytest.approx(3 / 3))
    assert report.schema_valid == pytest.approx(2 / 4)  # the malformed one is not valid, nor is days=9
    counts = {label: count for label, count in report.errors.items() if count}
    assert counts == {"CORRECT": 3, "WRONG_PARAMETERS": 1, "MALFORMED_JSON": 1, "UNEXPECTED_CALL": 1}
    assert report.scenarios["function_call_required"] == 1
    assert report.verdicts[1].errors == ("days: 9 is more than 7",)
    assert method.examine(fenced('{"name": "nope"}'), BALANCED[0]).errors == ("no function 'nope' was offered",)


# --- prompt -------------------------------------------------------------------------------------------------------


def test_everything_goes_into_one_user_turn_in_the_official_order() -> None:
    prompt, digest = data.load_prompt("long-bg")
    text = prompt.render("Какво е времето в София?", [WEATHER_TOOL])
    schemas = json.dumps([WEATHER_TOOL], ensure_ascii=False, indent=2)
    system = (
        prompt.system.replace("{start}", "```tool_call").replace("{end}", "```").replace("{result}", "```tool_result")
    )
    assert text == f"{system}\n\n## Налични функции:\n{schemas}\n\n## Потребителска заявка:\nКакво е времето в София?"
    assert "\n```tool_call\n{\n" in text
    assert prompt.render("Здравей", []) == f"{prompt.default_system}\n\nПотребител: Здравей"
    assert digest != data.load_prompt("long-bg", indent=None)[1]
    assert digest == data.load_prompt("long-bg")[1]


def test_what_the_model_sees_of_a_function() -> None:
    tool = {**WEATHER_TOOL, "x-topic": "place"}
    short = method.shown_function(tool, descriptions=False)
    assert "x-topic" not in short
    assert "description" not in json.dumps(short)
    assert method.shown_function(tool) == WEATHER_TOOL
    named = {
        "name": "f",
        "parameters": {"type": "object", "properties": {"description": {"type": "string", "description": "d"}}},
    }
    assert method.shown_function(named, False)["parameters"]["properties"] == {"description": {"type": "string"}}


def test_cyrillic_stays_cyrillic() -> None:
    call = method.render_call("get_weather", {"location": "София"})
    assert call == f"```tool_call\n{RIGHT}\n```"
    assert method.grade(call, WEATHER) == "CORRECT"


def test_a_conversation_with_a_result_keeps_its_roles() -> None:
    prompt, _ = data.load_prompt("short-bg")
    turns = method.conversation(item("x", WEATHER, result={"sky": "ясно"}, final="Ясно е."), prompt)
    assert [turn["role"] for turn in turns] == ["user", "assistant", "user", "assistant"]
    assert turns[2]["content"] == '```tool_result\n{"sky": "ясно"}\n```'
    assert turns[3]["content"] == "Ясно е."


# --- the generator ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def catalogue() -> data.Catalogue:
    return data.load_catalogue()


UNSEEN = ("get_time", "check_visa")


@pytest.fixture(scope="module")
def parts(catalogue: data.Catalogue) -> dict[str, list[dict[str, Any]]]:
    return {
        part: data.build_dataset(catalogue, 600, part=part, unseen=UNSEEN)
        for part in ("train", "development", "test")
    }  # fmt: skip


def test_every_item_is_answered_rightly_by_its_own_gold(parts: dict[str, list[dict[str, Any]]]) -> None:
    prompt, _ = data.load_prompt("short-bg")
    for items in parts.values():
        for one in items:
            gold = method.conversation(one, prompt)[1]["content"]
            verdict = method.examine(gold, one)
            assert verdict.label == "CORRECT"
            assert verdict.valid is not False
            data.check_item(one)


def test_mirrored_items_are_one_draw(parts: dict[str, list[dict[str, Any]]]) -> None:
    for bg, en in zip(parts["train"][::2], parts["train"][1::2], strict=True):
        assert (bg["language"], en["language"]) == ("bg", "en")
        assert (bg["scenario_type"], bg["functions"]) == (en["scenario_type"], en["functions"])
        one, other = bg["expected_behavior"], en["expected_behavior"]
        assert one.get("expected_function") == other.get("expected_function")
        assert one.get("expected_parameters", {}).keys() == other.get("expected_parameters", {}).keys()
        for slot, value in one.get("expected_parameters", {}).items():
            # The schema asks for English language names; numbers are the same; other values follow the request.
            if slot == "language" or isinstance(value, int):
                assert value == other["expected_parameters"][slot]
            else:
                assert re.search("[а-я]", value)
                assert not re.search("[а-я]", other["expected_parameters"][slot])


def test_parts_share_no_wording_no_open_value_and_no_unseen_function(parts: dict[str, list[dict[str, Any]]]) -> None:
    requests = {part: {one["user_message"] for one in items} for part, items in parts.items()}
    assert not requests["train"] & requests["test"]
    assert not requests["development"] & requests["test"]
    values = {
        part: {
            (slot if slot not in ("origin", "destination") else "city", str(value))
            for one in items
            for slot, value in one["expected_behavior"].get("expected_parameters", {}).items()
            if slot != "language"
        }
        for part, items in parts.items()
    }
    assert not values["train"] & values["test"]
    assert not values["development"] & values["test"]
    names = {part: {f["name"] for one in items for f in one["functions"]} for part, items in parts.items()}
    assert names["train"] == set(data.load_catalogue().functions) - set(UNSEEN)
    assert set(UNSEEN) <= names["test"]
    assert any(one["unseen"] for one in parts["test"])


def test_scenarios_mean_what_they_say(parts: dict[str, list[dict[str, Any]]]) -> None:
    for one in parts["test"] + parts["train"]:
        names, expected = [f["name"] for f in one["functions"]], one["expected_behavior"]
        scenario = one["scenario_type"]
        assert expected["should_call_function"] == (scenario in method.CALL_SCENARIOS)
        assert len(set(names)) == len(names)
        if scenario == "function_call_required":
            assert names == [expected["expected_function"]]
        elif scenario in method.CALL_SCENARIOS:
            assert len(names) > 1
            assert expected["expected_function"] in names
        elif scenario == "no_functions_available":
            assert names == []
        else:
            assert names
        if scenario == "missing_required_parameters":
            assert expected["expected_response_type"] == "text_clarification"
            assert one["answer"].endswith("?")
        if scenario == "ambiguous_function_selection":
            assert len({f["x-topic"] for f in one["functions"]}) == 1


def test_irrelevant_items_offer_neither_the_function_nor_its_synonyms(tmp_path: Path) -> None:
    tools = json.loads((find("tucan").folder / "tools.json").read_text(encoding="utf-8"))
    for tool in tools:
        if tool["name"] == "get_weather":
            tool["x-synonyms"] = ["get_time"]
    (tmp_path / "tools.json").write_text(json.dumps(tools), encoding="utf-8")
    catalogue = data.load_catalogue(tmp_path / "tools.json")
    mix = {"irrelevant_question_with_functions": 1.0}
    for one in data.build_dataset(catalogue, 200, languages=("en",), mix=mix, distractors=6):
        if "weather" in one["user_message"] or "forecast" in one["user_message"]:
            assert not {"get_weather", "get_time"} & {f["name"] for f in one["functions"]}


def test_the_mix_is_met_and_seeds_differ(catalogue: data.Catalogue) -> None:
    items = data.build_dataset(catalogue, 200, languages=("bg",), seed=1)
    counts = {s: sum(one["scenario_type"] == s for one in items) for s in method.SCENARIOS}
    assert list(counts.values()) == [40, 40, 40, 30, 30, 20]
    assert items == data.build_dataset(catalogue, 200, languages=("bg",), seed=1)
    assert items != data.build_dataset(catalogue, 200, languages=("bg",), seed=2)
    calls = data.build_dataset(catalogue, 50, languages=("bg",), mix=data.without_negatives())
    assert all(one["expected_behavior"]["should_call_function"] for one in calls)
    seen = [
        (one["user_message"], one["scenario_type"]) for one in items if one["scenario_type"] in method.CALL_SCENARIOS
    ]
    assert len(set(seen)) == len(seen), "no call is trained twice"


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(method.SCENARIOS), st.floats(0.01, 1), min_size=1), st.integers(0, 300))
def test_apportioning_keeps_the_total(mix: dict[str, float], count: int) -> None:
    found = data.apportion(mix, count)
    assert len(found) == count
    for name, share in mix.items():
        assert abs(found.count(name) - count * share / sum(mix.values())) < 1


def test_filling_drops_parts_and_keeps_bulgarian_euphony() -> None:
    template = "Намери хотел[ в {city}][ за {nights} нощувки]."
    assert data.fill(template, {"city": "Варна", "nights": "3"}, "bg") == "Намери хотел във Варна за 3 нощувки."
    assert data.fill(template, {"city": "Русе"}, "bg") == "Намери хотел в Русе."
    assert data.fill(template, {}, "bg") == "Намери хотел."
    assert data.fill("С {a}, в {b}", {"a": "Зоя", "b": "Фес"}, "bg") == "Със Зоя, във Фес"
    assert data.fill("in {b}", {"b": "Vienna"}, "en") == "in Vienna"
    assert data.droppable(template) == {"city", "nights"}


def test_a_schema_may_ask_for_values_in_a_language(tmp_path: Path) -> None:
    tools = json.loads((find("tucan").folder / "tools.json").read_text(encoding="utf-8"))
    next(tool for tool in tools if tool["name"] == "get_time")["parameters"]["properties"]["city"]["x-language"] = "en"
    (tmp_path / "tools.json").write_text(json.dumps(tools), encoding="utf-8")
    asked = data.load_catalogue(tmp_path / "tools.json")
    draw = data.Draw("function_call_required", "get_time", keys=(("city", "Europe/Paris"),), offered=("get_time",))
    golds = {language: data.render_item(asked, draw, language) for language in ("bg", "en")}
    assert "Париж" in golds["bg"]["user_message"]
    for one in golds.values():
        assert one["expected_behavior"]["expected_parameters"] == {"city": "Paris"}


def test_values_can_be_left_out(catalogue: data.Catalogue) -> None:
    assert "EUR" in data.cldr_values("currency", "bg")
    assert "EUR" not in catalogue.values["bg"]["currency"]


def test_multi_turn_items_go_on(catalogue: data.Catalogue) -> None:
    items = data.build_dataset(catalogue, 100, multi_turn=1.0, mix=data.without_negatives())
    prompt, _ = data.load_prompt("short-bg")
    assert all(len(method.conversation(one, prompt)) == 4 for one in items)


def test_catalogues_with_mistakes_are_refused(tmp_path: Path) -> None:
    import yaml

    good = yaml.safe_load((find("tucan").folder / "bg.yaml").read_text(encoding="utf-8"))

    def refused(change: Any, message: str) -> None:
        broken = json.loads(json.dumps(good))
        change(broken)
        path = tmp_path / "bg.yaml"
        path.write_text(yaml.safe_dump(broken, allow_unicode=True), encoding="utf-8")
        mix = {"missing_required_parameters": 1.0}
        with pytest.raises(UserError, match=message):
            data.build_dataset(data.load_catalogue(templates=[path]), 60, languages=("bg",), mix=mix)

    refused(lambda b: b.pop("questions"), "needs the keys")
    refused(lambda b: b["tools"].update(nope={"requests": ["a"] * 3}), "no such function")
    refused(lambda b: b["tools"]["get_time"].update(requests=["Час?"] * 3), "must name all of")
    refused(lambda b: b["tools"]["get_time"].update(requests=["a {city}", "b {city}"]), "three requests")
    refused(lambda b: b["tools"]["get_time"].update(ask={}), "asks for 'city'")
    refused(lambda b: b["values"].update(city=["София"]), "at least five")
    refused(lambda b: b["values"].update(city="cldr:towns"), "not understood")
    refused(lambda b: b["values"].update(language={"Latin": "латински"}), "must be the schema's")
    refused(lambda b: b["tools"]["get_weather"].update(requests=["Време в {city}"] * 3), "brackets")
    with pytest.raises(UserError, match="no templates for 'fr'"):
        data.build_dataset(data.load_catalogue(), 5, languages=("fr",))
    with pytest.raises(UserError, match="no scenario"):
        data.build_dataset(data.load_catalogue(), 5, mix={"x": 1})


# --- tools and rows of other formats ------------------------------------------------------------------------------


def test_openai_and_mcp_tools_are_understood() -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    plain = {"name": "f", "description": "d", "parameters": schema}
    assert data.plain_function(plain) == plain
    assert data.plain_function({"type": "function", "function": plain}) == plain
    assert data.plain_function({"name": "f", "description": "d", "inputSchema": schema}) == plain
    assert data.plain_function({"name": "f"})["parameters"] == {"type": "object", "properties": {}}
    with pytest.raises(UserError, match="no name"):
        data.plain_function({"description": "d"})


def test_evaluation_rows_with_strings_and_dictionaries() -> None:
    row = {"scenario_type": "function_call_required", "user_message": "Времето?", "functions": [WEATHER_TOOL]}
    as_strings = {**row, "functions": json.dumps([WEATHER_TOOL]), "expected_behavior": json.dumps(WEATHER)}
    one, other = files.evaluation_item({**row, "expected_behavior": WEATHER}, 3), files.evaluation_item(as_strings, 3)
    assert one == other
    assert (one["id"], one["functions"]) == ("3", [WEATHER_TOOL])
    assert files.evaluation_item({**row, "functions": None, "expected_behavior": NOTHING})["functions"] == []
    for broken, message in (
        ({"user_message": "x"}, "'expected_behavior' is missing"),
        ({**row, "expected_behavior": "{"}, "not JSON"),
        ({**row, "expected_behavior": {"a": 1}}, "should_call_function"),
        ({**row, "expected_behavior": {"should_call_function": True}}, "expected_function"),
    ):
        with pytest.raises(UserError, match=message):
            files.evaluation_item(broken)


def test_rows_of_the_hub_through_parquet(tmp_path: Path) -> None:
    """Arrow gives every function the parameters of all others, as None; they are taken out again."""
    from datasets import Dataset

    other = {"name": "g", "parameters": {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]}}
    simple = {"name": "f", "parameters": {"type": "object", "properties": {"y": {"type": "string"}}, "required": ["y"]}}
    rows = [
        item("x", {"should_call_function": True, "expected_function": f["name"], "expected_parameters": p}, [f])
        for f, p in ((other, {"x": 1}), (simple, {"y": "да"}))
    ]
    Dataset.from_list(rows).to_parquet(str(tmp_path / "test.parquet"))
    read = files.read_items(str(tmp_path / "test.parquet"))
    assert [one["functions"] for one in read] == [[other], [simple]]
    assert [one["expected_behavior"]["expected_parameters"] for one in read] == [{"x": 1}, {"y": "да"}]


def test_training_rows_of_all_forms() -> None:
    prompt, _ = data.load_prompt("short-bg")
    wanted = [{"role": "user", "content": "a\n\nb"}, {"role": "assistant", "content": "c"}]
    roles = [
        {"role": "system", "content": "a"},
        {"role": "user", "content": "b"},
        {"role": "assistant", "content": "c"},
    ]
    turns = [{"from": "system", "value": "a"}, {"from": "human", "value": "b"}, {"from": "gpt", "value": "c"}]
    assert files.training_messages({"messages": roles}, prompt) == wanted
    assert files.training_messages({"conversations": json.dumps(turns)}, prompt) == wanted
    from_item = files.training_messages(item("x", WEATHER), prompt)
    assert from_item == method.conversation(item("x", WEATHER), prompt)
    assert files.training_messages(item("x", WEATHER, messages=roles), prompt) == from_item
    for broken, message in (
        ({}, "messages"),
        ({"messages": [{"role": "wizard", "content": "x"}]}, "wizard"),
        ({"messages": roles[:2]}, "no answer"),
        (item("x", NOTHING), "`answer`"),
    ):
        with pytest.raises(UserError, match=message):
            files.training_messages(broken, prompt)


# --- models -------------------------------------------------------------------------------------------------------


def smoke(**changes: Any) -> Config:
    return override(PRESETS["smoke"], changes)


def run_whole(config: Config, folder: Path) -> tuple[Run, Any]:
    from papers.tucan import eval as tucan_eval
    from papers.tucan import train as tucan_train

    run = Run(folder / "run", "tucan", config, folder / "stages", quiet=True).open()
    tucan_train.train(config, run)
    return run, tucan_eval.evaluate(config, run)


@pytest.fixture(scope="module")
def chat_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny chat model in a folder, as a user might have one."""
    from papers.tucan import base

    folder = tmp_path_factory.mktemp("chat") / "my-chat-model"
    with temporary("tucan") as run:
        model, tokenizer = base.load_base(smoke(), run)
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    return folder


def test_loss_is_on_the_assistant_alone(chat_model: Path) -> None:
    from core.models.loading import load_tokenizer
    from papers.tucan import base

    tokenizer = load_tokenizer(chat_model)
    prompt, _ = data.load_prompt("short-bg", indent=None)
    one = item("x", WEATHER, result={"sky": "ясно"}, final="Ясно е.")
    row = base.training_row(tokenizer, method.conversation(one, prompt), "assistant")
    learned = tokenizer.decode([t for t, label in zip(row["input_ids"], row["labels"], strict=True) if label != -100])
    assert learned == f"```tool_call\n{RIGHT}\n```</s>\nЯсно е.</s>\n"
    every = base.training_row(tokenizer, method.conversation(one, prompt), "all")
    assert every["labels"] == every["input_ids"] == row["input_ids"]
    opening = base.opening(tokenizer, prompt, one)
    assert str(tokenizer.decode(row["input_ids"])).startswith(opening + "```tool_call")


@pytest.mark.parametrize("variant", sorted(VARIANTS))
def test_every_variant_runs_in_smoke_form(variant: str, chat_model: Path, tmp_path: Path) -> None:
    small = {"base": str(chat_model), "adapter": "lora", "lora_rank": 2, "lora_alpha": 4, "examples": 8}
    config = with_variant(smoke(**small), VARIANTS, variant)
    config = override(config, {"test_items": (6, 2), "examples": 8, "retention_messages": 2})
    run, measurement = run_whole(config, tmp_path)
    assert len(measurement.units["accuracy"]) == 8
    assert measurement.metrics["never_call"] == pytest.approx(1 - len(measurement.units["accuracy_call"]) / 8)
    if variant == "base":
        assert measurement.metrics["loss_increase"] == 0
        assert not (run.artifact / "adapter").exists()
    else:
        saved = read_json(run.artifact / "adapter" / "adapter_config.json")
        assert saved["base_model_name_or_path"] == str(chat_model)
        assert read_json(run.artifact / "tucan.json")["too_long"] == 0


def test_a_model_that_has_learned_is_seen_to_have_learned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the gold answers in the model's place, every metric is at its end."""
    from papers.tucan import eval as tucan_eval

    gold = lambda m, t, items, c, prompt: [[method.conversation(one, prompt)[1]["content"] for one in items]]  # noqa: E731
    monkeypatch.setattr(tucan_eval, "answer", gold)
    _, measurement = run_whole(smoke(), tmp_path)
    for name in (
        "accuracy",
        "accuracy_call",
        "accuracy_call_bg",
        "accuracy_unseen_tools",
        "right_function",
        "schema_valid",
    ):
        assert measurement.metrics[name] == 1
    assert measurement.metrics["unexpected_call"] == 0
    assert measurement.metrics["never_call"] == pytest.approx(0.4, abs=0.1)
    assert measurement.metrics["reply_in_script"] > 0.9


def test_the_official_decoding_reaches_the_model(chat_model: Path) -> None:
    from core.models.loading import load
    from papers.tucan.eval import answer

    model, tokenizer = load(chat_model, dtype="float32")
    prompt, _ = data.load_prompt("short-bg", indent=None)
    items = data.build_dataset(data.load_catalogue(), 2)
    greedy = answer(model, tokenizer, items, smoke(max_new_tokens=24), prompt)
    penalised = answer(model, tokenizer, items, smoke(max_new_tokens=24, repetition_penalty=1.9), prompt)
    assert greedy != penalised
    sampled = answer(model, tokenizer, items, smoke(temperature=2.0, repeats=2), prompt)
    assert len(sampled) == 2
    assert sampled[0] != sampled[1]
    assert sampled == answer(model, tokenizer, items, smoke(temperature=2.0, repeats=2), prompt)


def test_answers_do_not_depend_on_the_batch(chat_model: Path) -> None:
    """Prompts of different lengths are padded on the left, so that alone and in a batch they get the same answer."""
    from core.inference.generation import generate
    from core.models.loading import load
    from papers.tucan import base

    model, tokenizer = load(chat_model, dtype="float32")
    prompt, _ = data.load_prompt("short-bg", indent=None)
    items = data.build_dataset(data.load_catalogue(), 8)
    openings = [base.opening(tokenizer, prompt, one) for one in items]
    together = generate(model, tokenizer, openings, max_new_tokens=6)
    alone = generate(model, tokenizer, openings, max_new_tokens=6, batch_tokens=1)
    assert together == alone


def test_retention_compares_with_the_base_and_is_shared(chat_model: Path, tmp_path: Path, monkeypatch: Any) -> None:
    from papers.tucan import eval as tucan_eval

    calls = []
    original = tucan_eval.message_losses

    def counting(*arguments: Any) -> Any:
        calls.append(1)
        return original(*arguments)

    monkeypatch.setattr(tucan_eval, "message_losses", counting)
    config = smoke(base=str(chat_model), adapter="none")
    for seed in (0, 1):
        run = Run(
            tmp_path / f"run{seed}", "tucan", override(config, {"seed": seed}), tmp_path / "stages", quiet=True
        ).open()
        measurement = tucan_eval.evaluate(run.config, run)
        assert set(measurement.units["loss_increase_bg"].values()) == {0}
        assert len(measurement.units["loss_increase"]) == 6
    assert len(calls) == 1


def test_the_base_is_asked_again_when_the_items_have_changed(
    chat_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from papers.tucan import eval as tucan_eval

    asked: list[list[str]] = []

    def mute(model: Any, tokenizer: Any, items: Any, config: Config, prompt: Any) -> list[list[str]]:
        asked.append([one["user_message"] for one in items])
        return [["Не."] * len(items)]

    monkeypatch.setattr(tucan_eval, "answer", mute)
    items = tmp_path / "test.jsonl"
    config = smoke(base=str(chat_model), adapter="none", eval_file=str(items), retention_messages=0)
    for number, message in enumerate(("Ще вали ли?", "Ще вали ли?", "Колко е часът?")):
        items.write_text(json.dumps({**BALANCED[0], "user_message": message}), encoding="utf-8")
        run = Run(tmp_path / f"run{number}", "tucan", config, tmp_path / "stages", quiet=True).open()
        tucan_eval.evaluate(config, run)
    assert asked == [["Ще вали ли?"], ["Колко е часът?"]]


def test_own_data_through_the_commands(
    chat_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The commands of the page: build, train, evaluate; then score answers of any model."""
    from papers.tucan import eval as tucan_eval
    from papers.tucan import train as tucan_train

    monkeypatch.chdir(tmp_path)
    use.main(["build", "--count", "12", "--out", "train.jsonl"])
    use.main(["build", "--part", "test", "--count", "12", "--out", "test.jsonl"])
    options = ["smoke", "--base", str(chat_model), "--adapter", "lora", "--train-file", "train.jsonl", "--eval-file",
               "test.jsonl", "--save-merged", "--out", "mine"]  # fmt: skip
    entrypoint(tucan_train.train, options)
    entrypoint(tucan_eval.evaluate, options)
    assert "never calling" in capsys.readouterr().out
    measurement = read_json(tmp_path / "mine" / "measurement.json")
    assert len(measurement["units"]["accuracy"]) == 12
    from core.models.loading import load

    merged, _ = load(tmp_path / "mine" / "artifact" / "merged", dtype="float32")
    adapted, _ = load(tmp_path / "mine" / "artifact" / "adapter", dtype="float32")
    import torch

    ids = torch.arange(10)[None] + 5
    # The merged weights are rounded to the base's number format.
    assert torch.allclose(merged(ids).logits, adapted(ids).logits, atol=0.05)

    use.main(["prompts", "--items", "test.jsonl", "--out", "prompts.jsonl"])
    prompts = [json.loads(line) for line in Path("prompts.jsonl").read_text(encoding="utf-8").splitlines()]
    golds = {
        row["id"]: row["messages"][1]["content"] for row in map(json.loads, Path("test.jsonl").read_text().splitlines())
    }
    rows = [{"id": row["id"], "response": golds[row["id"]] if i else "Не."} for i, row in enumerate(prompts)]
    Path("answers.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    use.main(["score", "--items", "test.jsonl", "--answers", "answers.jsonl", "--out", "wrong.jsonl"])
    printed = capsys.readouterr().out
    assert "never calling" in printed
    assert "schema_valid" in printed
    again = files.read_items("wrong.jsonl") if Path("wrong.jsonl").read_text().strip() else []
    assert len(again) <= 1
    with pytest.raises(SystemExit) as stop:
        use.main(["score", "--items", "missing.jsonl", "--answers", "answers.jsonl"])
    assert stop.value.code == 2


def test_wrong_items_come_back_for_the_next_round() -> None:
    from papers.tucan.eval import wrong_items

    verdicts = [method.examine("Не знам.", one) for one in BALANCED]
    lines = [json.loads(line) for line in wrong_items(BALANCED, ["Не знам."] * 6, verdicts).splitlines()]
    assert [line["scenario_type"] for line in lines] == list(method.CALL_SCENARIOS)
    assert lines[0]["label"] == "NO_CALL_WHEN_EXPECTED"
    assert files.evaluation_item(lines[0])["expected_behavior"] == WEATHER


# --- settings and scale -------------------------------------------------------------------------------------------


def test_settings_that_mean_nothing_are_refused() -> None:
    for changes, message in (
        ({"languages": ()}, "languages is empty"),
        ({"base": "", "adapter": "lora"}, "nothing to adapt"),
        ({"quantization": "nf4", "adapter": "full"}, "4-bit"),
        ({"repeats": 2}, "Greedy"),
        ({"scratch.hidden": 33}, "multiple"),
        ({"prompt.end": ""}, "must not be empty"),
        ({"lora_rank": 0}, "lora_rank"),
    ):
        with pytest.raises(UserError, match=message):
            override(PRESETS["tiny"], changes)


def test_the_plan_counts_gemma() -> None:
    for preset, billions in (("paper", 2.61), ("paper_9b", 9.24), ("paper_27b", 27.23)):
        cost = plan(workload(PRESETS[preset]), gpus=1, gpu="l40s").costs[0]
        assert cost.parameters.total / 1e9 == pytest.approx(billions, abs=0.01)
        assert cost.workload.method == "qlora"
    assert plan(workload(PRESETS["tiny"]))
    assert plan(workload(PRESETS["tiny_scratch"]))


@pytest.mark.weights
def test_smollm2_reads_the_prompt_within_the_budget() -> None:
    from core.models.loading import load_tokenizer
    from papers.tucan import base

    config = PRESETS["tiny"]
    tokenizer = base.with_template(load_tokenizer(config.base), config)
    prompt, _ = data.prompt_of(config.prompt)
    rows = [base.training_row(tokenizer, chat, "assistant") for chat in base.training_conversations(config, prompt)]
    lengths = [len(row["input_ids"]) for row in rows]
    assert sum(lengths) / len(lengths) < 190
    assert max(lengths) <= config.training.max_length
    assert str(tokenizer.decode(rows[0]["input_ids"])).startswith("<|im_start|>user\n")


def test_the_worked_examples_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (find("tucan").folder / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    assert blocks
    monkeypatch.chdir(tmp_path)
    for block in blocks:
        exec(compile(block, "README.md", "exec"), {})
