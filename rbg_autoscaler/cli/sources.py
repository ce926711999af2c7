"""The Prometheus servers a dry run asks: the controller's own, or one address for every key."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import click

from rbg_autoscaler.cli.inputs import PROMETHEUS_VARIABLE, Inputs
from rbg_autoscaler.cli.problems import BadInput
from rbg_autoscaler.decide.config import DecideConfig
from rbg_autoscaler.observe.servers import build_sources
from rbg_autoscaler.observe.sources import BadSource, MetricsSource, SourceSettings


@dataclass
class Sources:
    """Made when they are first asked for and kept, with their connections, for later rounds."""

    settings: Mapping[str, SourceSettings]
    fallback: SourceSettings | None = None
    """For every key that `settings` lacks; None: such a key is unknown, as it is to the controller."""
    _made: dict[str, MetricsSource] = field(default_factory=dict)

    def of(self, keys: Iterable[str]) -> Mapping[str, MetricsSource]:
        """The sources of these keys, those that exist. Raises BadInput."""
        for key in sorted(set(keys) - self._made.keys()):
            settings = self.settings.get(key, self.fallback)
            if settings is not None:
                try:
                    self._made |= build_sources({key: settings})
                except BadSource as error:
                    raise BadInput(str(error)) from None
        return self._made

    def url(self, key: str) -> str:
        """The address of a source that was made."""
        return self._made[key].settings.url


def sources_of(inputs: Inputs) -> tuple[Sources, DecideConfig]:
    """The sources and the defaults of the decision that the options ask for.

    Raises: BadInput, click.UsageError.
    """
    url = inputs.prometheus_url
    if inputs.config is None:
        url = url or os.environ.get(PROMETHEUS_VARIABLE)
        if not url:
            raise click.UsageError(
                f"which Prometheus? Give --prometheus-url URL (or set {PROMETHEUS_VARIABLE}), "
                "or --config FILE with the controller's settings"
            )
        return Sources({}, _at(url)), DecideConfig()
    # Loads pydantic: only those who give a settings file pay for it.
    from rbg_autoscaler.operate.settings import BadSettings, load_settings

    try:
        settings = load_settings(inputs.config)
    except BadSettings as error:
        raise BadInput(str(error)) from None
    known = settings.sources
    if url:
        address = _at(url).url
        known = {key: replace(source, url=address) for key, source in known.items()}
    return Sources(known), settings.decide


def _at(url: str) -> SourceSettings:
    settings = SourceSettings(url=url)
    try:
        settings.check()
    except BadSource as error:
        raise BadInput(f"--prometheus-url: {str(error).removeprefix('url: ')}") from None
    return settings
