"""TOML file and environment -> `Config`, and back to TOML for a person to read.

An environment variable `VFD_<SECTION>_<KEY>` (upper case) overrides the file. Every error names
where the value came from, the key, and what was expected there.
"""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import fields, replace
from difflib import get_close_matches
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, cast, get_args, get_origin, get_type_hints

from monitor.config import Config, ConfigError, Range
from monitor.config_rules import check_rules

SECRETS = {
    ("server", "token"),
    ("join", "calls"),
    ("join", "livekit_token"),
    ("alerts", "webhook_secret"),
    ("alerts", "webhooks"),
}
UNITS = {"_s": "seconds", "_px": "pixels", "_bytes": "bytes"}
Hints = Mapping[str, object]
"""The annotations of a section's keys."""


def load_config(path: Path | None, environment: Mapping[str, str]) -> Config:
    """The defaults, overridden by the file at `path` (None: no file), then by `environment`.

    Raises ConfigError.
    """
    tables = _read(path) if path else {}
    where = str(path) if path else "configuration"
    known = get_type_hints(Config)
    for name, table in tables.items():
        if name not in known:
            raise ConfigError(f"{where}: unknown section [{name}]{_suggest(name, known)}")
        if not isinstance(table, dict):
            raise ConfigError(f"{where}: {name} must be a section, written [{name}]")
    config = Config()
    for name, section in known.items():
        hints = get_type_hints(section, include_extras=True)
        values = _from_table(where, name, hints, tables.get(name, {}))
        values |= _from_environment(name, hints, environment)
        config = replace(config, **{name: replace(getattr(config, name), **values)})
    check_rules(config, where)
    return config


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from error


def _from_table(
    where: str, name: str, hints: Hints, table: Mapping[str, object]
) -> dict[str, object]:
    values = {}
    for key, value in table.items():
        if key not in hints:
            raise ConfigError(f"{where}: unknown key {name}.{key}{_suggest(key, hints)}")
        values[key] = _convert(f"{where}: {name}.{key}", hints[key], key, value)
    return values


def _from_environment(name: str, hints: Hints, environment: Mapping[str, str]) -> dict[str, object]:
    values = {}
    prefix = f"VFD_{name.upper()}_"
    for variable in sorted(v for v in environment if v.startswith(prefix)):
        key = variable.removeprefix(prefix).lower()
        if key not in hints:
            raise ConfigError(f"environment: unknown {variable}{_suggest(key, hints)}")
        value = _from_text(hints[key], environment[variable])
        values[key] = _convert(f"environment: {variable}", hints[key], key, value)
    return values


def _suggest(name: str, known: Hints) -> str:
    close = get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]}?" if close else f"; known are {', '.join(known)}"


def _split(hint: object) -> tuple[object, Range | None]:
    """(plain type, range if any) of a field's annotation. None is a default, not a TOML value."""
    if get_origin(hint) in (Union, UnionType):
        return _split(next(arm for arm in get_args(hint) if arm is not NoneType))
    if get_origin(hint) is Annotated:
        plain, limits = get_args(hint)
        return plain, limits
    return hint, None


def _from_text(hint: object, text: str) -> object:
    """What `text` from the environment would be in TOML; left as text if it is not that."""
    plain, _ = _split(hint)
    if get_origin(plain) is tuple:
        return [item.strip() for item in text.split(",") if item.strip()]
    if plain is bool:
        return {"true": True, "false": False}.get(text.lower(), text)
    try:
        return int(text) if plain is int else float(text) if plain is float else text
    except ValueError:
        return text


def _convert(where: str, hint: object, key: str, value: object) -> object:
    plain, limits = _split(hint)
    if get_origin(plain) is tuple:
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return tuple(value)
    elif get_origin(plain) is Literal:
        if value in get_args(plain):
            return value
    elif plain is float and isinstance(value, int | float) and not isinstance(value, bool):
        if _within(float(value), limits):
            return float(value)
    elif type(value) is plain and (not isinstance(value, int) or _within(value, limits)):
        return value
    raise ConfigError(f"{where} = {value!r}: expected {_expected(plain, limits, key)}")


def _within(value: float, limits: Range | None) -> bool:
    return limits is None or limits.low <= value <= limits.high


def _expected(plain: object, limits: Range | None, key: str) -> str:
    if get_origin(plain) is tuple:
        return "a list of strings"
    if get_origin(plain) is Literal:
        return "one of " + ", ".join(repr(choice) for choice in get_args(plain))
    name = {bool: "true or false", int: "a whole number", float: "a number"}.get(
        cast(type, plain), "a string"
    )
    unit = next((f" of {word}" for end, word in UNITS.items() if key.endswith(end)), "")
    span = f" from {limits.low:g} to {limits.high:g}" if limits else ""
    return name + unit + span


def to_toml(config: Config) -> str:
    """The effective configuration as TOML; secrets are masked, unset keys are comments."""
    lines: list[str] = []
    for section in fields(config):
        lines.append(f"[{section.name}]")
        table = getattr(config, section.name)
        for key in fields(table):
            value = getattr(table, key.name)
            if value is None:
                lines.append(f"# {key.name}: from the checkpoint")
            elif value and (section.name, key.name) in SECRETS:
                lines.append(f'{key.name} = "********"')
            else:
                lines.append(f"{key.name} = {_literal(value)}")
        lines.append("")
    return "\n".join(lines)


def _literal(value: bool | int | float | str | tuple[str, ...]) -> str:
    # TOML's basic strings, booleans and numbers are written as in JSON.
    return json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False)
