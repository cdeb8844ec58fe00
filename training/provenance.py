"""What a result says about how it was made."""

import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Machine:
    """Where something was measured. `load`: the mean of the last minute, before it began."""

    processor: str
    cores: int
    load: float

    @property
    def busy(self) -> bool:
        """Other work ran."""
        return self.load >= 0.5

    def __str__(self) -> str:
        return f"{self.processor}, {self.cores} cores, load {self.load} when it began"


def machine() -> Machine:
    """This one, now."""
    return Machine(_processor(), os.cpu_count() or 1, round(os.getloadavg()[0], 2))


def versions(libraries: Sequence[str] = ("numpy", "scipy", "torch")) -> dict[str, str]:
    """Of python, this program and `libraries`."""
    found = {"python": platform.python_version()}
    for library in (*libraries, "vfd-monitor"):
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            found[library] = "not installed"
    return found


def command() -> str:
    """What was typed, to be repeated; folders outside the working one by their last name alone."""
    words = [_neutral(word) for word in sys.argv[1:]]
    return shlex.join(["vfd-train", *words])


def commit() -> str:
    """The commit of the code that runs, or "unknown" outside a checkout."""
    try:
        found = subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return found.stdout.strip()


def _neutral(word: str) -> str:
    """An absolute path says where somebody keeps their files, which is nobody's business."""
    name, equals, value = word.rpartition("=")
    return f"{name}{equals}{Path(value).name}" if value.startswith("/") else word


def _processor() -> str:
    """As the kernel names it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
