# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the guide on container runtimes prints: the diff that is shown, refusals in these words, settings that are complete,
playbooks that Ansible takes, and a table of what was run that says no more than what is.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import replace
from inspect import getsource
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import yaml
from unit.plugins.fakes.runtime_node import CONFIG, RuntimeNode, change, make_plan, params, pending
from unit.plugins.fakes.seen_runtime import after, seen_file, seen_runtime
from unit.plugins.module_utils._runtime.nodes import BINARY, node

from ansible_collections.kubegpu.sharing.plugins.filter.runtime_classes import runtime_classes
from ansible_collections.kubegpu.sharing.plugins.filter.toolkit_problems import toolkit_problems
from ansible_collections.kubegpu.sharing.plugins.filter.unknown_variables import unknown_variables
from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import KubeGpuError
from ansible_collections.kubegpu.sharing.plugins.module_utils._core.host_lock import HostLock
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.dumps import compare
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.observation import Candidate, Observation, Unit
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.plan import RuntimePlan
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.planning import plan_runtime
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.wish import Wish
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host import going_back
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.applying import Application
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.detection import choose
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.observing import Look, observe
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.root import Root
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.steps import take_step
from ansible_collections.kubegpu.sharing.plugins.plugin_utils._runtime_checks import RANGES, stopped_problems
from hosts.containerds import SUITES

ROOT = Path(__file__).resolve().parents[3]
GUIDE = (ROOT / "docs/docsite/rst/guide_make_containerd_ready_for_gpus.rst").read_text("utf-8")
MAIN, DROP_IN = "/etc/containerd/config.toml", "/etc/containerd/conf.d/99-nvidia.toml"
TOOLKIT_CONFIG = "/etc/nvidia-container-runtime/config.toml"
ROLE = ROOT / "roles/nvidia_container_runtime"
TROUBLESHOOTING = (ROLE / "TROUBLESHOOTING.md").read_text("utf-8")
OURS = "/etc/containerd/conf.d/80-kubegpu-sharing.toml"
ENGINES = "molecule/nvidia_container_runtime_engines"
CRI = 'plugins."io.containerd.grpc.v1.cri"'
NVIDIA = f'[{CRI}.containerd.runtimes.nvidia]\n  runtime_type = "io.containerd.runc.v2"\n'
IMPORTING = 'version = 2\nimports = ["/etc/containerd/conf.d/*.toml"]\n'
# The package of Debian 12 brings this.
DEBIAN = """\
version = 2

[plugins]
  [plugins."io.containerd.grpc.v1.cri"]
    [plugins."io.containerd.grpc.v1.cri".cni]
      bin_dir = "/usr/lib/cni"
      conf_dir = "/etc/cni/net.d"
  [plugins."io.containerd.internal.v1.opt"]
    path = "/var/lib/containerd/opt"
"""
# What containerd makes of it: a default that no file has named.
RUNC = f'[{CRI}.containerd]\n  default_runtime_name = "runc"\n[{CRI}.containerd.runtimes.runc]\n  runtime_type = "io.containerd.runc.v2"\n'


def dump(text: str) -> dict[str, Any]:
    return {"argv": ["containerd", "config", "dump"], "rc": 0, "stdout": text, "stderr": ""}


def containerd(main: str | None, drop_in: str | None = None) -> Observation:
    """A node with containerd 1.6."""
    listings = {"/etc/containerd/conf.d": ["99-nvidia.toml"] if drop_in else []}
    return node(
        "containerd",
        {MAIN: main, DROP_IN: drop_in},
        version="1.6.20~ds1",
        config_path=MAIN,
        program="/usr/bin/containerd",
        listings=listings,
        dump=dump(f"version = 2\n{RUNC}"),
    )


def problems(observation: Observation, **wish: Any) -> str:
    return "\n".join(plan_runtime(Wish(**wish), observation).problems)


def shared() -> Observation:
    """A node with containerd 2.1, and somebody's table in the drop-in that is ours."""
    files = {MAIN: 'version = 3\nimports = ["conf.d/*.toml"]\n', OURS: None}
    bare = seen_runtime("containerd", files, version="2.1.9", program="/usr/bin/containerd", config_path=MAIN)
    done = after(bare, plan_runtime(Wish(), Observation.from_dict(bare)).to_dict())
    done["files"][OURS] = seen_file(done["files"][OURS]["content"] + '[debug]\nlevel = "info"\n')
    return Observation.from_dict(done)


def warnings(observation: Observation) -> str:
    """What absent says that it leaves."""
    return "\n".join(plan_runtime(Wish(state="absent"), observation).warnings)


def somebodys() -> Observation:
    """A node with containerd 1.6 where somebody has added a value to the handler's table."""
    bare = seen_runtime(
        "containerd",
        {MAIN: f"version = 2\n{RUNC}"},
        version="1.6.20~ds1",
        program="/usr/bin/containerd",
        config_path=MAIN,
    )
    done = after(bare, plan_runtime(Wish(), Observation.from_dict(bare)).to_dict())
    table = f"[{CRI}.containerd.runtimes.nvidia]\n"
    done["files"][MAIN] = seen_file(done["files"][MAIN]["content"].replace(table, f'{table}  snapshotter = "mine"\n'))
    return Observation.from_dict(done)


def compared(before: str, after: str) -> str:
    plan = plan_runtime(Wish(), containerd(DEBIAN))
    return "\n".join(compare(plan, dump(before), dump(after)))


def locked(directory: Path) -> str:
    path = str(directory / "lock")
    with HostLock("one", "change", path), pytest.raises(KubeGpuError) as refused, HostLock("other", "change", path):
        pass
    return str(refused.value)


def stopped() -> str:
    """What is said of a runtime that somebody has stopped."""
    unit = Unit("containerd.service", active="inactive")
    seen = Observation("containerd", candidates=(Candidate("containerd", units=(unit,)),))
    return "\n".join(stopped_problems(RuntimePlan("containerd", restart=True, units=(unit.name,)), seen))


def runtime_node(directory: Path, monkeypatch: pytest.MonkeyPatch) -> RuntimeNode:
    there = RuntimeNode(directory)
    monkeypatch.setenv("PATH", f"{there.programs}{os.pathsep}{os.environ['PATH']}")
    return there


def found(there: RuntimeNode) -> tuple[str, str]:
    """What a look finds of a node that is being changed, and of one whose service is masked."""
    look = Look(root=Root(str(there.root)))
    there.write(f"{look.state_dir}/pending.json", f'{{"schema_version": 1, "run": "one", "pid": {os.getpid()}}}')
    with HostLock("one", "change", str(there.path(look.lock_path))):
        changing = observe(look)["problem"]
    there.mask_unit("containerd.service")
    return changing, observe(look)["problem"]


def two_runtimes(there: RuntimeNode) -> str:
    there.set_unit("crio.service", "active")
    return str(observe(Look(root=Root(str(there.root))))["problem"])


def dead(there: RuntimeNode, monkeypatch: pytest.MonkeyPatch) -> str:
    """What is said of a runtime that comes back with neither files."""
    monkeypatch.setattr(going_back, "_LEAST_SECONDS", 0.2)
    there.die()
    plan = make_plan(change(there, CONFIG, "version = 3\n"), probe={"kind": "cri", "seconds": 0.2})
    with pytest.raises(KubeGpuError) as refused:
        take_step(params(there, plan), False)
    return str(refused.value)


def refusals(directory: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """By the words in the guide's table, what is really said."""
    docker = node("docker", {"/etc/docker/daemon.json": "{}"}, live={"live_restore": False, "containers": ["db"]})
    killing = replace(containerd(DEBIAN), ending=["nlp/trainer"])
    edited = replace(killing, ending=(), files={MAIN: replace(killing.files[MAIN], changed_since_start=True)})
    bare = replace(containerd(DEBIAN), binaries={BINARY: {"exists": False}})
    changing, masked = found(runtime_node(directory / "node", monkeypatch))
    unrecorded = replace(containerd(f"version = 2\n{NVIDIA}"), dump=dump(f"version = 2\n{RUNC}{NVIDIA}"))
    keep_pods = (ROLE / "tasks/keep_pods.yml").read_text("utf-8")
    return {
        "DOES NOT SERVE ON THIS NODE": dead(runtime_node(directory / "dead", monkeypatch), monkeypatch),
        "NOT ALL OF THE OLD FILES ARE BACK": getsource(going_back),
        "it has a table of the CRI plugin": problems(containerd(IMPORTING, f"version = 2\n[{CRI}]\n  x = 1\n")),
        "what is not ours would change, so nothing is written": compared("a = 1\n", "a = 2\n"),
        "what is ours does not take effect": compared("a = 1\n", "a = 1\n"),
        "it is this collection's own, and has what was not put there from here": problems(shared(), state="absent"),
        "disabled_plugins has": problems(containerd('version = 2\ndisabled_plugins = ["cri"]\n')),
        "defines the runtime nvidia there, and would write it again": problems(
            containerd(IMPORTING, f"version = 2\n{NVIDIA}")
        ),
        "it declares no version, which containerd takes as 1": problems(containerd("[plugins.cri]\n")),
        f"Reading {MAIN}:12:7": problems(containerd(DEBIAN + "\n\nname  !\n")),
        "it is not on the node, and every pod of runtime nvidia would fail to start": problems(bare),
        "Restarting Docker would end": problems(docker),
        "because KillMode of containerd.service is": problems(killing),
        "and has never run with what is there now": problems(edited),
        "the lock … of this host is held by run …": re.sub("lock .* of this", "lock … of this", locked(directory)),
        "is being changed at this moment": changing,
        "it is stopped, and has not failed, so somebody has stopped it": stopped(),
        "the cluster could not be asked about the RuntimeClass and the pods that use it": (
            ROLE / "tasks/cluster.yml"
        ).read_text("utf-8"),
        "other settings of containerd than those of now": problems(replace(shared(), config_path="/srv/config.toml")),
        "is masked, so systemd does not start it": masked,
        "More than one container runtime was found on this node": two_runtimes(
            runtime_node(directory / "two", monkeypatch)
        ),
        "No container runtime was found on this node": str(choose(Root("/"), "auto", [], None)[1]),
        "is unknown and has no effect": unknown_variables(["kubegpu_runtime_defualt"], [])[0],
        "was not confirmed in time": getsource(going_back),
        "Drain them from the node, and run again": keep_pods,
        "the cluster has no node": keep_pods,
        "no record on this node says that it was put in from here": warnings(unrecorded),
        "stays as a whole": warnings(somebodys()),
    }


def blocks() -> Iterator[Any]:
    """The YAML that is printed, in order."""
    for found in re.finditer(r"^\.\. code-block:: yaml\n\n((?:(?: {4}.*)?\n)+)", GUIDE, re.MULTILINE):
        yield yaml.safe_load(textwrap.dedent(found[1]))


def test_refusals_are_in_the_words_of_the_guide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = GUIDE.partition("   * - It says\n")[2].partition("On the node, these files tell")[0]
    said = refusals(tmp_path, monkeypatch)
    assert re.findall(r"   \* - ``(.+)``\n", table) == list(said)
    for words, problem in said.items():
        assert re.sub("held by run …", "held by", words) in problem, words
    assert "systemd knows no docker.service" in str(choose(Root("/"), "docker", [], None)[1])


@pytest.mark.parametrize("option", RANGES)
def test_role_says_which_numbers_are_taken(option: str) -> None:
    specs = yaml.safe_load((ROLE / "meta/argument_specs.yml").read_text("utf-8"))["argument_specs"]
    least, most = RANGES[option]
    assert f"from {least} to {most}" in specs["main"]["options"][f"nvidia_container_runtime_{option}"]["description"]


@pytest.mark.parametrize("given", [{"default": True}, {"visible_devices": "volume_mounts"}], ids=str)
def test_run_without_a_setting_takes_it_back(given: dict[str, Any]) -> None:
    files = {MAIN: DEBIAN, TOOLKIT_CONFIG: "disable-require = false\n"}
    bare = seen_runtime("containerd", files, version="1.6.20~ds1", program="/usr/bin/containerd", config_path=MAIN)
    done = after(bare, plan_runtime(Wish(**given), Observation.from_dict(bare)).to_dict())
    assert not plan_runtime(Wish(**given), Observation.from_dict(done)).files
    back = plan_runtime(Wish(), Observation.from_dict(done))
    without = plan_runtime(Wish(), Observation.from_dict(bare))
    left = {
        **{path: seen["content"] for path, seen in done["files"].items()},
        **{one.path: one.content for one in back.files},
    }
    assert left == {**files, **{one.path: one.content for one in without.files}}
    # Pods that were given their GPUs by it have to be looked after.
    assert bool(back.warnings) == ("visible_devices" in given)


def test_diff_is_that_of_the_guide() -> None:
    plan = plan_runtime(Wish(), containerd(DEBIAN))
    assert not plan.problems
    (diff,) = plan.diff
    before, after = diff["before"].splitlines(), diff["after"].splitlines()
    added = [f"+{line}" for line in after if line not in before or not line]
    shown = [line[4:] for line in GUIDE.splitlines() if re.match(r"    \+(?!\+)", line)]
    assert [line for line in shown if line != "+"] == [line for line in added if line != "+"]
    assert [f"To do: {action}" for action in plan.actions] == re.findall(r"\(item=(To do: .*)\)$", GUIDE, re.MULTILINE)


def test_dead_runs_name_the_copy_of_what_was_there_before_all_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TROUBLESHOOTING goes back by it. The copy of the last run has what another one has written that never ran."""
    there = runtime_node(tmp_path, monkeypatch)
    before = there.read(CONFIG)
    restart = Mock(side_effect=KeyboardInterrupt)
    monkeypatch.setattr(Application, "_restart", restart)
    for text in ("version = 2\n# one\n", "version = 2\n# other\n"):
        with pytest.raises(KeyboardInterrupt):
            take_step(params(there, make_plan(change(there, CONFIG, text))), False)
    left = pending(there)
    assert left is not None
    assert there.read(left["files"][CONFIG]["backup"]) == before
    assert re.findall(r'^            "(\w+)": ', TROUBLESHOOTING, re.MULTILINE) == ["after", "backup", "before"]


def test_command_that_makes_a_runtime_class_alone_is_that_of_the_message() -> None:
    (said,) = runtime_classes([{"name": "nvidia", "handler": "nvidia", "host": "gpu-l20"}], [{"exists": False}])
    (command,) = re.findall(r"ansible -i INVENTORY .*?tasks_from=runtime_class'", said)
    assert f"$ {command.replace('INVENTORY', 'inventory')}\n" in TROUBLESHOOTING


@pytest.mark.parametrize("manager", ["apt", "dnf"])
def test_settings_of_the_toolkit_are_complete(manager: str) -> None:
    (printed,) = [one for one in blocks() if isinstance(one, dict) and "kubegpu_runtime_install_toolkit" in one]
    names = ("version", "apt_url", "dnf_url", "key", "key_sha256")
    settings = {name: printed[f"kubegpu_runtime_toolkit_{name}"] for name in names}
    assert toolkit_problems({**settings, "manager": manager}) == []


def test_playbooks_are_such_that_ansible_takes_them(tmp_path: Path) -> None:
    plays = [block for block in blocks() if isinstance(block, list)]
    assert len(plays) == 3
    paths = [tmp_path / f"{number}.yml" for number in range(len(plays))]
    for path, content in zip(paths, plays):
        path.write_text(yaml.safe_dump(content), encoding="utf-8")
    environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")}
    command = [str(Path(sys.executable).with_name("ansible-playbook")), "--syntax-check", "-i", "localhost,"]
    done = subprocess.run(
        [*command, *map(str, paths)], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def hosts_of(scenario: str) -> dict[str, dict[str, Any]]:
    """Variables by host."""
    content = yaml.safe_load((ROOT / "molecule" / scenario / "molecule.yml").read_text("utf-8"))
    found: dict[str, dict[str, Any]] = content["provisioner"]["inventory"]["host_vars"]
    return found


def tried(how: str) -> list[tuple[str, str]]:
    """Runtimes and versions of the table that were tried so."""
    return re.findall(rf"   \* - (\S+)\n     - (.+)\n     - {how}\n", GUIDE)


def test_table_says_of_a_runtime_that_it_was_run_if_a_scenario_has_it() -> None:
    series = [host["test_containerd"] for host in hosts_of("nvidia_container_runtime").values()]
    # One of each kind of files. Which version of the last one runs moves on with Debian: the scenario compares it with the table.
    assert sorted(series) == sorted(SUITES) == ["1.6", "1.7", "2"]
    run = tried("Run")
    assert [
        next(one for one in series if f"{version.split()[0]}.".startswith(f"{one}."))
        for name, version in run
        if name == "containerd"
    ] == series
    engines = hosts_of("nvidia_container_runtime_engines")
    own = {name for name, host in engines.items() if "--package" in host.get("test_options", [])}
    assert {name.lower() for name, _version in run} - {"containerd"} == own
    inside = {
        name: host["test_options"][1]
        for name, host in engines.items()
        if "--containerd" in host.get("test_options", [])
    }
    told = {name.lower().replace("-", ""): version for name, version in tried("Stand-in")}
    assert set(told) == set(engines) - own
    for name, version in inside.items():
        assert f"containerd {version}" in told[name]
    says = "".join((ROOT / ENGINES / "files" / one).read_text("utf-8") for one in ("rancher.py", "crio.py"))
    for name, pattern in {"k3s": r"v{}\.\d+\+k3s", "rke2": r"v{}\.\d+\+rke2", "crio": r"crio version {}\."}.items():
        assert re.search(pattern.format(re.escape(told[name].split(",")[0])), says), name


def test_table_says_of_a_format_that_it_was_tried_if_tests_have_it() -> None:
    tests = {
        "containerd": "containerd*",
        "Docker": "docker",
        "k3s": "k3s",
        "RKE2": "k3s",
        "MicroK8s": "microk8s",
        "CRI-O": "crio",
    }
    told = tried("Format")
    assert {name for name, _version in told} == set(tests)
    nodes = (ROOT / "tests/integration/runtime_engines/test_seen_nodes.py").read_text("utf-8")
    for name, versions in told:
        files = (ROOT / "tests/unit/plugins/module_utils/_runtime").glob(f"test_{tests[name]}.py")
        text = "".join(file.read_text("utf-8") for file in files) + nodes
        for version in re.findall(r"\d+\.\d+", versions):
            assert re.search(rf'"v?{re.escape(version)}\.\d', text), f"{name} {version}"
