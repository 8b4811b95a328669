# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who holds the memory of the story's cards, before and after."""

from __future__ import annotations

from typing import Any

from unit.plugins.module_utils._report.story import Story, make_facts, make_gpu


def make_process(pod: str | None, mib: int | None, **changes: Any) -> dict[str, Any]:
    """A process of a pod of the story, or outside of pods."""
    return {
        "pid": 100,
        "type": "compute",
        "used_memory_mib": mib,
        "pod_uid": f"uid-{pod}" if pod else None,
        "container_id": None,
        "command": "python3",
        "gpu_instance_id": None,
        "compute_instance_id": None,
        **changes,
    }


def make_used_gpu(product: str, used: int | None, *processes: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return make_gpu(product, memory_used_mib=used, memory_reserved_mib=602, processes=list(processes), **changes)


class MemoryStory(Story):
    """The story with facts of both its ends."""

    def __init__(self) -> None:
        super().__init__()
        for node in self.plan["nodes"].values():
            node["sizing"]["max_memory_utilization"] = "0.9"
        outside = make_process(None, 12, command="nvidia-persistenced")
        self.facts = {
            "gpu-l20": make_facts(make_used_gpu("NVIDIA L20", 4640, make_process("nlp-0", 4621), outside)),
            "gpu-t4": make_facts(make_used_gpu("Tesla T4", 4401, make_process("nlp-1", 4401))),
        }
        l20 = [make_process("nlp-2", 4621), make_process("web-0", 4000), make_process("web-0", 100), outside]
        self.facts_after = {
            "gpu-l20": make_facts(make_used_gpu("NVIDIA L20", 9733, *l20)),
            "gpu-t4": make_facts(
                make_used_gpu("Tesla T4", 8301, make_process("nlp-3", 4401), make_process("web-1", 3900))
            ),
        }
