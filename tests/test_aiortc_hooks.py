import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import aiortc
import pytest
import pytest_asyncio
from aioice import Candidate
from aioice.ice import StunProtocol
from aiortc import RTCConfiguration, RTCIceServer, RTCPeerConnection, RTCRtpReceiver
from aiortc.rtcdtlstransport import RTCDtlsTransport

from monitor import aiortc_hooks
from monitor.aiortc_hooks import MAX_ADDRESSES, MediaPeer, Network, self_test
from monitor.datagrams import Pump


@pytest_asyncio.fixture
async def pump() -> AsyncIterator[Pump]:
    pump = Pump(time.monotonic)
    yield pump
    pump.close()


async def test_the_libraries_are_as_they_were(pump: Pump) -> None:
    assert await self_test(pump) == ""


async def test_another_version_is_refused(pump: Pump, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(aiortc_hooks.TESTED, "aiortc", "1.17")
    assert await self_test(pump) == f"aiortc is {aiortc.__version__}; tested is 1.17"


@pytest.mark.parametrize(
    "name",
    ["_RTCPeerConnection__createDtlsTransport", "_RTCPeerConnection__createTransceiver"],
)
async def test_a_hook_that_is_not_called_is_noticed(
    name: str, pump: Pump, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if the library had given its method another name."""
    monkeypatch.delattr(MediaPeer, name)
    assert await self_test(pump)


@pytest.mark.parametrize("name", ["_rx_srtp", "_tx_srtp"])
async def test_a_session_under_another_name_is_noticed(
    name: str, pump: Pump, monkeypatch: pytest.MonkeyPatch
) -> None:
    initialise = RTCDtlsTransport.__init__

    def renamed(self: RTCDtlsTransport, *arguments: Any) -> None:  # noqa: ANN401 - as they come
        initialise(self, *arguments)
        delattr(self, name)

    monkeypatch.setattr(RTCDtlsTransport, "__init__", renamed)
    assert await self_test(pump) == "sessions are not kept where they were"


async def test_a_stun_server_is_asked_for_all_addresses_at_once(
    pump: Pump, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that does not answer costs its 3 s once."""
    asked: list[str] = []
    all_asked = asyncio.Event()

    async def reflexive(protocol: StunProtocol, server: tuple[str, int]) -> list[Candidate]:
        assert protocol.local_candidate is not None
        asked.append(protocol.local_candidate.host)
        if len(asked) == 2:
            all_asked.set()
        await all_asked.wait()
        return [protocol.local_candidate]

    monkeypatch.setattr(aiortc_hooks, "_reflexive", reflexive)
    network = Network(addresses=("127.0.0.1", "127.0.0.2"))
    servers = [RTCIceServer("stun:192.0.2.1:3478")]
    peer = MediaPeer(RTCConfiguration(servers), pump, network, aiortc_hooks._no_sink)
    async with asyncio.timeout(5):
        peer.addTransceiver("audio", direction="recvonly")
        await peer.setLocalDescription(await peer.createOffer())
    await peer.close()
    assert asked == ["127.0.0.1", "127.0.0.2"]
    assert peer.localDescription.sdp.count("a=candidate") == 4


async def test_addresses_are_bounded(pump: Pump) -> None:
    """Every one is a socket a participant."""
    network = Network(addresses=tuple(f"127.0.0.{n}" for n in range(1, 2 * MAX_ADDRESSES)))
    peer = MediaPeer(RTCConfiguration([]), pump, network, aiortc_hooks._no_sink)
    peer.addTransceiver("audio", direction="recvonly")
    await peer.setLocalDescription(await peer.createOffer())
    await peer.close()
    assert peer.localDescription.sdp.count("a=candidate") == MAX_ADDRESSES


async def test_a_library_that_fails_is_noticed(pump: Pump, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(RTCPeerConnection, "_RTCPeerConnection__createTransceiver")
    assert "AttributeError" in await self_test(pump)


def test_other_connections_are_left_alone() -> None:
    assert aiortc.rtcpeerconnection.RTCRtpReceiver is RTCRtpReceiver
