import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes import voice
from tests.listening import CN, CODECS, DTMF, G722, OPUS, PACKET, PCMU, SPEECH, Listener
from tests.sounds import OPUS_DELAY, narrow_packets, opus_packets, similarity
from vfd.types import SAMPLE_RATE_HZ


def test_suppressed_silence_is_received() -> None:
    """As browsers do it: one short packet, then nothing but a renewal every 400 ms."""
    quiet = np.zeros(2 * SAMPLE_RATE_HZ, np.float32)
    source = np.concatenate([voice(2.0), quiet, voice(1.0)])
    listener = Listener()
    sequence, before = 0, 0.0
    for number, payload in enumerate(opus_packets(source, dtx=True)):
        silence_s = CODECS[OPUS].announced_silence_s(payload)
        if not (silence_s and before):
            listener.send(number, payload, sequence=sequence)
            sequence += 1
        before = silence_s
        if number % 50 == 49:
            listener.take((number + 1) / 50)
            assert listener.received[: (number + 1) * PACKET].all()
    assert sequence < 220  # of 250
    assert any(piece.samples is None for piece in listener.pieces)


def test_nothing_for_too_long_is_not_silence() -> None:
    listener = Listener()
    for number in range(50):
        listener.send(number, SPEECH[number])
    for number in range(80, 100):  # 0.6 s later, and no packet is missing
        listener.send(number, SPEECH[number], sequence=number - 30)
    listener.take(2.0)
    assert [listener.heard(number) for number in (49, 50, 79, 80)] == [1, 0, 0, 1]
    listener.send(120, SPEECH[120], sequence=70)  # 0.4 s later
    listener.take(3.0)
    assert listener.heard(110) == 1


def test_comfort_noise_is_silence_until_speech_goes_on() -> None:
    speech = narrow_packets("pcm_mulaw", voice(1.0))
    listener = Listener()
    for number in range(25):
        listener.send(number, speech[number], PCMU)
    listener.send(25, b"\x40", CN)
    listener.take(1.0)
    assert listener.received[: 50 * PACKET].all()  # nobody knows better yet
    listener.take(2.0)
    for number in range(120, 150):
        listener.send(number, speech[number - 120], PCMU, sequence=number - 94)
    listener.take(3.0)
    assert listener.received[: 150 * PACKET - 32].all()  # the filter keeps 2 ms back
    assert not listener.tape[26 * PACKET : 120 * PACKET].any()
    listener.send(150, b"\x40", CN, sequence=56)
    listener.take(9.0)
    assert [listener.heard(n) for n in (151, 299, 301)] == [1, 1, 0]  # for 3 s


def test_a_codec_that_changes_in_the_middle() -> None:
    source = voice(3.0)
    listener = Listener()
    for number, payload in enumerate(narrow_packets("g722", source)[:50]):
        listener.send(number, payload, G722)
    for number, payload in enumerate(narrow_packets("pcm_mulaw", source)[:100]):
        if number >= 50:
            listener.send(number, payload, PCMU)
    for number in range(100, 150):
        listener.send(number, SPEECH[number])
    listener.take(3.0)
    assert listener.received[: 150 * PACKET].all()
    for start, delay in ((0, 22), (50, 0), (100, OPUS_DELAY)):
        part = slice(start * PACKET, (start + 50) * PACKET)
        assert similarity(listener.tape[part], source[part], delay) > 0.9


@given(
    st.lists(st.tuples(st.sampled_from([OPUS, PCMU, CN, DTMF, G722, 99]), st.binary(max_size=40)))
)
def test_random_bytes_do_no_harm(packets: list[tuple[int, bytes]]) -> None:
    listener = Listener()
    for number, (payload_type, payload) in enumerate(packets, 10):  # some claim to be long
        listener.send(number, payload, payload_type)
    listener.take(2.0)
    assert np.isfinite(listener.tape).all()
    assert np.abs(listener.tape).max() <= 1.0
