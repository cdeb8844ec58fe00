"""Reads the checkpoints that the authors published (github.com/xaCheng1996/MVF) as ours.

Theirs are files of torch.save: one with the state dicts of both towers, or one a tower, the keys
prefixed by DataParallel, an optimiser's state beside them. They carry no licence, they know another
face crop than ours, and nothing in them says how their scores fall, so what is written here has no
calibration: see `UNCALIBRATED`.
"""

import pickle
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from vfd.checkpoint import (
    FORMAT_VERSION,
    UNCALIBRATED,
    CheckpointError,
    CheckpointInfo,
    save_checkpoint,
)
from vfd.model_config import PRESETS, ModelConfig, tensor_shapes

DATA_PARALLEL_PREFIX: Final = "module."

_TOWER_KEYS: Final = {
    "class_embedding": "class_vector",
    "positional_embedding": "positions",
    "conv1.weight": "patch.weight",
    "ln_pre.weight": "ln_pre.weight",
    "ln_pre.bias": "ln_pre.bias",
    "ln_post.weight": "norm.weight",
    "ln_post.bias": "norm.bias",
    "proj": "projection.weight",
}
_BLOCK_KEYS: Final = {
    "ln_1.weight": "norm1.weight",
    "ln_1.bias": "norm1.bias",
    "attn.in_proj_weight": "attention.qkv.weight",
    "attn.in_proj_bias": "attention.qkv.bias",
    "attn.out_proj.weight": "attention.out.weight",
    "attn.out_proj.bias": "attention.out.bias",
    "ln_2.weight": "norm2.weight",
    "ln_2.bias": "norm2.bias",
    "mlp.c_fc.weight": "mlp.expand.weight",
    "mlp.c_fc.bias": "mlp.expand.bias",
    "mlp.c_proj.weight": "mlp.contract.weight",
    "mlp.c_proj.bias": "mlp.contract.bias",
}
_TRANSPOSED: Final = {"proj"}  # stored as (width, embedding)


def import_released(
    out: Path,
    *,
    checkpoint: Path | None = None,
    face: Path | None = None,
    voice: Path | None = None,
    command: str,
    commit: str,
    config: ModelConfig = PRESETS["released"],
) -> CheckpointInfo:
    """Writes `out`, a checkpoint of ours, from `checkpoint` or from the pair `face` and `voice`.

    `command` and `commit` go into the file, to repeat the conversion. Raises CheckpointError, which
    names every key that is missing, unexpected or of another shape; a file that wants to run code
    when it is read is refused.
    """
    files = _files(checkpoint, face, voice)
    contents = {path: _load(path) for path in dict.fromkeys(files.values())}
    tensors: dict[str, NDArray[np.float32]] = {}
    problems = []
    for tower, path in files.items():
        try:
            tensors |= convert(path, tower, _tower_state(path, contents[path], tower), config)
        except CheckpointError as problem:
            problems.append(str(problem))
    if problems:
        raise CheckpointError("\n".join(problems))
    names = " and ".join(path.name for path in contents)
    info = CheckpointInfo(
        format_version=FORMAT_VERSION,
        config=config,
        calibration=UNCALIBRATED,
        trained_on=f"what the authors' published {names} was trained on",
        command=command,
        commit=commit,
    )
    save_checkpoint(out, info, tensors)
    return info


def convert(
    path: Path, tower: str, state: Mapping[Any, Any], config: ModelConfig
) -> dict[str, NDArray[np.float32]]:
    """The tensors of one tower ("face" or "voice") by our names, float32, from a state dict of the
    published code. Raises CheckpointError; `path` is named in it."""
    expected = dict(_expected(tower, config))
    found: dict[str, Any] = {}
    problems = []
    for key in state:
        name = str(key).removeprefix(DATA_PARALLEL_PREFIX)
        if found.setdefault(name, key) is not key:
            problems.append(f"key {key!r} means the same as {found[name]!r}")
    problems += [f"key {k!r} is missing" for k in expected if k not in found]
    problems += [
        f"key {state_key!r} is unexpected" for k, state_key in found.items() if k not in expected
    ]
    for key in expected.keys() & found.keys():
        problem = _problem(state[found[key]], expected[key][1])
        problems += [f"key {found[key]!r} {problem}"] if problem else []
    if problems:
        listed = "\n  ".join(sorted(problems))
        raise CheckpointError(
            f"{path}: the {tower} tower is not the published one, {len(problems)} keys do not fit:"
            f"\n  {listed}"
        )
    return {
        name: _array(state[found[key]], transposed=key in _TRANSPOSED)
        for key, (name, _) in expected.items()
    }


def _expected(tower: str, config: ModelConfig) -> Iterator[tuple[str, tuple[str, tuple[int, ...]]]]:
    """For every key of the published code: our name, and the shape under their key."""
    keys = dict(_TOWER_KEYS)
    for block in range(config.blocks):
        theirs, ours = f"transformer.resblocks.{block}.", f"blocks.{block}."
        keys |= {theirs + key: ours + name for key, name in _BLOCK_KEYS.items()}
    shapes = tensor_shapes(config)
    for key, name in keys.items():
        shape = shapes[f"{tower}.{name}"]
        yield key, (f"{tower}.{name}", shape[::-1] if key in _TRANSPOSED else shape)


def _problem(value: object, shape: tuple[int, ...]) -> str:
    """What is wrong with a value of a state dict; empty if nothing is."""
    if not isinstance(value, torch.Tensor) or not value.is_floating_point():
        return "holds no floating-point tensor"
    if tuple(value.shape) != shape:
        return f"has shape {tuple(value.shape)}, not {shape}"
    return "" if bool(torch.isfinite(value).all()) else "holds NaN or infinite values"


def _array(tensor: torch.Tensor, *, transposed: bool) -> NDArray[np.float32]:
    array: NDArray[np.float32] = tensor.detach().float().numpy()
    return array.T if transposed else array


def _files(checkpoint: Path | None, face: Path | None, voice: Path | None) -> dict[str, Path]:
    """The file of each tower."""
    if checkpoint is not None and face is None and voice is None:
        return {"face": checkpoint, "voice": checkpoint}
    if checkpoint is None and face is not None and voice is not None:
        return {"face": face, "voice": voice}
    raise CheckpointError("name one checkpoint with both towers, or both a face and a voice file")


def _tower_state(path: Path, content: object, tower: str) -> Mapping[Any, Any]:
    """The state dict of one tower: under its own key, or the whole of a file."""
    key = f"{tower}_model_state_dict"
    if isinstance(content, Mapping):
        if isinstance(state := content.get(key), Mapping):
            return state
        if content and all(isinstance(value, torch.Tensor) for value in content.values()):
            return content
    keys = ", ".join(map(repr, content)) if isinstance(content, Mapping) else type(content).__name__
    raise CheckpointError(f"{path}: {key!r} is missing (the file holds: {keys})")


def _load(path: Path) -> object:
    """What torch.save wrote, of tensors and plain values only."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        raise CheckpointError(f"{path}: there is no such file") from None
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error})") from error
    try:
        with file:
            return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if wanted := re.search(r"GLOBAL ([\w.]+)", str(error)):
            raise CheckpointError(
                f"{path}: refused, to read it would run code of its own ({wanted[1]}); "
                "a checkpoint needs nothing but tensors and plain values"
            ) from None
        raise _incomplete(path, error) from error
    except Exception as error:  # a broken pickle may raise anything
        raise _incomplete(path, error) from error


def _incomplete(path: Path, error: Exception) -> CheckpointError:
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return CheckpointError(f"{path}: is no complete file of torch.save ({reason}); copy it again")
