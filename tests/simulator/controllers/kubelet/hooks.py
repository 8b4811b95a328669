"""What NVIDIA's container runtime hook makes of a container. Pure."""

from __future__ import annotations

from typing import Any

Object = dict[str, Any]
MONITOR = "NVIDIA_MIG_MONITOR_DEVICES"
_TASK = (
    "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: "
    "unable to start container process: error during container init: error running prestart hook #0: "
    "exit status {code}, stdout: , stderr: Auto-detected mode as 'legacy'\n{text}: unknown"
)


def is_privileged(container: Object) -> bool:
    return bool((container.get("securityContext") or {}).get("privileged"))


def has_sys_admin(container: Object) -> bool:
    """Whether CAP_SYS_ADMIN is among the capabilities that the container gets."""
    capabilities = (container.get("securityContext") or {}).get("capabilities") or {}
    added = {str(name).upper().removeprefix("CAP_") for name in capabilities.get("add") or []}
    return is_privileged(container) or bool(added & {"SYS_ADMIN", "ALL"})


def may_monitor_mig(container: Object, environment: dict[str, str]) -> bool:
    """Whether NVML tells the container of all MIG devices: the monitor capability's device has to be let in.

    A privileged container has every device; others need the environment variable, which the hook honours only where
    there is CAP_SYS_ADMIN.
    """
    return is_privileged(container) or (has_sys_admin(container) and environment.get(MONITOR, "") != "")


def hook_problem(container: Object, environment: dict[str, str], missing: tuple[str, ...] = ()) -> str | None:
    """Why the container cannot start; ``missing`` are devices of its allocation that do not exist any more."""
    if environment.get(MONITOR, "") and not has_sys_admin(container):
        return _TASK.format(code=2, text="panic: cannot set MIG_MONITOR_DEVICES in non privileged container")
    if missing:
        return _TASK.format(code=1, text=f"nvidia-container-cli: device error: {missing[0]}: unknown device")
    return None
