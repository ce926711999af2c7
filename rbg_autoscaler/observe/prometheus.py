"""The one adapter over prometheus-api-client: a query in, a complete answer or a typed error out.

Its own requests session has real deadlines, no retries (the loop is the retry), no redirects and nothing
from the environment; an answer with warnings is Partial, since the library would drop them silently.
"""

from __future__ import annotations

import json
import os
import re
import threading
import time
from collections.abc import Mapping
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
import urllib3
from prometheus_api_client import PrometheusConnect
from requests.auth import AuthBase
from urllib3.util.retry import Retry

from rbg_autoscaler.observe.http_deadline import DeadlineAdapter
from rbg_autoscaler.observe.sources import (
    MetricsError,
    MetricsSource,
    Overloaded,
    Partial,
    QueryResult,
    Rejected,
    Row,
    SourceSettings,
    TimedOut,
    Unreachable,
)

__all__ = ["MetricsSource", "PrometheusSource"]

CONNECTIONS = 8
_CHUNK = 1 << 16
_PARSING = threading.Lock()
"""Answers are parsed in turn: side by side they are no sooner ready, and five of 20 000 series at once hold
70 MiB more."""
_SHOWN = 300
"""Characters of a server's words that go into a message."""


class _TokenFile(AuthBase):
    """A bearer token read again whenever its file changes."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._seen: tuple[int, int] | None = None
        self._token = ""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        try:
            stat = os.stat(self._path)
            if (stat.st_mtime_ns, stat.st_ino) != self._seen:
                with open(self._path, encoding="utf-8") as file:
                    self._token = file.read().strip()
                self._seen = (stat.st_mtime_ns, stat.st_ino)
        except (OSError, UnicodeDecodeError) as error:
            raise Rejected(f"bearerTokenFile cannot be read: {type(error).__name__}") from None
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class _Session(requests.Session):
    """Follows no redirect: headers and tokens are for the address that the administrator named."""

    def get_redirect_target(self, resp: requests.Response) -> str | None:  # noqa: ARG002
        return None


class _Connect(PrometheusConnect):  # type: ignore[misc, unused-ignore]
    """prometheus-api-client's connection, asked in a POST body and answered in full.

    The library's own POST puts the query into the URL (too long for a fleet) and returns only the series.
    """

    def post(self, form: Mapping[str, str], timeout: tuple[float, float]) -> requests.Response:
        response: requests.Response = self._session.post(
            f"{self.url.rstrip('/')}/api/v1/query",
            data=form,
            headers=self.headers,
            auth=self.auth,
            timeout=timeout,
            allow_redirects=False,
            stream=True,
        )
        return response


class PrometheusSource:
    """A Prometheus server; safe to ask from several threads.

    Errors carry no address, header or token: they end in conditions that tenants read.
    """

    def __init__(self, settings: SourceSettings) -> None:
        self._settings = settings
        session = _Session()
        # .netrc and proxy variables could replace the Authorization header or send it elsewhere.
        session.trust_env = False
        session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        session.verify = settings.ca_file or True
        if settings.cert_file:
            session.cert = (
                (settings.cert_file, settings.key_file) if settings.key_file else settings.cert_file
            )
        auth = _TokenFile(settings.bearer_token_file) if settings.bearer_token_file else None
        self._connect = _Connect(
            settings.url, headers=dict(settings.headers), session=session, retry=Retry(0), auth=auth
        )
        # After the constructor, which mounts an adapter of its own on the URL.
        session.adapters.clear()
        for scheme in ("http://", "https://"):
            session.mount(scheme, DeadlineAdapter(CONNECTIONS))

    @property
    def settings(self) -> SourceSettings:
        """How its series are labelled and how old they may be."""
        return self._settings

    def query(self, promql: str, timeout_seconds: float | None = None) -> QueryResult:
        """The complete answer to an instant query at the server's present time.

        Raises:
            MetricsError: Unreachable, TimedOut, Overloaded, Rejected or Partial.
        """
        deadline = time.monotonic() + (timeout_seconds or self._settings.timeout_seconds)
        try:
            body = self._fetch(promql, deadline)
            with _PARSING:
                return self._parse(body)
        except MetricsError:
            raise
        except (requests.Timeout, urllib3.exceptions.TimeoutError, TimeoutError) as error:
            if isinstance(error, requests.ConnectTimeout):
                raise Unreachable("no connection to the server in time") from None
            raise TimedOut("the server did not answer in time") from None
        except requests.exceptions.SSLError:
            raise Unreachable("the TLS handshake failed: check caFile, certFile and the host name") from None
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            raise Unreachable(f"the connection failed ({type(error).__name__})") from None

    def _fetch(self, promql: str, deadline: float) -> bytes:
        """The body of a successful answer, whatever its content."""
        left = deadline - time.monotonic()
        connect = min(self._settings.connect_timeout_seconds, left / 2)
        form = {**self._settings.params, "query": promql, "timeout": f"{max(1, int(left * 1000))}ms"}
        with self._connect.post(form, (connect, left - connect)) as response:
            body = self._read(response)
            if response.status_code != 200:
                raise _refusal(response.status_code, body)
            return body

    def _read(self, response: requests.Response) -> bytes:
        """The decoded body, up to the cap."""
        body = bytearray()
        for chunk in response.raw.stream(_CHUNK, decode_content=True):
            body += chunk
            if len(body) > self._settings.max_body_bytes:
                raise Rejected(f"the answer is larger than maxBodyBytes ({self._settings.max_body_bytes})")
        return bytes(body)

    def _parse(self, body: bytes) -> QueryResult:
        answer = _object(body)
        if answer.get("status") != "success":
            raise Rejected(f"the server did not succeed: {str(answer.get('error', ''))[:_SHOWN]}")
        # Thanos and Prometheus warn, VictoriaMetrics sets isPartial; infos only teach good PromQL.
        if answer.get("warnings") or answer.get("isPartial"):
            words = "; ".join(map(str, answer.get("warnings") or ["isPartial"]))
            raise Partial(f"the answer is incomplete: {words[:_SHOWN]}")
        try:
            data = answer["data"]
            return QueryResult(self._rows(data["resultType"], data["result"]))
        except (KeyError, TypeError, ValueError, IndexError):
            raise Rejected("the answer has not the form of a Prometheus query's") from None

    def _rows(self, kind: str, result: Any) -> list[Row]:
        if kind == "scalar":
            return [Row({}, float(result[1]))]
        if kind != "vector":
            raise Rejected(f"the answer is a {str(kind)[:20]}, not a vector or scalar")
        if len(result) > self._settings.max_series:
            raise Rejected(f"the answer has more series than maxSeries ({self._settings.max_series})")
        return [Row(line["metric"], float(line["value"][1])) for line in result]


def _object(body: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(body)
    except ValueError:
        raise Rejected("the answer is no JSON: is this the address of a Prometheus?") from None
    if not isinstance(answer, dict):
        raise Rejected("the answer is no JSON object: is this the address of a Prometheus?")
    return answer


def _refusal(status: int, body: bytes) -> MetricsError:
    """The error of a status other than 200."""
    words = _words(body)
    if 300 <= status < 400:
        return Rejected(f"HTTP {status}: redirects are not followed; set the address it leads to")
    if status in (401, 403):
        return Rejected(f"HTTP {status}: the server does not accept these credentials")
    if status == 429 or (status == 503 and "timed out" not in words):
        return Overloaded(f"HTTP {status}: {words}")
    if status in (408, 503, 504):
        return TimedOut(f"HTTP {status}: {words}")
    if status >= 500:
        return Unreachable(f"HTTP {status}: {words}")
    return Rejected(f"HTTP {status}: {words}")


def _words(body: bytes) -> str:
    """What the server says went wrong, if it says so as Prometheus does."""
    try:
        error = json.loads(body)["error"]
    except (ValueError, KeyError, TypeError):
        return "no further explanation"
    # Label sets name other tenants' pods.
    return re.sub(r"\{[^}]*\}?", "{...}", str(error))[:_SHOWN]
