# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action's own part: which files are read, and the plan that the proposal makes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from unit.plugins.action.test_sharing_plan import DEFAULTS as PLAN_DEFAULTS
from unit.plugins.action.test_sharing_plan import play
from unit.plugins.module_utils._measure import world
from unit.plugins.module_utils._plan import fleet

from ansible_collections.kubegpu.sharing.plugins.action import sharing_plan, sizing_proposal
from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import KubeGpuError
from ansible_collections.kubegpu.sharing.plugins.module_utils._measure.proposal import (
    MANY_WORKLOADS,
    build_proposal,
    proposal_facts,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.planner import build_plan
from contract.repository import documentation

MODULES = Path(__file__).resolve().parents[4] / "plugins" / "modules"
DEFAULTS = {name: option.get("default") for name, option in sizing_proposal.ARGUMENT_SPEC.items()}


def write(path: Path, document: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(document if isinstance(document, str) else json.dumps(document), encoding="utf-8")


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """One run over the reference cluster, and what a playbook writes beside it."""
    nodes = world.reference()
    for node in nodes:
        write(tmp_path / "measurements" / "r1" / f"{node.name}.json", world.measure(node))
    write(tmp_path / "cluster.json", world.cluster(nodes))
    write(tmp_path / "measurements" / "r1" / "run.json", {"id": "r1"})
    write(tmp_path / "measurements" / "r1" / "report.json", {"schema_version": 7, "view": "measurement"})
    return tmp_path


def params(files: Path, **given: Any) -> dict[str, Any]:
    return {
        **DEFAULTS,
        "measurements_dir": str(files / "measurements"),
        "cluster_path": str(files / "cluster.json"),
        "configs": fleet.REFERENCE_CONFIGS,
        **given,
    }


def propose(files: Path, **given: Any) -> dict[str, Any]:
    return build_proposal(sizing_proposal.make_request(params(files, **given)))


def sizes(proposal: dict[str, Any]) -> dict[str, Any]:
    return {key: config["process_memory_mib"] for key, config in proposal["configs"].items()}


def test_options_are_documented_as_they_are() -> None:
    options = documentation(MODULES / "sizing_proposal.py")["options"]
    assert options.keys() == sizing_proposal.ARGUMENT_SPEC.keys()
    for name, option in sizing_proposal.ARGUMENT_SPEC.items():
        for word in ("type", "required", "default", "choices", "elements"):
            assert options[name].get(word) == option.get(word), f"{name}.{word}"


def test_measurements_are_read_and_what_lies_beside_them_is_not(files: Path) -> None:
    proposal = propose(files)
    assert (proposal["measurements"], sizes(proposal)) == (2, {"l20": 4621, "t4": 4401})


@pytest.mark.parametrize(
    ("ids", "proposed"), [([], 5000), (["r1"], 4401), (["r0"], 5000), (['["r1"]'], 4401), (["r0", "r1"], 5000)]
)
def test_runs_are_chosen_by_id(files: Path, ids: list[str], proposed: int) -> None:
    _l20, t4 = world.reference(t4=5000)
    write(files / "measurements" / "r0" / "gpu-t4.json", world.measure(t4, run="r0"))
    assert sizes(propose(files, ids=ids))["t4"] == proposed


def test_run_that_is_not_there_is_told_with_those_that_are(files: Path) -> None:
    with pytest.raises(KubeGpuError, match="there is no run 'r9'; there are r1"):
        propose(files, ids=["r9"])


def test_directory_that_is_not_there_is_told(files: Path) -> None:
    with pytest.raises(KubeGpuError, match=r"nowhere failed: No such file or directory. Measure first."):
        propose(files, measurements_dir=str(files / "nowhere"))


@pytest.mark.parametrize("content", ["{", "[]", '{"kind": "measurement", "schema_version": 99}'])
def test_files_that_are_not_ours_are_told_all_at_once(files: Path, content: str) -> None:
    for name in ("a.json", "b.json"):
        write(files / "measurements" / "r1" / name, content)
    with pytest.raises(KubeGpuError) as refused:
        propose(files)
    assert "a.json" in refused.value.msg
    assert "b.json" in refused.value.msg


@pytest.mark.parametrize("content", ['{"x": 1}', '{"kind": "run", "schema_version": 1}', "[]", '{"kind": "measur'])
def test_file_of_a_host_that_is_no_measurement_is_told(files: Path, content: str) -> None:
    """What is left out in silence makes sizes smaller."""
    damaged = files / "measurements" / "r1" / "gpu-t4.json"
    write(damaged, content)
    with pytest.raises(KubeGpuError) as refused:
        propose(files)
    assert str(damaged) in refused.value.msg
    assert refused.value.msg.endswith(
        "Move the file out of the folder, or name the runs to use in kubegpu_measure_ids."
    )


def test_runs_that_hold_no_measurement_are_not_offered(files: Path) -> None:
    write(files / "measurements" / "r2" / "cluster_before.json", world.cluster(world.reference()))
    write(files / "measurements" / "r2" / "run.json", {"kind": "run", "id": "r2"})
    with pytest.raises(KubeGpuError, match=r"there is no run 'r9'; there are r1 \(2 hosts\)\."):
        propose(files, ids=["r9"])
    assert propose(files)["measurements"] == 2


def test_half_written_files_do_not_count(files: Path) -> None:
    write(files / "measurements" / "r1" / ".gpu-t4.json.x", "{")
    assert propose(files)["measurements"] == 2


def test_host_is_known_by_its_file_and_may_be_called_anything(files: Path) -> None:
    _l20, t4 = world.reference(t4=7000)
    document = {**world.measure(t4, run="r2"), "host": None, "node": None}
    write(files / "measurements" / "r2" / "rack%2F1.json", document)
    request = sizing_proposal.make_request(params(files, ids=["r2"]))
    assert [one["host"] for one in request.measurements.values()] == ["rack/1"]


def test_cluster_files_of_runs_name_pods_that_are_gone(files: Path) -> None:
    today = world.cluster([world.Node("gpu-l20", "NVIDIA L20"), world.Node("gpu-t4")])
    write(files / "cluster.json", today)
    assert propose(files)["workloads"][0]["kind"] == "Pod"
    write(files / "measurements" / "r1" / "cluster_before.json", world.cluster(world.reference()))
    (workload,) = propose(files)["workloads"]
    assert (workload["kind"], workload["name"]) == ("Deployment", "nlp")


def test_facts_of_hosts_answer_queries(files: Path) -> None:
    facts = fleet.host_facts([fleet.gpu("Tesla T4", node="gpu-t4")])
    write(files / "facts" / "gpu-t4.json", {"schema_version": 1, "host": "gpu-t4", "node": "gpu-t4", "facts": facts})
    configs = {
        "t": {"match": {"query": "architecture == 'Turing' && compute_mode == 'default'"}, "sharing": "time_slicing"}
    }
    assert sizes(propose(files, configs=configs)) == {"t": None}
    assert sizes(propose(files, configs=configs, facts_dir=str(files / "facts"))) == {"t": 4401}


def plan_with(files: Path, proposal: dict[str, Any], configs: Any) -> dict[str, Any]:
    write(files / "proposal.json", proposal)
    given = {
        **PLAN_DEFAULTS,
        "configs": configs,
        "cluster_path": str(files / "cluster.json"),
        "hosts": {},
        "proposal_path": str(files / "proposal.json"),
    }
    return build_plan(sharing_plan.make_request(given, {}, sharing_plan.read_overlay(given)))


def test_reference_measurement_leads_to_eight_and_three(files: Path) -> None:
    unsized = {key: {**words, "process_memory_mib": None} for key, words in fleet.REFERENCE_CONFIGS.items()}
    plan = plan_with(files, propose(files, configs=unsized), unsized)
    assert {name: node["replicas"] for name, node in plan["nodes"].items()} == {"gpu-l20": 8, "gpu-t4": 3}
    assert (plan["totals"]["slots_before"], plan["totals"]["slots_after"]) == (2, 11)


def test_configs_that_the_proposal_made_up_are_planned_with(files: Path) -> None:
    plan = plan_with(files, propose(files, configs={}), {})
    assert plan["totals"]["slots_after"] == 11


def test_plan_without_a_proposal_is_as_ever(files: Path) -> None:
    assert sharing_plan.read_overlay({**PLAN_DEFAULTS, "configs": {}}) is None


def test_facts_of_a_large_fleet_leave_the_rest_in_the_file(files: Path) -> None:
    proposal = propose(files)
    assert proposal_facts(proposal, "p.json")["proposal"] == proposal
    large = {**proposal, "workloads": proposal["workloads"] * (MANY_WORKLOADS + 1)}
    assert "workloads" not in proposal_facts(large, "p.json")["proposal"]
    assert "workloads" in proposal_facts(large, None)["proposal"]


def test_facts_tell_what_would_change(files: Path) -> None:
    facts = proposal_facts(propose(files, margin="0.10"), None)
    assert facts["changes"] == ["l20", "t4"]
    assert facts["fragment"].startswith("# Proposed from what was measured on 2 hosts")
    assert any("less than 600 s" in message for message in facts["proposal_warnings"])
    assert not {"warnings", "failed", "skipped"} & facts.keys()


@pytest.mark.oldest
def test_playbook_proposes_and_plans_on_the_control_node_also_in_check_mode(files: Path) -> None:
    # Templated strings carry tags since ansible-core 2.19, which YAML dumpers and contains() refuse.
    configs = {
        "l20": {
            "match": {"query": "contains(product, 'L20') && !contains(product, '{{ model }}')"},
            "sharing": "{{ 'time_slicing' }}",
        },
        "t4": {"match": {"product": "Tesla {{ model }}"}, "sharing": "time_slicing", "process_memory_mib": "{{ 100 }}"},
    }
    common = {"configs": configs, "cluster_path": "cluster.json"}
    propose = {
        "kubegpu.sharing.sizing_proposal": {
            **common,
            "measurements_dir": "measurements",
            "margin": "{{ 0.0 }}",
            "dest": "out/proposal.json",
            "fragment_path": "out/proposal.yml",
        },
        "register": "proposed",
    }
    plan = {
        "kubegpu.sharing.sharing_plan": {**common, "facts": "labels", "proposal_path": "out/proposal.json"},
        "register": "planned",
    }
    shown = "changes={{ proposed.changes | join(',') }} slots={{ planned.plan.totals.slots_after }} to={{ planned.plan.proposal.applied.l20.to }}"
    done = play(files, [propose, plan, {"ansible.builtin.debug": {"msg": shown}}], "--check", "--diff")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "changes=l20,t4 slots=11 to=4621" in done.stdout
    assert "changed=0" in done.stdout
    fragment = yaml.safe_load((files / "out" / "proposal.yml").read_text(encoding="utf-8"))
    assert fragment["kubegpu_sharing_configs"]["t4"] == {
        "match": {"product": "Tesla T4"},
        "sharing": "time_slicing",
        "process_memory_mib": 4401,
    }
    assert json.loads((files / "out" / "proposal.json").read_text(encoding="utf-8"))["kind"] == "proposal"


@pytest.mark.oldest
def test_playbook_refused_proposal_fails_with_all_problems_and_writes_nothing(files: Path) -> None:
    write(files / "measurements" / "r1" / "gpu-t4.json", {"schema_version": 1, "kind": "measurement"})
    options = {
        "configs": {"t4": {"sharing": "mps"}},
        "cluster_path": "cluster.json",
        "measurements_dir": "measurements",
    }
    done = play(files, [{"kubegpu.sharing.sizing_proposal": {**options, "margin": "x", "dest": "proposal.json"}}])
    assert done.returncode == 2
    for part in ("gpu-t4.json", "margin: 'x' is not a number", "kubegpu_sharing_configs.t4 has no match"):
        assert part in done.stdout + done.stderr
    assert not (files / "proposal.json").exists()
