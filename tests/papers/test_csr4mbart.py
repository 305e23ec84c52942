"""Code-switching restore: numbers of the official noise, batches, the lexicon, the tiny world, the verbs."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import MBartConfig, MBartForConditionalGeneration, MBartTokenizer

from core.errors import UserError
from core.experiment.config import override, with_variant
from core.experiment.entrypoint import execute
from core.experiment.run import Run
from core.inference.seq2seq import language_tag
from core.models.architectures import architecture
from core.models.loading import from_config, load
from core.tasks.lexicon import Space
from core.tasks.vecmap import WordVectors, normalize, procrustes
from core.training import seq2seq
from papers.csr4mbart import PAPER, data, lexicon, method, miniature, use
from papers.csr4mbart.config import PRESETS, VARIANTS, Config, workload
from papers.csr4mbart.eval import evaluate
from papers.csr4mbart.train import train

MASK = 999
ENGLISH = ["the red house", "a house is red", "the old tree", "a tree"]
VIETNAMESE = ["ngôi nhà đỏ", "nhà đỏ", "cây già", "cây"]


# --- noise ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "pieces", "coverage", "share", "spread", "inserted", "none", "length"),
    [
        (20, 1, 1.0, 0.308, 0.057, 0.077, 0.927, 21.08),
        (20, 2, 1.0, 0.306, 0.060, 0.076, 0.929, 41.08),
        (40, 1, 1.0, 0.304, 0.043, 0.139, 0.872, 41.14),
        (8, 1, 1.0, 0.335, 0.078, 0.036, 0.966, 9.04),
        (20, 1, 0.5, 0.151, 0.042, 0.077, 0.927, 21.08),
    ],
)
def test_the_noise_has_the_official_numbers(
    words: int, pieces: int, coverage: float, share: float, spread: float, inserted: float, none: float, length: float
) -> None:
    """Of the official function alone, over 4,000 draws."""
    rng = np.random.default_rng(0)
    starts = np.arange(1000) % pieces == 0
    table = np.arange(1000)[:, None] + np.array([[2000, 3000, 4000]])
    if coverage < 1:
        table[1::2] = lexicon.NONE
    noise = method.CodeSwitchNoiser(table, starts, MASK)
    shares, masks = [], []
    for _ in range(1500):
        ids = np.arange(words * pieces)
        noised = noise(ids.tolist(), rng)
        shares.append(sum(token >= 2000 for token in noised) / len(ids))
        masks.append(noised.count(MASK))
        assert [token % 1000 for token in noised if token != MASK] == ids.tolist()
    assert np.mean(shares) == pytest.approx(share, abs=0.01)
    assert np.std(shares) == pytest.approx(spread, abs=0.01)
    assert np.mean(masks) == pytest.approx(inserted, abs=0.035)
    assert np.mean([count == 0 for count in masks]) == pytest.approx(none, abs=0.03)
    assert words * pieces + 1 + np.mean(masks) == pytest.approx(length, abs=0.035)


@given(st.integers(1, 60), st.floats(0.3, 8), st.integers(0, 99))
def test_lengths_sum_to_the_budget(budget: int, lam: float, seed: int) -> None:
    lengths = method.span_lengths(budget, lam, np.random.default_rng(seed))
    assert sum(lengths) == budget
    assert lengths[-1] > 0


@given(st.lists(st.integers(0, 9), max_size=12), st.integers(0, 99), st.booleans())
def test_noise_is_drawn_from_the_entries_and_whole_words(ids: list[int], seed: int, masked: bool) -> None:
    table = np.array([[token + 10, token + 20, -1] if token % 2 else [-1, -1, -1] for token in range(10)])
    starts = np.arange(10) < 6
    noise = method.CodeSwitchNoiser(None if masked else table, starts, MASK, p=0.5, lam=1.0)
    noised = noise(ids, np.random.default_rng(seed))
    assert noised == noise(ids, np.random.default_rng(seed))
    kept = [token for token in noised if token != MASK]
    if masked:
        gone = Counter(ids) - Counter(kept)
        assert Counter(kept) <= Counter(ids)
        assert bool(gone) == bool(any(starts[ids])) if ids else not noised
    else:
        assert [token % 10 for token in kept] == ids
        assert all(token < 10 or token % 2 for token in kept)
        assert noised[:1] == [] or noised[0] != MASK


def test_spans_replace_every_subword_of_their_words() -> None:
    table = np.arange(10)[:, None] + 10
    starts = np.arange(10) % 2 == 0
    noise = method.CodeSwitchNoiser(table, starts, MASK, p=0.3, lam=2.0)
    for seed in range(20):
        found = [token >= 10 for token in noise(list(range(10)), np.random.default_rng(seed)) if token != MASK]
        assert found[::2] == found[1::2]


def test_without_a_mask_nothing_is_put_in() -> None:
    noise = method.CodeSwitchNoiser(np.arange(9)[:, None], np.ones(9, bool), None, lam=0.3)
    assert all(noise(list(range(9)), np.random.default_rng(seed)) == list(range(9)) for seed in range(20))


# --- batches and loss -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def mbart() -> tuple[Any, Any]:
    """mBART's classes with a vocabulary of a few words."""
    pieces = dict.fromkeys(f"▁{word}" for line in (*ENGLISH, *VIETNAMESE) for word in line.split())
    names = ["<s>", "<pad>", "</s>", "<unk>", *pieces, "▁1", "en_XX", "vi_VN", "<mask>"]
    tokenizer = MBartTokenizer(vocab=[(name, -1.0) for name in names])
    config = MBartConfig(
        vocab_size=len(tokenizer), d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=16, decoder_ffn_dim=16, max_position_embeddings=32,
    )  # fmt: skip
    return from_config(config, seed=0, task="seq2seq"), tokenizer


@pytest.fixture(scope="module")
def rows() -> list[dict[str, str]]:
    return [{"en": one, "vi": other} for one, other in zip(ENGLISH, VIETNAMESE, strict=True)]


def test_sides_are_restored_in_turn_with_the_tag_of_their_language(mbart: Any, rows: list[dict[str, str]]) -> None:
    _, tokenizer = mbart
    table = np.full((len(tokenizer), 1), tokenizer.mask_token_id)
    noisers = data.noisers(tokenizer, {("en", "vi"): lexicon.Lexicon(table, table)})
    pairs = data.pairs(tokenizer, rows, [("en", "vi")])
    batch = method.csr_batch(pairs, np.random.default_rng(0), noisers=noisers, pad=tokenizer.pad_token_id)
    labels = [[token for token in row if token >= 0] for row in batch["labels"].tolist()]
    assert [" ".join(tokenizer.convert_ids_to_tokens(ids)) for ids in labels] == [
        "▁the ▁red ▁house </s> en_XX", "▁nhà ▁đỏ </s> vi_VN", "▁the ▁old ▁tree </s> en_XX", "▁cây </s> vi_VN"
    ]  # fmt: skip
    read = [tokenizer.convert_ids_to_tokens(ids) for ids in batch["input_ids"].tolist()]
    assert "<mask>" in read[0]
    assert [[name for name in names if "_" in name] for names in read] == [["en_XX"], ["vi_VN"], ["en_XX"], ["vi_VN"]]
    assert batch["attention_mask"].sum(1).tolist() == [
        sum(token != tokenizer.pad_token_id for token in row) for row in batch["input_ids"].tolist()
    ]
    model, _ = mbart
    begun = model.prepare_decoder_input_ids_from_labels(labels=batch["labels"].masked_fill(batch["labels"] < 0, 1))
    assert tokenizer.convert_ids_to_tokens(begun[:, 0].tolist()) == ["en_XX", "vi_VN", "en_XX", "vi_VN"]


def test_an_odd_batch_begins_with_either_side(mbart: Any, rows: list[dict[str, str]]) -> None:
    """Alone in its batch, a pair would else have its first side restored for ever."""
    _, tokenizer = mbart
    (pair,) = data.pairs(tokenizer, rows[:1], [("en", "vi")])
    noisers = data.noisers(tokenizer, {("en", "vi"): None})
    written: Counter[str] = Counter()
    for seed in range(40):
        batch = method.csr_batch([pair], np.random.default_rng(seed), noisers=noisers, pad=tokenizer.pad_token_id)
        written[tokenizer.convert_ids_to_tokens(int(batch["labels"][0, -1]))] += 1
    assert set(written) == {"en_XX", "vi_VN"}
    assert min(written.values()) >= 10


def test_without_spaces_every_subword_is_a_word(mbart: Any) -> None:
    _, tokenizer = mbart
    noisers = data.noisers(tokenizer, {("en", "zh"): None})
    assert noisers["zh", "en"].starts.all()
    assert (noisers["en", "zh"].starts == data.word_starts(tokenizer)).all()
    assert not noisers["en", "zh"].starts.all()


def test_distances_are_those_of_translations_and_the_spread_that_of_sentences() -> None:
    x = torch.tensor([[0.0, 0.0], [4.0, 0.0], [0.0, 3.0]])  # 4, 3 and 5 apart: 4 in the mean
    assert method.distances(x, x + torch.tensor([0.0, 2.0])).tolist() == pytest.approx([2.0] * 3)
    assert method.spread(x, 2 * x) == pytest.approx(6.0)
    assert method.distances(x, x[[1, 2, 0]]).mean() == pytest.approx(method.spread(x, x))


# --- the lexicon ------------------------------------------------------------------------------------------------------


def test_procrustes_is_the_rotation() -> None:
    x, z = torch.eye(2), torch.tensor([[0.0, 1.0], [-1.0, 0.0]])
    assert torch.allclose(procrustes(x, z), z)


def test_the_most_similar_are_kept() -> None:
    """The official script returns [[1, 3, 4], [4, 0, 3]] for this matrix: the least similar."""
    similarity = torch.tensor([[0.9, 0.1, 0.5, 0.2, 0.3], [0.0, 0.8, 0.7, 0.6, -0.2]])
    assert Space(torch.eye(5)).nearest(similarity, 3).places.tolist() == [[0, 2, 4], [1, 2, 3]]


def test_a_rotated_space_is_found_from_a_few_numerals_and_both_tables_agree() -> None:
    generator = torch.Generator().manual_seed(0)
    x = normalize(torch.randn(40, 8, generator=generator).double())
    rotation, _ = torch.linalg.qr(torch.randn(8, 8, generator=generator).double())
    order = torch.randperm(40, generator=generator)
    order = torch.tensor([*range(9), *(place for place in order.tolist() if place >= 9)])  # numerals are the same ids
    source = WordVectors(list(range(40)), x)
    target = WordVectors([*range(9), *range(49, 80)], x[order] @ rotation)
    found = lexicon.induce(source, target, range(9), 100, k=2)
    for place in range(9, 40):
        there = target.ids[order.tolist().index(place)]
        assert found.forth[place][0] == there
        assert found.back[there][0] == place
    assert (found.forth[80:] == lexicon.NONE).all()
    assert (found.forth[:9] == lexicon.NONE).all()
    with pytest.raises(UserError, match="No numeral"):
        lexicon.induce(source, target, [99], 100)


def test_a_shuffled_lexicon_has_the_same_words_and_other_entries() -> None:
    made = data.from_entries(30, [(word, word + 15) for word in range(15)], 2)
    other = data.random_lexicon(made, 3)
    assert sorted(other.forth[:, 0]) == sorted(made.forth[:, 0])
    assert ((other.forth == lexicon.NONE) == (made.forth == lexicon.NONE)).all()
    assert data.precision(made, made) == 1.0
    assert data.precision(other, made) < 0.3


# --- the tiny world ---------------------------------------------------------------------------------------------------


def test_numbers_of_different_use_do_not_meet() -> None:
    parts = miniature.numbers(Config(seed=3))
    every = [value for part in parts.values() for value in part]
    assert len(every) == len(set(every))
    assert len(parts["tuning"]) >= PRESETS["tiny"].pairs
    assert set(range(100)) <= set(parts["text"])
    assert miniature.numbers(Config(seed=4))["test"] != parts["test"]
    digits = [miniature.digits(value) for value in (4321, 317, 20, 7000, 0)]
    assert digits == ["4000 300 20 1", "300 17", "20", "7000", "0"]


def test_seeds_of_a_draw_share_no_language() -> None:
    drawn = [code for seed in PAPER.seeds for code in miniature.languages(Config(seed=seed))]
    assert sorted(drawn) == sorted(miniature.POOL)
    with pytest.raises(UserError, match="tiny world has"):
        miniature.languages(Config(languages=("sw",)))


@pytest.mark.parametrize("changes", [{"pairs": 151}, {"items": 151}])
def test_more_sentences_than_are_held_out_are_refused(changes: dict[str, int], tmp_path: Path) -> None:
    config = override(PRESETS["tiny"], changes)
    with pytest.raises(UserError, match="150 numbers for each"):
        miniature.world(config, Run(tmp_path, "csr4mbart", config, tmp_path, quiet=True))


def test_every_arm_runs_and_differs_in_what_it_is_fed(smoke: Callable[[str], Any], tmp_path: Path) -> None:
    found: dict[str, Any] = {}
    for variant in ("plain", "random", "zero_shot"):
        config = with_variant(PRESETS["smoke"], VARIANTS, variant)
        config = config if variant == "zero_shot" else replace(config, languages=("vi",))
        run = Run(tmp_path / variant, "csr4mbart", config, smoke("csr4mbart").stages, quiet=True).open()
        execute(train, run, "train")
        found[variant] = execute(evaluate, run, "eval")
    asked = {variant: {unit.rpartition("/")[0] for unit in m.units["bleu"]} for variant, m in found.items()}
    assert asked["plain"] == asked["random"] == {"vi/en-vi", "vi/vi-en"}
    assert asked["zero_shot"] == {"tr-vi/tr-vi", "tr-vi/vi-tr"}
    whole = smoke("csr4mbart").measurement
    assert {check.metric for check in PAPER.judged} - {""} <= set(whole["metrics"])
    assert whole["metrics"]["lexicon_precision"] > 2 * found["random"].metrics["lexicon_precision"]
    assert {"rare", "given_lexicon"} <= set(whole["units"])
    assert whole["metrics"]["base_above_copy"] < 0  # the gate of a base that has learnt nothing is shut
    masked = with_variant(PRESETS["smoke"], VARIANTS, "mask")
    assert data.lexicon_of(masked, data.World("", (), [], [], {}, {}), None, "vi") is None


# --- files and the paper's scale --------------------------------------------------------------------------------------


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_lexicons_of_files(mbart: Any, tmp_path: Path) -> None:
    _, tokenizer = mbart
    file = write(tmp_path / "en-vi.tsv", "house\tnhà\r\nhouse\tcây\n\nred\tđỏ\nred house\tnhà\nunknown\tnhà\n")
    found = data.read_lexicon(tokenizer, file, 2)
    house, red, nhà, cây, đỏ = tokenizer.convert_tokens_to_ids(["▁house", "▁red", "▁nhà", "▁cây", "▁đỏ"])
    assert found.forth[house].tolist() == [nhà, cây]
    assert found.forth[red].tolist() == [đỏ, lexicon.NONE]
    assert found.back[nhà].tolist() == [house, lexicon.NONE]
    assert tokenizer.unk_token_id not in found.forth
    for text, message in (("house\n", "line 1"), ("a\tb\tmuch\n", "line 1"), ("red house\tnhà\n", "one subword")):
        with pytest.raises(UserError, match=message):
            data.read_lexicon(tokenizer, write(file, text), 2)


def test_the_paper_scale_runs_on_rows_of_its_form(mbart: Any, rows: Any, tmp_path: Path) -> None:
    """OPUS-100's rows, with mBART's own classes."""
    from core.files import write_rows

    model, tokenizer = mbart
    model.save_pretrained(tmp_path / "mbart")
    tokenizer.save_pretrained(tmp_path / "mbart")
    write_rows(
        tmp_path / "opus.jsonl",
        [{"translation": {**row, "en": f"{row['en']} 1", "vi": f"{row['vi']} 1"}} for row in rows],
    )
    names = {"model": tmp_path / "mbart", "data": tmp_path / "opus.jsonl", "test_data": tmp_path / "opus.jsonl"}
    stage: dict[str, Any] = {"steps": 1, "batch_size": 2, "micro_batch_size": 0, "precision": "fp32", "save_every": 0}
    quick = {f"{name}.{key}": value for name in ("restoring", "training") for key, value in stage.items()}
    quick |= {"min_count": 1, "beams": 2, "items": 3, "languages": ("vi",)}
    config = override(PRESETS["paper"], {name: str(value) for name, value in names.items()} | quick)
    run = Run(tmp_path / "run", "csr4mbart", config, tmp_path / "stages", quiet=True).open()
    execute(train, run, "train")
    measurement = execute(evaluate, run, "eval")
    assert measurement is not None
    assert set(measurement.units["bleu"]) == {f"vi/{pair}/{row}" for pair in ("en-vi", "vi-en") for row in (1, 2, 3)}
    tuned, again = load(run.artifact / "vi" / "en-vi", task="seq2seq")
    assert isinstance(tuned, MBartForConditionalGeneration)
    assert language_tag(again, "en") == "en_XX"
    write(tmp_path / "opus.jsonl", '{"translation": {"en": "x"}}\n')
    with pytest.raises(UserError, match="no text in 'vi'"):
        data.world(config, run)


def test_pairs_never_seen_are_measured_on_rows_of_both_languages(mbart: Any, tmp_path: Path) -> None:
    """Said before anything is trained: pairs with English alone, as OPUS-100 has them, do not have both."""
    from core.files import write_rows

    model, tokenizer = mbart
    model.save_pretrained(tmp_path / "mbart")
    tokenizer.save_pretrained(tmp_path / "mbart")
    row = {"en": "a red old tree 1", "vi": "cây già nhà đỏ 1", "ro": "cây nhà già tree 1"}
    for code in ("vi", "ro"):
        rows = [{"translation": {key: row[key] for key in ("en", code)}}] * 6
        write_rows(tmp_path / f"en-{code}.jsonl", rows)
    write_rows(tmp_path / "all.jsonl", [row] * 3)
    stage: dict[str, Any] = {"steps": 1, "batch_size": 2, "micro_batch_size": 0, "precision": "fp32", "save_every": 0}
    quick = {f"{name}.{key}": value for name in ("restoring", "training") for key, value in stage.items()}
    named = {"model": str(tmp_path / "mbart"), "data": str(tmp_path / "en-{target}.jsonl"), "min_count": 1, "beams": 1}
    given = {**quick, **named, "lexicon_width": 2, "items": 3}
    paper = with_variant(PRESETS["paper"], VARIANTS, "zero_shot")
    config = override(paper, {**given, "test_data": named["data"]})
    with pytest.raises(UserError, match=r"both 'vi' and 'ro'.*columns en, vi, ro"):
        execute(train, Run(tmp_path / "run", "csr4mbart", config, tmp_path / "stages", quiet=True).open(), "train")
    config = override(paper, {**given, "test_data": str(tmp_path / "all.jsonl")})
    run = Run(tmp_path / "run", "csr4mbart", config, tmp_path / "stages", quiet=True).open()
    execute(train, run, "train")
    measurement = execute(evaluate, run, "eval")
    assert measurement is not None
    assert {unit.rpartition("/")[0] for unit in measurement.units["bleu"]} == {"ro-vi/vi-ro", "ro-vi/ro-vi"}


def test_the_paper_preset_is_the_official_run() -> None:
    config = PRESETS["paper"]
    assert (config.restoring.steps, config.training.steps, config.training.learning_rate) == (5000, 30_000, 3e-5)
    assert (config.smoothing, config.dropout, config.attention_dropout) == (0.2, 0.3, 0.1)
    assert [part.name for part in workload(config)] == ["restore", "fine-tune"]
    assert architecture(config.model).d_model == 1024


@pytest.mark.parametrize(
    "changes",
    [
        {"equal_steps": True}, {"objective": "mask", "lexicon": "random"}, {"model": "x"}, {"languages": ("en",)},
        {"languages": ("vi", "vi")}, {"languages": ("vi",), "setting": "zero-shot"},
        {"model": "x", "data": "y", "test_data": "y", "languages": ("vi",), "split": "dev"},
    ],
)  # fmt: skip
def test_settings_that_mean_nothing_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(UserError):
        override(PRESETS["tiny"], changes)


# --- verbs ------------------------------------------------------------------------------------------------------------


def test_lexicon_tune_and_distance(mbart: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, tokenizer = mbart
    folder = str(tmp_path / "mbart")
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    texts = [
        write(tmp_path / f"{code}.txt", "\n".join(f"1 {line}" for line in lines * 5))
        for code, lines in (("en", ENGLISH), ("vi", VIETNAMESE))
    ]
    gold = write(tmp_path / "gold.tsv", "tree\tcây\n")
    made = f"lexicon {texts[0]} {texts[1]} --model {folder} --width 4 --gold {gold} --out {tmp_path / 'lex'}".split()
    use.main(made)
    assert "have its word among theirs" in capsys.readouterr().out
    assert re.search(r"^▁tree\t▁\S+$", (tmp_path / "lex" / "forth.tsv").read_text(), re.MULTILINE)
    pairs = write(
        tmp_path / "pairs.tsv", "en\tvi\n" + "".join(f"{a}\t{b}\n" for a, b in zip(ENGLISH, VIETNAMESE, strict=True))
    )
    named = f"{pairs} --source en --target vi".split()
    steps = ["--restore-steps", "1", "--steps", "2", "--batch-size", "2"]
    table, out = tmp_path / "lex", tmp_path / "out"
    both, one = data.read_lexicon(tokenizer, table), data.read_lexicon(tokenizer, table / "forth.tsv")
    assert (both.forth == one.forth).all()
    assert (both.back != one.back).any()
    tuning = ["tune", *named, *steps, *f"--model {folder} --lexicon {table} --out {out}".split()]
    use.main(tuning)
    assert re.search(r"restore +loss \d.*1 steps\n +tune +loss .*2 steps", capsys.readouterr().out)
    use.main(["distance", *named, "--models", folder, str(out / "tuned")])
    assert re.search(r"[-+]\d\.\d+ \[[-+]\d\.\d+, [-+]\d\.\d+\] from", capsys.readouterr().out)
    single = write(tmp_path / "one.tsv", "en\tvi\na tree\tcây\n")
    for arguments, message in (
        (made, "is there already"), (tuning, "is there already"),
        (["tune", *named, "--model", folder, *steps, "--out", str(tmp_path / "other")], "give more text"),
        (["distance", str(single), *named[1:], "--models", folder], "two rows"),
        ([*tuning[:2], *["--source", "en", "--target", "en", "--model"], folder], "name two columns"),
    ):  # fmt: skip
        with pytest.raises(SystemExit, match="2"):
            use.main(arguments)
        assert message in capsys.readouterr().err


def test_tuning_that_was_stopped_goes_on_where_it_was(
    mbart: Any, rows: list[dict[str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    model, tokenizer = mbart
    folder = tmp_path / "mbart"
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    pairs = write(tmp_path / "pairs.tsv", "\n".join(["en\tvi", *(f"{row['en']}\t{row['vi']}" for row in rows)]) + "\n")
    table = write(tmp_path / "en-vi.tsv", "tree\tcây\nred\tđỏ\nhouse\tnhà\n")

    def tuning(out: str, steps: int = 2) -> list[str]:
        named = f"tune {pairs} --source en --target vi --model {folder} --lexicon {table} --out {tmp_path / out}"
        return f"{named} --restore-steps 2 --steps {steps} --batch-size 2".split()

    use.main(tuning("whole"))
    with monkeypatch.context() as patch:

        def stopped(*_: Any, **__: Any) -> None:
            raise KeyboardInterrupt

        patch.setattr(seq2seq, "train", stopped)
        with pytest.raises(SystemExit, match="130"):
            use.main(tuning("stopped"))
    with pytest.raises(SystemExit, match="2"):
        use.main(tuning("stopped", 3))
    assert "is there already" in capsys.readouterr().err
    use.main(tuning("stopped"))
    assert re.search(r"restore +loss \d.*2 steps\n +tune +loss .*2 steps", capsys.readouterr().out)
    whole, again = (load(tmp_path / name / "tuned", task="seq2seq")[0].state_dict() for name in ("whole", "stopped"))
    assert all(torch.equal(whole[name], again[name]) for name in whole)
    assert not (tmp_path / "stopped" / "checkpoints").exists()


def test_example_of_the_page_runs() -> None:
    page = (PAPER.folder / "README.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)
    assert len(names["noised"]) == len(names["ids"])
    assert names["noised"] != names["ids"]
    assert names["losses"]["restore"][-1] < names["losses"]["restore"][0]
    assert names["before"] != names["after"]
