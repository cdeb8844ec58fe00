"""How long an engine takes from nothing to its first answer, and how much memory: a process of its
own, started by the benchmark as
`python -m engines.startup CHECKPOINT ENGINE PRECISION [FOLDER]`."""

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import psutil

from engines.engine import EngineError
from engines.load import load_engine
from vfd.checkpoint import load_checkpoint

TIMEOUT_S: Final = 300.0


@dataclass(frozen=True, slots=True)
class Startup:
    """`ready_s`: from the start of the process to the first pair of embeddings. `peak_rss_mb`: the
    most memory that it held until then."""

    engine: str
    preset: str
    cache: str
    ready_s: float
    peak_rss_mb: float


def measure_startup(
    engine: str,
    preset: str,
    checkpoint: Path,
    precision: str = "auto",
    folder: Path | None = None,
) -> list[Startup]:
    """OpenVINO twice, without and with its model cache; others once. `folder` as for `load_engine`.
    Raises EngineError."""
    asked = [str(checkpoint), engine, precision, *([] if folder is None else [str(folder)])]
    found = []
    with tempfile.TemporaryDirectory() as cache:
        for state in ("empty", "filled") if engine == "openvino" else ("none",):
            seconds, megabytes = _started(engine, asked, Path(cache))
            found.append(Startup(engine, preset, state, round(seconds, 2), round(megabytes)))
    return found


def _started(engine: str, asked: list[str], cache: Path) -> tuple[float, float]:
    environment = os.environ | {"XDG_CACHE_HOME": str(cache), "OMP_NUM_THREADS": "1"}
    try:
        done = subprocess.run(
            [sys.executable, "-m", "engines.startup", *asked],
            env=environment,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=True,
        )
    except subprocess.CalledProcessError as error:
        reason = (error.stderr.splitlines() or [f"exit code {error.returncode}"])[-1]
        raise EngineError(f"{engine} could not be started to be measured: {reason}") from error
    except subprocess.TimeoutExpired as error:
        raise EngineError(f"{engine} did not start within {TIMEOUT_S:.0f} s") from error
    answer: dict[str, Any] = json.loads(done.stdout)
    return float(answer["ready_s"]), float(answer["peak_rss_mb"])


def _main(checkpoint: str, name: str, precision: str, folder: str | None = None) -> None:
    loaded = load_checkpoint(Path(checkpoint))
    voice, face = loaded.info.config.voice, loaded.info.config.face
    built = None if folder is None else Path(folder)
    engine = load_engine(name, loaded, folder=built, precision=precision)
    engine.embed_voice(np.zeros((1, voice.channels, *voice.image), np.float32))
    engine.embed_faces(np.zeros((1, *face.image, face.channels), np.uint8))
    ready_s = time.time() - psutil.Process().create_time()
    print(json.dumps({"ready_s": ready_s, "peak_rss_mb": _peak_rss_mb()}))
    engine.close()


def _peak_rss_mb() -> float:
    """Of this program alone: what getrusage reports begins with the size of the parent process."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return float("nan")


if __name__ == "__main__":
    _main(*sys.argv[1:])
