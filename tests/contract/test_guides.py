# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the guides say of numbers and names is what the collection does."""

from __future__ import annotations

import re
from decimal import Decimal
from math import ceil

import pytest
import yaml

from ansible_collections.kubegpu.sharing.plugins.module_utils._measure.frameworks import known_frameworks
from ansible_collections.kubegpu.sharing.plugins.module_utils._sizing.arithmetic import Margins, choose_replicas
from contract.repository import MODULE_UTILS, ROOT

GUIDES = ROOT / "docs" / "docsite" / "rst"
MEASURING = (GUIDES / "guide_size_from_measurement.rst").read_text(encoding="utf-8")
TABLE_OF_MARGINS = [
    [Decimal(margin), Decimal(ceiling), l20, t4]
    for margin, ceiling, l20, t4 in re.findall(
        r"   \* - (0\.\d\d)\n     - (0\.\d)\n     - (.+)\n     - (.+)\n", MEASURING
    )
]
CARDS = [(46068, 4621), (15360, 4401)]


def test_every_guide_is_in_the_index() -> None:
    index = yaml.safe_load((ROOT / "docs/docsite/extra-docs.yml").read_text(encoding="utf-8"))
    listed = [name for section in index["sections"] for name in section["toctree"]]
    assert sorted(listed) == sorted(path.stem for path in GUIDES.glob("*.rst"))


def test_table_of_margins_is_there() -> None:
    assert len(TABLE_OF_MARGINS) == 4


@pytest.mark.parametrize("row", TABLE_OF_MARGINS, ids=str)
def test_guide_calculates_margins_as_the_collection_does(row: list[object]) -> None:
    margin, ceiling, *cells = row
    assert isinstance(margin, Decimal)
    assert isinstance(ceiling, Decimal)
    for (total, peak), cell in zip(CARDS, cells):
        proposed = ceil(peak * (1 + margin))
        slots = choose_replicas(total, proposed, Margins(ceiling)).replicas
        told = (
            f"``ceil({peak} x {1 + margin})`` = {proposed}: "
            if margin
            else f"``floor({ceiling} x {total} / {peak})`` = "
        )
        assert cell == f"{told}{slots} slots"


def test_guide_names_every_framework_that_is_recognised() -> None:
    # PaddlePaddle takes what it needs unless told otherwise.
    expected = {name.replace("Triton with ", "") for name in known_frameworks()} - {"PaddlePaddle"}
    table = MEASURING.partition("Takes, unless told otherwise")[2].partition("A fraction of the card")[0]
    assert not [name for name in expected if f"   * - {name}" not in table]


def test_guide_explains_every_warning_of_a_measurement() -> None:
    written = (MODULE_UTILS / "_measure" / "warnings.py").read_text(encoding="utf-8")
    codes = set(re.findall(r"Told\(\s*(?:INFO|WARNING)[^,]*,\s*\"(\w+)\"", written))
    table = MEASURING.partition("* - Warning\n")[2].partition("Growth is told")[0]
    rows = re.findall(r"   \* - (``.*)\n", table)
    assert {code for row in rows for code in re.findall(r"``(\w+)``", row)} == codes


def test_metrics_in_the_guide_exist() -> None:
    written = (MODULE_UTILS / "_export" / "metrics.py").read_text(encoding="utf-8")
    named = set(re.findall(r"kubegpu_(?:container|gpu_memory|exporter)_\w+(?:bytes|seconds|processes)\b", MEASURING))
    named -= {"kubegpu_exporter_interval_seconds"}
    assert len(named) >= 4
    # the memory of cards is one line there for total, used, free and reserved
    assert not [
        name for name in named if re.sub("_(total|used)_bytes$", "_", name) not in written and name not in written
    ]
