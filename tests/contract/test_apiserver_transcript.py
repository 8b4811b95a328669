# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The simulated API server answers as a real one did: a recording is replayed in order against a fresh server.

Core entries must match in status, reason, message and body. Of the others those that match are counted; run pytest
with ``-rP`` to see which do not.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from contract.transcript.replay import Result, replay_all

TRANSCRIPT = Path(__file__).parent / "transcript" / "transcript.json"
EXCHANGES: list[dict[str, Any]] = json.loads(TRANSCRIPT.read_text(encoding="utf-8"))["exchanges"]
GROUPS = list(dict.fromkeys(entry["group"] for entry in EXCHANGES))

PROTOBUF = "protobuf is not served: bodies are answered 415, and JSON is given where the client lists it too"
OLD_ETCD = (
    "left over from the recording: its etcd was slow or lacked a feature, and the watch began with an ERROR event"
)
NOT_SERVED = {
    "crd/protobuf-accept": PROTOBUF,
    "negotiation/accept-protobuf": PROTOBUF,
    "negotiation/accept-protobuf-then-json-error": PROTOBUF,
    "negotiation/protobuf-create": PROTOBUF,
    "negotiation/protobuf-malformed": PROTOBUF,
    "negotiation/metadata-watch": OLD_ETCD,
    "watch/send-initial-events": OLD_ETCD,
    "watch/single-object": OLD_ETCD,
    "watch/watch-table": OLD_ETCD,
    "discovery/openapi-v3-index": "no schema documents are served; clients are told not to validate by schema",
    "discovery/readyz-verbose": "the names of the checks are those of another program",
    "pods/resources-immutable": "the message ends with a diff of Go structures",
    "pods/spec-immutable": "the message ends with a diff of Go structures",
}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> list[Result]:
    return asyncio.run(replay_all(EXCHANGES, NOT_SERVED, tmp_path_factory.mktemp("transcript")))


def _mismatches(results: list[Result], kind: str, group: str | None = None) -> list[str]:
    return [
        f"{result.name}: {'; '.join(result.problems)}"
        for result in results
        if result.problems and result.entry.get(kind) and group in (None, result.entry["group"])
    ]


def test_not_served_names_recorded_entries() -> None:
    names = {f"{entry['group']}/{entry['name']}" for entry in EXCHANGES}
    assert set(NOT_SERVED) <= names


@pytest.mark.slow
def test_replay_setup_steps_succeed(results: list[Result]) -> None:
    """A step that goes wrong here spoils what is compared after it."""
    assert _mismatches(results, "setup") == []


@pytest.mark.slow
@pytest.mark.parametrize("group", [group for group in GROUPS if group != "events"])
def test_core_answers_match_the_recording(results: list[Result], group: str) -> None:
    assert _mismatches(results, "core", group) == []


@pytest.mark.slow
def test_other_answers_are_counted(results: list[Result], record_property: Any) -> None:
    """For information: these are details that few clients look at."""
    others = [result for result in results if not result.entry.get("core") and not result.entry.get("setup")]
    served = [result for result in others if result.name not in NOT_SERVED]
    matching = [result for result in served if not result.problems]
    record_property("matching", f"{len(matching)} of {len(served)}")
    print(f"{len(matching)} of {len(served)} further answers match; {len(others) - len(served)} are not served")
    for result in served:
        if result.problems:
            print(f"  {result.name}: {'; '.join(result.problems)[:300]}")
    assert matching
