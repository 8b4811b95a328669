# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said with every engine alike: of options that it does not act on, and of files that it cannot read."""

from __future__ import annotations

from dataclasses import replace

import pytest
from unit.plugins.module_utils._runtime.nodes import node, sample, seen

from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.engines import MODULES
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.observation import Observation
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.planning import plan_runtime
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.wish import Wish

CONTAINERD = "/etc/containerd"
CRIO = "/etc/crio"
DOCKER = "/etc/docker/daemon.json"
K3S = "/var/lib/rancher/k3s/agent/etc/containerd"
RKE2 = "/var/lib/rancher/rke2/agent/etc/containerd"
SNAP = "/var/snap/microk8s/current/args/containerd-template.toml"
LIVE = {"live_restore": True, "swarm": False, "containers": []}
OF_K3S = sample("k3s-1.35-config.toml")
NODES = {
    "containerd": node(
        "containerd",
        {f"{CONTAINERD}/config.toml": "version = 2\n"},
        version="2.1.9",
        program="/usr/bin/containerd",
        config_path=f"{CONTAINERD}/config.toml",
        dump={"argv": [], "rc": 0, "stdout": "version = 3\n", "stderr": ""},
    ),
    "crio": node("crio", {f"{CRIO}/crio.conf": ""}, version="1.30.0"),
    "docker": node("docker", {DOCKER: "{}"}, version="27.0.0", live=LIVE),
    "k3s": node("k3s", {f"{K3S}/config.toml": OF_K3S}, version="v1.35.2+k3s1", config_path=f"{K3S}/config.toml"),
    "rke2": node(
        "rke2",
        {f"{RKE2}/config.toml": OF_K3S.replace("/k3s/", "/rke2/")},
        version="v1.35.2+rke2r1",
        config_path=f"{RKE2}/config.toml",
    ),
    "microk8s": node("microk8s", {SNAP: sample("microk8s-template.toml")}, config_path=SNAP),
}
TAKE_OVER = "kubegpu_runtime_take_over says something with containerd and crio only: with {}, no file of others is replaced here."
RESTORE_RUNC = (
    "kubegpu_runtime_restore_runc says something with containerd only: with {}, a runc whose program was replaced is put right by "
    "hand here."
)
SAID = {"containerd": (), "crio": (RESTORE_RUNC,)}
BOTH = Wish(take_over=True, restore_runc=True, caller="role")


def said(wish: Wish, engine: str) -> list[str]:
    return [note for note in plan_runtime(wish, NODES[engine]).notes if "says something with" in note]


@pytest.mark.parametrize("engine", MODULES)
def test_option_that_the_engine_does_not_act_on_is_said_in_one_note(engine: str) -> None:
    told = [note.format(engine) for note in SAID.get(engine, (TAKE_OVER, RESTORE_RUNC))]
    assert said(BOTH, engine) == told
    one_each = (replace(BOTH, restore_runc=False), replace(BOTH, take_over=False))
    assert [note for wish in one_each for note in said(wish, engine)] == told


@pytest.mark.parametrize("engine", MODULES)
@pytest.mark.parametrize("wish", [Wish(), replace(BOTH, state="absent")], ids=["not_set", "absent"])
def test_option_that_is_not_set_or_counts_for_nothing_is_not_spoken_of(engine: str, wish: Wish) -> None:
    assert said(wish, engine) == []


@pytest.mark.parametrize("engine", MODULES)
def test_option_that_the_engine_does_not_act_on_changes_no_file(engine: str) -> None:
    plan = plan_runtime(replace(BOTH, name="gpu"), NODES[engine])
    assert plan.files
    assert (plan.files, plan.problems) == (plan_runtime(Wish(name="gpu"), NODES[engine]).files, ())


UNREAD = [
    ("containerd", f"{CONTAINERD}/config.toml", "present"),
    ("containerd", f"{CONTAINERD}/conf.d/80-kubegpu-sharing.toml", "present"),
    ("containerd", f"{CONTAINERD}/conf.d/80-kubegpu-sharing.toml", "absent"),
    ("crio", f"{CRIO}/crio.conf", "present"),
    ("crio", f"{CRIO}/crio.conf.d/80-kubegpu-sharing.conf", "absent"),
    ("docker", DOCKER, "present"),
    ("k3s", "/etc/rancher/k3s/config.yaml", "present"),
    ("k3s", f"{K3S}/config-v3.toml.d/80-kubegpu-sharing.toml", "absent"),
    ("rke2", "/etc/rancher/rke2/config.yaml", "present"),
    ("microk8s", SNAP, "present"),
]


def unread(observation: Observation, path: str) -> Observation:
    """The node, one of whose files cannot be read."""
    found = replace(
        seen(path, "x"), content=None, problem=f"{path} cannot be read: Permission denied. Run with become."
    )
    return replace(observation, files={**observation.files, path: found})


@pytest.mark.parametrize(("engine", "path", "state"), UNREAD)
def test_file_that_cannot_be_read_is_told_in_sentences_of_one_full_stop(engine: str, path: str, state: str) -> None:
    problems = plan_runtime(Wish(state=state), unread(NODES[engine], path)).problems
    assert [text for text in problems if "Run with become." in text]
    assert not [text for text in problems if ".." in text]


def test_version_that_is_not_known_is_told_in_sentences_of_one_full_stop() -> None:
    why = "The version of containerd is not known: it says nothing. See that /usr/bin/containerd is whole."
    unknown = replace(NODES["containerd"], version=None, version_problem=why)
    (problem,) = plan_runtime(Wish(), unknown).problems
    assert f"{why} How its config is read depends on it" in problem
