# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster that does not answer, which must let nobody through."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml


@pytest.fixture
def nowhere(tmp_path: Path) -> Path:
    """The kubeconfig of a cluster at an address where nobody listens."""
    path = tmp_path / "kubeconfig"
    cluster = {"name": "a", "cluster": {"server": "http://127.0.0.1:9"}}
    context = {"name": "a", "context": {"cluster": "a", "user": "a"}}
    document = {"kind": "Config", "clusters": [cluster], "contexts": [context], "current-context": "a"}
    path.write_text(yaml.safe_dump({**document, "users": [{"name": "a", "user": {}}]}), encoding="utf-8")
    return path
