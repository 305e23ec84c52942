"""Packing: nothing lost, nothing twice, no document sees another, the same order everywhere."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from datasets import Dataset
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    MixtralConfig,
    MixtralForCausalLM,
    Qwen2MoeConfig,
    Qwen2MoeForCausalLM,
    XLMRobertaConfig,
    XLMRobertaForCausalLM,
)

from core.errors import UserError
from core.training.config import TrainingConfig
from core.training.losses import causal_lm_loss
from core.training.packed_attention import Documents, assert_isolated, packed_attention
from core.training.packing import (
    IGNORED,
    Order,
    Span,
    best_fit_decreasing,
    collate,
    cut,
    document_lengths,
    in_order,
    labelled,
    share,
)
from core.training.packing import make_feed as feed_of

TINY = {
    "vocab_size": 97,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
}


def mixtral():
    model = MixtralForCausalLM(MixtralConfig(**TINY, num_local_experts=4, num_experts_per_tok=2))
    model.set_experts_implementation("eager")  # the grouped products have no fp64
    return model


MODELS = {
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**TINY)),
    "mixtral": lambda: mixtral(),
    "sliding": lambda: MistralForCausalLM(MistralConfig(**TINY, sliding_window=5)),
    "gpt2": lambda: GPT2LMHeadModel(GPT2Config(vocab_size=97, n_embd=32, n_layer=2, n_head=4, n_positions=256)),
}


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)
    torch.manual_seed(0)


def documents(lengths, seed=0):
    rng = np.random.default_rng(seed)
    rows = []
    for length in lengths:
        ids = rng.integers(0, 97, length).tolist()
        labels = [IGNORED if i < length // 3 else token for i, token in enumerate(ids)]
        rows.append((ids, labels))
    return rows


@given(st.lists(st.integers(1, 50), min_size=1, max_size=80), st.integers(50, 120))
def test_best_fit_keeps_every_document_once_and_no_bin_overflows(lengths, capacity):
    bins = best_fit_decreasing(lengths, capacity)
    assert sorted(item for row in bins for item in row) == list(range(len(lengths)))
    loads = [sum(lengths[i] for i in row) for row in bins]
    assert max(loads) <= capacity
    # Two bins that could be one would mean that a document was not put where it fits.
    assert all(a + b > capacity for i, a in enumerate(loads) for b in loads[:i])


def test_best_fit_known_case():
    # 6 fits best beside 4, not beside 3; first-fit in order would need three bins.
    assert sorted(map(sorted, best_fit_decreasing([4, 6, 3, 7], 10))) == [[0, 1], [2, 3]]
    assert in_order([4, 6, 3, 7], 10).tolist() == [0, 2]
    assert in_order([6, 7, 3], 10).tolist() == [0, 1]


def test_cut():
    lengths = np.array([3, 0, 10])
    assert cut(lengths, 4, "truncate").spans().tolist() == [[0, 0, 3], [2, 0, 4]]
    assert cut(lengths, 4, "drop").spans().tolist() == [[0, 0, 3]]
    assert cut(lengths, 4, "split").spans().tolist() == [[0, 0, 3], [2, 0, 4], [2, 4, 8], [2, 8, 10]]


@settings(max_examples=30)
@given(st.integers(1, 40), st.integers(1, 9), st.booleans(), st.sampled_from([0, 64]))
def test_every_epoch_has_every_span_once_across_step_borders(count, batch, shuffle, capacity):
    pieces = cut(1 + np.arange(count) % 60, 60, "truncate")
    order = Order(pieces, seed=3, batch_size=batch, capacity=capacity, shuffle=shuffle)
    stream = order.batches(0, 0)
    first = order.rows()
    wanted = first + len(list(order.epoch(1)))
    rows: list = []
    while len(rows) < wanted:
        step, _, _ = next(stream)
        assert len(step) == batch
        rows += step
    for part in (rows[:first], rows[first:wanted]):
        assert sorted(span for row in part for span in row) == list(map(Span._make, pieces.spans().tolist()))


def test_order_is_a_function_of_seed_and_epoch_and_can_be_entered_anywhere():
    pieces = cut(5 + np.arange(50) % 7, 16, "truncate")
    one, two = (Order(pieces, seed=1, batch_size=4, capacity=32) for _ in range(2))
    steps = [next_ for next_, _ in zip(one.batches(0, 0), range(20), strict=False)]
    assert list(one.epoch(0)) == list(two.epoch(0)) != list(one.epoch(1))
    assert list(Order(pieces, seed=2, batch_size=4, capacity=32).epoch(0)) != list(one.epoch(0))
    _, epoch, offset = steps[11]
    assert next(two.batches(epoch, offset))[0] == steps[12][0]


@given(st.sampled_from([1, 2, 4]), st.integers(0, 5), st.booleans())
def test_ranks_share_a_step_without_overlap(world, micro, by_length):
    rows = [[Span(i, 0, 1 + (i * 7) % 11)] for i in range(8)]
    parts = [share(rows, rank, world, micro, by_length=by_length) for rank in range(world)]
    assert sorted(span for part in parts for batch in part for row in batch for span in row) == sorted(
        r[0] for r in rows
    )
    assert len({tuple(map(len, part)) for part in parts}) == 1


def test_lengths_of_lists_and_datasets_agree():
    rows = [{"input_ids": [1] * n, "labels": [1] * n} for n in (3, 0, 7, 2)]
    dataset = Dataset.from_list(rows)
    assert document_lengths(rows).tolist() == document_lengths(dataset).tolist() == [3, 0, 7, 2]
    assert document_lengths(dataset.select([2, 0])).tolist() == [7, 3]
    with pytest.raises(UserError, match="input_ids"):
        document_lengths(Dataset.from_dict({"text": ["a"]}))


@given(st.lists(st.integers(1, 70), min_size=1, max_size=30))
def test_grids_hold_every_token_once(lengths):
    shapes, to_grid, to_row, padding = Documents(lengths).indices(torch.device("cpu"))
    cells = sum(rows * longest for rows, longest in shapes)
    assert len(to_grid) == cells == len(to_row) + len(padding)
    assert to_grid[to_row].tolist() == list(range(sum(lengths)))
    assert not set(to_row.tolist()) & set(padding.tolist())
    # What the grids cost in padding is bounded.
    assert all(cells_ <= 2 * used + 16 * rows for (rows, _), cells_, used in _grid_use(shapes, lengths))


def _grid_use(shapes, lengths):
    rest = sorted(lengths, reverse=True)
    for rows, longest in shapes:
        members, rest = rest[:rows], rest[rows:]
        assert longest == members[0]
        yield (rows, longest), rows * longest, sum(members)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("flat", [True, False])
def test_packed_rows_have_the_loss_and_gradient_of_single_documents(name, flat):
    model = MODELS[name]().double().eval()
    rows = [documents([9, 1, 14, 3], seed=1), documents([12, 8], seed=2)]
    single = sum(causal_lm_loss(model, collate([[d]], "padded")).total for row in rows for d in row)
    expected = torch.autograd.grad(single, list(model.parameters()))
    with packed_attention(model, allowed=flat) as is_flat:
        assert is_flat == flat
        assert_isolated(model, is_flat)
        batch = collate(rows, "flat" if is_flat else "rows", length=0 if is_flat else 30)
        packed = causal_lm_loss(model, batch)
        found = torch.autograd.grad(packed.total, list(model.parameters()))
    assert model.config._attn_implementation == "sdpa"
    assert packed.items == sum(sum(label != IGNORED for label in labels[1:]) for row in rows for _, labels in row)
    torch.testing.assert_close(packed.total, single, rtol=1e-9, atol=1e-9)
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-7, atol=1e-9)


def test_flat_rows_padded_to_one_shape_change_nothing():
    model = MODELS["llama"]().double().eval()
    rows = [documents([9, 5]), documents([4], seed=4)]
    with packed_attention(model):
        free, padded = (causal_lm_loss(model, collate(rows, "flat", length=n)) for n in (0, 40))
    torch.testing.assert_close(free.total, padded.total, rtol=1e-12, atol=0)
    assert collate(rows, "flat", length=40)["real_tokens"].sum() == 18


def test_dropping_the_boundaries_would_be_noticed():
    """The invariance above has teeth: without the boundaries, the second document sees the first."""
    model = MODELS["llama"]().double().eval()
    batch = collate([documents([9, 14])], "flat")
    with packed_attention(model):
        apart = causal_lm_loss(model, batch).total
    together = {key: batch[key] for key in ("input_ids", "labels", "label_positions", "targets")}
    assert abs(float(causal_lm_loss(model, together).total - apart)) > 1e-3


def test_masks_and_windows_still_count_while_rows_are_packed():
    """A forward pass on ordinary inputs under packed attention: padding on the left, and a sliding window."""
    model = MODELS["sliding"]().double().eval()
    ids, mask = torch.randint(97, (2, 12)), torch.ones(2, 12, dtype=torch.long)
    mask[1, :4] = 0
    for inputs in ({"input_ids": ids, "attention_mask": mask}, {"input_ids": ids}):
        own = model(**inputs).logits[:, 4:]
        with packed_attention(model):
            torch.testing.assert_close(model(**inputs).logits[:, 4:], own)
            torch.testing.assert_close(model(**inputs, use_cache=False).logits[:, 4:], own)


def test_a_model_that_mixes_documents_is_refused():
    model = MODELS["llama"]().eval()
    original = model.model.layers[0].mlp.forward
    # A recurrence over the row, as in state-space and linear-attention layers.
    model.model.layers[0].mlp.forward = lambda x: original(x) + 5 * x.cumsum(1)
    with packed_attention(model) as flat, pytest.raises(UserError, match="layout to padded"):
        assert_isolated(model, flat)


def windowed():
    """Its attention does not tell a kernel of its window; only its own masks know."""
    config = Qwen2MoeConfig(
        **TINY, num_experts=4, num_experts_per_tok=2, moe_intermediate_size=16, shared_expert_intermediate_size=16,
        sliding_window=8, use_sliding_window=True, layer_types=["sliding_attention"] * 2,
    )  # fmt: skip
    return Qwen2MoeForCausalLM(config)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_isolation_is_equality_with_the_document_alone(dtype):
    """No document sees another here, but one is longer than the window."""
    model = windowed().to(dtype)
    with packed_attention(model) as flat:
        assert_isolated(model, flat, longest=8)
        with pytest.raises(UserError, match="Qwen2MoeForCausalLM does not read packed documents"):
            assert_isolated(model, flat, longest=20)
    assert_isolated(model, flat=False, longest=20)
    assert {p.dtype for p in model.parameters()} == {dtype}
    assert model.training


def test_positions_of_a_models_own_making_are_refused():
    model = XLMRobertaForCausalLM(XLMRobertaConfig(**TINY, is_decoder=True))
    for allowed in (True, False):
        with packed_attention(model, allowed=allowed) as flat, pytest.raises(UserError, match="layout to padded"):
            assert_isolated(model, flat)


def test_documents_beyond_the_models_positions_are_refused():
    model = GPT2LMHeadModel(GPT2Config(vocab_size=97, n_embd=32, n_layer=1, n_head=4, n_positions=16))
    assert_isolated(model, flat=False, longest=16)
    with pytest.raises(UserError, match=r"cannot read 17 tokens.*max_length"):
        assert_isolated(model, flat=False, longest=17)


def test_dropout_in_grids_leaves_gradients_finite_and_unbiased_in_shape():
    q = torch.randn(1, 4, 20, 8, requires_grad=True)
    from core.training.packed_attention import attend

    module = torch.nn.Module()
    out, _ = attend(
        module,
        q,
        q,
        q,
        None,
        dropout=0.5,
        documents=Documents([13, 7]),
        cu_seq_lens_q=torch.tensor([0, 13, 20]),
        max_length_q=13,
    )
    out.sum().backward()
    assert out.shape == (1, 20, 4, 8)
    assert torch.isfinite(q.grad).all()


def test_attend_gradcheck():
    from core.training.packed_attention import attend

    module = torch.nn.Module()
    shapes = [(1, 2, 9, 3), (1, 1, 9, 3), (1, 1, 9, 3)]
    tensors = [torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in shapes]

    def function(q, k, v):
        plan = {"documents": Documents([4, 2, 3]), "cu_seq_lens_q": torch.tensor([0, 4, 6, 9]), "max_length_q": 4}
        return attend(module, q, k, v, None, scaling=0.3, **plan)[0]

    assert torch.autograd.gradcheck(function, tensors)
    mask = torch.block_diag(*[torch.ones(n, n).tril() for n in (4, 2, 3)]).bool()
    expected = F.scaled_dot_product_attention(*tensors, attn_mask=mask, scale=0.3, enable_gqa=True).transpose(1, 2)
    torch.testing.assert_close(function(*tensors), expected)


@pytest.mark.parametrize("window", [None, 3])
def test_written_out_attention_equals_the_kernel(window):
    """bf16 documents on CPUs take a path of their own; run in fp64 it has to equal the kernel."""
    from core.training.packed_attention import _explicit, _unseen

    q, k, v = (torch.randn(2, 9, heads, 4, dtype=torch.float64, requires_grad=True) for heads in (6, 2, 2))
    ours = _explicit(q, k, v, 0.4, 0.0, window)
    grid = [x.transpose(1, 2) for x in (q, k, v)]
    mask = ~_unseen(9, window, q.device)
    theirs = F.scaled_dot_product_attention(*grid, attn_mask=mask, scale=0.4, enable_gqa=True).transpose(1, 2)
    torch.testing.assert_close(ours, theirs)
    seen = torch.randn_like(ours)
    for a, b in zip(*(torch.autograd.grad((x * seen).sum(), (q, k, v)) for x in (ours, theirs)), strict=True):
        torch.testing.assert_close(a, b)


def test_bf16_takes_the_written_out_path():
    model = MODELS["llama"]().eval()
    rows = [documents([9, 1, 14, 3])]
    with packed_attention(model), torch.autocast("cpu", torch.bfloat16):
        half = causal_lm_loss(model, collate(rows, "flat"))
    assert half.total.item() == pytest.approx(causal_lm_loss(model, collate(rows, "rows")).total.item(), rel=1e-2)


def test_first_token_of_a_document_is_never_a_target():
    batch = collate([[([5, 6, 7], [5, 6, 7]), ([8, 9], [8, 9])]], "flat")
    assert batch["labels"].tolist() == [[IGNORED, 6, 7, IGNORED, 9]]
    assert batch["label_positions"].tolist() == [0, 1, 3]
    assert batch["targets"].tolist() == [6, 7, 9]
    assert batch["position_ids"].tolist() == [[0, 1, 2, 0, 1]]


def test_feed_packs_tightly_and_refuses_what_cannot_be_trained():
    rows = [{"input_ids": [1] * n} for n in (30, 20, 14, 50, 64, 40, 24, 10, 4)]
    feed = feed_of(rows, TrainingConfig(batch_size=4, max_length=64), 0, None, "rows")
    [(batch, spans)] = list(feed.micro_batches(next(feed.order.batches(0, 0))[0], 0, 0, 1))
    assert batch["input_ids"].shape == (4, 64)
    assert "real_tokens" not in batch
    assert sum(span.end - span.start for row in spans for span in row) == 4 * 64
    with pytest.raises(UserError, match="max_length = 2"):
        feed_of(rows, TrainingConfig(max_length=2, long_documents="drop"), 0, None, "flat")


@given(st.lists(st.lists(st.sampled_from([IGNORED, 1]), max_size=9), min_size=1, max_size=8), st.integers(1, 6))
def test_pieces_without_a_label_are_found_in_lists_and_datasets_alike(labels, max_length):
    rows = [{"input_ids": [1] * len(row), "labels": row} for row in labels]
    pieces = cut(document_lengths(rows), max_length, "split")
    spans = pieces.spans().tolist()
    kept = [[d, start, end] for d, start, end in spans if any(x == 1 for x in labels[d][start + 1 : end])]
    unlabelled = [{"input_ids": row["input_ids"]} for row in rows]
    long_enough = [[d, start, end] for d, start, end in spans if end > start + 1]
    for data, expected in ((rows, kept), (unlabelled, long_enough)):
        assert labelled(data, pieces).spans().tolist() == expected
        if spans:
            assert labelled(Dataset.from_list(data), pieces).spans().tolist() == expected


def test_what_is_cut_is_counted_and_cutting_every_label_is_refused():
    def row(prompt, answer):
        return {"input_ids": [1] * (prompt + answer), "labels": [IGNORED] * prompt + [1] * answer}

    rows = [row(8, 3), row(12, 4), row(5, 3), row(5, 5)]
    left_out = feed_of(rows, TrainingConfig(max_length=8), 0, None, "flat").left_out
    assert (left_out.long_documents, left_out.tokens, left_out.without_labels) == (3, 3 + 8 + 2, 2)
    assert feed_of(rows, TrainingConfig(max_length=8, long_documents="split"), 0, None, "flat").left_out.tokens == 0
    for dataset in (rows[:2], Dataset.from_list(rows[:2])):
        with pytest.raises(UserError, match=r"nothing to learn from: none of the 2 documents .*max_length = 8"):
            feed_of(dataset, TrainingConfig(max_length=8), 0, None, "flat")


def test_one_label_a_token():
    rows = [{"input_ids": [1, 2], "labels": [1, 2]}, {"input_ids": [1, 2, 3], "labels": [1, 2]}]
    for dataset in (rows, Dataset.from_list(rows)):
        with pytest.raises(UserError, match="Row 1 has 3 tokens but 2 labels"):
            feed_of(dataset, TrainingConfig(), 0, None, "flat")
