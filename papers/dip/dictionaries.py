"""Where dictionaries come from: parallel sentences, the answers of a model, files; and what is done to them in controls.

    lexicon = fit_dictionary([("habari ya asubuhi", "good morning"), ...])     # IBM Model 1
    lexicon = parse_dictionary("vitabu -> books\\nngapi -> how many", "Vitabu ngapi?")
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path

from core.corpora.filtering import ibm_model_1
from core.corpora.lexicons import read_dictionary
from core.errors import UserError
from core.files import load_json
from core.text import segment
from core.text.languages import word_list
from papers.dip.method import Lexicon, look_up

ROUNDS, LEAST, SEEN = 5, 0.2, 2
"""Rounds of expectation maximisation, the least probability of a gloss, and how often its word was seen; ours."""
FUNCTION_WORD = 6.4
"""Words of the pivot that are as frequent (Zipf scale) are no glosses: what is aligned to nothing falls on them."""
LONGEST = 3
"""Words of a gloss that a model gives; what is longer is a translation of the question, or its answer."""


def fit_dictionary(
    pairs: Iterable[tuple[str, str]], pivot: str = "en", *, tokenize: Callable[[str], Sequence[str]] | None = None
) -> Lexicon:
    """Equation 4: the gloss of a word is its most probable translation, g = argmax t(g | s), where that is sure enough.

    Args:
        pairs: Sentences with their translations into the pivot.
        pivot: Language of the glosses.
        tokenize: Cuts the sentences into words; without it, scripts that put no spaces between them get no entry.

    Raises:
        UserError: There is no pair.
    """
    cut = tokenize or (lambda text: [word for word in segment.words(text) if not segment.unspaced(word)])
    texts = [(cut(source.casefold()), segment.words(target.casefold())) for source, target in pairs]
    if not texts:
        raise UserError("There are no parallel sentences to learn a dictionary from: give some.")
    # The empty word explains what has no counterpart.
    table = ibm_model_1([["", *source] for source, _ in texts], [target for _, target in texts], ROUNDS)
    seen = Counter(word for source, _ in texts for word in source)
    best: dict[str, tuple[float, str]] = {}
    for (word, gloss), probability in sorted(table.items()):
        if word and probability > best.get(word, (0.0, ""))[0]:
            best[word] = (probability, gloss)
    return Lexicon({
        word: gloss
        for word, (probability, gloss) in best.items()
        if probability >= LEAST and seen[word] >= SEEN and not word.isdecimal() and not _is_function_word(gloss, pivot)
    })  # fmt: skip


@cache
def _is_function_word(word: str, pivot: str) -> bool:
    from wordfreq import zipf_frequency

    known = word_list(pivot)
    return bool(known) and zipf_frequency(word, str(known)) >= FUNCTION_WORD


def dictionary_request(text: str, language: str, pivot: str = "English") -> str:
    """What a model is asked for a dictionary of one question; the wording is ours."""
    return (
        f"List every word of this {language} text with its {pivot} translation in context, one a line, as: "
        f"word -> translation. At most three {pivot} words each. Do not answer or translate the text.\n\n{text}"
    )


def parse_dictionary(answer: str, text: str) -> Lexicon:
    """Equation 5: the entries of a model's list. A line counts if its word stands in the text and its gloss is short."""
    found: dict[str, str] = {}
    for line in answer.splitlines():
        parts = re.split(r"\s*(?:->|→|=>|\t|=|\s[–—-]\s|:|\bmeans\b)\s*", line.strip().lstrip("-*•0123456789.) "), maxsplit=1)
        word, gloss = parts if len(parts) == 2 else ("", "")
        gloss = gloss.strip(" .,;\"'")
        known = any(match.gloss for match in look_up(text, Lexicon({word: "x"}))) if word else False
        if known and gloss and len(gloss.split()) <= LONGEST:
            found.setdefault(word.strip(" \"'"), gloss)
    return Lexicon(found)


def read_lexicon(path: str | Path) -> Lexicon:
    """A dictionary from `.json`, an object of words and glosses, or from lines of a word, a tab and a gloss.

    Of several glosses the first one counts.

    Raises:
        UserError: The file cannot be read or has another form.
    """
    if Path(path).suffix.lower() != ".json":
        return Lexicon(dict(reversed(read_dictionary(path))))
    content = load_json(path, dict)
    if wrong := next((word for word, gloss in content.items() if not isinstance(gloss, str) or not gloss.strip()), None):
        raise UserError(f"{path}: {wrong!r} has no gloss: write an object of words and glosses, both texts.")
    if not content:
        raise UserError(f"{path} has no entry: write an object of words and glosses.")
    return Lexicon(content)


def kept(lexicon: Lexicon, share: float, seed: int) -> Lexicon:
    """A part of the entries, drawn; the entries of a smaller share are among those of a larger one."""
    order = random.Random(f"kept/{seed}").sample(sorted(lexicon), len(lexicon))
    chosen = set(order[: round(share * len(order))])
    return Lexicon({word: gloss for word, gloss in lexicon.items() if word in chosen})


def spoilt(lexicon: Lexicon, share: float, seed: int) -> Lexicon:
    """The dictionary with a part of the entries given the gloss of another one, drawn; none of these is right."""
    rng = random.Random(f"spoilt/{seed}")
    order = rng.sample(sorted(lexicon), len(lexicon))
    glosses = list(lexicon.values())
    changed = {}
    for word in order[: round(share * len(order))]:
        others = [gloss for gloss in rng.sample(glosses, min(8, len(glosses))) if gloss != lexicon[word]]
        changed[word] = others[0] if others else lexicon[word]
    return Lexicon({**lexicon, **changed})


def precision(learnt: Lexicon, given: Lexicon) -> float | None:
    """Share of the words in both dictionaries whose glosses are the same, case aside; None where there is none."""
    both = [word for word in learnt if given.find(word)]
    right = [learnt[word].casefold() == str(given.find(word)).casefold() for word in both]
    return sum(right) / len(right) if right else None
