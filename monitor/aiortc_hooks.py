"""Every private name of aiortc and aioice that the keyframe receiver touches.

Nothing is replaced in the libraries: `MediaPeer` overrides what it must of its own connection, so
other connections of the process are as they were. It keeps aiortc's signalling, ICE and DTLS, and
takes away its sockets and its receivers. The names are those of the versions in TESTED; `self_test`
says whether they still mean what they did.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from typing import Final

import pylibsrtp
from aioice import Candidate
from aioice.candidate import candidate_foundation, candidate_priority
from aioice.ice import Connection, StunProtocol, server_reflexive_candidate
from aioice.stun import TransactionError
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCRtpTransceiver
from aiortc.rtcdtlstransport import (
    RTCCertificate,
    RTCDtlsTransport,
    SRTPProtectionProfile,
)
from aiortc.rtcrtpparameters import RTCRtpCodecParameters, RTCRtpReceiveParameters
from OpenSSL import SSL

from monitor.datagrams import Endpoint, MediaSink, Pump
from monitor.rtp_session import SrtpError
from monitor.rtp_source import Kind, PayloadFormat

TESTED: Final = {"aiortc": "1.16", "aioice": "0.13"}
MAX_ADDRESSES: Final = 8  # of this machine: every one is a socket a participant and a candidate
STUN_TIMEOUT_S: Final = 3.0  # negotiation as a whole has 5 s

CIPHERS: Final = (
    b"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305:"
    b"ECDHE-ECDSA-AES128-SHA:ECDHE-ECDSA-AES256-SHA:"  # those above are the stack's own
    b"ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-CHACHA20-POLY1305"
)

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Network:
    """Where media is received. `ports`: both ends included, (0, 0) for any. `addresses`: those of
    this machine to listen on, empty for all of them but loopback."""

    ports: tuple[int, int] = (0, 0)
    addresses: tuple[str, ...] = ()


class DtlsSrtp:
    """What the DTLS handshake of one peer agreed on. A monitor.rtp_session.Srtp."""

    def __init__(self, dtls: RTCDtlsTransport) -> None:
        self._dtls = dtls
        self._unprotect = dtls._rx_srtp.unprotect
        self._unprotect_rtcp = dtls._rx_srtp.unprotect_rtcp

    def unprotect(self, data: bytes) -> bytes:
        try:
            packet: bytes = self._unprotect(data)
        except (pylibsrtp.Error, ValueError) as error:  # ValueError: longer than any packet
            raise SrtpError from error
        return packet

    def unprotect_rtcp(self, data: bytes) -> bytes:
        try:
            packet: bytes = self._unprotect_rtcp(data)
        except (pylibsrtp.Error, ValueError) as error:
            raise SrtpError from error
        return packet

    def send_rtcp(self, data: bytes) -> None:
        """To the address that ICE chose; lost where there is none."""
        connection = self._dtls.transport._connection
        pair = connection._nominated.get(1)
        if pair is None or self._dtls.state != "connected":
            return
        protected = self._dtls._tx_srtp.protect_rtcp(data)
        pair.protocol.transport.sendto(protected, pair.remote_addr)


class Certificate(RTCCertificate):
    """Gets along with peers whose own certificate is RSA, such as GStreamer up to 1.22: as the
    client of the handshake the stack offers them no cipher that they could use."""

    def _create_ssl_context(self, srtp_profiles: list[SRTPProtectionProfile]) -> SSL.Context:
        context = super()._create_ssl_context(srtp_profiles)
        context.set_cipher_list(CIPHERS)
        return context


class MediaPeer(RTCPeerConnection):
    """A peer connection that only receives, and hands packets over as they come.

    `on_open(kind, srtp, formats)` is called when a media section begins to receive; it returns
    where all packets of the connection are to go from then on.
    """

    def __init__(
        self,
        configuration: RTCConfiguration,
        pump: Pump,
        network: Network,
        on_open: Callable[[Kind, DtlsSrtp, list[PayloadFormat]], MediaSink],
    ) -> None:
        self._pump = pump
        self._network = network
        self._on_open = on_open
        super().__init__(configuration)
        self._RTCPeerConnection__certificates = [Certificate.generateCertificate()]

    def _RTCPeerConnection__createDtlsTransport(self) -> RTCDtlsTransport:  # noqa: N802
        create = super()._RTCPeerConnection__createDtlsTransport  # type: ignore[misc]
        dtls: RTCDtlsTransport = create()
        connection = dtls.transport._connection
        gather = partial(self._candidates, connection)
        connection.get_component_candidates = gather  # type: ignore[method-assign]
        return dtls

    def _RTCPeerConnection__createTransceiver(  # noqa: N802
        self, direction: str, kind: str, sender_track: MediaStreamTrack | None = None
    ) -> RTCRtpTransceiver:
        create = super()._RTCPeerConnection__createTransceiver  # type: ignore[misc]
        transceiver: RTCRtpTransceiver = create(direction, kind, sender_track)
        # Its own version starts a decoder thread and a task for reports.
        receive = partial(self._receive, transceiver)
        transceiver.receiver.receive = receive  # type: ignore[method-assign]
        return transceiver

    async def _receive(
        self, transceiver: RTCRtpTransceiver, parameters: RTCRtpReceiveParameters
    ) -> None:
        dtls = transceiver.receiver.transport
        formats = [payload_format(codec) for codec in parameters.codecs]
        kind: Kind = "audio" if transceiver.kind == "audio" else "video"
        sink = self._on_open(kind, DtlsSrtp(dtls), formats)
        for protocol in dtls.transport._connection._protocols:
            if isinstance(protocol.transport, Endpoint):
                protocol.transport.sink = sink

    async def _candidates(
        self, connection: Connection, component: int, addresses: list[str]
    ) -> list[Candidate]:
        """Host candidates on sockets of ours, and what a STUN server sees of them."""
        candidates, asked = [], []
        for address in (self._network.addresses or addresses)[:MAX_ADDRESSES]:
            protocol = StunProtocol(connection)
            try:
                endpoint = self._pump.bind(address, self._network.ports, protocol)
            except OSError as error:
                logger.warning("no media socket", extra={"address": address, "error": str(error)})
                continue
            connection._protocols.append(protocol)
            host, port = endpoint.get_extra_info("sockname")[:2]
            protocol.local_candidate = Candidate(
                foundation=candidate_foundation("host", "udp", host),
                component=component,
                transport="udp",
                priority=candidate_priority(component, "host"),
                host=host,
                port=port,
                type="host",
            )
            candidates.append(protocol.local_candidate)
            if connection.stun_server and ":" not in host:
                asked.append(_reflexive(protocol, connection.stun_server))
        for seen in await asyncio.gather(*asked):
            candidates += seen
        return candidates


async def _reflexive(protocol: StunProtocol, server: tuple[str, int]) -> list[Candidate]:
    try:
        async with asyncio.timeout(STUN_TIMEOUT_S):
            candidate, _ = await server_reflexive_candidate(protocol, server)
    except (OSError, TimeoutError, TransactionError) as error:
        logger.warning("no answer from the STUN server", extra={"error": str(error)})
        return []
    return [candidate]


def payload_format(codec: RTCRtpCodecParameters) -> PayloadFormat:
    """What is kept of a negotiated codec."""
    assert codec.payloadType is not None
    section, _, name = codec.mimeType.partition("/")
    kind: Kind = "audio" if section == "audio" else "rtx" if name.lower() == "rtx" else "video"
    return PayloadFormat(codec.payloadType, kind, name, codec.clockRate, codec.channels or 1)


async def self_test(pump: Pump) -> str:
    """Why packets cannot be taken off these versions of the libraries; empty if they can.

    A connection is brought as far as it goes without a peer, through every override.
    """
    for package, tested in TESTED.items():
        if not version(package).startswith(tested + "."):
            return f"{package} is {version(package)}; tested is {tested}"
    offerer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    peer = MediaPeer(RTCConfiguration(iceServers=[]), pump, Network(), _no_sink)
    try:
        offerer.addTransceiver("audio", direction="sendonly")
        offerer.addTransceiver("video", direction="sendonly")
        await peer.setRemoteDescription(await offerer.createOffer())
        return await _probe(peer)
    except Exception as error:
        # Whatever a changed library does with what it does not expect.
        return f"{type(error).__name__}: {error}"
    finally:
        await peer.close()
        await offerer.close()


async def _probe(peer: MediaPeer) -> str:
    receivers = peer.getReceivers()
    if len(receivers) != 2 or any(not isinstance(r.receive, partial) for r in receivers):
        return "receivers are not created where they were"
    dtls = receivers[0].transport
    await dtls.transport.iceGatherer.gather()
    connection = dtls.transport._connection
    endpoints = [protocol.transport for protocol in connection._protocols]
    if not endpoints or any(not isinstance(endpoint, Endpoint) for endpoint in endpoints):
        return "sockets are not opened where they were, or there is no address to open one on"
    if not (hasattr(dtls, "_tx_srtp") and hasattr(dtls, "_rx_srtp")):
        return "sessions are not kept where they were"
    dtls._tx_srtp, dtls._rx_srtp = _session(inbound=False), _session(inbound=True)
    packet = bytes.fromhex("80600001000000010000000a") + b"payload"
    if DtlsSrtp(dtls).unprotect(dtls._tx_srtp.protect(packet)) != packet:
        return "packets are not encrypted as they were"
    DtlsSrtp(dtls).send_rtcp(b"")  # not connected: nothing to send on, and nothing raised
    return ""


def _session(inbound: bool) -> pylibsrtp.Session:
    side = pylibsrtp.Policy.SSRC_ANY_INBOUND if inbound else pylibsrtp.Policy.SSRC_ANY_OUTBOUND
    return pylibsrtp.Session(pylibsrtp.Policy(key=bytes(30), ssrc_type=side))


def _no_sink(kind: Kind, srtp: DtlsSrtp, formats: list[PayloadFormat]) -> MediaSink:
    raise AssertionError("nothing connects here")
