# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of mig-parted."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import yaml
from unit.plugins.module_utils._mig import cards

from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.mig_parted import read_mig_parted

# Written after the form of the file that NVIDIA ships.
FILE = """
version: v1
mig-configs:
  all-disabled:
    - devices: all
      mig-enabled: false
  all-enabled:
    - devices: all
      mig-enabled: true
      mig-devices: {}
  all-balanced:
    # A100 40GB
    - device-filter: ["0x20B010DE", "0x20B110DE"]
      devices: all
      mig-enabled: true
      mig-devices:
        "1g.5gb": 2
        "2g.10gb": 1
        "3g.20gb": 1
    # A30
    - device-filter: "0x20b710de"
      devices: all
      mig-enabled: true
      mig-devices:
        "1g.6gb": 2
        "2g.12gb": 1
    # H100
    - device-filter: "0x233010DE"
      devices: all
      mig-enabled: true
      mig-devices: {"1g.10gb": 7}
  custom:
    - devices: [0]
      mig-enabled: false
    - devices: [1, 2]
      mig-enabled: true
      mig-devices: {"1c.3g.20gb": 3}
  hopper-only:
    - device-filter: "0x233010DE"
      devices: all
      mig-enabled: true
      mig-devices: {"1g.10gb": 7}
  with-subsystem:
    - device-filter: "0x20B010DE:0x144E10DE"
      devices: all
      mig-enabled: true
      mig-devices: {"7g.40gb": 1}
"""
GPUS = (
    cards.gpu(cards.A100, index=0, pci_subsystem_id=0x144E10DE),
    cards.gpu(cards.A100, index=1, uuid="GPU-1", pci_subsystem_id=0x134F10DE),
    cards.gpu(cards.A30, index=2, uuid="GPU-2"),
)


def document(**changes: Any) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(FILE)
    loaded["mig-configs"].update(copy.deepcopy(changes))
    return loaded


@pytest.mark.parametrize(
    ("selected", "wishes"),
    [
        ("all-disabled", dict.fromkeys((0, 1, 2), (False, {}))),
        ("all-enabled", dict.fromkeys((0, 1, 2), (True, {}))),
        (
            "all-balanced",
            {
                0: (True, {"1g.5gb": 2, "2g.10gb": 1, "3g.20gb": 1}),
                1: (True, {"1g.5gb": 2, "2g.10gb": 1, "3g.20gb": 1}),
                2: (True, {"1g.6gb": 2, "2g.12gb": 1}),
            },
        ),
        ("custom", {0: (False, {}), 1: (True, {"1c.3g.20gb": 3}), 2: (True, {"1c.3g.20gb": 3})}),
        ("with-subsystem", {0: (True, {"7g.40gb": 1})}),
    ],
)
def test_read_mig_parted_selected_config_becomes_wishes(selected: str, wishes: Any) -> None:
    found = read_mig_parted("file", document(), selected, GPUS)
    assert not found.problems
    assert {index: (wish.enabled, dict(wish.counts)) for index, wish in found.by_gpu.items()} == wishes


def entry(**changes: Any) -> dict[str, Any]:
    given = {"devices": "all", "mig-enabled": True, "mig-devices": {"1g.5gb": 7}}
    given.update({name.replace("_", "-"): value for name, value in changes.items()})
    return {name: value for name, value in given.items() if value != "drop"}


@pytest.mark.parametrize(
    ("bad", "problems"),
    [
        ([], ["file.mig-configs.bad is a list without entries; give a list of them."]),
        ({}, ["file.mig-configs.bad is a mapping without entries; give a list of them."]),
        (["x"], ["[0] is a string; give a mapping with devices, device-filter, mig-enabled, mig-devices."]),
        ([entry(mig_device={})], ["[0]: unknown word 'mig-device'. Did you mean mig-devices?"]),
        ([entry(devices="drop")], ["[0].devices is nothing; give all, or a list of indices."]),
        ([entry(devices=[])], ["[0].devices is a list; give all, or a list of indices."]),
        (
            [entry(devices=[0, "1", True, -1])],
            [f"[0].devices: {one} is no index; give all, or a list of whole numbers." for one in ("'1'", "True", "-1")],
        ),
        ([entry(mig_enabled="drop")], ["[0].mig-enabled is nothing; give true or false."]),
        ([entry(mig_enabled="yes")], ["[0].mig-enabled is a string; give true or false."]),
        ([entry(mig_devices="drop")], ["[0].mig-devices is missing; give counts by profile, or {} for none."]),
        (
            [entry(mig_devices={"1g.5gb": 0})],
            ["[0].mig-devices.1g.5gb is 0; give at least 1, or leave the profile out."],
        ),
        (
            [entry(mig_enabled=False)],
            ["[0] asks for MIG devices with mig-enabled false; drop one of the two."],
        ),
        (
            [entry(device_filter="20B010DE")],
            ["[0].device-filter: '20B010DE' is no filter; give one such as 0x232910DE or 0x232910DE:0x16C110DE."],
        ),
    ],
    ids=str,
)
def test_read_mig_parted_every_config_is_checked_also_those_not_selected(bad: Any, problems: list[str]) -> None:
    found = read_mig_parted("file", document(bad=bad), "all-balanced", GPUS)
    assert found.problems == [
        problem if problem.startswith("file") else f"file.mig-configs.bad{problem}" for problem in problems
    ]
    assert not found.by_gpu


def test_read_mig_parted_two_entries_that_claim_one_gpu_are_a_problem() -> None:
    found = read_mig_parted("file", document(bad=[entry(devices=[0]), entry()]), "bad", GPUS)
    assert found.problems == [
        "GPU 0 (NVIDIA A100-SXM4-40GB) is claimed by file.mig-configs.bad[0] and by file.mig-configs.bad[1]; "
        "name it in one of them."
    ]


def test_read_mig_parted_index_that_the_host_lacks_is_a_problem() -> None:
    found = read_mig_parted("file", document(bad=[entry(devices=[0, 5])]), "bad", GPUS)
    assert len(found.problems) == 1
    assert found.problems[0].startswith(
        "file.mig-configs.bad[0].devices: 5 matches no GPU of this host. There are: 0: "
    )


def test_read_mig_parted_config_that_matches_nothing_is_a_problem() -> None:
    found = read_mig_parted("file", document(), "hopper-only", GPUS[2:])
    assert found.problems == [
        "file.mig-configs.hopper-only matches no GPU of this host, which has GPU 2 (NVIDIA A30) 0x20B710DE; select another config."
    ]


def test_read_mig_parted_filter_without_known_id_is_a_problem() -> None:
    found = read_mig_parted("file", document(), "hopper-only", (cards.gpu(cards.A30, pci_device_id=None),))
    assert found.problems == [
        "file.mig-configs.hopper-only[0].device-filter: the PCI device id of GPU 0 (NVIDIA A30) is not known, "
        "so that it cannot be compared; take the filter out."
    ]


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (None, "file is nothing; give a mapping with version and mig-configs."),
        ({"version": "v2", "mig-configs": {"a": [entry()]}}, "file.version is 'v2'; only v1 is known."),
        ({"mig-configs": {"a": [entry()]}}, "file.version is None; only v1 is known."),
        ({"version": "v1"}, "file.mig-configs is nothing; give a mapping of configs by name."),
        ({"version": "v1", "mig-configs": {"b": [entry()]}}, "file has no config 'a'. There are: b."),
        (
            {"version": "v1", "mig-configs": {"a": [entry()]}, "hooks": {}},
            "file: unknown word 'hooks'. Known words: version, mig-configs.",
        ),
    ],
    ids=str,
)
def test_read_mig_parted_file_of_another_form_is_refused(given: Any, problem: str) -> None:
    assert read_mig_parted("file", given, "a", GPUS).problems == [problem]


def test_read_mig_parted_misspelt_config_gets_a_hint() -> None:
    assert read_mig_parted("file", document(), "all-balance", GPUS).problems == [
        "file has no config 'all-balance'. Did you mean all-balanced?"
    ]
