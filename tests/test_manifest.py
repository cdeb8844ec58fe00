"""An engine that does not fit is refused with the field, both values and the way out."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engines.engine import EngineError
from engines.manifest import (
    MANIFEST_NAME,
    Manifest,
    check_manifest,
    describe_files,
    read_manifest,
    write_manifest,
)

REBUILD = "vfd-engine build --engine tensorrt"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "voice.ep").write_bytes(b"v" * 100)
    (tmp_path / "face.ep").write_bytes(b"f" * 50)
    write_manifest(tmp_path, manifest_of(tmp_path))
    return tmp_path


def manifest_of(folder: Path) -> Manifest:
    return Manifest(
        engine="tensorrt",
        preset="base",
        precision="bf16",
        weights_sha256="ab" * 32,
        versions={"tensorrt": "11.0.0", "torch": "2.13.0", "driver": "580.1"},
        device="NVIDIA H200",
        batches=(1, 64, 256),
        files=describe_files(folder, ["voice.ep", "face.ep"]),
    )


def test_a_manifest_comes_back_as_it_was_written(folder: Path) -> None:
    found = read_manifest(folder)
    assert found == manifest_of(folder)
    assert found.files == {"voice.ep": 100, "face.ep": 50}
    assert found.difference(manifest_of(folder)) == []
    check_manifest(folder, found, manifest_of(folder), REBUILD)
    assert sorted(p.name for p in folder.iterdir()) == ["face.ep", MANIFEST_NAME, "voice.ep"]


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("engine", "openvino", "engine is 'tensorrt', this machine and checkpoint need 'openvino'"),
        ("preset", "tiny", "preset is 'base'.*need 'tiny'"),
        ("precision", "fp16", "precision is 'bf16'.*need 'fp16'"),
        ("weights_sha256", "cd" * 32, "weights_sha256 is 'abab.*need 'cdcd"),
        ("device", "NVIDIA L4", "device is 'NVIDIA H200'.*need 'NVIDIA L4'"),
        ("batches", (1, 8, 64), r"batches is \(1, 64, 256\).*need \(1, 8, 64\)"),
        (
            "versions",
            {"tensorrt": "10.15", "torch": "2.13.0", "driver": "580.1"},
            "version of tensorrt is '11.0.0'.*need '10.15'",
        ),
        ("versions", {"tensorrt": "11.0.0", "torch": "2.13.0"}, "driver is '580.1'.*need None"),
    ],
)
def test_a_misfit_names_the_field_both_values_and_the_command(
    folder: Path, field: str, value: object, message: str
) -> None:
    found = read_manifest(folder)
    expected = dataclasses.replace(found, **{field: value})
    assert len(found.difference(expected)) == 1
    with pytest.raises(EngineError, match=f"{message}.*; build it again: {REBUILD}$"):
        check_manifest(folder, found, expected, REBUILD)


def test_every_misfit_is_named_and_files_do_not_count(folder: Path) -> None:
    found = read_manifest(folder)
    expected = dataclasses.replace(found, preset="tiny", device="NVIDIA L4", files={})
    assert [line.split()[0] for line in found.difference(expected)] == ["device", "preset"]


def test_an_unfinished_build_and_half_a_manifest(folder: Path, tmp_path: Path) -> None:
    path = folder / MANIFEST_NAME
    path.write_text(path.read_text()[:60])
    with pytest.raises(EngineError, match=r"manifest.json: is no complete JSON.*build the engine"):
        read_manifest(folder)
    path.write_bytes(b"\xff\xfe{}")
    with pytest.raises(EngineError, match="is no complete JSON"):
        read_manifest(folder)
    path.unlink()
    with pytest.raises(EngineError, match="there is no such file; no engine was built here"):
        read_manifest(folder)
    path.mkdir()
    with pytest.raises(EngineError, match="cannot be read"):
        read_manifest(folder)


def test_half_an_engine_and_a_missing_one(folder: Path) -> None:
    (folder / "face.ep").write_bytes(b"f" * 25)
    with pytest.raises(EngineError, match=r"face.ep: has 25 bytes, not 50; build the engine again"):
        read_manifest(folder)
    (folder / "face.ep").unlink()
    with pytest.raises(EngineError, match=r"face.ep: there is no such file"):
        read_manifest(folder)


def change(name: str, value: object) -> Callable[[dict[str, Any]], object]:
    return lambda fields: fields.update({name: value})


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (change("format_version", 9), "format_version is 9, this program reads 1"),
        (lambda fields: fields.pop("device"), "field 'device' is missing"),
        (change("colour", "blue"), "field 'colour' is unknown"),
        (change("preset", 3), "field 'preset' is 3"),
        (change("batches", [1, 2]), r"field 'batches' is \[1, 2\]"),
        (change("versions", {"torch": 2}), "field 'versions' is"),
        (change("files", {"voice.ep": "large"}), "field 'files' is"),
        (change("files", {"../voice.ep": 100}), "no plain file name"),
    ],
)
def test_fields_of_the_wrong_kind_are_named(
    folder: Path, edit: Callable[[dict[str, Any]], object], message: str
) -> None:
    path = folder / MANIFEST_NAME
    fields = json.loads(path.read_text())
    edit(fields)
    path.write_text(json.dumps(fields))
    with pytest.raises(EngineError, match=message):
        read_manifest(folder)


def test_a_manifest_that_is_no_table(folder: Path) -> None:
    (folder / MANIFEST_NAME).write_text("[]")
    with pytest.raises(EngineError, match="holds no table"):
        read_manifest(folder)
