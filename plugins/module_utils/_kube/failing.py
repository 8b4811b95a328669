# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Noting on nodes what failed on their hosts, which no step on the API has seen. PRIVATE to the collection."""

from __future__ import annotations

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import InputError
from ansible_collections.kubegpu.sharing.plugins.module_utils._core.outcome import Outcome
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.step import Session, Wave
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.decision import done
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.plan import RolloutPlan

#: As it stands in notes, journal and Events.
STEP = "host steps"


def note_failures(session: Session, plan: RolloutPlan) -> Outcome:
    """Take the nodes that have a reason for failed, and say so in their notes, in the journal and by Events.

    :raises InputError: a reason is given for a node that is not among the nodes.
    """
    failures = {str(name): str(reason) for name, reason in session.params["failures"].items() if reason}
    wave = Wave(session, plan, STEP)
    strangers = sorted(set(failures) - set(wave.names))
    if strangers:
        raise InputError("failures", [f"{', '.join(strangers)}: not among the nodes of this call. Name them in nodes."])
    if not session.check_mode:
        wave.write(wave.observe(), lambda _node, _target: done("nothing but its note is written"))
    for name, reason in failures.items():
        wave.fail(name, reason)
    return wave.outcome()
