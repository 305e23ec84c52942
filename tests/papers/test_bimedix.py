"""BiMediX: parity numbers, invariants, adapters on real models, data readers, and the worked examples."""

from __future__ import annotations

import copy
import itertools
import json
import warnings
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
from core.experiment.config import override
from core.experiment.entrypoint import entrypoint
from core.experiment.run import Run
from core.models.tokenization import train_bpe
from core.tasks.choices import LETTERS
from core.training.losses import causal_lm_loss
from papers.bimedix import adapters, data, knowledge, measure, method, nf4, translation
from papers.bimedix import eval as bimedix_eval
from papers.bimedix import train as bimedix_train
from papers.bimedix.config import PRESETS, mixtral_shape, workload

SHAPE = {
    "vocab_size": 64, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
    "max_position_embeddings": 256, "pad_token_id": 0, "eos_token_id": 2, "bos_token_id": 1,
}  # fmt: skip
EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2}
MIXTURES = {
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


def toy(name: str = "mixtral", seed: int = 0) -> PreTrainedModel:
    torch.manual_seed(seed)
    return AutoModelForCausalLM.from_config(MIXTURES[name]()).eval()


def randomize(model: PreTrainedModel) -> None:
    """Give every trainable factor values, so that B = 0 hides nothing."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.normal_(0, 0.3)


def update_of(module: torch.nn.Module, name: str) -> method.LowRankUpdate:
    return next(step for step in module.parametrizations[name] if isinstance(step, method.LowRankUpdate))


IDS = torch.arange(14).view(2, 7) * 4 % 64


# ------------------------------------------------------------------------------------------------ parity: routing


def test_top_two_weights_of_the_worked_example() -> None:
    weights, experts = method.top_k_routing(torch.tensor([[2.0, 0.0, 1.0, -1.0]]), 2)
    assert experts.tolist() == [[0, 2]]
    assert weights[0].tolist() == pytest.approx([0.731059, 0.268941], abs=1e-6)


@pytest.mark.parametrize(("experts", "k"), [(4, 2), (8, 2), (8, 1), (64, 8)])
def test_uniform_router_gives_an_auxiliary_loss_of_k(experts: int, k: int) -> None:
    assert method.load_balancing_loss([torch.zeros(40, experts)], k).item() == pytest.approx(k, rel=1e-5)


def test_collapsed_router_gives_the_number_of_experts() -> None:
    logits = torch.full((10, 8), -50.0)
    logits[:, 3] = 50.0
    assert method.load_balancing_loss([logits, logits], 1).item() == pytest.approx(8)


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 3), st.integers(2, 6), st.integers(1, 30), st.integers(0, 10**6))
def test_auxiliary_loss_agrees_with_transformers(layers: int, experts: int, tokens: int, seed: int) -> None:
    from transformers.models.mixtral.modeling_mixtral import load_balancing_loss_func

    draw = torch.Generator().manual_seed(seed)
    logits = tuple(torch.randn(tokens, experts, generator=draw) for _ in range(layers))
    mask = torch.rand(tokens, generator=draw) < 0.6
    mask[0] = True
    k = min(2, experts)
    reference = load_balancing_loss_func(logits, experts, k)
    assert method.load_balancing_loss(logits, k).item() == pytest.approx(float(reference), rel=1e-4)
    masked = load_balancing_loss_func(logits, experts, k, mask[None].long())
    assert method.load_balancing_loss(logits, k, mask).item() == pytest.approx(float(masked), rel=1e-4)


def test_padding_does_not_count_in_the_auxiliary_loss() -> None:
    logits = torch.randn(12, 4, generator=torch.Generator().manual_seed(0))
    padded = torch.cat([logits, torch.full((5, 4), 9.0)])
    mask = torch.arange(17) < 12
    assert torch.allclose(method.load_balancing_loss([padded], 2, mask), method.load_balancing_loss([logits], 2))
    assert not torch.allclose(method.load_balancing_loss([padded], 2), method.load_balancing_loss([logits], 2))


@every_mixture
def test_our_routing_is_what_the_models_router_does(name: str) -> None:
    model = toy(name)
    block = method.moe_blocks(model)[0]
    logits, scores, chosen = block.router(torch.randn(6, 16, generator=torch.Generator().manual_seed(0)))
    weights, experts = method.top_k_routing(logits, 2)
    assert torch.equal(chosen, experts)
    if name == "mixtral":
        assert torch.allclose(scores, weights)


def test_usage_measures_at_their_extremes() -> None:
    uniform, one, other = torch.full((4,), 0.25), torch.tensor([1.0, 0, 0, 0]), torch.tensor([0, 1.0, 0, 0])
    assert method.entropy(uniform).item() == pytest.approx(2)
    assert method.entropy(one).item() == 0
    assert method.jensen_shannon(one, other).item() == pytest.approx(1)
    assert method.jensen_shannon(uniform, uniform).item() == 0


# --------------------------------------------------------------------------------------------------- parity: NF4


def test_nf4_codes_of_the_worked_example() -> None:
    weight = torch.tensor([0.5, -1.0, 0.1, 0.0])
    quantized = nf4.quantize_nf4(weight, block=4)
    assert quantized.codes.tolist() == [12 << 4 | 0, 8 << 4 | 7]
    assert quantized.scales.tolist() == [1.0]
    restored = nf4.dequantize_nf4(quantized, (4,), block=4)
    assert restored.tolist() == pytest.approx([0.4407098, -1, 0.0795803, 0], abs=1e-7)


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 300), st.sampled_from([4, 64]), st.floats(1e-3, 1e3), st.integers(0, 10**6))
def test_nf4_rounds_to_the_nearest_level(size: int, block: int, scale: float, seed: int) -> None:
    weight = torch.randn(size, generator=torch.Generator().manual_seed(seed)) * scale
    restored = nf4.dequantize_nf4(nf4.quantize_nf4(weight, block), weight.shape, block=block)
    levels = torch.tensor(nf4.NF4_LEVELS)
    for part, back in zip(weight.split(block), restored.split(block), strict=True):
        nearest = (levels * part.abs().max())[(part[:, None] - levels * part.abs().max()).abs().argmin(1)]
        assert torch.allclose((part - back).abs(), (part - nearest).abs(), rtol=1e-4, atol=scale * 1e-5)
    again = nf4.dequantize_nf4(nf4.quantize_nf4(restored, block), weight.shape, block=block)
    assert torch.allclose(again, restored, rtol=1e-5, atol=scale * 1e-6)


def test_double_quantisation_costs_little_accuracy_and_saves_memory() -> None:
    weight = torch.randn(512, 256, generator=torch.Generator().manual_seed(0))
    single, double = nf4.quantize_nf4(weight), nf4.quantize_nf4(weight, double=True)
    error = {
        name: (nf4.dequantize_nf4(q, weight.shape) - weight).norm().item()
        for name, q in (("single", single), ("double", double))
    }
    assert error["double"] < 1.02 * error["single"]
    bits = [8 * sum(t.numel() * t.element_size() for t in q) / weight.numel() for q in (single, double)]
    assert bits == pytest.approx([4.5, 4.127], abs=0.002)


def test_zero_blocks_stay_zero() -> None:
    assert nf4.dequantize_nf4(nf4.quantize_nf4(torch.zeros(70)), (70,)).eq(0).all()


@every_mixture
def test_packed_and_simulated_quantisation_are_one_model(name: str) -> None:
    simulated, packed, exact = toy(name), toy(name), toy(name)
    assert method.quantize_base(simulated) == method.quantize_base(packed, packed=True)
    assert torch.equal(simulated(IDS).logits, packed(IDS).logits)
    assert not torch.equal(simulated(IDS).logits, exact(IDS).logits)
    for block, reference in zip(method.moe_blocks(packed), method.moe_blocks(exact), strict=True):
        assert torch.equal(block.router.weight, reference.router.weight), "the router keeps its precision"
    assert torch.equal(packed.get_input_embeddings().weight, exact.get_input_embeddings().weight)


# ----------------------------------------------------------------------------------------------- parity: adapters


def mixtral_8x7b() -> PreTrainedModel:
    config = transformers.MixtralConfig(
        vocab_size=32000, hidden_size=4096, intermediate_size=14336, num_hidden_layers=32, num_attention_heads=32,
        num_key_value_heads=8, num_local_experts=8, num_experts_per_tok=2, max_position_embeddings=32768,
        rope_theta=1e6, tie_word_embeddings=False,
    )  # fmt: skip
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(config)


def test_mixtral_counts_of_the_paper_scale() -> None:
    model = mixtral_8x7b()
    assert sum(p.numel() for p in model.parameters()) == 46_702_792_704
    inactive = sum(
        6 * (b.experts.gate_up_proj[0].numel() + b.experts.down_proj[0].numel()) for b in method.moe_blocks(model)
    )
    assert 46_702_792_704 - inactive == 12_879_925_248
    counts = {}
    for placement in ("attention", "experts", "experts+router", "all"):
        with torch.device("meta"):
            counts[placement] = method.attach_adapters(mixtral_8x7b(), placement, rank=1)
    assert counts["attention"] == 851_968
    assert counts["experts"] == 14_155_776
    assert counts["experts+router"] - counts["experts"] == 131_328
    assert counts["all"] == 15_139_072
    trainable = 128 * counts["all"]
    assert trainable == 1_937_801_216
    assert trainable / 46_702_792_704 == pytest.approx(0.0415, abs=5e-5)


def test_equal_budget_rank_matches_the_counts() -> None:
    model = toy()
    reference = method.attach_adapters(copy.deepcopy(model), "all", rank=8)
    for placement in ("attention", "experts", "experts+router"):
        rank = method.equal_budget_rank(model, placement, "all", 8)
        count = method.attach_adapters(copy.deepcopy(model), placement, rank=rank)
        one = method.attach_adapters(copy.deepcopy(model), placement, rank=1)
        assert abs(count - reference) <= one / 2


@every_mixture
def test_new_adapters_change_nothing_and_merged_ones_everything(name: str) -> None:
    model = toy(name)
    before = model(IDS).logits
    method.attach_adapters(model, "all", rank=3, alpha=6)
    assert torch.equal(model(IDS).logits, before)
    randomize(model)
    tuned = model(IDS).logits
    assert not torch.allclose(tuned, before, atol=1e-2)
    merged = method.merge_adapters(model)
    assert torch.allclose(merged(IDS).logits, tuned, atol=1e-5)
    assert set(merged.state_dict()) == set(toy(name).state_dict())


@every_mixture
@pytest.mark.parametrize("packed", [False, True])
def test_gradients_reach_the_router_and_every_experts_b(name: str, packed: bool) -> None:
    """Over a quantised base, and nothing that is frozen gets one."""
    model = toy(name)
    method.quantize_base(model, packed=packed)
    method.attach_adapters(model, "all", rank=2, alpha=4)
    ids = torch.arange(64).view(1, 64).roll(3)
    outputs = model(ids, labels=ids, output_router_logits=True)
    (outputs.loss + 0.02 * method.load_balancing_loss(outputs.router_logits, 2)).backward()
    for block in method.moe_blocks(model):
        for name_, module in (("gate_up_proj", block.experts), ("down_proj", block.experts)):
            b = update_of(module, name_).B
            assert (b.grad.flatten(2).abs().sum(-1) > 0).all(), f"an expert of {name_} learns nothing"
        assert update_of(block.router, "weight").B.grad.abs().sum() > 0
    attention = [m for n, m in model.named_modules() if hasattr(m, "lora_B") and n.endswith("_proj")]
    assert len(attention) == 2 * 4
    assert all(m.lora_B["default"].weight.grad.abs().sum() > 0 for m in attention)
    assert all(p.grad is None for p in model.parameters() if not p.requires_grad)


def test_fused_pair_is_two_separate_adapters() -> None:
    """W1 and W3 share no factor: the count is that of separate matrices, and B of one never moves the other."""
    weight = torch.zeros(4, 48, 16)
    update = method.LowRankUpdate(weight, branches=2, rank=3, alpha=3)
    assert sum(p.numel() for p in update.parameters()) == 4 * 2 * 3 * (16 + 24)
    with torch.no_grad():
        update.B[1].normal_()
    moved = update(weight)
    assert moved[:, :24].eq(0).all()
    assert moved[:, 24:].ne(0).any()


@pytest.mark.parametrize("name", ["mixtral", "olmoe", "qwen3_moe"])
@pytest.mark.parametrize("placement", ["attention", "experts+router", "all"])
def test_peft_loads_what_we_save(name: str, placement: method.Placement, tmp_path: Path) -> None:
    from peft import PeftModel

    model = toy(name)
    method.attach_adapters(model, placement, rank=3, alpha=6)
    randomize(model)
    expected = model(IDS).logits
    adapters.save_adapter(model, tmp_path, placement=placement, rank=3, alpha=6, base="toy")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # peft overlooks fused parameters when it looks for its rank pattern
        loaded = PeftModel.from_pretrained(toy(name), tmp_path).eval()
    assert torch.allclose(loaded(IDS).logits, expected, atol=1e-5)


@every_mixture
def test_adapters_survive_the_disk(name: str, tmp_path: Path) -> None:
    model = toy(name)
    method.attach_adapters(model, "all", rank=3, alpha=6)
    randomize(model)
    adapters.save_adapter(model, tmp_path, placement="all", rank=3, alpha=6, base="toy")
    loaded = adapters.load_adapter(toy(name), tmp_path)
    assert torch.allclose(loaded(IDS).logits, model(IDS).logits, atol=1e-6)


def test_an_adapter_of_another_model_is_refused(tmp_path: Path) -> None:
    model = toy("olmoe")
    method.attach_adapters(model, "all", rank=3)
    adapters.save_adapter(model, tmp_path, placement="all", rank=3, alpha=6, base="toy")
    with pytest.raises(UserError, match="does not fit"):
        adapters.load_adapter(toy("mixtral"), tmp_path)
    with pytest.raises(UserError, match="holds no adapter"):
        adapters.load_adapter(toy("mixtral"), tmp_path / "missing")


def test_a_dense_model_is_refused() -> None:
    dense = AutoModelForCausalLM.from_config(transformers.LlamaConfig(**SHAPE, intermediate_size=24))
    with pytest.raises(UserError, match="no fused experts"):
        method.attach_adapters(dense, "all")


@pytest.mark.parametrize("weight", [0.0, 0.02])
def test_the_training_loss_is_that_of_transformers(weight: float) -> None:
    """L_LM on the answers plus the weighted auxiliary loss, as a sum over label tokens."""
    model = toy()
    model.config.router_aux_loss_coef = model.router_aux_loss_coef = weight
    labels = IDS.clone()
    labels[:, :4] = -100
    reference = model(IDS, labels=labels, output_router_logits=True)
    loss = causal_lm_loss(model, {"input_ids": IDS, "labels": labels}, router_aux_weight=weight)
    assert (loss.total / loss.items).item() == pytest.approx(reference.loss.item(), rel=1e-5)
    ours = method.load_balancing_loss(reference.router_logits, 2)
    assert reference.aux_loss.item() == pytest.approx(ours.item(), rel=1e-5)


# ------------------------------------------------------------------------------------------------ parity: averages

BIMEDIX_ENGLISH = (78.9, 86.1, 68.2, 85.0, 80.5, 74.1, 62.7, 62.8, 80.2)
BILINGUAL_ARABIC = (63.8, 57.6, 52.6, 64.0, 52.9, 50.4, 49.1, 47.3, 78.4)
ARABIC_ONLY = (60.0, 54.9, 55.5, 58.0, 58.1, 49.6, 46.0, 40.2, 76.6)
JAIS_ARABIC = (52.1, 50.7, 40.5, 49.0, 39.3, 43.0, 37.0, 28.8, 74.6)
BILINGUAL = (70.6, 72.2, 59.3, 74.0, 64.2, 59.6, 55.8, 54.0, 78.6)


@pytest.mark.parametrize(
    ("row", "average"),
    [
        (BIMEDIX_ENGLISH, 75.39),
        (BILINGUAL, 65.37),
        (ARABIC_ONLY, 55.43),
        (JAIS_ARABIC, 46.11),
        (BILINGUAL_ARABIC, 57.34),
    ],
)
def test_averages_of_the_published_rows(row: tuple[float, ...], average: float) -> None:
    assert method.averages(row, row)["english"] == pytest.approx(average, abs=0.005)


def test_the_bilingual_rows_are_means_of_the_two_languages() -> None:
    """The English column of the bilingual model follows: 2 x bilingual - Arabic, which is not the 75.4 model."""
    english = [2 * both - arabic for both, arabic in zip(BILINGUAL, BILINGUAL_ARABIC, strict=True)]
    assert english[0] == pytest.approx(77.4)
    result = method.averages(english, BILINGUAL_ARABIC)
    assert result["bilingual"] == pytest.approx(65.37, abs=0.005)
    assert result["english"] == pytest.approx(73.39, abs=0.005)
    assert result["gap"] == pytest.approx(result["english"] - result["second"])
    with pytest.raises(UserError, match="cannot be paired"):
        method.averages([1.0], [])


# ------------------------------------------------------------------------------------------------------- mixing


def rows(count: int, tokens: int, name: str) -> list[dict[str, object]]:
    return [{"id": f"{name}{i}", "input_ids": [1] * tokens} for i in range(count)]


@settings(deadline=None, max_examples=40)
@given(
    st.integers(1, 9),
    st.integers(1, 9),
    st.sampled_from([(2, 1), (1, 1), (1, 3)]),
    st.integers(40, 400),
    st.integers(0, 99),
)
def test_mixing_keeps_the_ratio_and_the_budget(
    en: int, ar: int, ratio: tuple[int, int], budget: int, seed: int
) -> None:
    mixture = method.mix_languages(rows(7, en, "e"), rows(5, ar, "a"), ratio, token_budget=budget, seed=seed)
    assert sum(mixture.tokens) == sum(len(row["input_ids"]) for row in mixture.rows) <= budget
    assert budget - sum(mixture.tokens) < max(en, ar)
    assert abs(mixture.samples[0] * ratio[1] - mixture.samples[1] * ratio[0]) <= max(ratio)
    by_tokens = method.mix_languages(
        rows(7, en, "e"), rows(5, ar, "a"), ratio, unit="tokens", token_budget=budget, seed=seed
    )
    assert abs(by_tokens.tokens[0] * ratio[1] - by_tokens.tokens[1] * ratio[0]) <= max(ratio) * max(en, ar)


def test_mixing_without_budget_leaves_nothing_out() -> None:
    mixture = method.mix_languages(rows(12, 3, "e"), rows(4, 5, "a"), (2, 1))
    assert len({row["id"] for row in mixture.rows}) == 16
    assert mixture.samples == (12, 6)
    epoch = [row["id"] for row in mixture.rows if str(row["id"]).startswith("e")]
    assert len(set(epoch)) == 12, "an epoch visits every sample once"


def test_monolingual_mixtures_and_bad_ratios() -> None:
    assert method.mix_languages(rows(3, 2, "e"), [], (1, 0), token_budget=20).samples == (10, 0)
    with pytest.raises(UserError, match="second side has no samples"):
        method.mix_languages(rows(3, 2, "e"), [], (2, 1))
    with pytest.raises(UserError, match="mixes nothing"):
        method.mix_languages(rows(3, 2, "e"), rows(3, 2, "a"), (0, 0))


@settings(deadline=None, max_examples=40)
@given(st.lists(st.floats(-9, 0), min_size=4, max_size=9, unique=True), st.integers(0, 3))
def test_expected_accuracy_is_the_mean_over_all_draws(scores: list[float], answer: int) -> None:
    wrong = [score for i, score in enumerate(scores) if i != answer]
    draws = [all(scores[answer] > score for score in draw) for draw in itertools.combinations(wrong, 3)]
    assert method.expected_accuracy(scores, answer) == pytest.approx(sum(draws) / len(draws))


def test_expected_accuracy_of_ties_and_too_few_candidates() -> None:
    assert method.expected_accuracy([1.0, 1.0, 0.0, 0.0], 0) == 0
    with pytest.raises(UserError, match="cannot fill"):
        method.expected_accuracy([1.0, 0.0], 0)


# -------------------------------------------------------------------------------------------- data: samples and files

# One row of each dataset that the paper scale names, with that dataset's columns.
MEDMCQA = {
    "id": "m1", "question": "Q?", "opa": "w", "opb": "x", "opc": "y", "opd": "z", "cop": 2, "choice_type": "single",
    "exp": "because", "subject_name": "Anatomy", "topic_name": None,
}  # fmt: skip
MEDMCQA_ARABIC = {"question": "سؤال؟", "opa": "أ", "opb": "ب", "opc": "ج", "opd": "د", "cop": 0}
MEDQA = {
    "question": "Q?", "answer": "y", "options": {"A": "w", "B": "x", "C": "y", "D": "z"}, "meta_info": "step1",
    "answer_idx": "C", "metamap_phrases": ["a"],
}  # fmt: skip
MMLU_ROW = {"question": "Q?", "subject": "anatomy", "choices": ["w", "x", "y", "z"], "answer": 3}
PUBMEDQA = {
    "pubid": 1, "question": "Does it?", "context": {"contexts": ["One.", "Two."], "labels": ["A", "B"], "meshes": []},
    "long_answer": "Yes, it does.", "final_decision": "no",
}  # fmt: skip
CHATDOCTOR = {"instruction": "Answer as a doctor.", "input": "My knee hurts.", "output": "Rest it."}
BIMED = {"conversations": [{"from": "human", "value": "سؤال"}, {"from": "gpt", "value": "جواب"}], "language": "ar"}


@pytest.mark.parametrize(
    ("row", "lang", "options", "answer"),
    [
        (MEDMCQA, "en", ["w", "x", "y", "z"], 2),
        (MEDMCQA_ARABIC, "ar", ["أ", "ب", "ج", "د"], 0),
        (MEDQA, "en", ["w", "x", "y", "z"], 2),
        ({**MEDQA, "answer_idx": 1}, "ar", ["w", "x", "y", "z"], 1),
        (MMLU_ROW, "en", ["w", "x", "y", "z"], 3),
        (PUBMEDQA, "en", ["yes", "no", "maybe"], 1),
        ({**PUBMEDQA, "final_decision": "ربما"}, "ar", ["نعم", "لا", "ربما"], 2),
    ],
)
def test_multiple_choice_datasets(row: dict[str, Any], lang: str, options: list[str], answer: int) -> None:
    sample = data.adapt(row, lang)
    assert (sample["task"], sample["options"], sample["answer"], sample["lang"]) == ("mcqa", options, answer, lang)
    prompt, reply = (turn["content"] for turn in sample["messages"])
    assert prompt.splitlines()[-1] == data.REQUEST[lang]
    assert f"{LETTERS[answer]}. {options[answer]}" in prompt.splitlines()
    assert reply == f"{LETTERS[answer]}. {options[answer]}"


def test_pubmedqa_has_its_abstract_in_the_prompt() -> None:
    sample = data.adapt(PUBMEDQA, "en")
    assert sample["messages"][0]["content"].startswith("One. Two.\nDoes it?\nA. yes")


def test_dialogue_datasets() -> None:
    assert [m["content"] for m in data.adapt(CHATDOCTOR, "en")["messages"]] == [
        "Answer as a doctor.\nMy knee hurts.",
        "Rest it.",
    ]
    bimed = data.adapt({**BIMED, "conversations": json.dumps(BIMED["conversations"])}, "en")
    assert bimed["lang"] == "ar"
    assert bimed["messages"] == data.dialogue("سؤال", "جواب")
    assert data.adapt({"question": "Q?", "answer": "A."}, "en")["messages"] == data.dialogue("Q?", "A.")


def test_answers_may_be_index_letter_or_text() -> None:
    options = ["القَلب", "الكبد", "A"]
    assert data.answer_index(1, options) == data.answer_index("1", options) == data.answer_index("الكبد", options) == 1
    assert data.answer_index("القلب", options) == 0, "vowel signs do not matter when strings are compared"
    assert data.answer_index("A", options) == 2, "a text comes before a letter"
    assert data.answer_index("b", options) == 1
    with pytest.raises(UserError, match="none of the 3 options"):
        data.answer_index("D", options)


def test_arabic_normalisation() -> None:
    assert data.normalize_arabic("أَلَمٌ  فِي الـصّدر") == "الم في الصدر"
    assert data.normalize_arabic("آثار إبهام ٱلله") == "اثار ابهام الله"


def test_paper_scale_files_are_read_like_the_hub(tmp_path: Path) -> None:
    for name, row in {"medmcqa": MEDMCQA, "medqa": MEDQA, "pubmedqa": PUBMEDQA, "doctor": CHATDOCTOR}.items():
        (tmp_path / f"{name}.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    samples = data.read_samples([str(path) for path in sorted(tmp_path.glob("*.jsonl"))], "en")
    assert [sample["task"] for sample in samples] == ["qa", "mcqa", "mcqa", "mcqa"]
    assert len(data.evaluation_items(samples)) == 3
    assert len({sample["id"] for sample in samples}) == 4, "rows of several sources keep apart"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"question": "Q?"}\n', "row 1: A row with the columns question is not understood"),
        (b'{"question": "Q?", "options": ["a", "b"], "answer": "c"}\n', "row 1: The answer 'c' is none"),
        (b"[1]\n", "line 1: a list, not an object"),
        (b'{"question": "Q", "answer": "A"}\n{"a": \n', "line 2: not JSON"),
        (b'{"question": "\xff"}\n', "not UTF-8"),
        (b"", "is empty"),
        (b'{"lang": "ar", "question": "Q", "answer": "A"}\n', "No samples in the language 'en'"),
    ],
)
def test_bad_files_are_refused(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_bytes(content)
    with pytest.raises(UserError, match=message):
        data.read_samples([str(path)], "en")


def test_missing_file_and_hub_name_are_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise ConnectionError("the hub cannot be reached\n(and more lines)")

    monkeypatch.setattr("datasets.load_dataset", unreachable)
    with pytest.raises(UserError, match="does not exist"):
        data.read_samples([str(tmp_path / "none.jsonl")], "en")
    with pytest.raises(UserError, match=r"'no-such/dataset' from the hub \(the hub cannot be reached\): check"):
        data.read_samples(["no-such/dataset"], "en")


def test_a_byte_order_mark_is_no_content(tmp_path: Path) -> None:
    path = tmp_path / "bom.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps({"question": "Q?", "answer": "A."}).encode())
    assert data.read_samples([str(path)], "en")[0]["id"] == "1"


# ---------------------------------------------------------------------------------------------------- tokenisation


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    texts = [
        turn["content"]
        for lang in ("en", "ar")
        for s in knowledge.training_samples(knowledge.facts(), lang, 0)
        for turn in s["messages"]
    ]
    return train_bpe(texts, 600, special_tokens=["[INST]", "[/INST]"])


def test_only_answers_are_learned(tokenizer: Any) -> None:
    messages = data.dialogue("ما العضو؟", "القلب", "And the sign?", "an irregular pulse")
    row = data.encode(tokenizer, messages)
    text = tokenizer.decode(row["input_ids"])
    assert text == "<s>[INST] ما العضو؟ [/INST] القلب</s>[INST] And the sign? [/INST] an irregular pulse</s>"
    learned = [token for token, label in zip(row["input_ids"], row["labels"], strict=True) if label != -100]
    assert tokenizer.decode(learned) == " القلب</s> an irregular pulse</s>"
    assert all(label in (-100, token) for token, label in zip(row["input_ids"], row["labels"], strict=True))
    cut = data.encode(tokenizer, messages, max_length=9)
    assert cut == {key: values[:9] for key, values in row.items()}


def test_a_template_with_a_generation_header_keeps_it_out_of_the_loss(tokenizer: Any) -> None:
    headed = copy.deepcopy(tokenizer)
    headed.chat_template = (
        "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}\n{% endfor %}"
        "{% if add_generation_prompt %}<assistant>{% endif %}"
    )
    row = data.encode(headed, data.dialogue("Q?", "wheezing"))
    learned = [token for token, label in zip(row["input_ids"], row["labels"], strict=True) if label != -100]
    assert headed.decode(learned) == "wheezing\n"
    assert data.continuation(headed, data.dialogue("Q?"), "wheezing") == ("<user>Q?\n<assistant>", "wheezing")


def test_a_template_that_rewrites_earlier_turns_is_refused(tokenizer: Any) -> None:
    strange = copy.deepcopy(tokenizer)
    strange.chat_template = "{{ messages | length }}{% for m in messages %}{{ m['content'] }}{% endfor %}"
    with pytest.raises(UserError, match="rewrites earlier turns"):
        data.encode(strange, data.dialogue("Q?", "A."))


def test_prompt_and_answer_meet_where_training_put_them(tokenizer: Any) -> None:
    prompt, answer = data.continuation(tokenizer, data.dialogue("What is it?"), "the heart")
    assert (prompt, answer) == ("<s>[INST] What is it? [/INST]", " the heart")
    whole = data.encode(tokenizer, data.dialogue("What is it?", "the heart"))["input_ids"]
    assert tokenizer(prompt + answer, add_special_tokens=False)["input_ids"] == whole[:-1]


# ------------------------------------------------------------------------------------------------- the miniature world


def test_the_knowledge_base_is_complete_and_bilingual() -> None:
    known = knowledge.facts()
    assert len(known) == 96
    assert len({fact.id for fact in known}) == 96
    assert len({fact.name["en"] for fact in known}) == len({fact.name["ar"] for fact in known}) == 48
    for fact in known:
        for side in (fact.name, fact.answer):
            assert side["en"].isascii() or "é" in side["en"]
            assert all("\u0600" <= c <= "\u06ff" or c == " " for c in side["ar"])
    for relation in ("sign", "organ"):
        pairs = {(f.answer["en"], f.answer["ar"]) for f in known if f.relation == relation}
        assert len({en for en, _ in pairs}) == len({ar for _, ar in pairs}) == len(pairs), (
            "answers translate one to one"
        )


def test_held_out_wordings_are_never_trained() -> None:
    for (lang, _), wordings in knowledge.QUESTIONS.items():
        trained = {
            turn["content"] for s in knowledge.training_samples(knowledge.facts(), lang, 0) for turn in s["messages"]
        }
        for fact in knowledge.facts():
            for phrasing in ("development", "test"):
                asked = wordings[phrasing][0].format(name=fact.name[lang])
                assert not any(asked in text for text in trained)


@pytest.mark.parametrize("lang", ["en", "ar"])
def test_items_have_one_right_option(lang: str) -> None:
    for item, fact in zip(knowledge.items(knowledge.facts(), lang, "test", 3), knowledge.facts(), strict=True):
        assert item["options"][item["answer"]] == item["candidates"][0] == fact.answer[lang]
        assert len(set(item["options"])) == 4
        assert set(item["options"]) <= set(item["candidates"])
        assert len(set(item["candidates"])) == len(item["candidates"]) == (48 if fact.relation == "sign" else 17)


def test_permuted_answers_stay_within_their_relation() -> None:
    known = list(knowledge.facts())
    shuffled = knowledge.permuted(known, 0)
    for relation in ("sign", "organ"):
        before, after = ([f.answer["en"] for f in facts if f.relation == relation] for facts in (known, shuffled))
        assert sorted(before) == sorted(after)
        assert sum(a == b for a, b in zip(before, after, strict=True)) < 12
    assert knowledge.permuted(known, 0) == shuffled != knowledge.permuted(known, 1)


# -------------------------------------------------------------------------------------------------------- translation


class Scripted:
    """Translates by a list of attempts and grades by their length."""

    def __init__(self, *attempts: str) -> None:
        self.attempts, self.heard = list(attempts), []

    def translate(self, text: str) -> str:
        return self.attempts.pop(0)

    def refine(self, text: str, translation: str, remarks: str) -> str:
        self.heard.append((translation, remarks))
        return self.attempts.pop(0)

    def score(self, text: str, translation: str) -> tuple[float, str]:
        return 10.0 * len(translation), f"short: {translation}"

    def review(self, text: str, translation: str) -> str:
        return translation + "!"


def test_translation_stops_refining_at_the_threshold() -> None:
    script = Scripted("one", "four", "eight888", "never")
    record = translation.translate_corpus(["x"], script, script, script, threshold=80, audit=0)[0]
    assert [r.translation for r in record.rounds] == ["one", "four", "eight888"]
    assert script.heard == [("one", "short: one"), ("four", "short: four")]
    assert (record.translation, record.reason, record.score) == ("eight888", "", 80)


def test_doubtful_translations_go_to_the_reviewer_with_the_best_attempt() -> None:
    script = Scripted("12345", "123", "1234")
    record = translation.translate_corpus(["x"], script, script, script, threshold=80, audit=0)[0]
    assert (record.translation, record.reason, record.changed_by_reviewer) == ("12345!", "score", True)
    json.dumps(record.to_json())
    unreviewed = translation.translate_corpus(["x"], Scripted("1", "2", "3"), script, threshold=80, audit=0)[0]
    assert (unreviewed.reason, unreviewed.changed_by_reviewer) == ("score", False)


def test_a_share_of_the_accepted_is_audited() -> None:
    script = Scripted(*["a perfect one"] * 1000)
    script.score = lambda text, translation: (100.0, "")  # type: ignore[method-assign]
    records = translation.translate_corpus(["x"] * 1000, script, script, script, audit=0.05, seed=1)
    assert 30 <= sum(record.reason == "audit" for record in records) <= 70


def test_translation_refuses_bad_settings_and_grades() -> None:
    script = Scripted("a")
    with pytest.raises(UserError, match="threshold"):
        translation.translate_corpus(["x"], script, script, threshold=120)
    script.score = lambda text, translation: (101.0, "")  # type: ignore[method-assign]
    with pytest.raises(UserError, match="graded 101"):
        translation.translate_corpus(["x"], script, script)


def test_the_translation_exercise_improves_quality() -> None:
    metrics, log = measure.translation_exercise(seed=0)
    assert metrics["translation_right_first"] < 0.85 < metrics["translation_right_final"]
    assert 0 < metrics["translation_human_share"] < 0.3
    assert len(log) == 48
    assert all(entry["rounds"] for entry in log)
    gold = knowledge.LexiconTranslator(errors=0, relapse=0, seed=0)
    assert all(gold.translate(source) == target for source, target in knowledge.statements())


def test_samples_are_translated_turn_by_turn() -> None:
    lexicon = {"Q?": "س؟", "the heart": "القلب", "the liver": "الكبد", "Hello": "مرحبا", "Yes": "نعم"}
    records = {
        en: translation.Translation(en, ar, score)
        for (en, ar), score in zip(lexicon.items(), (90, 80, 95, 99, 70), strict=True)
    }
    samples = [{"id": "1", "lang": "en", **data.multiple_choice("Q?", ["the heart", "the liver"], 1, "en")},
               {"id": "2", "lang": "en", "task": "chat", "messages": data.dialogue("Hello", "Yes")}]  # fmt: skip
    choice, chat = translation.translate_samples(samples, "ar", records.__getitem__)
    assert (choice["options"], choice["answer"], choice["score"]) == (["القلب", "الكبد"], 1, 80)
    assert choice["messages"][1]["content"] == "B. الكبد"
    assert chat["messages"] == data.dialogue("مرحبا", "نعم")
    assert (chat["lang"], chat["translated"], chat["score"]) == ("ar", True, 70)


def test_a_prompted_model_translates_and_grades() -> None:
    answers = iter(["ترجمة", "Grade: 85.5. The dose is missing.", "no idea"])
    model = translation.PromptedModel(lambda prompt: next(answers))
    assert model.translate("Text") == "ترجمة"
    assert model.score("Text", "ترجمة") == (85.5, "Grade: 85.5. The dose is missing.")
    assert model.score("Text", "ترجمة")[0] == 0


# --------------------------------------------------------------------------------------------------- configuration


def test_settings_that_make_no_sense_are_refused() -> None:
    for changes, message in (
        ({"english": ("a.jsonl",)}, "both --english and --second"),
        ({"base": "some/moe"}, "needs data"),
        ({"test_second": ("a.jsonl",)}, "--test-english"),
        ({"ratio": (0.0, 0.0)}, "mixes nothing"),
        ({"base_model.top_k": 9}, "exceeds"),
        ({"base_model.hidden": 30}, "multiple"),
        ({"training.steps": 0}, "equal_tokens needs"),
    ):
        with pytest.raises(UserError, match=message):
            override(PRESETS["tiny"], changes)


def test_the_plan_counts_what_the_method_trains() -> None:
    result = plan(workload(PRESETS["paper"]), gpus=8, gpu="a100")
    parameters = result.costs[0].parameters
    assert parameters.total == 46_702_792_704
    assert parameters.active == 12_879_925_248
    assert parameters.trainable == 1_937_801_216
    small = plan(workload(PRESETS["tiny"])).costs[0].parameters
    config = PRESETS["tiny"]
    model = AutoModelForCausalLM.from_config(mixtral_shape(config.base_model, config.base_model.vocabulary))
    assert small.total == sum(p.numel() for p in model.parameters())
    assert small.trainable == method.attach_adapters(model, config.placement, config.rank, config.alpha)


# ----------------------------------------------------------------------------------------------- the worked example


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, tokenizer: Any) -> Path:
    """A tiny Mixtral folder and four JSONL files, as a user might have them."""
    path = tmp_path_factory.mktemp("own")
    config = transformers.MixtralConfig(
        **{**SHAPE, "vocab_size": len(tokenizer)}, intermediate_size=24, num_local_experts=4
    )
    model = AutoModelForCausalLM.from_config(config)
    model.save_pretrained(path / "my-moe")
    tokenizer.save_pretrained(path / "my-moe")
    for lang in ("en", "ar"):
        known = knowledge.facts()[:8]
        for name, rows in (
            ("train", knowledge.training_samples(known, lang, 0)),
            ("test", knowledge.items(known, lang, "test", 0)),
        ):
            lines = [
                json.dumps({k: v for k, v in row.items() if k != "candidates"}, ensure_ascii=False) for row in rows
            ]
            (path / f"{name}_{lang}.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return path


def test_own_model_and_files_through_the_commands(folder: Path, tmp_path: Path) -> None:
    options = [
        "smoke", "--base", str(folder / "my-moe"), "--english", str(folder / "train_en.jsonl"), "--second",
        str(folder / "train_ar.jsonl"), "--ratio", "2", "1", "--test-english", str(folder / "test_en.jsonl"),
        "--test-second", str(folder / "test_ar.jsonl"), "--inspect", "--limit", "0", "--no-measure-speed",
        "--no-measure-translation", "--training.steps", "8", "--out", str(tmp_path / "mine"),
    ]  # fmt: skip
    for entry in (bimedix_train.train, bimedix_eval.evaluate):
        entrypoint(entry, options)
    measurement = json.loads((tmp_path / "mine" / "measurement.json").read_text(encoding="utf-8"))
    assert set(measurement["units"]["accuracy_bilingual"]) == {fact.id for fact in knowledge.facts()[:8]}
    assert {"accuracy_en", "accuracy_ar", "accuracy_gap", "letter_en", "language_distance_tuned"} <= set(
        measurement["metrics"]
    )
    report = json.loads((tmp_path / "mine" / "routing.json").read_text(encoding="utf-8"))
    for stage in ("base", "tuned"):
        shares = torch.tensor(report[stage]["ar"]["share"])
        assert shares.shape == (2, 4)
        assert torch.allclose(shares.sum(1), torch.ones(2))
    assert report["base"]["ar"]["share"] != report["tuned"]["ar"]["share"], "the router has moved"
    training = json.loads((tmp_path / "mine" / "artifact" / "training.json").read_text(encoding="utf-8"))
    assert training["samples"][0] == pytest.approx(2 * training["samples"][1], abs=2)
    assert sum(training["tokens"]) <= 8 * 2 * 128
    from peft import PeftModel

    base = AutoModelForCausalLM.from_pretrained(folder / "my-moe", dtype=torch.float32)
    before = base(IDS).logits.clone()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tuned = PeftModel.from_pretrained(base, tmp_path / "mine" / "artifact" / "adapter").eval()
    assert not torch.allclose(tuned(IDS).logits, before, atol=1e-4)


def test_library_call_of_the_page(folder: Path) -> None:
    from papers.bimedix import attach_adapters, quantize_base, trainable_parameters

    model = AutoModelForCausalLM.from_pretrained(folder / "my-moe", dtype=torch.float32)
    assert quantize_base(model) > 0
    assert attach_adapters(model, "experts+router", rank=8, alpha=16) == trainable_parameters(model)
    names = {
        name.split(".parametrizations")[0].rpartition(".")[2] for name, p in model.named_parameters() if p.requires_grad
    }
    assert names == {"experts", "gate"}


def _train_own(folder: Path, out: Path, strategy: str, packed: bool) -> list[float]:
    changes = {
        "base": str(folder / "my-moe"),
        "english": (str(folder / "train_en.jsonl"),),
        "second": (str(folder / "train_ar.jsonl"),),
        "packed": packed,
        "training.strategy": strategy,
        "training.batch_size": 4,
        "training.steps": 3,
    }
    run = Run(out / strategy, "bimedix", override(PRESETS["smoke"], changes), out / "stages", quiet=True).open()
    bimedix_train.train(run.config, run)
    barrier()
    return json.loads((run.artifact / "training.json").read_text(encoding="utf-8"))["losses"]


@pytest.mark.distributed
@pytest.mark.parametrize(("strategy", "packed"), [("ddp", True), ("fsdp2", False)])
def test_two_processes_train_like_one(folder: Path, tmp_path: Path, strategy: str, packed: bool) -> None:
    """Also with the base in packed 4-bit codes, which data parallelism has to leave alone."""
    alone = _train_own(folder, tmp_path, "auto", packed)
    together = launch_cpu(_train_own, 2, folder, tmp_path, strategy, packed, timeout=240)
    assert together[0] == together[1]
    assert together[0] == pytest.approx(alone, rel=1e-4)
    assert together[0][0] != together[0][-1]
    saved = adapters.load_adapter(toy_folder(folder), tmp_path / strategy / "artifact" / "adapter")
    assert saved(IDS).logits.isfinite().all()


def toy_folder(folder: Path) -> PreTrainedModel:
    return AutoModelForCausalLM.from_pretrained(folder / "my-moe", dtype=torch.float32)
