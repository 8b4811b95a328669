# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What must hold on a node right before its runtime is restarted. PRIVATE to the collection.

A server of K3s or RKE2 takes its member of the cluster's database along. One at a time may be away, and only if all others are there.
"""

from __future__ import annotations

import json
import socket
import time
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host import commands

_ASK_SECONDS = 20.0
_POLL_SECONDS = 1.0
_QUORUM = "quorum"


def problems_before(guards: Sequence[Mapping[str, Any]]) -> List[str]:
    """Why the restart must not be now."""
    return [problem for guard in guards for problem in [_before(guard)] if problem]


def wait_after(guards: Sequence[Mapping[str, Any]], deadline: float) -> Optional[str]:
    """Wait until this node is seen as ready again; what is not well when the time is over."""
    while True:
        problem = next((one for one in map(_after, guards) if one), None)
        if problem is None or time.monotonic() >= deadline:
            return problem
        time.sleep(_POLL_SECONDS)


def _before(guard: Mapping[str, Any]) -> Optional[str]:
    if guard.get("kind") != _QUORUM:
        return f"The plan asks for a guard of the kind {guard.get('kind')!r}, which this module does not know. Use one collection for both."
    ready, problem = _members(guard)
    if problem:
        return f"Whether the other servers of the cluster can do without this one is not known: {problem}"
    own = _own_name(guard, ready)
    away = sorted(name for name, is_ready in ready.items() if not is_ready and name != own)
    if away:
        it = "it" if len(away) == 1 else "them"
        return (
            f"Restarting this server would leave {len(ready) - len(away) - 1} of {len(ready)} members of the cluster's database: "
            f"{', '.join(away)} {'is' if len(away) == 1 else 'are'} not ready. Bring {it} back first, or take {it} out of the "
            "cluster."
        )
    return None


def _after(guard: Mapping[str, Any]) -> Optional[str]:
    ready, problem = _members(guard)
    if problem:
        return problem
    own = _own_name(guard, ready)
    if own in ready and not ready[own]:
        return f"The node {own} is not ready yet."
    return None


def _members(guard: Mapping[str, Any]) -> Tuple[Dict[str, bool], Optional[str]]:
    done = commands.run([str(word) for word in guard.get("argv") or ()] or ["false"], _ASK_SECONDS)
    if done.rc:
        return {}, done.complaint()
    try:
        return {one["metadata"]["name"]: _is_ready(one) for one in json.loads(done.stdout)["items"]}, None
    except (ValueError, KeyError, TypeError) as error:
        return {}, f"{' '.join(done.argv)} answered no list of nodes ({error})."


def _is_ready(node: Mapping[str, Any]) -> bool:
    conditions = (node.get("status") or {}).get("conditions") or []
    return any(one.get("type") == "Ready" and one.get("status") == "True" for one in conditions)


def _own_name(guard: Mapping[str, Any], ready: Mapping[str, bool]) -> str:
    """Of the node itself. A name that nobody has is nobody's excuse: then all members count as others."""
    given = guard.get("node")
    names = (
        [str(given)]
        if given
        else [socket.gethostname(), socket.gethostname().lower(), socket.gethostname().partition(".")[0]]
    )
    return next((name for name in names if name in ready), names[0])
