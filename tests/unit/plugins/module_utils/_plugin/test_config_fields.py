# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from unit.plugins.module_utils._plugin import generate_config_fields as generator


def test_config_fields_table_is_what_its_source_makes() -> None:
    assert generator.TARGET.read_text(encoding="utf-8") == generator.render(
        generator.SOURCE.read_text(encoding="utf-8")
    )
