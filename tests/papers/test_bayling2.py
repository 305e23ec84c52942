"""BayLing 2: parity with the official templates, the star, the mixture, the miniature world, whole runs, own data."""

from __future__ import annotations

import itertools
import json
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
from transformers.utils.chat_template_utils import render_jinja_template

from core import corpora
from core.errors import UserError
from core.experiment.config import override, with_variant
from core.experiment.run import Run, temporary
from core.models.tokenization import chat_rows
from core.tasks import translation
from core.tasks.samples import dialogue
from core.text.languages import flores_code
from core.worlds.numbers import spelled
from papers.bayling2 import PAPER, chat, data, eval, method, miniature, train, use
from papers.bayling2.config import FLORES_101, PRESETS, VARIANTS, WORDINGS, Config, workload
from papers.bayling2.method import Bitext, Row

TINY = PRESETS["tiny"]

# --- parity with the official code --------------------------------------------------------------------------------

OPENING = (
    "I am an intelligent language assistant developed by the NLP Group of ICT/CAS.\nBelow is a dialog consisting of "
    "instructions and responses. Write a response that completes the request.\n\n"
)
LLAMA3 = (
    "<|start_header_id|>system<|end_header_id|>\n\nI am BayLing developed by the NLP Group of ICT/CAS.<|eot_id|>"
    "<|start_header_id|>user<|end_header_id|>\n\nWhat is the speed of light?<|eot_id|>"
    "<|start_header_id|>assistant<|end_header_id|>\n\n"
)
LLAMA3_TOKENS = ["<|eot_id|>", "<|start_header_id|>", "<|end_header_id|>", "<|end_of_text|>"]
HI = dialogue("Hi")


def rendered(template: str, turns: Sequence[str]) -> str:
    """A dialogue in a layout, without the begin token."""
    found: Any = render_jinja_template(
        [dialogue(*turns)], chat_template=chat.CHAT_TEMPLATES[template], add_generation_prompt=len(turns) % 2 == 1,
        bos_token="", eos_token="</s>",
    )  # fmt: skip
    return found[0][0]


QUESTION = "What is the speed of light?"
SAID = ["Hi", "Hello!", ' Translate "cat" into French. ']


@pytest.mark.parametrize(
    ("template", "turns", "expected"),
    [
        ("bayling2-llama2", [QUESTION], f"{OPENING}### Instruction:\n{QUESTION}\n### Response:\n"),
        # Llama-2 messages are not stripped, Llama-3 messages are; the begin token is the tokenizer's.
        (
            "bayling2-llama2", SAID, OPENING + "### Instruction:\nHi\n### Response:\nHello!</s>\n"
            '### Instruction:\n Translate "cat" into French. \n### Response:\n',
        ),
        ("bayling2-llama2", ["{0} {{ text }}"], f"{OPENING}### Instruction:\n{{0}} {{{{ text }}}}\n### Response:\n"),
        ("bayling2-llama3", [QUESTION], LLAMA3),
        ("bayling2-llama3", [f"  {QUESTION}\n"], LLAMA3),
    ],
)  # fmt: skip
def test_prompts_are_those_of_the_official_client(template: Any, turns: list[str], expected: str) -> None:
    assert rendered(template, turns) == expected


@pytest.fixture(scope="module")
def tokenizers() -> dict[str, Any]:
    from core.models.tokenization import train_bpe

    texts = [OPENING, LLAMA3, *(text for by in WORDINGS.values() for text in by)] * 3
    return {
        "bayling2-llama2": train_bpe(texts, 600),
        "bayling2-llama3": train_bpe(texts, 600, special_tokens=LLAMA3_TOKENS),
        "plain": miniature.tokenizer_for(PRESETS["smoke"]),
    }


@pytest.mark.parametrize(
    ("name", "turns", "responses"),
    [
        ("bayling2-llama2", ["Say\nhi.", "Hello.", "Again", " Hi. "], "Hello.</s>\n Hi. </s>\n"),
        ("bayling2-llama3", ["Say\nhi.", "Hello.", "Again", " Hi. "], "\n\nHello.<|eot_id|>\n\nHi.<|eot_id|>"),
        ("plain", ["drei hundert <next>", "3 0 1"], "3 0 1 </s>"),
    ],
)
def test_the_loss_is_on_the_responses(tokenizers: dict[str, Any], name: Any, turns: list[str], responses: str) -> None:
    tokenizer, own = tokenizers[name], tokenizers[name].chat_template
    tokenizer.chat_template = chat.chat_template(tokenizer)
    (row,) = chat_rows(tokenizer, [dialogue(*turns)])
    tokenizer.chat_template = own
    assert tokenizer.decode([label for label in row["labels"] if label != -100]) == responses
    whole = "<s> drei hundert <next> = 3 0 1 </s>"
    if name != "plain":
        whole = tokenizer.bos_token + rendered(name, turns)
    assert tokenizer.decode(row["input_ids"]) == whole


# --- requests and the star ----------------------------------------------------------------------------------------


def test_half_of_the_wordings_name_the_source_too() -> None:
    for wordings in WORDINGS.values():
        assert len(set(wordings)) == sum("{target}" in wording and "{text}" in wording for wording in wordings) == 8
        assert sum("{source}" in wording for wording in wordings) == 4


def test_a_request_says_what_is_wanted_in_the_language_of_the_request() -> None:
    names = {("de", "en"): "German", ("de", "zh"): "德语", ("zh", "en"): "Chinese", ("deu_Latn", "zh"): "德语"}
    assert {pair: method.language_name(*pair) for pair in names} == names
    request = method.cross_lingual_request("ein {x}", "de", "en", WORDINGS["zh"][4], "zh")
    assert request == "把下面的德语翻译成英语。\nein {x}"


def bitexts(languages: Sequence[str], pivots: Sequence[str] = ("en", "zh"), n: int = 6) -> list[Bitext]:
    pairs = [(code, pivot) for code in languages for pivot in pivots]
    pairs += [(pivots[1], pivots[0])] if len(pivots) > 1 else []
    return [
        Bitext(code, pivot, [{code: f"{code} {i}", pivot: f"{pivot} {i}"} for i in range(n)]) for code, pivot in pairs
    ]


def test_the_star_has_edges_to_the_hubs_alone() -> None:
    edges = "de-en en-de de-zh zh-de"
    star = method.star_edges(bitexts(["de", "tr"]), ("en", "zh"))
    names = {spoke: " ".join(f"{source}-{target}" for source, target, _ in found) for spoke, found in star.items()}
    assert names == {"de": edges, "tr": edges.replace("de", "tr"), "en-zh": "zh-en en-zh"}
    for pair in (("de", "tr"), ("en", "en")):
        with pytest.raises(UserError, match="no edge"):
            method.star_edges([Bitext(*pair, [])], ("en", "zh"))


def test_answers_are_bare_translations_and_requests_hold_the_source() -> None:
    rows = method.cross_lingual_block(bitexts(["de", "sw"]), ("en", "zh"), seed=1)
    assert len(rows) == 6 * (2 * 4 + 2)
    for row in rows:
        request, answer = (message["content"] for message in row["messages"])
        code, number = answer.split()
        assert code == row["target"]
        assert f"{row['source']} {number}" in request
    assert len({row["key"] for row in rows}) == len(rows)
    # Requests are in either pivot, whatever the pair: German to English is also asked for in Chinese.
    german = [row["messages"][0]["content"] for row in rows if (row["source"], row["target"]) == ("de", "en")]
    chinese = [bool(re.search(r"[\u4e00-\u9fff]", text.replace("zh", ""))) for text in german]
    assert 0 < sum(chinese) < len(chinese)


@settings(max_examples=30)
@given(st.integers(1, 30), st.integers(0, 5))
def test_a_smaller_budget_is_a_subset_of_a_larger_one(budget: int, seed: int) -> None:
    def chosen(size: int | None, languages: list[str]) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for row in method.cross_lingual_block(bitexts(languages), ("en", "zh"), per_language=size, seed=seed):
            found.setdefault(row["key"].split("/")[0], set()).add(json.dumps(row, ensure_ascii=False))
        return found

    small, large = chosen(budget, ["de", "sw"]), chosen(budget + 3, ["de", "sw", "tr"])
    sizes = {"de": min(budget, 24), "sw": min(budget, 24), "en-zh": min(budget, 12)}
    assert {spoke: len(rows) for spoke, rows in small.items()} == sizes
    assert all(rows <= large[spoke] for spoke, rows in small.items())


def test_pivots_without_wordings_are_refused() -> None:
    french = bitexts(["de"], ("fr",))
    with pytest.raises(UserError, match="wordings"):
        method.cross_lingual_block(french, ("fr",))
    own = method.cross_lingual_block(french, ("fr",), wordings={"fr": ("Traduis en {target}: {text}",)})
    asked = {row["messages"][0]["content"].split(":")[0] for row in own}
    assert asked == {"Traduis en allemand", "Traduis en français"}


# --- the mixture --------------------------------------------------------------------------------------------------


def rows_of(name: str, n: int, source: str = "en") -> list[Row]:
    return [method.instruction(f"{name} {i}", "x", block=name, source=source, key=str(i)) for i in range(n)]


@settings(max_examples=40)
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


def test_without_a_total_nothing_is_repeated_and_the_seed_alone_shuffles() -> None:
    blocks = {"en": rows_of("en", 262), "zh": rows_of("zh", 1000), "xling": rows_of("xling", 500)}
    shares = {"en": 0.262, "zh": 0.432, "xling": 0.306}
    first, again, other = (method.mix_blocks(blocks, shares, seed=seed) for seed in (0, 0, 1))
    assert Counter(row["block"] for row in first) == {"en": 262, "zh": 432, "xling": 306}
    assert len({(row["block"], row["key"]) for row in first}) == 1000
    assert first == again != other
    assert 150 < [row["block"] for row in first[250:750]].count("zh") < 280


def test_the_manifest_counts_by_block_direction_and_language() -> None:
    blocks = {"en": rows_of("en", 8), "zh": rows_of("zh", 8, "zh")}
    blocks["xling"] = method.cross_lingual_block(bitexts(["de"], n=1), ("en", "zh"))
    facts = data.manifest(method.mix_blocks(blocks, {"en": 1, "zh": 1, "xling": 1}, total=18))
    assert {name: part["examples"] for name, part in facts["blocks"].items()} == {"en": 6, "xling": 6, "zh": 6}
    assert set(facts["directions"]) == {"de-en", "en-de", "de-zh", "zh-de", "en-zh", "zh-en"}
    assert facts["languages"]["de"] == {"xling": 4}
    assert facts["languages"]["en"] == {"en": 6, "xling": 4}
    assert facts["distinct_per_language"] == {"de": 4, "en-zh": 2}
    assert facts["examples"] == 18
    asked = {"quiz": ["en", "deu_Latn", "yo"]}
    assert data.exposures(facts, asked) == {"en": "instructed", "deu_Latn": "translated", "yo": "unseen"}
    assert set(data.exposures({}, asked).values()) == {"unseen"}


def test_every_block_but_translations_and_base_knowledge_instructs() -> None:
    facts: dict[str, Any] = {"blocks": {"oracle": {}, "xling": {}, "knowledge": {}}}
    facts |= {"languages": {"sw": {"oracle": 1}, "de": {"xling": 9, "knowledge": 1}, "yo": {"knowledge": 3}}}
    found = data.exposures(facts, {"quiz": ["swh_Latn", "deu_Latn"], "next": ["yo", "fr"]})
    assert found == {"swh_Latn": "instructed", "deu_Latn": "translated", "yo": "unseen", "fr": "unseen"}


# --- the miniature world ------------------------------------------------------------------------------------------


def test_languages_of_the_pool_are_spelled_in_few_words_of_their_own() -> None:
    values = [*range(101), *range(200, miniature.LIMIT + 1, 100), *range(121, miniature.LIMIT, 53)]
    table = spelled(("en", "zh", *miniature.POOL), values)
    vocabularies = {code: set(" ".join(column.values()).split()) for code, column in table.items()}
    assert all(len(set(column.values())) == len(values) for column in table.values())
    assert all(len(found) <= 50 for found in vocabularies.values())
    shared = [len(vocabularies[a] & vocabularies[b]) for a, b in itertools.combinations(vocabularies, 2)]
    assert max(shared) < 4


def test_seeds_that_are_drawn_together_share_no_language() -> None:
    assert {seed // miniature.DISJOINT for seed in PAPER.seeds} == {5}
    seeds = [miniature.cast(replace(TINY, seed=seed)) for seed in range(45, 54)]
    drawn = [code for tied, untied in seeds for code in (*tied, *untied)]
    assert len(set(drawn)) == len(drawn) == 36
    assert miniature.cast(replace(TINY, languages=("de",), untied=("tr",))) == (("de",), ("tr",))
    assert miniature.cast(Config(model="x")) == ((), ())


def test_no_number_is_of_both_splits_or_of_an_earlier_test() -> None:
    parts = [miniature.split_numbers(replace(TINY, seed=seed)) for seed in range(12)]
    test, dev = ({number for part in parts for number in part[name]} for name in ("test", "dev"))
    assert not test & dev
    for part in parts:
        assert [len(part[name]) for name in ("test", "dev", "train")] == [100, 100, 800]
        assert len({number for some in part.values() for number in some}) == 1000
        assert all(str(number) != str(number)[::-1] for name in ("test", "dev") for number in part[name])


@pytest.mark.parametrize(
    ("skill", "number", "answer", "words"),
    [("digits", 340, "3 4 0", "3 4 0"), ("next", 999, "1 0 0 0", "ein tausend"),
     ("next", 41, "4 2", "zwei und vierzig"), ("reversed", 340, "0 4 3", "drei und vierzig")],
)  # fmt: skip
def test_answers_are_digits_or_words_of_the_language(skill: str, number: int, answer: str, words: str) -> None:
    german = spelled(("de",), range(1001))["de"]
    request = f"{german[number]} <{skill}>"
    assert miniature.exercise(skill, number, "de", german) == (request, answer)
    assert miniature.exercise(skill, number, "de", german, "words") == (f"<de> {request}", words)


def arm(name: str, **changes: Any) -> Config:
    return override(with_variant(TINY, VARIANTS, name), {"total": 4000, "seed": 7, **changes})


@cache
def training_set(name: str) -> tuple[dict[str, Any], ...]:
    """An arm's training set; for reading alone."""
    return tuple(data.mixture(arm(name)))


@pytest.mark.parametrize("name", ["full", "monolingual", "shuffled", "oracle", "words"])
def test_held_out_numbers_are_in_no_part_of_the_training_set(name: str) -> None:
    split, table = miniature.split_numbers(arm(name)), miniature.words(arm(name))
    held = {words[n] for words in table.values() for n in (*split["test"], *split["dev"])}
    for row in training_set(name):
        request, response = (message["content"] for message in row["messages"])
        texts = [re.sub(r"<\w+>", "", request).strip()]
        texts += response.split(" , ") if row["block"] == "xling" else []
        assert held.isdisjoint(texts), row


ARMS = {
    "full": {"en", "zh", "xling", "knowledge"},
    "monolingual": {"en", "zh", "xling", "knowledge"},
    "en_xling": {"en", "xling", "knowledge"},
    "one_pivot": {"en", "xling", "knowledge"},
    "oracle": {"en", "zh", "xling", "knowledge", "oracle"},
    "no_knowledge": {"en", "zh", "xling"},
    "words": {"en", "zh", "xling"},
}


@pytest.mark.parametrize("name", list(ARMS))
def test_arms_have_their_blocks_and_equal_size(name: str) -> None:
    facts = data.manifest(training_set(name))
    tied, untied = miniature.cast(arm(name))
    assert set(facts["blocks"]) == ARMS[name]
    assert facts["examples"] == 4000
    if "knowledge" in ARMS[name]:
        assert facts["blocks"]["knowledge"]["share"] == pytest.approx(0.06, abs=1e-3)
        known = {(row["source"], row["key"]) for row in training_set(name) if row["block"] == "knowledge"}
        assert Counter(code for code, _ in known) == dict.fromkeys((*tied, *untied), 10)
    for code in tied:
        instructed = set(facts["languages"][code]) - {"xling", "knowledge"}
        assert instructed == ({"oracle"} if name == "oracle" else set())
    for code in untied:
        assert set(facts["languages"].get(code, {})) <= {"knowledge"}


@pytest.mark.parametrize("changes", [{}, {"blocks": ("xling",)}])
def test_the_two_skills_are_taught_in_the_pivots_alone(changes: dict[str, Any]) -> None:
    """So that translation tasks alone cannot give them: their signs are in no other text."""
    config = arm("full", **changes)
    signs: dict[str, set[str]] = {}
    for row in data.mixture(config):
        text = " ".join(message["content"] for message in row["messages"])
        signs.setdefault(row["block"], set()).update({"<next>", "<reversed>"}.intersection(text.split()))
    taught = {"en", "zh"}.intersection(config.blocks)
    assert {block for block, found in signs.items() if found} == taught
    assert set(signs) == {*taught, "xling", "knowledge"}


def test_hubs_and_budget_limit_the_translations() -> None:
    for name in ("one_hub", "one_pivot"):
        directions = data.manifest(training_set(name))["directions"]
        assert {edge for edge in directions if "zh" in edge} == {"en-zh", "zh-en"}
        assert len(directions) == 2 * (miniature.TIED + 1)
    assert len(data.manifest(training_set("en_xling"))["directions"]) == 4 * miniature.TIED + 2
    few = data.manifest(data.mixture(arm("full", xling_per_language=64)))["distinct_per_language"]
    assert [few[code] for code in miniature.cast(arm("full"))[0]] == [64] * miniature.TIED
    # Half of the translations around both hubs are as many as there are around one, a language and on the axis.
    half, one_hub = (
        Counter(row["key"].split("/")[0] for row in miniature.blocks(arm(name))["xling"])
        for name in ("half", "one_hub")
    )
    assert [half[code] for code in miniature.cast(arm("half"))[0]] == [1600] * miniature.TIED
    assert half == {("en-zh" if spoke == "zh" else spoke): n for spoke, n in one_hub.items()}


def test_pairs_of_the_null_arm_do_not_belong_together() -> None:
    names = {code: {text: n for n, text in column.items()} for code, column in miniature.words(arm("full")).items()}

    def true_pairs(name: str) -> float:
        rows = [row for row in training_set(name) if row["block"] == "xling"]
        pairs = [[message["content"].split(" <")[0] for message in row["messages"]] for row in rows]
        codes = [(row["source"], row["target"]) for row in rows]
        right = [names[a][x] == names[b][y] for (a, b), (x, y) in zip(codes, pairs, strict=True)]
        return sum(right) / len(right)

    assert true_pairs("full") == 1
    assert true_pairs("shuffled") < 0.02


def test_solvers_that_know_nothing_get_nothing() -> None:
    found = miniature.solvers(arm("full"), training_set("full"))
    assert found["lookup"] == 0
    words = found.pop("words")
    assert max(found.values()) < 0.05
    assert 0 < words < 0.7
    assert "words" not in miniature.solvers(arm("no_knowledge"), training_set("no_knowledge"))


def test_items_count_as_read_where_the_base_knowledge_has_all_their_words() -> None:
    config = arm("full")
    table, seen = miniature.words(config), miniature.seen_words(config)
    rows = [row for row in training_set("full") if row["block"] == "knowledge"]
    for code in miniature.cast(config)[0]:
        shown = {w for row in rows if row["source"] == code for w in row["messages"][0]["content"].split()}
        asked = {str(n): {*table[code][n].split()} for n in miniature.split_numbers(config)["test"]}
        assert seen[code] == {key for key, said in asked.items() if said <= shown}
        assert seen[code]
    assert miniature.seen_words(arm("no_knowledge")) == {code: set() for code in seen}


def test_a_wrong_language_is_told_by_its_words() -> None:
    identify = miniature.identifier(PRESETS["smoke"])
    assert [identify("three hundred", "de"), identify("3 0 0", "digits")] == ["en", "digits"]


# --- whole runs ---------------------------------------------------------------------------------------------------


def whole(config: Config, run: Run) -> Any:
    train.train(config, run)
    return eval.evaluate(config, run)


@pytest.mark.parametrize("name", ["one_pivot", pytest.param("backbone", marks=pytest.mark.slow)])
def test_an_arm_runs_and_is_measured(name: str) -> None:
    config = with_variant(PRESETS["smoke"], VARIANTS, name)
    with temporary("bayling2", config) as run:
        measured = whole(config, run)
        wanted = {"skills_x", "digits_x", "skills_en", "skills_untied", "x_to_en", "wrong_language_x"}
        assert {*wanted, "wrong_language_x_to_en"} <= set(measured.metrics)
        for metric, values in measured.units.items():
            assert measured.metrics[metric] == pytest.approx(sum(values.values()) / len(values))
        assert len(measured.units["skills_x"]) == 2 * len(config.languages) * config.items
        assert {unit.split("/")[0] for unit in measured.units["skills_x"]} == set(config.languages)
        assert ("skills_pivots" in measured.units) == (name != "backbone")
        inside = {code: miniature.seen_words(config)[code] for code in config.languages}
        read = {path for path in measured.units["skills_x"] if path.split("/")[2] in inside[path.split("/")[0]]}
        assert set(measured.units.get("skills_x_seen", {})) == read
        exposures = {code: entry["exposure"] for code, entry in measured.details["languages"].items()}
        assert exposures["sw"] == "unseen"
        assert exposures["de"] == exposures["zh"] == ("unseen" if name == "backbone" else "translated")


def test_the_artifact_is_a_chat_model_for_transformers(smoke: Callable[[str], Any]) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = smoke("bayling2").path / "artifact" / "model"
    tokenizer = AutoTokenizer.from_pretrained(folder)
    text = tokenizer.apply_chat_template(dialogue("drei <next>"), tokenize=False, add_generation_prompt=True)
    assert text == "<s>drei <next> = "
    assert AutoModelForCausalLM.from_pretrained(folder).config.vocab_size == len(tokenizer)


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory, tokenizers: dict[str, Any]) -> Path:
    """A user's chat model with a layout of its own."""
    from core.models.architectures import miniature as shape
    from core.models.loading import from_config

    folder, tokenizer = tmp_path_factory.mktemp("toy"), tokenizers["bayling2-llama3"]
    model = from_config(shape(len(tokenizer), width=16, layers=1, heads=2, feed_forward=32, positions=512), seed=0)
    model.save_pretrained(folder)
    tokenizer.chat_template = (
        "{{ bos_token }}{% for m in messages %}[{{ m['role'] }}] {{ m['content'] }}<|eot_id|>{% endfor %}"
        "{% if add_generation_prompt %}[assistant] {% endif %}"
    )
    tokenizer.save_pretrained(folder)
    tokenizer.chat_template = None
    return folder


def opening(talk: chat.Chat) -> str:
    return str(talk.tokenizer.apply_chat_template(HI, tokenize=False, add_generation_prompt=True))


def test_the_layout_is_the_tokenizers_own_or_follows_its_end_of_turn(toy: Path, tokenizers: dict[str, Any]) -> None:
    for name in chat.CHAT_TEMPLATES:
        assert chat.chat_template(tokenizers[name]) == chat.CHAT_TEMPLATES[name]
    talk = chat.load_chat(toy, device="cpu")
    assert opening(talk) == "<s>[user] Hi<|eot_id|>[assistant] "
    assert {2, *map(talk.tokenizer.get_vocab().get, ("<|eot_id|>", "<|end_of_text|>"))} == set(talk.stop_ids())
    assert opening(chat.load_chat(toy, "bayling2-llama3", device="cpu")).startswith("<s><|start_header_id|>")


# --- the paper's scale --------------------------------------------------------------------------------------------


def write_jsonl(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


# Rows of the paper's data sets in their own columns.
HUB: dict[str, Callable[[int], dict[str, Any]]] = {
    "HuggingFaceH4/ultrachat_200k@train_sft": lambda i: {
        "prompt": "p", "prompt_id": str(i), "messages": dialogue(f"ask {i}", f"say {i}"),
    },
    "Open-Orca/SlimOrca": lambda i: {
        "conversations": [{"from": "human", "value": f"h {i}"}, {"from": "gpt", "value": "g" if i else ""}],
    },
    "BelleGroup/train_2M_CN": lambda i: {"instruction": f"问 {i}", "input": "", "output": "答"},
    "silk-road/alpaca-data-gpt4-chinese": lambda i: {
        "instruction": "q", "output": "a", "instruction_zh": f"题 {i}", "input_zh": "", "output_zh": "解",
    },
    "Helsinki-NLP/opus-100#de-en@train": lambda i: {"translation": {"de": f"de opus {i}", "en": f"en opus {i}"}},
    "Helsinki-NLP/opus-100#en-zh@train": lambda i: {"translation": {"en": f"en opus {i}", "zh": f"zh opus {i}"}},
}  # fmt: skip
BELEBELE = {"flores_passage": "P", "question": "Q?", "mc_answer1": "a", "mc_answer2": "b", "mc_answer3": "c",
            "mc_answer4": "d", "correct_answer_num": "3", "link": "l"}  # fmt: skip


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Local copies in the place of the hub."""
    for split, code in itertools.product(("dev", "devtest"), ("eng_Latn", "cmn_Hans", "deu_Latn", "swh_Latn")):
        rows = [{"id": i, "text": f"{code} {split} {i}"} for i in range(4)]
        write_jsonl(tmp_path / "flores200" / split / f"{code}.jsonl", rows)
    for code in ("eng_Latn", "zho_Hans", "deu_Latn"):
        rows = [{**BELEBELE, "question_number": i} for i in range(3)]
        write_jsonl(tmp_path / "belebele/test" / f"{code}.jsonl", rows)
    load = corpora.load

    def local(name: str, *, split: str, **more: Any) -> Any:
        return load(name, **more, folder=tmp_path / name / split)

    monkeypatch.setattr(corpora, "load", local)
    monkeypatch.setattr(corpora, "read_rows", lambda source: [*map(HUB[source.partition("[")[0]], range(6))])


def paper_scale(toy: Path, **changes: Any) -> Config:
    return override(
        PRESETS["paper"],
        {
            "model": str(toy), "languages": ("de", "sw"), "total": 40, "training.epochs": 0.5,
            "training.batch_size": 4, "training.micro_batch_size": 4, "training.strategy": "auto",
            "training.max_length": 256, "training.precision": "fp32", "training.save_every": 0, "max_new_tokens": 4,
            "benchmarks": ("belebele", "flores200", "wmt22"), "scores": ("bleu", "chrf++"), "items": 2, **changes,
        },
    )  # fmt: skip


def test_the_paper_mixture_from_local_copies(hub: None, toy: Path) -> None:
    rows = data.mixture(paper_scale(toy, total=1000))
    facts = data.manifest(rows)
    assert {name: part["examples"] for name, part in facts["blocks"].items()} == {"en": 262, "zh": 432, "xling": 306}
    pairs = [("de", "en"), ("de", "zh"), ("sw", "en"), ("sw", "zh"), ("en", "zh")]
    assert set(facts["directions"]) == {f"{a}-{b}" for pair in pairs for a, b in (pair, pair[::-1])}
    said = {row["messages"][-1]["content"] for row in rows}
    assert {"say 0", "g", "答", "解", "de opus 1", "swh_Latn dev 2", "cmn_Hans dev 0"} <= said
    assert "" not in said
    assert not any("devtest" in text for text in said)
    budget = data.mixture(paper_scale(toy, total=1000, xling_per_language=5))
    german = {json.dumps(row) for row in budget if "de" in (row["source"], row["target"]) and row["block"] == "xling"}
    assert len(german) == 5


def test_the_paper_scale_runs_on_a_toy_model(hub: None, toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{code: f"{code} wmt {i}" for code in ("en", "zh")} for i in range(2)]
    monkeypatch.setattr(translation, "official_test", lambda n, s, t, limit: translation.segments(rows, [(s, t)]))
    config = paper_scale(toy)
    with temporary("bayling2", config) as run:
        with pytest.warns(UserWarning, match="belebele is left out in sw"):
            measured = whole(config, run)
        tests = [f"{test}-{pair}" for test in ("flores200", "wmt22") for pair in ("en-zh", "zh-en")]
        groups = ["x_to_en", "en_to_x", "x_to_zh", "zh_to_x", *tests]
        sides = itertools.product(("bleu", "chrf++"), groups, ("en", "zh"))
        found = {name for name in measured.metrics if ".asked_" in name}
        assert found == {f"{score}_{group}.asked_{asked}" for score, group, asked in sides}
        assert {"belebele_pivots", "belebele_x"} <= set(measured.metrics)
        scores = measured.details["translation"]["scores"]
        both = [scores[f"flores200-{code}-en.asked_zh"]["chrf++"] for code in ("de", "sw")]
        assert measured.metrics["chrf++_x_to_en.asked_zh"] == pytest.approx(sum(both) / 2)
        assert measured.details["languages"]["de"]["exposure"] == "translated"
        for asked in ("en", "zh"):
            folder = run.path / "translations" / f"asked_{asked}"
            assert "eng_Latn devtest 0" in (folder / "flores200-de-en.ref").read_text(encoding="utf-8")
            assert (folder / "wmt22-en-zh.out").read_text(encoding="utf-8").count("\n") == 2
        # The preset's layout, not that of the toy.
        assert opening(chat.load_chat(run.artifact / "model")).startswith("<s>" + OPENING)


def test_comet_is_looked_for_before_anything_is_decoded(toy: Path) -> None:
    nothing: Any = None
    with pytest.raises(UserError, match="pip install unbabel-comet"):
        eval.translation(chat.load_chat(toy), paper_scale(toy, scores=("comet",)), nothing)


@pytest.mark.parametrize(
    ("preset", "parameters"),
    [("paper", 6_738_415_616), ("paper-13b", 13_015_864_320), ("paper-8b", 8_030_261_248)],
)
def test_the_backbones_are_counted(preset: str, parameters: int) -> None:
    from core.cost.plan import plan

    assert len({flores_code(code) for code in FLORES_101}) == 100
    result = plan(workload(PRESETS[preset]), gpus=8)
    assert result.costs[0].parameters.total == parameters
    assert 10 < result.gpu_hours < 2000


@pytest.mark.parametrize(
    ("preset", "changes", "match"),
    [
        ("tiny", {"blocks": ("en", "fr")}, "blocks"),
        ("tiny", {"hubs": ("de",)}, "hubs"),
        ("tiny", {"pivots": ("en",), "blocks": ("en",)}, "shares"),
        ("tiny", {"languages": ("de",), "untied": ("de",)}, "two roles"),
        ("tiny", {"untied": ("de",)}, "untied without languages"),
        ("tiny", {"xling": "monolingual", "blocks": ("en",)}, "xling"),
        ("tiny", {"parallel": ("sw:en=x.tsv",)}, "--model"),
        ("tiny", {"items": 500}, "numbers to draw from"),
        ("paper", {"xling": "monolingual"}, "spelled-out numbers"),
        ("paper", {"answer": "words"}, "spelled-out numbers"),
        ("paper", {"oracle": True}, "spelled-out numbers"),
        ("paper", {"instructions": ("qq=qq.jsonl",)}, "'qq' is no pivot"),
        ("tiny", {"blocks": ("xling",), "shares": (0.5, 0.5, 0.0)}, "positive share"),
    ],
)
def test_impossible_settings_are_refused(preset: str, changes: dict[str, Any], match: str) -> None:
    with pytest.raises(UserError, match=match):
        data.mixture(override(PRESETS[preset], changes))


# --- on your own --------------------------------------------------------------------------------------------------


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_jsonl(tmp_path / "en.jsonl", [{"messages": dialogue(f"ask {i}", f"say {i}")} for i in range(30)])
    write_jsonl(tmp_path / "zh.jsonl", [{"instruction": f"问 {i}", "output": f"答 {i}"} for i in range(30)])
    lines = ["sw\ten", *(f"neno {i}\tword {i}" for i in range(20))]
    (tmp_path / "sw-en.tsv").write_text("\r\n".join(lines) + "\r\n", encoding="utf-8")
    tasks = [
        {"task": "quiz", "language": code, "prompt": f"q {i}", "answer": "A", "choices": ["A", "B"]}
        for code in ("en", "sw", "yo")
        for i in range(2)
    ]
    write_jsonl(tmp_path / "tasks.jsonl", tasks)
    return tmp_path


def test_mix_and_measure(own: Path, toy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    use.main(["mix", "--instructions", "en=en.jsonl", "zh=zh.jsonl", "--parallel", "sw:en=sw-en.tsv", "--out", "star",
              "--shares", "1", "1", "2", "--xling-per-language", "24"])  # fmt: skip
    facts = json.loads((own / "star/manifest.json").read_text())
    assert {name: part["examples"] for name, part in facts["blocks"].items()} == {"en": 12, "zh": 12, "xling": 24}
    lines = [json.loads(line) for line in (own / "star/mixture.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [line["messages"][0]["role"] for line in lines] == ["user"] * 48
    use.main(["measure", "--model", str(toy), "--tasks", "tasks.jsonl", "--manifest", "star/manifest.json"])
    cells = {cell["language"]: cell["exposure"] for cell in json.loads((own / "transfer.json").read_text())}
    assert cells == {"en": "instructed", "sw": "translated", "yo": "unseen"}
    assert "= translated" in capsys.readouterr().out


def test_train_on_own_data(own: Path, toy: Path) -> None:
    config = Config(
        model=str(toy), languages=("sw",), untied=("yo",), instructions=("en=en.jsonl", "zh=zh.jsonl"),
        parallel=("sw:en=sw-en.tsv",), benchmarks=("tasks.jsonl",),
        training=replace(PRESETS["smoke"].training, max_length=256),
    )  # fmt: skip
    run = Run(own / "run", "bayling2", config, own / "stages", quiet=True).open()
    measured = whole(config, run)
    assert set(measured.units["quiz_x"]) == {"sw/2", "sw/3"}
    assert set(measured.units["quiz_untied"]) == {"yo/4", "yo/5"}
    assert opening(chat.load_chat(run.artifact / "model")) == "<s>[user] Hi<|eot_id|>[assistant] "


def test_chat_prints(toy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    say = ["chat", "--model", str(toy), "--message", "Hi", "--max-new-tokens", "2"]
    use.main(say)
    use.main([*say, "--translate", "en", "sw", "--request", "zh"])
    assert capsys.readouterr().out.count("\n") >= 2


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ("mix --instructions en.jsonl --parallel sw:en=sw-en.tsv", "pivot=file"),
        ("mix --instructions en=en.jsonl --parallel sw-en.tsv", "language:pivot=file"),
        ("mix --instructions en=en.jsonl --parallel sw=sw-en.tsv", "language:pivot=file"),
        (
            "mix --instructions en=en.jsonl zh=zh.jsonl --parallel sw:en=sw-en.tsv --shares 1 1",
            "one for each of en, zh, then xling",
        ),
        ("mix --instructions fr=en.jsonl --parallel sw:fr=sw-fr.tsv", "add a pivot of en, zh"),
        ("mix --instructions en=en.jsonl --parallel sw:fr=sw-en.tsv", "fr"),
        ("measure --model x --tasks tasks.jsonl --manifest tasks.jsonl", "line 2: not JSON"),
        ("measure --model x --tasks tasks.jsonl --manifest no.json", "no manifest"),
    ],
)
def test_mistakes_end_with_one_sentence(
    own: Path, arguments: str, match: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (own / "no.json").write_text("{}")
    (own / "sw-fr.tsv").write_text("sw\tfr\nneno\tmot\n")
    with pytest.raises(SystemExit) as stop:
        use.main(arguments.split())
    assert stop.value.code == 2
    printed = capsys.readouterr().err.strip()
    assert match in printed
    assert "\n" not in printed


def test_the_worked_example_of_the_page(own: Path, toy: Path) -> None:
    page = (Path(method.__file__).parent / "README.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    scope: dict[str, Any] = {"__name__": "example"}
    exec(compile(block.replace("my-chat-model", str(toy)), "README.md", "exec"), scope)
    assert list(scope["rows"][0]) == ["messages", "block", "source", "target", "key"]
    assert scope["transfer"].select(exposure="translated")
