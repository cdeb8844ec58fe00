"""Batches that depend on the recipe and the number of the step alone.

So a training that was killed goes on exactly where it was, and several processes share the batch
that one would have drawn.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Final, Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader

from training.augment import face_crop, voice_window
from training.recipe import Recipe
from vfd.front_ends import FRONT_ENDS
from vfd.model_config import PRESETS, ModelConfig
from vfd.types import Audio, Rgb

ORDER: Final = 0  # what a generator is for, beside its seed
SAMPLE: Final = 1
Numbers = NDArray[np.int64]


class Clips(Protocol):
    """A split of prepared data, as `training.shards.open_split` gives it; see there."""

    @property
    def identity(self) -> Numbers: ...
    @property
    def identities(self) -> int: ...
    @property
    def names(self) -> Sequence[str]: ...
    @property
    def real(self) -> NDArray[np.bool_]: ...
    @property
    def genuine_face(self) -> NDArray[np.bool_]: ...
    @property
    def source(self) -> Numbers: ...
    @property
    def traits(self) -> tuple[NDArray[np.float32], NDArray[np.float32]] | None: ...
    @property
    def trained_on(self) -> str: ...
    def __len__(self) -> int: ...
    def variants(self, clip: int) -> int: ...
    def line(self, name: str) -> Numbers: ...
    def crops(self, clip: int, variant: int = 0) -> int: ...
    def crop(self, clip: int, number: int, variant: int = 0) -> Rgb: ...
    def audio(self, clip: int, variant: int = 0) -> NDArray[np.int16]: ...


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """What one process reads in one step, on the CPU.

    `voices` (N, 1, H, W) as the tower reads them, `faces` (M, 224, 224, 3) uint8, a fourth of what
    the tower reads; their identities (int64), and traits (float32, no columns where unknown).
    Pre-training: N voices, and for each in turn its first face, then for each its second, ...
    Fine-tuning: N = M clips, `reals` real ones, for each in turn its first fake, and so on to Q.
    """

    voices: Tensor
    faces: Tensor
    voice_identity: Tensor
    face_identity: Tensor
    voice_traits: Tensor
    face_traits: Tensor
    reals: int

    def to(self, device: torch.device) -> Self:
        names = [field.name for field in fields(self) if field.name != "reals"]
        moved = {name: getattr(self, name).to(device, non_blocking=True) for name in names}
        return dataclasses.replace(self, **moved)


@dataclass(frozen=True, slots=True)
class Draw:
    """Which clips a batch is made of, over all processes: `voice` and `face` rows as in Batch."""

    voice: Numbers
    face: Numbers


class Batches(torch.utils.data.Dataset[Batch]):
    """Item k is this process's part of the batch of step k, counted from 1.

    Raises ValueError for fewer identities (fine-tuning: real clips) than a batch wants, for data
    without fakes where they are wanted, or without traits.
    """

    def __init__(self, clips: Clips, recipe: Recipe, part: int = 0, parts: int = 1) -> None:
        self._clips, self._recipe = clips, recipe
        self._part, self._parts = part, parts
        self._config = PRESETS[recipe.model.preset]
        self._pretraining = recipe.loss.objective == "match"
        if recipe.loss.trait_weight > 0 and clips.traits is None:
            raise ValueError("loss.trait_weight: these data have no traits; only synthetic ones do")
        real = np.flatnonzero(clips.real)
        self._by_identity = _groups(clips.identity[real], real)
        self._real, self._fake = few(clips, recipe) if not self._pretraining else (real, real)
        wanted, size = recipe.optimiser.batch, len(self._by_identity)
        if not self._pretraining:
            size = len(self._real)
        if size < wanted:
            what = "identities" if self._pretraining else "real clips"
            raise ValueError(f"optimiser.batch: {size} {what} do not fill a batch of {wanted}")
        if wanted % parts:
            raise ValueError(f"optimiser.batch: {wanted} does not divide among {parts} processes")

    @property
    def traits(self) -> int:
        """How many are known of a voice or a face."""
        return 0 if self._clips.traits is None else self._clips.traits[0].shape[1]

    def __getitem__(self, step: int) -> Batch:
        draw = self._pretraining_draw(step) if self._pretraining else self._fine_tuning_draw(step)
        rngs = [
            np.random.default_rng((self._recipe.run.seed, SAMPLE, step, kind)) for kind in (0, 1)
        ]
        size, each = self._recipe.optimiser.batch, self._recipe.optimiser.batch // self._parts
        own = slice(self._part * each, (self._part + 1) * each)
        blocks = [_own_rows(rows, size, own) for rows in (draw.voice, draw.face)]
        seeds = [
            _own_rows(rng.integers(2**62, size=len(rows)), size, own)
            for rng, rows in zip(rngs, (draw.voice, draw.face), strict=True)
        ]
        return self._read(blocks[0], blocks[1], seeds[0], seeds[1], each)

    def _pretraining_draw(self, step: int) -> Draw:
        """Every identity once before any comes again, one clip of each for its voice, others or the
        same for its faces: section 3.2.1 takes faces "from the same identity"."""
        rng, chosen = self._order(step, len(self._by_identity))
        groups = [self._by_identity[i] for i in chosen]
        each = self._recipe.data.faces_each
        voice = [g[rng.integers(len(g))] for g in groups]
        face = [g[rng.integers(len(g))] for _ in range(each) for g in groups]
        return Draw(np.array(voice), np.array(face))

    def _fine_tuning_draw(self, step: int) -> Draw:
        """Real clips, every one once before any comes again, each with Q fakes drawn at random."""
        rng, chosen = self._order(step, len(self._real))
        real, q = self._real[chosen], self._recipe.loss.negatives
        fakes_BQ = np.stack([rng.choice(self._fakes_for(clip), q) for clip in real])
        rows = np.concatenate([real, fakes_BQ.T.ravel()])
        return Draw(rows, rows)

    def _fakes_for(self, clip: int) -> Numbers:
        if self._recipe.data.fakes_of == "any":
            return self._fake
        source = self._clips.source
        related = self._fake[source[self._fake] == source[clip]]
        return related if len(related) else self._fake

    def _order(self, step: int, count: int) -> tuple[np.random.Generator, Numbers]:
        """What the batch of `step` takes from a fresh order of each epoch; the rest is left out."""
        seed, size = self._recipe.run.seed, self._recipe.optimiser.batch
        epoch, place = divmod(step - 1, count // size)
        order = np.random.default_rng((seed, ORDER, epoch)).permutation(count)
        rng = np.random.default_rng((seed, ORDER, epoch, place))
        return rng, order[place * size : (place + 1) * size]

    def _read(
        self, voice: Numbers, face: Numbers, voice_seeds: Numbers, face_seeds: Numbers, reals: int
    ) -> Batch:
        augment = self._recipe.augment
        sounds, crops = [], []
        for clip, seed in zip(voice, voice_seeds, strict=True):
            rng = np.random.default_rng(seed)
            audio = as_float(self._clips.audio(int(clip), self._variant(int(clip), rng)))
            sounds.append(voice_window(audio, augment, rng))
        for clip, seed in zip(face, face_seeds, strict=True):
            rng = np.random.default_rng(seed)
            variant = self._variant(int(clip), rng)
            number = int(rng.integers(self._clips.crops(int(clip), variant)))
            crops.append(face_crop(self._clips.crop(int(clip), number, variant), augment, rng))
        nothing = np.empty((len(self._clips), 0), dtype=np.float32)
        voice_traits, face_traits = self._clips.traits or (nothing, nothing)
        identity = self._clips.identity
        return Batch(
            voice_input(sounds, self._config),
            torch.from_numpy(np.stack(crops)),
            torch.from_numpy(identity[voice]),
            torch.from_numpy(identity[face]),
            torch.from_numpy(voice_traits[voice]),
            torch.from_numpy(face_traits[face]),
            reals,
        )

    def _variant(self, clip: int, rng: np.random.Generator) -> int:
        """The recording, or one of its re-encoded variants."""
        others = self._clips.variants(clip) - 1
        changed = rng.random() < self._recipe.augment.variant
        return 1 + int(rng.integers(others)) if others and changed else 0


def few(clips: Clips, recipe: Recipe) -> tuple[Numbers, Numbers]:
    """Real and fake clips to fine-tune on: all, or `data.real_clips` real ones and the fakes made
    from their sources (Fig. 11a; that fakes shrink along is our reading). InfoNCE takes faces alone
    for negatives: fakes whose face is genuine are none to it."""
    real, fake = np.flatnonzero(clips.real), np.flatnonzero(~clips.real)
    if recipe.loss.objective == "info-nce":
        fake = fake[~clips.genuine_face[fake]]
    wanted = recipe.data.real_clips
    if wanted > len(real):
        raise ValueError(f"data.real_clips: {wanted} wanted, the training split has {len(real)}")
    if wanted:
        real = np.sort(np.random.default_rng((recipe.run.seed, wanted)).permutation(real)[:wanted])
        fake = fake[np.isin(clips.source[fake], clips.source[real])]
    if not len(fake):
        raise ValueError("fine-tuning wants fake clips; the training split has none for its reals")
    return real, fake


def load(batches: Batches, steps: Sequence[int], workers: int) -> Iterator[Batch]:
    """The batches of `steps` in their order, read ahead by `workers` processes (0: by none)."""
    return iter(DataLoader(batches, batch_size=None, sampler=steps, num_workers=workers))


def as_float(audio: NDArray[np.int16]) -> Audio:
    return audio.astype(np.float32) / np.float32(32_768)


def voice_input(windows: Sequence[Audio], config: ModelConfig) -> Tensor:
    """(B, 1, H, W): what the voice tower reads of windows of three seconds."""
    compute = FRONT_ENDS[config.front_end].compute
    return torch.from_numpy(np.stack([compute(window) for window in windows]))


def _groups(keys: Numbers, values: Numbers) -> list[Numbers]:
    """`values` apart by their key, in the order of the keys."""
    order = np.argsort(keys, kind="stable")
    ends = np.flatnonzero(np.diff(keys[order])) + 1
    return np.split(values[order], ends)


def _own_rows(rows: Numbers, size: int, own: slice) -> Numbers:
    """This process's part of every block of `size` rows."""
    return np.asarray(rows.reshape(-1, size)[:, own].ravel())
