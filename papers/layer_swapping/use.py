"""Layer swapping with checkpoints of your own: merge two fine-tunes, see what a fine-tune changed, search the recipe.

python -m papers.layer_swapping.use merge --task-expert maths --language-expert swahili --out merged
python -m papers.layer_swapping.use change --base my-base --experts maths swahili
python -m papers.layer_swapping.use search --task-expert maths --language-expert swahili --evaluate mine.py:score
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby, product
from pathlib import Path
from typing import Annotated, Any, Literal

from core.errors import UserError
from core.experiment.config import Range, Seed
from core.experiment.entrypoint import Verbs, tools
from core.experiment.trying import Try
from papers.layer_swapping import method
from papers.layer_swapping.method import Change, Outer, Place, Recipe, profile

How = Literal["swap", "reverse", "random", "soup", "ties", "arithmetic"]
_PLACES: dict[How, Place] = {"swap": "recipe", "reverse": "reverse", "random": "random"}


@dataclass(frozen=True)
class Merge:
    """Merge two fine-tunes of one base into a folder that transformers loads, with a manifest of what is whose."""

    task_expert: str
    """Folder or hub id of the fine-tune for the task; or an adapter's folder."""
    language_expert: str
    """Folder or hub id of the fine-tune for the language, of the same base; or an adapter's folder."""
    out: Path
    """New folder, with tokenizer and configuration of the language expert."""
    base: str = ""
    """Folder or hub id of their base: for `--outer base`, ties and arithmetic."""
    how: How = "swap"
    """Layer swapping; its controls, with the language expert in the middle or in random layers; or another way to
    merge: a weighted average, TIES, or both differences added to the base."""
    bottom: Annotated[int, Range(0)] | None = None
    """Lowest layers from the language expert. None: 5 and 2 of 32 layers (the paper's), by depth."""
    top: Annotated[int, Range(0)] | None = None
    """Highest layers from it."""
    transition: Annotated[int, Range(0)] = 1
    """Layers at each seam that are mixed, where there is a seam."""
    weight: Annotated[float, Range(0, 1)] = 0.5
    """Share of the language expert in what is mixed, and in a soup."""
    outer: Outer = "language"
    """Whose embeddings, last norm and head. Tied embeddings are both ends at once."""
    seed: Seed = 0
    """Of random layers."""
    mergekit: Path | None = None
    """Also write the swap as a configuration of mergekit into this file."""


@dataclass(frozen=True)
class Changed:
    """See which layers and modules fine-tuning has changed, and get a b and a u."""

    base: str
    """Folder or hub id."""
    experts: tuple[str, ...]
    """Folders or hub ids of its fine-tunes."""
    share: Annotated[float, Range(0, 1)] = 0.6
    """How much of an expert's change the suggested outer layers hold."""
    out: Path | None = None
    """Also write the table, as TSV."""


@dataclass(frozen=True)
class Search:
    """Try recipes on development data of your own, beside the experts, a soup and the two controls."""

    task_expert: str
    """As of merge."""
    language_expert: str
    """As of merge."""
    evaluate: str
    """file.py:function; what the function returns is called with the folder of a model and returns a number, higher is
    better."""
    bottom: tuple[Annotated[int, Range(0)], ...] = ()
    """Values of b; none: around the paper's, by depth."""
    top: tuple[Annotated[int, Range(0)], ...] = ()
    """Values of u; likewise."""
    transition: tuple[Annotated[int, Range(0)], ...] = (0, 1)
    """Values of t at both seams."""
    outer: Outer = "language"
    """As of merge; base has no base here."""
    seed: Seed = 0
    """Of the three random places."""
    out: Path | None = None
    """Also write the table, as TSV."""


def folders(*specs: str) -> list[Path]:
    """Local folders of models that can be merged with each other.

    Raises:
        UserError: A folder without a model; an adapter beside a whole model, or adapters that differ in more than their
            factors.
    """
    from core.files import load_json
    from core.models.loading import materialize

    found = [materialize(spec) for spec in specs]
    adapters = [path / "adapter_config.json" for path in found if (path / "adapter_config.json").exists()]
    if not adapters:
        return found
    if len(adapters) < len(found):
        raise UserError(
            "Adapters and whole models cannot be merged with each other: merge the adapters into their base."
        )
    settings = [load_json(path, dict) for path in adapters]
    for name in ("peft_type", "r", "lora_alpha", "use_rslora", "rank_pattern", "alpha_pattern"):
        if any(one.get(name) != settings[0].get(name) for one in settings):
            raise UserError(f"The adapters differ in {name}: merge each into its base first, and then the two models.")
    return found


def scaled(layers: int) -> Recipe:
    """The paper's recipe (5 and 2 of 32 layers in secondary sources) for a model of another depth; our rule."""
    bottom, top = round(5 / 32 * layers), max(1, round(2 / 32 * layers))
    return Recipe(bottom, top, min(bottom, 1), min(layers - bottom - top, 1))


def recipe_of(options: Merge, layers: int) -> Recipe:
    """The recipe that the options name."""
    by_depth = scaled(layers)
    bottom = by_depth.bottom if options.bottom is None else options.bottom
    top = by_depth.top if options.top is None else options.top
    below, above = (options.transition if size else 0 for size in (bottom, top))
    return Recipe(bottom, top, below, above, options.weight, options.outer)


def merge(options: Merge) -> None:
    """Write the merged model and say where its layers come from.

    Raises:
        UserError: What is merged needs a base, or cannot be mixed; and as :func:`folders`.
    """
    from core.models import merging

    placed = options.how in _PLACES
    needed = options.how in ("ties", "arithmetic") or (placed and options.outer == "base")
    if needed and not options.base:
        raise UserError("ties, arithmetic and --outer base need the model that both were tuned from: name --base.")
    if options.mergekit and not placed:
        raise UserError("--mergekit writes swaps: leave it out, or take --how swap.")
    if not placed and (options.bottom is not None or options.top is not None):
        raise UserError(f"--how {options.how} takes all layers alike: leave --bottom and --top out.")
    if options.mergekit and options.outer == "base":
        raise UserError("--mergekit has two sources: leave --outer base out.")
    *base, task, language = folders(*([options.base] if needed else []), options.task_expert, options.language_expert)
    adapters = (language / "adapter_config.json").exists()
    if not placed:
        if adapters:
            raise UserError("Averaged factors are no average of what adapters do: merge them into their base first.")
        rules = {
            "soup": lambda: merging.average([1 - options.weight, options.weight]),
            "ties": lambda: merging.ties([1.0, 1.0]),
            "arithmetic": lambda: merging.task_arithmetic([1.0, 1.0]),
        }
        merging.merge([*base, task, language], options.out, rules[options.how]())
        print(f"{options.out}: {options.how} of {options.task_expert} and {options.language_expert}")
        return
    recipe = recipe_of(options, merging.depth(merging.names(language)))
    if adapters and (recipe.bottom_transition or recipe.top_transition or recipe.outer == "average"):
        raise UserError(
            "Averaged factors are no average of what adapters do: add --transition 0, or merge them into their base."
        )
    place = _PLACES[options.how]
    made = method.swapped(
        task, language, recipe, options.out, base=base[0] if base else None, place=place, seed=options.seed
    )
    print(f"{options.out}: layers by share of {options.language_expert}")
    for share, group in groupby(enumerate(made["layers"]), key=lambda entry: entry[1]):
        numbers = [number for number, _ in group]
        print(f"  {numbers[0]:3d} to {numbers[-1]:3d}  {share:.2f}")
    if made["outer_tensors"]:
        print(f"  {made['outer']}: {', '.join(made['outer_tensors'])}")
    if options.mergekit:
        write_mergekit(options.mergekit, made, options.task_expert, options.language_expert)


def write_mergekit(path: Path, made: dict[str, Any], task: str, language: str) -> None:
    """The same merge for mergekit: `linear` with two sources a slice, one for each run of layers with one share.

    mergekit takes what lies before the layers from the first slice and what lies behind them from the last, so that
    both name the outer tensors, which are not the base's: it would be a third.
    """
    import yaml

    from core.files import write_text

    outer = {"language": 1.0, "task": 0.0, "average": made["recipe"]["weight"]}[made["outer"]]
    groups = [(share, list(group)) for share, group in groupby(enumerate(made["layers"]), key=lambda entry: entry[1])]
    slices = []
    for number, (share, group) in enumerate(groups):

        def weight(
            mine: Callable[[float], float], share: float = share, ends: bool = number in (0, len(groups) - 1)
        ) -> Any:
            if not ends:
                return mine(share)
            named = [{"filter": name, "value": mine(outer)} for name in made["outer_tensors"]]
            return [*named, {"value": mine(share)}]

        layers = (group[0][0], group[-1][0] + 1)
        sources = [(task, lambda s: 1 - s), (language, lambda s: s)]
        slices.append({"sources": [
            {"model": model, "layer_range": [*layers], "parameters": {"weight": weight(mine)}}
            for model, mine in sources
        ]})  # fmt: skip
    write_text(path, yaml.safe_dump({"merge_method": "linear", "dtype": "float32", "slices": slices}, sort_keys=False))


def change(options: Changed) -> None:
    """Print a row a layer for each expert, and the outer layers that hold most of its change."""
    from core.files import write_table

    table: list[dict[str, Any]] = []
    base, *experts = folders(options.base, *options.experts)
    for name, expert in zip(options.experts, experts, strict=True):
        found = method.change(base, expert)
        by_module = {(one.layer, one.module): one for one in found}
        modules = list(dict.fromkeys(one.module for one in found if one.layer is not None and one.module != "all"))
        print(f"{name}: mean |change| of weights, in 1e-4\n  layer   all  " + "".join(f"{m:>10s}" for m in modules))
        mean = sum(profile(found)) / max(1, len(profile(found)))
        for layer in dict.fromkeys(one.layer for one in found if one.layer is not None):
            cells = [by_module.get((layer, module)) for module in ("all", *modules)]
            row = "".join(f"{1e4 * cell.change:10.3f}" if cell else f"{'-':>10s}" for cell in cells)
            print(f"  {layer:5d}{row}  {'#' * round(20 * cells[0].change / mean) if mean and cells[0] else ''}")
        for one in (one for one in found if one.layer is None):
            print(f"  {one.module:5s}{1e4 * one.change:10.3f}")
        bottom, top = suggested(found, options.share)
        print(f"  {options.share:.0%} of it lie in --bottom {bottom} --top {top}")
        table += [{"expert": name, "layer": "outer" if one.layer is None else one.layer, "module": one.module,
                   "change": one.change, "relative": one.relative} for one in found]  # fmt: skip
    if options.out:
        write_table(options.out, table)


def suggested(found: Sequence[Change], share: float = 0.6) -> tuple[int, int]:
    """The fewest lowest and highest layers (b, u) that hold this share of all change; of as many the best pair."""
    by_layer = profile(found)
    least = share * sum(by_layer) - 1e-12
    for size in range(len(by_layer) + 1):
        held = {(size - u, u): sum(by_layer[: size - u]) + sum(by_layer[len(by_layer) - u :]) for u in range(size + 1)}
        best = max(held, key=held.__getitem__)
        if held[best] >= least:
            break
    return best


def search(options: Search) -> None:
    """Print a row a recipe as it is measured, then the best one, and whether it beats itself in other places.

    Raises:
        UserError: No recipe fits, the evaluation fails or gives no finite number; and as :func:`folders`.
    """
    from core.files import write_table
    from core.models import merging
    from core.plugins import own

    if options.outer == "base":
        raise UserError("search has no base: leave --outer base out.")
    task, language = folders(options.task_expert, options.language_expert)
    if (language / "adapter_config.json").exists():
        raise UserError(
            "search averages too, which factors of adapters do not survive: merge them into their base first."
        )
    layers = merging.depth(merging.names(language))
    score = own(options.evaluate, "evaluate")
    recipes = fitting(options, layers)
    rows: list[dict[str, Any]] = []

    def measured(name: str, folder: Path) -> None:
        rows.append({"model": name, "score": scored(score, options.evaluate, folder)})
        print(f"  {name:36s} {rows[-1]['score']:8.4f}", flush=True)

    with tempfile.TemporaryDirectory() as kept:
        place = Path(kept) / "model"

        def tried(name: str, build: Callable[[], Any]) -> None:
            from core.files import remove

            build()
            measured(name, place)
            remove(place)

        measured("task expert", task)
        measured("language expert", language)
        tried("soup", lambda: merging.merge([task, language], place, merging.average([0.5, 0.5])))
        for recipe in recipes:
            tried(named(recipe), partial(method.swapped, task, language, recipe, place))
        best = max(zip(recipes, rows[3:], strict=True), key=lambda entry: entry[1]["score"])[0]
        controls: list[tuple[Place, int]] = [("reverse", 0), *(("random", options.seed + n) for n in range(3))]
        for kind, seed in controls:
            tried(
                f"{kind} of the best" + (f" {seed}" if kind == "random" else ""),
                partial(method.swapped, task, language, best, place, place=kind, seed=seed),
            )
    print(f"best recipe: {named(best)}. The score of the best of {len(recipes)} is too high: measure it on other data.")
    own_score, elsewhere = max(row["score"] for row in rows[3 : -len(controls)]), max(r["score"] for r in rows[-3:])
    if elsewhere >= own_score:
        print(f"random places score {elsewhere:.4f}, no less than it: nothing was found about layers.")
    if options.out:
        write_table(options.out, rows)


def named(recipe: Recipe) -> str:
    """A recipe in a few words."""
    return f"bottom {recipe.bottom} top {recipe.top} transition {recipe.bottom_transition}/{recipe.top_transition}"


def fitting(options: Search, layers: int) -> list[Recipe]:
    """The recipes that the model has layers for.

    Raises:
        UserError: There is none.
    """
    by_depth, found = scaled(layers), dict[Recipe, None]()
    bottoms = options.bottom or sorted({max(0, by_depth.bottom + step) for step in (-1, 0, 1)})
    tops = options.top or sorted({max(0, by_depth.top + step) for step in (-1, 0, 1)})
    for b, u, t in product(bottoms, tops, options.transition):
        recipe = replace(by_depth, bottom=b, top=u, outer=options.outer)
        recipe = replace(recipe, bottom_transition=t if b else 0, top_transition=t if u else 0)
        if b + u and b + u + recipe.bottom_transition + recipe.top_transition <= layers:
            found[recipe] = None
    if not found:
        raise UserError(f"No recipe fits into {layers} layers: give smaller --bottom, --top or --transition.")
    return list(found)


def scored(score: Any, spec: str, folder: Path) -> float:
    """What the user's evaluation says of a model.

    Raises:
        UserError: It fails, or gives no finite number.
    """
    try:
        value = float(score(str(folder)))
    except Exception as error:
        raise UserError(f"evaluate = {spec!r} fails on a model ({type(error).__name__}: {error}).") from error
    if not math.isfinite(value):
        raise UserError(f"evaluate = {spec!r} gives {value}: return a finite number.")
    return value


VERBS: Verbs = {"merge": (Merge, merge), "change": (Changed, change), "search": (Search, search)}

TRY = Try(
    command="merge --task-expert {model} --language-expert {data} --out {out}/merged",
    data="the folder or hub id of a language expert, a fine-tune of the same base as the task expert in --model.",
    means="A model with the outer layers of the language expert around the middle of the task expert, and which layer "
    "is whose.",
    limits="Whether it is better than either, which only an evaluation on data of yours can say: gains are small, and "
    "a language expert that is no better than the base cannot help.",
)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command; the user's mistakes end with one sentence and exit code 2."""
    tools("papers.layer_swapping.use", __doc__, VERBS, arguments)


if __name__ == "__main__":
    main()
