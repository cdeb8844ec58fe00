import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.h264 import START_CODE, Nal, Part, annex_b, first_macroblock, join_units, parse_h264

UNITS = st.lists(
    st.builds(
        lambda kind, body: bytes([0x60 | kind]) + body,
        st.integers(1, 23),
        st.binary(min_size=1, max_size=50),
    ),
    min_size=1,
    max_size=5,
)


def fragments(unit: bytes, size: int) -> list[bytes]:
    """FU-A packets of at most `size` bytes of the unit each (RFC 6184 section 5.8)."""
    body = unit[1:]
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    indicator = unit[0] & 0xE0 | Nal.FU_A
    payloads = []
    for number, piece in enumerate(pieces):
        starts, ends = number == 0, number == len(pieces) - 1
        header = (0x80 if starts else 0) | (0x40 if ends else 0) | unit[0] & 0x1F
        payloads.append(bytes([indicator, header]) + piece)
    return payloads


def aggregate(units: list[bytes]) -> bytes:
    """A STAP-A packet (section 5.7.1)."""
    return bytes([0x78]) + b"".join(len(u).to_bytes(2, "big") + u for u in units)


@given(UNITS)
def test_units_survive_aggregation(units: list[bytes]) -> None:
    assert join_units(parse_h264(aggregate(units))) == units


@given(UNITS, st.integers(1, 20))
def test_units_survive_fragmentation(units: list[bytes], size: int) -> None:
    payloads = [
        payload
        for unit in units
        for payload in ([unit] if len(unit) <= size + 1 else fragments(unit, size))
    ]
    assert join_units(part for p in payloads for part in parse_h264(p)) == units


@given(st.binary(min_size=12, max_size=60), st.data())
def test_a_unit_with_a_missing_fragment_is_torn(body: bytes, data: st.DataObject) -> None:
    payloads = fragments(b"\x65" + body, 4)
    lost = data.draw(st.sampled_from([0, len(payloads) - 1]))
    kept = payloads[:lost] + payloads[lost + 1 :]
    assert join_units(part for p in kept for part in parse_h264(p)) is None


@given(UNITS, st.data())
def test_an_aggregate_cut_short_is_refused(units: list[bytes], data: st.DataObject) -> None:
    payload = aggregate(units)
    whole = {1}
    for unit in units:
        whole.add(max(whole) + 2 + len(unit))
    size = data.draw(st.integers(2, len(payload) - 1).filter(lambda n: n not in whole))
    with pytest.raises(ValueError, match=r"."):
        parse_h264(payload[:size])


@given(st.binary(max_size=60))
def test_random_bytes_are_parts_or_refused(data: bytes) -> None:
    try:
        parts = parse_h264(data)
    except ValueError:
        return
    assert all(part.data for part in parts)
    join_units(parts)


@pytest.mark.parametrize("kind", [0, 25, 26, 27, 29, 30, 31])
def test_what_interleaves_is_not_taken(kind: int) -> None:
    with pytest.raises(ValueError, match="not negotiated"):
        parse_h264(bytes([kind, 1, 2, 3]))


def test_the_first_slice_of_a_picture_is_told() -> None:
    assert first_macroblock(Part(Nal.IDR, b"\x65\x88\x84", True, True))
    assert not first_macroblock(Part(Nal.IDR, b"\x65\x40\x84", True, True))
    assert not first_macroblock(Part(Nal.IDR, b"\x88\x84", False, True))


def test_a_byte_stream_has_start_codes() -> None:
    assert annex_b([b"a", b"b"]) == START_CODE + b"a" + START_CODE + b"b"
