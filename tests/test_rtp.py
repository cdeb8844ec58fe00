import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.rtp import MAX_DROPOUT, Reception, payload_of


def packet(payload: bytes, first: int = 0x80, extension: bytes = b"") -> bytes:
    return struct.pack("!BBHII", first, 96, 1, 2, 3) + extension + payload


def test_payload_stands_behind_sources_and_extension() -> None:
    sources = bytes(8)
    extension = b"\xbe\xde\x00\x01\x10\xaa\x00\x00"
    assert packet(b"voice")[12:] == payload_of(packet(b"voice"))
    assert payload_of(packet(b"voice", 0x82, sources)) == b"voice"
    assert payload_of(packet(b"voice", 0x92, sources + extension)) == b"voice"


def test_padding_is_taken_off_and_may_be_all_there_is() -> None:
    assert payload_of(packet(b"voice\x00\x00\x03", 0xA0)) == b"voice"
    assert payload_of(packet(b"\x00\x00\x03", 0xA0)) == b""


@pytest.mark.parametrize(
    "data",
    [
        packet(b"")[:11],
        packet(b"abc", 0x8F),
        packet(b"\xbe\xde", 0x90),
        packet(b"\xbe\xde\x00\x09abc", 0x90),
        packet(b"abc\x00", 0xA0),
        packet(b"abc\x09", 0xA0),
    ],
)
def test_a_packet_cut_short_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        payload_of(data)


@given(st.binary(max_size=64))
def test_random_bytes_are_a_payload_or_refused(data: bytes) -> None:
    try:
        payload = payload_of(data)
    except ValueError:
        return
    assert payload in data


@given(st.integers(0, 65_535), st.permutations(range(64)))
def test_numbers_are_extended_in_any_order_across_the_wrap(start: int, order: list[int]) -> None:
    """Whatever overtakes whatever, two packets are as far apart as they were sent."""
    reception = Reception((start + order[0]) & 0xFFFF, 90_000)
    extended = {step: reception.add((start + step) & 0xFFFF, 0, 0.0) for step in order}
    numbers = [number for number in extended.values() if number is not None]
    assert {number - min(numbers) for number in numbers} == set(range(64))
    assert reception.received == 64
    assert reception.reported_highest & 0xFFFF == (start + 63) & 0xFFFF


def test_loss_is_what_never_came() -> None:
    reception = Reception(65_001, 90_000)
    for step in range(2_000):
        if step % 10:
            reception.add((65_000 + step) & 0xFFFF, step * 3_000, step / 30)
    assert reception.lost == 199  # the one before the first that came was never expected
    assert reception.fraction_lost() == (199 * 256) // 1_999
    assert reception.fraction_lost() == 0
    assert reception.reported_highest == (1 << 16) + (65_000 + 1_999 & 0xFFFF)


def test_a_packet_that_comes_twice_is_no_loss() -> None:
    reception = Reception(7, 90_000)
    for sequence in (7, 8, 8, 8, 9):
        reception.add(sequence, 0, 0.0)
    assert reception.lost == -2
    assert reception.fraction_lost() == 0


def test_a_jump_is_a_new_beginning() -> None:
    reception = Reception(100, 48_000)
    reception.add(100, 0, 0.0)
    assert reception.add(100 + MAX_DROPOUT + 1, 960, 0.02) is None
    assert reception.add(100 + MAX_DROPOUT + 2, 1_920, 0.04) is not None
    assert reception.lost == 0
    reception.add(100 + MAX_DROPOUT + 4, 3_840, 0.08)
    assert reception.lost == 1


@given(st.integers(0, 65_535), st.integers(MAX_DROPOUT, 65_535 - MAX_DROPOUT))
def test_numbers_go_up_when_a_sender_restarts_anywhere(start: int, jump: int) -> None:
    reception = Reception(start, 90_000)
    before = reception.add(start, 0, 0.0)
    reception.add((start + jump) & 0xFFFF, 3_000, 0.1)
    after = reception.add((start + jump + 1) & 0xFFFF, 6_000, 0.2)
    assert before is not None
    assert after is not None
    assert before < after <= before + 2 * 65_536
    assert after & 0xFFFF == (start + jump + 1) & 0xFFFF


def test_single_packets_from_elsewhere_change_nothing() -> None:
    reception = Reception(100, 90_000)
    for step in range(50):
        assert reception.add(100 + step, 0, 0.0) is not None
        assert reception.add(20_000 + 7 * step, 0, 0.0) is None
    assert reception.lost == 0
    assert reception.received == 50


@given(
    st.lists(
        st.tuples(
            st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF), st.floats(0, 1e6, allow_nan=False)
        ),
        min_size=1,
    )
)
def test_any_packets_leave_a_report_that_can_be_sent(
    packets: list[tuple[int, int, float]],
) -> None:
    reception = Reception(packets[0][0], 90_000)
    for sequence, timestamp, arrival_s in packets:
        extended = reception.add(sequence, timestamp, arrival_s)
        assert extended is None or extended >= 0
        assert 0 <= reception.fraction_lost() <= 255
        assert -(1 << 23) <= reception.lost < 1 << 23
        assert 0 <= reception.jitter <= 0xFFFFFFFF
        assert 0 <= reception.reported_highest <= 0xFFFFFFFF


def test_jitter_is_the_unevenness_of_arrival() -> None:
    even, uneven = Reception(0, 1_000), Reception(0, 1_000)
    for step in range(400):
        even.add(step, step * 20, step * 0.02)
        uneven.add(step, step * 20, step * 0.02 + (step % 2) * 0.01)
    assert even.jitter <= 1
    assert uneven.jitter == pytest.approx(10, abs=1)
