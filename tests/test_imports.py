"""Imports point one way, monitor -> engines -> vfd <- training, and heavy libraries stay in their
rooms."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("vfd", "engines", "monitor", "training")
MAY_IMPORT = {
    "vfd": {"vfd"},
    "engines": {"engines", "vfd"},
    "monitor": {"monitor", "engines", "vfd"},
    "training": {"training", "vfd"},
}
WITHOUT_TORCH = ("monitor.cli", "training.call", "training.cli", "training.prepare_workers")
TORCH_MODELS = ("model", "vgg", "released")
TORCH_ENGINES = (
    "torch_engine",
    "cuda_engine",
    "cuda_graphs",
    "tower_export",
    "tensorrt_engine",
    "tensorrt_build",
    "onnx_export",
    "gpu_check",
    "gpu_measure",
    "gpu_stage",
    "floor",
)
OPENVINO_ENGINES = (
    "openvino_engine",
    "openvino_graph",
    "openvino_cache",
    "int8",
    "floor",
)


def imports(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            yield node.module or ""


def files() -> list[Path]:
    return [f for p in PACKAGES for f in sorted((ROOT / p).rglob("*.py"))]


def importers(library: str) -> set[str]:
    return {
        str(f.relative_to(ROOT))
        for f in files()
        if any(name.split(".")[0] == library for name in imports(f))
    }


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_import_one_way(package: str) -> None:
    for file in (ROOT / package).rglob("*.py"):
        ours = {name.split(".")[0] for name in imports(file)} & {*PACKAGES, "tests"}
        assert ours <= MAY_IMPORT[package], f"{file.relative_to(ROOT)} imports {ours}"


def test_vfd_knows_no_event_loop_and_no_network() -> None:
    for library in ("asyncio", "socket", "httpx", "aiortc", "fastapi", "av"):
        assert not {f for f in importers(library) if f.startswith("vfd/")}


def test_heavy_libraries_stay_in_their_rooms() -> None:
    openvino = {f"engines/{name}.py" for name in OPENVINO_ENGINES}
    assert importers("openvino") == {"vfd/faces.py", "vfd/openvino_core.py", *openvino}
    assert importers("webrtcvad") == {"vfd/speech.py"}
    assert all(f.startswith("monitor/") or f == "training/call.py" for f in importers("aiortc"))


def test_torch_stays_in_its_rooms() -> None:
    rooms = importers("torch")
    models = {f"vfd/{name}.py" for name in TORCH_MODELS}
    engines = {f"engines/{name}.py" for name in TORCH_ENGINES}
    assert {f for f in rooms if not f.startswith("training/")} <= models | engines


@pytest.mark.parametrize("module", WITHOUT_TORCH)
def test_what_needs_no_torch_loads_none(module: str) -> None:
    """Also by what it imports in turn."""
    program = f"import {module}, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT).returncode == 0


def foreign_private_names(file: Path) -> set[str]:
    """Private attributes that `file` touches and that nothing of its own defines."""
    nodes = list(ast.walk(ast.parse(file.read_text())))
    attributes = [n for n in nodes if isinstance(n, ast.Attribute)]
    own = {
        a.attr
        for a in attributes
        if isinstance(a.value, ast.Name) and a.value.id in ("self", "cls")
    } | {n.name for n in nodes if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)}
    imported = {a.name for n in nodes if isinstance(n, ast.ImportFrom) for a in n.names}
    touched = {a.attr for a in attributes} - own | imported
    named_tuples = {"_asdict", "_replace", "_fields"}
    return {n for n in touched if n.startswith("_") and not n.endswith("__")} - named_tuples


def test_private_names_of_the_webrtc_stack_are_touched_in_one_place() -> None:
    touched = {f.name for f in (ROOT / "monitor").glob("*.py") if foreign_private_names(f)}
    assert touched == {"aiortc_hooks.py"}
