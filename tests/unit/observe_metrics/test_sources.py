"""A source's settings: what cannot work is refused by the field's name."""

from dataclasses import replace
from typing import Any

import pytest

from rbg_autoscaler.api.shape import camel
from rbg_autoscaler.observe.prometheus import PrometheusSource
from rbg_autoscaler.observe.servers import build_sources
from rbg_autoscaler.observe.sources import BadSource, SourceSettings

GOOD = SourceSettings(url="https://prometheus.monitoring:9090/prefix")


def test_sources_are_built_by_their_keys() -> None:
    built = build_sources({"default": GOOD, "other": replace(GOOD, pod_label="kube_pod")})
    assert list(built) == ["default", "other"]
    assert all(isinstance(source, PrometheusSource) for source in built.values())
    assert built["other"].settings.pod_label == "kube_pod"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"url": ""}, "url: must be"),
        ({"url": "prometheus:9090"}, "url: must be"),
        ({"url": "file:///etc/passwd"}, "url: must be"),
        ({"url": "http://h/api?x=1"}, "url: must be"),
        ({"url": "http://user:secret@h"}, "url: no user or password"),
        ({"key_file": "k"}, "keyFile: needs certFile"),
        ({"max_age_seconds": 0}, "maxAgeSeconds: must be above 0"),
        ({"rate_window_seconds": -1}, "rateWindowSeconds: must be above 0"),
        ({"timeout_seconds": 1.0}, "timeoutSeconds: must be above connectTimeoutSeconds"),
        ({"namespace_label": "kube.ns"}, "namespaceLabel: 'kube.ns' is no Prometheus label name"),
        ({"matchers": {"a-b": "c"}}, "matchers: 'a-b' is no Prometheus label name"),
    ],
)
def test_what_cannot_work_is_refused_by_name(change: dict[str, Any], said: str) -> None:
    with pytest.raises(BadSource) as raised:
        build_sources({"default": replace(GOOD, **change)})
    assert str(raised.value).startswith(f"sources.default.{said}")
    assert "secret" not in str(raised.value)


def test_the_file_spells_settings_in_camel_case() -> None:
    assert camel("statistics_window_seconds") == "statisticsWindowSeconds"
    assert camel("url") == "url"
