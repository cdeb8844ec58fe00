"""One file holds a trained model: safetensors, half precision, with everything needed to use it.

The file's metadata carries, as JSON, the sizes of the model, the statistics of its scores, and
where it comes from. A file is checked completely before anything runs on it. No torch here.
"""

import dataclasses
import hashlib
import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
import safetensors
import safetensors.numpy
from numpy.typing import NDArray

from vfd.model_config import PRESETS, ModelConfig, Size, tensor_shapes
from vfd.operating import DecisionModel, from_values

FORMAT_VERSION: Final = 2  # 1: spectrograms had another floor and normalisation
_METADATA_KEY: Final = "vfd"  # one key: safetensors writes several in random order, and the hash of
# the file would change from one writing to the next
_DTYPES: Final = {"F16", "F32"}

Tensors = Mapping[str, NDArray[Any]]
"""By name, float16 or float32."""

T = TypeVar("T")


class CheckpointError(Exception):
    """A checkpoint cannot be read or written; the message names the file and what is wrong."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """How the cosine scores of this model fall on its validation set.

    All in units of cosine. `threshold` is lambda of paper eq. 10. "Real" are voices with the face
    of their own person, "fake" with somebody else's. `between`: deviation of the means of persons
    (for fakes: of pairs of persons); `within`: deviation of single windows about those means.
    `autocorrelation` of genuine scores one second apart; where it was not measured, what windows of
    3 s that overlap by two thirds are likely to have.
    """

    threshold: float
    real_mean: float
    real_std_between: float
    real_std_within: float
    fake_mean: float
    fake_std_between: float
    fake_std_within: float
    autocorrelation: float = 0.6


UNCALIBRATED: Final = Calibration(
    threshold=1.0,
    real_mean=-1.0,
    real_std_between=0.0,
    real_std_within=0.0,
    fake_mean=-1.0,
    fake_std_between=0.0,
    fake_std_within=0.0,
)
"""Where nothing is known of the scores nothing follows from them: every verdict stays unknown.
Whoever wants to follow the published code, which decides at a cosine of 0, chooses the paper's rule
and sets both limits in the configuration."""


@dataclass(frozen=True, slots=True)
class CheckpointInfo:
    """What a checkpoint says about itself. `trained_on` such as "synthetic people v1"; `command`
    and `commit` repeat the training. `decision`: thresholds by stated error rates, None where they
    were never fitted."""

    format_version: int
    config: ModelConfig
    calibration: Calibration
    trained_on: str
    command: str
    commit: str
    decision: DecisionModel | None = None

    @property
    def synthetic(self) -> bool:
        """The model has seen drawn people only: its scores say nothing about real ones."""
        return self.trained_on.startswith("synthetic")


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """A checked file: every tensor of the model is there, in shape, and finite. `sha256` of the
    file, in hexadecimal."""

    info: CheckpointInfo
    tensors: Tensors
    sha256: str

    @property
    def tensors_sha256(self) -> str:
        """What says the same model after a calibration has changed the file, in hexadecimal."""
        digest = hashlib.sha256()
        for name in sorted(self.tensors):
            tensor = np.ascontiguousarray(self.tensors[name])
            digest.update(f"{name} {tensor.dtype} {tensor.shape}\n".encode())
            digest.update(tensor.tobytes())
        return digest.hexdigest()


def shipped_checkpoint_path() -> Path:
    """The weights that come with the package."""
    return Path(__file__).parent / "weights" / "nano.safetensors"


def save_checkpoint(path: Path, info: CheckpointInfo, tensors: Tensors) -> None:
    """Writes `tensors` as float16, replacing the file at once or not at all.

    Raises CheckpointError for tensors that do not fit `info.config` or do not fit float16, for a
    config that is not the preset that it is called, and for a file that cannot be written.
    """
    _check_label(path, info.config)
    with np.errstate(over="ignore"):  # an overflow is reported by name below
        halves = {name: np.ascontiguousarray(t, dtype=np.float16) for name, t in tensors.items()}
    _check_shapes(path, info.config, {name: t.shape for name, t in halves.items()})
    _check_finite(path, halves)
    metadata = {_METADATA_KEY: json.dumps(dataclasses.asdict(info), sort_keys=True)}
    partial = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(safetensors.numpy.save(halves, metadata))
        os.replace(partial, path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise CheckpointError(f"{path}: cannot be written ({error.strerror})") from error


def load_checkpoint(path: Path) -> Checkpoint:
    """Reads and checks a checkpoint. Raises CheckpointError, naming the file and the field."""
    try:
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        with safetensors.safe_open(path, framework="np") as opened:
            info = _info(path, opened.metadata() or {})
            headers = {name: opened.get_slice(name) for name in opened.keys()}  # noqa: SIM118
            _check_headers(path, info.config, headers)
            tensors = {name: opened.get_tensor(name) for name in tensor_shapes(info.config)}
    except FileNotFoundError:
        raise CheckpointError(f"{path}: there is no such file") from None
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error})") from error
    except safetensors.SafetensorError as error:
        raise CheckpointError(
            f"{path}: is no complete safetensors file ({error}); copy or train it again"
        ) from error
    _check_finite(path, tensors)
    return Checkpoint(info, tensors, sha256)


def _info(path: Path, metadata: Mapping[str, str]) -> CheckpointInfo:
    """From the header's metadata, one JSON object under one key."""
    if _METADATA_KEY not in metadata:
        raise CheckpointError(f"{path}: metadata {_METADATA_KEY!r} is missing; not our checkpoint")
    try:
        fields = json.loads(metadata[_METADATA_KEY])
        version = fields["format_version"]
    except (ValueError, TypeError, KeyError):
        raise CheckpointError(f"{path}: metadata has no field 'format_version'") from None
    if version != FORMAT_VERSION:
        raise CheckpointError(
            f"{path}: format_version is {version!r}, this program reads {FORMAT_VERSION}; "
            "take weights and program of one release"
        )
    for section, kind in (("config", ModelConfig), ("calibration", Calibration)):
        fields[section] = _build(kind, fields.get(section), path, section)
    decision = _decision(path, fields.pop("decision", None))
    info = dataclasses.replace(_build(CheckpointInfo, fields, path, "metadata"), decision=decision)
    _check_label(path, info.config)
    return info


def _decision(path: Path, values: object) -> DecisionModel | None:
    if values is None:
        return None
    try:
        return from_values(values)
    except ValueError as error:
        raise CheckpointError(f"{path}: decision: {error}") from None


def _build(kind: type[T], values: object, path: Path, where: str) -> T:
    """A dataclass from decoded JSON: exactly its fields, each of the right type. A field that has
    a default may be missing: files from before there was that field stay readable."""
    if not isinstance(values, dict):
        raise CheckpointError(f"{path}: {where} is missing or no table")
    fields = dataclasses.fields(kind)  # type: ignore[arg-type]
    expected = {field.name: field.type for field in fields}
    optional = {field.name for field in fields if field.default is not dataclasses.MISSING}
    for name in sorted((expected.keys() ^ values.keys()) - (optional - values.keys())):
        problem = "missing" if name in expected else "unknown"
        raise CheckpointError(f"{path}: {where}: field {name!r} is {problem}")
    converted = {}
    for name, value in values.items():
        try:
            converted[name] = _convert(expected[name], value)
        except TypeError:
            raise CheckpointError(f"{path}: {where}: field {name!r} is {value!r}") from None
    try:
        return kind(**converted)
    except ValueError as error:
        raise CheckpointError(f"{path}: {where}: {error}") from None


def _convert(kind: object, value: object) -> object:
    """`value` as `kind`; raises TypeError where JSON held something else."""
    if kind is float:
        if isinstance(value, int | float) and math.isfinite(value):
            return float(value)
    elif kind == Size:
        if isinstance(value, list) and [type(v) for v in value] == [int, int]:
            return tuple(value)
    elif type(value) is kind:
        return value
    raise TypeError(f"not a {kind}")


def _check_label(path: Path, config: ModelConfig) -> None:
    """The name of a preset promises its sizes: reports, metrics and manifests show the name."""
    preset = PRESETS.get(config.preset, config)
    for field in dataclasses.fields(ModelConfig):
        expected, found = getattr(preset, field.name), getattr(config, field.name)
        if found != expected:
            raise CheckpointError(
                f"{path}: config: is called {config.preset!r}, whose {field.name} is {expected!r}, "
                f"not {found!r}"
            )


def _check_headers(path: Path, config: ModelConfig, headers: Mapping[str, Any]) -> None:
    """Names, shapes and types of all tensors, before any of them is read. `headers`: the slices of
    safetensors by name."""
    _check_shapes(path, config, {name: tuple(h.get_shape()) for name, h in headers.items()})
    for name, header in headers.items():
        if header.get_dtype() not in _DTYPES:
            raise CheckpointError(
                f"{path}: tensor {name!r} is {header.get_dtype()}, not F16 or F32"
            )


def _check_shapes(path: Path, config: ModelConfig, found: Mapping[str, tuple[int, ...]]) -> None:
    expected = tensor_shapes(config)
    for name in sorted(expected.keys() ^ found.keys()):
        problem = "missing" if name in expected else "not part of this model"
        raise CheckpointError(f"{path}: tensor {name!r} is {problem}")
    for name, shape in expected.items():
        if found[name] != shape:
            raise CheckpointError(f"{path}: tensor {name!r} has shape {found[name]}, not {shape}")


def _check_finite(path: Path, tensors: Tensors) -> None:
    for name, tensor in tensors.items():
        if not np.isfinite(tensor).all():
            raise CheckpointError(f"{path}: tensor {name!r} holds NaN or infinite values")
