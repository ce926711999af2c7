"""Charts of text as a reader sees them."""

from __future__ import annotations

import pytest
from localplane.demo.chart import area, bar, clock, columns, short


def test_columns_keep_the_largest_value_carry_it_over_gaps_and_leave_the_future_empty():
    points = [(0, 1.0), (1, 3.0), (6, 2.0)]
    assert columns(points, 20, 10) == [3.0, 3.0, 3.0, 2.0, None, None, None, None, None, None]


def test_a_point_beyond_the_end_lands_in_the_last_column():
    assert columns([(0, 1.0), (25, 2.0)], 20, 4) == [1.0, 1.0, 1.0, 2.0]


def test_an_area_is_as_high_as_its_value_and_shows_at_least_a_trace():
    assert area([0.0, 0.01, 4.0, 8.0, 9.0, None], 8) == [" \u2581\u2584\u2588\u2588 "]
    assert area([4.0, 6.0, 8.0], 8, rows=2) == [" \u2584\u2588", "\u2588\u2588\u2588"]


def test_the_middle_of_a_bar_is_the_target():
    assert bar(4.0, 8.0, 8) == ("\u2588\u2588\u00b7\u00b7", "\u00b7\u00b7\u00b7\u00b7")
    assert bar(8.0, 8.0, 8) == ("\u2588" * 4, "\u00b7" * 4)
    assert bar(12.0, 8.0, 8) == ("\u2588" * 4, "\u2588\u2588\u00b7\u00b7")
    assert bar(800.0, 8.0, 8) == ("\u2588" * 4, "\u2588" * 4)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (0.853, "0.85"),
        (8.0, "8"),
        (12.34, "12.3"),
        (840.2, "840"),
        (9000.0, "9000"),
        (12345.0, "12.3k"),
    ],
)
def test_numbers_are_short(value, text):
    assert short(value) == text


def test_clock_times_are_minutes_and_seconds():
    assert [clock(seconds) for seconds in (-0.5, 0, 9.9, 83, 600)] == [
        "0:00",
        "0:00",
        "0:09",
        "1:23",
        "10:00",
    ]
