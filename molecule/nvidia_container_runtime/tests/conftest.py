# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The test hosts, and what is asked of them in every state."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import tomllib
from kubernetes import client, config

from hosts.cri import Cri, connect
from hosts.verifying import reach

DIRECTORY = Path(os.environ["MOLECULE_PROJECT_DIRECTORY"]) / "build/molecule/containerd"


@pytest.fixture(scope="session", params=["containerd-1-6", "containerd-1-7", "containerd-2"])
def name(request: pytest.FixtureRequest) -> str:
    """Of one host after the other."""
    return str(request.param)


@pytest.fixture(scope="session")
def host(name: str) -> Any:
    """The host, by ssh."""
    return reach(DIRECTORY / name)


@pytest.fixture(scope="session")
def cri(name: str) -> Iterator[Cri]:
    """Its container runtime, as the kubelet talks to it."""
    with connect(DIRECTORY / name) as reached:
        yield reached


@pytest.fixture
def environment(cri: Cri) -> Callable[[str], str]:
    """What a pod of a handler has in its environment."""
    return lambda handler: cri.run(handler, "test.invalid/busybox:1", "cat", "/proc/1/environ").output


@pytest.fixture
def dumps(host: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """What containerd made of its configuration before the role ran, and what it makes of it now."""
    now = host.check_output("containerd --config /etc/containerd/config.toml config dump")
    return tomllib.loads(host.file("/var/lib/before/dump.toml").content_string), tomllib.loads(now)


@pytest.fixture(scope="session")
def runtime_classes() -> list[str]:
    """Their handlers."""
    api = client.NodeV1Api(config.new_client_from_config(str(DIRECTORY / "cluster/kubeconfig")))
    return [item.handler for item in api.list_runtime_class().items]
