from __future__ import annotations

import math

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch.utils.flop_counter import FlopCounterMode
from transformers import (
    AutoModelForCausalLM,
    BertConfig,
    DeepseekV3Config,
    Gemma2Config,
    Glm4MoeConfig,
    GPT2Config,
    GraniteMoeConfig,
    LlamaConfig,
    M2M100Config,
    M2M100ForConditionalGeneration,
    MixtralConfig,
    Qwen2MoeConfig,
)

from core.cost.accounting import (
    NF4_BITS,
    activation_bytes,
    count_parameters,
    flops_per_token,
    refuse_too_large,
    state_bytes,
    target_of,
)
from core.cost.launch import commands
from core.cost.plan import GPUS, plan, render_plan
from core.cost.workload import Workload, of_training
from core.errors import UserError
from core.models.architectures import SAME_SHAPE, SHAPES, architecture, known, miniature
from core.models.tokenization import BOS, EOS, PAD, word_level
from core.training.config import TrainingConfig
from core.training.optimization import flops_per_token as measured

# Parameters as the models' weight indices (model.safetensors, "total_parameters") or cards state them.
PUBLISHED = {
    "openai-community/gpt2": 124_439_808,
    "HuggingFaceTB/SmolLM2-135M": 134_515_008,
    "HuggingFaceTB/SmolLM2-135M-Instruct": 134_515_008,
    "yahma/llama-7b-hf": 6_738_415_616,
    "timdettmers/guanaco-33b-merged": 32_528_943_616,
    "meta-llama/Llama-2-7b-hf": 6_738_415_616,
    "meta-llama/Llama-2-13b-hf": 13_015_864_320,
    # Llama 2 with 55,296 pieces in place of 32,000: 23,296 more rows of both matrices.
    "hfl/chinese-llama-2-7b": 6_738_415_616 + 2 * 23_296 * 4096,
    "hfl/chinese-llama-2-13b": 13_015_864_320 + 2 * 23_296 * 5120,
    "meta-llama/Llama-2-70b-hf": 68_976_648_192,
    "meta-llama/Meta-Llama-3-8B": 8_030_261_248,
    "meta-llama/Meta-Llama-3-70B": 70_553_706_496,
    "meta-llama/Llama-3.1-8B": 8_030_261_248,
    "meta-llama/Llama-3.1-70B": 70_553_706_496,
    "meta-llama/Llama-3.1-405B": 405_853_388_800,
    "meta-llama/Llama-3.2-1B": 1_235_814_400,
    "meta-llama/Llama-3.2-3B": 3_212_749_824,
    "mistralai/Mistral-7B-v0.1": 7_241_732_096,
    "mistralai/Mistral-7B-Instruct-v0.2": 7_241_732_096,
    "mistralai/Mistral-7B-v0.3": 7_248_023_552,
    "mistralai/Mistral-Nemo-Instruct-2407": 12_247_782_400,
    "mistralai/Mixtral-8x7B-v0.1": 46_702_792_704,
    "google/gemma-7b": 8_537_680_896,
    "google/gemma-2-2b": 2_614_341_888,
    "google/gemma-2-9b": 9_241_705_984,
    "google/gemma-2-27b": 27_227_128_320,
    "allenai/OLMo-1.7-7B-hf": 6_888_095_744,
    "Qwen/Qwen2-1.5B": 1_543_714_304,
    "Qwen/Qwen2-7B": 7_615_616_512,
    "Qwen/Qwen2-72B": 72_706_203_648,
    "Qwen/Qwen2.5-0.5B": 494_032_768,
    "Qwen/Qwen2.5-7B": 7_615_616_512,
    "Qwen/Qwen3-0.6B-Base": 596_049_920,
    "Qwen/Qwen3-1.7B-Base": 1_720_574_976,
    "Qwen/Qwen3-4B-Base": 4_022_468_096,
    "Qwen/Qwen3-8B-Base": 8_190_735_360,
    "CohereLabs/aya-expanse-8b": 8_028_033_024,
    # Its card gives widths and heads: two matrices of 256,000 tokens, 32 layers, norms with a bias.
    "nvidia/Nemotron-4-Mini-Hindi-4B-Base": 2 * 256_000 * 3072
    + 32 * (2 * 3072 * (3072 + 1024) + 2 * 3072 * 9216 + 4 * 3072)
    + 2 * 3072,
    "bigscience/bloom-1b7": 1_722_408_960,
    "bigscience/bloom-7b1": 7_069_016_064,
    "bigscience/bloom": 176_247_271_424,
    # 12 layers of 7,087,872, the embeddings, and a head of 768^2 + 3 x 768 and one bias for each token
    "google-bert/bert-base-multilingual-cased": 12 * 7_087_872
    + (119_547 + 512 + 2 + 2) * 768
    + 592_896
    - 768
    + 119_547,
    "google-bert/bert-base-multilingual-uncased": 12 * 7_087_872
    + (105_879 + 512 + 2 + 2) * 768
    + 592_896
    - 768
    + 105_879,
    "google/muril-base-cased": 12 * 7_087_872 + (197_285 + 512 + 2 + 2) * 768 + 592_896 - 768 + 197_285,
    "FacebookAI/xlm-roberta-base": 278_295_186,
    "cis-lmu/glot500-base": 278_295_186 + (401_145 - 250_002) * 769,
    "microsoft/mdeberta-v3-base": 278_218_752,
    "intfloat/multilingual-e5-small": 117_653_760,
    "sentence-transformers/all-MiniLM-L6-v2": 22_713_216,
    # That of 224 pixels has 303,179,776, and 320 positions of 1,024 less.
    "openai/clip-vit-large-patch14-336": 303_179_776 + 320 * 1024,
    "facebook/m2m100_1.2B": 1_239_470_080,
    "facebook/nllb-200-distilled-600M": 615_073_792,
    "facebook/nllb-200-distilled-1.3B": 1_370_638_336,
    "facebook/nllb-200-3.3B": 3_344_863_232,
    "facebook/mbart-large-cc25": 610_851_840,
}
MIXTRAL = "mistralai/Mixtral-8x7B-v0.1"

TINY = {
    "vocab_size": 120, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "tie_word_embeddings": False,
}  # fmt: skip
ROUTED = {**TINY, "num_experts_per_tok": 2, "moe_intermediate_size": 40}
COUNTED = {
    "llama": lambda: LlamaConfig(**TINY),
    "gpt2": lambda: GPT2Config(vocab_size=120, n_embd=32, n_layer=2, n_head=4, n_positions=64),
    "gemma2": lambda: Gemma2Config(**TINY, head_dim=16),
    "mixtral": lambda: MixtralConfig(**TINY, num_local_experts=4, num_experts_per_tok=2),
    "granite": lambda: GraniteMoeConfig(**TINY, num_local_experts=4, num_experts_per_tok=2),
    # Shared experts, which every token passes, and a first layer without any.
    "glm4": lambda: Glm4MoeConfig(**ROUTED, n_routed_experts=6, n_shared_experts=1, head_dim=8),
    "qwen2": lambda: Qwen2MoeConfig(**ROUTED, num_experts=6, shared_expert_intermediate_size=56),
    "deepseek": lambda: DeepseekV3Config(
        **ROUTED | {"num_key_value_heads": 4}, n_routed_experts=8, n_group=2, topk_group=1, first_k_dense_replace=1,
        q_lora_rank=16, kv_lora_rank=8, qk_rope_head_dim=4, qk_nope_head_dim=8, v_head_dim=6,
    ),
}  # fmt: skip


def counted(spec: str, **options: object):
    return count_parameters(Workload(spec, tokens=1, **options))  # type: ignore[arg-type]


def test_every_architecture_has_a_published_count() -> None:
    assert set(PUBLISHED) == set(SHAPES)
    assert set(SAME_SHAPE.values()) <= set(SHAPES)
    assert set(known()) == {*SHAPES, *SAME_SHAPE}


@pytest.mark.parametrize("spec", sorted(PUBLISHED))
def test_parameters_are_the_published_ones(spec: str) -> None:
    assert counted(spec).total == PUBLISHED[spec]


def test_configurations_are_fresh_and_know_their_class() -> None:
    first, second = architecture(MIXTRAL), architecture(MIXTRAL)
    first.num_hidden_layers = 1
    assert second.num_hidden_layers == 32
    assert second.architectures == ["MixtralForCausalLM"]
    assert architecture("meta-llama/Meta-Llama-3.1-70B").rope_parameters["rope_type"] == "llama3"


def test_a_miniature_has_the_asked_shape_and_ids() -> None:
    shape = miniature(300, width=64, layers=2, heads=4, feed_forward=160, positions=128)
    assert (shape.vocab_size, shape.hidden_size, shape.num_hidden_layers, shape.intermediate_size) == (300, 64, 2, 160)
    assert (shape.num_attention_heads, shape.num_key_value_heads, shape.max_position_embeddings) == (4, 4, 128)
    assert (shape.pad_token_id, shape.bos_token_id, shape.eos_token_id) == tuple(
        word_level(["a"]).convert_tokens_to_ids([PAD, BOS, EOS])
    )
    assert shape.tie_word_embeddings
    assert not miniature(
        300, width=64, layers=2, heads=4, feed_forward=160, positions=128, tie_word_embeddings=False
    ).tie_word_embeddings


def test_unknown_architecture_is_one_sentence() -> None:
    with pytest.raises(UserError, match=r"'nobody/nothing' is neither built in"):
        architecture("nobody/nothing")


def test_a_folder_with_a_config_is_an_architecture(tmp_path) -> None:
    LlamaConfig(
        vocab_size=10, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2
    ).save_pretrained(tmp_path)
    assert architecture(str(tmp_path)).hidden_size == 8


class TestMixtral:
    """The numbers that stand in the BiMediX brief: total, active, and LoRA parameters of each unit of rank."""

    def test_active(self) -> None:
        parameters = counted(MIXTRAL)
        assert parameters.total == 46_702_792_704
        assert parameters.active == 12_879_925_248

    def test_lora_per_unit_rank(self) -> None:
        lora = counted(MIXTRAL).lora
        assert (lora["attention"], lora["experts"], lora["router"]) == (851_968, 14_155_776, 131_328)

    def test_rank_128_on_everything(self) -> None:
        parameters = counted(MIXTRAL, method="qlora", lora_rank=128, lora_targets=("attention", "experts", "router"))
        assert parameters.trainable == 1_937_801_216
        assert parameters.trainable / parameters.total == pytest.approx(0.04149, abs=1e-5)
        # A token passes two of eight experts, and their adapters.
        assert parameters.adapter_flops == 128 * (851_968 + 131_328 + 14_155_776 / 4)


def test_lora_count_agrees_with_peft() -> None:
    config = LlamaConfig(
        vocab_size=64, hidden_size=16, intermediate_size=40, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, architectures=["LlamaForCausalLM"],
    )  # fmt: skip
    layers = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    adapted = get_peft_model(AutoModelForCausalLM.from_config(config), LoraConfig(r=4, target_modules=layers))
    expected = sum(p.numel() for p in adapted.parameters() if p.requires_grad)
    assert count_parameters(Workload(config, tokens=1, method="lora", lora_rank=4)).trainable == expected


@pytest.mark.parametrize(
    ("name", "group"),
    [
        ("model.layers.0.self_attn.q_proj.weight", "attention"),
        ("bert.encoder.layer.3.attention.output.dense.weight", "attention"),
        ("bert.encoder.layer.3.output.dense.weight", "mlp"),
        ("bert.encoder.layer.3.intermediate.dense.weight", "mlp"),
        ("model.layers.1.mlp.experts.gate_up_proj", "experts"),
        ("model.layers.1.mlp.gate.weight", "router"),
        ("model.layers.1.mlp.gate_proj.weight", "mlp"),
        ("transformer.h.0.mlp.dense_h_to_4h.weight", "mlp"),
        ("transformer.h.0.self_attention.query_key_value.weight", "attention"),
        ("model.decoder.layers.0.fc1.weight", "mlp"),
        ("model.decoder.layers.0.encoder_attn.k_proj.weight", "attention"),
        ("lm_head.weight", "embeddings"),
        ("model.embed_tokens.weight", "embeddings"),
    ],
)
def test_groups(name: str, group: str) -> None:
    assert target_of(name) == group


class TestFlops:
    def llama(self) -> LlamaConfig:
        # One layer: q, o 8x8; k, v 4x8; three of 8x12; head and embedding 100x8.
        return LlamaConfig(
            vocab_size=100, hidden_size=8, intermediate_size=12, num_hidden_layers=1, num_attention_heads=2,
            num_key_value_heads=1, tie_word_embeddings=False, architectures=["LlamaForCausalLM"],
        )  # fmt: skip

    def per_token(self, config, **options: object) -> float:
        workload = Workload(config, tokens=1, **options)  # type: ignore[arg-type]
        return flops_per_token(config, count_parameters(workload), workload)

    def test_by_hand(self) -> None:
        matrices = 64 + 64 + 32 + 32 + 3 * 96 + 800
        attention = 12 * 1 * 2 * 4 * 10  # 12 layers heads head_dim length
        config = self.llama()
        assert self.per_token(config, sequence_length=10) == 6 * matrices + attention
        assert self.per_token(config, sequence_length=10, kind="inference") == 2 * matrices + attention / 3
        adapters = 2 * (16 + 16 + 12 + 12 + 3 * 20)
        lora = self.per_token(config, sequence_length=10, method="lora", lora_rank=2)
        assert lora == 4 * matrices + attention + 6 * adapters
        assert self.per_token(config, sequence_length=10, method="frozen") == 2 * matrices + attention / 3

    def test_a_tied_embedding_is_multiplied_once_and_a_headless_one_never(self) -> None:
        config = self.llama()
        config.tie_word_embeddings = True
        workload = Workload(config, tokens=1)
        assert count_parameters(workload).multiplying == 64 + 64 + 32 + 32 + 3 * 96 + 800
        encoder = BertConfig(
            vocab_size=100, hidden_size=8, intermediate_size=12, num_hidden_layers=1, num_attention_heads=2,
            architectures=["BertModel"],
        )  # fmt: skip
        pooler = 64
        assert count_parameters(Workload(encoder, tokens=1)).multiplying == 4 * 64 + 2 * 96 + pooler

    def test_only_chosen_experts_count(self) -> None:
        shape = {
            "vocab_size": 100, "hidden_size": 8, "intermediate_size": 12, "num_hidden_layers": 1,
            "num_attention_heads": 2, "num_key_value_heads": 1, "architectures": ["MixtralForCausalLM"],
        }  # fmt: skip
        config = MixtralConfig(**shape, num_local_experts=4, num_experts_per_tok=2)
        counts = count_parameters(Workload(config, tokens=1))
        assert counts.multiplying == 192 + 2 * 3 * 96 + 4 * 8 + 800

    def test_sliding_windows_bound_the_attention(self) -> None:
        config = architecture("google/gemma-2-9b")
        workload = Workload(config, tokens=1, sequence_length=8192, kind="inference")
        counts = count_parameters(workload)
        attention = flops_per_token(config, counts, workload) - 2 * counts.multiplying
        assert attention == 4 * 16 * 256 * (21 * 8192 + 21 * 4096)

    @pytest.mark.parametrize("name", COUNTED)
    def test_what_is_counted_is_what_is_computed(self, name: str) -> None:
        """Against the products that torch sees in a forward pass; training and planning count alike."""
        config = COUNTED[name]()
        model = AutoModelForCausalLM.from_config(config, attn_implementation="eager").eval()
        if name not in {"gpt2", "llama", "gemma2"}:
            model.set_experts_implementation("eager")
        length = 24
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            model(torch.arange(length)[None], use_cache=False)
        config.architectures = [type(model).__name__]
        trained = measured(model, length)
        assert trained == pytest.approx(3 * counter.get_total_flops() / length, rel=2e-3)
        assert trained == self.per_token(config, sequence_length=length)
        model.requires_grad_(False)
        assert measured(model, 0) == pytest.approx(measured(model.requires_grad_(True), 0) * 4 / 6)

    def test_a_token_of_an_encoder_decoder_passes_one_half(self) -> None:
        config = M2M100Config(
            vocab_size=100, d_model=16, encoder_layers=1, decoder_layers=1, encoder_ffn_dim=24, decoder_ffn_dim=24,
            encoder_attention_heads=2, decoder_attention_heads=2, architectures=["M2M100ForConditionalGeneration"],
        )  # fmt: skip
        model = M2M100ForConditionalGeneration(config)
        assert measured(model, 10) == self.per_token(config, sequence_length=10)
        adapted = get_peft_model(model, LoraConfig(r=2, target_modules=["q_proj"]))
        with_adapters = 4 / 6 * measured(model.requires_grad_(True), 0)
        adapted.requires_grad_(False)
        assert measured(adapted, 0) == pytest.approx(with_adapters)


class TestMemory:
    def test_full_training_of_llama_8b(self) -> None:
        workload = Workload("meta-llama/Llama-3.1-8B", tokens=1)
        counts = count_parameters(workload)
        parameters = 8_030_261_248
        assert state_bytes("full, DDP", counts, workload, 8) == (6 * parameters, 4 * parameters, 8 * parameters)
        weights, gradients, states = state_bytes("full, FSDP2", counts, workload, 8)
        unit = 2 * 128_256 * 4096 + 4096  # both embedding matrices and the last norm are larger than a layer
        assert counts.unit == unit
        assert weights == pytest.approx(4 * parameters / 8 + 2 * 2 * unit)
        assert gradients == pytest.approx(4 * parameters / 8 + 2 * unit)
        assert states == parameters

    def test_stacked_experts_are_as_many_shards(self) -> None:
        counts = counted(MIXTRAL)
        experts = 32 * 8 * 3 * 4096 * 14_336
        rest = counts.total - experts
        assert counts.shard(8) == pytest.approx(counts.total / 8)
        assert counts.shard(32) == pytest.approx(experts / 8 + rest / 32, rel=1e-3)
        assert counts.gathered(8) == pytest.approx(counts.unit)
        assert counts.gathered(32) == pytest.approx(4 * counts.unit, rel=0.1)
        memory = {m.strategy: m for m in plan(Workload(MIXTRAL, tokens=1), gpus=32).costs[0].memory}
        assert not memory["full, FSDP2"].fits

    def test_optimizer_and_precision(self) -> None:
        counts = counted("meta-llama/Llama-3.1-8B")
        spec, n = "meta-llama/Llama-3.1-8B", 8_030_261_248
        assert state_bytes("full, DDP", counts, Workload(spec, 1, precision="bf16"), 1) == (2 * n, 2 * n, 4 * n)
        assert state_bytes("full, DDP", counts, Workload(spec, 1, precision="fp32"), 1) == (4 * n, 4 * n, 8 * n)
        assert state_bytes("full, DDP", counts, Workload(spec, 1, optimizer="adamw-8bit"), 1)[2] == 2 * n

    def test_nf4(self) -> None:
        assert pytest.approx(4.127, abs=1e-3) == NF4_BITS
        workload = Workload(
            MIXTRAL, tokens=1, method="qlora", lora_rank=128, lora_targets=("attention", "experts", "router")
        )
        counts = count_parameters(workload)
        in_layers = 46_702_792_704 - 2 * 32_000 * 4096 - 65 * 4096
        assert counts.quantized == in_layers
        weights = state_bytes("QLoRA, DDP", counts, workload, 8)[0]
        assert weights == pytest.approx(in_layers * NF4_BITS / 8 + 2 * (46_702_792_704 - in_layers) + 6 * 1_937_801_216)

    def test_activations_by_hand(self) -> None:
        config = architecture("meta-llama/Llama-3.1-8B")
        layer = 9 * 4096 + 2 * 4096 + 2 * 1024 + 4 * 14336
        tokens = 2 * 512
        logits = 10 * tokens * 128_256
        options = {"tokens": 1, "sequence_length": 512, "micro_batch_size": 2}
        counts = counted("meta-llama/Llama-3.1-8B")
        full = Workload(config, chunked_loss=False, checkpointing=False, **options)
        assert activation_bytes(config, counts, full) == tokens * 32 * layer * 2 + logits
        less = Workload(config, chunked_loss=True, checkpointing=True, **options)
        assert activation_bytes(config, counts, less) == tokens * (32 * 4096 + layer) * 2 + 10 * 2**26
        whole = activation_bytes(config, counts, less, "full, DDP")
        assert whole == tokens * (2 * 32 * 4096 + layer + 4 * 4096) * 2 + 10 * 2**26

    def test_key_value_cache_by_hand(self) -> None:
        config = architecture("meta-llama/Llama-3.1-8B")
        workload = Workload(config, tokens=1, kind="inference", sequence_length=1000, micro_batch_size=4)
        cache = 4000 * 32 * 2 * 8 * 128 * 2
        rest = 2 * 4000 * 4096 * 2 + 4 * 128_256 * 4
        assert activation_bytes(config, counted("meta-llama/Llama-3.1-8B"), workload) == cache + rest


class TestPlan:
    def test_gpu_hours(self) -> None:
        result = plan(Workload("meta-llama/Llama-3.1-8B", tokens=1e9), gpus=8, gpu="A100", mfu=0.5)
        flops = result.costs[0].flops
        matrices = 8_030_261_248 - 128_256 * 4096 - 65 * 4096
        assert flops == 1e9 * (6 * matrices + 12 * 32 * 32 * 128 * 2048)
        assert result.gpu_hours == pytest.approx(flops / (0.5 * 312e12) / 3600)

    def test_what_fits(self) -> None:
        memory = {m.strategy: m for m in plan(Workload("meta-llama/Llama-3.1-70B", tokens=1), gpus=8).costs[0].memory}
        assert not memory["full, DDP"].fits
        assert memory["full, DDP"].needs is None
        assert memory["full, FSDP2"].needs == 32
        assert memory["QLoRA, DDP"].fits
        assert memory["QLoRA, DDP"].needs == 1
        needed = plan(Workload("meta-llama/Llama-3.1-70B", tokens=1), gpus=32).costs[0].memory[1]
        assert needed.fits
        fewer = plan(Workload("meta-llama/Llama-3.1-70B", tokens=1), gpus=16).costs[0].memory[1]
        assert not fewer.fits

    def test_sharding_and_more_gpus_never_need_more_memory(self) -> None:
        totals = [
            plan(Workload("Qwen/Qwen2.5-7B", tokens=1), gpus=gpus).costs[0].memory[1].total for gpus in (1, 2, 4, 8, 64)
        ]
        assert totals == sorted(totals, reverse=True)

    def test_several_models(self) -> None:
        parts = [
            Workload("intfloat/multilingual-e5-small", tokens=1e6, kind="inference", name="retriever"),
            Workload("google/gemma-2-9b", tokens=1e6, method="lora", name="reader"),
        ]
        result = plan(parts, gpus=2, gpu="l40s")
        assert result.gpu_hours == pytest.approx(sum(cost.gpu_hours for cost in result.costs))
        text = render_plan(result)
        assert "retriever" in text
        assert "9,241,705,984 total" in text

    def test_rendered_numbers(self) -> None:
        workload = Workload(
            MIXTRAL, tokens=1.3e9, method="qlora", lora_rank=128, lora_targets=("attention", "experts", "router")
        )
        text = render_plan(plan(workload, gpus=8, gpu="a100"))
        assert "46,702,792,704 total, 12,879,925,248 active" in text
        assert "1,937,801,216 trainable (4.149%)" in text
        assert "* QLoRA, DDP" in text
        assert "* full" not in text
        assert "312 TFLOP/s" in text

    def test_every_gpu_has_a_peak(self) -> None:
        for name in GPUS:
            assert plan(Workload("HuggingFaceTB/SmolLM2-135M", tokens=1), gpu=name).peak > 5e13

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"gpu": "tpu"}, "unknown GPU 'tpu': choose one of a100"),
            ({"gpus": 0}, "gpus >= 1"),
            ({"mfu": 40.0}, "mfu <= 1"),
        ],
    )
    def test_bad_options(self, arguments: dict, message: str) -> None:
        with pytest.raises(UserError, match=message):
            plan(Workload("HuggingFaceTB/SmolLM2-135M", tokens=1), **arguments)

    @pytest.mark.parametrize("field", [{"kind": "qlora"}, {"method": "adapter"}, {"tokens": -1}, {"lora_rank": 0}])
    def test_bad_workloads(self, field: dict) -> None:
        with pytest.raises(UserError):
            plan(Workload(**{"architecture": "HuggingFaceTB/SmolLM2-135M", "tokens": 1, **field}))

    def test_light(self) -> None:
        import subprocess
        import sys

        code = (
            "import sys, core.cost.plan, core.models.architectures\n"
            "sys.exit(bool({'torch', 'transformers'} & {*sys.modules}))"
        )
        assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_numbers_are_finite_for_every_architecture() -> None:
    for spec in SHAPES:
        for cost in plan([Workload(spec, tokens=1e6, sequence_length=512), Workload(spec, 1e6, "inference")]).costs:
            assert math.isfinite(cost.flops)
            assert cost.flops > 0
            assert all(math.isfinite(memory.total) and memory.total > 0 for memory in cost.memory)


def test_a_model_that_no_gpu_holds_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    refuse_too_large("Qwen/Qwen2-72B")  # without a GPU it is the user's memory
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda number: type("GPU", (), {"total_memory": 80e9}))
    refuse_too_large("Qwen/Qwen2-7B")
    with pytest.raises(UserError, match=r"291 GB in float32, .* one part of 1, and the GPU 80"):
        refuse_too_large("Qwen/Qwen2-72B")
    refuse_too_large("Qwen/Qwen2-72B", 8)


def test_a_training_phase_is_planned_with_its_own_lengths_and_batches() -> None:
    settings = TrainingConfig(batch_size=32, max_length=77, gradient_checkpointing=True)
    found = of_training(settings, "wheel:minilm", 1e6, name="tuning", precision="fp32")
    assert (found.sequence_length, found.micro_batch_size, found.checkpointing) == (77, 32, True)
    assert (found.architecture, found.tokens, found.name, found.precision) == ("wheel:minilm", 1e6, "tuning", "fp32")
    smaller = TrainingConfig(batch_size=32, micro_batch_size=4, gradient_checkpointing=False)
    assert of_training(smaller, "wheel:minilm", 1).micro_batch_size == 4
    assert not of_training(smaller, "wheel:minilm", 1).checkpointing


class TestLaunch:
    """The commands of a real run."""

    def lines(self, *workloads: Workload, gpus: int = 8, trains: bool = True, gpu: str = "h100") -> list[str]:
        return commands("mine", "paper", plan(workloads, gpus=gpus, gpu=gpu), trains=trains)

    def test_what_one_gpu_holds_is_not_sharded(self) -> None:
        assert self.lines(Workload("Qwen/Qwen2.5-0.5B", 1e9)) == [
            "accelerate launch --config_file configs/accelerate/ddp.yaml --num_processes 8 -m papers.mine.train paper",
            "python -m papers.mine.eval paper",
        ]

    def test_one_phase_that_does_not_fit_shards_the_run(self) -> None:
        train, _ = self.lines(Workload("Qwen/Qwen2.5-0.5B", 1e9), Workload("Qwen/Qwen2.5-7B", 1e9))
        assert "fsdp2.yaml --num_processes 8 -m" in train

    def test_a_model_takes_as_many_machines_as_its_memory_needs(self) -> None:
        (train, _) = self.lines(Workload("Qwen/Qwen2-72B", 1e9))
        cost = plan(Workload("Qwen/Qwen2-72B", 1e9), gpus=8).costs[0]
        needs = next(memory.needs for memory in cost.memory if memory.strategy == "full, FSDP2")
        assert needs is not None
        assert needs > 8
        assert f"--num_machines {needs // 8} --machine_rank" in train
        assert f"--num_processes {needs} -m" in train

    def test_an_odd_number_of_gpus_fills_whole_machines(self) -> None:
        train, _ = self.lines(Workload("Qwen/Qwen2.5-7B", 1e9), gpus=12)
        assert "--num_machines 2" in train
        assert "--num_processes 16" in train

    def test_what_trains_no_network_is_one_process(self) -> None:
        reading = Workload("Qwen/Qwen2.5-7B", 1e9, kind="inference")
        assert self.lines(reading) == ["python -m papers.mine.train paper", "python -m papers.mine.eval paper"]
        assert self.lines(reading, trains=False) == ["python -m papers.mine.eval paper"]
