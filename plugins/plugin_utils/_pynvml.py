# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring pynvml to nodes that lack it. PRIVATE to the collection."""

from __future__ import annotations

import importlib.util
from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import KubeGpuError


def run_with_pynvml(
    action: ActionBase, module_name: str, module_args: dict[str, Any], task_vars: dict[str, Any]
) -> dict[str, Any]:
    """Run a module; if the node has no usable pynvml, which is found out before anything else, run it again with ours.

    :raises KubeGpuError: the control node has none either.
    """
    result: dict[str, Any] = action._execute_module(
        module_name=module_name, module_args=module_args, task_vars=task_vars
    )
    problem = result.get("pynvml_problem")
    if not result.get("failed") or not problem or module_args.get("pynvml_path"):
        return result
    source = _find_pynvml(task_vars.get("inventory_hostname", "the node"), problem)
    try:
        remote = _send(action, source)
        again: dict[str, Any] = action._execute_module(
            module_name=module_name, module_args={**module_args, "pynvml_path": remote}, task_vars=task_vars
        )
        return again
    finally:
        action._remove_tmp_path(action._connection._shell.tmpdir)


def start_with_pynvml(
    action: ActionBase, module_name: str, module_args: dict[str, Any], task_vars: dict[str, Any]
) -> dict[str, Any]:
    """Start a module in the background. When it finds no pynvml nobody is there to run it again, so ours goes along.

    :returns: the job. Its directory on the node, with our pynvml in it, is removed when the job has ended.
    """
    spec = importlib.util.find_spec("pynvml")
    if spec is not None and _is_file(spec.origin) and not module_args.get("pynvml_path"):
        module_args = {**module_args, "pynvml_path": _send(action, str(spec.origin))}
    started: dict[str, Any] = action._execute_module(
        module_name=module_name, module_args=module_args, task_vars=task_vars, wrap_async=True
    )
    return started


def _send(action: ActionBase, source: str) -> str:
    """Send the file to the node; where it is there."""
    shell = action._connection._shell
    if shell.tmpdir is None:
        action._make_tmp_path()
    remote: str = shell.join_path(shell.tmpdir, "pynvml.py")
    action._transfer_file(source, remote)
    # when the module becomes another user, that user has to be able to read the file
    action._fixup_perms2((shell.tmpdir, remote))
    return remote


def _is_file(origin: str | None) -> bool:
    """Whether what was found is NVIDIA's single file."""
    return bool(origin and origin.endswith("pynvml.py"))


def _find_pynvml(host: str, problem: str) -> str:
    """The control node's pynvml.py."""
    spec = importlib.util.find_spec("pynvml")
    if spec is None or not spec.origin or not _is_file(spec.origin):
        found = (
            "has none"
            if spec is None
            else f"has a package of that name at {spec.origin}, which is not NVIDIA's single file"
        )
        raise KubeGpuError(
            f"Reading the GPUs of {host} needs the Python module pynvml: on the node, {problem}; the control node {found}. "
            "Install nvidia-ml-py (12.550.52 or later) for the Python that runs Ansible.",
            pynvml_problem=problem,
        )
    return spec.origin
