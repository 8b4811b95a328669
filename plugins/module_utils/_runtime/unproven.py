# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that a restart would bring in for the first time, beside those of the plan. Pure. PRIVATE to the collection.

The way back leads to the files that were there before. Where the runtime that serves was started before one of them was changed, it may
not start with those either.
"""

from __future__ import annotations

import posixpath
from dataclasses import replace
from typing import Callable, Dict, List, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.containerd_config import (
    parse_version,
    read_configs,
    reads,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.observation import Observation, SeenFile
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.plan import RuntimePlan
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.toolkit_config import PATH as TOOLKIT
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.wish import Wish

_SERVES = ("active", "reloading")
# From here on, `containerd config default` names /etc/containerd/conf.d/*.toml in its imports (containerd, pull request 12323). A 2.2.1
# whose main file had no imports did not read that directory (kata-containers, pull request 13176), and no 2.2 was run for this. So the
# planner has the main file import what it writes there, on any version; and here, files there count as read: if that is wrong, a restart
# is refused for nothing, and the other way round it would bring in what was never proven.
_NAMES_CONF_D = (2, 2, 0)


def unproven_restart(plan: RuntimePlan, wish: Wish, observation: Observation) -> RuntimePlan:
    """The plan, refused if its restart brings in what somebody has changed since the last one, and that is not permitted.

    One that does not serve needs the restart, whatever is in its files. What an interrupted run has written is known, and so is what
    stood before it.
    """
    units = [one.name for one in observation.candidate.units if one.name in plan.units and one.active in _SERVES]
    paths = _unproven(observation) if plan.restart and units else []
    if not paths:
        return plan
    changed = f"{_listed(paths)} {'was' if len(paths) == 1 else 'were'} changed"
    seen = f"Restarting {plan.engine}: {_listed(units)} was started before {changed}, and has never run with what is there now."
    if wish.permit_unproven:
        return replace(plan, warnings=(*plan.warnings, f"{seen} The restart brings that in too; that is permitted."))
    return plan.refused(
        f"{seen} The restart would bring that in too, and if {plan.engine} does not start with it, there is nothing to go back to that it has run with. "
        f"Restart it yourself ('systemctl restart {' '.join(units)}') and run again, or see that the change is right and set "
        f"{wish.called('permit_unproven', 'true')}."
    )


def _unproven(observation: Observation) -> List[str]:
    noted = (observation.pending or {}).get("files") or {}
    return sorted(
        seen.path
        for seen in _READ.get(observation.engine or "", _all)(observation)
        if seen.changed_since_start
        and seen.type == "file"
        and (noted.get(seen.target) or {}).get("after", "") != seen.sha256
    )


def _all(observation: Observation) -> List[SeenFile]:
    """All files that were looked at, but for the toolkit's own, which is read whenever a container starts."""
    return [seen for path, seen in observation.files.items() if path != TOOLKIT]


def _of_containerd(observation: Observation) -> List[SeenFile]:
    """What its files import, and all of conf.d where the version's default config imports that, whether or not this main file does."""
    configs = read_configs(observation)
    every = (configs.main, *configs.imported)
    beside = posixpath.dirname(configs.drop_in)
    by_default = (parse_version(observation.version) or (0,)) >= _NAMES_CONF_D
    read = {one.seen.path for one in every}
    return [
        seen
        for path, seen in observation.files.items()
        if path in read
        or (by_default and posixpath.dirname(path) == beside and path.endswith(".toml"))
        or (
            path == configs.drop_in
            and any(reads(one.strings("imports"), posixpath.dirname(one.seen.path), path) for one in every)
        )
    ]


def _of_rancher(observation: Observation) -> List[SeenFile]:
    """Not what they generate themselves at each start, nor copies that nobody reads."""
    read = (".yaml", ".yml", ".toml", ".tmpl")
    return [
        seen for seen in _all(observation) if seen.path.lower().endswith(read) and seen.path != observation.config_path
    ]


def _of_microk8s(observation: Observation) -> List[SeenFile]:
    """Not what it makes of its template at each start."""
    return [seen for seen in _all(observation) if posixpath.basename(seen.path) != "containerd.toml"]


_READ: Dict[str, Callable[[Observation], List[SeenFile]]] = {
    "containerd": _of_containerd,
    "k3s": _of_rancher,
    "rke2": _of_rancher,
    "microk8s": _of_microk8s,
}


def _listed(names: Sequence[str]) -> str:
    return " and ".join(part for part in (", ".join(names[:-1]), names[-1]) if part)
