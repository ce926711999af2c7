"""The example of docs/cli.md: one snapshot, checked in, and every block of the page made from it.

`python -m tests.unit.cli.examples` writes both again, after the words of a decision have changed.
"""

from __future__ import annotations

import asyncio
import re
import shlex
import tempfile
from pathlib import Path

from rbg_autoscaler.cli.gather import Gatherer
from rbg_autoscaler.cli.manifests import read_manifests
from rbg_autoscaler.cli.sources import Sources
from rbg_autoscaler.decide.config import DecideConfig
from rbg_autoscaler.kube.client import KubernetesApi
from rbg_autoscaler.observe import snapshot_file
from rbg_autoscaler.observe.snapshot_file import SavedInput
from rbg_autoscaler.observe.sources import SourceSettings
from tests import builders as k8s
from tests.fakes.metrics import rows
from tests.unit.cli.world import World, invoke, started

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "cli.md"
MANIFEST = ROOT / "docs" / "examples" / "first.yaml"
SNAPSHOT = ROOT / "docs" / "examples" / "evening.snapshot.json"
BLOCK = re.compile(
    r"^```console\n\$ rbg-autoscaler ([^\n]*--snapshot [^\n]*)\n(.*?)^```", re.MULTILINE | re.DOTALL
)


def evening() -> SavedInput:
    """Three prefill replicas under a long queue; six decode replicas with room, of which one is silent."""
    with tempfile.TemporaryDirectory() as folder, started(Path(folder)) as world:
        world.serve("deepseek", prefill=3, decode=6)
        load = {"name": "deepseek", "age": 4.2}
        world.load("vllm:num_requests_waiting", 34, 41, 38, **load)
        world.load("vllm:prompt_tokens", 23400, 22900, 23100, **load)
        world.load("vllm:kv_cache_usage_perc", 0.44, 0.41, 0.38, 0.42, 0.4, role="decode", **load)
        pending = {f"deepseek-prefill-{i}": value for i, value in enumerate((51000, 61500, 57000))}
        # Asks for waiting requests, too, so it must be found first.
        world.prometheus.answers = {"prompt_tokens_sum": rows(pending, age=4.2)} | world.prometheus.answers
        return asyncio.run(_gathered(world))


async def _gathered(world: World) -> SavedInput:
    api = KubernetesApi(world.kubeconfig)
    sources = Sources({}, SourceSettings(url=world.prometheus.url))
    manifests = read_manifests([str(MANIFEST)], k8s.NAMESPACE, enforce=True).objects
    gatherer = Gatherer(
        api,
        sources,
        DecideConfig(),
        namespace=k8s.NAMESPACE,
        manifests=manifests,
        clock=lambda: k8s.EPOCH + 20 * 3600,
    )
    found = await gatherer.round()
    await api.close()
    return found.saved


def printed(words: str) -> str:
    """What a command of the page prints, run in the checkout."""
    told = invoke(*shlex.split(words.replace("docs/examples/", f"{ROOT}/docs/examples/")))
    assert told.exit_code == 0, told.stderr
    return told.stdout


def refreshed(page: str) -> str:
    """The page with the output of each of its commands."""
    return BLOCK.sub(lambda m: f"```console\n$ rbg-autoscaler {m[1]}\n{printed(m[1])}```", page)


if __name__ == "__main__":
    snapshot_file.save(SNAPSHOT, evening())
    PAGE.write_text(refreshed(PAGE.read_text()))
