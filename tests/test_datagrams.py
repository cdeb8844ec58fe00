"""Real sockets on the loopback interface."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field

import pytest
import pytest_asyncio

from monitor import datagrams
from monitor.datagrams import POLL_S, Address, Endpoint, PortError, Pump
from tests.fakes import until
from tests.peers import free_port

RTP, STUN, DTLS = b"\x80media", b"\x00\x01stun", b"\x16dtls"


@dataclass
class Ice:
    """What aioice would be: it gets everything that is not media."""

    datagrams: list[bytes] = field(default_factory=list)
    transport: asyncio.BaseTransport | None = None
    lost: int = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost += 1

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self.datagrams.append(data)


@dataclass
class Sink:
    """Believes a new address as long as `known` says so."""

    known: bool = True
    due_s: float = 0.0
    datagrams: list[tuple[bytes, float]] = field(default_factory=list)
    firsts: int = 0
    polls: int = 0

    def datagram(self, data: bytes, arrival_s: float) -> None:
        if data == b"\x80bad":
            raise RuntimeError("a defect of ours")
        self.datagrams.append((data, arrival_s))

    def first_datagram(self, data: bytes, arrival_s: float) -> bool:
        self.firsts += 1
        if self.known:
            self.datagrams.append((data, arrival_s))
        return self.known

    def poll(self, now_s: float) -> None:
        self.polls += 1
        self.due_s = now_s + 0.1


@pytest_asyncio.fixture
async def pump() -> AsyncIterator[Pump]:
    pump = Pump(time.monotonic)
    yield pump
    pump.close()
    await asyncio.sleep(0)


@dataclass
class Sender:
    endpoint: Endpoint
    socket: socket.socket

    def send(self, *datagrams: bytes) -> None:
        for datagram in datagrams:
            self.socket.sendto(datagram, self.endpoint.get_extra_info("sockname"))


@pytest.fixture
def sender() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock


async def test_media_goes_to_the_sink_and_all_else_to_ice(
    pump: Pump, sender: socket.socket
) -> None:
    ice, sink = Ice(), Sink()
    endpoint = pump.bind("127.0.0.1", (0, 0), ice)
    assert ice.transport is endpoint
    Sender(endpoint, sender).send(STUN, RTP)
    await until(lambda: len(ice.datagrams) == 2)
    endpoint.sink = sink
    before_s = time.monotonic()
    Sender(endpoint, sender).send(STUN, RTP, DTLS, b"", RTP)
    await until(lambda: len(sink.datagrams) == 2)
    assert ice.datagrams == [STUN, RTP, STUN, DTLS]
    assert sink.firsts == 1
    assert all(before_s <= at_s <= before_s + 1.0 for _, at_s in sink.datagrams)
    await until(lambda: sink.polls)


async def test_a_stranger_is_asked_for_proof_every_time(pump: Pump, sender: socket.socket) -> None:
    sink = Sink(known=False)
    endpoint = pump.bind("127.0.0.1", (0, 0), Ice())
    endpoint.sink = sink
    Sender(endpoint, sender).send(RTP, RTP, RTP)
    await until(lambda: sink.firsts == 3)
    assert not sink.datagrams


async def test_a_peer_that_moves_is_followed(pump: Pump, sender: socket.socket) -> None:
    sink = Sink()
    endpoint = pump.bind("127.0.0.1", (0, 0), Ice())
    endpoint.sink = sink
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        for sock in (sender, sender, other, other):
            Sender(endpoint, sock).send(RTP)
            await asyncio.sleep(2 * POLL_S)
        await until(lambda: len(sink.datagrams) == 4)
    assert sink.firsts == 2


async def test_a_datagram_that_fails_ends_nothing_and_is_logged_once(
    pump: Pump, sender: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    sink = Sink()
    endpoint = pump.bind("127.0.0.1", (0, 0), Ice())
    endpoint.sink = sink
    Sender(endpoint, sender).send(RTP, b"\x80bad", b"\x80bad", RTP)
    await until(lambda: len(sink.datagrams) == 2)
    assert [r.levelname for r in caplog.records if r.message == "datagram failed"] == ["ERROR"]


class Broken(Sink):
    def poll(self, now_s: float) -> None:
        self.polls += 1
        raise RuntimeError("a defect of ours")


async def test_a_sink_that_fails_keeps_nobody_waiting_and_is_left_alone_for_a_while(
    pump: Pump, caplog: pytest.LogCaptureFixture
) -> None:
    broken, sink = Broken(), Sink()
    for each in (broken, sink):
        pump.bind("127.0.0.1", (0, 0), Ice()).sink = each
    await until(lambda: sink.polls > 1)
    broken.due_s = 0.0
    await until(lambda: broken.polls > 1)
    assert broken.due_s > time.monotonic()
    assert [r.levelname for r in caplog.records if r.message == "sink failed"] == ["ERROR"]


async def test_nobody_who_sends_a_lot_keeps_the_others_waiting(
    pump: Pump, sender: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datagrams, "MAX_BATCH", 3)
    endpoint = pump.bind("127.0.0.1", (0, 0), Ice())
    Sender(endpoint, sender).send(STUN, STUN, DTLS, DTLS, RTP)
    assert [data for data, _ in endpoint.read()] == [STUN, STUN, DTLS]
    assert [data for data, _ in endpoint.read()] == [DTLS, RTP]
    assert endpoint.read() == []


async def test_what_was_read_before_closing_is_nobodys(pump: Pump, sender: socket.socket) -> None:
    ice, sink = Ice(), Sink()
    endpoint = pump.bind("127.0.0.1", (0, 0), ice)
    endpoint.sink = sink
    Sender(endpoint, sender).send(RTP, RTP, STUN)
    read = endpoint.read()
    endpoint.take(read[:2], 0.0)
    endpoint.close()
    endpoint.take(read, 0.0)
    assert len(sink.datagrams) == 2
    assert not ice.datagrams


async def test_datagrams_are_sent_from_the_port_that_is_read(
    pump: Pump, sender: socket.socket
) -> None:
    endpoint = pump.bind("127.0.0.1", (0, 0), Ice())
    sender.settimeout(2)
    endpoint.sendto(b"hello", sender.getsockname())
    assert sender.recvfrom(100) == (b"hello", endpoint.get_extra_info("sockname"))


async def test_closing_tells_the_protocol_once(pump: Pump) -> None:
    ice = Ice()
    endpoint = pump.bind("127.0.0.1", (0, 0), ice)
    endpoint.close()
    endpoint.close()
    assert endpoint.is_closing()
    await asyncio.sleep(0)
    assert ice.lost == 1


async def test_ports_come_from_the_range_until_it_is_used_up(pump: Pump) -> None:
    low = free_port()
    endpoints = [pump.bind("127.0.0.1", (low, low + 1), Ice()) for _ in range(2)]
    assert {e.get_extra_info("sockname")[1] for e in endpoints} == {low, low + 1}
    with pytest.raises(PortError, match=f"{low} to {low + 1}"):
        pump.bind("127.0.0.1", (low, low + 1), Ice())
    endpoints[0].close()
    pump.bind("127.0.0.1", (low, low + 1), Ice())


async def test_an_address_of_another_machine_is_an_error(pump: Pump) -> None:
    with pytest.raises(OSError, match=r"."):
        pump.bind("198.51.100.1", (0, 0), Ice())
