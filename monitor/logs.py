"""One line a log record: time, level, a static message, then its fields as key=value.

Fields are given as `extra={...}`; they name calls and participants, and never hold media.
"""

import json
import logging
import sys

_OWN = {*vars(logging.makeLogRecord({})), "message", "asctime", "taskName", "color_message"}


class FieldFormatter(logging.Formatter):
    """Appends whatever `extra` brought to a record, quoted where it is no plain word."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - overrides
        fields = [f"{k}={_plain(v)}" for k, v in vars(record).items() if k not in _OWN]
        return " ".join([super().formatMessage(record), *fields])


def set_up_logging() -> None:
    """Our own records from INFO, those of libraries from WARNING, all to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(FieldFormatter())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    for package in ("monitor", "engines", "vfd"):
        logging.getLogger(package).setLevel(logging.INFO)


def _plain(value: object) -> str:
    text = str(value)
    return text if text.isprintable() and text and not set(text) & set(' "=') else json.dumps(text)
