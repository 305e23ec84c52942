"""Tokenizers trained on the fly for from-scratch models, and rows whose loss is on the completion alone.

    tokenizer = train_bpe(texts, vocabulary_size=1500, special_tokens=["<en>", "<ar>"])
    row = completion_row(tokenizer, prompt="2 + 2 =", completion=" 4")     # {"input_ids": [...], "labels": [...]}

Training algorithms are those of `tokenizers`; what comes back is an ordinary `PreTrainedTokenizerFast` that
`save_pretrained` writes and `AutoTokenizer` reads.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from core.errors import UserError

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase, PreTrainedTokenizerFast

IGNORED = -100
PAD, BOS, EOS, UNK = "<pad>", "<s>", "</s>", "<unk>"


def train_bpe(
    texts: Iterable[str], vocabulary_size: int, *, special_tokens: Sequence[str] = (), min_frequency: int = 2
) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer (no unknown token: every string has an encoding, and decodes to itself).

    Args:
        texts: What to train on.
        vocabulary_size: Entries in all: 256 bytes, specials, merges. At least 256 plus the specials.
        special_tokens: Further tokens that are never split (language tags, task tags).
        min_frequency: Pairs seen less often are not merged.

    Returns:
        The tokenizer with pad, bos and eos tokens; ids are 0, 1, 2, then `special_tokens` in order.

    Raises:
        UserError: If the vocabulary has no room for the bytes, or there is no text.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    specials = [PAD, BOS, EOS, *special_tokens]
    if vocabulary_size < 256 + len(specials):
        raise UserError(f"vocabulary_size = {vocabulary_size} is too small: give at least {256 + len(specials)}.")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
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


def completion_row(
    tokenizer: PreTrainedTokenizerBase, prompt: str, completion: str, *, bos: bool = True, eos: bool = True
) -> dict[str, list[int]]:
    """A training row whose loss is on the completion (and the end token) alone.

    Prompt and completion are encoded apart, so that the border between them is the same for every completion; no
    template of the tokenizer is applied.

    Returns:
        `input_ids` and `labels` of equal length; labels of the prompt are -100.
    """
    before = tokenizer.encode(prompt, add_special_tokens=False)
    after = tokenizer.encode(completion, add_special_tokens=False)
    before = [tokenizer.bos_token_id, *before] if bos else before
    after = [*after, tokenizer.eos_token_id] if eos else after
    return {"input_ids": [*before, *after], "labels": [IGNORED] * len(before) + after}


def chat_row(
    tokenizer: PreTrainedTokenizerBase, messages: Sequence[dict[str, str]], *, tools: Sequence[dict] | None = None
) -> dict[str, list[int]]:
    """A training row of a conversation, with loss on what the assistant says (its end-of-turn token included).

    The conversation is rendered with the tokenizer's chat template, turn by turn, so that the mask needs no markers in
    the template.

    Returns:
        `input_ids` and `labels`; labels outside the assistant's turns are -100.

    Raises:
        UserError: If the tokenizer has no chat template, no turn is the assistant's, or the template rewrites earlier
            turns (then no mask by prefixes exists).
    """
    if not tokenizer.chat_template:
        raise UserError("The tokenizer has no chat template: set tokenizer.chat_template or use prompt and completion.")
    if not any(message["role"] == "assistant" for message in messages):
        raise UserError("The conversation has no assistant turn to learn from: add a message with role 'assistant'.")

    def render(count: int, *, ask: bool) -> str:
        turns, schemas = list(messages[:count]), list(tools) if tools else None
        return str(
            tokenizer.apply_chat_template(turns, tools=schemas, tokenize=False, add_generation_prompt=ask)  # type: ignore[arg-type]
        )

    text = render(len(messages), ask=False)
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    labels = [IGNORED] * len(encoded["input_ids"])
    for turn, message in enumerate(messages):
        if message["role"] != "assistant":
            continue
        before, after = render(turn, ask=True), render(turn + 1, ask=False)
        if not (text.startswith(before) and text.startswith(after)):
            raise UserError("The chat template rewrites earlier turns: train one assistant turn a conversation.")
        for position, (start, end) in enumerate(encoded["offset_mapping"]):
            # A token that begins with the template's last blank still says the first word of the answer.
            if end > len(before) and start < len(after):
                labels[position] = encoded["input_ids"][position]
    return {"input_ids": list(encoded["input_ids"]), "labels": labels}


def longest_input(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> int:
    """How many tokens the model can read, the special ones included.

    Position tables of the RoBERTa kind begin after the padding id, so of XLM-R's 514 rows 512 serve.
    """
    from torch import nn

    config = model.config.get_text_config()
    for name in ("max_position_embeddings", "n_positions", "n_ctx"):
        rows = getattr(config, name, None)
        if isinstance(rows, int):
            tables = [
                m for m in model.modules() if isinstance(m, nn.Embedding) and m is not model.get_input_embeddings()
            ]
            unused = [t.padding_idx + 1 for t in tables if t.num_embeddings == rows and t.padding_idx is not None]
            return rows - max(unused, default=0)
    return min(tokenizer.model_max_length, 2**20)  # a tokenizer without a limit reports 1e30
