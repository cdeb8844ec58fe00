"""From an alert to everybody who must hear of it: the store first, then the webhooks."""

import logging
from collections.abc import Coroutine, Iterator, Mapping

from monitor.alerts import Alert
from monitor.archive import Archive
from monitor.assembly import delivery_allowed
from monitor.collectors import Waiting
from monitor.config import Config
from monitor.metrics import Metrics
from monitor.outbox import Outbox
from monitor.store import Store
from monitor.webhook import Webhook, webhook_targets
from vfd.checkpoint import Checkpoint

logger = logging.getLogger(__name__)


class Delivery:
    """`open` it before use, own its `jobs`, and `close` it after them."""

    def __init__(self, config: Config, checkpoint: Checkpoint, metrics: Metrics) -> None:
        self.archive = Archive(config.store, metrics)
        self.outboxes = [
            Outbox(Webhook(target, config.alerts), self.archive, metrics, config.alerts)
            for target in (webhook_targets(config.alerts) if _allowed(config, checkpoint) else [])
        ]

    async def open(self) -> None:
        """Raises StoreError."""
        await self.archive.open()
        await self.archive.write(self._abandon)
        for outbox in self.outboxes:
            await outbox.load()

    def _abandon(self, store: Store) -> None:
        if dropped := store.abandon([outbox.target for outbox in self.outboxes]):
            extra = {"messages": dropped}
            logger.warning("messages dropped: their webhooks are set no more", extra=extra)

    def jobs(self) -> Iterator[tuple[Coroutine[None, None, None], str]]:
        """What has to run, with a name."""
        yield self.archive.run(), "store"
        for outbox in self.outboxes:
            yield outbox.run(), f"webhook {outbox.target}"

    def keep(self, alert: Alert) -> int:
        """Takes the alert over; the number of its event."""
        seq = self.archive.number()
        stored = self.archive.add(seq, alert, [outbox.target for outbox in self.outboxes])
        for outbox in self.outboxes:
            outbox.offer(seq, alert, stored)
        return seq

    def waiting(self) -> Mapping[str, Waiting]:
        """Callable from any thread."""
        return {outbox.target: outbox.waiting() for outbox in self.outboxes}

    async def close(self) -> None:
        await self.archive.close()


def _allowed(config: Config, checkpoint: Checkpoint) -> bool:
    """Alerts of weights that have seen synthetic people only concern nobody: no webhook hears of
    them, unless that is allowed by name."""
    if delivery_allowed(config, checkpoint):
        return True
    if config.alerts.webhook_url or config.alerts.webhooks:
        logger.warning(
            "webhooks stay off: the weights are trained on %s (model.allow_synthetic_alerts)",
            checkpoint.info.trained_on,
        )
    return False
