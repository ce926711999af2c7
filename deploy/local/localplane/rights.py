"""The shipped rules of `deploy/base/rbac.yaml` for a user of the plane, where they are a service account's.

Nothing of the rules is changed, so what works here works with exactly what is shipped.
"""

from __future__ import annotations

import yaml

from localplane.kube import Kube, path
from localplane.programs import PACKAGES

RBAC = PACKAGES.parent / "base" / "rbac.yaml"


def grant(kube: Kube, user: str, lease_namespace: str | None = None) -> None:
    """Give the user all rules; `lease_namespace` takes the place of the namespace they name for the Lease."""
    subject = {"kind": "User", "name": user, "apiGroup": "rbac.authorization.k8s.io"}
    for rule in yaml.safe_load_all(RBAC.read_text()):
        meta = rule["metadata"]
        if lease_namespace and "namespace" in meta:
            meta["namespace"] = lease_namespace
        if "subjects" in rule:
            rule["subjects"] = [subject]
        plural = f"{rule['kind'].lower()}s"
        kube.apply(path(rule["apiVersion"], plural, meta.get("namespace"), meta["name"]), rule)
