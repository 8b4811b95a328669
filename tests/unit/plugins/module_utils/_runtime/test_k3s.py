# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""k3s and RKE2: by their own options and drop-ins, and never a table twice."""

from __future__ import annotations

import posixpath
import re
from dataclasses import replace
from typing import Any

import pytest
import tomlkit
import yaml
from unit.plugins.module_utils._runtime.nodes import BINARY, after, node, sample, seen, texts, there_and_back, with_file

from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.k3s_config import FOUND_BY_ITSELF, SEARCHED
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.observation import Observation
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.planning import plan_runtime
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.wish import Wish
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host import observing

ABSENT = Wish(state="absent")
BASE = '{{ template "base" . }}\n'
V3 = "io.containerd.cri.v1.runtime"
V2 = "io.containerd.grpc.v1.cri"
#: Version of k3s and the config.toml that it wrote: containerd 1.7, containerd 2, containerd 2 with a folder of drop-ins.
OLD, SECOND, FOLDER = (
    ("v1.30.4", "k3s-1.30-config.toml"),
    ("v1.32.2", "k3s-1.32-config.toml"),
    ("v1.35.2", "k3s-1.35-config.toml"),
)
ALL = pytest.mark.parametrize(
    "release", [OLD, SECOND, FOLDER], ids=["containerd 1.7", "containerd 2", "drop-in folder"]
)
BOTH = pytest.mark.parametrize("name", ["k3s", "rke2"])


def etc(name: str = "k3s") -> str:
    return f"/var/lib/rancher/{name}/agent/etc/containerd"


def config(name: str = "k3s") -> str:
    return f"/etc/rancher/{name}/config.yaml"


def generated(release: tuple[str, str], name: str = "k3s", nvidia: bool = True) -> str:
    text = (
        sample(release[1]).replace("/var/lib/rancher/k3s", f"/var/lib/rancher/{name}").replace("by k3s", f"by {name}")
    )
    if not nvidia:
        data = tomlkit.parse(text)
        plugins: Any = data["plugins"]
        plugin = V3 if V3 in plugins else V2
        del plugins[plugin]["containerd"]["runtimes"]["nvidia"]
        text = tomlkit.dumps(data)
        assert "nvidia" not in text
    return text


def rancher(
    release: tuple[str, str],
    files: dict[str, str | None] | None = None,
    *,
    name: str = "k3s",
    role: str = "agent",
    argv: tuple[str, ...] = (),
    nvidia: bool = True,
) -> Observation:
    unit = {"k3s": {"server": "k3s.service", "agent": "k3s-agent.service"}}.get(name, {}).get(
        role, f"rke2-{role}.service"
    )
    every = {f"{etc(name)}/config.toml": generated(release, name, nvidia), **(files or {})}
    folders = [f"{config(name)}.d", f"{etc(name)}/config.toml.d", f"{etc(name)}/config-v3.toml.d"]
    return node(
        name,
        every,
        units={unit: (f"/usr/local/bin/{name}", role, *argv)},
        role=role,
        version=f"{release[0]}+{name}1",
        config_path=f"{etc(name)}/config.toml",
        listings={
            one: sorted(posixpath.basename(path) for path in every if posixpath.dirname(path) == one) for one in folders
        },
    )


def rendered(observation: Observation, name: str = "k3s") -> dict[str, Any]:
    """What containerd runs with after the next start: the base or a template, then imported files merged deeply.

    The base is the config of the last start (without what a template added to it); a table that stands twice is an error, as it is
    for containerd.
    """
    base = observation.text(f"{etc(name)}/config.toml") or ""
    for template in ("config-v3.toml.tmpl", "config.toml.tmpl"):
        text = observation.text(f"{etc(name)}/{template}")
        if text is not None:
            base = text.replace(BASE.strip(), base).replace("{{ .SystemdCgroup }}", "true")
            break
    data = tomlkit.parse(base).unwrap()
    for pattern in data.get("imports", []):
        folder = posixpath.dirname(pattern)
        for path, one in sorted(observation.files.items()):
            if posixpath.dirname(path) == folder and one.content is not None:
                drop_in = tomlkit.parse(one.content).unwrap()
                assert drop_in.pop("version") == data["version"], "containerd refuses a drop-in of another version"
                merge(data, drop_in)
    return data


def merge(into: dict[str, Any], other: dict[str, Any]) -> None:
    for key, value in other.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            merge(into[key], value)
        else:
            into[key] = value


def runtimes(data: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = data["plugins"][V3 if V3 in data["plugins"] else V2]["containerd"]["runtimes"]
    return found


@ALL
@BOTH
def test_plain_wish_is_what_the_distribution_finds_by_itself(release: tuple[str, str], name: str) -> None:
    plan = plan_runtime(Wish(), rancher(release, name=name))
    assert not plan.problems
    assert not plan.changed


@ALL
@BOTH
@pytest.mark.parametrize("text", [None, "", "node-name: gpu-1\n# mine\nkubelet-arg:\n  - max-pods=50\n"])
def test_default_is_a_drop_in_beside_the_config_which_stays(
    release: tuple[str, str], name: str, text: str | None
) -> None:
    configured, plan = there_and_back(rancher(release, {config(name): text}, name=name), Wish(default=True))
    (change,) = plan.files
    assert change.path == f"{config(name)}.d/80-kubegpu-sharing.yaml"
    assert change.make_directory
    assert yaml.safe_load(change.content or "") == {"default-runtime": "nvidia"}
    assert configured.text(config(name)) == text
    assert plan.units == (f"{name}-agent.service",)
    assert plan.probe is not None
    assert (plan.probe.kind, plan.probe.socket) == (name, "/run/k3s/containerd/containerd.sock")


@BOTH
def test_server_is_guarded_by_the_quorum_and_an_agent_is_not(name: str) -> None:
    (guard,) = plan_runtime(Wish(default=True), rancher(SECOND, name=name, role="server")).guards
    assert guard.kind == "quorum"
    assert guard.argv[-6:] == ("get", "nodes", "-l", "node-role.kubernetes.io/etcd=true", "-o", "json")
    assert (guard.argv[0] == "k3s") is (name == "k3s")
    assert not plan_runtime(Wish(default=True), rancher(SECOND, name=name, role="agent")).guards
    assert not plan_runtime(Wish(), rancher(SECOND, name=name, role="server")).guards
    owed = {"run": "r1", "phase": "restarting", "owed": True, "files": {}}
    finishing = plan_runtime(Wish(), replace(rancher(SECOND, name=name, role="server"), pending=owed))
    assert finishing.restart
    assert finishing.guards == (guard,)


def test_default_of_an_earlier_file_is_overruled_and_told() -> None:
    start = rancher(SECOND, {config(): "default-runtime: crun\n"})
    _configured, plan = there_and_back(start, Wish(default=True))
    assert any(f"{config()} says default-runtime: crun" in warning for warning in plan.warnings)


def test_default_that_a_later_drop_in_overrules_is_refused() -> None:
    later = f"{config()}.d/90-site.yaml"
    (problem,) = plan_runtime(Wish(default=True), rancher(SECOND, {later: "default-runtime: crun\n"})).problems
    assert later in problem


def test_file_without_the_suffix_is_not_read() -> None:
    start = rancher(SECOND, {f"{config()}.d/90-site.yaml.bak": "default-runtime: crun\n"})
    assert not plan_runtime(Wish(default=True), start).problems


@pytest.mark.parametrize(
    ("files", "argv"),
    [
        ({config(): "default-runtime: nvidia\n"}, ()),
        ({f"{config()}.d/90-site.yaml": "default-runtime: nvidia\n"}, ()),
        ({}, ("--default-runtime=nvidia",)),
        ({}, ("--default-runtime", "nvidia")),
    ],
)
@pytest.mark.parametrize("default", [True, False])
def test_default_that_others_set_already_stays_theirs(
    files: dict[str, Any], argv: tuple[str, ...], default: bool
) -> None:
    plan = plan_runtime(Wish(default=default), rancher(SECOND, files, argv=argv))
    assert not plan.problems
    assert not plan.changed
    assert any("nvidia is the default runtime by" in note for note in plan.notes)


def test_default_that_a_flag_overrules_is_refused() -> None:
    (problem,) = plan_runtime(Wish(default=True), rancher(SECOND, argv=("--default-runtime=crun",))).problems
    assert "--default-runtime=crun" in problem


def test_default_beside_another_config_file_is_refused() -> None:
    (problem,) = plan_runtime(Wish(default=True), rancher(SECOND, argv=("-c", "/srv/k3s.yaml"))).problems
    assert "/srv/k3s.yaml" in problem


@pytest.mark.parametrize(
    ("version", "known"),
    [
        ("v1.28.4", False),
        ("v1.28.5", True),
        ("v1.27.9", True),
        ("v1.27.8", False),
        ("v1.24.17", False),
        ("v1.29.0", True),
        (None, True),
    ],
)
def test_default_of_a_version_that_does_not_know_the_option_is_refused(version: str | None, known: bool) -> None:
    observation = replace(rancher(OLD), version=f"{version}+k3s1" if version else None)
    assert bool(plan_runtime(Wish(default=True), observation).problems) is not known


def test_default_that_the_version_passes_over_is_not_said_to_be_one() -> None:
    observation = replace(rancher(OLD, {config(): "default-runtime: nvidia\n"}), version="v1.28.4+k3s1")
    assert not plan_runtime(Wish(), observation).notes
    assert "does not know default-runtime" in plan_runtime(Wish(default=True), observation).problems[0]


def test_default_without_its_executable_would_keep_k3s_from_starting_and_is_refused() -> None:
    observation = replace(rancher(SECOND), binaries={BINARY: {"exists": False}})
    problems = plan_runtime(Wish(default=True, allow_missing_binary=True), observation).problems
    assert "does not start at all" in problems[0]


@pytest.mark.parametrize(
    ("version", "found"), [("v1.28.6", False), ("v1.28.7", True), ("v1.29.1", False), ("v1.30.0", True)]
)
def test_executable_where_the_version_does_not_look_is_not_waited_for(version: str, found: bool) -> None:
    """A restart would find nothing, the next one neither; with it as the default, k3s would not start."""
    wish = Wish(binary="/usr/local/bin/nvidia-container-runtime")
    start = replace(
        rancher(OLD, nvidia=False),
        version=f"{version}+k3s1",
        binaries={wish.binary: {"exists": True, "executable": True}},
    )
    for one in (wish, replace(wish, default=True)):
        plan = plan_runtime(one, start)
        assert bool(plan.problems) is not found
        assert not found or plan.restart
    assert not plan_runtime(Wish(), replace(start, binaries=rancher(OLD).binaries)).problems


def test_executable_that_the_next_start_finds_before_the_wanted_one_is_seen_now_and_not_by_the_second_run() -> None:
    """Such as that of the GPU Operator, which came after the last start: a restart for anything else would bring it."""
    first = "/usr/local/nvidia/toolkit/nvidia-container-runtime"
    there = {path: {"exists": True, "executable": True} for path in (BINARY, first)}
    configured, _plan = there_and_back(replace(rancher(FOLDER), binaries=there), Wish(default=True))
    restarted = with_file(configured, f"{etc()}/config.toml", generated(FOLDER).replace(BINARY, first))
    assert runtimes(rendered(restarted))["nvidia"]["options"]["BinaryName"] == BINARY
    assert not plan_runtime(Wish(default=True), restarted).changed
    (problem,) = plan_runtime(Wish(), replace(rancher(SECOND), binaries=there)).problems
    assert f"set binary to {first}, which it finds first" in problem
    (note,) = plan_runtime(ABSENT, replace(rancher(SECOND), binaries=there)).notes
    assert f"finds {first} by itself" in note
    assert not plan_runtime(Wish(binary=first, default=True), replace(rancher(FOLDER), binaries=there)).problems


def test_all_places_where_an_executable_may_be_found_first_are_observed() -> None:
    looked_for = {posixpath.join(one, name) for one in SEARCHED for name in FOUND_BY_ITSELF.values()}
    assert looked_for <= set(observing.TOOLKIT)


def test_executable_that_came_after_the_start_is_a_restart_and_no_file() -> None:
    plan = plan_runtime(Wish(), rancher(SECOND, nvidia=False))
    assert not plan.files
    assert plan.restart
    assert plan.actions == (f"restart k3s-agent.service: it looks for {BINARY} at its start only",)


def test_concrete_template_that_leaves_out_what_k3s_finds_is_refused_and_not_restarted_for_ever() -> None:
    path = f"{etc()}/config-v3.toml.tmpl"
    text = generated(SECOND, nvidia=False)
    (problem,) = plan_runtime(Wish(), rancher(SECOND, {path: text}, nvidia=False)).problems
    assert path in problem
    for found in (BASE, text + "{{ range $k, $v := .ExtraRuntimes }}{{ end }}"):
        assert plan_runtime(Wish(), rancher(SECOND, {path: found}, nvidia=False)).restart


def test_default_with_a_concrete_template_that_leaves_it_out_is_refused() -> None:
    path = f"{etc()}/config-v3.toml.tmpl"
    (problem,) = plan_runtime(Wish(default=True), rancher(SECOND, {path: generated(SECOND)})).problems
    assert "leaves the default runtime out" in problem
    # With the table missing it would be worse: a default that containerd has no table of.
    text = generated(SECOND, nvidia=False) + "{{ .NodeConfig.DefaultRuntime }}"
    (problem,) = plan_runtime(Wish(default=True), rancher(SECOND, {path: text}, nvidia=False)).problems
    assert "leaves that out" in problem
    assert not plan_runtime(Wish(default=True), rancher(SECOND, {path: BASE})).problems


def test_absent_tells_that_the_distribution_keeps_what_it_finds_by_itself() -> None:
    plan = plan_runtime(ABSENT, rancher(SECOND))
    assert not plan.changed
    assert any("until NVIDIA's container toolkit is uninstalled" in note for note in plan.notes)


def test_missing_executable_that_is_allowed_needs_no_restart() -> None:
    observation = replace(rancher(SECOND, nvidia=False), binaries={BINARY: {"exists": False}})
    plan = plan_runtime(Wish(allow_missing_binary=True), observation)
    assert not plan.problems
    assert not plan.changed


@pytest.mark.parametrize("nvidia", [True, False])
def test_options_with_a_folder_of_drop_ins_are_merged_over_the_base(nvidia: bool) -> None:
    wish = Wish(
        privileged_without_host_devices="true", binary="/opt/nvidia/nvidia-container-runtime", default=True, cdi="false"
    )
    start = replace(rancher(FOLDER, nvidia=nvidia), binaries={wish.binary: {"exists": True, "executable": True}})
    configured, plan = there_and_back(start, wish)
    (change,) = plan.files
    assert change.path == f"{etc()}/config-v3.toml.d/80-kubegpu-sharing.toml"
    data = rendered(configured)
    assert runtimes(data)["nvidia"] == {
        "runtime_type": "io.containerd.runc.v2",
        "privileged_without_host_devices": True,
        "options": {"BinaryName": wish.binary, "SystemdCgroup": True},
    }
    assert data["plugins"][V3]["enable_cdi"] is False
    assert data["plugins"][V3]["containerd"]["default_runtime_name"] == "nvidia"


def test_drop_in_that_the_base_caught_up_with_stays_and_needs_no_other_restart() -> None:
    start = rancher(FOLDER, nvidia=False)
    configured = after(start, plan_runtime(Wish(), start))
    assert f"{etc()}/config-v3.toml.d/80-kubegpu-sharing.toml" in texts(configured)
    restarted = with_file(configured, f"{etc()}/config.toml", generated(FOLDER))
    assert not plan_runtime(Wish(), restarted).changed


@ALL
def test_name_of_its_own_is_added_by_what_the_version_has(release: tuple[str, str]) -> None:
    configured, plan = there_and_back(rancher(release), Wish(name="gpu"))
    (change,) = plan.files
    where = {OLD: "config.toml.tmpl", SECOND: "config-v3.toml.tmpl", FOLDER: "config-v3.toml.d/80-kubegpu-sharing.toml"}
    assert change.path == f"{etc()}/{where[release]}"
    assert runtimes(rendered(configured))["gpu"] == {
        "runtime_type": "io.containerd.runc.v2",
        "options": {"BinaryName": BINARY, "SystemdCgroup": True},
    }
    if release != FOLDER:
        assert (change.content or "").startswith(BASE)


@pytest.mark.parametrize("full", [False, True])
def test_own_template_of_the_old_schema_gives_way_to_the_folder_that_the_next_start_imports(
    full: bool,
) -> None:
    """Without the template k3s writes its config of version 3, which imports another folder than the one of the last start."""
    start = rancher(OLD)
    old = after(start, plan_runtime(Wish(name="gpu"), start))
    imports = f'version = 2\nimports = ["{etc()}/config.toml.d/*.toml"]\n'
    upgraded = replace(
        with_file(old, f"{etc()}/config.toml", generated(OLD).replace("version = 2\n", imports)),
        version="v1.35.2+k3s1",
    )
    wish = Wish(name="gpu", default=full, cdi="false" if full else "inherit")
    moved = after(upgraded, plan_runtime(wish, upgraded))
    restarted = with_file(moved, f"{etc()}/config.toml", generated(FOLDER))
    data = rendered(restarted)
    assert runtimes(data)["gpu"]["options"] == {"BinaryName": BINARY, "SystemdCgroup": True}
    assert data["plugins"][V3]["containerd"].get("default_runtime_name") == ("gpu" if full else None)
    assert data["plugins"][V3].get("enable_cdi", True) is not full
    assert not plan_runtime(wish, restarted).changed
    assert not [path for path in texts(after(restarted, plan_runtime(ABSENT, restarted))) if "kubegpu" in path]


def test_template_of_the_old_schema_that_others_use_too_stays_with_its_folder() -> None:
    template = f"{etc()}/config.toml.tmpl"
    start = rancher(OLD, {template: TEMPLATE.replace(V3, V2)})
    old = after(start, plan_runtime(Wish(name="gpu"), start))
    text = generated(OLD).replace("version = 2\n", f'version = 2\nimports = ["{etc()}/config.toml.d/*.toml"]\n')
    upgraded = replace(with_file(old, f"{etc()}/config.toml", text), version="v1.35.2+k3s1")
    moved = after(upgraded, plan_runtime(Wish(name="gpu"), upgraded))
    assert moved.text(template) == TEMPLATE.replace(V3, V2)
    assert f'"{V2}".containerd.runtimes.gpu' in (moved.text(f"{etc()}/config.toml.d/80-kubegpu-sharing.toml") or "")


@pytest.mark.parametrize(
    ("release", "path", "text"),
    [
        (FOLDER, "config-v3.toml.d/99-site.toml", f"version = 3\n[plugins.'{V3}'.containerd]\n"),
        (SECOND, "config-v3.toml.tmpl", BASE + f"[plugins.'{V3}'.containerd]\n"),
    ],
)
def test_runtime_that_somebody_made_the_default_is_not_taken_out(
    release: tuple[str, str], path: str, text: str
) -> None:
    start = rancher(release, {f"{etc()}/{path}": text + "default_runtime_name = 'gpu'\n"})
    configured = after(start, plan_runtime(Wish(name="gpu"), start))
    for wish in (replace(ABSENT, name="gpu"), Wish(name="card")):
        (problem,) = plan_runtime(wish, configured).problems
        assert f"Taking gpu out: {etc()}/{path} makes it the default runtime" in problem
    other = rancher(release, {f"{etc()}/{path}": text + "default_runtime_name = 'runc'\n"})
    there_and_back(other, Wish(name="gpu"))


@ALL
def test_path_of_the_executable_with_letters_that_toml_escapes_is_the_same_path_to_containerd(
    release: tuple[str, str],
) -> None:
    wish = Wish(name="gpu", binary='/opt/the "best"\\nvidia')
    start = replace(rancher(release), binaries={wish.binary: {"exists": True, "executable": True}})
    configured, _plan = there_and_back(start, wish)
    assert runtimes(rendered(configured))["gpu"]["options"]["BinaryName"] == wish.binary


@BOTH
@pytest.mark.parametrize(
    ("release", "file", "begin"),
    [(FOLDER, "config-v3.toml.d/50-theirs.toml", "version = 3\n"), (SECOND, "config-v3.toml.tmpl", "# by hand\n")],
)
def test_replaced_executable_of_runc_is_told_with_the_file_that_says_so(
    release: tuple[str, str], file: str, begin: str, name: str
) -> None:
    path = f"{etc(name)}/{file}"
    text = f"{begin}[plugins.'{V3}'.containerd.runtimes.runc.options]\n  BinaryName = '{BINARY}'\n"
    start = rancher(release, {path: text, f"{path}.bak": text}, name=name)
    told = [one for one in plan_runtime(Wish(), start).warnings if "runtime runc" in one]
    assert told == [
        f"The runtime runc in {path} starts {BINARY}: every container of this node runs through it, not only those of nvidia. Give it "
        "its own executable back there."
    ]
    own = rancher(release, {path: text.replace(BINARY, "/usr/bin/runc")}, name=name)
    assert not [one for one in plan_runtime(Wish(), own).warnings if "runtime runc" in one]


def test_own_template_stays_when_its_table_is_in_the_config_of_the_next_start() -> None:
    start = rancher(SECOND)
    configured = after(start, plan_runtime(Wish(name="gpu"), start))
    table = f"[plugins.'{V3}'.containerd.runtimes.gpu]\n  runtime_type = \"io.containerd.runc.v2\"\n"
    restarted = with_file(configured, f"{etc()}/config.toml", generated(SECOND) + table)
    assert not plan_runtime(Wish(name="gpu"), restarted).changed


TEMPLATE = (
    BASE
    + f"\n# runsc, by hand\n[plugins.'{V3}'.containerd.runtimes.runsc]\n  runtime_type = \"io.containerd.runsc.v1\"\n"
)


def test_template_that_is_there_keeps_every_line_and_gets_a_block() -> None:
    path = f"{etc()}/config-v3.toml.tmpl"
    configured, _plan = there_and_back(
        rancher(SECOND, {path: TEMPLATE}), Wish(name="gpu", privileged_without_host_devices="true")
    )
    assert (configured.text(path) or "").startswith(TEMPLATE)
    assert set(runtimes(rendered(configured))) == {"runc", "nvidia", "runsc", "gpu"}
    assert runtimes(rendered(configured))["gpu"]["privileged_without_host_devices"] is True


def test_old_template_that_containerd_2_falls_back_to_is_edited_with_the_old_schema() -> None:
    """A new config-v3.toml.tmpl beside it would make k3s pass the old one over, with all that stands in it."""
    path = f"{etc()}/config.toml.tmpl"
    text = TEMPLATE.replace(V3, V2)
    start = with_file(rancher(SECOND, {path: text}), f"{etc()}/config.toml", generated(OLD))
    configured, plan = there_and_back(start, Wish(name="gpu"))
    assert [change.path for change in plan.files] == [path]
    assert f'"{V2}".containerd.runtimes.gpu' in (configured.text(path) or "")


@pytest.mark.parametrize(
    ("template", "release"), [("config-v3.toml.tmpl", SECOND), ("config.toml.tmpl", OLD), ("config.toml.tmpl", SECOND)]
)
def test_concrete_template_is_refused(template: str, release: tuple[str, str]) -> None:
    path = f"{etc()}/{template}"
    text = generated(SECOND if "v3" in template else OLD)
    start = with_file(rancher(release, {path: text}), f"{etc()}/config.toml", text)
    (problem,) = plan_runtime(Wish(name="gpu"), start).problems
    assert path in problem
    assert '{{ template "base" . }}' in problem


def test_old_template_beside_the_new_one_counts_for_nothing() -> None:
    files: dict[str, str | None] = {
        f"{etc()}/config-v3.toml.tmpl": TEMPLATE,
        f"{etc()}/config.toml.tmpl": "version = 2\n",
    }
    (change,) = plan_runtime(Wish(name="gpu"), rancher(SECOND, files)).files
    assert change.path == f"{etc()}/config-v3.toml.tmpl"


def test_drop_in_for_containerd_1_would_lose_the_network_and_is_refused() -> None:
    text = generated(OLD).replace("version = 2\n", f'version = 2\nimports = ["{etc()}/config.toml.d/*.toml"]\n')
    (problem,) = plan_runtime(Wish(name="gpu"), rancher(OLD, {f"{etc()}/config.toml": text})).problems
    assert "network's settings would be lost" in problem


def test_table_that_the_template_has_already_is_refused_with_its_line() -> None:
    path = f"{etc()}/config-v3.toml.tmpl"
    (problem,) = plan_runtime(Wish(name="runsc"), rancher(SECOND, {path: TEMPLATE})).problems
    assert "line 4 declares it already" in problem


@pytest.mark.parametrize("release", [OLD, SECOND])
@pytest.mark.parametrize(
    "wish", [Wish(privileged_without_host_devices="true"), Wish(binary="/opt/nvidia/nvidia-container-runtime")]
)
def test_table_of_the_base_is_never_declared_in_a_template(release: tuple[str, str], wish: Wish) -> None:
    (problem,) = plan_runtime(wish, rancher(release)).problems
    assert "table nvidia already exists" in problem
    assert "choose another name" in problem


def test_default_of_a_name_of_its_own_needs_the_folder() -> None:
    (problem,) = plan_runtime(Wish(name="gpu", default=True), rancher(SECOND)).problems
    assert "gpu the default runtime" in problem
    configured, _plan = there_and_back(rancher(FOLDER), Wish(name="gpu", default=True))
    assert rendered(configured)["plugins"][V3]["containerd"]["default_runtime_name"] == "gpu"
    assert not (configured.names(f"{config()}.d"))


def test_cdi_that_containerd_has_anyway_needs_nothing() -> None:
    assert not plan_runtime(Wish(cdi="true"), rancher(SECOND)).changed
    assert not plan_runtime(Wish(cdi="false"), rancher(OLD)).changed
    assert "enable_cdi true" in plan_runtime(Wish(cdi="true"), rancher(OLD)).problems[0]


@pytest.mark.parametrize(
    ("version", "second"),
    [
        ("v1.29.15", False),
        ("v1.30.14", False),
        ("v1.31.5", False),
        ("v1.31.6", True),
        ("v1.32.1", False),
        ("v1.32.2", True),
        ("v1.33.0", True),
    ],
)
def test_containerd_2_is_where_k3s_has_it(version: str, second: bool) -> None:
    observation = with_file(replace(rancher(OLD), version=f"{version}+k3s1"), f"{etc()}/config.toml", None)
    (change,) = plan_runtime(Wish(name="gpu"), observation).files
    assert change.path == f"{etc()}/{'config-v3' if second else 'config'}.toml.tmpl"
    assert bool(plan_runtime(Wish(name="gpu", cdi="true"), observation).problems) is not second


def test_base_that_the_version_lacks_is_refused() -> None:
    observation = replace(rancher(OLD), version="v1.26.7+k3s1")
    assert any("has no base" in problem for problem in plan_runtime(Wish(name="gpu"), observation).problems)


def test_change_of_options_is_absent_and_then_present() -> None:
    start = rancher(SECOND, {f"{etc()}/config-v3.toml.tmpl": TEMPLATE})
    first = after(start, plan_runtime(Wish(name="gpu"), start))
    second = after(first, plan_runtime(Wish(name="card", default=False), first))
    assert texts(second) == texts(after(start, plan_runtime(Wish(name="card"), start)))
    plain = after(second, plan_runtime(Wish(), second))
    assert texts(plain) == texts(start)


def test_block_without_a_record_is_kept_and_not_declared_twice() -> None:
    start = rancher(SECOND, {f"{etc()}/config-v3.toml.tmpl": TEMPLATE})
    lost = replace(after(start, plan_runtime(Wish(name="gpu"), start)), record=None)
    plan = plan_runtime(Wish(name="gpu"), lost)
    assert not plan.problems
    assert not plan.changed


def test_block_without_a_record_is_ours_by_its_marks() -> None:
    path = f"{etc()}/config-v3.toml.tmpl"
    start = rancher(SECOND, {path: TEMPLATE})
    lost = replace(after(start, plan_runtime(Wish(name="gpu"), start)), record=None)
    assert after(lost, plan_runtime(Wish(state="absent"), lost)).text(path) == TEMPLATE
    renamed = after(lost, plan_runtime(Wish(name="card"), lost)).text(path)
    assert renamed == after(start, plan_runtime(Wish(name="card"), start)).text(path)


def test_template_that_somebody_edited_beside_ours_loses_ours_alone() -> None:
    path = f"{etc()}/config-v3.toml.tmpl"
    start = rancher(SECOND, {path: TEMPLATE})
    configured = after(start, plan_runtime(Wish(name="gpu"), start))
    edited = with_file(configured, path, (configured.text(path) or "") + "# later\n")
    assert not plan_runtime(Wish(name="gpu"), edited).changed
    assert after(edited, plan_runtime(ABSENT, edited)).text(path) == TEMPLATE + "# later\n"


def test_edit_of_our_block_in_a_template_is_undone_and_told() -> None:
    path = f"{etc()}/config-v3.toml.tmpl"
    start = rancher(SECOND, {path: TEMPLATE})
    configured = after(start, plan_runtime(Wish(name="gpu"), start))
    edited = with_file(configured, path, (configured.text(path) or "").replace(BINARY, "/usr/local/bin/by-hand"))
    again = plan_runtime(Wish(name="gpu"), edited)
    assert any("that is undone" in told for told in again.warnings)
    assert after(edited, again).text(path) == configured.text(path)
    gone = plan_runtime(ABSENT, edited)
    assert any("it goes" in told for told in gone.warnings)
    assert after(edited, gone).text(path) == TEMPLATE


@pytest.mark.parametrize(
    ("path", "text", "message"),
    [
        (config(), "a: [1\nb: 2\n", f"Reading {config()}:2:"),
        (config(), "- a\n", "no mapping of options"),
        (f"{etc()}/config.toml", "version = = 3\n", f"Reading {etc()}/config.toml:1:"),
    ],
)
def test_broken_file_is_told_with_its_place_and_nothing_is_written(path: str, text: str, message: str) -> None:
    observation = rancher(SECOND)
    plan = plan_runtime(Wish(default=True), replace(observation, files={**observation.files, path: seen(path, text)}))
    assert any(message in problem for problem in plan.problems), plan.problems


@pytest.mark.parametrize(
    ("files", "argv"),
    [
        ({config(): "docker: true\n"}, ()),
        ({}, ("--docker",)),
        ({}, ("--container-runtime-endpoint", "unix:///run/crio/crio.sock")),
    ],
)
def test_pods_in_another_engine_are_told(files: dict[str, Any], argv: tuple[str, ...]) -> None:
    (problem,) = plan_runtime(Wish(), rancher(SECOND, files, argv=argv)).problems
    assert re.search("containerd, crio or docker", problem)


def test_other_data_directory_is_where_the_files_are_written() -> None:
    observation = replace(rancher(SECOND), config_path="/srv/k3s/agent/etc/containerd/config.toml")
    observation = with_file(observation, "/srv/k3s/agent/etc/containerd/config.toml", generated(SECOND))
    (change,) = plan_runtime(Wish(name="gpu"), observation).files
    assert change.path == "/srv/k3s/agent/etc/containerd/config-v3.toml.tmpl"
