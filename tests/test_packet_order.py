import math

from hypothesis import given
from hypothesis import strategies as st

from monitor.packet_order import MAX_WAITING, Due, Gap, PacketOrder, SoundPacket
from monitor.sound_codecs import AudioCodec

OPUS = AudioCodec("opus", 48_000, 2)
TICKS = 960


def packet(number: int, *, sequence: int | None = None, ticks: int = TICKS) -> SoundPacket:
    wrapped = (number if sequence is None else sequence) % 65_536
    return SoundPacket(wrapped, OPUS, ticks, str(number).encode())


def fill(order: PacketOrder, *numbers: int) -> None:
    for number in numbers:
        order.put(number * TICKS, packet(number))


def numbers(dues: list[Due]) -> list[int]:
    return [int(due.packet.payload) for due in dues]


def test_packets_come_out_by_time() -> None:
    order = PacketOrder()
    fill(order, 3, 1, 0, 2)
    dues = order.take(math.inf)
    assert numbers(dues) == [0, 1, 2, 3]
    assert {due.gap for due in dues} == {Gap.NONE}


def test_what_begins_later_waits_for_its_turn() -> None:
    order = PacketOrder()
    fill(order, 0, 1, 2)
    assert numbers(order.take(2 * TICKS)) == [0, 1]
    assert numbers(order.take(2 * TICKS + 1)) == [2]
    assert order.take(math.inf) == []


def test_what_comes_late_or_twice_is_dropped() -> None:
    order = PacketOrder()
    fill(order, 0, 2, 2)
    assert numbers(order.take(math.inf)) == [0, 2]
    fill(order, 1, 2, 3)
    assert numbers(order.take(math.inf)) == [3]


def test_missing_sequence_numbers_tell_loss_from_pause() -> None:
    order = PacketOrder()
    order.put(0, packet(0, sequence=65_535))
    order.put(20 * TICKS, packet(20, sequence=65_536))
    order.put(22 * TICKS, packet(22, sequence=65_538))
    order.put(25 * TICKS, packet(25, sequence=65_537))  # nonsense
    gaps = [(due.gap, due.gap_ticks // TICKS) for due in order.take(math.inf)]
    assert gaps == [(Gap.NONE, 0), (Gap.PAUSE, 19), (Gap.LOSS, 1), (Gap.LOSS, 2)]


def test_packets_that_overlap_have_no_gap() -> None:
    order = PacketOrder()
    order.put(0, packet(0, ticks=5 * TICKS))
    fill(order, 1, 2, 6)
    dues = order.take(math.inf)
    assert [(due.gap, due.gap_ticks) for due in dues] == [(Gap.NONE, 0)] * 3 + [(Gap.LOSS, TICKS)]


def test_what_nobody_takes_does_not_grow() -> None:
    order = PacketOrder()
    fill(order, *range(MAX_WAITING + 50))
    assert numbers(order.take(math.inf)) == list(range(50, MAX_WAITING + 50))


@st.composite
def arrivals(draw: st.DrawFn) -> list[tuple[int, bool]]:
    """Packet numbers in the order of their arrival, some lost, doubled or far too late; True where
    everything up to then is taken."""
    sent = draw(st.lists(st.tuples(st.integers(0, 200), st.booleans()), max_size=120))
    return [*sent, (200, True)]


@given(arrivals(), st.integers(0, 1 << 40))
def test_any_order_comes_out_as_time_does(events: list[tuple[int, bool]], origin: int) -> None:
    """The first copy of every packet that is not too late comes out, once, in order, and with its
    gap the packets tile the time."""
    order = PacketOrder()
    out: list[Due] = []
    expected: set[int] = set()
    newest = -1
    for number, take in events:
        if number > newest:
            expected.add(number)
        order.put(origin + number * TICKS, packet(number))
        if take:
            out += order.take(math.inf)
            newest = max(expected)
    assert numbers(out) == sorted(expected)
    at = out[0].start
    for due in out:
        assert due.start == at + due.gap_ticks == origin + int(due.packet.payload) * TICKS
        assert (due.gap is Gap.NONE) == (due.gap_ticks == 0)
        assert due.gap is not Gap.PAUSE  # a packet missed is a sequence number missed
        at = due.start + due.packet.ticks
