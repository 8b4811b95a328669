# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection's errors. PRIVATE to the collection.

Helpers raise; only a module's ``main()`` or an action plugin's ``run()`` turns an error into a failure.
"""

from __future__ import annotations

from typing import Any, Sequence


class KubeGpuError(Exception):
    """Something the operator has to know, in three parts: what was attempted on which object, what was observed, what to do.

    :param msg: the whole message, ready to be shown.
    :param facts: structured details that go beside ``msg`` into the task's result.
    """

    def __init__(self, msg: str, **facts: Any) -> None:
        super().__init__(msg)
        self.msg = msg
        self.facts = facts


class InputError(KubeGpuError):
    """The input as a whole was refused. Carries every problem that was found, not only the first one.

    :param what: what was read, for example "kubegpu_sharing_configs".
    :param problems: one sentence each: where, the value, the cure.
    """

    def __init__(self, what: str, problems: Sequence[str], **facts: Any) -> None:
        count = len(problems)
        noun = "problem" if count == 1 else "problems"
        listed = "\n".join(f"  {number}. {problem}" for number, problem in enumerate(problems, start=1))
        super().__init__(f"{what}: {count} {noun}, nothing was changed.\n{listed}", problems=list(problems), **facts)
        self.problems = list(problems)
