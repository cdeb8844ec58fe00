"""`/v1/calls`: joins, shows and leaves calls, and says what it did not understand."""

import httpx
import pytest

from monitor.config import Config, JoinConfig, ServerConfig
from tests.peers import monitor, until

CONFIG = Config(server=ServerConfig(port=0), join=JoinConfig(allow_private_targets=True))


async def test_the_interface_joins_shows_and_leaves() -> None:
    async with monitor(CONFIG) as service, httpx.AsyncClient(base_url=service.url) as client:
        body = {"url": "janus+ws://127.0.0.1:9/1234?pin=hunter2", "id": "standup"}
        made = await client.post("/v1/calls", json=body)
        assert (made.status_code, made.headers["Location"]) == (201, "/v1/calls/standup")

        async def waits() -> bool:
            found = (await client.get("/v1/calls/standup")).json()
            return bool(found["state"] == "waiting")

        await until(waits)
        (call,) = (await client.get("/v1/calls")).json()["calls"]
        assert call["trouble"] == "unreachable"
        assert call["retry_in_s"] < 10
        assert "hunter2" not in str(call)
        assert (await client.post("/v1/calls", json=body)).status_code == 409
        assert 'vfd_calls{state="waiting"} 1.0' in (await client.get("/metrics")).text
        assert (await client.delete("/v1/calls/standup")).status_code == 204
        assert (await client.delete("/v1/calls/standup")).status_code == 404
        assert (await client.get("/v1/calls/standup")).status_code == 404


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("no json", "body: Invalid JSON"),
        ('{"id": "a"}', "url: Field required"),
        ('{"url": 5}', "url: Input should be a valid string"),
        ('{"url": "rtmp://8.8.8.8/a", "colour": 1}', "colour: Extra inputs"),
        ('{"url": "rtmp://8.8.8.8/a", "id": "a b"}', "id: 1 to 64 letters"),
        ('{"url": "gopher://8.8.8.8/a"}', "unknown kind 'gopher'"),
        ('{"url": "rtmp://127.0.0.1/a"}', "not public"),
        ('{"url": "janus+wss://localhost/1"}', "not public"),  # a name that leads inside
        ('{"url": "livekit+wss://10.0.0.1?token=a"}', "not public"),
        ('{"url": "whep+https://[fd00::1]/a"}', "not public"),
        ('{"url": "/etc/passwd"}', "only hosts on the network"),
    ],
)
async def test_the_interface_says_what_was_expected(body: str, message: str) -> None:
    async with monitor(Config(server=ServerConfig(port=0))) as service:
        async with httpx.AsyncClient(base_url=service.url) as client:
            answer = await client.post("/v1/calls", content=body)
        assert answer.status_code == 422
        assert message in answer.json()["detail"]
        assert not service.calls.all()


async def test_what_is_not_even_tried_is_in_the_log_and_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with (
        monitor(Config(server=ServerConfig(port=0))) as service,
        httpx.AsyncClient(base_url=service.url) as client,
    ):
        for url in ("gopher://8.8.8.8/a?token=hunter2", "rtmp://10.0.0.1/a?token=hunter2"):
            await client.post("/v1/calls", json={"url": url})
        metrics = (await client.get("/metrics")).text
    for trouble in ("unsupported", "refused"):
        assert f'vfd_calls_failed_total{{trouble="{trouble}"}} 1.0' in metrics
    assert "call refused: url: gopher://8.8.8.8/a: unknown kind 'gopher'" in caplog.text
    assert "call refused: url: rtmp://10.0.0.1/a: its address is not public" in caplog.text
    assert "hunter2" not in caplog.text
