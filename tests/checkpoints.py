"""Small checkpoints with random weights, large enough that every part of the model speaks."""

import dataclasses
from pathlib import Path

import numpy as np

from vfd.checkpoint import Calibration, CheckpointInfo, save_checkpoint
from vfd.model_config import PRESETS, ModelConfig, tensor_shapes

TINY = ModelConfig(
    preset="tiny-test",
    width=24,
    blocks=2,
    heads=3,
    embedding=10,
    face_patch=(56, 56),
    voice_patch=(128, 48),  # 300 frames are no multiple of 48: the model pads
)

TINY_RELEASED = dataclasses.replace(
    PRESETS["released"], preset="tiny-released", width=24, blocks=2, heads=3, embedding=10
)
TINY_VGG = dataclasses.replace(PRESETS["vgg"], preset="tiny-vgg", width=16, embedding=10)
FAMILIES = (TINY, TINY_RELEASED, TINY_VGG)

CALIBRATION = Calibration(
    threshold=0.2,
    real_mean=0.5,
    real_std_between=0.1,
    real_std_within=0.15,
    fake_mean=0.0,
    fake_std_between=0.2,
    fake_std_within=0.15,
)


def info_of(config: ModelConfig) -> CheckpointInfo:
    return CheckpointInfo(
        format_version=2,
        config=config,
        calibration=CALIBRATION,
        trained_on="synthetic people v1",
        command="vfd-train pretrain --seed 1",
        commit="0123abc",
    )


def random_tensors(config: ModelConfig, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    tensors = {}
    for name, shape in tensor_shapes(config).items():
        fan_in = np.prod(shape[1:]) if len(shape) > 1 and "positions" not in name else 4
        gain = 2 if "stages" in name else 1  # what ReLU takes away
        values = rng.standard_normal(shape) * np.sqrt(gain / fan_in)
        is_norm = ("norm" in name or "ln_pre" in name) and "weight" in name
        tensors[name] = (values + is_norm).astype(np.float16)
    return tensors


def write_checkpoint(path: Path, config: ModelConfig = TINY, seed: int = 0) -> Path:
    save_checkpoint(path, info_of(config), random_tensors(config, seed))
    return path
