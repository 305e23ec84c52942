"""A model that no process holds: loaded, trained in phases, saved and resumed in shards, it is the one that one has."""

from __future__ import annotations

import contextlib
import ctypes
import json
import shutil
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from safetensors import safe_open
from torch.distributed.tensor import DTensor

from core import distributed
from core.distributed import launch_cpu
from core.errors import UserError
from core.experiment.run import Run
from core.models import loading
from core.training import sharded
from core.training.config import TrainingConfig
from core.training.fit import fit, save_pretrained

SIZES = {"vocab_size": 67, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
DECODER = {**SIZES, "intermediate_size": 24, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
ENCODER = {**SIZES, "intermediate_size": 24, "max_position_embeddings": 40}
HALVES = {"encoder_layers": 1, "decoder_layers": 2, "encoder_attention_heads": 2, "decoder_attention_heads": 2}
ONE = {"num_key_value_heads": 1, "num_local_experts": 1}
FEWER = {"num_key_value_heads": 1, "head_dim": 8}
MOE = {**FEWER, "num_experts_per_tok": 2, "moe_intermediate_size": 8}
SHAPES = {
    "plain": ("causal-lm", "LlamaConfig", DECODER),
    "tied": ("causal-lm", "LlamaConfig", {**DECODER, "tie_word_embeddings": True}),
    # Stored expert by expert, computed as one; on the second of two processes three experts leave one, and one none.
    "experts": ("causal-lm", "MixtralConfig", {**DECODER, "num_key_value_heads": 1, "num_local_experts": 3}),
    "one expert": ("causal-lm", "MixtralConfig", {**DECODER, **ONE, "num_experts_per_tok": 1}),
    # Stored as one matrix, computed as three.
    "fused": ("masked-lm", "NomicBertConfig", ENCODER),
    # Embeddings that are named as a block, and a head that has their matrix.
    "shared": ("masked-lm", "XLMRobertaConfig", ENCODER),
}
MORE = {
    "gemma": ("causal-lm", "Gemma2Config", {**DECODER, **FEWER, "final_logit_softcapping": 2.0}),
    "positions": ("causal-lm", "GPT2Config", {"n_embd": 16, "n_layer": 2, "n_head": 2, "vocab_size": 67}),
    "phi": ("causal-lm", "Phi3Config", DECODER),
    "qwen": ("causal-lm", "Qwen3MoeConfig", {**DECODER, **MOE, "num_experts": 4}),
    "glm": ("causal-lm", "Glm4MoeConfig", {**DECODER, **MOE, "n_routed_experts": 4, "first_k_dense_replace": 1}),
    "joined": ("causal-lm", "OlmoHybridConfig", {**DECODER, "num_key_value_heads": 2}),
    "seq2seq": ("seq2seq", "MBartConfig", {"vocab_size": 67, "d_model": 16, **HALVES}),
}
CONFIG = TrainingConfig(
    steps=5, batch_size=6, micro_batch_size=1, max_length=48, learning_rate=3e-3, precision="fp32", log_every=1,
    strategy="fsdp2", schedule="constant",
)  # fmt: skip
IDS = torch.arange(24).view(2, 12) % 60 + 3


def rows():
    rng = np.random.default_rng(0)
    return [{"input_ids": rng.integers(3, 67, rng.integers(2, 40)).tolist()} for _ in range(60)]


def stored(folder, shapes):
    """A folder of weights in several files for each shape, as `save_pretrained` writes them."""
    for name, (task, config, sizes) in shapes.items():
        model = loading.from_config(getattr(transformers, config)(**sizes), seed=1, task=task)
        model.save_pretrained(folder / name, max_shard_size="8KB")


def load_sharded(folder, name, task="causal-lm", config=CONFIG):
    """As `sharded.load`, of a folder without a tokenizer."""

    def model_alone(spec, **options):
        return loading.Loaded(loading.load_model(spec, **options), None)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loading, "load", model_alone)
        return sharded.load(folder / name, config, task=task).model


def logits(model):
    with torch.no_grad():
        objective = vars(model).get("_objective", lambda of_model: of_model(model))
        found = objective(lambda inner: inner(input_ids=IDS).logits)
        getattr(objective, "reshard", int)()
    return found.numpy().copy()


def read(folder, shapes):
    """Of each shape: its logits in shards, this rank's share, what is no shard; and it is written again."""
    found = {}
    for name, (task, *_) in shapes.items():
        model = load_sharded(folder, name, task)
        parameters = dict(model.named_parameters())
        alone = [name for name, p in parameters.items() if not isinstance(p, DTensor)]
        held = sum(distributed.local(p).numel() for p in parameters.values()) / model.num_parameters()
        assert sum(distributed.whole(p).numel() for p in parameters.values()) == model.num_parameters()
        found[name] = logits(model), held, alone
        save_pretrained(model, folder / "again" / name)
    return found


def run_in(folder, name):
    return Run(Path(folder) / name, "mexa", None, Path(folder), quiet=True)


def mean_loss(model):
    return {"loss": model(input_ids=IDS, labels=IDS).loss.item()}


def phases(folder, name, model, *, moments):
    """Two phases with other settings, the second with what the first left to the optimiser, or without."""
    run = run_in(folder, name)
    first = fit(model, rows(), CONFIG, run, name="first", moments=moments, evaluate=mean_loss)
    second = replace(CONFIG, steps=4, learning_rate=1e-3)
    last = fit(model, rows()[:40], second, run, name="second", moments=moments, evaluate=mean_loss)
    save_pretrained(model, run.artifact)
    distributed.barrier()
    trained = loading.load_model(run.artifact, dtype="float32")
    norms = [p.norm().item() for p in trained.parameters()]
    return [*first.losses, *last.losses, last.evaluations[0][1]["loss"], *norms]


def resumed(folder, name, model):
    """Goes on from the last checkpoint but one, where there is one."""
    run = run_in(folder, name)
    if distributed.is_main():
        (run.checkpoints / "train" / "step-000005" / "state.json").unlink(missing_ok=True)
    distributed.barrier()
    result = fit(model, rows(), replace(CONFIG, save_every=2), run, evaluate=mean_loss)
    return [*result.losses, result.evaluations[0][1]["loss"]], result.resumed_from


REFUSED = {
    "precision": lambda model: replace(CONFIG, precision="pure-bf16"),
    "sharded in another number format": lambda model: replace(CONFIG, precision="bf16"),
    "set training.strategy to fsdp2, not ddp": lambda model: replace(CONFIG, strategy="ddp"),
    "bias was added after the model had been sharded": lambda model: (
        model.lm_head.register_parameter("bias", torch.nn.Parameter(torch.zeros(67))) or CONFIG
    ),
}


def refused(folder):
    """What fit says of a sharded model and settings that do not go together."""
    said = {}
    for name, prepare in REFUSED.items():
        model = load_sharded(folder, "plain")
        with pytest.raises(UserError) as error:
            fit(model, rows(), prepare(model), run_in(folder, "refused"))
        said[name] = str(error.value)
    with pytest.raises(UserError) as error:
        loading.load_model(folder / "plain", shard=id, quantization="nf4")
    return {**said, "cannot be loaded in shards": str(error.value)}


def together(folder):
    """All of what two processes do (one launch, because starting processes is the slow part)."""
    found = {"read": read(folder, SHAPES)}
    found["with"] = phases(folder, "two-with", load_sharded(folder, "tied"), moments={})
    found["without"] = phases(folder, "two-without", load_sharded(folder, "tied"), moments=None)
    found["two"] = resumed(folder, "two", load_sharded(folder, "plain"))
    found["one to two"] = resumed(folder, "one", load_sharded(folder, "plain"))
    found["refused"] = refused(folder)
    return found


@pytest.fixture(scope="module")
def launched(tmp_path_factory):
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("sharded")
    stored(folder, SHAPES)
    one = {"one": resumed(folder, "one", loading.load_model(folder / "plain", dtype="float32"))}
    for name, moments in (("with", {}), ("without", None)):
        model = loading.load_model(folder / "tied", dtype="float32")
        one[name] = phases(folder, f"one-{name}", model, moments=moments)
    ranks = launch_cpu(together, 2, folder, timeout=240)
    one["two to one"] = resumed(folder, "two", loading.load_model(folder / "plain", dtype="float32"))
    return folder, one, ranks


def contents(folder):
    """Names and shapes of all tensors of a folder, and the files."""
    found = {}
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, framework="pt") as file:
            found |= {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    return found


def check_read(folder, shapes, ranks):
    for name, (task, *_) in shapes.items():
        whole = logits(loading.load_model(folder / name, task=task, dtype="float32"))
        assert all(np.array_equal(rank[name][0], whole) for rank in ranks), name
        assert all(rank[name][2] == [] for rank in ranks), name
        assert sum(rank[name][1] for rank in ranks) == pytest.approx(1), name
        assert max(rank[name][1] for rank in ranks) < 1.5 / len(ranks), f"{name}: a rank holds more than its part"
        assert contents(folder / "again" / name) == contents(folder / name), name
        again = loading.load_model(folder / "again" / name, task=task, dtype="float32")
        assert np.array_equal(logits(again), whole), name


@pytest.mark.distributed
def test_shards_are_the_rows_of_what_one_process_loads_and_are_saved_as_an_ordinary_folder(launched):
    folder, _, ranks = launched
    check_read(folder, SHAPES, [rank["read"] for rank in ranks])
    assert [round(rank["read"]["plain"][1], 1) for rank in ranks] == [0.5, 0.5]


@pytest.mark.distributed
@pytest.mark.parametrize("phase", ["with", "without"])
def test_a_second_phase_with_and_without_the_optimisers_state(launched, phase):
    _, one, ranks = launched
    for rank in ranks:
        assert rank[phase] == pytest.approx(one[phase], rel=1e-5)
    assert one["with"][:6] == one["without"][:6]
    assert one["with"][6] != pytest.approx(one["without"][6], rel=1e-4)


@pytest.mark.distributed
def test_another_number_of_processes_goes_on(launched):
    folder, one, ranks = launched
    unbroken, resumed_from = one["one"]
    assert resumed_from is None
    assert (one["two to one"][1], ranks[0]["one to two"][1]) == (4, 4)
    for losses, _ in (one["two to one"], *(rank[name] for rank in ranks for name in ("two", "one to two"))):
        assert losses == pytest.approx(unbroken, rel=1e-5)
    names = {path.name for path in (folder / "one" / "checkpoints" / "train" / "step-000005").iterdir()}
    assert {"model-0-of-2.safetensors", "optimizer-1-of-2.safetensors"} <= names


@pytest.mark.distributed
def test_settings_that_a_sharded_model_cannot_have_are_one_sentence(launched):
    for rank in launched[2]:
        for expected, said in rank["refused"].items():
            assert expected in said


def test_one_process_loads_as_ever(tmp_path):
    stored(tmp_path, {"plain": SHAPES["plain"]})
    model = load_sharded(tmp_path, "plain")
    assert (sharded.parts(CONFIG), distributed.is_sharded(model)) == (1, False)
    assert load_sharded(tmp_path, "plain", config=replace(CONFIG, precision="pure-bf16")).dtype == torch.bfloat16


# --- memory -----------------------------------------------------------------------------------------------------------

FILE_BYTES = 20_000_000
LARGE = {**DECODER, "vocab_size": 4000, "hidden_size": 1024, "intermediate_size": 2816, "num_hidden_layers": 6}


class Watch(threading.Thread):
    """The most that this process holds in the block, above what it held before: of its own, and with mapped files."""

    def __enter__(self):
        self.ended = threading.Event()
        self.before = self.most = self.held()
        self.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.join()
        self.own, self.resident = (most - before for most, before in zip(self.most, self.before, strict=True))

    @staticmethod
    def held():
        lines = dict(line.split(":") for line in Path("/proc/self/status").read_text().strip().split("\n"))
        return tuple(1024 * int(lines[name].split()[0]) for name in ("RssAnon", "VmRSS"))

    def run(self):
        while not self.ended.wait(0.001):
            self.most = tuple(map(max, self.most, self.held()))


def numbered(parameter):
    """Each row has its number, as far as bf16 counts."""
    return (torch.arange(len(parameter)) % 251).view(-1, *[1] * (parameter.ndim - 1)).expand_as(parameter)


def measured(folder):
    """What loading and then saving a model of bf16 files in fp32 takes, and this process's share."""
    sharded.FILE_BYTES = FILE_BYTES
    with contextlib.suppress(AttributeError):  # what is freed goes back at once, as it does of larger tensors
        ctypes.CDLL(None).mallopt(-3, 1 << 20)
    distributed.make_accelerator(strategy="fsdp2")
    load_sharded(folder, "plain")  # what comes once: libraries, groups
    with Watch(daemon=True) as loading_it:
        model = load_sharded(folder, "large")
    with Watch(daemon=True) as saving:
        save_pretrained(model, folder / "again" / "large")
    share = sum(distributed.local(p).nbytes for p in model.parameters())
    return loading_it.own, loading_it.resident, saving.own, share


@pytest.mark.distributed
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_no_process_ever_holds_the_model(tmp_path):
    stored(tmp_path, {"plain": SHAPES["plain"]})
    with torch.device("meta"):
        model = transformers.LlamaForCausalLM(transformers.LlamaConfig(**LARGE))
    model = model.to(torch.bfloat16).to_empty(device="cpu").requires_grad_(False)
    for parameter in model.parameters():
        parameter.copy_(numbered(parameter))
    model.save_pretrained(tmp_path / "large", max_shard_size=FILE_BYTES)
    whole, largest = (4 * of(p.numel() for p in model.parameters()) for of in (sum, max))
    del model
    slack = 25e6
    for loaded, resident, saved, share in launch_cpu(measured, 2, tmp_path):
        print("MB", *(round(size / 1e6) for size in (loaded, resident, saved, share, largest, whole)))
        assert share < 0.51 * whole
        assert loaded < share + largest + slack < 0.65 * whole
        assert resident < whole  # mapped files among it, which the system takes back when memory is short
        # A file of complete tensors, twice while it is written, and one tensor on its way: gathered, and put together.
        assert saved < 2 * FILE_BYTES + 2 * largest + slack < 0.3 * whole
    index = json.loads((tmp_path / "again" / "large" / "model.safetensors.index.json").read_text())
    assert len(set(index["weight_map"].values())) > 4
    assert index["metadata"]["total_size"] == whole
    again = loading.load_model(tmp_path / "again" / "large", dtype="float32")
    assert all(bool((p == numbered(p)).all()) for p in again.parameters())


# --- what takes longer ------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.distributed
@pytest.mark.parametrize("world", [2, 3])
def test_other_architectures_and_more_processes(tmp_path, world):
    torch.set_num_threads(1)
    shapes = MORE if world == 2 else SHAPES | MORE  # two processes read the others above
    stored(tmp_path, shapes)
    check_read(tmp_path, shapes, launch_cpu(read, world, tmp_path, shapes, timeout=280))


def three(folder):
    return resumed(folder, "two", load_sharded(folder, "plain"))


@pytest.mark.slow
@pytest.mark.distributed
def test_two_processes_then_three_then_one(tmp_path, launched):
    folder, one, _ = launched
    shutil.copytree(folder / "two", tmp_path / "two")
    shutil.copytree(folder / "plain", tmp_path / "plain")
    for losses, resumed_from in launch_cpu(three, 3, tmp_path):
        assert resumed_from == 4
        assert losses == pytest.approx(one["one"][0], rel=1e-5)
    losses, resumed_from = resumed(tmp_path, "two", loading.load_model(tmp_path / "plain", dtype="float32"))
    assert resumed_from == 4
    assert losses == pytest.approx(one["one"][0], rel=1e-5)
