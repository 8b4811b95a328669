# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Manifests against what is in the cluster. PRIVATE to the collection."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Mapping

from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout import names
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.plan import DaemonSetRelease

#: Mappings in which a surplus entry changes what the object does.
_EXACT = ("nodeSelector", "matchLabels", "data")

CREATE, REPLACE, RECREATE, NOTHING, REFUSED = "create", "patch", "recreate", "nothing", "refused"


@dataclass(frozen=True)
class ObjectChange:
    """What is to be done about one object.

    :param kind: create, patch, recreate, nothing or refused.
    :param problem: for ``refused``: object, observation and cure.
    :param before: the fields that differ, as they are.
    :param after: the same, as they are to be.
    """

    kind: str
    manifest: Mapping[str, Any]
    live: Mapping[str, Any] | None = None
    problem: str = ""
    before: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """Kind, namespace and name."""
        return title_of(self.manifest)

    @property
    def action(self) -> str:
        """The line for the result."""
        return f"{self.kind} {self.title}"


def title_of(manifest: Mapping[str, Any]) -> str:
    """Kind, namespace and name of a manifest or object."""
    metadata = manifest.get("metadata") or {}
    where = f"{metadata['namespace']}/" if metadata.get("namespace") else ""
    return f"{manifest.get('kind', 'object')} {where}{metadata.get('name', '')}"


def is_managed(obj: Mapping[str, Any]) -> bool:
    """The collection made it."""
    return ((obj.get("metadata") or {}).get("labels") or {}).get(names.MANAGED_BY_LABEL) == names.MANAGED_BY


def plan_object(manifest: Mapping[str, Any], live: Mapping[str, Any] | None) -> ObjectChange:
    """Bring one object of ours about. Its name says its content, so every difference is drift and is put right."""
    if live is None:
        return ObjectChange(CREATE, manifest, after=dict(manifest))
    if not is_managed(live):
        problem = (
            f"{title_of(manifest)} exists and was not made by this collection (label {names.MANAGED_BY_LABEL} is "
            f"{((live.get('metadata') or {}).get('labels') or {}).get(names.MANAGED_BY_LABEL)!r}). Rename or remove it, or "
            "choose another namespace for the plugin."
        )
        return ObjectChange(REFUSED, manifest, live, problem=problem)
    if (live.get("metadata") or {}).get("deletionTimestamp"):
        problem = f"{title_of(manifest)} is being deleted. Wait until it is gone, then run again."
        return ObjectChange(REFUSED, manifest, live, problem=problem)
    before, after = difference(live, manifest)
    if not after:
        return ObjectChange(NOTHING, manifest, live)
    if manifest.get("kind") == "DaemonSet" and "selector" in (after.get("spec") or {}):
        problem = (
            f"{title_of(manifest)} has another selector than it was made with. That cannot be changed in place, and to delete "
            "it would stop the plugin on the nodes that it serves. Delete it when they are cordoned, then run again."
        )
        return ObjectChange(REFUSED, manifest, live, problem=problem)
    # The data of an immutable ConfigMap cannot be changed in place. Pods that have it mounted keep what they have.
    fixed = manifest.get("kind") == "ConfigMap" and any(name in after for name in ("data", "binaryData", "immutable"))
    return ObjectChange(RECREATE if fixed else REPLACE, manifest, live, before=before, after=after)


def plan_release(release: DaemonSetRelease, live: Mapping[str, Any] | None) -> ObjectChange | None:
    """Tell a foreign DaemonSet to stay away from nodes with our label, if it is still the one that the plan saw.

    None for a release by label, which leaves the DaemonSet itself alone.
    """
    if release.patch is None:
        return None
    namespace, _slash, name = release.daemonset.partition("/")
    manifest = {"kind": "DaemonSet", "metadata": {"namespace": namespace, "name": name}, **release.patch}
    problem = changed_since_plan(release, live)
    if problem and not (live is not None and uid_of(live) == release.uid and covers(live, release.patch)):
        return ObjectChange(REFUSED, manifest, live, problem=problem)
    if live is None:
        raise AssertionError("a DaemonSet that is missing is a problem, which was dealt with above")
    before, after = difference(live, release.patch)
    return ObjectChange(REPLACE if after else NOTHING, manifest, live, before=before, after=after)


def changed_since_plan(release: DaemonSetRelease, live: Mapping[str, Any] | None) -> str:
    """Why the DaemonSet is not the one that the plan saw, "" if it is."""
    owner = f" Its owner is {release.owner}." if release.owner else ""
    if live is None:
        return f"DaemonSet {release.daemonset} is gone since the plan was made.{owner} Make a new plan."
    metadata = live.get("metadata") or {}
    if uid_of(live) != release.uid:
        return (
            f"DaemonSet {release.daemonset} was deleted and made anew since the plan was made.{owner} Make a new plan."
        )
    if int(metadata.get("generation") or 0) != release.generation:
        return (
            f"DaemonSet {release.daemonset} was changed since the plan was made (generation {release.generation} then, "
            f"{metadata.get('generation')} now).{owner} Find out what the owner does to it, then make a new plan."
        )
    return ""


def lost_release(release: DaemonSetRelease, live: Mapping[str, Any] | None) -> str:
    """Why a node must not be taken off the foreign DaemonSet now: the release is not, or no longer, in force. "" if it is."""
    if release.patch is not None:
        if live is not None and uid_of(live) == release.uid and covers(live, release.patch):
            return ""
        owner = release.owner or "its owner"
        return (
            f"DaemonSet {release.daemonset} does not stay away from released nodes: {owner} has taken it back, or it was "
            "never told to. Run device_plugin with state present on a new plan; if it is taken back again, settle that "
            "with its owner first."
        )
    problem = changed_since_plan(release, live)
    if not problem or live is None:
        return ""  # gone: there is nothing to leave
    spec = ((live.get("spec") or {}).get("template") or {}).get("spec") or {}
    selector = spec.get("nodeSelector") or {}
    if release.label and all(selector.get(label) == value for label, value in release.label.items()):
        return ""  # changed, but it still needs the label
    return problem


def uid_of(obj: Mapping[str, Any]) -> str:
    """An object's uid."""
    return str((obj.get("metadata") or {}).get("uid", ""))


def covers(live: Any, wanted: Any, exact: bool = False) -> bool:
    """Everything that is wanted is there. What the API server adds by itself does not count as a difference.

    :param exact: nothing may be there besides.
    """
    if isinstance(wanted, Mapping) and isinstance(live, Mapping):
        if exact and set(live) - set(wanted):
            return False
        return all(covers(live.get(name), value, exact=name in _EXACT) for name, value in wanted.items())
    if isinstance(wanted, (list, tuple)) and isinstance(live, (list, tuple)):
        return len(live) == len(wanted) and all(covers(have, want) for have, want in zip(live, wanted))
    if _is_empty(wanted) and _is_empty(live):
        return True
    return type(live) is type(wanted) and live == wanted


def difference(live: Mapping[str, Any], wanted: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The fields of ``wanted`` that are otherwise in ``live``: as they are, and as they are to be.

    The second part is a merge patch that puts them right: what must not be there is None in it.
    """
    before: dict[str, Any] = {}
    after: dict[str, Any] = {}
    for name, value in wanted.items():
        have = live.get(name)
        if covers(have, value, exact=name in _EXACT):
            continue
        if isinstance(value, Mapping) and isinstance(have, Mapping):
            before[name], after[name] = difference(have, value)
            if name in _EXACT:
                surplus = {extra: have[extra] for extra in have if extra not in value}
                before[name].update(surplus)
                after[name].update(dict.fromkeys(surplus))
        else:
            before[name], after[name] = have, value
    return before, after


def _is_empty(value: Any) -> bool:
    return value is None or value is False or value in ({}, [], "", ())
