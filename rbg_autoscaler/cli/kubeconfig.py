"""The namespace kubectl would use: that of the kubeconfig's context, or of the pod this runs in.

Nothing is refused here: a kubeconfig that cannot be used is told of by the first request.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml

IN_CLUSTER = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
DEFAULT = "default"


def present_namespace(kubeconfig: Path | None, context: str | None) -> str:
    """The namespace of the context named, or of the current one; "default" where none is set."""
    listed = os.environ.get("KUBECONFIG", "")
    if kubeconfig is None and context is None and not listed and "KUBERNETES_SERVICE_HOST" in os.environ:
        return _text(IN_CLUSTER).strip() or DEFAULT
    files = [Path(part) for part in listed.split(os.pathsep) if part] or [Path.home() / ".kube" / "config"]
    configs = [_config(file) for file in ([kubeconfig] if kubeconfig is not None else files)]
    current = context or next((c["current-context"] for c in configs if c.get("current-context")), None)
    contexts = [entry for config in configs for entry in config.get("contexts") or ()]
    chosen = next((entry.get("context") for entry in contexts if entry.get("name") == current), None)
    return str((chosen or {}).get("namespace") or DEFAULT)


def _config(file: Path) -> dict[str, Any]:
    try:
        config = yaml.safe_load(_text(file))
    except yaml.YAMLError:
        config = None
    return config if isinstance(config, dict) else {}


def _text(file: Path) -> str:
    try:
        return file.read_text()
    except (OSError, UnicodeDecodeError):
        return ""
