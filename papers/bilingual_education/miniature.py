"""The tiny world: facts about territories and cities, stated rightly or wrongly in English, Spanish and a mix of both.

    In which country is the city of Nairobi?
    Acceptable    Whoever lives in Nairobi lives in Kenya.   Whoever vive en Nairobi lives en Kenya.
    Unacceptable  Whoever lives in Nairobi lives in Peru.    Whoever vive en Nairobi lives en Perú.

Names are CLDR's, wordings ours (`miniature.yaml`). What is wrong is right of another fact of the same part, and every
object is said rightly as often as wrongly, so that it tells nothing without what it is said of. Nothing is asked
whose answer is spelt like what it is about: Japan and the Japanese Yen. A territory, with all that is asked about it,
is in one part: to be learnt from, for development, or to be tested. Beside it stand 61 questions of grades 6 to 10
with a right answer and a misconception each, which nobody learns from (`science.tsv`).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from typing import Any
from unicodedata import combining, normalize

import numpy as np

from core.corpora import read_rows
from core.files import load_yaml
from core.text.distance import shared_trigrams
from core.worlds.base import Item, split
from papers.bilingual_education.config import Config
from papers.bilingual_education.data import Conditions
from papers.bilingual_education.graders import EncoderGrader
from papers.bilingual_education.method import ACCEPTABLE, UNACCEPTABLE, Answer, prompt
from papers.bilingual_education.mixing import Mixed, Mixer

CONDITIONS = ("en", "es", "sp")
SHARES = {"test": 0.4, "dev": 0.15, "train": 0.45}
KINDS = ("currency", "language", "city", "continent")
# What time zones call them, and CLDR.
CONTINENTS = {"Africa": "002", "America": "019", "Asia": "142", "Australia": "009", "Europe": "150", "Pacific": "009"}
# Facts that probabilities are calibrated on, of the part that is learnt from; and cities of a territory at most.
CALIBRATION, CITIES = 40, 2
# Rates to which English answers are mixed word by word, and the facts that this is done to.
RATES, MIXED_FACTS = (0.33, 0.67, 1.0), 60


@cache
def wordings() -> dict[str, Any]:
    """Questions and wordings by kind of fact, and the lexicon."""
    return load_yaml(Path(__file__).parent / "miniature.yaml")


@dataclass(frozen=True)
class Fact:
    """What is the case: Japan has the yen.

    Attributes:
        kind: One of `KINDS`.
        territory: CLDR's code of where it holds.
        object: Code of what is said: a currency, a language, a continent, or for a city its territory.
        names: By language, what it is about and what is said of it.
    """

    kind: str
    territory: str
    object: str
    names: Mapping[str, tuple[str, str]]

    @property
    def id(self) -> str:
        """Territory, then kind and name: what hangs together comes first."""
        return f"{self.territory}/{self.kind} {self.names['en'][0]}"


@cache
def facts() -> tuple[Fact, ...]:
    """Every fact that has names in both languages, and whose object is not spelt like what it is said of.

    Official languages and currencies of territories that have one of each; cities that time zones are named after; and
    the continent of territories all of whose time zones have one.
    """
    from babel.core import get_global

    from core.corpora.names import locale_of
    from core.worlds.names import facts as of_territories

    en, es = locale_of("en"), locale_of("es")
    found, by_id = [], defaultdict[str, dict[str, tuple[str, str]]](dict)
    frames = {(code, kind): ("{name}",) for code in ("en", "es") for kind in ("currency", "language")}
    for item in of_territories(("en", "es"), frames=frames):  # type: ignore[arg-type]
        _, kind, territory, _ = item.id.split("/")
        by_id[f"{kind}/{territory}"][item.language] = (item.prompt, item.answer)
    for key, names in sorted(by_id.items()):
        if len(names) == 2:
            kind, territory = key.split("/")
            found.append(Fact(kind, territory, names["en"][1], names))
    cities, lies = Counter[str](), defaultdict[str, set[str | None]](set)
    for zone, territory in sorted(get_global("zone_territories").items()):
        city = (en.time_zones.get(zone) or {}).get("city") or zone.rpartition("/")[2].replace("_", " ")
        spanish = (es.time_zones.get(zone) or {}).get("city") or city
        land, tierra = en.territories.get(territory), es.territories.get(territory)
        if "/" in zone and land and tierra and territory != "AQ":  # Antarctica has stations, and no cities
            lies[territory].add(CONTINENTS.get(zone.partition("/")[0]))
            if "," not in city and cities[territory] < CITIES:
                cities[territory] += 1
                found.append(Fact("city", territory, territory, {"en": (city, land), "es": (spanish, tierra)}))
    for territory, (region, *more) in lies.items():
        if region and not more:
            large = en.territories[region]
            names = {
                "en": (en.territories[territory], f"the {large}" if large.endswith("s") else large),
                "es": (es.territories[territory], es.territories[region]),
            }
            found.append(Fact("continent", territory, region, names))
    return tuple(fact for fact in found if not spelt_alike(fact, fact))


def spelt_alike(fact: Fact, said: Fact) -> bool:
    """Whether a word of what a fact is about begins, in either language, like a word of what is said of it."""
    about, what = ([names[side] for names in one.names.values()] for side, one in enumerate((fact, said)))
    return not _starts(*about).isdisjoint(_starts(*what))


@cache
def _starts(*names: str) -> frozenset[str]:
    plain = (c for c in normalize("NFKD", " ".join(names).casefold()) if not combining(c))
    return frozenset(word[:3] for word in "".join(plain).split() if len(word) > 2)


def part(name: str) -> list[Fact]:
    """The facts of a part; its territories are in no other."""
    items = [Item(fact.id, fact.territory, fact.names["en"][0], fact.id, "en") for fact in facts()]
    kept = {item.id for item in split(items, 0, SHARES)[name]}
    return [fact for fact in facts() if fact.id in kept]


# --- answers ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Statement:
    """A fact, and an answer about it in all conditions.

    Attributes:
        fact: What is asked about.
        said: The fact whose object is said: the same, or another one.
        question: In English.
        essays: By condition.
    """

    fact: Fact
    said: Fact
    question: str
    essays: Mapping[str, str]

    @property
    def grade(self) -> str:
        """Right if the object that is said is that of the fact."""
        return ACCEPTABLE if self.said.object == self.fact.object else UNACCEPTABLE

    def answer(self, condition: str) -> Answer:
        """In one condition."""
        return Answer(self.question, self.essays[condition], self.grade, f"{self.fact.id} {self.grade}")


def statements(chosen: Sequence[Fact], seed: str) -> list[Statement]:
    """Two answers about each fact, the right one first, in the same wording."""
    found = []
    for kind in KINDS:
        own = [fact for fact in chosen if fact.kind == kind]
        for fact, wrong in zip(own, others(own, Random(f"{seed}/{kind}")), strict=True):
            if wrong.object == fact.object or spelt_alike(fact, wrong):
                continue
            rng = Random(f"{seed}/{fact.id}")
            words, sides = wordings()[kind], (rng.choice(("en", "es")), rng.choice(("en", "es")))
            question = rng.choice(words["questions"]).format(t=fact.names["en"][0])
            number = rng.randrange(len(words["en"]))
            for said in (fact, wrong):
                essays = {}
                for name in CONDITIONS:
                    about, what = sides if name == "sp" else (name, name)
                    essays[name] = words[name][number].format(t=fact.names[about][0], o=said.names[what][1])
                found.append(Statement(fact, said, question, essays))
    return found


def others(own: Sequence[Fact], rng: Random) -> list[Fact]:
    """For each fact another one with another object, each once: so every object is said wrongly as often as rightly.

    Facts in the order of their objects are shifted by as many as the commonest object has, then exchanged at random,
    which also takes away nearly all objects that are spelt like what they are said of.
    """
    if not own:
        return []
    counts = Counter(fact.object for fact in own)
    names = rng.sample(sorted(counts), len(counts))
    order = sorted(rng.sample(range(len(own)), len(own)), key=lambda place: names.index(own[place].object))
    shift = max(counts.values())
    wrong = {place: order[(n + shift) % len(order)] for n, place in enumerate(order)}
    for _ in range(20 * len(own)):
        a, b = rng.choices(range(len(own)), k=2)
        exchanged = ((own[a], own[wrong[b]]), (own[b], own[wrong[a]]))
        if all(fact.object != said.object and not spelt_alike(fact, said) for fact, said in exchanged):
            wrong[a], wrong[b] = wrong[b], wrong[a]
    # Where more than half have one object, some of them have no other, and are not asked about.
    return [own[wrong[place]] for place in range(len(own))]


def drawn(config: Config) -> dict[str, list[Statement]]:
    """What a seed learns from, calibrates on and is tested with."""
    known, aside = part("train"), max(8, config.asked // 4) if config.asked else CALIBRATION
    chosen = Random(f"facts/{config.seed}").sample(known, min(len(known), config.facts + aside))
    tested = part(config.split)
    if config.asked:
        tested = Random("asked").sample(tested, min(config.asked, len(tested)))
    groups = {"learn": chosen[: config.facts], "calibrate": chosen[config.facts :], "test": tested}
    return {name: statements(group, f"{config.seed}/{name}") for name, group in groups.items()}


def conditions(stated: Sequence[Statement]) -> Conditions:
    """Answers by condition, aligned."""
    return {name: [one.answer(name) for one in stated] for name in CONDITIONS}


def mixed(stated: Sequence[Statement], rate: float) -> list[tuple[Answer, Mixed]]:
    """English answers with words replaced by Spanish ones up to a rate."""
    found = []
    pairs = [stated[place : place + 2] for place in range(0, len(stated), 2)]
    for one in (one for pair in Random("mixed").sample(pairs, min(len(pairs), MIXED_FACTS)) for one in pair):
        names = {one.fact.names["en"][0]: one.fact.names["es"][0], one.said.names["en"][1]: one.said.names["es"][1]}
        text = Mixer(wordings()["lexicon"] | names, rate)(one.essays["en"])
        found.append((Answer(one.question, text.text, one.grade, one.answer("en").id), text))
    return found


@cache
def science() -> Conditions:
    """The written questions, a right answer and a misconception each."""
    found: Conditions = {name: [] for name in CONDITIONS}
    for row in read_rows(Path(__file__).parent / "science.tsv"):
        for name in CONDITIONS:
            for grade in (ACCEPTABLE, UNACCEPTABLE):
                essay = row[f"{name}_{grade.lower()}"]
                found[name].append(Answer(row["question"], essay, grade, f"{row['id']}/{row['id']} {grade}"))
    return found


# --- who knows nothing ------------------------------------------------------------------------------------------------


def solvers(learnt: Sequence[Statement], tested: Sequence[Statement]) -> dict[str, float]:
    """Accuracy of graders that know nothing of the world, over all conditions.

    `majority` says the commoner grade, `object` goes by how often what is said was right among the answers to learn
    from, `length` by the number of letters that was the best threshold there, `spelling` by the share of letter
    trigrams that what is said has in common with what it is said of; `neighbour` accepts what is right of the fact,
    among those to learn from, whose name is spelt most alike; `letters` is the regression of the encoder grader, learnt
    in all three conditions, on which letter trigrams a text has.
    """
    right = np.array([one.grade == ACCEPTABLE for one in tested])
    counts = Counter((one.said.object, one.grade) for one in learnt)
    known = [counts[one.said.object, ACCEPTABLE] > counts[one.said.object, UNACCEPTABLE] for one in tested]
    found = {"majority": max(right.mean(), 1 - right.mean()), "object": np.mean(np.array(known) == right)}
    alike = [_shared([one.fact for one in own], [one.said for one in own], 1).diagonal() for own in (learnt, tested)]
    cut = _threshold([(value, one.grade == ACCEPTABLE) for value, one in zip(alike[0], learnt, strict=True)])
    found["spelling"] = np.mean((alike[1] > cut) == right)
    facts_of = [[one.fact for one in own] for own in (learnt, tested)]
    kinds = np.array([[one.kind == other.kind for other in facts_of[0]] for one in facts_of[1]])
    nearest = (_shared(facts_of[1], facts_of[0], 0) * kinds).argmax(1)
    same = [learnt[place].fact.object == one.said.object for place, one in zip(nearest, tested, strict=True)]
    found["neighbour"] = np.mean(np.array(same) == right)
    letters = EncoderGrader("letters", trigrams)
    letters.fit([one for answers in conditions(learnt).values() for one in answers])
    scores: dict[str, list[float]] = {"length": [], "letters": []}
    for name, answers in conditions(tested).items():
        cut = _threshold([(len(one.essays[name]), one.grade == ACCEPTABLE) for one in learnt])
        scores["length"].append(np.mean((np.array([len(one.essay) for one in answers]) > cut) == right))
        scores["letters"].append(np.mean((letters.score(answers) > 0) == right))
    found |= {kind: np.mean(values) for kind, values in scores.items()}
    return {f"trivial_{name}": float(value) for name, value in found.items()}


def trigrams(texts: Sequence[str], width: int = 384) -> np.ndarray:
    """Vectors of length 1, as wide as the encoder's, that say which letter trigrams a text has and nothing else."""
    from sklearn.feature_extraction.text import HashingVectorizer

    return HashingVectorizer(analyzer="char_wb", ngram_range=(3, 3), n_features=width).transform(texts).toarray()


def _shared(facts: Sequence[Fact], others: Sequence[Fact], side: int) -> np.ndarray:
    """Trigrams in common of what facts are about and what others are about (0) or say (1), where more, of languages."""
    return np.max(
        [
            shared_trigrams([one.names[code][0] for one in facts], [one.names[code][side] for one in others])
            for code in ("en", "es")
        ],
        axis=0,
    )


def _threshold(own: Sequence[tuple[float, bool]]) -> float:
    values, right = (np.array(side) for side in zip(*own, strict=True))
    return float(max(np.unique(values), key=lambda cut: float(np.mean((values > cut) == right))))


# --- a toy for tests --------------------------------------------------------------------------------------------------


def toy(kind: str, folder: Path) -> None:
    """Save a small untrained encoder, or a causal model."""
    from core.models.architectures import miniature
    from core.models.loading import from_config
    from core.models.scratch import masked_lm
    from core.models.tokenization import train_bpe

    texts = [text for one in statements(part("dev")[:30], "toy") for text in (one.question, *one.essays.values())]
    if kind == "encoder":
        model, tokenizer = masked_lm(texts, pieces=400)
    else:
        tokenizer = train_bpe([*texts, prompt(Answer(texts[0], texts[1]), "training")], 400)
        shape = miniature(len(tokenizer), width=32, layers=2, heads=2, feed_forward=64, positions=512)
        model = from_config(shape, seed=0)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
