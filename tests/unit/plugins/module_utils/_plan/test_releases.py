# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest
from unit.plugins.module_utils._plan.fleet import FOREIGN, foreign_plugin

from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.node_state import NodeState
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.releases import choose_release, foreign_plugins

ITSELF = f"DaemonSet kube-system/{FOREIGN}"
STAY_AWAY = {"key": "kubegpu.sharing/revision", "operator": "DoesNotExist"}


def required(*terms: Any) -> dict[str, Any]:
    return {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": list(terms)}}


def patched_terms(plugin: dict[str, Any]) -> list[Any]:
    patch = choose_release(plugin, {}).patch
    assert patch is not None
    assert patch["spec"]["updateStrategy"] == {"type": "OnDelete", "rollingUpdate": None}
    affinity = patch["spec"]["template"]["spec"]["affinity"]["nodeAffinity"]
    return affinity["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]


def test_label_that_nothing_else_uses_is_taken_off() -> None:
    release = choose_release(foreign_plugin(["n1"]), {"nvidia-device-enable": [ITSELF]})
    assert release.for_node() == {
        "method": "label",
        "daemonset": f"kube-system/{FOREIGN}",
        "label": {"nvidia-device-enable": "enable"},
    }
    assert release.patch is None


@pytest.mark.parametrize(
    "users",
    [{"nvidia-device-enable": [ITSELF, "Deployment ml/web"]}, {"nvidia-device-enable": []}, {}],
    ids=["shared", "none", "unknown"],
)
def test_label_that_may_serve_others_stays(users: dict[str, Any]) -> None:
    assert choose_release(foreign_plugin(["n1"]), users).method == "affinity"


@pytest.mark.parametrize(
    "label",
    [
        "kubernetes.io/os",
        "node.kubernetes.io/instance-type",
        "feature.node.kubernetes.io/pci-10de.present",
        "topology.k8s.io/zone",
        "nvidia.com/gpu.present",
        "nvidia.com/gpu.deploy.device-plugin",
        "nvidia.com/device-plugin.config",
        "kubegpu.sharing/revision",
    ],
)
def test_label_that_somebody_maintains_stays(label: str) -> None:
    plugin = foreign_plugin(["n1"], node_selector={label: "true"})
    assert choose_release(plugin, {label: [ITSELF]}).method == "affinity"


def test_affinity_without_any_before_is_one_term() -> None:
    assert patched_terms(foreign_plugin(["n1"], node_selector={})) == [{"matchExpressions": [STAY_AWAY]}]


def test_affinity_is_said_in_every_alternative() -> None:
    linux = {"key": "kubernetes.io/os", "operator": "In", "values": ["linux"]}
    plugin = foreign_plugin(
        ["n1"],
        node_affinity=required(
            {"matchExpressions": [linux]},
            {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n1"]}]},
        ),
    )
    terms = patched_terms(plugin)
    assert terms[0] == {"matchExpressions": [linux, STAY_AWAY]}
    assert terms[1]["matchFields"]
    assert terms[1]["matchExpressions"] == [STAY_AWAY]


def test_affinity_that_is_there_already_needs_no_patch() -> None:
    plugin = foreign_plugin(
        ["n1"], node_affinity=required({"matchExpressions": [STAY_AWAY]}), update_strategy="OnDelete"
    )
    release = choose_release(plugin, {})
    assert (release.method, release.patch) == ("affinity", None)


@pytest.mark.parametrize(
    ("owner", "warned"),
    [
        ({"kind": "none", "name": None}, False),
        ({"kind": "helm", "name": "gpu"}, True),
        ({"kind": "addon", "name": "AKS"}, True),
    ],
)
def test_owner_that_may_take_it_back_is_warned_of(owner: dict[str, Any], warned: bool) -> None:
    assert bool(choose_release(foreign_plugin(["n1"], owner=owner), {}).warnings()) is warned


def test_foreign_plugins_are_found_by_their_pods_and_ours_are_not() -> None:
    plugins = [
        foreign_plugin(["n1"], pods=[{"name": "p", "node": "n2"}, {"name": "waiting", "node": ""}]),
        foreign_plugin(["n1"], name="ours", owner={"kind": "kubegpu", "name": "kubegpu.sharing"}),
    ]
    found = foreign_plugins(plugins, {})
    assert {node: [plugin["name"] for plugin in on_it] for node, on_it in found.items()} == {
        "n1": [FOREIGN],
        "n2": [FOREIGN],
    }


def test_foreign_plugin_that_selects_a_node_counts_though_it_has_no_pod_there() -> None:
    labels = {"selected": {"nvidia-device-enable": "enable"}, "other": {"nvidia-device-enable": "no"}, "bare": {}}
    states = {name: NodeState(name, {"labels": of_node}) for name, of_node in labels.items()}
    assert list(foreign_plugins([foreign_plugin([])], states)) == ["selected"]


def test_release_entry_says_what_it_was_when_the_plan_was_made() -> None:
    entry = choose_release(foreign_plugin(["n1"]), {"nvidia-device-enable": [ITSELF]}).to_dict(["n1"])
    assert (entry["uid"], entry["generation"], entry["nodes"]) == ("foreign-uid", 3, ["n1"])
