"""A whole training: what it writes, and that a kill changes nothing."""

import dataclasses
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import training.train
from tests.checkpoints import write_checkpoint
from tests.toy_clips import SMALL, ToyClips, recipe
from training.classifier import heads_path, read_classifier
from training.distributed import Processes
from training.recipe import LossRecipe, ModelRecipe, OptimiserRecipe, Recipe, RunRecipe
from training.train import Origin, TrainingError, measure, state_path, train
from vfd.checkpoint import UNCALIBRATED, load_checkpoint
from vfd.model import VfdModel
from vfd.model_config import PRESETS

CLIPS, HELD_OUT = ToyClips(8, each=2, fakes=1), ToyClips(6, each=2, fakes=2)
ALONE = Processes(0, 1, torch.device("cpu"))
ORIGIN = Origin("vfd-train train toy", "abc1234")
FULL = recipe(
    ModelRecipe("nano", initial="xavier", batch_norm=True, keep_voice=0.5),
    LossRecipe(identity_weight=0.1, trait_weight=1.0),
    OptimiserRecipe(steps=6, batch=4, learning_rate=3e-3),
    run=RunRecipe(validate_every=3, save_every=2, report_every=2, line="call"),
)
FINE = recipe(
    ModelRecipe("nano", initial="xavier"),
    LossRecipe("real-fake", negatives=2),
    OptimiserRecipe(steps=2, batch=4, learning_rate=1e-3),
)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PRESETS, "nano", SMALL)  # type: ignore[attr-defined]
    torch.set_num_threads(1)


def run(chosen: Recipe, out: Path, origin: Origin = ORIGIN) -> float:
    return train(chosen, CLIPS, HELD_OUT, out, origin, group=ALONE)


def losses(out: Path) -> dict[int, float]:
    """Of matching, by step, as TensorBoard shows them."""
    events = EventAccumulator(str(out.with_name(f"{out.name}.log")))
    events.Reload()
    return {event.step: event.value for event in events.Scalars("loss/match")}


def child(out: Path) -> None:
    """Trains until its first state is saved, and then waits to be killed; in a process of its
    own."""
    save = training.train.save_state

    def save_and_wait(*state: Any) -> None:  # noqa: ANN401
        save(*state)
        time.sleep(600)

    training.train.save_state = save_and_wait
    PRESETS["nano"] = SMALL  # type: ignore[index]
    torch.set_num_threads(1)
    run(FULL, out)


def test_a_training_writes_a_checkpoint_that_embeds_alike_and_repeats(tmp_path: Path) -> None:
    paths = [tmp_path / "a.safetensors", tmp_path / "b.safetensors"]
    areas = [run(FULL, path) for path in paths]
    assert areas[0] == areas[1]
    assert 0 <= areas[0] <= 1
    first, second = (load_checkpoint(path) for path in paths)
    assert first.sha256 == second.sha256
    assert first.info.synthetic
    assert first.info.command == ORIGIN.command
    assert first.info.calibration.fake_mean != 0
    crops = torch.randint(0, 256, (2, 224, 224, 3), dtype=torch.uint8)
    vectors = VfdModel.from_checkpoint(paths[0]).embed_faces(crops)
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(2))
    heads = torch.load(heads_path(paths[0]), weights_only=True)
    assert heads["voice.modulator"].shape == (8, 16)
    assert measure(FULL, HELD_OUT, paths[0], ALONE)["AUC"] == pytest.approx(areas[0], abs=0.03)


def test_after_a_kill_the_losses_are_those_of_an_unbroken_training(tmp_path: Path) -> None:
    unbroken, broken = tmp_path / "unbroken.safetensors", tmp_path / "broken.safetensors"
    run(FULL, unbroken)
    program = f"from tests.test_train import *; child(Path({str(broken)!r}))"
    process = subprocess.Popen([sys.executable, "-c", program], cwd=Path(__file__).parents[1])
    deadline = time.monotonic() + 90
    while not state_path(broken).exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    saved = torch.load(state_path(broken), weights_only=True)["standing"]["step"]
    assert saved == 2
    run(FULL, broken)
    expected, found = losses(unbroken), losses(broken)
    assert list(expected) == [1, 2, 3, 4, 5, 6]
    assert {step: found[step] for step in expected} == expected
    assert load_checkpoint(broken).sha256 == load_checkpoint(unbroken).sha256


def test_a_finished_training_is_not_repeated(tmp_path: Path) -> None:
    out = tmp_path / "a.safetensors"
    best = run(FINE, out)
    out.unlink()
    assert run(FINE, out) == best
    assert not out.exists()


def test_the_state_of_another_recipe_is_refused(tmp_path: Path) -> None:
    out = tmp_path / "a.safetensors"
    run(FINE, out)
    other = dataclasses.replace(FINE, run=dataclasses.replace(FINE.run, seed=5))
    with pytest.raises(TrainingError, match=r"another training \(recipe.run.seed was 1, is 5\)"):
        run(other, out)
    state_path(out).write_bytes(b"torn")
    with pytest.raises(TrainingError, match="is no state of a training"):
        run(FINE, out)


def test_the_state_of_other_data_or_another_start_is_refused(tmp_path: Path) -> None:
    out = tmp_path / "a.safetensors"
    starts = [tmp_path / f"{name}.safetensors" for name in ("start", "other")]
    for seed, start in enumerate(starts):
        write_checkpoint(start, SMALL, seed=seed)
    run(FINE, out, Origin("fine", "abc1234", starts[0]))
    for origin in (ORIGIN, Origin("fine", "abc1234", starts[1])):
        with pytest.raises(TrainingError, match=r"another training \(start.sha256 was '\w+', is "):
            run(FINE, out, origin)
    for clips, held_out, message in (
        (ToyClips(9, each=2, fakes=1), HELD_OUT, "data.train.clips was 24, is 27"),
        (CLIPS, ToyClips(5, each=2, fakes=2), "data.validation.identities was 6, is 5"),
        (dataclasses.replace(CLIPS, trained_on="others"), HELD_OUT, "data.train.sets was"),
    ):
        with pytest.raises(TrainingError, match=message):
            train(FINE, clips, held_out, out, Origin("", "", starts[0]), group=ALONE)


def test_it_stops_when_validation_no_longer_improves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    still = dataclasses.replace(
        FULL,
        optimiser=OptimiserRecipe(steps=50, batch=4, learning_rate=1e-9),
        model=ModelRecipe("nano", initial="xavier"),
        run=RunRecipe(validate_every=1, save_every=50, patience=3),
    )
    out = tmp_path / "a.safetensors"
    run(still, out)
    standing = torch.load(state_path(out), weights_only=True)["standing"]
    assert standing == {
        "step": standing["step"],
        "best": standing["best"],
        "stale": 3,
        "ended": True,
    }
    assert 4 <= standing["step"] < 50
    assert "stopped early" in capsys.readouterr().out


@pytest.mark.parametrize("objective", ["real-fake", "info-nce", "classify"])
def test_fine_tuning_begins_from_a_checkpoint(tmp_path: Path, objective: str) -> None:
    start, out = tmp_path / "start.safetensors", tmp_path / "fine.safetensors"
    run(dataclasses.replace(FULL, optimiser=OptimiserRecipe(steps=1, batch=4)), start)
    fine = dataclasses.replace(FINE, loss=LossRecipe(objective, negatives=2))
    gentle = dataclasses.replace(
        fine, optimiser=OptimiserRecipe(steps=1, batch=4, learning_rate=1e-9, weight_decay=0.0)
    )
    best = run(gentle, out, Origin("fine", "abc1234", start))
    before, after = load_checkpoint(start), load_checkpoint(out)
    for name, tensor in before.tensors.items():
        np.testing.assert_allclose(after.tensors[name], tensor, atol=1e-3)
    found = measure(gentle, HELD_OUT, out, ALONE)
    assert found["AUC"] == pytest.approx(best, abs=0.05)
    assert found["accuracy"] > 0.5  # the threshold was chosen on the same clips
    assert (after.info.calibration == UNCALIBRATED) is (objective == "classify")


def test_a_classifier_is_measured_at_the_threshold_of_its_validation(tmp_path: Path) -> None:
    out = tmp_path / "face.safetensors"
    loss = LossRecipe("classify", negatives=2, towers=("face",))
    chosen = dataclasses.replace(FINE, loss=loss)
    run(chosen, out)
    heads = torch.load(heads_path(out), weights_only=True)
    classifier = read_classifier(out)
    assert classifier is not None
    assert classifier.towers == ("face",)
    strangers = ToyClips(9, each=1, fakes=3)
    for threshold, share in ((-math.inf, 1 / 4), (math.inf, 3 / 4)):
        torch.save(heads | {"classifier.threshold": threshold}, heads_path(out))
        assert measure(chosen, strangers, out, ALONE)["accuracy"] == pytest.approx(share)
    torch.save({n: v for n, v in heads.items() if n != "classifier.threshold"}, heads_path(out))
    with pytest.raises(ValueError, match=r"face\.safetensors\.heads\.pt: has no 'classifier\.thr"):
        measure(chosen, strangers, out, ALONE)


def test_going_on_from_folded_weights_changes_nothing_at_first(tmp_path: Path) -> None:
    start, out = tmp_path / "start.safetensors", tmp_path / "on.safetensors"
    run(FULL, start)
    gentle = dataclasses.replace(
        FULL, optimiser=OptimiserRecipe(steps=1, batch=4, learning_rate=1e-9, weight_decay=0.0)
    )
    run(gentle, out, Origin("on", "abc1234", start))
    crops = torch.randint(0, 256, (4, 224, 224, 3), dtype=torch.uint8)
    before, after = (VfdModel.from_checkpoint(path).embed_faces(crops) for path in (start, out))
    assert (before * after).sum(dim=1).min() > 0.98


def test_a_full_disk_leaves_the_last_save(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "a.safetensors"
    three = OptimiserRecipe(steps=3, batch=4)
    one = dataclasses.replace(FINE, optimiser=three, run=RunRecipe(validate_every=9, save_every=1))
    full = os.strerror(28)
    written = []

    def fsync(descriptor: int) -> None:
        written.append(descriptor)
        if len(written) == 2:
            raise OSError(28, full)

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(TrainingError, match=rf"a.safetensors.state.pt: cannot be written .*{full}"):
        run(one, out)
    assert torch.load(state_path(out), weights_only=True)["standing"]["step"] == 1
    assert not list(tmp_path.glob(".*partial"))


def test_a_split_that_cannot_validate_is_an_error(tmp_path: Path) -> None:
    alone = ToyClips(1, each=4)
    with pytest.raises(ValueError, match="at least two identities"):
        train(FULL, CLIPS, alone, tmp_path / "a", ORIGIN, group=ALONE)
    with pytest.raises(ValueError, match="must hold real and fake clips"):
        train(FINE, CLIPS, ToyClips(4), tmp_path / "b", ORIGIN, group=ALONE)
