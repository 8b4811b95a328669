# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which engine is planned by what. PRIVATE to the collection."""

from __future__ import annotations

from importlib import import_module
from typing import Dict, List, Protocol, Tuple

from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.observation import Observation
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.plan import RuntimePlan
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.wish import Wish


class Engine(Protocol):
    """Plans for one engine. Total: what cannot be done is a problem of the plan, never an exception."""

    def __call__(self, wish: Wish, observation: Observation) -> RuntimePlan:
        """What the wish needs on the node that was observed."""


#: Name of the engine to the module of this package that has its ``plan``. Imported when it is needed: some read TOML.
MODULES: Dict[str, str] = {
    "containerd": "containerd",
    "crio": "crio",
    "docker": "docker",
    "k3s": "k3s",
    "rke2": "rke2",
    "microk8s": "microk8s",
}


#: Options of a wish that only some engines act on: which ones, and what that means where the wish sets one for another engine.
_ACTING: Dict[str, Tuple[Tuple[str, ...], str]] = {
    "take_over": (("containerd", "crio"), "no file of others is replaced here"),
    "restore_runc": (("containerd",), "a runc whose program was replaced is put right by hand here"),
}


def passed_over(wish: Wish, name: str) -> List[str]:
    """A sentence on each option that is set and that the engine of that name does not act on."""
    return [
        f"{wish.called(option)} says something with {' and '.join(acting)} only: with {name}, {instead}."
        for option, (acting, instead) in _ACTING.items()
        if wish.present and getattr(wish, option) and name not in acting
    ]


def engine(name: str) -> Engine:
    """The planning function of an engine.

    :raises KeyError: there is no such engine.
    """
    planner: Engine = import_module(f".{MODULES[name]}", __package__).plan
    return planner
