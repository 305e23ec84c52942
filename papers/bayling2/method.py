"""BayLing 2: align languages by the data alone, with a star of translation instructions around two pivot languages.

Task instructions are plentiful in the pivots (English, Chinese) and missing elsewhere. The training set is

    D = D_en + D_zh + D_x,     D_x = {translate p -> x, x -> p : p a pivot, x another language} + {en <-> zh}     (1, 2)

shuffled together, and training is one run of ordinary instruction tuning with the loss on the responses,

    L = - sum_t log p(y_t | y_<t, instruction).                                                                   (3)

There is no alignment loss. The edges of the star (`star_edges`), their translation tasks as plain instructions
(`cross_lingual_block`), the mixture by shares (`mix_blocks`) and one run on it (`tune`) are all.

    translations = cross_lingual_block([Bitext("sw", "en", pairs), Bitext("sw", "zh", others)], ["en", "zh"])
    rows = mix_blocks({"en": english, "zh": chinese, "xling": translations}, {"en": .262, "zh": .432, "xling": .306})
    tune(model, chat_rows(tokenizer, [row["messages"] for row in rows]), settings, run, seed=0)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any

from core.errors import UserError
from core.tasks.samples import dialogue
from core.text import sampling
from core.text.languages import name as language_name
from papers.bayling2.config import WORDINGS

if TYPE_CHECKING:
    from core.experiment.run import Run
    from core.training.config import TrainingConfig
    from core.training.fit import FitResult

Row = dict[str, Any]
Name = Callable[[str, str], str]
XLING = "xling"


@dataclass(frozen=True)
class Bitext:
    """Sentences of one spoke of the star (or of the axis between two pivots): rows with both codes as keys."""

    language: str
    pivot: str
    rows: Sequence[Mapping[str, Any]]


def star_edges(parallel: Sequence[Bitext], pivots: Sequence[str]) -> dict[str, list[tuple[str, str, Bitext]]]:
    """Edges of the star, in both directions: `{spoke: [(source, target, bitext), ...]}`; that of two pivots is `en-zh`.

    Raises:
        UserError: A bitext that does not touch a pivot: the star has no edges between other languages.
    """
    edges: dict[str, list[tuple[str, str, Bitext]]] = {}
    for bitext in parallel:
        if bitext.pivot not in pivots or bitext.language == bitext.pivot:
            raise UserError(
                f"The parallel text {bitext.language}-{bitext.pivot} is no edge of a star around {', '.join(pivots)}: "
                "name a pivot as its second language."
            )
        axis = bitext.language in pivots
        spoke = edges.setdefault("-".join(sorted((bitext.language, bitext.pivot))) if axis else bitext.language, [])
        spoke += [(bitext.language, bitext.pivot, bitext), (bitext.pivot, bitext.language, bitext)]
    return edges


def cross_lingual_block(
    parallel: Sequence[Bitext], pivots: Sequence[str], *, per_language: int = 0,
    wordings: Mapping[str, Sequence[str]] = WORDINGS, name: Name = language_name, seed: int = 0,
) -> list[Row]:  # fmt: skip
    """D_x: translation tasks along the edges of the star, asked for in either pivot whatever the pair.

    Args:
        parallel: Bitexts between pivots and other languages, and between pivots.
        pivots: The hubs.
        per_language: At most so many examples per spoke, drawn from all its pivots and directions; 0 = all.
        wordings: By request language, with `{text}`, `{target}` and optionally `{source}`.
        name: See :func:`cross_lingual_request`.
        seed: Of the draws. A spoke's draws do not depend on the other spokes, nor on `per_language`: a smaller budget
            is a subset of a larger one.

    Raises:
        UserError: No wording in any pivot, or a bitext outside the star.
    """
    asked = [pivot for pivot in pivots if wordings.get(pivot)]
    if not asked:
        raise UserError(
            f"There are no request wordings in {', '.join(pivots)}: add a pivot of {', '.join(wordings) or 'another'}, "
            "or hand wordings to cross_lingual_block(wordings=...)."
        )
    rows = []
    for spoke, edges in star_edges(parallel, pivots).items():
        random = Random(f"{seed}/{spoke}")
        examples = [(source, target, pair) for source, target, bitext in edges for pair in bitext.rows]
        random.shuffle(examples)
        for number, (source, target, pair) in enumerate(examples[: per_language or None]):
            pivot = random.choice(asked)
            request = cross_lingual_request(pair[source], source, target, random.choice(wordings[pivot]), pivot, name)
            about = {"block": XLING, "source": source, "target": target, "key": f"{spoke}/{number}"}
            rows.append(instruction(request, pair[target], **about))
    return rows


def cross_lingual_request(
    text: str, source: str, target: str, wording: str, request_language: str = "en", name: Name = language_name
) -> str:
    """A translation task as a plain instruction, answered by the bare translation.

    `name` gives what stands for a language: (code, language of the request) -> its name, by default CLDR's.
    """
    return wording.format(text=text, source=name(source, request_language), target=name(target, request_language))


def instruction(request: str, response: str, *, block: str, source: str, target: str = "", key: str = "") -> Row:
    """One single-turn example; `source` is the language of the text, `target` of the response where it is another."""
    about = {"block": block, "source": source, "target": target or source, "key": key}
    return {"messages": dialogue(request, response), **about}


def mix_blocks(
    blocks: Mapping[str, Sequence[Row]], shares: Mapping[str, float], *, total: int = 0, seed: int = 0
) -> list[Row]:
    """Draw from every block by its share and shuffle everything together: one stage, no curriculum.

    Args:
        blocks: Examples by block.
        shares: Weights of the blocks that take part; they need not sum to 1. The paper's ablation has no `xling`.
        total: Size of the mixture; a block smaller than its part is repeated, evenly. 0 = as large as possible without
            repeating an example.
        seed: Of draws and order.

    Raises:
        UserError: A share for a block that is empty or not there, or no positive share.
    """
    wanted = {name: share for name, share in shares.items() if share > 0}
    if not wanted:
        raise UserError("The mixture is empty: give at least one block a positive share.")
    if empty := [name for name in wanted if not blocks.get(name)]:
        raise UserError(f"The block {empty[0]!r} has a share of {wanted[empty[0]]:g} but no examples: add some.")
    whole = sum(wanted.values())
    total = total or int(min(len(blocks[name]) * whole / share for name, share in wanted.items()))
    # Weights as whole millionths, so that the parts add up to the total exactly.
    sizes = sampling.allocate({name: round(1e6 * share / whole) for name, share in wanted.items()}, total)
    mixture: list[Row] = []
    for name, size in sizes.items():
        mixture += sampling.repeated(blocks[name], size.draws, Random(f"{seed}/{name}"))
    Random(seed).shuffle(mixture)
    return mixture


def tune(model: Any, rows: Any, settings: TrainingConfig, run: Run, seed: int) -> FitResult:
    """One stage on everything together, with the loss on the responses (3).

    `rows` are those of :func:`core.models.tokenization.chat_rows`: the labels of all other tokens are masked.
    """
    from core.training.fit import fit
    from core.training.losses import causal_lm_loss

    return fit(model, rows, settings, run, loss_fn=causal_lm_loss, seed=seed)
