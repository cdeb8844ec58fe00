import tomllib
from dataclasses import fields, replace
from pathlib import Path

import pytest

from monitor.config import AlertConfig, Config, ConfigError, FaceConfig, ServerConfig
from monitor.config_file import load_config, to_toml
from vfd.quality import QualityLimits

SHIPPED = Path(__file__).parents[1] / "config.toml"


def write(folder: Path, text: str) -> Path:
    path = folder / "monitor.toml"
    path.write_text(text)
    return path


def error_of(folder: Path, text: str) -> str:
    with pytest.raises(ConfigError) as raised:
        load_config(write(folder, text), {})
    return str(raised.value)


def test_shipped_file_states_every_key_with_its_default() -> None:
    assert load_config(SHIPPED, {}) == Config()
    text = SHIPPED.read_text()
    for section in fields(Config):
        part = text.split(f"[{section.name}]")[1].split("\n[")[0]
        for key in fields(getattr(Config(), section.name)):
            assert f"\n{key.name} = " in part or f"\n# {key.name} = " in part, key.name


def test_face_limits_are_those_that_were_measured() -> None:
    limits = QualityLimits()
    for field in fields(QualityLimits):
        assert getattr(FaceConfig(), field.name) == getattr(limits, field.name), field.name


def test_file_then_environment_override_the_defaults(tmp_path: Path) -> None:
    path = write(tmp_path, "[scoring]\nhop_s = 2\nmin_speech = 0.5\n[whip]\nice_servers = []\n")
    environment = {
        "VFD_SCORING_HOP_S": "0.5",
        "VFD_WHIP_ICE_SERVERS": "stun:a.example, stun:b.example:3478",
        "VFD_MODEL_ALLOW_SYNTHETIC_ALERTS": "true",
        "VFD_SERVER_TOKEN": "12345",
        "VFD_TEST_MEDIA": "/somewhere",  # no section of ours
    }
    config = load_config(path, environment)
    assert config.scoring.hop_s == 0.5
    assert config.scoring.min_speech == 0.5
    assert config.whip.ice_servers == ("stun:a.example", "stun:b.example:3478")
    assert config.model.allow_synthetic_alerts is True
    assert config.server.token == "12345"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[scorin]\n", "unknown section [scorin]; did you mean scoring?"),
        ("scoring = 3\n", "scoring must be a section"),
        ("[scoring]\nhop_ms = 500\n", "unknown key scoring.hop_ms; did you mean hop_s?"),
        ("[scoring]\nhop_s = '500ms'\n", "scoring.hop_s = '500ms': expected a number of seconds"),
        ("[scoring]\nhop_s = 500\n", "from 0.1 to 10"),
        ("[scoring]\nhop_s = true\n", "scoring.hop_s = True: expected a number"),
        ("[scoring]\nhop_s = nan\n", "scoring.hop_s = nan: expected a number"),
        ("[server]\nport = 80.5\n", "server.port = 80.5: expected a whole number"),
        ("[server]\nport = 70000\n", "from 0 to 65535"),
        ("[server]\ntls_ends_at_proxy = 1\n", "expected true or false"),
        ("[server]\ntoken = 5\n", "server.token = 5: expected a string"),
        (
            "[model]\nengine = 'tpu'\n",
            "expected one of 'auto', 'tensorrt', 'cuda', 'openvino', 'torch'",
        ),
        ("[model]\ncheckpoint = 'missing.safetensors'\n", "a file that exists"),
        ("[model]\nengine_folder = 'missing'\n", "a folder that exists"),
        ("[whip]\nice_servers = 'stun:a'\n", "expected a list of strings"),
        ("[whip]\nice_servers = ['http://a']\n", "expected stun:HOST"),
        ("[decision]\nsuspect_below = 0.5\nmatch_above = 0.1\n", "decision.suspect_below"),
        ("[faces]\nmin_brightness = 0.95\n", "faces.min_brightness"),
        ("[scoring]\nface_max_age_s = 0.5\nface_interval_s = 2\n", "scoring.face_max_age_s"),
        ("[alerts]\nwebhook_url = 'ftp://a'\nwebhook_secret = 's'\n", "alerts.webhook_url"),
        ("[alerts]\nwebhook_url = 'https://a.example'\n", "alerts.webhook_secret"),
        ("[alertmanager]\nurl = 'alertmanager:9093'\n", "alertmanager.url must be an http"),
        (
            "[alerts]\nwebhook_url = 'https://a.example'\nwebhook_secret = 'not base64'\n",
            "alerts.webhook_secret must be base64",
        ),
        ("[alerts]\nwebhooks = ['ftp://a x']\n", "alerts.webhooks[0] must be an http"),
        ("[alerts]\nprior = 2\n", "alerts.prior = 2: expected a number from 0 to 1"),
        ("[store]\nretention_days = 0\n", "expected a number from 0.01 to 3650"),
        ("[server]\ntls_certificate = 'a.pem'\n", "expected both or neither"),
        ("[server]\ntls_certificate = 'a.pem'\ntls_key = 'b.pem'\n", "a file that exists"),
        ("[receiver]\npath = 'fast'\n", "expected one of 'keyframe', 'plain'"),
        ("[receiver]\nudp_port_min = 40000\n", "receiver.udp_port_min and udp_port_max"),
        ("[receiver]\naddresses = ['eth0']\n", "receiver.addresses: 'eth0': expected an IP"),
        ("[receiver]\nadvertised_addresses = ['a.example']\n", "receiver.advertised_addresses"),
        ("[receiver]\nkeyframe_interval_s = 9.0\n", "scoring.face_max_age_s"),
        ("[server\n", "not valid TOML"),
    ],
)
def test_errors_name_file_key_and_what_was_expected(
    tmp_path: Path, text: str, expected: str
) -> None:
    error = error_of(tmp_path, text)
    assert error.startswith(str(tmp_path / "monitor.toml"))
    assert expected in error


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.toml: cannot be read: No such file"):
        load_config(tmp_path / "nowhere.toml", {})


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"VFD_SCORING_HOP_MS": "1"}, "unknown VFD_SCORING_HOP_MS; did you mean hop_s?"),
        ({"VFD_SERVER_PORT": "http"}, "VFD_SERVER_PORT = 'http': expected a whole number"),
        ({"VFD_SERVER_TLS_ENDS_AT_PROXY": "maybe"}, "expected true or false"),
    ],
)
def test_errors_name_the_variable(environment: dict[str, str], expected: str) -> None:
    with pytest.raises(ConfigError) as raised:
        load_config(None, environment)
    assert expected in str(raised.value)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "monitor.example"])
def test_listening_beyond_loopback_needs_a_token_and_tls(host: str) -> None:
    environment = {"VFD_SERVER_HOST": host}
    with pytest.raises(ConfigError, match=r"expected a server\.token"):
        load_config(None, environment)
    environment["VFD_SERVER_TOKEN"] = "secret"
    with pytest.raises(ConfigError, match=r"server\.tls_certificate and server\.tls_key, or"):
        load_config(None, environment)
    environment["VFD_SERVER_TLS_ENDS_AT_PROXY"] = "true"
    assert load_config(None, environment).server.host == host


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_loopback_needs_neither(host: str) -> None:
    assert load_config(None, {"VFD_SERVER_HOST": host}).server.token == ""


def test_printed_configuration_can_be_read_again(tmp_path: Path) -> None:
    config = load_config(None, {"VFD_SCORING_HOP_S": "0.5", "VFD_WHIP_ICE_SERVERS": "stun:ä"})
    assert load_config(write(tmp_path, to_toml(config)), {}) == config


def test_printed_configuration_keeps_secrets() -> None:
    config = replace(
        Config(),
        server=ServerConfig(token="open-sesame"),
        alerts=AlertConfig(webhook_secret="whsec_1", webhooks=("https://a whsec_2",)),
    )
    text = to_toml(config)
    assert "open-sesame" not in text
    assert "whsec" not in text.replace("webhook_secret", "")
    assert tomllib.loads(text)["server"]["token"] == "********"
