"""Where series come from: Prometheus servers that the administrator defines and names by key.

An RbgAutoscaler only ever says a key, so its author can neither make the controller call an address nor
choose what credentials it sends.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple, Protocol
from urllib.parse import urlsplit

from rbg_autoscaler.api.shape import camel
from rbg_autoscaler.observe.promql import Matcher, Unquotable

_POSITIVE = (
    "timeout_seconds",
    "connect_timeout_seconds",
    "max_age_seconds",
    "rate_window_seconds",
    "statistics_window_seconds",
    "max_body_bytes",
    "max_series",
)


class BadSource(ValueError):
    """A source's settings cannot be used; the message names the field and the mend."""


@dataclass(frozen=True)
class SourceSettings:
    """One Prometheus-compatible server (Prometheus, Thanos, Mimir, VictoriaMetrics)."""

    __pydantic_config__: ClassVar[dict[str, object]] = {"extra": "forbid", "alias_generator": camel}

    url: str = ""
    """Base address, with the path prefix if there is one: /api/v1/query is appended."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Sent with every request, e.g. X-Scope-OrgID for Mimir. Not shown: they may be secret."""
    params: Mapping[str, str] = field(default_factory=dict)
    """Added to every query, e.g. dedup and partial_response for Thanos, nocache for VictoriaMetrics."""
    bearer_token_file: str = ""
    """Read again whenever it changes, as projected service account tokens do."""
    ca_file: str = ""
    """Certificates to trust instead of the system's."""
    cert_file: str = ""
    key_file: str = ""
    timeout_seconds: float = 4.0
    """A query answers within this or is missing: below the sync period of 5 s, so that a server that hangs
    delays a sync and never skips one."""
    connect_timeout_seconds: float = 1.0
    max_age_seconds: float = 45.0
    """Older samples are stale. One lost scrape at 15 s (15 + 15 + a scrape's 10 s) and a healthy scrape at
    30 s are not; Prometheus itself would show the last value for 5 minutes."""
    ready_grace_seconds: float = 30.0
    """An instance is expected to report when it has been ready for this long: discovery and two scrapes."""
    rate_window_seconds: int = 60
    """Window of token rates: four scrapes at 15 s. Raise it where scrapes are rarer than every 30 s."""
    statistics_window_seconds: int = 600
    """Window of the mean prompt length and the prefix hit rate: they change slowly, and a short window is
    empty whenever requests run longer than it."""
    namespace_label: str = "namespace"
    pod_label: str = "pod"
    matchers: Mapping[str, str] = field(default_factory=dict)
    """Labels that every series must have, e.g. cluster=east in a server shared by clusters: without it the
    pods of equally named groups elsewhere count as duplicates."""
    allow_user_queries: bool = False
    """Whether RbgAutoscalers may bring PromQL of their own (always confined to their namespace)."""
    max_body_bytes: int = 64 * 2**20
    """Largest answer read; 10 000 roles of two instances take 6 MB a signal."""
    max_series: int = 200_000

    def forced(self) -> tuple[Matcher, ...]:
        """The matchers of every selector, the namespace's apart."""
        return tuple(Matcher(label, "=", value) for label, value in sorted(self.matchers.items()))

    def check(self) -> None:
        """Refuse what cannot work.

        Raises:
            BadSource: naming the field and the mend.
        """
        parts = urlsplit(self.url)
        problems = [
            ("url: must be http://host[:port][/prefix] or https://...", not _is_base_url(self.url)),
            ("url: no user or password in it; use headers or bearerTokenFile", "@" in parts.netloc),
            ("keyFile: needs certFile", bool(self.key_file) and not self.cert_file),
            *((f"{camel(name)}: must be above 0", getattr(self, name) <= 0) for name in _POSITIVE),
            (
                "timeoutSeconds: must be above connectTimeoutSeconds",
                self.timeout_seconds <= self.connect_timeout_seconds,
            ),
        ]
        for message, is_wrong in problems:
            if is_wrong:
                raise BadSource(message)
        for name in ("namespace_label", "pod_label"):
            _check_label(camel(name), getattr(self, name))
        for label in self.matchers:
            _check_label("matchers", label)


def _is_base_url(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme in ("http", "https") and bool(parts.hostname) and not (parts.query or parts.fragment)


def _check_label(field_name: str, label: str) -> None:
    try:
        str(Matcher(label, "=", ""))
    except Unquotable as error:
        raise BadSource(f"{field_name}: {error}") from None


class Row(NamedTuple):
    """One line of an answer."""

    labels: Mapping[str, str]
    value: float


class QueryResult(NamedTuple):
    """A complete answer to an instant query."""

    rows: list[Row]


class MetricsError(Exception):
    """A query without a complete answer. The next sync asks again; nothing is retried before."""

    reason = "Unreachable"


class Unreachable(MetricsError):
    """No connection, or the server failed before it answered."""


class TimedOut(MetricsError):
    """The answer was not complete in time."""

    reason = "TimedOut"


class Overloaded(MetricsError):
    """The server refuses work for now."""

    reason = "Overloaded"


class Rejected(MetricsError):
    """The server will not answer this query as things are set up: asking again changes nothing."""

    reason = "Rejected"


class Partial(MetricsError):
    """The answer lacks a part (warnings, a store of Thanos down): it may not be acted upon."""

    reason = "Partial"


class MetricsSource(Protocol):
    """A server that answers PromQL; called from several threads."""

    @property
    def settings(self) -> SourceSettings:
        """How its series are labelled and how old they may be."""
        ...

    def query(self, promql: str, timeout_seconds: float | None = None) -> QueryResult:
        """The instant query's complete answer within the time given (default: the source's own).

        Raises:
            MetricsError: one of its kinds.
        """
        ...
