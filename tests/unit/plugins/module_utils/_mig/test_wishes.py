# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What mig_devices asks for, and what is wrong with it."""

from __future__ import annotations

from typing import Any

import pytest
from unit.plugins.module_utils._mig import cards

from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.wishes import Wish, read_wishes, wish_absent

pytestmark = pytest.mark.node_side

GPUS = (
    cards.gpu(cards.A100, index=0),
    cards.gpu(cards.A100, index=1, uuid="GPU-1"),
    cards.gpu(cards.A30, index=2, uuid="GPU-2"),
)
SEVEN = (("1g.5gb", 7),)


@pytest.mark.parametrize(
    ("devices", "wishes"),
    [
        ({"1g.5gb": 7}, dict.fromkeys((0, 1, 2), SEVEN)),
        # As AWX sends numbers.
        ({"1g.5gb": "7"}, dict.fromkeys((0, 1, 2), SEVEN)),
        (["3g.20gb", "1g.5gb", "3c.3g.20gb"], dict.fromkeys((0, 1, 2), (("1g.5gb", 1), ("3g.20gb", 2)))),
        ([{"gpus": [0, "GPU-1"], "devices": {"1g.5gb": 7}}], dict.fromkeys((0, 1), SEVEN)),
        (
            [{"gpus": 0, "devices": ["7g.40gb"]}, {"gpus": "NVIDIA A30", "devices": {"1c.4g.24gb": 2}}],
            {0: (("7g.40gb", 1),), 2: (("1c.4g.24gb", 2),)},
        ),
    ],
    ids=str,
)
def test_read_wishes_every_form(devices: Any, wishes: Any) -> None:
    found = read_wishes("mig_devices", devices, GPUS)
    assert not found.problems
    assert {index: wish.counts for index, wish in found.by_gpu.items()} == wishes
    assert all(wish.enabled for wish in found.by_gpu.values())


@pytest.mark.parametrize(
    ("devices", "problems"),
    [
        (None, ["w is nothing; give counts by profile, such as {1g.12gb: 7}, or a list of profiles."]),
        (7, ["w is a number; give counts by profile, such as {1g.12gb: 7}, or a list of profiles."]),
        (
            {},
            [
                "w names no MIG device; give counts by profile, such as {1g.12gb: 7}, or use state absent to take MIG off."
            ],
        ),
        (
            [],
            [
                "w names no MIG device; give counts by profile, such as {1g.12gb: 7}, or use state absent to take MIG off."
            ],
        ),
        (
            {"1g.5gb": 0, "2g.10gb": -1},
            [
                "w.1g.5gb is 0; give at least 1, or leave the profile out.",
                "w.2g.10gb is -1; give at least 1, or leave the profile out.",
            ],
        ),
        ({"1g.5gb": True}, ["w.1g.5gb: True is not a whole number."]),
        ({"1g.5gb": 1.5}, ["w.1g.5gb: 1.5 is not a whole number."]),
        (
            {"1g5gb": 1},
            ["w.1g5gb: '1g5gb' is no MIG profile; give a name such as 1g.12gb, 1g.10gb+me or 1c.3g.20gb."],
        ),
        (
            {"3g.20gb": 1, "3c.3g.20gb": 1},
            ["w names 3g.20gb twice, the second time as 3c.3g.20gb; name it once."],
        ),
        (["1g"], ["w[0]: '1g' is no MIG profile; give a name such as 1g.12gb, 1g.10gb+me or 1c.3g.20gb."]),
        (
            [{"gpus": 0, "devices": {"1g.5gb": 7}}, "1g.5gb"],
            ["w[1] is a string; give a mapping with gpus and devices."],
        ),
        (
            [{"gpu": 0, "devices": {"1g.5gb": 7}}],
            [
                "w[0]: unknown word 'gpu'. Did you mean gpus?",
                'w[0].gpus is nothing; give "all", or a list of indices, UUIDs, PCI addresses or products.',
            ],
        ),
        (
            [
                {"gpus": [0, 1], "devices": {"1g.5gb": 7}},
                {"gpus": ["NVIDIA A100-SXM4-40GB"], "devices": {"7g.40gb": 1}},
            ],
            [
                "GPU 0 (NVIDIA A100-SXM4-40GB) is claimed by w[0] and by w[1]; name it in one of them.",
                "GPU 1 (NVIDIA A100-SXM4-40GB) is claimed by w[0] and by w[1]; name it in one of them.",
            ],
        ),
    ],
    ids=str,
)
def test_read_wishes_bad_input_is_named_completely(devices: Any, problems: list[str]) -> None:
    assert read_wishes("w", devices, GPUS).problems == problems


def test_wish_absent_is_the_mode_off() -> None:
    found = wish_absent("gpus", [1], GPUS)
    assert found.by_gpu == {1: Wish("gpus", False)}
