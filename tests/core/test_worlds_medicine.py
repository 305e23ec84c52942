"""The medical world: complete, one to one in both languages, and no wording of one part in another."""

from __future__ import annotations

import pytest

from core.errors import UserError
from core.worlds import medicine
from core.worlds.base import split, trivial


def test_the_table_is_complete_and_bilingual() -> None:
    known = medicine.conditions()
    assert len(known) == len({one.id for one in known}) == 98
    for code in medicine.LANGUAGES:
        assert len({one.name[code] for one in known}) == 98
        assert len({one.answer[code, "sign"] for one in known}) == 98, "each sign is one condition's"
    organs = {(one.answer["en", "organ"], one.answer["ar", "organ"]) for one in known}
    assert len(organs) == len({en for en, _ in organs}) == len({ar for _, ar in organs}) == 17
    for one in known:
        texts = [*one.name.items(), *((code, answer) for (code, _), answer in one.answer.items())]
        for code, text in texts:
            assert text == text.strip()
            assert all("\u0600" <= c <= "\u06ff" or c == " " for c in text) == (code == "ar"), text


def test_wordings_share_no_question_and_the_world_splits() -> None:
    for kinds in zip(*(frames.items() for frames in medicine.QUESTIONS.values()), strict=True):
        assert len({(kind, len(frames)) for kind, frames in kinds}) == 1, "paired over languages by their number"
    assert len(medicine.QUESTIONS["ar", "sign"]["test"]) == 8
    asked = [item.prompt for kind in medicine.QUESTIONS["en", "sign"] for item in medicine.questions(wording=kind)]
    asked += [item.prompt for item in medicine.statements()]
    assert len(asked) == len(set(asked)) == 98 * 2 * 2 * (4 + 6 + 4 + 8 + 4)
    items = [item for item in medicine.questions() if item.language == "ar"]
    parts = split(items, seed=0)
    reached = trivial(parts["train"], parts["test"])
    assert reached["lookup"] == reached["symmetric"] == 0
    assert max(reached.values()) < 0.1


def test_texts_about_a_fact() -> None:
    item = medicine.questions(("en",))[6]
    assert (item.cls, medicine.relation(item), item.answer) == ("asthma", "organ", "the lungs")
    turns = medicine.dialogue(item)
    assert len(turns) == 4
    assert turns[0] == "I was told I have asthma."
    assert item.answer in turns[-1]
    told = [one for one in medicine.statements(("ar",)) if one.cls == "asthma"]
    assert len(told) == 8
    assert all("الربو" in one.prompt for one in told)
    assert ("asthma", "الربو") in medicine.glossary()
    with pytest.raises(UserError, match="no medical knowledge in 'fr'"):
        medicine.questions(("fr",))


def test_parts_are_disjoint_and_six_seeds_test_each_condition_once() -> None:
    tested: list[str] = []
    for seed in range(12, 12 + medicine.FOLDS):
        parts = medicine.parts(seed)
        assert sum(map(len, parts.values())) == len(set.union(*parts.values())) == 98
        assert parts["dev"] == medicine.parts(0)["dev"]
        tested += parts["test"]
    assert len(tested) == len(set(tested)) == 61
