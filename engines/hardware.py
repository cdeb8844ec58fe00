"""What this machine has, found without loading a large library."""

import ctypes
import subprocess
from pathlib import Path


def nvidia_driver_visible() -> bool:
    """Whether a GPU engine could run at all: so that a monitor on a CPU never loads torch to find
    out. A device file is not always there (WSL), the driver's library is."""
    if any(Path("/dev").glob("nvidia[0-9]*")):
        return True
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    return True


def nvidia_driver_version() -> str:
    """As nvidia-smi prints it, such as "580.95.05"; "unknown" where it does not run."""
    query = ("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader")
    try:
        done = subprocess.run(query, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return done.stdout.splitlines()[0].strip() if done.stdout.strip() else "unknown"
