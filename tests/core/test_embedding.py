"""Vectors of texts: every pooling by hand, folders of sentence-transformers, and texts that are too long."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from tokenizers import processors
from transformers import BertConfig, LlamaConfig, M2M100Config, PreTrainedTokenizerFast, XLMRobertaConfig

from core.errors import UserError
from core.models import loading
from core.models.embedding import Encoder, Pooling, cosines, hidden_states, load_encoder, pool
from core.models.loading import longest_input
from core.models.tokenization import word_level

WORDS = [f"w{i}" for i in range(20)]
TEXTS = ["w1 w2 w3", "w4", "w5 w6 w7 w8 w9 w2", "w9 w1"]
SHAPE = {"vocab_size": 40, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 3, "num_attention_heads": 4}


def tokenizer() -> PreTrainedTokenizerFast:
    """Adds `<s>` and `</s>`, as encoders' tokenizers do."""
    made = word_level([*WORDS, "query:"], unknown=True)
    made.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)]
    )
    return made


@pytest.fixture(scope="module")
def bert() -> Encoder:
    config = BertConfig(**SHAPE, max_position_embeddings=12, pad_token_id=0)
    return Encoder(loading.from_config(config, seed=0, task="encoder"), tokenizer())


def alone(encoder: Encoder, text: str, layer: int) -> torch.Tensor:
    ids = torch.tensor([encoder.tokenizer(text)["input_ids"]])
    with torch.no_grad():
        return encoder.model(ids, output_hidden_states=True).hidden_states[layer][0]


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("cls", [1.0, 8.0]), ("lasttoken", [5.0, 2.0]), ("max", [5.0, 8.0]), ("mean", [3.0, 5.0]),
        ("mean_sqrt_len_tokens", [9 / 3**0.5, 15 / 3**0.5]), ("weightedmean", [22 / 6, 24 / 6]),
        (("cls", "mean"), [1.0, 8.0, 3.0, 5.0]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("left", [False, True])
def test_poolings_by_hand(mode: Any, expected: list[float], left: bool) -> None:
    states = torch.tensor([[[1.0, 8.0], [3.0, 5.0], [5.0, 2.0]]])
    padding = torch.full((1, 2, 2), torch.nan)
    states = torch.cat([padding, states] if left else [states, padding], 1)
    mask = torch.tensor([[0, 0, 1, 1, 1] if left else [1, 1, 1, 0, 0]])
    assert pool(states, mask, mode)[0].tolist() == pytest.approx(expected)


@pytest.mark.parametrize("layer", [0, 2, -1])
@pytest.mark.parametrize("special", [False, True])
def test_vectors_are_means_of_the_layer(bert: Encoder, layer: int, special: bool) -> None:
    encoder = replace(bert, pooling=Pooling("mean", layer=layer, special_tokens=special))
    vectors, cut = encoder(TEXTS, batch_tokens=16)
    assert cut == ()
    for text, vector in zip(TEXTS, vectors, strict=True):
        states = alone(bert, text, layer)
        assert torch.allclose(vector, (states if special else states[1:-1]).mean(0), atol=1e-6)


def test_prefix_normalisation_and_case(bert: Encoder) -> None:
    pooling = Pooling("mean", prefix="QUERY: ", normalize=True, lower_case=True, pool_prefix=False)
    vector = replace(bert, pooling=pooling)(["W3 w4"]).vectors[0]
    expected = alone(bert, "query: w3 w4", -1)[2:].mean(0)
    assert torch.allclose(vector, expected / expected.norm(), atol=1e-6)


def test_too_long_texts_are_counted_or_refused(bert: Encoder) -> None:
    long = " ".join(WORDS)
    assert bert(["w1", long, "w2", long]).cut == (1, 3)
    assert torch.allclose(bert([long]).vectors, bert([" ".join(WORDS[:10])]).vectors)  # 12 with <s> and </s>
    assert replace(bert, pooling=Pooling(max_tokens=4))(TEXTS).cut == (0, 2)
    with pytest.raises(UserError, match=r"text 1 .* longer than 12 tokens"):
        bert(["w1", long], truncate=False)


def test_xlmr_reads_two_tokens_fewer_than_it_has_positions() -> None:
    config = XLMRobertaConfig(**SHAPE, max_position_embeddings=12, pad_token_id=1)
    encoder = Encoder(loading.from_config(config, seed=0, task="encoder"), tokenizer())
    assert longest_input(*encoder_pair(encoder)) == 10
    assert encoder([" ".join(WORDS)]).cut == (0,)


def encoder_pair(encoder: Encoder) -> tuple[Any, Any]:
    return encoder.model, encoder.tokenizer


def test_what_cannot_be_embedded(bert: Encoder) -> None:
    with pytest.raises(UserError, match=r"text 1 .* no token to pool"):
        replace(bert, pooling=Pooling(special_tokens=False))(["w1", ""])
    with pytest.raises(UserError, match=r"no layer 4: this model has 0 .* to 3"):
        replace(bert, pooling=Pooling(layer=4))(["w1"])
    assert bert([]).vectors.shape[0] == 0


def test_decoders_and_the_encoder_of_a_translation_model() -> None:
    llama = LlamaConfig(**SHAPE, num_key_value_heads=2)
    m2m = M2M100Config(
        vocab_size=40, d_model=16, encoder_layers=2, decoder_layers=2, encoder_ffn_dim=24, decoder_ffn_dim=24,
        encoder_attention_heads=4, decoder_attention_heads=4, max_position_embeddings=32,
    )  # fmt: skip
    causal = loading.from_config(llama, seed=0)
    ids = [[1, 5, 6, 2], [1, 7, 2]]
    for model, body in ((causal, causal.model), (loading.from_config(m2m, seed=0, task="encoder"), None)):
        body = body or model.get_encoder()
        for rows, layers, _ in hidden_states(model, ids):
            for line, row in enumerate(rows):
                with torch.inference_mode():
                    expected = body(torch.tensor([ids[row]]), output_hidden_states=True).hidden_states
                for ours, theirs in zip(layers, expected, strict=True):
                    assert torch.allclose(ours[line, : len(ids[row])], theirs[0], atol=1e-6)


# --- folders of sentence-transformers -----------------------------------------------------------------------------


def like_labse(folder: Path, bert: Encoder, **changes: Any) -> Path:
    bert.model.save_pretrained(folder)
    bert.tokenizer.save_pretrained(folder)
    kinds = ["Transformer", "Pooling", "Dense", "Normalize"]
    modules = [
        {"idx": i, "name": str(i), "path": f"{i}_{kind}" if i else "", "type": f"sentence_transformers.models.{kind}"}
        for i, kind in enumerate(kinds)
    ]
    dense = {"in_features": 16, "out_features": 8, "bias": True}
    files = {
        "modules.json": modules,
        "sentence_bert_config.json": {"max_seq_length": 6, "do_lower_case": False},
        "1_Pooling/config.json": {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False},
        "2_Dense/config.json": {**dense, "activation_function": "torch.nn.modules.activation.Tanh"},
    }
    for name, content in (files | changes).items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(json.dumps(content), encoding="utf-8")
    torch.manual_seed(3)
    linear = torch.nn.Linear(16, 8)
    save_file({f"linear.{k}": v for k, v in linear.state_dict().items()}, folder / "2_Dense/model.safetensors")
    return folder


def test_cls_dense_tanh_and_normalisation_as_labse(bert: Encoder, tmp_path: Path) -> None:
    encoder = load_encoder(like_labse(tmp_path, bert), dtype="float32")
    torch.manual_seed(3)
    linear = torch.nn.Linear(16, 8)
    vectors, cut = encoder(TEXTS)
    assert cut == (2,)
    for row in (0, 1, 3):
        expected = torch.tanh(linear(alone(bert, TEXTS[row], -1)[0]))
        assert torch.allclose(vectors[row], expected / expected.norm(), atol=1e-6)
    ours = load_encoder(tmp_path, Pooling("mean"), dtype="float32")
    assert torch.allclose(ours(TEXTS).vectors, bert(TEXTS).vectors, atol=1e-6)


def test_cosines_of_pairs(bert: Encoder, tmp_path: Path) -> None:
    for encoder in (bert, load_encoder(like_labse(tmp_path, bert), dtype="float32")):
        vectors = encoder(TEXTS).vectors
        expected = torch.cosine_similarity(vectors[:2], vectors[[1, 1]], dim=-1)
        assert cosines(encoder, TEXTS[:2], [TEXTS[1]] * 2) == pytest.approx(expected.tolist(), abs=1e-5)


def test_the_newer_spelling_and_a_default_prompt(bert: Encoder, tmp_path: Path) -> None:
    changes = {
        "1_Pooling/config.json": {"embedding_dimension": 16, "pooling_mode": "lasttoken", "include_prompt": False},
        "config_sentence_transformers.json": {"prompts": {"q": "query: "}, "default_prompt_name": "q"},
    }
    pooling = load_encoder(like_labse(tmp_path, bert, **changes)).pooling
    assert (pooling.mode, pooling.prefix, pooling.pool_prefix) == (("lasttoken",), "query: ", False)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("1_Pooling/config.json", {"pooling_mode": "attention"}, "pooling .* unknown"),
        ("2_Dense/config.json", {"activation_function": "os.system"}, "activation .* system"),
        ("2_Dense/config.json", {"in_features": 16, "out_features": 9, "activation_function": "x.Tanh"}, "do not fit"),
        ("modules.json", [{"idx": 0, "path": "", "type": "m.WordEmbeddings"}], "WordEmbeddings"),
    ],
)
def test_folders_that_are_refused(bert: Encoder, tmp_path: Path, name: str, content: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        load_encoder(like_labse(tmp_path, bert, **{name: content}))


@pytest.mark.weights
def test_e5_as_its_card_says_and_minilm_as_its_folder_says() -> None:
    question = "How much protein should I eat per day?"
    translations = [
        "¿Cuánta proteína debo comer al día?",
        "मुझे प्रतिदिन कितना प्रोटीन खाना चाहिए?",
        "Where is the station?",
    ]
    vectors = load_encoder("wheel:e5-small", dtype="float32")([question, *translations]).vectors
    spanish, hindi, unrelated = (vectors[0] @ vectors[1:].T).tolist()
    assert spanish == pytest.approx(0.935, abs=0.03)
    assert hindi == pytest.approx(0.949, abs=0.03)
    assert unrelated < 0.8
    minilm = load_encoder("wheel:minilm", dtype="float32")
    assert minilm.pooling == Pooling(("mean",), normalize=True, max_tokens=256)
