"""Numbers, colours and the columns of tables."""

import io

import pytest

from rbg_autoscaler.cli.figures import amount, move, seconds
from rbg_autoscaler.cli.output import Cell, table
from rbg_autoscaler.cli.paint import coloured, paint_for, plain


@pytest.mark.parametrize(
    ("milli", "text"),
    [
        (None, "-"),
        (0, "0"),
        (1, "0.001"),
        (437, "0.437"),
        (700, "0.7"),
        (8000, "8"),
        (2345, "2.35"),
        (12_667, "12.7"),
        (4_096_000, "4096"),
        (16_000_000, "16k"),
        (18_342_700, "18.3k"),
        (2_500_000_000, "2.5M"),
    ],
)
def test_amounts_are_short_and_not_rounded_to_nothing(milli, text):
    assert amount(milli) == text


def test_percents_moves_and_ages():
    assert amount(70, percent=True) == "70 %"
    assert (move(3, 5), move(3, 3)) == ("3 -> 5", "3")
    assert (seconds(4.2), seconds(599), seconds(1200)) == ("4 s", "599 s", "20 min")


def test_colours_do_not_shift_columns():
    rows = [[Cell("a"), Cell("12", "up"), Cell("x")], [Cell("bbb"), Cell("1"), Cell("y")]]
    bare = table(("N", "COUNT", "LAST"), rows, plain)
    assert bare == "N     COUNT   LAST\na     12      x\nbbb   1       y\n"
    from click import unstyle

    painted = table(("N", "COUNT", "LAST"), rows, coloured)
    assert painted != bare
    assert unstyle(painted) == bare


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "environment", "paint"),
    [
        (Terminal(), {"TERM": "xterm"}, coloured),
        (Terminal(), {"NO_COLOR": ""}, coloured),
        (Terminal(), {"NO_COLOR": "1"}, plain),
        (Terminal(), {"TERM": "dumb"}, plain),
        (io.StringIO(), {"TERM": "xterm"}, plain),
    ],
)
def test_colours_are_for_terminals_and_not_against_no_color(stream, environment, paint):
    assert paint_for(stream, environment) is paint
