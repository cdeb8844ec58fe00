"""The dual transformer of paper section 3.2.2: two encoders that share nothing, in torch.

Shapes: B batch, C channels, H height, W width, T tokens (patches and the class vector), D width,
V embedding, E heads, K width of a head (D / E). `x_BTD` is a tensor of shape (B, T, D).

Where the paper is silent this is our reading: normalisation before each sub-layer, an MLP of four
times the width with GELU, biases everywhere but in the last projection, learned positions. Where
the authors' published code differs, `ModelConfig` says so.
"""

from pathlib import Path
from typing import Final, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vfd.checkpoint import Checkpoint, load_checkpoint
from vfd.model_config import (
    COSINE_EPS,
    FACE_NORMALISATIONS,
    INIT_STD,
    LAYER_NORM_EPS,
    MLP_RATIO,
    QUICK_GELU_FACTOR,
    FaceNormalisation,
    ModelConfig,
    TowerConfig,
)
from vfd.vgg import VggTower

ALL_ROWS: Final = slice(None)
CLASS_ROW: Final = slice(0, 1)


class Attention(nn.Module):
    """Self-attention, paper eq. 4 and 5. Eq. 5 divides by the root of the full width; with several
    heads each head divides by the root of its own width (our reading)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x_BTD: Tensor, rows: slice = ALL_ROWS) -> Tensor:
        """What `rows` of the tokens gather from all of them, (B, rows, D)."""
        q_BTD, k_BTD, v_BTD = self._project(x_BTD, rows)
        q_BETK, k_BETK, v_BETK = (self._split(t_BTD) for t_BTD in (q_BTD, k_BTD, v_BTD))
        y_BETK = F.scaled_dot_product_attention(q_BETK, k_BETK, v_BETK)
        y_BTD: Tensor = self.out(y_BETK.transpose(1, 2).flatten(2))
        return y_BTD

    def _project(self, x_BTD: Tensor, rows: slice) -> tuple[Tensor, ...]:
        """Queries of `rows`, keys and values of all tokens; one product where it can be one."""
        if rows == ALL_ROWS:
            return self.qkv(x_BTD).chunk(3, dim=-1)  # type: ignore[no-any-return]
        D = x_BTD.shape[-1]
        weight, bias = self.qkv.weight, self.qkv.bias
        q_BTD = F.linear(x_BTD[:, rows], weight[:D], bias[:D])
        return q_BTD, *F.linear(x_BTD, weight[D:], bias[D:]).chunk(2, dim=-1)

    def _split(self, x_BTD: Tensor) -> Tensor:
        """(B, T, D) -> (B, E, T, K), the heads apart."""
        B, T, D = x_BTD.shape
        return x_BTD.view(B, T, self.heads, D // self.heads).transpose(1, 2)


class Mlp(nn.Module):
    """Two linear layers with the exact (erf) GELU between them, or, as in the published code, its
    approximation by a sigmoid."""

    def __init__(self, width: int, activation: str) -> None:
        super().__init__()
        self.quick = activation == "quick_gelu"
        self.expand = nn.Linear(width, MLP_RATIO * width)
        self.contract = nn.Linear(MLP_RATIO * width, width)

    def forward(self, x_BTD: Tensor) -> Tensor:
        h_BTD = self.expand(x_BTD)
        h_BTD = h_BTD * torch.sigmoid(QUICK_GELU_FACTOR * h_BTD) if self.quick else F.gelu(h_BTD)
        y_BTD: Tensor = self.contract(h_BTD)
        return y_BTD


class Block(nn.Module):
    """One transformer block with normalisation before each sub-layer."""

    def __init__(self, width: int, heads: int, activation: str) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=LAYER_NORM_EPS)
        self.attention = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=LAYER_NORM_EPS)
        self.mlp = Mlp(width, activation)

    def forward(self, x_BTD: Tensor, rows: slice = ALL_ROWS) -> Tensor:
        y_BTD: Tensor = x_BTD[:, rows] + self.attention(self.norm1(x_BTD), rows)
        z_BTD: Tensor = y_BTD + self.mlp(self.norm2(y_BTD))
        return z_BTD


class Tower(nn.Module):
    """One encoder: patches (paper eq. 2), class vector and positions (eq. 3), blocks (eq. 4, 5),
    and the class vector mapped to the embedding without bias."""

    def __init__(self, config: TowerConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.patch = nn.Conv2d(
            config.channels, width, config.patch, stride=config.patch, bias=config.patch_bias
        )
        self.class_vector = nn.Parameter(torch.empty(width))
        self.positions = nn.Parameter(torch.empty(config.tokens, width))
        self.ln_pre = nn.LayerNorm(width, eps=LAYER_NORM_EPS) if config.ln_pre else nn.Identity()
        self.blocks = nn.ModuleList(
            Block(width, config.heads, config.activation) for _ in range(config.blocks)
        )
        self.norm = nn.LayerNorm(width, eps=LAYER_NORM_EPS)
        self.projection = nn.Linear(width, config.embedding, bias=False)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """The embedding before it is scaled to unit length, (B, V): where training hangs its
        heads. The input has the size of `TowerConfig.image`."""
        down = self.config.padded[0] - self.config.image[0]
        right = self.config.padded[1] - self.config.image[1]
        if down or right:
            x_BCHW = F.pad(x_BCHW, (0, right, 0, down))
        x_BTD = self.patch(x_BCHW).flatten(2).transpose(1, 2)
        class_B1D = self.class_vector.expand(x_BTD.shape[0], 1, -1)
        x_BTD = self.ln_pre(torch.cat([class_B1D, x_BTD], dim=1) + self.positions)
        for index, block in enumerate(self.blocks):
            # Only the class vector is read after the last block: an eighth of the work saved.
            last = index == len(self.blocks) - 1
            x_BTD = block(x_BTD, CLASS_ROW if last else ALL_ROWS)
        y_BV: Tensor = self.projection(self.norm(x_BTD[:, 0]))
        return y_BV


class VfdModel(nn.Module):
    """Both towers. The cosine of paper eq. 1 is the dot product of what the two methods return."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.face = _tower(config.face)
        self.voice = _tower(config.voice)
        _initialise(self)

    @classmethod
    def of_checkpoint(cls, checkpoint: Checkpoint) -> Self:
        """The model of a loaded checkpoint, float32, in evaluation mode."""
        model = cls(checkpoint.info.config)
        tensors = {name: torch.from_numpy(t).float() for name, t in checkpoint.tensors.items()}
        model.load_state_dict(tensors)
        return model.eval()

    @classmethod
    def from_checkpoint(cls, path: Path) -> Self:
        """The model of a checkpoint file. Raises CheckpointError."""
        return cls.of_checkpoint(load_checkpoint(path))

    def embed_voice(self, x_BCHW: Tensor) -> Tensor:
        """What `config.front_end` computes, (B, 1, *config.voice.image) float32 -> (B, V) of unit
        length."""
        return F.normalize(self.voice(x_BCHW), dim=-1, eps=COSINE_EPS)

    def embed_faces(self, crops_BHWC: Tensor) -> Tensor:
        """Aligned crops (B, 224, 224, 3) uint8 RGB -> (B, V) of unit length."""
        x_BCHW = scale_faces(crops_BHWC, FACE_NORMALISATIONS[self.config.face_normalisation])
        return F.normalize(self.face(x_BCHW), dim=-1, eps=COSINE_EPS)


def _tower(config: TowerConfig) -> Tower | VggTower:
    return VggTower(config) if config.family == "vgg" else Tower(config)


def _initialise(module: nn.Module) -> None:
    """Weights as in paper section 4.2; biases 0 and normalisations neutral (our reading)."""
    for name, parameter in module.named_parameters():
        if "norm" in name or "ln_pre" in name:
            continue
        if name.endswith("bias"):
            nn.init.zeros_(parameter)
        else:
            nn.init.normal_(parameter, std=INIT_STD)


def scale_faces(
    crops_BHWC: Tensor, normalisation: FaceNormalisation = FACE_NORMALISATIONS["symmetric"]
) -> Tensor:
    """uint8 [0, 255] (B, H, W, 3) -> float32 (B, 3, H, W): what the face tower reads."""
    x_BCHW = crops_BHWC.permute(0, 3, 1, 2).float()
    # Plain numbers, not a tensor of them: nothing to move to a device or to round with the weights.
    channels = zip(x_BCHW.unbind(1), normalisation.divisor, normalisation.shift, strict=True)
    return torch.stack([x_BHW / divisor - shift for x_BHW, divisor, shift in channels], dim=1)
