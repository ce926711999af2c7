"""A user's query reads its own namespace or is refused, however it is written."""

from typing import Any

import promql_parser
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rbg_autoscaler.observe.confine import MAX_LENGTH, Unconfinable, confine
from rbg_autoscaler.observe.promql import Matcher

MINE = Matcher("namespace", "=", "mine")


def selectors(text: str) -> list[Any]:
    """Every selector of a query, found by the parser's own walk and not by ours."""
    found: list[Any] = []

    def visit(node: Any) -> None:
        if isinstance(node, promql_parser.VectorSelector):
            found.append(node)
        elif isinstance(node, promql_parser.MatrixSelector):
            found.append(node.vector_selector)

    promql_parser.walk(promql_parser.parse(text), pre_visit=visit)
    return found


def name_of(node: Any) -> str:
    return node.name or next(m.value for m in node.matchers.matchers if m.name == "__name__")


def is_mine(node: Any) -> bool:
    equal = promql_parser.MatchOp.Equal
    return not node.matchers.or_matchers and any(
        m.name == "namespace" and m.op == equal and m.value == "mine" for m in node.matchers.matchers
    )


LABEL_VALUE = st.text(
    st.sampled_from("ab\\\"'`{}=~,|\n é") | st.characters(exclude_categories=("Cs",)), max_size=8
)


@st.composite
def leaf(draw: st.DrawFn) -> str:
    name = draw(st.sampled_from(["up", "vllm:num_requests_waiting", "secret"]))
    label = draw(st.sampled_from(["namespace", "pod", "a"]))
    op = draw(st.sampled_from(["=", "!="]))
    value = draw(LABEL_VALUE).replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
    moved = draw(st.sampled_from(["", " offset 1m", " @ end()", " @ 1.5 offset -2s"]))
    written = f'{name}{{{label}{op}"{value}"}}'
    shape = draw(
        st.sampled_from(["{0}{1}", "rate({0}[2m]{1})", "max_over_time({0}[5m:1m]{1})", "absent({0}{1})"])
    )
    return shape.format(written, moved)


QUERY = st.recursive(
    leaf(),
    lambda inner: st.one_of(
        st.tuples(
            inner, st.sampled_from(["+", "/ on (pod)", "or", "and on ()", "> bool", "unless"]), inner
        ).map(" ".join),
        inner.map("sum by (namespace) ({})".format),
        inner.map("label_replace({}, 'namespace', 'mine', '', '')".format),
        inner.map("topk(3, {})".format),
        inner.map("-({})".format),
        inner.map("max_over_time(({})[10m:30s])".format),
    ),
    max_leaves=4,
)


@given(QUERY)
def test_every_selector_of_a_confined_query_carries_the_namespace(query: str) -> None:
    before = selectors(query)
    confined = confine(query, [MINE])
    after = selectors(confined.promql)
    assert len(after) == len(before) > 0
    assert all(is_mine(node) for node in after)
    # Nothing of what the user asked is lost: it is ANDed.
    for old, new in zip(before, after, strict=True):
        kept = [(m.name, str(m.op), m.value) for m in new.matchers.matchers]
        assert all((m.name, str(m.op), m.value) in kept for m in old.matchers.matchers)
        assert name_of(new) == name_of(old)


@given(
    st.text(max_size=60)
    | QUERY.flatmap(lambda q: st.sampled_from([q[:-1], q + "}", q + " or secret", q + "#"]))
)
def test_any_text_is_confined_or_refused(text: str) -> None:
    try:
        confined = confine(text, [MINE])
    except Unconfinable:
        return
    assert all(is_mine(node) for node in selectors(confined.promql))


@given(st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=20))
def test_no_namespaces_name_breaks_out_of_its_quotes(namespace: str) -> None:
    forced = Matcher("namespace", "=", namespace)
    (node,) = selectors(confine('up{a="b"}', [forced]).promql)
    assert ("namespace", namespace) in [(m.name, m.value) for m in node.matchers.matchers]


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("", "not understood"),
        ("up{", "not understood"),
        ('up{namespace="a" or namespace="b"}', "or"),
        ('{__name__=~"up|secret"}', "name its series"),
        ('{job="x"}', "name its series"),
        ("info(up)", "info"),
        ("up[5m]", "range vector"),
        ("'text'", "string"),
        ("rate(up[2h])", "longer"),
        ("up offset 1d", "longer"),
        ("max_over_time(up[1h:1s])", "steps"),
        ("max_over_time(up[1h:1ms])", "steps"),
        ('up{"a.b"="c"}', "label name"),
        ("sum by (`a.b`) (up)", "label name"),
        ("up + fill(0) up", "fill"),
        ("(" * 60 + "up" + ")" * 60, "deeper"),
        ("up" + " + up" * MAX_LENGTH, "characters"),
    ],
)
def test_what_cannot_be_confined_is_refused_with_what_to_change(query: str, why: str) -> None:
    with pytest.raises(Unconfinable, match=why):
        confine(query, [MINE])


@pytest.mark.parametrize(
    ("query", "is_scalar"),
    [
        ("up", False),
        ("1 + 2", True),
        ("scalar(up) * 2", True),
        ("-(1)", True),
        ("2 * up", False),
        ("vector(1)", False),
    ],
)
def test_scalars_are_told_from_vectors(query: str, is_scalar: bool) -> None:
    assert confine(query, [MINE]).is_scalar is is_scalar


def test_the_selectors_to_ask_ages_of_have_no_ranges_and_no_offsets() -> None:
    confined = confine('rate(a_b{a="b"}[5m] offset 10m) / a_b + a_b', [MINE])
    assert confined.selectors == ('a_b{a="b",namespace="mine"}', 'a_b{namespace="mine"}')
