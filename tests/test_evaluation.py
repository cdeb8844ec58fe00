import numpy as np
import pytest

from monitor.config import Config
from monitor.evaluation import Step, as_seen, evaluate
from monitor.scorer import Scorer
from monitor.sessions import Registry
from tests.fakes import (
    ALICE,
    BOB,
    LIMITS,
    FakeEngine,
    show,
    talking,
)
from tests.test_cross_talk import said
from training.echo import loudspeaker
from vfd.types import (
    SAMPLE_RATE_HZ,
    Abstention,
    ParticipantKey,
    Reason,
    Score,
)


def test_evaluation_keeps_the_order_of_scores_and_abstentions() -> None:
    registry = Registry(Config(), LIMITS)
    talking(registry, ALICE, 3.0)
    registry.join(ParticipantKey("standup", "silent"), 0.0)
    talking(registry, BOB, 3.0, grey=80)
    snapshots = [s.buffer.snapshot(3.0) for s in registry.sessions()]
    evaluation = evaluate(Scorer(FakeEngine(), 1), snapshots)
    first, second, third = evaluation.steps
    assert evaluation.error is None
    assert isinstance(first.result, Score)
    assert first.result.similarity == pytest.approx(0.6)
    assert first.speech > 0.8
    assert isinstance(second.result, Abstention)
    assert second.result.reason is Reason.NO_AUDIO
    assert isinstance(third.result, Score)
    assert third.result.key == BOB


def test_the_echo_of_somebody_else_in_the_call_has_no_score() -> None:
    other, alice = (said(seed)[: 4 * SAMPLE_RATE_HZ] for seed in (1, 2))
    echo = loudspeaker(other, 0.2, np.random.default_rng(3))
    registry = Registry(Config(), LIMITS)
    elsewhere = ParticipantKey("retro", "carol")
    voices = {BOB: other, ALICE: echo, elsewhere: echo, ParticipantKey("retro", "dan"): alice}
    for key, audio in voices.items():
        session = registry.join(key, 0.0)
        session.buffer.write_audio(0.0, audio)
        show(session.buffer, 0.0, 4.0, 160)
    snapshots = [s.buffer.snapshot(4.0) for s in registry.sessions()]
    steps = evaluate(Scorer(FakeEngine(), 1), snapshots).steps
    assert isinstance(steps[0].result, Score)
    assert isinstance(steps[1].result, Abstention)
    assert steps[1].result.reason is Reason.CROSS_TALK
    assert steps[1].result.speech > 0.4
    assert all(isinstance(step.result, Score) for step in steps[2:])  # another call


def test_lips_that_hardly_move_are_not_held_against_a_voice_that_fits() -> None:
    session = Registry(Config(), LIMITS).join(ALICE, 0.0)
    fits = Score(ALICE, 3.0, LIMITS.match_above, 1)
    assert as_seen(Step(fits, 1.0, 1.0, moved=False), session) == fits
    low = Score(ALICE, 4.0, LIMITS.match_above - 0.01, 1)
    seen = as_seen(Step(low, 0.9, 1.0, moved=False), session)
    assert seen == Abstention(ALICE, 4.0, Reason.SPEAKER_OFF_SCREEN, 0.9, 1.0)
    later = Score(ALICE, 5.0, 0.6, 1)
    assert isinstance(as_seen(Step(later, 0.9, 1.0), session), Abstention)  # high ones, too
    assert as_seen(Step(later, 0.9, 1.0, moved=True), session) == later
