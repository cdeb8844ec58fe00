"""Writes what is made from code, METRICS.md and the Grafana dashboards, beside this file.

make ops
"""

import json
from pathlib import Path
from typing import Final

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from monitor.catalogue import as_markdown
from monitor.ops.machinery import engine, receiver
from monitor.ops.people import one_call, one_participant, overview

HERE: Final = Path(__file__).parent


def made() -> dict[Path, str]:
    """Every file that is made from code, with its text."""
    pages = {HERE / "METRICS.md": as_markdown()}
    for make in (overview, one_call, one_participant, engine, receiver):
        dashboard = make().build()
        text = json.dumps(dashboard, cls=JSONEncoder, indent=1, sort_keys=True)
        pages[HERE / "grafana" / f"{dashboard.uid}.json"] = f"{text}\n"
    return pages


def main() -> None:
    for path, text in made().items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
