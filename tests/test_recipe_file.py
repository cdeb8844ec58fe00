from pathlib import Path

import pytest

from training.recipe_file import RecipeError, load_recipe, recipe_names

MINIMAL = """
about = "for tests"
[model]
preset = "nano"
[data]
train = "toys"
[loss]
[optimiser]
steps = 10
"""


def write(folder: Path, text: str, name: str = "mine") -> str:
    path = folder / f"{name}.toml"
    path.write_text(text)
    return str(path)


def test_every_recipe_that_ships_can_be_loaded() -> None:
    names = recipe_names()
    assert {
        "paper-pretrain",
        "paper-finetune-dfdc",
        "paper-finetune-fakeavceleb",
        "paper-finetune-timit-lq",
        "paper-finetune-timit-hq",
        "synthetic-nano",
        "synthetic-tiny",
    } <= set(names)
    for name in names:
        recipe = load_recipe(name)
        assert recipe.name == name
        assert recipe.about.endswith(".")
        if recipe.model.start:
            assert recipe.model.start in names


def test_the_paper_s_numbers() -> None:
    before, after = load_recipe("paper-pretrain"), load_recipe("paper-finetune-dfdc")
    assert (before.optimiser.learning_rate, after.optimiser.learning_rate) == (1e-4, 5e-6)
    assert (before.optimiser.weight_decay, before.optimiser.batch) == (0.2, 128)
    assert (before.loss.temperature, before.model.initial) == (0.1, "paper")
    assert (after.loss.objective, after.loss.negatives) == ("real-fake", 10)
    assert before.loss.identity_weight == 1.0
    assert not before.loss.both_directions
    assert before.model.preset == after.model.preset == "base"


def test_crossed_sets_train_on_one_and_test_on_another() -> None:
    for name in recipe_names():
        if "-on-" in name:
            recipe = load_recipe(name)
            assert recipe.data.test
            assert recipe.data.train not in recipe.data.test


def test_a_sweep_names_a_field_and_values_that_fit_it() -> None:
    swept = [load_recipe(name) for name in recipe_names() if load_recipe(name).sweep.field]
    assert {recipe.sweep.field for recipe in swept} >= {"data.real_clips", "loss.negatives"}
    for recipe in swept:
        for value in recipe.sweep.values:
            plain = int(value) if value.is_integer() else value
            load_recipe(recipe.name, {recipe.sweep.field: plain})


def test_synthetic_ablations_are_swept_over_seeds_and_tested() -> None:
    names = [f"synthetic-{name}" for name in ("eighth", "one-direction", "without-augmentation")]
    names += [f"synthetic-{name}" for name in ("without-identity", "without-traits", "finetune")]
    names += [f"synthetic-finetune-{name}" for name in ("infonce", "from-scratch")]
    for name in names:
        recipe = load_recipe(name)
        steps = 40.0 if "finetune" in name else 200.0
        assert (recipe.sweep.field, recipe.sweep.values) == ("optimiser.steps", (steps,))
        assert recipe.sweep.seeds == (1, 2, 3)
        assert recipe.data.test == ("synthetic",)


def test_a_recipe_builds_on_another_and_changes_come_last(tmp_path: Path) -> None:
    write(tmp_path, MINIMAL, "below")
    base = f'base = "{tmp_path}/below.toml"\nabout = "Above."\n[optimiser]\nbatch = 32\n'
    recipe = load_recipe(write(tmp_path, base), {"optimiser.steps": 7, "loss.temperature": 1})
    assert (recipe.optimiser.steps, recipe.optimiser.batch) == (7, 32)
    assert recipe.loss.temperature == 1.0
    assert (recipe.name, recipe.about, recipe.data.train) == ("mine", "Above.", "toys")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (MINIMAL + "stepz = 1", r"mine.toml: optimiser.stepz is unknown \(known: steps, batch"),
        (MINIMAL + "[modle]", r"mine.toml: modle is unknown"),
        (MINIMAL.replace("steps = 10", ""), "optimiser.steps is missing"),
        (MINIMAL.replace("10", '"ten"'), "optimiser.steps must be a whole number, not 'ten'"),
        (MINIMAL.replace("10", "true"), "optimiser.steps must be a whole number, not True"),
        (MINIMAL.replace("10", "0"), "optimiser.steps must be at least 1, not 0"),
        (MINIMAL.replace("nano", "huge"), "model.preset must be one of nano, .*, not 'huge'"),
        (MINIMAL + "[augment]\nflip = 1.5", "augment.flip must be at most 1.0, not 1.5"),
        (MINIMAL + "[run]\nline = 3", "run.line must be a string, not 3"),
        (MINIMAL + "[sweep]\nvalues = 3", "sweep.values must be a list, not 3"),
        (MINIMAL + "batch = 9\naccumulate = 2", "batch must be a multiple of optimiser.accum"),
        (MINIMAL.replace("[loss]", '[loss]\ntowers = ["face"]'), "loss.towers must be both"),
        (MINIMAL.replace("[loss]", "loss = 3"), "loss must be a section|Expected|unknown"),
        (MINIMAL.replace('"nano"', '"vgg"\nbatch_norm = true'), "vgg trains whole"),
        ("steps = = 3", r"mine.toml: "),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        load_recipe(write(tmp_path, text))


def test_an_unknown_recipe_and_a_circle_are_errors(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"no recipe 'papr' \(known: .*paper-pretrain"):
        load_recipe("papr")
    path = write(tmp_path, f'base = "{tmp_path}/mine.toml"')
    with pytest.raises(RecipeError, match="leads back to itself"):
        load_recipe(path)
    with pytest.raises(RecipeError, match="'steps' names no field"):
        load_recipe("synthetic-nano", {"steps": 3})
