"""The science: no asyncio, no network, nothing of the other packages."""
