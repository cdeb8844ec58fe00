"""The configuration: one frozen dataclass a section, every number with its unit in its name.

`config.toml` in the repository shows every key with its default; a test holds the two equal.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ServerConfig:
    host: str = "127.0.0.1"
    port: int = 8787
    token: str = ""
    tls_certificate: str = ""
    tls_key: str = ""
    tls_ends_at_proxy: bool = False
    max_body_bytes: int = 65_536
    max_event_clients: int = 16


@dataclass(frozen=True, slots=True)
class WhipConfig:
    max_participants: int = 64
    max_candidates: int = 64
    ice_servers: tuple[str, ...] = ()
    connect_timeout_s: float = 15.0
    no_media_timeout_s: float = 3.0


@dataclass(frozen=True, slots=True)
class ModelSection:
    checkpoint: str = ""  # empty: the weights that ship with the package
    engine: str = "auto"
    threads: int = 1
    allow_synthetic_alerts: bool = False


@dataclass(frozen=True, slots=True)
class ScoringConfig:
    hop_s: float = 1.0
    settle_s: float = 0.15
    face_interval_s: float = 0.5
    face_max_age_s: float = 6.0
    faces_per_window: int = 1
    min_coverage: float = 0.8
    min_speech: float = 0.3


@dataclass(frozen=True, slots=True)
class FaceConfig:
    min_score: float = 0.9
    min_eye_distance_px: float = 16.0
    min_brightness: float = 0.12
    max_brightness: float = 0.92
    min_sharpness: float = 20.0
    max_yaw: float = 0.45
    max_pitch: float = 0.45
    detector_threads: int = 1


@dataclass(frozen=True, slots=True)
class DecisionConfig:
    smoothing_s: float = 3.0
    suspect_below: float | None = None  # None: from the checkpoint's calibration
    match_above: float | None = None
    mismatch_after_s: float = 3.0
    recover_after_s: float = 5.0
    min_windows: int = 3
    forget_after_s: float = 15.0


@dataclass(frozen=True, slots=True)
class AlertConfig:
    webhook_url: str = ""
    webhook_secret: str = ""
    queue_size: int = 256
    max_attempts: int = 6
    timeout_s: float = 5.0


@dataclass(frozen=True, slots=True)
class MetricsConfig:
    max_participants: int = 200


@dataclass(frozen=True, slots=True)
class Config:
    server: ServerConfig = field(default_factory=ServerConfig)
    whip: WhipConfig = field(default_factory=WhipConfig)
    model: ModelSection = field(default_factory=ModelSection)
    scoring: ScoringConfig = field(default_factory=ScoringConfig)
    faces: FaceConfig = field(default_factory=FaceConfig)
    decision: DecisionConfig = field(default_factory=DecisionConfig)
    alerts: AlertConfig = field(default_factory=AlertConfig)
    metrics: MetricsConfig = field(default_factory=MetricsConfig)
