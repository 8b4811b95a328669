"""The READY, STATUS and RESTARTS columns of pods, after the rules of kubectl's printer."""

from __future__ import annotations

from typing import Any

Object = dict[str, Any]


def ready_containers(pod: Object) -> str:
    statuses = (pod.get("status") or {}).get("containerStatuses") or []
    ready = sum(1 for status in statuses if status.get("ready") and "running" in (status.get("state") or {}))
    return f"{ready}/{len(pod['spec'].get('containers') or [])}"


def pod_restarts(pod: Object) -> str:
    statuses = (pod.get("status") or {}).get("containerStatuses") or []
    return str(sum(status.get("restartCount", 0) for status in statuses))


def pod_status(pod: Object) -> str:
    """A reason of the pod or of its containers wins over the phase; a deleted pod is Terminating."""
    status = pod.get("status") or {}
    reason = status.get("reason") or status.get("phase", "")
    for condition in status.get("conditions") or []:
        if condition["type"] == "PodScheduled" and condition.get("reason") == "SchedulingGated":
            reason = "SchedulingGated"
    for container in reversed(status.get("containerStatuses") or []):
        reason = _container_reason(container.get("state") or {}) or reason
    if "deletionTimestamp" in pod["metadata"]:
        return "Unknown" if status.get("reason") == "NodeLost" else "Terminating"
    return str(reason)


def _container_reason(state: Object) -> str:
    waiting, terminated = state.get("waiting"), state.get("terminated")
    if waiting and waiting.get("reason"):
        return str(waiting["reason"])
    if terminated:
        return str(terminated.get("reason") or f"ExitCode:{terminated.get('exitCode', 0)}")
    return ""
