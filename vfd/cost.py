"""What a model costs, in closed form: its parameters, and the work for one window.

One multiply-add counts as two FLOP. Convolutions and matrix products are counted; normalisation,
activations, softmax, pooling and additions are not: they add less than 1 % to the sum.
"""

from dataclasses import dataclass
from math import prod

from vfd.model_config import MLP_RATIO, ModelConfig, TowerConfig, tensor_shapes


@dataclass(frozen=True, slots=True)
class Cost:
    """Of the two encoders, in one unit."""

    face: int
    voice: int

    @property
    def total(self) -> int:
        return self.face + self.voice


def parameters(config: ModelConfig) -> Cost:
    """Numbers that are learned."""
    sizes = {name: prod(shape) for name, shape in tensor_shapes(config).items()}
    return Cost(
        sum(size for name, size in sizes.items() if name.startswith("face.")),
        sum(size for name, size in sizes.items() if name.startswith("voice.")),
    )


def flops(config: ModelConfig, *, whole_last_block: bool = False) -> Cost:
    """FLOP for one face and for one window of voice, as our engines compute them: the last block
    is computed for the class vector alone, since nothing else of it is read.

    `whole_last_block`: count it for all tokens, which is what is usually quoted for a transformer.
    The result is the same number for the vector, but 7 to 14 % more work.
    """
    count = _vgg_flops if config.family == "vgg" else _transformer_flops
    return Cost(count(config.face, whole_last_block), count(config.voice, whole_last_block))


def _transformer_flops(tower: TowerConfig, whole_last_block: bool) -> int:
    rows_of_last = tower.tokens if whole_last_block else 1
    patches = 2 * (tower.tokens - 1) * tower.width * tower.channels * prod(tower.patch)
    blocks = (tower.blocks - 1) * _block_flops(tower, tower.tokens)
    projection = 2 * tower.width * tower.embedding
    return patches + blocks + _block_flops(tower, rows_of_last) + projection


def _block_flops(tower: TowerConfig, rows: int) -> int:
    """One block that is read in `rows` of its tokens; keys and values are made of all of them."""
    width, tokens = tower.width, tower.tokens
    queries, keys_and_values = 2 * rows * width**2, 4 * tokens * width**2
    attention = 4 * rows * tokens * width
    out_and_mlp = 2 * rows * width**2 * (1 + 2 * MLP_RATIO)
    return queries + keys_and_values + attention + out_and_mlp


def _vgg_flops(tower: TowerConfig, _whole_last_block: bool) -> int:
    height, width = tower.image
    total = 2 * tower.width * tower.embedding
    for stage in tower.vgg_stages:
        total += sum(2 * height * width * 9 * channels * out for channels, out in stage)
        height, width = height // 2, width // 2
    return total
