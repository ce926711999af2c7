"""The audit log: whom it writes of, and how its lines are read."""

import json
from pathlib import Path

from localplane import audit

LINE = {
    "requestReceivedTimestamp": "2026-01-01T00:00:01.500000Z",
    "verb": "patch",
    "user": {"username": "rbg-autoscaler"},
    "objectRef": {"apiGroup": "apps", "apiVersion": "v1", "resource": "deployments", "subresource": "scale"},
    "responseStatus": {"code": 409},
}


def test_only_the_named_users_are_written_of() -> None:
    named, others = audit.policy(["a"])["rules"]
    assert (named, others) == ({"level": "Metadata", "users": ["a"]}, {"level": "None"})
    assert audit.policy([])["rules"] == [{"level": "None"}]


def test_a_line_becomes_a_request_and_half_a_line_waits(tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    log.write_text(json.dumps(LINE) + "\n" + json.dumps(LINE)[:50])
    (request,) = audit.read(log)
    assert (request.at, request.verb, request.code) == (1767225601.5, "patch", 409)
    assert (request.api_version, request.resource, request.writes) == ("apps/v1", "deployments/scale", True)


def test_requests_for_no_object_are_left_out(tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    log.write_text(json.dumps({k: v for k, v in LINE.items() if k != "objectRef"}) + "\n")
    assert list(audit.read(log)) == []
