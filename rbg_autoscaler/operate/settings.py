"""The controller's one configuration file: every default in one place, each with the reason for it.

Keys in the file are the field names in camelCase; unknown keys and wrong types are refused by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import yaml
from pydantic import ConfigDict, TypeAdapter, ValidationError

from rbg_autoscaler.api.shape import camel
from rbg_autoscaler.decide.config import DecideConfig
from rbg_autoscaler.observe.sources import SourceSettings

_STRICT = ConfigDict(extra="forbid", alias_generator=camel)


class BadSettings(ValueError):
    """The configuration file cannot be used; the message has a line for each field, with its mend."""


@dataclass(frozen=True)
class LeaseSettings:
    """The Lease that decides which replica of the controller acts."""

    __pydantic_config__: ClassVar = _STRICT

    namespace: str = "rbg-autoscaler"
    name: str = "rbg-autoscaler"
    duration_seconds: int = 15
    """How long others wait for a silent leader: with the retry period below, takeover in at most 17 s."""
    renew_deadline_seconds: float = 10
    """A leader that could not renew for this long stops writing: well before others may take over."""
    retry_period_seconds: float = 2
    """Between tries to acquire or renew."""


@dataclass(frozen=True)
class ServerSettings:
    """Where /healthz, /readyz and /metrics are served."""

    __pydantic_config__: ClassVar = _STRICT

    host: str = "127.0.0.1"
    """Loopback unless told otherwise; the shipped deployment sets the pod's address."""
    port: int = 8080
    """0 chooses a free port, which the log names."""


@dataclass(frozen=True)
class LogSettings:
    """Structured logs on standard error."""

    __pydantic_config__: ClassVar = _STRICT

    level: str = "INFO"
    format: str = "json"
    """json (one object a line) or text."""


@dataclass(frozen=True)
class Settings:
    """Everything an administrator may set."""

    __pydantic_config__: ClassVar = _STRICT

    sources: Mapping[str, SourceSettings] = field(default_factory=dict)
    """Prometheus servers by key; an RbgAutoscaler names the key, never an address."""
    sync_period_seconds: float = 5
    """A sync costs a handful of queries whatever the fleet's size, so it can be three times HPA's rate."""
    namespaces: tuple[str, ...] = ()
    """Namespaces served; empty means all."""
    prune_period_seconds: float = 600
    """How often the caches are held against a full list: a watch can lose a deletion for ever."""
    max_writes_in_flight: int = 16
    """Parallel writes to the API server: more gains nothing there and crowds out others."""
    decide: DecideConfig = DecideConfig()
    lease: LeaseSettings = LeaseSettings()
    server: ServerSettings = ServerSettings()
    log: LogSettings = LogSettings()


def parse_settings(text: str) -> Settings:
    """Settings from the YAML text of a configuration file.

    Raises:
        BadSettings: naming every field that is unknown or wrong.
    """
    try:
        data = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        raise BadSettings(f"the configuration file is no YAML: {error}") from None
    try:
        settings = TypeAdapter(Settings).validate_python(data)
    except ValidationError as error:
        raise BadSettings("\n".join(_sentence(item) for item in error.errors())) from None
    _check(settings)
    return settings


def load_settings(path: Path) -> Settings:
    """Settings from a configuration file; raises BadSettings as `parse_settings` does."""
    try:
        return parse_settings(path.read_text())
    except OSError as error:
        raise BadSettings(f"the configuration file {path} cannot be read: {error.strerror}") from None


def _sentence(error: Mapping[str, object]) -> str:
    location = error["loc"]
    path = ".".join(str(part) for part in location) if isinstance(location, tuple) else str(location)
    if error["type"] == "unexpected_keyword_argument":
        return f"{path}: no such setting; remove it or see docs/configuration.md for the name"
    return f"{path or 'the file'}: {error['msg']}, found {error['input']!r}"


def _positive(decide: DecideConfig) -> tuple[float, ...]:
    return (
        decide.scale_up_limit_factor,
        decide.scale_up_limit_minimum,
        decide.legacy_limit_period_seconds,
        decide.exact_period_seconds,
    )


def _check(settings: Settings) -> None:
    lease = settings.lease
    problems = [
        ("syncPeriodSeconds: must be at least 1", settings.sync_period_seconds < 1),
        ("prunePeriodSeconds: must be at least 10", settings.prune_period_seconds < 10),
        ("maxWritesInFlight: must be at least 1", settings.max_writes_in_flight < 1),
        (
            "lease: retryPeriodSeconds < renewDeadlineSeconds < durationSeconds must hold, "
            "or two replicas could act at once",
            not 0 < lease.retry_period_seconds < lease.renew_deadline_seconds < lease.duration_seconds,
        ),
        ("decide.tolerance: must be at least 0 and below 1", not 0 <= settings.decide.tolerance < 1),
        (
            "decide.scaleDownStabilizationSeconds: must be 0 to 3600, as in a behavior",
            not 0 <= settings.decide.scale_down_stabilization_seconds <= 3600,
        ),
        ("decide: periods, factors and minimums must be above 0", min(_positive(settings.decide)) <= 0),
        ("log.format: must be json or text", settings.log.format not in ("json", "text")),
        ("sources: at least one Prometheus must be named, e.g. default: {url: ...}", not settings.sources),
    ]
    broken = [message for message, is_broken in problems if is_broken]
    if broken:
        raise BadSettings("\n".join(broken))
