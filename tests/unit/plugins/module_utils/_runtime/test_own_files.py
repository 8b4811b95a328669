# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that are the collection's own, with somebody else's in them or in their place: nothing of his goes in silence."""

from __future__ import annotations

from typing import Any

import pytest
from unit.plugins.fakes.seen_runtime import after, seen_file, seen_runtime

from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.dumps import compare
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.observation import Observation
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.plan import RuntimePlan
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.planning import plan_runtime
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.wish import Wish

MAIN = "/etc/containerd/config.toml"
DROP_IN = "/etc/containerd/conf.d/80-kubegpu-sharing.toml"
CRI = 'plugins."io.containerd.cri.v1.runtime"'
IMPORTING = 'version = 3\nimports = ["conf.d/*.toml"]\n'
PRESENT, ABSENT = Wish(), Wish(state="absent")
CONTAINERD = seen_runtime(
    "containerd",
    {MAIN: IMPORTING, DROP_IN: None},
    version="2.1.9",
    program="/usr/bin/containerd",
    config_path=MAIN,
)
CRIO = seen_runtime("crio", {"/etc/crio/crio.conf": ""}, version="1.30.0")
K3S = seen_runtime(
    "k3s",
    {"/etc/rancher/k3s/config.yaml": "write-kubeconfig-mode: '0600'\n"},
    version="v1.30.4+k3s1",
    config_path="/var/lib/rancher/k3s/agent/etc/containerd/config.toml",
)
OF_CRIO = "/etc/crio/crio.conf.d/80-kubegpu-sharing.conf"
OF_K3S = "/etc/rancher/k3s/config.yaml.d/80-kubegpu-sharing.yaml"
DEFAULT = Wish(default=True)


def plan(told: dict[str, Any], wish: Wish) -> RuntimePlan:
    return plan_runtime(wish, Observation.from_dict(told))


def edited(told: dict[str, Any], wish: Wish, path: str, more: str) -> dict[str, Any]:
    """Ours is there, and somebody wrote into it."""
    there = after(told, plan(told, wish).to_dict())
    there["files"][path] = seen_file(there["files"][path]["content"] + more)
    return there


INTO = pytest.mark.parametrize(
    ("told", "wish", "path", "more", "named"),
    [
        pytest.param(
            CONTAINERD,
            PRESENT,
            DROP_IN,
            '[plugins."io.containerd.cri.v1.images".registry]\nconfig_path = "/etc/containerd/certs.d"\n',
            '[plugins."io.containerd.cri.v1.images".registry]',
            id="containerd",
        ),
        pytest.param(
            CONTAINERD,
            PRESENT,
            DROP_IN,
            f'[{CRI}.containerd.runtimes.kata]\nruntime_type = "io.containerd.kata.v2"\n',
            f"[{CRI}.containerd.runtimes.kata]",
            id="containerd_runtime",
        ),
        pytest.param(CRIO, PRESENT, OF_CRIO, "[crio.image]\npause_image = 'x'\n", "[crio.image]", id="crio"),
        pytest.param(K3S, DEFAULT, OF_K3S, "node-label: [a=b]\n", "node-label", id="k3s"),
    ],
)


@INTO
@pytest.mark.parametrize("absent", [False, True], ids=["present", "absent"])
def test_what_somebody_put_into_our_file_refuses_to_lose_it(
    told: dict[str, Any], wish: Wish, path: str, more: str, named: str, absent: bool
) -> None:
    there = edited(told, wish, path, more)
    made = plan(there, ABSENT if absent else wish)
    (problem,) = made.problems
    assert problem.startswith(f"{'Removing' if absent else 'Writing'} {path}: ")
    assert f"would be lost: {named}. Move that into a file of yours" in problem


@INTO
def test_it_is_found_without_a_record_too(told: dict[str, Any], wish: Wish, path: str, more: str, named: str) -> None:
    there = {**edited(told, wish, path, more), "record": None}
    (problem,) = plan(there, ABSENT).problems
    assert named in problem


@pytest.mark.parametrize("wish", [PRESENT, ABSENT], ids=["present", "absent"])
@pytest.mark.parametrize("told", [CONTAINERD, CRIO], ids=["containerd", "crio"])
def test_edits_of_ours_go_and_that_is_told(told: dict[str, Any], wish: Wish) -> None:
    path = DROP_IN if told is CONTAINERD else OF_CRIO
    made = plan(edited(told, PRESENT, path, "# mine\n"), wish)
    assert not made.problems
    assert [change.path for change in made.files][:1] == [path]
    assert f"{path} is this role's own and was edited by somebody else; those edits go." in made.warnings


@pytest.mark.parametrize(
    ("told", "wish", "path"),
    [
        pytest.param(CONTAINERD, PRESENT, DROP_IN, id="containerd"),
        pytest.param(CRIO, PRESENT, OF_CRIO, id="crio"),
        pytest.param(K3S, DEFAULT, OF_K3S, id="k3s"),
    ],
)
def test_file_of_somebody_else_in_the_place_of_ours_stays(told: dict[str, Any], wish: Wish, path: str) -> None:
    theirs = seen_file("# by the image\n")
    imports = {MAIN: seen_file(f'version = 3\nimports = ["{DROP_IN}"]\n')} if told is CONTAINERD else {}
    there = {**told, "files": {**told["files"], **imports, path: theirs}}
    (problem,) = [one for one in plan(there, wish).problems if "was not made by this collection" in one]
    assert problem.startswith(f"Writing {path}: a file of that name is there already")
    gone = plan(there, ABSENT)
    assert not gone.changed
    assert f"{path} has the name of a file of this collection and was not made by it: it stays." in gone.warnings


@pytest.mark.parametrize("wish", [PRESENT, ABSENT], ids=["present", "absent"])
def test_somebody_elses_drop_in_is_not_taken_away_from_an_older_containerd(wish: Wish) -> None:
    files = {MAIN: seen_file("version = 2\n"), DROP_IN: seen_file("# by the image\n")}
    made = plan({**CONTAINERD, "version": "1.7.24", "files": files}, wish)
    assert [change.path for change in made.files] == ([MAIN] if wish is PRESENT else [])
    assert [one for one in made.warnings if one.startswith(DROP_IN)]


def test_import_of_somebody_elses_file_of_that_name_stays_on_an_older_containerd() -> None:
    files = {MAIN: seen_file(f'version = 2\nimports = ["{DROP_IN}"]\n'), DROP_IN: seen_file("# by the image\n")}
    told = {**CONTAINERD, "version": "1.7.24", "files": files}
    made = plan(told, PRESENT)
    assert f'imports = ["{DROP_IN}"]' in (made.files[0].content or "")
    # What it says of the CRI plugin is not to be lost either.
    assert ("plugins", "io.containerd.grpc.v1.cri") not in made.ours.tables
    assert not plan(told, ABSENT).changed


def dump(default: str, registry: str = "") -> dict[str, Any]:
    runtimes = "".join(
        f'[{CRI}.containerd.runtimes.{name}]\nruntime_type = "io.containerd.runc.v2"\n{options}'
        for name, options in (
            ("runc", ""),
            (
                "nvidia",
                f'[{CRI}.containerd.runtimes.nvidia.options]\nBinaryName = "/usr/bin/nvidia-container-runtime"\n',
            ),
        )
    )
    text = f'version = 3\n{registry}[{CRI}.containerd]\ndefault_runtime_name = "{default}"\n{runtimes}'
    return {"argv": ["containerd", "config", "dump"], "rc": 0, "stdout": text, "stderr": ""}


def test_file_that_overrides_ours_is_named_at_once_and_later() -> None:
    theirs = "/etc/containerd/conf.d/99-site.toml"
    text = f'version = 3\n[{CRI}.containerd]\ndefault_runtime_name = "runc"\n'
    files = {MAIN: seen_file(IMPORTING), DROP_IN: seen_file(None), theirs: seen_file(text)}
    listings = {"/etc/containerd/conf.d": ["99-site.toml"]}
    told = {**CONTAINERD, "files": files, "listings": listings, "dump": dump("runc")}
    made = plan(told, DEFAULT)
    (problem,) = compare(made, dump("runc"), dump("runc"))
    said = f"= 'nvidia' (the engine has 'runc', by {theirs}). Take it out of {theirs}."
    assert said in problem
    there = after(told, made.to_dict(), dump=dump("runc"))
    (again,) = plan(there, DEFAULT).problems
    assert said in again


@pytest.mark.parametrize(
    ("told", "hint"),
    [
        pytest.param(
            CONTAINERD, f"See whether somebody else's is in a file that would be written: {DROP_IN}.", id="2.x"
        ),
        pytest.param(
            {**CONTAINERD, "version": "1.7.24", "files": {MAIN: seen_file("version = 2\n")}, "dump": None},
            "On containerd 1.x an imported file replaces a plugin's whole table",
            id="1.x",
        ),
    ],
)
def test_what_would_be_lost_is_explained_by_the_version_that_is_there(told: dict[str, Any], hint: str) -> None:
    made = plan(told, PRESENT)
    (problem,) = compare(made, dump("runc", "root = 'x'\n"), dump("runc"))
    assert hint in problem
    assert ("replaces a plugin's" in problem) is (told["version"] == "1.7.24")


V2 = 'plugins."io.containerd.grpc.v1.cri".containerd'
OLDER = {**CONTAINERD, "version": "1.7.24", "files": {MAIN: seen_file("version = 2\n")}}


def test_runtime_that_had_to_be_named_beside_ours_stays_where_it_is_needed_and_that_is_told() -> None:
    more = f"[{V2}.runtimes.runc.options]\nSystemdCgroup = true\n"
    made = plan(edited(OLDER, PRESENT, MAIN, more), ABSENT)
    assert f"[{V2}.runtimes.runc]" in str(made.files[0].content)
    assert made.warnings[0].startswith(f"The table of the runtime runc in {MAIN} stays, which was put in beside nvidia")
    untouched = plan(edited(OLDER, PRESENT, MAIN, "# mine\n"), ABSENT)
    assert untouched.files[0].content == "version = 2\n# mine\n"
    assert untouched.warnings == (f"{MAIN} was edited by somebody else since; what is not ours stays.",)


def test_runtime_that_somebody_made_the_default_one_is_not_taken_out_and_the_line_is_named() -> None:
    there = edited(OLDER, PRESENT, MAIN, f'[{V2}]\ndefault_runtime_name = "nvidia"\n')
    (problem,) = plan(there, ABSENT).problems
    line = 1 + there["files"][MAIN]["content"].splitlines().index('default_runtime_name = "nvidia"')
    assert problem.startswith(f"Taking nvidia out: {MAIN}:{line} makes it the default runtime")
    # Nothing of ours is there to be taken out.
    foreign = {**OLDER, "files": {MAIN: seen_file(f'version = 2\n[{V2}]\ndefault_runtime_name = "nvidia"\n')}}
    assert not plan(foreign, ABSENT).problems


def test_default_runtime_that_somebody_took_away_may_come_back() -> None:
    whole = dump("runc")
    without = {**whole, "stdout": whole["stdout"].replace("runtimes.runc]", "runtimes.kata]")}
    problems = "\n".join(compare(plan(OLDER, PRESENT), without, whole))
    assert "runtimes.runc" not in problems
    assert "all of" in problems
    assert "runtimes.kata" in problems
