"""TUCAN: parity of the grader with the official one, prompts to the byte, scenarios, splits, worked examples."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from core.corpora import adapted
from core.cost.plan import plan
from core.errors import UserError
from core.experiment.config import override
from core.experiment.entrypoint import entrypoint
from core.experiment.paper import find
from core.experiment.run import Run, temporary
from core.files import read_json
from core.inference.chat import Chat
from core.tasks.samples import dialogue
from core.worlds.base import PARTS, Part
from core.worlds.requests import Catalogue
from papers.tucan import data, grader, method, miniature, use
from papers.tucan import eval as tucan_eval
from papers.tucan import train as tucan_train
from papers.tucan.config import PRESETS, VARIANTS, Config, PromptConfig, workload

SOFIA = {"location": "София"}
WEATHER = {"should_call_function": True, "expected_function": "get_weather", "expected_parameters": SOFIA}
NOTHING = {"should_call_function": False, "expected_response_type": "text_only"}
RIGHT = '{"name": "get_weather", "arguments": {"location": "София"}}'


def fenced(payload: str) -> str:
    return f"Разбира се.\n```tool_call\n{payload}\n```"


def weather(**arguments: Any) -> str:
    return fenced(json.dumps({"name": "get_weather", "arguments": arguments}, ensure_ascii=False))


WRONG, MALFORMED, SILENT = "WRONG_PARAMETERS", "MALFORMED_JSON", "NO_CALL_WHEN_EXPECTED"
OTHER = fenced('{"name": "other", "arguments": {}}')
LABELLED = [
    (fenced(RIGHT), "CORRECT"), (weather(location="Sofiya"), "CORRECT"), (weather(location="sofia"), WRONG),
    (weather(location=" софия. "), WRONG), (weather(location="софия."), "CORRECT"), (weather(), WRONG),
    (fenced(RIGHT.replace("arguments", "parameters")), "CORRECT"), (f"```tool_call\n{RIGHT}", SILENT),
    (f"```json\n{RIGHT}\n```", SILENT), (fenced(RIGHT.replace('"}}', '",}}')), MALFORMED),
    (weather(location="София", unit="C"), WRONG), (fenced("{}"), SILENT), ("Времето е хубаво.", SILENT),
    (fenced(RIGHT.replace('{"name"', '{"error": "x", "name"')), MALFORMED), (fenced(RIGHT) + OTHER, "CORRECT"),
    (OTHER + fenced(RIGHT), "WRONG_FUNCTION"), (fenced(RIGHT.replace("get_w", "Get_W")), "WRONG_FUNCTION"),
    (fenced('{"name": "get_weather", "arguments": []}'), WRONG),  # as no arguments: empty is falsy
    # Where the official scorer raises an exception:
    (fenced("[1, 2]"), MALFORMED), (fenced('"text"'), MALFORMED), (fenced("5"), MALFORMED), (fenced("null"), MALFORMED),
    (fenced('{"name": "get_weather", "arguments": ["София"]}'), WRONG),
    (fenced('{"name": ["get_weather"], "arguments": {}}'), "WRONG_FUNCTION"),
]  # fmt: skip
# Whatever the text says; what is malformed takes precedence.
UNWANTED = [
    ("За кой град?", "CORRECT"), ("абвгд 123", "CORRECT"), (fenced("{}"), "CORRECT"),
    (fenced(RIGHT), "UNEXPECTED_CALL"), (fenced("{oops"), MALFORMED), (f"```json\n{RIGHT}\n```", "CORRECT"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("expected", "response", "label"), [(WEATHER, *row) for row in LABELLED] + [(NOTHING, *row) for row in UNWANTED]
)
def test_labels_of_the_official_scorer(expected: dict[str, Any], response: str, label: str) -> None:
    assert grader.grade(response, expected) == label


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
    assert grader.equivalent(expected, actual) is same


def test_normalisation_of_the_official_scorer() -> None:
    for text, normal in (
        ("  „Стара Загора“ ", "stara zagora“"), (" софия. ", "sofiya."), ("ЮЛИЯ!?", "yuliya"), ("да.\n", "da"),
        ("ъьЪЬ", ""), ("Plovdiv € 5", "plovdiv € 5"),
    ):  # fmt: skip
        assert grader.normalize(text) == normal


def test_a_fence_inside_a_value_ends_the_call() -> None:
    assert grader.grade(weather(location="a ``` b"), WEATHER) == "MALFORMED_JSON"
    xml = method.Tags(start="<tool_call>", end="</tool_call>")
    assert grader.grade(f"<tool_call>{RIGHT}</tool_call>", WEATHER, xml) == "CORRECT"
    assert grader.grade(fenced(RIGHT), WEATHER, xml) == "NO_CALL_WHEN_EXPECTED"


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
    verdict = grader.examine(response, item)
    assert verdict.label == grader.grade(response, behaviour)
    assert verdict.label in grader.LABELS


def test_calls_are_parsed_and_never_run(tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    payload = f"__import__('pathlib').Path({str(trap)!r}).touch()"
    assert grader.grade(fenced(payload), NOTHING) == "MALFORMED_JSON"
    assert not trap.exists()
    for payload in ("[" * 100_000, '{"name": ' + "9" * 5000 + "}", '{"a": NaN}', "\x00", '{"name": 1}'):
        assert grader.grade(fenced(payload), NOTHING) in ("MALFORMED_JSON", "UNEXPECTED_CALL")
    for name in ("method", "grader", "eval", "data"):
        source = (find("tucan").folder / f"{name}.py").read_text(encoding="utf-8")
        assert not re.search(r"(?<![\w.])(eval|exec|literal_eval)\(", source)


@settings(deadline=None, max_examples=100)
@given(st.dictionaries(st.text(min_size=1), JSONS, max_size=4))
def test_what_we_write_we_read(arguments: dict[str, Any]) -> None:
    tags = method.Tags("<call>", "</call>")
    if "</call>" not in json.dumps(arguments, ensure_ascii=False):
        assert grader.parse_call(method.render_call("f", arguments, tags), tags) == grader.Call("f", arguments)


WEATHER_TOOL = {
    "name": "get_weather",
    "parameters": {
        "type": "object",
        "properties": {"location": {"type": "string"}, "days": {"type": "integer"}},
        "required": ["location"],
    },
}


def item(scenario: str, expected: dict[str, Any], functions: Any = (WEATHER_TOOL,), **more: Any) -> dict[str, Any]:
    return {
        "id": scenario, "scenario_type": scenario, "user_message": "Какво е времето?", "functions": list(functions),
        "expected_behavior": expected, **more,
    }  # fmt: skip


BALANCED = [item(s, WEATHER if s in method.CALL_SCENARIOS else NOTHING) for s in method.SCENARIOS]


def test_a_mute_model_gets_half_of_a_balanced_benchmark() -> None:
    prompt, _ = data.load_prompt(PromptConfig(wording="long"))
    report = grader.evaluate(lambda prompts: ["Не знам."] * len(prompts), BALANCED, prompt)
    assert report.accuracy == report.never_call == 0.5
    assert report.errors["NO_CALL_WHEN_EXPECTED"] == 3


def test_a_report_counts_what_happened() -> None:
    prompt, _ = data.load_prompt(PromptConfig())
    answers = [
        weather(location="София"),
        weather(location="x", days="9"),
        fenced("{"),
        weather(location="София"),
        "",
        "",
    ]
    report = grader.evaluate(lambda prompts: answers, BALANCED, prompt)
    assert report.accuracy == pytest.approx(3 / 6)
    counts = {label: count for label, count in report.errors.items() if count}
    assert counts == {"CORRECT": 3, "WRONG_PARAMETERS": 1, "MALFORMED_JSON": 1, "UNEXPECTED_CALL": 1}
    assert report.scenarios["function_call_required"] == 1
    assert grader.examine(answers[1], BALANCED[1]).errors == ("days: '9' is no integer",)
    assert grader.examine(answers[2], BALANCED[2]).valid is False
    assert grader.examine(fenced('{"name": "nope"}'), BALANCED[0]).errors == ("no function 'nope' was offered",)


# The default template of tucan-eval 1.0.3 as it is rendered, with the indentation of its source code and, where it says
# "and then", a Latin letter.
BLANKS = " " * 20
OFFICIAL = f"""Ти си полезен AI асистент, който предоставя полезни и точни отговори.

{BLANKS}Имаш достъп и можеш да извикаш една или повече функции, за да помогнеш с потребителското запитване. \
Използвай ги, само ако е необходимо и подходящо.
{BLANKS}
{BLANKS}Когато използваш функция, форматирай извикването ѝ в блок {{start}} на отделен ред, \
\N{LATIN SMALL LETTER A} след това ще получиш резултат от изпълнението в блок {{end}}.

{BLANKS}## Шаблон за извикване:\x20
{BLANKS}{{start}}
{BLANKS}{{ "name": "<function-name>", "arguments": <args-json-object> }}
{BLANKS}{{end}}"""


def test_prompts_of_a_file_are_the_official_bytes(tmp_path: Path) -> None:
    """SHA-256 of what tucan-eval 1.0.3 shows a model: keys in any order, nulls, unknown keys, OpenAI's form."""
    long = yaml.safe_load((find("tucan").folder / "prompts.yaml").read_text(encoding="utf-8"))["long"]
    wording = tmp_path / "official.yaml"
    wording.write_text(yaml.safe_dump({"long": {**long, "system": OFFICIAL}}, allow_unicode=True), encoding="utf-8")
    city = {"type": "string", "default": None, "description": "Град"}
    functions = [
        {"parameters": {"required": ["city"], "type": "object", "properties": {"city": city}}, "name": "get_weather",
         "strict": True},
        {"type": "function", "function": {"name": "g", "parameters": {}}},
    ]  # fmt: skip
    behaviour = {"should_call_function": True, "expected_function": "g", "expected_parameters": {"a": None}}
    for given_functions in (functions, json.dumps(functions)):
        row = {"user_message": "Какво е времето?", "functions": given_functions, "expected_behavior": behaviour}
        (tmp_path / "items.jsonl").write_text(json.dumps(row), encoding="utf-8")
        (one,) = data.read_items(str(tmp_path / "items.jsonl"))
        text = data.load_prompt(PromptConfig(wording="long", file=str(wording)))[0].render(
            one["user_message"], one["functions"]
        )
        digest = hashlib.sha256(text.encode()).hexdigest()
        assert digest == "15c91c3baf851739931323c641e77081de2ccf4d082b07d042219620e687f725"
        # A null that is expected has to be there; nothing is taken out.
        assert grader.grade(fenced('{"name": "g", "arguments": {"a": null}}'), one["expected_behavior"]) == "CORRECT"
        assert grader.examine(fenced('{"name": "g"}'), one)[:2] == ("WRONG_PARAMETERS", True)


def test_our_wording_is_hashed_and_laid_out_like_the_official_one() -> None:
    prompt, digest = data.load_prompt(PromptConfig(wording="long"))
    text = prompt.render("Какво е времето в София?", [WEATHER_TOOL])
    assert text.endswith("\n\n## Потребителска заявка:\nКакво е времето в София?")
    assert "\n```tool_call\n{\n" in text
    assert prompt.render("Здравей", []) == f"{prompt.default_system}\n\nПотребител: Здравей"
    assert digest != data.load_prompt(PromptConfig())[1]
    assert digest == data.load_prompt(PromptConfig(wording="long"))[1]


def test_what_the_model_sees_and_says() -> None:
    assert not any("x-topic" in one for one in miniature.catalogue().functions.values())
    turns = method.conversation(item("x", WEATHER), data.load_prompt(PromptConfig())[0])
    assert [turn["role"] for turn in turns] == ["user", "assistant"]
    assert turns[1]["content"] == f"```tool_call\n{RIGHT}\n```"


NORWEGIAN = """
language: no
no_function: [Det kan jeg ikke., Ingen funksjon passer.]
tools:
  shop:
    requests:
      - "Kjøp[ {groceries}][ i {city}][, {on}]."
      - "Bestill[ {groceries}][ i {city}][, {on}]."
      - "Hent[ {groceries}][ i {city}][, {on}]."
    ask: {groceries: ["Hva?"]}
    reply: "Du vil ha {groceries}."
  go:
    requests: ["Reis[ til {city}].", "Dra[ til {city}].", "Gå[ til {city}]."]
    ask: {city: ["Hvor?"]}
    reply: "Du vil til {city}."
values:
  groceries: {a: [melk og brød, [melk, brød]], b: [ost, [ost]], c: [te, [te]], d: [is, [is]], e: [fisk, [fisk]]}
  city: {tromsø: [Tromsøs, Tromsø], oslo: Oslo, bergen: Bergen, moss: Moss, narvik: Narvik}
  on: {true: nå, false: senere}
"""


def test_other_languages_lists_inflected_values_and_a_parameter_called_on(tmp_path: Path) -> None:
    words = {"type": "array", "items": {"type": "string"}}
    properties = {"groceries": words, "city": {"type": "string"}, "on": {"type": "boolean"}}
    functions = [
        {"name": "shop", "parameters": {"type": "object", "properties": properties, "required": ["groceries"]}},
        {"name": "go", "parameters": {"properties": {"city": {"type": "string"}}, "required": ["city"]}},
    ]
    (tmp_path / "tools.json").write_text(json.dumps(functions), encoding="utf-8")
    (tmp_path / "no.yaml").write_text(NORWEGIAN, encoding="utf-8")
    out = tmp_path / "items.jsonl"
    given = ["--tools", str(tmp_path / "tools.json"), "--templates", str(tmp_path / "no.yaml"), "--out", str(out)]
    use.main(["build", *given, "--count", "120"])
    items = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert {item["language"] for item in items} == {"no"}
    calls = [item["expected_behavior"].get("expected_parameters", {}) for item in items]
    assert ["melk", "brød"] in [call.get("groceries") for call in calls]
    assert {"Tromsø", "Oslo"} & {call.get("city") for call in calls}
    assert not {"Tromsøs", "tromsø"} & {call.get("city") for call in calls}
    assert {True, False} <= {call.get("on") for call in calls}
    assert not re.search("[а-я]", items[0]["messages"][0]["content"]), "the wording around it is not Bulgarian"
    (tmp_path / "no.yaml").write_text(NORWEGIAN.replace("[ost, [ost]]", "[ost]"), encoding="utf-8")
    with pytest.raises(UserError, match="no pair of what the request says"):
        data.load_catalogue(tmp_path / "tools.json", [tmp_path / "no.yaml"])


@pytest.fixture(scope="module")
def parts() -> dict[str, list[dict[str, Any]]]:
    return {
        part: data.build_dataset(miniature.catalogue(), 400, part=part, withheld=miniature.UNSEEN)
        for part in PARTS
    }  # fmt: skip


def test_every_item_is_answered_rightly_by_its_own_gold(parts: dict[str, list[dict[str, Any]]]) -> None:
    prompt, _ = data.load_prompt(PromptConfig())
    for one in (one for items in parts.values() for one in items):
        verdict = grader.examine(method.conversation(one, prompt)[1]["content"], one)
        assert (verdict.label, verdict.valid is not False) == ("CORRECT", True)


def test_mirrored_items_are_one_draw(parts: dict[str, list[dict[str, Any]]]) -> None:
    for bg, en in zip(parts["train"][::2], parts["train"][1::2], strict=True):
        assert (bg["language"], en["language"]) == ("bg", "en")
        assert (bg["scenario_type"], bg["functions"]) == (en["scenario_type"], en["functions"])
        one, other = bg["expected_behavior"], en["expected_behavior"]
        assert one.get("expected_function") == other.get("expected_function")
        assert one.get("expected_parameters", {}).keys() == other.get("expected_parameters", {}).keys()
        for slot, value in one.get("expected_parameters", {}).items():
            # Numbers are the same; other values follow the request.
            if isinstance(value, int):
                assert value == other["expected_parameters"][slot]
            else:
                assert re.search("[а-я]", value)
                assert not re.search("[а-я]", other["expected_parameters"][slot])


def test_parts_share_no_wording_no_open_value_and_no_unseen_function(parts: dict[str, list[dict[str, Any]]]) -> None:
    def values(items: list[dict[str, Any]]) -> set[tuple[str, str]]:
        named = {"origin": "city", "destination": "city"}
        found = (one["expected_behavior"].get("expected_parameters", {}) for one in items)
        return {(named.get(s, s), str(v)) for call in found for s, v in call.items()}

    pairs: list[tuple[Part, Part]] = [("train", "test"), ("train", "dev"), ("dev", "test")]
    for one, other in pairs:
        assert not {i["user_message"] for i in parts[one]} & {i["user_message"] for i in parts[other]}
        assert not values(parts[one]) & values(parts[other])
        for name in miniature.catalogue().functions:
            numbers = (set(miniature.catalogue().templates(name, part)) for part in (one, other))
            assert not set.intersection(*numbers)
    for items in parts.values():
        assert not {f["name"] for one in items for f in one["functions"]} & set(miniature.UNSEEN)
    known = set(miniature.KNOWN)
    assert all(len(miniature.catalogue().templates(name, "train")) >= 8 for name in known)
    assert all(len(miniature.catalogue().templates(name, "test")) == 3 for name in known)
    scored = miniature.scored_items(Config(seed=1))
    assert {one["id"].split("/")[0] for one in scored if one.get("unseen")} == set(miniature.UNSEEN)
    main = [one for one in scored if not one.get("unseen") and one["language"] == "bg"]
    assert set(Counter((one["id"].split("/")[0], one["scenario_type"]) for one in main).values()) == {
        miniature.PER_CELL
    }
    assert {one["id"].split("/")[0] for one in main} == known


def test_scenarios_mean_what_they_say(parts: dict[str, list[dict[str, Any]]]) -> None:
    for one in parts["test"] + parts["train"]:
        names, expected = [f["name"] for f in one["functions"]], one["expected_behavior"]
        scenario, about = one["scenario_type"], one["id"].split("/")[0]
        assert expected["should_call_function"] == (scenario in method.CALL_SCENARIOS)
        assert len(set(names)) == len(names)
        assert len(names) == {"function_call_required": 1, "no_functions_available": 0}.get(scenario, len(names) or 1)
        if scenario in method.CALL_SCENARIOS:
            assert about == expected["expected_function"] in names
            assert len(names) > 1 or scenario == "function_call_required"
        if scenario == "missing_required_parameters":
            assert (expected["expected_response_type"], one["answer"][-1]) == ("text_clarification", "?")
        if scenario == "irrelevant_question_with_functions":
            assert about not in names
        if scenario == "ambiguous_function_selection":
            assert len({miniature.catalogue().topics[name] for name in names}) == 1
            function = next(f for f in one["functions"] if f["name"] == about)
            # Whatever the wording has room for, options included.
            assert set(expected["expected_parameters"]) == set(function["parameters"]["properties"])


def test_the_mix_is_met_and_seeds_differ() -> None:
    build: Callable[..., list[dict[str, Any]]] = partial(data.build_dataset, miniature.catalogue(), languages=("bg",))
    items = build(200, seed=1)
    assert [Counter(one["scenario_type"] for one in items)[s] for s in method.SCENARIOS] == [34, 34, 32, 45, 45, 10]
    assert items == build(200, seed=1)
    assert items != build(200, seed=2)
    seen = [one["user_message"] for one in items if one["scenario_type"] in method.CALL_SCENARIOS]
    assert len(set(seen)) == len(seen), "no call is trained twice"
    assert len({one["answer"] for one in items if one.get("answer") in miniature.catalogue().refusals["bg"]}) > 2
    assert len({one["user_message"].split()[0] for one in items}) > 10


def test_languages_are_those_of_the_catalogue() -> None:
    own = data.load_catalogue("", [find("tucan").folder / "en.yaml"])
    assert {one["language"] for one in data.build_dataset(own, 12, languages=("en",))} == {"en"}
    for catalogue, languages in ((own, ("bg", "en")), (miniature.catalogue(), ("fr",)), (own, ())):
        with pytest.raises(UserError, match="no requests in the languages"):
            data.build_dataset(catalogue, 12, languages=languages)


def test_functions_of_every_type_and_without_arguments(tmp_path: Path) -> None:
    """Of any JSON type the gold is what the schema wants; nothing is missing where nothing is required."""
    kinds = {
        "amount": {"type": "number"}, "on": {"type": "boolean"}, "to": {"type": ["string", "null"]},
        "level": {"enum": [1, 2.5, None, "max"]},
    }  # fmt: skip
    functions = [{"name": "list_tasks", "parameters": {"type": "object", "properties": {}}}] + [
        {"name": f"set_{slot}", "parameters": {"properties": {slot: schema}, "required": [slot]}}
        for slot, schema in kinds.items()
    ]
    tools: dict[str, Any] = {
        f"set_{slot}": {"requests": [f"{verb}[ {{{slot}}}]." for verb in ("Weka", "Taka", "Lipa")],
                        "ask": {slot: ["Nini?"]}, "reply": "Ndiyo."}
        for slot in kinds
    }  # fmt: skip
    tools["list_tasks"] = {"requests": ["Kazi gani?", "Onyesha kazi.", "Nina kazi?"], "ask": {}, "reply": "Kazi."}
    values: dict[str, Any] = {
        "amount": [1.5, 2.5, 3, 4, 5], "on": {True: "washa", False: "zima"},
        "level": {1: "chini", 2.5: "kati", None: "bila", "max": "juu"},
        "to": ["Juma", "Asha", "Ali", "Zuri", "Neema"],
    }  # fmt: skip
    entry = {"language": "sw", "no_function": ["Sina."], "tools": tools, "values": values}
    (tmp_path / "tools.json").write_text(json.dumps(functions), encoding="utf-8")

    def load(**changes: Any) -> Catalogue:
        text = yaml.safe_dump({**entry, "values": values | changes}, allow_unicode=True)
        (tmp_path / "sw.yaml").write_text(text, encoding="utf-8")
        return data.load_catalogue(tmp_path / "tools.json", [tmp_path / "sw.yaml"])

    items = [one for part in PARTS for one in data.build_dataset(load(), 300, languages=("sw",), part=part)]
    prompt, _ = data.load_prompt(PromptConfig())
    calls: dict[str, list[Any]] = {}
    for one in items:
        assert grader.examine(method.conversation(one, prompt)[1]["content"], one).label == "CORRECT"
        for slot, value in one["expected_behavior"].get("expected_parameters", {}).items():
            calls.setdefault(slot, []).append(value)
    assert all(1.5 <= value <= 50 for value in calls["amount"])
    assert {*calls["on"]} == {True, False}
    assert {*calls["level"]} == {1, 2.5, None, "max"}
    asked = {one["scenario_type"] for one in items if one["id"].startswith("list_tasks")}
    assert asked == {*method.SCENARIOS} - {"missing_required_parameters"}
    for changes, message in (
        ({"on": list("abcde")}, "violates its schema"), ({"amount": list("abcde")}, "violates its schema"),
    ):  # fmt: skip
        with pytest.raises(UserError, match=message):
            data.build_dataset(load(**changes), 60, languages=("sw",))
    with pytest.raises(UserError, match="with a required argument"):
        data.build_dataset(load(), 60, languages=("sw",), tools=("list_tasks",))


def test_evaluation_rows_as_they_come() -> None:
    row = {"scenario_type": "s", "user_message": "Какво?", "functions": [WEATHER_TOOL], "expected_behavior": WEATHER}
    strings = {**row, "functions": json.dumps([WEATHER_TOOL]), "expected_behavior": json.dumps(WEATHER)}
    one, other = data.evaluation_item(row, 3), data.evaluation_item(strings, 3)
    assert one == other
    assert (one["id"], one["functions"], one["language"]) == ("3", [WEATHER_TOOL], "bg")
    assert data.evaluation_item({**row, "functions": None, "expected_behavior": NOTHING})["functions"] == []
    for broken, message in (
        ({"user_message": "x"}, "expected_behavior"),
        ({**row, "expected_behavior": "{"}, "not JSON"),
        ({**row, "expected_behavior": {"a": 1}}, "should_call_function"),
        ({**row, "expected_behavior": {"should_call_function": "yes", "expected_function": "f"}}, "true or false"),
        ({**row, "expected_behavior": {"should_call_function": True}}, "expected_function"),
        ({**row, "functions": [{"parameters": {}}]}, "No function"),
    ):
        with pytest.raises(UserError, match=message):
            list(adapted("x", [broken], data.evaluation_item))


def test_training_rows_of_all_forms() -> None:
    prompt, _ = data.load_prompt(PromptConfig())
    wanted = [{"role": "user", "content": "a\n\nb"}, {"role": "assistant", "content": "c"}]
    roles = [{"role": r, "content": c} for r, c in (("system", "a"), ("user", "b"), ("assistant", "c"))]
    turns = [{"from": f, "value": v} for f, v in (("system", "a"), ("human", "b"), ("gpt", "c"))]
    assert data.training_messages({"messages": roles}, prompt) == wanted
    assert data.training_messages({"conversations": json.dumps(turns)}, prompt) == wanted
    from_item = data.training_messages(item("x", WEATHER), prompt)
    assert from_item == method.conversation(item("x", WEATHER), prompt)
    assert data.training_messages(item("x", WEATHER, messages=roles), prompt) == from_item
    for broken, message in (
        ({}, "`messages`"),
        ({"messages": [{"role": "wizard", "content": "x"}]}, "wizard"),
        ({"messages": roles[:2]}, "no answer"),
        ({"messages": [*roles[:2], {"role": "assistant", "content": None}]}, "no answer"),
        ({"messages": [5]}, "row 1 has parts of another kind"),
        (item("x", NOTHING), "`answer`"),
    ):
        with pytest.raises(UserError, match=message):
            list(adapted("x", [broken], lambda row, _: data.training_messages(row, prompt)))


def test_a_row_without_a_language_is_told_by_its_words() -> None:
    row = {"scenario_type": "s", "functions": [], "expected_behavior": NOTHING}
    for request, code in (
        ("Wie ist das Wetter in Berlin?", "de"), ("What is the weather in Berlin?", "en"), ("12:30", "und"),
        ("Какво е времето в София?", "bg"),
    ):  # fmt: skip
        assert data.evaluation_item({**row, "user_message": request})["language"] == code
    assert data.evaluation_item({**row, "user_message": "Wie?", "language": "en"})["language"] == "en"


def test_every_ablation_changes_a_file_as_well(tmp_path: Path) -> None:
    """At the scale of the paper an arm must not train on what another one trains on."""
    prompt, _ = data.load_prompt(PromptConfig())
    items = data.build_dataset(miniature.catalogue(), 40)
    rows = [*items[:20], *({"messages": method.conversation(one, prompt)} for one in items[20:])]
    path = tmp_path / "train.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    tiny = override(PRESETS["tiny"], {"train_file": str(path)})
    found = {name: data.training_chats(override(tiny, VARIANTS[name])) for name in VARIANTS if name != "base"}
    whole = [method.conversation(one, prompt) for one in items]
    assert found["bg+en"] == whole
    kept = {
        "no_negatives": [one["scenario_type"] in method.CALL_SCENARIOS for one in items],
        "en": [one["language"] == "en" for one in items],
    }
    for name, stays in kept.items():
        own = [chat for chat, stay in zip(whole, stays, strict=True) if stay]
        assert found[name] == (own * 4)[: len(whole)], "others in the place of those that are left out"
    assert [chat[0] for chat in whole] == [chat[0] for chat in found["shuffled"]]
    assert sum(one == other for one, other in zip(whole, found["shuffled"], strict=True)) < 0.2 * len(whole)
    answers = [sorted(chat[1]["content"] for chat in chats) for chats in (whole, found["shuffled"])]
    assert answers[0] == answers[1]
    path.write_text(json.dumps({"messages": whole[0], "language": "fr"}), encoding="utf-8")
    with pytest.raises(UserError, match="no conversation"):
        data.training_chats(override(tiny, {"train_file": str(path), "languages": "en"}))


def test_the_base_has_read_no_request_of_the_test_and_what_is_kept_is_not_tuned_on() -> None:
    short = override(Config(seed=3), {"base_model.training.steps": 300})
    read = {turn["content"] for chat in miniature.reading(short) for turn in chat}
    for split in ("dev", "test"):
        config = override(Config(seed=3), {"split": split})
        values = [one for one in miniature.scored_items(config) if one["expected_behavior"]["should_call_function"]]
        assert not {one["user_message"] for one in values} & read
        assert len(miniature.knowledge(config)) >= 50
        assert not {reply for _, _, reply in miniature.in_words(config)} & read
    assert not any(re.search(r"tool_call|arguments", text) for text in read)
    assert not any(f'"{name}"' in text for text in read for name in miniature.catalogue().functions)
    tuned = {one["user_message"] for one in miniature.training_items(Config(seed=3))}
    assert not {question.context for question in miniature.knowledge(Config(seed=3))} & tuned


def test_solvers_that_understand_nothing() -> None:
    config = Config(seed=3, split="dev", examples=400)
    units, found = tucan_eval.solved(config, miniature.scored_items(config))
    assert found["trivial_never_call"] == 0.5
    assert 0 < found["trivial_neighbour"] < found["trivial_rule"] < 1
    assert len(units["neighbour_accuracy_bg"]) == len(miniature.KNOWN) * 6 * miniature.PER_CELL
    wants = [one for one in miniature.training_items(config) if one["expected_behavior"]["should_call_function"]]
    known = next(one for one in wants if one["language"] == "bg")
    assert known["expected_behavior"]["expected_function"] in miniature.neighbour(config, known)
    assert grader.grade(miniature.rule(known), known["expected_behavior"]) == "CORRECT"


def test_what_has_been_fitted_is_asked_of_calls(monkeypatch: Any) -> None:
    """A model that never calls has half of its items right, and has fitted nothing."""
    monkeypatch.setattr(tucan_eval, "answers", lambda chat, config: lambda prompts: [""] * len(prompts))
    config = Config(seed=3, examples=200)
    assert tucan_eval.fitted(None, config, data.load_prompt(config.prompt)[0]) == 0  # type: ignore[arg-type]


def small(**changes: Any) -> Config:
    return override(PRESETS["smoke"], changes)


def test_a_model_that_has_learned_is_seen_to_have_learned(smoke: Callable[[str], Any], monkeypatch: Any) -> None:
    """With the gold answers in the model's place, every metric is at its end."""

    def gold(chat: Any, config: Config) -> Callable[[list[str]], list[str]]:
        prompt, _ = data.load_prompt(config.prompt)
        chats = [method.conversation(one, prompt) for one in miniature.scored_items(config)]
        known = {request["content"]: answer["content"] for request, answer in chats}
        return lambda prompts: [known[text] for text in prompts]

    monkeypatch.setattr(tucan_eval, "answers", gold)
    with temporary("tucan", small(adapter="none")) as run:
        shared = Run(run.path, "tucan", small(adapter="none", limit=20), smoke("tucan").stages, quiet=True)
        found = tucan_eval.evaluate(shared.config, shared).metrics
    for name in ("accuracy_bg", "accuracy_call_bg", "accuracy_unseen_bg", "valid_call_bg", "decision_bg"):
        assert found[name] == 1
    assert found["unexpected_call_bg"] == 0
    assert {"understood_bg", "knowledge_bg", "neighbour_accuracy_bg", "neighbour_decision_bg"} <= set(found)
    assert "fitted" not in found


def test_answers_do_not_depend_on_the_batch(smoke: Callable[[str], Any]) -> None:
    """Prompts of different lengths are padded on the left: alone and together they get the same answer."""
    with temporary("tucan", small()) as run:
        shared = Run(run.path, "tucan", small(), smoke("tucan").stages, quiet=True)
        chat = Chat(*tucan_train.load_base(small(), shared))
    prompt, _ = data.load_prompt(PromptConfig())
    items = data.build_dataset(miniature.catalogue(), 8, mix=method.BALANCED)
    asked = [dialogue(prompt.render(one["user_message"], one["functions"])) for one in items]
    assert len({len(chat.tokenizer(turns[0]["content"])["input_ids"]) for turns in asked}) > 4
    alone, together = (chat.reply(asked, max_new_tokens=6, batch_tokens=n) for n in (1, 1 << 20))
    assert together == alone


def test_own_data_through_the_commands(
    smoke: Callable[[str], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The commands of the page: build, train, evaluate; then score answers of any model."""
    base = next(path for path in smoke("tucan").stages.iterdir() if (path / "model.safetensors").exists())
    monkeypatch.chdir(tmp_path)
    use.main(["build", "--count", "12", "--out", "train.jsonl"])
    use.main(["build", "--part", "test", "--balanced", "--count", "12", "--out", "test.jsonl"])
    options = ["smoke", "--base", str(base), "--train-file", "train.jsonl", "--eval-file", "test.jsonl",
               "--limit", "0", "--out", "mine"]  # fmt: skip
    entrypoint(tucan_train.train, options)
    entrypoint(tucan_eval.evaluate, options)
    assert "never calling" in capsys.readouterr().out
    assert len(read_json(tmp_path / "mine" / "measurement.json")["units"]["accuracy_bg"]) == 6
    assert read_json(tmp_path / "mine" / "artifact" / "adapter" / "adapter_config.json")["r"] == 2

    rows = [json.loads(line) for line in Path("test.jsonl").read_text(encoding="utf-8").splitlines()]
    said = [fenced("{"), *(row["messages"][1]["content"] for row in rows[1:])]
    answers = [{"id": row["id"], "response": text} for row, text in zip(rows, said, strict=True)]
    Path("answers.jsonl").write_text("\n".join(map(json.dumps, answers)), encoding="utf-8")
    use.main(["score", "--items", "test.jsonl", "--answers", "answers.jsonl", "--out", "wrong.jsonl"])
    assert "MALFORMED_JSON 1" in capsys.readouterr().out
    (wrong,) = data.read_items("wrong.jsonl")
    assert (wrong["id"], wrong["label"]) == (rows[0]["id"], "MALFORMED_JSON")
    with pytest.raises(SystemExit) as stop:
        use.main(["score", "--items", "missing.jsonl", "--answers", "answers.jsonl"])
    assert stop.value.code == 2


def test_settings_that_mean_nothing_are_refused() -> None:
    for changes, message in (
        ({"quantization": "nf4"}, "not quantised"), ({"lora_rank": 0}, "lora_rank"),
        ({"prompt.end": ""}, "must not be empty"),
    ):  # fmt: skip
        with pytest.raises(UserError, match=message):
            override(PRESETS["tiny"], changes)


def test_the_plan_counts_gemma() -> None:
    for preset, billions in (("paper", 2.61), ("paper_9b", 9.24), ("paper_27b", 27.23)):
        (cost,) = plan(workload(PRESETS[preset]), gpus=1, gpu="l40s").costs
        assert cost.parameters.total / 1e9 == pytest.approx(billions, abs=0.01)
        assert cost.workload.method == "qlora"
    assert len(plan(workload(PRESETS["tiny"])).costs) == 2


def test_the_worked_examples_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (find("tucan").folder / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    assert blocks
    monkeypatch.chdir(tmp_path)
    for block in blocks:
        exec(compile(block, "README.md", "exec"), {})
