import logging

from monitor.logs import FieldFormatter


def line(message: str, **fields: object) -> str:
    record = logging.makeLogRecord({"msg": message, "name": "monitor.x", "levelname": "INFO"})
    vars(record).update(fields)
    return FieldFormatter().format(record).split(" ", 2)[2]


def test_fields_follow_the_message() -> None:
    assert line("joined", call="standup", participant="alice") == (
        "INFO monitor.x: joined call=standup participant=alice"
    )


def test_values_that_are_no_plain_word_are_quoted_and_stay_on_one_line() -> None:
    assert line("left", a="two words", b="x=y", c="", d="x\ny", e='"').endswith(
        r'left a="two words" b="x=y" c="" d="x\ny" e="\""'
    )
