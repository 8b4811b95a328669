# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is refused, and what is told, before anything is written."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, Callable, Dict, List, Optional

import pytest
from unit.plugins.fakes.seen_runtime import BINARY, after, seen_file, seen_runtime

from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.observation import Observation
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.plan import RuntimePlan
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.planning import plan_runtime
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.toml_reading import parse
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.wish import Wish

MAIN = "/etc/containerd/config.toml"
DROP_IN = "/etc/containerd/conf.d/80-kubegpu-sharing.toml"
V2 = 'plugins."io.containerd.grpc.v1.cri"'
V3 = "plugins.'io.containerd.cri.v1.runtime'"
PLAIN = f'version = 2\n[{V2}]\nsandbox_image = "x"\n'
RUNC = f'[{V2}.containerd.runtimes.runc]\nruntime_type = "io.containerd.runc.v2"\n'


def seen(text: Any = PLAIN, version: str = "1.7.24", files: Any = None, **fields: Any) -> Dict[str, Any]:
    return seen_runtime(
        "containerd",
        {MAIN: text, **(files or {})},
        **{"version": version, "program": "/usr/bin/containerd", "config_path": MAIN, **fields},
    )


def plan(told: Dict[str, Any], **options: Any) -> RuntimePlan:
    return plan_runtime(Wish(**options), Observation.from_dict(told))


def problem(told: Dict[str, Any], **options: Any) -> str:
    """The one problem, with which nothing is to be done."""
    made = plan(told, **options)
    assert len(made.problems) == 1, made.problems
    assert not made.restart
    return made.problems[0]


def test_broken_toml_is_told_with_its_place() -> None:
    told = problem(seen("version = 2\n[plugins]\nx = [1,\ny = 2\n"))
    assert told.startswith(f"Reading {MAIN}:4:1: ")
    assert "The file is as it was" in told


@pytest.mark.parametrize(
    "path",
    [
        "plugins",
        "plugins.'io.containerd.grpc.v1.cri'.containerd",
        "plugins.'io.containerd.grpc.v1.cri'.containerd.runtimes",
    ],
)
def test_value_in_the_place_of_a_table_is_told(path: str) -> None:
    told = problem(seen(f"version = 2\n{path} = 5\n"))
    assert told.startswith(f"Editing {MAIN}: plugins.")
    assert f"since {path} is no table there".replace("'", '"') in told


def test_broken_imported_file_is_told_with_its_place() -> None:
    files = {"/etc/containerd/conf.d/10.toml": "version = 2\nroot = \n"}
    told = problem(seen('version = 2\nimports = ["conf.d/*.toml"]\n', files=files))
    assert told.startswith("Reading /etc/containerd/conf.d/10.toml:2:8: ")


@pytest.mark.parametrize(
    ("text", "installed", "said"),
    [
        pytest.param("[plugins.cri]\n", "1.6.20~ds1", "declares no version, which containerd takes as 1", id="none"),
        pytest.param("version = 1\nroot = 'x'\n", "1.7.24", "declares version 1", id="1"),
        pytest.param(
            "version = 1\nroot = 'x'\n",
            "2.1.9",
            "containerd --config /etc/containerd/config.toml config migrate",
            id="1_on_2",
        ),
        pytest.param(
            "version = 1\nroot = 'x'\n",
            "1.6.20~ds1",
            "`containerd --config /etc/containerd/config.toml config dump` prints it as version 2",
            id="1_on_1",
        ),
        pytest.param("version = 3\n", "1.6.20", "reads up to version 2", id="3_on_1.6"),
        pytest.param("version = 3\n", "1.7.24", "reads up to version 2", id="3_on_1.7"),
        pytest.param("version = 4\n", "2.2.0", "reads up to version 3", id="4_on_2.2"),
        pytest.param("version = 5\n", "2.3.0", "reads up to version 4", id="5"),
        pytest.param('version = "2"\n', "1.7.24", "declares version '2'", id="text"),
        pytest.param("version = true\n", "1.7.24", "declares version True", id="bool"),
    ],
)
def test_version_of_the_file_that_does_not_fit_is_refused(text: str, installed: str, said: str) -> None:
    assert said in problem(seen(text, installed))


@pytest.mark.parametrize("version", [None, "", "unknown", "0.2.1", "3.0.0"])
def test_unknown_version_of_containerd_is_refused(version: Any) -> None:
    told = problem(seen(version=version, version_problem="it says nothing" if not version else None))
    assert "nothing is written by a guess" in told
    assert ("it says nothing" if not version else repr(version)) in told


@pytest.mark.parametrize("name", ["cri", "io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images"])
def test_disabled_cri_plugin_is_refused(name: str) -> None:
    told = problem(seen(f'version = 2\ndisabled_plugins = ["{name}"]\n'))
    assert f"disabled_plugins has '{name}' in {MAIN}" in told
    assert "Docker's containerd package" in told


def test_config_of_dockers_package_has_both_its_problems_told() -> None:
    told = "\n".join(
        plan(seen('#   Copyright\n\ndisabled_plugins = ["cri"]\n\n#root = "/var/lib/containerd"\n')).problems
    )
    assert "disabled_plugins has 'cri'" in told
    assert "declares no version" in told


def test_disabled_cri_plugin_does_not_keep_ours_in() -> None:
    there = after(seen(), plan(seen()).to_dict())
    there["files"][MAIN] = seen_file(
        'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n' + there["files"][MAIN]["content"]
    )
    gone = plan(there, state="absent")
    assert not gone.problems
    assert "nvidia" not in (gone.files[0].content or "")


def test_relative_binary_is_refused() -> None:
    assert "relative" in problem(seen(), binary="nvidia-container-runtime")


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({"exists": False, "executable": False}, "it is not on the node"),
        ({"exists": True, "executable": False}, "not executable"),
    ],
)
def test_binary_that_cannot_run_is_refused_unless_allowed(found: Dict[str, bool], said: str) -> None:
    told = seen(binaries={BINARY: found})
    made = plan(told)
    assert said in made.problems[0]
    assert not plan(told, allow_missing_binary=True).problems
    assert not plan(told, state="absent").problems


@pytest.mark.parametrize("name", ["", "Nvidia", "a b", "-a", "x" * 64, "runc", 'a"]', "a.b"])
def test_name_that_is_no_handler_is_refused(name: str) -> None:
    assert "name is" in problem(seen(), name=name)


def test_all_that_is_wrong_with_a_wish_is_told_at_once() -> None:
    made = plan(
        seen(), name="X", binary="rel", cdi="maybe", privileged_without_host_devices="yes", visible_devices="all"
    )
    assert len(made.problems) == 5


def test_file_that_cannot_be_written_is_refused() -> None:
    told = plan(seen(seen_file(PLAIN, writable=False))).problems
    assert len(told) == 1
    assert "cannot be written" in told[0]
    assert "read-only" in told[0]


def test_read_only_directory_of_the_drop_in_is_refused() -> None:
    files = {DROP_IN: seen_file(None, writable=False)}
    made = plan(seen("version = 3\nimports = ['conf.d/*.toml']\n", "2.1.9", files))
    assert [text for text in made.problems if DROP_IN in text and "cannot be written" in text]


def test_file_that_is_not_utf_8_is_refused() -> None:
    assert "it is not UTF-8 at byte 13" in problem(seen(b"version = 2\n#\xff\n"))


@pytest.mark.parametrize("kind", ["directory", "other"])
def test_main_config_that_is_no_file_is_refused(kind: str) -> None:
    assert f"it is a {kind}, not a file" in problem(seen({**seen_file(None), "type": kind}))


def test_link_stays_and_its_target_is_written() -> None:
    target = "/srv/containerd.toml"
    told = seen(seen_file(PLAIN, link=target))
    made = plan(told)
    assert [change.path for change in made.files] == [target]
    assert made.staging is not None
    assert all(path.startswith("/etc/containerd/.kubegpu-candidate-") for path, _text in made.staging.files)
    there = after(told, made.to_dict())
    assert not plan(there).changed
    assert [change.path for change in plan(there, state="absent").files] == [target]


def test_config_that_containerd_does_not_take_is_refused() -> None:
    dump = {"argv": ["containerd"], "rc": 1, "stdout": "", "stderr": "cannot decode"}
    assert "(`config dump` ended with 1: cannot decode)" in problem(seen(dump=dump))


@pytest.mark.parametrize("state", ["present", "absent"])
@pytest.mark.parametrize("path", [DROP_IN, "/etc/containerd/site.toml"], ids=["ours", "theirs"])
def test_imported_file_that_is_gone_is_refused_though_the_dump_says_nothing_of_it(path: str, state: str) -> None:
    # As containerd 2.1 does, which does not start then.
    dump = {"argv": ["containerd"], "rc": 0, "stdout": "version = 3\n", "stderr": ""}
    told = seen(f'version = 3\nimports = ["{path}"]\n', "2.1.9", {path: None}, dump=dump)
    assert problem(told, state=state).startswith(f"Reading {MAIN}: {path} is imported there and is gone.")


def test_what_containerd_does_not_do_with_a_file_that_needs_no_change_is_told() -> None:
    there = after(seen(), plan(seen()).to_dict())
    hidden = {**there, "dump": {"argv": ["containerd"], "rc": 0, "stdout": PLAIN + RUNC, "stderr": ""}}
    made = plan(hidden)
    assert not made.files
    assert "does not take effect, since another file overrides it" in made.problems[0]
    assert not plan(there).problems


def test_engine_problem_is_the_plans() -> None:
    assert problem({**seen(), "engine": None, "problem": "Two engines run."}) == "Two engines run."


def test_record_of_another_engine_is_not_passed_over() -> None:
    record = {"schema_version": 1, "engine": "docker", "wish": {}, "files": {}}
    assert "(state: absent, engine: docker)" in problem(seen(record=record))
    # Of a node without any, there is nothing to be said of engines that differ.
    assert problem({**seen(record=record), "engine": None, "problem": "No engine."}) == "No engine."


@pytest.mark.parametrize(
    "record", [{"schema_version": 9}, {"schema_version": 1, "engine": "containerd", "wish": {}, "files": {"/x": {}}}]
)
def test_record_that_cannot_be_read_is_refused(record: Dict[str, Any]) -> None:
    assert "Reading the record" in problem(seen(record=record))


def test_record_of_what_somebody_took_out_goes_with_absent() -> None:
    start = seen()
    there = after(start, plan(start).to_dict())
    there["files"][MAIN] = seen_file(PLAIN)
    gone = plan(there, state="absent")
    assert (gone.changed, gone.restart, gone.files, gone.record) == (True, False, (), None)
    assert gone.actions == (
        "forget what was put in, of which nothing is left to be taken out (/var/lib/kubegpu-sharing/runtime/record.json)",
    )
    assert not plan(after(there, gone.to_dict()), state="absent").changed
    # Of a file that was not looked at, nobody knows.
    assert not plan({**there, "config_path": "/srv/c.toml", "files": {}, "listings": {}}, state="absent").changed


def test_record_of_a_drop_in_that_somebody_took_away_goes_with_absent() -> None:
    start = seen('version = 3\nimports = ["conf.d/*.toml"]\n', "2.1.9")
    there = after(start, plan(start).to_dict())
    del there["files"][DROP_IN]
    listings: list[list[str] | None] = [[], None]
    for listing in listings:
        gone = plan({**there, "listings": {"/etc/containerd/conf.d": listing}}, state="absent")
        assert (gone.changed, gone.files, gone.record) == (True, (), None)


def killed(told: Dict[str, Any], made: RuntimePlan, written: bool) -> Dict[str, Any]:
    """What is seen after a run was killed: the record is written first, and its marker keeps the one before."""
    there = after(told, made.to_dict()) if written else dict(told)
    marker = {
        "run": "r",
        "since": "2026-03-01T12:00:00Z",
        "phase": "writing",
        "owed": True,
        "files": {},
        "record": told["record"],
    }
    return {**there, "record": made.record, "pending": marker}


def test_record_that_was_damaged_becomes_no_file() -> None:
    start = seen()
    there = after(start, plan(start).to_dict())
    there["record"]["files"][MAIN]["original"] = PLAIN[:20]
    told = problem(there, state="absent")
    assert "somebody changed it since it was written, or it was damaged" in told
    assert "move the record away to begin anew" in told


def test_interrupted_run_owes_a_restart_though_files_are_as_wished() -> None:
    there = killed(seen(), plan(seen()), written=True)
    again = plan(there)
    assert not again.files
    assert again.restart
    assert again.changed
    assert again.actions == ("finish the run that was interrupted (2026-03-01T12:00:00Z): restart containerd.service",)
    assert [change.content for change in plan(there, state="absent").files] == [PLAIN]
    there["pending"]["failed"] = "containerd did not serve with its old files either"
    (told,) = plan(there).actions
    assert told.startswith(
        "try again, as the last run failed and containerd did not serve with its old files either (2026"
    )


def test_marker_of_a_run_that_owes_nothing_is_no_reason_to_restart() -> None:
    there = killed(seen(), plan(seen()), written=True)
    there["pending"]["owed"] = False
    assert not plan(there).changed


def test_interrupted_run_of_which_nothing_was_written_begins_anew() -> None:
    made = plan(seen())
    again = plan(killed(seen(), made, written=False))
    assert again.files == made.files
    assert again.record == made.record
    assert not plan(killed(seen(), made, written=False), state="absent").files


@pytest.mark.parametrize("written", [True, False])
def test_interrupted_change_of_options_leaves_the_way_back(written: bool) -> None:
    there = after(seen(), plan(seen(), default=True).to_dict())
    begun = killed(there, plan(there, privileged_without_host_devices="true"), written)
    assert [change.content for change in plan(begun, state="absent").files] == [PLAIN]
    other = plan(begun, privileged_without_host_devices="true")
    assert plan(seen(), privileged_without_host_devices="true").files[0].content == (
        other.files[0].content if not written else begun["files"][MAIN]["content"]
    )


@pytest.mark.parametrize("link", [None, "/srv/containerd.toml"], ids=["file", "link"])
@pytest.mark.parametrize("more", ["", "# by hand\n"], ids=["as_left", "edited"])
def test_file_that_an_interrupted_run_did_not_reach_is_as_the_run_before_it_left_it(
    more: str, link: Optional[str]
) -> None:
    start = seen(seen_file(PLAIN, link=link))
    there = after(start, plan(start, default=True).to_dict())
    there["files"][MAIN] = seen_file(there["files"][MAIN]["content"] + more, link=link)
    made = plan(there)
    begun = killed(there, made, written=False)
    begun["pending"]["files"] = {
        one["path"]: {"before": one["before"], "after": one["after"]} for one in made.to_dict()["files"]
    }
    assert "default_runtime_name" not in (plan(begun).files[0].content or "")
    assert [change.content for change in plan(begun, state="absent").files] == [PLAIN + more]


def test_record_of_a_file_behind_a_link_is_kept_by_a_newer_containerd() -> None:
    start = seen(seen_file(PLAIN + RUNC, link="/srv/containerd.toml"))
    there = after(start, plan(start).to_dict())
    newer = {**there, "version": "2.1.9", "dump": {"rc": 0, "stdout": there["files"][MAIN]["content"]}}
    made = plan(newer)
    assert "by a run with an older containerd" in made.notes[-1]
    assert (made.changed, made.record) == (False, there["record"])


def test_digest_is_of_what_would_be_done() -> None:
    made = plan(seen())
    assert made.digest == plan(seen()).digest
    assert made.digest != plan(seen(), default=True).digest
    assert made.digest != plan(after(seen(), made.to_dict())).digest
    assert made.digest != made.refused("no").digest


def test_diff_shows_the_file_before_and_after() -> None:
    made = plan(seen())
    assert [(one["before_header"], one["before"], one["after"]) for one in made.diff] == [
        (MAIN, PLAIN, made.files[0].content)
    ]
    fresh = plan(seen(None, "2.1.9"))
    assert [one["before_header"] for one in fresh.diff] == [f"{DROP_IN} (absent)", f"{MAIN} (absent)"]


def test_diff_shows_no_passwords() -> None:
    auth = (
        f'[{V2}.registry.configs."r".auth]\n  username = "u"\n  password = "hunter2" # old\n  identitytoken = \'abc\'\n'
    )
    made = plan(seen(PLAIN + auth))
    shown = json.dumps(made.diff)
    assert "hunter2" not in shown
    assert "abc" not in shown
    assert 'username = \\"u\\"' in shown
    assert "hunter2" in (made.files[0].content or "")


def test_containerd_that_cannot_be_asked_is_not_configured() -> None:
    assert "Nothing is written unseen" in plan(seen(program=None)).problems[0]


def test_runtime_is_a_copy_of_the_default_one() -> None:
    dump = (
        f'version = 2\n[{V2}.containerd]\ndefault_runtime_name = "crun"\n{RUNC}'
        f'[{V2}.containerd.runtimes.crun]\nruntime_type = "io.containerd.runc.v2"\npod_annotations = ["a"]\nsnapshotter = ""\n'
        f'[{V2}.containerd.runtimes.crun.options]\nBinaryName = "/usr/bin/crun"\nSystemdCgroup = true\nRoot = ""\n'
    )
    made = plan(seen(dump, dump=dump), default=True)
    values = {".".join(path[3:]): value for path, value in made.ours.values}
    assert values == {
        "default_runtime_name": "nvidia",
        "runtimes.nvidia.runtime_type": "io.containerd.runc.v2",
        "runtimes.nvidia.pod_annotations": ["a"],
        "runtimes.nvidia.options.BinaryName": BINARY,
        "runtimes.nvidia.options.SystemdCgroup": True,
    }


def test_runtime_of_virtual_machines_is_not_copied() -> None:
    text = (
        f'version = 2\n[{V2}.containerd]\ndefault_runtime_name = "kata"\n[{V2}.containerd.runtimes.kata]\n'
        f'runtime_type = "io.containerd.kata.v2"\n[{V2}.containerd.runtimes.kata.options]\nConfigPath = "/k"\n'
    )
    made = plan(seen(text))
    assert not [path for path, _value in made.ours.values if "ConfigPath" in path]
    assert "No runtime of containerd is a runc whose table could be copied" in made.warnings[0]


def test_runtime_that_somebody_put_there_as_wished_is_left_alone() -> None:
    text = (
        f'version = 3\n[{V3}.containerd.runtimes.nvidia]\nruntime_type = "io.containerd.runc.v2"\n'
        f'[{V3}.containerd.runtimes.nvidia.options]\nBinaryName = "{BINARY}"\n'
    )
    made = plan(seen(text, "2.1.9", dump=text))
    assert not made.changed
    assert "put by somebody else" in made.notes[-1]
    assert not plan(seen(text, "2.1.9", dump=text), state="absent").changed


def test_drop_in_that_somebody_edited_is_told_and_written_anew() -> None:
    start = seen("version = 3\n", "2.1.9")
    there = after(start, plan(start).to_dict())
    there["files"][DROP_IN] = seen_file(there["files"][DROP_IN]["content"] + "# mine\n")
    again = plan(there)
    assert [change.path for change in again.files] == [DROP_IN]
    assert [text for text in again.warnings if "was edited by somebody else" in text]


def test_field_that_somebody_changed_since_stays_and_is_told() -> None:
    start = seen(PLAIN + RUNC)
    there = after(start, plan(start, default=True).to_dict())
    text = there["files"][MAIN]["content"]
    there["files"][MAIN] = seen_file(text.replace('default_runtime_name = "nvidia"', 'default_runtime_name = "mine"'))
    gone = plan(there, state="absent")
    left = gone.files[0].content or ""
    assert 'default_runtime_name = "mine"' in left
    assert "runtimes.nvidia" not in left
    assert (
        'default_runtime_name in /etc/containerd/config.toml was changed since from "nvidia" to "mine"'
        in gone.warnings[0]
    )


def test_field_that_is_set_anew_is_not_said_to_stay_but_to_be_undone() -> None:
    start = seen(PLAIN + RUNC)
    there = after(start, plan(start, default=True).to_dict())
    text = there["files"][MAIN]["content"]
    there["files"][MAIN] = seen_file(text.replace('default_runtime_name = "nvidia"', 'default_runtime_name = "mine"'))
    again = plan(there, default=True)
    assert 'default_runtime_name = "nvidia"' in (again.files[0].content or "")
    assert ['changed since from "nvidia" to "mine"; that is undone.' in one for one in again.warnings] == [True]
    # Not wished any more, it does stay.
    assert "it stays as it is" in plan(there, default=False).warnings[0]


def test_field_of_a_runtime_that_was_there_before_goes_back_alone() -> None:
    theirs = f"[{V2}.containerd.runtimes.nvidia]\nruntime_type = 'io.containerd.runc.v2'\n"
    start = seen(PLAIN + RUNC + theirs)
    there = after(start, plan(start, privileged_without_host_devices="true").to_dict())
    there["files"][MAIN] = seen_file(there["files"][MAIN]["content"] + "# by hand\n")
    gone = plan(there, state="absent")
    assert gone.files[0].content == PLAIN + RUNC + theirs + "# by hand\n"
    assert gone.warnings == (
        f"{MAIN} was edited by somebody else since; what is not ours stays.",
        f"The runtime nvidia in {MAIN} stays: what is left of it was not put in from here. Take it out by hand if nobody needs it.",
    )
    assert f"take out what was put in for nvidia ({MAIN})" in gone.actions


INLINE = f'version = 2\n[{V2}.containerd]\nruntimes = {{ runc = {{ runtime_type = "io.containerd.runc.v2" }} }}\n'


@pytest.mark.parametrize(
    ("start", "edited"),
    [
        pytest.param(INLINE, lambda text: text + "# by hand\n", id="inline"),
        pytest.param(PLAIN, lambda text: text.replace(f'[{V2}]\nsandbox_image = "x"\n', "# by hand\n"), id="implied"),
    ],
)
def test_nothing_of_ours_is_left_behind_in_a_file_that_others_edited(start: str, edited: Callable[[str], str]) -> None:
    told = seen(start)
    there = after(told, plan(told).to_dict())
    there["files"][MAIN] = seen_file(edited(there["files"][MAIN]["content"]))
    gone = plan(there, state="absent")
    assert not gone.problems
    left = parse(gone.files[0].content or "", MAIN)
    there_before = parse(edited(start), MAIN)
    assert left == there_before


def test_runc_that_somebody_made_empty_is_put_back_at_once() -> None:
    told = seen(PLAIN)
    there = after(told, plan(told).to_dict())
    text = there["files"][MAIN]["content"]
    there["files"][MAIN] = seen_file(text.replace('runtime_type = "io.containerd.runc.v2"', "", 1))
    again = plan(there)
    assert parse(again.files[0].content or "", MAIN) == parse(text, MAIN)
    assert not plan(after(there, again.to_dict())).changed


def test_runtime_that_somebody_made_his_own_stays_whole() -> None:
    start = seen(PLAIN + RUNC)
    there = after(start, plan(start).to_dict())
    text = there["files"][MAIN]["content"]
    changed = text.replace(
        '[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.nvidia.options]', 'snapshotter = "mine"\n\\g'
    )
    changed = changed.replace("\\g", '[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.nvidia.options]')
    there["files"][MAIN] = seen_file(changed)
    gone = plan(there, state="absent")
    # Without its type it would be a table that keeps the CRI plugin from starting.
    assert not gone.files
    assert "stays as a whole" in gone.warnings[0]
    assert "snapshotter" in gone.warnings[0]


def test_runtime_that_somebody_put_into_the_main_file_beside_a_drop_in_is_told_when_ours_goes() -> None:
    start = seen("version = 3\n", "2.1.9")
    there = after(start, plan(start).to_dict())
    theirs = f'[{V3}.containerd.runtimes.nvidia]\nruntime_type = "io.containerd.runc.v2"\n'
    there["files"][MAIN] = seen_file(there["files"][MAIN]["content"] + theirs)
    gone = plan(there, state="absent")
    assert [text for text in gone.warnings if text.startswith(f"The runtime nvidia in {MAIN} stays: ")]


def test_other_edits_beside_ours_are_no_reason_to_write() -> None:
    start = seen(PLAIN + RUNC)
    there = after(start, plan(start).to_dict())
    there["files"][MAIN] = seen_file("# mine\n" + there["files"][MAIN]["content"])
    assert not plan(there).changed


def test_inherited_value_follows_the_default_runtime() -> None:
    text = PLAIN + RUNC + f"[{V2}.containerd.runtimes.runc.options]\nSystemdCgroup = false\n"
    there = after(seen(text), plan(seen(text)).to_dict())
    there["files"][MAIN] = seen_file(
        there["files"][MAIN]["content"].replace("SystemdCgroup = false", "SystemdCgroup = true")
    )
    assert (plan(there).files[0].content or "").count("SystemdCgroup = true") == 2


def foreign(binary: str = "/usr/bin/nvidia-container-runtime") -> str:
    return (
        f'version = 3\n[{V3}.containerd.runtimes.nvidia]\nruntime_type = "io.containerd.runc.v2"\n'
        f'[{V3}.containerd.runtimes.nvidia.options]\nBinaryName = "{binary}"\n'
    )


@pytest.mark.parametrize(
    ("name", "binary", "owner"),
    [
        ("99-nvidia.toml", "/usr/bin/nvidia-container-runtime", "NVIDIA's container toolkit (nvidia-ctk)"),
        ("99-nvidia.toml", "/usr/local/nvidia/toolkit/nvidia-container-runtime", "NVIDIA's GPU Operator"),
        ("50-mine.toml", "/usr/bin/nvidia-container-runtime", "somebody else"),
    ],
)
def test_owner_of_the_same_runtime_is_named(name: str, binary: str, owner: str) -> None:
    files = {f"/etc/containerd/conf.d/{name}": foreign(binary)}
    told = problem(seen('version = 3\nimports = ["conf.d/*.toml"]\n', "2.1.9", files))
    assert f"Reading /etc/containerd/conf.d/{name}: {owner} defines the runtime nvidia there" in told


def test_file_that_is_taken_over_comes_back() -> None:
    path = "/etc/containerd/conf.d/99-nvidia.toml"
    start = seen('version = 3\nimports = ["conf.d/*.toml"]\n', "2.1.9", {path: foreign()})
    made = plan(start, take_over=True)
    assert {change.path: change.content is None for change in made.files} == {DROP_IN: False, path: True}
    there = after(start, made.to_dict())
    assert not plan(there, take_over=True).changed
    gone = plan(there, state="absent")
    assert {change.path: change.content for change in gone.files} == {DROP_IN: None, path: foreign()}


def test_default_that_ends_with_the_file_that_is_taken_over_is_told() -> None:
    path = "/etc/containerd/conf.d/99-nvidia.toml"
    theirs = foreign() + f"[{V3}.containerd]\ndefault_runtime_name = 'nvidia'\n"
    start = seen('version = 3\nimports = ["conf.d/*.toml"]\n', "2.1.9", {path: theirs})
    made = plan(start, take_over=True)
    assert [told for told in made.warnings if "will not be any more" in told]
    again = plan(after(start, made.to_dict()), take_over=True)
    assert not [told for told in again.warnings if "will not be any more" in told]
    assert not [told for told in plan(start, take_over=True, default=True).warnings if "will not be any more" in told]


def test_file_that_its_owner_wrote_anew_is_not_taken_over_again_by_itself() -> None:
    path = "/etc/containerd/conf.d/99-nvidia.toml"
    start = seen('version = 3\nimports = ["conf.d/*.toml"]\n', "2.1.9", {path: foreign()})
    there = after(start, plan(start, take_over=True).to_dict())
    anew = foreign("/usr/local/nvidia/toolkit/nvidia-container-runtime")
    there["files"][path] = seen_file(anew)
    there["listings"]["/etc/containerd/conf.d"].append("99-nvidia.toml")
    assert "defines the runtime nvidia" in problem(there)
    taken = plan(there, take_over=True)
    assert [change.content for change in taken.files if change.path == path] == [None]
    gone = plan(after(there, taken.to_dict()), state="absent")
    assert {change.path: change.content for change in gone.files}[path] == anew


def staged(made: RuntimePlan) -> List[str]:
    """Texts of candidates; the last one is the main file's."""
    assert made.staging is not None
    return [text for _path, text in made.staging.files]


def test_candidate_imports_the_staged_file_in_its_place() -> None:
    files = {f"/etc/containerd/conf.d/{name}.toml": "version = 3\n" for name in ("10", "90")}
    made = plan(seen('version = 3\nimports = ["/etc/containerd/conf.d/*.toml"]\n', "2.1.9", files))
    assert [change.path for change in made.files] == [DROP_IN]
    name = f"/etc/containerd/.kubegpu-candidate-{made.digest[:8]}-1.staged"
    assert staged(made)[-1] == (
        f'version = 3\nimports = ["/etc/containerd/conf.d/10.toml", "{name}", "/etc/containerd/conf.d/90.toml"]\n'
    )
    assert staged(made)[0] == made.files[0].content


def test_candidate_of_absent_leaves_out_what_goes() -> None:
    start = seen(
        'version = 3\nimports = ["/etc/containerd/conf.d/*.toml"]\n',
        "2.1.9",
        {"/etc/containerd/conf.d/10.toml": "version = 3\n"},
    )
    there = after(start, plan(start).to_dict())
    assert staged(plan(there, state="absent")) == ['version = 3\nimports = ["/etc/containerd/conf.d/10.toml"]\n']


def test_main_file_that_is_in_its_own_pattern_is_not_read_beside_its_candidate() -> None:
    made = plan(seen('version = 3\nimports = ["/etc/containerd/*.toml"]\n', "2.1.9"))
    assert MAIN not in staged(made)[-1]


def test_names_of_candidates_are_none_that_containerd_reads() -> None:
    for version in ("1.7.24", "2.1.9"):
        made = plan(seen(version=version))
        assert made.staging is not None
        assert all(path.endswith(".staged") for path, _text in made.staging.files)


def test_version_4_is_taken_where_containerd_knows_it() -> None:
    made = plan(seen("version = 4\n", "2.3.1"))
    assert not made.problems
    assert "version = 4" in (made.files[0].content or "")


@pytest.mark.parametrize("version", ["1.6.20", "1.7.24"])
def test_hundreds_of_drop_ins_that_are_none_of_the_cri_plugins_stay_beside_the_main_file_of_1_x(version: str) -> None:
    pattern = "/etc/containerd/conf.d/*.toml"
    files = {
        pattern.replace(
            "*", f"{number:03}-site"
        ): f'version = 2\n[plugins."site.v1.{number}"]\n  path = "/srv/{number}"\n'
        for number in range(300)
    }
    start = seen(f'imports = ["{pattern}"]\n{PLAIN}', version, files)
    made = plan(start)
    assert not made.problems
    assert [change.path for change in made.files] == [MAIN]
    assert len(made.kept["imported"]) == 300
    # The candidate is read with all of them, as the file will be.
    assert parse(staged(made)[-1], MAIN)["imports"] == [pattern]
    there = after(start, made.to_dict())
    assert parse(there["files"][MAIN]["content"], MAIN)["imports"] == [pattern]
    assert not plan(there).changed
    gone = after(there, plan(there, state="absent").to_dict())
    for one in (there, gone):
        assert {path: one["files"][path]["content"] for path in files} == files
    assert gone["files"] == start["files"]


def test_visible_devices_of_the_toolkit_need_no_restart() -> None:
    start = seen("version = 3\n", "2.1.9", {"/etc/nvidia-container-runtime/config.toml": "# toolkit\n"})
    there = after(start, plan(start).to_dict())
    made = plan(there, visible_devices="both")
    assert [change.path for change in made.files] == ["/etc/nvidia-container-runtime/config.toml"]
    assert not made.restart


def test_plan_is_plain_json_and_total() -> None:
    for options in ({}, {"state": "absent"}, {"name": "X"}):
        json.dumps(plan(seen(), **options).to_dict())
    assert replace(plan(seen()), problems=("no",)).to_dict()["problems"] == ["no"]
