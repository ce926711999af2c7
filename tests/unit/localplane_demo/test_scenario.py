"""The scenario is one that the roles can follow: it fits the cluster, and the manifest is a valid one."""

from __future__ import annotations

import pytest
import yaml
from localplane.demo import scenario
from localplane.demo.observe import quantity
from localplane.demo.stage import the_stage

from rbg_autoscaler.api.parse import parse_autoscaler
from rbg_autoscaler.api.types import Mode
from rbg_autoscaler.operate.settings import parse_settings


def test_the_manifest_is_valid_and_acts_on_the_group():
    spec = parse_autoscaler(scenario.autoscaler())
    assert spec.mode is Mode.AUTO
    assert spec.target == scenario.GROUP
    names = [role.name for role in scenario.ROLES]
    assert all(role.name in names for role in spec.roles)


def test_the_settings_file_is_one_the_controller_takes():
    settings = parse_settings(yaml.safe_dump(scenario.settings("http://127.0.0.1:9090", 8080)))
    assert settings.sources["default"].rate_window_seconds == scenario.RATE_WINDOW_SECONDS


def test_all_roles_at_their_maximum_just_fit_the_cluster():
    stage = the_stage()
    assert (
        sum(actor.high * actor.gpus for actor in stage.actors) == scenario.NODES.count * scenario.NODES.gpus
    )


def test_every_signal_of_the_manifest_is_shown():
    shown = {signal.name for signal in scenario.SIGNALS}
    entries = scenario.autoscaler()["spec"]["roles"]
    assert {metric["signal"] for role in entries for metric in role["metrics"]} <= shown


def test_the_load_rises_holds_and_falls():
    load = scenario.LOAD
    assert load.points[0] == (0.0, 3.0)
    assert load.high == (55.0, 95.0)
    assert [load.phase_at(at).name for at in (0, 10, 60, 100, 999)] == [
        "quiet",
        "rising",
        "high",
        "falling",
        "quiet again",
    ]
    assert load.seconds <= 180


@pytest.mark.parametrize(
    ("given", "number"), [("8", 8.0), (8, 8.0), ("16k", 16000.0), ("700m", 0.7), ("1.5", 1.5)]
)
def test_quantities_are_numbers(given, number):
    assert quantity(given) == pytest.approx(number)
