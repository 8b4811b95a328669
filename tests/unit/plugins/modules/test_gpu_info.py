# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module's front end: options and results."""

from __future__ import annotations

import yaml

from ansible_collections.kubegpu.sharing.plugins.doc_fragments.node import ModuleDocFragment
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.node import NodeReader
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.node_files import NodeFiles
from ansible_collections.kubegpu.sharing.plugins.modules import gpu_info


def test_argument_spec_is_what_the_documentation_says() -> None:
    texts = (gpu_info.DOCUMENTATION, ModuleDocFragment.DOCUMENTATION)
    documented = {name: option for text in texts for name, option in yaml.safe_load(text)["options"].items()}
    spec = gpu_info.argument_spec().options
    assert {name: (option["type"], option.get("default")) for name, option in spec.items()} == {
        name: (option["type"], option.get("default")) for name, option in documented.items()
    }


def test_run_on_a_node_without_library_reports_and_changes_nothing(tmp_path: object) -> None:
    missing = f"{tmp_path}/libnvidia-ml.so.1"
    result = gpu_info.run(
        NodeReader(nvml_library=missing, files=NodeFiles(f"{tmp_path}/proc", f"{tmp_path}/kubelet"))
    ).to_result()
    assert (result["changed"], result["nvml_available"], result["reason_code"]) == (False, False, "library_not_found")
    assert result["reason"].startswith(f"Loading {missing} failed: ")
    assert (result["gpus"], result["allocations"]) == ([], None)


def test_run_returns_what_is_documented(tmp_path: object) -> None:
    documented = set(yaml.safe_load(gpu_info.RETURN)) - {"facts_path"}
    result = gpu_info.run(NodeReader(nvml_library=f"{tmp_path}/none", files=NodeFiles(str(tmp_path), str(tmp_path))))
    assert set(result.facts) == documented
