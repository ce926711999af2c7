"""A transparent Kubernetes client: plain dicts, URL paths, one HTTP request a call.

Paths are those of the API, e.g. `/api/v1/namespaces/serving/pods/p0`; `path()` spells them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import requests
import yaml

Object = dict[str, Any]

MERGE_PATCH = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
STRATEGIC_MERGE_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"

TIMEOUT_SECONDS = 30.0


class KubeError(Exception):
    """The API server refused a request: HTTP `status` and `body`, normally a `v1.Status` object."""

    def __init__(self, status: int, body: Object | str) -> None:
        super().__init__(status, body)
        self.status = status
        self.body = body

    @property
    def reason(self) -> str:
        """The machine-readable reason, e.g. "NotFound"; empty where the answer was no Status object."""
        return str(self.body.get("reason", "")) if isinstance(self.body, dict) else ""

    @property
    def message(self) -> str:
        return str(self.body.get("message", "")) if isinstance(self.body, dict) else self.body

    def __str__(self) -> str:
        return f"HTTP {self.status} {self.reason}: {self.message}"


def path(api_version: str, plural: str, namespace: str | None = None, name: str | None = None) -> str:
    """`path("v1", "pods", "serving", "p0")` is `/api/v1/namespaces/serving/pods/p0`."""
    root = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
    scope = f"/namespaces/{quote(namespace)}" if namespace else ""
    return f"{root}{scope}/{plural}" + (f"/{quote(name)}" if name else "")


class Kube:
    """Talks to the API server of a kubeconfig of the local plane. Not to be shared between threads."""

    def __init__(self, kubeconfig: Path) -> None:
        server, self._session = _session(kubeconfig)
        self.server = server.rstrip("/")

    def get(self, path: str, **params: str) -> Object:
        """One object, or any other JSON answer below this path."""
        return self._call("GET", path, params=params)

    def list(self, path: str, **params: str) -> list[Object]:
        """All objects of a collection; `labelSelector=` and `fieldSelector=` narrow it."""
        items: list[Object] = []
        pages = {"limit": "500", **params}
        while True:
            answer = self._call("GET", path, params=pages)
            items += answer.get("items") or []
            token = answer.get("metadata", {}).get("continue")
            if not token:
                return items
            pages["continue"] = token

    def create(self, path: str, obj: Object, **params: str) -> Object:
        """POST to a collection (or to a subresource such as `pods/p0/binding`)."""
        return self._call("POST", path, obj, params=params)

    def replace(self, path: str, obj: Object, **params: str) -> Object:
        """PUT of a whole object."""
        return self._call("PUT", path, obj, params=params)

    def apply(self, path: str, obj: Object, field_manager: str = "localplane") -> Object:
        """Server-side apply of `obj` to the object's own path, taking fields over from other managers."""
        params = {"fieldManager": field_manager, "force": "true"}
        return self._call("PATCH", path, obj, content_type=APPLY_PATCH, params=params)

    def patch(self, path: str, body: Any, content_type: str = MERGE_PATCH, **params: str) -> Object:
        """PATCH with a merge patch (the default), a `JSON_PATCH` or a `STRATEGIC_MERGE_PATCH`."""
        return self._call("PATCH", path, body, content_type=content_type, params=params)

    def delete(self, path: str, **params: str) -> None:
        """Deletes an object or a collection; that it is gone already is no error."""
        try:
            self._call("DELETE", path, params=params)
        except KubeError as error:
            if error.status != 404:
                raise

    def exists(self, path: str) -> bool:
        try:
            self.get(path)
        except KubeError as error:
            if error.status == 404:
                return False
            raise
        return True

    def text(self, path: str) -> str:
        """A plain-text answer, e.g. of `/readyz`."""
        answer = self._session.get(self.server + path, timeout=TIMEOUT_SECONDS)
        if not answer.ok:
            raise KubeError(answer.status_code, answer.text)
        return answer.text

    def close(self) -> None:
        self._session.close()

    def _call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        content_type: str = "application/json",
        params: dict[str, str] | None = None,
    ) -> Object:
        answer = self._session.request(
            method,
            self.server + path,
            params=params,
            data=None if body is None else json.dumps(body),
            headers={"Content-Type": content_type, "Accept": "application/json"},
            timeout=TIMEOUT_SECONDS,
        )
        try:
            content = answer.json()
        except requests.JSONDecodeError:
            content = answer.text
        if not answer.ok:
            raise KubeError(answer.status_code, content)
        return dict(content)


def _session(kubeconfig: Path) -> tuple[str, requests.Session]:
    """Server URL and a session with the CA file and the token that `access.write_kubeconfig` put there."""
    config = yaml.safe_load(kubeconfig.read_text())
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    session = requests.Session()
    session.trust_env = False  # a proxy or .netrc of the machine must not come between
    session.verify = cluster["certificate-authority"]
    session.headers["Authorization"] = f"Bearer {user['token']}"
    return cluster["server"], session
