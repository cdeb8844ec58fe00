"""The parts that `serve` and `watch` share, made from the configuration in the one same way."""

from dataclasses import asdict, fields
from pathlib import Path

from engines.engine import Engine
from engines.load import load_engine
from monitor.config import Config, ConfigError
from vfd.checkpoint import Checkpoint, load_checkpoint, shipped_checkpoint_path
from vfd.decision import DecisionLimits, limits_from_calibration
from vfd.faces import MtcnnDetector
from vfd.finder import FaceFinder
from vfd.quality import QualityLimits
from vfd.still import StillDetector


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
    """Of the checkpoint's calibration, where the configuration sets nothing else. Raises
    ConfigError for settings that contradict it."""
    try:
        return limits_from_calibration(checkpoint.info.calibration, **asdict(config.decision))
    except ValueError as error:
        raise ConfigError(f"decision: {error}") from error


def face_finder(config: Config) -> FaceFinder:
    faces = config.faces
    limits = {field.name: getattr(faces, field.name) for field in fields(QualityLimits)}
    detector = MtcnnDetector(threads=faces.detector_threads, min_score=faces.min_score)
    return FaceFinder(StillDetector(detector), QualityLimits(**limits))


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
