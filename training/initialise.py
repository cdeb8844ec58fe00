"""Where a training begins: a checkpoint of ours, the authors' published ones, or any state dict.

A mapping says what another program's tensors are called here: a TOML file of `theirs = "ours"`,
`*` standing for the same text on both sides, and `transposed` for matrices stored the other way:

    transposed = ["proj"]
    [tensors]
    "visual.conv1.weight" = "face.patch.weight"
    "visual.transformer.resblocks.*.ln_1.weight" = "face.blocks.*.norm1.weight"
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from training.network import TrainedModel
from vfd.checkpoint import CheckpointError, load_checkpoint
from vfd.model_config import ModelConfig, tensor_shapes

CHECKPOINT_SUFFIX = ".safetensors"


@dataclass(frozen=True, slots=True)
class TensorMapping:
    """`tensors` by their names; `transposed`, of those names (after `*`), the matrices to turn."""

    tensors: Mapping[str, str]
    transposed: frozenset[str] = frozenset()

    def ours(self, name: str) -> str | None:
        """What their `name` is called here; None if it is not mapped."""
        for theirs, ours in self.tensors.items():
            pattern = re.escape(theirs).replace(r"\*", "(.+)")
            if found := re.fullmatch(pattern, name):
                return ours.replace("*", found[1]) if found.groups() else ours
        return None


def read_mapping(path: Path) -> TensorMapping:
    """Raises CheckpointError for a file that is none."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise CheckpointError(f"{path}: {error}") from None
    if unknown := values.keys() - {"tensors", "transposed"}:
        raise CheckpointError(f"{path}: {min(unknown)} is unknown (known: tensors, transposed)")
    tensors = values.get("tensors")
    if not isinstance(tensors, dict) or not all(isinstance(v, str) for v in tensors.values()):
        raise CheckpointError(f"{path}: [tensors] must map their names to ours")
    for theirs, ours in tensors.items():
        if theirs.count("*") > 1 or theirs.count("*") != ours.count("*"):
            raise CheckpointError(f"{path}: {theirs!r}: one * at most, and the same in {ours!r}")
    return TensorMapping(tensors, frozenset(values.get("transposed", [])))


def begin_from(model: TrainedModel, path: Path, mapping: TensorMapping | None = None) -> list[str]:
    """Copies the towers' weights of `path` into `model`; returns the names that it did not hold,
    which stay as they were. Without a mapping all must be there.

    A checkpoint of ours is told by its suffix. Anything else is a file of torch.save, whose names
    are ours or go through `mapping`; the prefix of DataParallel is dropped. Raises CheckpointError,
    which names every tensor that does not fit.
    """
    if path.suffix == CHECKPOINT_SUFFIX:
        checkpoint = load_checkpoint(path)
        if problem := _difference(checkpoint.info.config, model.config):
            raise CheckpointError(f"{path}: {problem}")
        found = {n: torch.from_numpy(t).float() for n, t in checkpoint.tensors.items()}
    else:
        found = _mapped(path, _state_dict(path), mapping)
    expected = tensor_shapes(model.config)
    problems = [
        f"{name} has shape {tuple(found[name].shape)}, not {expected[name]}"
        for name in sorted(found.keys() & expected.keys())
        if tuple(found[name].shape) != expected[name]
    ]
    problems += [f"{name} is no tensor of this model" for name in sorted(found.keys() - expected)]
    missing = sorted(expected.keys() - found.keys())
    if mapping is None:
        problems += [f"{name} is missing" for name in missing]
    if problems or not found:
        listed = "\n  ".join(problems or ["no name of it is mapped"])
        raise CheckpointError(f"{path}: does not fit {model.config.preset}:\n  {listed}")
    towers = {"voice": model.voice.tower, "face": model.face.tower}
    with torch.no_grad():
        for name, tensor in found.items():
            tower, _, rest = name.partition(".")
            towers[tower].state_dict()[rest].copy_(tensor)
    return missing


def _difference(found: ModelConfig, wanted: ModelConfig) -> str:
    """What keeps the weights of one config from another; the name of a preset does not."""
    if tensor_shapes(found) == tensor_shapes(wanted) and found.front_end == wanted.front_end:
        return ""
    names = (f"{config.preset} with {config.front_end}" for config in (found, wanted))
    return "holds a {}, not a {}".format(*names)


def _mapped(
    path: Path, state: Mapping[str, Tensor], mapping: TensorMapping | None
) -> dict[str, Tensor]:
    """By our names; what a mapping does not name is left out."""
    found: dict[str, Tensor] = {}
    for name, tensor in state.items():
        plain = name.removeprefix("module.")
        ours = mapping.ours(plain) if mapping else plain
        if ours is None:
            continue
        if ours in found:
            raise CheckpointError(f"{path}: two tensors are mapped to {ours}")
        turned = mapping is not None and plain in mapping.transposed
        found[ours] = tensor.float().t() if turned else tensor.float()
    return found


def _state_dict(path: Path) -> dict[str, Tensor]:
    """All tensors of a file of torch.save; those in nested tables under "outer.inner"."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise CheckpointError(f"{path}: there is no such file") from None
    except Exception as error:  # a broken pickle may raise anything
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(f"{path}: is no file of tensors by torch.save ({reason})") from None
    return dict(_tensors(content, ""))


def _tensors(content: object, prefix: str) -> list[tuple[str, Tensor]]:
    if isinstance(content, Tensor):
        return [(prefix, content)] if content.is_floating_point() else []
    if not isinstance(content, Mapping):
        return []
    pairs: list[tuple[str, Any]] = [(str(key), value) for key, value in content.items()]
    return [
        found
        for key, value in pairs
        for found in _tensors(value, f"{prefix}.{key}" if prefix else key)
    ]
