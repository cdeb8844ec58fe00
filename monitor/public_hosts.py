"""Whether a host may be contacted for somebody who must not reach into our own network."""

import asyncio
import ipaddress
import socket


async def is_public(host: str) -> bool:
    """Whether every address of `host` is public. Raises OSError or UnicodeError where it cannot be
    looked up. A guard against mistakes: whoever connects looks the name up again."""
    found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    addresses = {str(entry[4][0]).partition("%")[0] for entry in found}
    return all(ipaddress.ip_address(address).is_global for address in addresses)
