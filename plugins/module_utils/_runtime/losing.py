# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What would end with a restart of a runtime that is made to outlive one. Pure. PRIVATE to the collection.

All vendors' units leave everything but the runtime's own process alone when they are stopped (KillMode=process). Docker has a law of its own,
see ``docker``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import List, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.observation import Observation
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.plan import RuntimePlan
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.wish import Wish

SHOWN = 20
_ENGINE = "docker"


def counted(names: Sequence[str], what: str) -> str:
    """In words: "2 containers: a, b", of many the first ones."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{len(names)} {what}{'s' if len(names) != 1 else ''}: {', '.join(names[:SHOWN])}{more}"


def restart_loss(plan: RuntimePlan, wish: Wish, observation: Observation) -> RuntimePlan:
    """The plan, refused if its restart ends pods and that is not permitted."""
    ending = [str(one) for one in observation.ending]
    if not plan.restart or not ending or observation.engine == _ENGINE:
        return plan
    which, why = counted(ending, "pod"), f"KillMode of {' and '.join(_modes(plan, observation))}"
    if wish.permit_live_loss:
        return replace(
            plan, warnings=(*plan.warnings, f"Restarting {plan.engine} ends {which} ({why}); that is permitted.")
        )
    return plan.refused(
        f"Restarting {plan.engine} would end {which}, because {why}, so systemd ends with it what watches over its containers. "
        f"Let it be process, as the vendor's unit has it: 'systemctl edit {plan.units[0]}', [Service], KillMode=process. That "
        "makes systemd read its units anew, which can take GPUs away from containers that run: do it while no pod with a GPU is there. "
        f"Or empty the node and set {wish.called('permit_live_loss', 'true')}."
    )


def _modes(plan: RuntimePlan, observation: Observation) -> List[str]:
    return [f"{unit.name} is {unit.kill_mode}" for unit in observation.candidate.units if unit.name in plan.units]
