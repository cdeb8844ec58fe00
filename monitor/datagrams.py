"""UDP sockets that are read together every few milliseconds, instead of one packet at a time.

The event loop pays some 30 us to wake up for a packet; 200 packets a second of every participant
make that the largest cost of all. Read in batches, a packet costs 2 us, and less the more there are
before the caches belong to somebody else again. What waits in the kernel waits POLL_S at most, so
arrival times are late by that much, never early.
"""

import asyncio
import errno
import logging
import random
import select
import socket
from collections.abc import Callable
from typing import Any, Final, Protocol

POLL_S: Final = 0.03
"""0.02 costs a tenth more CPU, at 20 participants of 360p. A stream is placed as late as its first
packet waited, so two streams to within this; beyond the 0.04 s that clocks forgive (SLACK_S), those
that waited less would move it. A hole is asked for at the next turn, which NACK_FIRST_S allows."""
SMOOTHED_TURNS: Final = 50
RETRY_S: Final = 1.0  # after which a sink that failed is polled again
MAX_BATCH: Final = 512  # packets of one socket a turn: nobody keeps the others waiting
MAX_DATAGRAM_BYTES: Final = 2_048
BUFFER_BYTES: Final = 1 << 20
"""The kernel grants what net.core.rmem_max allows: half a second of video at the least."""

Address = tuple[Any, ...]
"""(host, port) or, for IPv6, (host, port, flow, scope)."""
logger = logging.getLogger(__name__)


class PortError(OSError):
    """No port of the range is free; the message names the range."""


class DatagramProtocol(Protocol):
    """What asyncio calls a datagram protocol."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None: ...

    def connection_lost(self, exc: Exception | None) -> None: ...

    def datagram_received(self, data: bytes, addr: Address) -> None: ...


class MediaSink(Protocol):
    """Takes RTP and RTCP off an endpoint; must not block."""

    due_s: float
    """When `poll` has something to do."""

    def datagram(self, data: bytes, arrival_s: float) -> None: ...

    def first_datagram(self, data: bytes, arrival_s: float) -> bool:
        """Takes `data` from an address that is not known to be the peer's; whether it is now."""
        ...

    def poll(self, now_s: float) -> None: ...


class Endpoint(asyncio.DatagramTransport):
    """A bound socket that does for its protocol what asyncio's own transport does.

    Once it has a sink, RTP and RTCP (first byte 128 to 191, RFC 7983) go there.
    """

    def __init__(self, pump: "Pump", sock: socket.socket, protocol: DatagramProtocol) -> None:
        super().__init__()
        self.socket = sock
        self.sink: MediaSink | None = None
        self._pump = pump
        self._protocol = protocol
        self._peer: Address | None = None
        self._from_peer: Callable[[bytes, float], None] = _nowhere
        self._failed = False

    def sendto(self, data: bytes, addr: Address) -> None:  # type: ignore[override]
        """A datagram that the kernel does not take now is lost, as on the way."""
        try:
            self.socket.sendto(data, addr)
        except OSError as error:
            logger.debug("datagram not sent", extra={"error": str(error)})

    def get_extra_info(self, name: str, default: object = None) -> Any:  # noqa: ANN401 - as its base
        """Knows "sockname" alone."""
        return self.socket.getsockname() if name == "sockname" else default

    def is_closing(self) -> bool:
        return self.socket.fileno() < 0

    def close(self) -> None:
        """Idempotent; the protocol hears of it in the loop's next turn."""
        if self.is_closing():
            return
        self._pump.remove(self)
        self.socket.close()
        self._peer = None  # what was read already is nobody's
        asyncio.get_running_loop().call_soon(self._protocol.connection_lost, None)

    def read(self) -> list[tuple[bytes, Address]]:
        """What has come, with where from."""
        receive, datagrams = self.socket.recvfrom, []
        for _ in range(MAX_BATCH):
            try:
                datagrams.append(receive(MAX_DATAGRAM_BYTES))
            except BlockingIOError:
                break
            except OSError as error:  # an ICMP message about a datagram that we sent
                logger.debug("datagram not read", extra={"error": str(error)})
        return datagrams

    def take(self, datagrams: list[tuple[bytes, Address]], arrival_s: float) -> None:
        """Hands over what was read. The hottest loop there is: 200 turns a participant-second."""
        for data, address in datagrams:
            try:
                if address == self._peer and data and 127 < data[0] < 192:
                    self._from_peer(data, arrival_s)
                elif data and not self.is_closing():  # an empty datagram says nothing
                    self._route(data, address, arrival_s)
            except Exception as error:
                # Whoever finds the port may send anything: no datagram ends the reading of others.
                self._log("datagram failed", error)

    def poll(self, now_s: float) -> None:
        """Lets the sink do what is due."""
        sink = self.sink
        if sink is None or sink.due_s > now_s:
            return
        try:
            sink.poll(now_s)
        except Exception as error:
            # Others wait for their turn; what fails is not tried at every one.
            sink.due_s = now_s + RETRY_S
            self._log("sink failed", error)

    def _log(self, message: str, error: Exception) -> None:
        """Once loudly: the log is not a stranger's to fill."""
        level = logging.DEBUG if self._failed else logging.ERROR
        self._failed = True
        logger.log(level, message, exc_info=error)

    def _route(self, data: bytes, address: Address, arrival_s: float) -> None:
        if self.sink is None or not 127 < data[0] < 192:
            self._protocol.datagram_received(data, address)
        elif self.sink.first_datagram(data, arrival_s):
            self._peer, self._from_peer = address, self.sink.datagram


def _nowhere(data: bytes, arrival_s: float) -> None:
    raise AssertionError("there is no peer yet")


class Pump:
    """Reads all endpoints of one event loop. `clock` gives the arrival times, in seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._epoll = select.epoll()
        self._endpoints: dict[int, Endpoint] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._due_s = 0.0
        self.late_s = 0.0
        """By how much reading is behind time, over the last second or so."""

    def bind(self, address: str, ports: tuple[int, int], protocol: DatagramProtocol) -> Endpoint:
        """An endpoint of `protocol` on `address`, on a free port of the range, both ends included;
        (0, 0) leaves the choice to the kernel. Raises PortError, or OSError for the address."""
        sock = _bound(address, ports)
        endpoint = Endpoint(self, sock, protocol)
        self._endpoints[sock.fileno()] = endpoint
        self._epoll.register(sock.fileno(), select.EPOLLIN)
        protocol.connection_made(endpoint)
        if self._timer is None:
            self._due_s = self._clock() + POLL_S
            self._timer = asyncio.get_running_loop().call_later(POLL_S, self._turn)
        return endpoint

    def remove(self, endpoint: Endpoint) -> None:
        """Reads it no more."""
        self._epoll.unregister(endpoint.socket.fileno())
        del self._endpoints[endpoint.socket.fileno()]
        if not self._endpoints and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def close(self) -> None:
        """To be called once every endpoint is closed."""
        for endpoint in list(self._endpoints.values()):
            endpoint.close()
        self._epoll.close()

    def _turn(self) -> None:
        loop = asyncio.get_running_loop()
        start_s = self._clock()
        self.late_s += (start_s - self._due_s - self.late_s) / SMOOTHED_TURNS
        self._due_s = start_s + POLL_S
        self._timer = loop.call_later(POLL_S, self._turn)
        ready = [self._endpoints[descriptor] for descriptor, _ in self._epoll.poll(0)]
        # First all is read, then all is handled: the kernel's code and ours evict each other from
        # the caches, which cost a twelfth of the receiver's CPU. What waits here meanwhile is what
        # the kernel's buffers held.
        for endpoint, datagrams in [(endpoint, endpoint.read()) for endpoint in ready]:
            endpoint.take(datagrams, start_s)
        for endpoint in list(self._endpoints.values()):
            endpoint.poll(start_s)


def _bound(address: str, ports: tuple[int, int]) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    low, high = ports
    start = random.randrange(low, high + 1)
    for port in (*range(start, high + 1), *range(low, start)):
        sock = socket.socket(family, socket.SOCK_DGRAM)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
            sock.bind((address, port))
        except OSError as error:
            sock.close()
            if error.errno != errno.EADDRINUSE:
                raise
        else:
            return sock
    raise PortError(f"no UDP port from {low} to {high} is free on {address}")
