"""One participant's scores, second by second, and the alerts that come of them."""

from monitor.alerts import Alert, Alerter, AlertKind
from monitor.sessions import Registry, Session
from tests.fakes import ALICE
from vfd.types import Abstention, ParticipantKey, Reason, Score


class Collected:
    def __init__(self) -> None:
        self.alerts: list[Alert] = []

    async def send(self, alert: Alert) -> None:
        self.alerts.append(alert)


class Script:
    """Feeds one participant second by second."""

    def __init__(
        self,
        registry: Registry,
        alerter: Alerter,
        key: ParticipantKey = ALICE,
        now_s: float = 0.0,
    ) -> None:
        self.session: Session = registry.join(key, now_s)
        self._alerter = alerter
        self._end_s = now_s

    async def play(self, *outcomes: float | Reason) -> None:
        for outcome in outcomes:
            self._end_s += 1.0
            if isinstance(outcome, Reason):
                self.session.apply(Abstention(self.session.key, self._end_s, outcome))
            else:
                self.session.apply(Score(self.session.key, self._end_s, outcome, 1))
            await self._alerter.observe(self.session)


def kinds(sink: Collected) -> list[AlertKind]:
    return [alert.kind for alert in sink.alerts]
