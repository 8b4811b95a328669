# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""CRI-O: a drop-in like the default runtime, that CRI-O starts with, and no file of others touched."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import tomlkit
from unit.plugins.module_utils._runtime.nodes import (
    BINARY,
    TOOLKIT,
    after,
    node,
    sample,
    texts,
    there_and_back,
    with_file,
)

from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.observation import Observation
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.planning import plan_runtime
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.wish import Wish

DIRECTORY = "/etc/crio/crio.conf.d"
OURS = f"{DIRECTORY}/80-kubegpu-sharing.conf"
PACKAGED = f"{DIRECTORY}/10-crio.conf"
FOREIGN = f"{DIRECTORY}/99-nvidia.conf"
MAIN = "/etc/crio/crio.conf"
ABSENT = Wish(state="absent")
NVIDIA_CTK = f'[crio.runtime]\ndefault_runtime = "nvidia"\n\n[crio.runtime.runtimes.nvidia]\nruntime_path = "{BINARY}"\nruntime_type = "oci"\n'


def crio(
    files: dict[str, str | None], version: str = "1.33.2", argv: tuple[str, ...] = (), **fields: Any
) -> Observation:
    listed = sorted(path.rpartition("/")[2] for path in files if path.startswith(DIRECTORY))
    return node(
        "crio",
        {TOOLKIT: sample("toolkit_1_14.toml"), **files},
        units={"crio.service": ("/usr/bin/crio", *argv)},
        version=version,
        config_path=MAIN,
        listings={DIRECTORY: listed},
        **fields,
    )


def read(observation: Observation, path: str) -> Any:
    text = observation.text(path)
    assert text is not None
    return tomlkit.parse(text).unwrap()


def effective(observation: Observation) -> tuple[str | None, dict[str, Any]]:
    """What CRI-O makes of all files: later scalars replace, a runtime's table replaces the one of its name."""
    default, runtimes = None, {}
    paths = [MAIN, *(f"{DIRECTORY}/{name}" for name in sorted(observation.listings[DIRECTORY] or []))]
    for path in paths:
        if observation.text(path) is None:
            continue
        runtime = read(observation, path).get("crio", {}).get("runtime", {})
        default = runtime.get("default_runtime", default)
        runtimes.update(runtime.get("runtimes", {}))
    return default, runtimes


def test_present_with_cri_os_own_packages_has_the_monitor_of_the_default_runtime() -> None:
    configured, plan = there_and_back(crio({PACKAGED: sample("crio-10-crio.conf")}), Wish())
    default, runtimes = effective(configured)
    assert default == "crun"
    assert runtimes["nvidia"] == {
        "runtime_path": BINARY,
        "runtime_type": "oci",
        "runtime_root": "/run/crun",
        "monitor_path": "/usr/libexec/crio/conmon",
        "allowed_annotations": ["io.containers.trace-syscall"],
    }
    assert plan.units == ("crio.service",)
    assert plan.kept["like"] == "crun"


def test_present_default_crun_outside_path_goes_first_in_the_toolkits_list_with_its_path() -> None:
    configured, _plan = there_and_back(crio({PACKAGED: sample("crio-10-crio.conf")}), Wish(default=True))
    assert effective(configured)[0] == "nvidia"
    runtimes = read(configured, TOOLKIT)["nvidia-container-runtime"]["runtimes"]
    assert runtimes == ["/usr/libexec/crio/crun", "docker-runc", "runc"]


def test_present_default_crun_in_path_goes_first_by_its_name() -> None:
    text = '[crio.runtime]\ndefault_runtime = "crun"\n[crio.runtime.runtimes.crun]\nruntime_path = "/usr/bin/crun"\n'
    configured, _plan = there_and_back(crio({MAIN: text}), Wish())
    assert read(configured, TOOLKIT)["nvidia-container-runtime"]["runtimes"] == ["crun", "docker-runc", "runc"]


def test_present_like_debians_runc_leaves_the_toolkits_list_and_has_environment_of_the_monitor() -> None:
    start = crio({MAIN: sample("crio-debian.conf")}, version="1.24.6")
    configured, plan = there_and_back(start, Wish())
    assert [change.path for change in plan.files] == [OURS]
    table = effective(configured)[1]["nvidia"]
    assert table["monitor_cgroup"] == "system.slice"
    assert table["runtime_root"] == "/run/runc"
    assert table["monitor_env"] == ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]


@pytest.mark.parametrize(
    ("version", "like"), [("1.30.9", "runc"), ("1.31.0", "crun"), ("1.35.1", "crun"), (None, "runc")]
)
def test_present_without_any_file_is_like_what_the_version_has_built_in(version: str | None, like: str) -> None:
    configured, plan = there_and_back(replace(crio({}), version=version), Wish())
    assert plan.kept["like"] == like
    assert effective(configured)[1]["nvidia"] == {
        "runtime_path": BINARY,
        "runtime_type": "oci",
        "runtime_root": f"/run/{like}",
    }


def test_present_options_are_written_and_keys_of_the_other_executable_are_not_copied() -> None:
    text = (
        '[crio.runtime]\ndefault_runtime = "crun"\n[crio.runtime.runtimes.crun]\nruntime_path = "/usr/bin/crun"\n'
        "inherit_default_runtime = true\nprivileged_without_host_devices = false\nno_sync_log = true\n"
        '[crio.runtime.runtimes.crun.platform_runtime_paths]\n"linux/arm64" = "/usr/bin/crun-arm"\n'
        '[crio.runtime.runtimes.crun.default_annotations]\n"run.oci.keep_original_groups" = "1"\n'
    )
    configured, _plan = there_and_back(crio({MAIN: text}), Wish(privileged_without_host_devices="true"))
    assert effective(configured)[1]["nvidia"] == {
        "runtime_path": BINARY,
        "runtime_type": "oci",
        "runtime_root": "/run/crun",
        "privileged_without_host_devices": True,
        "no_sync_log": True,
        "default_annotations": {"run.oci.keep_original_groups": "1"},
    }


def test_present_is_like_the_default_that_is_read_last_and_keeps_its_root() -> None:
    kata = '[crio.runtime]\ndefault_runtime = "runsc"\n[crio.runtime.runtimes.runsc]\nruntime_root = "/srv/runsc"\n'
    start = crio({PACKAGED: sample("crio-10-crio.conf"), f"{DIRECTORY}/20-site.conf": kata})
    configured, plan = there_and_back(start, Wish())
    assert plan.kept["like"] == "runsc"
    assert effective(configured)[1]["nvidia"]["runtime_root"] == "/srv/runsc"


def test_present_hundreds_of_drop_ins_stay_as_they_are() -> None:
    files: dict[str, str | None] = {
        f"{DIRECTORY}/{n:03}-x.conf": f"[crio.image]\npause_image = 'p{n}'\n" for n in range(300)
    }
    configured, plan = there_and_back(crio(files), Wish(default=True))
    assert [change.path for change in plan.files] == [OURS, TOOLKIT]
    assert {path: text for path, text in texts(configured).items() if path in files} == files


def test_foreign_file_of_the_same_runtime_is_refused_and_its_owner_named() -> None:
    plan = plan_runtime(Wish(), crio({PACKAGED: sample("crio-10-crio.conf"), FOREIGN: NVIDIA_CTK}))
    (problem,) = plan.problems
    assert FOREIGN in problem
    assert "nvidia-ctk" in problem
    assert "take_over" in problem


def test_foreign_file_of_the_operator_is_named_by_what_is_in_it() -> None:
    text = NVIDIA_CTK.replace(BINARY, "/usr/local/nvidia/toolkit/nvidia-container-runtime")
    (problem,) = plan_runtime(Wish(), crio({FOREIGN: text})).problems
    assert "GPU Operator" in problem


def test_foreign_file_with_another_name_is_nobodys_business() -> None:
    configured, plan = there_and_back(
        crio({FOREIGN: NVIDIA_CTK, PACKAGED: sample("crio-10-crio.conf")}), Wish(name="gpu")
    )
    assert plan.kept["like"] == "crun"
    assert effective(configured)[1]["gpu"]["monitor_path"] == "/usr/libexec/crio/conmon"


def test_taken_over_file_goes_and_comes_back() -> None:
    start = crio({PACKAGED: sample("crio-10-crio.conf"), FOREIGN: NVIDIA_CTK})
    configured, _plan = there_and_back(start, Wish(take_over=True))
    assert configured.text(FOREIGN) is None
    assert effective(configured)[0] == "crun"
    assert effective(configured)[1]["nvidia"]["monitor_path"] == "/usr/libexec/crio/conmon"


def test_default_that_ends_with_the_file_that_is_taken_over_is_told() -> None:
    start = crio({PACKAGED: sample("crio-10-crio.conf"), FOREIGN: NVIDIA_CTK})
    plan = plan_runtime(Wish(take_over=True), start)
    assert effective(after(start, plan))[0] == "crun"
    assert "will not be any more" in plan.warnings[0]
    assert not [note for note in plan.notes if "It stays so" in note]
    kept = plan_runtime(Wish(take_over=True, default=True), start)
    assert effective(after(start, kept))[0] == "nvidia"
    assert not kept.warnings


def test_taken_over_file_that_its_owner_wrote_again_is_taken_over_again_and_the_new_one_comes_back() -> None:
    start = crio({PACKAGED: sample("crio-10-crio.conf"), FOREIGN: NVIDIA_CTK})
    configured = after(start, plan_runtime(Wish(take_over=True), start))
    again = replace(
        with_file(configured, FOREIGN, NVIDIA_CTK + "# new\n"),
        listings={DIRECTORY: [*(configured.listings[DIRECTORY] or []), "99-nvidia.conf"]},
    )
    twice = after(again, plan_runtime(Wish(take_over=True), again))
    assert twice.text(FOREIGN) is None
    assert after(twice, plan_runtime(ABSENT, twice)).text(FOREIGN) == NVIDIA_CTK + "# new\n"
    # Without our hand in between, state absent leaves theirs alone.
    assert after(again, plan_runtime(ABSENT, again)).text(FOREIGN) == NVIDIA_CTK + "# new\n"


def test_taking_over_a_file_with_other_settings_is_refused() -> None:
    text = (
        NVIDIA_CTK + '[crio.image]\npause_image = "x"\n[crio.runtime.runtimes.kata]\nruntime_path = "/usr/bin/kata"\n'
    )
    (problem,) = plan_runtime(Wish(take_over=True), crio({FOREIGN: text})).problems
    assert "crio.image" in problem
    assert "crio.runtime.runtimes.kata" in problem


def test_runtime_that_somebody_made_the_default_is_not_taken_out() -> None:
    site = f"{DIRECTORY}/90-site.conf"
    start = crio({PACKAGED: sample("crio-10-crio.conf"), site: '[crio.runtime]\ndefault_runtime = "nvidia"\n'})
    configured = after(start, plan_runtime(Wish(), start))
    (problem,) = plan_runtime(ABSENT, configured).problems
    assert f"Taking nvidia out: {site} makes it the default runtime" in problem


def test_runtime_that_a_flag_makes_the_default_is_not_taken_out_and_told() -> None:
    start = crio({PACKAGED: sample("crio-10-crio.conf")}, argv=("--default-runtime", "nvidia"))
    plan = plan_runtime(Wish(), start)
    assert plan.notes == ("nvidia is the default runtime by a flag of the unit (--default-runtime). It stays so.",)
    (problem,) = plan_runtime(ABSENT, after(start, plan)).problems
    assert "Taking nvidia out: a flag of the unit (--default-runtime) makes it the default runtime" in problem
    other = crio({PACKAGED: sample("crio-10-crio.conf")}, argv=("--default-runtime=gpu",))
    (problem,) = plan_runtime(ABSENT, after(other, plan_runtime(Wish(name="gpu"), other))).problems
    assert "Taking gpu out" in problem
    foreign = crio({FOREIGN: NVIDIA_CTK}, argv=("--default-runtime=nvidia",))
    assert not plan_runtime(Wish(take_over=True), foreign).warnings


@pytest.mark.parametrize(("version", "name"), [("1.33.2", "crun"), ("1.24.6", "runc"), (None, "crun"), (None, "runc")])
def test_default_that_may_be_built_in_needs_no_table(version: str | None, name: str) -> None:
    start = replace(crio({MAIN: f'[crio.runtime]\ndefault_runtime = "{name}"\n'}), version=version)
    there_and_back(start, Wish())


def test_another_name_does_not_take_out_what_others_made_the_default() -> None:
    site = f"{DIRECTORY}/90-site.conf"
    start = crio({PACKAGED: sample("crio-10-crio.conf"), site: '[crio.runtime]\ndefault_runtime = "nvidia"\n'})
    configured = after(start, plan_runtime(Wish(), start))
    (problem,) = plan_runtime(Wish(name="gpu"), configured).problems
    assert f"it would not start, since {site} makes nvidia the default runtime" in problem
    assert not plan_runtime(Wish(), configured).problems
    # So does a file that is taken over for the one and has the other too.
    both = NVIDIA_CTK + f'[crio.runtime.runtimes.nvidia-cdi]\nruntime_path = "{BINARY}.cdi"\n'
    flagged = crio({FOREIGN: both}, argv=("--default-runtime=nvidia-cdi",))
    (problem,) = plan_runtime(Wish(take_over=True), flagged).problems
    assert "since a flag of the unit (--default-runtime) makes nvidia-cdi the default runtime" in problem
    # And a file that has hidden until now what an earlier one says.
    hidden = crio({FOREIGN: NVIDIA_CTK, site: '[crio.runtime]\ndefault_runtime = "gone"\n'})
    (problem,) = plan_runtime(Wish(take_over=True), hidden).problems
    assert f"since {site} makes gone the default runtime" in problem


def test_present_is_like_the_default_of_a_flag() -> None:
    text = '[crio.runtime]\ndefault_runtime = "runc"\n[crio.runtime.runtimes.crun]\nmonitor_path = "/srv/conmon"\n'
    configured, plan = there_and_back(crio({MAIN: text}, "1.24.6", argv=("--default-runtime=crun",)), Wish())
    assert plan.kept["like"] == "crun"
    assert effective(configured)[1]["nvidia"]["monitor_path"] == "/srv/conmon"
    assert read(configured, TOOLKIT)["nvidia-container-runtime"]["runtimes"][0] == "crun"


@pytest.mark.parametrize(
    ("wish", "argv"),
    [
        (Wish(default=True, allow_missing_binary=True), ()),
        (Wish(allow_missing_binary=True), ("--default-runtime=nvidia",)),
    ],
)
def test_default_without_its_executable_would_keep_cri_o_from_starting_and_is_refused(
    wish: Wish, argv: tuple[str, ...]
) -> None:
    observation = replace(crio({}, argv=argv), binaries={BINARY: {"exists": False}})
    (problem,) = plan_runtime(wish, observation).problems
    assert "does not start at all" in problem


def test_runtime_that_cri_o_has_passed_over_is_there_once_its_executable_is() -> None:
    start = replace(crio({PACKAGED: sample("crio-10-crio.conf")}), binaries={BINARY: {"exists": False}})
    wish = Wish(allow_missing_binary=True)
    configured, plan = there_and_back(start, wish)
    assert "CRI-O passes nvidia over" in plan.warnings[0]
    installed = replace(configured, binaries={BINARY: {"exists": True, "executable": True}})
    then = plan_runtime(wish, installed)
    assert then.restart
    assert not then.warnings
    served = after(installed, then)
    assert not plan_runtime(wish, served).changed
    # Should it be away again, a restart would only take the runtime away.
    assert not plan_runtime(wish, replace(served, binaries={BINARY: {"exists": False}})).changed


def test_default_that_a_later_file_overrules_is_refused() -> None:
    later = f"{DIRECTORY}/90-site.conf"
    (problem,) = plan_runtime(Wish(default=True), crio({later: '[crio.runtime]\ndefault_runtime = "crun"\n'})).problems
    assert later in problem
    assert "default_runtime = 'crun'" in problem


def test_default_that_a_flag_overrules_is_refused() -> None:
    (problem,) = plan_runtime(Wish(default=True), crio({}, argv=("--default-runtime=crun",))).problems
    assert "--default-runtime=crun" in problem


def test_replaced_executable_of_runc_is_told() -> None:
    text = f'[crio.runtime.runtimes.runc]\nruntime_path = "{BINARY}"\n'
    plan = plan_runtime(Wish(), crio({MAIN: text}))
    assert any("The runtime runc in /etc/crio/crio.conf starts" in warning for warning in plan.warnings)
    assert plan.kept["like"] == "crun"


def test_broken_file_is_told_with_its_place_and_nothing_is_written() -> None:
    plan = plan_runtime(Wish(), crio({PACKAGED: "[crio.runtime]\ndefault_runtime = = 1\n"}))
    assert any(f"{PACKAGED}:2:" in problem for problem in plan.problems)


def test_cdi_cannot_be_switched_off() -> None:
    assert "no switch" in plan_runtime(Wish(cdi="false"), crio({})).problems[0]
    assert not plan_runtime(Wish(cdi="true"), crio({})).problems


def test_runtime_is_not_made_like_one_of_virtual_machines() -> None:
    kata = '[crio.runtime]\ndefault_runtime = "kata"\n[crio.runtime.runtimes.kata]\nruntime_path = "/usr/bin/kata"\nruntime_type = "vm"\n'
    observation = crio({f"{DIRECTORY}/10-kata.conf": kata})
    assert [
        text for text in plan_runtime(Wish(), observation).problems if "runs virtual machines (runtime_type vm)" in text
    ]
    assert not plan_runtime(ABSENT, observation).problems


def test_absent_without_a_record_takes_our_drop_in_away() -> None:
    start = crio({PACKAGED: sample("crio-10-crio.conf")})
    configured = after(start, plan_runtime(Wish(), start))
    lost = replace(configured, record=None)
    assert after(lost, plan_runtime(ABSENT, lost)).text(OURS) is None


def test_drop_in_directory_of_a_flag_is_the_one_that_is_written() -> None:
    observation = replace(crio({}, argv=("--config-dir", "/srv/crio.d")), listings={"/srv/crio.d": []})
    assert plan_runtime(Wish(), observation).files[0].path == "/srv/crio.d/80-kubegpu-sharing.conf"
