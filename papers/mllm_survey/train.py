"""Train a tokenizer, and a small decoder that reads with it.

    python -m papers.mllm_survey.train tiny --variant balanced
    accelerate launch -m papers.mllm_survey.train paper --variant english

The artifact is a `save_pretrained` folder with the tokenizer, and with the decoder where one is measured. Arms that
look at the representations of a model leave nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from core.errors import UserError
from core.experiment.config import to_dict
from core.experiment.entrypoint import entrypoint
from core.experiment.run import Run
from papers.mllm_survey.config import Config, decoder

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def train(config: Config, run: Run) -> None:
    """The tokenizer on text with the shares that the arm has; its decoder on even text, for a number of tokens."""
    from core.models.loading import from_config
    from core.models.tokenization import train_bpe
    from core.training.documents import ordered_rows
    from core.training.fit import fit, save_pretrained
    from papers.mllm_survey import data

    if "tokenizer" not in config.protocols:
        return
    text = data.text(config, data.shares(config), config.text_bytes, config.draw)
    tokenizer = train_bpe(text, config.vocabulary)
    if len(tokenizer) < config.vocabulary:  # else arms would differ in their vocabulary, too
        raise UserError(
            f"The text has pairs to merge for {len(tokenizer)} entries only: lower --vocabulary {config.vocabulary}, "
            "of all tokenizers that are compared."
        )
    if "decoder" not in config.protocols:
        run.artifact.mkdir(parents=True, exist_ok=True)
        tokenizer.save_pretrained(run.artifact)
        return
    inputs = {"config": to_dict(config)}  # the tokenizer is of one arm, and so are its rows
    rows, _ = ordered_rows(lambda: even_rows(config, tokenizer), run, inputs, on_disk=bool(config.text))
    model = from_config(decoder(config, len(tokenizer)), seed=config.seed)
    fit(model, rows, config.training, run, seed=config.seed)
    save_pretrained(model, run.artifact, tokenizer)


def even_rows(config: Config, tokenizer: PreTrainedTokenizerBase) -> Iterator[tuple[int, str, Sequence[int]]]:
    """As many tokens as the steps read, of as many texts of every language."""
    from core.training.documents import Body, Tokenised
    from papers.mllm_survey import data

    left = config.training.steps * config.training.batch_size * config.training.max_length
    even = dict.fromkeys(data.languages_of(config), 1.0)
    # More bytes than anybody reads: few tokens are as long as 64.
    text = Body("text", "text", lambda: data.text(config, even, 64 * left))
    for ids in Tokenised(text, tokenizer):
        yield 1, "text", ids
        left -= len(ids)
        if left <= 0:
            return


if __name__ == "__main__":
    entrypoint(train)
