"""Minutes of broken input, for `nox -s fuzz`: not collected by the gate, which runs a part of it (test_broken.py).

All kinds of broken files with all verbs, all numbers through the commands, and what hypothesis thinks of for the
readers, the configurations and the parser of tool calls.
"""

from __future__ import annotations

import importlib
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import verbs
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_broken import BAD, READERS, SLUGS, desk, dry_run, is_a_sentence, models, numbers_in, options_of, refuse, tried

from core.errors import UserError
from core.files import parse_json
from papers.tucan.grader import examine, parse_call
from papers.tucan.method import Tags

__all__ = ["desk", "models"]  # the fixtures

MANY = settings(max_examples=1000, deadline=None, suppress_health_check=list(HealthCheck))

# Values as JSON can hold them, and Python's reader takes: NaN, huge integers and single surrogates included.
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(10**18, 10**30)
    | st.floats()
    | st.text(st.characters(), max_size=20)
)
NAMES = st.text(max_size=5) | st.sampled_from(
    (
        "id",
        "en",
        "sw",
        "key",
        "text",
        "instruction",
        "output",
        "messages",
        "role",
        "content",
        "name",
        "arguments",
        "path",
    )
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=6), max_leaves=20
)
COLUMNS = [
    "messages", "conversations", "instruction", "output", "question", "options", "choices", "answer", "cop", "opa",
    "opb", "opc", "opd", "final_decision", "context", "translation", "source", "target", "source_text", "target_text",
    "user_message", "functions", "expected_behavior", "text", "title", "lang", "en", "sw",
]  # fmt: skip
ROWS = st.dictionaries(NAMES, VALUES, max_size=8)


def ends_well(function: Callable[[], Any]) -> Any:
    """What a function gives, or None where it refuses in one sentence."""
    said = ""
    try:
        return function()
    except UserError as error:
        said = str(error)
    assert is_a_sentence(said)
    return None


@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize("verb", verbs.by_file())
def test_all_files_with_all_verbs(verb: str, kind: str, desk: Path) -> None:
    refuse(verb, kind, desk)


@pytest.mark.parametrize("slug", SLUGS)
def test_all_numbers_on_the_command_line(slug: str) -> None:
    preset = importlib.import_module(f"papers.{slug}.config").PRESETS["tiny"]
    for name, hint in numbers_in(preset):
        for number in (-1, 0, "nan", "inf", "-inf", 10**30, "9" * 500, "1e400", ""):
            dry_run(slug, name, hint, number)  # type: ignore[arg-type]


@pytest.mark.parametrize("slug", SLUGS)
@given(st.data())
@MANY
def test_configurations(slug: str, data: st.DataObject) -> None:
    options = data.draw(st.sampled_from(options_of(slug)))
    fields = list(numbers_in(options))
    if fields:
        name, hint = data.draw(st.sampled_from(fields))
        answer = tried(options, name, hint, data.draw(st.integers() | st.floats()))
        assert answer == "taken" or is_a_sentence(answer)


@given(st.text(st.characters(codec="utf-8")) | VALUES.map(json.dumps))
@MANY
def test_json(text: str) -> None:
    value = ends_well(lambda: parse_json(text, "x.json", 1))
    json.dumps(value, ensure_ascii=False, allow_nan=False).encode()


@pytest.mark.parametrize("reader", READERS)
@given(
    st.binary(max_size=200)
    | st.text(st.characters(codec="utf-8"), max_size=200).map(str.encode)
    | st.lists(ROWS | VALUES, max_size=4).map(lambda rows: "\n".join(map(json.dumps, rows)).encode())
    | st.lists(st.lists(st.text("ab\"',;\t\r\n\0é", max_size=4), max_size=4).map(",".join), max_size=4).map(
        lambda rows: "\n".join(rows).encode()
    )
)
@MANY
def test_readers(reader: str, content: bytes) -> None:
    suffix, read = READERS[reader]
    with tempfile.NamedTemporaryFile(suffix=suffix) as file:
        file.write(content)
        file.flush()
        ends_well(lambda: read(file.name))


def adapters() -> dict[str, Any]:
    """What papers make of a row, as they call it."""
    from core import corpora
    from core.corpora.manifest import adapt_pair, adapt_text
    from core.tasks.samples import adapt
    from core.tasks.translation import adapt_segment
    from papers.tucan.config import PromptConfig
    from papers.tucan.data import evaluation_item, load_prompt, training_messages

    prompt, _ = load_prompt(PromptConfig())
    found = {
        "samples": lambda row, _: adapt(row, "en"),
        "segment": adapt_segment,
        "marco_llm text": lambda row, _: adapt_text(row),
        "marco_llm pair": lambda row, _: adapt_pair(row, "en", "sw"),
        "tucan item": evaluation_item,
        "tucan chat": lambda row, _: training_messages(row, prompt),
    }
    return {
        name: lambda row, function=function: list(corpora.adapted("x", [row], function))
        for name, function in found.items()
    }


@pytest.mark.parametrize("name", adapters())
@given(
    st.data(),
    st.lists(
        st.sampled_from(COLUMNS),
        unique=True,
    ),
)
@MANY
def test_rows(name: str, data: st.DataObject, columns: list[str]) -> None:
    row = {column: data.draw(VALUES) for column in columns}
    ends_well(lambda: adapters()[name](row))


EXPECTED = st.fixed_dictionaries(
    {
        "scenario_type": st.just("function_call_required"),
        "functions": st.just(
            [{"name": "f", "parameters": {"type": "object", "properties": {"a": {"type": "string"}}}}]
        ),
        "expected_behavior": st.fixed_dictionaries(
            {
                "should_call_function": st.booleans(),
                "expected_function": st.just("f"),
                "expected_parameters": st.dictionaries(st.text(max_size=3), VALUES, max_size=3),
            }
        ),
    }
)


@given(st.text() | VALUES.map(json.dumps) | ROWS.map(lambda row: json.dumps({"name": "f", "arguments": row})), EXPECTED)
@MANY
def test_tool_calls(payload: str, item: dict[str, Any]) -> None:
    """Whatever a model writes has a verdict."""
    tags = Tags()
    answer = f"{tags.start}{payload}{tags.end}"
    parse_call(payload)
    parse_call(answer)
    examine(answer, item)


@pytest.mark.parametrize(
    "inside", ["[" * 100_000, '{"a":' * 100_000, "9" * 5000, '{"name": 1e999}', '{"name": "\\ud800"}']
)
def test_tool_calls_that_are_hard_to_read(inside: str) -> None:
    tags = Tags()
    parse_call(f"{tags.start}{inside}{tags.end}")
