# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a rollback gives back to DaemonSets of others: fields that a rollout changed and that still hold its values.
PRIVATE to the collection.

Affinity goes back first, while the strategy is OnDelete: a change of the template would be rolled over all nodes at the
controller's own pace otherwise. The strategy follows only if every plugin pod is of the template as it is then.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Iterable, Mapping, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.releases import choose_release
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.selection import selects
from ansible_collections.kubegpu.sharing.plugins.module_utils._plugin.names import REVISION_LABEL
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.objects import covers, uid_of

AFFINITY, STRATEGY = "affinity", "strategy"


@dataclass(frozen=True)
class Revert:
    """What a run changed of a DaemonSet of somebody else.

    :param daemonset: "namespace/name".
    :param ours: the fields below ``spec`` as the run set them.
    :param before: the same fields as they were.
    """

    daemonset: str
    uid: str
    owner: str
    ours: Mapping[str, Any]
    before: Mapping[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """As it stands in the plan."""
        return {
            "daemonset": self.daemonset,
            "uid": self.uid,
            "owner": self.owner,
            "ours": dict(self.ours),
            "before": dict(self.before),
        }

    @classmethod
    def from_dict(cls, entry: Mapping[str, Any]) -> Revert:
        """As the plan has it."""
        return cls(entry["daemonset"], entry["uid"], entry.get("owner") or "", entry["ours"], entry["before"])


@dataclass(frozen=True)
class Decision:
    """The next request about a DaemonSet.

    :param patch: a merge patch, None if nothing is to be written.
    :param what: affinity or strategy.
    :param left: why something is left as it is, in words that say what to do.
    """

    patch: dict[str, Any] | None = None
    what: str = ""
    left: Sequence[str] = field(default_factory=list)


def read_reverts(foreign: Iterable[Mapping[str, Any]]) -> list[Revert]:
    """What a snapshot's run changed of DaemonSets; those that it left by label were not changed at all."""
    reverts = []
    for entry in foreign:
        before = entry.get("spec") or {}
        ours = _patch_of(entry, before) if entry.get("method") == "affinity" else None
        if ours:
            reverts.append(
                Revert(
                    daemonset=entry["daemonset"],
                    uid=str(entry.get("uid") or ""),
                    owner=str(entry.get("owner") or ""),
                    ours=ours["spec"],
                    before=before,
                )
            )
    return reverts


def _patch_of(entry: Mapping[str, Any], before: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The run's patch. A snapshot of an older version does not have it: it is what the plan made of the DaemonSet as it was."""
    if "patch" in entry:
        return entry["patch"]
    affinity = _at(before, "template", "spec", "affinity") or {}
    plugin = {"node_affinity": affinity.get("nodeAffinity"), "update_strategy": before.get("updateStrategy")}
    return choose_release(plugin, {}).patch


def decide_revert(revert: Revert, live: Mapping[str, Any] | None, bearers: Mapping[str, Mapping[str, str]]) -> Decision:
    """What to write to a DaemonSet now.

    :param live: None if it is gone.
    :param bearers: labels by name of the nodes that bear our revision label.
    """
    if live is None or uid_of(live) != revert.uid:
        return Decision()  # What is there now was never changed by us.
    spec = live.get("spec") or {}
    patch = undo(_affinity(spec), _affinity(revert.ours), _affinity(revert.before))
    if patch:
        return _give_affinity_back(revert, live, bearers, patch)
    strategy = revert.ours.get("updateStrategy")
    # The strategy held the affinity back: it is not ours to judge once somebody has made another affinity of it.
    if (
        not strategy
        or not covers(spec.get("updateStrategy"), strategy)
        or not _same(_affinity(spec), _affinity(revert.before))
    ):
        return Decision()
    wanted = revert.before.get("updateStrategy") or {}
    if covers(spec.get("updateStrategy"), wanted):
        return Decision()
    return _give_strategy_back(revert, live, wanted)


def undo(live: Any, ours: Mapping[str, Any], before: Any) -> dict[str, Any]:
    """A merge patch that takes back those fields that still hold our values; empty if none does.

    A mapping that only our fields had made goes with them, so that a template ends as the very one that it was.
    """
    have = live if isinstance(live, Mapping) else {}
    was = before if isinstance(before, Mapping) else {}
    patch: dict[str, Any] = {}
    for name, value in ours.items():
        if isinstance(value, Mapping) and isinstance(have.get(name), Mapping):
            inner = undo(have[name], value, was.get(name))
            gone = {key for key, change in inner.items() if change is None}
            if inner:
                patch[name] = None if was.get(name) is None and set(have[name]) == gone else inner
        elif covers(have.get(name), value) and not covers(have.get(name), was.get(name)):
            patch[name] = was.get(name)
    return patch


def _give_affinity_back(
    revert: Revert, live: Mapping[str, Any], bearers: Mapping[str, Mapping[str, str]], patch: dict[str, Any]
) -> Decision:
    if _at(live, "spec", "updateStrategy", "type") != "OnDelete":
        return Decision(
            left=[
                f"DaemonSet {revert.daemonset} keeps the affinity that the rollout gave it: its strategy is no longer OnDelete, "
                "so that a change would restart the plugin on every node. Make it OnDelete, then run the rollback again."
            ]
        )
    needing = sorted(name for name, labels in bearers.items() if _would_select(live, patch, name, labels))
    if needing:
        return Decision(
            left=[
                f"DaemonSet {revert.daemonset} keeps the affinity that the rollout gave it: {len(needing)} node{'s' if needing[1:] else ''} with "
                f"our label {REVISION_LABEL} would get a second plugin without it, the first is {needing[0]}. Roll these back as well, then run "
                "the rollback again."
            ]
        )
    return Decision(patch={"spec": {"template": {"spec": patch}}}, what=AFFINITY)


def _give_strategy_back(revert: Revert, live: Mapping[str, Any], wanted: Mapping[str, Any]) -> Decision:
    status, generation = live.get("status") or {}, int((live.get("metadata") or {}).get("generation") or 0)
    present, updated = (int(status.get(name) or 0) for name in ("currentNumberScheduled", "updatedNumberScheduled"))
    if int(status.get("observedGeneration") or 0) >= generation and updated >= present:
        return Decision(patch={"spec": {"updateStrategy": dict(wanted)}}, what=STRATEGY)
    return Decision(
        left=[
            f"DaemonSet {revert.daemonset} keeps the update strategy OnDelete instead of {wanted.get('type')}: {max(0, present - updated)} of "
            f"{present} of its pods were started with the affinity that the rollout had given it, and the strategy would restart the plugin "
            "on nodes in service. Delete these pods one by one at a quiet time, each on a cordoned node, then run the rollback again."
        ]
    )


def _would_select(live: Mapping[str, Any], patch: Mapping[str, Any], name: str, labels: Mapping[str, str]) -> bool:
    pod_spec = _at(live, "spec", "template", "spec") or {}
    affinity = _merged(pod_spec, patch).get("affinity") or {}
    plugin = {"node_selector": pod_spec.get("nodeSelector"), "node_affinity": affinity.get("nodeAffinity")}
    return selects(plugin, name, labels)


def _merged(value: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """A mapping as a merge patch makes it."""
    merged = dict(value)
    for name, change in patch.items():
        if change is None:
            merged.pop(name, None)
        else:
            inner = merged.get(name)
            merged[name] = (
                _merged(inner, change) if isinstance(change, Mapping) and isinstance(inner, Mapping) else change
            )
    return merged


def _affinity(spec: Mapping[str, Any]) -> dict[str, Any]:
    return {"affinity": _at(spec, "template", "spec", "affinity")}


def _same(one: Any, other: Any) -> bool:
    return covers(one, other) and covers(other, one)


def _at(value: Any, *path: str) -> Any:
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value
