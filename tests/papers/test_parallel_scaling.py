"""parallel_scaling: the brief's numbers by hand, the one-token loss, orders of examples, rewards, own data, smoke."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from core.errors import UserError
from core.experiment import run as runs
from core.experiment.config import override, with_variant
from core.experiment.paper import find
from core.models.loading import from_config
from core.models.scratch import byte_decoder
from core.training import policy
from papers.parallel_scaling import data, fit_scaling, method, miniature, reasoning, schedule, transferability, use
from papers.parallel_scaling.config import PRESETS, TINY, VARIANTS, Config, examples, scratch_shape

NAN = math.isnan


def table(**scores: float) -> dict[str, dict[str, float]]:
    return {code: {"math": score} for code, score in scores.items()}


BASE = table(en=0.50, zh=0.40, sw=0.10, th=0.20)
THINKS = "<think>Three and four are seven, as everybody who can count knows.</think> \\boxed{7}"


def write(path: Path, *rows: dict[str, Any]) -> str:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return str(path)


# --- the index and the law by hand ------------------------------------------------------------------------------------


def test_the_index_by_hand() -> None:
    one = transferability(BASE, table(en=0.70, zh=0.50, sw=0.13, th=0.24), ["en"])
    assert one.gains == pytest.approx({"en": 0.40, "zh": 0.25, "sw": 0.30, "th": 0.20})
    assert (one.trained, one.unseen, one.mti) == pytest.approx((0.40, 0.25, 0.625))
    two = transferability(BASE, table(en=0.72, zh=0.60, sw=0.15, th=0.28), ["en", "zh"])
    assert (two.trained, two.unseen) == pytest.approx((0.47, 0.45))
    assert two.mti == pytest.approx(0.957447, abs=1e-6)
    fixed = transferability(BASE, table(en=0.70, zh=0.50, sw=0.13, th=0.24), ["en"], ["sw", "th"])
    assert fixed.mti == pytest.approx(0.625), "zh has the mean gain of the two others"


def test_without_a_gain_there_is_no_index() -> None:
    lost = transferability(table(en=0.60, sw=0.20), table(en=0.57, sw=0.19), ["en"])
    assert NAN(lost.mti)
    assert lost.reasons == ("no gain on trained languages",)
    assert lost.raw == pytest.approx(1.0), "a drop on both sides looks like full transfer"
    assert "small" in transferability(table(en=0.5, sw=0.2), table(en=0.51, sw=0.4), ["en"]).reasons[0]
    zero = transferability(table(en=0.5, sw=0.0), table(en=0.6, sw=0.1), ["en"])
    assert NAN(zero.mti)
    assert "sw has no base accuracy" in zero.reasons[0]
    few = transferability(BASE, BASE | table(en=0.6), ["en"], min_base=0.15)
    assert "sw" not in few.gains
    assert few.mti == 0


def test_gains_are_means_over_benchmarks() -> None:
    before = {"en": {"aime": 0.1, "math": 0.5}, "sw": {"aime": 0.0, "math": 0.2}}
    after = {"en": {"aime": 0.2, "math": 0.6}, "sw": {"aime": 0.1, "math": 0.3}}
    assert method.relative_gains(before, after) == pytest.approx({"en": (1.0 + 0.2) / 2, "sw": 0.5})


def test_the_law_by_hand() -> None:
    law = fit_scaling([1, 2, 4, 8], [7.5, 10, 12, 14.4])
    assert (law.law.b, law.law.a, law.gap) == pytest.approx((0.263034, 8.333333, 0.833333), abs=1e-6)
    assert (law.leap, law.later, law.predict(16)) == pytest.approx((2.5, 4.4 / 6, 17.28))
    assert law.left_out == pytest.approx(0, abs=1e-6)
    assert law.law.r2 == pytest.approx(1)
    assert law.logarithmic < 0.998
    pilot = fit_scaling([1, 2, 4, 8], [0.071, 0.256, 0.380, 0.567])
    assert (pilot.law.a, pilot.law.b, pilot.gap) == pytest.approx((0.172, 0.575, 0.101), abs=1e-3)
    with pytest.raises(UserError, match="two or more"):
        fit_scaling([1, 2], [1.0, 2.0])
    assert NAN(fit_scaling([2, 4], [1.0, 2.0]).gap)


# --- training ---------------------------------------------------------------------------------------------------------


def test_advantages_by_hand() -> None:
    found = policy.group_advantages(torch.tensor([[1.0, 1, 0, 0, 0, 0, 0, 0]], dtype=torch.float64))[0]
    deviation = 0.46291005
    assert found[:3].tolist() == pytest.approx([0.75 / (deviation + 1e-4)] * 2 + [-0.25 / (deviation + 1e-4)])
    assert 0.75 / deviation == pytest.approx(1.620185, abs=1e-6)
    assert -0.25 / deviation == pytest.approx(-0.540062, abs=1e-6)


def test_the_gradient_for_one_token_is_that_of_core() -> None:
    """A prompt that is read once, and eight answers to it, against eight rows of prompt and answer."""
    tokenizer = miniature.tokenizer_for()
    model: Any = from_config(scratch_shape(len(tokenizer)), seed=1).eval()
    rows = [miniature.row(tokenizer, text, 3) for text in ("seven plus four =", "neun =", "hét meg huszonnégy =")]
    batch = method.collate(rows, np.random.default_rng(0))
    log_probs = method.answer_log_probs(model, batch).detach()
    generator = torch.Generator().manual_seed(int(batch["sampling_seed"]))
    drawn = torch.multinomial(log_probs.exp(), 8, replacement=True, generator=generator)
    batch["gold"] = drawn[:, 0]  # so that one answer of each group is right
    total, items, logs = method.policy_loss(model, batch, group=8)
    (total / items).backward()
    mine = {name: weight.grad.clone() for name, weight in model.named_parameters()}
    model.zero_grad()

    advantages = policy.group_advantages((drawn == batch["gold"][:, None]).float())
    ids, labels, mask = [], [], []
    for row, answers in zip(rows, drawn.tolist(), strict=True):
        for answer in answers:
            pad = [0] * (batch["input_ids"].shape[1] - len(row["input_ids"]))
            ids.append([*row["input_ids"], answer, *pad])
            labels.append([-100] * len(row["input_ids"]) + [answer] + [-100] * len(pad))
            mask.append([1] * (len(row["input_ids"]) + 1) + [0] * len(pad))
    whole = {"input_ids": ids, "labels": labels, "attention_mask": mask}
    given = {name: torch.tensor(values) for name, values in whole.items()}
    theirs, answers_, _ = policy.policy_loss(model, given | {"advantages": advantages.flatten()})
    assert float(logs["reward"]) > 0
    (theirs / answers_).backward()
    for name, weight in model.named_parameters():
        assert torch.allclose(weight.grad, mine[name], atol=1e-6), name


def test_permuted_rewards_are_as_many() -> None:
    tokenizer = miniature.tokenizer_for()
    model: Any = from_config(scratch_shape(len(tokenizer)), seed=1).eval()
    batch = method.collate([miniature.row(tokenizer, "seven plus four =", 11)] * 4, np.random.default_rng(0))
    log_probs = method.answer_log_probs(model, batch)
    batch["gold"] = log_probs.argmax(1)
    with torch.no_grad():
        right, wrong = (method.policy_loss(model, batch, group=64, permuted=flag) for flag in (False, True))
    assert right.logs["reward"] == wrong.logs["reward"]
    assert right.total != wrong.total


def test_every_k_has_as_many_examples_and_meets_each_problem_in_each_language() -> None:
    for k, codes in ((1, ["en"]), (2, ["en", "de"]), (4, ["en", "de", "zh", "ru"])):
        order = schedule(50, codes, 400, seed=3)
        assert len(order) == 400 == len(schedule(50, codes, 400, budget="grow", seed=3)) // k
        assert Counter(order) == {(one, code): 8 // k for one in range(50) for code in codes}
        for start in range(0, 400, 50):  # a round: translations of a problem do not meet
            assert len({one for one, _ in order[start : start + 50]}) == 50
    apart = schedule(50, ["en", "de"], 400, parallel=False, seed=3)
    assert len({*apart}) == 50
    assert Counter(code for _, code in apart) == {"en": 200, "de": 200}
    assert len(schedule(50, ["en"], 60)) == 60


def test_arms_differ_by_what_they_say() -> None:
    assert examples(TINY, 629) == 200 * 48
    assert examples(with_variant(TINY, VARIANTS, "english_twice"), 629) == 2 * 200 * 48
    paper = PRESETS["paper"]
    assert examples(paper, 8000) == 64_000
    assert examples(with_variant(paper, VARIANTS, "english_twice"), 8000) == 128_000


# --- the tiny world ---------------------------------------------------------------------------------------------------


def test_words_are_distinct_and_problems_are_split_by_class() -> None:
    assert len({*miniature.PLUS.values()}) == 16
    assert not {*miniature.TRAINED} & {*miniature.UNSEEN}
    drawn = miniature.parts(5)
    classes = {part: {tuple(sorted(pair)) for pair in own} for part, own in drawn.items()}
    # Of 50 x 50 those that can be read off are left out: 30 + 7, 7 + 30, 7 + 0.
    found = {pair for own in drawn.values() for pair in own}
    assert len(found) == sum(map(len, drawn.values())) == 50 * 50 - 171
    assert found.isdisjoint({(30, 7), (7, 30), (7, 0), (0, 0), (20, 0)})
    assert {(20, 30), (27, 3), (1, 1)} <= found
    assert not classes["train"] & classes["test"]
    assert not classes["train"] & classes["dev"]
    words = {code: {*miniature.prompt(7, 24, code).split()} for code in miniature.PLUS}
    assert all(words["en"] & words[code] == {"="} for code in miniature.UNSEEN)
    assert miniature.solvers(TINY)["trivial_symmetric"] == miniature.solvers(TINY)["trivial_lookup"] == 0


def test_a_start_may_have_met_its_sums_in_english() -> None:
    tokenizer, english = miniature.tokenizer_for(), {}
    pairs, _ = miniature.probe(replace(TINY, seed=3))
    known = {
        tuple(row["input_ids"]): pair for pair, row in zip(pairs, miniature.sums(tokenizer, pairs, "en"), strict=True)
    }
    read = {tuple(row["input_ids"]) for code in miniature.PLUS for row in miniature.readings(tokenizer, code)}
    for centric in (True, False):
        config = override(TINY, {"seed": 3, "english_centric": centric, "reading.steps": 100})
        met = [tuple(row["input_ids"]) for row in miniature.start_rows(config, tokenizer)]
        added = [ids for ids in met if ids not in read]
        assert len(added) / len(met) == pytest.approx(TINY.sums, abs=0.02)
        own = [known[ids] for ids in added if ids in known]
        english[centric] = len(own) / len(added)
        most = miniature.ENGLISH_SHOWN if centric else TINY.shown
        assert {*own} <= {*pairs[:most]}
    assert english == pytest.approx({True: miniature.ENGLISH_SHARE, False: 1 / 16}, abs=0.03)


def test_the_start_trains_until_it_adds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """In phases; sums that it is shown and sums that it is asked for share no class, nor do those that are measured."""
    config = override(PRESETS["smoke"], {"adds": 0.07, "shown": 9, "reading.steps": 2, "reading.batch_size": 2})
    shown, asked = miniature.probe(config)
    assert len(asked) == miniature.PROBE
    assert len(shown) >= miniature.ENGLISH_SHOWN
    assert not {miniature.class_of(*pair) for pair in shown} & {miniature.class_of(*pair) for pair in asked}
    assert {*shown, *asked} <= {*miniature.parts(config.seed)["train"]}
    first, second = (miniature.start_rows(config, miniature.tokenizer_for(), phase) for phase in (0, 1))
    assert first != second

    phases: list[str] = []
    trained, answers = method.train, iter([0.02, 0.069, 0.02, 0.069, 0.08])

    def train(*arguments: Any, **options: Any) -> Any:
        phases.append(options["name"])
        if len(phases) == 3:
            raise KeyboardInterrupt
        return trained(*arguments, **options)

    monkeypatch.setattr(miniature, "PHASES", 3)
    monkeypatch.setattr(method, "train", train)
    monkeypatch.setattr(miniature, "answers", lambda *_: ([next(answers)], [False]))
    with runs.temporary("parallel_scaling", config) as run:
        with pytest.raises(KeyboardInterrupt):
            miniature.reader(config, run, tmp_path)
        miniature.reader(config, run, tmp_path)
        assert phases == ["reading0", "reading1", "reading2", "reading0", "reading1", "reading2"]
        lines = (tmp_path / "training" / "metrics.jsonl").read_text().splitlines()
        assert [one["adds"] for one in map(json.loads, lines) if "adds" in one] == [0.02, 0.069, 0.08]
        monkeypatch.setattr(miniature, "answers", lambda *_: ([0.069], [False]))
        with pytest.raises(UserError, match=r"adds in 0\.069 of cases after 3 phases, not in 0\.07"):
            miniature.reader(config, run, tmp_path / "never")


def test_the_order_of_languages_is_drawn() -> None:
    orders = {miniature.order(replace(TINY, seed=seed)) for seed in range(5)}
    assert len(orders) > 3
    assert {one[0] for one in orders} == {"en"}
    assert len({one[1] for one in orders}) > 1
    with pytest.raises(UserError, match="no training in 'sw'"):
        miniature.order(replace(TINY, languages=("en", "sw")))
    with pytest.raises(UserError, match="ks goes to 8"):
        miniature.order(replace(TINY, languages=("en", "de")))
    with pytest.raises(UserError, match="no sums in 'xx'"):
        miniature.unseen(replace(TINY, unseen=("xx",)))


# --- written answers --------------------------------------------------------------------------------------------------


def test_boxes() -> None:
    assert reasoning.flat_boxes(r"The answer is \boxed{12}") == ["12"]
    nested = r"so \boxed{\frac{1}{2}}"
    assert reasoning.flat_boxes(nested) == [r"\frac{1"]
    assert reasoning.boxes(nested) == [r"\frac{1}{2}"]
    assert reasoning.flat_boxes(r"\boxed{A}\boxed{B}\boxed{C}\boxed{D}\boxed{B}") == ["B"]
    assert reasoning.correct(nested, "0.5")
    assert reasoning.correct(r"\boxed{1,250}", "1250")
    assert reasoning.correct(r"\boxed{3} \boxed{\text{B}}", "B")
    assert not reasoning.correct(r"\boxed{7} \boxed{8}", "7")
    assert reasoning.correct(r"\boxed{7} \boxed{8}", "7", "xreasoning")
    assert not reasoning.correct("7", "7")
    assert not reasoning.correct(r"\boxed{1/0}", "1")


def test_rewards_have_three_parts() -> None:
    german = "<think>Drei und vier sind sieben, wie jeder weiß, der zählen kann.</think> \\boxed{7}"
    short = "<think>7</think> \\boxed{7}"
    texts = [THINKS, german, short, "\\boxed{7}", "<think>x</think><think>y</think> \\boxed{8}"]
    found = reasoning.parts(texts, "7", "en")
    assert found["accuracy"] == [1, 1, 1, 1, 0]
    assert found["format"] == [1, 1, 1, 0, 0]
    assert found["language"] == [1, 0, 0, 0, 0]
    assert reasoning.rewards(texts[:2], "7", "en", (1.0, 0.1, 0.2)) == pytest.approx([1.3, 1.1])
    # The prompt has opened the block already.
    assert reasoning.parts([THINKS.removeprefix("<think>")], "7", "en")["format"] == [1]


def test_off_tag_answers() -> None:
    found = reasoning.off_tag([THINKS, THINKS, "<think>7</think> \\boxed{7}"], ["en", "ja", "ja"])
    assert (found["en"].rate, found["ja"].rate, found["ja"].judged, found["ja"].outputs) == (0, 1, 1, 2)
    formulas = "<think>$x^2 + y$ \\frac{a}{b} \\(abcdefghijklmnopqrstuvwxyz\\)</think>"
    assert reasoning.off_tag([formulas], ["ja"])["ja"].judged == 0
    own = reasoning.off_tag([THINKS], ["ja"], identify=lambda text, code: code)
    assert own["ja"].rate == 0


def test_prompts_force_a_language(tmp_path: Path) -> None:
    from core.models.loading import load

    byte_decoder(tmp_path, ["a b"], chat_template="{% for m in messages %}<u>{{ m.content }}{% endfor %}<a>")
    _, tokenizer = load(tmp_path)
    free, forced = (reasoning.prompt(tokenizer, "Was ist 3 + 4?", "de", forced=flag) for flag in (False, True))
    assert free.startswith("<u>Was ist 3 + 4?\n\nSolve")
    assert free.endswith("<a><think>\n")
    assert "Denke immer auf Deutsch" in forced
    assert forced.endswith("durch.")
    with pytest.raises(UserError, match="no wording to force 'ka'"):
        reasoning.prompt(tokenizer, "x", "ka", forced=True)


# --- own data ---------------------------------------------------------------------------------------------------------


def rows_of(problems: int) -> list[dict[str, Any]]:
    asked = {"en": "What is {n} plus 1?", "de": "Was ist {n} plus 1?", "sw": "{n} jumlisha 1?"}
    return [
        {"id": n, "lang": code, "prompt": text.format(n=n), "answer": n + 1, "solution": f"{n + 1}"}
        for n in range(problems) for code, text in asked.items()
    ]  # fmt: skip


def test_aligned_problems(tmp_path: Path) -> None:
    rows = rows_of(3)
    source = write(tmp_path / "p.jsonl", *rows, {"id": 9, "lang": "en", "prompt": "only English", "answer": "x"})
    found = data.read_aligned(source, ["en", "de"])
    assert [one.id for one in found] == ["0", "1", "2"]
    assert found[1].prompts["de"] == "Was ist 1 plus 1?"
    assert found[1].answer == "2"
    assert found[1].solutions["en"] == "2"
    with pytest.raises(UserError, match="row 2: its answer is '5'"):
        data.read_aligned(write(tmp_path / "q.jsonl", rows[0], rows[1] | {"answer": 5}), ["en", "de"])
    with pytest.raises(UserError, match="no problem in all of en, fr"):
        data.read_aligned(source, ["en", "fr"])
    with pytest.raises(UserError, match="row 1: it needs prompt"):
        data.read_aligned(write(tmp_path / "r.jsonl", {"id": 1, "lang": "en"}), ["en"])


def test_tests_have_the_columns_of_the_hub(tmp_path: Path) -> None:
    for code in ("en", "sw"):
        write(tmp_path / f"aime_{code}.jsonl", {"problem": f"Find x. {code}", "answer": 204})
    write(
        tmp_path / "mine.jsonl",
        {"lang": "en", "problem": "p", "answer": "(C)"},
        {"lang": "sw", "problem": "q", "answer": "(D)"},
    )
    config = replace(PRESETS["paper"], tests=(str(tmp_path / "aime_{code}.jsonl"), str(tmp_path / "mine.jsonl")))
    found = data.tests(config, ["en", "sw"])
    assert [one.answer for one in found["sw"]] == ["204", "D"]
    assert found["en"][0].id.startswith("aime_")
    assert found["sw"][0].id == found["en"][0].id
    with pytest.raises(UserError, match="no item in 'de'"):
        data.tests(replace(config, tests=(str(tmp_path / "mine.jsonl"),)), ["de"])


@pytest.mark.parametrize("paradigm", ["grpo", "sft"])
def test_training_on_own_problems(paradigm: str, tmp_path: Path, command: Callable[..., Any]) -> None:
    byte_decoder(tmp_path / "model", [row["prompt"] for row in rows_of(9)] * 2)
    write(tmp_path / "mine.jsonl", *rows_of(9))
    options = ["paper", "--base", "model", "--problems", "mine.jsonl", "--tests", "mine.jsonl", "--ks", "1", "2"]
    options += ["--languages", "en", "de", "--unseen", "sw", "--paradigm", paradigm, "--group", "2", "--samples", "2"]
    options += ["--max-new-tokens", "4", "--training.steps", "1", "--training.batch-size", "2"]
    options += ["--training.micro-batch-size", "0", "--training.precision", "fp32", "--training.strategy", "auto"]
    options += ["--training.no-gradient-checkpointing", "--out", "run", "--quiet"]
    for stage in ("train", "eval"):
        end = command(f"papers.parallel_scaling.{stage}", *options, cwd=tmp_path)
        assert end.code == 0, end.err
    measured = json.loads((tmp_path / "run" / "measurement.json").read_text())
    assert {"unseen_2", "gain_trained_1", "mti_2"} <= measured["metrics"].keys()
    assert measured["units"]["unseen_2"].keys() == {f"sw/mine/{n}" for n in range(9)}
    assert measured["metrics"]["mti_1"] is None, "nothing was right before: there is no relative gain"


def test_the_answers_of_a_step_are_a_multiple(tmp_path: Path) -> None:
    config = override(PRESETS["paper"], {"training.micro_batch_size": 3, "training.precision": "fp32"})
    with pytest.raises(UserError, match="no multiple of 3"):
        reasoning.settings(config, 100, str(tmp_path))


def test_verbs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before, after = ("before.jsonl", "after.jsonl")
    items = [(code, n) for code in ("en", "sw") for n in range(40)]
    rng = np.random.default_rng(0)
    for name, shares in ((before, {"en": 0.4, "sw": 0.3}), (after, {"en": 0.8, "sw": 0.5})):
        write(tmp_path / name, *({"lang": c, "id": n, "score": int(rng.random() < shares[c])} for c, n in items))
    paths = ["--before", str(tmp_path / before), "--after", str(tmp_path / after)]
    use.main(["mti", *paths, "--trained", "en"])
    said = capsys.readouterr().out
    index = re.search(r"MTI ([\d.]+) \[(-?[\d.]+), ([\d.]+)\]", said)
    assert index
    assert float(index[2]) < float(index[1]) < float(index[3])
    assert "relative gain, trained +" in said
    write(tmp_path / "fewer.jsonl", *({"lang": code, "id": n, "score": 1} for code, n in items[1:]))
    for options, message in (
        ([*paths, "--trained", "en", "--unseen", "en"], "name it once"),
        ([*paths[:3], str(tmp_path / "fewer.jsonl"), "--trained", "en"], "the same items"),
    ):
        with pytest.raises(SystemExit):
            use.main(["mti", *options])
        assert message in capsys.readouterr().err
    with pytest.raises(SystemExit):
        use.main(["law", write(tmp_path / "low.jsonl", {"k": 2, "score": -0.1})])
    assert "above zero" in capsys.readouterr().err

    rows = [
        {"k": k, "score": y + d, "seed": d}
        for d in (0, 0.4)
        for k, y in zip((1, 2, 4, 8), (7.5, 10, 12, 14.4), strict=True)
    ]
    use.main(["law", write(tmp_path / "law.jsonl", *rows)])
    said = capsys.readouterr().out
    assert re.search(r"at k = 16 +17\.\d+ \[17\.2", said)
    assert "warning: 3 points" in said

    use.main(["audit", write(tmp_path / "o.jsonl", {"lang": "ja", "output": THINKS, "answer": 7})])
    assert "off-tag 1.000 of 1 (1 outputs), right 1.000 of 1" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"lang": "en", "score": 50}], "shares from 0 to 1"),
        ([{"lang": "en", "score": 0.5}] * 2, "has a score already"),
        ([{"lang": "en"}], "row 1"),
    ],
)
def test_bad_tables_are_refused(rows: list[dict[str, Any]], message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message):
        use.read_scores(write(tmp_path / "s.jsonl", *rows))


# --- settings and runs ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ks": (2, 1)}, "rising order"),
        ({"permuted": True, "paradigm": "sft"}, "has none"),
        ({"problems": "x.jsonl"}, "need a model"),
        ({"base": "x", "languages": ("de", "en")}, "'en' as the first"),
        ({"base": "x", "languages": ("en", "de"), "ks": (1,)}, "unseen is empty"),
        ({"languages": ("en", "de"), "unseen": ("de",)}, "is trained on"),
        ({"weights": (0.0, 0.0, 0.0)}, "three numbers"),
    ],
)
def test_settings_that_mean_nothing_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        override(Config(), changes)


def test_smoke_measures_every_k(smoke: Callable[[str], Any]) -> None:
    measured = smoke("parallel_scaling").measurement
    for k in PRESETS["smoke"].ks:
        assert len(measured["units"][f"unseen_{k}"]) == 8 * PRESETS["smoke"].items
        assert {code.partition("/")[0] for code in measured["units"][f"trained_{k}"]} == {*miniature.order(TINY)[:k]}
    notes = json.loads((smoke("parallel_scaling").path / "artifact" / "study.json").read_text())
    assert {one["examples"] for one in notes.values()} == {24}


def test_every_k_begins_at_the_same_weights(smoke: Callable[[str], Any]) -> None:
    """Without a step to make, a training leaves the start as it is, whatever k."""
    from papers.parallel_scaling import train

    config = override(PRESETS["smoke"], {"ks": (1, 2), "training.learning_rate": 0.0})
    with runs.temporary("parallel_scaling", config) as run:
        shared = runs.Run(run.path, "parallel_scaling", config, smoke("parallel_scaling").stages, quiet=True)
        train.train(config, shared)
        files = [(run.artifact / name / "model.safetensors").read_bytes() for name in ("k1", "k2")]
        start = Path(train.starting_point(config, shared), "model.safetensors").read_bytes()
    assert files[0] == files[1] == start


def test_the_python_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (find("parallel_scaling").folder / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    assert blocks
    monkeypatch.chdir(tmp_path)
    for block in blocks:
        exec(compile(block, "README.md", "exec"), {})
