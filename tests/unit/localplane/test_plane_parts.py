"""Parts of the plane that need no running cluster: its folder, its users, its command lines."""

import csv
import ssl
import tempfile
from pathlib import Path

import pytest
import yaml
from localplane import plane, programs
from localplane.access import create_access
from localplane.build import PROGRAMS
from localplane.nodes import NodePool
from localplane.programs import Site
from localplane.stages import stages_file


@pytest.fixture
def site(tmp_path: Path) -> Site:
    binaries = {program.name: Path("/bin") / program.name for program in PROGRAMS}
    return Site(binaries, tmp_path, create_access(tmp_path / "access", ["rbg-autoscaler"]))


def test_folders_of_dead_planes_are_swept_and_those_of_living_ones_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    first, first_claim = plane._claim_folder()
    second, second_claim = plane._claim_folder()
    assert first.exists()
    first_claim.close()  # as the kernel does when the process is killed
    third, third_claim = plane._claim_folder()
    assert not first.exists()
    assert second.exists()
    assert third.exists()
    second_claim.close()
    third_claim.close()


def test_only_the_administrator_has_a_group(site: Site) -> None:
    rows = list(csv.reader(site.access.token_file.read_text().splitlines()))
    assert [row[1:] for row in rows] == [
        ["admin", "admin", "system:masters"],
        ["rbg-autoscaler", "rbg-autoscaler"],
    ]
    assert site.access.token_file.stat().st_mode & 0o077 == 0


def test_a_kubeconfig_holds_the_users_token_and_a_ca_that_openssl_takes_strictly(site: Site) -> None:
    config = yaml.safe_load(site.access.kubeconfig("rbg-autoscaler", site.server).read_text())
    assert config["users"][0]["user"]["token"] == site.access.tokens["rbg-autoscaler"]
    cluster = config["clusters"][0]["cluster"]
    assert cluster["server"] == f"https://127.0.0.1:{site.ports.apiserver}"
    context = ssl.create_default_context(cafile=cluster["certificate-authority"])
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    assert len(context.get_ca_certs()) == 1


def test_a_real_rbg_controller_takes_the_stand_ins_place(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RBG_CONTROLLER", raising=False)
    monkeypatch.delenv("RBG_CRDS", raising=False)
    assert programs.rbg_controller(site).argv[1:3] == ["-m", "localplane.rbg"]
    assert plane._crd_folders()[0] == plane.STAND_IN_CRDS

    monkeypatch.setenv("RBG_CONTROLLER", "/opt/rbgs")
    monkeypatch.setenv("RBG_CRDS", "/opt/crds")
    port = site.ports.rbg
    process = programs.rbg_controller(site)
    assert process.argv == [
        "/opt/rbgs",
        "--kubeconfig",
        str(site.admin_kubeconfig),
        "--enable-webhooks=none",
        "--metrics-bind-address=0",
        f"--health-probe-bind-address=127.0.0.1:{port}",
    ]
    assert process.probe is not None
    assert process.probe.url == f"http://127.0.0.1:{port}/healthz"
    assert plane._crd_folders()[0] == Path("/opt/crds")


def test_every_listener_is_on_loopback(site: Site) -> None:
    processes = [
        programs.etcd(site),
        programs.apiserver(site),
        programs.scheduler(site),
        programs.controller_manager(site, 15),
        programs.kwok(site, "2s"),
        programs.prometheus(site, 1),
    ]
    ports = [str(port) for port in vars(site.ports).values()]
    for process in processes:
        assert any(port in flag for flag in process.argv for port in ports), process.name
        assert not any("0.0.0.0" in flag for flag in process.argv), process.name
        assert any("127.0.0.1" in flag for flag in process.argv), process.name


def test_a_node_pool_makes_nodes_with_its_gpus_labels_and_taints() -> None:
    taint = {"key": "gpu", "value": "h100", "effect": "NoSchedule"}
    node = NodePool("h100", count=2, gpus=4, labels={"zone": "a"}, taints=(taint,)).node(1)
    assert node["metadata"]["name"] == "h100-1"
    assert node["metadata"]["labels"]["zone"] == "a"
    assert node["metadata"]["labels"]["kubernetes.io/hostname"] == "h100-1"
    assert node["spec"]["taints"] == [taint]
    assert node["status"]["allocatable"]["nvidia.com/gpu"] == "4"
    assert "nvidia.com/gpu" not in NodePool("cpu", gpus=0).node(0)["status"]["allocatable"]


def test_the_default_start_up_time_is_part_of_the_stages() -> None:
    stages = {stage["metadata"]["name"]: stage for stage in yaml.safe_load_all(stages_file("1m40s"))}
    assert '"1m40s"' in stages["pod-started"]["spec"]["delay"]["durationFrom"]["expressionFrom"]
    assert set(stages) >= {"node-initialize", "pod-starting", "pod-started", "pod-ready", "pod-delete"}
