"""NeoBabel: sequence, mask, loss and decoding against the official code's numbers; the miniature; whole runs."""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from transformers import AutoModelForCausalLM, Gemma2Config

from core.errors import UserError
from core.experiment.config import override
from core.experiment.paper import find
from core.experiment.results import Record
from core.experiment.run import Measurement, temporary
from core.files import read_json
from core.models import loading, vision
from core.models.states import WhitenedStates
from core.training.config import TrainingConfig
from core.training.losses import IGNORED
from core.worlds import shapes
from core.worlds.shapes import Thing
from papers.neobabel import data, figure, method, miniature, model, use
from papers.neobabel import eval as evaluation
from papers.neobabel import train as training
from papers.neobabel.config import LANGUAGES, ORDER, PRESETS, Config, Decoding, Stage, decoder_config, workload
from papers.neobabel.model import Prompt, TextToImage, Vocabulary

# The stand-in tokenizer of the parity numbers: 20 text ids with BOS 2 and EOS 1; PAD is 20, image code 0 is 30.
STAND_IN = Vocabulary(text=20, codes=9, bos=2, eos=1)
STATES = Vocabulary(text=3, codes=32, bos=0, eos=1)


def official_row(text: list[int]) -> list[int]:
    prompt = torch.tensor([method.prompt_ids(text, STAND_IN, 8)])
    return torch.cat([prompt, method.image_block(torch.tensor([[30, 31, 38, 33]]), STAND_IN)], dim=1)[0].tolist()


def test_vocabulary_and_layout_of_the_official_code() -> None:
    gemma = Vocabulary(text=256_000, codes=8192, bos=2, eos=1)
    assert (gemma.marker("pad"), gemma.first_code, gemma.mask, gemma.size) == (256_000, 256_010, 264_202, 264_203)
    assert [STAND_IN.marker(name) for name in ("pad", "soi", "eoi", "t2i")] == [20, 21, 22, 25]
    assert official_row([2, 10, 11]) == [20, 20, 20, 20, 25, 2, 10, 11, 1, 21, 30, 31, 38, 33, 22]
    assert official_row(list(range(10, 21))) == [25, 2, 10, 11, 12, 13, 14, 15, 1, 21, 30, 31, 38, 33, 22]
    assert official_row([]) == official_row([2]) == [20] * 6 + [25, 2, 1, 21, 30, 31, 38, 33, 22]
    assert official_row([10, 11]) == official_row([2, 10, 11])
    labels = method.image_block(torch.tensor([[IGNORED, 33]]), STAND_IN)
    assert labels.tolist() == [[21, IGNORED, 33, 22]], "not shifted; the edges are identities"


def test_attention_rows_of_the_official_code() -> None:
    seen = method.visible(torch.tensor([official_row([2, 10, 11])]), STAND_IN, max_text=8)[0]
    rows = ["".join(".1"[int(cell)] for cell in row).rstrip(".") for row in seen]
    assert rows[:5] == ["1", "11", "111", "1111", "....1"]
    assert rows[8:] == ["....11111", *["....11111111111"] * 6]


@given(st.integers(0, 12), st.integers(1, 6), st.integers(3, 9))
@settings(max_examples=25)
def test_properties_of_the_mask(words: int, codes: int, max_text: int) -> None:
    prompt = torch.tensor([method.prompt_ids([5] * words, STAND_IN, max_text)])
    ids = torch.cat([prompt, method.image_block(torch.full((1, codes), STAND_IN.mask), STAND_IN)], dim=1)
    seen, start = method.visible(ids, STAND_IN, max_text)[0], max_text + 1
    padding = ids[0] == STAND_IN.marker("pad")
    assert ids[0, start] == STAND_IN.marker("soi")
    assert seen.any(1).all(), "no row is empty"
    assert not seen[:start, start:].any(), "text never sees the image"
    assert not seen[~padding][:, padding].any()
    assert seen[start:, ~padding].all()


def test_steps_of_the_official_code() -> None:
    assert method.masked_after(64, 8) == [62, 59, 53, 45, 35, 24, 12, -1]
    assert method.still_masked(-1, torch.tensor([9, 2])).tolist() == [1, 1]
    assert method.still_masked(62, torch.tensor([64, 10])).tolist() == [62, 9]
    expected = [0.875, 0.656, 0.410, 0.205, 0.077, 0.019, 0.0024, 0.0]
    assert method.temperatures(8) == pytest.approx(expected, abs=6e-4), "a product"
    p = torch.tensor([[0.1, 0.5, 0.3, 0.9, 0.2]])
    assert method.remask(p.log(), p < 0, torch.tensor([2])).nonzero()[:, 1].tolist() == [0, 4]
    known, noise = torch.tensor([[True, False, False, False, False]]), torch.tensor([[9.0, 0.0, 0.0, 0.0, 0.0]])
    assert method.remask(p.log(), known, torch.tensor([2])).nonzero()[:, 1].tolist() == [2, 4]
    assert method.remask(p.log(), ~known, torch.tensor([1]), 1.0, noise)[0].tolist() == [True] + [False] * 4
    assert method.guided(torch.tensor(3.0), torch.tensor(1.0), 2.0) == 7.0


@given(st.floats(0, 0.999), st.integers(1, 40), st.sampled_from([0.0, 0.5]), st.integers(0, 9))
@settings(max_examples=40)
def test_number_of_masked_codes(time: float, n: int, minimum: float, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    codes, order = torch.randint(9, (1, n), generator=generator), torch.rand(1, n, generator=generator)
    ids, labels = method.mask_image(codes, torch.tensor([time]), order, STAND_IN, minimum)
    masked, share = ids == STAND_IN.mask, max(math.cos(time * math.pi / 2), minimum)
    assert int(masked.sum()) in {max(1, round(n * share + shift)) for shift in (-1e-4, 0, 1e-4)}
    assert (labels[masked] == codes[masked] + STAND_IN.first_code).all()
    assert (labels[~masked] == IGNORED).all()
    assert (ids[~masked] == codes[~masked] + STAND_IN.first_code).all()


@pytest.fixture(scope="module")
def tiny_model() -> TextToImage:
    """Random weights behind two-dimensional text states, with all of the miniature's markers."""
    shape = decoder_config(STATES.size)
    torch.manual_seed(0)
    return TextToImage(
        loading.from_config(shape, seed=0, attention="eager"), STATES, tokens=9, max_text=8, text_width=2
    ).eval()


def prompt_of(*values: float) -> Prompt:
    return Prompt([0] + [2] * len(values), torch.tensor([[value, 1.0] for value in (0.0, *values, 9.0)]))


EMPTY = prompt_of()
FEW = Decoding(guidance=2.0, timesteps=4)


def batch_of(net: TextToImage, rows: list[Any], text: Any = lambda text: EMPTY, **options: Any) -> Any:
    languages = options.get("languages", ("en", "fr"))
    return data.collator(Stage(text_tokens=8), languages, text, net.vocabulary)(rows, np.random.default_rng(0))


def test_the_loss_of_a_batch_by_hand_and_in_chunks(tiny_model: TextToImage, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"codes": list(range(9)), "captions": {"en": "x"}}, {"codes": [1] * 9, "captions": {"fr": "y"}}]
    batch = batch_of(tiny_model, rows, lambda text: prompt_of(float(len(text))))
    ids = torch.cat([batch["prompt"], batch["block"]], dim=1)
    hidden = tiny_model.hidden(ids, method.visible(ids, STATES, 8), batch["states"])
    log_p, chosen = tiny_model.logits(hidden)[:, 9:].log_softmax(-1), batch["labels"] != IGNORED
    expected = -log_p[chosen].gather(-1, batch["labels"][chosen][:, None]).sum()
    assert log_p.shape[-1] == STATES.size, "against the whole vocabulary"
    found: list[Tensor] = []
    for chunk in (2**28, 2 * STATES.size):
        monkeypatch.setattr(method, "CHUNK", chunk)
        loss = method.image_loss(tiny_model, batch)
        assert loss.items == chosen.sum()
        assert loss.total.item() == pytest.approx(expected.item(), rel=1e-5)
        found += torch.autograd.grad(loss.total, [tiny_model.lm.get_input_embeddings().weight])
    assert torch.allclose(found[0], found[1], atol=1e-5)


def test_captions_languages_and_dropout(tiny_model: TextToImage) -> None:
    asked: list[str] = []

    def text(prompt: str) -> Prompt:
        asked.append(prompt)
        return prompt_of(1.0) if prompt else EMPTY

    row = {"codes": [0] * 9, "captions": {code: code for code in ("en", "fr", "zh")}}
    batch = batch_of(tiny_model, [row] * 2000, text, languages=("en", "zh"))
    assert set(asked[1:]) == {"en", "zh"}
    assert asked.count("zh") / 2000 == pytest.approx(0.5, abs=0.04)
    empty = (batch["prompt"] == STATES.marker("pad")).sum(1) == 6
    assert float(empty.float().mean()) == pytest.approx(data.CONDITION_DROPOUT, abs=0.03)


def test_states_stand_where_the_text_is() -> None:
    ids, states = model.prefix([prompt_of(5.0, 6.0), prompt_of(*range(1, 20))], STATES, 6)
    pad, t2i = STATES.marker("pad"), STATES.marker("t2i")
    assert states is not None
    assert (ids[0].tolist(), states[0, :, 0].tolist()) == ([pad, pad, t2i, 0, 2, 2, 1], [0, 0, 0, 0, 5, 6, 9])
    assert (ids[1].tolist(), states[1, :, 0].tolist()) == ([t2i, 0, 2, 2, 2, 2, 1], [0, 0, 1, 2, 3, 4, 9])


@pytest.mark.parametrize("guidance", [0.0, 2.0])
def test_prompts_that_are_read_once_give_the_same_scores(tiny_model: TextToImage, guidance: float) -> None:
    """And the scores of the codes are those of the whole sequence, without the other columns."""
    prompts = [prompt_of(1.0), prompt_of(2.0, 3.0, -1.0)]
    codes = torch.full((2, 9), STATES.mask)
    codes[:, 4] = STATES.first_code + 3
    with torch.inference_mode():
        score = tiny_model.behind(prompts, EMPTY if guidance else None)
        first, again = score(codes), score(codes)
        for asked, scores in zip(([*prompts], [EMPTY, EMPTY]), first, strict=False):
            ids, states = model.prefix(asked, STATES, 8)
            whole = torch.cat([ids, method.image_block(codes, STATES)], dim=1)
            logits = tiny_model.logits(tiny_model.hidden(whole, method.visible(whole, STATES, 8), states))
            assert torch.allclose(scores, logits[:, 10:19, STATES.first_code : STATES.mask], atol=1e-5)
    assert len(first) == (2 if guidance else 1)
    assert torch.allclose(torch.stack([*first]), torch.stack([*again]), atol=1e-6), "the prompt is as before"


def test_noise_follows_the_seed_and_no_batch(tiny_model: TextToImage) -> None:
    prompts, seeds = [prompt_of(1.0)] * 3, [3, 4, 3]
    drawn = method.generate(tiny_model, prompts, EMPTY, FEW, seeds)
    assert torch.equal(drawn[0], drawn[2])
    assert not torch.equal(drawn[0], drawn[1])
    assert torch.equal(method.generate(tiny_model, prompts, EMPTY, replace(FEW, batch_size=2), seeds), drawn)
    p = torch.tensor([0.1, 0.2, 0.7])
    noise = method.gumbel([torch.Generator().manual_seed(seed) for seed in range(4000)], 3)
    shares = torch.bincount((p.log() + noise).argmax(-1)).float() / 4000
    assert shares.tolist() == pytest.approx(p.tolist(), abs=0.025)


class Shapes(TorchDispatchMode):
    """Shapes of all tensors that are made."""

    seen: list[tuple[int, ...]]

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        self.seen += [tuple(value.shape) for value in tree_leaves(made) if isinstance(value, Tensor)]
        return made


def test_drawing_at_the_papers_shapes_computes_codes_alone_and_no_more_than_the_batch() -> None:
    """On the meta device: Gemma 2 2B, 1,024 codes of 8,192 behind 512 tokens of text, with guidance."""
    gemma = Vocabulary(text=256_000, codes=8192, bos=2, eos=1)
    decoding = replace(PRESETS["paper"].decoding, timesteps=1, batch_size=2)
    two_layers = Gemma2Config(vocab_size=gemma.size, num_hidden_layers=2)  # the others are the same
    with torch.device("meta"):
        lm = AutoModelForCausalLM.from_config(two_layers, attn_implementation="eager")
    net = TextToImage(lm, gemma, tokens=1024, max_text=512).eval()
    shapes = Shapes()
    shapes.seen = []
    with shapes:
        drawn = method.generate(net, [Prompt([2, 5, 6])] * 3, Prompt([2]), decoding, [0, 0, 0])
    assert (drawn.shape, drawn.device.type) == ((3, 1024), "meta")
    scores = [math.prod(shape) for shape in shapes.seen if shape[-1:] == (8192,) and len(shape) == 3]
    assert max(scores) == 2 * decoding.batch_size * 1024 * 8192
    assert not [shape for shape in shapes.seen if shape[-1:] == (264_203,)], "no column of text"
    assert max(map(math.prod, shapes.seen)) <= max(gemma.size * 2304, 2 * 2 * 1024 * 9216, 2 * 2 * 8 * 1026 * 1539)


def test_models_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    lm: Any = loading.from_config(decoder_config(STATES.size), seed=0, attention="eager")
    with pytest.raises(UserError, match="resize"):
        TextToImage(lm, STAND_IN, 9, 8)
    lm.config._attn_implementation = "sdpa"
    with pytest.raises(UserError, match="only eager attention"):
        TextToImage(lm, STATES, 9, 8)
    with pytest.raises(UserError, match=r"holds no neobabel\.json"):
        model.load(tmp_path)


PAIR = miniature.Item("color_attr", (Thing("circle", "red"), Thing("square", "blue")), "c")


def test_a_verdict_tells_the_pair_from_the_exchanged_one_and_from_a_crowd() -> None:
    rng = np.random.default_rng(0)
    for item in [*miniature.items("train", 31)[::5], *miniature.items("test", 31)]:
        codes = shapes.place(item.things, rng)
        image = shapes.decode(codes[None])[0]
        assert miniature.verdict(image, item) == "exact"
        assert not item.cls or miniature.verdict(image, item.exchanged()) == "wrong"
    codes = shapes.place(PAIR.things, rng)
    codes[(codes == 0).nonzero()[-1]] = shapes.code(Thing("heart", "white"))
    assert miniature.verdict(shapes.decode(codes[None])[0], PAIR) == "more"
    assert miniature.detect(shapes.decode(torch.tensor([[0, 8, 16, 24, 0, 0, 0, 0, 0]]))[0]) == {}
    assert (PAIR.key, PAIR.exchanged().prompt("en")) == ("c/red-circle+blue-square", "a blue circle and a red square")


def test_a_bag_of_words_binds_nothing() -> None:
    items = [item for item in miniature.items("test", 31) if item.cls]
    rng = np.random.default_rng(0)

    def units(*drawn: miniature.Item) -> dict[str, dict[str, float]]:
        images = shapes.decode(torch.stack([shapes.place(item.things, rng) for item in drawn]))
        return miniature.accuracies({"en": images, "fr": images}, items)

    right, swapped = units(*items), units(*[item.exchanged() for item in items])
    bag = units(*[item.exchanged() if n % 2 else item for n, item in enumerate(items)])
    means = [
        [np.mean([*found[f"{name}_foreign"].values()]) for name in ("pairs", "bound")]
        for found in (right, bag, swapped)
    ]
    assert means == [[1, 1], [0.5, 0], [0, -1]]
    assert set(right["bound_foreign"]) == {f"fr/{item.key}" for item in items}


def test_break_even_of_translating() -> None:
    assert figure.break_even(0.8 * 0.9**4, 0.8) == pytest.approx(0.1)
    assert (figure.break_even(-0.1, 0.8), figure.break_even(0.9, 0.8)) == (1.0, 0.0)


def test_no_assignment_of_a_tested_class_is_trained() -> None:
    tested: list[str] = []
    for seed in range(45, 50):
        classes = {part: {i.cls for i in miniature.items(part, seed) if i.cls} for part in ("train", "dev", "test")}
        assert [len(found) for found in classes.values()] == [84, 21, 21]
        assert len(set.union(*classes.values())) == 126
        tested += classes["test"]
        trained = {frozenset(item.things) for item in miniature.items("train", seed)}
        for item in miniature.items("test", seed):
            assert bool(item.cls) != (frozenset(item.things) in trained)
            assert not item.cls or frozenset(item.exchanged().things) not in trained
    assert len(set(tested)) == 105, "between them five seeds test every class once"
    rows = miniature.training_rows(49, 2000)
    assert {row["id"].split("/")[0] for row in rows if "/" in row["id"]} <= classes["train"]


@pytest.mark.parametrize(("task", "words"), [("single_object", 1), ("two_object", 2), ("colors", 2), ("color_attr", 4)])
def test_translation_makes_the_mistakes_that_it_is_told_to(task: str, words: int) -> None:
    items = [item for item in miniature.items("test", 31) if item.task == task]
    found = [miniature.translations(items, LANGUAGES[1:], seed) for seed in range(400 // len(items) + 1)]
    cases = [(table, item, code) for table in found for item in items for code in LANGUAGES[1:]]
    wrong = [table[code, item.prompt(code)] != item.prompt("en") for table, item, code in cases]
    assert np.mean(wrong) == pytest.approx(1 - 0.9**words, abs=0.04)
    for table, item, code in cases:
        assert len(miniature.orders(item, code)) == (3 if " and " in item.prompt("en") else 1)
        if " and " in item.prompt("en"):
            begin, end = item.prompt("en").split(" and ")
            assert table[code, item.prompt("en", code)].startswith(f"{begin} and")
            assert table[code, item.prompt(code, "en")].endswith(f"and {end}")


def test_consistency_by_hand() -> None:
    english = torch.tensor([[1.0, 0.0], [0.0, 0.0]])
    others = {"fr": torch.tensor([[3.0, 0.0], [0.0, 0.0]]), "zh": torch.tensor([[1.0, 1.0], [1.0, 0.0]])}
    found = method.consistency(others, english).tolist()
    assert found == [[1.0, 0.0], [pytest.approx(math.sqrt(0.5)), 0.0]], "vectors of nothing are not alike"


def test_images_become_codes(tmp_path: Path) -> None:
    from PIL import Image

    items = [item for item in miniature.items("test", 0) if item.task == "colors"][:2]
    codes = torch.stack([shapes.place(item.things, np.random.default_rng(i)) for i, item in enumerate(items)])
    rows = [{"captions": {"en": f"a cat {number}"}, "image": f"{number}.png"} for number in range(2)]
    for row, picture in zip(rows, ((shapes.decode(codes) + 1) * 127.5).round().byte().numpy(), strict=True):
        Image.fromarray(picture).save(tmp_path / str(row["image"]))
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    found = data.read_folder(tmp_path, data.image_tokenizer("world"))
    assert [*found] == [
        {"captions": row["captions"], "codes": one} for row, one in zip(rows, codes.tolist(), strict=True)
    ]
    for line, words in (
        (rows[0], "set image_tokenizer"),
        ({"codes": [1], "captions": {}}, "no caption"),
        ({"codes": ["x"], "captions": {"en": "x"}}, "whole numbers"),
    ):
        (tmp_path / "a.jsonl").write_text(json.dumps(line), encoding="utf-8")
        with pytest.raises(UserError, match=rf"a\.jsonl, line 1: .*{words}"):
            list(data.read_folder(tmp_path))
    with pytest.raises(UserError, match=r"no \.jsonl file"):
        data.read_folder(tmp_path / "nowhere")


def test_sources_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"codes": [1, 2], "captions": {"en": "x"}}\n', encoding="utf-8")
    stage = Stage(sources=(str(tmp_path),), image_tokens=2)
    assert len(data.stage_rows(stage, PRESETS["tiny"])) == 1
    for other, languages, words in ((3, ("en",), "image_tokens"), (2, ("sw",), "no caption in sw")):
        with pytest.raises(UserError, match=words):
            data.stage_rows(
                replace(stage, image_tokens=other), override(PRESETS["tiny"], {"train_languages": languages})
            )


def test_impossible_settings_are_refused() -> None:
    for changes, match in (
        ({"stages": ("p3", "p1")}, "order"),
        ({"p3.ratios": (1.0, 2.0)}, "ratios"),
        ({"merge": True, "merge_n": 50}, "do not fit"),
        ({"p3.training": TrainingConfig(steps=0)}, "for ever"),
        ({"train_languages": ()}, "at least one"),
        ({"translator": "world", "languages": ("fr", "en")}, "name en first"),
    ):
        with pytest.raises(UserError, match=match):
            override(PRESETS["tiny"], changes)


def test_the_paper_preset() -> None:
    from core.cost.plan import plan

    config = PRESETS["paper"]
    loads = workload(config)
    assert [load.name for load in loads] == ["P1", "P2", "P3", "I1", "I2"]
    assert (loads[0].sequence_length, loads[4].sequence_length) == (128 + 1 + 256 + 2, 512 + 1 + 1024 + 2)
    assert loads[4].tokens == 200_000 * 6912 * 1539
    # Gemma 2 2B as published, and 8,203 rows for markers, codes and the mask.
    assert plan(loads[0], gpus=48).costs[0].parameters.total == 2_614_341_888 + 8_203 * 2_304
    sizes: dict[str, int] = {}
    for name in ORDER:
        stage: Stage = getattr(config, name)
        assert all(sizes.setdefault(source, stage.image_tokens) == stage.image_tokens for source in stage.sources)


class Words(WhitenedStates):
    """Words as random vectors by hash, so that no weights are read."""

    def __init__(self) -> None:
        super().__init__("", torch.zeros(8), torch.eye(8))

    def __call__(self, text: str) -> Tensor:
        seeds = [sum(map(ord, word)) for word in text.replace("的", " ").split()]
        states = [torch.randn(self.width, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
        return torch.stack([torch.zeros(8), *states, torch.zeros(8)])


def test_every_prompt_of_every_language_has_noise_of_its_own() -> None:
    seeds: list[int] = []
    painter: Any = lambda texts, given: seeds.extend(given)  # noqa: E731
    for seed in (10086, 5):
        drawing = evaluation.drawing(override(PRESETS["tiny"], {"seed": seed}), painter, ())
        drawing(["x", "y", "x"], "en")
        drawing(["x", "y"], "fr")
    assert len(set(seeds)) == 10


def test_paper_scale_on_a_small_gemma(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The code path of the paper preset: a language model that is trained as a whole, with rows for the images."""
    from core.models.tokenization import train_bpe

    tokenizer = train_bpe(["a red circle and a blue square"] * 4, 300)
    shape = Gemma2Config(
        vocab_size=len(tokenizer), hidden_size=16, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, head_dim=8, pad_token_id=0, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    base: Any = loading.from_config(shape, seed=3)
    base.save_pretrained(tmp_path / "gemma")
    tokenizer.save_pretrained(tmp_path / "gemma")
    (tmp_path / "images").mkdir()
    rows = [{"codes": [i % 7] * 4, "captions": {"en": "a red circle", "fa": "دایره قرمز"}} for i in range(8)]
    (tmp_path / "images" / "a.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    few = TrainingConfig(steps=2, batch_size=4, micro_batch_size=2, max_length=8, precision="fp32", layout="padded")
    stages: dict[str, Any] = {
        name: Stage((str(tmp_path / "images"),), (), 4, 12, getattr(PRESETS["paper"], name).min_masking_rate, few)
        for name in ORDER
    }
    changes: dict[str, Any] = {"backbone": str(tmp_path / "gemma"), "codes": 7, "merge_n": 2, "merge_every": 1}
    config = override(PRESETS["paper"], {**changes, **stages, "decoding.timesteps": 2})
    built = training.build_model(config, data.TokenText(tokenizer))
    assert torch.equal(built.lm.get_input_embeddings().weight[: len(tokenizer)], base.get_input_embeddings().weight)
    assert built.lm.get_output_embeddings().weight is built.lm.get_input_embeddings().weight
    with temporary("neobabel", config) as run:
        training.train(config, run)
        assert list(read_json(run.artifact / "training.json")["stages"]) == list(ORDER)
        with pytest.raises(UserError, match="no image tokenizer"):
            evaluation.load_painter(run.path, config)
        monkeypatch.setattr(data, "image_tokenizer", lambda _: SimpleNamespace(decode=lambda codes: codes))
        painter = evaluation.load_painter(run.path, replace(config, image_tokenizer="own"))
        codes = painter(["a red circle", "un cercle rouge"])
    assert codes.shape == (2, 4)
    assert int(codes.max()) < 7


def test_the_smoke_run(smoke: Callable[[str], Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done = smoke("neobabel")
    metrics, units = done.measurement["metrics"], done.measurement["units"]
    judged = [check for check in find("neobabel").judged if check.metric]
    assert {check.metric for check in judged} - {"geneval_en"} <= set(units), "GenEval is one number a language"
    assert {path.split("/")[0] for path in units["pairs_foreign"]} == {"zh"}
    tasks = [units["pairs_en" if task == "color_attr" else f"{task}_en"].values() for task in miniature.TASKS]
    assert metrics["geneval_en"] == pytest.approx(np.mean([np.mean([*values]) for values in tasks])), "over tasks"
    assert {"geneval_zh", "base_retrieval"} <= set(metrics)
    crowd = override(PRESETS["smoke"], {"crowd": True, "merge": False})
    with temporary("neobabel", crowd) as run:
        training.train(crowd, replace(run, stages=done.stages))
        among = evaluation.evaluate(crowd, replace(run, stages=done.stages)).metrics
    assert among["trivial_crowd_geneval"] == among["geneval"] > 0
    cell = Measurement(metrics, units, done.measurement["details"])
    record = Record("neobabel", "smoke", (0, 1), {arm: {0: cell, 1: cell} for arm in ("native", "english_only")})
    for draw in (figure.draw, figure.draw_sheet):
        draw(record).canvas.draw()
    with pytest.raises(SystemExit):
        use.main(["draw", str(done.path), "a red heart", "--out", str(tmp_path / "x.xyz")])
    assert "x.xyz has no ending of a picture: choose one of" in capsys.readouterr().err
    (tmp_path / "more.txt").write_text("两个心形\n\n", encoding="utf-8")
    prompts = ["a red heart", str(tmp_path / "more.txt")]
    use.main(["draw", str(done.path), *prompts, "--out", str(tmp_path / "x.svg"), "--draws", "1"])
    assert "两个心形" in (tmp_path / "x.svg").read_text(encoding="utf-8")
    assert "2 prompts" in capsys.readouterr().out
    # A run directory may come from a stranger: code that it names is not run.
    strange = tmp_path / "strange"
    strange.mkdir()
    (strange / "artifact").symlink_to(done.path / "artifact")
    code = f"{tmp_path / 'mine.py'}:load"
    (tmp_path / "mine.py").write_text(
        f"open({str(tmp_path / 'ran')!r}, 'w')\ndef load():\n    from core.worlds import shapes\n    return shapes\n"
    )
    stored = read_json(done.path / "config.json")
    for changed, said in (
        ({"image_tokenizer": code}, "code that is not run because a folder names it: name it yourself with"),
        ({"decoding": 5}, "cannot load"),
        ({"decoding": {"timesteps": []}}, r"strange/config\.json: decoding\.timesteps"),
    ):
        (strange / "config.json").write_text(json.dumps({**stored, **changed}))
        with pytest.raises(UserError, match=said):
            evaluation.load_painter(strange)
    (strange / "config.json").write_text(json.dumps({**stored, "image_tokenizer": code}))
    assert not (tmp_path / "ran").exists()
    out = str(tmp_path / "y.svg")
    use.main(["draw", str(strange), "a red heart", "--out", out, "--draws", "1", "--image-tokenizer", code])
    assert (tmp_path / "ran").exists()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "text_of", lambda config, run: data.FrozenText(Words()))


@pytest.mark.usefixtures("quick")
def test_an_interrupted_run_goes_on_and_averages_share_its_training(monkeypatch: pytest.MonkeyPatch) -> None:
    last = override(PRESETS["smoke"], {"merge": False})
    averaged, by_step, averaging = list[Path](), list[Tensor](), training.average

    def seen(files: list[Path]) -> dict[str, Any]:
        averaged.extend(files)
        by_step.extend(load_file(path)["lm.model.norm.weight"] for path in files)
        return averaging(files)

    monkeypatch.setattr(training, "average", seen)
    with temporary("neobabel", last) as run:
        training.train(last, run)
        unbroken = load_file(run.artifact / "model.safetensors")
        training.train(PRESETS["smoke"], run)
        average = load_file(run.artifact / "model.safetensors")["model.norm.weight"]
        assert len([*run.stages.glob("model-*")]) == 1
    assert [path.parent.name for path in averaged] == ["step-000002", "step-000004"]
    assert torch.allclose(average, (by_step[0] + by_step[1]) / 2)
    assert torch.equal(unbroken["model.norm.weight"], by_step[1])
    calls = mock.Mock(
        wraps=method.image_loss, side_effect=[mock.DEFAULT] * 3 + [RuntimeError("power cut")] + [mock.DEFAULT] * 2
    )
    monkeypatch.setattr(method, "image_loss", calls)
    with temporary("neobabel", last) as run:
        with pytest.raises(RuntimeError, match="power cut"):
            training.train(last, run)
        training.train(last, run)
        resumed = load_file(run.artifact / "model.safetensors")
    assert calls.call_count == 6, "the first two steps were not repeated"
    assert all(torch.equal(tensor, resumed[name]) for name, tensor in unbroken.items())


@pytest.mark.usefixtures("quick")
def test_own_rows_and_the_files_of_a_benchmark(tmp_path: Path) -> None:
    items = [item for item in miniature.items("test", 0) if item.task == "colors"][:3]
    for code, name in {"en": "", "fr": "_french"}.items():
        lines = [json.dumps({**item.metadata(), "prompt": item.prompt(code)}) for item in items]
        (tmp_path / f"evaluation_metadata{name}.jsonl").write_text("\n".join(lines), encoding="utf-8")
    codes = shapes.place(items[0].things, np.random.default_rng(0)).tolist()
    row = {"codes": codes, "captions": {"en": "a red circle", "fr": "un cercle rouge"}}
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "rows.jsonl").write_text(json.dumps(row), encoding="utf-8")
    changes = {"p3.sources": (str(tmp_path / "own"),), "benchmark": str(tmp_path), "languages": ("en", "fr")}
    config = override(PRESETS["smoke"], changes)
    with temporary("neobabel", config) as run, pytest.MonkeyPatch.context() as patch:
        training.train(config, run)
        patch.setattr(vision, "ObjectDetector", lambda: miniature.detect)
        patch.setattr(vision, "image_embedder", lambda spec: shapes.looks)
        measured = evaluation.evaluate(config, run)
        for refused in ({"translator": "world"}, {"crowd": True}):
            with pytest.raises(UserError, match="know the miniature alone"):
                evaluation.evaluate(override(config, refused), run)
    assert {"geneval", "geneval_fr", "colors", "clc_clip", "css_ef_dinov2"} <= set(measured.metrics)
    assert set(measured.units["clc_clip"]) == {"fr/0", "fr/1", "fr/2"}


def train_here(folder: str) -> list[float]:
    """Two steps in which nothing is random but the order of the data, which all ranks share."""
    from core.experiment.run import Run
    from core.training.fit import fit

    net = TextToImage(loading.from_config(decoder_config(STATES.size), seed=0, attention="eager"), STATES, 9, 8)

    def collate(rows: list[dict[str, Any]], rng: Any) -> dict[str, Any]:
        codes = torch.tensor([row["codes"] for row in rows])
        ids, labels = method.mask_image(codes, torch.full((len(rows),), 0.5), codes + 0.1, STATES)
        prompt, _ = model.prefix([Prompt([0, 2])] * len(rows), STATES, 8)
        return {"prompt": prompt, **{k: method.image_block(v, STATES) for k, v in (("block", ids), ("labels", labels))}}

    rows = [{"codes": np.random.default_rng(i).permutation(9).tolist()} for i in range(8)]
    settings = replace(PRESETS["smoke"].p3.training, steps=2, learning_rate=1e-2)
    run = Run(Path(folder), "neobabel", PRESETS["smoke"], Path(folder) / "stages", quiet=True)
    result = fit(net, rows, settings, run, loss_fn=method.image_loss, collate=collate, seed=0)
    return [*result.losses, float(net.lm.get_input_embeddings().weight.detach().abs().sum())]


@pytest.mark.slow
@pytest.mark.distributed
def test_two_processes_train_the_same_model(tmp_path: Path) -> None:
    from core.distributed import launch_cpu

    (double, other) = launch_cpu(train_here, 2, str(tmp_path / "two"))
    assert double == other
    assert train_here(str(tmp_path / "one")) == pytest.approx(double, rel=1e-4)


@pytest.mark.slow
@pytest.mark.weights
def test_the_worked_example_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (find("neobabel").folder / "README.md").read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    scope: dict[str, Any] = {}
    (block,) = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    exec(compile(block, "README.md", "exec"), scope)
    assert scope["clc"].shape == (1, 2)


@pytest.mark.slow
@pytest.mark.weights
def test_all_prompts_fit_the_text_budget() -> None:
    """Of the real encoder: begin and end token and t2i included, in one language and in two."""
    tokenizer = loading.load_tokenizer(PRESETS["tiny"].backbone)
    items = [*miniature.items("train", 31), *miniature.items("test", 31), *miniature.items("dev", 31)]
    config: Config = PRESETS["tiny"]
    for item, code in itertools.product(items, LANGUAGES):
        for text in {item.prompt(code), item.prompt("en", code), item.prompt(code, "en")}:
            assert len(tokenizer(text)["input_ids"]) <= config.p3.text_tokens, text
