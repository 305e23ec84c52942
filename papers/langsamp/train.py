"""Pre-train with the tables and ship an ordinary encoder.

    python -m papers.langsamp.train tiny --variant full
    python -m papers.langsamp.train --base FacebookAI/xlm-roberta-base --corpus my_texts --training.steps 2000
    accelerate launch -m papers.langsamp.train paper --languages swh_Latn ukr_Cyrl

The artifact is a `save_pretrained` folder that any class of transformers reads, with its tokenizer; the tables lie
beside it, in `tables.safetensors` with their names in `tables.json`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import UserError
from core.experiment.entrypoint import entrypoint
from core.experiment.run import Run, is_main_process
from core.files import load_json, write_json
from papers.langsamp.config import Config

if TYPE_CHECKING:
    from core.models.loading import Loaded
    from papers.langsamp.method import Tables


def train(config: Config, run: Run) -> None:
    """Attach the tables, train, detach them, save both; an untrained base is saved as it is."""
    from core.distributed import seed_everything
    from core.training.fit import save_pretrained
    from core.training.masking import Masking
    from papers.langsamp import data, method, miniature

    seed_everything(config.seed)
    model, tokenizer = start(config, run)
    if not config.trained:
        save_pretrained(model, run.artifact, tokenizer)
        return
    if config.base:
        corpus = data.read(config)
        names = data.names(corpus)
        chunks = data.chunked(tokenizer, corpus, names, config.training.max_length)
        count = config.training.steps * config.training.batch_size
        rows = data.sampled(chunks, count or sum(map(len, chunks.values())), config.alpha, config.seed)
    else:
        names, rows = miniature.tables(config), miniature.rows(tokenizer, config)
    if config.use_lang or config.use_script:
        sides = (names.languages if config.use_lang else (), names.scripts if config.use_script else ())
        method.attach(model, method.Tables(model.config.hidden_size, *sides, place=config.place))
    collate = data.Chunks(Masking(tokenizer, rate=config.mask_rate), config.shuffled)
    result = method.train(model, rows, collate, config.training, run, config.seed, "train")
    tables = method.detach(model) if config.use_lang or config.use_script else None
    save_pretrained(model, run.artifact, tokenizer)
    if is_main_process():
        if tables is not None:
            save_tables(tables, run.artifact)
        write_json(run.artifact / "training.json", {"steps": result.steps, "final_loss": result.losses[-1]})


def start(config: Config, run: Run) -> Loaded:
    """The model to train, with the tokenizer it is to have."""
    from core.models import loading
    from core.models.vocabulary import adopt_tokenizer
    from papers.langsamp import miniature

    model, tokenizer = loading.load(config.base or miniature.base(config, run), task="masked-lm", dtype="float32")
    if config.tokenizer:
        tokenizer = adopt_tokenizer(model, tokenizer, loading.load_tokenizer(config.tokenizer))
    return loading.Loaded(model, tokenizer)


def save_tables(tables: Tables, folder: Path) -> None:
    """Write `tables.safetensors` and `tables.json`."""
    from safetensors.torch import save_file

    save_file(tables.state_dict(), folder / "tables.safetensors")
    facts = {"languages": tables.languages, "scripts": tables.scripts, "place": tables.place}
    write_json(folder / "tables.json", facts)


def load_tables(folder: str | Path) -> Tables:
    """The tables of an artifact.

    Raises:
        UserError: The folder has none, or they do not fit their names.
    """
    from safetensors.torch import load_file

    from core.models.loading import translated
    from papers.langsamp.method import Tables

    path = Path(folder) / "tables.json"
    if not path.is_file():
        raise UserError(f"{folder} has no tables.json: give the artifact folder of a run with tables.")
    facts = load_json(path, dict)
    with translated(folder):
        state = load_file(Path(folder) / "tables.safetensors")
        width = next(iter(state.values())).shape[1]
        tables = Tables(width, facts["languages"], facts["scripts"], place=facts["place"])
        tables.load_state_dict(state)
    return tables


if __name__ == "__main__":
    entrypoint(train)
