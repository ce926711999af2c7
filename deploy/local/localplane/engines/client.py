"""A small typed client of the exporter, for the demo and the tests.

A refusal raises with the exporter's own sentence; an exporter that is away raises what `requests` raises.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import requests

from localplane.engines.view import GroupView

TIMEOUT_SECONDS = 5.0


class EnginesError(Exception):
    """The exporter refused: `status` 400 names a bad field, 404 says there is no such group or pod."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class EnginesClient:
    """Talks to one exporter at `url`, e.g. http://127.0.0.1:9400. Not to be shared between threads."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._session = requests.Session()
        self._session.trust_env = False  # a proxy of the machine must not come between

    def healthy(self) -> bool:
        """Whether the exporter is up and knows the cluster's pods."""
        try:
            return self._session.get(f"{self._url}/healthz", timeout=TIMEOUT_SECONDS).ok
        except requests.ConnectionError:
            return False

    def set_load(
        self,
        namespace: str,
        group: str,
        *,
        requests_per_s: float = 0.0,
        schedule: Sequence[tuple[float, float]] = (),
        roles: Mapping[str, Mapping[str, object]] | None = None,
        **load: object,
    ) -> GroupView:
        """Offer a load from now on: a constant rate, or a schedule of (seconds from now, requests/s).

        `roles` maps a role to fields of `RoleSpec`; `load` are further fields of `Load` (engine, version,
        prompt_tokens, output_tokens, prefix_hit_rate, ...).
        """
        body = {
            "requests_per_s": requests_per_s,
            "schedule": [list(point) for point in schedule],
            "roles": {name: dict(role) for name, role in (roles or {}).items()},
            **load,
        }
        return GroupView.from_json(self._call("PUT", f"/load/{namespace}/{group}", body))

    def state(self, namespace: str, group: str) -> GroupView:
        """The group's model as it is now."""
        return GroupView.from_json(self._call("GET", f"/load/{namespace}/{group}"))

    def clear_load(self, namespace: str, group: str) -> None:
        """Offer nothing any more and forget what waits; that nothing was offered is no error."""
        self._delete(f"/load/{namespace}/{group}")

    def set_fault(self, namespace: str, group: str, kind: str, **fault: object) -> None:
        """Put one fault in place of all faults of the group; `fault` are further fields of `Fault`."""
        self.set_faults(namespace, group, [{"kind": kind, **fault}])

    def set_faults(self, namespace: str, group: str, faults: Sequence[Mapping[str, object]]) -> None:
        """Put these faults in place of all faults of the group."""
        self._call("PUT", f"/faults/{namespace}/{group}", {"faults": [dict(fault) for fault in faults]})

    def clear_faults(self, namespace: str, group: str) -> None:
        """End all faults of the group; that it has none is no error."""
        self._delete(f"/faults/{namespace}/{group}")

    def page(self, namespace: str, pod: str) -> str:
        """The text a scrape of the pod gets."""
        answer = self._session.get(f"{self._url}/pods/{namespace}/{pod}", timeout=TIMEOUT_SECONDS)
        if not answer.ok:
            raise EnginesError(answer.status_code, answer.text.strip())
        return answer.text

    def close(self) -> None:
        """Give the connection up."""
        self._session.close()

    def _delete(self, path: str) -> None:
        try:
            self._call("DELETE", path)
        except EnginesError as error:
            if error.status != 404:
                raise

    def _call(self, method: str, path: str, body: object = None) -> Any:
        answer = self._session.request(method, self._url + path, json=body, timeout=TIMEOUT_SECONDS)
        if not answer.ok:
            raise EnginesError(answer.status_code, answer.json()["error"])
        return answer.json()
