# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a proposal would change, as YAML for a person to review. PRIVATE to the collection."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Iterator, Mapping, Sequence

# Only where sizes are proposed is it used, and there Ansible itself needs it.
with suppress(ImportError):
    import yaml

from ansible_collections.kubegpu.sharing.plugins.module_utils._measure.sizes import IDLE, OK, SHORT, UNTOLD, KeySize
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.config_words import WHERE

_DOUBTS = {
    IDLE: "Its GPUs computed nothing while it was measured: under load it needs more.",
    SHORT: "It was measured for less time than it takes to rely on it.",
    UNTOLD: "NVML did not tell the memory of all that ran under it.",
}


def write_fragment(sizes: Mapping[str, KeySize], head: Sequence[str]) -> str:
    """Entries of kubegpu_sharing_configs that would be other ones, whole, with comments that say where the numbers are from.

    :param head: sentences to begin with.
    """
    changed = {key: size for key, size in sizes.items() if size.changed}
    lines = [*_comment(head), ""]
    if not changed:
        lines += [*_comment(["Nothing would change."])]
    else:
        lines += _comment([f"Put these entries into {WHERE}; others stay as they are."])
        lines.append(f"{WHERE}:")
        for key in sorted(changed):
            lines += [f"  {line}" for line in _entry(key, changed[key])]
    for key in sorted(sizes.keys() - changed.keys()):
        lines += ["", *_comment(_unchanged(key, sizes[key]))]
    return "\n".join(lines) + "\n"


def _entry(key: str, size: KeySize) -> Iterator[str]:
    yield from _comment(_origin(size))
    words = {**size.words, "process_memory_mib": size.proposed}
    text = yaml.safe_dump({key: words}, sort_keys=False, default_flow_style=False, allow_unicode=True, width=1000)
    was = "not stated before" if size.current is None else f"was {_brief(size.current)}"
    for line in text.splitlines():
        yield f"{line}  # {was}" if line.startswith("  process_memory_mib:") else line


def _origin(size: KeySize) -> list[str]:
    figures = size.to_dict()
    told = [figures["why"], f"In MiB: {figures['arithmetic']}." if figures["arithmetic"] else ""]
    return [line for line in [*told, _DOUBTS.get(size.confidence, "")] if line]


def _unchanged(key: str, size: KeySize) -> list[str]:
    figures = size.to_dict()
    if figures["process_memory_mib"] is None or not size.states_replicas:
        same = size.confidence in (OK, SHORT) and size.proposed is not None
        return [f"{key} stays as it is{': that is what was measured.' if same else '.'}", figures["why"]]
    return [
        f"{key} states replicas: {_brief(figures['replicas'])}. By measurement, process_memory_mib: {_brief(size.proposed)} could stand "
        "in their place.",
        figures["why"],
    ]


def _brief(value: Any) -> str:
    return str(yaml.safe_dump(value, default_flow_style=True, width=1000)).replace("\n...", "").strip()


def _comment(sentences: Sequence[str]) -> list[str]:
    """Comment lines. Names in them come from the cluster, and a line break in one would end the comment."""
    return [
        f"# {' '.join(''.join(letter if letter.isprintable() else ' ' for letter in one).split())}" for one in sentences
    ]
