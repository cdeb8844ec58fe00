"""POST to one address of somebody else's server: bounded in time, to the host that was checked, and
without following where it points."""

import asyncio
import base64
from collections.abc import Mapping
from typing import Final

import httpcore
import httpx

from monitor.pinned_network import PinnedNetwork

Headers = Mapping[str, str]
"""Names in lower case."""

POST_ERRORS: Final = (
    *(httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError),
    *(OSError, TimeoutError),
)
"""What `Poster.post` raises."""


class Poster:
    """One request at a time. `permit` names the setting that would allow private addresses, for
    who is told that they are refused."""

    def __init__(
        self, url: httpx.URL, timeout_s: float, permit: str, *, allow_private: bool
    ) -> None:
        self._url = httpcore.URL(
            scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
        )
        self._own: dict[str, str] = {"user-agent": "vfd-monitor"}
        if url.userinfo:
            userinfo = f"{url.username}:{url.password}".encode()
            self._own["authorization"] = f"Basic {base64.b64encode(userinfo).decode()}"
        self._timeout_s = timeout_s
        secure = url.scheme == "https"
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=httpx.create_ssl_context(trust_env=False) if secure else None,
            max_connections=1,
            max_keepalive_connections=0,  # a connection an hour old leads to yesterday's address
            network_backend=PinnedNetwork(permit, allow_private=allow_private),
        )

    async def post(self, headers: Headers, body: bytes) -> tuple[int, Headers]:
        """Status and headers of the answer. Raises POST_ERRORS."""
        async with asyncio.timeout(self._timeout_s):  # for all of it: answers can drip
            sent = [*self._own.items(), *headers.items()]
            request = self._pool.stream("POST", self._url, headers=sent, content=body)
            async with request as response:  # the body is not read: it may be of any size
                pairs = ((n.decode("latin-1"), v.decode("latin-1")) for n, v in response.headers)
                return response.status, {name.lower(): value for name, value in pairs}

    async def close(self) -> None:
        await self._pool.aclose()
