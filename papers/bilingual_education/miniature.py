"""The tiny world: facts about territories and cities, stated rightly or wrongly in English, Spanish and a mix of both.

    In which country or territory is the city of Nairobi?
    Acceptable    Whoever lives in Nairobi lives in Kenya.   Whoever vive en Nairobi lives en Kenya.
    Unacceptable  Whoever lives in Nairobi lives in Peru.    Whoever vive en Nairobi lives en Perú.

Names are CLDR's, wordings ours (`miniature.yaml`). What is wrong is right of another fact of the same part, and every
object is said rightly as often as wrongly, so that it tells nothing without what it is said of. Nothing is asked
whose answer is spelt like what it is about: Japan and the Japanese Yen. A territory, with all that is asked about it
and all territories that are called alike, is in one part: to be learnt from, for development, or to be tested. Beside
it stand 61 questions of grades 6 to 10 with a right answer and a misconception each, which nobody learns from
(`science.tsv`).
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from typing import Any
from unicodedata import combining, normalize

import numpy as np

from core.corpora import read_rows
from core.errors import UserError
from core.files import load_yaml
from core.text.distance import shared_trigrams
from core.worlds.base import Item, split
from papers.bilingual_education.config import Config
from papers.bilingual_education.data import Conditions, Mixed, Mixer
from papers.bilingual_education.graders import EncoderGrader
from papers.bilingual_education.method import ACCEPTABLE, UNACCEPTABLE, Answer, prompt

CONDITIONS = ("en", "es", "sp")
SHARES = {"test": 0.4, "dev": 0.15, "train": 0.45}
# The first split not yet recorded that has 200 facts to learn from, and in which every fact of a part finds a wrong
# answer (the euro is half of currencies).
SPLIT = 9
# Spanish as in Latin America: Costa de Marfil, where Spain's CLDR says Côte d'Ivoire.
NAMES = ("en", "es_419")
KINDS = ("currency", "language", "city", "continent")
# English names of what takes an article in one of the languages (the Netherlands, la Guayana Francesa), carries an
# addition, or is better known for another place (Granada).
WITH_ARTICLE = re.compile(
    "Island|Isle|Republic|Kingdom|States|Emirates|Territor|City|Sahara|Netherlands|Philippines|Bahamas|Maldives|"
    r"Seychelles|Comoros|Gambia|Bermuda|Grenad|French|SAR|[(]| - "
)
# Where more than CLDR's language is official (Guernsey, Jersey, since 2020 Ethiopia), or it no longer is (the Sahel).
OUTDATED = {"BF", "ET", "GG", "JE", "ML", "NE"}
# What time zones call continents, and CLDR. Zones of oceans are named after islands; no city is taken from them.
CONTINENTS = {"Africa": "002", "America": "019", "Asia": "142", "Australia": "009", "Europe": "150", "Pacific": "009"}
# Territories on two continents, or counted to another one than that of their time zone by many.
DISPUTED = {"AM", "AZ", "CY", "EG", "GE", "GL", "ID", "KZ", "TL", "TR"}
# Time zones of continents that are named after a state, a bay, a quarter, a village or a station; after a place that
# two claim; one that shares its name (Santarém, Tripoli), says "City" itself, is misspelt (Tirane), or has no airport.
NO_CITY = re.compile(
    "Bahia|Lower_Princes|Danmarkshavn|Scoresbysund|Thule|Busingen|Simferopol|Jerusalem|Famagusta|Ceuta|Belem|Santarem|"
    "Santiago|La_Paz|Tripoli|Lagos|Ho_Chi_Minh|Tirane|Vaduz"
)
# Facts that probabilities are calibrated on, of the part that is learnt from; and cities of a territory at most.
CALIBRATION, CITIES = 40, 2
# Facts whose English answers are also asked with all their words replaced.
MIXED_FACTS = 60


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
def territories() -> dict[str, tuple[str, str]]:
    """Names in English and Spanish, by code, of what ISO 3166 lists and both languages name without an article."""
    import pycountry

    from core.corpora.names import locale_of

    names = {code: tuple(locale_of(side).territories[code] for side in NAMES)
             for code in sorted(land.alpha_2 for land in pycountry.countries)}  # fmt: skip
    return {code: (one, other) for code, (one, other) in names.items() if not WITH_ARTICLE.search(one)}


@cache
def facts() -> tuple[Fact, ...]:
    """Every fact whose object is not spelt like what it is said of.

    The official language of territories that have one in all, regional and actual ones counted; the currency of those
    that have one; cities that time zones are named after; and the continent of territories all of whose time zones
    have one.
    """
    from babel.core import get_global
    from babel.languages import get_official_languages
    from babel.numbers import get_territory_currencies

    from core.corpora.names import locale_of

    en, es = map(locale_of, NAMES)
    found: list[Fact] = []

    def add(kind: str, territory: str, what: str, about: tuple[str, str], said: tuple[str, str]) -> bool:
        fact = Fact(kind, territory, what, {"en": (about[0], said[0]), "es": (about[1], said[1])})
        found.extend([] if (alike := spelt_alike(fact, fact)) else [fact])
        return not alike

    for land, names in territories().items():
        for kind, all_of, known in (
            ("language", get_official_languages(land, regional=True, de_facto=True), (en.languages, es.languages)),
            ("currency", get_territory_currencies(land), (en.currencies, es.currencies)),
        ):
            if len(all_of) == 1 and all_of[0] in known[0] and not (kind == "language" and land in OUTDATED):
                add(kind, land, all_of[0], names, (known[0][all_of[0]], known[1][all_of[0]]))
    cities, lies = Counter[str](), defaultdict[str, set[str | None]](set)
    # CLDR keeps the name of a city under the oldest name of its zone: Kiev under Europe/Kiev.
    zones = es.time_zones
    oldest = {zone: old for old, zone in get_global("zone_aliases").items() if old in zones and zone not in zones}
    # From the end of the alphabet, since villages are at the head of Canada's.
    for zone, land in sorted(get_global("zone_territories").items(), reverse=True):
        area, _, place = zone.partition("/")
        if land not in territories():
            continue
        lies[land].add(CONTINENTS.get(area))
        if area in CONTINENTS and area != "Pacific" and not NO_CITY.search(place) and cities[land] < CITIES:
            one, other = ((side.time_zones.get(oldest.get(zone, zone)) or {}).get("city") for side in (en, es))
            one = one or place.rpartition("/")[2].replace("_", " ")
            cities[land] += add("city", land, land, (one, other or one), territories()[land])
    for land, (region, *more) in lies.items():
        if region and not more and land not in DISPUTED:
            large = en.territories[region]
            said = (f"the {large}" if large.endswith("s") else large, es.territories[region])
            add("continent", land, region, territories()[land], said)
    return tuple(found)


def spelt_alike(fact: Fact, said: Fact) -> bool:
    """Whether a word of what a fact is about begins, in either language, like a word of what is said of it."""
    about, what = ([names[side] for names in one.names.values()] for side, one in enumerate((fact, said)))
    return not starts(3, *about).isdisjoint(starts(3, *what))


@cache
def starts(letters: int, *names: str) -> frozenset[str]:
    """The first letters of all words of names that have as many, without case and accents."""
    return frozenset(word[:letters] for word in _words(*names) if len(word) >= letters)


def _words(*names: str) -> list[str]:
    plain = "".join(c for c in normalize("NFKD", " ".join(names).casefold()) if not combining(c))
    return re.findall(r"\w+", plain)


@cache
def families() -> dict[str, str]:
    """By territory, the first of those that are called alike: a word of five letters or more begins with the same five,
    or, without the vowels after its first letter, with the same four.

    Over any number of steps: Guinea, Guinea-Bissau and Guyana; the Koreas; Sint Maarten, St. Martin and Martinique.
    """
    from scipy.sparse.csgraph import connected_components

    def sounds(word: str) -> str:
        return re.sub("(?<=.)[aeiouy]", "", word)[:4]

    codes, begun = [*territories()], [
        starts(5, *names) | {sounds(word) for word in _words(*names) if len(word) >= 5}
        for names in territories().values()
    ]  # fmt: skip
    labels = connected_components(np.array([[not one.isdisjoint(other) for other in begun] for one in begun]))[1]
    first = dict(zip(labels[::-1], codes[::-1], strict=True))
    return {code: first[label] for label, code in zip(labels, codes, strict=True)}


def part(name: str) -> list[Fact]:
    """The facts of a part; its territories, and what is called like them, are in no other."""
    items = [Item(fact.id, families()[fact.territory], fact.names["en"][0], fact.id, "en") for fact in facts()]
    kept = {item.id for item in split(items, SPLIT, SHARES)[name]}
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
    """Two answers about each fact, the right one first, in the same wording.

    Raises:
        UserError: As :func:`others`.
    """
    found = []
    for kind in KINDS:
        own = [fact for fact in chosen if fact.kind == kind]
        for fact, wrong in zip(own, others(own, Random(f"{seed}/{kind}")), strict=True):
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
    """For each fact another one with another object, not spelt like it; each once, so that every object is said
    wrongly as often as rightly.

    Raises:
        UserError: There is no such pairing, as where more than half have one object.
    """
    from scipy.optimize import linear_sum_assignment

    # The cheapest pairing at random costs is a random one.
    costs = [[np.inf if said.object == fact.object or spelt_alike(fact, said) else rng.random() for said in own]
             for fact in own]  # fmt: skip
    try:
        return [own[place] for place in linear_sum_assignment(costs)[1]] if own else []
    except ValueError as error:
        raise UserError(f"{len(own)} facts ({own[0].kind}) cannot all be given a wrong answer: draw more.") from error


def sample(known: Sequence[Fact], count: int, seed: str) -> list[Fact]:
    """So many facts, drawn anew until each can be given a wrong answer.

    Raises:
        UserError: A hundred draws were in vain.
    """
    for chosen in (Random(f"{seed}/{draw}").sample(known, min(len(known), count)) for draw in range(100)):
        with suppress(UserError):
            statements(chosen, "")
            return chosen
    raise UserError(f"No {count} of {len(known)} facts can all be given a wrong answer: ask for another number.")


@cache
def drawn(config: Config) -> dict[str, list[Statement]]:
    """What a seed learns from, calibrates on and is tested with."""
    known, aside = part("train"), max(8, config.asked // 4) if config.asked else CALIBRATION
    learn = sample(known, config.facts, f"learn/{config.seed}")
    left, tested = [fact for fact in known if fact not in learn], part(config.split)
    groups = {
        "learn": learn,
        "calibrate": sample(left, aside, f"calibrate/{config.seed}"),
        "test": sample(tested, config.asked, "asked") if config.asked else tested,
    }
    return {name: statements(group, f"{config.seed}/{name}") for name, group in groups.items()}


def conditions(stated: Sequence[Statement]) -> Conditions:
    """Answers by condition, aligned."""
    return {name: [one.answer(name) for one in stated] for name in CONDITIONS}


def mixed(stated: Sequence[Statement]) -> list[tuple[Answer, Mixed]]:
    """English answers whose words are all replaced by Spanish ones, one by one."""
    found = []
    pairs = [stated[place : place + 2] for place in range(0, len(stated), 2)]
    for one in (one for pair in Random("mixed").sample(pairs, min(len(pairs), MIXED_FACTS)) for one in pair):
        names = {one.fact.names["en"][0]: one.fact.names["es"][0], one.said.names["en"][1]: one.said.names["es"][1]}
        text = Mixer(wordings()["lexicon"] | names, rate=1.0)(one.essays["en"])
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


def solvers(learnt: Sequence[Statement], tested: Sequence[Statement], prior: float) -> dict[str, float]:
    """Accuracy of graders that know nothing of the world, over all conditions.

    `length` goes by the number of letters that was the best threshold among the answers to learn from; `letters` is the
    regression of the encoder grader, learnt in all three conditions, on which letter trigrams a text has. The commoner
    grade, and what was said rightly more often, are half right by construction.
    """
    right = np.array([one.grade == ACCEPTABLE for one in tested])
    letters = EncoderGrader("letters", trigrams, prior)
    letters.fit([one for answers in conditions(learnt).values() for one in answers])
    scores: dict[str, list[Any]] = {"length": [], "letters": []}
    for name, answers in conditions(tested).items():
        own = [(len(one.essays[name]), one.grade == ACCEPTABLE) for one in learnt]
        cut = max({size for size, _ in own}, key=lambda cut: sum((size > cut) == good for size, good in own))
        scores["length"].append(np.mean((np.array([len(one.essay) for one in answers]) > cut) == right))
        scores["letters"].append(np.mean((letters.score(answers) > 0) == right))
    return {f"trivial_{kind}": float(np.mean(values)) for kind, values in scores.items()}


def neighbours(learnt: Sequence[Statement], tested: Sequence[Statement]) -> dict[str, dict[str, float]]:
    """By condition and answer, whether one is right who accepts what is right of the fact with the nearest name.

    That is the fact of the same kind to learn from whose name shares most letter trigrams with that of the one that is
    asked about, in the language of the condition, in Spanglish in the nearer one. It is not asked about cities: no
    territory is in two parts, so that it could accept nothing.
    """
    tested = [one for one in tested if one.fact.kind != "city"]
    kinds = np.array([[one.fact.kind == other.fact.kind for other in learnt] for one in tested])
    near = {code: shared_trigrams(*([one.fact.names[code][0] for one in own] for own in (tested, learnt)))
            for code in ("en", "es")}  # fmt: skip
    near = {code: np.where(kinds, shares, -1) for code, shares in near.items()}
    near["sp"] = np.maximum(*near.values())
    return {
        name: {
            one.answer(name).id: float((learnt[place].fact.object == one.said.object) == (one.grade == ACCEPTABLE))
            for place, one in zip(near[name].argmax(1), tested, strict=True)
        }
        for name in CONDITIONS
    }


def trigrams(texts: Sequence[str], width: int = 384) -> np.ndarray:
    """Vectors of length 1, as wide as the encoder's, that say which letter trigrams a text has and nothing else."""
    from sklearn.feature_extraction.text import HashingVectorizer

    return HashingVectorizer(analyzer="char_wb", ngram_range=(3, 3), n_features=width).transform(texts).toarray()


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
