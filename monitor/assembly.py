"""The parts that `serve` and `watch` share, made from the configuration in the one same way."""

from dataclasses import fields, replace
from pathlib import Path
from typing import Final

from engines.engine import Engine
from engines.load import load_engine
from monitor.config import Config, ConfigError, DecisionConfig
from monitor.override import read_override
from vfd.checkpoint import UNCALIBRATED, Checkpoint, load_checkpoint, shipped_checkpoint_path
from vfd.faces import MtcnnDetector
from vfd.finder import FaceFinder
from vfd.limits import DecisionLimits, paper_limits, sequential_limits
from vfd.operating import DecisionModel
from vfd.quality import QualityLimits
from vfd.still import StillDetector

DURATIONS: Final = (
    "smoothing_s",
    "mismatch_after_s",
    "recover_after_s",
    "min_windows",
    "forget_after_s",
)


def configured_checkpoint(config: Config) -> Checkpoint:
    """The one that `model.checkpoint` names, else the one that ships. Raises CheckpointError."""
    path = config.model.checkpoint
    return load_checkpoint(Path(path) if path else shipped_checkpoint_path())


def configured_engine(config: Config, checkpoint: Checkpoint) -> Engine:
    """The engine that section `model` asks for. Raises EngineError."""
    model = config.model
    folder = Path(model.engine_folder) if model.engine_folder else None
    return load_engine(model.engine, checkpoint, model.threads, folder)


def decision_limits(config: Config, checkpoint: Checkpoint) -> DecisionLimits:
    """By the rule, the rates and the calibration that section `decision` asks for. Weights without
    a calibration leave everything unknown. Raises ConfigError naming the field."""
    asked, calibration = config.decision, checkpoint.info.calibration
    known = None if calibration == UNCALIBRATED else calibration
    try:
        if asked.rule == "paper":
            limits = paper_limits(known, asked.suspect_below, asked.match_above)
        elif (model := decision_model(asked, checkpoint)) is None:
            limits = paper_limits(None)
        else:
            rates = asked.false_alarms_per_1000_hours, asked.false_alarms_per_1000_people
            limits = sequential_limits(model, *rates)
        return replace(limits, **{name: getattr(asked, name) for name in DURATIONS})
    except ValueError as error:
        raise ConfigError(f"decision.{error}") from error


def decision_model(asked: DecisionConfig, checkpoint: Checkpoint) -> DecisionModel | None:
    """The user's own, else the checkpoint's. Raises ConfigError naming the file and the field."""
    if not asked.calibration:
        return checkpoint.info.decision
    try:
        return read_override(Path(asked.calibration), checkpoint.sha256)
    except (OSError, ValueError) as error:
        raise ConfigError(f"decision.calibration = {asked.calibration!r}: {error}") from error


def face_finder(config: Config) -> FaceFinder:
    faces = config.faces
    limits = {field.name: getattr(faces, field.name) for field in fields(QualityLimits)}
    detector = MtcnnDetector(threads=faces.detector_threads, min_score=faces.min_score)
    return FaceFinder(StillDetector(detector), QualityLimits(**limits), moving=detector)


def delivery_allowed(config: Config, checkpoint: Checkpoint) -> bool:
    """Whether alerts may leave the monitor: those of weights that have seen synthetic people only
    concern nobody, unless that is allowed by name."""
    return not checkpoint.info.synthetic or config.model.allow_synthetic_alerts


def weights_note(checkpoint: Checkpoint) -> str:
    """What everyone who sees a score must know of the weights; empty if there is no such thing."""
    info = checkpoint.info
    if not info.synthetic:
        return ""
    return f"Weights trained on {info.trained_on}: scores say nothing about real people."
