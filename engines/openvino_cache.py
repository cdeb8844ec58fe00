"""Where compiled OpenVINO models wait for the next start.

A folder for every combination of weights, precision, graph and OpenVINO version holds both towers
as IR, and what OpenVINO makes of them for this processor. A start that finds its
folder builds no graph and compiles nothing: it is several times quicker and needs half the memory.
What `vfd-engine build` wrote has its IR already; of it only the compiled towers are kept here.
"""

import hashlib
import logging
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

import openvino as ov

from engines import openvino_graph
from engines.manifest import MANIFEST_NAME
from vfd.model_config import TOWERS

logger = logging.getLogger(__name__)

MAX_MODELS: Final = 6
"""Older folders are removed: `base` takes 0.7 GB, and nobody tidies a cache by hand."""

Graphs = Callable[[], tuple[ov.Model, ov.Model]]


def cached_model(weights_sha256: str, precision: str, graphs: Graphs) -> Path | None:
    """The folder with `voice.xml` and `face.xml`, written from `graphs()` where it is new.

    None where it cannot be written or there is no home for it, which is logged.
    """
    try:
        root = cache_root()
        folder = root / _key(weights_sha256, precision)
        if not _complete(folder):
            root.mkdir(parents=True, exist_ok=True, mode=0o700)
            _publish(folder, graphs())
            _prune(root, keep=folder)
        os.utime(folder)
    except (OSError, RuntimeError) as error:
        logger.warning("the model cache cannot be used, start-up stays slow: %s", error)
        return None
    return folder


def compiled_folder(built: Path) -> Path | None:
    """Where the compiled towers of a folder of `vfd-engine build` are kept.

    None where it cannot be written, which is logged.
    """
    try:
        folder = _compiled_path(built)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _prune(folder.parent, keep=folder)
        os.utime(folder)
    except (OSError, RuntimeError) as error:
        logger.warning("the model cache cannot be used, start-up stays slow: %s", error)
        return None
    return folder


def forget_compiled(built: Path) -> None:
    """Before a folder of `vfd-engine build` moves: OpenVINO finds compiled towers by its path."""
    shutil.rmtree(_compiled_path(built), ignore_errors=True)


def cache_root() -> Path:
    """`$XDG_CACHE_HOME/vfd-monitor/openvino`, below `~/.cache` where that is unset."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "vfd-monitor" / "openvino"


def write_ir(folder: Path, models: tuple[ov.Model, ov.Model]) -> tuple[str, ...]:
    """Both towers into `folder`, weights in half precision as in the checkpoint; the file names."""
    for name, model in zip(TOWERS, models, strict=True):
        ov.save_model(model, folder / f"{name}.xml", compress_to_fp16=True)
    return tuple(f"{name}.{end}" for name in TOWERS for end in ("xml", "bin"))


def _key(weights_sha256: str, precision: str) -> str:
    """Names everything that the files depend on; OpenVINO's version holds its build number."""
    graph = Path(openvino_graph.__file__).read_bytes()
    parts = hashlib.sha256(f"{weights_sha256} {precision} {ov.get_version()} ".encode() + graph)
    return parts.hexdigest()[:32]


def _compiled_path(built: Path) -> Path:
    """Named by what the manifest holds, the hash of the weights among it, and by path and time, at
    which OpenVINO looks."""
    manifest = built / MANIFEST_NAME
    parts = f"{built.resolve()} {manifest.stat().st_mtime_ns} {ov.get_version()} ".encode()
    return cache_root() / hashlib.sha256(parts + manifest.read_bytes()).hexdigest()[:32]


def _complete(folder: Path) -> bool:
    return all((folder / f"{name}.xml").is_file() for name in TOWERS)


def _publish(folder: Path, models: tuple[ov.Model, ov.Model]) -> None:
    """All files or none: two monitors may start at once, and either may be killed."""
    with tempfile.TemporaryDirectory(prefix=".partial-", dir=folder.parent) as partial:
        written = Path(partial) / "model"
        written.mkdir()
        write_ir(written, models)
        if _complete(folder):  # somebody else was quicker
            return
        shutil.rmtree(folder, ignore_errors=True)
        written.rename(folder)


def _prune(root: Path, keep: Path) -> None:
    """Removes the folders that were used longest ago."""
    others = [f for f in root.iterdir() if f != keep and not f.name.startswith(".")]
    others.sort(key=lambda f: f.stat().st_mtime)
    for old in others[: max(0, len(others) + 1 - MAX_MODELS)]:
        shutil.rmtree(old, ignore_errors=True)
