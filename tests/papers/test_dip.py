"""DIP: numbers by hand, Chain-of-Dictionary's layout, adapters of the paper's benchmarks, whole runs on a toy."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.corpora.filtering import ibm_model_1
from core.corpora.glossaries import Lexicon, learn, look_up
from core.errors import UserError
from core.experiment.config import override, with_variant
from core.experiment.paper import find
from core.experiment.run import Run, temporary
from core.files import read_json
from papers.dip import data, eval, miniature, train, use
from papers.dip.config import PRESETS, VARIANTS, Config, workload
from papers.dip.method import DictionaryPrompter, Placement, dictionary_request, extract, parse_dictionary, request

# --- parity -----------------------------------------------------------------------------------------------------------

MARIA = "Maria ana vitabu nane. Je, vitabu ngapi?"
SWAHILI = Lexicon({"ana": "has", "vitabu": "books", "nane": "eight", "ngapi": "how many"})
COUNTING = Lexicon({"kumi": "ten", "na": "and", "saba": "seven", "kumi na saba": "seventeen"})


def test_interleaving_by_hand() -> None:
    found = DictionaryPrompter(SWAHILI).apply(MARIA)
    assert found.text == "Maria ana (has) vitabu (books) nane (eight). Je, vitabu (books) ngapi (how many)?"
    assert found.coverage == pytest.approx(5 / 7)
    assert found.inserted[1] == ("vitabu", "books")
    assert len(found.inserted) == 5


def test_the_block_is_chain_of_dictionarys() -> None:
    """Its code joins an entry by ` means `, entries by line feeds, and puts an empty line before what is asked."""
    lexicon = Lexicon({"kitabu": "book", "mbili": "two"})
    found = DictionaryPrompter(lexicon, "prepend", "means").apply("kitabu mbili")
    assert found.text == "kitabu means book\nmbili means two\n\nkitabu mbili"


@pytest.mark.parametrize(
    ("text", "most", "expected"),
    [
        ("kumi na saba", 3, "kumi na saba (seventeen)"),
        ("kumi na saba", 1, "kumi (ten) na (and) saba (seven)"),
        ("kumi, na saba", 3, "kumi (ten), na (and) saba (seven)"),  # no phrase crosses punctuation
        ("Kumi  na\nsaba!", 3, "Kumi  na\nsaba (seventeen)!"),
    ],
)
def test_the_longest_phrase_wins(text: str, most: int, expected: str) -> None:
    assert DictionaryPrompter(COUNTING, max_ngram=most).apply(text).text == expected


@pytest.mark.parametrize(
    ("rounds", "expected"),
    [
        (1, {("das", "the"): 0.5, ("das", "house"): 0.25, ("haus", "house"): 0.5}),
        (2, {("das", "the"): 0.6, ("haus", "house"): 4 / 7}),
    ],
)
def test_model_1_by_hand(rounds: int, expected: dict[tuple[str, str], float]) -> None:
    table = ibm_model_1([["das", "haus"], ["das", "buch"]], [["the", "house"], ["the", "book"]], rounds)
    assert {pair: table[pair] for pair in expected} == pytest.approx(expected)


# --- placements -------------------------------------------------------------------------------------------------------


def test_every_placement_has_the_same_entries() -> None:
    inserted = {name: DictionaryPrompter(SWAHILI, name).apply(MARIA) for name in ("interleave", "prepend", "append")}  # type: ignore[arg-type]
    once = list(dict.fromkeys(inserted["interleave"].inserted))
    assert inserted["prepend"].inserted == inserted["append"].inserted == once
    assert len({found.coverage for found in inserted.values()}) == 1
    assert inserted["append"].text.startswith(MARIA + "\n\nana (has)\n")
    line = DictionaryPrompter(SWAHILI, "prepend", "means", block="line").apply("vitabu nane")
    assert line.text == "vitabu means books, nane means eight\nvitabu nane"


@pytest.mark.parametrize("placement", ["none", "interleave", "prepend", "append", "replace", "shuffle"])
def test_nothing_is_put_in_where_nothing_matches(placement: Placement) -> None:
    assert DictionaryPrompter(SWAHILI, placement).apply("No match, 8.") == ("No match, 8.", [], 0.0)
    # Numerals have no gloss, nor has a word that is its own.
    assert DictionaryPrompter(Lexicon({"8": "eight", "radio": "Radio"}), placement).apply("radio 8").inserted == []


def test_replacing_and_shuffling() -> None:
    assert DictionaryPrompter(SWAHILI, "replace").apply(MARIA).text == "Maria has books eight. Je, books how many?"
    plain = DictionaryPrompter(SWAHILI).apply(MARIA).inserted
    for seed in range(5):
        shuffled = DictionaryPrompter(SWAHILI, "shuffle", seed=seed).apply(MARIA).inserted
        assert [word for word, _ in shuffled] == [word for word, _ in plain]
        assert sorted(gloss for _, gloss in shuffled) == sorted(gloss for _, gloss in plain)
        assert shuffled != plain
    assert DictionaryPrompter(SWAHILI, "none").apply(MARIA).coverage == pytest.approx(5 / 7)


def test_scripts_without_spaces_get_some_around_a_gloss() -> None:
    thai = Lexicon({"ประเทศ": "country", "เมืองหลวง": "capital", "ของ": "of", "ไทย": "Thailand"})
    text = "เมืองหลวงของประเทศไทยคือ"
    found = DictionaryPrompter(thai).apply(text)
    assert found.text == "เมืองหลวง (capital) ของ (of) ประเทศ (country) ไทย (Thailand) คือ"
    assert found.coverage == pytest.approx(4 / 5)
    assert DictionaryPrompter(thai, "replace").apply(text).text == "capital of country Thailand คือ"


def test_the_rarest_glosses() -> None:
    lexicon = Lexicon({"nchi": "country", "hii": "this", "misri": "Egypt", "ni": "is"})
    found = DictionaryPrompter(lexicon, rarest=2).apply("Nchi hii ni Misri")
    assert found.text == "Nchi (country) hii ni Misri (Egypt)"
    assert found.coverage == 1.0  # what the dictionary has, not what is put in


def test_delimiters() -> None:
    texts = [DictionaryPrompter(SWAHILI, delimiter=form).apply("nane").text for form in ("means", "bracket")]  # type: ignore[arg-type]
    assert texts == ["nane means eight", "nane [eight]"]


# --- dictionaries -----------------------------------------------------------------------------------------------------


def test_the_dictionary_that_is_learnt_in_the_miniature() -> None:
    found = learn(miniature.parallel("sw", "test"))
    assert (found["lugha"], found["sarafu"], found["nchi"]) == ("language", "currency", "country")
    # Names of countries that are asked about are not among the sentences.
    asked = {question.id.split("/")[1] for question in miniature.questions("sw", "test", 200, 0)}
    assert not {miniature.named("sw")["country"][country].casefold() for country in asked} & set(found)


def test_what_a_model_lists_is_an_entry_if_it_is_short_and_of_the_text() -> None:
    lines = ("Here:", "- vitabu -> books", "2. ngapi: how many", "Maria = has eight books, how many", "paka -> cat")
    answer = "\n".join([*lines, "nane means eight."])
    assert parse_dictionary(answer, MARIA) == {"vitabu": "books", "ngapi": "how many", "nane": "eight"}
    assert MARIA in dictionary_request(MARIA, "Swahili")


def test_shares_of_a_dictionary() -> None:
    lexicon = Lexicon({f"w{number}": f"g{number}" for number in range(40)})
    parts = [data.kept(lexicon, share, 3) for share in (0.0, 0.25, 0.5, 1.0)]
    assert [len(part) for part in parts] == [0, 10, 20, 40]
    assert set(parts[1]) < set(parts[2])
    for share in (0.0, 0.5, 1.0):
        spoilt = data.spoilt(lexicon, share, 3)
        assert sum(spoilt[word] != gloss for word, gloss in lexicon.items()) == round(40 * share)
        assert set(spoilt.values()) <= set(lexicon.values())


# --- prompts and answers ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "options", "expected"),
    [
        ("So 3. The answer is 1,200.", (), "1200"),
        ("The answer is 5. No: The answer is $-7.50.", (), "-7.5"),
        ("It is 12.", (), None),
        ("The answer is B.", ("x", "y"), "y"),
        ("The answer is (A).", ("x", "y"), "x"),
        ("The answer is E.", ("x", "y"), None),
    ],
)
def test_answers_stand_behind_the_marker(written: str, options: tuple[str, ...], expected: str | None) -> None:
    assert extract(written, options) == expected


def test_what_is_asked() -> None:
    asked = request("Swali?", ("a", "b"))
    assert asked.startswith("Swali?\nA) a\nB) b\n")
    assert "restate the question in English" in asked
    assert "language of the question" in request("Swali?", native=True)


# --- the miniature ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", sorted(set(miniature.wordings()) - {"en", "capitals"}))
def test_the_dictionary_has_every_word_that_is_asked(code: str) -> None:
    lexicon = Lexicon(miniature.table(code))
    for question in miniature.questions(code, "test", 12, 0):
        found = DictionaryPrompter(lexicon).apply(question.text)
        missing = [found for found in look_up(question.text, lexicon) if not found.gloss]
        assert not missing, question.text
        assert found.coverage == 1.0


def test_options_cross_countries_and_things() -> None:
    by_country = miniature.facts()
    for question in miniature.questions("sw", "test", 40, 1):
        country, asked = question.id.split("/")[1], question.id.rpartition("-")[2]
        assert by_country[country][asked] == question.answer
        assert len(set(question.options)) == 4
        assert sum(option in by_country[country].values() for option in question.options) >= 2
    parts = [{q.id.split("/")[1] for q in miniature.questions("hi", part, 500, 0)} for part in ("dev", "test")]  # type: ignore[arg-type]
    assert not parts[0] & parts[1]
    assert not {q.id.split("/")[1] for q in miniature.demonstrations(0)} & (parts[0] | parts[1])
    seeds = [{q.id for q in miniature.questions("kk", "test", 5, seed)} for seed in (0, 1)]
    assert seeds[0] != seeds[1]


# --- benchmarks and own files -----------------------------------------------------------------------------------------

ROWS = {
    "gsm8k": {"question": "How many?", "answer": "4 + 5 = <<4+5=9>>9\n#### 9"},
    "svamp": {"ID": "chal-1", "Body": "He has 8.", "Question": "How many?", "Answer": "8.0", "Type": "x"},
    "aqua": {"question": "How many?", "options": ["A)21", "B)21.5", "C)9"], "rationale": "…", "correct": "B"},
    "date": {
        "inputs": "Q: Today is 1/2/2020. What is the date tomorrow?\n  choice: 1/3/2020\n  choice: 1/2/2020\nA:",
        "multiple_choice_targets": ["1/3/2020", "1/2/2020"], "multiple_choice_scores": [1, 0],
    },
}  # fmt: skip


@pytest.mark.parametrize(("name", "answer"), [("gsm8k", "9"), ("svamp", "8.0"), ("aqua", "21.5"), ("date", "1/3/2020")])
def test_rows_of_the_papers_benchmarks(name: str, answer: str, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(ROWS[name]), encoding="utf-8")
    (question,) = data.read_questions(str(path), "sw")
    assert question.answer == answer
    assert question.id == "sw/1"
    assert "choice" not in question.text
    assert question.text.endswith(("?", "tomorrow?"))
    assert eval.wanted(question) == {"svamp": "8"}.get(name, answer)


def test_rows_that_cannot_be_asked(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    for row in ({"question": "?", "answer": "x", "options": ["a", "b"]}, {"question": 3, "answer": "x"}, {"text": "?"}):
        path.write_text(json.dumps(row), encoding="utf-8")
        with pytest.raises(UserError, match="row 1"):
            data.read_questions(str(path), "sw")


def test_settings_that_mean_nothing_are_refused() -> None:
    for bad in ({"items": 0}, {"pivot": "fr"}, {"benchmark": "gsm8k"}, {"lexicon": "sw.tsv"}):
        with pytest.raises(UserError):
            override(PRESETS["tiny"], bad)
    with pytest.raises(UserError, match="no questions in 'fr': it has am, cy"):
        miniature.questions("fr", "test", 2, 0)


def test_the_plan() -> None:
    assert workload(PRESETS["paper"])[0].tokens > 1e7
    assert workload(PRESETS["smoke"])


# --- whole runs -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("toy")
    miniature.toy(folder)
    return folder


def whole(config: Config) -> Any:
    with temporary("dip", config) as run:
        train.train(config, run)
        return eval.evaluate(config, run)


def test_arms_differ_in_what_they_say(smoke: Callable[[str], Any], tmp_path: Path) -> None:
    done = smoke("dip")
    asked = [question for code in ("sw", "th") for question in miniature.questions(code, "test", 2, 0)]
    texts = {}
    for variant in VARIANTS:
        config = with_variant(PRESETS["smoke"], VARIANTS, variant)
        run = Run(tmp_path / variant, "dip", config, done.stages, quiet=True).open()
        train.train(config, run)
        known = read_json(run.artifact / "dictionaries.json")
        texts[variant] = tuple(result.text for result in eval.prompts(config, asked, known, run))
    assert len(set(texts.values())) == len(VARIANTS)
    assert texts["english"] == tuple(question.english for question in asked)
    assert read_json(tmp_path / "learnt" / "artifact" / "dictionaries.json")["sw"]["precision"] > 0.3


def test_options_are_scored_as_alone(toy: Path) -> None:
    """The gain of an option is log p(option | question) - log p(option | no question), whatever else is scored."""
    from core.inference.scoring import log_likelihoods
    from core.models.loading import load

    loaded = load(toy, dtype="float32")
    asked = miniature.questions("sw", "test", 2, 0)
    (first, _) = eval.rank(loaded, "", asked, [question.text for question in asked], restate=True)
    contexts = [f"Question: {asked[0].text}\n", "Question:\n"]
    after, before = log_likelihoods(*loaded, contexts, [f"Answer: {asked[0].options[2]}"] * 2)
    assert first.gains[2] == pytest.approx(after.log_likelihood - before.log_likelihood, abs=1e-4)
    assert first.restated is not None
    assert first.restated < 0


@pytest.mark.parametrize("name", ["gsm8k", "aqua"])
def test_the_paper_preset_on_local_copies(
    name: str, toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Translated, back-translated, a dictionary asked for each question, an answer written and graded."""
    from core.models import loading
    from core.tasks.samples import CHAT_TEMPLATE

    model, tokenizer = loading.load(toy, dtype="float32")
    tokenizer.chat_template = CHAT_TEMPLATE
    load = loading.load
    monkeypatch.setattr(loading, "load", lambda spec, **o: (None, None) if "nllb" in str(spec) else load(spec, **o))
    heard: list[tuple[str, str]] = []

    def translate(model: Any, tokenizer: Any, texts: list[str], source: str, target: str) -> list[str]:
        heard.append((source, target))
        return [text.swapcase() for text in texts]

    monkeypatch.setattr("core.inference.seq2seq.translate", translate)
    folder = tmp_path / "chat"
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    rows = tmp_path / "rows.jsonl"
    rows.write_text("\n".join(json.dumps(ROWS[name]) for _ in range(2)), encoding="utf-8")
    changes = {"model": str(folder), "benchmark": str(rows), "languages": ("kaz_Cyrl",), "dtype": "float32"}
    config = override(PRESETS["paper"], {**changes, "max_new_tokens": 4})
    monkeypatch.setattr(
        "core.inference.chat.Chat.reply",
        lambda chat, turns, **_: [
            "many -> viele" if "List every" in t[0]["content"] else "The answer is 9 B" for t in turns
        ],
    )
    monkeypatch.chdir(tmp_path)
    measurement = whole(config)
    assert heard == [("eng_Latn", "kaz_Cyrl"), ("kaz_Cyrl", "eng_Latn")]
    assert measurement.metrics["accuracy"] == 1.0
    assert "MANY (viele)" in measurement.details["samples"][0]["prompt"]
    assert measurement.metrics["coverage"] == pytest.approx(0.5)


def test_own_questions_lexicons_and_sentences(toy: Path, tmp_path: Path) -> None:
    (tmp_path / "xh.jsonl").write_text('{"question": "Ngaphi?", "answer": "2"}', encoding="utf-8")
    (tmp_path / "xh.tsv").write_text("ngaphi\twhere\n", encoding="utf-8")
    pairs = [{"xh": "iincwadi ezimbini", "en": "two books"}, {"xh": "iincwadi", "en": "books"}]
    (tmp_path / "pairs-xh.jsonl").write_text("\n".join(map(json.dumps, pairs)), encoding="utf-8")
    files = {"questions": "{language}.jsonl", "lexicon": "{language}.tsv", "parallel": "pairs-{language}.jsonl"}
    given = {name: str(tmp_path / file) for name, file in files.items()}
    config = override(PRESETS["paper"], {**given, "languages": ("xh",), "dictionary": "union", "benchmark": ""})
    asked = {"xh": data.read_questions(str(tmp_path / "xh.jsonl"), "xh")}
    assert data.lexicons(config, asked) == {"xh": {"": {"ngaphi": "where", "iincwadi": "books"}}}
    for name, needed in (("lexicon", "--lexicon"), ("parallel", "--parallel")):
        with pytest.raises(UserError, match=needed):
            data.lexicons(replace(config, **{name: ""}), asked)


def test_verbs_on_own_files(
    toy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    # Zulu, which the miniature does not have.
    pairs = [
        ("izwe lami", "my country"),
        ("izwe elikhulu", "large country"),
        ("ulimi lami", "my language"),
        ("ulimi", "language"),
    ]
    table = "zu\ten\n" + "\n".join("\t".join(pair) for pair in pairs)
    (tmp_path / "pairs.tsv").write_text(table + "\n", encoding="utf-8")
    (tmp_path / "given.tsv").write_text("izwe\tland\nyini\twhat\n", encoding="utf-8")
    use.main(["fit", "pairs.tsv", "--source", "zu", "--merge", "given.tsv", "--out", "zu.json"])
    assert "0% of them as given" in capsys.readouterr().out
    assert read_json(tmp_path / "zu.json") == {"izwe": "land", "ulimi": "language", "yini": "what"}
    (tmp_path / "texts.txt").write_text("Yini ulimi lwezwe?\n\nizwe\n", encoding="utf-8")
    use.main(["prompt", "texts.txt", "--lexicon", "zu.json"])
    assert "Yini (what) ulimi (language) lwezwe?\nizwe (land)\n" in capsys.readouterr().out
    rows = [{"id": str(i), "question": "Yini ulimi?", "options": ["Zulu", "rand"], "answer": "Zulu"} for i in range(3)]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    use.main(["compare", "rows.jsonl", "--lexicon", "zu.json", "--model", str(toy), "--rarest", "1"])
    printed = capsys.readouterr().out
    assert "3 questions, 100% of their words" in printed
    assert re.search(r"rarest 1 +[01]\.\d+ +\d+\.\d tokens", printed)


@pytest.mark.slow
@pytest.mark.weights
def test_the_worked_example_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (find("dip").folder / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    assert blocks
    monkeypatch.chdir(tmp_path)
    for block in blocks:
        exec(compile(block, "README.md", "exec"), {})
