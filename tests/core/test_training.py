"""The loop: what must not depend on how a step is cut up, schedules, clipping, stopping, going on."""

from __future__ import annotations

import itertools
import json
import math
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from datasets import Dataset
from peft import PromptTuningConfig, get_peft_model
from safetensors.torch import load_file
from torch import nn
from transformers import (
    AutoModelForCausalLM,
    FalconH1Config,
    Llama4ForCausalLM,
    Llama4TextConfig,
    LlamaConfig,
    LlamaForCausalLM,
    MBartConfig,
    MBartForCausalLM,
    Qwen2MoeConfig,
    RecurrentGemmaConfig,
    RwkvConfig,
    XLMRobertaConfig,
    XLMRobertaForCausalLM,
)

from core.errors import UserError
from core.experiment.config import validate
from core.experiment.run import Run
from core.training import checkpoint
from core.training.config import TrainingConfig
from core.training.fit import fit, save_pretrained
from core.training.losses import Loss, causal_lm_loss
from core.training.optimization import flops_per_token, learning_rate, make_optimizer, scale_gradients, set_precision
from core.training.progress import seconds_left

CONFIG = TrainingConfig(
    steps=6, batch_size=4, max_length=48, learning_rate=3e-3, weight_decay=0.1, precision="fp32", log_every=1
)


def test_arms_of_other_lengths_see_as_many_tokens():
    rows = [{"input_ids": [1] * length} for length in (4, 8, 60)]
    assert CONFIG.row_tokens(rows) == 6, "what does not fit does not count"
    assert (CONFIG.longer(2.5).steps, CONFIG.longer(2.5).epochs) == (15, 2.5)
    assert replace(CONFIG.longer(2.5), steps=6, epochs=1.0) == CONFIG
    with pytest.raises(UserError, match=r"No row fits into training\.max_length = 48"):
        CONFIG.row_tokens(rows[2:])


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture
def run(tmp_path):
    return Run(tmp_path / "run", "mexa", None, tmp_path / "stages", quiet=True)


def tiny_model(dropout=0.0, **kwargs):
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=67, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2,
        attention_dropout=dropout, **kwargs,
    )  # fmt: skip
    return LlamaForCausalLM(config)


def rows(count=60, seed=0):
    """Instruction-shaped: a prompt without loss and an answer with it, of very unequal lengths."""
    rng = np.random.default_rng(seed)
    made = []
    for i in range(count):
        ids = rng.integers(0, 67, rng.integers(2, 40)).tolist()
        prompt = rng.integers(0, len(ids))
        made.append({"id": f"row{i}", "input_ids": ids, "labels": [-100] * prompt + ids[prompt:]})
    return made


def weights(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


# --- what a step is --------------------------------------------------


@pytest.mark.parametrize("layout", ["packed", "flattened", "padded"])
def test_accumulation_equals_one_large_batch(run, layout):
    """Micro-batches have unequal numbers of label tokens, so averaging their means would fail here."""
    results = []
    for micro in (0, 1, 3):
        model = tiny_model()
        results.append(
            (fit(model, rows(), replace(CONFIG, layout=layout, micro_batch_size=micro), run).losses, weights(model))
        )
    for losses, trained in results[1:]:
        assert losses == pytest.approx(results[0][0], rel=1e-5)
        torch.testing.assert_close(trained, results[0][1], rtol=1e-4, atol=1e-5)


def test_flattened_equals_padded(run):
    results = []
    for layout in ("flattened", "padded"):
        model = tiny_model()
        results.append((fit(model, rows(), replace(CONFIG, layout=layout), run).losses, weights(model)))
    assert results[0][0] == pytest.approx(results[1][0], rel=1e-5)
    torch.testing.assert_close(results[0][1], results[1][1], rtol=1e-4, atol=1e-5)


def test_a_step_is_adamw_on_the_mean_over_label_tokens(run):
    """One step against torch written out by hand: schedule, clipping, decay on matrices only."""
    config = replace(CONFIG, steps=1, batch_size=5, layout="padded", max_grad_norm=0.05, shuffle=False)
    data, ours, theirs = rows(5), tiny_model(), tiny_model()
    result = fit(ours, data, config, run)

    total, count = torch.zeros(()), 0
    for row in data:
        labels = torch.tensor(row["labels"])[1:]
        logits = theirs(input_ids=torch.tensor([row["input_ids"]])).logits[0, :-1]
        total = total + nn.functional.cross_entropy(logits, labels, ignore_index=-100, reduction="sum")
        count += int((labels != -100).sum())
    (total / count).backward()
    norm = nn.utils.clip_grad_norm_(theirs.parameters(), config.max_grad_norm)
    assert norm > config.max_grad_norm
    matrices = [p for p in theirs.parameters() if p.ndim > 1]
    vectors = [p for p in theirs.parameters() if p.ndim == 1]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}]
    torch.optim.AdamW(groups, lr=learning_rate(0, 1, config), fused=False, foreach=False).step()
    assert result.losses[0] == pytest.approx(float(total) / count, rel=1e-5)
    torch.testing.assert_close(weights(ours), weights(theirs), rtol=1e-5, atol=1e-6)


def test_it_learns_and_reports(run):
    data = Dataset.from_list([{"input_ids": [1, 2, 3, 4, 5, 6, 7, 8]}] * 32)
    model = tiny_model()
    calls = []

    def evaluate(inner):
        calls.append((inner.training, torch.is_grad_enabled()))
        torch.rand(3)
        return {"score": len(calls)}

    config = replace(CONFIG, steps=30, learning_rate=1e-2, eval_every=20, schedule="constant")
    result = fit(model.eval(), data, config, run, evaluate=evaluate)
    assert result.losses[-1] < 0.1 * result.losses[0]
    assert result.evaluations == ((20, {"score": 1.0}), (30, {"score": 2.0}))
    assert calls == [(False, False)] * 2
    assert not model.training
    assert result.tokens_per_second > result.label_tokens_per_second > 0
    assert result.mfu is None
    assert result.peak_memory > 1e7
    lines = [json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "loss" in line] == list(range(1, 31))
    assert lines[-2]["learning_rate"] == pytest.approx(1e-2)
    assert not (run.path / "checkpoints").exists() or not any((run.path / "checkpoints" / "train").iterdir())
    # Evaluation draws random numbers; training must not notice.
    again = fit(tiny_model(), data, replace(config, eval_every=0), run, name="again")
    assert again.losses == result.losses


SHAPE = {
    "vocab_size": 67, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2,
    "num_key_value_heads": 1,
}  # fmt: skip


def packing_is_hard_for():
    """Models with windows, chunks, states or positions of their own, and whether they can be packed after all."""
    window = {"sliding_window": 8, "use_sliding_window": True, "layer_types": ["sliding_attention"] * 2}
    routed = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 8}
    yield "window", True, Qwen2MoeConfig(**SHAPE, **window, **routed, shared_expert_intermediate_size=8)
    chunks = {"num_local_experts": 2, "intermediate_size_mlp": 24, "attention_chunk_size": 16, "head_dim": 8}
    yield "chunks", True, Llama4TextConfig(**SHAPE, **chunks)
    yield "positions", False, XLMRobertaConfig(**SHAPE, is_decoder=True, max_position_embeddings=64)
    decoder = {"d_model": 16, "decoder_layers": 1, "decoder_ffn_dim": 24, "decoder_attention_heads": 2}
    yield "own positions", False, MBartConfig(vocab_size=67, encoder_layers=1, **decoder)
    yield "states", False, RecurrentGemmaConfig(**{**SHAPE, "num_hidden_layers": 3}, lru_width=16, logits_soft_cap=0.5)
    mamba = {"mamba_d_ssm": 16, "mamba_n_heads": 2, "mamba_d_head": 8, "mamba_d_state": 8, "mamba_chunk_size": 16}
    yield "states beside attention", False, FalconH1Config(**SHAPE, **mamba)
    yield "no positions", False, RwkvConfig(vocab_size=67, hidden_size=16, num_hidden_layers=2, intermediate_size=24)


@pytest.mark.parametrize(
    ("name", "packable", "config"), list(packing_is_hard_for()), ids=lambda x: x if isinstance(x, str) else ""
)
@pytest.mark.parametrize("layout", ["packed", "flattened"])
def test_packed_documents_have_the_loss_that_each_has_alone(run, capsys, name, packable, config, layout):
    torch.manual_seed(0)
    classes = {
        XLMRobertaConfig: XLMRobertaForCausalLM,
        MBartConfig: MBartForCausalLM,
        Llama4TextConfig: Llama4ForCausalLM,
    }
    made = classes.get(type(config))
    model = made(config) if made else AutoModelForCausalLM.from_config(config)
    model.eval()
    data, total, count = rows(8), 0.0, 0
    with torch.no_grad():
        for row in data:
            labels = torch.tensor(row["labels"])[1:]
            logits = model(input_ids=torch.tensor([row["input_ids"]]), use_cache=False).logits[0, :-1]
            total += nn.functional.cross_entropy(logits, labels, ignore_index=-100, reduction="sum").item()
            count += int((labels != -100).sum())
    for module in model.modules():  # what has dropout by default
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        if hasattr(module, "dropout") and isinstance(module.dropout, float):
            module.dropout = 0.0
    packed = layout == "packed"
    sizes = {"batch_size": 2 if packed else 8, "max_length": 128 if packed else 48}
    config = replace(CONFIG, steps=1, layout=layout, **sizes)
    assert fit(model, data, config, run).losses[0] == pytest.approx(total / count, rel=1e-6)
    assert ("does not read packed documents" not in capsys.readouterr().out) == packable


def test_prompt_tuning_trains_the_prompt_on_the_models_own_loss(run):
    model = tiny_model()
    frozen = weights(model)
    model = get_peft_model(model, PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=4))
    data = [{"input_ids": [1, 2, 3, 4, 5, 6, 7, 8]}] * 8
    ids = torch.tensor([data[0]["input_ids"]])
    labels = ids.index_fill(1, torch.tensor([0]), -100)  # nothing predicts a document's first token
    before = model(input_ids=ids, labels=labels).loss.item()
    result = fit(model, data, replace(CONFIG, steps=60, learning_rate=0.3, schedule="constant"), run)
    assert result.losses[0] == pytest.approx(before, rel=1e-5)
    assert result.losses[-1] < result.losses[0] - 0.01
    assert torch.equal(weights(model.get_base_model()), frozen)


def test_only_what_requires_gradients_is_trained(run):
    model = tiny_model()
    model.requires_grad_(False)
    model.model.layers[0].mlp.requires_grad_(True)
    before = {name: p.clone() for name, p in model.named_parameters()}
    fit(model, rows(), replace(CONFIG, steps=2), run)
    changed = {name for name, p in model.named_parameters() if not torch.equal(p, before[name])}
    assert changed == {f"model.layers.0.mlp.{part}_proj.weight" for part in ("gate", "up", "down")}


def test_frozen_bf16_base_under_fp32_adapters(run):
    from peft import LoraConfig, get_peft_model

    model = get_peft_model(tiny_model().to(torch.bfloat16), LoraConfig(r=2, target_modules=["q_proj"]))
    fit(model, rows(), replace(CONFIG, steps=2, precision="bf16"), run)
    types = {(p.requires_grad, p.dtype) for p in model.parameters()}
    assert types == {(True, torch.float32), (False, torch.bfloat16)}


@pytest.mark.parametrize("precision", ["bf16", "pure-bf16"])
def test_half_precision_stays_close_to_fp32(run, precision):
    exact = fit(tiny_model(), rows(), CONFIG, run).losses
    half = fit(tiny_model(), rows(), replace(CONFIG, precision=precision), run, name=precision).losses
    assert half == pytest.approx(exact, rel=2e-2)


def test_gradient_checkpointing_changes_nothing(run):
    one = fit(tiny_model(), rows(), replace(CONFIG, steps=2), run).losses
    two = fit(tiny_model(), rows(), replace(CONFIG, steps=2, gradient_checkpointing=True), run, name="gc").losses
    assert one == pytest.approx(two, rel=1e-6)


def test_any_rows_with_a_collate_function_and_any_loss(run):
    data = [{"x": float(i % 5), "y": 2.0 * (i % 5) + 1} for i in range(40)]
    drawn = []

    def collate(batch, rng):
        drawn.append(rng.random())
        return {key: torch.tensor([[row[key]] for row in batch]) for key in ("x", "y")}

    def loss(model, batch):
        error = (model(batch["x"]) - batch["y"]) ** 2
        return Loss(error.sum(), len(error), {"absolute": error.detach().sqrt().sum()})

    model = nn.Linear(1, 1)
    config = TrainingConfig(steps=300, batch_size=10, learning_rate=0.1, precision="fp32", weight_decay=0.0)
    result = fit(model, data, config, run, loss_fn=loss, collate=collate)
    assert result.losses[-1] < 1e-3
    assert (model.weight.item(), model.bias.item()) == pytest.approx((2, 1), abs=0.05)
    assert len(set(drawn)) == 300
    assert "absolute" in json.loads((run.path / "metrics.jsonl").read_text().splitlines()[-1])


def regression(rows, rng):
    return {key: torch.tensor([[row[key]] for row in rows]) for key in ("x", "y")}


def counted(model, batch):
    """A loss that knows rows without anything to learn from (y = 0)."""
    items = (batch["y"] != 0).sum()
    return Loss((model(batch["x"]) * (batch["y"] != 0)).sum(), items)


def test_a_step_without_items_changes_nothing(run):
    data = [{"x": 1.0, "y": float(i != 2)} for i in range(4)]
    config = TrainingConfig(
        steps=4, batch_size=1, learning_rate=0.1, precision="fp32", weight_decay=0.5, shuffle=False, save_every=1,
        keep_checkpoints=9, schedule="constant", log_every=1,
    )  # fmt: skip
    result = fit(nn.Linear(1, 1), data, config, run, loss_fn=counted, collate=regression)
    assert [math.isnan(loss) for loss in result.losses] == [False, False, True, False]
    saved = [
        load_file(path / "model.safetensors") for path in checkpoint.all_checkpoints(run.path / "checkpoints/train")
    ]
    moved = [not torch.equal(a["weight"], b["weight"]) for a, b in itertools.pairwise(saved)]
    assert moved == [True, False, True]
    again = fit(nn.Linear(1, 1), data, config, run, loss_fn=counted, collate=regression)
    assert again.losses == pytest.approx(result.losses, nan_ok=True)


def test_training_without_any_item_is_refused(run):
    data = [{"x": 1.0, "y": 0.0}] * 6
    config = TrainingConfig(steps=100, batch_size=2, learning_rate=0.1, precision="fp32", weight_decay=0.5)
    model = nn.Linear(1, 1)
    before = weights(model)
    with pytest.raises(UserError, match="no item in any of 3 steps"):
        fit(model, data, config, run, loss_fn=counted, collate=regression)
    assert torch.equal(weights(model), before)


def test_prompts_that_fill_max_length_are_refused_or_counted(run, capsys):
    long = {"input_ids": list(range(60)), "labels": [-100] * 50 + list(range(50, 60))}
    model = tiny_model()
    before = weights(model)
    with pytest.raises(UserError, match="nothing to learn from"):
        fit(model, [long] * 5, CONFIG, run)
    assert torch.equal(weights(model), before)
    result = fit(model, [*rows(20), long], CONFIG, run)
    assert (result.left_out.long_documents, result.left_out.tokens, result.left_out.without_labels) == (1, 12, 1)
    assert "Not trained on: 1 long documents, 12 tokens, 1 without labels." in capsys.readouterr().out
    assert json.loads((run.path / "metrics.jsonl").read_text().splitlines()[0])["left_out/tokens"] == 12


# --- schedules, clipping, counting --------------------------------------------------


def test_schedules_known_values():
    base = TrainingConfig(learning_rate=2.0, warmup=4, final_learning_rate=0.1)
    rate = lambda step, **changes: learning_rate(step, 24, replace(base, **changes))  # noqa: E731
    assert [rate(s) for s in range(5)] == pytest.approx([0.5, 1.0, 1.5, 2.0, 2.0])
    assert rate(14) == pytest.approx(2 * (0.1 + 0.9 * 0.5))
    assert rate(24) == pytest.approx(0.2)
    assert rate(9, schedule="linear") == pytest.approx(2 * (1 - 0.9 * 0.25))
    assert rate(23, schedule="constant") == 2.0
    wsd = [rate(s, schedule="wsd", decay=0.25) for s in range(24)]
    assert wsd[4:19] == [2.0] * 15
    assert wsd[21] == pytest.approx(2 * (1 - 0.9 * 0.5))
    assert rate(24, schedule="wsd", decay=6) == pytest.approx(0.2)
    assert learning_rate(0, 10, TrainingConfig(warmup=0.5, learning_rate=1.0)) == pytest.approx(0.2)


def test_a_rate_of_one_s_own_replaces_the_schedule(run):
    """A schedule of two pieces, in the first of which nothing moves."""
    asked = []

    def rate(step, total):
        asked.append((step, total))
        return 0.0 if step < 3 else 1e-2

    model = tiny_model()
    before = weights(model)
    fit(model, rows(), replace(CONFIG, steps=3), run, rate=rate)
    assert torch.equal(weights(model), before)
    fit(model, rows(), replace(CONFIG, steps=5), run, rate=rate, name="again")
    assert not torch.equal(weights(model), before)
    assert asked == [*((step, 3) for step in range(3)), *((step, 5) for step in range(5))]
    plain, own = tiny_model(), tiny_model()
    fit(plain, rows(), CONFIG, run, name="plain")
    fit(own, rows(), CONFIG, run, name="own", rate=lambda step, total: learning_rate(step, total, CONFIG))
    assert torch.equal(weights(plain), weights(own))


def test_gradients_are_scaled_then_clipped():
    parameters = [nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(3)), nn.Parameter(torch.zeros(1))]
    parameters[0].grad = torch.tensor([30.0, 0.0])
    parameters[1].grad = torch.tensor([0.0, 40.0, 0.0])
    norm = scale_gradients(parameters, torch.tensor(0.1), max_norm=1.0)
    assert norm.item() == pytest.approx(5.0)
    assert parameters[0].grad.tolist() == pytest.approx([0.6, 0.0], rel=1e-5)
    assert scale_gradients(parameters, torch.tensor(1.0), max_norm=0.0).item() == pytest.approx(1.0, rel=1e-5)


def test_weight_decay_spares_vectors():
    groups = make_optimizer(tiny_model(), CONFIG).param_groups
    assert {(p.ndim >= 2, group["weight_decay"]) for group in groups for p in group["params"]} == {
        (True, 0.1),
        (False, 0.0),
    }


def test_parts_of_a_model_learn_at_rates_of_their_own(run):
    model = tiny_model()
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    settings = replace(CONFIG, steps=1, learning_rate=0.1, weight_decay=0.0, warmup=0.0, max_grad_norm=0.0)
    fit(model, rows(), settings, run, rates={"mlp": 0.1})
    # AdamW's first step is as long as its rate.
    moved = {name: float((p - before[name]).abs().max()) for name, p in model.named_parameters()}
    for name, size in moved.items():
        assert size == pytest.approx(0.01 if "mlp" in name else 0.1, rel=1e-2), name


def test_flops_per_token():
    model = tiny_model()
    matrices = sum(p.numel() for p in model.parameters() if p.ndim > 1) - model.get_input_embeddings().weight.numel()
    assert flops_per_token(model, 10) == 6 * matrices + 12 * 2 * 16 * 10
    assert flops_per_token(model, 10, 0.25) == 6 * (matrices - 0.75 * 67 * 16) + 12 * 2 * 16 * 10
    model.model.requires_grad_(False)
    assert flops_per_token(model, 0) == 4 * (matrices - 67 * 16) + 6 * 67 * 16


def test_automatic_precision_leaves_narrow_models_in_fp32():
    assert set_precision(tiny_model(), replace(CONFIG, precision="auto"), torch.device("cpu")) == "no"


def test_config_is_checked():
    with pytest.raises(UserError, match="are both 0"):
        TrainingConfig(steps=0, epochs=0)
    for bad in ({"batch_size": 0}, {"learning_rate": -1.0}, {"schedule": "sine"}, {"max_grad_norm": -1.0}):
        with pytest.raises(UserError, match=next(iter(bad))):
            validate(TrainingConfig(**bad))


def test_epochs_give_the_number_of_steps(run):
    config = replace(CONFIG, steps=0, epochs=1.5, batch_size=7, layout="padded")
    assert fit(tiny_model(), rows(20), config, run).steps == math.ceil(1.5 * 20 / 7)


# --- bad input, bad numbers --------------------------------------------------


def test_bad_input_is_one_sentence(run, tmp_path):
    with pytest.raises(UserError, match="empty"):
        fit(tiny_model(), [], CONFIG, run)
    with pytest.raises(UserError, match="input_ids"):
        fit(tiny_model(), [{"text": "a"}], CONFIG, run)
    with pytest.raises(UserError, match="no parameter"):
        fit(tiny_model().requires_grad_(False), rows(), CONFIG, run)
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(UserError, match=r"Cannot write to .*file"):
        fit(tiny_model(), rows(), CONFIG, replace(run, path=blocked / "run"))


def test_a_full_disk_is_one_sentence(run, monkeypatch):
    def full(*_):
        raise RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(UserError, match="disk is full"):
        fit(tiny_model(), rows(), replace(CONFIG, save_every=2), run)
    assert not list((run.path / "checkpoints" / "train").iterdir())


@pytest.mark.parametrize("micro", [0, 1])
def test_a_loss_that_is_not_finite_stops_with_step_and_documents(run, micro):
    poison = 11

    def loss(model, batch):
        found = causal_lm_loss(model, batch)
        return found._replace(total=found.total * (math.nan if (batch["input_ids"] == 66).any() else 1))

    data = [{**row, "input_ids": [i % 66 for i in row["input_ids"]]} for row in rows()]
    data[poison]["input_ids"][0] = 66
    config = replace(CONFIG, layout="flattened", shuffle=False, micro_batch_size=micro, schedule="constant")
    model = tiny_model()
    with pytest.raises(UserError, match=r"step 3 is not finite \(documents .*row11") as caught:
        fit(model, data, config, run, loss_fn=loss)
    assert ("row10" in str(caught.value)) == (micro == 0)
    # What is saved, and what the model holds, are the weights from before the step.
    saved = load_file(run.path / "checkpoints" / "train" / "step-000002" / "model.safetensors")
    healthy = tiny_model()
    fit(healthy, data, replace(config, steps=2), replace(run, path=run.path / "other"))
    for name, parameter in healthy.named_parameters():
        assert torch.equal(saved[name], parameter)
        assert torch.equal(parameter, dict(model.named_parameters())[name])


# --- going on after an end --------------------------------------------------

RESUMABLE = replace(
    CONFIG, steps=12, save_every=3, batch_size=8, micro_batch_size=4, max_length=64, eval_every=4, log_every=5
)


def train_with_dropout(run, *, pause=0.0, stop_at=None, steps=12):
    """A run that uses every kind of state: dropout, numpy and Python randomness, several epochs, evaluations."""
    model = tiny_model(dropout=0.2)
    calls = []

    def loss(inner, batch):
        calls.append(1)
        time.sleep(pause)
        if stop_at and len(calls) == 2 * stop_at:
            os.kill(os.getpid(), signal.SIGTERM)
        found = causal_lm_loss(inner, batch)
        return found._replace(total=found.total * (1 + 0.1 * random.random() + 0.1 * np.random.random()))  # noqa: NPY002

    result = fit(model, rows(40), RESUMABLE, run, loss_fn=loss, seed=5, evaluate=lambda m: {"norm": weights(m).norm()})
    return result, weights(model)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("unbroken")
    run = Run(folder / "run", "mexa", None, folder, quiet=True)
    return *train_with_dropout(run), logged(run)


def logged(run):
    """What metrics.jsonl says, but for the speed."""
    lines = map(json.loads, (run.path / "metrics.jsonl").read_text().removesuffix("\n").split("\n"))
    return [{key: value for key, value in line.items() if key != "tokens_per_second"} for line in lines]


KILLED = """
import sys
from pathlib import Path
sys.path[:0] = {path!r}
import torch
torch.set_num_threads(1)
import test_training
from core.experiment.run import Run
folder = Path({folder!r})
test_training.train_with_dropout(Run(folder, "mexa", None, folder, quiet=True), pause=0.05)
"""


def test_killed_and_resumed_equals_unbroken_bit_for_bit(run, unbroken, request):
    path = [str(request.config.rootpath), str(request.path.parent)]
    process = subprocess.Popen([sys.executable, "-c", KILLED.format(path=path, folder=str(run.path))])
    checkpoints = run.path / "checkpoints" / "train"
    while not (checkpoints / "step-000006" / "state.json").exists():
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert not (checkpoints / "step-000012").exists()
    result, trained = train_with_dropout(run)
    assert result.resumed_from in (6, 9)
    assert result.losses == unbroken[0].losses
    assert result.evaluations == unbroken[0].evaluations
    assert torch.equal(trained, unbroken[1])
    assert logged(run) == unbroken[2]
    # Finished: nothing is trained again, and the result is the same.
    again, weights_again = train_with_dropout(run)
    assert (again.resumed_from, again.losses) == (12, result.losses)
    assert torch.equal(weights_again, trained)
    assert sorted(path.name for path in checkpoints.iterdir()) == ["step-000009", "step-000012"]


def test_sigterm_finishes_the_step_and_saves(run, unbroken):
    handlers = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    with pytest.raises(KeyboardInterrupt, match="after step 5 of 12"):
        train_with_dropout(run, stop_at=5)
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == handlers
    result, trained = train_with_dropout(run)
    assert result.resumed_from == 5
    assert result.losses == unbroken[0].losses
    assert torch.equal(trained, unbroken[1])
    assert logged(run) == unbroken[2]


def test_of_a_phase_without_checkpoint_no_step_is_logged_twice(run):
    config = replace(CONFIG, steps=4)
    run.path.mkdir(parents=True)
    for step in (1, 2):
        run.log(phase="train", step=step, loss=9.0)
        run.log(phase="before", step=step, loss="\u2028")
    run.log(phase="train", left_out="then")
    with (run.path / "metrics.jsonl").open("a") as lines:
        lines.write('{"phase": "train", "st')  # killed
    fit(tiny_model(), rows(), config, run)
    steps = [(line["phase"], line["step"]) for line in logged(run)]
    assert steps == [("before", 1), ("before", 2), *(("train", step) for step in (1, 2, 3, 4))]


@pytest.mark.parametrize("inside", [False, True])
def test_a_shared_stage_that_is_stopped_goes_on_in_another_run(tmp_path, unbroken, inside):
    results = []

    def start(name, **options):
        run = Run(tmp_path / name, "mexa", None, tmp_path / "stages", quiet=True)

        def build(folder):
            results.append(train_with_dropout(replace(run, path=folder / "training") if inside else run, **options))

        return run.stage("base", {}, build)

    with pytest.raises(KeyboardInterrupt, match="after step 5 of 12"):
        start("first", stop_at=5)
    folder = start("second")
    [(result, trained)] = results
    assert result.resumed_from == 5
    assert result.losses == unbroken[0].losses
    assert torch.equal(trained, unbroken[1])
    assert [path.name for path in (tmp_path / "stages").iterdir() if not path.name.startswith(".")] == [folder.name]


def test_a_checkpoint_of_another_training_is_refused(run):
    fit(tiny_model(), rows(), replace(CONFIG, save_every=3), run)
    with pytest.raises(UserError, match="config differ"):
        fit(tiny_model(), rows(), replace(CONFIG, save_every=3, learning_rate=1e-4), run)
    with pytest.raises(UserError, match="seed differ"):
        fit(tiny_model(), rows(), replace(CONFIG, save_every=3), run, seed=1)
    smaller = tiny_model()
    smaller.lm_head.requires_grad_(False)
    with pytest.raises(UserError, match="other tensors"):
        fit(smaller, rows(), replace(CONFIG, save_every=3), run)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A finished training with checkpoints of steps 3 and 6."""
    folder = tmp_path_factory.mktemp("saved") / "run"
    torch.set_num_threads(1)
    return folder, fit(
        tiny_model(), rows(), replace(CONFIG, save_every=3), Run(folder, "mexa", None, folder, quiet=True)
    )


DAMAGE = {
    "missing": lambda content: None,
    "cut": lambda content: content[:-10],
    "empty": lambda content: b"",
    "text": lambda content: b"[1, 2]",
    "no text": lambda content: b"\xff" * len(content),
    "other digit": lambda content: content[:-9] + bytes([content[-9] ^ 1]) + content[-8:],
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("part", ["model.safetensors", "optimizer.safetensors", "random-0.json", "state.json"])
def test_of_a_damaged_checkpoint_the_one_before_is_taken(run, saved, part, damage, capsys):
    shutil.copytree(saved[0], run.path)
    checkpoints = run.path / "checkpoints" / "train"
    path = checkpoints / "step-000006" / part
    content = DAMAGE[damage](path.read_bytes())
    path.unlink() if content is None else path.write_bytes(content)
    result = fit(tiny_model(), rows(), replace(CONFIG, save_every=3), run)
    assert f"step-000006 is damaged ({part}): not used, and kept as damaged-step-000006" in capsys.readouterr().out
    assert (result.resumed_from, result.losses) == (3, saved[1].losses)
    assert sorted(path.name for path in checkpoints.iterdir()) == ["damaged-step-000006", "step-000003", "step-000006"]


def test_without_a_whole_checkpoint_training_begins_anew(run, saved, capsys):
    shutil.copytree(saved[0], run.path)
    checkpoints = run.path / "checkpoints" / "train"
    for path in checkpoints.iterdir():
        (path / "random-0.json").write_text("{}")
    (checkpoints / ".step-000009.part").mkdir()
    result = fit(tiny_model(), rows(), replace(CONFIG, save_every=3), run)
    assert capsys.readouterr().out.count("is damaged (random-0.json)") == 2
    assert (result.resumed_from, result.losses) == (None, saved[1].losses)
    names = ["damaged-step-000003", "damaged-step-000006", "step-000003", "step-000006"]
    assert sorted(path.name for path in checkpoints.iterdir()) == names


def test_nothing_in_a_checkpoint_is_pickled(run):
    fit(tiny_model(), rows(), replace(CONFIG, save_every=6), run)
    names = {path.suffix for path in (run.path / "checkpoints" / "train" / "step-000006").iterdir()}
    assert names == {".json", ".safetensors"}


def test_random_state_survives_json():
    random.seed(3)
    np.random.seed(4)  # noqa: NPY002
    torch.manual_seed(5)
    np.random.standard_normal(3)  # noqa: NPY002
    random.gauss(0, 1)
    draw = lambda: (random.random(), random.gauss(0, 1), np.random.standard_normal(3).tolist(), torch.rand(2).tolist())  # noqa: E731, NPY002
    state = json.loads(json.dumps(checkpoint.random_state()))
    first = draw()
    checkpoint.set_random_state(state)
    assert draw() == first


def test_save_pretrained_replaces_the_folder(run):
    model = tiny_model()
    folder = run.artifact / "model"
    folder.mkdir(parents=True)
    (folder / "stale").write_text("")
    save_pretrained(model, folder)
    assert not (folder / "stale").exists()
    assert torch.equal(weights(LlamaForCausalLM.from_pretrained(folder)), weights(model))


def test_the_time_left_follows_the_latest_steps_and_grows_while_one_hangs() -> None:
    assert seconds_left(10, [], 5.0) is None
    assert seconds_left(10, [2.0, 4.0], 0.0) == 30.0
    assert seconds_left(10, [3.0], 1.0) == 29.0
    assert seconds_left(10, [3.0], 9.0) == 9 * 6.0  # late: the rest is expected at the mean of both
    assert seconds_left(0, [3.0], 1.0) == 0.0


def test_what_several_processes_share_is_trained_by_one(run, monkeypatch):
    """The main process builds a stage and the others wait for it: training there would wait for them for ever."""
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UserError, match="once without accelerate launch or torchrun"):
        run.stage("base", {}, lambda folder: fit(tiny_model(), rows(), CONFIG, run))
