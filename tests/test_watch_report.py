from rich.console import Console

from monitor.timeline import Hop
from monitor.watch import Watched
from monitor.watch_report import MAX_BANDS, clock_text, print_report, progress_bar
from tests.fakes import ALICE, BOB
from vfd.decision import State, UnknownReason, Verdict
from vfd.types import Abstention, ParticipantKey, Reason, Score


def hops(count: int, key: ParticipantKey = ALICE) -> list[Hop]:
    """Two states that take turns, so that every hop is a band of its own."""
    low, high = Verdict(State.SUSPECT, 0.0, 0.0), Verdict(State.MATCH, 0.5, 0.0)
    return [
        Hop(Score(key, float(t), 0.5, 1), high if t % 2 else low, 0.8, 1.0, 1.0)
        for t in range(1, count + 1)
    ]


def told(outcome: Watched, note: str = "") -> str:
    console = Console(width=100, force_terminal=False, record=True, quiet=False)
    with console.capture() as capture:
        print_report(console, "call.mp4", outcome, 1.0, note)
    return capture.get()


def test_a_clock_shows_hours_only_where_there_are_any() -> None:
    assert clock_text(0.0) == "0:00"
    assert clock_text(61.9) == "1:01"
    assert clock_text(3_725.0) == "1:02:05"


def test_the_report_names_counts_problems_and_speed() -> None:
    unknown = Verdict(State.UNKNOWN, None, 0.0, UnknownReason.TOO_FEW_WINDOWS)
    missing = Hop(Abstention(ALICE, 4.0, Reason.NO_FACE), unknown, 0.0, 1.0, 0.0)
    outcome = Watched([*hops(3), missing], 4.0, 0.5, problems=["3 broken packets [of many]"])
    text = told(outcome, "Weights of no account.")
    for part in ("call.mp4", "75%", "not scored: no_face", "25%", "+0.500", "3 broken packets [of"):
        assert part in text
    assert "4.0 s of media in 0.5 s: 8.0 times real time" in text
    assert "Weights of no account." in text


def test_everybody_has_tables_of_their_own() -> None:
    both = [hop for pair in zip(hops(4), hops(4, BOB), strict=True) for hop in pair]
    text = told(Watched(both, 4.0, 0.5))
    assert text.count("verdicts over time") == 2
    assert "call.mp4: alice" in text
    assert "call.mp4: bob" in text
    assert text.count("100%") == 2
    assert text.count("0:02 │ 0:03") == 2  # as long as one hop each


def test_nothing_seen_can_be_told() -> None:
    assert "0.0 s of media" in told(Watched())


def test_a_long_recording_shows_its_last_verdicts() -> None:
    text = told(Watched(hops(MAX_BANDS + 25), 65.0, 1.0))
    assert "25 earlier ones are left out" in text
    assert text.count(" suspect ") + text.count(" match ") <= MAX_BANDS + 4


def test_where_there_is_no_terminal_no_bar_is_drawn() -> None:
    console = Console(force_terminal=False)
    with console.capture() as capture, progress_bar(console, "[x].mp4", 3.0) as show:
        show(hops(1)[0], 1.0)
    assert capture.get().strip() == ""


def test_a_terminal_sees_state_and_similarity() -> None:
    console = Console(force_terminal=True, width=100, legacy_windows=False)
    with console.capture() as capture, progress_bar(console, "[x].mp4", 3.0) as show:
        show(hops(1)[0], 1.0)
    text = capture.get()
    assert "[x].mp4" in text


def test_of_several_the_terminal_sees_who_spoke() -> None:
    console = Console(force_terminal=True, width=100, legacy_windows=False)
    verdict = Verdict(State.UNKNOWN, None, 0.0, UnknownReason.TOO_FEW_WINDOWS)
    silent = Hop(Abstention(BOB, 1.0, Reason.NO_SPEECH), verdict, 0.0, 1.0, 1.0)
    with console.capture() as capture, progress_bar(console, "x.mp4", 3.0) as show:
        show(hops(1)[0], 1.0)
        show(silent, 1.0)
    assert "alice" in capture.get()
    assert "bob" not in capture.get()
