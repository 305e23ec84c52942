"""What an accelerator computes is what a CPU computes: training, packed attention, losses, scoring, generation.

    uv run nox -s gpu

Every test also runs on the CPU, where the references come from: a machine without an accelerator tests the tests.
"""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from transformers import LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM

from core.cost.simulate import simulate
from core.cost.steps import Simulation, pretrained
from core.experiment.run import Run
from core.inference.generation import generate
from core.inference.scoring import score_choices
from core.models.tokenization import train_bpe
from core.training.config import TrainingConfig
from core.training.fit import fit
from core.training.losses import linear_cross_entropy
from core.training.packed_attention import attend, plan_documents, to_device

SHAPE = {
    "vocab_size": 300, "hidden_size": 128, "intermediate_size": 192, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 128,
}  # fmt: skip
DOCUMENTS = [
    {"input_ids": [(7 * start + 3 * place) % 300 for place in range(5 + 11 * start % 40)]} for start in range(12)
]


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request):
    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("needs an accelerator: torch sees no CUDA device")
    torch.set_num_threads(1)
    torch.manual_seed(0)
    return torch.device(request.param)


@pytest.fixture(params=[False, pytest.param(True, marks=pytest.mark.gpu)], ids=["eager", "compiled"])
def compiled(request, device):
    # Compiling for a CPU takes longer than all the rest.
    if request.param and device.type == "cpu":
        pytest.skip("compiled on accelerators only")
    return request.param


def model_of(window=None):
    torch.manual_seed(0)
    if window:
        return MistralForCausalLM(MistralConfig(**SHAPE, sliding_window=window))
    return LlamaForCausalLM(LlamaConfig(**SHAPE))


def plain_losses(model, steps, rate):
    """Full-batch AdamW on the CPU, a document at a time, in plain torch."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.0)
    losses = []
    for _ in range(steps):
        total, count = torch.zeros(()), 0
        for document in DOCUMENTS:
            ids = torch.tensor(document["input_ids"])
            logits = model(input_ids=ids[None]).logits[0, :-1]
            total, count = total + F.cross_entropy(logits, ids[1:], reduction="sum"), count + len(ids) - 1
        (total / count).backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(total.item() / count)
    return losses


@pytest.fixture(scope="module")
def expected():
    return {window: plain_losses(model_of(window), 8, 3e-3) for window in (None, 8)}


@pytest.mark.parametrize("window", [None, 8])
@pytest.mark.parametrize("layout", ["packed", "padded"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_training(device, compiled, expected, window, layout, precision, tmp_path):
    """Eight steps on all documents: packed by the kernels of the device, in both number formats, compiled or not."""
    if device.type == "cpu" and torch.cuda.is_available():
        pytest.skip("fit takes the accelerator that is there")
    model = model_of(window)
    config = TrainingConfig(
        steps=8, layout=layout, precision=precision, compile=compiled, learning_rate=3e-3, schedule="constant",
        max_grad_norm=0.0, max_length=128, batch_size=12 if layout == "padded" else rows_of(128),
    )  # fmt: skip
    result = fit(model, DOCUMENTS, config, Run(tmp_path / "run", "mexa", None, tmp_path, quiet=True))
    assert model.device.type == device.type
    assert result.losses == pytest.approx(expected[window], rel=1e-4 if precision == "fp32" else 2e-2)
    assert result.losses[-1] < 0.9 * result.losses[0]


def rows_of(capacity):
    from core.training.packing import best_fit_decreasing

    return len(best_fit_decreasing([len(document["input_ids"]) for document in DOCUMENTS], capacity))


@pytest.mark.parametrize("window", [None, 7])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_packed_attention(device, dtype, window):
    """Values and gradients of one row against each document alone in fp64 on the CPU; heads share keys."""
    lengths = [70, 1, 33, 16]
    exact = [torch.randn(1, heads, sum(lengths), 32, dtype=torch.float64) for heads in (6, 2, 2)]
    seen = torch.randn(1, sum(lengths), 6, 32, dtype=torch.float64)
    q, k, v = (x.to(device, dtype).requires_grad_() for x in exact)
    plan = to_device(plan_documents(lengths), device)
    out, _ = attend(torch.nn.Module(), q, k, v, None, scaling=0.2, sliding_window=window, **plan)
    found = [out, *torch.autograd.grad((out * seen.to(device, dtype)).sum(), (q, k, v))]

    q, k, v = (x.detach().cpu().double().requires_grad_() for x in (q, k, v))
    pieces = []
    for parts in zip(*(x.split(lengths, 2) for x in (q, k, v)), strict=True):
        age = torch.arange(parts[0].shape[2])[:, None] - torch.arange(parts[0].shape[2])
        mask = (age >= 0) & (age < (window or 99))
        pieces.append(F.scaled_dot_product_attention(*parts, attn_mask=mask, scale=0.2, enable_gqa=True))
    right = torch.cat(pieces, 2).transpose(1, 2)
    right = [right, *torch.autograd.grad((right * seen).sum(), (q, k, v))]
    for a, b in zip(found, right, strict=True):
        error = (a.cpu().double() - b).norm() / b.norm()
        assert error < (1e-5 if dtype == torch.float32 else 2e-2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_cross_entropy(device, dtype):
    """The fused kernel where liger-kernel is installed, chunks elsewhere."""
    hidden, weight, targets = torch.randn(70, 32), torch.randn(300, 32), torch.randint(300, (70,))
    ours = [x.to(device, dtype).requires_grad_() for x in (hidden, weight)]
    loss = linear_cross_entropy(*ours, targets.to(device))
    found = [loss, *torch.autograd.grad(loss, ours)]
    theirs = [x.detach().cpu().double().requires_grad_() for x in ours]
    right = F.cross_entropy(theirs[0] @ theirs[1].T, targets, reduction="sum")
    for a, b in zip(found, [right, *torch.autograd.grad(right, theirs)], strict=True):
        error = (a.cpu().double() - b).norm() / b.norm()
        assert error < (1e-5 if dtype == torch.float32 else 2e-2)


@pytest.fixture(scope="module")
def speaker():
    """A model far from uniform, so that mistakes show, and its tokenizer."""
    texts = ["the capital of france is paris", "the capital of italy is rome", "one two three four five six seven"]
    tokenizer = train_bpe(texts, 300, min_frequency=1)
    model = model_of()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(4)
    return model.eval(), tokenizer


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_scoring(device, speaker, dtype):
    model, tokenizer = speaker
    contexts = ["the capital of france is", "one two three four", "the"]
    choices = [[" paris", " rome", " rome and paris"], [" five", " six seven"], [" capital", " one two"]]
    found = score_choices(model.to(device, dtype), tokenizer, contexts, choices)
    right = score_choices(model.to("cpu", torch.float32), tokenizer, contexts, choices)
    for ours, theirs in zip(found, right, strict=True):
        tolerance = 1e-4 if dtype == torch.float32 else 5e-2
        assert [s.log_likelihood for s in ours] == pytest.approx([s.log_likelihood for s in theirs], rel=tolerance)
        assert [s.tokens for s in ours] == [s.tokens for s in theirs]


def test_generation(device, speaker):
    """Prompts of unequal length in one batch, greedily, each as it continues alone on the CPU."""
    model, tokenizer = speaker
    prompts = ["the capital of", "one two", "the capital of italy is rome, the capital of"]
    found = generate(model.to(device), tokenizer, prompts, max_new_tokens=12)
    model.to("cpu")
    assert found == [generate(model, tokenizer, [prompt], max_new_tokens=12)[0] for prompt in prompts]


@pytest.mark.gpu
@pytest.mark.parametrize("checkpointing", [False, True])
def test_a_simulated_step_has_the_peak_of_a_gpu(tmp_path, checkpointing):
    """Of SmolLM2's shape; the second step of `fit` against the allocator's own count."""
    if not torch.cuda.is_available():
        pytest.skip("needs an accelerator: torch sees no CUDA device")
    model = pretrained("HuggingFaceTB/SmolLM2-135M")
    settings = TrainingConfig(
        steps=3, batch_size=4, max_length=2048, precision="bf16", gradient_checkpointing=checkpointing, shuffle=False
    )
    (simulated,) = simulate(Simulation("", model, settings))
    torch.cuda.empty_cache()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    rows = [{"input_ids": [0] * 2048}] * 12
    fit(model(torch.float32), rows, settings, Run(tmp_path / "run", "mexa", None, tmp_path, quiet=True))
    assert torch.cuda.max_memory_allocated() - before == pytest.approx(simulated.peak, rel=0.05)
