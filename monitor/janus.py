"""The signalling of Janus over a WebSocket: one session, its handles, and what they are told.

https://janus.conf.meetecho.com/docs/rest.html has the messages; sub-protocol `janus-protocol`.
"""

import asyncio
import contextlib
import json
import logging
import secrets
import ssl
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

import websockets
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from monitor.source import SourceError, Trouble

Message = dict[str, Any]

ANSWER_TIMEOUT_S: Final = 10.0
CONNECT_TIMEOUT_S: Final = 10.0
KEEP_ALIVE_S: Final = 20.0  # a session dies after 60 s without a word
MAX_MESSAGE_BYTES: Final = 1_048_576
PLUGIN: Final = "janus.plugin.videoroom"
TROUBLES: Final = {
    403: Trouble.REFUSED,
    426: Trouble.NOT_FOUND,  # no such room
    428: Trouble.NOT_FOUND,  # no such feed
    432: Trouble.FULL,
    433: Trouble.REFUSED,  # a wrong PIN
}

logger = logging.getLogger(__name__)


class JanusError(SourceError):
    """Janus refused a request. `code`: as Janus has it."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(TROUBLES.get(code, Trouble.PROTOCOL), f"Janus says: {reason} ({code})")
        self.code = code


class Handle:
    """One attachment to the plugin. `on_event(message)` hears of what nobody asked for."""

    def __init__(self, session: "JanusSession", number: int) -> None:
        self._session = session
        self.number = number
        self.on_event: Callable[[Message], None] = _ignore

    async def ask(self, body: Message, jsep: Message | None = None) -> tuple[Message, Message]:
        """The plugin's answer to `body` and the SDP with it ({} without). Raises SourceError."""
        message: Message = {"janus": "message", "handle_id": self.number, "body": body}
        if jsep is not None:
            message["jsep"] = jsep
        answer = await self._session.request(message)
        data = answer.get("plugindata", {}).get("data", {})
        if "error_code" in data:
            raise JanusError(int(data["error_code"]), str(data.get("error", ""))[:200])
        return data, answer.get("jsep", {})

    async def detach(self) -> None:
        """Goes away; a connection that is broken already is no error."""
        self._session.handles.pop(self.number, None)
        with contextlib.suppress(SourceError):
            await self._session.request({"janus": "detach", "handle_id": self.number})


class JanusSession:
    """A session on an open connection; made by `janus_session`."""

    def __init__(self, socket: ClientConnection, credentials: Message) -> None:
        self._socket = socket
        self._credentials = credentials
        self._id: int | None = None
        self._waiting: dict[str, asyncio.Future[Message]] = {}
        self.handles: dict[int, Handle] = {}
        self.broken: SourceError | None = None
        """Why there will be no more answers and events."""

    async def run(self) -> None:
        """Hands answers and events out until the connection ends; then every handle hears that it
        is `detached`."""
        keeping = asyncio.create_task(self._keep_alive(), name="janus keep-alive")
        try:
            self.broken = await self._read()
        finally:
            keeping.cancel()
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(self.broken)
        for handle in list(self.handles.values()):
            handle.on_event({"janus": "detached"})

    async def _read(self) -> SourceError:
        try:
            async for text in self._socket:
                self._take(json.loads(text))
        except SourceError as error:
            return error
        except websockets.ConnectionClosed:
            return SourceError(Trouble.LOST, "the connection to Janus broke")
        except (ValueError, TypeError, AttributeError, KeyError):
            return SourceError(Trouble.PROTOCOL, "Janus said what cannot be read")
        return SourceError(Trouble.LOST, "Janus closed the connection")

    async def create(self) -> None:
        """Begins the session. Raises SourceError."""
        answer = await self.request({"janus": "create"})
        self._id = int(answer["data"]["id"])

    async def attach(self) -> Handle:
        """A new handle. Raises SourceError."""
        answer = await self.request({"janus": "attach", "plugin": PLUGIN})
        handle = Handle(self, int(answer["data"]["id"]))
        self.handles[handle.number] = handle
        return handle

    async def request(self, message: Message) -> Message:
        """The answer to `message`. Raises SourceError."""
        transaction = secrets.token_hex(8)
        future = self._waiting[transaction] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                await self._send(message, transaction)
                answer: Message = await future
        except TimeoutError as error:
            raise SourceError(Trouble.UNREACHABLE, "Janus does not answer") from error
        finally:
            del self._waiting[transaction]
        if answer["janus"] == "error":
            refused = answer.get("error", {})
            raise JanusError(int(refused.get("code", 0)), str(refused.get("reason", ""))[:200])
        return answer

    async def _send(self, message: Message, transaction: str) -> None:
        full = {**message, **self._credentials, "transaction": transaction}
        if self._id is not None:
            full["session_id"] = self._id
        try:
            await self._socket.send(json.dumps(full))
        except websockets.ConnectionClosed as error:
            raise SourceError(Trouble.LOST, "the connection to Janus broke") from error

    async def _keep_alive(self) -> None:
        """Its answer is an `ack`, for which nobody waits."""
        while True:
            await asyncio.sleep(KEEP_ALIVE_S)
            with contextlib.suppress(SourceError):
                await self._send({"janus": "keepalive"}, "keepalive")

    def _take(self, message: Message) -> None:
        match message["janus"]:
            case "timeout":
                raise SourceError(Trouble.LOST, "Janus ended the session")
            case "ack":  # the answer to it follows as an event
                return
        future = self._waiting.get(message.get("transaction", ""))
        if future is not None and message["janus"] in ("success", "error", "event"):
            if not future.done():
                future.set_result(message)
        elif (handle := self.handles.get(message.get("sender", -1))) is not None:
            handle.on_event(message)


@contextlib.asynccontextmanager
async def janus_session(url: str, credentials: Message) -> AsyncIterator[JanusSession]:
    """A session at `url` (ws: or wss:), said goodbye to in the end. `credentials`: what goes with
    every message (`apisecret`, `token`). Raises SourceError."""
    socket = await _connect(url)
    session = JanusSession(socket, credentials)
    reading = asyncio.create_task(session.run(), name="janus reader")
    try:
        await session.create()
        yield session
    finally:
        if session.broken is None:
            with contextlib.suppress(SourceError):
                await session.request({"janus": "destroy"})
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        await socket.close()


async def _connect(url: str) -> ClientConnection:
    try:
        return await _Connect(
            url,
            subprotocols=[Subprotocol("janus-protocol")],
            open_timeout=CONNECT_TIMEOUT_S,
            close_timeout=1.0,
            max_size=MAX_MESSAGE_BYTES,
            proxy=None,
        )
    except ssl.SSLError as error:
        raise SourceError(Trouble.TLS_FAILED, f"TLS failed: {error.reason}") from error
    except websockets.InvalidStatus as error:
        status = error.response.status_code
        trouble = Trouble.REFUSED if status in (401, 403) else Trouble.PROTOCOL
        raise SourceError(trouble, f"the server answers {status} to a WebSocket") from error
    except (OSError, TimeoutError) as error:
        why = getattr(error, "strerror", None) or "no answer"
        raise SourceError(Trouble.UNREACHABLE, f"cannot be reached: {why}") from error
    except websockets.WebSocketException as error:
        raise SourceError(Trouble.PROTOCOL, f"no WebSocket: {error}"[:200]) from error


class _Connect(connect):
    """Goes nowhere but where it was told to: whoever may name public hosts only must not be sent
    into our own network by one."""

    def process_redirect(self, exc: Exception) -> Exception:
        """A redirect is a refusal like others."""
        return exc


def _ignore(_: Message) -> None:
    """Events that nobody asked for yet."""
