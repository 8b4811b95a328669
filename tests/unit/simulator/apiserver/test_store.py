# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The store: order, revisions, changes, snapshots."""

from __future__ import annotations

import json

from simulator.store import Change, Store


def obj(name: str, namespace: str = "", **fields: object) -> dict:
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {"kind": "Thing", "apiVersion": "v1", "metadata": metadata, **fields}


def names(store: Store, namespace: str | None = None) -> list[str]:
    return [
        f"{item['metadata'].get('namespace', '')}/{item['metadata']['name']}"
        for item in store.list("things", namespace)
    ]


def test_list_is_sorted_as_etcd_sorts_keys() -> None:
    store = Store()
    for namespace, name in (("b", "x"), ("a", "z"), ("a-b", "y"), ("a", "a")):
        store.put("things", obj(name, namespace))
    assert names(store) == ["a-b/y", "a/a", "a/z", "b/x"]
    assert names(store, "a") == ["a/a", "a/z"]
    assert store.list("unknown") == []


def test_put_without_a_change_keeps_the_revision_and_tells_nobody() -> None:
    store = Store()
    seen: list[Change] = []
    store.subscribe(seen.append)
    first = store.put("things", obj("a", size=1))
    again = store.put("things", obj("a", size=1))
    assert again is first
    assert len(seen) == 1
    changed = store.put("things", obj("a", size=2))
    assert int(changed["metadata"]["resourceVersion"]) == store.revision
    assert [change.type for change in seen] == ["ADDED", "MODIFIED"]
    assert seen[1].old is first


def test_removed_object_bears_the_revision_of_its_removal() -> None:
    store = Store()
    seen: list[Change] = []
    store.put("things", obj("a"))
    store.subscribe(seen.append)
    last = store.remove("things", None, "a")
    assert last["metadata"]["resourceVersion"] == str(store.revision)
    assert (seen[0].type, seen[0].obj) == ("DELETED", last)
    assert store.get("things", None, "a") is None


def test_write_from_a_callback_is_announced_after_the_change_that_caused_it() -> None:
    store = Store()
    seen: list[Change] = []

    def react(change: Change) -> None:
        if change.type == "ADDED":
            store.put("things", obj("a", size=2))

    store.subscribe(react)
    store.subscribe(seen.append)
    store.put("things", obj("a", size=1))
    assert [(change.type, change.obj["size"]) for change in seen] == [("ADDED", 1), ("MODIFIED", 2)]


def test_unsubscribed_callback_hears_nothing() -> None:
    store = Store()
    seen: list[Change] = []
    store.subscribe(seen.append)()
    store.put("things", obj("a"))
    assert seen == []


def test_earlier_moments_can_be_listed_until_compaction() -> None:
    store = Store()
    store.put("things", obj("a", size=1))
    store.put("things", obj("b"))
    then = store.revision
    store.put("things", obj("a", size=2))
    store.remove("things", None, "b")
    store.put("things", obj("c"))
    entries = store.entries_at("things", None, then)
    assert entries is not None
    assert [(entry.key, entry.obj.get("size")) for entry in entries] == [("a", 1), ("b", None)]
    assert [change.type for change in store.changes_since("things", then) or []] == ["MODIFIED", "DELETED", "ADDED"]
    store.compact("things")
    assert store.entries_at("things", None, then) is None
    assert store.changes_since("things", store.revision) == []


def test_text_of_an_entry_is_that_of_a_list_item() -> None:
    store = Store()
    store.put("things", obj("a", size=1))
    entry = store.entry("things", None, "a")
    assert entry is not None
    assert json.loads(entry.json) == {"metadata": {"name": "a", "resourceVersion": str(store.revision)}, "size": 1}


def test_load_stores_many_without_announcing_them() -> None:
    store = Store()
    seen: list[Change] = []
    store.subscribe(seen.append)
    store.load("things", [obj("b"), obj("a")])
    assert names(store) == ["/a", "/b"]
    assert seen == []
    assert store.changes_since("things", store.revision - 1) is None
