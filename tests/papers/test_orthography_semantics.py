"""orthography_semantics: hand-made values, models whose truth is known, items, own files."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import UserError
from core.metrics.classification import macro_mean
from papers.orthography_semantics import data, eval, method, miniature, train, use
from papers.orthography_semantics.config import PRESETS, Config
from papers.orthography_semantics.method import Item

WORDS = st.text(st.characters(categories=("L", "M")), max_size=8)


@given(WORDS, WORDS)
def test_likeness_is_symmetric_and_one_for_the_same(a: str, b: str) -> None:
    assert method.similarity(a, b) == method.similarity(b, a)
    assert 0 <= method.similarity(a, b) <= 1
    assert method.similarity(a, a) == 1


@pytest.mark.parametrize(
    ("a", "b", "value"), [("gift", "Gift", 1), ("brief", "kurz", 0), ("éxito", "éxito", 1), ("Haus", "house", 0.6)]
)
def test_likeness_by_hand(a: str, b: str, value: float) -> None:
    assert method.similarity(a, b) == pytest.approx(value)


def test_negatives_by_hand() -> None:
    """Everything from .60 on is out, the definition itself with it."""
    assert method.select_negative([1.0, 0.72, 0.59, 0.31, 0.60]) == 2
    assert method.select_negative([0.2, 0.2]) == 0
    with pytest.raises(UserError, match=r"more similar than 0\.6"):
        method.select_negative([1.0, 0.6])


def test_wrong_definitions_of_false_friends_are_each_others() -> None:
    angle = {"a": 0.0, "b": 1.2, "c": 1.4, "x": 2.9}
    items = [
        Item("de/1", "false", "de", "gift", "a", "Gift", "x"),
        Item("de/1", "translation", "de", "gift", "a", "Geschenk", "a"),
        Item("de/2", "cognate", "de", "lamp", "b", "Lampe", "b"),
        Item("de/3", "cognate", "de", "rose", "c", "Rose", "c"),
    ]
    found = method.with_negatives(items, lambda texts: [[np.cos(angle[t]), np.sin(angle[t])] for t in texts])
    assert [(one.english_negative, one.negative) for one in found] == [("x", "a"), ("b", "b"), ("a", "a"), ("a", "a")]


def test_definitions_in_one_form() -> None:
    assert data.clean("The set of Laws , in Spain.\n") == "The set of laws, in spain."
    assert data.clean(" a bunch of 'grapes'..\n") == "A bunch of 'grapes'."


@pytest.mark.parametrize(
    ("text", "answers", "found"),
    [
        ("True.", method.LABELS, "True"), ("It is False, not True", method.LABELS, "False"),
        ("Untrue", method.LABELS, None),
        ("The answer is 2.", ("1", "2"), "2"), ("12", ("1", "2"), None), ("", ("1", "2"), None),
    ],
)  # fmt: skip
def test_replies_are_read(text: str, answers: Sequence[str], found: str | None) -> None:
    assert eval.parse(text, answers) == found


def test_form_reliance_of_known_scores() -> None:
    assert method.form_slope({"a": [(0, 1), (1, 3)], "b": [(0.5, -9), (1, -8)]}) == pytest.approx(2)
    assert method.form_slope({"a": [(0.5, 1)]}) == 0
    assert method.d_prime([2, 4], [0, 2]) == pytest.approx(2)
    assert method.d_prime([1, 1], [1, 1]) == 0


# --- models whose truth is known --------------------------------------------------------------------------------------


def pool(part: Any = "dev") -> list[Item]:
    """German items with wrong definitions that are told apart by nothing."""
    every = miniature.pool("de", part)
    keys = {one.key for kind in ("false", "cognate") for one in [one for one in every if one.kind == kind][:24]}
    items = [one for one in every if one.key in keys]
    glosses = sorted({one.english_gloss for one in items} | {one.gloss for one in items})
    return method.with_negatives(items, lambda texts: np.eye(len(glosses))[[glosses.index(t) for t in texts]].tolist())


def model(label: Callable[[Item], float], sense: Callable[[str, str], float], items: Sequence[Item]) -> method.Fits:
    """A scripted model: how much truer it finds a pair, and how likely a sense of a word, between quotes or not."""

    def loglik(contexts: Sequence[str], choices: Sequence[Sequence[str]]) -> list[list[float]]:
        found = []
        for context, own in zip(contexts, choices, strict=True):
            if own == [" True", " False"]:
                (one,) = [item for item in items if context.endswith(method.pair_prompt(item, "").splitlines()[-1])][:1]
                found.append([label(one), 0.0])
            else:
                found.append([sense(context, text.strip()) - len(text) for text in own])
        return found

    return loglik


def test_a_model_that_knows_the_words_is_always_right() -> None:
    items = pool()
    meanings = {(w, g) for one in items for w, g in ((one.english, one.english_gloss), (one.word, one.gloss))}
    german = {(one.word, one.gloss) for one in items}

    def sense(context: str, gloss: str) -> float:
        known = german if "German" in context else meanings - german | {(i.english, i.english_gloss) for i in items}
        return 40.0 * any(f"“{word}”" in context and gloss == meant for word, meant in known)

    loglik = model(lambda one: 5.0 if method.SAME_MEANING[one.kind] else -5.0, sense, items)
    units = eval.unit_scores(items, scores := use.probe(items, loglik))
    for task in ("label", "word", "english"):
        for kind in method.SAME_MEANING:
            assert macro_mean(units[f"{task}_{kind}"]) == 1, (task, kind)
    assert eval.form(items, scores)["form_slope"] == pytest.approx(0, abs=1e-9)
    assert eval.form(items, scores)["d_prime"] == 0 or eval.form(items, scores)["d_prime"] > 1


def test_a_model_that_follows_form_shows() -> None:
    items = pool()

    def sense(context: str, gloss: str) -> float:
        return 40.0 * any(
            f"“{one.english}”" in context.replace("“G", "“g") and gloss == one.english_gloss for one in items
        )

    loglik = model(lambda one: 10 * method.similarity(one.english, one.word), sense, items)
    units = eval.unit_scores(items, scores := use.probe(items, loglik))
    assert [round(macro_mean(units[f"label_{kind}"])) for kind in method.SAME_MEANING] == [1, 0, 0, 1]
    assert eval.form(items, scores)["form_slope"] == pytest.approx(10)
    assert macro_mean(units["english_false"]) == 1
    same = [one for one in items if one.kind == "false" and one.word == one.english]
    assert same, "some are written alike, capitals included"
    assert all(scores.word["false", one.key] < 0 for one in same), "the English sense is taken"


def test_the_sentence_decides_for_a_model_that_reads_it() -> None:
    items = [one for one in pool() if one.kind == "false"]
    frames = [frame for frame in miniature.sentences("dev") if frame.key.startswith("de/")]

    def sense(context: str, gloss: str) -> float:
        asked = [f for f in frames if f.text.split("{}")[0] and context.startswith(f.text.split("{}")[0])]
        own = {
            (one.english_gloss if f.language == "en" else one.gloss) for f in asked for one in items if one.key == f.key
        }
        return float(gloss in own)

    def fits(contexts: Sequence[str], choices: Sequence[Sequence[str]]) -> list[list[float]]:
        return [[sense(c, text.strip()) for text in own] for c, own in zip(contexts, choices, strict=True)]

    units = eval.mixed(Config(), fits, items, frames)
    assert {macro_mean(units[name]) for name in ("own_english", "own_word", "mixed_english", "mixed_word")} == {1}
    assert units["mixed_word"].keys() == {eval.unit(f.key) for f in frames} & {eval.unit(one.key) for one in items}, (
        "a word is one unit, whatever its sentences"
    )
    assert {"fast/de", "bald/de"} & units["mixed_word_same"].keys(), "one text"
    assert "gift/de" in units["mixed_word_differ"], "a capital makes another text"
    assert not units["mixed_word_same"].keys() & units["mixed_word_differ"].keys()
    with pytest.raises(UserError, match="Sentences are for encoders"):
        Config(answer="likelihood")


def test_an_encoder_that_knows_the_words_is_always_right() -> None:
    """Vectors by hand: a word lies at its meaning, whatever it looks like."""
    items = pool()
    meanings = {one.english: one.english_gloss for one in items}, {one.word: one.gloss for one in items}
    glosses = sorted({gloss for side in meanings for gloss in side.values()})

    def place(text: str) -> int:
        language, framed, word = text.partition(": ")
        meant = meanings[language == "German"][word] if framed else text.strip()
        return glosses.index(meant)

    def fits(contexts: Sequence[str], choices: Sequence[Sequence[str]]) -> list[list[float]]:
        at = [-1 if context.endswith(": ") else place(context) for context in contexts]
        return [[float(one == place(choice)) for choice in row] for one, row in zip(at, choices, strict=True)]

    units = eval.unit_scores(items, use.probe(items, fits, encoder=True))
    for task in ("label", "word", "english"):
        for kind in method.SAME_MEANING:
            assert macro_mean(units[f"{task}_{kind}"]) == 1, (task, kind)


# --- items ------------------------------------------------------------------------------------------------------------


PARTS: tuple[miniature.Part, ...] = ("dev", "test")


def test_items_cross_form_with_meaning() -> None:
    words: dict[str, set[str]] = {}
    for part in PARTS:
        for language in miniature.LANGUAGES:
            items = miniature.pool(language, part)
            assert len({(one.kind, one.key) for one in items}) == len(items)
            for one in items:
                words.setdefault(one.english.casefold(), set()).add(part)
                alike = method.similarity(one.english, one.word) >= 0.5
                assert alike == (one.kind in ("cognate", "false")), one
                assert (one.gloss == one.english_gloss) == method.SAME_MEANING[one.kind], one
            by_kind = [{one.key for one in items if one.kind == kind} for kind in ("false", "translation", "unrelated")]
            assert by_kind[0] == by_kind[1] == by_kind[2]
            words_of, forms = ([[], []] for _ in range(2))
            for place, kind in enumerate(("translation", "unrelated")):
                own = [one for one in items if one.kind == kind]
                words_of[place] = sorted(one.word for one in own)
                forms[place] = [method.similarity(one.english, one.word) for one in own]
            assert words_of[0] == words_of[1], "every translation is also somebody's unrelated word"
            assert np.mean(np.abs(np.subtract(*forms))) < 0.01
            told = np.mean([float(a > b) + 0.5 * (a == b) for a in forms[0] for b in forms[1]])
            assert told == pytest.approx(0.5, abs=0.01), "form tells no translation from an unrelated word"
    assert all(len(parts) == 1 for parts in words.values()), "no English word is in both parts"
    for part in PARTS:
        keys = {one.key for code in miniature.LANGUAGES for one in miniature.pool(code, part)}
        for frame in miniature.sentences(part):
            assert frame.key in keys
            assert frame.text.count("{}") == 1


def test_words_of_the_test_are_new_and_glosses_do_not_tell() -> None:
    dev, test = ([one for code in miniature.LANGUAGES for one in miniature.pool(code, part)] for part in PARTS)
    assert not {(one.language, one.word.casefold()) for one in dev} & {(o.language, o.word.casefold()) for o in test}
    seen = {gloss for one in dev for gloss in (one.english_gloss, one.gloss)}
    for one in test:
        for gloss in (one.english_gloss, one.gloss):
            assert gloss not in seen
            assert not {one.english.casefold(), one.word.casefold()} & set(gloss.casefold().split()), one
    for code in miniature.LANGUAGES:
        for kind in ("false", "cognate"):
            own = [one for one in test if one.language == code and one.kind == kind]
            assert len(own) >= 40
            assert len({one.gloss for one in own} | {one.english_gloss for one in own}) == len(own) * (
                2 - (kind != "false")
            )


def test_no_wrong_definition_says_the_word() -> None:
    """Neither a word's own definition nor its wrong one has the word, its cognate or what they begin with."""
    for one in miniature.items("test", data.encoder(PRESETS["tiny"].negatives)):
        asked = {one.english_negative, one.negative} | (
            {one.english_gloss, one.gloss} if one.kind != "unrelated" else set()
        )
        stems = tuple(word.casefold()[: max(3, len(word) - 2)] for word in (one.english, one.word))
        assert not [text for text in asked if any(word.startswith(stems) for word in text.casefold().split())], one
        assert one.negative != one.gloss
        assert one.english_negative != one.english_gloss


def test_a_seed_draws_cognates_as_alike_in_form_as_false_friends() -> None:
    for seed in (0, 40):
        keys = miniature.drawn("test", 30, seed)
        assert keys == miniature.drawn("test", 30, seed) != miniature.drawn("test", 30, seed + 1)
        for code in miniature.LANGUAGES:
            own = [one for one in miniature.pool(code, "test") if one.key in keys]
            forms = {
                kind: [method.similarity(one.english, one.word) for one in own if one.kind == kind]
                for kind in method.SAME_MEANING
            }
            assert {len(values) for values in forms.values()} == {30}
            assert abs(np.mean(forms["cognate"]) - np.mean(forms["false"])) <= 0.02


def test_the_whole_part_is_asked_where_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    every = [one for part in PARTS for code in miniature.LANGUAGES for one in miniature.pool(code, part)]
    glosses = sorted({gloss for one in every for gloss in (one.english_gloss, one.gloss)})

    def encode(texts: Sequence[str]) -> Any:
        return np.eye(len(glosses))[[glosses.index(text) for text in texts]]

    monkeypatch.setattr(data, "encoder", lambda name: encode)
    sizes = {}
    for split in PARTS:
        for tasks in (("label",), ("word",)):
            asked, shown = train.item_set(Config(split=split, tasks=tasks, size=5))  # type: ignore[arg-type]
            keys = {one.key for one in shown}
            assert not keys & {one.key for one in asked}, "no tested item is in the mean of equation 1"
            assert keys <= {one.key for code in miniature.LANGUAGES for one in miniature.pool(code, "dev")}
            sizes[split, tasks[0]] = len(asked)
            if split == "test":
                assert len(keys) == len({one.key for c in miniature.LANGUAGES for one in miniature.pool(c, "dev")})
    assert sizes["test", "word"] == sizes["dev", "word"] == sizes["dev", "label"] == 3 * 4 * 5
    assert sizes["test", "label"] == sum(len(miniature.pool(code, "test")) for code in miniature.LANGUAGES)


def test_all_development_words_are_in_the_mean_of_equation_1() -> None:
    items = pool("test")[:1]
    odds = {one.word: float(place) for place, one in enumerate(pool("dev"))}
    kinds = {kind: [odds[one.word] for one in pool("dev") if one.kind == kind] for kind in method.SAME_MEANING}

    def fits(contexts: Sequence[str], choices: Sequence[Sequence[str]]) -> list[list[float]]:
        return [[odds.get(choice.strip().partition(": ")[2], 0.0) for choice in row] for row in choices]

    config = Config(tasks=("label",))
    (found,) = eval.scored(config, fits, items, pool("dev")).truth.values()
    assert found == pytest.approx(-np.mean([np.mean(values) for values in kinds.values()]))


def test_labels_that_are_read_off_the_definitions_go_with_them() -> None:
    items = pool()
    wrong = {one.key for one in [one for one in items if one.kind == "false"][::3]}

    def fits(contexts: Sequence[str], choices: Sequence[Sequence[str]]) -> list[list[float]]:
        return [
            [float(place == (context in known)) for place, _ in enumerate(row)]
            for context, row in zip(contexts, choices, strict=True)
        ]

    known = {f"German: {one.word}" for one in items if one.key in wrong}
    tasks: Any = ("label", "word", "english")
    scores = eval.scored(Config(by_definition=True, tasks=tasks, prior=False), fits, items, items)
    units = eval.together(items, scores)
    assert sum(units["label_within"].values()) == pytest.approx(0)
    friends = [name for name in units["label"] if name.endswith("/false")]
    assert [units["label"][name] for name in friends] == [units["meaning"][name] for name in friends]
    assert {units["label"][name] for name in friends} == {0.0, 1.0}
    with pytest.raises(UserError, match="answers task 1 by task 2"):
        Config(by_definition=True, tasks=("label",))


def test_false_friends_are_split_by_how_they_are_written() -> None:
    gift = Item("de/gift", "false", "de", "gift", "a", "Gift", "b")
    assert gift.identical
    assert not gift._replace(word="Gifte").identical
    items = [one for one in pool() if one.kind == "false"]
    scores = eval.Scores(word={(one.kind, one.key): 1.0 if one.identical else -1.0 for one in items})
    units = eval.unit_scores(items, scores)
    assert {*units["word_identical"].values()} == {1.0}
    assert {*units["word_near"].values()} == {0.0}
    assert units["word_identical"].keys() | units["word_near"].keys() == units["word_false"].keys()


def test_demonstrations_are_alike_in_form() -> None:
    items = pool()
    for k in (1, 4):
        shown = method.demonstrations(items, k, seed=0)
        assert len(shown) == 2 * k
        assert {one.kind for one in shown} == {"false", "cognate"}
    assert method.demonstrations(items, 4, 0) != method.demonstrations(items, 4, 1)
    with pytest.raises(UserError, match="99 demonstrations"):
        method.demonstrations(items, 99, 0)
    prompt = method.pair_prompt(items[0], "German", method.demonstrations(items, 1, 0))
    assert prompt.count("->") == 3
    assert prompt.endswith(f'"{items[0].english}" and "{items[0].word}" ->')


def test_the_coin_falls_as_the_official_one() -> None:
    items = [one._replace(key=f"de/{n}") for n, one in enumerate(pool() * 3)][:12]
    _, wanted = eval.prompts_of(Config(k=0, answer="written"), items, [])
    first = [value for (task, _, _), value in wanted.items() if task == "english"]
    assert first == list("221222222112")


def test_the_null_arm_breaks_every_link() -> None:
    items = pool()
    broken = train.exchanged(items, 0)
    known = {
        link for one in items
        for link in ((one.word, one.gloss), (one.english, one.english_gloss), (one.english, one.word))
    }  # fmt: skip
    for one, other in zip(items, broken, strict=True):
        assert (one.kind, one.key) == (other.kind, other.key)
        if one.kind == "false":
            assert (other.english_negative, other.negative) == (other.gloss, other.english_gloss)
        words = (other.word, other.english)
        texts = (other.gloss, other.english_gloss, other.negative, other.english_negative)
        assert not known & {(word, text) for word in words for text in texts}
        assert words[::-1] not in known
        assert other.gloss not in texts[2:3]
        assert other.english_gloss not in texts[3:]


# --- own files --------------------------------------------------------------------------------------------------------


def test_the_authors_tables_are_read(tmp_path: Path) -> None:
    path = tmp_path / "en_de_dataset.csv"
    path.write_text(
        'ID,en,en_meaning,de,de_meaning,type,lexical_category,\n7,gift,"a Thing given , free",gift,'
        "A poison.,FALSE COGNATE,N,\n8,lamp,a light,lampe,a light,COGNATE,N,\n",
        encoding="utf-8",
    )
    first, second = data.read_items(path)
    assert first == Item("de/7", "false", "de", "gift", "A thing given, free.", "gift", "A poison.")
    assert second.kind == "cognate"
    path.write_text(path.read_text().replace("FALSE COGNATE", "FALSCH"), encoding="utf-8")
    with pytest.raises(UserError, match="row 1: no row of the authors' tables: type is 'FALSCH'"):
        data.read_items(path)


def test_a_split_has_all_kinds() -> None:
    shown, asked = data.stratified(pool("test"), 0.1)
    assert not {(one.kind, one.key) for one in shown} & {(one.kind, one.key) for one in asked}
    assert {one.kind for one in shown} == set(data.KINDS)
    with pytest.raises(UserError, match="cannot be split"):
        data.stratified(pool("test")[:1])


LIST = """english\tenglish_gloss\tword\tgloss
gift\tsomething given to someone\tgift\ta substance that kills
gift\tsomething given to someone\tzawadi\tsomething given to someone
lamp\ta thing that gives light\tlampu\ta thing that gives light
lamp\ta thing that gives light\tngozi\tthe skin of an animal
pen\ta tool for writing with ink\tpeni\ta tool for writing with ink
"""


def test_from_word_lists_to_a_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    miniature.toy("likelihood", toy_folder := tmp_path / "toy")
    Path("words.tsv").write_text(LIST.replace("\n", "\r\n"), encoding="utf-8")
    use.main(["build", "words.tsv", "--language", "sw"])
    assert "2 cognate, 1 false, 1 translation, 1 unrelated" in capsys.readouterr().out
    items = data.read_items("items.jsonl")
    assert all(one.negative and one.english_negative for one in items)
    assert next(one for one in items if one.kind == "false").negative == "something given to someone"
    use.main(["probe", "items.jsonl", "--model", str(toy_folder)])
    assert "nats from unlike to identical" in capsys.readouterr().out
    use.main(["probe", "items.jsonl", "--model", str(toy_folder), "--encoder"])
    assert "in cosine from unlike to identical" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        use.main(["probe", "items.jsonl", "--model", str(toy_folder), "--encoder", "--k", "1"])
    assert "drop --k or --encoder" in capsys.readouterr().err
    use.main(["screen", "items.jsonl", "--model", str(toy_folder)])
    margins = [float(line.split("\t")[6]) for line in Path("screened.tsv").read_text().splitlines()[1:]]
    assert margins == sorted(margins)
    assert len(margins) == len(items)
    capsys.readouterr()
    use.main(["compare", "items.jsonl", "--model", str(toy_folder), "--against", str(toy_folder)])
    assert "cognate      label +0.00" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("row", "match"),
    [
        ({"kind": "cognat"}, "kind 'cognat' is none of cognate, false, translation, unrelated"),
        ({"gloss": " "}, "'gloss' is empty"),
    ],
)
def test_faulty_items_are_refused(tmp_path: Path, row: dict[str, str], match: str) -> None:
    whole = {"language": "sw", "kind": "cognate", "english": "a", "english_gloss": "b", "word": "c", "gloss": "d"}
    path = tmp_path / "items.jsonl"
    path.write_text(json.dumps({**whole, **row}) + "\n")
    with pytest.raises(UserError, match=f"row 1: {match}"):
        data.read_items(path)


def test_something_has_to_be_asked() -> None:
    with pytest.raises(UserError, match="Nothing is asked"):
        replace(PRESETS["tiny"], tasks=())
