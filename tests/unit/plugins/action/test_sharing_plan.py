# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action's own part: files, plain types, the result; and the whole through ansible itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from unit.plugins.module_utils._plan import fleet
from unit.plugins.module_utils._usage import samples

from ansible_collections.kubegpu.sharing.plugins.action import sharing_plan
from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import KubeGpuError
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.planner import build_plan
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.request import PlanRequest
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.result import plan_facts
from contract.repository import documentation

MODULES = Path(__file__).resolve().parents[4] / "plugins" / "modules"
DEFAULTS = {name: option.get("default") for name, option in sharing_plan.ARGUMENT_SPEC.items()}


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """The reference cluster as files."""
    request = fleet.reference()
    (tmp_path / "facts").mkdir()
    (tmp_path / "cluster.json").write_text(json.dumps(request.cluster), encoding="utf-8")
    for host, facts in request.host_facts.items():
        document = {"schema_version": 1, "host": host, "node": host, "facts": facts}
        (tmp_path / "facts" / f"{host}.json").write_text(json.dumps(document), encoding="utf-8")
    return tmp_path


def keep_measurement(files: Path, run: str, peak: int) -> None:
    """One of the pod on the host gpu-t4."""
    facts = json.loads((files / "facts/gpu-t4.json").read_text(encoding="utf-8"))["facts"]
    (gpu,) = facts["gpus"]
    pod_uid = gpu["processes"][0]["pod_uid"]
    document = samples.measure([samples.process(7, peak, pod_uid=pod_uid)], id=run)
    text = json.dumps(document).replace(samples.CARD, gpu["uuid"])
    (files / "measurements" / run).mkdir(parents=True)
    (files / "measurements" / run / "gpu-t4.json").write_text(text, encoding="utf-8")


def test_plan_counts_what_measurements_of_a_host_saw_of_pods_that_run(files: Path) -> None:
    keep_measurement(files, "20260302-1", 4401)
    given = params(files, measurements_dir=str(files / "measurements"))
    plan = build_plan(sharing_plan.make_request(given, {}))
    assert plan == build_plan(sharing_plan.make_request(params(files), {}))
    # What a pod took in the busy hours of the day before, it takes again.
    keep_measurement(files, "20260301-1", 13000)
    with pytest.raises(KubeGpuError, match="uses up to 13000 MiB, as measured, of GPU 0, more than a slot of 5120 MiB"):
        build_plan(sharing_plan.make_request(given, {}))


@pytest.mark.parametrize(
    ("content", "why"),
    [('{"users": [', "it is not JSON"), ('{"x": 1}', "kind is None; only 'measurement' can be read.")],
)
def test_plan_tells_of_measurements_that_cannot_be_read_and_uses_the_others(
    files: Path, content: str, why: str
) -> None:
    keep_measurement(files, "20260301-1", 4401)
    keep_measurement(files, "20260302-1", 4401)
    damaged = files / "measurements/20260302-1/gpu-t4.json"
    damaged.write_text(content, encoding="utf-8")
    given = params(files, measurements_dir=str(files / "measurements"))
    plan = build_plan(sharing_plan.make_request(given, {}))
    (told,) = [one for one in plan["warnings"] if str(damaged) in one]
    assert told.startswith("Peaks that were measured on gpu-t4 were not used, and pods may use more: ")
    assert why in told
    keep_measurement(files, "20260228-1", 13000)
    with pytest.raises(KubeGpuError, match="uses up to 13000 MiB, as measured, of GPU 0"):
        build_plan(sharing_plan.make_request(given, {}))


def test_plan_tells_of_a_measurement_that_it_may_not_look_at(files: Path) -> None:
    # A link to itself is what root may not look at either.
    (files / "measurements").mkdir()
    (files / "measurements/20260302-1").symlink_to("20260302-1")
    given = params(files, measurements_dir=str(files / "measurements"))
    plan = build_plan(sharing_plan.make_request(given, {}))
    assert any("gpu-t4" in one and "Too many levels of symbolic links" in one for one in plan["warnings"])


def test_plan_without_measurements_needs_no_directory(files: Path) -> None:
    given = params(files, measurements_dir=str(files / "none"))
    assert sharing_plan.make_request(given, {}) == sharing_plan.make_request(params(files), {})


def test_plan_reads_what_hosts_told_of_their_container_runtimes(files: Path) -> None:
    (files / "runtime").mkdir()
    assert sharing_plan.make_request(params(files), {}).runtimes is None
    document = {
        "schema_version": 1,
        "kind": "runtime",
        "host": "gpu-t4",
        "engine": "containerd",
        "problems": ["Broken."],
    }
    (files / "runtime/gpu-t4.json").write_text(json.dumps(document), encoding="utf-8")
    given = params(files, runtime_dir=str(files / "runtime"), runtime_disruption="none")
    request = sharing_plan.make_request(given, {})
    assert (request.runtimes, request.runtime_disruption) == ({"gpu-t4": document}, "none")
    with pytest.raises(KubeGpuError, match="node gpu-t4: its container runtime: Broken"):
        build_plan(request)
    (files / "runtime/gpu-t4.json").write_text(json.dumps({**document, "kind": "usage"}), encoding="utf-8")
    with pytest.raises(KubeGpuError, match="(?s)gpu-t4.json: .*its kind is 'usage'; only 'runtime' can be read"):
        sharing_plan.make_request(given, {})


def params(files: Path, **given: Any) -> dict[str, Any]:
    return {
        **DEFAULTS,
        "configs": fleet.REFERENCE_CONFIGS,
        "cluster_path": str(files / "cluster.json"),
        "facts_dir": str(files / "facts"),
        "hosts": {"gpu-l20": "", "gpu-t4": None},
        **given,
    }


def large_plan(count: int) -> dict[str, Any]:
    nodes = {f"n{number:04d}": fleet.node(labels=fleet.labelled("Tesla-T4", 15360)) for number in range(count)}
    return build_plan(PlanRequest(configs={"t4": fleet.REFERENCE_CONFIGS["t4"]}, cluster=fleet.cluster(nodes)))


def test_options_are_documented_as_they_are() -> None:
    options = documentation(MODULES / "sharing_plan.py")["options"]
    assert options.keys() == sharing_plan.ARGUMENT_SPEC.keys()
    for name, option in sharing_plan.ARGUMENT_SPEC.items():
        for word in ("type", "required", "default", "choices", "elements"):
            assert options[name].get(word) == option.get(word), f"{name}.{word}"


def test_make_request_reads_cluster_and_facts(files: Path) -> None:
    assert build_plan(sharing_plan.make_request(params(files), {})) == build_plan(fleet.reference())


def test_make_request_labels_mode_reads_no_host(files: Path) -> None:
    assert sharing_plan.make_request(params(files, facts="labels"), {}).host_facts == {}


def test_make_request_host_names_may_hold_anything(files: Path) -> None:
    (files / "facts" / "gpu-t4.json").rename(files / "facts" / "rack%2F1.json")
    request = sharing_plan.make_request(params(files, hosts={"rack/1": "gpu-t4", "unread": "gpu-l20"}), {})
    assert request.host_facts.keys() == {"rack/1"}


HOSTS = {"gpu-l20": {}, "gpu-t4": {"kubegpu_node_name": "gpu-l20"}, "rack-1": {"kubegpu_node_name": "gpu-t4"}}


@pytest.mark.parametrize(
    ("given", "named"),
    [
        pytest.param({}, {"gpu-l20": "", "gpu-t4": "gpu-l20", "rack-1": "gpu-t4"}, id="every host is asked"),
        pytest.param(
            {"facts": "labels", "limited": True},
            {"gpu-l20": "", "gpu-t4": "gpu-l20", "rack-1": "gpu-t4"},
            id="also where a limit depends on it",
        ),
        pytest.param(
            {"facts": "labels"},
            {"gpu-l20": "", "gpu-t4": "", "rack-1": "gpu-t4"},
            id="with labels, only hosts that bear no node's name",
        ),
    ],
)
def test_make_request_reads_node_names_of_a_list_of_hosts(
    files: Path, given: dict[str, Any], named: dict[str, str]
) -> None:
    request = sharing_plan.make_request(params(files, hosts=list(HOSTS), **given), HOSTS)
    assert request.hosts == named


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ([], ()),
        (["a", "b"], ("a", "b")),
        (["a", " b", ""], ("a", "b")),
        (['["gpu-t4"]'], ("gpu-t4",)),
        (['["a"', ' "b"]'], ("a", "b")),
        (["[a", "b]"], ("a", "b")),
        (["['a'", " 7]"], ("a", "7")),
        (["[]"], ()),
        (['["a'], ('["a',)),
    ],
)
def test_read_names_takes_a_list_that_was_written_as_text(given: list[str], names: tuple[str, ...]) -> None:
    assert sharing_plan.read_names(given) == names


@pytest.mark.parametrize("name", ["cluster.json", "facts/gpu-t4.json"])
@pytest.mark.parametrize("content", ["{", "[]", '{"schema_version": 99}'])
def test_make_request_file_that_is_not_ours_is_refused(files: Path, name: str, content: str) -> None:
    (files / name).write_text(content, encoding="utf-8")
    with pytest.raises(KubeGpuError, match=name.rpartition("/")[2]):
        sharing_plan.make_request(params(files), {})


def test_make_request_missing_cluster_file_is_refused(files: Path) -> None:
    with pytest.raises(KubeGpuError, match=r"Reading .*nowhere.json failed: No such file"):
        sharing_plan.make_request(params(files, cluster_path=str(files / "nowhere.json")), {})


def test_plan_facts_give_what_the_waves_need() -> None:
    result = plan_facts(build_plan(fleet.reference()), None)
    assert (result["waves"], result["wave_sizes"]) == ([["gpu-l20"], ["gpu-t4"]], [1, 1])
    assert result["wave_hosts"] == [{"node": "gpu-l20", "host": "gpu-l20"}, {"node": "gpu-t4", "host": "gpu-t4"}]
    assert result["plan"]["nodes"].keys() == {"gpu-l20", "gpu-t4"}
    # Ansible takes a result with these for a skipped task, or for one with warnings of its own.
    assert not {"skipped", "warnings", "failed"} & result.keys()


def test_plan_facts_of_a_large_fleet_leave_the_rest_in_the_file() -> None:
    plan = large_plan(101)
    result = plan_facts(plan, "plan.json")
    assert "nodes" not in result["plan"]
    assert "objects" not in result["plan"]["configs"]["t4"]
    assert result["plan"]["totals"]["nodes"] == len(result["wave_hosts"]) == 101
    told = {"waves": [{"wave": 1}], "summary": ["No pod is evicted."]}
    shown = plan_facts({**plan, "rehearsal": told}, "plan.json")["plan"]["rehearsal"]
    assert shown == {"summary": ["No pod is evicted."]}
    assert "nodes" in plan_facts(plan, None)["plan"]
    assert "nodes" in plan_facts(large_plan(100), "plan.json")["plan"]


@pytest.mark.parametrize("count", [2, 101])
def test_write_plan_is_read_back_the_same(tmp_path: Path, count: int) -> None:
    plan = large_plan(count)
    sharing_plan.write_plan(str(tmp_path / "deep" / "plan.json"), plan)
    assert json.loads((tmp_path / "deep" / "plan.json").read_text(encoding="utf-8")) == plan
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["plan.json"]


def play(directory: Path, tasks: list[dict[str, Any]], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run tasks on a host that nobody could reach, as a person would."""
    book = [{"hosts": "all", "gather_facts": False, "vars": {"model": "T4"}, "tasks": tasks}]
    (directory / "book.yml").write_text(yaml.safe_dump(book), encoding="utf-8")
    (directory / "hosts.yml").write_text("all: {hosts: {nowhere.invalid: {}}}\n", encoding="utf-8")
    ansible = Path(sys.executable).parent / "ansible-playbook"
    environment = {**os.environ, "ANSIBLE_LOCAL_TEMP": str(directory / "tmp"), "HOME": str(directory)}
    return subprocess.run(
        [str(ansible), "-i", "hosts.yml", "book.yml", *arguments],
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


@pytest.mark.oldest
def test_playbook_plans_on_the_control_node_also_in_check_mode(files: Path) -> None:
    # Templated strings carry tags since ansible-core 2.19, on which contains() fails.
    configs = {
        "l20": {
            "match": {"query": "contains(product, 'L20')"},
            "sharing": "time_slicing",
            "process_memory_mib": "{{ 4621 }}",
        },
        "t4": {
            "match": {"query": "contains(product, '{{ model }}')"},
            "sharing": "time_slicing",
            "process_memory_mib": "4401",
        },
    }
    options = {
        **params(files, configs=configs, dest=str(files / "plan.json")),
        "sizing": {"max_memory_utilization": "0.9"},
    }
    task = {"kubegpu.sharing.sharing_plan": {name: value for name, value in options.items() if value is not None}}
    shown = {"ansible.builtin.debug": {"msg": "id={{ planned.plan_id }} hosts={{ planned.wave_hosts | length }}"}}
    done = play(files, [{**task, "register": "planned"}, shown], "--check", "--diff")
    assert done.returncode == 0, done.stdout + done.stderr
    plan = json.loads((files / "plan.json").read_text(encoding="utf-8"))
    assert f"id={plan['plan_id']} hosts=2" in done.stdout
    assert plan["totals"]["slots_after"] == 11
    assert plan["rehearsal"]["summary"] == [
        "No pod is evicted.",
        "At most 1 of 2 GPU slots are out of service at once (wave 1).",
    ]
    assert "changed=0" in done.stdout


@pytest.mark.oldest
def test_playbook_refused_plan_fails_with_all_problems_and_writes_nothing(files: Path) -> None:
    options = {"configs": {"t4": {"sharing": "mps"}}, "cluster_path": "cluster.json", "dest": "plan.json", "wave": "x"}
    done = play(files, [{"kubegpu.sharing.sharing_plan": options}])
    assert done.returncode == 2
    for part in (
        "3. kubegpu_sharing_configs.t4.sharing: mps is not supported yet",
        "kubegpu_wave: 'x' is not a whole number",
    ):
        assert part in done.stdout + done.stderr
    assert not (files / "plan.json").exists()
