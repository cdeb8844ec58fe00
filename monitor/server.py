"""The HTTP server around the application: a socket of ours, TLS, an end that can be waited for."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

from monitor.config import ConfigError, ServerConfig

MAX_CONNECTIONS = 512  # of HTTP; participants and event clients have limits of their own
GRACE_S = 2  # for answers that are under way at the end


class ListenError(Exception):
    """The address cannot be listened on; the message names it and says why."""


@contextmanager
def listening(config: ServerConfig) -> Iterator[socket.socket]:
    """A bound socket. Raises ListenError."""
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    try:
        listener = socket.create_server((config.host, config.port), family=family)
    except OSError as error:
        raise ListenError(
            f"cannot listen on {config.host} port {config.port} (server.host, server.port): "
            f"{error.strerror}"
        ) from error
    with listener:
        yield listener


class _Server(uvicorn.Server):
    """Leaves signals to the service and says when it answers."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.answering = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.answering.set()


class HttpServer:
    """Serves `app` on `listener`. Raises ConfigError for a certificate or key that is unusable."""

    def __init__(self, app: FastAPI, listener: socket.socket, config: ServerConfig) -> None:
        settings = uvicorn.Config(
            app,
            lifespan="off",
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            limit_concurrency=MAX_CONNECTIONS,
            timeout_graceful_shutdown=GRACE_S,
            ssl_certfile=config.tls_certificate or None,
            ssl_keyfile=config.tls_key or None,
        )
        try:
            settings.load()
        except OSError as error:  # ssl.SSLError is one
            raise ConfigError(
                f"server.tls_certificate, server.tls_key: not usable: {error}"
            ) from error
        self._listener = listener
        self._server = _Server(settings)
        scheme = "https" if config.tls_certificate else "http"
        host = f"[{config.host}]" if ":" in config.host else config.host
        self.url = f"{scheme}://{host}:{listener.getsockname()[1]}"

    async def run(self) -> None:
        """Until `stop` is called."""
        await self._server.serve(sockets=[self._listener])

    async def wait_answering(self) -> None:
        await self._server.answering.wait()

    def stop(self) -> None:
        """Lets `run` return after the answers that are under way."""
        self._server.should_exit = True
