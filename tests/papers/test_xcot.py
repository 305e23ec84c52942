"""xcot: the paper's numbers, the devices by hand, aligned distillation, own data on another model, smoke."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch

from core.errors import UserError
from core.experiment import run as runs
from core.experiment.config import override, with_variant
from core.experiment.paper import find
from core.metrics.gaps import language_gap
from core.models.loading import from_config
from core.models.tokenization import train_bpe
from core.text.codeswitch import Unit, replace_units
from core.training.losses import IGNORED, causal_lm_loss
from core.worlds import chains
from papers.xcot import batches, build_xcot, data, distillation_loss, finetune, miniature, train, use
from papers.xcot import eval as evaluation
from papers.xcot.batches import Batches
from papers.xcot.config import PRESETS, VARIANTS, Config, scratch_shape, whole, workload
from papers.xcot.method import Draws, Turn, ask, objective

TINY = override(PRESETS["tiny"], {"languages": ("sw", "fil")})
# Accuracy on MGSM by language, and MathOctopus' without Telugu, from the table that cites both.
ORDER = ("sw", "bn", "te", "th", "ja", "zh", "ru", "es", "fr", "de", "en")
REPORTED = {
    "xcot-7b": (48.4, 40.4, 42.8, 49.2, 50.0, 50.0, 50.0, 48.8, 49.6, 47.2, 48.4),
    "xcot-13b": (51.6, 50.0, 47.2, 50.0, 49.6, 54.0, 56.8, 54.8, 46.4, 52.4, 54.4),
    "mathoctopus-7b": (38.4, 33.2, None, 36.4, 35.6, 45.2, 48.4, 45.2, 38.0, 43.6, 54.8),
    "mathoctopus-13b": (46.0, 42.0, None, 46.0, 39.6, 51.2, 47.6, 53.2, 49.6, 49.2, 51.6),
}


def write_lines(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return str(path)


# --- the paper's numbers ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "mean"), [("xcot-7b", 47.71), ("xcot-13b", 51.56), ("mathoctopus-7b", 41.88), ("mathoctopus-13b", 47.60)]
)
def test_the_means_are_those_of_the_tables(model: str, mean: float) -> None:
    scores = {code: score for code, score in zip(ORDER, REPORTED[model], strict=True) if score is not None}
    assert language_gap(scores, ("sw", "bn", "te", "th")).mean == pytest.approx(mean, abs=0.005)


def test_the_claims_follow_from_the_tables() -> None:
    found = {}
    for model in ("xcot-7b", "mathoctopus-7b"):
        scores = {code: score for code, score in zip(ORDER, REPORTED[model], strict=True) if score is not None}
        found[model] = language_gap(scores, ("sw", "bn", "th"))
    assert found["xcot-7b"].low - found["mathoctopus-7b"].low == pytest.approx(10.0)
    assert found["xcot-7b"].mean_to_best == pytest.approx(0.954, abs=5e-4)
    assert found["mathoctopus-7b"].mean_to_best == pytest.approx(0.764, abs=5e-4)
    claims = {claim.id: claim for claim in find("xcot").claims}
    assert claims["low-resource-accuracy"].size == pytest.approx(0.10)
    assert claims["gap-between-languages"].size == pytest.approx(0.954 - 0.764, abs=1e-3)
    assert claims["english-is-kept"].size == pytest.approx(0.548 - 0.484)


def test_distillation_by_hand() -> None:
    student, teacher = torch.tensor([[math.log(3), 0.0]], requires_grad=True), torch.zeros(1, 2)
    loss = distillation_loss(student, teacher, torch.ones(1))
    assert loss.item() == pytest.approx(0.836988, abs=1e-6)
    assert loss.item() - math.log(2) == pytest.approx(0.143841, abs=1e-6)
    loss.backward()
    assert student.grad is not None
    # Cross-entropy and KL have one gradient: softmax of the student minus that of the teacher.
    assert torch.allclose(student.grad, torch.tensor([[0.25, -0.25]]))


def test_each_answer_counts_once_however_long() -> None:
    student, teacher = torch.randn(3, 5), torch.randn(3, 5)
    one, two = (distillation_loss(student[part], teacher[part], torch.ones(1)) for part in (slice(0, 1), slice(1, 2)))
    three = distillation_loss(student[2:], teacher[2:], torch.ones(1))
    both = distillation_loss(student, teacher, torch.tensor([1.0, 0.5, 0.5]))
    assert both.item() == pytest.approx(((one + (two + three) / 2) / 2).item())


# --- samples ----------------------------------------------------------------------------------------------------------


pool = cache(data.pool)


def drawn(count: int = 200, **changes: Any) -> list[dict[str, Any]]:
    found = pool(override(TINY, {"coverage": changes.get("coverage", 1.0)}))
    rows = Draws(found, override(TINY, changes), count)
    return [rows[place] for place in range(count)]


def test_answers_are_english_chains_whatever_the_question() -> None:
    for sample in drawn():
        for turn in sample["turns"]:
            assert re.fullmatch(r"([a-z ]+ = [a-z ]+ \. ){1,2}The answer is \d+", turn.chain)
            assert set(turn.chain.split()[:2]) <= set(turn.english.split())


def test_the_query_is_rewritten_into_another_language_and_so_are_its_demonstrations() -> None:
    for rewrite in ("english", "random"):
        for sample in drawn(rewrite=rewrite):
            pivots = {turn.pivot for turn in sample["turns"]}
            assert len(pivots) == 1
            query = sample["turns"][-1]
            assert query.rewritten != query.question
            if rewrite == "english":
                assert (query.pivot == "en") == (query.question != query.english)
                assert not query.pivot or query.rewritten == query.english
    # Most English problems have no translation; every question of another language has one in each of the others.
    others = [turns[-1] for turns in (sample["turns"] for sample in drawn(rewrite="random"))]
    assert {turn.pivot for turn in others if turn.question != turn.english} == {"en", "sw", "fil"}
    turn = Turn("saba ?", "x", "seven ?", "en", "seven ?")
    assert (turn.prompt, turn.answer) == ("Question: saba ?\nAnswer: In English:", " seven ?\nSolution: x")


def test_demonstrations_are_switched_in_their_share_and_the_query_is_not() -> None:
    english = {word for one in miniature.parts(0)["tuning"] for word in chains.question(one, "en").split()}
    samples = drawn(500)
    assert any(one.units["sw"] for one in pool(TINY)["sw"])  # demonstrations of any language are switched
    with_context = [sample["turns"] for sample in samples if len(sample["turns"]) == 2]
    assert len(with_context) / len(samples) == pytest.approx(2 / 3, abs=0.06)
    words = [word for demo, _ in with_context for word in demo.question.split()[:-1]]
    assert 0.4 < sum(word in english for word in words) / len(words) < 0.6
    none, half, every = (
        [sample["turns"][0] for sample in drawn(**changes) if len(sample["turns"]) == 2]
        for changes in ({"alpha": 0.0}, {"alpha": 1.0, "coverage": 0.5}, {"alpha": 1.0})
    )
    assert all(demo.question == demo.english for demo in none)
    assert not any(set(demo.question.split()) & english - {"?"} for demo in every)
    left = [word in english for demo in half for word in demo.question.split()[:-1]]
    assert 0.2 < sum(left) / len(left) < 0.8
    assert {len(sample["turns"]) for sample in drawn(k=3)} == {1, 4}
    assert {len(sample["turns"]) for sample in drawn(context="none")} == {1}


def test_a_sample_depends_on_its_place_alone_and_arms_share_their_draws() -> None:
    assert drawn(20) == drawn(40)[:20]
    native = Draws(pool(TINY), with_variant(TINY, VARIANTS, "native"), 50)
    turns = [native[place]["turns"][-1] for place in range(50)]
    assert any("jumlisha" in turn.chain or "toa" in turn.chain for turn in turns)
    assert all(turn.pivot is None for turn in turns)


def test_nothing_of_the_test_is_trained_on() -> None:
    for config in (TINY, override(TINY, {"mismatched": True})):
        classes = {part: {one.cls for one in found} for part, found in miniature.parts(config.seed).items()}
        assert not classes["tuning"] & (classes["dev"] | classes["test"])
        allowed = {one.id for one in miniature.parts(config.seed)["tuning"]}
        assert all(one.id in allowed or one.id.endswith("?") for own in pool(config).values() for one in own)
        assert len(pool(config)["sw"]) == len(pool(config)["fil"]) == config.questions
    solved = miniature.solvers(TINY)
    assert solved["lookup"] == solved["symmetric"] == 0
    assert max(solved.values()) < 0.15


def test_the_null_arm_has_words_and_questions_of_others() -> None:
    true, null = pool(TINY), pool(override(TINY, {"mismatched": True}))
    same = [
        left.translation == right.translation
        for a, b in zip(true["en"], null["en"], strict=True)
        for left, right in zip(a.units["sw"], b.units["sw"], strict=True)
    ]
    assert sum(same) / len(same) < 0.35
    for a, b in zip(true["sw"], null["sw"], strict=True):
        assert a.questions["sw"] == b.questions["sw"]
        assert a.questions["en"] != b.questions["en"]
        assert a.answers["en"].startswith(" ".join(a.questions["en"].split()[:3]))
        assert b.answers["en"].startswith(" ".join(b.questions["en"].split()[:3]))


def test_a_lexicon_has_its_share_of_the_words_and_units_are_of_them() -> None:
    known = miniature.lexicon(TINY, "fil")
    assert len(known) == round(TINY.coverage * (miniature.LARGEST + 4))
    assert miniature.lexicon(override(TINY, {"seed": 7}), "fil") != known
    found = {unit.translation for one in pool(TINY)["en"] for unit in one.units["fil"]}
    assert found == set(known)
    one = miniature.example(miniature.parts(0)["test"][0], ("en", "fil"), {})
    everything = miniature.lexicon(override(TINY, {"coverage": 1.0}), "fil")
    assert chains.word_by_word(one.questions["fil"], everything) == one.questions["en"]


def test_seeds_draw_languages_of_their_own() -> None:
    found = [
        code for seed in find("xcot").seeds for code in miniature.targets(override(PRESETS["tiny"], {"seed": seed}))
    ]
    assert len(found) == len(set(found)) == miniature.DRAWN * len(find("xcot").seeds)
    assert set(found) <= set(miniature.POOL)
    with pytest.raises(UserError, match="no problems in 'km'"):
        miniature.targets(override(TINY, {"languages": ("km",)}))


# --- batches and the loss ---------------------------------------------------------------------------------------------


def test_distilled_positions_predict_the_same_tokens_of_the_same_answers() -> None:
    tokenizer = miniature.tokenizer_for(TINY)
    batch = Batches(tokenizer, TINY, 256)(drawn(24))
    pairs, width = batch["pairs"], batch["input_ids"].shape[1]
    student = batch["input_ids"].flatten()[pairs["student"] + 1]
    assert torch.equal(student, batch["teacher"]["input_ids"].flatten()[pairs["teacher"] + 1])
    assert (batch["labels"].flatten()[pairs["student"] + 1] == student).all()
    assert batch["attention_mask"].flatten()[pairs["student"] + 1].all()
    # Answers alone, from where the chain of thought begins: no rewritten question, no prompt.
    spelled = tokenizer.convert_ids_to_tokens(student.tolist())
    assert "Solution:" not in spelled
    assert "Question:" not in spelled
    assert spelled.count("The answer is") == spelled.count("</s>") == round(pairs["weights"].sum().item())
    rows = set((pairs["student"] // width).tolist())
    samples = [sample["turns"] for sample in drawn(24)]
    assert rows == {row for row, turns in enumerate(samples) if any(ask(t.english) != t.prompt for t in turns)}


def test_the_flat_control_has_the_same_text_in_rows_of_its_own() -> None:
    tokenizer, samples = miniature.tokenizer_for(TINY), drawn(24)
    context, rows = (
        Batches(tokenizer, override(TINY, {"context": kind}), 256)(samples) for kind in ("demonstrations", "rows")
    )
    assert len(rows["input_ids"]) == sum(len(sample["turns"]) for sample in samples) > len(context["input_ids"])
    assert sorted(rows["targets"].tolist()) == sorted(context["targets"].tolist())
    silent = Batches(tokenizer, override(TINY, {"loss_on_context": False}), 256)(samples)
    assert (silent["labels"] == tokenizer.eos_token_id).sum() == len(samples)
    # What does not fit is left out: demonstrations first, and never half an answer.
    short = Batches(tokenizer, TINY, 45)(samples)
    assert short["input_ids"].shape[1] <= 45
    ends = [(batch["labels"] == tokenizer.eos_token_id).sum() for batch in (short, context)]
    assert len(samples) <= ends[0] < ends[1]
    assert (Batches(tokenizer, TINY, 12)(samples)["labels"] == IGNORED).all()


def small_model() -> Any:
    return from_config(scratch_shape(len(miniature.tokenizer_for(TINY))), seed=0)


def test_with_the_teachers_own_input_the_loss_is_its_entropy_and_no_gradient_reaches_it() -> None:
    model = small_model()
    tokenizer = miniature.tokenizer_for(TINY)
    batch = Batches(tokenizer, TINY, 256)(drawn(8))
    same = {**batch, "teacher": {key: batch[key] for key in ("input_ids", "attention_mask")}}
    same["pairs"] = {**batch["pairs"], "teacher": batch["pairs"]["student"]}
    plain = causal_lm_loss(model, {key: batch[key] for key in ("input_ids", "attention_mask", "labels")})
    found = objective(0.5)(model, dict(same))
    probabilities = model(**same["teacher"]).logits.flatten(0, 1)[batch["pairs"]["student"]].softmax(-1)
    weights = batch["pairs"]["weights"]
    entropy = (weights * -(probabilities * probabilities.log()).sum(-1)).sum() / weights.sum()
    assert found.items == plain.items
    assert found.total.item() == pytest.approx((plain.total + 0.5 * entropy * plain.items).item(), rel=1e-4)
    # Where both distributions are one, the gradient is 0: only that of the labels is left.
    model.zero_grad()
    found.total.backward()
    first = [p.grad.clone() for p in model.parameters()]
    model.zero_grad()
    plain.total.backward()
    for own, other in zip(first, [p.grad for p in model.parameters()], strict=True):
        assert torch.allclose(own, other, atol=1e-3)
    assert objective(0.0)(model, dict(batch)).total.item() == pytest.approx(plain.total.item(), rel=1e-5)


def test_the_teacher_has_no_dropout_and_is_asked_even_where_nothing_is_distilled() -> None:
    model = small_model().train()
    seen: list[bool] = []
    model.register_forward_hook(lambda *_: seen.append(model.training))
    batch = Batches(miniature.tokenizer_for(TINY), TINY, 256)(drawn(4))
    objective(0.3)(model, dict(batch))
    assert seen == [True, False]
    assert model.training
    english = [
        sample
        for sample in drawn(40)
        if [turn.prompt for turn in sample["turns"]] == [ask(sample["turns"][-1].english)]
    ]
    batch = Batches(miniature.tokenizer_for(TINY), TINY, 256)(english)
    plain = causal_lm_loss(model, {key: batch[key] for key in ("input_ids", "attention_mask", "labels")})
    assert objective(0.3)(model, dict(batch)).total.item() == pytest.approx(plain.total.item(), rel=1e-5)
    assert seen[-2:] == [True, False]


def test_queries_are_rewritten_online_by_the_model_as_it_is() -> None:
    config = override(TINY, {"source": "online"})
    samples, asked = drawn(40, source="online"), []

    def translate(prompts: list[str]) -> list[str]:
        asked.extend(prompts)
        return [
            "zero plus one then plus two ?",
            *(prompt.split("\n")[0].removeprefix("Question: ") for prompt in prompts[1:]),
        ]

    tokenizer = miniature.tokenizer_for(TINY)
    batch = Batches(tokenizer, config, 256, translate, begin=20)(samples)
    due = [s["turns"][-1] for s in samples if s["place"] >= 20 and s["place"] % 2 and s["turns"][-1].pivot]
    assert asked == [turn.prompt for turn in due]
    assert batch["notes"]["copied"] == pytest.approx((len(due) - 1) / len(due))
    model = small_model()
    logs = objective(0.3)(model, batch).logs
    assert logs["copied"] / logs["sft"] > 0
    texts = batches.translate(model, tokenizer, 6, [due[0].prompt])
    assert len(texts) == 1
    assert "notes" not in Batches(tokenizer, config, 256, translate, begin=99)(samples)


# --- own data, other models -------------------------------------------------------------------------------------------

ENGLISH = [
    {"id": f"p{n}", "question": f"Ali has {n} red apples. He buys two apples. How many apples has he?",
     "answer": f"He has {n} + 2 = <<{n}+2={n + 2}>>{n + 2} apples.\n#### {n + 2}"}
    for n in range(3, 15)
]  # fmt: skip
TURKISH = [
    {"id": row["id"], "question": f"Ali'nin {row['id'][1:]} kırmızı elması var. İki elma alıyor. Kaç elması var?"}
    for row in ENGLISH
]
LEXICON = {"red apples": "kırmızı elması", "two": "iki", "apples": "elma", "How many": "Kaç"}


def test_a_training_set_is_built_from_english_translations_and_a_lexicon() -> None:
    rows = build_xcot(ENGLISH, {"tr": TURKISH}, {"tr": LEXICON}, alpha=1.0, k=2, seed=1)
    assert [row["lang"] for row in rows] == ["en"] * 12 + ["tr"] * 12
    row = rows[12]
    assert row["answer_en"] == "He has 3 + 2 = 5 apples.\nThe answer is 5."
    assert row["id"] not in row["context"]
    assert len(row["context"]) == 2
    assert row["prompt"].count("kırmızı elması. He buys iki elma. Kaç elma has he?") == 2
    assert row["prompt"].endswith(f"Question: {TURKISH[0]['question']}\nAnswer:")
    assert row["completion"] == f" {row['answer_en']}"
    assert replace_units(row["question_en"], [Unit(*unit) for unit in row["units"]]).startswith("Ali has 3 kırmızı")
    plain = build_xcot(ENGLISH, {"tr": TURKISH}, {"tr": LEXICON}, alpha=0.0)
    assert "kırmızı elması." not in plain[12]["prompt"].rpartition("Question:")[0]
    with pytest.raises(UserError, match="'x' in 'tr' is not in English"):
        build_xcot(ENGLISH, {"tr": [{"id": "x", "question": "?"}]}, {"tr": LEXICON})
    with pytest.raises(UserError, match="'p3': its answer has no number"):
        build_xcot([{**ENGLISH[0], "answer": "no"}], {})
    with pytest.raises(UserError, match="too few for 2"):
        build_xcot(ENGLISH[:2], {})


def test_the_hub_s_translations_get_units_from_alignment(tmp_path: Path) -> None:
    rows = []
    for number in (4, 9):
        for language, question in (("English", f"{number} cats?"), ("Swahili", f"paka {number}?")):
            prompt = f"Please answer in {language}.\n\n### Instruction:\n{question}\n\n### Response:"
            rows.append({"prompt": prompt, "chosen": f"{number} #### {number}"})
    config, path = override(PRESETS["paper"], {"languages": ("sw",)}), write_lines(tmp_path / "rows.jsonl", rows)
    first, second = data.hub_examples(config, path)
    assert first.questions == {"en": "4 cats?", "sw": "paka 4?"}
    assert first.answers["sw"] == "4\nThe answer is 4."
    assert first.units["sw"] == second.units["sw"] == [Unit(1, 2, "paka")]


def own_model(folder: Path) -> Path:
    """A model of another kind than the miniature's: byte-level pieces, tied embeddings."""
    from core.models.architectures import miniature as shape
    from core.training.fit import save_pretrained

    texts = [row["question"] for row in (*ENGLISH, *TURKISH)] + [row["answer"] for row in ENGLISH]
    tokenizer = train_bpe([*texts, "Question: Answer: In English: Solution: The answer is\n"], 400)
    config = shape(len(tokenizer), width=32, layers=1, heads=2, feed_forward=64, positions=512)
    save_pretrained(from_config(config, seed=0), folder, tokenizer)
    return folder


def test_the_worked_example(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Build a Turkish set, tune another model on it by each way, measure it, score outputs."""
    files = {"english": ENGLISH, "translated": TURKISH}
    options = [f"--{key}={write_lines(tmp_path / f'{key}.jsonl', rows)}" for key, rows in files.items()]
    lexicon = tmp_path / "en-tr.tsv"
    lexicon.write_text("".join(f"{source}\t{target}\n" for source, target in LEXICON.items()), encoding="utf-8")
    built = tmp_path / "xcot.jsonl"
    use.main(["build", *options, "--language", "tr", "--lexicon", str(lexicon), "--out", str(built)])
    assert "12 in en, 12 in tr" in capsys.readouterr().out

    asked = [{"lang": code, "question": "3 + 2?", "answer": 5} for code in ("en", "tr")]
    changes = {
        "base": str(own_model(tmp_path / "model")), "examples": str(built), "languages": ("tr",), "max_new_tokens": 12,
        "test": write_lines(tmp_path / "test.jsonl", asked),
    }  # fmt: skip
    config = override(PRESETS["smoke"], changes)
    for more in ({}, {"source": "online", "split": "dev"}):
        own = override(config, more)
        with runs.temporary("xcot", own) as run:
            train.train(own, run)
            measured = evaluation.evaluate(own, run)
            assert set(measured.metrics) >= {"accuracy", "english", "gap", "mean_to_best"}
            assert len(measured.units["accuracy"]) == 1
    with pytest.raises(UserError, match="no answer in its language"):
        data.pool(with_variant(config, VARIANTS, "native"))

    from core.models.loading import load

    model, tokenizer = load(tmp_path / "model")
    before = model.get_input_embeddings().weight.clone()
    examples = data.read_examples(str(built))
    tuned = finetune(model, tokenizer, examples, ["tr"], PRESETS["smoke"])
    assert not torch.equal(before, tuned.get_input_embeddings().weight)
    with pytest.raises(UserError, match="no example in 'sw'"):
        finetune(model, tokenizer, examples, ["sw"])

    capsys.readouterr()
    outputs = [
        {"id": 1, "lang": code, "output": f"so 3, The answer is {n}"} for code, n in (("en", "1,250.50"), ("sw", 5))
    ]
    wanted = [
        {"id": n, "lang": code, "answer": a} for n, code, a in ((1, "en", 1250.5), (1, "sw", 5.0), (2, "sw", 3.0))
    ]
    paths = ["--outputs", write_lines(tmp_path / "o", outputs), "--references", write_lines(tmp_path / "r", wanted)]
    use.main(["score", *paths])
    table = dict(line.split() for line in capsys.readouterr().out.splitlines())
    assert {key: float(value) for key, value in table.items()} == {
        "en": 1.0, "sw": 0.5, "mean": 0.75, "low": 0.5, "gap": 0.5, "mean_to_best": 0.75
    }  # fmt: skip
    told = [{**row, "answer": str(row["answer"])} for row in wanted[:2]]
    write_lines(tmp_path / "r", [*told, {"id": 2, "lang": "sw", "answer": "none"}])
    with pytest.raises(SystemExit):
        use.main(["score", *paths])
    assert "r: the answer to '2' has no number" in capsys.readouterr().err


def test_rows_are_no_longer_than_the_model_reads(tmp_path: Path) -> None:
    from transformers import GPT2Config

    from core.models.loading import load

    _, tokenizer = load(own_model(tmp_path / "model"))
    ends = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    shape = GPT2Config(vocab_size=len(tokenizer), n_embd=16, n_layer=1, n_head=2, n_positions=100, **ends)
    examples = data.read_examples(write_lines(tmp_path / "x.jsonl", build_xcot(ENGLISH, {"tr": TURKISH})))
    model, lengths = from_config(shape, seed=0), list[int]()
    model.register_forward_pre_hook(lambda *given: lengths.append(given[2]["input_ids"].shape[1]), with_kwargs=True)
    finetune(model, tokenizer, examples, ["tr"], override(PRESETS["smoke"], {"k": 4}))
    assert 90 < max(lengths) <= 100


# --- settings and runs ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"answer_language": "native"}, "baseline without the three devices"),
        ({"rewrite": "none", "source": "online"}, "rewrites no query"),
        ({"mismatched": True, "context": "none", "rewrite": "none"}, "nothing to exchange"),
        ({"base": "x"}, "languages is empty"),
        ({"base": "x", "languages": ("en",)}, "leave it out"),
        ({"examples": "x.jsonl"}, "need a model"),
    ],
)
def test_settings_that_mean_nothing_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        override(Config(), changes)


def test_every_arm_sees_as_many_tokens() -> None:
    tokenizer = miniature.tokenizer_for(TINY)
    reference = train.tokens(tokenizer, Draws(pool(TINY), TINY, 200))
    for variant in VARIANTS:
        config = with_variant(TINY, VARIANTS, variant)
        mine = train.tokens(tokenizer, Draws(pool(TINY), config, 200))
        assert train.tokens(tokenizer, Draws(pool(TINY), whole(config), 200)) == reference
        assert 0.45 < mine / reference < 1.03
    expected = reference * TINY.training.steps * TINY.training.batch_size
    expected += (
        TINY.english.steps
        * TINY.english.batch_size
        * sum(len(row["input_ids"]) for row in miniature.english_rows(tokenizer, TINY, 50))
        / 50
    )
    assert workload(TINY).tokens == pytest.approx(expected, rel=0.15)


def test_smoke_measures_every_language_and_step(smoke: Callable[[str], Any]) -> None:
    measured = smoke("xcot").measurement
    metrics = {
        "accuracy",
        "english",
        "mean_to_best",
        "gap",
        "fitted",
        "english_skill",
        "trivial_word_by_word",
        "understood",
    }
    assert metrics <= set(measured["metrics"])
    assert len(measured["units"]["accuracy"]) == len(measured["units"]["english"]) == PRESETS["smoke"].items
    facts = json.loads((smoke("xcot").path / "artifact" / "xcot.json").read_text())
    assert facts["rewrite"] == "english"


def test_smoke_of_a_baseline_is_longer(smoke: Callable[[str], Any]) -> None:
    config = with_variant(PRESETS["smoke"], VARIANTS, "native")
    with runs.temporary("xcot", config) as run:
        shared = runs.Run(run.path, "xcot", config, smoke("xcot").stages, quiet=True)
        train.train(config, shared)
        facts = json.loads((run.artifact / "xcot.json").read_text())
    assert facts["steps"] > 1.5 * config.training.steps


def test_the_python_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (find("xcot").folder / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    assert blocks
    monkeypatch.chdir(tmp_path)
    own_model(tmp_path / "my-model")
    write_lines(tmp_path / "xcot.jsonl", build_xcot(ENGLISH, {"tr": TURKISH}, {"tr": LEXICON}))
    for block in blocks:
        exec(compile(block, "README.md", "exec"), {})
