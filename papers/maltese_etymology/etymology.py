"""Where a word comes from: features of tokens, the classifiers of the paper, and their cross-validation.

    classifier = Classifier.fit(sentences, Features(language))
    classifier.predict(texts)["mle+crf"]
    report(sentences, cross_validate(sentences, Features(language)), "mle+crf")

Folds are drawn over sentences: a split over tokens would show the classifier the words that it is tested on.
"""

from __future__ import annotations

import string
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

from core.errors import UserError
from core.tasks.labelled import Labelled
from core.text.distance import edit_distance
from papers.maltese_etymology.data import Dictionary, Language, frequencies
from papers.maltese_etymology.method import Memory, bare, combine, transliterate

Labels = list[list[str]]
GRAMS = 200
"""Character n-grams of two and three letters, the most frequent of training (the official list has 197)."""
LIST = 10_000
"""Words of a list that a token may be near to, the commonest."""
# Official code: L-BFGS with these constants.
CRF = {"c1": 0.1, "c2": 0.1, "max_iterations": 100, "feature.possible_transitions": True}


class Features:
    """What the classifier sees of a token.

    Args:
        language: Closed class, letters, lists of words.
        rankers: Of the spelling; none = the language's own.
        tables: Translations, as `mt-ar`; the first into a language counts. The distance is then the edit distance to
            the translation (of a token without one: to itself), else that to the nearest frequent word.
    """

    def __init__(
        self, language: Language, rankers: Sequence[str] = (), tables: Mapping[str, Dictionary] | None = None
    ) -> None:
        chosen = tuple(language.rankers(rankers))
        self.language, self.translations = language, dict[str, Dictionary]()
        for name, table in (tables or {}).items():
            self.translations.setdefault(name.partition("-")[2], table)
        self.spell = cache(partial(transliterate, scheme=language.scheme, rankers=chosen))
        self.near = {
            code: nearness(islice(filter(str.isalpha, frequencies(code)), LIST))
            for code in language.lists
            if code not in self.translations
        }

    def distances(self, token: str) -> list[int]:
        """How far the transliteration is from the first language of `lists`, and the token itself from the others."""
        spelled, lower = bare(self.spell(token)), token.lower()
        found: list[int] = []
        for code in self.language.lists:
            own = lower if found else spelled
            if code in self.near:
                found.append(self.near[code](own))
            else:
                other = self.translations[code].find(token) or token
                found.append(edit_distance(own, other.lower() if found else other))
        return found

    def __call__(self, tokens: Sequence[str], grams: frozenset[str]) -> list[dict[str, float]]:
        """Features of each token of a sentence: 1 for those that it has, distances as they are (official)."""
        found = [self._of(token, grams) for token in tokens]
        found[0]["first"] = found[-1]["last"] = 1
        return found

    def _of(self, token: str, grams: frozenset[str]) -> dict[str, float]:
        lower, scheme = token.lower(), self.language.scheme
        own = sorted(ngrams(lower) & grams)
        holds = {
            "upper": token.isupper(),
            "title": token.istitle(),
            "digit": digit_among_others(token),
            "digits": token.isnumeric(),
            "special": any(not c.isascii() and c in scheme.letters for c in lower),
            "sign": sign(token),
            "signs": all(c in string.punctuation for c in token),
            "closed": scheme.fold(token) in scheme.closed,
            "gram": bool(own),
        }
        named = [
            *(f"token={token}", f"lower={lower}", f"spelled={bare(self.spell(token))}"),
            *(name for name, does in holds.items() if does),
            *(f"gram={gram}" for gram in own),
            *(f"{code}={found}" for code, table in self.translations.items() if (found := table.find(token))),
        ]
        far = zip(self.language.lists, self.distances(token), strict=True)
        return dict.fromkeys(named, 1.0) | {f"far from {code}": float(number) for code, number in far}


def digit_among_others(token: str) -> bool:
    """Whether there is a digit in what is no number."""
    return any(map(str.isdigit, token)) and not token.isnumeric()


def sign(token: str) -> bool:
    """Whether there is a sign of ASCII in it."""
    return any(c in string.punctuation for c in token)


def ngrams(text: str) -> set[str]:
    """Character n-grams of length 2 and 3."""
    return {text[start : start + size] for size in (2, 3) for start in range(len(text) - size + 1)}


def nearness(words: Iterable[str]) -> Callable[[str], int]:
    """0 for a word of the list, 1 where one letter taken away from it, from the spelling or from both makes them equal.

    Anything else is 2, but for tokens without letters, which are the same in all languages: 0.
    """
    known = set(words)
    near = known.union(*map(_shorter, known))

    def far(spelled: str) -> int:
        if spelled in known or not any(map(str.isalpha, spelled)):
            return 0
        return 1 if near & {spelled, *_shorter(spelled)} else 2

    return far


def _shorter(word: str) -> set[str]:
    return {word[:place] + word[place + 1 :] for place in range(len(word))} if len(word) > 3 else set()


def by_distance(token: str, distances: Sequence[int], labels: Mapping[str, str]) -> str:
    """The paper's solver without training: the label of the language that is nearest.

    `distances` are to the related language, which wins ties, and to two others: what stands in both of these is a name,
    or a symbol where it has a sign, or a digit among other characters. `labels` are those of the roles. As in the
    official code, a number in figures alone is a name.
    """
    related, first, second = distances
    if first == second == 0:
        return labels["symbol" if digit_among_others(token) or sign(token) else "name"]
    if 0 in (first, second):
        return labels["switched"]
    return labels["related" if related <= min(first, second) else "other"]


@dataclass(frozen=True)
class Classifier:
    """Memory and a linear-chain conditional random field (the content of CRFsuite's file), trained on the same."""

    features: Features
    memory: Memory
    crf: bytes
    grams: frozenset[str]

    @staticmethod
    def fit(sentences: Sequence[Labelled], features: Features) -> Classifier:
        """Train on sentences with a label for every token; a word may stand alone.

        Raises:
            UserError: Fewer than two labels.
        """
        import pycrfsuite

        if len({label for s in sentences for label in s.labels}) < 2:
            raise UserError("The labelled words have fewer than two labels: there is nothing to tell apart.")
        words = {token.lower() for s in sentences for token in s.words}
        counts = Counter(chain.from_iterable(map(ngrams, words)))
        grams = frozenset(sorted(counts, key=lambda gram: (-counts[gram], gram))[:GRAMS])
        trainer = pycrfsuite.Trainer(algorithm="lbfgs", verbose=False)
        trainer.set_params(CRF)
        for s in sentences:
            trainer.append(features(s.words, grams), s.labels)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "crf"
            trainer.train(str(path))
            return Classifier(features, Memory((s.words, s.labels) for s in sentences), path.read_bytes(), grams)

    def predict(self, texts: Sequence[Sequence[str]]) -> dict[str, Labels]:
        """A label for every token by kind of classifier; to the CRF, features that training never saw say nothing.

        Returns:
            `mle` (memory), `crf` and both (`mle+crf`, the paper's); `distance` where the language names three lists and
            five roles.
        """
        import pycrfsuite

        tagger = pycrfsuite.Tagger()
        tagger.open_inmemory(self.crf)
        guesses = [tagger.tag(self.features(tokens, self.grams)) for tokens in texts]
        found = {
            "mle": [[self.memory.label(token) for token in tokens] for tokens in texts],
            "crf": guesses,
            "mle+crf": [combine(self.memory, tokens, guess) for tokens, guess in zip(texts, guesses, strict=True)],
        }
        far, roles = self.features.distances, self.features.language.roles
        if len(self.features.language.lists) == 3 and len(roles) == 5:
            found["distance"] = [[by_distance(token, far(token), roles) for token in tokens] for tokens in texts]
        return found


class Tested(NamedTuple):
    """What cross-validation says of every token: its label by each kind, and whether training had it."""

    labels: dict[str, Labels]
    seen: list[list[bool]]


def cross_validate(
    sentences: Sequence[Labelled],
    features: Features,
    *,
    folds: int = 10,
    seed: int = 42,
    more: Sequence[Labelled] = (),
    strict: bool = False,
) -> Tested:
    """Label every sentence by a classifier that was trained on the others and `more`.

    Folds are scikit-learn's, shuffled (official: ten, seed 42). `strict` leaves out of training what has a token
    of the fold that is not of the closed class, so that no word that is tested was ever seen.

    Raises:
        UserError: Fewer sentences than folds.
    """
    from sklearn.model_selection import KFold

    if len(sentences) < folds:
        raise UserError(f"{len(sentences)} labelled sentences for {folds} folds: give more, or ask for fewer folds.")
    scheme = features.language.scheme
    labels: dict[str, Labels] = {}
    seen: list[list[bool]] = [[] for _ in sentences]
    for inside, outside in KFold(folds, shuffle=True, random_state=seed).split(list(sentences)):
        train = [*(sentences[place] for place in inside), *more]
        asked = [sentences[place].words for place in outside]
        if strict:
            hidden = {t.lower() for tokens in asked for t in tokens if scheme.fold(t) not in scheme.closed}
            train = [s for s in train if hidden.isdisjoint(token.lower() for token in s.words)]
        classifier = Classifier.fit(train, features)
        for kind, rows in classifier.predict(asked).items():
            column = labels.setdefault(kind, [[] for _ in sentences])
            for place, row in zip(outside, rows, strict=True):
                column[place] = row
                seen[place] = [token.lower() in classifier.memory.counts for token in sentences[place].words]
    return Tested(labels, seen)


def report(sentences: Sequence[Labelled], tested: Tested, kind: str) -> str:
    """Precision, recall and F1 of each label, accuracy and means: of all tokens, seen and unseen; confusion by row.

    Tokens of all folds are counted together; the official report averages over folds, some of which lack a label.
    """
    import pandas as pd
    from sklearn.metrics import classification_report

    table = pd.DataFrame({"gold": [label for s in sentences for label in s.labels]})
    table["guess"], table["seen"] = list(chain(*tested.labels[kind])), list(chain(*tested.seen))
    parts = {"all": table, "seen": table[table.seen], "unseen": table[~table.seen]}
    texts = [
        f"{kind}, {name} tokens\n{classification_report(part.gold, part.guess, digits=3, zero_division=0)}"
        for name, part in parts.items()
        if len(part)
    ]
    return "\n".join([*texts, pd.crosstab(table.gold, table.guess, normalize="index").round(3).to_string(), ""])
