# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that are looked at because settings import them, or because earlier runs have put something into them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from unit.plugins.fakes.runtime_node import RuntimeNode

from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.containerd_config import read_configs
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.observation import Observation
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.plan import RuntimePlan
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.planning import plan_runtime
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.wish import Wish
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host import looking
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.observing import STATE_DIR, Look, observe
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.root import Root

FORMER = "/srv/former/config.toml"
MAIN, MOVED = "/etc/containerd/config.toml", "/opt/cd/c.toml"
BARE = 'version = 2\n[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]\nruntime_type = "io.containerd.runc.v2"\n'


def planned(node: RuntimeNode, state: str = "present") -> RuntimePlan:
    seen = Observation.from_dict(observe(Look(root=Root(str(node.root)))))
    return plan_runtime(Wish(state=state, allow_missing_binary=True), seen)


def test_recorded_file_that_the_runtime_reads_no_more_is_looked_at_too(node: RuntimeNode) -> None:
    node.write(FORMER, "version = 2\n")
    node.write(f"{STATE_DIR}/record.json", json.dumps({"schema_version": 1, "files": {FORMER: {}, "/srv/gone": {}}}))
    files = observe(Look(root=Root(str(node.root))))["files"]
    assert files[FORMER]["content"] == "version = 2\n"
    assert files["/srv/gone"]["type"] == "missing"


@pytest.mark.parametrize("files", [None, [], ["/srv/a"], "/srv/a", {"a": {}}, {"": {}}])
def test_record_that_somebody_damaged_is_looked_at_all_the_same(node: RuntimeNode, files: Any) -> None:
    node.write(f"{STATE_DIR}/record.json", json.dumps({"schema_version": 1, "files": files}))
    found = observe(Look(root=Root(str(node.root))))
    assert found["record"]["files"] == files
    assert not [path for path in found["files"] if path in ("", "a", "/srv/a")]


def test_config_flag_that_was_changed_since_leaves_ours_behind_until_it_is_put_right_by_hand(node: RuntimeNode) -> None:
    node.write(MAIN, BARE)
    made = planned(node)
    assert not made.problems
    node.write(MAIN, made.files[0].content or "")
    node.write(f"{STATE_DIR}/record.json", json.dumps(made.record))
    assert not planned(node).changed
    node.write(MOVED, BARE)
    node.set_flags(f" --config {MOVED}")
    for state in ("present", "absent"):
        (told,) = planned(node, state).problems
        assert f"{MAIN} has some of it, by the record {STATE_DIR}/record.json" in told
        assert f"(its config is {MOVED})" in told
    node.write(MAIN, BARE)
    assert planned(node, "absent").forgets
    assert [one.path for one in planned(node).files] == [MOVED]


def import_many(node: RuntimeNode, count: int) -> list[str]:
    paths = [f"/srv/drop-ins/{number:03d}.toml" for number in range(count)]
    node.write(MAIN, f'imports = ["/srv/drop-ins/*.toml"]\n{BARE}')
    for path in paths:
        node.write(path, f"version = 2\n# {path}\n")
    return paths


def test_hundreds_of_imported_drop_ins_are_all_read_in_their_order(node: RuntimeNode) -> None:
    paths = import_many(node, 300)
    found = observe(Look(root=Root(str(node.root))))
    assert found["problem"] is None
    assert [found["files"][path]["content"] for path in paths] == [f"version = 2\n# {path}\n" for path in paths]
    assert [one.seen.path for one in read_configs(Observation.from_dict(found)).imported] == paths


def test_imports_that_come_to_no_end_are_told_and_nothing_is_planned(
    node: RuntimeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    import_many(node, 30)
    count = len(observe(Look(root=Root(str(node.root))))["files"])
    monkeypatch.setattr(looking, "_MOST_FILES", count)
    assert observe(Look(root=Root(str(node.root))))["problem"] is None
    monkeypatch.setattr(looking, "_MOST_FILES", count - 1)
    for state in ("present", "absent"):
        (told,) = planned(node, state).problems
        assert told.startswith(
            f"Looking at what {MAIN} imports came to {count - 1} files and no end, and the rest was not read"
        )


def test_imports_that_lead_in_a_circle_through_a_link_are_told(
    node: RuntimeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looking, "_MOST_FILES", 50)
    node.write(MAIN, f'imports = ["again/config.toml"]\n{BARE}')
    node.path("/etc/containerd/again").symlink_to(".")
    (told,) = planned(node).problems
    assert "Take out imports that lead in a circle" in told
