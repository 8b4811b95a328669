# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which RuntimeClasses come with container runtimes, which go with them, and which have to stay."""

from __future__ import annotations

DOCUMENTATION = r"""
name: runtime_class_steps
short_description: Tell which RuntimeClasses are to be made, and which may go
version_added: 0.1.0
author: kubegpu.sharing maintainers (@kubegpu)
description:
  - A RuntimeClass is one for the whole cluster, and the hosts of a run may name different ones. Each host notes what concerns it, one host asks
    the API for all of them, and this filter says what follows.
  - A RuntimeClass that is wanted, and is not there, is to be made; one that stands for another handler is refused.
  - A RuntimeClass goes only when no host can have its runtime any more. So it must have been made by the collection, no host may keep the runtime, each
    host of the inventory's group and of the play must have been heard, each that was to lose it must have lost it, and the run must not be limited.
positional: asker, classes, run
options:
  _input:
    description:
      - What the hosts of the play have noted. Hosts that were not looked at have noted nothing, and are missing.
      - V(name) and V(handler) are what it names the RuntimeClass and the runtime, V(host) is who says it, V(there) is the RuntimeClass of the runtime that it
        has now, and V(definition) the object to make.
      - V(wanted) tells that pods are to name the runtime by it, V(keeps) that the host has or gets the runtime, V(leaves) that it is to
        lose it, V(gone) that it has lost it, V(renames) that the runtime gets another name.
    type: list
    elements: dict
    required: true
  asker:
    description: The host that asks for all. It wants its RuntimeClass in any case, and no RuntimeClass goes unless it is to lose its runtime.
    type: str
    required: true
  classes:
    description: By name of a RuntimeClass what M(kubegpu.sharing.runtime_class_info) has answered.
    type: dict
    required: true
  run:
    description:
      - Which hosts there are. C(all) are those of the group and of the play, C(playing) those that the play has not lost, C(batch) those of
        the present batch that it has not lost, and C(limited) tells whether the run was limited to some hosts.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Remove the RuntimeClasses that no host needs any more
  kubernetes.core.k8s:
    state: absent
    api_version: node.k8s.io/v1
    kind: RuntimeClass
    name: "{{ item }}"
  loop: "{{ (noted | kubegpu.sharing.runtime_class_steps(inventory_hostname, classes, run)).goes }}"
"""

RETURN = r"""
_value:
  description:
    - C(missing) lists what is to be made, with what the first host that wants it has noted; C(wrong) are sentences about those of another handler.
    - C(going) names those that go once every host of the batch has lost its runtime, and C(goes) those that go now.
    - C(stays) names those that the last batch leaves, though hosts have lost their runtime, and C(holders) the hosts that may have it still.
    - C(old) names those of a name that a runtime has lost.
  type: dict
  sample:
    missing: []
    wrong: []
    going: [nvidia]
    goes: []
    stays: [nvidia]
    holders: [gpu-7]
    old: []
"""

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.kubegpu.sharing.plugins.filter.runtime_classes import runtime_classes
from ansible_collections.kubegpu.sharing.plugins.plugin_utils._plain import to_plain

_Note = Mapping[str, Any]


def runtime_class_steps(
    noted: Sequence[_Note], asker: str, classes: Mapping[str, Mapping[str, Any]], run: Mapping[str, Any]
) -> dict[str, list[Any]]:
    """What is to become of the RuntimeClasses that hosts have noted."""
    notes, answers, hosts = to_plain(noted), to_plain(classes), to_plain(run)
    batch = [note for note in notes if note["host"] == asker or note["host"] in hosts["batch"]]
    # The asker's own word comes first: of two that want the same, it is the one that counts.
    batch.sort(key=lambda note: bool(note["host"] != asker))
    return _needs(batch, asker, answers) | _removals(notes, batch, asker, answers, hosts)


def _needs(notes: Sequence[_Note], asker: str, classes: Mapping[str, Mapping[str, Any]]) -> dict[str, list[Any]]:
    # Who is asked to make it need not say that it is wanted. Where hosts do not wait for each other, one may note another name
    # after the API was asked; that one asks for itself.
    wanted = [note for note in notes if (note["host"] == asker or note["wanted"]) and note["name"] in classes]
    first = {note["name"]: note for note in reversed(wanted)}
    missing = [note for note in wanted if note is first[note["name"]] and not classes[note["name"]]["exists"]]
    # One that is missing is made here, so it is not told of.
    seen = [classes[note["name"]] if classes[note["name"]]["exists"] else {} for note in wanted]
    return {"missing": missing, "wrong": runtime_classes(wanted, seen)}


def _removals(
    notes: Sequence[_Note],
    batch: Sequence[_Note],
    asker: str,
    classes: Mapping[str, Mapping[str, Any]],
    run: Mapping[str, Any],
) -> dict[str, list[Any]]:
    heard = {note["host"] for note in notes}
    unheard = [host for host in run["playing"] if host not in heard]
    # Of a later batch, or of this one and could not be looked at.
    left_out = [host for host in run["all"] if host not in run["playing"]] + unheard
    # Hosts that were to lose it, and have failed.
    still = [note["host"] for note in notes if note["leaves"] and not note.get("gone")]
    kept = {note["name"] for note in notes if note["keeps"]}
    unneeded = [name for name, answer in classes.items() if answer["ours"] and name not in kept]
    ours = _in(unneeded, batch, "leaves")
    may_go = any(note["leaves"] for note in batch if note["host"] == asker) and not run["limited"] and not left_out
    going = ours if may_go else []
    goes = [] if still else going
    return {
        "going": going,
        "goes": goes,
        # The last batch says it for all.
        "stays": [] if goes or set(unheard) - set(run["batch"]) else ours,
        "holders": left_out + still,
        "old": _in(unneeded, batch, "renames"),
    }


def _in(names: Sequence[str], notes: Sequence[_Note], what: str) -> list[str]:
    """Those names that a host has now which does WHAT."""
    there = {note["there"] for note in notes if note[what]}
    return [name for name in names if name in there]


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Any]:
        """Name to function."""
        return {"runtime_class_steps": runtime_class_steps}
