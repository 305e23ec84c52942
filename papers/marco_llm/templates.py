r"""Parallel text as text: the eleven templates of the paper's Table 13.

    render_parallel([("Good morning", "Guten Morgen")], "English", "German")
    # ["Translate the text from English to German:\nEnglish text: Good morning\nGerman text: Guten Morgen"]

The loss of pre-training is on all tokens of such a text. To ask a base model for a translation, `prompt` stops where
the translation begins.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from typing import Literal

from core.errors import UserError

Letter = Literal["A", "B", "C", "D", "E", "F", "G", "H", "I", "J", "K"]
Direction = Literal["random", "forward", "both"]
Pair = tuple[str, str]

TEMPLATES: dict[Letter, str] = {
    "A": "{src} phrase: {S}\n{tgt} phrase: {T}",
    "B": "{src} text: {S}\n{tgt} text: {T}",
    "C": "Translate the text from {src} to {tgt}:\n{src} text: {S}\n{tgt} text: {T}",
    "D": "Translate the words from {src} to {tgt}:\n{src} words: {S}\n{tgt} words: {T}",
    "E": "Convert the phrase from {src} to {tgt}:\n{src} phrase: {S}\n{tgt} phrase: {T}",
    "F": "Render the {src} sentence {S} to {tgt}: {T}",
    "G": "Provide the translation of the sentence {S} from {src} to {tgt}: {T}",
    "H": "Change the phrase {S} to {tgt}, the translated phrase is: {T}",
    "I": "Please change the sentence {S} to {tgt}, and the resulting translation is: {T}",
    "J": "Change the phrase {S} to {tgt}, resulting in: {T}",
    "K": "The sentence {S} in {src} means {T} in {tgt}",
}


def render(template: str, src_name: str, tgt_name: str, source: str, target: str) -> str:
    """One pair in one of the eleven templates.

    Raises:
        UserError: Unknown template.
    """
    if template not in TEMPLATES:
        raise UserError(f"There is no template {template!r}: choose of {', '.join(TEMPLATES)}.")
    return TEMPLATES[template].format(src=src_name, tgt=tgt_name, S=source, T=target)


def render_parallel(
    pairs: Iterable[Pair],
    src_name: str,
    tgt_name: str,
    templates: Sequence[str] = tuple(TEMPLATES),
    seed: int = 0,
    direction: Direction = "random",
) -> list[str]:
    """Bitext as pre-training text: each pair in a template drawn uniformly.

    Args:
        pairs: (sentence, translation).
        src_name: Name of the first language, as the text says it ("English").
        tgt_name: Name of the second.
        templates: Letters to draw from (the paper's Table 13: all).
        seed: Of the draws.
        direction: `random` turns each pair around with probability 1/2 (not stated; inferred), `both` gives both
            directions, `forward` the given one.
    """
    draw = random.Random(seed)
    texts = []
    for source, target in pairs:
        sides = [(src_name, tgt_name, source, target), (tgt_name, src_name, target, source)]
        if direction == "random":
            sides = [sides[draw.random() < 0.5]]
        elif direction == "forward":
            sides = sides[:1]
        texts += [render(draw.choice(list(templates)), *side) for side in sides]
    return texts


def render_alone(name: str, text: str) -> str:
    """A sentence of one language, labelled as in template B but without its translation (a control)."""
    return f"{name} text: {text}"


def prompt(template: str, src_name: str, tgt_name: str, source: str) -> str:
    """The question that a base model completes: the template up to where the translation stands.

    Raises:
        UserError: Unknown template, or K, which goes on after the translation.
    """
    if template == "K":
        raise UserError("Template K does not end with the translation: ask with another one.")
    return render(template, src_name, tgt_name, source, "").rstrip(" ")
