"""From text to tokens, by one rule for training, scoring and generation; and tokenizers trained on the fly.

    tokenizer = train_bpe(texts, vocabulary_size=1500, special_tokens=["<en>", "<ar>"])
    row = completion_row(tokenizer, prompt="2 + 2 =", completion=" 4")     # {"input_ids": [...], "labels": [...]}

The rule, whatever a tokenizer adds by itself:

1. A text begins with the tokens that the tokenizer puts before every text, unless it spells them out (as a rendered
   chat template may). What the tokenizer appends is left out, since a model does not go on after an end token: training
   rows get their end token explicitly.
2. The tokens of a prompt do not depend on its answer. White space at the end of a prompt that would become part of the
   answer's first token ("= " before "4" where " 4" is a token) belongs to the answer: the prompt is read without it.
3. The answer's tokens are what follows the prompt's in the tokens of both as one string. Where those do not begin with
   the prompt's, because a token would span the border, the answer is cut into tokens by itself.

Training algorithms are those of `tokenizers`; what comes back is an ordinary `PreTrainedTokenizerFast` that
`save_pretrained` writes and `AutoTokenizer` reads.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary

from core.errors import UserError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

IGNORED = -100
PAD, BOS, EOS, UNK = "<pad>", "<s>", "</s>", "<unk>"


def train_bpe(
    texts: Iterable[str],
    vocabulary_size: int,
    *,
    special_tokens: Sequence[str] = (),
    min_frequency: int = 2,
    apart: bool = False,
) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer (no unknown token: every string has an encoding, and decodes to itself).

    Args:
        texts: What to train on.
        vocabulary_size: Entries in all: 256 bytes, specials, merges. At least 256 plus the specials.
        special_tokens: Further tokens that are never split (language tags, task tags).
        min_frequency: Pairs seen less often are not merged.
        apart: Blanks, digits and underscores are tokens by themselves and join no word, so that a word has the same
            tokens after a blank, in quotes and in `snake_case`: what a small model has to copy, it can.

    Returns:
        The tokenizer with pad, bos and eos tokens; ids are 0, 1, 2, then `special_tokens` in order.

    Raises:
        UserError: If the vocabulary has no room for the bytes, or there is no text.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

    specials = [PAD, BOS, EOS, *special_tokens]
    if vocabulary_size < 256 + len(specials):
        raise UserError(f"vocabulary_size = {vocabulary_size} is too small: give at least {256 + len(specials)}.")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    if apart:
        pieces = pre_tokenizers.Split(Regex(r"\s|\d|_|[^\W\d_]+|[^\w\s]+"), "isolated")
        whole = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pieces, whole])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary_size,
        special_tokens=specials,
        min_frequency=min_frequency,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    counted = 0

    def counting() -> Iterable[str]:
        nonlocal counted
        for text in texts:
            counted += 1
            yield text

    tokenizer.train_from_iterator(counting(), trainer)
    if not counted:
        raise UserError("There is no text to train a tokenizer on: the corpus is empty after filtering.")
    return _wrap(tokenizer, special_tokens)


def train_wordpiece(texts: Iterable[str], vocabulary_size: int, *, max_length: int = 512) -> PreTrainedTokenizerFast:
    """A cased WordPiece tokenizer in BERT's form that keeps what BERT's own normaliser takes off.

    No accent is stripped: vowel signs of Indic scripts are combining marks, without which other words remain. Joiners
    stay, which are spelling there and in Persian. Text is composed (NFC), and cut at white space and punctuation.

    Args:
        texts: What to train on.
        vocabulary_size: Entries in all, with the alphabet of the texts and five special tokens.
        max_length: Most tokens of an input.

    Returns:
        The tokenizer: `[CLS] A [SEP]`, or `[CLS] A [SEP] B [SEP]` with token types 0 and 1; `[PAD]` is 0.
    """
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    special = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    trainer = trainers.WordPieceTrainer(
        vocab_size=vocabulary_size, special_tokens=list(special), min_frequency=1, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(name, special.index(name)) for name in ("[CLS]", "[SEP]")],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]", mask_token="[MASK]",
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
        model_max_length=max_length,
        padding_side="right",
    )  # fmt: skip


def word_level(
    words: Iterable[str], *, special_tokens: Sequence[str] = (), unknown: bool = False
) -> PreTrainedTokenizerFast:
    """A tokenizer with one entry per white-space separated word, in order of first appearance.

    Args:
        words: The vocabulary; repeated words count once.
        special_tokens: Further tokens that may stand anywhere.
        unknown: Map unseen words to `<unk>` rather than raise.

    Returns:
        The tokenizer with pad, bos and eos tokens (ids 0, 1, 2), then specials, then words.
    """
    from tokenizers import Tokenizer, models, pre_tokenizers

    entries = [PAD, BOS, EOS, *([UNK] if unknown else []), *special_tokens, *words]
    vocabulary = {word: number for number, word in enumerate(dict.fromkeys(entries))}
    model = models.WordLevel(vocabulary, unk_token=UNK) if unknown else models.WordLevel(vocabulary)
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return _wrap(tokenizer, special_tokens, unknown=unknown)


def _wrap(tokenizer: object, special_tokens: Sequence[str], *, unknown: bool = False) -> PreTrainedTokenizerFast:
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        bos_token=BOS,
        eos_token=EOS,
        **({"unk_token": UNK} if unknown else {}),
        extra_special_tokens=list(special_tokens),
        clean_up_tokenization_spaces=False,
        padding_side="right",
    )


# --- from text to tokens ------------------------------------------------------------------------------------------

Ids = tuple[int, ...]


class Prompt(NamedTuple):
    """Tokens of a prompt, and the white space at its end that belongs to the answer."""

    ids: Ids
    held_back: str


def begin_ids(tokenizer: PreTrainedTokenizerBase) -> Ids:
    """The tokens that the tokenizer puts before every text by itself: seen on a text, not read from its settings."""
    bare = _encode(tokenizer, [probe := "a"])[0]
    if not bare:  # a word-level tokenizer without an unknown token knows its own words alone
        known = ((word, _encode(tokenizer, [word])[0]) for word in tokenizer.get_vocab())
        probe, bare = next(((word, ids) for word, ids in known if ids), ("", ()))
    if not bare:
        return ()
    full = _encode(tokenizer, [probe], add_special_tokens=True)[0] or ()
    starts = (start for start in range(len(full)) if full[start : start + len(bare)] == bare)
    return full[: next(starts, 0)]


def text_ids(tokenizer: PreTrainedTokenizerBase, texts: Collection[str]) -> dict[str, Ids]:
    """Tokens of texts, with what the tokenizer puts before them and without what it appends (rule 1).

    Raises:
        UserError: A text that the tokenizer cannot encode.
    """
    begin, texts = begin_ids(tokenizer), list(dict.fromkeys(texts))
    return {text: _begun(begin, _known(text, ids)) for text, ids in zip(texts, _encode(tokenizer, texts), strict=True)}


def prompt_ids(tokenizer: PreTrainedTokenizerBase, prompts: Sequence[str]) -> list[Prompt]:
    """What a model reads of each prompt (rules 1 and 2)."""
    added = tuple(tokenizer.get_added_vocab())

    def read(prompt: str) -> str:
        # The shortest end is held back that has to be: a line break is usually stable where a blank after it is not.
        bare = prompt.rstrip()
        blanks = (blank for blank in (prompt[len(bare) :], prompt.rstrip(" ")[len(bare) :]) if blank)
        # An added token is cut out first: white space after `<|header_end|>` is not after a `>`.
        last = max(filter(bare.endswith, added), key=len, default=bare[-1:])
        return bare + next((blank for blank in blanks if _is_stable(tokenizer, last, blank)), "")

    forms = {prompt: read(prompt) for prompt in dict.fromkeys(prompts)}
    ids = text_ids(tokenizer, forms.values())
    return [Prompt(ids[forms[prompt]], prompt[len(forms[prompt]) :]) for prompt in prompts]


# What has been seen of tokenizers, by their size: tokens may be added.
_SEEN: WeakKeyDictionary[Any, dict[tuple[Any, ...], Any]] = WeakKeyDictionary()


def _is_stable(tokenizer: PreTrainedTokenizerBase, last: str, blank: str) -> bool:
    """Whether white space after a character or an added token has the same tokens whatever follows it."""
    seen, key = _SEEN.setdefault(tokenizer, {}), (len(tokenizer), last, blank)
    if key not in seen:
        bare, end = _encode(tokenizer, [last, last + blank])

        def changed(following: Sequence[str]) -> bool:
            found = _encode(tokenizer, [f"{last}{blank}{text}" for text in following])
            return any(after is not None and not _starts(after, end or ()) for after in found)

        # White space without a token of its own is in no other token either.
        seen[key] = bare == end or not (changed(_ASCII) or changed(_joined(tokenizer, end or (), blank[-1])))
    return seen[key]


_ASCII = [chr(code) for code in range(33, 127)]


def _joined(tokenizer: PreTrainedTokenizerBase, ids: Ids, blank: str) -> list[str]:
    """What follows white space inside tokens of the vocabulary; `ids` end with that of the white space."""
    spelled = str(tokenizer.convert_ids_to_tokens(list(ids[-1:]))[-1])[-1]
    seen, key = _SEEN[tokenizer], (len(tokenizer), spelled, blank)
    if key not in seen:
        vocabulary = tokenizer.get_vocab()
        # Added tokens are spelled as they are read.
        ends = {token.rpartition(mark)[2] for mark in {spelled, blank} for token in vocabulary if mark in token[:-1]}
        ends.discard("")
        texts = {tokenizer.convert_tokens_to_string([end]).strip() for end in ends} - {""}
        whole = {text for text in texts if "\ufffd" not in text}
        seen[key] = sorted(whole) + (_one_for_each_beginning() if whole < texts else [])
    return seen[key]


def _one_for_each_beginning() -> list[str]:
    """A character for each first and each second byte in UTF-8, for byte-level tokens that hold a part of one."""
    characters = map(chr, (*range(2**7, 2**16, 2**6), *range(2**16, 17 * 2**16, 2**12)))
    return [c for c in characters if not c.isspace() and unicodedata.category(c) != "Cs"]


def pair_ids(
    tokenizer: PreTrainedTokenizerBase, prompts: Sequence[str], answers: Sequence[str]
) -> list[tuple[Ids, Ids]]:
    """Tokens of prompts, as :func:`prompt_ids`, and of their answers (rule 3), white space held back included."""
    begin, pairs = begin_ids(tokenizer), []
    wholes = _encode(tokenizer, [prompt + answer for prompt, answer in zip(prompts, answers, strict=True)])
    for prompt, answer, whole in zip(prompt_ids(tokenizer, prompts), answers, wholes, strict=True):
        joint = None if whole is None else _begun(begin, whole)
        if joint is not None and _starts(joint, prompt.ids):
            pairs.append((prompt.ids, joint[len(prompt.ids) :]))
        else:
            pairs.append((prompt.ids, _alone(tokenizer, prompt.held_back + answer)))
    return pairs


def _alone(tokenizer: PreTrainedTokenizerBase, text: str) -> Ids:
    """Tokens of a text that continues another: after a line break, as SentencePiece puts a blank before a text."""
    line, both = _encode(tokenizer, ["\n", f"\n{text}"])
    if line is not None and both is not None and _starts(both, line) and len(both) > len(line):
        return both[len(line) :]
    return _known(text, _encode(tokenizer, [text])[0])


def _known(text: str, ids: Ids | None) -> Ids:
    if ids is None:
        raise UserError(f"the tokenizer cannot encode {text[:60]!r}: it lacks a word and has no unknown token")
    return ids


def _begun(begin: Ids, ids: Ids) -> Ids:
    """The tokens with those at the beginning that are not spelled out."""
    missing = next(n for n in range(len(begin) + 1) if _starts(ids, begin[n:]))
    return begin[:missing] + ids


def _starts(ids: Ids, beginning: Ids) -> bool:
    return ids[: len(beginning)] == beginning


def _encode(
    tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], *, add_special_tokens: bool = False
) -> list[Ids | None]:
    """Tokens of each text, None where the tokenizer has none for a word."""
    if not texts:
        return []
    try:
        encoded: Any = tokenizer(list(texts), add_special_tokens=add_special_tokens, verbose=False)
    except Exception:  # what `tokenizers` raises has no class of its own
        if len(texts) == 1:
            return [None]
        return [_encode(tokenizer, [text], add_special_tokens=add_special_tokens)[0] for text in texts]
    return [tuple(ids) for ids in encoded["input_ids"]]


# --- rows to train on ---------------------------------------------------------------------------------------------


def completion_row(
    tokenizer: PreTrainedTokenizerBase, prompt: str, completion: str, *, bos: bool | None = None, eos: bool = True
) -> dict[str, list[int]]:
    """A training row whose loss is on the completion (and the end token) alone; no chat template is applied.

    Args:
        tokenizer: The model's.
        prompt: What generation will be asked with, begin token included where the tokenizer does not add it.
        completion: What is learned.
        bos: None = begin as every text does (rule 1 of the module); True = with the begin token even if the tokenizer
            adds none (then ask with it); False = without, for what is appended to another row.
        eos: End with the end token.

    Returns:
        `input_ids` and `labels` of equal length; labels of the prompt are -100.

    Raises:
        UserError: The tokenizer lacks the token that was asked for.
    """
    ((read, answer),) = pair_ids(tokenizer, [prompt], [completion])
    if bos is not None:
        begin = begin_ids(tokenizer) or ((_special(tokenizer, "bos"),) if bos else ())
        read = _begun(begin, read) if bos else read[len(begin) :]
    before, after = list(read), [*answer, *([_special(tokenizer, "eos")] if eos else [])]
    return {"input_ids": [*before, *after], "labels": [IGNORED] * len(before) + after}


def packed_row(tokenizer: PreTrainedTokenizerBase, rows: Iterable[dict[str, list[int]]]) -> dict[str, list[int]]:
    """A begin token and several rows made with `bos=False`, one after another and seeing each other.

    So a small model learns to answer anywhere in a text, and not at its beginning alone.

    Raises:
        UserError: The tokenizer has no begin token.
    """
    parts = [{"input_ids": [_special(tokenizer, "bos")], "labels": [IGNORED]}, *rows]
    return {name: [token for part in parts for token in part[name]] for name in ("input_ids", "labels")}


def _special(tokenizer: PreTrainedTokenizerBase, role: str) -> int:
    token = getattr(tokenizer, f"{role}_token_id")
    if token is None:
        raise UserError(f"the tokenizer has no {role} token: set tokenizer.{role}_token or give {role}=False")
    return token


def chat_row(
    tokenizer: PreTrainedTokenizerBase, messages: Sequence[dict[str, str]], *, tools: Sequence[dict] | None = None
) -> dict[str, list[int]]:
    """A training row of a conversation, with loss on what the assistant says (its end-of-turn token included).

    The conversation is rendered with the tokenizer's chat template, turn by turn, so that the mask needs no markers in
    the template. It begins as every text does (rule 1 of the module), with or without help of the template, and the
    last answer has the tokens that it has after the same question in generation (rules 2 and 3). Turns after it are
    left out.

    Returns:
        `input_ids` and `labels`; labels outside the assistant's turns are -100.

    Raises:
        UserError: If the tokenizer has no chat template, no turn is the assistant's, or the template rewrites earlier
            turns (then no mask by prefixes exists).
    """
    spans = _spans(tokenizer, messages, tools)
    question, text = spans[-1]  # what comes after the last answer teaches nothing
    ((before, answer),) = pair_ids(tokenizer, [question], [text[len(question) :]])
    labels = [IGNORED] * len(before) + list(answer)
    asked = prompt_ids(tokenizer, [opening for opening, _ in spans])
    read = question.removesuffix(asked[-1].held_back)
    places = tokenizer(read, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
    added = len(before) - len(places)
    for (opening, closing), prompt in zip(spans[:-1], asked, strict=False):
        joint = _starts(before, prompt.ids)
        for number, (start, end) in enumerate(places, added):
            if (number >= len(prompt.ids) if joint else end > len(opening)) and start < len(closing):
                labels[number] = before[number]
    return {"input_ids": [*before, *answer], "labels": labels}


def chat_rows(
    tokenizer: PreTrainedTokenizerBase, conversations: Sequence[Sequence[dict[str, str]]]
) -> list[dict[str, list[int]]]:
    """Rows of many conversations, as :func:`chat_row`; those with one answer are cut into tokens together.

    A conversation that comes several times is rendered and cut once; its rows are then one object.

    Raises:
        UserError: As there.
    """
    once = {str(messages): messages for messages in conversations}
    found = dict(zip(once, _chat_rows(tokenizer, list(once.values())), strict=True))
    return [found[str(messages)] for messages in conversations]


def _chat_rows(
    tokenizer: PreTrainedTokenizerBase, conversations: Sequence[Sequence[dict[str, str]]]
) -> list[dict[str, list[int]]]:
    spans = [_spans(tokenizer, messages, None) for messages in conversations]
    whole = [parts[0] for parts in spans if len(parts) == 1]
    pairs = iter(pair_ids(tokenizer, [question for question, _ in whole], [text[len(q) :] for q, text in whole]))
    rows = []
    for messages, parts in zip(conversations, spans, strict=True):
        if len(parts) > 1:
            rows.append(chat_row(tokenizer, messages))
            continue
        before, answer = next(pairs)
        rows.append({"input_ids": [*before, *answer], "labels": [IGNORED] * len(before) + list(answer)})
    return rows


def _spans(
    tokenizer: PreTrainedTokenizerBase, messages: Sequence[dict[str, str]], tools: Sequence[dict] | None
) -> list[tuple[str, str]]:
    """For every assistant's turn the rendered conversation up to where it begins, and up to its end."""
    if not tokenizer.chat_template:
        raise UserError("The tokenizer has no chat template: set tokenizer.chat_template or use prompt and completion.")
    if not any(message["role"] == "assistant" for message in messages):
        raise UserError("The conversation has no assistant turn to learn from: add a message with role 'assistant'.")

    def render(count: int, *, ask: bool) -> str:
        turns, schemas = list(messages[:count]), list(tools) if tools else None
        return str(
            tokenizer.apply_chat_template(turns, tools=schemas, tokenize=False, add_generation_prompt=ask)  # type: ignore[arg-type]
        )

    spans = [
        (render(turn, ask=True), render(turn + 1, ask=False))
        for turn, message in enumerate(messages)
        if message["role"] == "assistant"
    ]
    if not all(spans[-1][1].startswith(part) for span in spans for part in span):
        raise UserError("The chat template rewrites earlier turns: train one assistant turn a conversation.")
    return spans
