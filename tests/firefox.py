"""Headless Firefox, driven by WebDriver BiDi, whose camera is a canvas and whose microphone is an
oscillator: it has no fake devices that play files."""

import asyncio
import itertools
import json
import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect

from tests.browser import Browser
from tests.fakes import until
from tests.programs import program

START_TIMEOUT_S = 60.0
ANSWER_TIMEOUT_S = 30.0
PREFERENCES = {
    # aioice takes neither mDNS names nor 127.0.0.1
    "media.peerconnection.ice.obfuscate_host_addresses": False,
    "media.autoplay.default": 0,  # an AudioContext would wait for a click
    "media.autoplay.blocking_policy": 0,
    "media.gmp-manager.updateEnabled": False,
    "app.normandy.enabled": False,
    "app.update.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "toolkit.telemetry.enabled": False,
}
DEVICES = """() => {
  navigator.mediaDevices.getUserMedia = async () => {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [640, 360];
    const pen = canvas.getContext("2d");
    let count = 0;
    setInterval(() => {
      count += 1;
      for (let x = 0; x < 640; x += 40) {
        pen.fillStyle = `hsl(${(x + 2 * count) % 360} 60% ${30 + (x / 16 + count) % 40}%)`;
        pen.fillRect(x, 0, 40, 360);
      }
      pen.fillStyle = "white";
      pen.fillRect(300 + 200 * Math.sin(count / 20), 140, 60, 80);
    }, 33);
    const context = new AudioContext();
    const source = new OscillatorNode(context, { type: "sawtooth", frequency: 180 });
    const out = context.createMediaStreamDestination();
    source.connect(new GainNode(context, { gain: 0.3 })).connect(out);
    source.start();
    return new MediaStream([
      ...canvas.captureStream(30).getVideoTracks(), ...out.stream.getAudioTracks(),
    ]);
  };
}"""


def firefox() -> str:
    """Its path."""
    return program("Firefox", ("firefox-esr", "firefox"), "firefox-esr")


def firefox_version() -> str:
    """As "Mozilla Firefox 153.7.0esr"."""
    answer = subprocess.run(
        [firefox(), "--version"], capture_output=True, text=True, check=True, timeout=60
    )
    return answer.stdout.strip()


@asynccontextmanager
async def publishing(url: str, folder: Path) -> AsyncIterator[Browser]:
    """Opens `url` in a browser that gives it a moving picture and a tone; its profile and log go to
    `folder`."""
    profile = folder / "profile"
    profile.mkdir()
    lines = [f"user_pref({json.dumps(k)}, {json.dumps(v)});" for k, v in PREFERENCES.items()]
    (profile / "user.js").write_text("\n".join(lines))
    log = folder / "firefox.log"
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            firefox(),
            *("--headless", "--no-remote", "--remote-debugging-port", "0"),
            *("--profile", str(profile)),
            env={**os.environ, "TMPDIR": str(folder), "HOME": str(folder)},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    browser = Browser(process, log)
    try:
        address = await _address(profile / "WebDriverBiDiServer.json", browser)
        async with connect(f"{address}/session", proxy=None) as socket:
            await _open(socket, url)
            yield browser
    finally:
        await browser.kill()


async def _address(file: Path, browser: Browser) -> str:
    """Where it listens, as soon as it has written that down."""
    try:
        await until(lambda: file.exists() and file.read_text(), START_TIMEOUT_S)
    except TimeoutError:
        pytest.fail(f"Firefox does not listen; it said: {browser.said()}")
    server = json.loads(await asyncio.to_thread(file.read_text))
    return f"ws://{server['ws_host']}:{server['ws_port']}"


async def _open(socket: ClientConnection, url: str) -> None:
    numbers = itertools.count(1)

    async def ask(method: str, **params: object) -> dict[str, Any]:
        number = next(numbers)
        await socket.send(json.dumps({"id": number, "method": method, "params": params}))
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            async for message in socket:
                answer = json.loads(message)
                if answer.get("id") == number:
                    assert answer["type"] == "success", f"{method}: {answer}"
                    return dict(answer["result"])
        raise ConnectionError(f"Firefox closed the connection before it answered {method}")

    await ask("session.new", capabilities={})
    await ask("script.addPreloadScript", functionDeclaration=DEVICES)
    tree = await ask("browsingContext.getTree")
    context = tree["contexts"][0]["context"]
    await ask("browsingContext.navigate", context=context, url=url, wait="none")
