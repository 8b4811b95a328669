# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plan the nvidia runtime of a k3s or RKE2 node. Pure. PRIVATE to the collection."""

from __future__ import annotations

from typing import List, Optional

from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.draft import (
    HEADER,
    Draft,
    running_units,
    version_of,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.k3s_config import (
    DEFAULT_RUNTIME,
    DEFAULT_RUNTIME_SINCE,
    DROP_IN,
    Containerd,
    Distribution,
    Options,
    has,
    options_beside,
    read_containerd,
    read_options,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.k3s_runtimes import (
    add_runtime,
    finds_by_itself,
    found_at_start,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.laws import whole
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.observation import Observation
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.own_files import own_steps
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.plan import Guard, Probe, RuntimePlan
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.templates import BASE
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.toolkit_config import add_toolkit_config
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.wish import Wish

SOCKET = "/run/k3s/containerd/containerd.sock"
K3S = Distribution("k3s", ("k3s", "kubectl"))


def plan(wish: Wish, observation: Observation) -> RuntimePlan:
    """See ``engines.Engine``."""
    return plan_for(K3S, wish, observation)


def plan_for(distribution: Distribution, wish: Wish, observation: Observation) -> RuntimePlan:
    """The same for both distributions."""
    draft = Draft(distribution.name, wish, observation)
    containerd = read_containerd(draft, distribution)
    options = read_options(draft, distribution)
    said = [one for one in options if one.value(DEFAULT_RUNTIME) is not None]
    draft.kept.update(
        {
            "runtimes": sorted(containerd.runtimes),
            "default_runtime": said[-1].value(DEFAULT_RUNTIME) if said else None,
            "config_version": containerd.schema,
            "imported": containerd.imported,
            "template": containerd.template.path if containerd.template else None,
        }
    )
    # By its option it takes what it found itself, and does not start if that is nothing.
    by_option = finds_by_itself(draft)
    if wish.present:
        _refuse_other_engine(draft, options)
    elif found_at_start(draft) and wish.name in containerd.runtimes:
        draft.notes.append(
            f"{distribution.name} finds {found_at_start(draft)} by itself and keeps the runtime {wish.name}, until NVIDIA's container toolkit "
            "is uninstalled."
        )
    _decide_default(draft, containerd, distribution, said if by_option else [])
    add_runtime(draft, containerd, default=wish.default and not by_option)
    add_toolkit_config(draft)
    _decide_restart(draft, containerd)
    probe = Probe(distribution.name, observation.socket or SOCKET, wish.restart_seconds)
    return draft.plan(probe, _guards(draft, distribution))


def _refuse_other_engine(draft: Draft, options: List[Options]) -> None:
    for name in ("docker", "container-runtime-endpoint"):
        values = [(one.path, one.value(name)) for one in options] + [("the unit", draft.flag(name))]
        for where, value in values:
            if value is not None and value.lower() != "false":
                draft.problems.append(
                    f"Preparing {draft.engine}'s own containerd: {where} sets {name}, so that pods do not run in it. Set "
                    f"{draft.wish.called('engine')} to the one that they run in (containerd, crio or docker)."
                )


def _decide_default(draft: Draft, containerd: Containerd, distribution: Distribution, said: List[Options]) -> None:
    """Our drop-in of config.yaml, where the option is not set by others already."""
    name, observation = draft.wish.name, draft.observation
    text: Optional[str] = None
    flag = draft.flag(DEFAULT_RUNTIME)
    path = "a flag of the unit" if flag is not None else said[-1].path if said else ""
    value = flag if flag is not None else said[-1].value(DEFAULT_RUNTIME) if said else None
    known = has(version_of(observation.version), DEFAULT_RUNTIME_SINCE) is not False
    if draft.wish.present and value == name and known:
        draft.notes.append(f"{name} is the default runtime by {path}. It stays so.")
    elif draft.wish.present and draft.wish.default and finds_by_itself(draft):
        _refuse_default(draft, distribution, said, containerd)
        text = f"{HEADER}\n{DEFAULT_RUNTIME}: {name}\n"
        if value is not None:
            draft.warnings.append(
                f"{path} says {DEFAULT_RUNTIME}: {value}. Our {distribution.drop_in} is read after it and counts; it will be as "
                "it was once ours is taken out."
            )
    edited = whole(observation.file(distribution.drop_in), text, draft.wish.present)
    done = f"make {name} the default runtime" if text else f"take back {DEFAULT_RUNTIME}"
    for step in own_steps(draft, edited, done, options_beside(edited.seen, DEFAULT_RUNTIME)):
        draft.add(step)


def _refuse_default(draft: Draft, distribution: Distribution, said: List[Options], containerd: Containerd) -> None:
    name, engine = draft.wish.name, draft.engine
    making = f"Making {name} the default runtime"
    if has(version_of(draft.observation.version), DEFAULT_RUNTIME_SINCE) is False:
        draft.problems.append(
            f"{making}: {engine} {draft.observation.version} does not know {DEFAULT_RUNTIME} and passes it over. Upgrade to "
            "v1.28.5 or newer, or use a RuntimeClass."
        )
    if draft.observation.binary(draft.wish.binary).get("exists") is False:
        draft.problems.append(
            f"{making}: {engine} looks for its executable at every start, and does not start at all if the default runtime's is "
            f"missing, as {draft.wish.binary} is. Install NVIDIA's container toolkit first."
        )
    path = containerd.leaves_out("DefaultRuntime")
    if path:
        draft.problems.append(
            f"{making}: {path} writes all of containerd's config itself and leaves the default runtime out. Begin it with "
            f"{BASE.strip()} and keep only what differs, then run this again."
        )
    flag = draft.flag(DEFAULT_RUNTIME)
    if flag is not None and flag != name:
        draft.problems.append(
            f"{making}: the unit starts {engine} with --{DEFAULT_RUNTIME}={flag}, which beats all files. Take the flag out of the "
            f"unit, or set {draft.wish.called('default', 'false')}."
        )
    given = draft.flag("config") or draft.flag("c", short=True)
    if given and given != distribution.config:
        draft.problems.append(
            f"{making}: the unit starts {engine} with the config file {given}, beside which our drop-in would have to stand. Say "
            f"'{DEFAULT_RUNTIME}: {name}' there, or take the flag out of the unit."
        )
    for one in said:
        if one.path > distribution.drop_in and one.value(DEFAULT_RUNTIME) != name:
            draft.problems.append(
                f"{making}: {one.path} is read after our {DROP_IN}.yaml and says {DEFAULT_RUNTIME}: {one.value(DEFAULT_RUNTIME)}. "
                f"Take that out there, or set {draft.wish.called('default', 'false')}."
            )


def _decide_restart(draft: Draft, containerd: Containerd) -> None:
    """An executable that came after the last start is found at the next one only."""
    wish = draft.wish
    if not wish.present or wish.name in containerd.runtimes or draft.problems or not finds_by_itself(draft):
        return
    if any(step.edited.text and step.edited.seen.path.endswith(".toml") for step in draft.steps if step.whole):
        return
    path = containerd.leaves_out("ExtraRuntimes")
    if path:
        draft.problems.append(
            f"Adding {wish.name}: {draft.engine} finds {wish.binary} at its start and would write its table, but {path} writes all of "
            f"containerd's config itself and leaves that out. Begin it with {BASE.strip()} and keep only what differs, then run this "
            "again."
        )
    elif draft.restarts:
        return
    elif draft.observation.binary(wish.binary).get("exists"):
        draft.restart_for = f"it looks for {wish.binary} at its start only"
    else:
        draft.notes.append(f"{draft.engine} will find {wish.binary} at its first start after it was installed.")


def _guards(draft: Draft, distribution: Distribution) -> List[Guard]:
    """A server's restart takes its etcd along: the others have to be enough."""
    servers = [unit for unit in running_units(draft.observation) if not unit.name.endswith("-agent.service")]
    if draft.observation.role != "server" and not (draft.observation.role is None and servers):
        return []
    labels = ("-l", "node-role.kubernetes.io/etcd=true", "-o", "json")
    return [Guard("quorum", (*distribution.kubectl, "get", "nodes", *labels))]
