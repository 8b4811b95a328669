# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The order in which the environment variable comes to be refused, and what of it is missing."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from ansible_collections.kubegpu.sharing.plugins.module_utils._hardening.cluster import (
    GpuNode,
    GpuPod,
    PluginPod,
    Template,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._hardening.order import Verdict, judge
from ansible_collections.kubegpu.sharing.plugins.module_utils._hardening.strategies import Strategy
from ansible_collections.kubegpu.sharing.plugins.module_utils._hardening.toolkit_file import (
    ToolkitSwitches,
    read_switches,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._hardening.watchers import Watcher

BOTH, AS_IT_COMES, HARDENED = ToolkitSwitches(True, True), ToolkitSwitches(), ToolkitSwitches(True, False)
EARLY, SINCE, LATE = "2026-03-01T10:00:00Z", "2026-03-01T12:00:00Z", "2026-03-01T12:00:01Z"
MOUNTS = Strategy(("volume-mounts",), "file", SINCE)
VARIABLE = Strategy(("envvar",), "default", SINCE)


def node(name: str = "gpu-1", strategy: Strategy = MOUNTS, bound: str = LATE, **more: Any) -> GpuNode:
    pod = GpuPod(f"nlp/worker-{name}", frozenset({f"uid-{name}"}), bound)
    values: dict[str, Any] = {"plugins": [PluginPod(f"kube-system/plugin-{name}", strategy)], "pods": [pod], **more}
    return GpuNode(name, {}, 1, **values)


def missing(verdict: Verdict) -> dict[str, list[str]]:
    return {step.name: list(step.missing) for step in verdict.steps if step.missing}


def test_all_done_is_ready() -> None:
    verdict = judge([node(), node("gpu-2")], [Template("kube-system/plugin", MOUNTS)], {"gpu-1": BOTH, "gpu-2": BOTH})
    assert verdict.ready
    assert (verdict.next, verdict.describe(), missing(verdict)) == ("", "", {})


@pytest.mark.parametrize("done", list(product([True, False], repeat=4)))
def test_nothing_is_ready_until_all_four_are_done_and_the_first_undone_comes_next(done: tuple[bool, ...]) -> None:
    accepts, names, sees, recreated = done
    watchers = [] if sees else [Watcher("DaemonSet kube-system/exporter", "exporter")]
    strategy, bound = MOUNTS if names else VARIABLE, LATE if recreated else EARLY
    nodes = [node(), node("gpu-2", strategy, bound, watchers=watchers)]
    verdict = judge(nodes, [], {"gpu-1": BOTH, "gpu-2": BOTH if accepts else AS_IT_COMES})
    assert verdict.ready == all(done)
    # pods can only be told apart once the plugin does as it should
    shown = [accepts, names, sees, recreated or not names]
    order = ["accept_volume_mounts", "name_devices_by_mounts", "privilege_watchers", "recreate_pods"]
    undone = [name for name, one in zip(order, shown) if not one]
    assert list(missing(verdict)) == undone
    if undone:
        (step,) = [step for step in verdict.steps if step.name == undone[0]]
        assert verdict.next == step.to_dict()["how"]
        assert verdict.next in verdict.describe()
    assert all(sentence in verdict.describe() for sentences in missing(verdict).values() for sentence in sentences)


def test_node_of_which_nothing_was_read_is_missing() -> None:
    verdict = judge([node(), node("gpu-2")], [], {"gpu-1": BOTH})
    assert missing(verdict) == {
        "accept_volume_mounts": [
            "node gpu-2 has GPUs, and its toolkit's config.toml was not read: "
            "it is no host of this run, is asked for something else in it, or was not reached."
        ]
    }


def test_node_that_is_late_while_its_plugin_went_ahead_is_told_as_the_danger_that_it_is() -> None:
    (sentence,) = missing(judge([node()], [], {"gpu-1": AS_IT_COMES}))["accept_volume_mounts"]
    assert sentence.endswith("pods that start there may get no GPU.")


@pytest.mark.parametrize(
    ("values", "needs"),
    [
        (("envvar",), True),
        (("volume-mounts",), False),
        # the toolkit takes mounts before the variable
        (("envvar", "volume-mounts"), False),
        (("cdi-cri",), False),
        (("cdi-annotations",), False),
        # which of the two does the work is not known
        (("envvar", "cdi-cri"), True),
        ((), True),
    ],
)
def test_strategies_that_need_the_variable(values: tuple[str, ...], needs: bool) -> None:
    verdict = judge(
        [node(strategy=Strategy(values, "file", SINCE, "" if values else "not known"))], [], {"gpu-1": BOTH}
    )
    assert verdict.ready != needs


def test_second_plugin_on_a_node_counts_too() -> None:
    two = node()
    two.plugins.append(PluginPod("other/plugin", VARIABLE))
    (sentence,) = missing(judge([two], [], {"gpu-1": BOTH}))["name_devices_by_mounts"]
    assert sentence == "node gpu-1: the device list strategy of other/plugin is envvar (default)."


def test_template_that_would_go_back_is_missing() -> None:
    verdict = judge([node()], [Template("kube-system/plugin", VARIABLE)], {"gpu-1": BOTH})
    assert "DaemonSet kube-system/plugin: the device list strategy of its next pods" in verdict.describe()


@pytest.mark.parametrize(("allocatable", "pods", "told"), [(0, False, False), (1, False, True), (0, True, True)])
def test_node_without_a_known_plugin_counts_if_its_gpus_are_served(allocatable: int, pods: bool, told: bool) -> None:
    served = node(plugins=[])
    served.allocatable = allocatable
    served.pods = served.pods if pods else []
    assert judge([served], [], {"gpu-1": BOTH}).ready != told


@pytest.mark.parametrize(("bound", "told"), [(EARLY, True), (SINCE, True), (LATE, False), ("", True)])
def test_pod_counts_as_recreated_only_if_it_surely_came_later(bound: str, told: bool) -> None:
    verdict = judge([node(bound=bound)], [], {"gpu-1": BOTH})
    assert ("pod nlp/worker-gpu-1 on node gpu-1 came at" in verdict.describe()) == told


def test_pod_that_was_seen_with_mounts_need_not_be_recreated() -> None:
    old = node(bound=EARLY)
    assert judge([old], [], {"gpu-1": BOTH}, frozenset({"uid-gpu-1"})).ready
    assert not judge([old], [], {"gpu-1": BOTH}, frozenset({"uid-other"})).ready


def test_pods_and_watchers_of_nodes_that_refuse_already_are_let_be() -> None:
    hardened = node(bound=EARLY, watchers=[Watcher("DaemonSet a/b", "c")])
    assert judge([hardened], [], {"gpu-1": HARDENED}).ready
    assert not judge([hardened, node("gpu-2", VARIABLE)], [], {"gpu-1": HARDENED, "gpu-2": BOTH}).ready


def test_watcher_is_told_of_once_however_many_nodes_it_is_on() -> None:
    watcher = Watcher("DaemonSet kube-system/exporter", "exporter")
    nodes = [node(f"gpu-{number}", watchers=[watcher]) for number in range(3)]
    found = missing(judge(nodes, [], {one.name: BOTH for one in nodes}))["privilege_watchers"]
    assert found == [
        "DaemonSet kube-system/exporter (container exporter, on gpu-0 and 2 more) sees GPUs by the variable alone."
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, AS_IT_COMES),
        ("", AS_IT_COMES),
        ("#accept-nvidia-visible-devices-as-volume-mounts = true\n[nvidia-container-cli]\n", AS_IT_COMES),
        ("\ufeffaccept-nvidia-visible-devices-as-volume-mounts = true\r\n", BOTH),
        (
            "accept-nvidia-visible-devices-as-volume-mounts = true\n"
            "accept-nvidia-visible-devices-envvar-when-unprivileged = false\n",
            HARDENED,
        ),
        # below a table it is another key
        ("[nvidia-container-cli]\naccept-nvidia-visible-devices-as-volume-mounts = true\n", AS_IT_COMES),
    ],
)
def test_switches_of_a_toolkit(text: str | None, expected: ToolkitSwitches) -> None:
    assert read_switches(text) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("b = 1\na = ", "Reading /etc/nvidia-container-runtime/config.toml:2:"),
        ('accept-nvidia-visible-devices-as-volume-mounts = "true"', "is neither true nor false."),
        # what a playbook may give in place of a text
        ({"accept": True}, "Reading /etc/nvidia-container-runtime/config.toml:1:"),
        (True, "Reading /etc/nvidia-container-runtime/config.toml:1:"),
    ],
)
def test_file_that_cannot_be_understood_is_missing(text: object, words: str) -> None:
    (sentence,) = missing(judge([node()], [], {"gpu-1": read_switches(text)}))["accept_volume_mounts"]
    assert sentence.startswith("node gpu-1: its toolkit's config.toml cannot be understood: ")
    assert words in sentence
    assert sentence.endswith(".")
    assert not sentence.endswith("..")
