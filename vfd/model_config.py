"""The presets of the dual encoder, and what they imply: patch grids and tensor shapes.

Everything that runs a checkpoint without torch relies on this file alone to know what the file
must contain.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from vfd.front_ends import FRONT_ENDS
from vfd.types import FACE_SIZE_PX

MLP_RATIO: Final = 4  # our reading; the usual ratio of vision transformers
LAYER_NORM_EPS: Final = 1e-5
COSINE_EPS: Final = 1e-8  # a vector shorter than this is divided by this instead
INIT_STD: Final = 0.02  # paper section 4.2: all parameters from N(0, 0.02)
QUICK_GELU_FACTOR: Final = 1.702  # x * sigmoid(1.702 x)
VGG_STRIDE: Final = 32
VGG_STAGES: Final = ((8, 2), (4, 2), (2, 3), (1, 3), (1, 3))
"""VGG-16: stages of (what the width is divided by, convolutions); pooling halves after each."""

TOWERS: Final = ("voice", "face")

Size = tuple[int, int]
"""(height, width). For a spectrogram height counts bins and width counts frames."""


@dataclass(frozen=True, slots=True)
class FaceNormalisation:
    """What a face tower reads of uint8 pixels: `pixel / divisor - shift`, for red, green, blue."""

    divisor: tuple[float, float, float]
    shift: tuple[float, float, float]

    @classmethod
    def of_mean_and_std(
        cls, mean: tuple[float, ...], std: tuple[float, ...]
    ) -> "FaceNormalisation":
        """From a mean and a deviation of pixels in [0, 1]."""
        red, green, blue = (255.0 * s for s in std)
        shifts = tuple(m / s for m, s in zip(mean, std, strict=True))
        return cls((red, green, blue), (shifts[0], shifts[1], shifts[2]))


FACE_NORMALISATIONS: Final[Mapping[str, FaceNormalisation]] = {
    "symmetric": FaceNormalisation((127.5,) * 3, (1.0,) * 3),  # [-1, 1]; our reading
    "clip": FaceNormalisation.of_mean_and_std(
        (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
    ),
}
FAMILIES: Final = ("transformer", "vgg")
ACTIVATIONS: Final = ("gelu", "quick_gelu", "relu")


@dataclass(frozen=True, slots=True)
class TowerConfig:
    """One of the two encoders; the fields are those of ModelConfig.

    A transformer divides `image` (height, width) into patches of size `patch`, after zero-padding
    on the right and at the bottom where it does not divide evenly. The grid, padding and tokens
    below are those of a transformer; a VGG pads nothing and drops what pooling cannot halve.
    """

    channels: int
    image: Size
    patch: Size
    width: int
    blocks: int
    heads: int
    embedding: int
    family: str = "transformer"
    activation: str = "gelu"
    ln_pre: bool = False
    patch_bias: bool = True

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

    @property
    def vgg_stages(self) -> list[list[tuple[int, int]]]:
        """For every stage of a VGG, the channels (in, out) of its convolutions."""
        stages, channels = [], self.channels
        for divisor, count in VGG_STAGES:
            out = self.width // divisor
            stages.append([(channels, out), *[(out, out)] * (count - 1)])
            channels = out
        return stages


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """Both encoders. `width` is D of paper eq. 3-5, `embedding` is V of section 3.2.2; patches are
    (height, width) in pixels of the face and in (bins, frames) of the spectrogram.

    `front_end`: a name of FRONT_ENDS, which decides the size of the voice picture.
    `face_normalisation`: a name of FACE_NORMALISATIONS. `activation`: within the MLP of a block.
    `ln_pre`: a LayerNorm between tokens and blocks. `patch_bias`: the patch projection has a bias.
    `family`: with "vgg", `width` counts the channels of the last stage, `blocks` the stages, the
    patches are the stride of all pooling together, and there is one head.

    Raises ValueError, naming the field, for what cannot be built.
    """

    preset: str
    width: int
    blocks: int
    heads: int
    embedding: int
    face_patch: Size
    voice_patch: Size
    front_end: str = "stft512"
    family: str = "transformer"
    activation: str = "gelu"
    ln_pre: bool = False
    patch_bias: bool = True
    face_normalisation: str = "symmetric"

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
        for name, known in (
            ("front_end", tuple(FRONT_ENDS)),
            ("family", FAMILIES),
            ("activation", ACTIVATIONS),
            ("face_normalisation", tuple(FACE_NORMALISATIONS)),
        ):
            value = getattr(self, name)
            if value not in known:
                raise ValueError(f"{name} {value!r} is unknown (known: {', '.join(known)})")
        if self.family == "vgg":
            self._check_vgg()

    def _check_vgg(self) -> None:
        """A VGG has one build; fields that speak of transformers hold one value each."""
        fixed = {
            "blocks": len(VGG_STAGES),
            "heads": 1,
            "face_patch": (VGG_STRIDE, VGG_STRIDE),
            "voice_patch": (VGG_STRIDE, VGG_STRIDE),
            "activation": "relu",
            "ln_pre": False,
            "patch_bias": True,
        }
        for name, value in fixed.items():
            if getattr(self, name) != value:
                raise ValueError(f"{name} of a vgg must be {value}, not {getattr(self, name)}")
        if self.width % VGG_STAGES[0][0]:
            raise ValueError(f"width {self.width} of a vgg is no multiple of {VGG_STAGES[0][0]}")

    @property
    def face(self) -> TowerConfig:
        return self._tower(3, (FACE_SIZE_PX, FACE_SIZE_PX), self.face_patch)

    @property
    def voice(self) -> TowerConfig:
        return self._tower(1, FRONT_ENDS[self.front_end].shape, self.voice_patch)

    def _tower(self, channels: int, image: Size, patch: Size) -> TowerConfig:
        return TowerConfig(
            channels,
            image,
            patch,
            self.width,
            self.blocks,
            self.heads,
            self.embedding,
            self.family,
            self.activation,
            self.ln_pre,
            self.patch_bias,
        )


def _paper(preset: str, width: int, heads: int) -> ModelConfig:
    """The paper's inputs, blocks and embedding; 16 x 16 patches are our reading, it names none."""
    return ModelConfig(preset, width, 12, heads, 512, (16, 16), (16, 16))


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
    "tiny": _paper("tiny", width=192, heads=3),
    "small": _paper("small", width=384, heads=6),
    "base": _paper("base", width=768, heads=12),
    "released": ModelConfig(  # a CLIP image encoder, ViT-B/32, for both
        preset="released",
        width=768,
        blocks=12,
        heads=12,
        embedding=512,
        face_patch=(32, 32),  # 49 patches
        voice_patch=(32, 32),  # 32 patches
        front_end="mel128",
        activation="quick_gelu",
        ln_pre=True,
        patch_bias=False,
        face_normalisation="clip",
    ),
    "vgg": ModelConfig(  # paper section 4.7.3 and Table 4
        preset="vgg",
        width=512,
        blocks=len(VGG_STAGES),
        heads=1,
        embedding=512,
        face_patch=(VGG_STRIDE, VGG_STRIDE),
        voice_patch=(VGG_STRIDE, VGG_STRIDE),
        family="vgg",
        activation="relu",
    ),
}


def tensor_shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Every tensor of a model by name, as in `VfdModel.state_dict()` and in checkpoint files."""
    shapes: dict[str, tuple[int, ...]] = {}
    of_tower = _vgg_shapes if config.family == "vgg" else _transformer_shapes
    for prefix, tower in (("face", config.face), ("voice", config.voice)):
        shapes |= {f"{prefix}.{name}": shape for name, shape in of_tower(tower)}
    return shapes


def _transformer_shapes(tower: TowerConfig) -> Iterator[tuple[str, tuple[int, ...]]]:
    width = tower.width
    yield "class_vector", (width,)
    yield "positions", (tower.tokens, width)
    yield "patch.weight", (width, tower.channels, *tower.patch)
    if tower.patch_bias:
        yield "patch.bias", (width,)
    for norm in ("ln_pre", "norm") if tower.ln_pre else ("norm",):
        yield f"{norm}.weight", (width,)
        yield f"{norm}.bias", (width,)
    for block in range(tower.blocks):
        for name, shape in _block_shapes(width):
            yield f"blocks.{block}.{name}", shape
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


def _vgg_shapes(tower: TowerConfig) -> Iterator[tuple[str, tuple[int, ...]]]:
    for s, stage in enumerate(tower.vgg_stages):
        for c, (channels, out) in enumerate(stage):
            yield f"stages.{s}.{c}.weight", (out, channels, 3, 3)
            yield f"stages.{s}.{c}.bias", (out,)
    yield "projection.weight", (tower.embedding, tower.width)
