import time
from collections.abc import AsyncIterator

import aiortc
import pytest
import pytest_asyncio
from aiortc import RTCPeerConnection, RTCRtpReceiver

from monitor import aiortc_hooks
from monitor.aiortc_hooks import MediaPeer, self_test
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


async def test_a_library_that_fails_is_noticed(pump: Pump, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(RTCPeerConnection, "_RTCPeerConnection__createTransceiver")
    assert "AttributeError" in await self_test(pump)


def test_other_connections_are_left_alone() -> None:
    assert aiortc.rtcpeerconnection.RTCRtpReceiver is RTCRtpReceiver
