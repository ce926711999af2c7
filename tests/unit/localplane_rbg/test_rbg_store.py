"""What the loops see and when: stores fed by writes and watches, queues of keys."""

import asyncio

import pytest
from localplane.rbg.queue import RetryError, WorkQueue
from localplane.rbg.store import Key, Store
from localplane.rbg.world import PODS


def obj(name: str, uid: str, version: int, owner: str = "o") -> dict[str, object]:
    metadata = {
        "name": name,
        "namespace": "ns",
        "uid": uid,
        "resourceVersion": str(version),
        "ownerReferences": [{"uid": owner, "kind": "X", "name": "x"}],
    }
    return {"metadata": metadata}


@pytest.fixture
def store() -> Store:
    return Store(PODS)


def uid(store: Store) -> object:
    found = store.get("ns", "a")
    return found["metadata"]["uid"] if found else None


def test_a_write_is_seen_at_once_and_told_once(store: Store) -> None:
    told: list[object] = []
    store.subscribe(lambda old, new: told.append((old is None, new is None)))
    store.note(obj("a", "1", 5))
    store._take("ADDED", obj("a", "1", 5))
    assert uid(store) == "1"
    assert told == [(True, False)]


def test_the_watch_may_trail_behind_a_namesake(store: Store) -> None:
    store._take("ADDED", obj("a", "1", 5))
    store.note(obj("a", "2", 9))
    store._take("MODIFIED", obj("a", "1", 7))
    assert uid(store) == "2"
    store._take("DELETED", obj("a", "1", 8))
    assert uid(store) == "2"
    store._take("ADDED", obj("a", "2", 9))
    assert uid(store) == "2"


def test_a_late_answer_brings_nothing_back(store: Store) -> None:
    store._take("ADDED", obj("a", "1", 5))
    store._take("DELETED", obj("a", "1", 6))
    store.note(obj("a", "1", 5))
    assert uid(store) is None


def test_children_are_found_by_their_owner(store: Store) -> None:
    store._take("ADDED", obj("a", "1", 5))
    store._take("ADDED", obj("b", "2", 6, owner="p"))
    assert [item["metadata"]["name"] for item in store.owned_by("p")] == ["b"]
    store._take("DELETED", obj("b", "2", 7, owner="p"))
    assert store.owned_by("p") == []


async def run(queue: WorkQueue, done: asyncio.Event) -> None:
    worker = asyncio.create_task(queue.work())
    await asyncio.wait_for(done.wait(), 5)
    worker.cancel()


async def test_a_key_added_while_it_is_worked_on_is_worked_on_again() -> None:
    seen: list[Key] = []
    done = asyncio.Event()

    async def reconcile(key: Key) -> None:
        seen.append(key)
        if len(seen) == 1:
            queue.add(key)
            queue.add(key)
        else:
            done.set()

    queue = WorkQueue("test", reconcile)
    queue.add(("ns", "a"))
    queue.add(("ns", "a"))
    await run(queue, done)
    assert seen == [("ns", "a")] * 2


async def test_the_earliest_wish_counts() -> None:
    seen: list[Key] = []
    done = asyncio.Event()

    async def reconcile(key: Key) -> None:
        seen.append(key)
        done.set()

    queue = WorkQueue("test", reconcile)
    queue.add(("ns", "a"), 60.0)
    queue.add(("ns", "a"), 0.0)
    await run(queue, done)
    assert seen == [("ns", "a")]


async def test_a_failed_pass_is_tried_again() -> None:
    tries = 0
    done = asyncio.Event()

    async def reconcile(key: Key) -> None:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise RetryError("not yet")
        done.set()

    queue = WorkQueue("test", reconcile)
    queue.add(("ns", "a"))
    await run(queue, done)
    assert (tries, queue.failures) == (3, 2)
