"""Translation between any languages: directions, prompts, decoding in common batches, scores.

    parts = segments(rows, star(["de", "sw"], ["en"]))                     # both ways between each and English
    outputs = translate(model, tokenizer, parts, lambda s: f"{s.source}: {s.source_text}\n{s.target}:", stop=["\n"])
    sentence_scores(parts, outputs, "chrf++")                              # {"de-en/17": 54.1, ...}: a unit a segment
    corpus_scores(parts, outputs, "bleu")                                  # {"de-en": Score(31.2, signature), ...}
    trivial(parts, "chrf++")                                               # copy the source; another row's translation

Segments of one direction share vocabulary, prompts and a corpus score, and those of one row share the meaning, so units
are named `direction/item` and a claim draws directions (or rows) as clusters.
"""

from __future__ import annotations

import inspect
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import permutations
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from core.errors import UserError

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from core.metrics.translation import Score

SentenceMetric = Literal["exact", "bleu", "chrf", "chrf++", "comet"]
CorpusMetric = Literal["bleu", "spbleu", "chrf", "chrf++"]
Scorer = Callable[[Sequence[str], Sequence[str], Sequence[str]], list[float]]
COMET_22 = "Unbabel/wmt22-comet-da"


@dataclass(frozen=True)
class Segment:
    """A text to translate, and its translation.

    Attributes:
        item: Key of the row, the same in all directions.
        source: Code of the language to translate from.
        target: Code of the language to translate into.
        source_text: The text.
        target_text: The reference.
    """

    item: str
    source: str
    target: str
    source_text: str
    target_text: str

    @property
    def direction(self) -> str:
        """`de-en`."""
        return f"{self.source}-{self.target}"

    @property
    def id(self) -> str:
        """`de-en/17`."""
        return f"{self.direction}/{self.item}"


S = TypeVar("S", bound=Segment)


# --- what is translated ---------------------------------------------------------------------------------------------


def star(languages: Iterable[str], pivots: Sequence[str]) -> list[tuple[str, str]]:
    """Both directions between every pivot and every language (other pivots included), each once."""
    pairs = ((pivot, code) for pivot in pivots for code in [*pivots, *languages] if code != pivot)
    return list(dict.fromkeys(direction for pivot, code in pairs for direction in ((pivot, code), (code, pivot))))


def all_pairs(languages: Sequence[str]) -> list[tuple[str, str]]:
    """Every ordered pair of different languages."""
    return list(permutations(languages, 2))


def segments(rows: Iterable[Mapping[str, Any]], directions: Iterable[tuple[str, str]]) -> list[Segment]:
    """Rows of a parallel corpus in some directions.

    Args:
        rows: Texts by language code, with a `key` (else the row's number). Where a language is missing, the row is
            left out of its directions.
        directions: (source, target).

    Raises:
        UserError: A direction has no segment.
    """
    rows, found = list(rows), []
    for source, target in directions:
        part = [
            Segment(str(row.get("key", number)), source, target, row[source], row[target])
            for number, row in enumerate(rows)
            if row.get(source) and row.get(target)
        ]
        if not part:
            raise UserError(f"No row has both {source!r} and {target!r}: leave the direction {source}-{target} out.")
        found += part
    return found


def official_test(name: str, source: str, target: str, limit: int | None = None) -> list[Segment]:
    """Segments of a shared task (`wmt22`) with their first reference, as sacrebleu keeps or fetches them.

    Raises:
        UserError: The test lacks the direction, or cannot be fetched.
    """
    import sacrebleu

    from core import corpora

    pair = f"{source}-{target}"
    try:
        files = sacrebleu.get_source_file(name, pair), sacrebleu.get_reference_files(name, pair)[0]
    except Exception as error:
        raise UserError(
            f"{name} {pair} cannot be fetched ({type(error).__name__}): connect to the network, or run "
            f"`sacrebleu -t {name} -l {pair} --echo src` elsewhere and copy ~/.sacrebleu."
        ) from error
    texts, references = (corpora.read_lines(file)[:limit] for file in files)
    return segments(({source: s, target: t} for s, t in zip(texts, references, strict=True)), [(source, target)])


def adapt_segment(row: Mapping[str, Any], number: int = 0, kind: type[S] = Segment) -> S:  # type: ignore[assignment]
    """One row of a set of pairs.

    Args:
        row: With the columns of `kind`; or those under the names `src_lang`, `tgt_lang`, `src_text`, `tgt_text`; or
            `{"translation": {"de": ..., "en": ...}}`, source first.
        number: Its item where no `item` or `id` says so.
        kind: What to make of it.

    Raises:
        UserError: A row of another shape, with the columns that are there.
    """
    if isinstance(pair := row.get("translation"), Mapping) and len(pair) == 2:
        (source, source_text), (target, target_text) = pair.items()
        return kind(str(row.get("id", number)), source, target, source_text, target_text)
    renamed = {"src_lang": "source", "tgt_lang": "target", "src_text": "source_text", "tgt_text": "target_text"}
    values = {renamed.get(name, name): value for name, value in row.items()}
    if missing := [name for name in renamed.values() if not isinstance(values.get(name), str)]:
        raise UserError(
            f"Row {number} has no text in {missing[0]!r}; it has {', '.join(row)}. Give source, target, source_text "
            "and target_text, or a translation column with two languages."
        )
    kept = {field.name: values[field.name] for field in fields(kind) if field.name in values}
    return kind(**{**kept, "item": str(values.get("item", number))})


def following(parts: Sequence[S], key: Callable[[S], str] = lambda part: part.direction) -> list[S]:
    """For every segment the next one of its direction, or of what else `key` says, in a circle: the wrong row."""
    groups: dict[str, list[int]] = defaultdict(list)
    for place, part in enumerate(parts):
        groups[key(part)].append(place)
    after = {here: next_ for group in groups.values() for here, next_ in zip(group, group[1:] + group[:1], strict=True)}
    return [parts[after[place]] for place in range(len(parts))]


# --- decoding -------------------------------------------------------------------------------------------------------


def few_shot(prompt: Callable[[S], str], segment: S, shots: Sequence[S], separator: str = "\n\n") -> str:
    """Prompts with their translations, then the open one: what a model reads that was not tuned to translate."""
    return separator.join([*(f"{prompt(shot)} {shot.target_text}" for shot in shots), prompt(segment)])


def with_examples(
    rows: Sequence[Mapping[str, Any]],
    directions: Iterable[tuple[str, str]],
    prompt: Callable[[Segment], str],
    shots: int,
) -> tuple[list[Segment], Callable[[Segment], str]]:
    """Segments to translate, and their prompts with the first `shots` rows as solved examples, which are not asked.

    Raises:
        UserError: No row is left after the examples.
    """
    if len(rows) <= shots:
        raise UserError(f"{len(rows)} sentences are too few: {shots} are examples, and one must be asked.")
    directions, solved = list(directions), defaultdict[str, list[Segment]](list)
    for part in segments(rows[:shots], directions) if shots else []:
        solved[part.direction].append(part)
    return segments(rows[shots:], directions), lambda part: few_shot(prompt, part, solved[part.direction])


def translate(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    parts: Sequence[S],
    prompt: Callable[[S], str],
    *,
    shots: Mapping[str, Sequence[S]] | None = None,
    **decoding: Any,
) -> list[str]:
    """Translate segments of any directions in common batches.

    Args:
        model: A causal language model.
        tokenizer: Its tokenizer. With a begin token, every prompt starts with it, once.
        parts: Their references are not read.
        prompt: What the model reads up to where the translation begins, without trailing space. It may look at the
            whole segment.
        shots: Solved segments by direction, for :func:`few_shot`.
        decoding: Of :func:`core.inference.generation.generate`: `max_new_tokens`, `stop`, `temperature`, ...

    Returns:
        One translation per segment, without white space around it.
    """
    from core.inference.generation import generate

    begin = tokenizer.bos_token or ""
    texts = [few_shot(prompt, part, (shots or {}).get(part.direction, ())) for part in parts]
    prompts = [text if text.startswith(begin) else begin + text for text in texts]
    return [output.strip() for output in generate(model, tokenizer, prompts, **decoding)]


def translate_lines(write: Callable[[list[str]], Sequence[str]]) -> None:
    """Translate standard input to standard output, a line a line: blank lines stay, none comes of a translation.

    Args:
        write: From the lines with text to their translations.
    """
    from core.files import standard_input

    lines = standard_input()
    outputs = iter(write([line for line in lines if line.strip()]))
    for line in lines:
        print(next(outputs).replace("\n", " ") if line.strip() else "")


def written(model: Any, tokenizer: Any, parts: Sequence[Segment], *, beams: int = 1, longest: int = 256) -> list[str]:
    """Translate segments of any directions with an encoder-decoder; see :func:`core.inference.seq2seq.translate`."""
    from core.inference import seq2seq

    groups: dict[tuple[str, str], list[int]] = defaultdict(list)
    for place, part in enumerate(parts):
        groups[part.source, part.target].append(place)
    found = [""] * len(parts)
    for direction, places in groups.items():
        texts = [parts[place].source_text for place in places]
        outputs = seq2seq.translate(model, tokenizer, texts, *direction, beams=beams, longest=longest)
        for place, output in zip(places, outputs, strict=True):
            found[place] = output
    return found


# --- scores ---------------------------------------------------------------------------------------------------------


def sentence_scores(
    parts: Sequence[Segment], outputs: Sequence[str], metric: SentenceMetric, device: str | torch.device = "cpu"
) -> dict[str, float]:
    """`{"de-en/17": score}`: exact match and COMET in [0, 1] (COMET about), BLEU and chrF in [0, 100].

    Raises:
        UserError: COMET is asked for and its package or checkpoint is missing.
        ValueError: unequal numbers, or two segments with one id.
    """
    from core.metrics import translation

    if metric == "bleu":
        pairs = zip(outputs, parts, strict=True)
        values = [translation.sentence_bleu(output, part.target_text, part.target) for output, part in pairs]
    else:
        references = [part.target_text for part in parts]
        values = scorer(metric, device)([part.source_text for part in parts], outputs, references)
    found = {part.id: value for part, value in zip(parts, values, strict=True)}
    if len(found) < len(parts):
        raise ValueError("Two segments have the same direction and item.")
    return found


def corpus_scores(parts: Sequence[Segment], outputs: Sequence[str], metric: CorpusMetric) -> dict[str, Score]:
    """`{"de-en": score in [0, 100] with sacrebleu's signature}`.

    `spbleu` is BLEU over the pieces of the FLORES-200 SentencePiece model, which sacrebleu downloads once.

    Raises:
        UserError: That model cannot be had.
        ValueError: unequal numbers.
    """
    from core.metrics import translation

    groups: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
    for part, output in zip(parts, outputs, strict=True):
        groups[part.direction, part.target].append((output, part.target_text))
    found = {}
    for (direction, target), pairs in groups.items():
        predictions, references = (list(side) for side in zip(*pairs, strict=True))
        if metric == "bleu":
            found[direction] = translation.bleu(predictions, references, target)
        elif metric == "spbleu":
            found[direction] = _spbleu(predictions, references)
        else:
            found[direction] = translation.chrf(predictions, references, word_order=2 if metric == "chrf++" else 0)
    return found


def direction_scores(
    parts: Sequence[Segment], outputs: Sequence[str], metrics: Sequence[CorpusMetric | Literal["comet"]],
    comet: Scorer | None = None,
) -> dict[str, dict[str, float]]:  # fmt: skip
    """`{"de-en": {"chrf++": score, "comet": mean}}`, with `comet` loaded before (`scorer("comet")`) where it is asked.

    Raises:
        UserError: A metric cannot be had.
    """
    found: dict[str, dict[str, float]] = defaultdict(dict)
    for metric in metrics:
        if metric == "comet":
            rate = comet or scorer("comet")
            rated = rate([part.source_text for part in parts], outputs, [part.target_text for part in parts])
            values = means({part.id: value for part, value in zip(parts, rated, strict=True)})
        else:
            values = {name: each.score for name, each in corpus_scores(parts, outputs, metric).items()}
        for direction, value in values.items():
            found[direction][metric] = value
    return dict(found)


def _spbleu(predictions: list[str], references: list[str]) -> Score:
    from sacrebleu.metrics import BLEU

    from core.metrics.translation import Score

    try:
        metric = BLEU(tokenize="flores200")
        return Score(metric.corpus_score(predictions, [references]).score, str(metric.get_signature()))
    except OSError as error:
        raise UserError(
            f"The FLORES-200 pieces cannot be fetched ({type(error).__name__}): connect to the network once, or choose "
            "bleu or chrf++."
        ) from error


def trivial(parts: Sequence[Segment], metric: SentenceMetric = "chrf++") -> dict[str, dict[str, float]]:
    """What is reached without translating: `{solver: {"de-en/17": score}}`.

    `copy` leaves the source as it is; `wrong_row` writes the reference of the direction's next segment, which is what
    a fluent model that ignores the source could do.
    """
    outputs = {
        "copy": [part.source_text for part in parts],
        "wrong_row": [other.target_text for other in following(parts)],
    }
    return {name: sentence_scores(parts, texts, metric) for name, texts in outputs.items()}


def matrix(scores: Mapping[str, float], languages: Sequence[str], title: str = "", digits: int = 1) -> str:
    """A table of `{"de-en": score}`: rows translate from, columns into."""
    lines = [f"{title:10s}" + "".join(f"{code:>10s}" for code in languages)]
    for source in languages:
        cells = [scores.get(f"{source}-{target}") for target in languages]
        lines.append(f"{source:10s}" + "".join(f"{'-' if c is None else f'{c:.{digits}f}':>10s}" for c in cells))
    return "\n".join(lines)


def means(scores: Mapping[str, float]) -> dict[str, float]:
    """`{"de-en": mean over its segments}` of `{"de-en/17": score}`."""
    groups: dict[str, list[float]] = defaultdict(list)
    for key, value in scores.items():
        groups[key.partition("/")[0]].append(value)
    return {direction: sum(values) / len(values) for direction, values in groups.items()}


def scorer(name: Literal["exact", "chrf", "chrf++", "comet"], device: str | torch.device = "cpu") -> Scorer:
    """A function (sources, outputs, references) -> a score each, for evaluation and as a reward.

    Exact match and COMET are in [0, 1] (COMET about), chrF in [0, 100]. COMET-22's package is no dependency of this
    repository (`pip install unbabel-comet`), and its own loader unpickles the checkpoint; here tensors alone are read.

    Raises:
        UserError: COMET is asked for and its package or checkpoint is missing.
    """
    if name == "comet":
        return _comet(device)

    def score(sources: Sequence[str], outputs: Sequence[str], references: Sequence[str]) -> list[float]:
        from core.metrics.translation import sentence_chrf

        pairs = zip(outputs, references, strict=True)
        if name == "exact":
            return [float(output.strip() == reference.strip()) for output, reference in pairs]
        return [
            sentence_chrf(output, reference, word_order=2 if name == "chrf++" else 0) for output, reference in pairs
        ]

    return score


def _comet(device: str | torch.device, batch_size: int = 64) -> Scorer:
    try:
        from comet import download_model
        from comet.models import str2model
    except ImportError:
        raise UserError("COMET is not installed: run `pip install unbabel-comet`, or choose chrf++.") from None
    import torch
    import yaml

    checkpoint = Path(download_model(COMET_22))
    settings = yaml.safe_load((checkpoint.parents[1] / "hparams.yaml").read_text(encoding="utf-8"))
    model_class = str2model[settings["class_identifier"]]
    known = inspect.signature(model_class.__init__).parameters
    arguments = {name: value for name, value in settings.items() if name in known}
    model = model_class(**{**arguments, "load_pretrained_weights": False})
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)["state_dict"]
    # Libraries stopped to save position ids, which nobody trains; everything else has to be there.
    absent = [key for key in model.load_state_dict(state, strict=False).missing_keys if "position_ids" not in key]
    if absent:
        raise UserError(f"{COMET_22} has no {absent[0]}, which the installed unbabel-comet wants: install version 2.2.")
    model.eval().to(device)

    @torch.inference_mode()
    def rate(sources: Sequence[str], outputs: Sequence[str], references: Sequence[str]) -> list[float]:
        rows = [{"src": s, "mt": m, "ref": r} for s, m, r in zip(sources, outputs, references, strict=True)]
        found: list[float] = []
        for start in range(0, len(rows), batch_size):
            batch: dict[str, Any] = model.prepare_for_inference(rows[start : start + batch_size])
            inputs = {name: value.to(device) for name, value in batch.items()}
            found += model.predict_step(inputs)["scores"].float().tolist()
        return found

    return rate


def hypotheses(parts: Sequence[Segment], outputs: Sequence[str]) -> list[dict[str, str]]:
    """Rows of direction, item and, as COMET's and sacrebleu's files name them, `src`, `mt` and `ref`."""
    return [
        {"direction": part.direction, "item": part.item, "src": part.source_text, "mt": output, "ref": part.target_text}
        for part, output in zip(parts, outputs, strict=True)
    ]


def write_segments(folder: Path, parts: Sequence[Segment], outputs: Sequence[str], prefix: str = "") -> None:
    """`<prefix><direction>.src`, `.out` and `.ref`, a segment a line: what sacrebleu's and COMET's commands read."""
    from core.files import write_text

    groups: dict[str, list[tuple[str, str, str]]] = defaultdict(list)
    for part, output in zip(parts, outputs, strict=True):
        groups[part.direction].append((part.source_text, output, part.target_text))
    for direction, rows in groups.items():
        for end, texts in zip(("src", "out", "ref"), zip(*rows, strict=True), strict=True):
            lines = [" ".join(text.split()) for text in texts]
            write_text(folder / f"{prefix}{direction}.{end}", "\n".join(lines) + "\n")
