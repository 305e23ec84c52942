"""BiMediX2: layouts, splice and counts against LLaVA's, the judge's summary, metrics, the drawn world, own files."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from core.errors import UserError
from core.experiment.config import override
from core.experiment.paper import find
from core.experiment.results import Record
from core.experiment.run import Measurement, temporary
from core.models import loading
from core.models.tokenization import word_level
from core.tasks.samples import dialogue, is_in
from core.training.config import TrainingConfig
from core.worlds import medicine
from papers.bimedix2 import data, figure, method, miniature, pictures, relative_scores, use, verdict
from papers.bimedix2 import eval as scoring
from papers.bimedix2.config import PRESETS, Config, joined_shape, workload
from papers.bimedix2.eval import closed_accuracy, recall
from papers.bimedix2.model import Assistant
from papers.bimedix2.pictures import FINDINGS, MODALITIES, Finding

IGNORED = -100


@pytest.fixture(scope="module")
def folders(smoke: Callable[[str], Any]) -> dict[str, str]:
    """The smoke run's language model and image encoder."""
    (base,) = (path for path in smoke("bimedix2").stages.iterdir() if (path / "vision").is_dir())
    return {"language": str(base / "language"), "vision": str(base / "vision")}


@pytest.fixture
def assistant(folders: dict[str, str]) -> Assistant:
    return Assistant.of(**folders, image_token="<image>", dtype="float32", seed=0)


def picture(seed: int = 0) -> np.ndarray:
    return pictures.draw("mri", Finding("dark", "upper left"), np.random.default_rng(seed))


# --- layouts --------------------------------------------------------------------------------------------------------


def llama_like() -> Any:
    marks = ("<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<image>")
    words = (
        "user assistant system a b c d e f A chat between curious and an artificial intelligence assistant. The gives"
    )
    words += " helpful, detailed, polite answers to the user's questions."
    tokenizer = word_level(words.split(), special_tokens=marks, unknown=True)
    tokenizer.chat_template = method.LLAMA3
    return tokenizer


def test_only_answers_and_their_ends_have_labels() -> None:
    """The masking of LLaVA-pp's llama3 conversations, with one begin token."""
    tokenizer = llama_like()
    row = method.conversation_row(tokenizer, dialogue("<image>\na b", "c d", "e", "f"), "<image>", 3)
    image = tokenizer.convert_tokens_to_ids("<image>")
    assert row["input_ids"].count(image) == 3
    assert row["input_ids"][0] == tokenizer.convert_tokens_to_ids("<|begin_of_text|>")
    assert row["input_ids"].count(row["input_ids"][0]) == 1
    learnt = [token for token, label in zip(row["input_ids"], row["labels"], strict=True) if label != IGNORED]
    assert tokenizer.convert_ids_to_tokens(learnt) == ["c", "d", "<|eot_id|>", "f", "<|eot_id|>"]
    start = row["input_ids"].index(image)
    assert tokenizer.convert_ids_to_tokens(row["input_ids"][start - 3 : start]) == [
        "<|start_header_id|>",
        "user",
        "<|end_header_id|>",
    ]


def test_stage_1_learns_the_caption_and_a_line_break_behind_the_picture(assistant: Assistant) -> None:
    sample = {"messages": dialogue("<image>\nDescribe it.", "A brain MRI without a spot."), "image": picture()}
    batch = assistant.batch([sample], stage="align", max_length=64)
    ids, labels = batch["input_ids"][0].tolist(), batch["labels"][0].tolist()
    image = assistant.tokenizer.convert_tokens_to_ids("<image>")
    assert ids[:17] == [assistant.tokenizer.bos_token_id, *[image] * 16]
    assert labels[:17] == [IGNORED] * 17
    assert assistant.tokenizer.decode(labels[17:]) == "A brain MRI without a spot.\n"


def test_counts_of_the_paper() -> None:
    """Projector, tokens of a picture, adapters of rank 8 and of LLaVA-pp's rank 128; the parts on the meta device."""
    shape = joined_shape(PRESETS["paper"])
    shape.text_config.num_hidden_layers, layers = 1, shape.text_config.num_hidden_layers  # the others are the same
    shape.vision_config.num_hidden_layers = 2
    assert method.patches(shape.vision_config) == 576
    with torch.device("meta"):
        model = loading.from_config(shape, seed=0, task="image-text", dtype=torch.bfloat16)
        assert sum(p.numel() for p in model.model.multi_modal_projector.parameters()) == 20_979_712  # type: ignore[union-attr, operator]
        tuned = method.adapt(model, rank=8)
    found = {name: p.numel() for name, p in tuned.named_parameters() if p.requires_grad}
    low = sum(size for name, size in found.items() if "lora_" in name)
    assert low * layers == 20_971_520
    assert 16 * low * layers == 335_544_320
    assert sum(found.values()) == low + 20_979_712
    assert not [name for name in found if "lm_head" in name or "vision" in name]


# --- equations ------------------------------------------------------------------------------------------------------


def test_patches_take_the_placeholders_place(assistant: Assistant) -> None:
    """Equation 1 by hand: the last layer but one, without the class token, through the projector."""
    batch = assistant.batch(
        [{"messages": dialogue("<image>\nWhat?", "no"), "image": picture()}], stage="instruct", max_length=64
    )
    model, ids = assistant.model, batch["input_ids"]
    with torch.inference_mode():
        states = model.model.vision_tower(batch["pixel_values"], output_hidden_states=True).hidden_states[-2][:, 1:]
        projector = model.model.multi_modal_projector
        rows = projector.linear_2(nn.functional.gelu(projector.linear_1(states)))[0]
        vectors = model.get_input_embeddings()(ids)
        vectors[0, ids[0] == model.config.image_token_id] = rows
        expected = model.lm_head(model.model.language_model(inputs_embeds=vectors).last_hidden_state)
        found = model(input_ids=ids, pixel_values=batch["pixel_values"]).logits
        assert torch.allclose(found, expected, atol=1e-5)
        total = nn.functional.cross_entropy(expected[0, :-1], batch["labels"][0, 1:], reduction="sum")
        loss = method.multimodal_loss(model, batch)
    assert loss.total.item() == pytest.approx(total.item(), rel=1e-4)
    assert loss.items == (batch["labels"] != IGNORED).sum()


def test_a_batch_without_pictures_gives_the_projector_a_gradient_of_nothing(assistant: Assistant) -> None:
    tuned = method.adapt(assistant.model, 2)
    rows = [{"messages": dialogue("Which organ?", "the lungs"), "image": None}]
    batch = assistant.batch(rows, stage="instruct", max_length=64)
    assert "pixel_values" not in batch
    method.multimodal_loss(tuned, batch).total.backward()
    found = [p.grad for name, p in tuned.named_parameters() if method.PROJECTOR in name and p.requires_grad]
    assert len(found) == 4
    assert all(gradient is not None and not gradient.any() for gradient in found)


def test_what_each_stage_trains(assistant: Assistant) -> None:
    rows = [{"messages": dialogue("<image>\nWhat?", "no"), "image": picture(seed)} for seed in range(4)]
    settings = TrainingConfig(
        steps=1, batch_size=4, learning_rate=0.1, precision="fp32", layout="padded", max_grad_norm=0
    )

    def changed(model: Any, step: Callable[..., Any], stage: str) -> dict[str, float]:
        before = {name: p.detach().clone() for name, p in model.named_parameters()}
        with temporary("bimedix2", PRESETS["smoke"]) as run:
            step(model, rows, lambda some, rng: assistant.batch(some, stage=stage, max_length=64), settings, run, 0)
        moved = {name: float((p.detach() - before[name]).abs().max()) for name, p in model.named_parameters()}
        return {name: size for name, size in moved.items() if size}

    first = changed(assistant.model, method.align, "align")
    assert {name.rpartition(".")[0] for name in first} == {f"model.{method.PROJECTOR}.linear_{n}" for n in (1, 2)}
    tuned = method.adapt(assistant.model, 2, 0.0)
    second = changed(tuned, method.instruct, "instruct")
    assert all("lora_B" in name or method.PROJECTOR in name for name in second), "A follows when B is no longer 0"
    # AdamW's first step is as long as its rate.
    assert max(size for name, size in second.items() if "lora_B" in name) == pytest.approx(0.1, rel=1e-3)
    assert max(size for name, size in second.items() if method.PROJECTOR in name) == pytest.approx(0.01, rel=1e-3)


# --- pictures and batches -------------------------------------------------------------------------------------------


def test_pictures_are_padded_with_the_mean_or_cut(assistant: Assistant) -> None:
    wide = np.zeros((20, 60, 3), np.uint8)
    wide[:, :20] = 255
    padded, cut = assistant.pixels(wide), assistant.pixels(wide, pad=False)
    assert padded.shape == cut.shape == (3, 48, 48)
    assert padded[:, :12].abs().max() < 0.02, "the mean colour is 0"
    expected = assistant.processor(images=Image.fromarray(wide), return_tensors="pt")["pixel_values"][0]
    assert torch.equal(cut, expected)
    assert torch.equal(assistant.pixels(picture()), assistant.pixels(Image.fromarray(picture())))


def test_batches_do_not_change_what_is_said(assistant: Assistant, folders: dict[str, str]) -> None:
    asked = [dialogue("<image>\nWhat kind of image is this?"), dialogue("Which organ does asthma affect?")]
    asked += [dialogue("<image>\nWhat?", "no", "And where is it?")]
    shown = [picture(0), None, picture(1)]
    together = assistant.reply(asked, shown, max_new_tokens=6)
    alone = [assistant.reply([turns], [image], max_new_tokens=6)[0] for turns, image in zip(asked, shown, strict=True)]
    assert together == alone
    with pytest.raises(UserError, match="needs one <image>"):
        assistant.batch([{"messages": dialogue("What?", "no"), "image": picture()}], stage="instruct", max_length=64)
    with pytest.raises(UserError, match="no token '<nothing>'"):
        Assistant.of(**folders, image_token="<nothing>", dtype="float32", seed=0)


# --- judge and metrics ----------------------------------------------------------------------------------------------


def test_the_summary_of_the_official_code() -> None:
    found = relative_scores(["9 7\nBecause.", "10 5", "8 10\n…"])
    assert found.reference == 9.0
    assert found.assistant == pytest.approx(7.3333, abs=1e-4)
    assert found.relative == pytest.approx(84.2593, abs=1e-4), "not 81.48, the ratio of the means"
    assert (found.judged, found.failed) == (3, 0)
    assert relative_scores(["9 7", "I cannot.", "0 5"]).failed == 2
    with pytest.raises(ValueError, match="no reply"):
        relative_scores(["none"])


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("9 7", (9, 7)),
        ("9  7.5\nx", (9, 7.5)),
        (" 9,7", (9, 7)),
        ("Assistant 1: 9", None),
        ("9", None),
        ("0 7", None),
        ("", None),
    ],
)
def test_verdicts(reply: str, expected: tuple[float, float] | None) -> None:
    assert verdict(reply) == expected


def test_the_published_table_is_an_average_over_193_questions() -> None:
    assert pytest.approx(62.2, abs=0.05) == (143 * 64.9 + 50 * 54.5) / 193


def test_closed_and_open_answers() -> None:
    assert closed_accuracy("Yes, there is.", "yes") == 1
    assert closed_accuracy("yesterday", "yes") == 0
    assert closed_accuracy("نعم", "نعم", "ar") == closed_accuracy("البقعة داكنة", "داكنة", "ar") == 1
    assert closed_accuracy("", "no") == 0
    assert recall("in the upper left corner", "upper left") == 1
    assert recall("left", "upper left") == 0.5
    assert recall("اليسار", "أعلى اليسار", "ar") == 0.5
    asked = [
        data.Question("a", None, "?", "upper left", "en", closed=False),
        data.Question("a", None, "؟", "نعم", "ar", closed=True),
    ]
    units = scoring.score(asked, ["upper left", "yes"])
    assert units["open_en"] == units["relative_en"] == units["language_en"] == {"a": 1.0}
    assert (units["closed_ar"], units["language_ar"]) == ({"a": 0.0}, {"a": 0.0})
    assert units["relative"] == {"a/ar": 0.1, "a/en": 1.0}
    assert scoring.corpus_scores(asked, ["upper left", "yes"]) == {"bleu1_ar": 0.0, "bleu1_en": pytest.approx(1.0)}


def test_the_stand_in_judge_deducts_for_the_wrong_language() -> None:
    assert scoring.stand_in("upper left", "upper left", "en") == 10
    assert scoring.stand_in("MRI دماغ", "MRI دماغ", "en") == 7
    assert scoring.stand_in("yes", "نعم", "ar") == 1


# --- the miniature --------------------------------------------------------------------------------------------------


def test_findings_that_are_tested_were_never_trained() -> None:
    tested: dict[str, list[Finding]] = {modality: [] for modality in MODALITIES}
    for seed in find("bimedix2").seeds:
        for modality, parts in miniature.findings(seed, "test").items():
            assert {*parts["asked"], *parts["train"]} == {*FINDINGS}
            assert len(parts["train"]) == 11
            tested[modality] += parts["asked"]
    assert all(len(set(found)) == 6 for found in tested.values())
    dev = {modality: parts["asked"] for modality, parts in miniature.findings(0, "dev").items()}
    assert not [modality for modality, held in dev.items() if held[0] in tested[modality]]
    config = override(PRESETS["tiny"], {"seed": 49})
    shown = {(p.modality, p.finding) for p in miniature.drawn(config, "asked", 60, "x")}
    trained = {(p.modality, p.finding) for p in miniature.drawn(config, "train", 900, "x")}
    assert {pair for pair in trained & shown if pair[1]} == set()
    assert len(trained) == 5 * 12
    names = {one.name["en"] for one in medicine.conditions() if one.id in medicine.parts(49)["test"]}
    said = json.dumps([s["messages"] for s in miniature.conversations(override(config, {"limit": 9}))])
    assert not [name for name in names if re.search(rf"\b{re.escape(name)}\b", said)]


def test_questions_are_paired_over_languages_and_answers_in_their_script() -> None:
    asked = miniature.questions(override(PRESETS["tiny"], {"seed": 1}))
    sides = {code: {q.id: q for q in asked if q.language == code} for code in miniature.LANGUAGES}
    assert list(sides["en"]) == list(sides["ar"])
    kinds = [key.split("/")[1] for key in sides["en"]]
    assert kinds.count("place") * 2 == kinds.count("spot") == 60, "half of the pictures show a spot"
    for code, side in sides.items():
        assert all(scoring.in_language(q.text + q.answer, code) for q in side.values())
    assert {key: q.closed for key, q in sides["en"].items()} == {key: q.closed for key, q in sides["ar"].items()}
    assert all(len(q["en"]) == len(q["ar"]) for q in pictures.QUESTIONS.values())
    assert pictures.WORDS["en"].keys() == pictures.WORDS["ar"].keys()


def test_a_spot_lies_where_it_is_said_to() -> None:
    for modality in MODALITIES:
        for finding in FINDINGS:
            without, found = (pictures.draw(modality, f, np.random.default_rng(5)) for f in (None, finding))
            changed = np.abs(found.astype(int) - without.astype(int)).sum(2)
            quarters = [changed[r : r + 24, c : c + 24].sum() for r in (0, 24) for c in (0, 24)]
            assert pictures.PLACES[int(np.argmax(quarters))] == finding.place


def test_arms_differ_in_what_they_are_tuned_on() -> None:
    config = override(PRESETS["tiny"], {"limit": 3})
    everything = miniature.conversations(config)

    def arm(**changes: Any) -> list[Any]:
        return data.chosen(everything, replace(config, **changes))

    assert len(arm()) == len(everything)
    english = arm(image_languages=("en",))
    assert {(s["image"] is not None, s["lang"]) for s in english} == {(True, "en"), (False, "en"), (False, "ar")}
    assert all(sample["image"] is not None for sample in arm(text=False))
    wrong = arm(shuffled=True)
    pairs = [(a, b) for a, b in zip([s for s in everything if s["image"] is not None], wrong, strict=False)]
    assert sum(a["image"] is b["image"] for a, b in pairs) < 0.1 * len(pairs)
    assert all(a["messages"] == b["messages"] for a, b in pairs)
    texts = [[s for s in side if s["image"] is None] for side in (everything, wrong)]
    answers = [[s["messages"][-1]["content"] for s in side] for side in texts]
    assert sorted(answers[0]) == sorted(answers[1])
    assert answers[0] != answers[1]


# --- own files and the paper's --------------------------------------------------------------------------------------


def write(path: Path, rows: list[Any]) -> str:
    path.write_text(json.dumps(rows) if path.suffix == ".json" else "\n".join(map(json.dumps, rows)), encoding="utf-8")
    return str(path)


def own_files(folder: Path) -> dict[str, Any]:
    """Local copies with the columns of BiMed-V, VQA-RAD, SLAKE and MedQA."""
    Image.fromarray(picture()).save(folder / "1.png")
    turn = lambda who, text: {"from": who, "value": text}  # noqa: E731
    rows = [
        {
            "id": "1",
            "image": "1.png",
            "conversations": [turn("human", "<image>\nWhat is it?"), turn("gpt", "A brain MRI.")],
        },
        {"id": "2", "image": "1.png", "conversations": [turn("human", "<image>\nما هذا؟"), turn("gpt", "رنين")]},
        {"id": "3", "conversations": [turn("human", "What is asthma?"), turn("gpt", "A disease.")]},
    ]
    vqa = [{"image": "1.png", "question": "Is there a spot?", "answer": "Yes", "answer_type": "CLOSED"}]
    slake = [
        {"img_name": "1.png", "question": "أين هي؟", "answer": "أعلى", "q_lang": "ar", "answer_type": "OPEN", "qid": 1}
    ]
    medqa = {"question": "Which?", "options": {"A": "one", "B": "two", "C": "three", "D": "four"}, "answer_idx": "B"}
    return {
        "captions": (write(folder / "stage1.json", rows[:1]),), "conversations": (write(folder / "stage2.json", rows),),
        "images": str(folder), "mcqa": (write(folder / "medqa.jsonl", [medqa]),),
        "vqa": (write(folder / "vqa.jsonl", vqa), write(folder / "slake.json", slake)),
    }  # fmt: skip


def test_the_paper_preset_on_local_files(folders: dict[str, str], tmp_path: Path) -> None:
    from papers.bimedix2 import train

    small = {"steps": 1, "batch_size": 2, "micro_batch_size": 0, "precision": "fp32", "save_every": 0}
    changes = {f"{stage}.{name}": value for stage in ("align", "instruct") for name, value in small.items()}
    changes |= {"language_model": folders["language"], "vision": folders["vision"], "image_token": "<image>"}
    changes |= {"dtype": "float32", "max_new_tokens": 3}
    config = override(PRESETS["paper"], changes | own_files(tmp_path))
    with temporary("bimedix2", config) as run:
        train.train(config, run)
        metrics = scoring.evaluate(config, run).metrics
    assert {"closed_en", "open_ar", "relative", "text", "bleu1_ar"} <= set(metrics)
    kept = data.chosen(data.read_samples(config.conversations, str(tmp_path)), replace(config, image_languages=("en",)))
    assert [sample["id"] for sample in kept] == ["1", "3"]


def test_rows_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    turns = [{"from": "human", "value": "What?"}, {"from": "gpt", "value": "no"}]
    for row in (
        {"image": "1.png", "conversations": turns},
        {"conversations": [{"from": "human", "value": "<image> What?"}, turns[1]]},
    ):
        with pytest.raises(UserError, match="row 1: A row with `image` has one <image>"):
            data.read_samples([write(tmp_path / "rows.jsonl", [row])], "")
    for row, message in (({"prediction": None}, "row 1: A row needs `prediction`"), ({}, "row 1")):
        rows = write(tmp_path / "said.jsonl", [{"question": "?", "answer": "x", **row}])
        with pytest.raises(UserError, match=message):
            use.score(use.Score(Path(rows)))
    assert data.question_of({"image": "", "question": "هل؟", "answer": "نعم", "lang": "ar-EG"}, 0).closed
    with pytest.raises(UserError, match="row 1"):
        data.read_questions(write(tmp_path / "rows.jsonl", [{"question": "?", "answer": "x"}]), "")
    for bad in ({"vision": "x"}, {"stages": ("align",)}, {"vqa": ("x",)}, {"language_model": "x", "vision": "y"}):
        with pytest.raises(UserError):
            override(PRESETS["tiny"], bad)
    with pytest.raises(UserError, match="No conversation is left"):
        data.chosen([{"messages": dialogue("a", "b"), "image": None}], Config(text=False))


def test_verbs(
    smoke: Callable[[str], Any], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run = str(smoke("bimedix2").path)
    Image.fromarray(picture()).save("1.png")
    use.main(["ask", run, "What is this?", "أين؟", "--image", "1.png", "--max-new-tokens", "3"])
    assert len(capsys.readouterr().out.splitlines()) >= 2
    row = {
        "question_id": 0, "image": "1.png", "text": "What organ?\n<image>", "gpt4_answer": "The brain.",
        "fig_caption": "MRI.",
        "in_text_mention": [{"tokens": "As seen .", "entities": []}], "fig_label": "Fig. 3", "type": "conversation",
        "domain": {"chest_xray": False, "mri": True, "ct_scan": False, "histology": False, "gross": False},
    }  # fmt: skip
    write(Path("questions.jsonl"), [row, {**row, "question_id": 1}])
    write(Path("replies.jsonl"), [{"id": "0", "judgement": "10 5"}, {"id": "1", "judgement": "8 10\n"}])
    use.main(
        [
            "bench",
            "questions.jsonl",
            "--model",
            run,
            "--language",
            "ar",
            "--replies",
            "replies.jsonl",
            "--max-new-tokens",
            "3",
        ]
    )
    printed = capsys.readouterr().out
    assert re.search(r"mri +87\.5", printed)
    request = Path("bench/judge_requests.jsonl").read_text(encoding="utf-8").splitlines()[0]
    assert "Modern Standard Arabic" in request
    assert "As seen ." in request
    write(Path("said.jsonl"), [{"question": "Is it?", "answer": "yes", "prediction": "Yes."}])
    use.main(["score", "said.jsonl"])
    assert re.search(r"closed_en +1\.0000", capsys.readouterr().out)


def test_the_python_of_the_page(smoke: Callable[[str], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("runs").mkdir()
    Path("runs/mine").symlink_to(smoke("bimedix2").path)
    Image.fromarray(picture()).save("scan.png")
    page = (find("bimedix2").folder / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    assert blocks
    for block in blocks:
        exec(compile(block.replace("max_new_tokens=256", "max_new_tokens=3"), "README.md", "exec"), {})
    merged: Any = loading.load_model("merged", task="image-text", dtype="float32")
    assistant = Assistant.load("runs/mine/artifact")
    rows = [{"messages": dialogue("<image>\nWhat?", "no"), "image": picture()}]
    batch = assistant.batch(rows, stage="instruct", max_length=64)
    inputs = {name: batch[name] for name in ("input_ids", "pixel_values")}
    with torch.inference_mode():
        assert torch.allclose(merged(**inputs).logits, assistant.model(**inputs).logits, atol=1e-5)


def test_the_figure_is_drawn_from_a_record(smoke: Callable[[str], Any], tmp_path: Path) -> None:
    cell = Measurement.from_json(smoke("bimedix2").measurement)
    arms = ("base", *(arm for arm, _ in figure.ARMS))
    record = Record("bimedix2", "tiny", (0, 1), {arm: {0: cell, 1: cell} for arm in arms})
    figure.draw(record).savefig(tmp_path / "figure.svg")
    assert (tmp_path / "figure.svg").stat().st_size > 10_000


def test_the_plan() -> None:
    align, instruct = workload(PRESETS["paper"])
    assert instruct.tokens > align.tokens > 3e8
    assert [part.name for part in workload(PRESETS["tiny"])] == ["align", "instruct"]
    assert is_in({"lang": "", "messages": dialogue("ما هذا؟", "رنين")}, "ar")
