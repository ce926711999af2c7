"""From the options to a `Gatherer` on a real cluster, and from its errors to sentences."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import click

from rbg_autoscaler.cli.gather import Gatherer, Round, decided_again
from rbg_autoscaler.cli.inputs import Inputs
from rbg_autoscaler.cli.kubeconfig import present_namespace
from rbg_autoscaler.cli.manifests import Manifests, read_manifests
from rbg_autoscaler.cli.problems import BadInput, Failed, cluster_problem
from rbg_autoscaler.cli.report import Report, report_of, young_windows
from rbg_autoscaler.cli.sources import sources_of
from rbg_autoscaler.kube.client import KubernetesApi
from rbg_autoscaler.kube.errors import KubeError
from rbg_autoscaler.observe import snapshot_file
from rbg_autoscaler.observe.snapshot_file import SnapshotFileError

_NOTHING = Manifests((), ())


class Session:
    """Rounds of one command; `taken()` is one, saved and reported as the options ask."""

    def __init__(
        self, inputs: Inputs, names: Sequence[str], gatherer: Gatherer, namespace: str | None
    ) -> None:
        self._inputs = inputs
        self._names = names
        self._gatherer = gatherer
        self._namespace = namespace
        self._told: set[str] = set()

    async def taken(self) -> Report:
        """One round's report. Raises Failed, BadInput."""
        try:
            found = await self._gatherer.round()
        except KubeError as error:
            raise cluster_problem(error) from error
        if self._inputs.save_snapshot is not None:
            _save(found, self._inputs.save_snapshot)
        report = report_of(found, self._names, self._namespace)
        young = young_windows(found, report)
        self.tell([*found.notes, *([young] if young else [])])
        return report

    def tell(self, notes: Sequence[str]) -> None:
        """Each note once, on standard error."""
        for note in notes:
            if note not in self._told:
                self._told.add(note)
                click.echo(f"Note: {note}", err=True)


@asynccontextmanager
async def session(inputs: Inputs, names: Sequence[str]) -> AsyncIterator[Session]:
    """A session on the cluster and the Prometheus that the options name. Raises click.ClickException."""
    sources, config = sources_of(inputs)
    namespace = inputs.namespace or present_namespace(inputs.kubeconfig, inputs.context)
    scope: str | None = None if inputs.all_namespaces else namespace
    given = _NOTHING
    if inputs.files:
        given = read_manifests(inputs.files, namespace, enforce=inputs.namespace is not None)
        places = {obj["metadata"]["namespace"] for obj in given.objects}
        scope = places.pop() if len(places) == 1 else None
    api = KubernetesApi(inputs.kubeconfig, inputs.context)
    try:
        gatherer = Gatherer(api, sources, config, namespace=scope, manifests=given.objects)
        made = Session(inputs, names, gatherer, scope)
        made.tell(given.notes)
        yield made
    finally:
        await api.close()


def report(inputs: Inputs, names: Sequence[str]) -> Report:
    """One report, offline from a snapshot file or live. Raises click.ClickException."""
    if inputs.snapshot is None:
        return asyncio.run(_once(inputs, names))
    try:
        found = decided_again(inputs.snapshot)
    except SnapshotFileError as error:
        raise BadInput(str(error)) from None
    except OSError as error:
        raise BadInput(f"{inputs.snapshot}: cannot be read: {error.strerror}") from None
    return report_of(found, names, inputs.namespace)


async def _once(inputs: Inputs, names: Sequence[str]) -> Report:
    async with session(inputs, names) as opened:
        return await opened.taken()


def _save(found: Round, path: Path) -> None:
    try:
        snapshot_file.save(path, found.saved)
    except OSError as error:
        raise Failed(f"{path}: cannot be written: {error.strerror}") from None
