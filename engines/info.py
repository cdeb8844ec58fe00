"""What a model is and costs, and which engines run it on this machine."""

import dataclasses
import json
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from engines.engine import EngineError
from engines.hardware import nvidia_driver_visible
from engines.load import IN_ORDER
from engines.openvino_engine import capabilities, chosen_precision
from vfd.checkpoint import UNCALIBRATED, Calibration, Checkpoint
from vfd.cost import flops, parameters
from vfd.model_config import ModelConfig

GPU_REPORT: Final = Path(__file__).parent / "reports" / "gpu.json"
NOT_EXECUTED: Final = "lowered and checked, not executed"
USABLE: Final = "usable"


def describe(config: ModelConfig, checkpoint: Checkpoint | None) -> dict[str, Any]:
    """JSON-safe. `checkpoint` is None where only a preset is asked about."""
    size, work = parameters(config), flops(config)
    described: dict[str, Any] = {
        "preset": config.preset,
        "parameters": {"face": size.face, "voice": size.voice, "total": size.total},
        "gflop_per_window": round(work.total / 1e9, 3),
        "front_end": config.front_end,
        "config": dataclasses.asdict(config),
        "engines": usable_engines(config),
        "tensorrt": tensorrt_status(),
    }
    if checkpoint is not None:
        info = checkpoint.info
        described |= {
            "sha256": checkpoint.sha256,
            "calibration": _calibration(info.calibration),
            "trained_on": info.trained_on,
            "command": info.command,
            "commit": info.commit,
        }
    return described


def usable_engines(config: ModelConfig) -> dict[str, str]:
    """By engine, in the order of `auto`: "usable ..." or why it is not, found without loading the
    model."""
    return {name: _CHECKS[name](config) for name in IN_ORDER}


def tensorrt_status() -> str:
    """What is known of the TensorRT engine: whether a committed GPU report has seen it run."""
    try:
        executed = json.loads(GPU_REPORT.read_text())["tensorrt_executed"]
    except (OSError, ValueError, KeyError, TypeError):
        executed = False
    return f"executed, see {GPU_REPORT.name}" if executed is True else NOT_EXECUTED


def as_text(described: Mapping[str, Any]) -> str:
    """For a terminal."""
    size = described["parameters"]
    lines = [
        f"preset            {described['preset']}",
        f"parameters        {size['total'] / 1e6:.1f} M "
        f"(face {size['face'] / 1e6:.1f}, voice {size['voice'] / 1e6:.1f})",
        f"work              {described['gflop_per_window']:.2f} GFLOP a window "
        "(one voice and one face)",
        f"front end         {described['front_end']}",
    ]
    if "sha256" in described:
        lines += [
            f"weights           {described['sha256']}",
            f"trained on        {described['trained_on']}",
            *_calibration_lines(described["calibration"]),
        ]
    lines += [f"{'engine ' + name:<17} {state}" for name, state in described["engines"].items()]
    lines.append(f"TensorRT          {described['tensorrt']}")
    return "\n".join(lines)


def _calibration(calibration: Calibration) -> dict[str, float] | None:
    """None where a file says nothing about its scores."""
    return None if calibration == UNCALIBRATED else dataclasses.asdict(calibration)


def _calibration_lines(calibration: Mapping[str, float] | None) -> list[str]:
    if calibration is None:
        return [
            'calibration       none: verdicts stay unknown unless decision.rule is "paper" and '
            "decision.suspect_below and decision.match_above are set"
        ]
    return [
        f"threshold         {calibration['threshold']:.3f}",
        f"real, fake mean   {calibration['real_mean']:.3f}, {calibration['fake_mean']:.3f}",
    ]


def _tensorrt(_config: ModelConfig) -> str:
    if not nvidia_driver_visible():
        return "no NVIDIA driver is visible"
    if find_spec("torch_tensorrt") is None:
        return "torch-tensorrt is not installed: install vfd-monitor[tensorrt]"
    return f"{USABLE} with a folder of vfd-engine build, if TensorRT's libraries load"


def _cuda(_config: ModelConfig) -> str:
    if not nvidia_driver_visible():
        return "no NVIDIA driver is visible"
    return f"{USABLE} (bf16), if this torch is one for the GPU" if _has_torch() else _no_torch()


def _openvino(config: ModelConfig) -> str:
    found = ", ".join(capabilities())
    try:
        return f"{USABLE} ({chosen_precision('auto', config)}; the processor has {found})"
    except EngineError as error:
        return str(error)


def _torch(_config: ModelConfig) -> str:
    return f"{USABLE} (f32)" if _has_torch() else _no_torch()


def _has_torch() -> bool:
    return find_spec("torch") is not None


def _no_torch() -> str:
    return "torch is not installed: install vfd-monitor[training]"


_CHECKS: Final[dict[str, Callable[[ModelConfig], str]]] = {
    "tensorrt": _tensorrt,
    "cuda": _cuda,
    "openvino": _openvino,
    "torch": _torch,
}
