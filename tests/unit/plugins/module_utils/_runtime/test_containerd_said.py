# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a plan says of what is to be done: the runtime that goes is the one that was put in, and what changes is named."""

from __future__ import annotations

from typing import Any, Dict, Mapping, Tuple

import pytest
from unit.plugins.fakes.seen_runtime import after, seen_file, seen_runtime

from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.observation import Observation
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.plan import RuntimePlan
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.planning import plan_runtime
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.wish import Wish

MAIN = "/etc/containerd/config.toml"
DROP_IN = "/etc/containerd/conf.d/80-kubegpu-sharing.toml"
RUNC = "plugins.'io.containerd.grpc.v1.cri'.containerd.runtimes.runc"
PLAIN = f"version = 2\n[{RUNC}]\nruntime_type = 'io.containerd.runc.v2'\n"
CGROUPS = f"{PLAIN}[{RUNC}.options]\nSystemdCgroup = true\n"
DEFAULT = "[plugins.'io.containerd.grpc.v1.cri'.containerd]\ndefault_runtime_name = '{}'\n"
PLACES = {"1.7.24": f"the main file ({MAIN})", "2.1.9": f"a file of its own ({DROP_IN})"}


def seen(version: str, text: str = PLAIN) -> Dict[str, Any]:
    return seen_runtime("containerd", {MAIN: text}, version=version, program="/usr/bin/containerd", config_path=MAIN)


def plan(told: Mapping[str, Any], **options: Any) -> RuntimePlan:
    return plan_runtime(Wish(**options), Observation.from_dict(told))


def done(told: Mapping[str, Any], **options: Any) -> Tuple[str, ...]:
    """What is said of files, without their import and the restart."""
    made = plan(told, **options)
    assert not made.problems
    return tuple(one for one in made.actions if not one.startswith(("import the drop-in", "restart ")))


def ready(version: str, **options: Any) -> Dict[str, Any]:
    start = seen(version)
    return after(start, plan(start, **options).to_dict())


@pytest.mark.parametrize("version", PLACES)
def test_runtime_that_is_there_is_brought_up_to_date_and_what_changes_is_named(version: str) -> None:
    place, path = PLACES[version].removesuffix(")").split(" (")
    assert done(seen(version)) == (f"put the runtime nvidia into {PLACES[version]}",)
    there = ready(version)
    assert done(there, binary="/opt/nvidia", allow_missing_binary=True) == (
        f"bring the runtime nvidia in {place} up to date: BinaryName ({path})",
    )
    assert done(there, default=True) == (
        f"bring the runtime nvidia, as the default one, in {place} up to date: default_runtime_name ({path})",
    )


def test_value_that_the_copied_runtime_has_got_since_is_named() -> None:
    there = ready("2.1.9")
    told = there["files"][MAIN]["content"] + f"[{RUNC}.options]\nSystemdCgroup = true\n"
    there = {**there, "files": {**there["files"], MAIN: seen_file(told)}, "dump": None}
    assert done(there) == (f"bring the runtime nvidia in a file of its own up to date: SystemdCgroup ({DROP_IN})",)


@pytest.mark.parametrize("version", PLACES)
def test_runtime_of_another_name_is_said_to_go(version: str) -> None:
    there = ready(version, name="nvidia-cdi")
    assert done(there) == (
        f"put the runtime nvidia into {PLACES[version].replace(' (', ' in the place of nvidia-cdi (')}",
    )
    out = tuple(one for one in done(there, state="absent"))
    assert len(out) == 1
    assert out[0].startswith("take the runtime nvidia-cdi out (")


@pytest.mark.parametrize("version", PLACES)
@pytest.mark.parametrize("state", ["present", "absent"])
def test_runtime_of_another_name_that_somebody_made_the_default_stays(version: str, state: str) -> None:
    there = ready(version, name="nvidia-cdi")
    text = there["files"][MAIN]["content"]
    there = {**there, "files": {**there["files"], MAIN: seen_file(text + DEFAULT.format("nvidia-cdi"))}}
    (told,) = plan(there, state=state).problems
    assert f"Taking nvidia-cdi out: {MAIN}:" in told
    assert "makes it the default runtime" in told
    assert not plan(there, state=state, name="nvidia-cdi").problems or state == "absent"


@pytest.mark.parametrize(
    ("engine", "path", "text"),
    [("docker", "/etc/docker/daemon.json", "{}\n"), ("crio", "/etc/crio/crio.conf", "")],
)
def test_other_engines_name_what_goes_too(engine: str, path: str, text: str) -> None:
    start = seen_runtime(engine, {path: text}, version="1.30.0" if engine == "crio" else "26.1.5", config_path=path)
    start["live"] = {"live_restore": True}
    there = after(start, plan(start, name="gpu").to_dict())
    (out,) = done(there, state="absent")
    assert " gpu" in out
    assert "nvidia" not in out.partition("(")[0]
