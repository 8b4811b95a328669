# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest
from unit.plugins.module_utils._plan import fleet

from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.facts import FactReader, NoFactsError

LABELLED = fleet.node(labels=fleet.labelled("Tesla-T4-SHARED", 15360, 2))
BARE = fleet.node(labels={})


def unavailable(code: str) -> dict[str, Any]:
    return {"nvml_available": False, "reason_code": code, "reason": f"reason for {code}.", "gpus": []}


def test_read_nvml_facts_of_every_gpu() -> None:
    facts = FactReader("auto").read(LABELLED, fleet.host_facts([fleet.gpu("NVIDIA L20"), fleet.gpu("Tesla T4", 1)]))
    assert (facts.source, facts.confidence) == ("nvml", "read on the node")
    assert [card.product for card in facts.cards] == ["nvidia l20", "tesla t4"]
    assert (facts.smallest.total_mib, facts.smallest.usable_mib) == (15360, 14960)


def test_read_labels_where_the_host_was_not_read() -> None:
    facts = FactReader("auto").read(LABELLED, None)
    assert facts.source == "labels"
    assert "what runs on the cards is unknown" in facts.confidence
    assert [card.product for card in facts.cards] == ["tesla t4"] * 2
    card = facts.cards[0]
    assert (card.total_mib, card.usable_mib, card.facts["compute_capability"]) == (15360, None, "7.5")
    assert card.facts["architecture"] == "Turing"
    assert card.facts["mig"] == {"capable": False, "mode": None}


def test_read_labels_mode_does_not_look_at_hosts() -> None:
    assert FactReader("labels").read(LABELLED, fleet.host_facts([fleet.gpu("NVIDIA L20")])).source == "labels"


def test_read_library_elsewhere_falls_back_on_labels() -> None:
    assert FactReader("auto").read(LABELLED, unavailable("library_not_found")).source == "labels"


@pytest.mark.parametrize(
    ("mode", "node", "host", "reason"),
    [
        ("nodes", LABELLED, None, "the node was not read, and kubegpu_facts is nodes"),
        ("auto", BARE, None, "the node was not read, and it lacks the labels of GPU Feature Discovery (nvidia.com/gpu.product"),
        ("labels", BARE, None, "it lacks the labels"),
        ("auto", LABELLED, unavailable("driver_library_mismatch"), "NVML does not work on the node: reason for driver_library_mismatch."),
        ("nodes", LABELLED, unavailable("library_not_found"), "NVML does not work on the node: reason for library_not_found."),
        ("auto", BARE, unavailable("library_not_found"), "NVML was not found on the node (reason for library_not_found.), and it lacks"),
        (
            "auto",
            LABELLED,
            fleet.host_facts([fleet.gpu(), fleet.gpu(index=1, state="lost", reason="GPU 1 fell off the bus.")]),
            "GPU 1 does not answer: GPU 1 fell off the bus.",
        ),
        (
            "auto",
            LABELLED,
            fleet.host_facts([fleet.gpu(memory_total_mib=None, memory_reason="NVML does not tell it.")]),
            "GPU 0 does not answer: NVML does not tell it.",
        ),
        ("labels", fleet.node(labels=fleet.labelled("A100-MIG-1g.5gb", 4864)), None, "its labels describe MIG devices"),
        ("labels", fleet.node(labels=fleet.labelled("Tesla-T4", 0)), None, "its labels make no sense"),
    ],
)  # fmt: skip
def test_read_without_facts_says_why(mode: str, node: Any, host: Any, reason: str) -> None:
    with pytest.raises(NoFactsError) as raised:
        FactReader(mode).read(node, host)
    assert reason in str(raised.value)


def test_read_alike_gpus_share_one_card() -> None:
    reader = FactReader("auto")
    one = reader.read(BARE, fleet.host_facts([fleet.gpu(), fleet.gpu(index=1, memory_used_mib=9000)]))
    other = reader.read(BARE, fleet.host_facts([fleet.gpu(), fleet.gpu(memory_reserved_mib=401)]))
    assert one.cards[0] is one.cards[1] is other.cards[0]
    assert other.cards[1] is not one.cards[0]
