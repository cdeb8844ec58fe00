import json

import pytest

from monitor.alert_words import SUMMARIES
from monitor.alerts import Alert, Alerter, AlertKind
from monitor.config import AlertConfig, Config
from monitor.sessions import Registry
from tests.episodes import Collected, Script, kinds
from tests.fakes import ALICE, BOB, LIMITS, checkpoint
from vfd.decision import Signal, State, Verdict
from vfd.types import Reason

ABSENCE_S = AlertConfig().absence_s


class Broken:
    async def send(self, alert: Alert) -> None:
        raise OSError("disk full")


@pytest.fixture
def registry() -> Registry:
    return Registry(Config(), LIMITS)


@pytest.fixture
def sink() -> Collected:
    return Collected()


@pytest.fixture
def alerter(sink: Collected) -> Alerter:
    return Alerter(checkpoint(), LIMITS, [sink])


async def test_one_alert_opens_and_one_closes(
    registry: Registry, alerter: Alerter, sink: Collected
) -> None:
    script = Script(registry, alerter)
    await script.play(*[0.6] * 10)
    assert sink.alerts == []
    await script.play(*[-0.3] * 20)
    assert kinds(sink) == [AlertKind.OPENED]
    await script.play(*[0.6] * 50)
    assert kinds(sink) == [AlertKind.OPENED, AlertKind.CLOSED]
    opened, closed = sink.alerts
    assert opened.id == closed.id
    assert (opened.call, opened.participant) == ALICE
    assert 11 <= opened.since_s <= 15
    assert opened.statistic is not None
    assert opened.statistic < opened.threshold == LIMITS.suspect_below
    assert opened.summary == "identity mismatch suspected"
    assert (opened.model, opened.trained_on) == ("nano", "synthetic people v1")


async def test_a_second_mismatch_is_a_second_episode(
    registry: Registry, alerter: Alerter, sink: Collected
) -> None:
    script = Script(registry, alerter)
    for _ in range(2):
        await script.play(*[-0.3] * 20, *[0.6] * 50)
    assert kinds(sink) == [AlertKind.OPENED, AlertKind.CLOSED] * 2
    assert len({alert.id for alert in sink.alerts}) == 2


async def test_suspicion_alone_raises_nothing(
    registry: Registry, alerter: Alerter, sink: Collected
) -> None:
    script = Script(registry, alerter)
    await script.play(-0.3, -0.3, -0.3, *[0.6] * 20)
    await script.play(*[Reason.NO_SPEECH] * 30)
    await alerter.left(script.session)
    assert sink.alerts == []


@pytest.mark.parametrize("reason", [Reason.NO_SPEECH, Reason.ENGINE_DOWN])
async def test_an_episode_survives_a_time_without_verdict(
    registry: Registry, alerter: Alerter, sink: Collected, reason: Reason
) -> None:
    script = Script(registry, alerter)
    await script.play(*[-0.3] * 10, *[reason] * 30, *[-0.3] * 10)
    assert kinds(sink) == [AlertKind.OPENED]


async def test_staying_away_closes_the_episode(
    registry: Registry, alerter: Alerter, sink: Collected
) -> None:
    script = Script(registry, alerter)
    await script.play(*[-0.3] * 10)
    await alerter.left(script.session)
    await alerter.left(script.session)
    await alerter.sweep(10.0 + ABSENCE_S - 1)
    assert kinds(sink) == [AlertKind.OPENED]
    await alerter.sweep(10.0 + ABSENCE_S)
    await alerter.sweep(10.0 + ABSENCE_S + 1)
    assert kinds(sink) == [AlertKind.OPENED, AlertKind.CLOSED]
    opened, closed = sink.alerts
    assert "left" in closed.summary
    assert closed.duration_s == pytest.approx(opened.duration_s + 65, abs=3)


async def test_a_short_absence_raises_no_second_alert(
    registry: Registry, alerter: Alerter, sink: Collected
) -> None:
    """A publisher that leaves and comes back has a new session: nothing is known of it."""
    first = Script(registry, alerter)
    await first.play(*[-0.3] * 10)
    registry.leave(ALICE)
    await alerter.left(first.session)
    again = Script(registry, alerter, now_s=40.0)
    assert again.session is not first.session
    await again.play(*[-0.3] * 10)
    await alerter.sweep(500.0)
    assert kinds(sink) == [AlertKind.OPENED]
    await again.play(*[0.6] * 60)
    assert kinds(sink) == [AlertKind.OPENED, AlertKind.CLOSED]
    assert sink.alerts[0].id == sink.alerts[1].id


async def test_bouncing_between_mismatch_and_match_is_one_episode(
    registry: Registry, alerter: Alerter, sink: Collected
) -> None:
    script = Script(registry, alerter)
    for _ in range(10):
        await script.play(*[-0.3] * 15, *[0.6] * 25)
    assert script.session.verdict.state is State.MATCH
    assert kinds(sink) == [AlertKind.OPENED]


async def test_stronger_evidence_worsens_an_episode_once(
    registry: Registry, alerter: Alerter, sink: Collected
) -> None:
    session = registry.join(ALICE, 0.0)
    for end_s, level in enumerate([0, 1, 1, 2, 2, 1, 2], start=1):
        state = State.MISMATCH if level else State.SUSPECT
        session.last_end_s = float(end_s)
        session.verdict = Verdict(
            state, -0.3, 1.0, None, 4.5, -3.0, Signal.CHANGE if level == 2 else None, level
        )
        await alerter.observe(session)
    assert kinds(sink) == [AlertKind.OPENED, AlertKind.WORSENED]
    opened, worsened = sink.alerts
    assert (opened.level, worsened.level) == (1, 2)
    assert (worsened.signal, worsened.change, worsened.log_likelihood_ratio) == ("change", -3, 4.5)
    assert "changed in the middle of the call" in worsened.text
    await alerter.close(session, "over")
    assert sink.alerts[-1].level == 2


async def test_an_episode_outlives_the_monitor(
    registry: Registry, alerter: Alerter, sink: Collected
) -> None:
    script = Script(registry, alerter)
    await script.play(*[-0.3] * 10)
    kept = Alert.from_json(json.loads(json.dumps(sink.alerts[0].as_json())))
    for comes_back in (True, False):
        later = Collected()
        heir = Alerter(checkpoint(), LIMITS, [later])
        heir.resume([kept], now_s=5.0)  # a monotonic clock that began anew
        if comes_back:
            again = Script(Registry(Config(), LIMITS), heir, now_s=6.0)
            await again.play(*[-0.3] * 10)
            assert later.alerts == []
            await again.play(*[0.6] * 60)
        else:
            await heir.sweep(5.0 + ABSENCE_S)
        (closed,) = later.alerts
        assert (closed.kind, closed.id) == (AlertKind.CLOSED, kept.id)
        assert closed.suspected_at == kept.suspected_at
        assert kept.duration_s < closed.duration_s < 100


async def test_a_drill_has_an_episode_of_its_own(
    registry: Registry, alerter: Alerter, sink: Collected
) -> None:
    real = Script(registry, alerter)
    drill = Script(Registry(Config(), LIMITS), alerter)
    drill.session.drill = True
    await drill.play(*[-0.3] * 10)
    await real.play(*[-0.3] * 10)
    await alerter.close(drill.session, SUMMARIES["drill"])
    assert [(a.kind, a.drill) for a in sink.alerts] == [
        (AlertKind.OPENED, True),
        (AlertKind.OPENED, False),
        (AlertKind.CLOSED, True),
    ]
    assert "This is a drill" in sink.alerts[0].text
    assert len({alert.id for alert in sink.alerts}) == 2


async def test_participants_do_not_share_episodes(
    registry: Registry, alerter: Alerter, sink: Collected
) -> None:
    await Script(registry, alerter, ALICE).play(*[-0.3] * 10)
    await Script(registry, alerter, BOB).play(*[0.6] * 10)
    assert [alert.participant for alert in sink.alerts] == ["alice"]


async def test_a_broken_sink_does_not_keep_the_alert_from_others(
    registry: Registry, sink: Collected, caplog: pytest.LogCaptureFixture
) -> None:
    alerter = Alerter(checkpoint(), LIMITS, [Broken(), sink])
    await Script(registry, alerter).play(*[-0.3] * 10)
    assert kinds(sink) == [AlertKind.OPENED]
    assert "disk full" in caplog.text


@pytest.mark.parametrize(("trained_on", "demo"), [("synthetic people v1", True), ("vox", False)])
async def test_alerts_of_synthetic_weights_are_marked(
    registry: Registry, sink: Collected, trained_on: str, demo: bool
) -> None:
    alerter = Alerter(checkpoint(trained_on), LIMITS, [sink])
    await Script(registry, alerter).play(*[-0.3] * 10)
    assert sink.alerts[0].demo is demo
