"""One autoscaler's decision as a page of text: first the outcome, then what is wrong, then each role's chain.

Written to be read in a hurry: a number that moved and a stage that held it back stand out, all else is in
its place below. Pure, and never wider than `width`.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from itertools import pairwise

from rbg_autoscaler.act.status import timestamp
from rbg_autoscaler.cli.figures import amount, count, move, seconds
from rbg_autoscaler.cli.output import NONE, Cell, table
from rbg_autoscaler.cli.paint import Paint, plain
from rbg_autoscaler.cli.report import Item
from rbg_autoscaler.decide.decision import Condition, MetricResult, RoleDecision
from rbg_autoscaler.decide.snapshot import Missing

NARROWEST, WIDEST = 80, 120
_GOOD = {"ScalingLimited": "False", "Conflict": "False", "BacklogOnly": "False", "ScaledToZero": "False"}
"""The status of a condition that calls for nothing, where that is not True."""
_METRICS = ("METRIC", "VALUE", "TARGET", "PROPOSED", "REPORTING", "AGE")
_STAGE = 12
_MOVE = 12


def explain_text(item: Item, taken_at: float, width: int = 100, paint: Paint = plain) -> str:
    """The page, ending in a line break."""
    page = _Page(min(max(width, NARROWEST), WIDEST), paint)
    lines = [*page.head(item, taken_at), *page.outcome(item), *page.troubles(item)]
    for role in item.decision.roles:
        lines += ["", *page.role(role)]
    return "".join(f"{line.rstrip()}\n" for line in lines)


class _Page:
    def __init__(self, width: int, paint: Paint) -> None:
        self._width = width
        self._paint = paint

    def head(self, item: Item, taken_at: float) -> Iterator[str]:
        view, spec = item.view, item.view.spec
        yield self._paint(f"RbgAutoscaler {view.key}", "strong") + f", decided at {timestamp(taken_at)}"
        if item.spec_is_readable:
            yield from self._wrapped(
                f"scales RoleBasedGroup {spec.target}: mode {spec.mode}, engine {spec.engine}, "
                f"metrics source {spec.metrics_source}" + (", hpaExact" if spec.hpa_exact else "")
            )

    def outcome(self, item: Item) -> Iterator[str]:
        """A line or two a role: the number, then the reason for it."""
        roles = item.decision.roles
        name = max((len(role.role) for role in roles), default=0)
        if roles:
            yield ""
        for role in roles:
            held = "" if role.limiter is None else f", limited by {role.limiter}"
            first = f"{role.role:<{name}}  {move(role.current, role.granted)}"
            yield self._paint(first, _direction(role)) + f"  ({role.ready} ready{held})"
            yield from self._wrapped(role.message, " " * (name + 2))

    def troubles(self, item: Item) -> Iterator[str]:
        """The conditions that call for something, those that say the same thing together."""
        said: dict[tuple[str, str], list[str]] = {}
        for condition in item.decision.conditions:
            if _is_trouble(condition):
                key = (condition.reason, condition.message)
                said.setdefault(key, []).append(f"{condition.type} {condition.status}")
        if said:
            yield ""
        for (reason, message), types in said.items():
            first, *rest = self._wrapped(f"! {', '.join(types)}: {reason}: {message}", "  ", first="")
            yield from [self._paint(first, "bad"), *rest]

    def role(self, role: RoleDecision) -> Iterator[str]:
        outcome = [f"wanted {role.wanted}", f"granted {role.granted}"]
        proposed = [] if role.proposed is None else [f"proposed {role.proposed}"]
        numbers = [f"current {role.current}", f"ready {role.ready}", *proposed, *outcome]
        yield self._paint(f"role {role.role}", "strong") + f": {', '.join(numbers)}"
        if role.metrics:
            yield from self._metrics(role.metrics)
        yield from self._steps(role)
        if role.conditions:
            told = ", ".join(f"{c.type} {c.status} ({c.reason})" for c in role.conditions)
            yield from self._wrapped(f"conditions: {told}", "    ", first="  ")

    def _metrics(self, metrics: Sequence[MetricResult]) -> Iterator[str]:
        rows = [_metric_cells(metric) for metric in metrics]
        head, *lines = table(_METRICS, rows, self._paint).splitlines()
        yield f"  {head}"
        for metric, line in zip(metrics, lines, strict=True):
            yield f"  {line}"
            yield from self._wrapped(_remark(metric), "      ")

    def _steps(self, role: RoleDecision) -> Iterator[str]:
        heads = (f"{'STAGE':<{_STAGE}}", f"{'REPLICAS':<{_MOVE}}", "REASON")
        yield "  " + "".join(self._paint(head, "strong") for head in heads)
        replicas = [role.current, *(step.replicas for step in role.steps)]
        for step, (before, after) in zip(role.steps, pairwise(replicas), strict=True):
            moved = "" if before == after else "up" if after > before else "down"
            number = self._paint(f"{move(before, after):<{_MOVE}}", moved)
            indent = " " * (2 + _STAGE + _MOVE)
            reason, *message = self._wrapped(f"{step.reason}: {step.message}", indent)
            yield f"  {step.stage:<{_STAGE}}{number}{reason.strip()}"
            yield from message

    def _wrapped(self, text: str, indent: str = "", *, first: str | None = None) -> list[str]:
        """The text within the width; long names are not broken."""
        return textwrap.wrap(
            text,
            self._width,
            initial_indent=indent if first is None else first,
            subsequent_indent=indent,
            break_long_words=False,
            break_on_hyphens=False,
        )


def _direction(role: RoleDecision) -> str:
    if role.blocked:
        return "bad"
    return "strong" if not role.changes else "up" if role.granted > role.current else "down"


def _is_trouble(condition: Condition) -> bool:
    return condition.status != _GOOD.get(condition.type, "True")


def _metric_cells(metric: MetricResult) -> list[Cell]:
    reading, percent = metric.reading, metric.is_percent
    target = Cell(amount(metric.target_milli, percent=percent))
    if isinstance(reading, Missing):
        return [Cell(metric.name), Cell(reading.reason, "bad"), target, *[Cell(NONE)] * 3]
    reporting = f"{reading.reporting} of {reading.expected}" if reading.expected else NONE
    return [
        Cell(metric.name),
        Cell(amount(metric.usage_milli, percent=percent)),
        target,
        Cell(count(metric.proposed)),
        Cell(reporting, "bad" if reading.is_partial else ""),
        Cell(seconds(reading.age_seconds)),
    ]


def _remark(metric: MetricResult) -> str:
    """What the row cannot say: why there is no value or no proposal, and who did not report."""
    if isinstance(metric.reading, Missing):
        return metric.reading.message
    told = [] if metric.proposed is not None else [metric.message]
    if metric.reading.shortfall:
        told.append(f"not reporting: {metric.reading.shortfall}")
    return "; ".join(told)
