"""BayLing 2 on your own data: build a star mixture, measure transfer, chat.

python -m papers.bayling2.use mix --instructions en=en.jsonl zh=zh.jsonl --parallel sw:en=sw-en.tsv --out star
python -m papers.bayling2.use measure --model my-model --tasks tasks.jsonl --manifest star/manifest.json
python -m papers.bayling2.use chat --model ICTNLP/bayling-2-7b --template bayling2-llama2 --message "Hello"
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from core.errors import UserError
from core.experiment.config import Range, Seed
from core.experiment.entrypoint import Verbs, tools
from core.experiment.trying import Try
from core.files import load_json, write_json, write_rows
from core.tasks.samples import dialogue
from core.tasks.transfer import read_tasks, transfer_matrix
from core.tasks.translation import Segment
from core.text.languages import language
from papers.bayling2 import data
from papers.bayling2.chat import load_chat, translate
from papers.bayling2.config import Template


@dataclass(frozen=True)
class Mix:
    """Write one shuffled instruction set (mixture.jsonl, `messages`) and its manifest of shares and counts."""

    instructions: tuple[str, ...]
    """Task instructions as pivot=file or pivot=hub data set; one entry for each source."""
    parallel: tuple[str, ...]
    """Parallel text as language:pivot=file (.tsv or .jsonl with both codes as columns)."""
    out: Path = Path("star")
    """Folder to write."""
    shares: tuple[Annotated[float, Range(0)], ...] = ()
    """Weight of each pivot, then of the translation tasks; none = 30.6 % for these, the rest to the pivots equally."""
    xling_per_language: Annotated[int, Range(0)] = 0
    """Translation examples per language; 0 = all."""
    total: Annotated[int, Range(0)] = 0
    """Size of the mixture, small blocks repeated; 0 = as large as possible without repetition."""
    seed: Seed = 0
    """Of all draws."""


@dataclass(frozen=True)
class Measure:
    """Accuracy by task and language, split by what training showed of the language."""

    model: str
    """Hub id or folder of a chat model; asked in its own chat template."""
    tasks: str
    """JSON lines with task, language, prompt, answer, and optionally choices, key, answer_language."""
    manifest: Path | None = None
    """manifest.json of the mixture that the model was trained on; none = every language counts as unseen."""
    out: Path = Path("transfer.json")
    """File for the table."""
    max_new_tokens: Annotated[int, Range(1)] = 32
    """Longest generated answer."""


@dataclass(frozen=True)
class ChatOnce:
    """Answer one message, or translate it, in the layout that the checkpoint was tuned in."""

    model: str
    """Hub id or folder, such as ICTNLP/bayling-2-7b."""
    message: str
    """What to say."""
    translate: tuple[str, str] | None = None
    """Codes of source and target language: translate the message, greedily."""
    request: Literal["en", "zh"] = "en"
    """Language in which the translation is asked for."""
    template: Template = "auto"
    """Layout; auto = the tokenizer's own chat template where it has one."""
    max_new_tokens: Annotated[int, Range(1)] = 512
    """As in the official client."""


def mix(options: Mix) -> None:
    """Build a mixture from files."""
    given = {name: value for name, value in vars(options).items() if name != "out"}
    rows = data.mixture(data.star(**given))
    write_rows(options.out / "mixture.jsonl", rows)
    facts = data.manifest(rows)
    write_json(options.out / "manifest.json", {**facts, "seed": options.seed})
    parts = ", ".join(f"{name} {part['examples']} ({part['share']:.1%})" for name, part in facts["blocks"].items())
    print(f"{facts['examples']} examples: {parts}. {options.out / 'mixture.jsonl'}")


def measure(options: Measure) -> None:
    """Print and write the transfer table of a model."""
    facts: dict[str, Any] = {} if options.manifest is None else load_json(options.manifest, dict)
    if options.manifest is not None and not all(isinstance(facts.get(key), dict) for key in ("blocks", "languages")):
        raise UserError(f"{options.manifest} is no manifest of a mixture: give one that `mix` or training wrote.")
    tasks = read_tasks(options.tasks)
    chat = load_chat(options.model)
    transfer = transfer_matrix(
        lambda items: chat.answer(items, options.max_new_tokens), tasks, exposure=data.exposures(facts, tasks)
    )
    print(transfer.table())
    write_json(options.out, [{**asdict(cell), "accuracy": cell.accuracy} for cell in transfer.cells])


def chat_once(options: ChatOnce) -> None:
    """Print the answer."""
    for code in options.translate or ():
        language(code)  # a name that nobody knows would stand in the request
    chat, limit = load_chat(options.model, options.template), options.max_new_tokens
    if options.translate:
        asked = Segment("", *options.translate, options.message, "")
        print(translate(chat, [asked], options.request, max_new_tokens=limit)[0])
    else:
        # Sampled as in the official client.
        print(chat.reply([dialogue(options.message)], max_new_tokens=limit, temperature=0.7)[0])


VERBS: Verbs = {"mix": (Mix, mix), "measure": (Measure, measure), "chat": (ChatOnce, chat_once)}

TRY = Try(
    command="measure --model {model} --tasks {data} --out {out}/answers.jsonl",
    data="tasks as JSON lines with the instruction, the answer and its language.",
    means="Accuracy by language: how far skills that were taught in the pivots reach the other languages.",
    limits="Nothing about languages without tasks in the file, and nothing about why: for that, tune once without "
    "the translation tasks and compare.",
)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command; the user's mistakes end with one sentence and exit code 2."""
    tools("papers.bayling2.use", __doc__, VERBS, arguments)


if __name__ == "__main__":
    main()
