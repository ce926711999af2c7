"""The defined sources as servers that can be asked; loads the HTTP stack only when there is one to ask."""

from __future__ import annotations

from collections.abc import Mapping

from rbg_autoscaler.observe.sources import BadSource, MetricsSource, SourceSettings


def build_sources(settings: Mapping[str, SourceSettings]) -> Mapping[str, MetricsSource]:
    """The sources by their keys.

    Raises:
        BadSource: naming the key, the field and the mend.
    """
    # Loads requests and what hangs on it: only those who ask a server pay for it.
    from rbg_autoscaler.observe.prometheus import PrometheusSource

    for key, one in settings.items():
        try:
            one.check()
        except BadSource as error:
            raise BadSource(f"sources.{key}.{error}") from None
    return {key: PrometheusSource(one) for key, one in settings.items()}
