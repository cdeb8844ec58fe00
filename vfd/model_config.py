"""The sizes of the dual transformer, and what they imply: patch grids and tensor shapes.

Everything that runs a checkpoint without torch relies on this file alone to know what the file
must contain.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from vfd.spectrogram import BINS, FRAMES, FRONT_ENDS
from vfd.types import FACE_SIZE_PX

MLP_RATIO: Final = 4  # our reading; the usual ratio of vision transformers
LAYER_NORM_EPS: Final = 1e-5
COSINE_EPS: Final = 1e-8  # a vector shorter than this is divided by this instead

Size = tuple[int, int]
"""(height, width). For a spectrogram height counts bins and width counts frames."""


@dataclass(frozen=True, slots=True)
class TowerConfig:
    """One of the two encoders. `image` (height, width) is divided into patches of size `patch`,
    after zero-padding on the right and at the bottom where it does not divide evenly."""

    channels: int
    image: Size
    patch: Size
    width: int
    blocks: int
    heads: int
    embedding: int

    @property
    def padded(self) -> Size:
        """The image size rounded up to whole patches."""
        return self.grid[0] * self.patch[0], self.grid[1] * self.patch[1]

    @property
    def grid(self) -> Size:
        """Patches down and across."""
        return (
            math.ceil(self.image[0] / self.patch[0]),
            math.ceil(self.image[1] / self.patch[1]),
        )

    @property
    def tokens(self) -> int:
        """Patches and the class vector (F' = F + 1 in paper eq. 3)."""
        return self.grid[0] * self.grid[1] + 1


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """Both encoders. `width` is D of paper eq. 3-5, `embedding` is V of section 3.2.2; patches are
    (height, width) in pixels of the face and in (bins, frames) of the spectrogram.

    Raises ValueError, naming the field, for sizes that cannot be built.
    """

    preset: str
    width: int
    blocks: int
    heads: int
    embedding: int
    face_patch: Size
    voice_patch: Size
    front_end: str = "stft512"

    def __post_init__(self) -> None:
        sizes = {
            "width": self.width,
            "blocks": self.blocks,
            "heads": self.heads,
            "embedding": self.embedding,
            "face_patch": min(self.face_patch),
            "voice_patch": min(self.voice_patch),
        }
        for name, size in sizes.items():
            if size < 1:
                raise ValueError(f"{name} must be at least 1, not {size}")
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is no multiple of heads {self.heads}")
        if self.front_end not in FRONT_ENDS:
            known = ", ".join(FRONT_ENDS)
            raise ValueError(f"front_end {self.front_end!r} is unknown (known: {known})")

    @property
    def face(self) -> TowerConfig:
        image = (FACE_SIZE_PX, FACE_SIZE_PX)
        return TowerConfig(
            3, image, self.face_patch, self.width, self.blocks, self.heads, self.embedding
        )

    @property
    def voice(self) -> TowerConfig:
        image = (BINS, FRAMES)
        return TowerConfig(
            1, image, self.voice_patch, self.width, self.blocks, self.heads, self.embedding
        )


PRESETS: Final[Mapping[str, ModelConfig]] = {
    "nano": ModelConfig(
        preset="nano",
        width=192,
        blocks=6,
        heads=3,
        embedding=192,
        face_patch=(32, 32),  # 7 x 7 patches
        voice_patch=(64, 20),  # 8 x 15 patches: 1 kHz by 200 ms
    ),
}


def tensor_shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Every tensor of a model by name, as in `VfdModel.state_dict()` and in checkpoint files."""
    shapes: dict[str, tuple[int, ...]] = {}
    for prefix, tower in (("face", config.face), ("voice", config.voice)):
        shapes |= {f"{prefix}.{name}": shape for name, shape in _tower_shapes(tower)}
    return shapes


def _tower_shapes(tower: TowerConfig) -> Iterator[tuple[str, tuple[int, ...]]]:
    width = tower.width
    yield "class_vector", (width,)
    yield "positions", (tower.tokens, width)
    yield "patch.weight", (width, tower.channels, *tower.patch)
    yield "patch.bias", (width,)
    for block in range(tower.blocks):
        for name, shape in _block_shapes(width):
            yield f"blocks.{block}.{name}", shape
    yield "norm.weight", (width,)
    yield "norm.bias", (width,)
    yield "projection.weight", (tower.embedding, width)


def _block_shapes(width: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    for norm in ("norm1", "norm2"):
        yield f"{norm}.weight", (width,)
        yield f"{norm}.bias", (width,)
    linears = {
        "attention.qkv": (3 * width, width),
        "attention.out": (width, width),
        "mlp.expand": (MLP_RATIO * width, width),
        "mlp.contract": (width, MLP_RATIO * width),
    }
    for name, (rows, columns) in linears.items():
        yield f"{name}.weight", (rows, columns)
        yield f"{name}.bias", (rows,)
