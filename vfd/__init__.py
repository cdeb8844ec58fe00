"""The science: no asyncio, no network, nothing of the other packages."""

import sys

# `import openvino` reports every import to its maker over the network unless this package is
# absent, which makes it fall back on a stub of its own. None makes it absent for this process.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
