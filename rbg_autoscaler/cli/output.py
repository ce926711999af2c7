"""A report as text: table, wide, json, yaml. Pure: the same report gives the same bytes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from rbg_autoscaler.cli.figures import amount, count
from rbg_autoscaler.cli.json_form import report_object
from rbg_autoscaler.cli.paint import Paint, plain
from rbg_autoscaler.cli.report import Item, Report
from rbg_autoscaler.decide.decision import MetricResult, RoleDecision
from rbg_autoscaler.decide.snapshot import Missing

FORMS = ("table", "wide", "json", "yaml")
COLUMNS = (
    "NAMESPACE",
    "NAME",
    "ROLE",
    "MODE",
    "CURRENT",
    "READY",
    "PROPOSED",
    "WANTED",
    "GRANTED",
    "LIMITER",
    "REASON",
)
WIDE_COLUMNS = (*COLUMNS, "METRICS", "MESSAGE")
_GAP = "   "
NONE = "-"


class Cell(NamedTuple):
    """A text and the style it is painted in, "" for none."""

    text: str
    style: str = ""


def render(report: Report, form: str, paint: Paint = plain) -> str:
    """The report in one of `FORMS`, ending in a line break."""
    match form:
        case "json":
            return json_text(report_object(report))
        case "yaml":
            return yaml_text(report_object(report))
        case _:
            wide = form == "wide"
            rows = [row for item in report.items for row in _rows(item, wide=wide)]
            return table(WIDE_COLUMNS if wide else COLUMNS, rows, paint)


def json_text(value: dict[str, Any]) -> str:
    """JSON for people and programs."""
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def json_line(value: dict[str, Any]) -> str:
    """JSON on one line, for streams of objects."""
    return json.dumps(value, ensure_ascii=False) + "\n"


def yaml_text(value: dict[str, Any]) -> str:
    """The same object as YAML."""
    import yaml

    return yaml.safe_dump(value, sort_keys=False, width=110, allow_unicode=True)


def table(columns: Sequence[str], rows: Sequence[Sequence[Cell]], paint: Paint) -> str:
    """Left-aligned columns under their heads; the last one as long as it is."""
    heads = [Cell(column, "strong") for column in columns]
    widths = [max(len(row[i].text) for row in [heads, *rows]) for i in range(len(columns))]
    lines = [_line(row, widths, paint) for row in [heads, *rows]]
    return "".join(f"{line}\n" for line in lines)


def _line(row: Sequence[Cell], widths: Sequence[int], paint: Paint) -> str:
    last = len(row) - 1
    padded = [
        paint(cell.text, cell.style) + " " * (0 if i == last else widths[i] - len(cell.text))
        for i, cell in enumerate(row)
    ]
    return _GAP.join(padded).rstrip()


def _rows(item: Item, *, wide: bool) -> list[list[Cell]]:
    view, decision = item.view, item.decision
    head = [Cell(view.key.namespace), Cell(view.key.name)]
    mode = Cell(view.spec.mode.value if item.spec_is_readable else NONE)
    if decision.roles:
        return [[*head, Cell(role.role), mode, *_role(role, wide=wide)] for role in decision.roles]
    refusal = decision.refusal
    reason, message = (refusal.reason, refusal.message) if refusal else (NONE, "")
    cells = [Cell(NONE), mode, *[Cell(NONE)] * 6, Cell(reason, "bad")]
    return [[*head, *cells, *([Cell(NONE), Cell(message)] if wide else [])]]


def _role(role: RoleDecision, *, wide: bool) -> list[Cell]:
    direction = "up" if role.granted > role.current else "down" if role.granted < role.current else ""
    cells = [
        Cell(count(role.current)),
        Cell(count(role.ready)),
        Cell(count(role.proposed)),
        Cell(count(role.wanted)),
        Cell(count(role.granted), direction),
        Cell(NONE if role.limiter is None else role.limiter.value),
        Cell(role.reason, "bad" if role.blocked else ""),
    ]
    if wide:
        cells += [Cell(", ".join(map(_metric, role.metrics)) or NONE), Cell(role.message)]
    return cells


def _metric(metric: MetricResult) -> str:
    target = amount(metric.target_milli, percent=metric.is_percent)
    if isinstance(metric.reading, Missing):
        return f"{metric.name} {NONE}/{target} ({metric.reading.reason})"
    return f"{metric.name} {amount(metric.usage_milli, percent=metric.is_percent)}/{target}"
