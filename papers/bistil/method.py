"""BiStil: distil a bilingual model out of a multilingual one, then fit it sparsely to a task.

A multilingual encoder T is wasteful where one target language is wanted, with task data in one source language.
Trimmed to the tokens v of the two languages' text (q is a token's share of its language's text),

    keep v  iff  max(q_source(v), q_target(v)) >= threshold,                                                    (1)

every r-th of its layers makes a student S, layer i of S being layer r(i+1)-1 of T, counted from 0. Phase one lets S
imitate T on plain text of both languages, hidden states (h_0 are the embeddings) and attention probabilities alike:

    L_hidden = 1/(L_S+1) sum_{i=0..L_S} MSE(h^S_i, h^T_{ri}),
    L_attn = 1/L_S sum_{i=1..L_S} MSE(a^S_i, a^T_{ri}),                                                         (2)
    L_general = L_hidden + L_attn.                                                                              (3)

Phase two has T fine-tuned to the task as the teacher, on source-language task data, with no gold label:

    L_ce = - mean over positions of softmax(t/tau) . log softmax(s/tau),    L_task = L_hidden + L_attn + L_ce,   (4)

and trains S sparsely (LT-SFT): train all of S; keep the places of the encoder that moved most, one threshold for all,

    m = [ |theta - theta_0| >= its k-th largest value ],   k = density * N;                                     (5)

rewind everything; train again where m is 1, and the head. The sparse theta - theta_0 is all that a task costs.

    small = student(model, factor=2)                       # drop layers; train with general_loss: phase one
    change = sparse_tuning(small, train, density=0.08)     # train with task_loss: phase two
    with applied(small, change): ...                       # one student, several tasks
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from core.models.loading import unwrapped
from core.training.losses import IGNORED, Loss
from papers.bistil.sparse import Change, Masks, Weights, change, encoder_names, only, put, weights

Batch = Mapping[str, Tensor]
INPUTS = ("input_ids", "attention_mask", "token_type_ids")


class Seen(NamedTuple):
    """What a model makes of a batch: L+1 hidden states, L attention maps, logits where a head was run."""

    hidden: Sequence[Float[Tensor, "row token width"]]
    attention: Sequence[Float[Tensor, "row head query key"]]
    logits: Tensor | None = None


Teacher = Callable[[Batch], Seen]


# --- trimming and the student ---------------------------------------------------------------------------------------


def kept_tokens(tokenizer: Any, corpora: Iterable[Iterable[str]], threshold: float = 1e-6) -> set[int]:
    """Equation (1): ids whose share of one of the corpora reaches the threshold; special tokens are not counted."""
    kept: set[int] = set()
    for texts in corpora:
        counts = Counter(token for text in texts for token in tokenizer(text, add_special_tokens=False)["input_ids"])
        kept |= {token for token, count in counts.items() if count >= threshold * counts.total()}
    return kept


def student(teacher: Any, factor: int = 2) -> Any:
    """A copy with layers r-1, 2r-1, ... of the teacher's, and without dropout; embeddings and head are copied too."""
    small = copy.deepcopy(teacher)
    depth = small.config.num_hidden_layers
    for module in list(small.base_model.modules()):
        for name, layers in module.named_children():
            if isinstance(layers, nn.ModuleList) and len(layers) == depth:
                setattr(module, name, nn.ModuleList(layers[factor - 1 :: factor]))
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    small.config.num_hidden_layers = depth // factor
    for name in ("hidden_dropout_prob", "attention_probs_dropout_prob"):
        if hasattr(small.config, name):
            setattr(small.config, name, 0.0)
    return small


# --- what is imitated -----------------------------------------------------------------------------------------------


def look(model: Any, batch: Batch, *, head: bool = True) -> Seen:
    """States, attention probabilities (eager attention alone gives them) and logits."""
    called = unwrapped(model) if head else unwrapped(model).base_model
    found = called(
        **{name: batch[name] for name in INPUTS if name in batch}, output_hidden_states=True, output_attentions=True
    )
    return Seen(found.hidden_states, found.attentions, found.logits if head else None)


def frozen(model: Any, *, head: bool = True) -> Teacher:
    """A model as a teacher: in evaluation mode, without gradients, wherever the batch is."""
    model.eval().requires_grad_(False)
    return torch.no_grad()(lambda batch: look(model.to(batch["input_ids"].device), batch, head=head))


def hidden_loss(student: Seen, teacher: Seen, factor: int) -> Tensor:
    """First of (2): mean over all elements, padding included, embeddings first."""
    pairs = zip(student.hidden, teacher.hidden[::factor], strict=True)
    return torch.stack([F.mse_loss(s.float(), t.float()) for s, t in pairs]).mean()


def attention_loss(student: Seen, teacher: Seen, factor: int) -> Tensor:
    """Second of (2): where the teacher's probability is exactly 0, on padding, nothing is compared."""
    pairs = zip(student.attention, teacher.attention[factor - 1 :: factor], strict=True)
    return torch.stack([F.mse_loss(s.float()[t != 0], t.float()[t != 0]) for s, t in pairs]).mean()


def soft_cross_entropy(
    student: Float[Tensor, "position label"], teacher: Float[Tensor, "position label"], temperature: float = 2.0
) -> Tensor:
    """First of (4), in nats; neither multiplied by the temperature's square nor freed of the teacher's entropy."""
    wanted = F.softmax(teacher.float() / temperature, dim=-1)
    return -(wanted * F.log_softmax(student.float() / temperature, dim=-1)).sum(-1).mean()


def general_loss(model: Any, batch: Batch, teacher: Teacher, factor: int) -> Loss:
    """Equation (3) for a batch of one language."""
    seen, shown, rows = look(model, batch, head=False), teacher(batch), len(batch["input_ids"])
    parts = {"hidden": hidden_loss(seen, shown, factor), "attention": attention_loss(seen, shown, factor)}
    return _summed(parts, rows)


def task_loss(model: Any, batch: Batch, teacher: Teacher, factor: int, temperature: float = 2.0) -> Loss:
    """L_task of (4); of tokens, those with a label count for the logits."""
    seen, shown, rows = look(model, batch), teacher(batch), len(batch["input_ids"])
    assert seen.logits is not None
    assert shown.logits is not None
    counted = batch["labels"] != IGNORED if seen.logits.dim() == 3 else ...
    soft = soft_cross_entropy(seen.logits[counted], shown.logits[counted], temperature)
    parts = {"hidden": hidden_loss(seen, shown, factor), "attention": attention_loss(seen, shown, factor), "ce": soft}
    return _summed(parts, rows)


def _summed(parts: Mapping[str, Tensor], rows: int) -> Loss:
    total = torch.stack([*parts.values()]).sum()
    return Loss(total * rows, rows, {name: part.detach() * rows for name, part in parts.items()})


# --- sparse tuning --------------------------------------------------------------------------------------------------


def largest(scores: Mapping[str, Tensor], density: float) -> Masks:
    """Equation (5): one threshold over all tensors; ties may add a few places."""
    every = torch.cat([score.flatten() for score in scores.values()])
    threshold = every.topk(max(1, int(density * len(every)))).values[-1]
    return {name: score >= threshold for name, score in scores.items()}


@torch.no_grad()
def sparse_tuning(
    model: Any,
    train: Callable[[str], Any],
    density: float = 0.08,
    scores: Callable[[Weights], Weights] | None = None,
) -> Change:
    """Lottery-ticket sparse fine-tuning; afterwards the model holds the tuned weights.

    Args:
        model: The student with its head.
        train: Trains the model in place, with an optimiser of its own: called with "all", then with "sparse".
        density: Share of the encoder's values that are tuned.
        scores: Of the encoder's weights: the places with the largest scores are tuned, instead of those that move
            most. Then nothing is trained beforehand.
    """
    start, inside = weights(model), encoder_names(model)
    if scores is None:
        with torch.enable_grad():
            train("all")
        moved = {name: (value - start[name]).abs() for name, value in weights(model).items() if name in inside}
    else:
        moved = scores({name: start[name] for name in inside})
    put(model, start)  # encoder and head
    with only(model, largest(moved, density)), torch.enable_grad():
        train("sparse")
    return change(model, start)
