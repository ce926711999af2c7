"""Kubernetes quantities ("16k", "700m", "1Ki", "1e3", 8) as fractions and as integer thousandths.

Thousandths round up and stay within int64, as Kubernetes' MilliValue does, so a positive quantity is never 0.
"""

from __future__ import annotations

import math
import re
from fractions import Fraction

MAX_INT64 = 2**63 - 1
MAX_LENGTH = 40
"""Characters of a quantity's text: no sensible one has more."""

_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}

SUFFIX_PATTERN = r"([numkMGTPE]|[KMGTPE]i|[eE][+-]?[0-9]{1,2})?"
"""The last part of a quantity. A lone E is exa, E with digits an exponent; two digits, so that no text of
a few characters is a number of astronomic size."""

_QUANTITY = re.compile(r"(?P<number>[+-]?([0-9]+\.?[0-9]*|\.[0-9]+))(?P<suffix>" + SUFFIX_PATTERN + ")")


class QuantityError(ValueError):
    """The value is no Kubernetes quantity; the message says why."""


def amount(value: str | int | float) -> Fraction:
    """The quantity as a fraction, as Kubernetes keeps it: whole billionths, away from 0, within int64.

    A float counts as the decimal it is written as.

    Raises:
        QuantityError: not a quantity, or not finite.
    """
    number = _parsed(value)
    if number.denominator > 1 and 10**9 % number.denominator:
        number = Fraction(math.ceil(abs(number) * 10**9), 10**9 if number > 0 else -(10**9))
    return max(Fraction(-MAX_INT64 - 1), min(Fraction(MAX_INT64), number))


def milli(value: str | int | float) -> int:
    """The quantity in thousandths, rounded up and held within int64: "700m" is 700, 8 is 8000.

    Raises:
        QuantityError: not a quantity, or not finite.
    """
    return max(-MAX_INT64 - 1, min(MAX_INT64, math.ceil(amount(value) * 1000)))


def canonical(thousandths: int) -> str:
    """Kubernetes' shortest form without loss: 16_000_000 is "16k", 700 "700m", 1500 "1500m", 0 "0"."""
    if thousandths == 0:
        return "0"
    number, power = thousandths, -3
    while power < 18 and number % 1000 == 0:
        number, power = number // 1000, power + 3
    suffix = next(name for name, exponent in _DECIMAL.items() if exponent == power)
    return f"{number}{suffix}"


def _parsed(value: str | int | float) -> Fraction:
    if isinstance(value, float):
        if not math.isfinite(value):
            raise QuantityError(f"{value} is not finite")
        return Fraction(repr(value))
    if isinstance(value, int):
        return Fraction(value)
    match = _QUANTITY.fullmatch(value) if len(value) <= MAX_LENGTH else None
    if match is None:
        raise QuantityError(
            f'"{value[:MAX_LENGTH]}" is not a quantity such as "8", "700m", "16k", "1Ki" or "1e3"'
        )
    return Fraction(match["number"].rstrip(".")) * _factor(match["suffix"])


def _factor(suffix: str) -> Fraction:
    if suffix in _BINARY:
        return Fraction(2 ** _BINARY[suffix])
    exponent = _DECIMAL[suffix] if suffix in _DECIMAL else int(suffix[1:])
    return Fraction(10) ** exponent
