"""A user's own PromQL, confined: it can see the autoscaler's namespace and nothing else.

The query is parsed, every selector gets the forced matchers, and the text that is sent is written anew from
the tree, so what another parser might read differently is never sent; what is not understood is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import promql_parser as parser

from rbg_autoscaler.observe.promql import Matcher, quote, selector

MAX_LENGTH = 2000
MAX_DEPTH = 50
MAX_RANGE = timedelta(hours=1)
"""Longest range, subquery and offset: an autoscaler looks at minutes, and a server pays for days."""
MAX_POINTS = 720
"""Most steps of a subquery: an hour at 5 s."""
MIN_STEP = timedelta(seconds=1)

# `info` joins series of its own choice (target_info of any namespace) to its argument.
_REFUSED_FUNCTIONS = frozenset({"info"})
# The parser's enumerations compare but do not hash.
_OPS = (
    (parser.MatchOp.Equal, "="),
    (parser.MatchOp.NotEqual, "!="),
    (parser.MatchOp.Re, "=~"),
    (parser.MatchOp.NotRe, "!~"),
)


class Unconfinable(ValueError):
    """The query is refused; the message says what to change."""


@dataclass(frozen=True)
class Confined:
    """A query that is safe to send."""

    promql: str
    selectors: tuple[str, ...]
    """The selectors it reads, without ranges and offsets: to ask how old their newest samples are."""
    is_scalar: bool


@dataclass
class _Writer:
    """Writes a tree as text; one per query."""

    forced: tuple[Matcher, ...]
    selectors: list[str] = field(default_factory=list)
    depth: int = 0

    def write(self, node: Any) -> str:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise Unconfinable(f"the query nests deeper than {MAX_DEPTH}: simplify it")
        text = self._write(node)
        self.depth -= 1
        return text

    def _write(self, node: Any) -> str:
        match node:
            case parser.VectorSelector():
                return self._selector(node) + _moved(node)
            case parser.MatrixSelector():
                inner = node.vector_selector
                return f"{self._selector(inner)}[{_duration(node.range, 'range')}]{_moved(inner)}"
            case parser.SubqueryExpr():
                return self._subquery(node)
            case parser.NumberLiteral():
                return _number(node.val)
            case parser.StringLiteral():
                return quote(node.val)
        return self._operation(node)

    def _operation(self, node: Any) -> str:
        match node:
            case parser.Call():
                if node.func.name in _REFUSED_FUNCTIONS:
                    raise Unconfinable(f"{node.func.name}() reads series of its own choice: leave it out")
                return f"{node.func.name}({', '.join(self.write(arg) for arg in node.args)})"
            case parser.AggregateExpr():
                return self._aggregation(node)
            case parser.BinaryExpr():
                return f"({self.write(node.lhs)} {node.op}{_matching(node)} {self.write(node.rhs)})"
            case parser.UnaryExpr():
                return f"(-{self.write(node.expr)})"
            case parser.ParenExpr():
                return f"({self.write(node.expr)})"
        raise Unconfinable(f"{type(node).__name__} is not understood here: write the query without it")

    def _selector(self, node: Any) -> str:
        if node.matchers.or_matchers:
            raise Unconfinable("`or` between matchers cannot be confined: use two selectors")
        own = [Matcher(m.name, _op(m.op), m.value) for m in node.matchers.matchers]
        names = [node.name] if node.name else [m.value for m in own if (m.label, m.op) == ("__name__", "=")]
        if len(names) != 1:
            raise Unconfinable("a selector must name its series exactly, not by a regular expression")
        text = selector(names, [*(m for m in own if m.label != "__name__"), *self.forced])
        self.selectors.append(text)
        return text

    def _subquery(self, node: Any) -> str:
        step = node.step or timedelta(minutes=1)
        if step < MIN_STEP or node.range / step > MAX_POINTS:
            raise Unconfinable(f"a subquery may have at most {MAX_POINTS} steps of at least 1s")
        window = f"[{_duration(node.range, 'range')}:{_duration(step, 'step')}]"
        return f"({self.write(node.expr)}){window}{_moved(node)}"

    def _aggregation(self, node: Any) -> str:
        inside = [self.write(node.expr)]
        if node.param is not None:
            inside.insert(0, self.write(node.param))
        return f"{node.op}{_grouping(node.modifier)} ({', '.join(inside)})"


def confine(query: str, forced: Sequence[Matcher]) -> Confined:
    """The query with the forced matchers in every selector.

    Args:
        query: A user's PromQL.
        forced: Matchers of the source and of the autoscaler's namespace; they are ANDed with the query's own.

    Raises:
        Unconfinable: it is too long, is not parsed, gives no number, or contains what cannot be confined.
    """
    if len(query) > MAX_LENGTH:
        raise Unconfinable(f"the query has {len(query)} characters, at most {MAX_LENGTH} are allowed")
    try:
        tree = parser.parse(query)
    except ValueError as error:
        raise Unconfinable(f"the query is not understood: {str(error)[:200]}") from None
    writer = _Writer(tuple(forced))
    try:
        text = writer.write(tree)
    except ValueError as error:
        raise Unconfinable(str(error)) from None
    _verify(text, writer)
    kind = _kind(tree)
    if kind not in ("vector", "scalar"):
        raise Unconfinable(f"the query gives a {kind}: an instant vector or a scalar is needed")
    return Confined(text, tuple(dict.fromkeys(writer.selectors)), kind == "scalar")


def _verify(text: str, writer: _Writer) -> None:
    """The text reads back as selectors that all carry the forced matchers: trust no writer, ours included."""
    again = _Writer(())
    try:
        again.write(parser.parse(text))
    except ValueError as error:
        raise Unconfinable(f"the confined query is not understood: {error}") from None
    if again.selectors != writer.selectors:
        raise Unconfinable("the confined query does not read back as it was written: simplify it")
    ends = ",".join(map(str, writer.forced)) + "}"
    if not all(written.endswith(ends) for written in again.selectors):
        raise Unconfinable("the confined query does not keep to its namespace: simplify it")


def _kind(node: Any) -> str:
    """What the tree gives: vector | scalar | range vector | string."""
    match node:
        case parser.NumberLiteral():
            return "scalar"
        case parser.StringLiteral():
            return "string"
        case parser.MatrixSelector() | parser.SubqueryExpr():
            return "range vector"
        case parser.ParenExpr() | parser.UnaryExpr():
            return _kind(node.expr)
        case parser.BinaryExpr():
            return "scalar" if _kind(node.lhs) == _kind(node.rhs) == "scalar" else "vector"
        case parser.Call():
            return "scalar" if node.func.return_type == parser.ValueType.Scalar else "vector"
    return "vector"


def _op(op: Any) -> str:
    return next(text for known, text in _OPS if known == op)


def _matching(node: Any) -> str:
    """` bool on (a) group_left (b)` of a binary expression."""
    how = node.modifier
    if how is None:
        return ""
    text = " bool" if how.return_bool else ""
    if how.matching is not None:
        word = "on" if how.matching.type == parser.LabelModifierType.Include else "ignoring"
        text += f" {word} ({_labels(how.matching.labels)})"
    if how.card == parser.VectorMatchCardinality.ManyToOne:
        text += f" group_left ({_labels(how.group_labels or ())})"
    elif how.card == parser.VectorMatchCardinality.OneToMany:
        text += f" group_right ({_labels(how.group_labels or ())})"
    if how.fill_values.lhs is not None or how.fill_values.rhs is not None:
        raise Unconfinable("fill() is not understood by every Prometheus: use `or vector(0)` on purpose")
    return text


def _grouping(modifier: Any) -> str:
    if modifier is None:
        return ""
    word = "by" if modifier.type == parser.AggModifierType.By else "without"
    return f" {word} ({_labels(modifier.labels)})"


def _labels(labels: Iterable[str]) -> str:
    # Rendered as a matcher first, which refuses what is no label name.
    return ", ".join(str(Matcher(label, "=", "")).partition("=")[0] for label in labels)


def _moved(node: Any) -> str:
    """` @ end() offset 5m` of a selector or subquery."""
    text = ""
    if node.at is not None:
        kind = node.at.type
        if kind == parser.AtModifierType.Start:
            text += " @ start()"
        elif kind == parser.AtModifierType.End:
            text += " @ end()"
        else:
            at: datetime = node.at.at
            text += f" @ {at.timestamp():.3f}"
    if node.offset:
        sign = "-" if node.offset < timedelta(0) else ""
        text += f" offset {sign}{_duration(abs(node.offset), 'offset')}"
    return text


def _duration(span: timedelta, what: str) -> str:
    if span > MAX_RANGE:
        raise Unconfinable(f"the {what} of {span} is longer than {MAX_RANGE}: shorten it")
    return f"{round(span / timedelta(milliseconds=1))}ms"


def _number(value: float) -> str:
    text = repr(float(value))
    return {"inf": "+Inf", "-inf": "-Inf", "nan": "NaN"}.get(text, text)
