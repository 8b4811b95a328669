"""How a process's cgroup is spelled in /proc/<pid>/cgroup. Pure."""

from __future__ import annotations

V1_CONTROLLERS = (
    "misc",
    "cpuset",
    "perf_event",
    "blkio",
    "pids",
    "memory",
    "net_cls,net_prio",
    "freezer",
    "devices",
    "cpu,cpuacct",
)


def cgroup_path(
    pod_uid: str, container_id: str, qos: str, driver: str = "systemd", runtime: str = "cri-containerd"
) -> str:
    """The path under the cgroup root. Guaranteed pods lie directly under kubepods."""
    level = "" if qos == "Guaranteed" else qos.lower()
    if driver == "cgroupfs":
        return "/".join(part for part in ("/kubepods", level, f"pod{pod_uid}", container_id) if part)
    uid = pod_uid.replace("-", "_")
    slices = ["/kubepods.slice"]
    if level:
        slices.append(f"kubepods-{level}.slice")
        slices.append(f"kubepods-{level}-pod{uid}.slice")
    else:
        slices.append(f"kubepods-pod{uid}.slice")
    return "/".join([*slices, f"{runtime}-{container_id}.scope"])


def unit_path(unit: str) -> str:
    """The path of a systemd service of the host."""
    return f"/system.slice/{unit}"


def cgroup_file(path: str, version: int = 2) -> str:
    """The text of /proc/<pid>/cgroup."""
    if version == 2:
        return f"0::{path}\n"
    lines = [f"{len(V1_CONTROLLERS) + 1 - number}:{names}:{path}" for number, names in enumerate(V1_CONTROLLERS)]
    return "\n".join([*lines, f"1:name=systemd:{path}", "0::/"]) + "\n"
