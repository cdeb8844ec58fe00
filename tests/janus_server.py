"""A real Janus with a VideoRoom, and people who publish into it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from aiortc import MediaStreamTrack, RTCSessionDescription

from monitor.janus import Handle, janus_session
from monitor.receiver import close_peer
from tests.peers import free_port, make_offer, new_peer
from tests.programs import program

ROOM = 1234
STREAM = 7
PIN = "open sesame"
START_TIMEOUT_S = 20.0


@dataclass
class Janus:
    """One that can be killed and started again, always at `port`."""

    folder: Path
    port: int = field(default_factory=free_port)
    ports: tuple[int, int] = field(default_factory=lambda: (free_port(), free_port()))
    """Where the mountpoint STREAM takes RTP: Opus as 111, VP8 as 96."""
    _process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        """For `vfd-monitor join`."""
        return f"janus+ws://127.0.0.1:{self.port}/{ROOM}?pin={PIN.replace(' ', '%20')}"

    @property
    def socket(self) -> str:
        return f"ws://127.0.0.1:{self.port}/"

    async def start(self) -> None:
        """Returns when it answers."""
        self.folder.mkdir(exist_ok=True)
        for name, text in _CONFIGURATION.items():
            for word, number in (("PORT", self.port), ("SOUND", self.ports[0])):
                text = text.replace(word, str(number))
            (self.folder / name).write_text(text.replace("PICTURES", str(self.ports[1])))
        with (self.folder / "janus.log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                program("Janus", ("janus",), "janus"),
                *("-F", str(self.folder), "-d", "4", "-o"),
                stdin=asyncio.subprocess.DEVNULL,
                cwd=self.folder,  # where the core of a crash is dropped
                stdout=log,
                stderr=log,
            )
        async with asyncio.timeout(START_TIMEOUT_S):
            while not await self._answers():
                assert self._process.returncode is None, self.said()
                await asyncio.sleep(0.1)

    async def kill(self) -> None:
        """As in a crash; idempotent."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    @property
    def pid(self) -> int:
        """Of the process, once it was started."""
        assert self._process is not None
        return self._process.pid

    def said(self) -> str:
        """The end of its log."""
        return (self.folder / "janus.log").read_text(errors="replace")[-3_000:]

    async def participants(self) -> list[str]:
        """What a participant sees as the names of the others."""
        async with janus_session(self.socket, {}) as session:
            handle = await session.attach()
            found, _ = await handle.ask({"request": "listparticipants", "room": ROOM, "pin": PIN})
            return [entry.get("display", "") for entry in found["participants"]]

    async def _answers(self) -> bool:
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
            writer.close()
            return True
        return False


@asynccontextmanager
async def running_janus(folder: Path) -> AsyncIterator[Janus]:
    janus = Janus(folder)
    await janus.start()
    try:
        yield janus
    finally:
        await janus.kill()


@asynccontextmanager
async def taking_part(
    janus: Janus,
    name: str,
    audio: MediaStreamTrack | None = None,
    video: MediaStreamTrack | None = None,
    number: int = 0,
) -> AsyncIterator[Handle]:
    """Somebody in the room who publishes the tracks until the block ends. `number`: what they are
    called by Janus, any if 0."""
    peer = new_peer(audio, video)
    async with contextlib.AsyncExitStack() as stack:
        session = await stack.enter_async_context(janus_session(janus.socket, {}))
        stack.push_async_callback(close_peer, peer)
        handle = await session.attach()
        join = {"request": "join", "ptype": "publisher", "room": ROOM, "pin": PIN, "display": name}
        await handle.ask(join | ({"id": number} if number else {}))
        offer = {"type": "offer", "sdp": await make_offer(peer)}
        _, answer = await handle.ask({"request": "configure"}, offer)
        await peer.setRemoteDescription(RTCSessionDescription(answer["sdp"], "answer"))
        yield handle


def _libraries(names: str) -> str:
    return ",".join(f"libjanus_{name}.so" for name in names.split())


_CONFIGURATION = {
    "janus.jcfg": """
general: { interface = "127.0.0.1" }
transports: { disable = "TRANSPORTS" }
plugins: { disable = "PLUGINS" }
""".replace("TRANSPORTS", _libraries("rabbitmq mqtt nanomsg pfunix http")).replace(
        "PLUGINS",
        _libraries(
            "audiobridge duktape echotest lua nosip recordplay sip textroom videocall voicemail"
        ),
    ),
    "janus.transport.websockets.jcfg": """
general: { json = "compact"  ws = true  ws_port = PORT  ws_ip = "127.0.0.1"  wss = false }
""",
    "janus.plugin.streaming.jcfg": f"""
stream-{STREAM}: {{
    type = "rtp"  id = {STREAM}  description = "What is forwarded from the room"
    media = (
        {{ type = "audio"  mid = "a"  port = SOUND  pt = 111  codec = "opus" }},
        {{ type = "video"  mid = "v"  port = PICTURES  pt = 96  codec = "vp8" }}
    )
}}
""",
    "janus.plugin.videoroom.jcfg": f"""
room-{ROOM}: {{
    description = "A room for tests"
    pin = "{PIN}"
    publishers = 40
    bitrate = 1000000
    audiocodec = "opus"
    videocodec = "vp8,h264,vp9"
    notify_joining = true
}}
""",
}
