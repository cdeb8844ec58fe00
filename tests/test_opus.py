import ctypes

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor import opus
from monitor.opus import OpusDecoder, OpusError, opus_library, packet_ticks
from tests.fakes import voice
from tests.sounds import OPUS_DELAY, opus_packets, similarity


@pytest.fixture
def decoder() -> OpusDecoder:
    library = opus_library()
    assert library is not None
    return OpusDecoder(library)


@pytest.mark.parametrize("layout", ["mono", "stereo"])
def test_speech_comes_out_as_it_went_in(decoder: OpusDecoder, layout: str) -> None:
    source = voice(4.0)
    packets = opus_packets(source, layout=layout)
    sound = np.concatenate([decoder.decode(packet) for packet in packets])
    correlation = similarity(sound, source, OPUS_DELAY)
    print(f"{layout}: correlation {correlation:.4f}")
    assert correlation > 0.98


@pytest.mark.parametrize("frame_ms", [5, 10, 20, 40, 60])
def test_the_length_of_a_packet_is_read_from_it(decoder: OpusDecoder, frame_ms: int) -> None:
    for packet in opus_packets(voice(1.0), frame_ms=frame_ms)[:-1]:
        assert packet_ticks(packet) == 48 * frame_ms
        assert len(decoder.decode(packet)) == 16 * frame_ms


@given(st.binary(max_size=20))
def test_the_length_agrees_with_the_library(packet: bytes) -> None:
    library = opus_library()
    assert library is not None
    count = library.opus_packet_get_nb_samples(packet, len(packet), 48_000)
    assert packet_ticks(packet) == max(0, count)


@given(st.lists(st.binary(min_size=1, max_size=60), max_size=20))
def test_random_bytes_are_refused_or_played(packets: list[bytes]) -> None:
    library = opus_library()
    assert library is not None
    decoder = OpusDecoder(library)
    for packet in packets:
        try:
            decoder.recover(packet)
            assert len(decoder.decode(packet)) * 3 == packet_ticks(packet)
        except OpusError:
            continue


def test_a_lost_frame_is_recovered_from_the_next_packet(decoder: OpusDecoder) -> None:
    source = voice(4.0)
    packets = opus_packets(source)
    parts, recovered = [], np.zeros(len(packets) * 320, bool)
    for index, packet in enumerate(packets):
        if index % 5 == 4:
            continue
        if index % 5 == 0 and index:
            copy = decoder.recover(packet)
            parts.append(np.zeros(320, np.float32) if copy is None else copy)
            recovered[(index - 1) * 320 : index * 320] = copy is not None
        parts.append(decoder.decode(packet))
    sound = np.concatenate(parts)
    assert recovered.mean() > 0.1  # of 0.2
    correlation = similarity(sound, source, OPUS_DELAY, recovered)
    print(f"recovered frames: {recovered.mean() * 5:.2f}, correlation {correlation:.3f}")
    assert correlation > 0.9


def test_without_error_correction_there_is_nothing_to_recover(decoder: OpusDecoder) -> None:
    packets = opus_packets(voice(1.0), fec=False)
    assert all(decoder.recover(packet) is None for packet in packets)
    assert decoder.recover(b"") is None


def test_concealing_helps_what_follows() -> None:
    source = voice(8.0)
    packets = opus_packets(source, fec=False)
    library = opus_library()
    assert library is not None

    def heard(conceal: bool) -> float:
        decoder = OpusDecoder(library)
        sound = np.zeros(len(packets) * 320, np.float32)
        received = np.zeros(len(sound), bool)
        for index, packet in enumerate(packets):
            if index % 8 == 7:
                if conceal:
                    decoder.conceal()
                continue
            place = slice(index * 320, (index + 1) * 320)
            sound[place], received[place] = decoder.decode(packet), True
        return similarity(sound, source, OPUS_DELAY, received)

    assert heard(conceal=True) > heard(conceal=False) + 0.01


def test_a_library_that_is_another_one_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        opus.ctypes, "CDLL", lambda name: ctypes.PyDLL(None)
    )  # has no such function
    assert opus_library.__wrapped__() is None


def test_a_library_that_plays_something_else_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opus, "_TONE", bytes([0xF8, 0xFF, 0xFE]))  # silence
    assert opus_library.__wrapped__() is None
