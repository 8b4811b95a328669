# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Messages name what whoever reads them can set: options of the module, or variables of the role."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from unit.plugins.fakes.seen_runtime import BINARY, observed

from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.observation import Observation
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.planning import plan_runtime
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.wish import Wish

ROOT = Path(__file__).resolve().parents[5]
ROLE = ROOT / "roles" / "nvidia_container_runtime"
MAIN = "/etc/containerd/config.toml"
THEIRS = '[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.nvidia]\nruntime_type = "io.containerd.runc.v2"\n'
RUNC = f'version = 2\n{THEIRS.replace("nvidia", "runc")}[plugins."io.containerd.grpc.v1.cri".containerd]\ndefault_runtime_name = "runc"\n'


def containerd(files: Any, **more: Any) -> Observation:
    told = {"version": "1.6.20", "config_path": MAIN, "program": "/usr/bin/containerd", "dump": RUNC}
    return observed("containerd", files, **{**told, **more})


PLAIN = containerd({MAIN: "version = 2\n"})
RIVAL = containerd(
    {MAIN: 'version = 2\nimports = ["/etc/theirs.toml"]\n', "/etc/theirs.toml": f"version = 2\n{THEIRS}"}
)
MISSING = containerd({MAIN: "version = 2\n"}, binaries={BINARY: {"exists": False}})
OF_CRIO = containerd({MAIN: "version = 2\n"}, record={"schema_version": 1, "engine": "crio", "wish": {}, "files": {}})
WITH_FLAG = [{"name": "crio.service", "load": "loaded", "active": "active", "argv": ["crio", "--default-runtime=crun"]}]
CRIO = observed(
    "crio",
    {"/etc/crio/crio.conf": ""},
    version="1.30.0",
    candidates=[{"engine": "crio", "evidence": [], "units": WITH_FLAG, "active": True}],
)
DOCKER = observed("docker", {"/etc/docker/daemon.json": "{}"}, live={"live_restore": False, "containers": ["db"]})


@pytest.mark.parametrize(
    ("wish", "seen", "options"),
    [
        pytest.param(Wish(name="Big"), PLAIN, ["{}name is 'Big'"], id="name"),
        pytest.param(Wish(binary="nvidia"), PLAIN, ["{}binary is 'nvidia'"], id="binary"),
        pytest.param(Wish(), MISSING, ["correct {}binary", "set {}allow_missing_binary: true"], id="missing_binary"),
        pytest.param(Wish(cdi="true"), PLAIN, ["{}cdi is true"], id="cdi"),
        pytest.param(Wish(), RIVAL, ["another {}name", "set {}take_over: true"], id="rival"),
        pytest.param(Wish(), OF_CRIO, ["({}state: absent", "{}engine: crio)"], id="other_engine"),
        pytest.param(Wish(default=True), CRIO, ["set {}default: false"], id="default"),
        pytest.param(Wish(cdi="false"), CRIO, ["{}cdi is false"], id="cdi_of_crio"),
        pytest.param(Wish(), DOCKER, ["set {}permit_live_loss: true"], id="live_loss"),
        pytest.param(
            Wish(privileged_without_host_devices="true"),
            DOCKER,
            ["{}privileged_without_host_devices is true"],
            id="docker",
        ),
    ],
)
def test_message_names_the_option_as_its_reader_sets_it(wish: Wish, seen: Observation, options: list[str]) -> None:
    to_module = "\n".join(plan_runtime(wish, seen).problems)
    to_user = "\n".join(plan_runtime(replace(wish, caller="role"), seen).problems)
    for one in options:
        assert one.format("") in to_module
        assert one.format("kubegpu_runtime_") in to_user


def test_every_option_has_a_variable_of_that_name_and_the_role_says_who_it_is() -> None:
    defaults = (ROLE / "defaults" / "main.yml").read_text("utf-8")
    wish = Wish(caller="role")
    for field in fields(Wish):
        if field.name != "caller":
            assert f"{wish.called(field.name)} |" in defaults
    (task,) = yaml.safe_load((ROLE / "tasks" / "runtime.yml").read_text("utf-8"))
    assert task["kubegpu.sharing.container_runtime"]["caller"] == "role"


def test_file_that_is_ours_says_how_it_goes_as_its_reader_sets_it() -> None:
    plan = plan_runtime(Wish(), CRIO)
    (drop_in,) = [change for change in plan.files if change.path.startswith("/etc/crio")]
    assert drop_in.content is not None
    assert "kubegpu_runtime_state: absent takes the file away" in drop_in.content
