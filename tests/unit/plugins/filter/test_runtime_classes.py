# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which RuntimeClasses hosts want, and what is told of those that pods cannot name."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.kubegpu.sharing.plugins.filter.runtime_classes import runtime_classes

NVIDIA = {"name": "nvidia", "handler": "nvidia", "host": "gpu-1"}


@pytest.mark.parametrize(
    ("hosts", "wanted"),
    [
        pytest.param({"gpu-1": {}, "gpu-2": {}}, [NVIDIA], id="once-for-all"),
        pytest.param({"gpu-0": {"kubegpu_runtime_default": True}, "gpu-1": {}}, [NVIDIA], id="one-host-has-no-default"),
        pytest.param({"gpu-1": {"kubegpu_runtime_default": "yes"}}, [], id="default-everywhere"),
        pytest.param({"gpu-0": {"kubegpu_runtime_class": "false"}}, [], id="left-alone"),
        pytest.param(
            {"gpu-1": {}, "gpu-2": {"kubegpu_runtime_name": "gpu"}, "gpu-3": {"kubegpu_runtime_class_name": "cuda"}},
            [
                {"name": "cuda", "handler": "nvidia", "host": "gpu-3"},
                {"name": "gpu", "handler": "gpu", "host": "gpu-2"},
                NVIDIA,
            ],
            id="names-of-their-own",
        ),
    ],
)
def test_runtime_classes_are_what_the_hosts_themselves_want(hosts: Any, wanted: Any) -> None:
    assert runtime_classes(hosts) == wanted


def test_runtime_class_that_is_missing_is_told_with_the_command_that_makes_it() -> None:
    (told,) = runtime_classes([NVIDIA], [{"exists": False, "handler": None}])
    assert "There is no RuntimeClass nvidia" in told
    assert (
        "ansible -i INVENTORY gpu-1 -m ansible.builtin.include_role "
        "-a 'name=kubegpu.sharing.nvidia_container_runtime tasks_from=runtime_class'"
    ) in told


def test_runtime_class_for_another_handler_is_told() -> None:
    (told,) = runtime_classes([NVIDIA], [{"exists": True, "handler": "runsc"}])
    assert told.startswith("The RuntimeClass nvidia stands for the handler runsc, not for nvidia, which gpu-1")


def test_runtime_class_that_is_there_or_could_not_be_asked_about_is_not_told() -> None:
    assert runtime_classes([NVIDIA, NVIDIA], [{"exists": True, "handler": "nvidia"}, {"msg": "403"}]) == []


def test_runtime_class_for_two_handlers_is_told_with_who_has_them() -> None:
    wanted = [NVIDIA, {"name": "nvidia", "handler": "gpu", "host": "gpu-2"}, {**NVIDIA, "name": "cuda"}]
    (told,) = runtime_classes(wanted, [])
    assert told.startswith(
        "The RuntimeClass nvidia would have to stand for two handlers: for nvidia, which gpu-1 has, and for gpu, which gpu-2 has."
    )
    assert "kubegpu_runtime_class_name" in told
    assert runtime_classes(wanted[::2], []) == []
