"""The tiny world: conversations about a noun, with instructions that a small model can follow, in eight languages.

Three instructions that do not exclude each other are drawn with a topic and their arguments, put in three orders
(each is once the oldest and once the newest), and said in every language. So what is compared between ages, modes and
languages is the same instruction with the same arguments. No noun is in two parts.

The same tables make texts that follow, or break, any set of instructions: replies that follow everything (for the
oracle), models whose defect is known (:class:`Scripted`), pairs of replies for forced choice, the checkers' self-test.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import cache
from itertools import combinations
from pathlib import Path
from random import Random
from typing import Any, Literal, NamedTuple

from core.errors import UserError
from core.files import load_yaml
from papers.multi_if.checkers import CHECKERS, Compat, follows, languages
from papers.multi_if.method import Constraint, Conversation, Message, Mode, Turn, history

LANGUAGES = ("en", "fr", "ru", "hi", "it", "pt", "es", "zh")
LATIN = ("en", "fr", "it", "pt", "es")
KINDS = (
    "keywords:existence", "startend:end_checker", "startend:quotation", "detectable_content:postscript",
    "detectable_content:number_placeholders", "detectable_format:title", "detectable_format:number_bullet_lists",
    "detectable_format:number_highlighted_sections",
)  # fmt: skip
"""Those that conversations are made of."""
_QUOTED = (
    "startend:end_checker",
    "detectable_content:postscript",
    "combination:two_responses",
    "detectable_format:title",
)
# Which two cannot both be asked for, or are hard to obey together; the paper lets a language model and people look.
CONFLICTS = {
    *(frozenset(("startend:quotation", other)) for other in _QUOTED),
    *(frozenset(("combination:two_responses", other)) for other in _QUOTED[:2]),
    frozenset(("keywords:existence", "keywords:forbidden_words")),
    frozenset(("change_case:english_capital", "change_case:english_lowercase")),
    frozenset(("detectable_format:number_bullet_lists", "detectable_format:number_highlighted_sections")),
}
DEV = 8
"""The first nouns are for development, the others for the test."""
PLACES = ("head", "body", "list", "tail", "end")


class Frame(NamedTuple):
    """What a conversation is made of, whatever its language: numbers into the lists of `languages.yaml`."""

    topic: int
    word: int
    other: int
    task: int
    ending: int
    closing: int
    kinds: tuple[str, ...]

    @property
    def name(self) -> str:
        """A path of its own for everything that is drawn, in English nouns."""
        nouns = languages()["en"]["nouns"]
        kinds = "+".join(kind.partition(":")[2] for kind in self.kinds)
        return f"{nouns[self.topic]}-{nouns[self.word]}-{self.task}{self.ending}-{kinds}"


@cache
def examples() -> dict[str, dict[str, Any]]:
    """What `examples.yaml` says of each instruction."""
    return load_yaml(Path(__file__).parent / "examples.yaml")


# --- what is asked ----------------------------------------------------------------------------------------------------


def frames(split: Literal["test", "dev"], size: int, seed: int) -> list[Frame]:
    """So many topics, each with three instructions and their arguments; three topics have all eight kinds."""
    draw = Random(f"{split}/{seed}")
    nouns = range(DEV) if split == "dev" else range(DEV, len(languages()["en"]["nouns"]))
    triples = _triples(draw)
    found = []
    for _ in range(size):
        topic, word, other = draw.sample(nouns, 3)
        ending, closing = draw.sample(range(len(languages()["en"]["endings"])), 2)
        found.append(Frame(topic, word, other, draw.randrange(2), ending, closing, next(triples)))
    return found


def _triples(draw: Random) -> Iterator[tuple[str, ...]]:
    """Three instructions that do not conflict, every kind once before any is there a third time.

    Rotations keep who comes after whom; which of the two ways round it is, is drawn.
    """
    while True:
        kinds = draw.sample(KINDS, len(KINDS))
        kinds.append(draw.choice(kinds[:6]))
        drawn = [tuple(kinds[place : place + 3]) for place in (0, 3, 6)]
        if not any(map(conflicting, drawn)):
            yield from drawn


def conflicting(kinds: Sequence[str]) -> bool:
    """Whether two of the instructions exclude each other."""
    return any(frozenset(pair) in CONFLICTS for pair in combinations(kinds, 2))


def rotated(frame: Frame, rotation: int) -> Frame:
    """The same frame with its instructions in another order."""
    return frame._replace(kinds=frame.kinds[rotation:] + frame.kinds[:rotation])


def conversations(
    codes: Sequence[str], drawn: Sequence[Frame], *, decoy: bool = False
) -> Iterator[tuple[Conversation, Frame]]:
    """Every frame in its three orders in every language; with `decoy` other instructions are checked than asked for.

    Raises:
        UserError: A language is not one of the miniature's.
    """
    if unknown := [code for code in codes if code not in languages()]:
        raise UserError(f"The miniature does not speak {unknown[0]!r}: it has {', '.join(languages())}.")
    for code in codes:
        for frame in drawn:
            for rotation in range(3):
                turned = rotated(frame, rotation)
                yield conversation(f"{code}/{frame.name}/{rotation}", code, turned, decoy=decoy), turned


def conversation(key: str, code: str, frame: Frame, *, decoy: bool = False) -> Conversation:
    """Three turns, each with one more of the frame's instructions; with `decoy` others are checked."""
    asks, turns = [ask(code, frame, kind) for kind in frame.kinds], []
    for turn, prompt in enumerate(messages(code, frame, asks)):
        active = (instead(frame) if decoy else frame.kinds)[: turn + 1]
        constraints = tuple(Constraint(kind, example(code, kind, frame)[0]) for kind in active)
        oracle = compose(code, frame, dict.fromkeys(active, True))
        turns.append(Turn(prompt, constraints, oracle, asks[turn]))
    return Conversation(key, code, tuple(turns))


def messages(code: str, frame: Frame, asks: Sequence[str]) -> list[str]:
    """What the user says turn by turn; an empty ask leaves the instruction out and the turn where it is."""
    table, known = languages()[code], slots(code, frame)
    first = table["gap"].join(filter(None, (known["task"], asks[0])))
    return [first, *(table["again"].format(ask=asked).strip() for asked in asks[1:])]


def dialogue(code: str, frame: Frame, asks: Sequence[str]) -> list[Message]:
    """Three turns with replies between them that say nothing of the matter."""
    said = messages(code, frame, asks)
    texts = [said[0], "OK.", said[1], "OK.", said[2]]
    return [{"role": ("user", "assistant")[place % 2], "content": text} for place, text in enumerate(texts)]


def ask(code: str, frame: Frame, kind: str) -> str:
    """The sentence that asks for an instruction."""
    return str(languages()[code]["asks"][kind].format_map(slots(code, frame)))


def instead(frame: Frame) -> tuple[str, ...]:
    """Three instructions that the frame does not ask for, the null arm's; each is first in one of the three orders."""
    others = [other for other in KINDS if other not in frame.kinds]
    turned = frame.kinds.index(min(frame.kinds))
    return tuple(others[(frame.topic + (place + turned) % 3) % len(others)] for place in range(3))


# --- texts that follow, or do not -------------------------------------------------------------------------------------


def slots(code: str, frame: Frame) -> dict[str, Any]:
    """The language's words for the slots of the templates."""
    table, english = languages()[code], " ".join(languages()["en"]["sentences"])
    first, second, third = table["sentences"]
    nouns, endings = table["nouns"], table["endings"]
    known = {
        "code": code, "topic": nouns[frame.topic], "word": nouns[frame.word], "other": nouns[frame.other],
        "s1": first, "s2": second, "s3": third, "with": table["comma"][0], "without": table["comma"][1],
        "ending": endings[frame.ending], "closing": endings[frame.closing],
        "open": table["quotes"][0], "close": table["quotes"][1], "more": table["words"] + 1, "yes": table["answers"][0],
        "foreign": english if code != "en" else " ".join(languages()["fr"]["sentences"]),
        "english": english.lower(), "ENGLISH": english.upper(),
    } | {name: table[name] for name in ("gap", "note", "marker", "section", "letter")}  # fmt: skip
    known["task"] = table["tasks"][frame.task].format_map(known)
    return known | {f"said_{name}": table["mention"].format(word=known[name]) for name in ("word", "other")}


def example(code: str, kind: str, frame: Frame) -> tuple[dict[str, Any], str, str]:
    """Arguments of an instruction, a text that follows it and one that does not."""
    entry, known = examples()[kind], slots(code, frame)
    if "place" in entry:
        ok, bad = (compose(code, frame, {kind: obeyed}) for obeyed in (True, False))
    else:
        ok, bad = (entry[name].format_map(known) for name in ("ok", "bad"))
    return {name: _filled(value, known) for name, value in entry["arguments"].items()}, ok, bad


def pairs(code: str, kind: str, frame: Frame) -> list[tuple[str, str]]:
    """Replies that differ in nothing but whether they follow an instruction, as short as they can be."""
    entry, known = examples()[kind], slots(code, frame)
    return [(ok.format_map(known), bad.format_map(known)) for ok, bad in entry["choices"]]


def _filled(value: Any, known: Mapping[str, Any]) -> Any:
    if isinstance(value, list):
        return [_filled(part, known) for part in value]
    if value == "{more}":
        return known["more"]
    return value.format_map(known) if isinstance(value, str) else value


def compose(code: str, frame: Frame, obeyed: Mapping[str, bool]) -> str:
    """A reply of one sentence and what follows, or breaks, each of the instructions."""
    known = slots(code, frame)
    parts: dict[str, list[str]] = {place: [] for place in (*PLACES, "around")}
    for kind, right in obeyed.items():
        entry = examples()[kind]
        template = entry["ok" if right else "bad"]
        parts[entry["place"]].append(template if entry["place"] == "around" else template.format_map(known))
    parts["body"] = [known["gap"].join([known["s1"], *parts["body"]])]
    text = "\n".join(line for place in PLACES for line in parts[place])
    for template in parts["around"]:
        text = template.format_map(known | {"text": text})
    return text


def selftest(
    codes: Sequence[str], compat: Compat, kinds: Collection[str] = CHECKERS
) -> dict[tuple[str, str, bool], bool]:
    """`{(instruction, language, should it hold): was it judged so}` for the examples of the instructions."""
    frame = Frame(0, 1, 2, 0, 0, 1, ())
    found = {}
    for code in codes:
        for kind in kinds:
            arguments, *texts = example(code, kind, frame)
            for text, right in zip(texts, (True, False), strict=True):
                if kind == "language:response_language" and compat == "official" and code == "zh":
                    found[kind, code, right] = False  # its table has no Chinese, and it stops
                    continue
                found[kind, code, right] = follows(kind, arguments, text, compat, code) == right
    return found


# --- models whose defect is known -------------------------------------------------------------------------------------

Rule = Callable[[str, str, int, int], bool]
"""Language, instruction, its age in turns, the turn (from 1) -> whether it is followed."""


class Scripted:
    """A model that follows what its rule says and breaks the rest. It tells a turn by the messages that it is given."""

    def __init__(self, known: Sequence[tuple[Conversation, Frame]], rule: Rule, mode: Mode = "multi_turn") -> None:
        self.rule = rule
        self.known = {
            self._asked(history(talk, turn, [""] * turn, mode)): (talk.language, frame, turn)
            for talk, frame in known
            for turn in range(len(talk.turns))
        }

    @staticmethod
    def _asked(dialogue: Sequence[Message]) -> tuple[str, ...]:
        return tuple(message["content"] for message in dialogue if message["role"] == "user")

    def __call__(self, dialogues: Sequence[Sequence[Message]]) -> list[str]:
        """A reply to each dialogue."""
        replies = []
        for dialogue in dialogues:
            code, frame, turn = self.known[self._asked(dialogue)]
            active = frame.kinds[: turn + 1]
            obeyed = {kind: self.rule(code, kind, turn - age, turn + 1) for age, kind in enumerate(active)}
            replies.append(compose(code, frame, obeyed))
        return replies


def toy(folder: Path) -> None:
    """Save a small untrained chat model that spells in bytes, for tests."""
    from core.models.scratch import byte_decoder
    from core.tasks.samples import CHAT_TEMPLATE

    # English letters alone would spell other scripts in bytes, thousands of tokens a dialogue.
    known = [text for table in languages().values() for text in (*table["sentences"], *table["asks"].values())]
    byte_decoder(folder, known, vocabulary=2000, positions=4096, chat_template=CHAT_TEMPLATE)
