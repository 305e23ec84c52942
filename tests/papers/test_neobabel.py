"""NeoBabel: sequence, mask, loss and decoding against the official code's numbers; the miniature; whole runs."""

from __future__ import annotations

import itertools
import json
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import Gemma2Config, LlamaConfig

from core.errors import UserError
from core.experiment.config import override, with_variant
from core.experiment.entrypoint import entrypoint
from core.experiment.paper import find
from core.experiment.run import temporary
from core.files import read_json
from core.models import loading
from core.training.config import TrainingConfig
from papers.neobabel import benchmark, data, detectors, merging, method, model, painter, prepare, sheet, use, world
from papers.neobabel import eval as evaluation
from papers.neobabel import train as training
from papers.neobabel.config import ORDER, PRESETS, VARIANTS, Config, Stage, decoder_config, workload
from papers.neobabel.method import IGNORED, Vocabulary

# The stand-in tokenizer of the parity numbers: 20 text ids with BOS 2 and EOS 1; PAD is 20, image code 0 is 30.
STAND_IN = Vocabulary(text=20, codes=9, bos=2, eos=1)


# --- parity with the official code --------------------------------------------------------------------------------


def test_gemmas_vocabulary() -> None:
    gemma = Vocabulary(text=256_000, codes=8192, bos=2, eos=1)
    assert gemma.marker("pad") == 256_000
    assert gemma.first_code == 256_010
    assert gemma.mask == 264_202
    assert gemma.size == 264_203
    assert [STAND_IN.marker(name) for name in ("pad", "soi", "eoi", "t2i")] == [20, 21, 22, 25]


def official_row(text: list[int], drop: bool = False) -> list[int]:
    prompt = torch.tensor([method.prompt_ids(text, STAND_IN, 8, drop=drop)])
    block = method.image_block(torch.tensor([[30, 31, 38, 33]]), STAND_IN)
    return torch.cat([prompt, block], dim=1)[0].tolist()


def test_layout_of_the_official_code() -> None:
    assert official_row([2, 10, 11]) == [20, 20, 20, 20, 25, 2, 10, 11, 1, 21, 30, 31, 38, 33, 22]
    assert official_row(list(range(10, 21))) == [25, 2, 10, 11, 12, 13, 14, 15, 1, 21, 30, 31, 38, 33, 22]
    assert official_row([2, 10, 11], drop=True) == [20] * 6 + [25, 2, 1, 21, 30, 31, 38, 33, 22]
    assert official_row([10, 11]) == official_row([2, 10, 11])


def test_attention_rows_of_the_official_code() -> None:
    seen = method.visible(torch.tensor([official_row([2, 10, 11])]), STAND_IN, max_text=8)[0]
    rows = ["".join(".1"[int(cell)] for cell in row).rstrip(".") for row in seen]
    assert rows[:4] == ["1", "11", "111", "1111"]
    assert rows[4] == "....1"
    assert rows[8] == "....11111"
    assert rows[9:] == ["....11111111111"] * 6


@given(st.integers(0, 12), st.integers(1, 6), st.integers(3, 9))
@settings(max_examples=25, deadline=None)
def test_properties_of_the_mask(words: int, codes: int, max_text: int) -> None:
    ids = torch.cat(
        [
            torch.tensor([method.prompt_ids([5] * words, STAND_IN, max_text)]),
            method.image_block(torch.full((1, codes), STAND_IN.mask), STAND_IN),
        ],
        dim=1,
    )
    seen = method.visible(ids, STAND_IN, max_text)[0]
    start = max_text + 1
    assert ids.shape[1] == start + codes + 2
    assert ids[0, start] == STAND_IN.marker("soi")
    assert seen.any(1).all(), "no row is empty"
    assert not seen[:start, start:].any(), "text never sees the image"
    padding = ids[0] == STAND_IN.marker("pad")
    assert not seen[~padding][:, padding].any()
    assert seen[start:, ~padding].all()
    assert not seen[:start].triu(1).any()
    causal = method.visible(ids, STAND_IN, max_text, image="causal")[0]
    assert (causal == (seen & torch.ones_like(seen).tril())).all()


def test_counts_of_the_official_code() -> None:
    assert method.masked_after(64, 8) == [62, 59, 53, 45, 35, 24, 12, -1]
    assert method.still_masked(-1, torch.tensor([9, 2])).tolist() == [1, 1]
    assert method.still_masked(62, torch.tensor([64, 10])).tolist() == [62, 9]


def test_temperature_is_a_product() -> None:
    expected = [0.875, 0.656, 0.410, 0.205, 0.077, 0.019, 0.0024, 0.0]
    assert method.temperatures(8) == pytest.approx(expected, abs=6e-4)


def test_remasking_of_the_official_code() -> None:
    p = torch.tensor([[0.1, 0.5, 0.3, 0.9, 0.2]])
    masked = method.remask(p.log(), torch.zeros_like(p, dtype=torch.bool), torch.tensor([2]))
    assert masked.nonzero()[:, 1].tolist() == [0, 4]
    known = torch.tensor([[True, False, False, False, False]])
    assert method.remask(p.log(), known, torch.tensor([2])).nonzero()[:, 1].tolist() == [2, 4]
    noise = torch.tensor([[9.0, 0.0, 0.0, 0.0, 0.0]])
    assert method.remask(p.log(), ~known, torch.tensor([1]), 1.0, noise)[0].tolist() == [True] + [False] * 4


def test_quantiser_of_the_official_code() -> None:
    planes = torch.tensor([[[0.2, -1], [0, 3]], [[-0.1, -2], [0.5, 0.1]], [[0.7, 0.3], [-0.4, -0.2]]])
    assert method.lfq_indices(planes).tolist() == [[5, 1], [2, 6]]
    assert method.lfq_entries(torch.tensor(5), 3).tolist() == [1, -1, 1]
    codes = torch.arange(32).view(4, 8)
    assert (method.lfq_indices(method.lfq_entries(codes, 5).movedim(-1, 0)) == codes).all()


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ((0, 0, 10, 10), (8, 8, 18, 18), {"above", "left of"}),
        ((0, 0, 10, 10), (1, 1, 11, 11), set()),
        ((0, 0, 20, 20), (3, 19, 23, 39), {"above"}),
        ((0, 0, 4, 4), (6, 3, 10, 7), {"left of"}),
    ],
)
def test_relations_of_geneval(a: Any, b: Any, expected: set[str]) -> None:
    assert benchmark.relative_position(a, b) == expected
    opposite = {"above": "below", "left of": "right of"}
    assert benchmark.relative_position(b, a) == {opposite[name] for name in expected}


# --- masking and loss ---------------------------------------------------------------------------------------------


def test_schedules_run_from_all_to_none() -> None:
    ends = torch.tensor([0.0, 1.0])
    names: tuple[method.Schedule, ...] = ("cosine", "linear", "power", "sigmoid")
    for name in names:
        assert method.mask_ratio(ends, name).tolist() == pytest.approx([1, 0], abs=1e-5)
        ratios = method.mask_ratio(torch.linspace(0, 1, 11), name)
        assert (ratios.diff() < 0).all()
    half = torch.tensor(0.5)
    assert float(method.mask_ratio(half)) == pytest.approx(math.sqrt(0.5))
    assert float(method.mask_ratio(half, "power")) == pytest.approx(0.75)
    assert float(method.mask_ratio(half, "power", 3.0)) == pytest.approx(0.875)
    assert float(method.mask_ratio(half, "sigmoid")) == pytest.approx(0.5)


@given(st.floats(0, 0.999), st.integers(1, 40), st.sampled_from([0.0, 0.5]), st.integers(0, 9))
@settings(max_examples=40, deadline=None)
def test_number_of_masked_codes(time: float, n: int, minimum: float, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    codes = torch.randint(9, (1, n), generator=generator)
    order = torch.rand(1, n, generator=generator)
    ids, labels = method.mask_image(codes, torch.tensor([time]), order, STAND_IN, minimum=minimum)
    masked = ids == STAND_IN.mask
    share = max(float(method.mask_ratio(torch.tensor(time))), minimum)
    assert masked.sum() == max(1, int((torch.tensor(float(n)) * share).round()))
    assert (labels[masked] == codes[masked] + STAND_IN.first_code).all()
    assert (labels[~masked] == IGNORED).all()
    assert (ids[~masked] == codes[~masked] + STAND_IN.first_code).all()


def test_every_position_is_masked_equally_often() -> None:
    order = torch.rand(4000, 5, generator=torch.Generator().manual_seed(0))
    ids, _ = method.mask_image(torch.zeros(4000, 5, dtype=torch.long), torch.full((4000,), 0.5), order, STAND_IN)
    shares = (ids == STAND_IN.mask).float().mean(0)
    assert shares.tolist() == pytest.approx([0.8] * 5, abs=0.03)


def test_labels_are_not_shifted_and_edges_are_identities() -> None:
    labels = torch.tensor([[IGNORED, 33]])
    assert method.block_labels(labels, STAND_IN).tolist() == [[21, IGNORED, 33, 22]]
    assert method.block_labels(labels, STAND_IN, identity=False).tolist() == [[IGNORED, IGNORED, 33, IGNORED]]


def test_the_loss_is_over_the_whole_vocabulary() -> None:
    logits = torch.zeros(1, 4, 40)
    total, count = method.masked_cross_entropy(logits, torch.tensor([[21, IGNORED, 33, 22]]))
    assert (float(total), int(count)) == (pytest.approx(3 * math.log(40), rel=1e-6), 3)


def test_guidance_extrapolates() -> None:
    assert method.guided(torch.tensor(3.0), torch.tensor(1.0), 2.0) == 7.0
    assert method.guided(torch.tensor(3.0), torch.tensor(1.0), 0.0) == 3.0


# --- averages and consistency -------------------------------------------------------------------------------------


def test_merge_weights() -> None:
    assert method.merge_weights("sma", 4) == [0.25] * 4
    assert method.merge_weights("wma", 3) == pytest.approx([1 / 6, 2 / 6, 3 / 6])
    ema = method.merge_weights("ema", 3)
    assert [b / a for a, b in itertools.pairwise(ema)] == pytest.approx([1 / 0.9] * 2)
    assert sum(ema) == pytest.approx(1)


def test_clc_by_hand() -> None:
    features = {"en": torch.tensor([[1.0, 0.0]]), "fr": torch.tensor([[1.0, 0.0]]), "zh": torch.tensor([[0.0, 2.0]])}
    assert method.cross_lingual_consistency(features).tolist() == [[1.0], [0.0], [0.0]]
    assert method.cross_lingual_consistency(features, "reference").tolist() == [[1.0], [0.0]]
    empty = {"en": torch.zeros(1, 2), "fr": torch.zeros(1, 2)}
    assert float(method.cross_lingual_consistency(empty).mean()) == 0.0


def test_pairwise_clc_rewards_the_same_failure() -> None:
    wrong, right = torch.tensor([[0.0, 1.0]]), torch.tensor([[1.0, 0.0]])
    features = {"en": right, **dict.fromkeys(("fr", "zh", "nl"), wrong)}
    assert float(method.cross_lingual_consistency(features).mean()) == 0.5
    assert float(method.cross_lingual_consistency(features, "reference").mean()) == 0.0


def test_css_by_hand() -> None:
    mixed = {"fr": torch.tensor([[1.0, 1.0]])}
    mono = {"en": torch.tensor([[1.0, 0.0]]), "fr": torch.tensor([[1.0, 1.0]])}
    half = math.sqrt(0.5)
    assert float(method.code_switching_similarity(mixed, mono)) == pytest.approx(half)
    assert float(method.code_switching_similarity(mixed, mono, "mean_of_both")) == pytest.approx((half + 1) / 2)


# --- the miniature world ------------------------------------------------------------------------------------------


def test_every_prompt_says_what_its_image_shows() -> None:
    rng = np.random.default_rng(0)
    for item in {*world.items("train"), *world.items("test")}:
        for code in world.LANGUAGES:
            for carrier in range(3):
                assert world.read(item.prompt(code, carrier), code) == item.things
        codes = world.draw_item(item, rng)
        image = world.decode(codes[None])[0]
        assert (world.encode(image[None])[0] == codes).all()
        assert benchmark.judge(world.detect(image), item.metadata()) == (True, "")
        assert len(codes.nonzero()) == sum(t.count for t in item.things)


def test_grammar() -> None:
    pair = world.Item("color_attr", (world.Thing("circle", "red"), world.Thing("square", "blue")))
    assert pair.prompt("en") == "a picture of a red circle and a blue square"
    assert pair.prompt("nl", 2) == "een rode cirkel en een blauw vierkant"
    assert pair.prompt("fr", 2) == "un cercle rouge et un carré bleu"
    assert pair.prompt("zh", 2) == "一个红色的圆形和一个蓝色的正方形"
    assert world.Item("counting", (world.Thing("heart", count=3),)).prompt("nl", 2) == "drie harten"
    assert pair.mixed("en", "fr") == "a picture of a red circle and un carré bleu"
    assert pair.mixed("fr", "en", 2) == "un cercle rouge et a blue square"
    assert pair.key == "color_attr/red-circle+blue-square"


def test_words_are_those_of_the_emoji_names() -> None:
    from core import corpora

    table = corpora.load("emoji", languages=["en", "fr", "zh", "fa"])
    names = {row["en"]: row for row in table}
    for english, shape, colour in (("red heart", "heart", "red"), ("blue square", "square", "blue")):
        row = names[english]
        for code in ("fr", "fa"):
            grammar = world.GRAMMARS[code]
            assert grammar.shapes[shape][0] in row[code]
            assert grammar.colours[colour][0] in row[code]
    assert world.GRAMMARS["fa"].colours["purple"][0] in names["purple circle"]["fa"]
    assert world.GRAMMARS["fa"].shapes["circle"][0] in names["purple circle"]["fa"]
    assert world.GRAMMARS["zh"].colours["blue"][0] in names["blue square"]["zh"]


def test_held_out_combinations_are_never_trained() -> None:
    trained = {frozenset(item.things) for item in world.items("train")}
    tested = {frozenset(i.things) for i in world.items("test") if i.task == "color_attr"}
    developed = {frozenset(i.things) for i in world.items("dev") if i.task == "color_attr"}
    assert len(tested) == len(developed) == 28
    assert not tested & developed
    assert not (tested | developed) & trained
    # Colours and tasks are balanced, so that the mean over prompts is the mean of the two tasks.
    assert sum(item.task == "colors" for item in world.items("test")) == 28


def test_translation_makes_the_mistakes_that_it_is_told_to() -> None:
    items = [item for item in world.items("test") if item.task == "color_attr"]
    prompts = [(item.prompt("hi"), item.prompt("en")) for item in items]
    assert [world.translate(hindi, "hi", 0.0, 0) for hindi, _ in prompts] == [english for _, english in prompts]
    wrong = [
        sum(a != b for t, u in zip(world.read(world.translate(h, "hi", 0.3, seed), "en"), item.things, strict=True)
            for a, b in ((t.shape, u.shape), (t.colour, u.colour)))
        for seed in range(20) for (h, _), item in zip(prompts, items, strict=True)
    ]  # fmt: skip
    assert sum(wrong) / (4 * len(wrong)) == pytest.approx(0.3, abs=0.04)
    mixed = items[0].mixed("en", "hi")
    assert world.translate(mixed, "hi", 0.0, 0) == items[0].prompt("en")
    assert world.translate(mixed, "hi", 1.0, 0) != items[0].prompt("en")
    assert world.read(world.translate(mixed, "hi", 1.0, 0), "en")[0] == items[0].things[0]


def test_unused_codes_are_empty() -> None:
    codes = torch.tensor([[0, 8, 16, 24, 0, 0, 0, 0, 0]])
    assert world.detect(world.decode(codes)[0]) == {}
    assert world.object_counts(world.decode(codes)).sum() == 0


# --- GenEval ------------------------------------------------------------------------------------------------------


def found(*boxes: Any, colour: str = "red", score: float = 0.95) -> list[benchmark.Detection]:
    return [benchmark.Detection(box, colour, score) for box in boxes]


def test_decisions_of_geneval() -> None:
    left, right = (0, 0, 4, 4), (20, 0, 24, 4)
    clause = {"class": "cat", "count": 2}
    assert benchmark.judge({"cat": found(left, right)}, {"include": [clause]})[0]
    assert not benchmark.judge({"cat": found(left)}, {"include": [clause]})[0]
    exact = {"include": [clause], "exclude": [{"class": "cat", "count": 3}]}
    assert benchmark.judge({"cat": found(left, right)}, exact)[0]
    assert not benchmark.judge({"cat": found(left, right, left)}, exact)[0]
    coloured = {"include": [{"class": "cat", "count": 1, "color": "blue"}]}
    # The most confident cat decides, though another one is blue.
    cats = [*found(left, score=0.6, colour="blue"), *found(right, score=0.9)]
    assert benchmark.judge({"cat": cats}, coloured) == (False, "expected blue cat >= 1, found 0")
    placed = {"include": [{"class": "dog", "count": 1}, {"class": "cat", "count": 1, "position": ["left of", 0]}]}
    assert benchmark.judge({"cat": found(left), "dog": found(right)}, placed)[0]
    assert not benchmark.judge({"cat": found(right), "dog": found(left)}, placed)[0]
    # The target was not found, so nothing can be left of it.
    assert not benchmark.judge({"cat": found(left), "dog": []}, placed)[0]


def test_confidence_thresholds() -> None:
    box = (0, 0, 1, 1)
    clause = {"include": [{"class": "cat", "count": 1}]}
    assert not benchmark.judge({"cat": found(box, score=0.3)}, clause)[0]
    assert benchmark.judge({"cat": found(box, score=0.31)}, clause)[0]
    assert not benchmark.judge({"cat": found(box, score=0.89)}, {**clause, "tag": "counting"})[0]
    many = {"include": [{"class": "cat", "count": 1}], "exclude": [{"class": "cat", "count": 17}]}
    assert benchmark.judge({"cat": found(*[box] * 30)}, many)[0], "at most 16 of a class count"


def test_overall_is_the_mean_of_tasks_over_images() -> None:
    assert benchmark.overall({"a": [True, True, True, False], "b": [False]}) == pytest.approx(0.375)
    with pytest.raises(UserError, match="task without images"):
        benchmark.overall({"a": []})


def test_any_generator_can_be_scored() -> None:
    items = [item for item in world.items("test") if item.task == "color_attr"][:6]
    rng = np.random.default_rng(0)

    def knows(*languages: str) -> Any:
        def generate_fn(prompts: Any, language: str) -> Tensor:
            drawn = []
            for prompt in prompts:
                things = next((t for code in languages if len(t := world.read(prompt, code)) == 2), ())
                drawn.append(world.draw_item(world.Item("", things), np.random.default_rng(rng.integers(9))))
            return world.decode(torch.stack(drawn))

        return generate_fn

    prompts = {code: [item.prompt(code) for item in items] for code in ("en", "fr")}
    mixed = {"EF": {"fr": [item.mixed("en", "fr") for item in items]}}
    maps = {"objects": world.object_counts, "pixels": world.pixels}
    metadata = [item.metadata() for item in items]
    given: dict[str, Any] = {"detector": world.detect, "feature_maps": maps}
    both = benchmark.evaluate(knows("en", "fr"), prompts, metadata, mixed=mixed, **given)
    english = benchmark.evaluate(knows("en"), prompts, metadata, metrics=("geneval", "clc"), **given)
    assert [both["geneval"][code]["overall"] for code in ("en", "fr")] == [1.0, 1.0]
    assert [english["geneval"][code]["overall"] for code in ("en", "fr")] == [1.0, 0.0]
    assert float(both["clc"]["objects"]["reference"].mean()) == pytest.approx(1.0)
    assert float(english["clc"]["objects"]["reference"].mean()) == 0.0
    assert set(both["css"]["EF"]) == {"objects", "pixels"}
    assert "CLC objects" in benchmark.score_table(both)
    with pytest.raises(UserError, match="needs a detector"):
        benchmark.evaluate(knows("en"), prompts, metadata, feature_maps=maps)
    with pytest.raises(UserError, match="no prompts in sw"):
        benchmark.evaluate(knows("en"), prompts, metadata, reference="sw", **given)
    with pytest.raises(UserError, match="align"):
        benchmark.evaluate(knows("en"), {"en": ["x"]}, metadata, detector=world.detect, feature_maps=maps)


def test_prompts_that_change_language_in_the_middle() -> None:
    english, french, chinese = "a red heart, above a blue square", "un cœur rouge, sur un carré bleu", "红心，蓝方"
    assert benchmark.code_switched(english, french) == "a red heart, sur un carré bleu"
    assert benchmark.code_switched(chinese, english) == "红心， above a blue square"
    assert benchmark.code_switched("a red heart", "un cœur rouge.") == "a red rouge."
    assert benchmark.code_switched("红心", "a cat") == "红 cat"
    prompts = {"fr": [french], "en": [english], "zh": [chinese]}
    mixed = benchmark.code_switched_prompts(prompts)
    assert mixed["EF"]["fr"] == ["a red heart, sur un carré bleu"]
    assert mixed["ES"]["fr"] == ["un cœur rouge, above a blue square"]
    assert set(mixed["ES"]) == {"fr", "zh"}
    drawn: list[tuple[str, str]] = []

    def draws(texts: Any, language: str) -> Tensor:
        drawn.extend((text, language) for text in texts)
        return torch.ones(len(texts), 2, 2, 3)

    maps = {"a": lambda images: images.flatten(1), "b": lambda images: images.flatten(1)}
    result = benchmark.evaluate(draws, prompts, [{}], feature_maps=maps, metrics=("css",))
    assert set(result["css"]) == {"EF", "ES"}
    assert torch.allclose(result["css"]["ES"]["b"], torch.ones(2, 1).double())
    assert len(drawn) == 3 + 4, "each image is drawn once, whatever looks at it"
    assert (mixed["EF"]["zh"][0], "zh") in drawn
    alone = benchmark.evaluate(draws, {"en": [english]}, [{}], feature_maps=maps, metrics=("clc", "css"))
    assert set(alone) == {"images"}, "one language has nothing to agree with"


def test_building_a_benchmark(tmp_path: Path) -> None:
    rows = [
        {"tag": "colors", "include": [{"class": "bench", "count": 1, "color": "red"}], "prompt": "a red bench"},
        {"tag": "single_object", "include": [{"class": "sign", "count": 1}], "prompt": 'a sign that says "STOP"'},
    ]
    english = tmp_path / "evaluation_metadata.jsonl"
    english.write_text("\n".join(map(json.dumps, rows)) + "\n", encoding="utf-8")
    asked = []

    def translate(prompt: str, language: str) -> str:
        asked.append(prompt)
        return f"{language}: {prompt}"

    written = benchmark.build(english, tmp_path, translate, ["fr", "zh"])
    assert all("STOP" not in prompt for prompt in asked), "quoted text is not translated"
    prompts, metadata = benchmark.read_benchmark({"en": english, **written})
    assert prompts["fr"] == ["fr: a red bench", 'fr: a sign that says "STOP"']
    assert metadata == [{key: value for key, value in row.items() if key != "prompt"} for row in rows]
    assert detectors.benchmark_files(tmp_path, ("en", "fr")) == {"en": english, "fr": written["fr"]}
    with pytest.raises(UserError, match="lost the quoted"):
        benchmark.translate_keeping_quotes('say "hi"', "fr", lambda prompt, language: "dis")
    written["zh"].write_text(written["zh"].read_text(encoding="utf-8").replace("bench", "BENCH"), encoding="utf-8")
    with pytest.raises(UserError, match="metadata differs"):
        benchmark.check_parallel(written)
    with pytest.raises(UserError, match="build it"):
        detectors.benchmark_files(tmp_path, ("sw",))


def test_segments_become_detections() -> None:
    masks = np.zeros((2, 6, 6), dtype=bool)
    masks[0, 1:3, 2:5] = True
    picture = np.full((6, 6, 3), 200, dtype=np.uint8)
    seen: list[np.ndarray] = []

    def colour(part: np.ndarray, name: str) -> str:
        seen.append(part)
        return "red"

    segments = [{"label_id": 7, "score": 0.8}, {"label_id": 7, "score": 0.9}]
    result = detectors.detections(masks, segments, {7: "cat"}, picture, colour)
    assert result == {"cat": [benchmark.Detection((2, 1, 5, 3), "red", 0.8)]}
    assert seen[0].shape == (2, 3, 3)


# --- the model ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tiny_model() -> model.TextToImage:
    """Random weights behind two-dimensional text states, with all of the miniature's markers."""
    vocabulary = Vocabulary(text=3, codes=32, bos=0, eos=1)
    shape = override(PRESETS["smoke"], {"model.layers": 2})
    torch.manual_seed(0)
    lm = loading.from_config(decoder_config(shape, vocabulary.size), seed=0)
    return model.TextToImage(lm, vocabulary, text_width=2).eval()


def prompt_of(*values: float) -> model.Prompt:
    states = torch.tensor([[value, 1.0] for value in (0.0, *values, 9.0)])
    return model.Prompt([0] + [2] * len(values), states)


EMPTY = prompt_of()
OPTIONS: dict[str, Any] = {"tokens": 9, "max_text": 8, "guidance": 2.0, "timesteps": 4}


def test_states_stand_where_the_text_is() -> None:
    vocabulary = Vocabulary(text=3, codes=32, bos=0, eos=1)
    ids, states = model.prefix([prompt_of(5.0, 6.0), prompt_of(*range(1, 20))], vocabulary, 6)
    pad, t2i = vocabulary.marker("pad"), vocabulary.marker("t2i")
    assert ids[0].tolist() == [pad, pad, t2i, 0, 2, 2, 1]
    assert states is not None
    assert states[0, :, 0].tolist() == [0, 0, 0, 0, 5, 6, 9]
    assert ids[1].tolist() == [t2i, 0, 2, 2, 2, 2, 1]
    assert states[1, :, 0].tolist() == [0, 0, 1, 2, 3, 4, 9]


def test_cached_prompts_draw_the_same(tiny_model: model.TextToImage) -> None:
    prompts = [prompt_of(1.0), prompt_of(2.0, 3.0, -1.0)]
    slow = model.generate(tiny_model, prompts, EMPTY, cached=False, **OPTIONS)
    assert (slow == model.generate(tiny_model, prompts, EMPTY, **OPTIONS)).all()
    blocks = [model._Block(tiny_model, prompts, EMPTY, 8, cached) for cached in (True, False)]
    codes = torch.full((2, 9), tiny_model.vocabulary.mask)
    with torch.inference_mode():
        first, second = (block.log_probabilities(codes, 2.0) for block in blocks)
        again = blocks[0].log_probabilities(codes, 2.0)
    assert torch.allclose(first, second, atol=1e-5)
    assert torch.allclose(first, again, atol=1e-6), "the cache is as before"
    assert first.exp().sum(-1).flatten().tolist() == pytest.approx([1.0] * 18, abs=1e-5)


def test_text_never_sees_the_image(tiny_model: model.TextToImage) -> None:
    prompt, states = model.prefix([prompt_of(1.0, 2.0)], tiny_model.vocabulary, 8)
    hidden = []
    for code in (0, 5):
        block = method.image_block(torch.full((1, 9), tiny_model.vocabulary.first_code + code), tiny_model.vocabulary)
        ids = torch.cat([prompt, block], dim=1)
        seen = method.visible(ids, tiny_model.vocabulary, 8)
        with torch.no_grad():
            hidden.append(tiny_model.hidden(ids, seen, states))
    assert torch.equal(hidden[0][:, :9], hidden[1][:, :9])
    assert not torch.allclose(hidden[0][:, 9:], hidden[1][:, 9:])


@pytest.mark.parametrize("image", ["bidirectional", "causal"])
def test_who_a_position_depends_on(tiny_model: model.TextToImage, image: Any) -> None:
    v = tiny_model.vocabulary
    prompt, states = model.prefix([prompt_of(1.0)], v, 8)

    def last_code(first: int) -> Tensor:
        codes = torch.full((1, 9), v.mask)
        codes[0, 4] = v.first_code + first
        ids = torch.cat([prompt, method.image_block(codes, v)], dim=1)
        with torch.no_grad():
            return tiny_model.hidden(ids, method.visible(ids, v, 8, image), states)[0, 10:19]

    changed = (last_code(1) != last_code(2)).any(-1).tolist()
    assert changed == ([True] * 9 if image == "bidirectional" else [False] * 4 + [True] * 5)


def test_padding_changes_nothing_but_the_positions(tiny_model: model.TextToImage) -> None:
    v = tiny_model.vocabulary
    prompt, states = model.prefix([prompt_of(1.0)], v, 8)
    ids = torch.cat([prompt, method.image_block(torch.full((1, 9), v.mask), v)], dim=1)
    with torch.no_grad():
        before = tiny_model.hidden(ids, method.visible(ids, v, 8), states)[:, 9:]
        tiny_model.lm.get_input_embeddings().weight[v.marker("pad")] += 1.0
        after = tiny_model.hidden(ids, method.visible(ids, v, 8), states)[:, 9:]
        tiny_model.lm.get_input_embeddings().weight[v.marker("pad")] -= 1.0
    assert torch.equal(before, after)


def test_noise_follows_the_seed(tiny_model: model.TextToImage) -> None:
    prompts = [prompt_of(1.0), prompt_of(1.0), prompt_of(1.0)]
    drawn = model.generate(tiny_model, prompts, EMPTY, seeds=[3, 4, 3], **OPTIONS)
    assert torch.equal(drawn[0], drawn[2])
    assert not torch.equal(drawn[0], drawn[1])
    alone = model.generate(tiny_model, prompts[1:2], EMPTY, seeds=[4], **OPTIONS)
    assert torch.equal(alone[0], drawn[1]), "the batch has no influence"
    split = model.generate(tiny_model, prompts, EMPTY, seeds=[3, 4, 3], batch_size=2, **OPTIONS)
    assert torch.equal(split, drawn)


def test_sampling_follows_the_distribution() -> None:
    p = torch.tensor([0.1, 0.2, 0.7])
    noise = model.Noise(range(6000))(3)
    shares = torch.bincount((p.log() + noise).argmax(-1)).float() / 6000
    assert shares.tolist() == pytest.approx(p.tolist(), abs=0.02)


def test_inpainting_keeps_what_is_outside_the_region(tiny_model: model.TextToImage) -> None:
    start = torch.arange(9)[None] + 3
    region = torch.zeros(1, 9, dtype=torch.bool)
    region[0, 2:5] = True
    drawn = model.generate(tiny_model, [prompt_of(1.0)], EMPTY, start=start, region=region, **OPTIONS)
    assert torch.equal(drawn[~region], start[~region])
    mask = torch.zeros(12, 12)
    mask[:4, 4:] = 1
    assert model.region_of(mask, 3).tolist() == [False, True, True] + [False] * 6


def test_extrapolation_moves_a_window(tiny_model: model.TextToImage) -> None:
    codes = torch.arange(9).view(3, 3)
    options = {key: value for key, value in OPTIONS.items() if key != "tokens"}
    wide = model.extrapolate(tiny_model, [prompt_of(1.0), prompt_of(2.0)], EMPTY, codes, columns=1, **options)
    assert wide.shape == (3, 5)
    assert torch.equal(wide[:, :3], codes)
    with pytest.raises(UserError, match="columns"):
        model.extrapolate(tiny_model, [EMPTY], EMPTY, codes, columns=3, **options)


def test_the_loss_of_a_batch_by_hand(tiny_model: model.TextToImage) -> None:
    stage, config = Stage(text_tokens=8), replace(PRESETS["tiny"], cond_dropout=0.0)
    rows = [{"codes": list(range(9)), "captions": {"en": "x"}}, {"codes": [1] * 9, "captions": {"fr": "y"}}]
    collate = data.collator(stage, config, lambda text: prompt_of(float(len(text))), tiny_model.vocabulary)
    batch = collate(rows, np.random.default_rng(0))
    with torch.no_grad():
        loss = model.image_loss(tiny_model, batch)
        ids = torch.cat([batch["prompt"], batch["block"]], dim=1)
        hidden = tiny_model.hidden(ids, method.visible(ids, tiny_model.vocabulary, 8), batch["states"])
        logits = tiny_model.logits(hidden)[:, 9:]
    expected, count = method.masked_cross_entropy(logits, batch["labels"])
    assert float(loss.total) == pytest.approx(float(expected), rel=1e-5)
    assert loss.items == count == (batch["labels"] != IGNORED).sum()
    assert logits.shape[-1] == tiny_model.vocabulary.size


def test_the_loss_in_chunks_has_the_same_gradient(
    tiny_model: model.TextToImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    collate = data.collator(Stage(text_tokens=8), PRESETS["tiny"], lambda text: EMPTY, tiny_model.vocabulary)
    batch = collate([{"codes": list(range(9)), "captions": {"en": ""}}], np.random.default_rng(1))
    gradients = []
    for chunk in (2**28, 2 * tiny_model.vocabulary.size):
        monkeypatch.setattr(model, "CHUNK", chunk)
        loss = model.image_loss(tiny_model, batch)
        (gradient,) = torch.autograd.grad(loss.total, [tiny_model.lm.get_input_embeddings().weight])
        gradients.append((loss.total.item(), gradient))
    assert gradients[0][0] == pytest.approx(gradients[1][0])
    assert torch.allclose(gradients[0][1], gradients[1][1], atol=1e-5)


def test_captions_languages_and_dropout(tiny_model: model.TextToImage) -> None:
    asked: list[str] = []

    def text(prompt: str) -> model.Prompt:
        asked.append(prompt)
        return prompt_of(1.0) if prompt else EMPTY

    row = {"codes": [0] * 9, "captions": {code: code for code in ("en", "fr", "zh")}}
    config = override(PRESETS["tiny"], {"train.languages": ("en", "zh"), "cond_dropout": 0.25})
    collate = data.collator(Stage(text_tokens=8), config, text, tiny_model.vocabulary)
    batch = collate([row] * 2000, np.random.default_rng(0))
    drawn = asked[1:]
    assert set(drawn) == {"en", "zh"}
    assert drawn.count("zh") / 2000 == pytest.approx(0.5, abs=0.04)
    empty = (batch["prompt"] == tiny_model.vocabulary.marker("pad")).sum(1) == 6
    assert float(empty.float().mean()) == pytest.approx(0.25, abs=0.04)


def test_sdpa_is_refused_where_it_drops_the_soft_cap() -> None:
    vocabulary = Vocabulary(text=3, codes=32, bos=0, eos=1)
    lm: Any = loading.from_config(decoder_config(PRESETS["smoke"], vocabulary.size), seed=0)
    lm.config._attn_implementation = "sdpa"
    with pytest.raises(UserError, match="soft-cap"):
        model.TextToImage(lm, vocabulary)
    with pytest.raises(UserError, match="soft-cap"):
        training.build_model(override(PRESETS["smoke"], {"attention.implementation": "sdpa"}), QuickText(8))
    with pytest.raises(UserError, match="resize"):
        model.TextToImage(loading.from_config(decoder_config(PRESETS["smoke"], 40), seed=0), vocabulary)


def test_another_decoder_without_soft_cap() -> None:
    vocabulary = Vocabulary(text=12, codes=32, bos=0, eos=1)
    shape = LlamaConfig(
        vocab_size=vocabulary.size, hidden_size=16, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2
    )
    llama = model.TextToImage(loading.from_config(shape, seed=0), vocabulary).eval()
    prompts, empty = [model.Prompt([0, 5, 6])], model.Prompt([0])
    drawn = model.generate(llama, prompts, empty, **OPTIONS)
    assert torch.equal(drawn, model.generate(llama, prompts, empty, cached=False, **OPTIONS))


def test_qk_norm_makes_scale_of_queries_irrelevant(tmp_path: Path) -> None:
    vocabulary = Vocabulary(text=3, codes=32, bos=0, eos=1)
    lm = loading.from_config(decoder_config(PRESETS["smoke"], vocabulary.size), seed=0)
    normed = model.TextToImage(lm, vocabulary, text_width=2, qk_norm=True).eval()
    block = model._Block(normed, [prompt_of(1.0)], None, 8, cached=False)
    codes = torch.full((1, 9), vocabulary.mask)
    with torch.no_grad():
        before = block.log_probabilities(codes, 0.0)
        normed.lm.model.layers[0].self_attn.q_proj[0].weight.mul_(7.0)
        assert torch.allclose(before, block.log_probabilities(codes, 0.0), atol=1e-4)
    model.save(normed, tmp_path / "m")
    again = model.load(tmp_path / "m")
    with torch.no_grad():
        other = model._Block(again, [prompt_of(1.0)], None, 8, cached=False).log_probabilities(codes, 0.0)
    assert torch.allclose(before, other, atol=1e-4)


def test_saved_models_draw_the_same(tiny_model: model.TextToImage, tmp_path: Path) -> None:
    model.save(tiny_model, tmp_path / "m")
    again = model.load(tmp_path / "m")
    prompts = [prompt_of(1.0, 2.0)]
    assert torch.equal(
        model.generate(tiny_model, prompts, EMPTY, **OPTIONS), model.generate(again, prompts, EMPTY, **OPTIONS)
    )
    with pytest.raises(UserError, match="holds no NeoBabel model"):
        model.load(tmp_path)


# --- merging ------------------------------------------------------------------------------------------------------


def test_merging_folders_and_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in (1, 2, 3):
        (tmp_path / f"step-{number}").mkdir()
        save_file({"w": torch.full((2,), float(number))}, tmp_path / f"step-{number}" / "model.safetensors")
    folders = [tmp_path / f"step-{number}" for number in (1, 2, 3)]
    merged = load_file(merging.merge(folders, tmp_path / "out", "wma") / "model.safetensors")
    assert merged["w"].tolist() == pytest.approx([(1 + 4 + 9) / 6] * 2)
    use.main(["merge", *map(str, folders), "--kind", "ema", "--out", str(tmp_path / "x")])
    assert "0.3690" in capsys.readouterr().out
    # 0.81, 0.9 and 1 of 2.71
    ema = (0.81 * 1 + 0.9 * 2 + 1 * 3) / 2.71
    assert load_file(tmp_path / "x" / "model.safetensors")["w"].tolist() == pytest.approx([ema] * 2)


# --- data ---------------------------------------------------------------------------------------------------------


def test_folders_of_shards_and_of_images(tmp_path: Path) -> None:
    from PIL import Image

    item = world.items("test")[0]
    codes = world.draw_item(item, np.random.default_rng(0))
    pixels = (((world.decode(codes[None])[0] + 1) * 127.5).numpy()).round().astype(np.uint8)
    (tmp_path / "images").mkdir()
    Image.fromarray(pixels).save(tmp_path / "images" / "one.png")
    (tmp_path / "captions.csv").write_text("image,en,fr\nimages/one.png,a circle,\n", encoding="utf-8")
    rows = data.read_folder(tmp_path, data.WorldTokenizer())
    assert rows[0]["codes"] == codes.tolist()
    assert rows[0]["captions"] == {"en": "a circle"}
    with pytest.raises(UserError, match="has no codes"):
        data.read_folder(tmp_path)
    shard = tmp_path / "shards"
    shard.mkdir()
    (shard / "a.jsonl").write_text('{"codes": [1, 2], "captions": {"en": "x"}}\n', encoding="utf-8")
    assert data.read_folder(shard)[0]["codes"] == [1, 2]
    (shard / "b.jsonl").write_text('{"codes": [1, 2], "captions": {}}\n', encoding="utf-8")
    with pytest.raises(UserError, match=r"b\.jsonl, line 1: there is no caption"):
        list(data.read_folder(shard))
    with pytest.raises(UserError, match="neither"):
        data.read_folder(tmp_path / "images")


def test_images_are_resized_on_the_short_side_and_cropped(tmp_path: Path) -> None:
    from PIL import Image

    wide = np.zeros((10, 30, 3), dtype=np.uint8)
    wide[:, 10:20] = 255
    Image.fromarray(wide).save(tmp_path / "wide.png")
    image = data.read_image(tmp_path / "wide.png", 10)
    assert image.shape == (10, 10, 3)
    assert float(image.min()) == 1.0, "the middle third"


def test_official_caption_files(tmp_path: Path) -> None:
    content = {
        "English": {"a.jpg": "a cat", "b.jpg": "a dog"},
        "Persian": {"a.jpg": "گربه"},
        "Mandarin": {"b.jpg": " "},
    }
    assert prepare.from_translations(content) == {"a.jpg": {"en": "a cat", "fa": "گربه"}, "b.jpg": {"en": "a dog"}}
    with pytest.raises(UserError, match="Klingon"):
        prepare.from_translations({"Klingon": {}})
    for wrong in ({"English": ["a cat"]}, {"English": {"a.jpg": None}}):
        with pytest.raises(UserError, match="no object of captions by image"):
            prepare.from_translations(wrong)  # type: ignore[arg-type]
    (tmp_path / "captions.csv").write_text('image,caption\nx.jpg,"one, two"\ny.jpg,\n', encoding="utf-8")
    assert prepare.images_of(tmp_path) == [{"image": "x.jpg", "captions": {"en": "one, two"}}]
    for name, lines in (("klingon", ["0: tench"]), ("english", ["tench: 0"])):
        with pytest.raises(UserError, match=f"imagenet_label_mapping_{name}: .* is not understood"):
            prepare.from_label_mappings({name: lines})
    labels = prepare.from_label_mappings({"english": ["0: tench", "1: goldfish"], "dutch": ["0: zeelt"]})
    assert labels == {0: {"en": "tench", "nl": "zeelt"}, 1: {"en": "goldfish"}}


def test_shards_of_codes_are_made_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from PIL import Image

    items = [item for item in world.items("test") if item.task == "colors"][:3]
    codes = torch.stack([world.draw_item(item, np.random.default_rng(i)) for i, item in enumerate(items)])
    pictures = ((world.decode(codes) + 1) * 127.5).round().byte().numpy()
    folders = {name: tmp_path / name for name in ("translated", "english", "classes")}
    for name, folder in folders.items():
        for number, picture in enumerate(pictures):
            path = folder / (str(number) if name == "classes" else "") / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(path)
    content = {
        "English": {f"{n}.png": f"a cat {n}" for n in range(3)},
        "Persian": {"1.png": "گربه"},
    }
    (folders["translated"] / "translations.json").write_text(json.dumps(content), encoding="utf-8")
    table = "image,caption\n0.png,a cat 0\n1.png,a cat 1\n2.png,a cat 2\n"
    (folders["english"] / "captions.csv").write_text(table, encoding="utf-8")
    for name, label in (("english", "cat"), ("dutch", "kat")):
        lines = "\n".join(f"{n}: {label} {n}" for n in range(3))
        (folders["classes"] / f"imagenet_label_mapping_{name}").write_text(lines, encoding="utf-8")
    expected = {
        "translated": [{"en": "a cat 0"}, {"en": "a cat 1", "fa": "گربه"}, {"en": "a cat 2"}],
        "english": [{"en": f"a cat {n}"} for n in range(3)],
        "classes": [{"en": f"cat {n}", "nl": f"kat {n}"} for n in range(3)],
    }
    for name, folder in folders.items():
        out = tmp_path / f"{name}_codes"
        use.main(["prepare", str(folder), "--image-tokenizer", "world", "--out", str(out), "--rows", "2"])
        assert "3 images" in capsys.readouterr().out
        assert [path.name for path in sorted(out.iterdir())] == ["000000.jsonl", "000001.jsonl"]
        rows = list(data.read_folder(out))
        assert [row["captions"] for row in rows] == expected[name]
        assert [row["codes"] for row in rows] == codes.tolist()
    before = (out / "000000.jsonl").stat().st_mtime_ns
    assert prepare.write_shards(folders["classes"], data.WorldTokenizer(), out, rows=2) == 3
    assert (out / "000000.jsonl").stat().st_mtime_ns == before, "what is done is not done again"
    (folders["classes"] / "9").mkdir()
    Image.fromarray(pictures[0]).save(folders["classes"] / "9" / "x.png")
    with pytest.raises(UserError, match="9 is no class"):
        prepare.images_of(folders["classes"])
    with pytest.raises(SystemExit) as stop:
        use.main(["prepare", str(tmp_path), "--image-tokenizer", "world", "--out", str(tmp_path / "x")])
    assert stop.value.code == 2
    use.main(["prepare", "nowhere", "--image-tokenizer", "world", "--out", str(tmp_path / "x"), "--dry-run"])
    assert not (tmp_path / "x").exists()


def test_shards_are_read_from_disk_in_any_order(tmp_path: Path) -> None:
    lines = [{"codes": [n], "captions": {"en": "心" * n}} for n in range(1, 6)]
    for name, part in (("a", lines[:2]), ("b", lines[2:])):
        text = "\n\n".join(json.dumps(row, ensure_ascii=False) for row in part) + "\n"
        (tmp_path / f"{name}.jsonl").write_text(text, encoding="utf-8")
    shards = data.read_folder(tmp_path)
    assert len(shards) == 5
    assert [shards[index] for index in (4, 0, 2)] == [lines[4], lines[0], lines[2]]
    mixture = data.mixed([shards, [{"id": "x"}]], (1.0, 1.0))
    assert len(mixture) == 6
    assert sum(row.get("id") == "x" for row in mixture) == 3
    (tmp_path / "c.jsonl").write_text("no json\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"c\.jsonl, line 1: not JSON"):
        data.read_folder(tmp_path)[5]


def test_sources_are_mixed_in_their_ratios() -> None:
    sources = [[{"id": "a"}] * 10, [{"id": "b"}] * 90]
    rows = data.mixed(sources, (3.0, 1.0))
    assert len(rows) == 100
    assert sum(row["id"] == "a" for row in rows) == 75
    assert len(data.mixed(sources)) == 100
    assert sum(row["id"] == "a" for row in data.mixed(sources)) == 10


def test_sources_of_the_miniature() -> None:
    rows = data.world_rows("labels", n=200)
    assert {row["id"].split("/")[0] for row in rows} == {"single_object", "colors"}
    assert set(data.world_rows("english", n=5)[0]["captions"]) == {"en"}
    everything = data.world_rows(n=4000)
    shares = np.mean([row["id"].startswith("color_attr") for row in everything])
    assert shares == pytest.approx(data.SHARES["color_attr"], abs=0.03)
    trained = {frozenset(item.things) for item in world.items("train")}
    pairs = {item.key: frozenset(item.things) for item in world.items("train")}
    assert all(pairs[row["id"]] in trained for row in everything)
    with pytest.raises(UserError, match="no source"):
        data.world_rows("dutch")


def test_whitening_has_unit_covariance() -> None:
    states = torch.randn(500, 6, generator=torch.Generator().manual_seed(0)) @ torch.randn(6, 6) + 3
    mean, matrix = data.whitening(states, 4)
    white = (states - mean) @ matrix
    assert torch.allclose(torch.cov(white.T), torch.eye(4), atol=1e-3)


def test_bad_sources_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"codes": [1, 2], "captions": {"en": "x"}}\n', encoding="utf-8")
    stage = Stage(sources=(str(tmp_path),), image_tokens=2)
    assert len(data.stage_rows(stage, PRESETS["tiny"])) == 1
    with pytest.raises(UserError, match="image_tokens"):
        data.stage_rows(replace(stage, image_tokens=3), PRESETS["tiny"])
    with pytest.raises(UserError, match="no caption in sw"):
        data.stage_rows(stage, override(PRESETS["tiny"], {"train.languages": ("sw",)}))
    with pytest.raises(UserError, match="a module is not imported by its name"):
        data.image_tokenizer("nowhere")


# --- settings -----------------------------------------------------------------------------------------------------


def test_impossible_settings_are_refused() -> None:
    for changes, match in (
        ({"stages": ("p3", "p1")}, "order"),
        ({"p3.ratios": (1.0, 2.0)}, "ratios"),
        ({"merge.kind": "sma", "merge.n": 50}, "do not fit"),
        ({"p3.training": TrainingConfig(steps=0)}, "for ever"),
        ({"model.heads": 5}, "multiple"),
        ({"train.languages": ()}, "at least one"),
    ):
        with pytest.raises(UserError, match=match):
            override(PRESETS["tiny"], changes)


def test_paper_scale_counts_gemma() -> None:
    from core.cost.plan import plan

    loads = workload(PRESETS["paper"])
    assert [load.name for load in loads] == ["P1", "P2", "P3", "I1", "I2"]
    assert loads[0].sequence_length == 128 + 1 + 256 + 2
    assert loads[4].sequence_length == 512 + 1 + 1024 + 2
    assert loads[4].tokens == 200_000 * 6912 * 1539
    cost = plan(loads[0], gpus=48)
    # Gemma 2 2B as published, and 8,203 rows for markers, codes and the mask.
    assert cost.costs[0].parameters.total == 2_614_341_888 + 8_203 * 2_304


def test_a_folder_of_codes_has_one_resolution() -> None:
    sizes: dict[str, int] = {}
    for name in ORDER:
        stage: Stage = getattr(PRESETS["paper"], name)
        for source in stage.sources:
            assert sizes.setdefault(source, stage.image_tokens) == stage.image_tokens, source


def test_paper_scale_model_on_a_small_gemma(tmp_path: Path) -> None:
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
    stages = {
        f"{name}": Stage((str(tmp_path / "images"),), (), 4, 12, getattr(PRESETS["paper"], name).min_masking_rate, few)
        for name in ORDER
    }
    changes = {"backbone.model": str(tmp_path / "gemma"), "codes": 7, "merge.n": 2, "merge.every": 1, **stages}
    config = override(PRESETS["paper"], changes)
    text = data.TokenText(tokenizer)
    built = training.build_model(config, text)
    assert torch.equal(built.lm.get_input_embeddings().weight[: len(tokenizer)], base.get_input_embeddings().weight)
    assert built.lm.get_output_embeddings().weight is built.lm.get_input_embeddings().weight
    scratch = training.build_model(override(config, {"backbone.init": "random"}), text)
    assert not torch.equal(
        scratch.lm.get_input_embeddings().weight[: len(tokenizer)], base.get_input_embeddings().weight
    )
    with temporary("neobabel", config) as run:
        training.train(config, run)
        report = read_json(run.artifact / "training.json")
        assert list(report["stages"]) == list(ORDER)
        drawing = painter.load_painter(run.path, replace(config, timesteps=2))
        codes = drawing.codes(["a red circle", "un cercle rouge"])
    assert codes.shape == (2, 4)
    assert int(codes.max()) < 7


# --- whole runs ---------------------------------------------------------------------------------------------------


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prompts as random states, so that no weights are read."""

    def text_of(config: Config, run: Any) -> Any:
        if not config.backbone.frozen_encoder:
            return data.TokenText(loading.load_tokenizer(config.backbone.model))
        return QuickText(config.backbone.whitened)

    monkeypatch.setattr(data, "text_of", text_of)


class QuickText(data.FrozenText):
    """Words as random vectors by hash."""

    def __init__(self, width: int) -> None:
        self.width, self.mean, self.matrix = width, torch.zeros(width), torch.eye(width)

    def __call__(self, text: str) -> model.Prompt:
        words = text.replace("的", " ").split()
        states = [torch.randn(self.width, generator=torch.Generator().manual_seed(sum(map(ord, w)))) for w in words]
        ends = torch.zeros(2, self.width)
        return model.Prompt([0] + [2] * len(words), torch.stack([ends[0], *states, ends[1]]))


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("variant", sorted(VARIANTS))
def test_every_variant_trains_and_is_measured(variant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    config = with_variant(PRESETS["smoke"], VARIANTS, variant)
    drawn = variant == next(iter(VARIANTS))
    if not drawn:  # the picture takes longer than the model and is made alike in all
        monkeypatch.setattr(sheet, "write", lambda *_: None)
    with temporary("neobabel", config) as run:
        training.train(config, run)
        measured = evaluation.evaluate(config, run)
        assert not drawn or (run.path / "samples.png").stat().st_size > 2000
        report = read_json(run.artifact / "training.json")
    assert list(report["stages"]) == list(config.stages)
    paper = find("neobabel")
    assert {claim.metric for claim in paper.claims if not claim.out_of_scale} <= set(measured.units)
    assert all(-1e-9 <= value <= 1 + 1e-9 for value in measured.metrics.values())
    assert set(measured.details["samples"]["codes"]) == set(config.languages)


@pytest.mark.usefixtures("quick")
def test_averages_share_the_training_of_the_model() -> None:
    base = PRESETS["smoke"]
    weights = {}
    with temporary("neobabel", base) as run:
        for kind in ("none", "sma", "wma", "ema"):
            config = override(base, {"merge.kind": kind})
            training.train(config, run)
            weights[kind] = load_file(run.artifact / "model.safetensors")["model.norm.weight"]
        stages = list(run.stages.glob("model-*"))
        assert len(stages) == 1
        files = sorted((stages[0] / "checkpoints").glob("*.safetensors"))
        assert [path.stem for path in files] == ["step-000002", "step-000004"]
        by_step = [load_file(path)["lm.model.norm.weight"] for path in files]
    assert torch.allclose(weights["none"], by_step[1])
    assert torch.allclose(weights["sma"], (by_step[0] + by_step[1]) / 2)
    assert torch.allclose(weights["wma"], by_step[0] / 3 + 2 * by_step[1] / 3)
    assert torch.allclose(weights["ema"], (0.9 * by_step[0] + by_step[1]) / 1.9)


@pytest.mark.usefixtures("quick")
def test_an_interrupted_run_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    config = override(PRESETS["smoke"], {"stages": ("p1", "p2", "p3"), "merge.every": 1})
    with temporary("neobabel", config) as run:
        training.train(config, run)
        unbroken = load_file(run.artifact / "model.safetensors")
    calls = 0
    image_loss = model.image_loss

    def breaks(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 11:  # the third step of the third stage
            raise RuntimeError("power cut")
        return image_loss(*arguments)

    with temporary("neobabel", config) as run:
        monkeypatch.setattr(model, "image_loss", breaks)
        with pytest.raises(RuntimeError, match="power cut"):
            training.train(config, run)
        training.train(config, run)
        resumed = load_file(run.artifact / "model.safetensors")
    assert calls == 13, "two finished stages and two steps were not repeated"
    for name, tensor in unbroken.items():
        assert torch.equal(tensor, resumed[name]), name


@pytest.mark.usefixtures("quick")
def test_the_commands_on_own_data_and_prompts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    items = [item for item in world.items("test") if item.task == "colors"][:3]
    prompts = tmp_path / "prompts"
    prompts.mkdir()
    for code in ("en", "fr"):
        rows = [json.dumps({**item.metadata(), "prompt": item.prompt(code)}) for item in items]
        (prompts / f"evaluation_metadata_{code}.jsonl").write_text("\n".join(rows), encoding="utf-8")
    (tmp_path / "mine").mkdir()
    codes = world.draw_item(items[0], np.random.default_rng(0)).tolist()
    row = {"codes": codes, "captions": {"en": "a red circle", "fr": "un cercle rouge"}}
    (tmp_path / "mine" / "a.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    common = ["smoke", "--p3.sources", "mine", "--train.languages", "en", "fr", "--languages", "en", "fr"]
    for more, number in ((["--benchmark", "prompts"], 1), (["--draw", "un cercle rouge", "心形"], 2)):
        arguments = [*common, *more, "--out", f"run{number}", "--quiet"]
        entrypoint(training.train, arguments)
        entrypoint(evaluation.evaluate, arguments)
    printed = capsys.readouterr().out
    assert "CLC objects" in printed
    scores = (tmp_path / "run1" / "scores.tsv").read_text(encoding="utf-8").splitlines()
    assert [line.split("\t")[0] for line in scores[:4]] == ["language", "en", "fr", "mean"]
    assert read_json(tmp_path / "run2" / "measurement.json")["metrics"]["images"] == 2.0
    assert (tmp_path / "run2" / "samples.png").exists()


def test_the_contact_sheet_numbers_what_it_cannot_spell(tmp_path: Path) -> None:
    images = world.decode(torch.zeros(1, 9, dtype=torch.long))
    assert not sheet._drawable("心形")
    assert sheet._drawable("un cœur rouge")
    path = sheet.write(
        tmp_path / "s.png", {"en": images, "my-lect": images}, ["心形"], {"en": [True], "my-lect": [False]}
    )
    assert path.stat().st_size > 1000


def test_four_images_of_a_prompt_in_one_picture(tmp_path: Path) -> None:
    from PIL import Image

    images = torch.tensor([-1.0, 0.0, 0.5, 1.0])[:, None, None, None].expand(4, 2, 2, 3)
    with Image.open(sheet.write_2x2(tmp_path / "deep" / "0.png", images)) as file:
        picture = np.asarray(file)[..., 0]
    assert picture[::2, ::2].tolist() == [[0, 128], [191, 255]]
    assert picture.shape == (4, 4)


def test_a_sample_learns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred and fifty steps on two captions in two languages: each draws its own image, full of one object.

    (Eight seeds of eight learn this. An image with a single object is learned by half of them: eight empty cells of
    nine are the same whatever the caption says.)
    """
    monkeypatch.setattr(data, "text_of", lambda config, run: QuickText(8))
    monkeypatch.setattr(data, "FrozenText", QuickText)
    things = [world.Thing("circle", "red"), world.Thing("square", "blue")]
    rows = []
    for thing in things:
        item = world.Item("colors", (thing,))
        codes = [world.code(thing.shape, thing.colour)] * 9
        rows += [{"codes": codes, "captions": {code: item.prompt(code, 2) for code in ("en", "nl")}}] * 8
    config = override(
        PRESETS["smoke"],
        {
            "p3.training.steps": 150, "p3.training.batch_size": 16, "p3.training.learning_rate": 5e-3,
            "train.languages": ("en", "nl"), "timesteps": 4, "model.hidden": 32, "model.layers": 2, "merge.every": 30,
        },
    )  # fmt: skip
    monkeypatch.setattr(data, "stage_rows", lambda stage, config: rows)
    with temporary("neobabel", config) as run:
        training.train(config, run)
        trained = model.load(run.artifact)
    text = QuickText(8)
    for code in ("en", "nl"):
        prompts = [text(world.Item("colors", (thing,)).prompt(code, 2)) for thing in things]
        drawn = model.generate(trained, prompts, text(""), **{**OPTIONS, "max_text": 20})
        kinds = [set(codes) for codes in drawn.tolist()]
        assert kinds == [{world.code(thing.shape, thing.colour)} for thing in things], code


def test_micro_batches_train_the_same_model(tmp_path: Path) -> None:
    whole, parts = _train_here(str(tmp_path / "one")), _train_here(str(tmp_path / "two"), micro_batch_size=1)
    assert whole == pytest.approx(parts, rel=1e-4)


@pytest.mark.slow
@pytest.mark.distributed
def test_two_processes_train_the_same_model(tmp_path: Path) -> None:
    from core.distributed import launch_cpu

    single = _train_here(str(tmp_path / "one"))
    (double, other) = launch_cpu(_train_here, 2, str(tmp_path / "two"))
    assert double == other
    assert single == pytest.approx(double, rel=1e-4)


def _train_here(folder: str, micro_batch_size: int = 0) -> list[float]:
    """Two steps in which nothing is random but the order of the data, which all ranks share."""
    from core.experiment.run import Run
    from core.training.fit import fit

    vocabulary = Vocabulary(text=3, codes=32, bos=0, eos=1)
    lm = loading.from_config(decoder_config(PRESETS["smoke"], vocabulary.size), seed=0)
    net = model.TextToImage(lm, vocabulary, text_width=2)
    with torch.no_grad():
        for parameter in net.project.parameters():  # type: ignore[union-attr]
            parameter.fill_(0.1)

    def collate(rows: list[dict[str, Any]], rng: Any) -> dict[str, Any]:
        codes = torch.tensor([row["codes"] for row in rows])
        ids, labels = method.mask_image(codes, torch.full((len(rows),), 0.5), codes + 0.1, vocabulary)
        prompt, states = model.prefix([prompt_of(1.0)] * len(rows), vocabulary, 8)
        block = method.image_block(ids, vocabulary)
        return {"prompt": prompt, "block": block, "labels": method.block_labels(labels, vocabulary), "states": states}

    rows = [{"codes": np.random.default_rng(i).permutation(9).tolist()} for i in range(8)]
    settings = TrainingConfig(
        steps=2, batch_size=4, micro_batch_size=micro_batch_size, learning_rate=1e-2, precision="fp32", layout="padded"
    )
    config = PRESETS["smoke"]
    run = Run(Path(folder), "neobabel", config, Path(folder) / "stages", quiet=True)
    result = fit(net, rows, settings, run, loss_fn=model.image_loss, collate=collate, seed=0)
    return [*result.losses, float(net.lm.get_input_embeddings().weight.detach().abs().sum())]


# --- the real encoder ---------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.weights
def test_states_of_the_real_encoder() -> None:
    backbone = PRESETS["tiny"].backbone
    encoder = data.load_encoder(backbone)
    texts = ["a red circle", "un cercle rouge avec plus de mots", "", "a red circle"]
    states = list(data.encode(encoder, texts, batch_size=2))
    assert [len(s) for s in states] == [len(ids) for ids in encoder.tokenizer(texts)["input_ids"]]
    assert len(states[2]) == 2
    assert torch.allclose(states[0], states[3], atol=2e-2)


@pytest.mark.slow
@pytest.mark.weights
def test_the_worked_example_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (find("neobabel").folder / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    assert blocks
    monkeypatch.chdir(tmp_path)
    scope: dict[str, Any] = {}
    for block in blocks:
        exec(compile(block, "README.md", "exec"), scope)
