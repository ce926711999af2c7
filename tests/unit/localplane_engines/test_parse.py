"""Requests to the exporter: defaults, and errors that name the field and the mend."""

from __future__ import annotations

import pytest
from localplane.engines.load import Load, RoleSpec
from localplane.engines.parse import BadFieldError, parse_faults, parse_load


def test_an_empty_load_offers_nothing_to_default_roles() -> None:
    load = parse_load({})
    assert load == Load()
    assert load.role("big-prefill") == RoleSpec(kind="prefill")
    assert load.role("decode-a").kind == "decode"
    assert load.role("frontend").kind == "router"
    assert load.role("worker").kind == "aggregated"


def test_a_role_takes_the_kind_its_name_suggests_and_tokens_of_that_kind() -> None:
    roles = parse_load(
        {"roles": {"prefill": {"tokens_per_s": 5}, "decode": {"tokens_per_s": 6}, "x": {}}}
    ).roles
    assert roles["prefill"] == RoleSpec(kind="prefill", prompt_tokens_per_s=5)
    assert roles["decode"] == RoleSpec(kind="decode", generation_tokens_per_s=6)
    assert roles["x"] == RoleSpec(kind="aggregated")


@pytest.mark.parametrize(
    ("body", "path", "mend"),
    [
        ([], "load", "expected a JSON object"),
        ({"rps": 3}, "rps", "unknown field; known are engine, version"),
        ({"requests_per_s": "3"}, "requests_per_s", "expected a number"),
        ({"requests_per_s": True}, "requests_per_s", "expected a number"),
        ({"requests_per_s": float("nan")}, "requests_per_s", "expected a number"),
        ({"requests_per_s": -1}, "requests_per_s", "-1 is outside 0 to 1e+06"),
        ({"prefix_hit_rate": 1.1}, "prefix_hit_rate", "1.1 is outside 0 to 1"),
        ({"engine": "tgi"}, "engine", "'tgi' is none of: vllm, sglang"),
        ({"backend": "tgi"}, "backend", "'tgi' is none of: vllm, sglang"),
        ({"version": "new"}, "version", "write one like 0.11.2"),
        ({"model_name": 7}, "model_name", "expected a text"),
        ({"roles": []}, "roles", "expected a JSON object"),
        ({"roles": {"p": 1}}, "roles.p", "expected a JSON object"),
        ({"roles": {"p": {"kv": 1}}}, "roles.p.kv", "unknown field; known are kind"),
        ({"roles": {"p": {"kind": "p"}}}, "roles.p.kind", "'p' is none of: prefill, decode"),
        ({"roles": {"p": {"kind": 1}}}, "roles.p.kind", "expected a text"),
        ({"roles": {"p": {"dp_ranks": 1.5}}}, "roles.p.dp_ranks", "expected a whole number"),
        ({"roles": {"p": {"export_all_pods": 1}}}, "roles.p.export_all_pods", "expected true or false"),
        (
            {"roles": {"p": {"tokens_per_s": 1, "prompt_tokens_per_s": 1}}},
            "roles.p.tokens_per_s",
            "means prompt_tokens_per_s here",
        ),
        ({"schedule": {}}, "schedule", "expected a list of [seconds, requests per second]"),
        ({"schedule": [[1]]}, "schedule[0]", "expected [seconds, requests per second]"),
        ({"schedule": [[1, 2], [1, 3]]}, "schedule[1][0]", "the times must rise"),
        ({"schedule": [[1, "2"]]}, "schedule[0][1]", "expected a number"),
    ],
)
def test_a_bad_load_names_the_field_and_the_mend(body: object, path: str, mend: str) -> None:
    with pytest.raises(BadFieldError) as caught:
        parse_load(body)
    assert caught.value.path == path
    assert str(caught.value).startswith(f"{path}: ")
    assert mend in str(caught.value)


@pytest.mark.parametrize(
    ("body", "path", "mend"),
    [
        ({}, "kind", "missing; choose one of silent, stale"),
        ({"kind": "dead"}, "kind", "'dead' is none of: silent, stale"),
        ({"kind": "nan", "mode": "503"}, "mode", "'503' is none of: (this kind has none)"),
        ({"kind": "silent", "mode": "mute"}, "mode", "'mute' is none of: 503, hang, close"),
        ({"kind": "nan", "pods": "x"}, "pods", "unknown field; known are kind, mode"),
        ({"kind": "nan", "fraction": 2}, "fraction", "2 is outside 0 to 1"),
        ({"kind": "renamed", "to": "{x}"}, "to", "use {name} for the old name"),
        ({"faults": {}}, "faults", "expected a list of faults"),
        ({"faults": [], "kind": "nan"}, "kind", 'unknown field beside "faults"'),
        ({"faults": [{"kind": "nan"}, {"kind": "no"}]}, "faults[1].kind", "is none of"),
    ],
)
def test_a_bad_fault_names_the_field_and_the_mend(body: object, path: str, mend: str) -> None:
    with pytest.raises(BadFieldError) as caught:
        parse_faults(body)
    assert caught.value.path == path
    assert mend in str(caught.value)


def test_one_fault_needs_no_list() -> None:
    assert parse_faults({"kind": "nan"}) == parse_faults({"faults": [{"kind": "nan"}]})
