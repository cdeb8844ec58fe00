"""The monitor's own record of alerts: log line, counter, and an event to be asked for again."""

import logging
from collections.abc import Callable

from monitor.alerts import Alert
from monitor.events import EventBus
from monitor.metrics import Metrics

logger = logging.getLogger(__name__)


class RecordSink:
    """An AlertSink. `number`: gives each alert the id of its event, ascending; None: no ids."""

    def __init__(
        self, bus: EventBus, metrics: Metrics, number: Callable[[Alert], int] | None = None
    ) -> None:
        self._bus = bus
        self._metrics = metrics
        self._number = number

    async def send(self, alert: Alert) -> None:
        _log(alert)
        self._metrics.alert_raised(alert.kind, drill=alert.drill)
        numbered = {"event_id": self._number(alert)} if self._number else {}
        self._bus.publish({"type": "alert", **numbered, **alert.as_json()})


def _log(alert: Alert) -> None:
    marks = (("drill", alert.drill), ("demo", alert.demo))
    logger.warning(
        "%s%s: call=%s participant=%s id=%s similarity=%s threshold=%.3f windows=%d model=%s",
        "".join(f"[{mark}] " for mark, on in marks if on),
        alert.summary,
        alert.call,
        alert.participant,
        alert.id,
        "none" if alert.statistic is None else f"{alert.statistic:.3f}",
        alert.threshold,
        alert.windows_scored,
        alert.model,
    )
