"""The simulated step against a real one, what it says of where memory goes, and what it refuses."""

from __future__ import annotations

import inspect
from dataclasses import replace
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from transformers import LlamaConfig, MixtralConfig

from core import cli, distributed
from core.cost.memory import Memory
from core.cost.simulate import Step, _batch, _processes, render, simulate, steps_of
from core.cost.steps import Simulation, adapted, pretrained, read, score, translate, write
from core.errors import UserError
from core.inference.generation import tokens_at_once
from core.models.architectures import architecture
from core.training.config import TrainingConfig
from core.training.fit import gradients, prepared
from core.training.losses import Loss, causal_lm_loss

SHAPE = {
    "vocab_size": 3000, "hidden_size": 96, "intermediate_size": 256, "num_hidden_layers": 3, "num_attention_heads": 4,
    "num_key_value_heads": 2, "tie_word_embeddings": False,
}  # fmt: skip
LLAMA = LlamaConfig(**SHAPE, architectures=["LlamaForCausalLM"])
SETTINGS = TrainingConfig(batch_size=4, max_length=128, precision="fp32", layout="padded", steps=2)


def step(settings: TrainingConfig = SETTINGS, gpus: int = 1, **options: Any) -> Step:
    (found,) = simulate(Simulation("tuning", pretrained(LLAMA), settings, **options), gpus)
    return found


def measured(settings: TrainingConfig) -> float:
    """Bytes at the peak of a real second step, by the events of torch's CPU allocator."""
    simulation = Simulation("tuning", pretrained(LLAMA), settings)
    model = simulation.model(torch.float32)
    accelerator = distributed.make_accelerator()
    with distributed.simulated(), prepared(model, causal_lm_loss, settings, accelerator) as (objective, optimizer):
        batch = _batch(simulation, settings, settings.batch_size, "padded")
        feed: Any = SimpleNamespace(micro_batches=lambda *_: [(batch, [])], config=settings)

        def one() -> None:
            gradients(accelerator, objective, feed, [], 0, False)
            optimizer.step()

        one()
        optimizer.zero_grad()
        states = [value for state in optimizer.state.values() for value in state.values()]
        there = sum(tensor.nbytes for tensor in [*model.parameters(), *model.buffers(), *states])
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profiler:
            one()
    events = [event for event in profiler.profiler.kineto_results.events() if event.name() == "[memory]"]
    now = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        now += event.nbytes()
        peak = max(peak, now)
    return there + peak


@pytest.mark.parametrize("changes", [{}, {"gradient_checkpointing": True}, {"batch_size": 12, "max_length": 64}])
def test_a_simulated_step_has_the_bytes_of_a_real_one(changes: dict[str, Any]) -> None:
    settings = replace(SETTINGS, **changes)
    assert step(settings).peak == pytest.approx(measured(settings), rel=0.1)


def test_weights_gradients_and_states_are_those_of_arithmetic() -> None:
    parameters = 4 * sum(p.numel() for p in pretrained(LLAMA)(torch.float32).parameters())
    found = step(replace(SETTINGS, batch_size=8, micro_batch_size=4))  # a second micro-batch: gradients are there
    assert found.kinds["weights"] == pytest.approx(parameters, rel=0.01)
    assert found.kinds["gradients"] == pytest.approx(parameters, rel=0.01)
    assert found.kinds["optimiser"] == pytest.approx(2 * parameters, rel=0.01)
    assert found.peak == pytest.approx(sum(found.kinds.values()), rel=0.01)
    assert found.flops == pytest.approx(found.formula, rel=0.1)
    # One micro-batch a step, but DDP's buckets stay.
    assert step(SETTINGS, gpus=2).kinds["gradients"] == pytest.approx(parameters, rel=0.01)
    assert step(SETTINGS).kinds["gradients"] < 0.5 * parameters


def test_shards_are_an_eighth_and_recomputation_keeps_less() -> None:
    settings = replace(SETTINGS, strategy="fsdp2", precision="bf16", layout="packed", batch_size=32, micro_batch_size=4)
    one, eight = step(settings), step(settings, gpus=8)
    assert eight.kinds["weights"] == pytest.approx(one.kinds["weights"] / 8, rel=0.02)
    assert eight.kinds["optimiser"] == pytest.approx(one.kinds["optimiser"] / 8, rel=0.02)
    assert eight.kinds["copies of weights"] > 0
    assert not torch.distributed.is_initialized()
    less = step(replace(settings, gradient_checkpointing=True), gpus=8)
    assert less.peak < eight.peak
    assert less.flops > 1.1 * eight.flops


def full_vocabulary(model: Any, batch: dict[str, Tensor]) -> Loss:
    logits = model(input_ids=batch["input_ids"], use_cache=False).logits.float()
    log_p = logits.log_softmax(-1)
    return Loss(log_p[..., 0].sum(), batch["input_ids"].numel())


def test_a_tensor_over_the_whole_vocabulary_is_named_with_its_line() -> None:
    found = step(loss=full_vocabulary)
    first = inspect.getsourcelines(full_vocabulary)[1]
    assert f"(4, 128, {SHAPE['vocab_size']}) float32" in found.largest[0]
    assert any(f"tests/core/test_simulate.py:{first + 2}" in line for line in found.largest)
    text = render([found], "l4")
    assert "fits (" in text
    assert f"test_simulate.py:{first + 2}" in text
    assert "DOES NOT FIT" in render([replace(found, peak=24e9 * 0.93)], "l4")


def test_evaluation() -> None:
    def peak(evaluate: Any, model: Any = None) -> float:
        return simulate(Simulation("asking", model or pretrained(LLAMA), evaluate=evaluate))[0].peak

    weights = 2 * sum(p.numel() for p in pretrained(LLAMA)(torch.float32).parameters())
    short, long = (peak(partial(write, prompt=16, new=new, rows=8)) for new in (64, 1064))
    # Keys and values of 3 layers, 2 heads of 24, in bf16, and a copy of a layer's while a token is added to them.
    assert long - short == pytest.approx(1000 * 8 * 2 * 3 * 2 * 24 * 2, rel=0.7)
    assert weights < peak(partial(read, length=64, rows=2)) < peak(partial(read, length=64, rows=64))
    assert peak(partial(score, length=512)) > weights
    narrow = LlamaConfig(**{**SHAPE, "vocab_size": 64}, architectures=["LlamaForCausalLM"])
    models = adapted(narrow, 2), adapted(narrow, 2, nf4=True)
    whole, packed = (peak(lambda _: torch.zeros(1), model) for model in models)
    assert packed < 0.5 * whole


def test_encoder_decoders_translate() -> None:
    from transformers import MBartConfig

    config = MBartConfig(
        vocab_size=400, d_model=32, encoder_layers=1, decoder_layers=1, encoder_ffn_dim=64, decoder_ffn_dim=64,
        encoder_attention_heads=2, decoder_attention_heads=2, architectures=["MBartForConditionalGeneration"],
    )  # fmt: skip
    part = Simulation("", pretrained(config, "seq2seq"), evaluate=partial(translate, source=8, new=8, beams=3, rows=2))
    assert simulate(part)[0].peak > 0


@pytest.mark.parametrize(("name", "tokens"), [("meta-llama/Llama-2-7b-hf", 30_517), ("Qwen/Qwen2-7B", 131_072)])
def test_a_batch_of_generation_leaves_room_for_the_model(name: str, tokens: int) -> None:
    model = SimpleNamespace(device=torch.device("cpu"), config=architecture(name))
    assert tokens_at_once(model) == 8192
    with distributed.simulated():
        assert tokens_at_once(model) == tokens


def test_an_expert_finds_its_share_and_a_mask_its_labels() -> None:
    with FakeTensorMode(), Memory(routed=(2, 8), labels={(4, 16): 5}):
        chosen = torch.zeros(64, 2, dtype=torch.long)
        token, place = torch.where(chosen == 3)
        assert token.shape == place.shape == (16,)
        assert torch.zeros(10)[torch.ones(10, dtype=torch.bool)].shape == (10,)
        assert torch.zeros(4, 16, 3)[torch.ones(4, 16, dtype=torch.bool)].shape == (5, 3)
        assert torch.ones(3).sum().item() == 0
        assert torch.bincount(chosen.flatten(), minlength=7).shape == (7,)


def test_a_mixture_runs() -> None:
    shape = {**SHAPE, "num_local_experts": 4, "num_experts_per_tok": 2, "architectures": ["MixtralForCausalLM"]}
    part = Simulation("", pretrained(MixtralConfig(**shape)), replace(SETTINGS, strategy="fsdp2", batch_size=8))
    few, many = simulate(part, 4)[0], simulate(part, 8)[0]
    # Four experts are four shards, whatever the number of GPUs.
    assert few.kinds["optimiser"] < 1.5 * many.kinds["optimiser"]


def test_processes_leave_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "3")
    with _processes(4):
        assert distributed.world_size() == 4
    import os

    assert os.environ["WORLD_SIZE"] == "3"
    assert "ACCELERATE_TORCH_DEVICE" not in os.environ
    assert not torch.distributed.is_initialized()


def test_the_command_says_whether_it_fits(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    found = Step("tuning", "training, one GPU", {"weights": 70e9}, 70e9, "model.layers.0", (), 1e12, 2e12)
    asked: list[tuple[Any, ...]] = []
    monkeypatch.setattr("core.cost.simulate.simulate_paper", lambda *options: asked.append(options) or [found])
    cli.main(["plan", "transmi", "--simulate", "--gpus", "4"])
    assert asked == [("transmi", "paper", None, 4)]
    out = capsys.readouterr().out
    assert "GPU-hours" in out
    assert "70.0: fits (weights 70.0)" in out
    assert "1.000e+12 (2.000e+12 by the formula" in out
    with pytest.raises(SystemExit) as end:
        cli.main(["plan", "transmi", "--simulate", "--gpu", "a6000"])
    assert end.value.code == 1


def test_a_paper_is_simulated_without_a_trace() -> None:
    assert [step.how.partition(",")[0] for step in steps_of("taco", "smoke", None, 1)] == ["training", "evaluation"]
    with pytest.raises(UserError, match="tinny"):
        steps_of("taco", "tinny", None, 1)


SEVEN_B = TrainingConfig(
    batch_size=1024,
    micro_batch_size=1,
    max_length=4096,
    precision="bf16",
    strategy="fsdp2",
    gradient_checkpointing=True,
)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "gpus", "fits"),
    [
        ("meta-llama/Llama-2-7b-hf", 8, True),
        ("meta-llama/Llama-2-7b-hf", 1, False),
        ("mistralai/Mixtral-8x7B-v0.1", 32, False),  # its eight experts are eight shards
        ("Qwen/Qwen2-72B", 8, False),
    ],
)
def test_what_a_cluster_holds(name: str, gpus: int, fits: bool) -> None:
    assert simulate(Simulation(name, pretrained(name), SEVEN_B), gpus)[0].fits("h100") == fits
