# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module's front end: options and what is refused before any look at the host."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import InputError, KubeGpuError
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.mig_request import MigRequest
from ansible_collections.kubegpu.sharing.plugins.modules import mig_config


def params(**given: Any) -> dict[str, Any]:
    return {name: given.get(name, option.get("default")) for name, option in mig_config.argument_spec().options.items()}


def test_argument_spec_is_what_the_documentation_says() -> None:
    documented = yaml.safe_load(mig_config.DOCUMENTATION)["options"]
    spec = mig_config.argument_spec().options
    assert {name: (option["type"], option.get("default"), option.get("choices")) for name, option in spec.items()} == {
        name: (option["type"], option.get("default"), option.get("choices")) for name, option in documented.items()
    }


def test_defaults_of_the_module_are_those_of_the_request() -> None:
    given = params()
    request = MigRequest()
    # partial is for the boot alone
    names = set(MigRequest.__dataclass_fields__) - {"check_mode", "partial"}
    # a default that many requests share may not be a list
    shown = {name: list(value) if isinstance(value := getattr(request, name), tuple) else value for name in names}
    assert shown == {name: given[name] for name in names}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        pytest.param({}, "nothing is given; give one of mig_devices, mig_parted_config, layout.", id="nothing"),
        pytest.param(
            {"mig_devices": {"1g.12gb": 7}, "layout": {}}, "mig_devices and layout is given; give one of", id="two"
        ),
        pytest.param(
            {"state": "absent", "mig_devices": {"1g.12gb": 7}}, "with state absent, which takes MIG off", id="absent"
        ),
        pytest.param(
            {"mig_parted_config": {}}, "mig_parted_config and selected belong together; give both.", id="no-selected"
        ),
        pytest.param(
            {"mig_devices": {"1g.12gb": 7}, "assume_idle": True}, "use it in check mode only.", id="assume-idle"
        ),
        pytest.param(
            {"mig_devices": [{"gpus": 0, "devices": {"1g.12gb": 7}}], "gpus": 0},
            "the GPUs are named in what is given instead.",
            id="gpus-twice",
        ),
    ],
)
def test_options_that_do_not_go_together_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError) as caught:
        mig_config.run(params(**options), check_mode=False)
    assert words in caught.value.msg


def test_host_without_nvml_is_an_error_that_says_what_was_seen(tmp_path: object) -> None:
    missing = f"{tmp_path}/libnvidia-ml.so.1"
    with pytest.raises(KubeGpuError) as caught:
        mig_config.run(params(mig_devices={"1g.12gb": 7}, nvml_library=missing), check_mode=True)
    assert caught.value.msg.startswith(f"Loading {missing} failed: ")
    assert caught.value.msg.endswith("Nothing was changed.")
    assert caught.value.facts["reason_code"] == "library_not_found"
