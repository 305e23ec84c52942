"""Train a tokenizer, and a small decoder that reads with it.

    python -m papers.mllm_survey.train tiny --variant balanced
    accelerate launch -m papers.mllm_survey.train paper --variant english

The artifact is a `save_pretrained` folder with the tokenizer, and with the decoder where one is measured. Arms that
look at the representations of a model leave nothing.
"""

from __future__ import annotations

from core.experiment.entrypoint import entrypoint
from core.experiment.run import Run
from papers.mllm_survey.config import Config, decoder


def train(config: Config, run: Run) -> None:
    """The tokenizer on text with the shares that the arm has; its decoder on even text, for a number of tokens."""
    from core.models.loading import from_config
    from core.models.tokenization import train_bpe
    from core.training.documents import encode, ordered_rows
    from core.training.fit import fit, save_pretrained
    from papers.mllm_survey import data

    if "tokenizer" not in config.protocols:
        return
    shares = data.shares(config)
    tokenizer = train_bpe(data.text(config, shares, config.text_bytes, config.draw), config.vocabulary)
    if "decoder" not in config.protocols:
        run.artifact.mkdir(parents=True, exist_ok=True)
        tokenizer.save_pretrained(run.artifact)
        return
    settings = config.training
    needed = settings.steps * settings.batch_size * settings.max_length
    even = dict.fromkeys(data.languages_of(config), 1.0)

    def rows():  # type: ignore[no-untyped-def]
        """More bytes than the steps have tokens are never needed: no token is shorter than a byte."""
        left = needed
        for line in data.text(config, even, 64 * needed):
            ids = encode(tokenizer, [line])[0]
            yield 1, "text", ids
            left -= len(ids)
            if left <= 0:
                return

    found, _ = ordered_rows(rows, run, {"seed": config.seed}, on_disk=bool(config.text))
    model = from_config(decoder(config, len(tokenizer)), seed=config.seed)
    fit(model, found, settings, run, seed=config.seed)
    save_pretrained(model, run.artifact, tokenizer)


if __name__ == "__main__":
    entrypoint(train)
