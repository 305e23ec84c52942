"""Several processes train as one does: DDP and FSDP2 over gloo, sharded checkpoints, evaluation, failures."""

from __future__ import annotations

import shutil
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
import yaml
from transformers import Gemma2Config, Gemma2ForCausalLM, LlamaConfig, LlamaForCausalLM

from core import distributed
from core.corpora.mixture import Mixture
from core.distributed import gather_objects, launch_cpu, peak_flops
from core.experiment.run import Run
from core.training.config import TrainingConfig
from core.training.documents import StreamedRows
from core.training.fit import fit, save_pretrained
from core.training.losses import Loss, causal_lm_loss

CONFIG = TrainingConfig(
    steps=5, batch_size=8, micro_batch_size=2, max_length=48, learning_rate=3e-3, precision="fp32", log_every=1
)


LOSS, ITEMS = torch.tensor([28523.7]), torch.tensor([4095.0])


def tiny_model(tied=False):
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2}
    return LlamaForCausalLM(LlamaConfig(vocab_size=67, **sizes, tie_word_embeddings=tied))


def rows():
    """Of such different lengths that averaging the ranks' means would be far off."""
    rng = np.random.default_rng(0)
    made = []
    for _ in range(60):
        ids = rng.integers(0, 67, rng.integers(2, 40)).tolist()
        prompt = rng.integers(0, len(ids))
        made.append({"input_ids": ids, "labels": [-100] * prompt + ids[prompt:]})
    return made


def mean_loss(model):
    """An evaluation that calls the raw model, as papers do."""
    ids = torch.arange(20).view(2, 10)
    return {"loss": model(input_ids=ids, labels=ids).loss.item()}


def train(folder, name, *, tied=False, evaluate=mean_loss, **changes):
    run = Run(Path(folder) / name, "mexa", None, Path(folder), quiet=True)
    model = tiny_model(tied)
    result = fit(model, rows(), replace(CONFIG, **changes), run, evaluate=evaluate)
    save_pretrained(model, run.artifact)
    distributed.barrier()
    trained = LlamaForCausalLM.from_pretrained(run.artifact)
    return result.losses, [value["loss"] for _, value in result.evaluations], checksum(trained), result.resumed_from


def checksum(model):
    return [p.double().norm().item() for p in model.parameters()]


def every_strategy(folder):
    """What each rank sees of all the trainings (one launch, because starting processes is the slow part)."""
    done = {
        "ddp": train(folder, "ddp", strategy="ddp"),
        "fsdp2": train(folder, "fsdp2", strategy="fsdp2", eval_every=2),
        "fsdp2-tied": train(folder, "fsdp2-tied", strategy="fsdp2", tied=True),
        "fsdp2-bf16": train(folder, "fsdp2-bf16", strategy="fsdp2", precision="bf16"),
        "fsdp2-saved": train(folder, "fsdp2-saved", strategy="fsdp2", save_every=2),
    }
    # As if killed after step 4: the newest checkpoint goes, the one before is continued.
    if distributed.is_main():
        newest = Path(folder) / "fsdp2-saved" / "checkpoints" / "train" / "step-000005"
        (newest / "state.json").unlink()
    distributed.barrier()
    done["fsdp2-resumed"] = train(folder, "fsdp2-saved", strategy="fsdp2", save_every=2)
    done["counted"] = counted(folder)
    done["streamed"] = streamed(folder, "ddp")
    done["capped"] = capped(folder, "fsdp2")
    done["gathered"] = gather_objects(distributed.rank())
    done["seeds"] = seeds()
    return done


def capped(folder, strategy):
    """Logits that the model's own code makes, a chunk at a time, again in the backward pass."""
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2}
    shape = Gemma2Config(
        vocab_size=67,
        **sizes,
        num_key_value_heads=1,
        head_dim=8,
        final_logit_softcapping=0.2,
        attn_implementation="eager",
    )
    run = Run(Path(folder) / f"capped-{strategy}", "mexa", None, Path(folder), quiet=True)
    return fit(Gemma2ForCausalLM(shape), rows(), replace(CONFIG, strategy=strategy), run).losses


def counted(folder):
    """A sum and a number that bf16 cannot hold, on one rank; the other has nothing to learn from."""

    def count(model, batch):
        logits = model(input_ids=batch["input_ids"]).logits
        return Loss(0 * logits.sum() + batch["loss"].sum(), batch["items"].sum())

    def collate(rows, rng):
        own = float(distributed.rank() == 0)
        return {"input_ids": torch.ones(1, 4, dtype=torch.long), "loss": own * LOSS, "items": own * ITEMS}

    run = Run(Path(folder) / "counted", "mexa", None, Path(folder), quiet=True)
    config = replace(CONFIG, steps=1, strategy="fsdp2", precision="bf16", micro_batch_size=0)
    return fit(tiny_model(), rows(), config, run, loss_fn=count, collate=collate).losses


def streamed(folder, strategy):
    """Every rank reads the whole of a mixture and takes its rows; the stopped one goes on from a position."""
    text = {"a": [[n, 1, 2] * (1 + n % 9) for n in range(30)], "b": [[n] * 70 for n in range(5)]}
    changes = {"shuffle": False, "long_documents": "split", "save_every": 3, "keep_checkpoints": 3}
    found = []
    for _ in range(2):
        run = Run(Path(folder) / f"streamed-{strategy}", "mexa", None, Path(folder), quiet=True)
        rows = StreamedRows(Mixture(text, [{"a": 1e4, "b": 1e4}]))
        result = fit(tiny_model(), rows, replace(CONFIG, strategy=strategy, **changes), run)
        found.append((result.losses, result.resumed_from))
        if distributed.is_main():
            shutil.rmtree(run.checkpoints / "train" / "step-000005", ignore_errors=True)
        distributed.barrier()
    return found


def seeds():
    distributed.seed_everything(7, distributed.rank())
    return gather_objects(torch.rand(1).item())


@pytest.fixture(scope="module")
def launched(tmp_path_factory):
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("launched")
    single = {
        "plain": train(folder, "single"),
        "tied": train(folder, "tied", tied=True),
        "evaluated": train(folder, "evaluated", eval_every=2),
        "capped": capped(folder, "auto"),
        "streamed": streamed(folder, "auto"),
    }
    return single, launch_cpu(every_strategy, 2, str(folder), timeout=240), folder


@pytest.mark.distributed
@pytest.mark.parametrize(
    ("ours", "theirs", "tolerance"),
    [
        ("ddp", "plain", 1e-5),
        ("fsdp2", "evaluated", 1e-5),
        ("fsdp2-tied", "tied", 1e-5),
        ("fsdp2-bf16", "plain", 2e-2),
        ("fsdp2-resumed", "plain", 1e-5),
    ],
)
def test_two_processes_equal_one(launched, ours, theirs, tolerance):
    single, ranks, _ = launched
    for rank in ranks:
        losses, evaluations, norms, _ = rank[ours]
        assert losses == pytest.approx(single[theirs][0], rel=tolerance)
        assert evaluations == pytest.approx(single[theirs][1], rel=tolerance)
        assert norms == pytest.approx(single[theirs][2], rel=tolerance)


@pytest.mark.distributed
def test_the_models_own_head_trains_alike_on_two_processes(launched):
    for rank in launched[1]:
        assert rank["capped"] == pytest.approx(launched[0]["capped"], rel=1e-5)


@pytest.mark.distributed
def test_a_stream_is_shared_by_two_processes(launched):
    (whole, _), _ = launched[0]["streamed"]
    for (losses, _), again in (rank["streamed"] for rank in launched[1]):
        assert losses == pytest.approx(whole, rel=1e-5)
        assert again == (losses, 3)


@pytest.mark.distributed
def test_sums_and_counts_are_not_rounded_with_the_weights(launched):
    for rank in launched[1]:
        assert rank["counted"] == pytest.approx([LOSS.item() / 4095], rel=1e-7)


@pytest.mark.distributed
def test_sharded_checkpoints_resume_bit_for_bit(launched):
    _, ranks, folder = launched
    for rank in ranks:
        assert rank["fsdp2-resumed"][:3] == rank["fsdp2-saved"][:3]
        assert rank["fsdp2-resumed"][3] == 4
    names = {path.name for path in (folder / "fsdp2-saved" / "checkpoints" / "train" / "step-000004").iterdir()}
    assert {"model-0-of-2.safetensors", "model-1-of-2.safetensors", "random-1.json"} <= names


@pytest.mark.distributed
def test_the_mean_over_ranks_would_be_another_number(launched):
    """The equality above has teeth: the mean of the ranks' mean losses differs from the mean over tokens."""
    torch.set_num_threads(1)
    halves = [
        causal_lm_loss(tiny_model(), {key: torch.tensor([row[key]]) for key in ("input_ids", "labels")})
        for row in rows()[:8]
        if sum(label != -100 for label in row["labels"][1:])
    ]
    of_means = sum(float(loss.total.detach()) / loss.items for loss in halves) / len(halves)
    of_tokens = sum(float(loss.total.detach()) for loss in halves) / sum(loss.items for loss in halves)
    assert abs(of_means - of_tokens) > 1e-3


@pytest.mark.distributed
def test_gathering_and_seeds(launched):
    for rank in launched[1]:
        assert rank["gathered"] == [0, 1]
        assert rank["seeds"][0] != rank["seeds"][1]


def fail_on_rank_1():
    if distributed.rank() == 1:
        raise ValueError("the reason")
    dist.barrier()


def never_ends():
    time.sleep(60)


@pytest.mark.distributed
def test_a_failing_rank_surfaces_with_its_traceback():
    with pytest.raises(RuntimeError, match=r"(?s)Rank 1 failed:.*fail_on_rank_1.*the reason"):
        launch_cpu(fail_on_rank_1, 2)


@pytest.mark.distributed
def test_time_limit():
    with pytest.raises(RuntimeError, match="did not finish in time"):
        launch_cpu(never_ends, 1, timeout=1)


def test_one_process_needs_no_group():
    assert (distributed.rank(), distributed.world_size(), distributed.is_main()) == (0, 1, True)


def test_peaks_are_dense_and_unknown_devices_have_none():
    assert peak_flops("NVIDIA H100 80GB HBM3") == 989e12
    assert peak_flops("NVIDIA H100 PCIe") == 756e12
    assert peak_flops("NVIDIA A100-SXM4-80GB") == 312e12
    assert peak_flops("NVIDIA A10G") == 70e12
    assert peak_flops("NVIDIA L40S") == 362e12
    assert peak_flops("NVIDIA GeForce GTX 1080") is None
    assert peak_flops(torch.device("cpu")) is None
    assert peak_flops("NVIDIA A100-SXM4-80GB", torch.float32) is None


@pytest.mark.parametrize("name", ["ddp", "fsdp2", "zero3"])
def test_launch_files_are_read_by_accelerate(name):
    from accelerate.commands.config.config_args import ClusterConfig

    path = Path(__file__).parents[2] / "configs" / "accelerate" / f"{name}.yaml"
    config = ClusterConfig.from_yaml_file(str(path))
    assert config.distributed_type.value == {"ddp": "MULTI_GPU", "fsdp2": "FSDP", "zero3": "DEEPSPEED"}[name]
    assert yaml.safe_load(path.read_text())["mixed_precision"] == "no"
