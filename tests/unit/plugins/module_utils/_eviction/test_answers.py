# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the API's answers to an eviction mean."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.kubegpu.sharing.plugins.module_utils._eviction.answers import read_refusal
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.errors import Request, broken, refused

REQUEST = Request.of("POST", "/api/v1/namespaces/default/pods/a/eviction")
NUMBERS = "The disruption budget a needs 2 healthy pods and has 2 currently"
TWO = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."


@pytest.mark.parametrize(
    ("status", "message", "details", "kind"),
    [
        (404, 'pods "a" not found', {}, "gone"),
        (409, "Precondition failed: UID in precondition: x, UID in object meta: y", {}, "gone"),
        (409, "the UID in the precondition (x) does not match the UID in record (y).", {}, "gone"),
        (409, "the object has been modified", {}, "api_trouble"),
        (429, "Cannot evict pod", {"causes": [{"reason": "DisruptionBudget", "message": NUMBERS}]}, "budget"),
        (429, "too many requests, please try again later", {}, "busy"),
        (403, "forbidden", {"causes": [{"reason": "NamespaceTerminating"}]}, "namespace_terminating"),
        (403, 'admission webhook "keep" denied the request', {}, "refused"),
        (500, TWO, {}, "more_than_one_budget"),
        (500, "etcdserver: request timed out", {}, "api_trouble"),
        (503, "apiserver not ready", {}, "api_trouble"),
        (422, "invalid", {}, "refused"),
    ],
)
def test_answers_are_told_apart(status: int, message: str, details: dict[str, Any], kind: str) -> None:
    body = json.dumps({"kind": "Status", "reason": "Reason", "message": message, "details": details})
    answer = read_refusal(refused(REQUEST, status, body, {"Retry-After": "7"} if status == 429 else {}))
    assert answer.kind == kind
    assert answer.retried is (kind in ("budget", "busy", "api_trouble"))
    assert answer.final is (kind in ("refused", "more_than_one_budget"))
    assert answer.pause == (7.0 if status == 429 else None)
    assert (NUMBERS in answer.message) is (kind == "budget")


@pytest.mark.parametrize(("reason", "unsure"), [("ConnectionLost", True), ("Timeout", True), ("Unreachable", False)])
def test_lost_answer_may_have_been_a_grant(reason: str, unsure: bool) -> None:
    answer = read_refusal(broken(REQUEST, reason, "nothing came"))
    assert (answer.kind, answer.retried, answer.unsure) == ("api_trouble", True, unsure)
