# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module's front end: options, results, and what it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.kubegpu.sharing.plugins.doc_fragments.node import ModuleDocFragment
from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import InputError, KubeGpuError
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.usage_states import run
from ansible_collections.kubegpu.sharing.plugins.modules import gpu_usage

STATES: dict[str, dict[str, Any]] = {"sampled": {}, "collected": {}, "absent": {"ids": ["a"]}}


def call(directory: Path, check_mode: bool = False, **given: Any) -> dict[str, Any]:
    """The module's work on a host without a driver."""
    defaults = {name: option.get("default") for name, option in gpu_usage.argument_spec().options.items()}
    roots = {name: str(directory / name) for name in ("path", "proc_root", "kubelet_root", "log_root")}
    library = {"nvml_library": str(directory / "libnvidia-ml.so.1")}
    return run({**defaults, **roots, **library, **given}, check_mode).to_result()


def test_argument_spec_is_what_the_documentation_says() -> None:
    texts = (gpu_usage.DOCUMENTATION, ModuleDocFragment.DOCUMENTATION)
    documented = {name: option for text in texts for name, option in yaml.safe_load(text)["options"].items()}
    spec = gpu_usage.argument_spec().options
    assert {name: (option["type"], option.get("default")) for name, option in spec.items()} == {
        name: (option["type"], option.get("default")) for name, option in documented.items()
    }


@pytest.mark.parametrize("state", STATES)
def test_run_returns_what_is_documented(tmp_path: Path, state: str) -> None:
    returned = yaml.safe_load(gpu_usage.RETURN).items()
    documented = {name for name, value in returned if value["returned"] == f"with O(state={state})"}
    result = call(tmp_path, state=state, **STATES[state])
    assert set(result) - {"changed", "actions", "diff"} == documented


def test_measurement_has_what_is_documented(tmp_path: Path) -> None:
    documented = yaml.safe_load(gpu_usage.RETURN)["measurement"]["contains"]
    assert set(documented) <= set(call(tmp_path)["measurement"])


@pytest.mark.parametrize("given", ["../x", ".x", "a/b", "", "x" * 200, "a b"])
def test_run_refuses_an_id_that_is_no_name_of_a_file(tmp_path: Path, given: str) -> None:
    for state in ("collected", "absent"):
        with pytest.raises(KubeGpuError, match="cannot be the name of a file"):
            call(tmp_path, state=state, ids=[given])
    if given:
        with pytest.raises(KubeGpuError, match="cannot be the name of a file"):
            call(tmp_path, id=given)


def test_run_tells_all_times_that_are_of_no_use(tmp_path: Path) -> None:
    with pytest.raises(InputError) as refused:
        call(tmp_path, duration_seconds=float("nan"), interval_seconds=0.05)
    assert [problem.split()[0] for problem in refused.value.problems] == ["duration_seconds", "interval_seconds"]
    assert not (tmp_path / "path").exists()


def test_run_makes_an_id_and_keeps_what_it_found(tmp_path: Path) -> None:
    sampled = call(tmp_path)
    collected = call(tmp_path, state="collected")
    assert collected["measurements"] == [sampled["measurement"]]
    assert [run["state"] for run in collected["runs"]] == ["unavailable"]
    assert sampled["id"] == sampled["measurement"]["id"] == collected["runs"][0]["id"]


def test_run_collects_nothing_where_nothing_was_sampled(tmp_path: Path) -> None:
    result = call(tmp_path, state="collected")
    assert (result["runs"], result["measurements"], result["missing"], result["running"]) == ([], [], [], False)
    assert call(tmp_path, state="collected", ids=["a"])["missing"] == ["a"]
