from rich.console import Console

from monitor.table import SPARKLINE_LENGTH, Row, participants_table, sparkline
from vfd.decision import State


def rendered(*rows: Row, width: int = 140) -> str:
    console = Console(width=width, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    with console.file:
        console.print(participants_table(rows, title="one call", caption="synthetic weights"))
    return console.export_text()


def row(name: str = "alice", state: State = State.MATCH, similarity: float | None = 0.61) -> Row:
    return Row(name, state, similarity, (None, -1.0, 0.0, 1.0), 0.87, 1.0, "no_speech")


def test_a_sparkline_runs_from_low_to_high() -> None:
    assert sparkline([-1.0, -0.5, 0.0, 0.5, 1.0]) == "▁▃▅▇█"
    assert sparkline([0.0, 0.5, 1.0], low=0.0) == "▁▅█"


def test_a_sparkline_clips_and_marks_what_is_missing() -> None:
    assert sparkline([-7.0, None, 7.0]) == "▁·█"
    assert sparkline([]) == ""


def test_a_sparkline_keeps_the_newest() -> None:
    line = sparkline([-1.0] * 50 + [1.0] * 10)
    assert len(line) == SPARKLINE_LENGTH
    assert line.endswith("▁" + "█" * 10)


def test_a_row_shows_everything_that_is_known() -> None:
    text = rendered(row())
    for part in ("alice", "match", "+0.61", "·▁▅█", "87%", "100%", "no_speech", "one call"):
        assert part in text
    assert "synthetic weights" in text


def test_before_the_first_score_there_is_no_number() -> None:
    text = rendered(Row("bob", State.UNKNOWN, None, (), 0.0, 0.0))
    assert "unknown" in text
    assert "+" not in text


def test_the_table_does_not_jump_when_values_change() -> None:
    texts = [rendered(row(state=s, similarity=v)) for s in State for v in (None, 0.1, -1.0)]
    assert len({max(map(len, text.splitlines())) for text in texts}) == 1


def test_a_name_is_not_markup() -> None:
    assert "[red]eve[/red]" in rendered(row(name="[red]eve[/red]"))


def test_a_mismatch_stands_out() -> None:
    table = participants_table([row(state=State.MISMATCH)])
    assert "red" in str(next(iter(table.columns[1].cells)).style)  # type: ignore[union-attr]
