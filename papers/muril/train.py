"""Pre-train an encoder on text, translations and transliterations, from nothing or from an existing one.

    python -m papers.muril.train tiny --variant muril
    python -m papers.muril.train --texts mono --translated tr --romanised lat --base my-encoder
    accelerate launch -m papers.muril.train paper

The artifact is a `save_pretrained` folder of a BERT (or of the base's kind) with its tokenizer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.experiment.entrypoint import entrypoint
from core.experiment.run import Run, is_main_process
from core.files import write_json
from papers.muril.config import Config, shape

if TYPE_CHECKING:
    from core.models.loading import Loaded
    from papers.muril.data import Pools


def train(config: Config, run: Run) -> None:
    """Draw lines, encode them, train, save."""
    from core.distributed import seed_everything
    from core.models.loading import longest_input
    from core.training.fit import save_pretrained
    from papers.muril import data, method

    seed_everything(config.seed)
    pools = data.pools(config)
    model, tokenizer = start(config, pools)
    settings = config.training
    weights = data.weights(config, pools)
    count = settings.steps * settings.batch_size or sum(len(own) for lines in pools.values() for own in lines.values())
    lines = list(method.stream(pools, weights, config.alpha, count, config.seed))
    rows = method.encoded(tokenizer, lines, min(settings.max_length, longest_input(model, tokenizer)))
    masked = method.masking(tokenizer, config.mask_rate)
    result = method.pretrain(model, rows, masked, settings, run, config.seed, "train")
    save_pretrained(model, run.artifact, tokenizer)
    if is_main_process():
        tables = {
            kind: {
                code: share._asdict()
                for code, share in method.upsampling(
                    {code: len(own) for code, own in lines.items()}, config.alpha
                ).items()
            }
            for kind, lines in pools.items()
        }
        facts = {"steps": result.steps, "final_loss": result.losses[-1], "weights": weights, "languages": tables}
        write_json(run.artifact / "training.json", facts)


def start(config: Config, pools: Pools) -> Loaded:
    """The model and tokenizer that training begins with."""
    from core.models import loading
    from core.models.tokenization import train_wordpiece
    from papers.muril import data

    if config.base:
        return loading.load(config.base, task="masked-lm", dtype="float32")
    length = config.training.max_length
    tokenizer = train_wordpiece(data.vocabulary_texts(config, pools), config.vocabulary, max_length=length)
    model = loading.from_config(shape(config, len(tokenizer)), seed=config.seed, task="masked-lm")
    return loading.Loaded(model, tokenizer)


if __name__ == "__main__":
    entrypoint(train)
