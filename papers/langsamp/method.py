"""LangSAMP: tell the head of a masked language model the language and the script, and the encoder need not know them.

Encoders without language embeddings read any text, but their states must carry "which language am I in" through all
layers, since the head has to choose a word of the right one. LangSAMP adds language and script vectors after the last
layer, on the way into the head and nowhere else,

    H = f(x),   F_t = H_t + E_L[l] + E_S[s],                                                                    (1)
    p(x_t) = softmax(W LN(gelu(A F_t + a)) + b),                                                                (2)
    L = - mean over masked t of log p(x_t),                                                                     (3)

with one language l and one script s a chunk of text. The head is thrown away afterwards, and the vectors with it: what
remains is an ordinary encoder, which needs no ids. The rows of E_L are a by-product: languages whose rows are alike
are good sources of transfer to each other,

    donor(l) = argmax_{k in candidates} cos(E_L[l], E_L[k]).                                                    (4)

    attach(model, Tables(width, languages, scripts))       # any *ForMaskedLM of transformers
    train(model, rows, ...)                                # rows with the numbers of their language and script
    tables = detach(model)                                 # the model is what it was, with other weights
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from core.models.loading import unwrapped
from core.training.losses import Loss
from core.training.masking import masked_lm_loss
from papers.langsamp.config import Place

if TYPE_CHECKING:
    from core.experiment.run import Run
    from core.training.config import TrainingConfig
    from core.training.fit import FitResult
    from papers.langsamp.data import Chunks, Row

Ids = Int[Tensor, " row"] | Int[Tensor, "row token"]


class Tables(nn.Module):
    """E_L and E_S.

    Args:
        width: Of the encoder's states.
        languages: Names of the rows of E_L (ISO 639-3 in the paper); none leaves the table out.
        scripts: Names of the rows of E_S (ISO 15924); none leaves the table out.
        place: `head` is the method; `input` adds the vectors to the word embeddings too, so that the encoder is told
            as well and has to be told ever after (the paper's ablation; its code adds them in both places).
        std: Spread of the initial values (the initialiser of the official code).
    """

    def __init__(
        self, width: int, languages: Sequence[str], scripts: Sequence[str], *, place: Place = "head", std: float = 0.02
    ) -> None:
        super().__init__()
        self.languages, self.scripts, self.place = tuple(languages), tuple(scripts), place
        self.language, self.script = (
            nn.Embedding(len(names), width, _weight=torch.randn(len(names), width) * std) if names else None
            for names in (self.languages, self.scripts)
        )

    def forward(self, languages: Ids, scripts: Ids) -> Float[Tensor, "row token width"]:
        """E_L[l] + E_S[s], one vector a row (then `token` is 1) or one a token."""
        tables = [
            table(ids) for table, ids in ((self.language, languages), (self.script, scripts)) if table is not None
        ]
        added: Tensor = sum(tables[1:], tables[0])
        return added if added.dim() == 3 else added[:, None]


def attach(model: Any, tables: Tables) -> None:
    """Make the tables part of a masked language model, so that they are trained, moved and saved with it."""
    unwrapped(model).langsamp = tables.to(unwrapped(model).device)


def detach(model: Any) -> Tables:
    """Take the tables out: what remains is the model that it was, with other weights."""
    tables: Tables = unwrapped(model).langsamp
    del unwrapped(model).langsamp
    return tables


@contextmanager
def told(model: Any, added: Float[Tensor, "row token width"], place: Place = "head") -> Iterator[None]:
    """While it lasts, `added` joins the encoder's last states on the way into the head (equation 1).

    The states that the model hands out as `hidden_states` stay without.
    """

    def into_head(_: nn.Module, __: Any, output: Any) -> Any:
        output["last_hidden_state"] = output["last_hidden_state"] + added
        return output

    lm = unwrapped(model)
    hooks = [lm.base_model.register_forward_hook(into_head)]
    if place == "input":
        hooks.append(lm.get_input_embeddings().register_forward_hook(lambda _, __, words: words + added))
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def langsamp_loss(model: Any, batch: Mapping[str, Any]) -> Loss:
    """Equation (3); without tables that of plain masked language modelling, the paper's baseline.

    Args:
        model: A masked language model, with or without :func:`attach`.
        batch: Of `core.training.masking.Masking`, with `languages` and `scripts`: the row of its table for each text.
    """
    tables: Tables | None = getattr(unwrapped(model), "langsamp", None)
    masked = {name: value for name, value in batch.items() if name not in ("languages", "scripts")}
    if tables is None:
        return masked_lm_loss(model, masked)
    with told(model, tables(batch["languages"], batch["scripts"]), tables.place):
        return masked_lm_loss(model, masked)


def train(
    model: Any, rows: Sequence[Row], chunks: Chunks, settings: TrainingConfig, run: Run, seed: int, name: str
) -> FitResult:
    """Continued pre-training: masked words of chunks of one language each, encoder, head and tables together."""
    from core.training.fit import fit

    return fit(model, rows, settings, run, collate=chunks, loss_fn=langsamp_loss, seed=seed, name=name)


def similarity(table: Float[Tensor, "name width"]) -> Float[Tensor, "name name"]:
    """Cosines between the rows of a table: the map of languages."""
    unit = F.normalize(table.detach().float(), dim=-1)
    return unit @ unit.T


def donors(tables: Tables, target: str, candidates: Sequence[str], k: int = 1) -> list[str]:
    """The k candidates whose language vectors are most like the target's, best first (equation 4).

    Raises:
        ValueError: A name without a row.
    """
    names = tables.languages
    if absent := [name for name in (target, *candidates) if name not in names]:
        raise ValueError(f"{absent[0]!r} has no row in the table of languages: it has {', '.join(names)}.")
    assert tables.language is not None
    alike = similarity(tables.language.weight)[names.index(target)]
    return sorted((name for name in candidates if name != target), key=lambda name: -alike[names.index(name)])[:k]
