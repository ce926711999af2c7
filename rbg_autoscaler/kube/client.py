"""The one door to the Kubernetes API: plain paths and dicts in, dicts or typed errors out, always in time.

`KubeApi` is the port the rest of the program knows; `KubernetesApi` stands behind it with the official
client, which is imported when the first request is made.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol
from urllib.parse import urlsplit

from rbg_autoscaler.kube.errors import (
    Conflict,
    Expired,
    Forbidden,
    Invalid,
    KubeError,
    Misconfigured,
    NotFound,
    Throttled,
    Unavailable,
    error_of,
)

__all__ = [
    "APPLY_PATCH",
    "JSON",
    "JSON_PATCH",
    "MERGE_PATCH",
    "Conflict",
    "Expired",
    "Forbidden",
    "Invalid",
    "KubeApi",
    "KubeError",
    "KubernetesApi",
    "Listed",
    "Misconfigured",
    "NotFound",
    "Object",
    "Throttled",
    "Unavailable",
]

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"

PAGE_SIZE = 500
LIST_ATTEMPTS = 4

Object = dict[str, Any]


class Listed(NamedTuple):
    """A whole collection as of `resource_version`; `items` are what `project` made of the objects."""

    items: list[Any]
    resource_version: str


class KubeApi(Protocol):
    """What this program needs of an API server."""

    async def request(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        content_type: str = JSON,
        query: Mapping[str, str] | None = None,
    ) -> Object:
        """One HTTP request; the answer's JSON object. Raises a KubeError, never anything else."""
        ...

    async def close(self) -> None:
        """Gives the connections back; no request may follow."""
        ...

    async def list_all(
        self,
        path: str,
        query: Mapping[str, str] | None = None,
        project: Callable[[Object], Any] | None = None,
    ) -> Listed:
        """All objects of a collection, page by page, so that no page but the present one is kept whole.

        `project` makes the item to keep of each object: 20 000 pods as dicts take some 600 MiB. A page token
        that expired meanwhile begins the list anew.
        """
        keep = project or (lambda obj: obj)
        for _ in range(LIST_ATTEMPTS):
            try:
                return await _list_once(self, path, dict(query or {}), keep)
            except Expired as error:
                expired = error
        raise expired


async def _list_once(api: KubeApi, path: str, query: dict[str, str], keep: Callable[[Object], Any]) -> Listed:
    items: list[Any] = []
    query.setdefault("limit", str(PAGE_SIZE))
    while True:
        page = await api.request("GET", path, query=query)
        items += [keep(obj) for obj in page.get("items") or []]
        metadata = page.get("metadata") or {}
        if not metadata.get("continue"):
            return Listed(items, str(metadata.get("resourceVersion", "")))
        query["continue"] = metadata["continue"]


class KubernetesApi(KubeApi):
    """The API server of a kubeconfig, or of the cluster this process runs in.

    Without `kubeconfig` and `context`: KUBECONFIG if it is set, else the pod's service account if there is
    one (its token is read again every minute), else ~/.kube/config. Every request ends within
    `timeout_seconds`. Belongs to the event loop of its first request.
    """

    def __init__(
        self,
        kubeconfig: Path | None = None,
        context: str | None = None,
        *,
        timeout_seconds: float = 15.0,
        connect_seconds: float = 5.0,
    ) -> None:
        self._kubeconfig = kubeconfig
        self._context = context
        self._timeout_seconds = timeout_seconds
        self._connect_seconds = connect_seconds
        self._client: Any = None
        self._opening = asyncio.Lock()

    async def request(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        content_type: str = JSON,
        query: Mapping[str, str] | None = None,
    ) -> Object:
        """One HTTP request, see KubeApi. A 401 reads the credentials anew and asks once more.

        Nothing else is repeated, but for what HTTP allows: a GET, PUT or DELETE on a kept-alive connection
        that the server closed meanwhile. So a PUT may answer Conflict though its first sending was done.
        """
        client = await self._opened()
        try:
            return await self._send(client, method, path, body, content_type, query)
        except KubeError as error:
            if error.status != 401:
                raise
        await _load_credentials(client.configuration, self._kubeconfig, self._context)
        return await self._send(client, method, path, body, content_type, query)

    async def close(self) -> None:
        """Closes all connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def _send(
        self,
        client: Any,
        method: str,
        path: str,
        body: Any,
        content_type: str,
        query: Mapping[str, str] | None,
    ) -> Object:
        import aiohttp

        timeout = aiohttp.ClientTimeout(total=self._timeout_seconds, connect=self._connect_seconds)
        headers = {"Accept": JSON, "Content-Type": content_type}
        try:
            method, url, headers, _, _ = await client.param_serialize(
                method,
                path,
                query_params=list((query or {}).items()),
                header_params=headers,
                auth_settings=["BearerToken"],
            )
            answer = await client.call_api(method, url, headers, body, _request_timeout=timeout)
            content = await answer.read()
        except TimeoutError as error:
            raise Unavailable(0, "Timeout", f"no answer within {self._timeout_seconds:g} s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise Unavailable(0, "Unreachable", f"{type(error).__name__}: {error}") from error
        return _object_of(answer, content)

    async def _opened(self) -> Any:
        async with self._opening:
            if self._client is None:
                self._client = await _open(self._kubeconfig, self._context)
            return self._client


async def _open(kubeconfig: Path | None, context: str | None) -> Any:
    from kubernetes.aio.client import ApiClient, Configuration

    configuration: Any = Configuration()
    await _load_credentials(configuration, kubeconfig, context)
    # As Go's clients do: proxies of the environment, but none between us and a server on this machine.
    local = urlsplit(configuration.host).hostname in ("localhost", "127.0.0.1", "::1")
    configuration.client_session_kwargs = {"trust_env": not local}
    client: Any = ApiClient(configuration)
    client.user_agent = "rbg-autoscaler"
    return client


async def _load_credentials(configuration: Any, kubeconfig: Path | None, context: str | None) -> None:
    """Reads server and credentials into `configuration`; a new token counts from the next request on."""
    from kubernetes.aio import config as loaders
    from yaml import YAMLError

    config: Any = loaders
    try:
        if _in_cluster(kubeconfig, context):
            config.load_incluster_config(configuration)
        else:
            await config.load_kube_config(
                config_file=None if kubeconfig is None else str(kubeconfig),
                context=context,
                client_configuration=configuration,
                persist_config=False,
            )
    except (config.ConfigException, OSError, ValueError, TypeError, YAMLError) as error:
        # TypeError: the library's answer to an empty file.
        raise Misconfigured(0, "NoKubeconfig", str(error)) from error


def _in_cluster(kubeconfig: Path | None, context: str | None) -> bool:
    asked = kubeconfig is not None or context is not None or "KUBECONFIG" in os.environ
    return not asked and "KUBERNETES_SERVICE_HOST" in os.environ


def _object_of(answer: Any, content: bytes) -> Object:
    """The JSON object of an answer, or the error it means."""
    try:
        parsed = json.loads(content)
    except ValueError:
        parsed = None
    if answer.status < 400:
        if isinstance(parsed, dict):
            return parsed
        raise Unavailable(answer.status, "NotJson", f"the answer is no JSON object: {content[:200]!r}")
    status = parsed if isinstance(parsed, dict) else {}
    message = str(status.get("message") or content[:500].decode(errors="replace").strip())
    reason = str(status.get("reason") or answer.reason or "").replace(" ", "")
    raise error_of(answer.status, reason, message, _retry_after(answer.headers.get("Retry-After")))


def _retry_after(header: str | None) -> float | None:
    """Seconds of a Retry-After header; the form with a date is not used by API servers."""
    return float(header) if header is not None and header.isdigit() else None
