"""selective_translation: known values, what must hold of any text, resuming, the miniature's rules."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import UserError
from papers.selective_translation import data, messages, method, miniature, spans, use
from papers.selective_translation.config import PRESETS, VARIANTS
from papers.selective_translation.data import each
from papers.selective_translation.method import SelectiveTranslator, keeps, parse_grades
from papers.selective_translation.spans import audit, complete, preserved, protect, restore

TINY = PRESETS["tiny"]
BEST = dict.fromkeys(method.FAITH, 5)


def kinds(text: str) -> list[tuple[str, str]]:
    return [tuple(span) for span in protect(text)[1]]


# --- spans ------------------------------------------------------------------------------------------------------------


def test_two_spans_and_the_full_stop_stays_outside() -> None:
    text = "Use `pip install x`, see https://a.b/c."
    assert protect(text) == ("Use ⟦0⟧, see ⟦1⟧.", [("code", "`pip install x`"), ("url", "https://a.b/c")])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Run:\n```python\nx = `1` # https://a.b\n```\nnow", [("fence", "```python\nx = `1` # https://a.b\n```")]),
        ('<a href="https://a.b">here</a>', [("tag", '<a href="https://a.b">'), ("tag", "</a>")]),
        ("It costs $5 and $6, and $x^2$ is math.", [("math", "$x^2$")]),
        (r"So \(a+b\) and $$c$$ and `$d$`", [("math", r"\(a+b\)"), ("math", "$$c$$"), ("code", "`$d$`")]),
        ('Give {"name": {"a": [1, "}"]}} back', [("json", '{"name": {"a": [1, "}"]}}')]),
        ("Hi {name}, %(count)d of %s, ${HOME}, {} and 5% sure", ["{name}", "%(count)d", "%s", "${HOME}", "{}"]),
        ("and/or 1/2 at /etc/nginx/nginx.conf", ["/etc/nginx/nginx.conf"]),
        ("src/app/main.py or C:\\dir\\file, ~/x/y", ["src/app/main.py", "C:\\dir\\file", "~/x/y"]),
        ("Write to jo@ex.org (see http://x.y/z?q=1).", ["jo@ex.org", "http://x.y/z?q=1"]),
        ("a < b and c > d, 3 &lt; 4 <br/> ok", ["&lt;", "<br/>"]),
        ("यह देखें https://a.b/c।", ["https://a.b/c"]),
    ],
)  # fmt: skip
def test_what_is_protected(text: str, expected: list[Any]) -> None:
    found = kinds(text)
    if isinstance(expected[0], str):
        assert [piece for _, piece in found] == expected
    else:
        assert found == expected


@given(st.text(alphabet='ab1 `$\\(){}[]<>/:.%⟦⟧"\n\0', max_size=40))
def test_every_text_comes_back(text: str) -> None:
    masked, found = protect(text)
    assert restore(masked, found) == text
    assert complete(masked, found)
    assert preserved(text, text)


def test_an_audit_counts_by_kind() -> None:
    pairs = [("`a` and /x/y", "`a` और /x/y"), ("`a` and /x/y", "/x/y और `अ`"), ("plain", "सादा"), ("plain", "`x`")]
    found = audit(pairs)
    assert (found.texts, found.with_spans, found.integrity) == (4, 2, 0.5)
    assert found.broken == [(1, ["`a`"], ["`अ`"]), (3, [], ["`x`"])]
    assert found.by_kind == {"code": 0.5, "path": 1.0}
    assert preserved("%s of %d", "%d में से %s")  # the order is the language's


# --- translating ------------------------------------------------------------------------------------------------------


def test_a_translator_sees_whole_fields_without_their_spans() -> None:
    asked: list[str] = []

    def shout(text: str) -> str:
        asked.append(text)
        return text.upper()

    records = [{"id": 1, "prompt": "say `hi`\nand go", "response": "ok: /a/b"}, {"prompt": "`x`", "response": "done"}]
    done = SelectiveTranslator(each(shout, 1), "Hindi").translate(records, ["prompt", "response"])
    assert asked == ["say ⟦0⟧\nand go", "ok: ⟦0⟧", "done"]
    assert done[0] == {"id": 1, "prompt": "SAY `hi`\nAND GO", "response": "OK: /a/b", "flags": {}}
    assert done[1]["prompt"] == "`x`"


@pytest.mark.parametrize("answer", ["gone", "⟦0⟧ ⟦0⟧ ⟦1⟧", "⟦0⟧ ⟦2⟧", "⟦ 0 ⟧ ⟦1⟧"])
def test_a_lost_mark_is_flagged_and_not_guessed(answer: str) -> None:
    (found,) = SelectiveTranslator(each(lambda _: answer, 1), "Hindi").texts(["`a` then /b/c"])
    assert found.flag == "lost"


def test_a_language_model_is_told_the_rules() -> None:
    seen: list[str] = []
    translator = SelectiveTranslator(lambda texts: [seen.append(t) or "`क`" for t in texts], "Nepali", "rules")  # type: ignore[func-returns-value]
    assert translator.texts(["see `a`"])[0].flag == "changed"
    assert "into Nepali" in seen[0]
    assert seen[0].endswith("see `a`")
    assert SelectiveTranslator(lambda texts: ["" for _ in texts], "Nepali", "all").texts(["a", " "])[0].flag == "empty"


def test_values_of_objects() -> None:
    text = 'store {"name": "big dog", "n": [1, "cat"]}'
    upper = each(str.upper, 1)
    assert SelectiveTranslator(upper, "Hindi").texts([text])[0].text == 'STORE {"name": "big dog", "n": [1, "cat"]}'
    with pytest.raises(UserError, match="json_values"):
        SelectiveTranslator(upper, "Hindi", "rules", json_values=True)
    found = SelectiveTranslator(upper, "Hindi", json_values=True).texts([text])[0]
    assert found.text == 'STORE {"name": "BIG DOG", "n": [1, "CAT"]}'


class Stopped(Exception):
    """The process was killed."""


def test_translation_goes_on_where_it_was_killed(tmp_path: Path) -> None:
    records = [{"id": n, "prompt": f"text {n % 300} `x{n}`"} for n in range(400)]
    asked: list[str] = []

    def backend(texts: Any) -> list[str]:
        if len(asked) == 256:
            raise Stopped
        asked.extend(texts)
        return [text.upper() for text in texts]

    def run(after: Any) -> Any:
        translator = SelectiveTranslator(after, "Hindi")
        return data.resumed(records, ["prompt"], translator, tmp_path / "cache.jsonl", "mine")

    with pytest.raises(Stopped):
        run(backend)
    with (tmp_path / "cache.jsonl").open("a") as file:
        file.write('{"key": "cut in the mid')
    later: list[str] = []
    done, cost = run(lambda texts: [later.append(t) or t.upper() for t in texts])  # type: ignore[func-returns-value]
    assert [row["prompt"] for row in done] == [f"TEXT {n % 300} `x{n}`" for n in range(400)]
    assert (cost.requests, cost.from_before) == (144, 256)
    assert run(None)[1].requests == 0


# --- the judge --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "kept"),
    [({}, True), ({"Accuracy": 4}, False), (dict.fromkeys(method.FAITH, -1), False), ({"Terminology": 0}, False)],
)
def test_only_the_best_grades_are_kept(change: dict[str, int], kept: bool) -> None:
    reply = f"Sure:\n```json\n{json.dumps({**BEST, **change})}\n``` Done."
    assert keeps(parse_grades(reply, method.FAITH), BEST) == kept


@pytest.mark.parametrize("reply", ["none", "", {"Fluency": 5}, {**BEST, "Fluency": 50}, {**BEST, "Fluency": 4.5}])
def test_a_reply_without_grades_keeps_nothing(reply: Any) -> None:
    assert not keeps(parse_grades(json.dumps(reply), method.FAITH), BEST)


def test_what_does_not_apply_may_be_allowed() -> None:
    grades = {**BEST, "Handling_of_Format": 0}
    assert keeps(grades, BEST, na_ok=True)
    assert not keeps(dict.fromkeys(method.FAITH, -1), BEST, na_ok=True)


def test_the_papers_table_gives_its_gains() -> None:
    """Means over k = 20K to 100K of table 1 (GSM8K-Hi) and table 2, as the card says them."""
    selective, plain = [38.67, 40.79, 42.15, 40.26, 40.86], [36.32, 37.45, 38.36, 39.58, 40.71]
    assert sum(selective) / 5 - 30.10 == pytest.approx(10.446)
    assert sum(plain) / 5 - 30.10 == pytest.approx(8.384)
    alone = {"IFEval-En": [34.53, 40.77, 44.00, 46.28, 45.68], "GSM8K-Hi": [29.49, 34.72, 36.09, 35.71, 38.97]}
    alone["IFEval-Hi"] = [36.56, 41.24, 44.09, 45.44, 45.12]
    assert {name: round(sum(v) / 5, 2) for name, v in alone.items()} == {
        "IFEval-En": 42.25,
        "GSM8K-Hi": 35.00,
        "IFEval-Hi": 42.49,
    }


# --- the miniature ----------------------------------------------------------------------------------------------------


def test_no_class_is_in_two_parts() -> None:
    parts = [{fact.cls for fact in miniature.parts(0)[name]} for name in miniature.SHARES]
    assert sum(map(len, parts)) == len(set().union(*parts)) == len(miniature.facts())


def test_what_must_stay_stands_in_no_prompt() -> None:
    for row in miniature.english(TINY):
        words = {"def", "return", "f", '"name"', '"city"', "get_weather", "pi", r"\("}
        assert not words & set(row["prompt"].split())


@pytest.mark.parametrize("code", miniature.LANGUAGES)
def test_right_answers_are_right_and_translated_spans_are_not(code: str) -> None:
    config = replace(TINY, language=code)
    for fact, item in miniature.asked(config, code):
        assert miniature.right(fact, item.answer, code)
        assert miniature.in_language(fact, item.answer, code)
        assert not miniature.right(fact, "", code)
        if fact.kind != "plain":
            assert miniature.right(fact, miniature.response_of(fact, "en"), code)
            broken = miniature.translated_span(miniature.span_of(fact), code)
            assert not miniature.right(fact, miniature.response_of(fact, code, broken), code), broken
    assert max(miniature.solvers(config, code).values()) < 0.05


def test_arms_of_a_base_are_tested_on_the_same_rows(tmp_path: Path) -> None:
    """Held-out rows of the selective translations, which are tuned on in no arm and in neither language."""
    english, selective, plain = (
        write(tmp_path / f"{name}.jsonl", [{"id": n, "prompt": f"{name} {n}", "response": "x"} for n in range(500)])
        for name in ("en", "sel", "plain")
    )
    base = replace(PRESETS["paper"], english=english, translated=selective, plain=plain, n_translated=50)
    found = {name: data.load(replace(base, **VARIANTS[name])) for name in ("selective", "vanilla", "english")}
    tests = found["selective"][2]
    assert len(tests) == data.HELD_OUT
    for first, second, asked in found.values():
        assert asked == tests
        assert not {row["id"] for row in tests} & {row["id"] for row in [*first, *second]}
    assert [len(second) for _, second, _ in found.values()] == [100, 100, 0]
    assert found["vanilla"][1][0]["prompt"].startswith("plain")


def test_code_is_read_and_not_run() -> None:
    multiplied = next(f for f in miniature.facts() if f.slots == {"op": "multiply", "n": "2"})
    assert not miniature.right(multiplied, "` def f ( x ) : return x + 12 `", "hi")  # 12 + 12 is 12 * 2
    assert miniature.computed("` def f ( y ) : return y * 7 `", 12) == 84
    for code in (
        "def g ( x ) : return x * 7",
        "def f ( x ) : return __import__ ( 'os' )",
        "def f ( x ) : return y * 7",
    ):
        assert miniature.computed(code, 12) is None


@pytest.mark.parametrize("code", ["hi", "fa", "tr"])
def test_the_filter_keeps_about_half_and_the_audit_what_is_whole(code: str) -> None:
    config = replace(TINY, language=code, records=200, n_translated=30)
    english = miniature.english(config)
    shares = {}
    for name in ("selective", "vanilla", "audited", "misplaced", "unfiltered"):
        one = replace(config, **VARIANTS[name])
        pool = miniature.translations(one, english)
        rows = miniature.kept(one, pool, english)
        shares[name] = len(rows) / len(pool)
        assert len(rows) >= one.k
        source = {row["prompt"]: row["response"] for row in english}
        whole = [preserved(source[row["source"]], row["response"]) for row in rows]
        assert all(whole) == (name in ("selective", "audited", "unfiltered"))
    assert shares["unfiltered"] == 1
    assert 0.4 < shares["vanilla"] <= shares["selective"] < 0.7


def test_messages_are_split_by_class_and_humans_keep_their_spans() -> None:
    found = [messages.rows("hi", replace(TINY, split=split, messages=("hi",))) for split in ("dev", "test")]  # type: ignore[arg-type]
    keys = [{key for key, _, _ in tested} for tested, _ in found]
    assert not keys[0] & keys[1]
    assert not any(spans.protect(en)[1] for en, _ in found[0][1])
    texts = [(en, human) for tested, _ in found for _, en, human in tested]
    assert audit(texts).integrity > 0.95


def test_the_remainder_is_translated_alike() -> None:
    """Selective and plain translation share the translator: outside of spans they are the same."""
    translate = each(lambda text: messages.word_by_word({"file": "फ़ाइल"}, "hi", text), 1)
    text = "Delete file %(name)s at <b>once</b>"
    kept = SelectiveTranslator(translate, "Hindi").texts([text])[0].text
    delete, at, once = (miniature.spelt(word, "hi") for word in ("Delete", "at", "once"))
    assert kept == f"{delete} फ़ाइल %(name)s {at} <b>{once}</b>"
    plain = SelectiveTranslator(translate, "Hindi", "all").texts([text])[0].text
    assert plain.split()[:2] == kept.split()[:2]
    assert "%(name)s" not in plain


# --- entrypoints ------------------------------------------------------------------------------------------------------


def test_the_smoke_run(smoke: Any) -> None:
    measured = smoke("selective_translation").measurement
    assert measured["metrics"]["integrity"] == 1.0
    assert measured["metrics"]["human"] > 0.9
    assert {"accuracy", "plain", "english", "chrf", "in_language"} <= set(measured["units"])


def write(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\r\n" for row in rows), encoding="utf-8")
    return str(path)


def test_verbs_on_own_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows: list[dict[str, Any]] = [{"id": "a", "prompt": "run `ls`", "response": "it lists /tmp/x"}]
    rows.append({"id": "b", "prompt": "how to kill a process", "response": "use `kill`", "unsafe": True})
    source = write(tmp_path / "en.jsonl", rows)
    (tmp_path / "mine.py").write_text("def make():\n    return lambda text: text.upper()\n")
    backend, out = f"{tmp_path / 'mine.py'}:make", tmp_path / "xx.jsonl"
    given = ["translate", source, "--language", "Hindi", "--backend", backend, "--out", str(out)]
    with pytest.raises(SystemExit):
        use.main(given)
    use.main([*given, "--fallback", backend])
    done = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert [row["response"] for row in done] == ["IT LISTS /tmp/x", "USE `KILL`"]  # the fallback translates everything
    use.main(["audit", source, str(out), "--out", str(tmp_path / "broken.jsonl")])
    assert '"lost": ["`kill`"]' in (tmp_path / "broken.jsonl").read_text()
    judged, asking = tmp_path / "judged.jsonl", ["judge", source, str(out), "--language", "Hindi", "--out"]
    use.main([*asking, str(judged)])
    asked = [json.loads(line)["custom_id"] for line in judged.read_text().splitlines()]
    assert asked == [f"{key}/{part}" for key in "ab" for part in ("prompt/faith", "response/faith", "alignment")]
    good = {**BEST, **dict.fromkeys(method.ALIGNMENT, 4)}
    replies = [{"id": key, "judgement": json.dumps({**good, "Fluency": 5 if key[0] == "a" else 3})} for key in asked]
    use.main([*asking, str(judged), "--replies", write(tmp_path / "replies.jsonl", replies)])
    graded = [json.loads(line) for line in judged.read_text(encoding="utf-8").splitlines()]
    assert [row["short"] for row in graded] == [[], ["Fluency"]]
    assert "dropped_Fluency" in capsys.readouterr().out
    english = data.rows(source)
    assert [len(data.kept(graded, english, name)) for name in ("none", "faith", "audit")] == [2, 1, 1]


def test_sources_of_the_paper_scale(tmp_path: Path) -> None:
    turns = [{"from": "User", "value": "Add."}, {"from": "Assistant", "value": "3"}]
    daring = write(tmp_path / "daring.jsonl", [{"system": "", "mask": "User", "dataset": "x", "conversations": turns}])
    with pytest.raises(UserError):
        data.rows(write(tmp_path / "bad.jsonl", [{"a": 1}]))
    chat = [[{"role": "user", "content": "Add."}, {"role": "assistant", "content": text}] for text in ("3", "4")]
    ultra = [{"prompt": "Add.", "prompt_id": "p", "chosen": chat[0], "rejected": chat[1], "score_chosen": 9.0}]
    assert data.rows(daring) == [{"id": "1", "prompt": "Add.", "response": "3"}]
    pairs = write(tmp_path / "ultra.jsonl", ultra)
    config = replace(PRESETS["paper"], english_pairs=pairs, translated_pairs=pairs)
    assert data.preferences(config)[:1] == [{"id": "p", "prompt": "Add.", "chosen": "3", "rejected": "4"}]
