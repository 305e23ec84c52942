"""BayLing 2: parity with the official templates, the star, the mixture, the miniature world, transfer, whole runs."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import UserError
from core.experiment.config import override, with_variant
from core.experiment.run import Run
from core.files import read_json
from papers.bayling2 import chat, data, eval, method, numerals, train, transfer, use
from papers.bayling2.config import FLORES_101, PRESETS, VARIANTS, Config, workload
from papers.bayling2.method import Bitext, Row

# --- parity with the official code --------------------------------------------------------------------------------

OPENING = (
    "I am an intelligent language assistant developed by the NLP Group of ICT/CAS.\nBelow is a dialog consisting of "
    "instructions and responses. Write a response that completes the request.\n\n"
)


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def assistant(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


def test_llama2_prompt() -> None:
    prompt = method.format_prompt([user("What is the speed of light?")], "bayling2-llama2")
    assert prompt == OPENING + "### Instruction:\nWhat is the speed of light?\n### Response:\n"


def test_llama2_turns_are_not_stripped() -> None:
    turns = [user("Hi"), assistant("Hello!"), user(' Translate "cat" into French. ')]
    assert method.format_prompt(turns, "bayling2-llama2") == (
        OPENING + "### Instruction:\nHi\n### Response:\nHello!</s>\n"
        '### Instruction:\n Translate "cat" into French. \n### Response:\n'
    )


LLAMA3 = (
    "<|start_header_id|>system<|end_header_id|>\n\nI am BayLing developed by the NLP Group of ICT/CAS.<|eot_id|>"
    "<|start_header_id|>user<|end_header_id|>\n\nWhat is the speed of light?<|eot_id|>"
    "<|start_header_id|>assistant<|end_header_id|>\n\n"
)


@pytest.mark.parametrize("text", ["What is the speed of light?", "  What is the speed of light?\n"])
def test_llama3_prompt_is_stripped_and_has_no_begin_token(text: str) -> None:
    assert method.format_prompt([user(text)], "bayling2-llama3") == LLAMA3


def test_braces_in_a_message_are_text() -> None:
    assert "### Instruction:\n{0} {text}\n" in method.format_prompt([user("{0} {text}")])


def test_official_stop_ids_and_sampling() -> None:
    assert method.STOP_IDS["bayling2-llama3"] == (2, 128001, 128009)
    assert method.SAMPLING == {"temperature": 0.7, "max_new_tokens": 512}


@pytest.mark.parametrize(
    ("messages", "match"),
    [([], "no turn"), ([{"role": "system", "content": "x"}], "no turn"), ([{"role": "tool", "content": "x"}], "role")],
)
def test_bad_conversations_are_refused(messages: list[dict[str, str]], match: str) -> None:
    with pytest.raises(UserError, match=match):
        method.format_prompt(messages)


LLAMA3_TOKENS = ["<|eot_id|>", "<|start_header_id|>", "<|end_header_id|>", "<|end_of_text|>"]


@pytest.fixture(scope="module")
def tokenizers() -> dict[str, Any]:
    from core.models.tokenization import train_bpe

    texts = [OPENING, LLAMA3, *(text for by in method.WORDINGS.values() for text in by)] * 3
    return {
        "bayling2-llama2": train_bpe(texts, 600),
        "bayling2-llama3": train_bpe(texts, 600, special_tokens=LLAMA3_TOKENS),
        "plain": numerals.word_tokenizer(PRESETS["smoke"]),
    }


@pytest.mark.parametrize("template", list(method.CHAT_TEMPLATES))
@pytest.mark.parametrize("system", [False, True])
@pytest.mark.parametrize("turns", [1, 2, 3])
def test_chat_templates_say_the_same(tokenizers: dict[str, Any], template: Any, system: bool, turns: int) -> None:
    messages = [user(" What? "), assistant("That."), user("Why?\n")][:turns]
    if system and template != "plain":
        messages = [{"role": "system", "content": "Be brief."}, *messages]
    tokenizer = tokenizers[template]
    rendered = tokenizer.apply_chat_template(
        messages,
        chat_template=method.CHAT_TEMPLATES[template],
        tokenize=False,
        add_generation_prompt=messages[-1]["role"] == "user",
    )
    assert rendered == tokenizer.bos_token + method.format_prompt(messages, template)


def test_the_template_is_chosen_by_the_tokenizer(tokenizers: dict[str, Any]) -> None:
    for template in ("bayling2-llama2", "bayling2-llama3"):
        assert method.choose_template(tokenizers[template]) == template


# --- requests -----------------------------------------------------------------------------------------------------


def test_wordings_name_the_target_and_half_of_them_the_source() -> None:
    for wordings in method.WORDINGS.values():
        assert len(set(wordings)) == 8
        assert all("{target}" in wording and "{text}" in wording for wording in wordings)
        assert sum("{source}" in wording for wording in wordings) == 4


@pytest.mark.parametrize(
    ("code", "request_language", "name"),
    [("de", "en", "German"), ("de", "zh", "德语"), ("zh", "en", "Chinese"), ("deu_Latn", "zh", "德语")],
)
def test_language_names(code: str, request_language: str, name: str) -> None:
    assert method.language_name(code, request_language) == name


def test_a_request_says_what_is_wanted_in_the_language_of_the_request() -> None:
    wording = method.WORDINGS["zh"][4]
    assert method.cross_lingual_request("ein {x}", "de", "en", wording, "zh") == "把下面的德语翻译成英语。\nein {x}"


# --- the star -----------------------------------------------------------------------------------------------------


def bitexts(languages: Sequence[str], pivots: Sequence[str] = ("en", "zh"), n: int = 6) -> list[Bitext]:
    pairs = [(code, pivot) for code in languages for pivot in pivots]
    pairs += [(pivots[1], pivots[0])] if len(pivots) > 1 else []
    return [
        Bitext(code, pivot, [{"key": str(i), code: f"{code} {i}", pivot: f"{pivot} {i}"} for i in range(n)])
        for code, pivot in pairs
    ]


@pytest.mark.parametrize(("directions", "edges"), [("both", 4), ("to_pivot", 2), ("from_pivot", 2)])
def test_the_star_has_edges_to_the_hubs_alone(directions: Any, edges: int) -> None:
    star = method.star_edges(bitexts(["de", "tr", "sw"]), ("en", "zh"), directions)
    assert set(star) == {"de", "tr", "sw", "en-zh"}
    assert {(source, target) for source, target, _ in star["en-zh"]} == {("en", "zh"), ("zh", "en")}
    for code in ("de", "tr", "sw"):
        assert len({(source, target) for source, target, _ in star[code]}) == edges
        for source, target, _ in star[code]:
            assert directions == "both" or (target if directions == "to_pivot" else source) in ("en", "zh")


@pytest.mark.parametrize("pair", [("de", "tr"), ("en", "en")])
def test_an_edge_beside_the_star_is_refused(pair: tuple[str, str]) -> None:
    with pytest.raises(UserError, match="no edge"):
        method.star_edges([Bitext(*pair, [])], ("en", "zh"))


def test_answers_are_bare_translations_and_requests_hold_the_source() -> None:
    rows = method.cross_lingual_block(bitexts(["de", "sw"]), ("en", "zh"), seed=1)
    assert len(rows) == 6 * (2 * 4 + 2)
    for row in rows:
        request, answer = (message["content"] for message in row["messages"])
        number = row["key"].split("/")[1]
        assert f"{row['source']} {number}" in request
        assert answer == f"{row['target']} {number}"
        assert row["block"] == "xling"
    # Requests are in either pivot, whatever the pair: German to English is also asked for in Chinese.
    german = [row["messages"][0]["content"] for row in rows if (row["source"], row["target"]) == ("de", "en")]
    chinese = [bool(re.search(r"[\u4e00-\u9fff]", text.replace("zh", ""))) for text in german]
    assert 0 < sum(chinese) < len(chinese)


@settings(max_examples=50)
@given(st.integers(1, 30), st.integers(0, 5))
def test_a_smaller_budget_is_a_subset_of_a_larger_one(budget: int, seed: int) -> None:
    def chosen(size: int | None, languages: list[str]) -> dict[str, set[str]]:
        rows = method.cross_lingual_block(bitexts(languages), ("en", "zh"), per_language=size, seed=seed)
        found: dict[str, set[str]] = {}
        for row in rows:
            spoke = row["key"].split("/")[0]
            found.setdefault(spoke, set()).add(json.dumps(row, ensure_ascii=False))
        return found

    small, large = chosen(budget, ["de", "sw"]), chosen(budget + 3, ["de", "sw", "tr"])
    assert {spoke: len(rows) for spoke, rows in small.items()} == {
        "de": min(budget, 24), "sw": min(budget, 24), "en-zh": min(budget, 12),
    }  # fmt: skip
    assert all(rows <= large[spoke] for spoke, rows in small.items())


def test_pivots_without_wordings_are_refused() -> None:
    with pytest.raises(UserError, match="wordings"):
        method.cross_lingual_block(bitexts(["de"], ("fr",)), ("fr",))
    own = method.cross_lingual_block(
        bitexts(["de"], ("fr",)), ("fr",), wordings={"fr": ("Traduis en {target}: {text}",)}
    )
    assert {row["messages"][0]["content"].split(":")[0] for row in own} == {
        "Traduis en allemand",
        "Traduis en français",
    }


# --- the mixture --------------------------------------------------------------------------------------------------


def rows_of(name: str, n: int) -> list[Row]:
    return [method.instruction(f"{name} {i}", "x", block=name, source="en", key=str(i)) for i in range(n)]


@settings(max_examples=50)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=4), st.lists(st.integers(1, 99), min_size=4, max_size=4),
       st.integers(1, 300))  # fmt: skip
def test_shares_are_exact_and_repetition_is_even(sizes: list[int], weights: list[int], total: int) -> None:
    blocks = {f"b{i}": rows_of(f"b{i}", size) for i, size in enumerate(sizes)}
    shares = {f"b{i}": weight / 10 for i, weight in zip(range(len(sizes)), weights, strict=False)}
    mixture = method.mix_blocks(blocks, shares, total=total, seed=3)
    assert len(mixture) == total
    counts = Counter(row["block"] for row in mixture)
    for name, share in shares.items():
        assert abs(counts[name] - total * share / sum(shares.values())) < 1.001
        times = Counter(row["key"] for row in mixture if row["block"] == name)
        repeats = [times[str(i)] for i in range(len(blocks[name]))]
        assert max(repeats) - min(repeats) <= 1


def test_without_a_total_nothing_is_repeated() -> None:
    blocks = {"en": rows_of("en", 262), "zh": rows_of("zh", 1000), "xling": rows_of("xling", 500)}
    shares = {"en": 0.262, "zh": 0.432, "xling": 0.306}
    mixture = method.mix_blocks(blocks, shares)
    assert Counter(row["block"] for row in mixture) == {"en": 262, "zh": 432, "xling": 306}
    assert len({(row["block"], row["key"]) for row in mixture}) == 1000


def test_the_mixture_is_shuffled_by_the_seed_alone() -> None:
    blocks = {"en": rows_of("en", 50), "zh": rows_of("zh", 50)}
    first, again, other = (method.mix_blocks(blocks, {"en": 1, "zh": 1}, seed=seed) for seed in (0, 0, 1))
    assert first == again != other
    middle = [row["block"] for row in first[25:75]]
    assert 10 < middle.count("en") < 40


@pytest.mark.parametrize("shares", [{}, {"en": 0.0}, {"en": 1.0, "zh": 0.5}])
def test_impossible_mixtures_are_refused(shares: dict[str, float]) -> None:
    with pytest.raises(UserError, match=r"empty|no examples"):
        method.mix_blocks({"en": rows_of("en", 3)}, shares)


def test_the_manifest_counts_by_block_direction_and_language() -> None:
    rows = method.star_mixture(
        {"en": rows_of("en", 8), "zh": [{**row, "source": "zh", "target": "zh"} for row in rows_of("zh", 8)]},
        bitexts(["de"], n=1), {"en": 1, "zh": 1, "xling": 1}, total=18,
    )  # fmt: skip
    facts = method.manifest(rows)
    assert {name: part["examples"] for name, part in facts["blocks"].items()} == {"en": 6, "xling": 6, "zh": 6}
    assert set(facts["directions"]) == {"de-en", "en-de", "de-zh", "zh-de", "en-zh", "zh-en"}
    assert facts["languages"]["de"] == {"xling": 4}
    assert facts["languages"]["en"] == {"en": 6, "xling": 4}
    assert facts["distinct_per_language"] == {"de": 4, "en-zh": 2}
    assert facts["examples"] == facts["distinct"] == 18


# --- the miniature world ------------------------------------------------------------------------------------------

TINY = PRESETS["tiny"]
CODES = numerals.all_languages(TINY)


def test_german_pieces_make_the_word() -> None:
    from core import corpora

    table = corpora.load("numbers", languages=["de", "zh"], values=range(0, 1001, 7))
    for german, chinese in zip(table["de"], table["zh"], strict=True):
        assert numerals.split_words(german, "de").replace(" ", "") == german
        assert numerals.split_words(chinese, "zh").split() == list(chinese)
    assert numerals.split_words("dreihundertsiebenundsechzig", "de") == "drei hundert sieben und sechzig"
    assert numerals.split_words("three hundred sixty-seven", "en") == "three hundred sixty seven"


def test_every_number_has_its_own_name() -> None:
    for code, column in numerals.spelled(CODES).items():
        assert len(set(column.values())) == numerals.LIMIT + 1, code


@pytest.mark.parametrize(
    ("skill", "number", "answer"),
    [("digits", 340, "3 4 0"), ("next", 999, "1 0 0 0"), ("reversed", 340, "0 4 3"), ("reversed", 7, "7")],
)
def test_answers_in_digits(skill: str, number: int, answer: str) -> None:
    assert numerals.solve(skill, number, {}, "digits") == answer


def test_answers_in_words_are_in_the_language_of_the_question() -> None:
    words = numerals.spelled(CODES)["de"]
    assert numerals.solve("next", 41, words, "words") == "zwei und vierzig"
    assert numerals.solve("reversed", 340, words, "words") == "drei und vierzig"
    assert numerals.solve("digits", 41, words, "words") == "4 1"


def test_held_out_numbers_are_the_same_for_every_seed_and_disjoint() -> None:
    split = numerals.split_numbers(120)
    assert [len(split[name]) for name in ("test", "dev", "train")] == [120, 120, 760]
    assert len({number for part in split.values() for number in part}) == 1000


def arm(name: str, **changes: Any) -> Config:
    return override(with_variant(TINY, VARIANTS, name), {"total": 6000, **changes})


@cache
def training_set(name: str) -> tuple[dict[str, Any], ...]:
    """An arm's training set; for reading alone."""
    return tuple(data.mixture(arm(name)))


@pytest.mark.parametrize("name", ["full", "no_xling", "oracle", "words", "one_pivot"])
def test_held_out_numbers_are_in_no_part_of_the_training_set(name: str) -> None:
    config = arm(name)
    split, table = numerals.split_numbers(config.items), numerals.spelled(numerals.all_languages(config))
    held = {words[n] for words in table.values() for n in (*split["test"], *split["dev"])}
    for row in training_set(name):
        request, response = (message["content"] for message in row["messages"])
        asked = re.sub(r"<\w+>", "", request).strip()
        said = response.split(" , ") if row["block"] == "monolingual" else [response]
        texts = [asked, *said] if row["block"] in ("xling", "monolingual") else [asked]
        assert held.isdisjoint(texts), row


def test_a_question_does_not_name_its_language() -> None:
    for row in training_set("full"):
        request = row["messages"][0]["content"]
        tags = set(re.findall(r"<(\w+)>", request))
        assert tags <= ({row["target"]} if row["block"] == "xling" else set(numerals.SKILLS))
    tagged = [row for row in training_set("words") if row["block"] != "xling"]
    assert all(f"<{row['source']}> " in row["messages"][0]["content"] for row in tagged)


def test_the_vocabulary_is_small_and_the_same_in_all_arms() -> None:
    vocabularies = [numerals.word_tokenizer(arm(name)).get_vocab() for name in ("full", "one_pivot", "one_pivot_zh")]
    assert len(vocabularies[0]) < 260
    assert set(vocabularies[0]) == set(vocabularies[1]) == set(vocabularies[2])


ARMS = {
    "full": {"en", "zh", "xling", "knowledge"},
    "no_xling": {"en", "zh", "monolingual", "knowledge"},
    "pivots_only": {"en", "zh", "knowledge"},
    "xling_only": {"xling", "knowledge"},
    "one_pivot": {"en", "xling", "knowledge"},
    "one_pivot_zh": {"zh", "xling", "knowledge"},
    "en_xling": {"en", "xling", "knowledge"},
    "zh_xling": {"zh", "xling", "knowledge"},
    "oracle": {"en", "zh", "xling", "knowledge", "oracle"},
    "no_knowledge": {"en", "zh", "xling"},
}


@pytest.mark.parametrize("name", list(ARMS))
def test_arms_have_their_blocks_and_equal_size(name: str) -> None:
    facts = method.manifest(training_set(name))
    assert set(facts["blocks"]) == ARMS[name]
    assert facts["examples"] == 6000
    if "knowledge" in ARMS[name]:
        assert facts["blocks"]["knowledge"]["share"] == pytest.approx(0.06, abs=1e-3)
    for code in TINY.languages:
        instructed = {block for block in facts["languages"][code] if block not in ("xling", "monolingual", "knowledge")}
        assert instructed == ({"oracle"} if name == "oracle" else set())
    for code in TINY.untied:
        assert set(facts["languages"].get(code, {})) <= {"knowledge"}


def test_the_control_text_has_the_share_of_the_translations() -> None:
    full, control = (method.manifest(training_set(name))["blocks"] for name in ("full", "no_xling"))
    assert full["xling"] == control["monolingual"]
    assert full["xling"]["share"] == pytest.approx(0.47, abs=1e-3)


def test_one_pivot_knows_no_other() -> None:
    facts = method.manifest(training_set("one_pivot"))
    assert "zh" not in facts["languages"]
    assert {edge for edge in facts["directions"] if "zh" in edge} == set()


@pytest.mark.parametrize("name", ["to_pivot", "from_pivot"])
def test_one_direction(name: str) -> None:
    edges = set(method.manifest(training_set(name))["directions"]) - {"en-zh", "zh-en"}
    side = 1 if name == "to_pivot" else 0
    assert edges
    assert {edge.split("-")[side] for edge in edges} == {"en", "zh"}


def test_the_budget_counts_distinct_examples_of_a_language() -> None:
    rows = training_set("budget_64")
    for code in TINY.languages:
        seen = {
            row["key"] + row["source"] for row in rows if row["block"] == "xling" and code in row["key"].split("/")[0]
        }
        assert len(seen) == 64


def test_base_knowledge_is_ten_numbers_in_digits() -> None:
    rows = [row for row in training_set("full") if row["block"] == "knowledge"]
    by_language: dict[str, set[str]] = {}
    for row in rows:
        by_language.setdefault(row["source"], set()).add(row["key"])
        assert row["key"].startswith("digits/")
    assert set(by_language) == {*TINY.languages, *TINY.untied}
    assert all(len(keys) == 10 for keys in by_language.values())


# --- rows to train on ---------------------------------------------------------------------------------------------


def labelled(tokenizer: Any, row: dict[str, list[int]]) -> str:
    return tokenizer.decode([label for label in row["labels"] if label != -100])


def test_the_loss_is_on_the_responses(tokenizers: dict[str, Any]) -> None:
    rows = [{"messages": [user("Say\nhi."), assistant("Hello."), user("Again"), assistant(" Hi. ")]}]
    for template, expected in {
        "bayling2-llama2": "Hello.</s>\n Hi. </s>\n",
        "bayling2-llama3": "\n\nHello.<|eot_id|>\n\nHi.<|eot_id|>",
    }.items():
        tokenizer = tokenizers[template]
        (row,) = data.training_rows(tokenizer, rows, template)  # type: ignore[arg-type]
        assert labelled(tokenizer, row) == expected
        whole = tokenizer.decode(row["input_ids"])
        assert whole == tokenizer.bos_token + method.format_prompt(rows[0]["messages"], template)  # type: ignore[arg-type]
    plain = tokenizers["plain"]
    (row,) = data.training_rows(
        plain, [method.instruction("drei hundert <next>", "3 0 1", block="x", source="de")], "plain"
    )
    assert plain.decode(row["input_ids"]) == "<s> drei hundert <next> = 3 0 1 </s>"
    assert labelled(plain, row) == "3 0 1 </s>"


# --- transfer -----------------------------------------------------------------------------------------------------


def items(answers: Sequence[str], **more: Any) -> list[transfer.Item]:
    return [transfer.Item(str(i), f"q{i}", answer, **more) for i, answer in enumerate(answers)]


def test_transfer_is_split_by_exposure_and_resource() -> None:
    tasks = {
        "next": {"en": items("ab"), "sw": items("ab"), "yo": items("ab")},
        "digits": {"en": items("ab"), "de": items("ab")},
    }
    seen: list[transfer.Item] = []

    def model(asked: Sequence[transfer.Item]) -> list[str]:
        seen.extend(asked)
        return ["a" for _ in asked]

    exposure: Any = {"en": "instructed", "sw": "translated", "de": "translated"}
    found = transfer.transfer_matrix(model, tasks, exposure=exposure)
    assert len(seen) == 10
    assert [(c.task, c.language, c.exposure) for c in found.cells] == [
        ("next", "en", "instructed"), ("next", "sw", "translated"), ("next", "yo", "unseen"),
        ("digits", "en", "instructed"), ("digits", "de", "translated"),
    ]  # fmt: skip
    assert all(cell.accuracy == 0.5 for cell in found.cells)
    assert found.cells[0].correct == {"0": 1.0, "1": 0.0}
    assert found.mean("next", exposure="unseen") == 0.5
    assert [c.language for c in found.select(resource="high", exposure="translated")] == ["de"]
    assert math.isnan(found.mean("next", resource="none such"))
    assert "= translated" in found.table()
    assert len(transfer.transfer_matrix(model, tasks, ["sw"]).cells) == 1
    with pytest.raises(UserError, match="nothing to ask"):
        transfer.transfer_matrix(model, tasks, ["fr"])


@pytest.mark.parametrize(
    ("blocks", "exposure"),
    [({"en": 3, "xling": 2}, "instructed"), ({"xling": 2, "knowledge": 1}, "translated"), ({"knowledge": 1}, "unseen")],
)
def test_exposure_follows_from_the_manifest(blocks: dict[str, int], exposure: str) -> None:
    assert transfer.exposure_of("xx", {"xx": blocks}, ("en", "zh", "oracle")) == exposure
    assert transfer.exposure_of("yy", {"xx": blocks}, ("en",)) == "unseen"


def test_wrong_languages_are_reported_beside_the_accuracy() -> None:
    identify = numerals.identifier(TINY)
    assert identify("drei hundert", "de") == "de"
    assert identify("three hundred", "de") == "en"
    assert identify("3 0 0", "digits") == "digits"
    assert identify("drei 0 hundred", "de") == "mixed"
    tasks = {"next": {"de": items(["vier", "fünf"], answer_language="de")}}
    found = transfer.transfer_matrix(lambda asked: ["vier", "five"], tasks, identify=identify)
    assert found.cells[0].wrong_language == found.wrong_language("next") == 0.5
    assert found.mean("next") == 0.5


@pytest.mark.parametrize(
    ("expected", "answer", "wrong"),
    [
        ("en", "谢谢", True), ("eng_Latn", "谢谢", True), ("eng_Latn", "thank you very much", False),
        ("eng_Latn", "vielen Dank für alles", True), ("deu_Latn", "vielen Dank für alles", False),
        ("de", "thank you very much", True), ("zh", "谢谢你们", False), ("zh-Hans", "谢谢你们", False),
        ("cmn_Hans", "thank you very much", True), ("de", "谢谢你们", True), ("sw", "thank you very much", False),
        ("sw", "谢谢你们", True), ("hr", "thank you very much", True), ("de", "hvala lijepa na svemu", True),
    ],
)  # fmt: skip
def test_languages_are_compared_by_what_they_mean(expected: str, answer: str, wrong: bool) -> None:
    tasks = {
        "asked": {expected: items(["?"], answer_language=expected)},
        "others": {code: items(["?"], answer_language=code) for code in ("de", "hr", "bs", "sw")},
    }
    found = transfer.transfer_matrix(lambda asked: [answer] * 5, tasks)
    assert found.wrong_language("asked") == wrong


@pytest.mark.parametrize(("told", "wrong"), [("zho_Hans", False), ("cmn", False), ("yue", True), ("mixed", True)])
def test_an_identifier_may_spell_a_language_otherwise(told: str, wrong: bool) -> None:
    tasks = {"t": {"zh": items(["?"], answer_language="zh")}}
    found = transfer.transfer_matrix(lambda asked: ["谢谢"], tasks, identify=lambda answer, expected: told)
    assert found.wrong_language("t") == wrong


def test_an_answer_outside_the_choices_is_refused() -> None:
    with pytest.raises(UserError, match="not among its choices"):
        transfer.transfer_matrix(lambda asked: [], {"t": {"en": items("c", choices=("a", "b"))}})


# --- a toy chat model ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory, tokenizers: dict[str, Any]) -> Path:
    from transformers import LlamaConfig

    from core.models.loading import from_config

    folder, tokenizer = tmp_path_factory.mktemp("toy"), tokenizers["bayling2-llama3"]
    shape = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
        max_position_embeddings=512, bos_token_id=1, eos_token_id=2, pad_token_id=0, initializer_range=0.3,
    )  # fmt: skip
    from_config(shape, seed=0).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def test_a_chat_stops_at_the_end_of_its_turn(toy: Path) -> None:
    talk = chat.Chat.load(toy, device="cpu")
    assert talk.template == "bayling2-llama3"
    vocabulary = talk.tokenizer.get_vocab()
    assert set(talk.stop_ids()) == {2, vocabulary["<|eot_id|>"], vocabulary["<|end_of_text|>"]}
    assert replace(talk, official_stops=True).stop_ids() == [2, 128001, 128009]
    assert talk.prompt([user("Hi")]).startswith("<s><|start_header_id|>system")

    import torch

    class Ends(torch.nn.Module):
        def forward(self, hidden: Any) -> Any:
            logits = torch.zeros(*hidden.shape[:-1], len(vocabulary))
            logits[..., vocabulary["<|eot_id|>"]] = 9.0
            return logits

    before = talk.model.generation_config.eos_token_id
    talk.model.lm_head = Ends()
    assert talk.reply([[user("Hi")], [user("Hello you")]], max_new_tokens=5) == ["", ""]
    assert talk.model.generation_config.eos_token_id == before


def test_choices_are_answered_by_likelihood(toy: Path) -> None:
    from core.inference.generation import log_likelihoods

    talk = chat.Chat.load(toy, device="cpu")
    asked = items("AB", choices=("A", "B", "C"))
    answers = transfer.ask(talk, [*asked, *items("x")], max_new_tokens=2)
    for item, answer in zip(asked, answers, strict=False):
        prompt = talk.prompt([user(item.prompt)])
        scores = log_likelihoods(talk.model, talk.tokenizer, [prompt] * 3, item.choices)
        best = max(zip(scores, item.choices, strict=True), key=lambda pair: pair[0].log_likelihood)
        assert answer == best[1]
    assert len(answers) == 3


# --- adapters -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "language", "messages"),
    [
        ({"prompt": "a", "prompt_id": "7", "messages": [user("a"), assistant("b")]}, "en", [user("a"), assistant("b")]),
        (
            {"conversations": [{"from": "system", "value": "s", "weight": None}, {"from": "human", "value": "a"},
                               {"from": "gpt", "value": "b"}]},
            "en",
            [{"role": "system", "content": "s"}, user("a"), assistant("b")],
        ),
        ({"instruction": "翻译：\n", "input": "", "output": "好"}, "zh", [user("翻译："), assistant("好")]),
        (
            {"instruction": "Add", "input": "1 2", "output": "3", "instruction_zh": "加", "input_zh": "1 2",
             "output_zh": "三"},
            "zh",
            [user("加\n1 2"), assistant("三")],
        ),
        ({"instruction": "Add", "input": "1 2", "output": "3"}, "en", [user("Add\n1 2"), assistant("3")]),
    ],
)  # fmt: skip
def test_instruction_adapters(row: dict[str, Any], language: str, messages: list[dict[str, str]]) -> None:
    assert data.adapt_instruction(row, language) == messages


def test_other_columns_are_refused() -> None:
    with pytest.raises(UserError, match="columns question"):
        data.adapt_instruction({"question": "a"})


def write_jsonl(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copies of the paper's data sets in their own columns."""
    folder = tmp_path_factory.mktemp("hub")
    turns = [[user(f"ask {i}"), assistant(f"say {i}")] for i in range(6)]
    write_jsonl(
        folder / "HuggingFaceH4/ultrachat_200k/train_sft.jsonl",
        [{"prompt": "p", "prompt_id": str(i), "messages": turn} for i, turn in enumerate(turns)],
    )
    write_jsonl(
        folder / "Open-Orca/SlimOrca/train.jsonl",
        [{"conversations": [{"from": "human", "value": f"h {i}"}, {"from": "gpt", "value": "g"}]} for i in range(6)],
    )
    write_jsonl(
        folder / "BelleGroup/train_2M_CN/train.jsonl",
        [{"instruction": f"问 {i}", "input": "", "output": "答"} for i in range(6)],
    )
    write_jsonl(
        folder / "silk-road/alpaca-data-gpt4-chinese/train.jsonl",
        [
            {
                "instruction": "q",
                "input": "",
                "output": "a",
                "instruction_zh": f"题 {i}",
                "input_zh": "",
                "output_zh": "解",
            }
            for i in range(6)
        ],
    )
    for split in ("dev", "devtest"):
        for code in ("eng_Latn", "cmn_Hans", "deu_Latn", "swh_Latn"):
            write_jsonl(
                folder / "flores200" / split / f"{code}.jsonl",
                [{"id": i, "text": f"{code} {split} {i}"} for i in range(4)],
            )
    for pair in ("de-en", "en-zh"):
        first, second = pair.split("-")
        write_jsonl(
            folder / "Helsinki-NLP/opus-100" / f"{pair}.jsonl",
            [{"translation": {first: f"{first} opus {i}", second: f"{second} opus {i}"}} for i in range(5)],
        )
    question = {"flores_passage": "P", "question": "Q?", "mc_answer1": "a", "mc_answer2": "b", "mc_answer3": "c",
                "mc_answer4": "d", "correct_answer_num": "3", "link": "l"}  # fmt: skip
    for code in ("eng_Latn", "zho_Hans", "deu_Latn"):
        write_jsonl(folder / "belebele" / f"{code}.jsonl", [{**question, "question_number": i} for i in range(3)])
    return folder


def paper_scale(hub: Path, toy: Path, **changes: Any) -> Config:
    return override(
        PRESETS["paper"],
        {
            "model": str(toy), "hub_folder": str(hub), "languages": ("de", "sw"), "total": 40, "workers": 1,
            "training.epochs": 0.5, "training.batch_size": 4, "training.micro_batch_size": 4,
            "training.strategy": "auto", "training.max_length": 256, "training.precision": "fp32",
            "training.save_every": 0, "max_new_tokens": 4, "benchmarks": ("belebele", "flores200"), **changes,
        },
    )  # fmt: skip


def test_the_paper_mixture_from_local_copies(hub: Path, toy: Path) -> None:
    rows = data.mixture(paper_scale(hub, toy, total=1000))
    facts = method.manifest(rows)
    assert {name: part["examples"] for name, part in facts["blocks"].items()} == {"en": 262, "zh": 432, "xling": 306}
    assert set(facts["directions"]) == {
        f"{a}-{b}" for a, b in [("de", "en"), ("de", "zh"), ("sw", "en"), ("sw", "zh"), ("en", "zh")]
    } | {f"{b}-{a}" for a, b in [("de", "en"), ("de", "zh"), ("sw", "en"), ("sw", "zh"), ("en", "zh")]}
    said = {row["messages"][-1]["content"] for row in rows}
    assert {"say 0", "g", "答", "解", "de opus 1", "swh_Latn dev 2", "cmn_Hans dev 0"} <= said
    assert not any("devtest" in text for text in said)
    budget = data.mixture(paper_scale(hub, toy, total=1000, xling_per_language=5))
    german = {json.dumps(row) for row in budget if "de" in (row["source"], row["target"]) and row["block"] == "xling"}
    assert len(german) == 5


def test_settings_of_the_miniature_are_refused_for_a_real_model(hub: Path, toy: Path) -> None:
    for name in ("no_xling", "words"):
        config = with_variant(paper_scale(hub, toy), VARIANTS, name)
        with pytest.raises(UserError, match="spelled-out numbers"):
            data.mixture(config)


def test_a_missing_data_set_names_the_way_out(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    import datasets

    def fails(*arguments: Any, **options: Any) -> None:
        raise ConnectionError

    monkeypatch.setattr(datasets, "load_dataset", fails)
    with pytest.raises(UserError, match="Cannot read 'Open-Orca/SlimOrca@train' from the hub"):
        data.read_instructions("Open-Orca/SlimOrca", "en")


def test_choice_items_ask_for_a_letter() -> None:
    row = {"key": "k", "passage": "P", "question": "Q?", "choices": ["a", "b", "c"], "answer": 2}
    item = data.choice_item(row)
    assert (item.answer, item.choices) == ("C", ("A", "B", "C"))
    assert item.prompt == "P\n\nQ?\nA. a\nB. b\nC. c\nAnswer with the letter of the right option."


def test_benchmarks_leave_out_what_they_lack(hub: Path, toy: Path) -> None:
    with pytest.warns(UserWarning, match="belebele is left out in sw"):
        tasks = data.benchmark_tasks(paper_scale(hub, toy, benchmarks=("belebele",), items=2))
    assert {code: len(items) for code, items in tasks["belebele"].items()} == {"en": 2, "zh": 2, "de": 2}
    with pytest.raises(UserError, match="no benchmark"):
        data.benchmark_tasks(paper_scale(hub, toy, benchmarks=("xnli",)))


# --- whole runs ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stages(smoke: Callable[[str], Any]) -> Path:
    return smoke("bayling2").stages


def whole(config: Config, folder: Path, stages: Path) -> tuple[Run, Any]:
    run = Run(folder, "bayling2", config, stages, quiet=True).open()
    train.train(config, run)
    return run, eval.evaluate(config, run)


@pytest.mark.parametrize("name", list(VARIANTS))
def test_every_variant_runs(name: str, tmp_path: Path, stages: Path) -> None:
    config = with_variant(PRESETS["smoke"], VARIANTS, name)
    run, measured = whole(config, tmp_path / "run", stages)
    assert set(measured.metrics) >= {
        "next_x",
        "digits_x",
        "skills_pivots",
        "next_untied",
        "x_to_en",
        "wrong_language_x",
    }
    assert all(0 <= value <= 1 for value in measured.metrics.values())
    for metric, values in measured.units.items():
        assert measured.metrics[metric] == pytest.approx(sum(values.values()) / len(values))
    assert len(measured.units["skills_x"]) == 3 * len(config.languages) * config.items
    blocks = (read_json(run.artifact / "manifest.json") or {}).get("blocks", {})
    assert bool(blocks) == (name != "backbone")
    exposures = {code: entry["exposure"] for code, entry in measured.details["languages"].items()}
    assert exposures["sw"] == "unseen"
    tied = {"oracle": "instructed"} | dict.fromkeys(("no_xling", "pivots_only", "backbone"), "unseen")
    assert exposures["de"] == tied.get(name, "translated")


def test_the_scratch_model_starts_as_configured() -> None:
    weights = dict(train.start(TINY).model.named_parameters())
    spreads = [float(weight.detach().std()) for weight in weights.values() if weight.dim() == 2]
    assert spreads == pytest.approx([TINY.scratch.spread] * len(spreads), rel=0.05)


def test_training_learns_and_repeats(tmp_path: Path, stages: Path) -> None:
    config = override(PRESETS["smoke"], {"training.steps": 40, "training.learning_rate": 1e-2, "scratch.width": 32})
    first, measured = whole(config, tmp_path / "a", stages)
    losses = (read_json(first.artifact / "manifest.json") or {})["losses"]
    assert losses[-1] < 0.8 * losses[0]
    _, again = whole(config, tmp_path / "b", stages)
    assert again.metrics == measured.metrics


def test_the_artifact_is_a_chat_model_for_transformers(tmp_path: Path, stages: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    run, _ = whole(PRESETS["smoke"], tmp_path / "run", stages)
    folder = run.artifact / "model"
    tokenizer = AutoTokenizer.from_pretrained(folder)
    text = tokenizer.apply_chat_template([user("drei <next>")], tokenize=False, add_generation_prompt=True)
    assert text == "<s>drei <next> = "
    assert AutoModelForCausalLM.from_pretrained(folder).config.vocab_size == len(tokenizer)


@pytest.fixture
def wmt22(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """WMT22 as sacrebleu keeps it: a file for each side, a segment a line."""
    import sacrebleu

    def file(side: str, pair: str) -> str:
        path = tmp_path / f"wmt22-{pair}.{side}"
        path.write_text("".join(f"{pair} {side} {i}\u2028\n" for i in range(5)), encoding="utf-8")
        return str(path)

    monkeypatch.setattr(sacrebleu, "get_source_file", lambda test, pair: file("src", pair))
    monkeypatch.setattr(sacrebleu, "get_reference_files", lambda test, pair: [file("refA", pair), file("refB", pair)])


def test_translation_tests_have_both_directions(hub: Path, toy: Path, wmt22: None) -> None:
    tests = list(data.translation_tests(paper_scale(hub, toy, items=3, benchmarks=("flores200", "wmt22"))))
    assert {test.name for test in tests} == {
        *(f"flores200-{x}-{p}" for x in ("de", "sw") for p in ("en", "zh")),
        *(f"flores200-{p}-{x}" for x in ("de", "sw") for p in ("en", "zh")),
        "wmt22-en-zh", "wmt22-zh-en",
    }  # fmt: skip
    found = {test.name: test for test in tests}
    assert found["flores200-sw-zh"].group == "x_to_zh"
    assert [s.source_text for s in found["flores200-sw-zh"].segments] == [f"swh_Latn devtest {i}" for i in range(3)]
    assert [s.target_text for s in found["flores200-sw-zh"].segments] == [f"cmn_Hans devtest {i}" for i in range(3)]
    assert len(data.wmt22(PRESETS["paper"], "zh", "en")[0]) == 5
    # Unicode's line separators are no line ends: they would shift the references.
    assert [s.source_text for s in found["wmt22-zh-en"].segments] == [f"zh-en src {i}\u2028" for i in range(3)]
    assert [s.target_text for s in found["wmt22-zh-en"].segments] == [f"zh-en refA {i}\u2028" for i in range(3)]


def test_wmt22_without_a_network_names_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    import sacrebleu

    def fails(*arguments: str) -> str:
        raise OSError

    monkeypatch.setattr(sacrebleu, "get_source_file", fails)
    with pytest.raises(UserError, match="sacrebleu -t wmt22 -l zh-en"):
        data.wmt22(PRESETS["paper"], "zh", "en")


def test_the_paper_scale_runs_on_a_toy_model(hub: Path, toy: Path, tmp_path: Path, stages: Path, wmt22: None) -> None:
    benchmarks = ("belebele", "flores200", "wmt22")
    with pytest.warns(UserWarning, match="left out"):
        run, measured = whole(paper_scale(hub, toy, items=2, benchmarks=benchmarks), tmp_path / "run", stages)
    assert {
        "belebele_pivots",
        "belebele_x",
        "skills_pivots",
        "bleu_x_to_en",
        "chrf_zh_to_x",
        "bleu_wmt22-zh-en",
    } <= set(measured.metrics)
    assert measured.details["languages"]["de"]["exposure"] == "translated"
    written = {end: run.path / "translations" / f"flores200-de-en.{end}" for end in ("src", "out", "ref")}
    assert {end: path.read_text(encoding="utf-8").count("\n") for end, path in written.items()} == dict.fromkeys(
        written, 2
    )
    assert "eng_Latn devtest 0" in written["ref"].read_text(encoding="utf-8")
    assert chat.Chat.load(run.artifact / "model").template == "bayling2-llama3"


def test_the_papers_languages_have_codes() -> None:
    from core.text.languages import flores_code

    assert len(set(FLORES_101)) == 100
    assert len({flores_code(code) for code in FLORES_101}) == 100


@pytest.mark.parametrize(
    ("preset", "parameters"),
    [("paper", 6_738_415_616), ("paper-13b", 13_015_864_320), ("paper-8b", 8_030_261_248)],
)
def test_the_backbones_are_counted(preset: str, parameters: int) -> None:
    from core.cost.plan import plan

    result = plan(workload(PRESETS[preset]), gpus=8)
    assert result.costs[0].parameters.total == parameters
    assert 10 < result.gpu_hours < 2000


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"blocks": ("en", "fr")}, "blocks"),
        ({"pivots": ("en",), "blocks": ("en",)}, "pivot_shares"),
        ({"untied": ("de",)}, "two roles"),
        ({"monolingual": True}, "monolingual"),
        ({"parallel": ("sw:en=x.tsv",)}, "--model"),
    ],
)
def test_impossible_settings_are_refused(changes: dict[str, Any], match: str) -> None:
    with pytest.raises(UserError, match=match):
        override(TINY, changes)


# --- on your own --------------------------------------------------------------------------------------------------


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_jsonl(tmp_path / "en.jsonl", [{"messages": [user(f"ask {i}"), assistant(f"say {i}")]} for i in range(30)])
    write_jsonl(tmp_path / "zh.jsonl", [{"instruction": f"问 {i}", "output": f"答 {i}"} for i in range(30)])
    lines = ["sw\ten", *(f"neno {i}\tword {i}" for i in range(20))]
    (tmp_path / "sw-en.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    write_jsonl(
        tmp_path / "tasks.jsonl",
        [
            {"task": "quiz", "language": code, "prompt": f"q {i}", "answer": "A", "choices": ["A", "B"]}
            for code in ("en", "sw", "yo")
            for i in range(2)
        ],
    )
    return tmp_path


def test_mix_and_measure(own: Path, toy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    use.main(["mix", "--instructions", "en=en.jsonl", "zh=zh.jsonl", "--parallel", "sw:en=sw-en.tsv", "--out", "star",
              "--shares", "en=1", "zh=1", "xling=2", "--per-language", "24"])  # fmt: skip
    facts = json.loads((own / "star/manifest.json").read_text())
    assert {name: part["examples"] for name, part in facts["blocks"].items()} == {"en": 12, "zh": 12, "xling": 24}
    lines = [json.loads(line) for line in (own / "star/mixture.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len(lines) == 48
    assert {line["messages"][0]["role"] for line in lines} == {"user"}
    use.main(["measure", "--model", str(toy), "--tasks", "tasks.jsonl", "--manifest", "star/manifest.json"])
    cells = {cell["language"]: cell["exposure"] for cell in json.loads((own / "transfer.json").read_text())}
    assert cells == {"en": "instructed", "sw": "translated", "yo": "unseen"}
    assert "= translated" in capsys.readouterr().out


def test_train_on_own_data(own: Path, toy: Path, stages: Path) -> None:
    config = Config(
        model=str(toy), languages=("sw",), instructions=("en=en.jsonl", "zh=zh.jsonl"), parallel=("sw:en=sw-en.tsv",),
        benchmarks=("tasks.jsonl",), benchmark_languages=("sw", "yo"),
        training=replace(PRESETS["smoke"].training, max_length=256),
    )  # fmt: skip
    _, measured = whole(config, own / "run", stages)
    assert set(measured.units["quiz_x"]) == {"sw/2", "sw/3", "yo/4", "yo/5"}
    assert {"quiz_pivots", "skills_x", "skills_en"} <= set(measured.metrics)


def test_sweep_prints_accuracy_by_budget(
    own: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    use.main(["sweep", "--preset", "smoke", "--budgets", "4", "8", "--steps", "2"])
    printed = capsys.readouterr().out
    assert re.search(r"^ +4 +\d\.\d{3} +\d\.\d{3}$", printed, re.MULTILINE)
    assert re.search(r"^ +8 +\d\.\d{3} +\d\.\d{3}$", printed, re.MULTILINE)


def test_chat_command(toy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    use.main(["chat", "--model", str(toy), "--message", "Hi", "--max-new-tokens", "2", "--temperature", "0"])
    use.main(["chat", "--model", str(toy), "--message", "Hi", "--translate", "en", "sw", "--max-new-tokens", "2"])
    assert capsys.readouterr().out.count("\n") >= 2


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (["mix", "--instructions", "en.jsonl", "--parallel", "sw:en=sw-en.tsv"], "pivot=file"),
        (["mix", "--instructions", "en=en.jsonl", "--parallel", "sw-en.tsv"], "language:pivot=file"),
        (["mix", "--instructions", "en=en.jsonl", "--parallel", "sw:en=sw-en.tsv", "--shares", "en"], "--shares"),
        (["mix", "--instructions", "en=en.jsonl", "--parallel", "sw:fr=sw-en.tsv"], "fr"),
        (["measure", "--model", "x", "--tasks", "tasks.jsonl", "--manifest", "tasks.jsonl"], "line 2: not JSON"),
        (["sweep", "--model", "x"], "--tasks"),
    ],
)
def test_mistakes_end_with_one_sentence(
    own: Path, arguments: list[str], match: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        use.main(arguments)
    assert stop.value.code == 2
    printed = capsys.readouterr().err.strip()
    assert match in printed
    assert "\n" not in printed


def test_the_worked_example_of_the_page(own: Path, toy: Path) -> None:
    page = (Path(method.__file__).parent / "README.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    scope: dict[str, Any] = {"__name__": "example"}
    exec(compile(block.replace("my-chat-model", str(toy)), "README.md", "exec"), scope)
    assert scope["mixture"].column_names == ["messages", "block", "source", "target", "key"]
    assert scope["transfer"].select(exposure="translated")
