"""Sentences for any encoder-decoder with a tokenizer of its own, lexicons in files, and what a configuration trains.

rows = pairs(tokenizer, [{"en": "a red house", "vi": "ngôi nhà đỏ"}], [("en", "vi")])
noise = CodeSwitchNoiser(lexicon.forth, word_starts(tokenizer), tokenizer.mask_token_id)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import permutations
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from torch import Tensor

from core import corpora
from core.corpora.lexicons import read_dictionary
from core.errors import UserError
from core.files import write_text
from core.inference.seq2seq import encode, speak
from core.tasks.vecmap import word_vectors
from core.text.segment import is_unspaced
from core.training.config import TrainingConfig
from core.training.documents import by_length
from core.training.seq2seq import Row
from papers.csr4mbart.config import PIVOT, Config
from papers.csr4mbart.lexicon import NONE, Lexicon, induce
from papers.csr4mbart.method import CodeSwitchNoiser, Pair, Side

if TYPE_CHECKING:
    from core.experiment.run import Run

Direction = tuple[str, str]
Texts = Mapping[str, str]
"""A row of parallel text, by language."""
LONGEST = 512
"""Most tokens of a sentence; longer ones are cut, which leaves room for masks."""
MARKS = ("▁", "Ġ")
"""What a subword that begins a word begins with, in SentencePiece and in byte-level BPE."""


# --- sentences --------------------------------------------------------------------------------------------------------


def sides(tokenizer: Any, language: str, other: str, texts: Sequence[str], longest: int = LONGEST) -> list[Side]:
    """Sentences of one language, beside those of another."""
    read, written = encode(tokenizer, texts, language, longest)
    special, found = set(tokenizer.all_special_ids), []
    for ids, labels in zip(read, written, strict=True):
        own = [place for place, token in enumerate(ids) if token not in special or token == tokenizer.unk_token_id]
        start, end = (own[0], own[-1] + 1) if own else (0, 0)
        found.append(Side(list(ids), list(labels), start, end, (language, other)))
    return found


def columns(rows: Iterable[Texts], *codes: str) -> list[list[str]]:
    """Texts of some languages, from the rows that have all of them."""
    return [[row[code] for row in rows if all(code in row for code in codes)] for code in codes]


def pairs(tokenizer: Any, rows: Sequence[Texts], directions: Iterable[Direction], longest: int = LONGEST) -> list[Pair]:
    """All rows in some directions, source side first."""
    found: list[Pair] = []
    for source, target in directions:
        one, other = columns(rows, source, target)
        both = (sides(tokenizer, source, target, one, longest), sides(tokenizer, target, source, other, longest))
        found += zip(*both, strict=True)
    return found


def like_lengths(rows: Sequence[Pair], settings: TrainingConfig, seed: int) -> tuple[list[Pair], TrainingConfig]:
    """Rows of stage 1 for all steps, each batch of like lengths on both sides, and settings that keep their order."""
    lengths = [(len(one.read), len(other.read)) for one, other in rows]
    return list(by_length(rows, lengths, settings, seed)), replace(settings, shuffle=False)


def translations(rows: Iterable[Pair]) -> list[Row]:
    """The same for stage 2: the first side, and the second that is to be written."""
    return [{"input_ids": source.read, "labels": target.written} for source, target in rows]


# --- tokenizers and lexicons ------------------------------------------------------------------------------------------


def word_starts(tokenizer: Any) -> np.ndarray:
    """Which ids begin a word, [vocabulary]: with ▁ or Ġ; all, where the tokenizer marks none."""
    names = tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))
    starts = np.array([name is not None and name[:1] in MARKS for name in names])
    return starts if starts.any() else np.ones(len(names), bool)


def subwords(tokenizer: Any, texts: Sequence[str]) -> list[list[int]]:
    """Ids of texts without special tokens."""
    return tokenizer(list(texts), add_special_tokens=False).input_ids


def build_lexicon(
    tokenizer: Any, source: Sequence[str], target: Sequence[str],
    *, width: int = 512, min_count: int = 5, k: int = 3, seed: int = 0,
) -> Lexicon:  # fmt: skip
    """Stage 0 on two texts, from the subwords that are numbers in digits.

    Args:
        tokenizer: Whose subwords.
        source: Lines of one language.
        target: Lines of the other; they need not be translations.
        width: Of a subword's vector, at most.
        min_count: Rarer subwords get no entry.
        k: Entries of a subword.
        seed: Draws what self-learning drops.

    Raises:
        UserError: Too little text, or no number in digits is in both often enough.
    """
    one, other = (
        word_vectors(subwords(tokenizer, lines), width=width, min_count=min_count) for lines in (source, target)
    )
    # In order: that of a vocabulary differs between processes.
    numerals = sorted(id for name, id in tokenizer.get_vocab().items() if name.lstrip("".join(MARKS)).isdigit())
    return induce(one, other, numerals, len(tokenizer), k=k, seed=seed)


def random_lexicon(lexicon: Lexicon, seed: int) -> Lexicon:
    """The same subwords, each with the entries of another one: the effect, broken on purpose."""
    rng = np.random.default_rng([seed, 7])

    def shuffled(table: np.ndarray) -> np.ndarray:
        rows, table = np.flatnonzero((table != NONE).any(1)), table.copy()
        table[rows] = table[rng.permutation(rows)]
        return table

    return Lexicon(shuffled(lexicon.forth), shuffled(lexicon.back))


def read_lexicon(tokenizer: Any, path: str | Path, k: int = 3) -> Lexicon:
    """A lexicon of a file, `source<TAB>target` a line, for both directions; a subword's first k entries count.

    Words are cut into subwords by the tokenizer, but for a file that marks beginnings of words by ▁ or Ġ, which names
    subwords as they are. What is not one subword is left out, not replaced by `<unk>`. Of a folder, as
    :func:`write_lexicon` makes it, each file is one direction.

    Raises:
        UserError: No such file, a line of another form, or no entry of single subwords.
    """
    if Path(path).is_dir():
        return Lexicon(*(read_lexicon(tokenizer, Path(path) / f"{name}.tsv", k).forth for name in Lexicon._fields))
    rows = read_dictionary(path)
    words = list(dict.fromkeys(word for row in rows for word in row))
    marked = any(word[0] in MARKS for word in words)
    cut = [[id] for id in tokenizer.convert_tokens_to_ids(words)] if marked else subwords(tokenizer, words)
    unknown = (None, tokenizer.unk_token_id)
    known = {word: ids[0] for word, ids in zip(words, cut, strict=True) if len(ids) == 1 and ids[0] not in unknown}
    entries = [(known[one], known[other]) for one, other in rows if one in known and other in known]
    if not entries:
        raise UserError(f"{path} has no entry of one subword on either side: give words of the model's vocabulary.")
    return from_entries(len(tokenizer), entries, k)


def write_lexicon(folder: Path, tokenizer: Any, lexicon: Lexicon) -> None:
    """`forth.tsv` and `back.tsv`, a subword and one of its entries a line, best ones first."""
    names = tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))
    for name, table in lexicon._asdict().items():
        found = ((one, other) for one, entries in enumerate(table) for other in entries if other != NONE)
        write_text(folder / f"{name}.tsv", "".join(f"{names[one]}\t{names[other]}\n" for one, other in found))


def from_entries(vocabulary: int, entries: Sequence[tuple[int, int]], k: int) -> Lexicon:
    """The first k entries of each id, both ways."""
    tables = np.full((2, vocabulary, k), NONE)
    for entry in entries:
        for table, (one, other) in zip(tables, (entry, entry[::-1]), strict=True):
            filled = (table[one] != NONE).sum()
            if filled < k and other not in table[one]:
                table[one, filled] = other
    return Lexicon(*tables)


def precision(lexicon: Lexicon, gold: Lexicon) -> float:
    """Share of the subwords, of both languages, whose first gold entry is among their entries."""
    hits: list[bool] = []
    for table, right in zip(lexicon, gold, strict=True):
        asked = right[:, 0] != NONE
        hits += (table[asked] == right[asked, :1]).any(1).tolist()
    return sum(hits) / max(1, len(hits))


def noisers(tokenizer: Any, lexicons: Mapping[Direction, Lexicon | None]) -> dict[Direction, CodeSwitchNoiser]:
    """A noiser for each language beside each other one; None masks.

    Where a script has no spaces, every subword is a word: a sentence would be one, and be replaced as a whole.
    """
    starts, found = word_starts(tokenizer), {}
    if tokenizer.mask_token_id is None and None in lexicons.values():
        raise UserError(f"{type(tokenizer).__name__} has no mask token: give a lexicon, or set tokenizer.mask_token.")
    for (source, target), lexicon in lexicons.items():
        for direction, table in zip(((source, target), (target, source)), lexicon or (None, None), strict=True):
            begins = np.ones_like(starts) if _unspaced(direction[0]) else starts
            found[direction] = CodeSwitchNoiser(table, begins, tokenizer.mask_token_id)
    return found


def _unspaced(code: str) -> bool:
    try:
        return is_unspaced(code)
    except UserError:  # a column of another name
        return False


def word_by_word(tokenizer: Any, table: np.ndarray, texts: Sequence[str]) -> list[str]:
    """Each subword's first entry in its place: what a lexicon alone translates."""
    ids = [[int(table[token][0]) for token in line] for line in subwords(tokenizer, texts)]
    return tokenizer.batch_decode([[token for token in line if token != NONE] for line in ids])


def encoded(model: Any, tokenizer: Any, texts: Sequence[str], language: str) -> Tensor:
    """Mean encoder state of each text's own subwords, [text, width]."""
    from core.models.embedding import Encoder, Pooling

    speak(tokenizer, language)
    return Encoder(model, tokenizer, Pooling("mean", special_tokens=False))(texts).vectors


# --- what a configuration trains --------------------------------------------------------------------------------------


class Task(NamedTuple):
    """One stage 1, and the fine-tuned models that start from it.

    Attributes:
        name: A language, or all of them.
        restored: English and each language of it.
        tuned: Directions of each fine-tuned model, by its name.
        asked: Directions in which each is tested.
    """

    name: str
    restored: tuple[Direction, ...]
    tuned: Mapping[str, tuple[Direction, ...]]
    asked: Mapping[str, tuple[Direction, ...]]


def tasks(config: Config, languages: Sequence[str]) -> list[Task]:
    """A model a direction; or, for pairs that none is tuned on, one model for all directions from and into English."""
    both = {code: ((PIVOT, code), (code, PIVOT)) for code in languages}
    if config.setting == "bilingual":
        each = {code: {f"{s}-{t}": ((s, t),) for s, t in both[code]} for code in languages}
        return [Task(code, both[code][:1], each[code], each[code]) for code in languages]
    every = tuple(direction for code in languages for direction in both[code])
    return [Task("all", every[::2], {"all": every}, {"all": tuple(permutations(languages, 2))})]


class World(NamedTuple):
    """What a configuration starts from.

    Attributes:
        start: The pretrained model: hub id or folder.
        languages: Beside English.
        tuning: Rows of parallel text, `{code: text}`.
        asked: Rows to measure on.
        texts: Text of each language for its vectors.
        gold: What a lexicon is compared with, where it is known.
    """

    start: str
    languages: tuple[str, ...]
    tuning: list[dict[str, str]]
    asked: list[dict[str, str]]
    texts: dict[str, list[str]]
    gold: dict[str, Lexicon]


def world(config: Config, run: Run) -> World:
    """The tiny world, or the files and the model that are named.

    Raises:
        UserError: Data that cannot be read, or none to measure on in a direction that is asked for.
    """
    if not config.model:
        from papers.csr4mbart import miniature

        return miniature.world(config, run)
    asked = _rows(config, config.test_data, config.items)
    every = [pair for task in tasks(config, config.languages) for found in task.asked.values() for pair in found]
    if missing := [pair for pair in every if not columns(asked, *pair)[0]]:
        raise UserError(
            f"No row of test_data has both {missing[0][0]!r} and {missing[0][1]!r}, which setting = 'zero-shot' "
            f"translates: give --test-data with columns {', '.join((PIVOT, *config.languages))} in every row."
        )
    tuning = _rows(config, config.data, config.pairs or None)
    texts = {code: columns(tuning, code)[0] for code in (PIVOT, *config.languages)}
    return World(config.model, config.languages, tuning, asked, texts, {})


def _rows(config: Config, source: str, most: int | None) -> list[dict[str, str]]:
    """The first rows of a source with all languages, or of one for each."""
    if "{target}" not in source:
        return corpora.read_translations(source, [PIVOT, *config.languages], most)
    named = ((source.format(target=code), [PIVOT, code]) for code in config.languages)
    return [row for name, codes in named for row in corpora.read_translations(name, codes, most)]


def lexicon_of(config: Config, found: World, tokenizer: Any, code: str) -> Lexicon | None:
    """The lexicon of English and a language that a configuration asks for; None where spans are masked."""
    if config.objective != "restore":
        return None
    options: dict[str, Any] = {"width": config.lexicon_width, "min_count": config.min_count, "k": config.top}
    made = build_lexicon(tokenizer, found.texts[PIVOT], found.texts[code], **options, seed=config.seed)
    return random_lexicon(made, config.seed) if config.lexicon == "random" else made
