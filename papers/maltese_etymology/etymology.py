"""Where a word comes from: features of tokens, the classifiers of the paper, and their cross-validation.

    classifier = Classifier.fit(sentences, features)
    classifier.predict(sentences, "mle+crf")
    report(sentences, cross_validate(sentences, features, folds=10, seed=42))

Folds are drawn over sentences: a split over tokens would show a sentence's words to the classifier that is tested on it.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any, Literal, get_args

from core.errors import UserError
from core.tasks.labelled import Labelled
from papers.maltese_etymology.crf import CRF
from papers.maltese_etymology.data import Language, word_list
from papers.maltese_etymology.method import Memory, Scheme, combine, transliterate

Kind = Literal["mle", "crf", "mle+crf", "distance"]
KINDS: tuple[Kind, ...] = get_args(Kind)
GRAMS = 200
"""Character n-grams of two and three letters, the most frequent of training (the official list has 197)."""


LIST = 10_000
"""Words of a list that a token may be near to, the commonest."""


@dataclass(frozen=True)
class Features:
    """What the classifier sees of a token.

    Attributes:
        scheme: Of the language: closed class, letters.
        spell: Its transliteration.
        distance: By language, how far a token is from a word of it: 0 equal, then more. The first is the language of
            the other script and is asked for the transliteration, the others for the token.
        translations: By language, translations of tokens.
    """

    scheme: Scheme
    spell: Callable[[str], str]
    distance: Mapping[str, Callable[[str], int]] = field(default_factory=dict)
    translations: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def distances(self, token: str) -> list[int]:
        """To each language of `distance`, in its order."""
        asked = [self.spell(token).removesuffix("+"), *[token.lower()] * (len(self.distance) - 1)]
        return [far(text) for far, text in zip(self.distance.values(), asked, strict=False)]

    def __call__(self, tokens: Sequence[str], grams: Collection[str]) -> list[list[str]]:
        """Names of the features that each token of a sentence has."""
        found = [self._of(token, grams) for token in tokens]
        if found:
            found[0].append("first")
            found[-1].append("last")
        return found

    def _of(self, token: str, grams: Collection[str]) -> list[str]:
        lower = token.lower()
        special = {c for c in self.scheme.letters if ord(c) > 127 and c.isalpha()}
        signs = [not c.isalnum() for c in token]
        own = ngrams(lower) & set(grams)
        yes = {
            "upper": token.isupper(),
            "title": token.istitle(),
            "digit": any(map(str.isdigit, token)) and not token.isdigit(),
            "digits": token.isdigit(),
            "special": bool(special & set(lower)),
            "sign": any(signs) and not all(signs),
            "signs": all(signs),
            "closed": self.scheme.fold(token) in self.scheme.closed,
            "gram": bool(own),
        }
        names = [f"token={token}", f"lower={lower}", f"spelled={self.spell(token)}"]
        names += [name for name, holds in yes.items() if holds]
        names += [f"gram={gram}" for gram in sorted(own)]
        names += [f"{code}~{far}" for code, far in zip(self.distance, self.distances(token), strict=True)]
        return names + [f"{code}={table[lower]}" for code, table in self.translations.items() if lower in table]


def features_of(
    language: Language, rankers: Sequence[str] = (), translations: Mapping[str, Mapping[str, str]] | None = None
) -> Features:
    """What can be seen of a language's tokens: the ranked spelling, and nearness to the words of its lists.

    Args:
        language: Its scheme and lists.
        rankers: Of the spelling; none = the language's own.
        translations: By language.
    """
    scheme, given = language.scheme, tuple(language.rankers(rankers))
    spell = cache(partial(transliterate, scheme=scheme, rankers=given))
    distance = {code: nearness(word_list(code, LIST)) for code in language.lists}
    return Features(scheme, spell, distance, translations or {})


def ngrams(text: str) -> set[str]:
    """Character n-grams of length 2 and 3."""
    return {text[start : start + size] for size in (2, 3) for start in range(len(text) - size + 1)}


def by_distance(token: str, distances: Sequence[int], labels: Mapping[str, str]) -> str:
    """The paper's solver without training: the label of the language that is nearest.

    Args:
        token: The token.
        distances: To the language of the other script, then to two of the own script.
        labels: What the solver calls `related`, `other`, `name`, `symbol` and `switched`. The related language wins
            ties; a token that stands in both others is a name, or a symbol where it has a digit or a sign.
    """
    related, first, second = distances
    if first == second == 0:
        return labels["name" if token.isalpha() else "symbol"]
    if 0 in (first, second):
        return labels["switched"]
    return labels["related" if related <= min(first, second) else "other"]


@dataclass(frozen=True)
class Classifier:
    """Memory and CRF, trained on the same sentences."""

    features: Features
    memory: Memory
    crf: CRF
    grams: frozenset[str]
    roles: Mapping[str, str]

    @staticmethod
    def fit(sentences: Sequence[Labelled], features: Features, roles: Mapping[str, str] | None = None) -> Classifier:
        """Train on sentences with a label for every token.

        Args:
            sentences: Words may stand alone, as sentences of one token.
            features: Of the language.
            roles: See :func:`by_distance`.

        Raises:
            UserError: Fewer than two labels.
        """
        if len({label for s in sentences for label in s.labels}) < 2:
            raise UserError("The labelled words have fewer than two labels: there is nothing to tell apart.")
        types = {token.lower() for s in sentences for token in s.words}
        counts = Counter(gram for token in types for gram in ngrams(token))
        grams = frozenset(sorted(counts, key=lambda gram: (-counts[gram], gram))[:GRAMS])
        seen = [features(s.words, grams) for s in sentences]
        crf = CRF.fit(seen, [s.labels for s in sentences])
        return Classifier(features, Memory((s.words, s.labels) for s in sentences), crf, grams, roles or {})

    def predict(self, sentences: Sequence[Sequence[str]], kind: Kind = "mle+crf") -> list[list[str]]:
        """A label for every token."""
        if kind == "mle":
            return [[self.memory.label(token) for token in tokens] for tokens in sentences]
        if kind == "distance":
            far = self.features.distances
            return [[by_distance(token, far(token), self.roles) for token in tokens] for tokens in sentences]
        guesses = self.crf.predict([self.features(tokens, self.grams) for tokens in sentences])
        if kind == "crf":
            return guesses
        return [combine(self.memory, tokens, guess) for tokens, guess in zip(sentences, guesses, strict=True)]

    def kinds(self) -> tuple[Kind, ...]:
        """What this one can be asked for: distances need three languages and the names of five labels."""
        able = len(self.features.distance) == 3 and len(self.roles) == 5
        return KINDS if able else KINDS[:-1]


@dataclass(frozen=True)
class Tested:
    """What cross-validation says of every token: its label by each kind of classifier, and whether it was trained on."""

    labels: dict[str, list[list[str]]]
    seen: list[list[bool]]


def cross_validate(
    sentences: Sequence[Labelled],
    features: Features,
    *,
    folds: int = 10,
    seed: int = 42,
    roles: Mapping[str, str] | None = None,
    more: Sequence[Labelled] = (),
    strict: bool = False,
) -> Tested:
    """Label every sentence by a classifier that was trained on the others (scikit-learn's `KFold`, shuffled).

    Args:
        sentences: With labels.
        features: Of the language.
        folds: How many parts.
        seed: Of their draw (official: 42, with ten folds).
        roles: See :func:`by_distance`.
        more: Trained on in every fold.
        strict: Leave out of training what has a token of the fold, so that nothing tested was ever seen.

    Raises:
        UserError: Fewer sentences than folds.
    """
    from sklearn.model_selection import KFold

    if len(sentences) < folds:
        raise UserError(f"{len(sentences)} labelled sentences for {folds} folds: give more, or ask for fewer folds.")
    labels: dict[str, list[list[str]]] = {}
    seen: list[list[bool]] = [[] for _ in sentences]
    for inside, outside in KFold(folds, shuffle=True, random_state=seed).split(list(sentences)):
        train = [*(sentences[place] for place in inside), *more]
        asked = [sentences[place].words for place in outside]
        if strict:
            hidden = {token.lower() for tokens in asked for token in tokens}
            train = [s for s in train if not hidden & {token.lower() for token in s.words}]
        classifier = Classifier.fit(train, features, roles)
        for place, tokens in zip(outside, asked, strict=True):
            seen[place] = [token.lower() in classifier.memory.counts for token in tokens]
        for kind in classifier.kinds():
            column = labels.setdefault(kind, [[] for _ in sentences])
            for place, found in zip(outside, classifier.predict(asked, kind), strict=True):
                column[place] = found
    return Tested(labels, seen)


def report(sentences: Sequence[Labelled], tested: Tested, kind: str) -> dict[str, Any]:
    """Accuracy and macro F1 of all, seen and unseen tokens, scores by label, and the confusion matrix by row.

    Counts and scores are of all folds together; the official report averages over folds, some of which lack a label.
    """
    from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, precision_recall_fscore_support

    gold = [label for s in sentences for label in s.labels]
    guess = [label for found in tested.labels[kind] for label in found]
    seen = [known for found in tested.seen for known in found]
    names = sorted({*gold, *guess})
    found: dict[str, Any] = {}
    for part, wanted in (("all", (True, False)), ("seen", (True,)), ("unseen", (False,))):
        kept = [place for place, known in enumerate(seen) if known in wanted]
        right, said = [gold[place] for place in kept], [guess[place] for place in kept]
        scores = (accuracy_score(right, said), f1_score(right, said, average="macro", zero_division=0)) if kept else ()
        found[part] = dict(zip(("accuracy", "macro_f1"), map(float, scores), strict=False)) | {"tokens": len(kept)}
    columns = precision_recall_fscore_support(gold, guess, labels=names, zero_division=0)
    found["labels"] = {
        name: dict(zip(("precision", "recall", "f1", "tokens"), map(float, row), strict=True))
        for name, row in zip(names, zip(*columns, strict=True), strict=True)
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a label that is only guessed has an empty row
        matrix = confusion_matrix(gold, guess, labels=names, normalize="true")
    found["confusion"] = {name: dict(zip(names, map(float, row), strict=True)) for name, row in zip(names, matrix)}
    return found


def nearness(words: Iterable[str]) -> Callable[[str], int]:
    """0 for a word of the list, 1 where one letter taken away from it, from the token or from both makes them equal.

    Anything else is 2. It stands in for the edit distance to a translation where no translations are at hand.
    """
    known = set(words)
    near = known | {shorter for word in known for shorter in _shorter(word)}

    @cache
    def distance(token: str) -> int:
        if token in known:
            return 0
        return 1 if token in near or any(text in near for text in _shorter(token)) else 2

    return distance


def _shorter(word: str) -> set[str]:
    return {word[:place] + word[place + 1 :] for place in range(len(word))} if len(word) > 3 else set()
