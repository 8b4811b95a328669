# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Before the role has run for real, and after it has taken its runtime away: all is as it was, to the byte."""

from __future__ import annotations

import pytest

from hosts.cri import CriError


def test_configuration_is_as_it_was(host):
    assert host.check_output("state-of-containerd") == host.file("/var/lib/before/files").content_string.rstrip("\n")


def test_pods_run_and_none_by_the_runtime(host, cri, environment):
    assert host.service("containerd").is_running
    assert cri.runtime_is_ready()
    assert "GPU_MADE_VISIBLE" not in environment("")
    with pytest.raises(CriError, match='no runtime for "nvidia" is configured'):
        environment("nvidia")


def test_nothing_says_that_there_is_one(host, runtime_classes):
    assert runtime_classes == []
    assert not host.file("/var/lib/kubegpu-sharing/runtime/record.json").exists
    assert not host.file("/var/lib/kubegpu-sharing/runtime/pending.json").exists
