"""A small asynchronous Kubernetes client: JSON in and out, watches as streams, every call with a timeout."""

from __future__ import annotations

import base64
import json
import ssl
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import aiohttp
import yaml

from localplane.rbg.names import Obj

JSON = "application/json"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"

_CALL = aiohttp.ClientTimeout(total=15, connect=5)
_WATCH_SECONDS = 240


class ApiError(Exception):
    """The API server's refusal: an HTTP code and its Status message."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


@dataclass(frozen=True)
class Resource:
    """One collection of the API."""

    kind: str
    group_version: str
    plural: str

    def path(self, namespace: str | None = None, name: str | None = None, sub: str | None = None) -> str:
        root = f"/apis/{self.group_version}" if "/" in self.group_version else f"/api/{self.group_version}"
        parts = [root]
        if namespace:
            parts += ["namespaces", namespace]
        parts.append(self.plural)
        if name is not None:
            parts.append(name)
        if sub is not None:
            parts.append(sub)
        return "/".join(parts)


class Client:
    """One session to one API server, from a kubeconfig with a token or a client certificate."""

    def __init__(self, kubeconfig: Path) -> None:
        config = yaml.safe_load(kubeconfig.read_text())
        context = next(c["context"] for c in config["contexts"] if c["name"] == config["current-context"])
        cluster = next(c["cluster"] for c in config["clusters"] if c["name"] == context["cluster"])
        user = next(u["user"] for u in config["users"] if u["name"] == context["user"])
        self._base = str(cluster["server"]).rstrip("/")
        self._ssl = _ssl_context(cluster, user)
        self._headers = {"User-Agent": "rbg-stand-in", "Accept": JSON}
        if "token" in user:
            self._headers["Authorization"] = f"Bearer {user['token']}"
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Client:
        connector = aiohttp.TCPConnector(ssl=self._ssl, limit=48)
        self._session = aiohttp.ClientSession(connector=connector, headers=self._headers, trust_env=False)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def call(
        self, method: str, path: str, body: Any = None, *, content_type: str = JSON, **params: str
    ) -> Obj:
        """One request.

        Raises:
            ApiError: any answer of 400 and above.
            aiohttp.ClientError, TimeoutError: the server was not reached in time.
        """
        code, answer = await self.answer(method, path, body, content_type=content_type, **params)
        if code >= 400:
            raise ApiError(code, str(answer.get("message", "")))
        return answer

    async def answer(
        self, method: str, path: str, body: Any = None, *, content_type: str = JSON, **params: str
    ) -> tuple[int, Obj]:
        """One request: the HTTP code and the JSON body, whatever they are."""
        assert self._session is not None
        data = None if body is None else json.dumps(body)
        headers = {"Content-Type": content_type}
        async with self._session.request(
            method, self._base + path, data=data, params=params, headers=headers, timeout=_CALL
        ) as response:
            return response.status, _parsed(await response.text())

    async def watch(self, path: str, version: str, selector: str) -> AsyncIterator[tuple[str, Obj]]:
        """Events after `version` until the server ends the stream."""
        assert self._session is not None
        params = {
            "watch": "1",
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(_WATCH_SECONDS),
            "labelSelector": selector,
        }
        timeout = aiohttp.ClientTimeout(total=None, connect=5, sock_read=_WATCH_SECONDS + 30)
        async with self._session.get(
            self._base + path, params=params, timeout=timeout, read_bufsize=2**20
        ) as response:
            if response.status >= 400:
                raise ApiError(response.status, str(_parsed(await response.text()).get("message", "")))
            async for line in _lines(response.content):
                event = json.loads(line)
                if event["type"] == "ERROR":
                    raise ApiError(int(event["object"].get("code", 500)), event["object"].get("message", ""))
                yield event["type"], event["object"]


async def _lines(stream: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Lines of any length: readline refuses those above its buffer."""
    rest = b""
    async for chunk in stream.iter_any():
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            if line.strip():
                yield line


def _parsed(text: str) -> Obj:
    try:
        return dict(json.loads(text)) if text else {}
    except ValueError:
        return {"message": text}


def _ssl_context(cluster: Obj, user: Obj) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if "certificate-authority-data" in cluster:
        context = ssl.create_default_context(
            cadata=base64.b64decode(cluster["certificate-authority-data"]).decode()
        )
    elif "certificate-authority" in cluster:
        context = ssl.create_default_context(cafile=cluster["certificate-authority"])
    if cluster.get("insecure-skip-tls-verify"):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if "client-certificate" in user:
        context.load_cert_chain(user["client-certificate"], user["client-key"])
    elif "client-certificate-data" in user:
        with tempfile.NamedTemporaryFile(suffix=".pem") as pem:
            for field in ("client-certificate-data", "client-key-data"):
                pem.write(base64.b64decode(user[field]) + b"\n")
            pem.flush()
            context.load_cert_chain(pem.name)
    return context
