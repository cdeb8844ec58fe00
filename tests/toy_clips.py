"""Clips in memory, and a model so small that a step takes milliseconds."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.recipe import (
    DataRecipe,
    LossRecipe,
    ModelRecipe,
    OptimiserRecipe,
    Recipe,
    RunRecipe,
)
from vfd.model_config import ModelConfig
from vfd.types import Rgb

SMALL = ModelConfig("toy", 16, 2, 2, 16, (56, 56), (128, 60))


@dataclass(frozen=True)
class ToyClips:
    """`identities` people with `each` real clips and `fakes` fake ones a person. A person has a
    tone and a colour, somewhat different in every clip; a fake takes the next person's tone, and in
    the first `cloned_voices` fakes of each the face is known to be genuine. One crop in the
    recording, two in the one variant "call"."""

    identities: int
    each: int = 1
    fakes: int = 0
    cloned_voices: int = 0
    known_traits: bool = True
    trained_on: str = "synthetic people v1"

    def __len__(self) -> int:
        return self.identities * (self.each + self.fakes)

    @property
    def identity(self) -> NDArray[np.int64]:
        return np.arange(len(self)) % self.identities

    @property
    def names(self) -> list[str]:
        return [str(k) for k in range(self.identities)]

    @property
    def real(self) -> NDArray[np.bool_]:
        return np.arange(len(self)) < self.identities * self.each

    @property
    def genuine_face(self) -> NDArray[np.bool_]:
        return np.arange(len(self)) < self.identities * (self.each + self.cloned_voices)

    @property
    def source(self) -> NDArray[np.int64]:
        return self.identity

    @property
    def traits(self) -> tuple[NDArray[np.float32], NDArray[np.float32]] | None:
        if not self.known_traits:
            return None
        table = np.random.default_rng(0).standard_normal((self.identities, 3)).astype(np.float32)
        table[:, 0] = np.sign(table[:, 0])
        return table[self.identity], table[self.identity]

    def variants(self, clip: int) -> int:
        return 2

    def line(self, name: str) -> NDArray[np.int64]:
        return np.full(len(self), ["recorded", "call"].index(name))

    def crops(self, clip: int, variant: int = 0) -> int:
        return 1 + variant

    def crop(self, clip: int, number: int, variant: int = 0) -> Rgb:
        rng = np.random.default_rng((clip, number, variant))
        person = np.random.default_rng(self.identity[clip])
        colour = person.integers(40, 216, 3) + rng.integers(-9, 10, 3)
        return np.broadcast_to(colour.astype(np.uint8), (224, 224, 3)).copy()

    def audio(self, clip: int, variant: int = 0) -> NDArray[np.int16]:
        who = (self.identity[clip] + (not self.real[clip])) % self.identities
        time = np.arange(56_000) / 16_000
        pitch = 200 + 400 * who / self.identities
        rng = np.random.default_rng((clip, variant, 1))
        wave = sum(np.sin(2 * np.pi * pitch * k * time) / k for k in range(1, 9))
        return np.asarray(4_000 * wave + rng.normal(0, 200, len(time)), dtype=np.int16)


def recipe(
    model: ModelRecipe = ModelRecipe("nano"),  # noqa: B008 (frozen)
    loss: LossRecipe = LossRecipe(),  # noqa: B008
    optimiser: OptimiserRecipe = OptimiserRecipe(steps=4, batch=4),  # noqa: B008
    data: DataRecipe = DataRecipe("toys"),  # noqa: B008
    run: RunRecipe = RunRecipe(validate_every=2, save_every=1),  # noqa: B008
) -> Recipe:
    """For ToyClips, with SMALL in the place of nano."""
    return Recipe("toy", "for tests", model, data, loss, optimiser, run=run)
