# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Argument specs that can be merged, their constraints with them. PRIVATE to the collection."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Callable

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import KubeGpuError
from ansible_collections.kubegpu.sharing.plugins.module_utils._core.outcome import Outcome


@dataclass(frozen=True)
class ArgumentSpec:
    """Options of a module and what must hold between them.

    :param options: as AnsibleModule's ``argument_spec``.
    :param logged: the host's system log tells with which options the module was called. Not where those are whole files of others,
        which may hold passwords.
    """

    options: dict[str, dict[str, Any]] = field(default_factory=dict)
    mutually_exclusive: list[tuple[str, ...]] = field(default_factory=list)
    required_together: list[tuple[str, ...]] = field(default_factory=list)
    required_one_of: list[tuple[str, ...]] = field(default_factory=list)
    required_if: list[tuple[Any, ...]] = field(default_factory=list)
    logged: bool = True

    def merge(self, other: ArgumentSpec) -> ArgumentSpec:
        """Both specs as one; an option of ``other`` wins over one of the same name."""
        return ArgumentSpec(
            options={**self.options, **other.options},
            mutually_exclusive=[*self.mutually_exclusive, *other.mutually_exclusive],
            required_together=[*self.required_together, *other.required_together],
            required_one_of=[*self.required_one_of, *other.required_one_of],
            required_if=[*self.required_if, *other.required_if],
            logged=self.logged and other.logged,
        )

    def create_module(self) -> AnsibleModule:
        """The AnsibleModule. Every module of the collection supports check mode."""
        return AnsibleModule(
            argument_spec=self.options,
            mutually_exclusive=self.mutually_exclusive,
            required_together=self.required_together,
            required_one_of=self.required_one_of,
            required_if=self.required_if,
            supports_check_mode=True,
            no_log=not self.logged,
        )


def run_module(module: AnsibleModule, work: Callable[[], Outcome]) -> None:
    """Do a module's work and leave: the one place where an Outcome or a KubeGpuError becomes an Ansible result.

    Other exceptions go through, so that Ansible shows their traceback.
    """
    try:
        outcome = work()
    except KubeGpuError as error:
        module.fail_json(msg=error.msg, **error.facts)
    result = outcome.to_result()
    # Ansible wants to be told of these one by one, and puts them into the result itself.
    for text in result.pop("warnings", ()):
        module.warn(text)
    module.exit_json(**result)
