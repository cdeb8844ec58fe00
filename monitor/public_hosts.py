"""Whether an address may be contacted for somebody who must not reach into our own network."""

import asyncio
import ipaddress
import socket

import httpx


def http_url(key: str, text: str) -> httpx.URL:
    """Raises ValueError, naming the `key` of the configuration, unless `text` is one of HTTP."""
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL as error:
        raise ValueError(f"{key} is no address: {error}") from None
    if url.scheme not in ("http", "https") or not url.host:
        raise ValueError(f"{key} must be an http or https address")
    return url


async def addresses_of(host: str) -> list[str]:
    """Every address of `host`. Raises OSError or UnicodeError where it cannot be looked up."""
    found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def is_public_address(address: str) -> bool:
    ip = ipaddress.ip_address(address.partition("%")[0])
    return ip.is_global and not ip.is_multicast


async def is_public(host: str) -> bool:
    """Whether every address of `host` is public. Raises OSError or UnicodeError where it cannot be
    looked up. A guard against mistakes: whoever connects looks the name up again."""
    return all(map(is_public_address, await addresses_of(host)))
