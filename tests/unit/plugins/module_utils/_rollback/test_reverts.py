# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import copy
from typing import Any

import pytest

from ansible_collections.kubegpu.sharing.plugins.module_utils._rollback.reverts import (
    Revert,
    decide_revert,
    read_reverts,
    undo,
)

DAEMONSET = "kube-system/plugin"
STAY_AWAY = {"key": "kubegpu.sharing/revision", "operator": "DoesNotExist"}
TERMS = [{"matchExpressions": [STAY_AWAY]}]
OURS = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": TERMS}}}
ROLLING = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1}}


def foreign(affinity: Any = None, **more: Any) -> dict[str, Any]:
    """An entry of a snapshot of a version that did not record the patch."""
    spec = {"updateStrategy": ROLLING, "template": {"spec": {"affinity": affinity, "nodeSelector": {"gpu": "yes"}}}}
    return {"daemonset": DAEMONSET, "uid": "u", "owner": "Helm", "method": "affinity", "spec": spec, **more}


def live(affinity: Any, strategy: str = "OnDelete", **more: Any) -> dict[str, Any]:
    return {
        "metadata": {"uid": "u", "generation": 4, "resourceVersion": "9"},
        "spec": {
            "updateStrategy": {"type": strategy},
            "template": {"spec": {"affinity": affinity, "nodeSelector": {"gpu": "yes"}}},
        },
        "status": {"observedGeneration": 4, "currentNumberScheduled": 3, "updatedNumberScheduled": 3},
        **more,
    }


def revert(affinity: Any = None) -> Revert:
    (one,) = read_reverts([foreign(affinity)])
    return one


def test_a_snapshot_without_the_patch_yields_the_one_that_was_made() -> None:
    assert revert().ours["template"]["spec"]["affinity"] == OURS
    assert read_reverts([foreign(method="label")]) == []
    assert read_reverts([foreign(patch=None)]) == []
    assert Revert.from_dict(revert().to_dict()) == revert()


@pytest.mark.parametrize(
    ("have", "before", "patch"),
    [
        pytest.param(OURS, None, {"affinity": None}, id="all of it was ours"),
        pytest.param(
            {**OURS, "podAffinity": {"x": 1}}, None, {"affinity": {"nodeAffinity": None}}, id="another field came since"
        ),
        pytest.param(None, None, None, id="gone already"),
        pytest.param({"nodeAffinity": {"y": 1}}, None, None, id="somebody has made another of it"),
    ],
)
def test_affinity_goes_back_where_it_still_holds_our_value(have: Any, before: Any, patch: Any) -> None:
    decision = decide_revert(revert(before), live(have), {})
    if patch is None:
        assert decision.what != "affinity"
    else:
        assert decision.patch == {"spec": {"template": {"spec": patch}}}


def test_terms_that_were_there_before_come_back() -> None:
    terms = [{"matchExpressions": [{"key": "zone", "operator": "Exists"}]}]
    before = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}}
    one = revert(before)
    have = copy.deepcopy(one.ours["template"]["spec"]["affinity"])
    assert decide_revert(one, live(have), {}).patch == {"spec": {"template": {"spec": {"affinity": before}}}}


def test_affinity_stays_while_a_node_would_get_a_second_plugin() -> None:
    bearers = {"gpu-2": {"gpu": "yes", "kubegpu.sharing/revision": "0a"}}
    decision = decide_revert(revert(), live(OURS), bearers)
    assert decision.patch is None
    assert "the first is gpu-2" in decision.left[0]
    elsewhere = {"gpu-2": {"gpu": "no", "kubegpu.sharing/revision": "0a"}}
    assert decide_revert(revert(), live(OURS), elsewhere).patch is not None


def test_affinity_stays_where_its_change_would_be_rolled_over_all_nodes() -> None:
    decision = decide_revert(revert(), live(OURS, "RollingUpdate"), {})
    assert decision.patch is None
    assert "no longer OnDelete" in decision.left[0]


def test_strategy_follows_once_all_pods_are_of_the_template() -> None:
    assert decide_revert(revert(), live(None), {}).patch == {"spec": {"updateStrategy": ROLLING}}
    counts = {"observedGeneration": 4, "currentNumberScheduled": 3, "updatedNumberScheduled": 1}
    decision = decide_revert(revert(), live(None, status=counts), {})
    assert decision.patch is None
    assert "2 of 3 of its pods" in decision.left[0]
    unseen = {**counts, "observedGeneration": 3, "updatedNumberScheduled": 3}
    assert decide_revert(revert(), live(None, status=unseen), {}).patch is None


@pytest.mark.parametrize("there", [None, {"metadata": {"uid": "another"}, "spec": {}}])
def test_a_daemonset_that_is_gone_or_new_was_never_changed_by_us(there: Any) -> None:
    decision = decide_revert(revert(), there, {})
    assert (decision.patch, list(decision.left)) == (None, [])


def test_undo_leaves_what_does_not_hold_our_value() -> None:
    assert undo({"a": 1, "b": 2}, {"a": 1, "b": 3}, {"a": 0}) == {"a": 0}
    assert undo({}, {"a": {"b": 1}}, {}) == {}
