import numpy as np
import pytest

from monitor import sound_codecs
from monitor.sound_codecs import (
    COMFORT_NOISE_S,
    SUPPRESSED_S,
    AudioCodec,
    SoundError,
    sound_decoder,
)
from tests.fakes import voice
from tests.sounds import OPUS_DELAY, narrow_packets, opus_packets, similarity
from vfd.types import Audio

OPUS = AudioCodec("opus", 48_000, 2)
CN = AudioCodec("CN", 8_000)
G722_DELAY = 22  # its two filters of 24 taps


def decoded(codec: AudioCodec, packets: list[bytes]) -> Audio:
    decoder = sound_decoder(codec)
    return np.concatenate([*map(decoder.decode, packets), decoder.finish()])


@pytest.mark.parametrize(
    ("name", "encoder", "delay"),
    [("PCMU", "pcm_mulaw", 0), ("pcma", "pcm_alaw", 0), ("G722", "g722", G722_DELAY)],
)
def test_narrow_codecs_come_out_at_16_khz_in_their_place(
    name: str, encoder: str, delay: int
) -> None:
    source = voice(4.0)
    codec = AudioCodec(name, 8_000)
    packets = narrow_packets(encoder, source)
    assert codec.supported
    assert {codec.ticks(packet) for packet in packets} == {160}
    sound = decoded(codec, packets)
    assert len(sound) == 64_000
    assert similarity(sound, source, delay) > 0.99


def test_a_run_that_ends_leaves_nothing_for_the_next() -> None:
    source = voice(1.0)
    packets = narrow_packets("pcm_mulaw", source)
    decoder = sound_decoder(AudioCodec("PCMU", 8_000))
    first = np.concatenate([*map(decoder.decode, packets), decoder.finish()])
    second = np.concatenate([*map(decoder.decode, packets), decoder.finish()])
    np.testing.assert_array_equal(first, second)


def test_opus_is_heard_without_libopus_too_but_recovers_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source = voice(4.0)
    packets = opus_packets(source)
    direct = decoded(OPUS, packets)
    monkeypatch.setattr(sound_codecs, "opus_library", lambda: None)
    plain = decoded(OPUS, packets)
    assert len(plain) == len(direct) == 64_000
    assert similarity(plain, source, OPUS_DELAY - 1) > 0.98  # resampling rounds the other way
    decoder = sound_decoder(OPUS)
    assert not any(decoder.recover(packet) is not None for packet in packets)
    decoder.conceal()


def test_broken_packets_are_refused() -> None:
    library = sound_decoder(OPUS)
    for packet in (b"\xff", b"\x0b\x00\x00"):
        with pytest.raises(SoundError):
            library.decode(packet)
        assert library.recover(packet) is None


def test_broken_packets_are_refused_without_libopus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sound_codecs, "opus_library", lambda: None)
    with pytest.raises(SoundError, match="libopus"):
        sound_decoder(OPUS).decode(b"\xff")


@pytest.mark.parametrize(
    ("codec", "supported"),
    [
        (OPUS, True),
        (CN, True),
        (AudioCodec("opus", 16_000), False),
        (AudioCodec("CN", 32_000), False),
        (AudioCodec("PCMU", 8_000, 2), False),
        (AudioCodec("PCMU", 16_000), False),
        (AudioCodec("telephone-event", 8_000), False),
    ],
)
def test_what_is_not_known_is_not_played(codec: AudioCodec, supported: bool) -> None:
    assert codec.supported is supported


def test_senders_that_will_be_silent_say_so() -> None:
    speech = np.concatenate([voice(1.0), np.zeros(16_000, np.float32)])
    short = [p for p in opus_packets(speech, dtx=True) if OPUS.announced_silence_s(p)]
    assert len(short) > 20
    assert {OPUS.announced_silence_s(p) for p in short} == {SUPPRESSED_S}
    assert OPUS.announced_silence_s(opus_packets(voice(0.1))[0]) == 0
    assert CN.announced_silence_s(b"\x40") == COMFORT_NOISE_S
    assert CN.ticks(b"\x40") == 0
