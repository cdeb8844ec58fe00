"""The configuration: one frozen dataclass a section, every number with its unit in its name.

`config.toml` in the repository shows every key with its default; a test holds the two equal.
`monitor.config_file` reads, checks and prints it.
"""

from dataclasses import dataclass, field
from typing import Annotated, Literal, NamedTuple


class ConfigError(Exception):
    """A configuration that cannot be used; the message names file, key and what was expected."""


class Range(NamedTuple):
    """The values a number may take, both ends included."""

    low: float
    high: float


Share = Annotated[float, Range(0.0, 1.0)]
Cosine = Annotated[float, Range(-1.0, 1.0)]
Threads = Annotated[int, Range(1, 64)]
Port = Annotated[int, Range(0, 65_535)]


@dataclass(frozen=True, slots=True)
class ServerConfig:
    host: str = "127.0.0.1"
    port: Port = 8787  # 0: any free port
    token: str = ""
    tls_certificate: str = ""
    tls_key: str = ""
    tls_ends_at_proxy: bool = False
    max_body_bytes: Annotated[int, Range(1_024, 1_048_576)] = 65_536
    max_event_clients: Annotated[int, Range(1, 1_000)] = 16


@dataclass(frozen=True, slots=True)
class WhipConfig:
    max_participants: Annotated[int, Range(1, 1_000)] = 64
    max_candidates: Annotated[int, Range(1, 1_000)] = 64
    ice_servers: tuple[str, ...] = ()
    connect_timeout_s: Annotated[float, Range(1.0, 120.0)] = 15.0
    no_media_timeout_s: Annotated[float, Range(0.5, 60.0)] = 3.0


@dataclass(frozen=True, slots=True)
class JoinConfig:
    calls: tuple[str, ...] = ()
    display_name: str = "vfd-monitor (checks voice and face)"
    hidden: bool = False
    livekit_token: str = ""
    max_calls: Annotated[int, Range(1, 1_000)] = 32
    faces: Literal["auto", "one", "several"] = "auto"
    allow_private_targets: bool = False


@dataclass(frozen=True, slots=True)
class ReceiverConfig:
    path: Literal["keyframe", "plain"] = "keyframe"
    keyframe_interval_s: Annotated[float, Range(0.5, 30.0)] = 2.0
    max_bitrate_bps: Annotated[int, Range(100_000, 50_000_000)] = 1_000_000
    udp_port_min: Port = 0  # 0 for both: any free port
    udp_port_max: Port = 0
    addresses: tuple[str, ...] = ()
    advertised_addresses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ModelSection:
    checkpoint: str = ""  # empty: the weights that ship with the package
    engine: Literal["auto", "tensorrt", "cuda", "openvino", "torch"] = "auto"
    engine_folder: str = ""  # what `vfd-engine build` wrote; TensorRT and int8 need one
    threads: Threads = 1
    allow_synthetic_alerts: bool = False


@dataclass(frozen=True, slots=True)
class ScoringConfig:
    hop_s: Annotated[float, Range(0.1, 10.0)] = 1.0
    settle_s: Annotated[float, Range(0.0, 2.0)] = 0.15
    face_interval_s: Annotated[float, Range(0.1, 10.0)] = 0.5
    face_max_age_s: Annotated[float, Range(0.5, 60.0)] = 6.0
    faces_per_window: Annotated[int, Range(1, 8)] = 1
    max_av_skew_s: Annotated[float, Range(0.05, 60.0)] = 1.0
    min_coverage: Share = 0.8
    min_speech: Share = 0.4


@dataclass(frozen=True, slots=True)
class FaceConfig:
    min_score: Share = 0.8
    min_eye_distance_px: Annotated[float, Range(4.0, 200.0)] = 16.0
    min_brightness: Share = 0.12
    max_brightness: Share = 0.92
    min_sharpness: Annotated[float, Range(0.0, 10_000.0)] = 12.0
    max_yaw: Share = 0.45
    max_pitch: Share = 0.45
    detector_threads: Threads = 1


@dataclass(frozen=True, slots=True)
class DecisionConfig:
    rule: Literal["sequential", "paper"] = "sequential"
    false_alarms_per_1000_hours: Annotated[float, Range(0.001, 1_000.0)] = 1.0
    false_alarms_per_1000_people: Annotated[float, Range(0.001, 1_000.0)] = 10.0
    calibration: str = ""  # empty: the checkpoint's
    smoothing_s: Annotated[float, Range(0.1, 60.0)] = 3.0
    suspect_below: Cosine | None = None  # None: lambda of the checkpoint's calibration
    match_above: Cosine | None = None
    mismatch_after_s: Annotated[float, Range(0.0, 600.0)] = 2.0
    recover_after_s: Annotated[float, Range(0.0, 600.0)] = 5.0
    min_windows: Annotated[int, Range(1, 100)] = 3
    forget_after_s: Annotated[float, Range(1.0, 3_600.0)] = 15.0


@dataclass(frozen=True, slots=True)
class AlertConfig:
    webhook_url: str = ""
    webhook_secret: str = ""
    webhooks: tuple[str, ...] = ()  # further ones, each "URL SECRET [SECRET]"
    queue_size: Annotated[int, Range(1, 100_000)] = 256
    max_attempts: Annotated[int, Range(1, 20)] = 10
    timeout_s: Annotated[float, Range(0.1, 60.0)] = 5.0
    allow_private_targets: bool = False
    close_after_s: Annotated[float, Range(0.0, 3_600.0)] = 30.0
    absence_s: Annotated[float, Range(0.0, 3_600.0)] = 60.0
    prior: Share = 0.0  # 0: no probability is stated


@dataclass(frozen=True, slots=True)
class StoreConfig:
    path: str = ""  # empty: $XDG_STATE_HOME/vfd-monitor/alerts.db; ":memory:": nothing is kept
    retention_days: Annotated[float, Range(0.01, 3_650.0)] = 90.0
    max_mb: Annotated[int, Range(1, 10_000)] = 64


@dataclass(frozen=True, slots=True)
class EvidenceConfig:
    folder: str = ""  # empty: no pictures are kept
    retention_days: Annotated[float, Range(0.01, 3_650.0)] = 7.0
    max_mb: Annotated[int, Range(1, 10_000)] = 256


@dataclass(frozen=True, slots=True)
class AlertmanagerConfig:
    url: str = ""
    allow_private_targets: bool = False


@dataclass(frozen=True, slots=True)
class MetricsConfig:
    max_participants: Annotated[int, Range(0, 10_000)] = 200


@dataclass(frozen=True, slots=True)
class Config:
    server: ServerConfig = field(default_factory=ServerConfig)
    whip: WhipConfig = field(default_factory=WhipConfig)
    join: JoinConfig = field(default_factory=JoinConfig)
    receiver: ReceiverConfig = field(default_factory=ReceiverConfig)
    model: ModelSection = field(default_factory=ModelSection)
    scoring: ScoringConfig = field(default_factory=ScoringConfig)
    faces: FaceConfig = field(default_factory=FaceConfig)
    decision: DecisionConfig = field(default_factory=DecisionConfig)
    alerts: AlertConfig = field(default_factory=AlertConfig)
    store: StoreConfig = field(default_factory=StoreConfig)
    evidence: EvidenceConfig = field(default_factory=EvidenceConfig)
    alertmanager: AlertmanagerConfig = field(default_factory=AlertmanagerConfig)
    metrics: MetricsConfig = field(default_factory=MetricsConfig)
