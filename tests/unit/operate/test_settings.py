"""The configuration file: its defaults, what it refuses and how, and the page made from it."""

from pathlib import Path

import pytest

from rbg_autoscaler.operate.settings import BadSettings, parse_settings
from rbg_autoscaler.operate.settings_page import page

ROOT = Path(__file__).parents[3]
SOURCES = 'sources: {default: {url: "http://127.0.0.1:9090"}}\n'


def test_the_smallest_file_has_all_defaults():
    settings = parse_settings(SOURCES)
    assert settings.sync_period_seconds == 5
    assert settings.decide.tolerance == 0.1
    assert settings.sources["default"].url == "http://127.0.0.1:9090"


def test_every_part_can_be_set():
    text = (
        SOURCES + "syncPeriodSeconds: 15\ndecide: {scaleDownStabilizationSeconds: 60}\nlease: {name: other}\n"
    )
    settings = parse_settings(text + "namespaces: [a, b]\nserver: {host: 0.0.0.0, port: 1}\n")
    assert settings.decide.scale_down_stabilization_seconds == 60
    assert (settings.lease.name, settings.namespaces, settings.server.port) == ("other", ("a", "b"), 1)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("syncPeriod: 5", "syncPeriod: no such setting"),
        ("syncPeriodSeconds: soon", "syncPeriodSeconds: "),
        ("syncPeriodSeconds: 0.5", "syncPeriodSeconds: must be at least 1"),
        ("decide: {tolerence: 1}", "decide.tolerence: no such setting"),
        ("decide: {tolerance: -0.1}", "decide.tolerance: must be at least 0"),
        ("decide: {scaleDownStabilizationSeconds: 4000}", "must be 0 to 3600"),
        ("decide: {exactPeriodSeconds: 0}", "must be above 0"),
        ("sources: {a: {adress: x}}", "sources.a.adress: no such setting"),
        ("sources: {}", "sources: at least one Prometheus"),
        ("lease: {durationSeconds: 5}", "renewDeadlineSeconds < durationSeconds"),
        ("log: {format: xml}", "log.format: must be json or text"),
        ("maxWritesInFlight: 0", "maxWritesInFlight: must be at least 1"),
        ("prunePeriodSeconds: 1", "prunePeriodSeconds: must be at least 10"),
        ("a: [", "is no YAML"),
        ("- a", "the file"),
    ],
)
def test_a_wrong_setting_is_named_with_its_mend(text, says):
    own = "" if text.startswith(("sources", "a:", "- a")) else SOURCES
    with pytest.raises(BadSettings) as refused:
        parse_settings(own + text)
    assert says in str(refused.value)


def test_all_errors_are_told_at_once():
    with pytest.raises(BadSettings) as refused:
        parse_settings(SOURCES + "one: 1\ntwo: 2\n")
    assert "one" in str(refused.value)
    assert "two" in str(refused.value)


def test_the_page_is_the_one_in_docs():
    assert (ROOT / "docs" / "configuration.md").read_text() == page()
