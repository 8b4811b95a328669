# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes of every engine, looked at as the module does it, planned, and looked at again: real files, stand-ins for programs."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

import pytest
from unit.plugins.module_utils._runtime.nodes import BINARY, TOOLKIT, sample

from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.observation import Observation
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.plan import RuntimePlan
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.planning import plan_runtime
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.wish import STATE_DIR, Wish
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.observing import Look, observe
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.root import Root

SYSTEMCTL = """#!/bin/sh
for unit; do
    case $unit in show|-*) continue;; esac
    if [ -e {units}/$unit ]; then cat {units}/$unit; echo; else
        printf 'Id=%s\\nLoadState=not-found\\nActiveState=inactive\\nSubState=dead\\nUnitFileState=\\nMainPID=0\\n\\n' $unit
    fi
done
"""


@dataclass(frozen=True)
class Kind:
    """A node of one engine. :param says: its program's answer to --version. :param written: the file that the wish makes or edits."""

    engine: str
    unit: str
    argv: str
    says: str
    version: str
    files: dict[str, str]
    written: str


def rancher(name: str, unit: str) -> Kind:
    generated = sample("k3s-1.32-config.toml").replace("/rancher/k3s", f"/rancher/{name}")
    return Kind(
        name,
        unit,
        f"/usr/local/bin/{name} agent --node-name gpu-1",
        f"{name} version v1.32.2+{name}1 (f8f3d8f5)\ngo version go1.23.6",
        f"v1.32.2+{name}1",
        {
            f"/etc/rancher/{name}/config.yaml": "node-label:\n  - a=b\n",
            f"/etc/rancher/{name}/config.yaml.d/90-site.yaml": "debug: true\n",
            f"/var/lib/rancher/{name}/agent/etc/containerd/config.toml": generated,
        },
        f"/etc/rancher/{name}/config.yaml.d/80-kubegpu-sharing.yaml",
    )


KINDS = [
    Kind(
        "crio",
        "crio.service",
        "/usr/bin/crio",
        "crio version 1.33.2\nVersion:        1.33.2\n",
        "1.33.2",
        {"/etc/crio/crio.conf.d/10-crio.conf": sample("crio-10-crio.conf"), TOOLKIT: sample("toolkit_1_14.toml")},
        "/etc/crio/crio.conf.d/80-kubegpu-sharing.conf",
    ),
    Kind(
        "docker",
        "docker.service",
        "/usr/sbin/dockerd -H fd:// --containerd=/run/containerd/containerd.sock",
        "Docker version 26.1.5+dfsg1, build 411e817",
        "26.1.5+dfsg1",
        {"/etc/docker/daemon.json": sample("docker-daemon.json")},
        "/etc/docker/daemon.json",
    ),
    rancher("k3s", "k3s-agent.service"),
    rancher("rke2", "rke2-agent.service"),
    Kind(
        "microk8s",
        "snap.microk8s.daemon-containerd.service",
        "/usr/bin/snap run microk8s.daemon-containerd",
        "containerd github.com/containerd/containerd v1.7.27 05044ec0",
        "1.7.27",
        {"/var/snap/microk8s/current/args/containerd-template.toml": sample("microk8s-template.toml")},
        "/var/snap/microk8s/current/args/containerd-template.toml",
    ),
]


class Node:
    """A node below a directory."""

    def __init__(self, kind: Kind, directory: Path) -> None:
        self.root, self._units = directory / "root", directory / "units"
        self._units.mkdir()
        self.write(BINARY, "#!/bin/sh\n", executable=True)
        program = "/snap/microk8s/current/bin/containerd" if kind.engine == "microk8s" else kind.argv.split()[0]
        self.write(program, f"#!/bin/sh\ncat <<'SAYS'\n{kind.says}\nSAYS\n", executable=True)
        for path, text in kind.files.items():
            self.write(path, text)
        shown = f"Id={kind.unit}\nLoadState=loaded\nActiveState=active\nSubState=running\nUnitFileState=enabled\nMainPID=1\n"
        shown += f"ExecStart={{ path={kind.argv.split()[0]} ; argv[]={kind.argv} ; ignore_errors=no ; }}\n"
        (self._units / kind.unit).write_text(shown, encoding="utf-8")
        systemctl = directory / "bin/systemctl"
        systemctl.parent.mkdir()
        systemctl.write_text(SYSTEMCTL.replace("{units}", str(self._units)), encoding="utf-8")
        systemctl.chmod(0o755)

    def write(self, path: str, text: str, executable: bool = False) -> None:
        real = self.root / path.lstrip("/")
        real.parent.mkdir(parents=True, exist_ok=True)
        real.write_text(text, encoding="utf-8")
        real.chmod(0o755 if executable else 0o644)

    def look(self) -> Observation:
        return Observation.from_dict(
            json.loads(json.dumps(observe(Look(binaries=(BINARY,), root=Root(str(self.root))))))
        )

    def carry_out(self, plan: RuntimePlan) -> None:
        """What the module writes, without what it guards against."""
        for change in plan.files:
            if change.content is None:
                (self.root / change.path.lstrip("/")).unlink()
            else:
                self.write(change.path, change.content)
        record = self.root / STATE_DIR.lstrip("/") / "record.json"
        if plan.record is None:
            record.unlink(missing_ok=True)
        else:
            self.write(f"{STATE_DIR}/record.json", json.dumps(plan.record))

    def texts(self) -> dict[str, str]:
        paths = [path for path in self.root.rglob("*") if path.is_file()]
        return {str(path.relative_to(self.root)): path.read_text(encoding="utf-8") for path in paths}


@pytest.mark.parametrize("kind", KINDS, ids=[kind.engine for kind in KINDS])
def test_node_is_recognized_configured_left_alone_and_given_back(
    kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    node = Node(kind, tmp_path)
    before, seen = node.texts(), node.look()
    assert (seen.engine, seen.version, seen.problem) == (kind.engine, kind.version, None)
    wish = Wish(default=True)
    plan = plan_runtime(wish, seen)
    assert plan.problems == ()
    assert plan.units == (kind.unit,)
    assert plan.files[0].path == kind.written
    assert json.loads(json.dumps(plan.to_dict())) == plan.to_dict()
    node.carry_out(plan)
    assert not plan_runtime(wish, node.look()).changed
    node.carry_out(plan_runtime(Wish(state="absent"), node.look()))
    assert node.texts() == before
