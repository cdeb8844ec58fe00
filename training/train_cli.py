"""`vfd-train train`, `sweep` and `recipes`."""

import argparse
import itertools
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training.clips import Split
from training.provenance import command, commit
from training.recipe import Recipe
from training.recipe_file import RecipeError, load_recipe, recipe_names
from training.shard_set import ShardSet, open_split
from training.sweep_file import write_sweep

if TYPE_CHECKING:
    from training.distributed import Processes
    from training.train import Origin


def add_commands(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
) -> None:
    """Adds the parsers of the three commands to the subparsers of `vfd-train`."""
    one = commands.add_parser("train", help="train a model by a recipe, or go on with it")
    _add_training(one)
    one.add_argument("--out", type=Path, required=True, help="checkpoint to write")
    one.set_defaults(run=_train)
    many = commands.add_parser("sweep", help="train once for every value that a recipe names")
    _add_training(many)
    many.add_argument("--out", type=Path, required=True, help="folder for all of them")
    many.set_defaults(run=_sweep)
    commands.add_parser("recipes", help="list the recipes that ship").set_defaults(run=_recipes)


def _add_training(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("recipe", help="name of one that ships (see `recipes`), or a .toml file")
    parser.add_argument(
        "--data",
        action="append",
        default=[],
        metavar="SET=FOLDER",
        help="where a set that the recipe names was prepared; once for each set",
    )
    parser.add_argument("--start", type=Path, help="weights to begin from")
    parser.add_argument("--mapping", type=Path, help="what the tensors of --start are called here")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        dest="changes",
        metavar="SECTION.KEY=VALUE",
        help="a change to the recipe, such as optimiser.steps=100",
    )
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--workers", type=int, default=1, help="processes that read ahead")


def _train(options: argparse.Namespace) -> None:
    from training.distributed import processes  # torch: not for the workers of prepare

    recipe = load_recipe(options.recipe, _changes(options.changes))
    with processes(options.device) as group:
        _run(recipe, options, options.out, group)


def _sweep(options: argparse.Namespace) -> None:
    """Goes on with what an earlier call left unfinished; `sweep.csv` grows by a row at a time."""
    from training.distributed import processes

    changes = _changes(options.changes)
    sweep = load_recipe(options.recipe, changes).sweep
    if not sweep.field:
        raise RecipeError(f"{options.recipe}: sweep.field is missing; `train` runs a single recipe")
    rows = []
    with processes(options.device) as group:
        for value, seed in itertools.product(sweep.values, sweep.seeds):
            plain = int(value) if value.is_integer() else value
            varied = {**changes, sweep.field: plain, "run.seed": seed}
            recipe = load_recipe(options.recipe, varied)
            out = options.out / f"{plain}-seed{seed}.safetensors"
            found = _run(recipe, options, out, group)
            rows.append({sweep.field: plain, "seed": seed, **found})
            if group.first:
                write_sweep(options.out / "sweep.csv", rows)


def _recipes(_: argparse.Namespace) -> None:
    names = recipe_names()
    width = max(map(len, names))
    for name in names:
        print(f"{name:{width}}  {load_recipe(name).about}")


def _run(
    recipe: Recipe, options: argparse.Namespace, out: Path, group: "Processes"
) -> dict[str, float]:
    """Trains, then measures the test sets; AUC by where it was measured, accuracy beside it."""
    from training.train import measure, train

    folders = _folders(recipe, options.data)
    found = train(
        recipe,
        open_split(folders[recipe.data.train], Split.TRAIN),
        open_split(folders[recipe.data.train], Split.VALIDATION),
        out,
        _origin(recipe, options),
        group=group,
        workers=options.workers,
    )
    measured = {"validation": found}
    for name in recipe.data.test:
        clips: ShardSet = open_split(folders[name], Split.TEST)
        figures = measure(recipe, clips, out, group)
        if group.first:
            said = ", ".join(f"{figure} {value:.4f}" for figure, value in figures.items())
            print(f"test on {name}: {said}", flush=True)
        measured[name] = figures.pop("AUC")
        measured |= {f"{name} {figure}": value for figure, value in figures.items()}
    return measured


def _origin(recipe: Recipe, options: argparse.Namespace) -> "Origin":
    from training.initialise import read_mapping
    from training.train import Origin

    if recipe.model.start and options.start is None:
        raise RecipeError(
            f"{recipe.name} begins from the weights of {recipe.model.start}: name them with --start"
        )
    if options.mapping is not None and options.start is None:
        raise RecipeError("--mapping needs --start")
    mapping = None if options.mapping is None else read_mapping(options.mapping)
    return Origin(command(), commit(), options.start, mapping)


def _folders(recipe: Recipe, given: Sequence[str]) -> Mapping[str, Path]:
    """Where each set of the recipe lies. Raises RecipeError for a set too few or too many."""
    wanted = list(dict.fromkeys([recipe.data.train, *recipe.data.test]))
    folders = {}
    for pair in given:
        name, equals, folder = pair.partition("=")
        if not equals or name not in wanted:
            listed = " ".join(f"--data {w}=FOLDER" for w in wanted)
            raise RecipeError(f"--data {pair}: {recipe.name} wants {listed}")
        folders[name] = Path(folder)
    for name in wanted:
        if name not in folders:
            raise RecipeError(f"{recipe.name} wants --data {name}=FOLDER, which prepare filled")
    return folders


def _changes(given: Sequence[str]) -> dict[str, Any]:
    """Values as TOML has them; what is none is a string."""
    changes = {}
    for pair in given:
        key, equals, text = pair.partition("=")
        if not equals:
            raise RecipeError(f"--set {pair}: expected SECTION.KEY=VALUE")
        try:
            changes[key] = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            changes[key] = text
    return changes
