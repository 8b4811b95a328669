# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.kubegpu.sharing.plugins.module_utils._plugin.options import PluginOptions, read_options


@pytest.mark.parametrize("given", [None, {}])
def test_read_options_nothing_given_are_the_defaults(given: Any) -> None:
    assert read_options(given) == (PluginOptions(), [])


def test_read_options_takes_what_is_given() -> None:
    given = {
        "version": "v0.14.5",
        "node_selector": {"pool": "gpu"},
        "tolerations": [{"key": "dedicated", "operator": "Exists"}],
    }
    options, problems = read_options(given)
    assert problems == []
    assert (options.version, options.node_selector) == ("v0.14.5", {"pool": "gpu"})
    assert options.tolerations == ({"key": "dedicated", "operator": "Exists"},)


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"vesion": "v0.17.1"}, "kubegpu_device_plugin: unknown word 'vesion'. Did you mean version?"),
        ({"version": "latest"}, "kubegpu_device_plugin.version: 'latest' is not a version such as"),
        ({"version": "v0.12.3"}, "kubegpu_device_plugin.version v0.12.3 is too old"),
        ({"version": 0.17}, "kubegpu_device_plugin.version is a number (0.17); give a string."),
        ({"image": "registry.example/k8s-device-plugin:v1"}, "must be a repository without tag or digest"),
        ({"image": "registry.example/k8s-device-plugin@sha256:00"}, "must be a repository without tag or digest"),
        ({"backend": "helm"}, "kubegpu_device_plugin.backend helm is not supported yet; give daemonset_per_key."),
        ({"backend": "daemonset"}, "kubegpu_device_plugin.backend is 'daemonset'; give daemonset_per_key."),
        ({"namespace": "Kube_System"}, "kubegpu_device_plugin.namespace 'Kube_System' is no valid name"),
        ({"kubelet_root": "var/lib/kubelet"}, "is not an absolute path"),
        ({"privileged": "yes"}, "kubegpu_device_plugin.privileged is a string ('yes'); give true or false."),
        (
            {"node_selector": {"gpu": True}},
            "kubegpu_device_plugin.node_selector.gpu is a boolean (True); put it in quotes.",
        ),
        (
            {"node_selector": {"nvidia.com/device-plugin.config": "x"}},
            "ties each DaemonSet to its config; take it out.",
        ),
        ({"tolerations": ["NoSchedule"]}, "kubegpu_device_plugin.tolerations[0] is a string"),
        ("v0.17.1", "kubegpu_device_plugin is a string; give a mapping"),
    ],
)
def test_read_options_problem_says_where_what_and_the_cure(given: Any, problem: str) -> None:
    options, problems = read_options(given)
    assert options == PluginOptions()
    assert len(problems) == 1
    assert problem in problems[0]


def test_read_options_a_port_is_no_tag() -> None:
    assert read_options({"image": "registry.example:5000/k8s-device-plugin"})[1] == []
