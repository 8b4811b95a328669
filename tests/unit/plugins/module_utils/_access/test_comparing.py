# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which containers have lost their GPUs, and what is said of it."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.kubegpu.sharing.plugins.module_utils._access.comparing import compare, describe

pytestmark = pytest.mark.node_side

OPEN: dict[str, str | None] = {"nvidiactl": None, "nvidia0": None, "nvidia-uvm-tools": None}


def container(number: int = 1, errors: dict[str, str | None] | None = None, **more: Any) -> dict[str, Any]:
    devices = [
        {"path": f"/dev/{name}", "accessible": error is None, "errno": error, "reason": error}
        for name, error in (OPEN if errors is None else errors).items()
    ]
    return {
        "pod_uid": f"uid-{number}",
        "namespace": "nlp",
        "pod": f"worker-{number}",
        "container": "main",
        "container_id": f"{number}" * 64,
        "allocated": None,
        "open": [],
        "volume_mounts": False,
        "devices": devices,
        "reason": None,
        **more,
    }


def denied(error: str = "EPERM", **more: Any) -> dict[str, Any]:
    return container(errors=dict.fromkeys(OPEN, error), **more)


def unasked(**more: Any) -> dict[str, Any]:
    found = container(**more, reason="the container is frozen (paused)")
    for device in found["devices"]:
        device["accessible"] = None
    return found


def lost(now: dict[str, Any], before: list[dict[str, Any]] | None = None) -> list[str]:
    (judged,) = compare([now], before)["containers"]
    assert judged["lost"] == bool(judged["lost_devices"])
    return list(judged["lost_devices"])


def test_what_could_be_opened_before_is_lost() -> None:
    assert lost(denied(), [container()]) == ["/dev/nvidiactl", "/dev/nvidia0", "/dev/nvidia-uvm-tools"]
    assert lost(container(errors={**OPEN, "nvidia0": "EPERM"}), [container()]) == ["/dev/nvidia0"]
    # gone just then
    assert lost(container(errors={**OPEN, "nvidia0": "ENOENT"}), [container()]) == ["/dev/nvidia0"]
    assert lost(container(errors={"nvidiactl": None}), [container()]) == ["/dev/nvidia0", "/dev/nvidia-uvm-tools"]


def test_what_never_could_be_opened_is_not_lost_even_by_who_was_given_a_gpu() -> None:
    assert lost(denied(allocated=True), [denied()]) == []


@pytest.mark.parametrize("error", ["EACCES", "EIO", "ENXIO"])
def test_other_errors_are_not_the_cgroups(error: str) -> None:
    # SELinux, a card that has failed, a driver that is being changed: other trouble, with other cures
    assert lost(denied(error, allocated=True), [container()]) == []
    assert lost(denied(error, allocated=True)) == []


@pytest.mark.parametrize("before", [None, [], [container(2)], [unasked()]])
def test_without_an_earlier_look_the_evidence_is_a_gpu_that_was_given_or_is_open(before: Any) -> None:
    assert lost(denied(), before) == []
    assert lost(denied(allocated=False), before) == []
    assert lost(denied(allocated=True), before) == ["/dev/nvidiactl", "/dev/nvidia0"]
    assert lost(denied(open=["/dev/nvidia0"]), before) == ["/dev/nvidiactl", "/dev/nvidia0"]
    assert lost(container(allocated=True), before) == []


def test_container_that_could_not_be_asked_about_is_unknown() -> None:
    found = compare([unasked()], [container()])
    assert found["lost"] == []
    (unknown,) = found["unknown"]
    assert (unknown["pod"], unknown["reason"]) == ("worker-1", "the container is frozen (paused)")


def test_container_that_has_ended_is_gone() -> None:
    found = compare([container(2)], [container(1), container(2)])
    assert [one["pod"] for one in found["gone"]] == ["worker-1"]
    assert found["lost"] == []


def test_message_names_pods_devices_and_cure() -> None:
    nameless = denied(allocated=True, pod=None, namespace=None, container=None)
    found = compare([nameless, {**container(2), "devices": nameless["devices"]}], [container(2)])
    text = describe(found, ["nvidia0 (195:0)"])
    assert text.startswith(
        "2 running GPU containers may not open their devices any more: pod uid-1, container 111111111111: "
    )
    assert "nlp/worker-2 (container main): /dev/nvidiactl, /dev/nvidia0" in text
    assert "delete these pods" in text
    assert "nvidia0 (195:0)" in text
    assert "cgroupfs" in describe(found, [])
    assert describe(compare([container()], None), ["nvidia0 (195:0)"]) == ""


def test_pods_whose_containers_all_have_mounts() -> None:
    given = [("a", True), ("b", True), ("b", False), (None, True), ("c", False)]
    containers = [container(number, pod_uid=uid, volume_mounts=mounted) for number, (uid, mounted) in enumerate(given)]
    assert compare(containers, None)["volume_mount_pods"] == ["a"]
