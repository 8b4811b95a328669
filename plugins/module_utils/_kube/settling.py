# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting until no pod is on its way to a cordoned node any more. PRIVATE to the collection."""

from __future__ import annotations

from typing import Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.plugin_pods import pods_on
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.step import Wave
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.plan import NodeTarget
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.pod import PodState, unknown_plugins, unsettled

#: A pod that was bound before the cordon gets so long to be admitted.
ADMISSION_SECONDS = 60.0


def settle(wave: Wave, names: Sequence[str]) -> None:
    """List the pods of cordoned nodes until none is new and each GPU pod is admitted.

    The scheduler learns of a cordon a little late, and a pod that reaches the kubelet when the plugin is gone fails for good.
    """
    session = wave.session
    seen: dict[str, set[str]] = {}
    deadline = session.clock.monotonic() + ADMISSION_SECONDS
    open_names = list(names)
    while open_names:
        session.fence.check()
        lists = wave.in_parallel(lambda name: pods_on(session.api, name), open_names)
        late = session.clock.monotonic() >= deadline
        for name, pods in lists.items():
            uids, waiting = {pod.uid for pod in pods}, unsettled(pods)
            stable = name in seen and uids <= seen[name]
            seen[name] = uids
            if stable and not waiting:
                accept(wave, name, pods)
            elif late:
                wave.fail(name, not_settled(waiting))
            else:
                continue
            open_names.remove(name)
        if open_names:
            session.clock.sleep(session.params["settle_seconds"])


def not_settled(waiting: Sequence[PodState], trouble: str = "") -> str:
    """Why the node could not be taken for quiet.

    :param trouble: why its pods could not be looked at.
    """
    if trouble and not waiting:
        return (
            f"it was not seen within {ADMISSION_SECONDS:g} s whether more pods are on their way to the node: {trouble} The node stays "
            "cordoned."
        )
    listed = ", ".join(pod.describe() for pod in waiting[:5]) or "new pods keep arriving"
    return (
        f"pods bound to the node were not admitted within {ADMISSION_SECONDS:g} s: {listed}. Look at the node's "
        "kubelet, then run again. The node stays cordoned."
    )


def accept(wave: Wave, name: str, pods: Sequence[PodState]) -> None:
    """The pods of a node that is at rest: count them, and refuse it if a plugin is among them that the plan does not know."""
    wave.results[name].facts["gpu_pods"] = sum(pod.gpu_requests and not pod.finished for pod in pods)
    stranger = describe_stranger(wave.targets[name], pods)
    if stranger:
        wave.fail(name, f"{stranger} The node stays cordoned.")
    else:
        wave.end(name)


def describe_stranger(target: NodeTarget, pods: Sequence[PodState]) -> str:
    """What to say about a plugin that the plan does not know; "" if there is none."""
    strangers = [] if target.as_is else unknown_plugins(pods, *target.foreign)
    if not strangers:
        return ""
    return (
        f"a device plugin that the plan does not know is on the node ({strangers[0].describe()}). Two plugins on one node end "
        "with no GPU at all. Make a new plan."
    )
