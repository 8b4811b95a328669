# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""After a boot whose restore failed: the node is up, only the GPUs are not advertised, and the reason is told."""

from __future__ import annotations

import pytest

FAILED = "/run/kubegpu-sharing/mig-restore-failed"
READY = "/run/kubegpu-sharing/mig-ready"
UNIT = "kubegpu-mig-restore.service"


def test_node_is_up_and_has_no_marker(host):
    assert host.service("kubelet").is_running
    assert host.file("/run/kubelet-found").content_string == "not ready\n"
    assert not host.file(READY).exists


@pytest.mark.parametrize("words", ["create 3g.48gb at ", "failed: ", "GPU 0"])
def test_reason_is_in_the_journal_and_in_a_file(host, properties, unit_log, words):
    assert properties(UNIT, "Result") == {"Result": "exit-code"}
    assert words in unit_log()
    assert words in host.file(FAILED).content_string


@pytest.mark.parametrize("service", ["nvidia-persistenced", "nvidia-dcgm"])
def test_service_that_had_to_make_way_runs(host, service):
    assert host.service(service).is_running
