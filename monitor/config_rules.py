"""What one key of the configuration demands of another."""

import ipaddress
from pathlib import Path

from monitor.alertmanager import alerts_url
from monitor.call_urls import CallUrlError, parse_call_url
from monitor.config import (
    AlertConfig,
    AlertmanagerConfig,
    Config,
    ConfigError,
    JoinConfig,
    ServerConfig,
)
from monitor.webhook import webhook_targets


def check_rules(config: Config, where: str) -> None:
    """Raises ConfigError, its message beginning with `where`, for keys that do not go together."""
    broken = (
        _server_rule(config.server)
        or _model_rule(config)
        or _order_rule(config)
        or _alert_rule(config.alerts)
        or _alertmanager_rule(config.alertmanager)
        or _ice_rule(config.whip.ice_servers)
        or _join_rule(config.join)
        or _receiver_rule(config)
    )
    if broken:
        raise ConfigError(f"{where}: {broken}")


def is_loopback(host: str) -> bool:
    """Whether a socket bound to `host` can be reached from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _server_rule(server: ServerConfig) -> str:
    if bool(server.tls_certificate) != bool(server.tls_key):
        return "server.tls_certificate and server.tls_key: expected both or neither"
    for key in ("tls_certificate", "tls_key"):
        path = getattr(server, key)
        if path and not Path(path).is_file():
            return f"server.{key} = {path!r}: expected the path of a file that exists"
    if not server.token.isascii() or any(c.isspace() for c in server.token):
        return "server.token: expected ASCII characters without blanks"
    if is_loopback(server.host):
        return ""
    if not server.token:
        return f"server.host = {server.host!r} can be reached by others: expected a server.token"
    if not server.tls_certificate and not server.tls_ends_at_proxy:
        return (
            f"server.host = {server.host!r} can be reached by others: expected "
            "server.tls_certificate and server.tls_key, or server.tls_ends_at_proxy = true"
        )
    return ""


def _model_rule(config: Config) -> str:
    path = config.model.checkpoint
    if path and not Path(path).is_file():
        return f"model.checkpoint = {path!r}: expected the path of a file that exists"
    folder = config.model.engine_folder
    if folder and not Path(folder).is_dir():
        return f"model.engine_folder = {folder!r}: expected the path of a folder that exists"
    return ""


def _order_rule(config: Config) -> str:
    faces, decision = config.faces, config.decision
    if faces.min_brightness >= faces.max_brightness:
        return "faces.min_brightness: expected less than faces.max_brightness"
    if config.scoring.face_max_age_s < config.scoring.face_interval_s:
        return "scoring.face_max_age_s: expected at least scoring.face_interval_s"
    below, above = decision.suspect_below, decision.match_above
    if decision.rule != "paper" and (below, above) != (None, None):
        name = "suspect_below" if below is not None else "match_above"
        return f'decision.{name}: only of decision.rule = "paper"; the other takes error rates'
    if decision.calibration and not Path(decision.calibration).is_file():
        return f"decision.calibration = {decision.calibration!r}: expected a file that exists"
    if below is not None and above is not None and below > above:
        return "decision.suspect_below: expected at most decision.match_above"
    return ""


def _alert_rule(alerts: AlertConfig) -> str:
    try:
        webhook_targets(alerts)
    except ValueError as error:
        return str(error)
    return ""


def _alertmanager_rule(alertmanager: AlertmanagerConfig) -> str:
    if not alertmanager.url:
        return ""
    try:
        alerts_url(alertmanager)
    except ValueError as error:
        return str(error)
    return ""


def _ice_rule(servers: tuple[str, ...]) -> str:
    for server in servers:
        if not server.startswith("stun:"):
            return f"whip.ice_servers: {server!r}: expected stun:HOST or stun:HOST:PORT"
    return ""


def _join_rule(join: JoinConfig) -> str:
    if not join.display_name.strip() or not join.display_name.isprintable():
        return "join.display_name: expected printable characters"
    if len(join.calls) > join.max_calls:
        return f"join.calls: expected at most join.max_calls, which is {join.max_calls}"
    ids = set()
    for text in join.calls:
        try:
            url = parse_call_url(text)
        except CallUrlError as error:
            return f"join.calls: {error}"
        if url.id in ids:
            return f"join.calls: {url.shown} stands there twice"
        ids.add(url.id)
    return ""


def _receiver_rule(config: Config) -> str:
    receiver = config.receiver
    low, high = receiver.udp_port_min, receiver.udp_port_max
    if low > high or (low == 0) != (high == 0):
        return "receiver.udp_port_min and udp_port_max: expected a range, or 0 and 0"
    for key in ("addresses", "advertised_addresses"):
        for address in getattr(receiver, key):
            if not _is_address(address):
                return f"receiver.{key}: {address!r}: expected an IP address"
    if receiver.keyframe_interval_s > config.scoring.face_max_age_s:
        return "scoring.face_max_age_s: expected at least receiver.keyframe_interval_s"
    return ""


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
