"""Whether a host may be contacted for somebody who must not reach into our own network."""

import asyncio
import ipaddress
import socket


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
