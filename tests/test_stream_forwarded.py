"""What an SFU forwards as plain RTP: one participant of a Janus room, by an SDP file."""

from pathlib import Path

import httpx
import numpy as np

from monitor.call_urls import parse_call_url
from monitor.calls import CallState
from monitor.config import Config, JoinConfig, ServerConfig
from tests.janus_server import ROOM, running_janus, taking_part
from tests.peers import Picture, Voice, free_port, monitor, until

CONFIG = Config(server=ServerConfig(port=0), join=JoinConfig(allow_private_targets=True))
OWN = 160  # a grey that FakeEngine holds for the face of every voice
PUBLISHER = 7
SESSION = """v=0
o=- 0 0 IN IP4 127.0.0.1
s=forwarded
c=IN IP4 127.0.0.1
t=0 0
m=audio {audio} RTP/AVP 111
a=rtpmap:111 opus/48000/2
m=video {video} RTP/AVP 96
a=rtpmap:96 VP8/90000
"""


async def test_who_is_forwarded_by_janus_is_matched(tmp_path: Path) -> None:
    audio, video = (free_port() // 2 * 2 for _ in range(2))  # RTCP takes the one above
    description = tmp_path / "forwarded.sdp"
    description.write_text(SESSION.format(audio=audio, video=video))
    picture = Picture(np.full((240, 320, 3), OWN, np.uint8))
    async with (
        running_janus(tmp_path / "janus") as janus,
        taking_part(janus, "alice", Voice(), picture, PUBLISHER) as alice,
        monitor(CONFIG) as service,
        httpx.AsyncClient(base_url=service.url) as client,
    ):
        call = service.calls.add(parse_call_url(str(description)), "forwarded")
        streams = [{"mid": "0", "port": audio, "pt": 111}, {"mid": "1", "port": video, "pt": 96}]
        await alice.ask(
            {
                "request": "rtp_forward",
                "room": ROOM,
                "publisher_id": PUBLISHER,
                "host": "127.0.0.1",
                "streams": streams,
            }
        )

        async def matched() -> bool:
            people = (await client.get("/v1/participants")).json()["participants"]
            return [person["state"] for person in people] == ["match"]

        await until(matched, 40)
        assert call.state is CallState.JOINED
