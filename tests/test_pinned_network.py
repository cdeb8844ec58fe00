"""The address that is checked is the address that is connected to."""

from collections.abc import Iterable
from typing import Any

import httpcore
import pytest

from monitor.pinned_network import PinnedNetwork

PERMIT = "alerts.allow_private_targets"
PUBLIC, OTHER = "203.0.114.7", "2606:4700::1111"


class Wire(httpcore.AsyncNetworkBackend):
    """Connects nobody, and remembers to whom."""

    def __init__(self, *dead: str) -> None:
        self.dead = dead
        self.connected: list[str] = []

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the interface's
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        self.connected.append(host)
        if host in self.dead:
            raise httpcore.ConnectError("nobody there")
        return httpcore.AsyncMockStream([])


class Names:
    """Answers that change from one question to the next."""

    def __init__(self, *answers: list[str]) -> None:
        self._answers = list(answers)

    async def look_up(self, host: str) -> list[str]:
        return self._answers.pop(0)


async def test_a_name_that_leads_elsewhere_a_moment_later_gains_nothing() -> None:
    names, wire = Names([PUBLIC], ["127.0.0.1"]), Wire()
    network = PinnedNetwork(PERMIT, allow_private=False, look_up=names.look_up, network=wire)
    await network.connect_tcp("rebinding.example", 443)
    assert wire.connected == [PUBLIC]
    with pytest.raises(httpcore.ConnectError, match="private"):
        await network.connect_tcp("rebinding.example", 443)
    assert wire.connected == [PUBLIC]


async def test_a_name_with_one_private_address_among_others_is_refused() -> None:
    wire = Wire()
    for address in ("10.1.2.3", "::1", "fe80::1%eth0", "::ffff:127.0.0.1", "224.0.0.1", "0.0.0.0"):
        names = Names([PUBLIC, address])
        network = PinnedNetwork(PERMIT, allow_private=False, look_up=names.look_up, network=wire)
        with pytest.raises(httpcore.ConnectError, match="private"):
            await network.connect_tcp("mixed.example", 443)
    assert wire.connected == []


async def test_private_addresses_may_be_allowed() -> None:
    wire = Wire()
    names = Names(["10.1.2.3"])
    network = PinnedNetwork(PERMIT, allow_private=True, look_up=names.look_up, network=wire)
    await network.connect_tcp("inside.example", 443)
    assert wire.connected == ["10.1.2.3"]


async def test_every_address_is_tried() -> None:
    wire = Wire(PUBLIC)
    names = Names([PUBLIC, OTHER], [PUBLIC])
    network = PinnedNetwork(PERMIT, allow_private=False, look_up=names.look_up, network=wire)
    await network.connect_tcp("two.example", 443)
    assert wire.connected == [PUBLIC, OTHER]
    with pytest.raises(httpcore.ConnectError, match="nobody there"):
        await network.connect_tcp("two.example", 443)


async def test_what_cannot_be_looked_up_is_no_connection() -> None:
    network = PinnedNetwork(PERMIT, allow_private=False)
    for host in ("nowhere.invalid", "a" * 70 + ".example"):
        with pytest.raises(httpcore.ConnectError, match="looked up"):
            await network.connect_tcp(host, 443)
