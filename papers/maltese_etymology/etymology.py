"""Where a word comes from: features of tokens, the classifiers of the paper, and their cross-validation.

    classifier = Classifier.fit(sentences, features_of(language))
    classifier.predict(texts, "mle+crf")
    report(sentences, cross_validate(sentences, features_of(language)), "mle+crf")

Folds are drawn over sentences: a split over tokens would show the classifier the words that it is tested on.
"""

from __future__ import annotations

import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, Literal, get_args

from core.errors import UserError
from core.tasks.labelled import Labelled
from core.text.distance import edit_distance
from papers.maltese_etymology.data import Language, word_list
from papers.maltese_etymology.method import Memory, combine, transliterate

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
        language: Closed class, letters, roles.
        spell: A token's transliteration.
        distance: By language, how far a token's spelling is from it, the transliteration from the first and the token
            itself from the others.
        translations: By language, translations of tokens.
    """

    language: Language
    spell: Callable[[str], str]
    distance: Mapping[str, Callable[[str, str], int]]
    translations: Mapping[str, Mapping[str, str]]

    def distances(self, token: str) -> list[int]:
        """To each language of `distance`, in its order."""
        spelled, lower = self.spell(token).removesuffix("+"), token.lower()
        return [far(token, lower if place else spelled) for place, far in enumerate(self.distance.values())]

    def __call__(self, tokens: Sequence[str], grams: frozenset[str]) -> list[list[str]]:
        """Names of the features that each token of a sentence has."""
        found = [self._of(token, grams) for token in tokens]
        found[0].append("first")
        found[-1].append("last")
        return found

    def _of(self, token: str, grams: frozenset[str]) -> list[str]:
        lower, scheme = token.lower(), self.language.scheme
        signs = [not c.isalnum() for c in token]
        own = sorted(ngrams(lower) & grams)
        holds = {
            "upper": token.isupper(),
            "title": token.istitle(),
            "digit": any(map(str.isdigit, token)) and not token.isdigit(),
            "digits": token.isdigit(),
            "special": any(not c.isascii() and c in scheme.letters for c in lower),
            "sign": any(signs),
            "signs": all(signs),
            "closed": scheme.fold(token) in scheme.closed,
            "gram": bool(own),
        }
        names = [f"token={token}", f"lower={lower}", f"spelled={self.spell(token)}"]
        names += [name for name, does in holds.items() if does]
        names += [f"gram={gram}" for gram in own]
        names += [f"{code}~{far}" for code, far in zip(self.distance, self.distances(token), strict=True)]
        return names + [f"{code}={table[lower]}" for code, table in self.translations.items() if lower in table]


def features_of(
    language: Language, rankers: Sequence[str] = (), translations: Mapping[str, Mapping[str, str]] | None = None
) -> Features:
    """What can be seen of a language's tokens.

    Args:
        language: Its scheme and lists.
        rankers: Of the spelling; none = the language's own.
        translations: By language, from tokens. The distance is then the edit distance to the translation, else that
            to the nearest frequent word.
    """
    spell = cache(partial(transliterate, scheme=language.scheme, rankers=tuple(language.rankers(rankers))))
    tables = translations or {}
    distance = {
        code: to_translation(tables[code]) if code in tables else nearness(word_list(code, LIST))
        for code in language.lists
    }
    return Features(language, spell, distance, tables)


def ngrams(text: str) -> set[str]:
    """Character n-grams of length 2 and 3."""
    return {text[start : start + size] for size in (2, 3) for start in range(len(text) - size + 1)}


def to_translation(table: Mapping[str, str]) -> Callable[[str, str], int]:
    """Edit distance to a token's translation; a token without one is its own."""
    return lambda token, spelled: edit_distance(spelled, table.get(token, table.get(token.lower(), token)).lower())


def nearness(words: Iterable[str]) -> Callable[[str, str], int]:
    """0 for a word of the list, 1 where one letter taken away from it, from the spelling or from both makes them equal.

    Anything else is 2, but for tokens without letters, which are the same in all languages: 0.
    """
    known = set(words)
    near = known | {word[:place] + word[place + 1 :] for word in known if len(word) > 3 for place in range(len(word))}

    def far(_: str, spelled: str) -> int:
        if spelled in known or not any(map(str.isalpha, spelled)):
            return 0
        return 1 if near & {spelled, *_shorter(spelled)} else 2

    return far


def _shorter(word: str) -> set[str]:
    return {word[:place] + word[place + 1 :] for place in range(len(word))} if len(word) > 3 else set()


def by_distance(token: str, distances: Sequence[int], labels: Mapping[str, str]) -> str:
    """The paper's solver without training: the label of the language that is nearest.

    Args:
        token: The token.
        distances: To the related language, whose script it is, and to two others. The related one wins ties; what
            stands in both others is a name, or a symbol where it has a digit or a sign.
        labels: What is called `related`, `other`, `switched`, `name` and `symbol`.
    """
    related, first, second = distances
    if first == second == 0:
        return labels["name" if token.isalpha() else "symbol"]
    if 0 in (first, second):
        return labels["switched"]
    return labels["related" if related <= min(first, second) else "other"]


@dataclass(frozen=True)
class CRF:
    """A linear-chain conditional random field of CRFsuite, as its file."""

    file: bytes

    @staticmethod
    def fit(sentences: Sequence[Sequence[Sequence[str]]], labels: Sequence[Sequence[str]]) -> CRF:
        """Train on the features of every token and its label: L-BFGS with the constants of the official code."""
        import pycrfsuite

        trainer = pycrfsuite.Trainer(algorithm="lbfgs", verbose=False)
        trainer.set_params({"c1": 0.1, "c2": 0.1, "max_iterations": 100, "feature.possible_transitions": True})
        for tokens, given in zip(sentences, labels, strict=True):
            trainer.append(tokens, given)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "crf"
            trainer.train(str(path))
            return CRF(path.read_bytes())

    def predict(self, sentences: Sequence[Sequence[Sequence[str]]]) -> list[list[str]]:
        """The likeliest labels of every sentence (Viterbi); features that training never saw say nothing."""
        import pycrfsuite

        tagger = pycrfsuite.Tagger()
        tagger.open_inmemory(self.file)
        return [list(tagger.tag(tokens)) for tokens in sentences]


@dataclass(frozen=True)
class Classifier:
    """Memory and CRF, trained on the same sentences."""

    features: Features
    memory: Memory
    crf: CRF
    grams: frozenset[str]

    @staticmethod
    def fit(sentences: Sequence[Labelled], features: Features) -> Classifier:
        """Train on sentences with a label for every token; a word may stand alone.

        Raises:
            UserError: Fewer than two labels.
        """
        if len({label for s in sentences for label in s.labels}) < 2:
            raise UserError("The labelled words have fewer than two labels: there is nothing to tell apart.")
        counts = Counter(
            gram for word in sorted({t.lower() for s in sentences for t in s.words}) for gram in ngrams(word)
        )
        grams = frozenset(sorted(counts, key=lambda gram: (-counts[gram], gram))[:GRAMS])
        crf = CRF.fit([features(s.words, grams) for s in sentences], [s.labels for s in sentences])
        return Classifier(features, Memory((s.words, s.labels) for s in sentences), crf, grams)

    def predict(self, texts: Sequence[Sequence[str]], kind: Kind = "mle+crf") -> list[list[str]]:
        """A label for every token.

        Raises:
            UserError: Distances are asked for, and the language does not name three lists and five roles.
        """
        if kind not in self.kinds():
            raise UserError(
                f"{self.features.language.name} has no {kind} classifier: choose {', '.join(self.kinds())}."
            )
        if kind == "mle":
            return [[self.memory.label(token) for token in tokens] for tokens in texts]
        if kind == "distance":
            far, roles = self.features.distances, self.features.language.roles
            return [[by_distance(token, far(token), roles) for token in tokens] for tokens in texts]
        guesses = self.crf.predict([self.features(tokens, self.grams) for tokens in texts])
        if kind == "crf":
            return guesses
        return [combine(self.memory, tokens, guess) for tokens, guess in zip(texts, guesses, strict=True)]

    def kinds(self) -> tuple[Kind, ...]:
        """What this one can be asked for."""
        able = len(self.features.distance) == 3 and len(self.features.language.roles) == 5
        return KINDS if able else KINDS[:-1]


@dataclass(frozen=True)
class Tested:
    """What cross-validation says of every token: its label by each kind, and whether training had it."""

    labels: dict[str, list[list[str]]]
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
    """Label every sentence by a classifier that was trained on the others (scikit-learn's `KFold`, shuffled).

    Args:
        sentences: With labels.
        features: Of the language.
        folds: How many parts.
        seed: Of their draw (official: 42, with ten folds).
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
        classifier = Classifier.fit(train, features)
        for kind in classifier.kinds():
            column = labels.setdefault(kind, [[] for _ in sentences])
            for place, tokens, found in zip(outside, asked, classifier.predict(asked, kind), strict=True):
                column[place] = found
                seen[place] = [token.lower() in classifier.memory.counts for token in tokens]
    return Tested(labels, seen)


def report(sentences: Sequence[Labelled], tested: Tested, kind: str) -> dict[str, Any]:
    """Accuracy and macro F1 of all, seen and unseen tokens; `labels`, scores of each; `confusion` by row.

    Tokens of all folds are counted together; the official report averages over folds, some of which lack a label.
    """
    from sklearn.metrics import accuracy_score, classification_report, confusion_matrix, f1_score

    gold = [label for s in sentences for label in s.labels]
    guess = [label for labels in tested.labels[kind] for label in labels]
    seen = [known for row in tested.seen for known in row]
    names = sorted({*gold, *guess})
    found: dict[str, Any] = {}
    for part, wanted in (("all", (True, False)), ("seen", (True,)), ("unseen", (False,))):
        kept = [place for place, known in enumerate(seen) if known in wanted]
        right, said = [gold[place] for place in kept], [guess[place] for place in kept]
        found[part] = {"tokens": len(kept)}
        if kept:
            f1 = f1_score(right, said, average="macro", zero_division=0)
            found[part] |= {"accuracy": float(accuracy_score(right, said)), "macro_f1": float(f1)}
    scores = classification_report(gold, guess, labels=names, zero_division=0, output_dict=True)
    found["labels"] = {name: scores[name] for name in names}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a label that is only guessed has an empty row
        matrix = confusion_matrix(gold, guess, labels=names, normalize="true").tolist()
    found["confusion"] = {name: dict(zip(names, row, strict=True)) for name, row in zip(names, matrix, strict=True)}
    return found
