"""Connections to the very addresses that were checked: a name that leads elsewhere a moment later
(DNS rebinding) gains nothing."""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import httpcore

from monitor.public_hosts import addresses_of, is_public_address


class PinnedNetwork(httpcore.AsyncNetworkBackend):
    """Looks a name up once and connects to what it found. TLS still checks the name: that is above
    this. `allow_private`: whether addresses that are not public may be connected to, which is what
    the setting called `permit` is about."""

    def __init__(
        self,
        permit: str,
        *,
        allow_private: bool,
        look_up: Callable[[str], Awaitable[list[str]]] = addresses_of,
        network: httpcore.AsyncNetworkBackend | None = None,
    ) -> None:
        self._permit = permit
        self._allow_private = allow_private
        self._look_up = look_up
        self._network = network or httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the interface's
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Raises httpcore.ConnectError."""
        failure: Exception = httpcore.ConnectError(f"{host} has no address")
        for address in await self._addresses(host):
            try:
                return await self._network.connect_tcp(
                    address, port, timeout, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    async def sleep(self, seconds: float) -> None:
        await self._network.sleep(seconds)

    async def _addresses(self, host: str) -> list[str]:
        try:
            addresses = await self._look_up(host)
        except (OSError, UnicodeError) as error:  # UnicodeError: no DNS name
            raise httpcore.ConnectError(f"{host} cannot be looked up: {error}") from error
        if not self._allow_private and not all(map(is_public_address, addresses)):
            raise httpcore.ConnectError(f"{host} is a private address; {self._permit} permits it")
        return addresses
