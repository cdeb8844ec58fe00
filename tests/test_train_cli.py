"""`vfd-train train`, `sweep` and `recipes`, as a user calls them, on prepared synthetic people."""

import csv
import json
import sys
from pathlib import Path

import pytest
import torch

from tests.ranks import run_two
from tests.toy_clips import SMALL
from training import provenance
from training.cli import main
from training.clips import Split
from training.distributed import Processes
from training.recipe_file import load_recipe
from training.shard_set import open_split
from training.train import measure
from vfd.checkpoint import load_checkpoint
from vfd.model_config import PRESETS

QUICK = [
    *("--set", "optimiser.steps=2", "--set", "optimiser.batch=4", "--set", "run.line=recorded"),
    *("--set", "run.validate_every=2", "--device", "cpu", "--workers", "0"),
]


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four people to learn from, two to validate and two to test on, one real clip each and a fake
    one."""
    out = tmp_path_factory.mktemp("shards") / "people"
    words = "--identities 4 --validation 2 --test 2 --clips 1 --fakes 1 --clip-s 1.2 --variants 0"
    assert main(["prepare", "synthetic", "--out", str(out), *words.split(), "--workers", "1"]) == 0
    return out


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PRESETS, "nano", SMALL)  # type: ignore[attr-defined]
    torch.set_num_threads(1)


def test_from_people_to_a_fine_tuned_checkpoint(
    people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = tmp_path / "first.safetensors", tmp_path / "second.safetensors"
    data = ["--data", f"synthetic={people}"]
    assert main(["train", "synthetic-nano", *data, "--out", str(first), *QUICK]) == 0
    assert load_checkpoint(first).info.trained_on.startswith("synthetic people")
    fine = ["train", "synthetic-finetune", *data, "--out", str(second), *QUICK]
    assert main([*fine, "--start", str(first)]) == 0
    assert load_checkpoint(second).info.config == SMALL
    assert "test on synthetic: AUC" in capsys.readouterr().out


def test_a_sweep_trains_once_for_every_value_and_seed(people: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "mine.toml"
    recipe.write_text(
        'base = "synthetic-finetune-from-scratch"\n'
        '[sweep]\nfield = "loss.negatives"\nvalues = [1, 2]\nseeds = [1, 2]\n'
    )
    words = ["sweep", str(recipe), "--data", f"synthetic={people}", "--out", str(tmp_path / "out")]
    assert main([*words, *QUICK]) == 0
    with (tmp_path / "out" / "sweep.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(r["loss.negatives"], r["seed"]) for r in rows] == [
        ("1", "1"),
        ("1", "2"),
        ("2", "1"),
        ("2", "2"),
    ]
    for row in rows:
        trained = tmp_path / "out" / f"{row['loss.negatives']}-seed{row['seed']}.safetensors"
        recipe_of_row = load_recipe(str(recipe), {"run.line": "recorded"})
        clips = open_split(people, Split.TEST)
        again = measure(recipe_of_row, clips, trained, Processes(0, 1, torch.device("cpu")))
        assert float(row["synthetic"]) == pytest.approx(again["AUC"])
        assert float(row["synthetic accuracy"]) == pytest.approx(again["accuracy"])


def one_of_two(people: str, out: str) -> None:
    """`vfd-train sweep` in a process of its own, which the environment tells its rank."""
    PRESETS["nano"] = SMALL  # type: ignore[index]
    torch.set_num_threads(1)
    words = ["sweep", f"{out}.toml", "--data", f"synthetic={people}", "--out", out]
    assert main([*words, *QUICK]) == 0


def test_of_two_processes_one_prints_and_writes(people: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (tmp_path / "out.toml").write_text(
        'base = "synthetic-finetune-from-scratch"\n'
        '[sweep]\nfield = "loss.negatives"\nvalues = [1, 2]\nseeds = [1]\n'
    )
    program = f"from tests.test_train_cli import *; one_of_two({str(people)!r}, {str(out)!r})"
    said = run_two(program)
    assert said[0].count("test on synthetic: AUC") == 2
    assert said[1] == ""
    assert len((out / "sweep.csv").read_text().splitlines()) == 3


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train", "papr"], "no recipe 'papr'"),
        (["train", "synthetic-nano"], "synthetic-nano wants --data synthetic=FOLDER"),
        (["train", "synthetic-nano", "--data", "vox=x"], "wants --data synthetic=FOLDER"),
        (["train", "synthetic-nano", "--data", "synthetic=/absent"], "/absent"),
        (["train", "synthetic-nano", "--set", "steps"], "expected SECTION.KEY=VALUE"),
        (["train", "synthetic-nano", "--set", "run.seed=x"], "run.seed must be a whole number"),
        (["sweep", "synthetic-nano"], "sweep.field is missing"),
        (["train", "synthetic-nano", "--data", "synthetic=SHARDS", "--mapping", "m"], "--start"),
        (["train", "synthetic-finetune", "--data", "synthetic=SHARDS"], "name them with --start"),
    ],
)
def test_what_is_wrong_is_named(
    people: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    message: str,
) -> None:
    given = [word.replace("SHARDS", str(people)) for word in words]
    assert main([*given, "--out", str(tmp_path / "a.safetensors")]) == 2
    error = capsys.readouterr().err
    assert error.startswith("vfd-train: ")
    assert message in error


def test_recipes_are_listed_with_what_they_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recipes"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("paper-pretrain ") and "VoxCeleb2" in line for line in lines)


def test_a_command_is_kept_without_the_folders_of_a_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "argv", ["x", "train", "--data", "a=/home/me/a b", "--out", "/tmp/c"])
    assert provenance.command() == "vfd-train train --data 'a=a b' --out c"
    assert json.dumps(provenance.commit()).strip('"').isalnum()
