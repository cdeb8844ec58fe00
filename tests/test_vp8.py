import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.vp8 import parse_vp8, vp8_keyframe_size
from tests.encoded import encoded

KEY = b"\x50\x01\x00\x9d\x01\x2a\x80\x02\x68\x01"


@pytest.mark.parametrize(
    "descriptor",
    [
        b"\x10",
        b"\x90\x00",
        b"\x90\x80\x12",
        b"\x90\x80\x92\x34",
        b"\x90\xc0\x12\x05",
        b"\x90\xe0\x92\x34\x05\x40",
        b"\x90\x30\x40",
        b"\x90\xf0\x92\x34\x05\x41",
    ],
)
def test_every_descriptor_is_taken_off(descriptor: bytes) -> None:
    assert parse_vp8(descriptor + KEY) == (KEY, True, True)
    delta = b"\x51" + KEY[1:]
    assert parse_vp8(descriptor + delta) == (delta, True, False)
    for size in range(len(descriptor) + 1):
        with pytest.raises(ValueError, match=r"."):
            parse_vp8((descriptor + KEY)[:size])


@pytest.mark.parametrize("first", [0x00, 0x01, 0x11, 0x17])
def test_only_the_first_part_of_the_first_partition_starts_a_frame(first: int) -> None:
    part = parse_vp8(bytes([first]) + KEY)
    assert not part.starts
    assert not part.key


@given(st.binary(max_size=40))
def test_random_bytes_are_a_part_or_refused(data: bytes) -> None:
    try:
        part = parse_vp8(data)
    except ValueError:
        return
    assert data.endswith(part.data)
    assert part.data
    assert part.starts or not part.key


def test_the_header_tells_the_size() -> None:
    frames = encoded("VP8", 96, 64, 3)
    assert vp8_keyframe_size(frames[0]) == (96, 64)
    assert vp8_keyframe_size(frames[1]) is None


@given(st.binary(max_size=40))
def test_a_size_is_read_from_intact_headers_alone(data: bytes) -> None:
    size = vp8_keyframe_size(data)
    if size is not None:
        assert data[3:6] == b"\x9d\x01\x2a"
        assert min(size) > 0
