# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each option of a wish means for the tables of containerd."""

from __future__ import annotations

from typing import Any, Dict, Optional

import pytest
from unit.plugins.fakes.seen_runtime import BINARY, after, seen_runtime

from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.observation import Observation
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.plan import RuntimePlan
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.planning import plan_runtime
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.toml_reading import lookup, parse
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.wish import Wish

MAIN = "/etc/containerd/config.toml"
DROP_IN = "/etc/containerd/conf.d/80-kubegpu-sharing.toml"
CRI = {"1.7.24": "io.containerd.grpc.v1.cri", "2.1.9": "io.containerd.cri.v1.runtime"}
VERSIONS = tuple(CRI)


def seen(version: str, runc: str = "", options: str = "", cri: str = "") -> Dict[str, Any]:
    """A containerd with a runc, and lines of its tables."""
    base = f"plugins.'{CRI[version]}'"
    text = (
        f"version = {2 if version.startswith('1') else 3}\n[{base}]\nenable_selinux = true\n{cri}"
        f"[{base}.containerd.runtimes.runc]\nruntime_type = 'io.containerd.runc.v2'\n{runc}"
        f"[{base}.containerd.runtimes.runc.options]\nSystemdCgroup = true\n{options}"
    )
    return seen_runtime(
        "containerd", {MAIN: text}, version=version, program="/usr/bin/containerd", config_path=MAIN, dump=text
    )


def plan(told: Dict[str, Any], **options: Any) -> RuntimePlan:
    made = plan_runtime(Wish(**options), Observation.from_dict(told))
    assert not made.problems
    return made


def written(told: Dict[str, Any], version: str, **options: Any) -> Dict[str, Any]:
    """The CRI plugin's table in the file that the plan puts ours into."""
    path = MAIN if version.startswith("1") else DROP_IN
    text = {change.path: change.content for change in plan(told, **options).files}[path]
    found = lookup(parse(text or "", path), ("plugins", CRI[version]))
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("wished", "there", "found"),
    [
        ("inherit", "", None),
        ("inherit", "privileged_without_host_devices = true\n", True),
        ("true", "", True),
        ("false", "privileged_without_host_devices = true\n", False),
    ],
)
def test_privileged_containers_get_devices_as_wished_or_as_with_the_default_runtime(
    version: str, wished: str, there: str, found: Optional[bool]
) -> None:
    nvidia = written(seen(version, there), version, privileged_without_host_devices=wished)["containerd"]["runtimes"][
        "nvidia"
    ]
    assert nvidia.get("privileged_without_host_devices") is found
    assert nvidia["options"] == {"BinaryName": BINARY, "SystemdCgroup": True}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("wished", "found"), [("inherit", None), ("true", True), ("false", False)])
def test_cdi_is_switched_only_if_wished(version: str, wished: str, found: Optional[bool]) -> None:
    assert written(seen(version), version, cdi=wished).get("enable_cdi") is found


@pytest.mark.parametrize("version", VERSIONS)
def test_runtime_is_the_default_one_only_if_wished(version: str) -> None:
    assert "default_runtime_name" not in written(seen(version), version)["containerd"]
    assert written(seen(version), version, default=True)["containerd"]["default_runtime_name"] == "nvidia"


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("binary", [BINARY, "/usr/local/nvidia/toolkit/nvidia-container-runtime.cdi"])
def test_runc_with_nvidias_executable_is_told_and_put_right_on_request_alone(version: str, binary: str) -> None:
    start = seen(version, options=f'BinaryName = "{binary}"\n')
    left = plan(start)
    assert [told for told in left.warnings if f"executable of runtime runc is NVIDIA's ({binary})" in told]
    assert [told for told in left.warnings if "restore_runc: true gives it its own one back" in told]
    assert not [value for path, value in left.ours.values if "runc" in path]
    restored = plan(start, restore_runc=True)
    assert [value for path, value in restored.ours.values if path[-3:] == ("runc", "options", "BinaryName")] == ["runc"]
    assert not [told for told in restored.warnings if "is NVIDIA's" in told]
    gone = plan(after(start, restored.to_dict()), state="absent")
    back = {change.path: change.content for change in gone.files}
    assert back[MAIN] == start["files"][MAIN]["content"]


@pytest.mark.parametrize("version", VERSIONS)
def test_runc_with_its_own_executable_is_nothing_to_tell(version: str) -> None:
    made = plan(seen(version, options='BinaryName = "/usr/bin/runc"\n'), restore_runc=True)
    assert not made.warnings
    assert not [value for path, value in made.ours.values if "runc" in path]


@pytest.mark.parametrize("text", [None, "", "# nothing\n"], ids=["missing", "empty", "comment"])
@pytest.mark.parametrize(("installed", "version"), [("1.6.20~ds1", 2), ("1.7.24", 2), ("2.0.0", 3), ("2.1.9", 3)])
def test_main_file_that_says_nothing_gets_the_version_of_the_installed_containerd(
    text: Optional[str], installed: str, version: int
) -> None:
    told = seen_runtime("containerd", {MAIN: text}, version=installed, program="/usr/bin/containerd", config_path=MAIN)
    made = {change.path: parse(change.content or "", change.path)["version"] for change in plan(told).files}
    assert made == ({MAIN: 2} if version == 2 else {DROP_IN: 3, MAIN: 3})
