"""Whether an address may be contacted for somebody who must not reach into our own network."""

import asyncio
import ipaddress
import socket

import httpx


def check_http_url(key: str, url: str) -> None:
    """Raises ValueError, naming the `key` of the configuration, unless `url` is one of HTTP."""
    try:
        parts = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise ValueError(f"{key} is no address: {error}") from None
    if parts.scheme not in ("http", "https") or not parts.host:
        raise ValueError(f"{key} must be an http or https address")


async def refuse_private(section: str, url: str) -> None:
    """Raises OSError, naming the `section` of the configuration, where the host's name leads to an
    address that is not public. A guard against mistakes: the name is looked up again by the request
    itself."""
    host = httpx.URL(url).host
    if not await is_public(host):
        raise OSError(f"{host} is a private address; {section}.allow_private_targets permits it")


async def is_public(host: str) -> bool:
    """Whether every address of `host` is public. Raises OSError or UnicodeError where it cannot be
    looked up. A guard against mistakes: whoever connects looks the name up again."""
    found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    addresses = {str(entry[4][0]).partition("%")[0] for entry in found}
    return all(ipaddress.ip_address(address).is_global for address in addresses)
