"""One step of training, alone, in parts, and shared by two processes."""

import dataclasses
from contextlib import closing
from pathlib import Path

import pytest
import torch

from tests.ranks import run_two
from tests.toy_clips import SMALL, ToyClips, recipe
from training.batches import Batches
from training.distributed import Processes, processes
from training.network import TrainedModel
from training.recipe import DataRecipe, LossRecipe, ModelRecipe, OptimiserRecipe, Recipe
from training.trainer import Trainer, schedule
from vfd.model_config import PRESETS

CLIPS = ToyClips(8, each=1, fakes=2)
ALONE = Processes(0, 1, torch.device("cpu"))
EVERYTHING = recipe(
    ModelRecipe("nano", initial="xavier", batch_norm=True, keep_voice=0.5, keep_face=0.7),
    LossRecipe(identity_weight=0.1, trait_weight=1.0, both_directions=True),
    data=DataRecipe("toys", faces_each=2),
)
FINE_TUNING = {
    name: recipe(
        ModelRecipe("nano", initial="xavier"),
        LossRecipe(name, negatives=2),
        OptimiserRecipe(steps=4, batch=4),
    )
    for name in ("real-fake", "info-nce", "classify")
}
RECIPES = {"match": EVERYTHING} | FINE_TUNING


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PRESETS, "nano", SMALL)  # type: ignore[attr-defined]
    torch.set_num_threads(1)


def gradients(chosen: Recipe, group: Processes = ALONE) -> dict[str, torch.Tensor]:
    """Of the first step, by parameter."""
    torch.manual_seed(3)
    model = TrainedModel(chosen, CLIPS.identities, 3)
    batch = Batches(CLIPS, chosen, group.rank, group.count)[1]
    with closing(Trainer(model, chosen, group)) as trainer:
        trainer.backward(batch, 1)
    return {n: p.grad for n, p in model.named_parameters() if p.grad is not None}


def assert_alike(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    """But for what another order of additions changes."""
    assert found.keys() == expected.keys()
    least = 1e-5 * max(float(gradient.norm()) for gradient in expected.values())
    for name, gradient in expected.items():
        off = float((found[name] - gradient).norm())
        assert off <= 1e-3 * float(gradient.norm()) + least, name


def with_optimiser(chosen: Recipe, **changes: object) -> Recipe:
    optimiser = dataclasses.replace(chosen.optimiser, **changes)  # type: ignore[arg-type]
    return dataclasses.replace(chosen, optimiser=optimiser)


@pytest.mark.parametrize("name", RECIPES)
def test_a_few_clips_are_learned_by_heart(name: str) -> None:
    torch.manual_seed(1)
    chosen = with_optimiser(RECIPES[name], learning_rate=1e-2, weight_decay=0.0, steps=40)
    batch = Batches(CLIPS, chosen)[1]
    with closing(Trainer(TrainedModel(chosen, 8, 3), chosen, ALONE)) as trainer:
        parts = [trainer.step(batch, 1 + number) for number in range(12)]
    for part, first in parts[0].items():
        assert parts[-1][part] < 0.9 * first, part


def test_identity_and_traits_count_in_the_guided_share_alone() -> None:
    half = dataclasses.replace(EVERYTHING, loss=dataclasses.replace(EVERYTHING.loss, guided=0.5))
    half = with_optimiser(half, steps=10)
    assert [half.is_guided(step) for step in (1, 5, 6, 10)] == [True, True, False, False]
    found = {}
    for step in (5, 6):
        torch.manual_seed(3)
        model = TrainedModel(half, CLIPS.identities, 3)
        with closing(Trainer(model, half, ALONE)) as trainer:
            parts = trainer.backward(Batches(CLIPS, half)[1], step)
        head = model.heads.voice
        assert head is not None
        assert head.modulator is not None
        assert head.modulator.grad is not None
        found[step] = float(head.modulator.grad.norm())
        assert parts["voice_id"] > 0
    assert found[5] > 0
    assert found[6] == 0


@pytest.mark.parametrize("name", RECIPES)
def test_a_batch_in_parts_has_the_gradients_of_the_whole(name: str) -> None:
    whole = gradients(RECIPES[name])
    parts = gradients(with_optimiser(RECIPES[name], accumulate=2))
    assert_alike(parts, whole)


def test_bf16_stays_close_to_f32() -> None:
    exact = gradients(EVERYTHING)["voice.tower.patch.weight"].flatten()
    rough = gradients(with_optimiser(EVERYTHING, precision="bf16"))["voice.tower.patch.weight"]
    assert rough.dtype == torch.float32
    cosine = torch.nn.functional.cosine_similarity(exact, rough.flatten(), dim=0)
    assert 0.98 < cosine.item() < 1 - 1e-7


def test_bf16_leaves_the_choice_of_attention_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bool] = []
    run = Trainer._run

    def watched(self: Trainer, *given: object) -> torch.Tensor:
        seen.append(torch.backends.cuda.flash_sdp_enabled())  # of the CPU's too
        return run(self, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(Trainer, "_run", watched)
    gradients(with_optimiser(EVERYTHING, precision="bf16"))
    gradients(EVERYTHING)
    assert seen == [False, False, True, True]
    assert torch.backends.cuda.flash_sdp_enabled()


def test_the_learning_rate_warms_up_and_fades() -> None:
    chosen = OptimiserRecipe(steps=100, warm_up_steps=10)
    rates = [schedule(step, chosen) for step in range(1, 101)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == rates[9] == 1.0
    assert rates[-1] == pytest.approx(0, abs=1e-9)
    assert rates[9:] == sorted(rates[9:], reverse=True)


def one_of_two(folder: Path) -> None:
    """Runs in a process of its own, which the environment tells its rank."""
    torch.set_num_threads(1)
    PRESETS["nano"] = SMALL  # type: ignore[index]
    with processes("cpu") as group:
        found = {name: gradients(chosen, group) for name, chosen in RECIPES.items()}
        found["in parts"] = gradients(with_optimiser(EVERYTHING, accumulate=2), group)
        torch.save(found, folder / f"{group.rank}.pt")


def test_two_processes_have_the_gradients_of_one(tmp_path: Path) -> None:
    program = f"from tests.test_trainer import *; one_of_two(Path({str(tmp_path)!r}))"
    run_two(program, "-W", "error")
    found = [torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1)]
    for name, chosen in {**RECIPES, "in parts": EVERYTHING}.items():
        alone = gradients(chosen)
        for shared in found:
            assert_alike(shared[name], alone)
