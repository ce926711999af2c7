"""Built queries read back as exactly what they were built from, whatever the labels contain."""

import re

import promql_parser
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rbg_autoscaler.api.types import LabelRequirement
from rbg_autoscaler.observe.promql import Matcher, Unquotable, any_of, quote, re2_quote, requirement, selector

TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=30)
LABEL = st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_]{0,10}", fullmatch=True).filter(lambda name: name != "__name__")
OPS = {"=": "Equal", "!=": "NotEqual"}


def read_back(text: str) -> tuple[str | None, list[tuple[str, str, str]]]:
    node = promql_parser.parse(text)
    assert isinstance(node, promql_parser.VectorSelector)
    assert not node.matchers.or_matchers
    return node.name, [(m.name, str(m.op).removeprefix("MatchOp."), m.value) for m in node.matchers.matchers]


@given(st.lists(st.tuples(LABEL, st.sampled_from(["=", "!="]), TEXT), max_size=5))
def test_a_selector_reads_back_as_the_matchers_it_was_built_from(parts: list[tuple[str, str, str]]) -> None:
    text = selector(["vllm:num_requests_waiting"], [Matcher(*part) for part in parts])
    name, matchers = read_back(text)
    assert name == "vllm:num_requests_waiting"
    assert sorted(matchers) == sorted((label, OPS[op], value) for label, op, value in parts)


KEYWORDS = [
    "by",
    "IGNORING",
    "sum",
    "count_values",
    "Group_Left",
    "or",
    "inf",
    "NaN",
    "offset",
    "bool",
    "atan2",
]


@given(TEXT.filter(bool) | st.sampled_from(KEYWORDS))
def test_any_text_can_be_a_metrics_name(name: str) -> None:
    read, matchers = read_back(selector([name], [Matcher("a", "=", "b")]))
    assert read == name or ("__name__", "Equal", name) in matchers


@given(st.lists(TEXT, min_size=2, max_size=4), TEXT)
def test_alternatives_match_these_values_and_no_other(values: list[str], other: str) -> None:
    matcher = any_of("model", values)
    # RE2 and Python agree on quoted text; Prometheus matches the whole value.
    pattern = re.compile(matcher.value)
    assert all(pattern.fullmatch(value) for value in values)
    assert bool(pattern.fullmatch(other)) is (other in values)
    assert read_back(selector(["x_y"], [matcher]))[1] == [("model", "Re", matcher.value)]


@given(TEXT)
def test_a_string_literal_reads_back(text: str) -> None:
    call = promql_parser.parse(f"label_replace(x, {quote('a')}, {quote(text)}, {quote('b')}, {quote('c')})")
    assert isinstance(call, promql_parser.Call)
    assert call.args[2].val == text


def test_regular_expressions_are_quoted() -> None:
    assert re2_quote("a.b|c*(d)[e]{f}^g$h+i?j\\k") == r"a\.b\|c\*\(d\)\[e\]\{f\}\^g\$h\+i\?j\\k"


@pytest.mark.parametrize(
    ("operator", "values", "expected"),
    [
        ("In", ("a",), 'key="a"'),
        ("In", ("a", "b.c"), 'key=~"a|b\\\\.c"'),
        ("NotIn", ("a",), 'key!="a"'),
        ("NotIn", ("a", "b"), 'key!~"a|b"'),
        ("Exists", (), 'key!=""'),
        ("DoesNotExist", (), 'key=""'),
    ],
)
def test_kubernetes_selectors_become_matchers(operator: str, values: tuple[str, ...], expected: str) -> None:
    assert str(requirement(LabelRequirement("key", operator, values))) == expected


def test_what_cannot_be_quoted_is_refused() -> None:
    with pytest.raises(Unquotable, match=r"app\.kubernetes\.io/name"):
        str(Matcher("app.kubernetes.io/name", "=", "x"))
    with pytest.raises(Unquotable, match="not valid Unicode"):
        quote("a\ud800")
    with pytest.raises(Unquotable, match="use In, NotIn"):
        requirement(LabelRequirement("key", "Gt", ("1",)))
