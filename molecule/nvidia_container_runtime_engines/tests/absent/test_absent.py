# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""After the runtime was taken away, and after changes that were taken back: all is as it was, and serves."""

from __future__ import annotations

import pytest

from hosts.cri import CriError

NAMES = ["crio", "docker", "k3s", "rke2", "microk8s"]


@pytest.mark.parametrize("name", NAMES)
def test_configuration_is_as_it_was(hosts, name):
    host = hosts(name)
    assert host.check_output("state-of-runtimes") == host.file("/var/lib/before/files").content_string.rstrip("\n")


@pytest.mark.parametrize("name", NAMES)
def test_runtime_runs_and_nothing_is_left_to_do(hosts, unit, name):
    assert hosts(name).service(unit(name)).is_running
    assert not hosts(name).file("/var/lib/kubegpu-sharing/runtime/pending.json").exists


@pytest.mark.parametrize("name", ["k3s", "rke2"])
def test_pods_run_by_what_k3s_and_rke2_find_themselves(environment, name):
    assert "GPU_MADE_VISIBLE" not in environment(name, "")
    assert "GPU_MADE_VISIBLE" in environment(name, "nvidia")


def test_pods_of_microk8s_run_without_it(environment):
    assert "GPU_MADE_VISIBLE" not in environment("microk8s", "")
    with pytest.raises(CriError, match='no runtime for "nvidia" is configured'):
        environment("microk8s", "nvidia")
