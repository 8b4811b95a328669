# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import shlex
from typing import Any

import pytest
from unit.plugins.module_utils._holders.scene import exporter

from ansible_collections.kubegpu.sharing.plugins.module_utils._holders import names
from ansible_collections.kubegpu.sharing.plugins.module_utils._holders.methods import (
    Method,
    Place,
    choose_method,
    opt_in_command,
)

TITLE = "DaemonSet monitoring/exporter"
OPERATOR = "nvidia.com/gpu.deploy.dcgm-exporter"
EVERYTHING = [{"operator": "Exists"}]


@pytest.mark.parametrize(
    ("selector", "users", "expected"),
    [
        pytest.param({"gpu-metrics": "on"}, {"gpu-metrics": [TITLE]}, Method("label", "gpu-metrics"), id="own label"),
        pytest.param(
            {"a": "b", OPERATOR: "true"},
            {"a": [TITLE], OPERATOR: [TITLE]},
            Method("label", OPERATOR, "paused-for-mig-change"),
            id="the operator's label first",
        ),
        pytest.param({"gpu": "on"}, {"gpu": [TITLE, "Deployment a/b"]}, Method("taint"), id="label of others too"),
        pytest.param({"gpu": "on"}, {}, Method("taint"), id="label of which the users are not known"),
        pytest.param(
            {"kubernetes.io/os": "linux", "nvidia.com/gpu.present": "true"},
            {"kubernetes.io/os": [TITLE], "nvidia.com/gpu.present": [TITLE]},
            Method("taint"),
            id="labels that somebody puts back",
        ),
        pytest.param({}, {}, Method("taint"), id="no selector"),
    ],
)
def test_choose_method_takes_what_touches_least(
    selector: dict[str, str], users: dict[str, list[str]], expected: Method
) -> None:
    assert choose_method(exporter(nodeSelector=selector), Place(selector, users)) == expected


def test_choose_method_label_that_the_node_does_not_bear_so_is_left_alone() -> None:
    users = {"gpu-metrics": [TITLE]}
    found = choose_method(exporter(nodeSelector={"gpu-metrics": "on"}), Place({"gpu-metrics": "off"}, users))
    assert found == Method("taint")


def test_choose_method_two_that_are_both_paused_may_share_a_label() -> None:
    one, labels = exporter(nodeSelector={"metrics": "on"}), {"metrics": "on"}
    users = {"metrics": [TITLE, "DaemonSet monitoring/other"]}
    assert choose_method(one, Place(labels, users, ("monitoring/exporter",))) == Method("taint")
    together = ("monitoring/exporter", "monitoring/other")
    assert choose_method(one, Place(labels, users, together)) == Method("label", "metrics")


@pytest.mark.parametrize(
    "toleration",
    [
        {"operator": "Exists"},
        {"key": names.TAINT_KEY, "operator": "Exists"},
        {"key": names.TAINT_KEY, "value": "nvml", "effect": "NoSchedule"},
    ],
)
def test_choose_method_finds_none_for_one_that_tolerates_the_taint(toleration: dict[str, str]) -> None:
    assert choose_method(exporter(tolerations=[toleration]), Place({}, {})) is None


@pytest.mark.parametrize("toleration", [{"key": "nvidia.com/gpu", "operator": "Exists"}, {"effect": "NoExecute"}])
def test_choose_method_taints_for_one_that_tolerates_others(toleration: dict[str, str]) -> None:
    assert choose_method(exporter(tolerations=[toleration]), Place({}, {})) == Method("taint")


@pytest.mark.parametrize(
    "terms",
    [
        pytest.param(None, id="no affinity"),
        pytest.param(
            [
                {"matchExpressions": [{"key": "a", "operator": "In", "values": ["it's"]}]},
                {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["gpu-1"]}]},
            ],
            id="alternatives",
        ),
    ],
)
def test_opt_in_command_makes_a_daemonset_one_that_can_be_paused(terms: list[dict[str, Any]] | None) -> None:
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
    spec: dict[str, Any] = {"tolerations": EVERYTHING, **({"affinity": {"nodeAffinity": required}} if terms else {})}
    words = shlex.split(opt_in_command(exporter(**spec)))
    assert words[:6] == ["kubectl", "-n", "monitoring", "patch", "daemonset", "exporter"]
    patched = json.loads(words[-1])["spec"]["template"]["spec"]
    after = exporter(**{**spec, **patched})
    assert choose_method(after, Place({}, {})) == Method("label", names.PAUSED_LABEL, "true")
    for term, before in zip(
        patched["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"],
        terms or [{}],
    ):
        assert term["matchExpressions"][:-1] == before.get("matchExpressions", [])
