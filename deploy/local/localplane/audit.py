"""Who asked the API server for what: its audit log, one line a request, for the users of the plane.

Bodies are not kept, and the administrator's requests, of which there are many, are not written at all.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from localplane.kube import Object

POLICY = {"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"]}


@dataclass(frozen=True)
class Request:
    """One answered request for an object or a collection; a watch is there twice, once for its start."""

    at: float
    """Seconds since the epoch, when the request came."""
    user: str
    verb: str
    """As RBAC calls it: get, list, watch, create, update, patch, delete."""
    api_version: str
    """E.g. `v1` or `apps/v1`."""
    resource: str
    """With its subresource: `pods`, `deployments/scale`."""
    namespace: str
    name: str
    code: int

    @property
    def writes(self) -> bool:
        return self.verb not in ("get", "list", "watch")


def policy(users: Sequence[str]) -> Object:
    """The API server's audit policy: what these users ask, without bodies, and nothing else."""
    # A rule with an empty list of users would be for everybody.
    rules = [{"level": "Metadata", "users": list(users)}] if users else []
    return {**POLICY, "rules": [*rules, {"level": "None"}]}


def read(log: Path) -> Iterator[Request]:
    """All requests logged so far, in the order of their answers; a line that is being written is left out."""
    with log.open() as lines:
        for line in lines:
            if line.endswith("\n"):
                event = json.loads(line)
                if "objectRef" in event:
                    yield _request(event)


def _request(event: Any) -> Request:
    what = event["objectRef"]
    group = what.get("apiGroup", "")
    return Request(
        at=datetime.fromisoformat(event["requestReceivedTimestamp"]).timestamp(),
        user=event["user"]["username"],
        verb=event["verb"],
        api_version=f"{group}/{what['apiVersion']}" if group else what["apiVersion"],
        resource="/".join(filter(None, (what["resource"], what.get("subresource", "")))),
        namespace=what.get("namespace", ""),
        name=what.get("name", ""),
        code=event.get("responseStatus", {}).get("code", 0),
    )
