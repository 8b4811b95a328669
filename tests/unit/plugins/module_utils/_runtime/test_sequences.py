# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Any sequence of runs and edits by hand: absent leaves no runtime of ours unsaid, and nothing that its engine would not start with."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Callable, Dict, Mapping, Optional, Tuple

import pytest
import tomlkit
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from unit.plugins.fakes.seen_runtime import after, seen_file, seen_runtime

from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.observation import Observation
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.plan import RuntimePlan
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.planning import plan_runtime
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.wish import Wish

CRI = "io.containerd.grpc.v1.cri"
THEIRS = "/usr/local/bin/nvidia-container-runtime"
NAMES = ("nvidia", "gpu")
Edit = Callable[[Any, str], None]


@dataclass(frozen=True)
class Engine:
    """One engine, its file and how it is read.

    :param read: the file's text as data that can be edited.
    :param runtimes: of that data: the tables of runtimes by name.
    :param above: of that data: what holds the name of the default runtime, and its key.
    :param dead: of that data: why the engine would not start with it; None if it would.
    """

    name: str
    path: str
    start: Tuple[str, ...]
    read: Callable[[str], Any]
    write: Callable[[Any], str]
    runtimes: Callable[[Any], Any]
    options: Callable[[Any], Any]
    binary: str
    default: Callable[[Any], Tuple[Any, str]]
    dead: Callable[[Any], Optional[str]]
    fields: Mapping[str, Any]

    def seen(self, text: str) -> Dict[str, Any]:
        return seen_runtime(self.name, {self.path: text}, config_path=self.path, **self.fields)

    def text(self, told: Mapping[str, Any]) -> str:
        return str(told["files"][self.path]["content"] or "")


def _containerd(data: Any) -> Any:
    return data.get("plugins", {}).get(CRI, {}).get("containerd", {})


def _dead_containerd(data: Any) -> Optional[str]:
    runtimes = _containerd(data).get("runtimes", {})
    half = [name for name, table in runtimes.items() if not table.get("runtime_type")]
    default = _containerd(data).get("default_runtime_name", "runc")
    if half:
        return f"half a runtime: {half}"
    return f"no {default}" if runtimes and default not in runtimes else None


def _dead_docker(data: Any) -> Optional[str]:
    half = [name for name, one in data.get("runtimes", {}).items() if not one.get("path")]
    default = data.get("default-runtime", "runc")
    if half:
        return f"half a runtime: {half}"
    return f"no {default}" if default not in ("runc", *data.get("runtimes", {})) else None


BARE = f'version = 2\n[plugins."{CRI}"]\n  sandbox_image = "x"\n'
RUNC = f'{BARE}[plugins."{CRI}".containerd.runtimes.runc]\n  runtime_type = "io.containerd.runc.v2"\n'
KUBEADM = f'{RUNC}[plugins."{CRI}".containerd.runtimes.runc.options]\n  SystemdCgroup = true\n'
BEFORE = f"""{RUNC}[plugins."{CRI}".containerd.runtimes.nvidia]
  runtime_type = "io.containerd.runc.v2"
[plugins."{CRI}".containerd.runtimes.nvidia.options]
  BinaryName = "/opt/theirs"
"""
CONTAINERD = Engine(
    "containerd",
    "/etc/containerd/config.toml",
    ("", BARE, RUNC, KUBEADM, BEFORE),
    tomlkit.parse,
    tomlkit.dumps,
    lambda data: _containerd(data).get("runtimes", {}),
    lambda table: table.get("options", {}),
    "BinaryName",
    lambda data: (_containerd(data), "default_runtime_name"),
    _dead_containerd,
    {"version": "1.7.24", "program": "/usr/bin/containerd"},
)
DOCKER = Engine(
    "docker",
    "/etc/docker/daemon.json",
    (
        "",
        "{}\n",
        '{"live-restore": true, "runtimes": {"kata": {"path": "/k"}}}',
        '{"runtimes": {"nvidia": {"path": "/o"}}}',
    ),
    lambda text: json.loads(text or "{}"),
    lambda data: json.dumps(data, indent=2),
    lambda data: data.get("runtimes", {}),
    lambda table: table,
    "path",
    lambda data: (data, "default-runtime"),
    _dead_docker,
    {"version": "27.0.0", "live": {"live_restore": True, "containers": []}},
)


def _binary(engine: Engine, data: Any, name: str) -> None:
    if name in engine.runtimes(data):
        engine.options(engine.runtimes(data)[name])[engine.binary] = THEIRS


def _more(engine: Engine, data: Any, name: str) -> None:
    if name in engine.runtimes(data):
        engine.options(engine.runtimes(data)[name])["Root" if engine is CONTAINERD else "runtimeArgs"] = (
            "/r" if engine is CONTAINERD else ["--debug"]
        )


def _less(engine: Engine, data: Any, name: str) -> None:
    if name in engine.runtimes(data):
        for key in ("Root", "runtimeArgs"):
            engine.options(engine.runtimes(data)[name]).pop(key, None)


def _privileged(engine: Engine, data: Any, name: str) -> None:
    if engine is CONTAINERD and name in engine.runtimes(data):
        table = engine.runtimes(data)[name]
        table["privileged_without_host_devices"] = not table.get("privileged_without_host_devices", False)


def _of_runc(engine: Engine, data: Any, name: str) -> None:
    del name
    if engine is CONTAINERD and "runc" in engine.runtimes(data):
        engine.runtimes(data)["runc"]["snapshotter"] = "mine"


def _default(engine: Engine, data: Any, name: str) -> None:
    del name
    above, key = engine.default(data)
    if key in above:
        above[key] = "runc"


def _no_default(engine: Engine, data: Any, name: str) -> None:
    del name
    above, key = engine.default(data)
    above.pop(key, None)


def _beside(engine: Engine, data: Any, name: str) -> None:
    del name
    if engine is DOCKER or "version" in data:
        data["debug"] = {"level": "info"} if "debug" not in data else {"level": "warn"}


EDITS = (_binary, _more, _less, _privileged, _of_runc, _default, _no_default, _beside)
edits = st.tuples(st.sampled_from(EDITS), st.sampled_from(NAMES))
absents = st.builds(Wish, state=st.just("absent"), name=st.sampled_from(["nvidia", "nvidia", "gpu"]))


def wishes(engine: Engine) -> st.SearchStrategy[Wish]:
    return st.builds(
        Wish,
        name=st.sampled_from(["nvidia", "nvidia", "gpu"]),
        default=st.booleans(),
        cdi=st.sampled_from(["inherit", "true"]),
        binary=st.sampled_from(["/usr/bin/nvidia-container-runtime", "/opt/nvidia/nvidia-container-runtime"]),
        privileged_without_host_devices=st.sampled_from(
            ["inherit", "true", "false"] if engine is CONTAINERD else ["inherit"]
        ),
    )


@pytest.mark.parametrize("engine", [CONTAINERD, DOCKER], ids=lambda engine: engine.name)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_absent_leaves_no_runtime_of_ours_unsaid_whatever_came_before(engine: Engine, data: st.DataObject) -> None:
    told = engine.seen(data.draw(st.sampled_from(engine.start)))
    for step in data.draw(st.lists(st.one_of(wishes(engine), edits, edits, absents), max_size=6)):
        if isinstance(step, Wish):
            told = _ran(engine, step, told)
            continue
        edit, name = step
        edited = engine.read(engine.text(told))
        edit(engine, edited, name)
        if engine.dead(edited) is None:
            told["files"][engine.path] = seen_file(engine.write(edited))
    for name in NAMES:
        told = _ran(engine, Wish(state="absent", name=name), told)


def _ran(engine: Engine, wish: Wish, told: Dict[str, Any]) -> Dict[str, Any]:
    """The node after a run, held to what it has to be like."""
    plan = plan_runtime(wish, Observation.from_dict(told))
    if plan.problems:
        # Only what somebody else made the default keeps a runtime in.
        assert [text for text in plan.problems if "makes it the default runtime" in text], plan.problems
        return told
    there = after(told, plan.to_dict())
    left = engine.read(engine.text(there))
    assert engine.dead(left) is None
    again = plan_runtime(wish, Observation.from_dict(there))
    assert not again.problems
    assert not again.files, (again.actions, again.diff)
    if wish.present:
        runtime = engine.runtimes(left)[wish.name]
        assert engine.options(runtime)[engine.binary] == wish.binary
        _holds_edits(engine, told, left, plan)
    else:
        former = ((told["record"] or {}).get("wish") or {}).get("name") or wish.name
        _holds_absent(engine, left, former, plan)
    return there


def _holds_edits(engine: Engine, told: Mapping[str, Any], left: Any, plan: RuntimePlan) -> None:
    """An edit of our value goes with a word on it, and what others put beside it stays."""
    before = engine.read(engine.text(told))
    for name, table in engine.runtimes(before).items():
        now = engine.options(engine.runtimes(left).get(name, {}))
        beside = [key for key in ("Root", "runtimeArgs") if key in engine.options(table)]
        assert all(key in now for key in beside)
        if engine.options(table).get(engine.binary) == THEIRS != now.get(engine.binary) and _is_recorded(
            engine, told, name
        ):
            assert [text for text in plan.warnings if THEIRS in text and "that is undone" in text]


def _is_recorded(engine: Engine, told: Mapping[str, Any], name: str) -> bool:
    """Whether a run has put in the runtime's executable."""
    ours = ((told["record"] or {}).get("files") or {}).get(engine.path, {}).get("ours", {})
    entries = [*ours.get("values", []), *ours.get("members", [])]
    return any(name in one["path"] and one["path"][-1] == engine.binary for one in entries)


def _holds_absent(engine: Engine, left: Any, name: str, plan: RuntimePlan) -> None:
    """The runtime is gone, or it is said that it stays."""
    told = " ".join((*plan.warnings, *plan.notes))
    if name in engine.runtimes(left):
        assert "stays" in told, plan
        assert not [text for text in plan.actions if f"take the runtime {name} out" in text]
    else:
        assert f"The runtime {name} " not in told
        assert f"runtimes.{name} " not in told


@pytest.mark.parametrize("engine", [CONTAINERD, DOCKER], ids=lambda engine: engine.name)
@pytest.mark.parametrize(
    "options", [{}, {"default": True}, {"binary": "/opt/nvidia/nvidia-container-runtime"}], ids=str
)
@pytest.mark.parametrize("start", [0, 1, 2])
def test_edit_of_our_value_is_undone_and_told_and_never_becomes_what_was_there_before(
    engine: Engine, options: Dict[str, Any], start: int
) -> None:
    told = engine.seen(engine.start[start])
    there = after(told, plan_runtime(Wish(), Observation.from_dict(told)).to_dict())
    edited = engine.read(engine.text(there))
    _binary(engine, edited, "nvidia")
    there["files"][engine.path] = seen_file(engine.write(edited))
    again = plan_runtime(Wish(**options), Observation.from_dict(there))
    (undone,) = again.warnings
    assert engine.path in undone
    assert '"/usr/bin/nvidia-container-runtime"' in undone
    assert f'"{THEIRS}"' in undone
    there = after(there, again.to_dict())
    gone = plan_runtime(Wish(state="absent"), Observation.from_dict(there))
    assert not gone.warnings
    before = engine.read(engine.start[start])
    assert engine.runtimes(engine.read(engine.text(after(there, gone.to_dict())))) == engine.runtimes(before)


@pytest.mark.parametrize("engine", [CONTAINERD, DOCKER], ids=lambda engine: engine.name)
def test_runtime_that_others_put_something_into_is_no_other_ones_after_other_options(engine: Engine) -> None:
    told = engine.seen(engine.start[1])
    there = after(told, plan_runtime(Wish(), Observation.from_dict(told)).to_dict())
    for edit, wish in ((_more, Wish(default=True)), (_less, Wish(state="absent"))):
        edited = engine.read(engine.text(there))
        edit(engine, edited, "nvidia")
        there["files"][engine.path] = seen_file(engine.write(edited))
        plan = plan_runtime(wish, Observation.from_dict(there))
        assert not plan.problems
        there = after(there, plan.to_dict())
    assert "nvidia" not in engine.runtimes(engine.read(engine.text(there)))
