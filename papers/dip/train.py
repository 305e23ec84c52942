"""Make the dictionaries. Nothing else is fitted: the model stays as it is.

    python -m papers.dip.train tiny --variant interleave
    python -m papers.dip.train tiny --variant learnt            # from parallel sentences, by IBM Model 1
    python -m papers.dip.train paper --benchmark svamp          # by asking the model, question by question

The artifact is a JSON file for each language, and `dictionaries.json`: how many entries each has, and (miniature) how
many of the words that Model 1 learns it glosses as the table does.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from core.experiment.entrypoint import entrypoint
from core.experiment.run import Run, is_main_process
from core.files import build_folder, write_json
from papers.dip.config import Config


def train(config: Config, run: Run) -> None:
    """A dictionary for each language."""
    from core.corpora.glossaries import Lexicon, agreement
    from papers.dip import data, miniature

    asked = data.questions(config, run)
    found = data.lexicons(config, asked, asking(config) if config.dictionary == "llm" else None)
    facts: dict[str, Any] = {}
    for code, by_question in found.items():
        facts[code] = {"entries": sum(map(len, by_question.values()))}
        if not (config.benchmark or config.questions):
            own = data.learnt(config, code)
            given = Lexicon(miniature.wordings()[code]["words"])
            facts[code] |= {"learnt": len(own), "precision": agreement(own, given)}

    def fill(folder: Path) -> None:
        for code, by_question in found.items():
            write_json(folder / f"{code}.json", by_question)
        write_json(folder / "dictionaries.json", facts)

    if is_main_process():
        build_folder(run.artifact, fill, replace=True)


def asking(config: Config) -> Any:
    """The model as a function from prompts to answers."""
    from core.inference.chat import Chat

    chat = Chat.load(config.model, dtype=config.dtype)
    return lambda prompts: chat.reply(
        [[{"role": "user", "content": prompt}] for prompt in prompts], max_new_tokens=config.max_new_tokens
    )


if __name__ == "__main__":
    entrypoint(train)
