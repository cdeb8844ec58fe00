from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.audio_path import MAX_STREAMS, AudioPath
from monitor.media_clock import MediaClock
from monitor.sound_codecs import sound_decoder
from tests.fakes import voice
from tests.listening import (
    CODECS,
    OPUS,
    PACKET,
    PCMU,
    SEQUENCE,
    SPEECH,
    START_S,
    TIMESTAMP,
    Listener,
    listen,
)
from tests.sounds import OPUS_DELAY, PACKET_S, opus_packets, similarity
from vfd.types import SAMPLE_RATE_HZ, Audio


def bursts(share: float, length: int) -> Callable[[int], bool]:
    rng = np.random.default_rng(7)
    hit = rng.random(len(SPEECH)) < share / length
    lost = np.convolve(hit, np.ones(length))[: len(SPEECH)] > 0
    return lambda number: bool(lost[number])


def test_everything_is_in_its_place() -> None:
    listener = listen(SPEECH)
    assert listener.received[: len(SPEECH) * PACKET].all()
    assert similarity(listener.tape, voice(10.0), OPUS_DELAY) > 0.99
    assert len(listener.pieces) == 10  # one a hop


@pytest.mark.parametrize(("share", "length"), [(0.05, 1), (0.1, 1), (0.2, 1), (0.1, 3)])
@pytest.mark.parametrize("fec", [True, False])
def test_what_was_delivered_is_heard_and_more_through_error_correction(
    share: float, length: int, fec: bool
) -> None:
    source = voice(10.0)
    lost = bursts(share, length)
    listener = listen(SPEECH if fec else opus_packets(source, fec=False), lost)
    span = slice(0, len(SPEECH) * PACKET)
    delivered = np.mean([not lost(n) for n in range(len(SPEECH))])
    coverage = listener.received[span].mean()
    correlation = similarity(listener.tape, source, OPUS_DELAY, listener.received)
    print(
        f"loss {share} in bursts of {length}, fec {fec}: delivered {delivered:.3f}, "
        f"coverage {coverage:.3f}, correlation {correlation:.3f}"
    )
    assert not listener.tape[~listener.received].any()
    assert coverage > delivered + 0.01 if fec else coverage == pytest.approx(delivered)
    assert correlation > (0.95 if fec and share <= 0.1 else 0.85)


@st.composite
def networks(draw: st.DrawFn) -> list[tuple[float, int]]:
    """What a network makes of 150 packets: (arrival in s after the start, number), by arrival."""
    arrivals: list[tuple[float, int]] = [(0.02, 0)]
    for number in range(1, 150):
        fate = draw(st.sampled_from(["fine"] * 12 + ["lost", "late", "twice", "very late"]))
        at = (number + 1) * PACKET_S
        if fate == "lost":
            continue
        late_s = {"late": draw(st.floats(0, 0.1)), "very late": 1.4}.get(fate, 0.0)
        arrivals.append((at + late_s, number))
        if fate == "twice":
            arrivals.append((at + draw(st.floats(0, 0.5)), number))
    return sorted(arrivals)


@settings(max_examples=40)
@given(networks(), st.integers(0, (1 << 32) - 1), st.integers(0, 65_535))
def test_whatever_the_network_does_sound_is_where_it_belongs(
    network: list[tuple[float, int]], timestamp: int, sequence: int
) -> None:
    """Constant levels tell where every sample came from; taken once a second,
    0.15 s after its end."""
    path = AudioPath(CODECS, MediaClock())
    tape = np.full(200 * PACKET, np.nan)
    takes = [1.0, 2.0, 3.0]
    in_time = set[int]()

    def take(end_s: float) -> None:
        for piece in path.take(START_S + end_s):
            at = round((piece.time_s - START_S) * SAMPLE_RATE_HZ)
            assert piece.samples is not None
            tape[at : at + len(piece.samples)] = piece.samples

    for arrival_s, number in network:
        while takes and arrival_s >= takes[0] + 0.15:
            take(takes.pop(0))
        taken = 3 - len(takes)
        heard_since = [n for n in in_time if n * PACKET_S < taken]
        if number > max(heard_since, default=-1) or not taken:
            in_time.add(number)
        path.packet(
            (timestamp + number * 160) % (1 << 32),
            (sequence + number) % 65_536,
            PCMU,
            bytes([0x80 + number % 100]) * 160,
            START_S + arrival_s,
        )
    while takes:
        take(takes.pop(0))
    take(9.0)
    level = _levels()
    for number in range(150):
        middle = tape[number * PACKET + 100 : (number + 1) * PACKET - 100]
        if number in in_time:
            np.testing.assert_allclose(middle, level[number % 100], atol=0.02)
        else:
            assert np.isnan(middle).all()


def _levels() -> Audio:
    decoder = sound_decoder(CODECS[PCMU])
    return np.array([decoder.decode(bytes([0x80 + n]) * 400)[400] for n in range(100)])


def test_a_packet_counts_until_its_time_is_taken() -> None:
    listener = Listener()
    for number in (*range(20), *range(21, 60)):
        listener.send(number, SPEECH[number])
    listener.send(20, SPEECH[20], late_s=0.7)
    listener.take(1.0)
    assert listener.received[: 50 * PACKET].all()
    listener.send(49, SPEECH[49], late_s=0.3)
    assert listener.take(1.0) == []


def test_a_stalled_network_delivers_into_the_past() -> None:
    listener = Listener()
    for number in range(30):
        listener.send(number, SPEECH[number])
    listener.take(1.0)
    for number in range(30, 75):
        listener.send(number, SPEECH[number], late_s=(75 - number) * PACKET_S)
    listener.take(1.5)
    assert listener.received[: 75 * PACKET].all()


def test_thirty_seconds_of_mute() -> None:
    """Senders let timestamps go on during a pause, or go on where they stopped."""
    for goes_on in (True, False):
        listener = Listener()
        for number in range(100):
            listener.send(number, SPEECH[number])
        listener.take(2.0)
        for second in range(3, 33):
            assert listener.take(float(second)) == []
        for number in range(100, 200):
            behind = 0 if goes_on else 1_500
            listener.path.packet(
                (TIMESTAMP + (number + 1_500 - behind) * 960) % (1 << 32),
                (SEQUENCE + number) % 65_536,
                OPUS,
                SPEECH[number],
                START_S + (number + 1_501) * PACKET_S,
            )
        listener.take(34.0)
        assert not listener.received[100 * PACKET : 1_600 * PACKET].any()
        assert listener.received[1_601 * PACKET : 1_700 * PACKET].all()


@pytest.mark.parametrize("announced", [True, False])
def test_another_stream_goes_on_where_the_one_before_ended(announced: bool) -> None:
    """Another SSRC is announced; a restart of the sender shows in its timestamps alone."""
    source = voice(10.0)
    listener = Listener()
    for number in range(75):
        listener.send(number, SPEECH[number])
    listener.take(1.2)
    if announced:
        listener.path.reset()
    for number in range(75, 150):
        arrival_s = START_S + (number + 1) * PACKET_S
        listener.path.packet(number * 960 + 10**9, number, OPUS, SPEECH[number], arrival_s)
    listener.take(3.0)
    missing = 0 if announced else 1  # one stray timestamp proves nothing
    assert listener.received[: 150 * PACKET].sum() == (150 - missing) * PACKET
    assert similarity(listener.tape[: 150 * PACKET], source, OPUS_DELAY, listener.received) > 0.95


def test_a_sender_that_changes_all_the_time_does_not_grow() -> None:
    listener = Listener()
    for number in range(1_000):
        listener.path.reset()
        listener.send(number % 100, SPEECH[number % 100])
    assert len(listener.take(3.0)) <= MAX_STREAMS
    assert listener.take(4.0) == []


def test_clocks_that_drift_are_followed() -> None:
    """A sender 500 ppm slow: 40 ms in 80 s."""
    path = AudioPath(CODECS, MediaClock())
    end_s = 0.0
    for number in range(6_000):
        arrival_s = START_S + (number + 1) * PACKET_S * 1.0005
        path.packet(number * 960, number % 65_536, OPUS, SPEECH[number % 500], arrival_s)
        if number % 50 == 49:
            piece = path.take(arrival_s)[-1]
            end_s = piece.time_s + piece.duration_s
            assert abs(end_s - arrival_s) < 0.05
    assert end_s > START_S + 120


@given(
    st.lists(
        st.tuples(st.integers(0, (1 << 32) - 1), st.integers(0, 65_535), st.floats(0, 100)),
        max_size=50,
    )
)
def test_random_headers_do_no_harm(headers: list[tuple[int, int, float]]) -> None:
    path = AudioPath(CODECS, MediaClock())
    for index, (timestamp, sequence, arrival_s) in enumerate(headers):
        path.packet(timestamp, sequence, OPUS, SPEECH[50], arrival_s)
        if index % 10 == 0:
            assert len(path.take(arrival_s)) <= 20
    assert path.take(200.0) is not None
