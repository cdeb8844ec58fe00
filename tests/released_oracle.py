"""The published architecture a second time: from its key names and torch.nn.MultiheadAttention,
knowing nothing of `vfd.model`. It makes and reads state dicts with the published keys."""

from collections import OrderedDict

import torch
from torch import Tensor, nn

FACE_MEAN = (0.48145466, 0.4578275, 0.40821073)
FACE_STD = (0.26862954, 0.26130258, 0.27577711)


class QuickGelu(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(1.702 * x)


class ResidualBlock(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attn = nn.MultiheadAttention(width, heads)
        self.ln_1 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            OrderedDict(
                c_fc=nn.Linear(width, 4 * width),
                gelu=QuickGelu(),
                c_proj=nn.Linear(4 * width, width),
            )
        )
        self.ln_2 = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        normed = self.ln_1(x)
        x = x + self.attn(normed, normed, normed, need_weights=False)[0]
        return x + self.mlp(self.ln_2(x))


class Transformer(nn.Module):
    def __init__(self, width: int, blocks: int, heads: int) -> None:
        super().__init__()
        self.resblocks = nn.Sequential(*(ResidualBlock(width, heads) for _ in range(blocks)))


class OracleTower(nn.Module):
    """`channels` 1 with 33 positions, or 3 with 50."""

    def __init__(self, channels: int, positions: int, width: int, blocks: int, out: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 32, stride=32, bias=False)
        self.class_embedding = nn.Parameter(torch.randn(width))
        self.positional_embedding = nn.Parameter(torch.randn(positions, width))
        self.ln_pre = nn.LayerNorm(width)
        self.transformer = Transformer(width, blocks, heads=width // 64)
        self.ln_post = nn.LayerNorm(width)
        self.proj = nn.Parameter(torch.randn(width, out) * width**-0.5)
        for name, parameter in self.named_parameters():
            if "ln_" in name or "bias" in name:  # nothing stays neutral
                nn.init.normal_(parameter, mean=float("ln_" in name), std=0.3)

    def forward(self, picture: Tensor) -> Tensor:
        patches = self.conv1(picture)  # (B, D, rows, columns)
        tokens = patches.reshape(*patches.shape[:2], -1).permute(0, 2, 1)
        first = self.class_embedding.repeat(len(tokens), 1, 1)
        tokens = self.ln_pre(torch.cat([first, tokens], dim=1) + self.positional_embedding)
        tokens = self.transformer.resblocks(tokens.permute(1, 0, 2))  # sequence before batch
        embedding = self.ln_post(tokens[0]) @ self.proj
        return embedding / embedding.norm(dim=1, keepdim=True)


def face_input(crops: Tensor) -> Tensor:
    """(B, 224, 224, 3) uint8 as the published code normalises it."""
    mean, std = torch.tensor(FACE_MEAN), torch.tensor(FACE_STD)
    return ((crops.float() / 255 - mean) / std).permute(0, 3, 1, 2)
