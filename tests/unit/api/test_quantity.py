"""Quantities in thousandths: Kubernetes' own examples, then what holds for all of them."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rbg_autoscaler.api.quantity import MAX_INT64, QuantityError, amount, canonical, milli


@pytest.mark.parametrize(
    ("value", "thousandths"),
    [
        ("16k", 16_000_000),
        ("700m", 700),
        ("1Ki", 1_024_000),
        ("1.5Gi", 3 * 2**29 * 1000),
        ("1e3", 1_000_000),
        ("1E3", 1_000_000),
        ("1E", 10**21),
        ("12e-3", 12),
        ("+2", 2_000),
        (".5", 500),
        ("5.", 5_000),
        ("1n", 1),
        ("1001u", 2),
        ("-1n", 0),
        ("-1500u", -1),
        (8, 8_000),
        (0.7, 700),
        (1e-9, 1),
        ("0", 0),
    ],
)
def test_milli(value: str | int | float, thousandths: int) -> None:
    assert milli(value) == min(thousandths, MAX_INT64)


def test_milli_saturates_at_int64() -> None:
    assert milli("1e99") == milli("9.3P") == milli("9223372036854775807") == 2**63 - 1
    assert milli("9223372036854775807m") == 2**63 - 1
    assert milli("-1e99") == -(2**63)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "1 ",
        "eight",
        "1kk",
        "1K",
        "1ki",
        "--1",
        "1e",
        "e3",
        ".",
        "1e100",
        "1e1.5",
        "0x10",
        "1_000",
        "\u0661",
    ],
)
def test_what_is_no_quantity_is_refused_with_the_text(text: str) -> None:
    with pytest.raises(QuantityError, match="is not a quantity") as refused:
        milli(text)
    assert f'"{text}"' in str(refused.value)


def test_a_text_of_astronomic_length_is_refused_at_once() -> None:
    with pytest.raises(QuantityError, match="is not a quantity"):
        milli("9" * 10_000)


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_what_is_not_finite_is_refused(value: float) -> None:
    with pytest.raises(QuantityError, match="not finite"):
        amount(value)


@pytest.mark.parametrize(
    ("thousandths", "text"),
    [(16_000_000, "16k"), (700, "700m"), (1500, "1500m"), (0, "0"), (-2_000_000, "-2k"), (10**21, "1E")],
)
def test_canonical(thousandths: int, text: str) -> None:
    assert canonical(thousandths) == text


def test_an_amount_is_kept_as_kubernetes_keeps_it() -> None:
    assert amount("0.1") == Fraction(1, 10)
    assert amount("1e-99") == amount("0.0000000001") == amount("1n")
    assert amount("1e99") == amount("1e98") == 2**63 - 1
    assert amount(0.1) == Fraction(1, 10)


@given(st.integers(-(2**63), MAX_INT64))
def test_canonical_loses_nothing_and_is_stable(thousandths: int) -> None:
    assert milli(canonical(thousandths)) == thousandths
    assert len(canonical(thousandths)) <= 21


@given(
    st.decimals(min_value=0, max_value=10**6, places=6),
    st.sampled_from(["n", "u", "m", "", "k", "M", "Ki", "Mi", "e3", "E-2", "e+4"]),
)
def test_milli_is_the_least_count_not_below_the_quantity(number: object, suffix: str) -> None:
    text = f"{number:f}{suffix}"
    value = amount(text) * 1000
    assert Fraction(milli(text)) - 1 < value <= milli(text) or milli(text) == MAX_INT64
    assert amount("-" + text) == -amount(text)


@given(st.text(max_size=12) | st.floats() | st.integers())
def test_anything_is_a_number_or_a_quantity_error(value: str | int | float) -> None:
    try:
        result = milli(value)
    except QuantityError:
        return
    assert -(2**63) <= result < 2**63
