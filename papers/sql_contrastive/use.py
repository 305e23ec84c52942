"""Contrastive SQL rewards on your own data: train an encoder, rank candidate queries without gold, score predictions.

python -m papers.sql_contrastive.use encoder --pairs pairs.jsonl --databases DIR --out encoder
python -m papers.sql_contrastive.use rerank --candidates candidates.jsonl --databases DIR --encoder encoder
python -m papers.sql_contrastive.use score --predictions predictions.jsonl --databases DIR
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from core.errors import UserError
from core.experiment.config import Seed
from core.experiment.entrypoint import Verbs, tools
from core.experiment.trying import Try
from core.training.config import TrainingConfig
from papers.sql_contrastive.config import PAPER_SCALE

if TYPE_CHECKING:
    from papers.sql_contrastive.data import Copies
    from papers.sql_contrastive.method import Item, Scorer


@dataclass(frozen=True)
class TrainEncoder:
    """Train a reward encoder on questions of any languages with their gold queries."""

    pairs: str
    """Rows with db_id, question and query: JSONL, JSON, TSV, CSV, Parquet."""
    databases: Path
    """Folder with <db>.sqlite or <db>/<db>.sqlite, which hard negatives are made from."""
    base: str = PAPER_SCALE.encoder
    """Encoder to start from: hub id, folder or wheel."""
    seed: Seed = 0
    """Of the order."""
    training: TrainingConfig = field(default_factory=lambda: PAPER_SCALE.contrast)
    """How long and how fast."""
    out: Path = Path("encoder")
    """Folder to write."""


@dataclass(frozen=True)
class Rerank:
    """Put the candidate queries of each question in order, those that run and are near the question first; no gold."""

    candidates: str
    """JSONL with db_id, question and candidates, a list of answers or queries."""
    databases: Path
    """Folder with <db>.sqlite or <db>/<db>.sqlite; they are opened read-only."""
    encoder: str
    """Folder that `encoder` wrote."""
    out: Path = Path("ranked.jsonl")
    """File to write: each row with best, score (0 where nothing runs) and ranked."""


@dataclass(frozen=True)
class Score:
    """Score predicted queries: do they run, are their rows right, and also where the contents are others?"""

    predictions: str
    """JSONL with db_id, question, query (gold) and prediction, and lang where there are several."""
    databases: Path
    """Folder with <db>.sqlite or <db>/<db>.sqlite; they are opened read-only."""


def train_encoder(options: TrainEncoder) -> None:
    """Write the encoder."""
    from core.experiment.run import temporary
    from core.models.loading import load
    from core.training.fit import save_pretrained
    from papers.sql_contrastive import data, method

    items = [item for item, _ in data.rows(options.pairs, "", "query")]
    with TemporaryDirectory() as folder, temporary("sql_contrastive") as run:
        rows = data.pairs(items, _copies(options.databases, items, Path(folder)))
        model, tokenizer = load(options.base, task="encoder", dtype="float32")
        how: Any = {"negatives": PAPER_SCALE.negatives, "temperature": PAPER_SCALE.temperature}
        method.train_encoder(model, tokenizer, rows, options.training, run, options.seed, **how)
        save_pretrained(model, options.out, tokenizer)
    print(f"{options.out}: {len(rows)} pairs, {sum(len(row['negatives']) for row in rows)} hard negatives")


def load_scorer(folder: str | Path) -> Scorer:
    """A trained encoder as a callable: `scorer(question, [query, ...])` gives a score in [0, 1] for each."""
    from core.models.embedding import Encoder
    from core.models.loading import load
    from papers.sql_contrastive.method import POOLING, Scorer

    return Scorer(Encoder(*load(folder, task="encoder", dtype="float32"), POOLING))


def rerank(options: Rerank) -> None:
    """Write the ranked candidates."""
    from core.files import write_rows
    from papers.sql_contrastive import data, method

    found, rows = data.rows(options.candidates, "", "candidates"), []
    copies, scorer = _copies(options.databases, [item for item, _ in found]), load_scorer(options.encoder)
    for item, row in found:
        if not isinstance(row["candidates"], list):
            raise UserError(f"{options.candidates}: candidates of {item.question!r} are no list of texts: give one.")
        ranked = method.rerank(scorer, copies[item.db][0], item.question, list(map(str, row["candidates"])))
        rows.append({**row, "best": ranked[0][1], "score": ranked[0][0], "ranked": [query for _, query in ranked]})
    write_rows(options.out, rows)
    print(f"{options.out}: {len(rows)} questions, {sum(row['score'] == 0 for row in rows)} without a query that runs")


def score(options: Score) -> None:
    """Print valid, result_match and semantic in all and by language, with 95 % Wilson intervals."""
    from scipy.stats import binomtest

    from papers.sql_contrastive import data
    from papers.sql_contrastive.eval import verdict

    found, right = data.rows(options.predictions, "", "query", "prediction"), defaultdict[str, list[float]](list)
    with TemporaryDirectory() as folder:
        copies = _copies(options.databases, [item for item, _ in found], Path(folder))
        for item, _ in found:
            if error := copies[item.db][0].run(item.sql).error:
                raise UserError(f"The query of {item.question!r} does not run on {item.db} ({error}): mend it.")
        for item, row in found:
            for name, value in verdict(item, str(row["prediction"]), copies).items():
                right[name].append(value)
                right[f"{name}/{item.language}"].append(value)
    for name, values in sorted(right.items()):
        low, high = binomtest(int(sum(values)), len(values)).proportion_ci(method="wilson")
        print(f"  {name:24s} {sum(values) / len(values):.3f} [{low:.3f}, {high:.3f}] of {len(values)}")


def _copies(databases: Path, items: Sequence[Item], folder: Path | None = None) -> Copies:
    """Databases, with copies in a folder."""
    from papers.sql_contrastive import data

    sources = {name: data.find(databases, name) for name in dict.fromkeys(item.db for item in items)}
    if folder:
        data.copy(sources, folder)
    return data.opened(sources, folder)


VERBS: Verbs = {"encoder": (TrainEncoder, train_encoder), "rerank": (Rerank, rerank), "score": (Score, score)}

TRY = Try(
    command="rerank --candidates {data} --encoder {model} --out {out}/ranked.jsonl",
    data="questions with candidate queries as JSON lines (db_id, question, candidates); the folder of the databases "
    "comes with `-- --databases DIR`.",
    means="Which candidate runs and is nearest to its question, by an encoder of yours.",
    limits="Near is not right: the encoder knows what it was trained on.",
    more="--databases DIR",
)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command; the user's mistakes end with one sentence and exit code 2."""
    tools("papers.sql_contrastive.use", __doc__, VERBS, arguments)


if __name__ == "__main__":
    main()
