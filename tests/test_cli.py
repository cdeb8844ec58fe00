"""The command, as a user calls it: what it prints, and with which code it exits."""

import asyncio
import logging
import signal
import socket
import sqlite3
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from monitor import cli
from tests.checkpoints import write_checkpoint
from tests.peers import free_port, until


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """`serve` sends the log to a standard error that is captured and gone after its test."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    return write_checkpoint(tmp_path / "tiny.safetensors")


def exit_code(*arguments: str) -> int:
    with pytest.raises(SystemExit) as raised:
        cli.main(list(arguments))
    assert isinstance(raised.value.code, int)
    return raised.value.code


def test_check_config_prints_what_is_in_effect(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VFD_SERVER_PORT", "9999")
    monkeypatch.setenv("VFD_SERVER_TOKEN", "open-sesame")
    assert exit_code("check-config") == 0
    printed = capsys.readouterr().out
    assert tomllib.loads(printed)["server"]["port"] == 9999
    assert "open-sesame" not in printed


@pytest.mark.parametrize("command", ["check-config", "serve"])
def test_a_wrong_configuration_is_one_line_and_exit_code_2(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text("[scoring]\nhop_ms = 500\n")
    assert exit_code(command, "--config", str(path)) == 2
    error = capsys.readouterr().err
    assert error == f"vfd-monitor: {path}: unknown key scoring.hop_ms; did you mean hop_s?\n"


def test_corrupt_weights_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "broken.safetensors"
    path.write_bytes(b"no weights")
    monkeypatch.setenv("VFD_MODEL_CHECKPOINT", str(path))
    monkeypatch.setenv("VFD_SERVER_PORT", "0")
    assert exit_code("serve") == 2
    assert capsys.readouterr().err.startswith(f"vfd-monitor: {path}: ")


def test_a_store_of_a_newer_version_is_named(
    weights: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = tmp_path / "alerts.db"
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    for key, value in (("STORE_PATH", path), ("MODEL_CHECKPOINT", weights), ("SERVER_PORT", 0)):
        monkeypatch.setenv(f"VFD_{key}", str(value))
    assert exit_code("serve") == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith(f"vfd-monitor: {path} (store.path) was written by a newer version")


def test_a_port_in_use_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        monkeypatch.setenv("VFD_SERVER_PORT", str(port))
        assert exit_code("serve") == 2
    error = capsys.readouterr().err
    assert f"cannot listen on 127.0.0.1 port {port}" in error
    assert len(error.splitlines()) == 1


@pytest.mark.parametrize("arguments", [(), ("fly",), ("serve", "--nothing")])
def test_wrong_usage_is_exit_code_2(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code(*arguments) == 2
    assert "usage: vfd-monitor" in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_serving_until_a_signal(weights: Path, number: signal.Signals) -> None:
    """A process of its own, with the real engine and the real detector."""
    url = f"http://127.0.0.1:{(port := free_port())}"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", "-m", "monitor.cli", "serve"),
        env={"VFD_SERVER_PORT": str(port), "VFD_MODEL_CHECKPOINT": str(weights)},
        cwd=Path(__file__).parents[1],
        stderr=asyncio.subprocess.PIPE,
    )

    async def ready() -> bool:
        try:
            async with httpx.AsyncClient(trust_env=False) as client:
                return (await client.get(f"{url}/readyz")).status_code == 200
        except httpx.TransportError:
            return False

    try:
        await until(ready, 40)
        process.send_signal(number)
        async with asyncio.timeout(5):
            _, errors = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    log = errors.decode()
    assert process.returncode == 0, log
    assert f'watching url={url} preset=tiny-test trained_on="synthetic people v1"' in log
    assert "scores say nothing about real people" in log
    assert "Traceback" not in log
