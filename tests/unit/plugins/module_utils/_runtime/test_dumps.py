# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine's merged config before and after."""

from __future__ import annotations

from typing import Any, Dict, List, Optional

import pytest

from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.dumps import compare, not_in_effect
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.plan import Ours, RuntimePlan

CRI = "io.containerd.grpc.v1.cri"
RUNTIMES = ("plugins", CRI, "containerd", "runtimes")
OURS = Ours(values=(((*RUNTIMES, "nvidia", "runtime_type"), "v2"),), tables=((*RUNTIMES, "nvidia"),))
BEFORE = f'imports = ["a"]\nroot = "/r"\n[plugins."{CRI}".containerd.runtimes.runc]\nruntime_type = "v2"\npod_annotations = []\n'
NVIDIA = f'[plugins."{CRI}".containerd.runtimes.nvidia]\nruntime_type = "v2"\nextra = ""\n'


def dump(text: str, rc: int = 0, stderr: str = "") -> Dict[str, Any]:
    return {"argv": ["containerd", "config", "dump"], "rc": rc, "stdout": text, "stderr": stderr}


def compared(after: str, before: str = BEFORE, ours: Ours = OURS) -> List[str]:
    return compare(RuntimePlan("containerd", ours=ours), dump(before), dump(after))


def test_ours_and_all_else_as_it_was_is_right() -> None:
    assert compared(BEFORE + NVIDIA) == []


def test_names_of_imported_files_do_not_count() -> None:
    assert compared(BEFORE.replace('imports = ["a"]', 'imports = ["b", "c"]') + NVIDIA) == []


@pytest.mark.parametrize(
    ("after", "said"),
    [
        pytest.param(BEFORE.replace("/r", "/s") + NVIDIA, "root: '/r' -> '/s'", id="changed"),
        pytest.param(BEFORE.replace('root = "/r"\n', "") + NVIDIA, "root: '/r' -> nothing", id="lost"),
        pytest.param("x = 1\n" + BEFORE + NVIDIA, "x: nothing -> 1", id="new"),
        pytest.param('root = "/r"\n' + NVIDIA, f'all of plugins."{CRI}".containerd.runtimes.runc', id="table"),
        pytest.param(BEFORE.replace("[]", '["p"]') + NVIDIA, "pod_annotations: [] -> ['p']", id="runtime"),
    ],
)
def test_what_would_change_of_others_is_named(after: str, said: str) -> None:
    told = compared(after)
    assert len(told) == 1
    assert "nothing is written" in told[0]
    assert said in told[0]


def test_zero_in_a_runtime_that_is_told_or_not_is_the_same() -> None:
    assert compared(BEFORE.replace("pod_annotations = []\n", "") + NVIDIA) == []
    assert compared(BEFORE + "[plugins.other]\nvalue = 0\n" + NVIDIA) != []


@pytest.mark.parametrize("key", ["sandbox_mode", "sandboxer"])
def test_default_of_a_runtime_that_is_told_or_not_is_the_same(key: str) -> None:
    built_in = BEFORE + f'{key} = "podsandbox"\n'
    named = BEFORE + f'{key} = ""\n'
    assert compared(built_in + NVIDIA, named) == []
    assert compared(named + NVIDIA, built_in) == []
    assert compared(BEFORE + f'{key} = "shim"\n' + NVIDIA, named) != []


def test_ours_that_does_not_take_effect_is_named() -> None:
    assert "does not take effect" in compared(BEFORE)[0]
    other = compared(BEFORE + NVIDIA.replace('"v2"', '"v1"'))
    assert "runtime_type = 'v2' (the engine has 'v1')" in other[0]


def test_plugin_has_the_name_that_the_dump_has() -> None:
    newer = (BEFORE + NVIDIA).replace(CRI, "io.containerd.cri.v1.runtime")
    # 2.x keeps the older name for what is left of it.
    rest = f'[plugins."{CRI}"]\nstream_server_port = "0"\n'
    assert compared(newer + rest, BEFORE.replace(CRI, "io.containerd.cri.v1.runtime") + rest) == []


def test_default_runtime_without_a_table_is_refused() -> None:
    text = f'[plugins."{CRI}".containerd]\ndefault_runtime_name = "nvidia"\n{BEFORE.split("/r" + chr(34))[1]}'
    told = compared(text, text + NVIDIA, Ours(tables=((*RUNTIMES, "nvidia"),)))
    assert told == [
        "Checking the engine's merged config: its default runtime would be nvidia, of which there would be no table any more. "
        "Set another default_runtime_name first."
    ]


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (None, dump(BEFORE), "there is no dump of the config as it is"),
        (dump("", 1, "no such file"), dump(BEFORE), "ended with 1 and said: no such file"),
        (
            dump(BEFORE),
            dump("", 1, "bad type"),
            "the config as it would be by `containerd config dump`: it ended with 1 and said: bad type",
        ),
        (dump(BEFORE), dump("x = ["), "Reading output of `containerd config dump`:1:"),
    ],
)
def test_dump_that_is_none_lets_nothing_be_written(
    before: Optional[Dict[str, Any]], after: Dict[str, Any], said: str
) -> None:
    told = compare(RuntimePlan("containerd", ours=OURS), before, after)
    assert len(told) == 1
    assert said in told[0]


def test_passwords_that_would_be_lost_are_not_shown() -> None:
    secret = '[plugins.registry]\nurl = "r"\npassword = "hunter2"\n'
    told = compared(BEFORE + secret.replace("hunter2", "other") + NVIDIA, BEFORE + secret)
    assert "plugins.registry.password: (not shown) -> (not shown)" in told[0]
    assert "hunter2" not in told[0]
    proxy = 'proxy = "http://me:hunter2@proxy"\n'
    told = compared(BEFORE + NVIDIA, proxy + BEFORE)
    assert "proxy: 'http://(not shown)@proxy' -> nothing" in told[0]


def test_many_differences_are_counted() -> None:
    told = compared("".join(f"x{number} = 1\n" for number in range(40)) + BEFORE + NVIDIA)
    assert "and 28 more" in told[0]


def test_config_that_has_ours_is_in_effect() -> None:
    assert not_in_effect(OURS, dump(BEFORE + NVIDIA)) == []
    assert not_in_effect(OURS, dump(BEFORE)) != []
