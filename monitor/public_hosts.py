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
