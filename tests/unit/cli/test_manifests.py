"""Manifests from files: every shape people have them in, and every error with its place."""

import pytest
import yaml

from rbg_autoscaler.cli.manifests import read_manifests
from rbg_autoscaler.cli.problems import BadInput
from tests import builders as k8s

GROUP = {"apiVersion": k8s.WORKLOADS, "kind": "RoleBasedGroup", "metadata": {"name": "llm"}}


@pytest.fixture
def written(tmp_path):
    def write(*documents, name: str = "m.yaml") -> str:
        file = tmp_path / name
        file.write_text(documents[0] if isinstance(documents[0], str) else yaml.safe_dump_all(documents))
        return str(file)

    return write


def plain(name: str, namespace: str | None = None):
    obj = k8s.autoscaler(name)
    obj["metadata"] = {"name": name} | ({"namespace": namespace} if namespace else {})
    return obj


def places(found) -> list[tuple[str, str]]:
    return [(obj["metadata"]["namespace"], obj["metadata"]["name"]) for obj in found.objects]


def test_several_documents_and_files_with_their_namespaces(written):
    files = [written(plain("a"), plain("b", "other")), written(plain("c"), name="n.yaml")]
    found = read_manifests(files, "serving", enforce=False)
    assert places(found) == [("serving", "a"), ("other", "b"), ("serving", "c")]
    assert found.notes == ()


def test_other_objects_are_passed_over_with_a_note(written):
    file = written(GROUP, plain("a"))
    found = read_manifests([file], "serving", enforce=False)
    assert (places(found), found.notes) == ([("serving", "a")], (f"{file}: passed over RoleBasedGroup",))


def test_what_kubectl_get_prints_can_be_read(written):
    """A List, with status and with times that YAML would read as dates."""
    text = yaml.safe_dump({"kind": "List", "items": [k8s.autoscaler("a") | {"status": {"roles": 7}}]})
    text = text.replace("'2026-01-01T00:00:00Z'", "2026-01-01T00:00:00Z")
    found = read_manifests([written(text)], "serving", enforce=True)
    assert places(found) == [("serving", "a")]
    assert "status" not in found.objects[0]


@pytest.mark.parametrize(
    ("documents", "said"),
    [
        (["a: [", "is no YAML"], ()),
        ([GROUP], "no RbgAutoscaler is in there"),
        (["7"], "holds int where an object should be"),
        ([{"kind": "RbgAutoscaler", "spec": {}}], "metadata.name: is required"),
        ([plain("a"), plain("a")], "RbgAutoscaler serving/a is given twice"),
        ([plain("a", "other")], "is in namespace other, which is not the serving of -n"),
        (
            [plain("a") | {"spec": {"targetRef": {}, "roles": [], "mod": 1}}],
            "serving/a: spec.mod: unknown field",
        ),
    ],
)
def test_what_cannot_be_used_names_file_and_place(written, documents, said):
    file = written(*documents[:1]) if isinstance(documents[0], str) else written(*documents)
    with pytest.raises(BadInput) as error:
        read_manifests([file], "serving", enforce=True)
    assert error.value.message.startswith(f"{file}: ")
    assert (said or documents[1]) in error.value.message
    assert error.value.exit_code == 2


def test_every_wrong_field_has_a_line(written):
    bad = plain("a")
    bad["spec"]["roles"] = [k8s.scaled("prefill", low=9, high=3), k8s.scaled("decode", high="many")]
    file = written(bad)
    with pytest.raises(BadInput) as error:
        read_manifests([file], "serving", enforce=False)
    lines = error.value.message.splitlines()
    assert len(lines) == 2
    assert all(line.startswith(f"{file}: RbgAutoscaler serving/a: spec.roles[") for line in lines)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(BadInput, match="cannot be read: No such file"):
        read_manifests([str(tmp_path / "none")], "serving", enforce=False)
