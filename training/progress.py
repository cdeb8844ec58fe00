"""What a training tells while it runs: a line for a person, and TensorBoard for later."""

import resource
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import torch
from torch.utils.tensorboard import SummaryWriter

from training.recipe import Recipe

SMOOTHING: Final = 0.95  # a line shows means over about twenty steps
KIB: Final = 1 << 10
MIB: Final = 1 << 20


class Progress:
    """Losses, speed, remaining time and memory. `log`: the folder for TensorBoard; `done`: steps
    before this start, of which what was written after the last save is taken back."""

    def __init__(self, recipe: Recipe, log: Path, done: int, device: torch.device) -> None:
        self._recipe, self._device, self._done = recipe, device, done
        self._writer = SummaryWriter(str(log), purge_step=done + 1 if done else None)
        self._started = time.monotonic()
        self._running: dict[str, float] = {}

    def step(self, step: int, parts: Mapping[str, float]) -> None:
        """Every step is written, every `report_every`-th printed."""
        for name, value in parts.items():
            self._writer.add_scalar(f"loss/{name}", value, step)
            before = self._running.get(name, value)
            self._running[name] = SMOOTHING * before + (1 - SMOOTHING) * value
        if step % self._recipe.run.report_every == 0:
            self._report(step)

    def validated(self, step: int, figures: Mapping[str, float], *, best: bool) -> None:
        for name, value in figures.items():
            self._writer.add_scalar(f"validation/{name}", value, step)
        listed = ", ".join(f"{name} {value:.4f}" for name, value in figures.items())
        print(f"{step}: validation {listed}{' (best so far)' if best else ''}", flush=True)

    def close(self) -> None:
        self._writer.close()

    def ended(self, step: int) -> None:
        """Says how it ended and what it took."""
        seconds = time.monotonic() - self._started
        early = "" if step == self._recipe.optimiser.steps else ", stopped early"
        print(
            f"{step} steps{early}; {step - self._done} of them now, in {seconds:.0f} s, "
            f"with {memory_mib(self._device):.0f} MiB at most",
            flush=True,
        )

    def _report(self, step: int) -> None:
        elapsed = time.monotonic() - self._started
        each = elapsed / (step - self._done)
        remaining = each * (self._recipe.optimiser.steps - step)
        parts = " ".join(f"{name} {value:.3f}" for name, value in self._running.items())
        rate = self._recipe.optimiser.batch / each
        memory = memory_mib(self._device)
        self._writer.add_scalar("speed/clips_per_s", rate, step)
        self._writer.add_scalar("memory/mib", memory, step)
        print(
            f"{step}/{self._recipe.optimiser.steps}, {rate:.0f} clips/s, {remaining:.0f} s to go, "
            f"{memory:.0f} MiB: {parts}",
            flush=True,
        )


def memory_mib(device: torch.device) -> float:
    """The most that was in use: of the GPU by tensors, else of this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / MIB
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # KiB, but bytes on macOS
    return used / (MIB if sys.platform == "darwin" else KIB)
