r"""Parallel text as text: the eleven templates of the paper's Table 13, and the pairs that are written out in them.

    render_parallel([("Good morning", "Guten Morgen")], "English", "German", ["C"])
    # ["Translate the text from English to German:\nEnglish text: Good morning\nGerman text: Guten Morgen"]

The loss of pre-training is on all tokens of such a text. To ask a base model for a translation, `prompt` stops where
the translation begins.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from functools import cache, partial

from core.corpora import filtering
from core.corpora.filtering import Pair
from core.errors import UserError
from core.text.languages import name as language_name
from papers.marco_llm.config import TEMPLATES, Config


def render(template: str, src_name: str, tgt_name: str, source: str, target: str) -> str:
    """One pair in one of the eleven templates.

    Raises:
        UserError: Unknown template.
    """
    if template not in TEMPLATES:
        raise UserError(f"There is no template {template!r}: choose of {', '.join(TEMPLATES)}.")
    return TEMPLATES[template].format(src=src_name, tgt=tgt_name, S=source, T=target)


def render_parallel(
    pairs: Iterable[Pair], src_name: str, tgt_name: str, templates: Sequence[str] = tuple(TEMPLATES), seed: int = 0
) -> list[str]:
    """Bitext as pre-training text: each pair in a template and a direction drawn uniformly (inferred; not stated).

    The languages are named as the text names them ("English"); templates by their letters, all in the paper.

    Raises:
        UserError: Unknown template, or none.
    """
    if not templates:
        raise UserError(f"No template to draw from: name some of {', '.join(TEMPLATES)}.")
    draw, texts = random.Random(seed), []
    for source, target in pairs:
        sides = [(src_name, tgt_name, source, target), (tgt_name, src_name, target, source)]
        side = sides[draw.random() < 0.5]
        texts.append(render(draw.choice(list(templates)), *side))
    return texts


def prompt(template: str, src_name: str, tgt_name: str, source: str) -> str:
    """The question that a base model completes: the template up to where the translation stands.

    Raises:
        UserError: Unknown template, or K, which goes on after the translation.
    """
    if template == "K":
        raise UserError("Template K does not end with the translation: ask with another one.")
    return render(template, src_name, tgt_name, source, "").rstrip(" ")


def prepared(
    pairs: Sequence[Pair], languages: tuple[str, str], config: Config, identify: filtering.Identify | None = None
) -> tuple[list[Pair], dict[str, int]]:
    """Pairs as a configuration wants them (spoilt, filtered, shuffled), and what the filter rejected."""
    draw = random.Random(f"{config.seed}/{'-'.join(languages)}")
    found = filtering.spoilt(pairs, config.noise, draw)
    rejected: dict[str, int] = {}
    if config.parallel == "filtered":
        report = filtering.filter_parallel(
            found, languages=languages, identify=identify, similarity=similarity(config.similarity),
            threshold=config.threshold,
        )  # fmt: skip
        found, rejected = report.kept, report.rejected
    if config.pairs == "shuffled":
        targets = [target for _, target in found]
        draw.shuffle(targets)
        found = [(source, target) for (source, _), target in zip(found, targets, strict=True)]
    return found, rejected


@cache
def similarity(name: str) -> filtering.Similarity:
    """Similarity of two sentences by name: `alignment`, or an encoder's hub id, folder or wheel."""
    from core.models.embedding import cosines, load_encoder

    return filtering.alignment_similarity() if name == "alignment" else partial(cosines, load_encoder(name))


def rendered(pairs: Sequence[Pair], languages: tuple[str, str], config: Config, copies: int = 1) -> list[str]:
    """Pairs as text, each `copies` times, in templates and directions of its own."""
    names = language_name(languages[0]), language_name(languages[1])
    return [text for copy in range(copies) for text in render_parallel(pairs, *names, seed=config.seed * 1000 + copy)]
