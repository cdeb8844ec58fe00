"""What a folder of built engines says about itself, so that no engine runs where it does not fit.

A built engine is good for one checkpoint, one precision, one kind of device and one set of library
versions. The manifest is written last: a build that broke off leaves none behind.
"""

import dataclasses
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from engines.engine import EngineError

MANIFEST_NAME: Final = "manifest.json"
FORMAT_VERSION: Final = 1

Batches = tuple[int, int, int]
"""The least, the best and the greatest number of rows of one call."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """`engine` as in `engines.load.ENGINES`; `versions` of libraries and drivers by their names;
    `device`: the name of the GPU, or of the CPU with what it can do; `files`: bytes by file name.
    """

    engine: str
    preset: str
    precision: str
    weights_sha256: str
    versions: Mapping[str, str]
    device: str
    batches: Batches
    files: Mapping[str, int]

    def difference(self, expected: "Manifest") -> list[str]:
        """One line for every field that is not as expected, with both values. The files are not
        compared: they differ from build to build."""
        found, wanted = _comparable(self), _comparable(expected)
        return [
            f"{name} is {found.get(name)!r}, this machine and checkpoint need {wanted.get(name)!r}"
            for name in sorted(found.keys() | wanted.keys())
            if found.get(name) != wanted.get(name)
        ]


def check_manifest(folder: Path, found: Manifest, expected: Manifest, rebuild: str) -> None:
    """Raises EngineError unless an engine built as `found` serves where `expected` is asked for.
    `rebuild`: the command that builds it again."""
    if differences := found.difference(expected):
        raise EngineError(
            f"{folder}: this engine was built for something else: {'; '.join(differences)}; "
            f"build it again: {rebuild}"
        )


def describe_files(folder: Path, names: Iterable[str]) -> dict[str, int]:
    """The sizes of files that were just built, for `Manifest.files`."""
    return {name: (folder / name).stat().st_size for name in names}


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Writes the manifest, at once or not at all."""
    fields = {"format_version": FORMAT_VERSION, **dataclasses.asdict(manifest)}
    partial = folder / f".{MANIFEST_NAME}.partial"
    partial.write_text(json.dumps(fields, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    os.replace(partial, folder / MANIFEST_NAME)


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a folder whose files are all there in full. Raises EngineError."""
    path = folder / MANIFEST_NAME
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise EngineError(
            f"{path}: there is no such file; no engine was built here, or its build broke off: "
            "run vfd-engine build"
        ) from None
    except OSError as error:
        raise EngineError(f"{path}: cannot be read ({error})") from error
    except ValueError as error:
        raise EngineError(
            f"{path}: is no complete JSON file ({error}); build the engine again"
        ) from error
    manifest = _decoded(path, fields)
    _check_files(folder, manifest.files)
    return manifest


def _comparable(manifest: Manifest) -> dict[str, Any]:
    """The fields that decide, `versions` taken apart so that a message names the library."""
    fields = dataclasses.asdict(manifest)
    del fields["files"]
    versions = fields.pop("versions")
    return fields | {f"version of {name}": version for name, version in versions.items()}


def _decoded(path: Path, fields: object) -> Manifest:
    if not isinstance(fields, dict):
        raise EngineError(f"{path}: holds no table; build the engine again")
    version = fields.pop("format_version", None)
    if version != FORMAT_VERSION:
        raise EngineError(
            f"{path}: format_version is {version!r}, this program reads {FORMAT_VERSION}; "
            "build the engine again"
        )
    expected = {field.name for field in dataclasses.fields(Manifest)}
    for name in sorted(expected ^ fields.keys()):
        problem = "missing" if name in expected else "unknown"
        raise EngineError(f"{path}: field {name!r} is {problem}; build the engine again")
    for name, value in fields.items():
        if not _fits(name, value):
            raise EngineError(f"{path}: field {name!r} is {value!r}; build the engine again")
    return Manifest(**fields | {"batches": tuple(fields["batches"])})


def _fits(name: str, value: object) -> bool:
    """Whether JSON held what the field `name` takes."""
    match name:
        case "versions":
            return isinstance(value, dict) and all(type(v) is str for v in value.values())
        case "files":
            return isinstance(value, dict) and all(type(v) is int for v in value.values())
        case "batches":
            return isinstance(value, list) and [type(v) for v in value] == [int, int, int]
        case _:
            return isinstance(value, str)


def _check_files(folder: Path, files: Mapping[str, int]) -> None:
    """Sizes, not hashes: a file that broke off is found, and reading gigabytes costs a start."""
    for name, size in files.items():
        if Path(name).name != name:
            raise EngineError(f"{folder}: the manifest names {name!r}, which is no plain file name")
        path = folder / name
        if not path.is_file():
            raise EngineError(f"{path}: there is no such file; build the engine again")
        if path.stat().st_size != size:
            raise EngineError(
                f"{path}: has {path.stat().st_size} bytes, not {size}; build the engine again"
            )
