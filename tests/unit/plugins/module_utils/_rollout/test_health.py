# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What counts against a node that was changed, and what does not."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.health import (
    Limits,
    NodeHealth,
    describe_baseline,
    find_loopers,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.pod_health import PodHealth, observe_health

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=timezone.utc)
RUNNING: dict[str, Any] = {"running": {"startedAt": "2026-03-01T11:00:00Z"}}
CRASHED = {"terminated": {"exitCode": 1, "reason": "Error", "finishedAt": "2026-03-01T12:00:05Z"}}
OOM = {"terminated": {"exitCode": 137, "reason": "OOMKilled", "finishedAt": "2026-03-01T12:00:06Z"}}
BACKING_OFF = {"waiting": {"reason": "CrashLoopBackOff"}}


def pod(
    name: str = "web",
    restarts: int = 0,
    state: dict[str, Any] | None = None,
    last: dict[str, Any] | None = None,
    **more: Any,
) -> PodHealth:
    """A pod with one container that asks for a GPU; ``more``: uid, owner, terminating, exit codes of init containers."""
    metadata: dict[str, Any] = {"namespace": "nlp", "name": name, "uid": more.get("uid", f"uid-{name}")}
    if "owner" in more:
        metadata["ownerReferences"] = [{"kind": "ReplicaSet", "name": "rs", "uid": more["owner"], "controller": True}]
    if more.get("terminating"):
        metadata["deletionTimestamp"] = "2026-03-01T12:00:00Z"
    status = {"name": "app", "restartCount": restarts, "state": state or RUNNING, "lastState": last or {}}
    spec = {"containers": [{"name": "app", "resources": {"limits": {"nvidia.com/gpu": "1"}}}]}
    found = observe_health({"metadata": metadata, "spec": spec, "status": {"containerStatuses": [status]}})
    assert found is not None
    return found


def health(*before: PodHealth, boot_id: str = "boot-1") -> NodeHealth:
    baseline = describe_baseline(before, boot_id, NOW)
    return NodeHealth(baseline, find_loopers([baseline]))


def judged(watched: NodeHealth, *pods: PodHealth, limits: Limits | None = None, **more: Any) -> dict[str, Any]:
    watched.look(pods, more.get("unmet", []), more.get("boot_id", "boot-1"), NOW + timedelta(seconds=10))
    return watched.judge(limits or Limits(), more.get("xids"))


def test_pod_without_a_gpu_does_not_matter() -> None:
    obj = {"metadata": {"name": "db", "uid": "1"}, "spec": {"containers": [{"name": "app"}]}, "status": {}}
    assert observe_health(obj) is None


def test_node_with_the_restarts_of_before_is_well() -> None:
    old = pod(restarts=7, last={"terminated": {"exitCode": 1, "finishedAt": "2026-02-01T00:00:00Z"}})
    verdict = judged(health(old), old)
    assert (verdict["failed"], verdict["reason"], verdict["restarts"]) == (False, None, 0)
    assert verdict["looped_before"] == []


@pytest.mark.parametrize(
    ("after", "words"),
    [
        pytest.param(pod(restarts=3, last=CRASHED), "2 restarts of containers", id="restarted twice"),
        pytest.param(pod(restarts=1, state=CRASHED), "1 restart of containers", id="ended, not yet started again"),
        pytest.param(pod(restarts=2, state=BACKING_OFF, last=CRASHED), "2 restarts of containers", id="backing off"),
        pytest.param(pod("new", restarts=1, last=CRASHED), "1 restart of containers", id="a pod that came meanwhile"),
    ],
)
def test_node_with_restarts_since_is_not(after: PodHealth, words: str) -> None:
    verdict = judged(health(pod(restarts=1)), after)
    assert verdict["failed"]
    assert verdict["reason"].startswith(words)
    assert f"nlp/{after.name} (app)" in verdict["reason"]
    assert "last end: exit code 1" in verdict["reason"]


@pytest.mark.parametrize(
    "after",
    [
        pytest.param(pod(restarts=1, state=CRASHED, terminating=True), id="a pod that is being deleted"),
        pytest.param(
            pod(state={"terminated": {"exitCode": 0, "reason": "Completed", "finishedAt": "2026-03-01T12:00:07Z"}}),
            id="a job that is done",
        ),
        pytest.param(pod(state={"waiting": {"reason": "ContainerCreating"}}), id="a pod that starts"),
    ],
)
def test_ends_that_are_none_do_not_count(after: PodHealth) -> None:
    assert not judged(health(pod()), after)["failed"]


def test_failed_job_counts_though_nothing_starts_it_again() -> None:
    assert judged(health(), pod(state=CRASHED))["restarts"] == 1


def test_restarts_may_be_allowed_and_backing_off_may_not() -> None:
    limits = Limits(restarts=3)
    assert not judged(health(pod()), pod(restarts=3, last=CRASHED), limits=limits)["failed"]
    looping = judged(health(pod()), pod(restarts=1, state=BACKING_OFF, last=CRASHED), limits=limits)
    assert looping["failed"]
    assert looping["reason"].startswith("1 container with GPUs backing off: nlp/web (app)")
    assert looping["looping"] == ["nlp/web (app)"]


def test_containers_out_of_memory_are_counted_apart() -> None:
    limits = Limits(restarts=9)
    verdict = judged(health(pod()), pod(restarts=1, last=OOM), limits=limits)
    assert (verdict["failed"], verdict["oom_kills"]) == (True, 1)
    assert verdict["reason"] == (
        "1 end for want of memory (OOMKilled), 0 allowed (kubegpu_health_max_oom_kills): "
        "nlp/web (app): 1 restart, 1 for want of memory, last end: exit code 137, OOMKilled."
    )
    assert not judged(health(pod()), pod(restarts=1, last=OOM), limits=Limits(restarts=9, oom_kills=1))["failed"]


def test_out_of_memory_before_the_wave_is_none_of_its_own() -> None:
    before = pod(restarts=1, last=OOM)
    assert judged(health(before), before)["oom_kills"] == 0


def test_pod_that_looped_before_is_told_and_not_counted() -> None:
    before = pod("bad", restarts=5, state=BACKING_OFF, last=CRASHED)
    verdict = judged(health(before, pod()), pod("bad", restarts=9, state=BACKING_OFF, last=OOM), pod())
    assert (verdict["failed"], verdict["restarts"], verdict["looped_before"]) == (False, 0, ["nlp/bad (app)"])


def test_pod_between_two_crashes_looped_before_as_well() -> None:
    last = {"terminated": {"exitCode": 1, "finishedAt": "2026-03-01T11:55:00Z"}}
    assert judged(health(pod(restarts=4, last=last)), pod(restarts=5, last=CRASHED))["looped_before"]
    long_ago = {"terminated": {"exitCode": 1, "finishedAt": "2026-03-01T11:45:00Z"}}
    assert judged(health(pod(restarts=4, last=long_ago)), pod(restarts=5, last=CRASHED))["failed"]


def test_pod_made_anew_is_judged_by_what_its_controller_had_before() -> None:
    before = pod("bad", restarts=5, state=BACKING_OFF, last=CRASHED, owner="rs-1")
    anew = pod("bad-2", restarts=2, state=BACKING_OFF, last=CRASHED, owner="rs-1")
    assert not judged(health(before), anew)["failed"]
    well_before = pod("good", owner="rs-1")
    crashed = pod("good", restarts=1, last=CRASHED, owner="rs-1")
    assert judged(health(before, well_before), crashed)["failed"], "it was well itself"


def test_pod_that_looped_on_another_node_of_the_wave_brings_that_along() -> None:
    before = describe_baseline([pod("bad", restarts=5, state=BACKING_OFF, last=CRASHED, owner="rs-1")], "boot-9", NOW)
    anew = pod("bad-2", restarts=2, state=BACKING_OFF, last=CRASHED, owner="rs-1")
    watched = NodeHealth(describe_baseline([], "boot-1", NOW), find_loopers([before]))
    assert not judged(watched, anew)["failed"]
    assert watched.looped_before == [], "it is told of the node where it did"
    assert judged(health(), anew)["failed"]


def test_worker_that_ends_well_and_is_started_again_and_again_did_so_before() -> None:
    done = {"terminated": {"exitCode": 0, "reason": "Completed", "finishedAt": "2026-03-01T11:57:00Z"}}
    again = {"terminated": {**done["terminated"], "finishedAt": "2026-03-01T12:00:02Z"}}
    assert not judged(health(pod(restarts=40, last=done)), pod(restarts=41, last=again))["failed"]
    assert health(pod(restarts=2, state=done)).looped_before == [], "a job that is done"
    assert judged(health(pod()), pod(restarts=1, last=again))["failed"], "one that a probe has ended, for one"


def test_what_was_seen_once_counts_though_it_is_over() -> None:
    watched = health(pod())
    judged(watched, pod(restarts=1, last=CRASHED))
    verdict = judged(watched)
    assert verdict["restarts"] == 1, "the pod was deleted"
    watched = health(pod())
    judged(watched, pod(), unmet=["allocatable nvidia.com/gpu is 0, expected 8"])
    verdict = judged(watched, pod())
    assert verdict["reason"] == "It was not as planned throughout: allocatable nvidia.com/gpu is 0, expected 8."


def test_restart_by_a_reboot_of_the_machine_is_none() -> None:
    unknown = {"terminated": {"exitCode": 255, "reason": "Unknown", "finishedAt": "2026-03-01T12:00:05Z"}}
    watched = health(pod())
    assert not judged(watched, pod(restarts=1, last=unknown), boot_id="boot-2")["failed"]
    assert judged(watched, pod(restarts=2, last=CRASHED), boot_id="boot-2")["restarts"] == 1


@pytest.mark.parametrize(
    ("limits", "failed"),
    [
        (Limits(), True),
        (Limits(xids=2), False),
        (Limits(xids=1), True),
        (Limits(ignored_xids=(79,)), True),
        (Limits(ignored_xids=(79, 31)), False),
    ],
)
def test_errors_of_gpus_count_unless_they_are_ignored(limits: Limits, failed: bool) -> None:
    lost = {"xid": 79, "gpu_index": None, "pci_bus_id": "0000:3b:00.0", "pid": None, "text": "GPU has fallen off"}
    fault = {"xid": 31, "gpu_index": 0, "pci_bus_id": "0000:0a:00.0", "pid": 812, "process": "python3", "text": "MMU"}
    verdict = judged(health(), limits=limits, xids={"xids": [lost, fault]})
    assert verdict["failed"] == failed
    if limits == Limits():
        assert (
            "Xid 79 of the GPU at 0000:3b:00.0: GPU has fallen off; Xid 31 of GPU 0, process python3 (812): MMU"
            in (verdict["reason"])
        )
