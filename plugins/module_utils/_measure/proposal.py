# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The proposal: from measurements, cluster and configs to sizes. Pure. PRIVATE to the collection.

Same input, same proposal, in whatever order measurements come.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping

from ansible_collections.kubegpu.sharing.plugins.module_utils._measure.fragment import write_fragment
from ansible_collections.kubegpu.sharing.plugins.module_utils._measure.pods import (
    NeverRan,
    PodIndex,
    Sampling,
    never_ran,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._measure.request import Checked, ProposalRequest, check
from ansible_collections.kubegpu.sharing.plugins.module_utils._measure.sizes import KeySize, show_margin
from ansible_collections.kubegpu.sharing.plugins.module_utils._measure.uses import Attributed, attribute
from ansible_collections.kubegpu.sharing.plugins.module_utils._measure.warnings import all_warnings
from ansible_collections.kubegpu.sharing.plugins.module_utils._measure.workloads import group
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.times import parse_time

SCHEMA_VERSION = 1
KIND = "proposal"
#: With more workloads than this, a task's result leaves out what stands in the file.
MANY_WORKLOADS = 100


def build_proposal(request: ProposalRequest) -> dict[str, Any]:
    """The proposal, as its file has it.

    :raises InputError: the input was refused, with all that is wrong with it.
    """
    checked = check(request)
    found = attribute(checked.nodes, PodIndex([*request.earlier, *request.clusters]))
    workloads = group(found.uses)
    idle = _idle(checked)
    sampling = _sampling(checked)
    warnings = all_warnings(checked, found, workloads, idle, sampling["seconds"])
    sizes = _sizes(checked, found)
    return {
        "schema_version": SCHEMA_VERSION,
        "kind": KIND,
        "margin": show_margin(checked.margin),
        **sampling,
        "configs": {key: size.to_dict() for key, size in sizes.items()},
        "workloads": [workload.to_dict() for workload in workloads],
        "outside": [
            {"node": one.node, "gpu": one.gpu, "who": one.who, "peak_mib": one.peak_mib} for one in found.outside
        ],
        "never_ran": [
            {"namespace": one.namespace, "name": one.name, "workload": _named(one), "why": one.why} for one in idle
        ],
        "warnings": [one.to_dict() for one in warnings],
        "fragment": write_fragment(sizes, _head(sampling, checked)),
    }


def proposal_facts(proposal: Mapping[str, Any], dest: str | None) -> dict[str, Any]:
    """The proposal, and what a role needs of it.

    :param dest: the file that has it all; None if none was written.
    """
    large = dest and len(proposal["workloads"]) > MANY_WORKLOADS
    left_out = {"workloads", "outside", "never_ran"} if large else set()
    return {
        "proposal": {name: value for name, value in proposal.items() if name not in left_out},
        "changes": [key for key, config in proposal["configs"].items() if config["changed"]],
        "fragment": proposal["fragment"],
        # Ansible has a meaning of its own for "warnings".
        "proposal_warnings": [one["message"] for one in proposal["warnings"]],
    }


def _named(pod: NeverRan) -> dict[str, str]:
    return {"kind": pod.workload.kind, "namespace": pod.workload.namespace, "name": pod.workload.name}


def _sizes(checked: Checked, found: Attributed) -> dict[str, KeySize]:
    return {
        key: KeySize(
            config,
            checked.words[key],
            [use for use in found.uses if use.source.key == key],
            checked.margin,
            checked.request.min_seconds,
            checked.made_up,
        )
        for key, config in checked.vocabulary.configs.items()
    }


def _idle(checked: Checked) -> List[NeverRan]:
    # Somebody whose memory was counted outside of the sizes was seen all the same.
    seen = {str(user["pod_uid"]) for node in checked.nodes for user in node.document["users"] if user.get("pod_uid")}
    measured = {node.node for node in checked.nodes if node.document["nvml_available"]}
    times = [parse_time(node.document["ended"]) for node in checked.nodes if node.node in measured]
    ended = max((time for time in times if time), default=None)
    return never_ran(checked.request.clusters, Sampling(frozenset(seen), frozenset(measured), ended))


def _sampling(checked: Checked) -> dict[str, Any]:
    """When and for how long it was measured; runs one after the other count together."""
    measured = [node for node in checked.nodes if node.document["samples"]]
    longest: Dict[str, float] = {}
    for node in measured:
        run = str(node.document["id"])
        longest[run] = max(longest.get(run, 0.0), float(node.document["duration_seconds"]))
    return {
        "measurements": len(checked.nodes),
        "hosts": len({node.node for node in measured}),
        "measured_from": min((str(node.document["started"]) for node in measured), default=None),
        "measured_to": max((str(node.document["ended"]) for node in measured), default=None),
        "seconds": round(sum(longest.values()), 1),
    }


def _head(sampling: Mapping[str, Any], checked: Checked) -> list[str]:
    hosts = f"{sampling['hosts']} host{'' if sampling['hosts'] == 1 else 's'}"
    margin = f"a margin of {show_margin(checked.margin)} on each peak" if checked.margin else "no margin on the peaks"
    ceiling = checked.vocabulary.margins.max_memory_utilization
    return [
        f"Proposed from what was measured on {hosts} from {sampling['measured_from']} to {sampling['measured_to']} "
        f"({sampling['seconds']:g} s), with {margin}.",
        f"kubegpu_sizing.max_memory_utilization {ceiling} leaves the rest of each card free. Review before use.",
    ]
