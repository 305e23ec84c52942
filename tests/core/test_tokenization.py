"""Tokenizers made on the fly, and rows with loss on the completion alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from tokenizers.processors import TemplateProcessing
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from core.errors import UserError
from core.models.tokenization import (
    IGNORED,
    begin_ids,
    chat_row,
    chat_rows,
    completion_row,
    packed_row,
    pair_ids,
    prompt_ids,
    text_ids,
    train_bpe,
    train_wordpiece,
    word_level,
)
from core.models.wheel_formats import xlmr_tokenizer

TEXTS = ["the cat sat on the mat", "القطة جلست على الحصيرة", "кошка сидела на коврике"] * 5
BPE = train_bpe(TEXTS, 320, special_tokens=["<en>", "<ar>"])
CHAT_TEMPLATE = (
    "{% for m in messages %}[{{ m['role'] }}] {{ m['content'] }}</s>{% endfor %}"
    "{% if add_generation_prompt %}[assistant] {% endif %}"
)


@settings(deadline=None)
@given(st.text(max_size=40))
def test_byte_level_bpe_gives_every_string_back(text: str) -> None:
    assert BPE.decode(BPE.encode(text, add_special_tokens=False), skip_special_tokens=False) == text


def test_bpe_layout_and_round_trip(tmp_path: Path) -> None:
    assert len(BPE) == 320
    assert BPE.convert_tokens_to_ids(["<pad>", "<s>", "</s>", "<en>", "<ar>"]) == [0, 1, 2, 3, 4]
    assert BPE.encode("<ar>القطة", add_special_tokens=False)[0] == 4
    assert len(BPE.encode("the cat", add_special_tokens=False)) < len("the cat")
    BPE.save_pretrained(tmp_path)
    again = AutoTokenizer.from_pretrained(tmp_path)
    assert again.encode(TEXTS[1]) == BPE.encode(TEXTS[1])


def test_bpe_refuses_what_cannot_work() -> None:
    with pytest.raises(UserError, match="at least 261"):
        train_bpe(TEXTS, 200, special_tokens=["<en>", "<ar>"])
    with pytest.raises(UserError, match="empty"):
        train_bpe([], 400)


@settings(deadline=None, max_examples=25)
@given(st.text(max_size=30))
def test_words_apart_have_the_same_tokens_wherever_they_stand(text: str) -> None:
    tokenizer = train_bpe(TEXTS, 320, min_frequency=1, apart=True)
    assert tokenizer.decode(tokenizer.encode(text, add_special_tokens=False), skip_special_tokens=False) == text
    word = tokenizer.encode("sat", add_special_tokens=False)
    for around in ("the cat sat on", '{"what": "sat"}', "get_sat", "sat7", "кошка sat"):
        ids = tokenizer.encode(around, add_special_tokens=False)
        assert any(ids[start : start + len(word)] == word for start in range(len(ids))), around


def test_word_level_keeps_words_whole() -> None:
    tokenizer = word_level(["seven", "plus", "seven"], special_tokens=["<en>"], unknown=True)
    assert tokenizer.encode("<en> seven plus four", add_special_tokens=False) == [4, 5, 6, tokenizer.unk_token_id]
    assert len(tokenizer) == 7


def test_rows_are_packed_behind_one_begin_token() -> None:
    rows = [completion_row(BPE, "the", f" {word}", bos=False) for word in ("cat", "mat")]
    packed = packed_row(BPE, rows)
    assert packed["input_ids"] == [1, *rows[0]["input_ids"], *rows[1]["input_ids"]]
    assert packed["labels"] == [-100, *rows[0]["labels"], *rows[1]["labels"]]
    with pytest.raises(UserError, match="no bos token"):
        packed_row(word_pieces(), rows)


def test_completion_rows_learn_the_completion_and_the_end() -> None:
    row = completion_row(BPE, "<s>the cat", " sat")
    first = next(i for i, label in enumerate(row["labels"]) if label != IGNORED)
    assert row["input_ids"][0] == BPE.bos_token_id
    assert BPE.decode(row["input_ids"][1:first]) == "the cat"
    assert row["labels"][first:] == row["input_ids"][first:]
    assert BPE.decode(row["labels"][first:-1]) == " sat"
    assert row["labels"][-1] == BPE.eos_token_id


def test_chat_rows_learn_every_assistant_turn_and_nothing_else() -> None:
    tokenizer = train_bpe(TEXTS, 320)
    with pytest.raises(UserError, match="chat template"):
        chat_row(tokenizer, [{"role": "assistant", "content": "x"}])
    tokenizer.chat_template = CHAT_TEMPLATE
    messages = [
        {"role": "user", "content": "the cat"},
        {"role": "assistant", "content": "sat"},
        {"role": "user", "content": "on"},
        {"role": "assistant", "content": "the mat"},
    ]
    row = chat_row(tokenizer, messages)
    learned = [token for token in row["labels"] if token != IGNORED]
    assert tokenizer.decode(learned) == " sat</s> the mat</s>"
    assert (
        tokenizer.decode(row["input_ids"])
        == "[user] the cat</s>[assistant] sat</s>[user] on</s>[assistant] the mat</s>"
    )
    with pytest.raises(UserError, match="assistant"):
        chat_row(tokenizer, messages[:1])


def test_rows_of_many_conversations_are_those_of_each() -> None:
    tokenizer = train_bpe(TEXTS, 320)
    tokenizer.chat_template = CHAT_TEMPLATE
    turns = [{"role": role, "content": text} for role, text in zip(["user", "assistant"] * 2, TEXTS, strict=False)]
    conversations = [turns[:2], turns, turns[:3], turns[2:4]]
    rows = chat_rows(tokenizer, [*conversations, turns[:2]])
    assert rows[:-1] == [chat_row(tokenizer, messages) for messages in conversations]
    assert rows[-1] is rows[0]
    with pytest.raises(UserError, match="assistant"):
        chat_rows(tokenizer, [turns[:2], turns[:1]])


# --- one rule from text to tokens ---------------------------------------------------------------------------------


def adding(tokenizer: PreTrainedTokenizerFast, before: str = "", after: str = "") -> PreTrainedTokenizerFast:
    """The tokenizer, putting tokens around every text by itself."""
    pieces = [*before.split(), "$A", *after.split()]
    specials = [(piece, tokenizer.convert_tokens_to_ids(piece)) for piece in pieces if piece != "$A"]
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single=pieces, special_tokens=specials)
    return tokenizer


def bpe() -> PreTrainedTokenizerFast:
    return train_bpe(TEXTS, 320, special_tokens=["<en>", "<ar>"])


def word_pieces() -> PreTrainedTokenizerFast:
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", "cat", "s", "##at", "##s", "on", "a"]
    backend = Tokenizer(models.WordPiece({piece: i for i, piece in enumerate(pieces)}, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    backend.decoder = decoders.WordPiece()
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    return adding(PreTrainedTokenizerFast(tokenizer_object=backend, **names), "[CLS]", "[SEP]")


def unigram() -> PreTrainedTokenizerFast:
    pieces = ["▁the", "▁cat", "▁sat", "▁on", "▁", "▁a", "s", "at", "a"]
    specials = [(piece, 0.0) for piece in ("<s>", "<pad>", "</s>", "<unk>")]
    return xlmr_tokenizer([*specials, *((piece, -float(i)) for i, piece in enumerate(pieces)), ("<mask>", 0.0)])


TOKENIZERS = {
    "plain": bpe,
    "begins": lambda: adding(bpe(), "<s>"),
    "ends": lambda: adding(bpe(), "", "</s>"),
    "begins with two and ends": lambda: adding(bpe(), "<en> <s>", "</s>"),
    "unigram": unigram,
    "word pieces": word_pieces,
    "words": lambda: word_level(["the", "cat", "sat", "on", "a", ":"]),
    "words with unknown": lambda: word_level(["the", "cat", "sat", "on"], unknown=True),
}


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("plain", []), ("begins", ["<s>"]), ("ends", []), ("begins with two and ends", ["<en>", "<s>"]),
     ("unigram", ["<s>"]), ("word pieces", ["[CLS]"]), ("words", []), ("words with unknown", [])],
)  # fmt: skip
def test_what_a_tokenizer_puts_before_a_text(kind: str, expected: list[str]) -> None:
    tokenizer = TOKENIZERS[kind]()
    assert tokenizer.convert_ids_to_tokens(list(begin_ids(tokenizer))) == expected
    ids = list(text_ids(tokenizer, ["the cat"])["the cat"])
    assert ids == [*begin_ids(tokenizer), *tokenizer.encode("the cat", add_special_tokens=False)]


PAIRS = [
    ("the cat", " sat"), ("the cat ", "sat"), ("the cat\n", "sat on"), ("the cat :", " sat"),
    ("the cat", "s"), ("the cat: \n", " a"), ("the c", "at"), ("", "the cat"),
]  # fmt: skip


@pytest.mark.parametrize("kind", TOKENIZERS)
@pytest.mark.parametrize(("prompt", "answer"), PAIRS)
def test_a_prompt_has_the_same_tokens_with_every_answer(kind: str, prompt: str, answer: str) -> None:
    tokenizer = TOKENIZERS[kind]()
    if kind == "words" and (prompt, answer) in PAIRS[4:7]:
        with pytest.raises(UserError, match="cannot encode"):
            pair_ids(tokenizer, [prompt], [answer])
        return
    (read,) = prompt_ids(tokenizer, [prompt])
    ((context, continuation),) = pair_ids(tokenizer, [prompt], [answer])
    assert context == read.ids
    assert prompt.endswith(read.held_back)
    row = completion_row(tokenizer, prompt, answer, eos=False)
    assert row["input_ids"] == [*context, *continuation]
    assert row["labels"] == [IGNORED] * len(context) + list(continuation)
    if kind in {"plain", "begins", "ends", "begins with two and ends"}:
        assert tokenizer.decode(row["input_ids"][len(begin_ids(tokenizer)) :]) == prompt + answer


def test_white_space_that_the_answer_would_swallow_is_held_back() -> None:
    tokenizer = bpe()
    for prompt, held in (("the cat ", " "), ("the cat\n", ""), ("the cat\n ", " "), ("the cat", ""), ("", "")):
        assert prompt_ids(tokenizer, [prompt])[0].held_back == held
    ((_, answer),) = pair_ids(tokenizer, ["the cat "], ["sat"])
    assert tokenizer.decode(list(answer)) == " sat"


def test_a_token_that_would_span_the_border_is_cut_there() -> None:
    tokenizer = bpe()
    assert len(tokenizer.encode("cat", add_special_tokens=False)) == 1
    ((context, answer),) = pair_ids(tokenizer, ["the c"], ["at"])
    assert (tokenizer.decode(list(context)), tokenizer.decode(list(answer))) == ("the c", "at")


def test_a_begin_token_is_spelled_out_or_added_but_never_twice() -> None:
    tokenizer = TOKENIZERS["begins"]()
    assert completion_row(tokenizer, "<s>the cat", " sat") == completion_row(tokenizer, "the cat", " sat")
    assert completion_row(tokenizer, "the", " cat", bos=True) == completion_row(tokenizer, "the", " cat")
    without = completion_row(tokenizer, "the", " cat", bos=False)["input_ids"]
    assert without[:1] != [1]
    assert completion_row(bpe(), "the", " cat", bos=True)["input_ids"] == [1, *without]
    with pytest.raises(UserError, match="has no eos token"):
        completion_row(word_pieces(), "the", "cat")
    with pytest.raises(UserError, match="cannot encode 'the dog'"):
        prompt_ids(TOKENIZERS["words"](), ["the dog"])


def merged(*merges: str) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer with these merges alone, each written with a blank between its halves."""
    pairs = [tuple(merge.split()) for merge in merges]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    entries = ["<pad>", "<s>", "</s>", *alphabet, *("".join(pair) for pair in pairs)]
    backend = Tokenizer(models.BPE({entry: number for number, entry in enumerate(entries)}, pairs))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=backend, pad_token="<pad>", bos_token="<s>", eos_token="</s>")


def sentence_pieces() -> PreTrainedTokenizerFast:
    """As Llama 2's: blanks are letters of words, no cutting beforehand, bytes for what the vocabulary lacks."""
    letters = ["▁", *"acehnost[]:", *(f"<0x{byte:02X}>" for byte in range(256))]
    pairs = [("h", "e"), ("t", "he"), ("▁", "the"), ("a", "t"), ("s", "at"), ("▁", "sat"), ("c", "at"), ("▁", "cat")]
    entries = ["<unk>", "<s>", "</s>", *letters, *("".join(pair) for pair in pairs)]
    numbers = {entry: number for number, entry in enumerate(entries)}
    backend = Tokenizer(models.BPE(numbers, pairs, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    backend.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    parts = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    backend.decoder = decoders.Sequence(parts)
    names = {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>"}
    return adding(PreTrainedTokenizerFast(tokenizer_object=backend, **names), "<s>")


@pytest.mark.parametrize(
    ("tokenizer", "answer"),
    [
        (lambda: merged("h e", "t he", "Ġ the"), "the"),  # no token of a blank and one letter
        (lambda: merged("Ġ ("), "(x)"),  # no word at all
        (lambda: merged("Ġ Ð"), "дом"),  # half a letter
        (lambda: merged("Ġ æ", "Ġæ ľ"), "最"),
        (lambda: merged("Ġ ð", "Ġð Ĳ"), "𐌰"),
        (sentence_pieces, "sat"),
        (sentence_pieces, "the"),
        (lambda: train_bpe([*TEXTS, *(f"{a}{b} " for a in "xyz" for b in "0123456789" * 40)], 340), "the"),
    ],
)
@pytest.mark.parametrize("prompt", ["the cat ", "cat: ", "the cat:\n "])
def test_white_space_is_held_back_for_any_word_that_would_swallow_it(tokenizer, answer: str, prompt: str) -> None:
    reader = tokenizer()
    (read,) = prompt_ids(reader, [prompt])
    assert read.held_back == " "
    assert reader.encode(prompt + answer)[: len(read.ids)] == list(read.ids)
    assert reader.encode(prompt)[: len(read.ids) + 1] != reader.encode(prompt + answer)[: len(read.ids) + 1]


@pytest.mark.parametrize("tokenizer", [lambda: merged("t h", "th e"), word_pieces, unigram])
def test_white_space_that_nothing_swallows_is_read(tokenizer) -> None:
    assert prompt_ids(tokenizer(), ["the cat "])[0].held_back == ""


def test_tokens_that_are_added_later_are_seen() -> None:
    reader = merged("t h", "th e")
    assert prompt_ids(reader, ["the\n"])[0].held_back == ""
    reader.add_tokens(["\ndog"])
    assert prompt_ids(reader, ["the\n"])[0].held_back == "\n"


# How the tokenizers of chat models cut a text beforehand: Llama 3's, Qwen's, Llama 4's (where a line break takes a
# slash along) and GPT-2's.
LLAMA_3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN, LLAMA_4 = LLAMA_3.replace("{1,3}", ""), LLAMA_3.replace(r"[\r\n]*", r"[\r\n/]*")
GPT_2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
BREAKS = ("Ċ Ċ", "ĊĊ /", "Ċ /", "> Ċ", "> ĊĊ", "] Ċ", "Ċ ĉ", "Ġ t", "Ġ Ġ", "h e")


def cut_by(pattern: str, *specials: str) -> PreTrainedTokenizerFast:
    reader = merged(*BREAKS)
    parts = [pre_tokenizers.Split(Regex(pattern), "isolated"), pre_tokenizers.ByteLevel(False, use_regex=False)]
    reader.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(parts)
    reader.add_special_tokens({"extra_special_tokens": list(specials)})
    return reader


def like_gemma() -> PreTrainedTokenizerFast:
    """No cutting beforehand: blanks are letters of words, and runs of line breaks are pieces."""
    pairs = [("\n", "\n"), ("▁", "t"), ("▁", "▁")]
    entries = ["<unk>", "<bos>", "<eos>", "\n", "▁", *"acdehlmnorstu7(/", *("".join(pair) for pair in pairs)]
    numbers = {entry: number for number, entry in enumerate(entries)}
    backend = Tokenizer(models.BPE(numbers, pairs, unk_token="<unk>", fuse_unk=True))
    backend.normalizer = normalizers.Replace(" ", "▁")
    names = {"unk_token": "<unk>", "bos_token": "<bos>", "eos_token": "<eos>"}
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, **names, extra_special_tokens=["<start_of_turn>", "[/INST]"]
    )


@pytest.mark.parametrize(
    ("tokenizer", "end"),
    [
        (lambda: cut_by(LLAMA_3, "<|end_header_id|>"), "assistant<|end_header_id|>\n\n"),
        (lambda: cut_by(LLAMA_4, "<|header_end|>"), "assistant<|header_end|>\n\n"),
        (lambda: cut_by(QWEN, "<|im_start|>"), "<|im_start|>assistant\n"),
        (lambda: cut_by(QWEN, "<|im_start|>", "</think>"), "<|im_start|>assistant\n<think>\n\n</think>\n\n"),
        (lambda: cut_by(GPT_2, "<|im_start|>"), "<|im_start|>assistant\n"),
        (lambda: cut_by(GPT_2, "<|assistant|>"), "<|assistant|>\n"),
        (lambda: cut_by(GPT_2), "Answer:\n"),
        (lambda: cut_by(LLAMA_4, "[/INST]"), "[/INST]"),
        (sentence_pieces, "[/INST]"),
        (sentence_pieces, "</s>\n<|assistant|>\n"),
        (like_gemma, "<start_of_turn>model\n"),
        (like_gemma, "[/INST]"),
    ],
)
def test_the_line_break_before_an_answer_stays_with_the_question(tokenizer, end: str) -> None:
    reader = tokenizer()
    (read,) = prompt_ids(reader, [f"the cat{end}"])
    assert read.held_back == ""
    assert list(read.ids) == reader.encode(f"the cat{end}")
    for answer in ("the", "7", "(", "/", "//"):
        assert reader.encode(f"the cat{end}{answer}")[: len(read.ids)] == list(read.ids)


CONVERSING = {
    **{kind: TOKENIZERS[kind] for kind in TOKENIZERS if kind != "words"},
    "sentence pieces": sentence_pieces,
    "whole words": lambda: merged("h e", "t he", "Ġ the", "Ċ the", "Ċ Ċ"),
}
TEMPLATES = {
    "blank": CHAT_TEMPLATE,
    "begin token": "<s>" + CHAT_TEMPLATE,
    "newline": CHAT_TEMPLATE.replace("] ", "]\n"),
    "two newlines": CHAT_TEMPLATE.replace("] ", "]\n\n"),
    "nothing": CHAT_TEMPLATE.replace("] ", "]"),
}


@pytest.mark.parametrize("kind", CONVERSING)
@pytest.mark.parametrize("template", TEMPLATES)
def test_a_conversation_is_asked_as_it_was_trained(kind: str, template: str) -> None:
    tokenizer = CONVERSING[kind]()
    tokenizer.chat_template = TEMPLATES[template]
    for answer in ("sat", "the", "7 cats", "дом", "(", "\nthe", " the"):
        messages = [{"role": "user", "content": "the cat"}, {"role": "assistant", "content": answer}]
        row = chat_row(tokenizer, messages)
        asked = str(tokenizer.apply_chat_template(messages[:1], tokenize=False, add_generation_prompt=True))
        (read,) = prompt_ids(tokenizer, [asked])
        assert tuple(row["input_ids"][: len(read.ids)]) == read.ids
        assert row["labels"] == [IGNORED] * len(read.ids) + row["input_ids"][len(read.ids) :]
        if tokenizer.bos_token_id is not None:
            begins = bool(begin_ids(tokenizer)) or template == "begin token"
            assert row["input_ids"].count(tokenizer.bos_token_id) == begins
        if kind not in ("words with unknown", "unigram", "word pieces", "sentence pieces"):
            text = str(tokenizer.apply_chat_template(messages, tokenize=False))
            assert tokenizer.decode(row["input_ids"], skip_special_tokens=False).endswith(text)


@pytest.mark.parametrize("kind", CONVERSING)
@pytest.mark.parametrize("template", TEMPLATES)
def test_every_turn_is_asked_as_it_was_trained(kind: str, template: str) -> None:
    tokenizer = CONVERSING[kind]()
    tokenizer.chat_template = TEMPLATES[template]
    said = ["the cat", "sat", "cat: ", "7 cats", "on", "the mat", "the cat"]
    messages = [{"role": ("user", "assistant")[n % 2], "content": text} for n, text in enumerate(said)]
    row = chat_row(tokenizer, messages)
    starts = []
    for turn in (1, 3, 5):
        asked = str(tokenizer.apply_chat_template(messages[:turn], tokenize=False, add_generation_prompt=True))
        (read,) = prompt_ids(tokenizer, [asked])
        assert tuple(row["input_ids"][: len(read.ids)]) == read.ids
        starts.append(len(read.ids))
    labels = row["labels"]
    assert labels[:-1] != row["input_ids"][:-1]
    assert [n for n, label in enumerate(labels) if label != IGNORED and labels[n - 1] == IGNORED] == starts
    assert labels[starts[-1] :] == row["input_ids"][starts[-1] :]


def test_wordpiece_keeps_vowel_signs_and_joiners(tmp_path: Path) -> None:
    """यहाँ (here) and यह (this) differ in combining marks alone; a joiner is spelling."""
    tokenizer = train_wordpiece(["यहाँ यह है", "می\u200cشود", "Pad"] * 3, 60)
    assert tokenizer.tokenize("यहाँ") != tokenizer.tokenize("यह")
    assert tokenizer.decode(tokenizer("यहाँ")["input_ids"], skip_special_tokens=True) == "यहाँ"
    assert tokenizer.tokenize("می\u200cشود") != tokenizer.tokenize("میشود")
    assert tokenizer.tokenize("Pad") != tokenizer.tokenize("pad")
    tokenizer.save_pretrained(tmp_path)
    assert AutoTokenizer.from_pretrained(tmp_path)("यह", "है").data == tokenizer("यह", "है").data


def test_wordpiece_lays_pairs_out_as_bert_does() -> None:
    tokenizer = train_wordpiece(["eins zwei", "drei"], 40)
    first, second, third = tokenizer.convert_tokens_to_ids(["eins", "zwei", "drei"])
    row = tokenizer("eins zwei", "drei", padding="max_length", max_length=8)
    assert row["input_ids"] == [2, first, second, 3, third, 3, 0, 0]
    assert row["token_type_ids"] == [0, 0, 0, 0, 1, 1, 0, 0]
