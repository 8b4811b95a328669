# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Configs of containerd that somebody else changed after ours was put in, and those that others have a hand in."""

from __future__ import annotations

from typing import Any, Dict, List

import pytest
import tomlkit
from unit.plugins.fakes.seen_runtime import after, names, seen_file, seen_runtime

from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime import containerd_edits
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.observation import Observation
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.plan import RuntimePlan
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.planning import plan_runtime
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.toml_reading import parse
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.wish import Wish

MAIN = "/etc/containerd/config.toml"
DROP_IN = "/etc/containerd/conf.d/80-kubegpu-sharing.toml"
V2 = 'plugins."io.containerd.grpc.v1.cri"'
RUNC = f'[{V2}.containerd.runtimes.runc]\nruntime_type = "io.containerd.runc.v2"\n'
DEFAULT = f'[{V2}.containerd]\ndefault_runtime_name = "runc"\n'
FULL = f"version = 2\nroot = '/srv'\n{DEFAULT}{RUNC}"


def seen(text: str = FULL, version: str = "1.7.24", **files: Any) -> Dict[str, Any]:
    """:param files: beside the main one, by their names in conf.d."""
    more = {f"/etc/containerd/conf.d/{name}.toml": one for name, one in files.items()}
    return seen_runtime(
        "containerd", {MAIN: text, **more}, version=version, program="/usr/bin/containerd", config_path=MAIN
    )


def plan(told: Dict[str, Any], **options: Any) -> RuntimePlan:
    return plan_runtime(Wish(**options), Observation.from_dict(told))


def applied(told: Dict[str, Any], **options: Any) -> Dict[str, Any]:
    made = plan(told, **options)
    assert not made.problems
    return after(told, made.to_dict())


def main_of(told: Dict[str, Any]) -> str:
    text = told["files"][MAIN]["content"]
    assert isinstance(text, str)
    return text


def test_plugin_that_an_imported_file_takes_away_is_told_with_that_file() -> None:
    start = seen('version = 3\nimports = ["conf.d/*.toml"]\n', "2.1.9", own='disabled_plugins = ["cri"]\nversion = 3\n')
    assert [text for text in plan(start).problems if "'cri' in /etc/containerd/conf.d/own.toml" in text]


@pytest.mark.parametrize("state", ["present", "absent"])
def test_imported_file_that_hides_the_whole_table_on_1_x_keeps_ours_out(state: str) -> None:
    start = seen(f'imports = ["conf.d/*.toml"]\n{FULL}', own=f'version = 2\n[{V2}]\nsandbox_image = "x"\n')
    told = plan(start, state=state).problems
    if state == "present":
        assert len(told) == 1
        assert "/etc/containerd/conf.d/own.toml, which /etc/containerd/config.toml imports" in told[0]
        assert "replaces the main file's whole table by it" in told[0]
    else:
        assert not told


@pytest.mark.parametrize(
    ("imports", "read"), [("conf.d/*.toml", False), ("/etc/containerd/conf.d/*.toml", True), ("conf.d/own.toml", True)]
)
def test_file_that_1_6_does_not_find_beside_the_main_one_is_no_hindrance(imports: str, read: bool) -> None:
    """It looks for a relative pattern in the directory that it runs in."""
    text = f'imports = ["{imports}"]\n{FULL}'
    start = seen(text, "1.6.20~ds1", own=f'version = 2\n[{V2}]\nsandbox_image = "x"\n')
    assert bool(plan(start).problems) is read


def test_main_file_that_was_made_to_import_ours_is_not_said_to_be_of_an_older_containerd() -> None:
    bare = seen(version="2.1.9")
    del bare["files"][MAIN]
    made = applied(bare)
    assert f"import the drop-in no more ({MAIN})" in plan(made, state="absent").actions
    made["files"][MAIN] = seen_file("version = 3\n")
    assert f"import the drop-in ({MAIN})" in plan(made).actions


@pytest.mark.parametrize("version", ["1.7.24", "2.1.9"])
@pytest.mark.parametrize("imports", ["99-nvidia.toml", "*.toml"])
def test_foreign_file_behind_a_link_is_taken_over_and_given_back(version: str, imports: str) -> None:
    """The link stays, and containerd does not start with one that leads nowhere."""
    theirs, target = "/etc/containerd/conf.d/99-nvidia.toml", "/srv/99-nvidia.toml"
    text = f'[{V2}.containerd.runtimes.nvidia]\nruntime_type = "io.containerd.runc.v2"\n'
    start = seen(f'imports = ["/etc/containerd/conf.d/{imports}"]\n{FULL}', version)
    start["files"][theirs] = seen_file(f"version = 2\n{text}", link=target)
    start["listings"]["/etc/containerd/conf.d"] = ["99-nvidia.toml"]
    taken = applied(start, take_over=True)
    assert taken["files"][theirs]["content"] == "version = 2\n"
    assert not plan(taken, take_over=True).changed
    # Its owner's text is kept through a change of ours.
    changed = applied(taken, take_over=True, privileged_without_host_devices="true")
    back = applied(changed, state="absent")
    assert {path: one["content"] for path, one in back["files"].items() if one["content"] is not None} == {
        path: one["content"] for path, one in start["files"].items()
    }


def test_imported_file_without_that_table_is_no_hindrance_on_1_x() -> None:
    start = seen(f'imports = ["conf.d/*.toml"]\n{FULL}', own='version = 2\n[debug]\nlevel = "debug"\n')
    assert not plan(start).problems


@pytest.mark.parametrize(
    ("text", "place"),
    [
        pytest.param("version = 2\nroot = 'a'\nroot = 'b'\n", ":3:", id="twice"),
        # Which the reader that keeps the style would take.
        pytest.param("version = 2\n[x]\ny = { z = 1, }\n", ":3:14: ", id="comma"),
    ],
)
def test_what_is_no_toml_is_told_with_its_place_whichever_reader_refuses_it(text: str, place: str) -> None:
    told = plan(seen(text)).problems
    assert len(told) == 1
    assert told[0].startswith(f"Reading {MAIN}{place}")


@pytest.mark.parametrize("options", [{}, {"default": True}, {"privileged_without_host_devices": "true"}])
def test_file_that_a_tool_wrote_in_another_order_means_the_same_and_stays(options: Dict[str, Any]) -> None:
    there = applied(seen(), **options)
    data = parse(main_of(there), MAIN)
    turned = tomlkit.dumps(dict(reversed(list(data.items()))))
    there["files"][MAIN] = seen_file(turned)
    assert not plan(there, **options).changed
    gone = plan(there, state="absent", **{key: value for key, value in options.items() if key == "name"})
    assert parse(gone.files[0].content or "", MAIN) == parse(FULL, MAIN)


def test_file_that_somebody_put_back_as_it_was_is_not_said_to_be_changed() -> None:
    there = applied(seen(), default=True)
    there["files"][MAIN] = seen_file(FULL)
    again = plan(there, default=True)
    assert names(again.to_dict()) == [MAIN]
    assert not again.warnings
    gone = plan(there, state="absent")
    assert not gone.files
    assert not gone.warnings


def migrated(text: str) -> str:
    """As containerd 2.x writes a file of version 2 anew."""
    return text.replace("version = 2", "version = 3").replace(
        "io.containerd.grpc.v1.cri", "io.containerd.cri.v1.runtime"
    )


@pytest.mark.parametrize("state", ["present", "absent"])
def test_ours_in_a_file_that_was_migrated_since_are_found_by_their_new_names(state: str) -> None:
    there = applied(seen(), default=True)
    there["files"][MAIN] = seen_file(migrated(main_of(there)))
    there["version"] = "2.1.9"
    there["dump"] = {"argv": ["containerd"], "rc": 0, "stdout": main_of(there), "stderr": ""}
    made = plan(there, state=state, default=True)
    assert not made.problems
    if state == "absent":
        assert parse(made.files[0].content or "", MAIN) == parse(migrated(FULL), MAIN)
    else:
        assert not made.changed


@pytest.mark.parametrize("imports", ["", 'imports = ["/etc/x.toml"]\n', 'imports = [\n  "/etc/x.toml", # theirs\n]\n'])
@pytest.mark.parametrize("lost", [False, True], ids=["recorded", "record_lost"])
def test_import_of_ours_goes_from_a_file_that_somebody_edited(imports: str, lost: bool) -> None:
    start = seen(f"{imports}version = 3\nroot = '/srv'\n", "2.1.9")
    there = applied(start)
    assert DROP_IN in main_of(there)
    there["files"][MAIN] = seen_file(main_of(there) + "# mine\n")
    if lost:
        there["record"] = None
    gone = applied(there, state="absent")
    assert gone["files"][DROP_IN]["type"] == "missing"
    assert main_of(gone) == f"{imports}version = 3\nroot = '/srv'\n# mine\n"


@pytest.mark.parametrize("state", ["present", "absent"])
def test_edit_that_would_mean_anything_else_is_not_made(monkeypatch: pytest.MonkeyPatch, state: str) -> None:
    start = seen()
    there = applied(start, cdi="true")
    there["files"][MAIN] = seen_file(main_of(there) + "# mine\n")

    def clumsy(text: str, *arguments: Any) -> str:
        """An edit that takes a line of somebody else's along."""
        del arguments
        return text.replace("root = '/srv'\n", "")

    for edit in ("put", "take_out"):
        monkeypatch.setattr(containerd_edits, edit, clumsy)
    made = plan(start if state == "present" else there, state=state, cdi="true")
    assert not made.files
    told: List[str] = list(made.problems)
    assert len(told) == 1
    assert "the edit would have had other values than it should have. Nothing was written" in told[0]
