# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A runtime that serves is not restarted into files that were changed since its start."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.observation import Observation
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.plan import RuntimePlan, sha256
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.planning import plan_runtime
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.wish import Wish

from .nodes import TOOLKIT, after, node, sample

MAIN = "/etc/containerd/config.toml"
CONF_D = "/etc/containerd/conf.d"
OURS = f"{CONF_D}/80-kubegpu-sharing.toml"
K3S = "/var/lib/rancher/k3s/agent/etc/containerd"
RKE2 = "/var/lib/rancher/rke2/agent/etc/containerd"
SNAP = "/var/snap/microk8s/current/args"
DUMP = {"argv": [], "rc": 0, "stdout": "version = 3\n", "stderr": ""}


def seen(engine: str, files: dict[str, str | None], *changed: str, **fields: Any) -> Observation:
    """A node whose files of these paths were changed since the start of its engine."""
    of_engine: dict[str, dict[str, Any]] = {
        "containerd": {"version": "2.1.9", "config_path": MAIN, "program": "/usr/bin/containerd", "dump": DUMP},
        "crio": {"version": "1.30.0"},
        "docker": {"version": "27.0.0", "live": {"live_restore": True, "swarm": False, "containers": []}},
        "k3s": {"version": "v1.32.3+k3s1", "config_path": f"{K3S}/config.toml"},
        "rke2": {"version": "v1.32.3+rke2r1", "config_path": f"{RKE2}/config.toml"},
        "microk8s": {"config_path": f"{SNAP}/containerd-template.toml"},
    }
    return with_changed(node(engine, {TOOLKIT: "", **files}, **{**of_engine[engine], **fields}), *changed)


def with_changed(observation: Observation, *paths: str) -> Observation:
    files = {path: replace(one, changed_since_start=path in paths) for path, one in observation.files.items()}
    return replace(observation, files=files)


def told(plan: RuntimePlan) -> list[str]:
    return [text for text in plan.problems if "has never run with" in text]


CONTAINERD: dict[str, str | None] = {MAIN: "version = 3\n"}
IMPORTING: dict[str, str | None] = {
    MAIN: 'version = 3\nimports = ["/srv/*.toml"]\n',
    "/srv/one.toml": 'version = 3\nimports = ["/srv/deep/two.toml"]\n',
    "/srv/deep/two.toml": "version = 3\n",
    f"{CONF_D}/unread.toml": "version = 3\n",
}
CRIO: dict[str, str | None] = {"/etc/crio/crio.conf": "", "/etc/crio/crio.conf.d/10-crio": ""}
RANCHER: dict[str, str | None] = {
    "/etc/rancher/k3s/config.yaml": "write-kubeconfig-mode: 600\n",
    "/etc/rancher/k3s/config.yaml.d/10-more.yaml": "debug: true\n",
    "/etc/rancher/k3s/config.yaml.d/10-more.yaml.bak": "debug: true\n",
    f"{K3S}/config.toml": sample("k3s-1.32-config.toml"),
    f"{K3S}/config-v3.toml.tmpl": None,
    f"{K3S}/config-v3.toml.d/10-proxy.toml": "version = 3\n",
}
OF_RKE2 = {path.replace("k3s", "rke2"): text for path, text in RANCHER.items()}
MICROK8S: dict[str, str | None] = {
    f"{SNAP}/containerd-template.toml": sample("microk8s-template.toml"),
    f"{SNAP}/containerd.toml": "",
}
READ = [
    ("containerd", CONTAINERD, MAIN),
    ("containerd", IMPORTING, "/srv/one.toml"),
    ("containerd", IMPORTING, "/srv/deep/two.toml"),
    ("crio", CRIO, "/etc/crio/crio.conf"),
    ("crio", CRIO, "/etc/crio/crio.conf.d/10-crio"),
    ("docker", {"/etc/docker/daemon.json": "{}"}, "/etc/docker/daemon.json"),
    ("k3s", RANCHER, "/etc/rancher/k3s/config.yaml"),
    ("k3s", RANCHER, "/etc/rancher/k3s/config.yaml.d/10-more.yaml"),
    ("k3s", RANCHER, f"{K3S}/config-v3.toml.d/10-proxy.toml"),
    ("rke2", OF_RKE2, "/etc/rancher/rke2/config.yaml"),
    ("microk8s", MICROK8S, f"{SNAP}/containerd-template.toml"),
]
NOT_READ = [
    ("containerd", CONTAINERD, TOOLKIT),
    ("containerd", IMPORTING, f"{CONF_D}/unread.toml"),
    ("crio", CRIO, TOOLKIT),
    ("k3s", RANCHER, f"{K3S}/config.toml"),
    ("k3s", RANCHER, "/etc/rancher/k3s/config.yaml.d/10-more.yaml.bak"),
    ("rke2", OF_RKE2, f"{RKE2}/config.toml"),
    ("microk8s", MICROK8S, f"{SNAP}/containerd.toml"),
]
WISH = Wish(name="gpu", caller="role")


@pytest.mark.parametrize(("engine", "files", "path"), READ)
def test_restart_into_a_file_that_was_changed_since_the_start_is_refused(
    engine: str, files: dict[str, str | None], path: str
) -> None:
    unchanged = plan_runtime(WISH, seen(engine, files))
    assert (unchanged.problems, unchanged.restart) == ((), True)
    (problem,) = plan_runtime(WISH, seen(engine, files, path)).problems
    assert problem == (
        f"Restarting {engine}: {engine}.service was started before {path} was changed, and has never run with what is there now. "
        f"The restart would bring that in too, and if {engine} does not start with it, there is nothing to go back to that it has run with. Restart "
        f"it yourself ('systemctl restart {engine}.service') and run again, or see that the change is right and set "
        "kubegpu_runtime_permit_unproven: true."
    )


@pytest.mark.parametrize(("engine", "files", "path"), NOT_READ)
def test_file_that_is_not_read_at_the_start_hinders_nothing(
    engine: str, files: dict[str, str | None], path: str
) -> None:
    assert plan_runtime(WISH, seen(engine, files, path)).problems == ()


def test_directory_beside_drop_ins_is_no_file_that_was_changed() -> None:
    path = "/etc/crio/crio.conf.d/old"
    observation = seen("crio", {**CRIO, path: None})
    directory = replace(observation.files[path], type="directory", changed_since_start=True)
    assert plan_runtime(WISH, replace(observation, files={**observation.files, path: directory})).problems == ()


@pytest.mark.parametrize("engine", ["k3s", "rke2"])
def test_template_of_k3s_and_rke2_is_read_at_the_start(engine: str) -> None:
    directory = f"/var/lib/rancher/{engine}/agent/etc/containerd"
    path = f"{directory}/config-v3.toml.tmpl"
    files: dict[str, str | None] = {path: '{{ template "base" . }}\n'}
    assert told(plan_runtime(WISH, seen(engine, files, path)))


@pytest.mark.parametrize(("version", "refused"), [("2.1.9", False), ("2.2.0", True)])
def test_conf_d_that_a_versions_default_config_imports_counts_as_read(version: str, refused: bool) -> None:
    path = f"{CONF_D}/10-proxy.toml"
    files: dict[str, str | None] = {MAIN: "version = 3\n", path: "version = 3\n"}
    assert bool(told(plan_runtime(WISH, seen("containerd", files, path, version=version)))) is refused


def test_drop_in_of_ours_that_somebody_edited_counts_as_far_as_it_is_read() -> None:
    start = seen("containerd", CONTAINERD, listings={CONF_D: []})
    done = with_changed(after(start, plan_runtime(WISH, start)), OURS)
    assert told(plan_runtime(replace(WISH, state="absent"), done))
    text = done.files[MAIN]
    unread = replace(done, files={**done.files, MAIN: replace(text, content="version = 3\n", sha256="x")})
    assert not told(plan_runtime(replace(WISH, state="absent"), unread))


def test_all_such_files_are_named_in_one_sentence() -> None:
    (problem,) = plan_runtime(Wish(), seen("crio", CRIO, *CRIO)).problems
    assert "before /etc/crio/crio.conf and /etc/crio/crio.conf.d/10-crio were changed" in problem
    assert problem.endswith("set permit_unproven: true.")


def test_restart_that_is_permitted_is_planned_with_a_warning() -> None:
    plan = plan_runtime(Wish(permit_unproven=True), seen("crio", CRIO, "/etc/crio/crio.conf"))
    assert (plan.problems, plan.restart) == ((), True)
    assert plan.warnings == (
        "Restarting crio: crio.service was started before /etc/crio/crio.conf was changed, and has never run with what is there "
        "now. The restart brings that in too; that is permitted.",
    )


def test_nothing_is_said_where_nothing_restarts() -> None:
    start = seen("crio", CRIO, listings={"/etc/crio/crio.conf.d": ["10-crio"]})
    done = with_changed(after(start, plan_runtime(WISH, start)), *CRIO)
    plan = plan_runtime(WISH, done)
    assert (plan.changed, plan.problems, plan.warnings) == (False, (), ())


@pytest.mark.parametrize(("active", "refused"), [("reloading", True), ("failed", False), ("activating", False)])
def test_runtime_that_does_not_serve_is_restarted_whatever_is_in_its_files(active: str, refused: bool) -> None:
    start = seen("crio", CRIO, "/etc/crio/crio.conf")
    units = tuple(replace(unit, active=active) for unit in start.candidate.units)
    dead = replace(start, candidates=(replace(start.candidate, units=units),))
    plan = plan_runtime(WISH, dead)
    assert plan.restart
    assert bool(told(plan)) is refused


def interrupted(edited: bool) -> Observation:
    """A run was killed between writing and restart. :param edited: somebody has changed its file since."""
    start = seen("docker", {"/etc/docker/daemon.json": "{}"})
    made = plan_runtime(WISH, start)
    noted = {one.path: {"before": one.before, "after": sha256(one.content)} for one in made.files}
    written = after(start, made)
    seen_now = replace(written.files["/etc/docker/daemon.json"], changed_since_start=True)
    if edited:
        text = (seen_now.content or "") + "\n"
        seen_now = replace(seen_now, content=text, sha256=sha256(text))
    pending = {"since": "noon", "owed": True, "files": noted}
    return replace(written, pending=pending, files={**written.files, "/etc/docker/daemon.json": seen_now})


@pytest.mark.parametrize("edited", [False, True])
def test_what_an_interrupted_run_has_written_is_not_refused_and_what_was_edited_since_is(edited: bool) -> None:
    plan = plan_runtime(WISH, interrupted(edited))
    assert plan.restart
    assert bool(told(plan)) is edited


def test_link_that_an_interrupted_run_has_written_through_is_its_own_file() -> None:
    observation = interrupted(edited=False)
    path, target = "/etc/docker/daemon.json", "/srv/daemon.json"
    linked = replace(observation.files[path], link=target)
    assert observation.pending
    pending = {**observation.pending, "files": {target: observation.pending["files"][path]}}
    assert not told(plan_runtime(WISH, replace(observation, pending=pending, files={path: linked})))
