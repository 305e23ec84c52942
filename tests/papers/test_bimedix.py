"""BiMediX: parity numbers, adapters on real models, the miniature's splits, paired tests, and the worked examples."""

from __future__ import annotations

import dataclasses
import json
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM, PreTrainedModel

from core.cost.plan import plan
from core.distributed import barrier, launch_cpu
from core.errors import UserError
from core.experiment.config import override, with_variant
from core.experiment.entrypoint import entrypoint
from core.experiment.run import ROOT, Run
from core.metrics.classification import macro_mean
from core.models.mixtures import moe_blocks
from core.models.nf4 import quantize_base
from core.models.tokenization import train_bpe
from core.worlds import medicine
from papers.bimedix import PAPER, adapters, data, method, miniature, use
from papers.bimedix import eval as bimedix_eval
from papers.bimedix import train as bimedix_train
from papers.bimedix.config import PARTS, PRESETS, VARIANTS, mixtral_shape, workload

SHAPE = {
    "vocab_size": 64, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
    "max_position_embeddings": 512, "pad_token_id": 0, "eos_token_id": 2, "bos_token_id": 1,
}  # fmt: skip
EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2}
MIXTURES: dict[str, Any] = {
    "mixtral": lambda: transformers.MixtralConfig(**SHAPE, intermediate_size=24, num_local_experts=4),
    "olmoe": lambda: transformers.OlmoeConfig(**SHAPE, **EXPERTS, intermediate_size=24),
    "qwen2_moe": lambda: transformers.Qwen2MoeConfig(
        **SHAPE, **EXPERTS, intermediate_size=24, moe_intermediate_size=24, shared_expert_intermediate_size=24
    ),
    "qwen3_moe": lambda: transformers.Qwen3MoeConfig(
        **SHAPE, **EXPERTS, intermediate_size=24, moe_intermediate_size=24, head_dim=4
    ),
}
every_mixture = pytest.mark.parametrize("name", sorted(MIXTURES))
IDS = torch.arange(14).view(2, 7) * 4 % 64


def toy(name: str = "mixtral") -> PreTrainedModel:
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(MIXTURES[name]()).eval()


def randomize(model: PreTrainedModel) -> None:
    """Give every trained factor values, so that B = 0 hides nothing."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.normal_(0, 0.3)


# --- parity: routing and its loss ---------------------------------------------------------------------------------


def test_top_two_weights_of_the_worked_example() -> None:
    """Equation 1 is the model's own router; `method` adapts its weight."""
    block = moe_blocks(toy())[0]
    with torch.no_grad():
        block.router.weight.zero_()[:, 0] = torch.tensor([2.0, 0.0, 1.0, -1.0])
    _, weights, experts = block.router(torch.eye(1, 16))
    assert experts.tolist() == [[0, 2]]
    assert weights[0].tolist() == pytest.approx([0.731059, 0.268941], abs=1e-6)


@pytest.mark.parametrize(("experts", "k"), [(4, 2), (8, 2), (8, 1), (64, 8)])
def test_uniform_router_gives_an_auxiliary_loss_of_k(experts: int, k: int) -> None:
    assert method.load_balancing_loss([torch.zeros(40, experts)], top_k=k).item() == pytest.approx(k, rel=1e-5)


def test_collapsed_router_gives_the_number_of_experts() -> None:
    logits = torch.full((10, 8), -50.0)
    logits[:, 3] = 50.0
    assert method.load_balancing_loss([logits, logits], top_k=1).item() == pytest.approx(8)


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 3), st.integers(2, 6), st.integers(1, 30), st.integers(0, 10**6))
def test_auxiliary_loss_agrees_with_transformers(layers: int, experts: int, tokens: int, seed: int) -> None:
    from transformers.models.mixtral.modeling_mixtral import load_balancing_loss_func

    draw = torch.Generator().manual_seed(seed)
    logits = tuple(torch.randn(tokens, experts, generator=draw) for _ in range(layers))
    mask = (torch.rand(tokens, generator=draw) < 0.6).long()
    mask[0] = 1
    for given_mask, theirs in ((None, None), (mask, mask[None])):
        ours = method.load_balancing_loss(logits, top_k=min(2, experts), real_tokens=given_mask)
        assert ours.item() == pytest.approx(float(load_balancing_loss_func(logits, experts, 2, theirs)), rel=1e-4)


@pytest.mark.parametrize("weight", [0.0, 0.02])
def test_the_training_loss_is_that_of_transformers(weight: float) -> None:
    """L_LM on the answers plus the weighted auxiliary loss, as a sum over label tokens."""
    model = toy()
    model.config.router_aux_loss_coef = model.router_aux_loss_coef = weight
    labels = IDS.clone()
    labels[:, :4] = -100
    reference = model(IDS, labels=labels, output_router_logits=True)
    loss = method.bimedix_loss(model, {"input_ids": IDS, "labels": labels}, weight)
    assert (loss.total / loss.items).item() == pytest.approx(reference.loss.item(), rel=1e-5)


# --- parity: adapters ---------------------------------------------------------------------------------------------


def test_mixtral_counts_of_the_paper_scale() -> None:
    result = plan(workload(PRESETS["paper"]), gpus=8, gpu="a100")
    parameters = result.costs[0].parameters
    assert (parameters.total, parameters.active) == (46_702_792_704, 12_879_925_248)
    assert parameters.trainable == 1_937_801_216
    config = transformers.MixtralConfig(
        vocab_size=32000, hidden_size=4096, intermediate_size=14336, num_hidden_layers=32, num_attention_heads=32,
        num_key_value_heads=8, num_local_experts=8,
    )  # fmt: skip
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
        # Through `all`, so that what is attached is what is counted.
        assert method.attach_adapters(model, rank=1) == 15_139_072
    sizes = {name: p.numel() for name, p in model.named_parameters() if p.requires_grad}
    routers, attention = (sum(n for name, n in sizes.items() if part in name) for part in (".gate.", "self_attn"))
    assert (attention, routers) == (851_968, 131_328)
    assert sum(sizes.values()) - attention - routers == 14_155_776


def test_attention_alone_has_as_many_parameters() -> None:
    counts = []
    for arm in ("bilingual", "attention"):
        config = with_variant(PRESETS["tiny"], VARIANTS, arm)
        model = AutoModelForCausalLM.from_config(mixtral_shape(config.base_model, config.base_model.vocabulary))
        counts.append(method.attach_adapters(model, config.adapters, config.rank, config.alpha))
    assert counts[1] == pytest.approx(counts[0], rel=0.01)


@every_mixture
def test_new_adapters_change_nothing(name: str) -> None:
    model = toy(name)
    before = model(IDS).logits
    method.attach_adapters(model, rank=3, alpha=6)
    assert torch.allclose(model(IDS).logits, before, atol=1e-6)
    randomize(model)
    assert not torch.allclose(model(IDS).logits, before, atol=1e-2)


@every_mixture
@pytest.mark.parametrize("packed", [False, True])
def test_gradients_reach_the_router_and_every_experts_b(name: str, packed: bool) -> None:
    """Over a quantised base, and nothing that is frozen gets one."""
    model = toy(name)
    quantize_base(model, packed=packed)
    method.attach_adapters(model, rank=2, alpha=4)
    ids = torch.arange(64).view(1, 64).roll(3)
    method.bimedix_loss(model, {"input_ids": ids, "labels": ids}).total.backward()
    for block in moe_blocks(model):
        for update in (block.experts.w1, block.experts.w2, block.experts.w3):
            assert (update.B.grad.flatten(1).abs().sum(-1) > 0).all(), "an expert learns nothing"
        assert block.router.parametrizations["weight"][0].B.grad.abs().sum() > 0
    attention = [m for n, m in model.named_modules() if hasattr(m, "lora_B") and n.endswith("_proj")]
    assert len(attention) == 2 * 4
    assert all(m.lora_B["default"].weight.grad.abs().sum() > 0 for m in attention)
    assert all(p.grad is None for p in model.parameters() if not p.requires_grad)


def test_an_expert_without_tokens_still_takes_part() -> None:
    """Data parallelism waits for a gradient of every parameter."""
    model = toy().train()
    method.attach_adapters(model, rank=2)
    model(IDS[:1, :1]).logits.sum().backward()
    assert all(p.grad is not None for p in moe_blocks(model)[0].experts.w2.parameters())


def test_an_expert_without_tokens_is_not_read_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    model, read = toy(), []
    expected = model(IDS[:1, :1]).logits
    method.attach_adapters(model, ("experts",), rank=2)
    product = method.frozen_product
    monkeypatch.setattr(method, "frozen_product", lambda *given: read.append(given[1]) or product(*given))
    assert torch.allclose(model(IDS[:1, :1]).logits, expected, atol=1e-6)
    assert len(read) == 2 * 2 * 2, "two layers, two of four experts, two matrices each"


@pytest.mark.parametrize("name", ["mixtral", "olmoe", "qwen3_moe"])
@pytest.mark.parametrize("parts", [("attention",), ("experts", "router"), PARTS])
def test_peft_loads_what_we_save(name: str, parts: Any, tmp_path: Path) -> None:
    from peft import PeftModel

    model = toy(name)
    method.attach_adapters(model, parts, rank=3, alpha=6)
    randomize(model)
    expected = model(IDS).logits
    adapters.save_adapter(model, tmp_path, parts=parts, rank=3, alpha=6, base="toy")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # peft overlooks fused parameters when it looks for its rank pattern
        loaded = PeftModel.from_pretrained(toy(name), tmp_path).eval()
    assert torch.allclose(loaded(IDS).logits, expected, atol=1e-5)
    assert torch.allclose(adapters.load_adapter(toy(name), tmp_path)(IDS).logits, expected, atol=1e-5)


def test_an_adapter_of_another_model_is_refused(tmp_path: Path) -> None:
    model = toy("olmoe")
    method.attach_adapters(model, rank=3)
    adapters.save_adapter(model, tmp_path, parts=PARTS, rank=3, alpha=6, base="toy")
    with pytest.raises(UserError, match="does not fit"):
        adapters.load_adapter(toy("mixtral"), tmp_path)
    with pytest.raises(UserError, match="holds no adapter"):
        adapters.load_adapter(toy("mixtral"), tmp_path / "missing")


BILINGUAL_ARABIC = (63.8, 57.6, 52.6, 64.0, 52.9, 50.4, 49.1, 47.3, 78.4)
BILINGUAL = (70.6, 72.2, 59.3, 74.0, 64.2, 59.6, 55.8, 54.0, 78.6)
ROWS = {
    75.39: (78.9, 86.1, 68.2, 85.0, 80.5, 74.1, 62.7, 62.8, 80.2),
    65.37: BILINGUAL,
    55.43: (60.0, 54.9, 55.5, 58.0, 58.1, 49.6, 46.0, 40.2, 76.6),
    46.11: (52.1, 50.7, 40.5, 49.0, 39.3, 43.0, 37.0, 28.8, 74.6),
    57.34: BILINGUAL_ARABIC,
}


@pytest.mark.parametrize("average", ROWS)
def test_the_headline_is_the_mean_of_the_tasks(average: float) -> None:
    """However many items a task has."""
    items = {f"{task}/{n}": score for task, score in enumerate(ROWS[average]) for n in range(1 + task)}
    assert macro_mean(items) == pytest.approx(average, abs=0.005)


def test_the_bilingual_score_is_the_mean_of_the_two_languages() -> None:
    """The English column of the bilingual model follows: 2 x bilingual - Arabic, which is not the 75.4 model."""
    english = {str(n): 2 * b - a for n, (b, a) in enumerate(zip(BILINGUAL, BILINGUAL_ARABIC, strict=True))}
    assert english["0"] == pytest.approx(77.4)
    arabic = dict(zip(english, BILINGUAL_ARABIC, strict=True))
    assert macro_mean(english) == pytest.approx(73.39, abs=0.005)
    assert macro_mean(bimedix_eval.bilingual(english, arabic)) == pytest.approx(65.37, abs=0.005)


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 30), st.integers(1, 30), st.sampled_from([(2, 1), (1, 1), (1, 3)]), st.integers(0, 99))
def test_mixing_leaves_nothing_out_and_keeps_the_ratio(en: int, ar: int, ratio: tuple[int, int], seed: int) -> None:
    sides = [{"id": f"e{i}"} for i in range(en)], [{"id": f"a{i}"} for i in range(ar)]
    mixed = data.mix_languages(*sides, ratio, seed)
    assert {row["id"] for row in mixed} == {row["id"] for side in sides for row in side}
    counts = [sum(row["id"][0] == letter for row in mixed) for letter in "ea"]
    assert abs(counts[0] * ratio[1] - counts[1] * ratio[0]) <= max(ratio)
    with pytest.raises(UserError, match="no samples"):
        data.mix_languages([], sides[1], ratio, seed)


def jsonl(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n", encoding="utf-8")
    return str(path)


def choice(text: str, **more: Any) -> dict[str, Any]:
    return {"question": text, "options": ["a", "b"], "answer": 0, **more}


def test_tests_are_paired_by_id_and_never_by_row_number_where_sizes_differ(tmp_path: Path) -> None:
    """PubMedQA: 1,000 labelled English questions, of which 500 are the test that was translated."""
    decision = {"context": {"contexts": ["One."]}, "final_decision": "yes"}
    english = [{"pubid": n, "question": f"Does it {n}?", **decision} for n in range(10)]
    translated = {**decision, "context": {"contexts": ["ملخص الدراسة."]}}
    arabic = [{"pubid": n, "question": f"هل {n}؟", **translated} for n in (7, 2, 5)]
    paths = jsonl(tmp_path / "en.jsonl", english), jsonl(tmp_path / "ar.jsonl", arabic)
    left, right = data.read_pair(*paths, "ar")
    assert [s["id"] for s in left] == [s["id"] for s in right] == ["2", "5", "7"]
    bare = [{key: value for key, value in row.items() if key != "pubid"} for row in arabic]
    with pytest.raises(UserError, match="share no ids"):
        data.read_pair(paths[0], jsonl(tmp_path / "bare.jsonl", bare), "ar")
    same = [{key: value for key, value in row.items() if key != "pubid"} for row in english[:3]]
    left, right = data.read_pair(jsonl(tmp_path / "same.jsonl", same), str(tmp_path / "bare.jsonl"), "ar", limit=2)
    assert [s["id"] for s in left] == [s["id"] for s in right] == ["item 0", "item 1"]


def test_rows_of_another_language_are_left_out_with_and_without_a_column(tmp_path: Path) -> None:
    rows = [choice("Which?", id=1), choice("أي عضو؟", id=2, options=["القلب", "الكبد"]), choice("x", id=3, lang="ar")]
    path = jsonl(tmp_path / "both.jsonl", rows)
    assert [s["id"] for s in data.read_samples(path, "ar")] == ["2", "3"]
    assert [s["id"] for s in data.read_samples(path, "en")] == ["1"]
    with pytest.raises(UserError, match="No samples in the language 'ru'"):
        data.read_samples(path, "ru")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"question": "Q?"}\n', "row 1: A row with the columns question is not understood"),
        (b'{"question": "Q?", "options": ["a", "b"], "answer": "c"}\n', "row 1: The answer 'c' is none"),
        (b'{"question": "Q", "answer": "A"}\n{"a": \n', "line 2: not JSON"),
        (b'{"messages": [{"role": "user", "content": "Q"}]}\n', "row 1: There is no answer"),
        (b'{"messages": [{"role": "assistant", "content": 3}]}\n', "row 1: There is no answer"),
        (b"", "is empty"),
    ],
)
def test_bad_files_are_refused(content: bytes, message: str, tmp_path: Path) -> None:
    """Before anything is loaded: the base does not exist."""
    (tmp_path / "bad.jsonl").write_bytes(content)
    own = {name: (str(tmp_path / "bad.jsonl"),) for name in ("english", "second", "test_english", "test_second")}
    config = override(PRESETS["smoke"], {"base": "missing/moe", **own})
    run = Run(tmp_path / "run", "bimedix", config, tmp_path / "stages", quiet=True)
    for entry in (bimedix_train.train, bimedix_eval.evaluate):
        with pytest.raises(UserError, match=message):
            entry(config, run)


# --- the miniature ------------------------------------------------------------------------------------------------


def test_six_seeds_test_every_condition_once_and_tune_on_none_that_they_test() -> None:
    tested: list[str] = []
    for seed in PAPER.seeds:
        parts = medicine.parts(seed)
        assert sum(map(len, parts.values())) == len(set.union(*parts.values())) == 98
        tested += parts["test"]
    assert len(PAPER.seeds) == medicine.FOLDS
    assert len(tested) == len(set(tested)) == 61


@pytest.mark.parametrize("lang", ["en", "ar"])
@pytest.mark.parametrize("split", ["test", "dev"])
def test_tuning_never_mentions_what_is_tested(lang: str, split: str) -> None:
    config = override(PRESETS["tiny"], {"seed": 7, "split": split})
    text = json.dumps([s["messages"] for s in miniature.tuning_samples(config, lang)], ensure_ascii=False)
    assert len({item["id"].partition("/")[0] for item in miniature.items_of(config, lang)}) >= 8
    names = {one.name[lang] for one in medicine.conditions() if one.id in medicine.parts(config.seed)[split]}
    assert not [name for name in names if re.search(rf"\b{re.escape(name)}\b", text)]
    for item in miniature.items_of(config, lang):
        assert item["question"] not in text
        assert len(set(item["options"])) == 4
        assert item["options"][item["answer"]] in {a for one in medicine.conditions() for a in one.answer.values()}


def test_options_are_drawn_anew_for_every_question() -> None:
    """What a shared draw would be: the same options in the same order in training and test, or in both languages."""
    config = PRESETS["tiny"]
    items = {lang: miniature.items_of(config, lang) for lang in ("en", "ar")}
    answers = [[item["answer"] for item in side] for side in items.values()]
    assert sum(a == b for a, b in zip(*answers, strict=True)) < 0.5 * len(answers[0])
    reached = bimedix_eval.trivial(config, items)
    assert reached["trivial_chance"] == 0.25
    assert max(reached.values()) < 0.5
    assert reached["trivial_overlap"] < 0.26, "no name gives its answer away"


def test_permuted_answers_are_those_of_other_conditions() -> None:
    items = medicine.questions(("en",))
    wrong = medicine.permuted(items, 0)
    for relation in medicine.RELATIONS:
        before, after = ([i.answer for i in some if medicine.relation(i) == relation] for some in (items, wrong))
        assert sorted(before) == sorted(after)
        assert sum(a == b for a, b in zip(before, after, strict=True)) < 0.15 * len(before)
    assert medicine.permuted(items, 0) == wrong != medicine.permuted(items, 1)


def test_own_instructions_are_permuted_as_well() -> None:
    samples = [{"messages": miniature.dialogue(f"Q{n}", f"A{n}")} for n in range(9)]
    pairs = [[turn["content"] for turn in sample["messages"]] for sample in data.permuted(samples, 0)]
    assert all(question[1:] != answer[1:] for question, answer in pairs)
    assert sorted(answer for _, answer in pairs) == [f"A{n}" for n in range(9)]


def test_arms_of_one_language_differ_in_how_long_they_are_tuned(smoke: Callable[[str], Any]) -> None:
    from core.models.loading import load_tokenizer

    stage = next((smoke("bimedix").stages).glob("base*"))
    tokenizer = load_tokenizer(next(stage.rglob("tokenizer.json")).parent)
    share = {}
    for arm in ("bilingual", "english-only", "arabic-only"):
        config = with_variant(PRESETS["smoke"], VARIANTS, arm)
        share[arm] = bimedix_train.instructions(config, tokenizer, bimedix_train.samples_of(config))[1]
    assert share["bilingual"] == pytest.approx(1) == share["english-only"] + share["arabic-only"]
    assert 0.2 < share["arabic-only"] < 0.6


def test_settings_that_make_no_sense_are_refused() -> None:
    for changes, message in (
        ({"english": ("a.jsonl",)}, "both --english and --second"),
        ({"base": "some/moe"}, "needs data"),
        ({"test_second": ("a.jsonl",)}, "--test-english"),
        ({"ratio": (2.0, 0.0)}, "ratio"),
        ({"base_model.hidden": 30}, "multiple"),
        ({"budget": "data"}, "one language"),
        ({"english": ("a.jsonl",), "second": ("b.jsonl",), "second_language": "en"}, "first language"),
    ):
        with pytest.raises(UserError, match=message):
            override(PRESETS["tiny"], changes)


def test_the_plan_counts_what_the_method_trains() -> None:
    config = PRESETS["tiny"]
    small = plan(workload(config)).costs[0].parameters
    model = AutoModelForCausalLM.from_config(mixtral_shape(config.base_model, config.base_model.vocabulary))
    assert small.total == sum(p.numel() for p in model.parameters())
    assert small.trainable == method.attach_adapters(model, config.adapters, config.rank, config.alpha)


# --- the worked examples ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Mixtral folder and four JSONL files, as a user might have them."""
    path = tmp_path_factory.mktemp("own")
    config = PRESETS["tiny"]
    rows = {lang: miniature.tuning_samples(config, lang)[:24] for lang in ("en", "ar")}
    texts = [turn["content"] for side in rows.values() for sample in side for turn in sample["messages"]]
    tokenizer = train_bpe(texts, 400, special_tokens=["[INST]", "[/INST]"])
    shape = transformers.MixtralConfig(
        **SHAPE | {"vocab_size": len(tokenizer)}, intermediate_size=24, num_local_experts=4
    )
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(shape).save_pretrained(path / "my-moe")
    tokenizer.save_pretrained(path / "my-moe")
    for lang, side in rows.items():
        jsonl(path / f"train_{lang}.jsonl", side)
        jsonl(path / f"test_{lang}.jsonl", miniature.items_of(config, lang)[:6])
    return path


def test_own_model_and_files_through_the_commands(folder: Path, tmp_path: Path) -> None:
    options = [
        "smoke", "--base", str(folder / "my-moe"), "--english", str(folder / "train_en.jsonl"), "--second",
        str(folder / "train_ar.jsonl"), "--ratio", "2", "1", "--test-english", str(folder / "test_en.jsonl"),
        "--test-second", str(folder / "test_ar.jsonl"), "--limit", "0", "--speed-width", "0", "--training.steps", "8",
        "--out", str(tmp_path / "mine"),
    ]  # fmt: skip
    for entry in (bimedix_train.train, bimedix_eval.evaluate):
        entrypoint(entry, options)
    measurement = json.loads((tmp_path / "mine" / "measurement.json").read_text(encoding="utf-8"))
    assert len(measurement["units"]["accuracy_bilingual"]) == 6
    assert {"accuracy_en", "accuracy_ar", "letter_en"} <= set(measurement["metrics"])
    report = json.loads((tmp_path / "mine" / "routing.json").read_text(encoding="utf-8"))
    assert report["base"]["ar"]["share"] != report["tuned"]["ar"]["share"], "the router has moved"
    training = json.loads((tmp_path / "mine" / "artifact" / "training.json").read_text(encoding="utf-8"))
    assert training["samples"] == {"en": 48, "ar": 24}
    from peft import PeftModel

    base = AutoModelForCausalLM.from_pretrained(folder / "my-moe", dtype=torch.float32)
    before = base(IDS).logits.clone()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tuned = PeftModel.from_pretrained(base, tmp_path / "mine" / "artifact" / "adapter").eval()
    assert not torch.allclose(tuned(IDS).logits, before, atol=1e-4)


@pytest.mark.slow
def test_own_verbs(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Adapt, with questions before and after; the same numbers from `ask`; routing beside random halves."""
    own = {name: str(folder / f"{name}.jsonl") for name in ("train_en", "train_ar", "test_en", "test_ar")}
    moe, out = ["--model", str(folder / "my-moe")], str(tmp_path / "mine")
    tests = ["--test-english", own["test_en"], "--test-second", own["test_ar"], "--steps", "4", "--out", out]
    use.main(["adapt", own["train_en"], "--second", own["train_ar"], *moe, "--language", "ar", *tests])
    adapter = ["--adapter", f"{out}/artifact/adapter"]
    use.main(["ask", own["test_en"], own["test_ar"], *moe, "--language", "ar", *adapter, "--out", f"{out}/again"])
    tables = [(Path(out) / name / "accuracy.tsv").read_text(encoding="utf-8") for name in ("", "again")]
    assert tables[0] == tables[1]
    assert {line.split("\t")[0] for line in tables[0].splitlines()} >= {"tuned en - ar", "tuned - base ar"}
    (tmp_path / "law.txt").write_text("One law.\nAnother one.\n", encoding="utf-8")
    use.main(["routing", f"en={own['test_en']}", f"law={tmp_path / 'law.txt'}", *moe, *adapter, "--out", out])
    assert "random halves" in capsys.readouterr().out
    assert len((Path(out) / "routing.tsv").read_text(encoding="utf-8").splitlines()) == 1 + 2 * 2  # models x layers
    with pytest.raises(SystemExit):
        use.main(["routing", f"en={own['test_en']}", *moe])


def test_own_translator(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is graded too low is for a speaker, and so is a share of the rest."""
    (tmp_path / "mine.py").write_text(
        "def good():\n    return lambda text: '90' if text.startswith('Grade') else 'نص'\n"
        "def bad():\n    return lambda text: None\n",
        encoding="utf-8",
    )
    words = ["translate", str(folder / "train_en.jsonl"), "--language", "ar", "--out", str(tmp_path), "--backend"]
    use.main([*words, f"{tmp_path}/mine.py:good", "--audit", "0.5"])
    kept, audited = ((tmp_path / f"{name}.jsonl").read_text("utf-8").splitlines() for name in ("accepted", "review"))
    assert len(kept) + len(audited) == 24
    assert min(len(kept), len(audited)) > 3
    with pytest.raises(SystemExit):
        use.main([*words, f"{tmp_path}/mine.py:bad"])
    assert "let it return the translation" in capsys.readouterr().err


def test_library_call_of_the_page(folder: Path) -> None:
    page = (ROOT / "papers" / "bimedix" / "README.md").read_text(encoding="utf-8")
    code = next(block for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "attach_adapters" in block)
    known: dict[str, Any] = {}
    exec(code.replace('"my-moe"', repr(str(folder / "my-moe"))), known)
    names = {name for name, p in known["model"].named_parameters() if p.requires_grad}
    assert names
    assert all(".experts.w" in name or ".gate." in name for name in names)


def _train_own(folder: Path, out: Path, strategy: str, quantization: str) -> list[float]:
    changes = {
        "base": str(folder / "my-moe"),
        "english": (str(folder / "train_en.jsonl"),),
        "second": (str(folder / "train_ar.jsonl"),),
        "quantization": quantization,
        "training": dataclasses.replace(PRESETS["smoke"].training, strategy=strategy, batch_size=4, steps=3),
    }
    config = dataclasses.replace(PRESETS["smoke"], **changes)
    run = Run(out / strategy, "bimedix", config, out / "stages", quiet=True).open()
    bimedix_train.train(run.config, run)
    barrier()
    return json.loads((run.artifact / "training.json").read_text(encoding="utf-8"))["losses"]


@pytest.mark.distributed
@pytest.mark.parametrize(("strategy", "quantization"), [("ddp", "nf4-packed"), ("fsdp2", "nf4")])
def test_two_processes_train_like_one(folder: Path, tmp_path: Path, strategy: str, quantization: str) -> None:
    """Also with the base in packed 4-bit codes, which data parallelism has to leave alone."""
    alone = _train_own(folder, tmp_path, "auto", quantization)
    together = launch_cpu(_train_own, 2, folder, tmp_path, strategy, quantization, timeout=240)
    assert together[0] == together[1]
    assert together[0] == pytest.approx(alone, rel=1e-4 if quantization == "nf4" else 1e-2)
    assert together[0][0] != together[0][-1]
    base = AutoModelForCausalLM.from_pretrained(folder / "my-moe", dtype=torch.float32)
    saved = adapters.load_adapter(base, tmp_path / strategy / "artifact" / "adapter")
    assert saved(IDS).logits.isfinite().all()
