"""An engine's expression as one PromQL query for the whole fleet: values, ages and faults in one answer.

A row is a pod's value, and its label `age` says how many seconds before the server's present time the oldest
sample used was taken; rows with `field="faulty"` name the pods whose series cannot be trusted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rbg_autoscaler.engines.expressions import (
    Expression,
    FirstOf,
    PendingPrompt,
    Ratio,
    Series,
    Total,
    measured,
)
from rbg_autoscaler.observe.promql import Matcher, any_of, by, first_of, quote, selector, tagged

FIELD = "field"
AGE = "age"
FAULTY = "faulty"
_VALID = ">= 0 < +Inf"


@dataclass(frozen=True)
class Scope:
    """Which series a query sees, and the labels that tell its rows apart."""

    matchers: tuple[Matcher, ...]
    keys: tuple[str, ...]
    rate_window: int = 60
    statistics_window: int = 600

    def select(self, names: Sequence[str], where: Sequence[tuple[str, tuple[str, ...]]] = ()) -> str:
        """The series under these names within the scope."""
        return selector(names, [*(any_of(label, values) for label, values in where), *self.matchers])

    def by(self, operator: str, vector: str, *apart: str) -> str:
        """An aggregation down to the scope's keys, and to further labels."""
        return by(operator, dict.fromkeys((*self.keys, *apart)), vector)


def answer(value: str, stamp: str, faulty: str, scope: Scope) -> str:
    """The three parts of an answer as one query.

    `count_values` turns the age into a label, which the value takes over: one row a pod instead of two halves
    what a fleet's answer costs to send and to read.
    """
    keys = ", ".join(scope.keys)
    age = f"count_values by ({keys}) ({quote(AGE)}, time() - {stamp})"
    return f"{value} * on ({keys}) group_left ({AGE}) {age} or {tagged(faulty, FIELD, FAULTY)}"


def signal_query(expression: Expression, scope: Scope) -> str:
    """The query of an expression: per key of the scope its value, its age, and whether it is faulty."""
    return answer(_value(expression, scope), _stamp(expression, scope), _faulty(expression, scope), scope)


def _value(expression: Expression, scope: Scope) -> str:
    match expression:
        case Series():
            return first_of([_measure(expression, name, scope) for name in expression.names])
        case Total():
            return _total(expression, scope)
        case PendingPrompt():
            return _pending(expression, scope)
        case FirstOf():
            return first_of([_value(option, scope) for option in expression.options])


def _measure(series: Series, name: str, scope: Scope) -> str:
    """One name of a series, from all that a pod exports under it to the pod's number."""
    vector = scope.select([name], series.where)
    if series.rate:
        vector = f"rate({vector}[{scope.rate_window}s])"
    if series.copies:
        vector = scope.by("max", vector, *series.apart, *_added(series))
    vector = scope.by(series.shards, vector)
    return vector if series.scale == 1 else f"({vector} * {series.scale!r})"


def _added(series: Series) -> tuple[str, ...]:
    """Labels of which several values are accepted, so that they are added and not taken for copies."""
    return tuple(label for label, values in series.where if len(values) > 1)


def _total(total: Total, scope: Scope) -> str:
    terms = [_value(series, scope) for series in total.required]
    # `x or first * 0`: an optional queue that the pod does not have is 0 where the pod itself reports.
    terms += [f"({_value(series, scope)} or {terms[0]} * 0)" for series in total.optional]
    return terms[0] if len(terms) == 1 else f"({' + '.join(terms)})"


def _pending(pending: PendingPrompt, scope: Scope) -> str:
    waiting = _value(pending.waiting, scope)
    # The comparisons drop 0/0 = NaN (nothing finished in the window) and V0's hit rate of -1 (caching off).
    length = first_of([f"({mean} > 0)" for mean in _means(pending.prompt_tokens, scope)])
    hits = [
        f"({rate} >= 0)"
        for source in pending.hit_rate
        for rate in (_means(source, scope) if isinstance(source, Ratio) else [_value(source, scope)])
    ]
    hit_rate = f"clamp_max({first_of([*hits, f'{waiting} * 0'])}, 1)"
    return f"({waiting} == 0 or {waiting} * {length} * (1 - {hit_rate}))"


def _means(ratio: Ratio, scope: Scope) -> list[str]:
    """The ratio's alternatives, the window's before the lifetime's, new names before old ones."""
    pairs = list(zip(ratio.numerator.names, ratio.denominator.names, strict=True))

    def mean(form: str, numerator: str, denominator: str) -> str:
        above = scope.by("sum", form.format(scope.select([numerator], ratio.numerator.where)))
        below = scope.by("sum", form.format(scope.select([denominator], ratio.denominator.where)))
        return f"{above} / {below}"

    windowed = f"rate({{}}[{scope.statistics_window}s])"
    return [mean(form, *pair) for form in (windowed, "{}") for pair in pairs]


def _stamp(expression: Expression, scope: Scope) -> str:
    """When the oldest sample used was taken. `timestamp()` knows that of plain selectors only."""
    match expression:
        case Series():
            stamps = [f"timestamp({scope.select([name], expression.where)})" for name in expression.names]
            return first_of([scope.by("min", stamp) for stamp in stamps])
        case Total():
            terms = [_stamp(series, scope) for series in expression.required]
            if len(terms) == 1:
                return terms[0]
            union = " or ".join(tagged(term, FIELD, str(index)) for index, term in enumerate(terms))
            return scope.by("min", union)
        case PendingPrompt():
            return _stamp(expression.waiting, scope)
        case FirstOf():
            return first_of([_stamp(option, scope) for option in expression.options])


def _faulty(expression: Expression, scope: Scope) -> str:
    """Pods with more series than can be told apart by the declared labels and are finite and not negative.

    Two scrape jobs of one pod, another cluster's pod of the same name, one engine of two at NaN: all would
    pass unseen through a sum or a maximum.
    """
    groups: dict[tuple[object, ...], list[Series]] = {}
    for series in measured(expression):
        groups.setdefault((series.where, series.apart, series.copies), []).append(series)
    clauses = []
    for members in groups.values():
        first = members[0]
        names = list(dict.fromkeys(name for series in members for name in series.names))
        apart = ("__name__", *first.apart, *first.copies, *_added(first))
        clauses.append(faults(scope.select(names, first.where), scope, *apart))
    return " or ".join(clauses)


def faults(vector: str, scope: Scope, *apart: str) -> str:
    """Keys whose series are not all valid, or (with `apart`) not all told apart by these labels."""
    valid = f"{vector} {_VALID}"
    if apart:
        valid = scope.by("group", valid, *apart)
    return f"{scope.by('count', vector)} > {scope.by('count', valid)}"
