# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.kubegpu.sharing.plugins.module_utils._plugin.names import (
    is_label_value,
    is_plugin_resource,
    object_name,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._plugin.versions import parse_version, show_version


@pytest.mark.parametrize("text", ["v0.14.5", "0.14.5", "v0.14.5-ubi8", "v0.14.5-rc.1", " v0.14.5 "])
def test_parse_version_reads_image_tags(text: str) -> None:
    assert show_version(parse_version(text)) == "v0.14.5"


@pytest.mark.parametrize("text", ["latest", "", "v0.14", "nightly-0.14.5", "v0.14.5.1"])
def test_parse_version_refuses_what_names_no_release(text: str) -> None:
    with pytest.raises(ValueError, match="is not a version such as"):
        parse_version(text)


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ("l20", True),
        ("A100_40.x-1", True),
        ("a" * 63, True),
        ("a" * 64, False),
        ("", False),
        ("-a", False),
        ("a-", False),
    ]
    + [("a b", False), ("ä", False), ("a/b", False), ("l20\n", False)],
)
def test_is_label_value(text: str, valid: bool) -> None:
    assert is_label_value(text) is valid


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("l20", "kubegpu-device-plugin-l20-0123456789"),
        ("A100_40.x", "kubegpu-device-plugin-a100-40-x-0123456789"),
        ("k" * 63, f"kubegpu-device-plugin-{'k' * 30}-0123456789"),
    ],
)
def test_object_name_is_legal_whatever_the_key(key: str, name: str) -> None:
    assert object_name(key, "0123456789") == name


def test_is_plugin_resource_leaves_other_plugins_alone() -> None:
    ours = ["nvidia.com/gpu", "nvidia.com/gpu.shared", "nvidia.com/mig-1g.12gb", "nvidia.com/mig-1g.12gb.shared"]
    others = ["nvidia.com/hostdev", "nvidia.com/GV100GL", "rdma/hca", "nvidia.com/gpu-memory"]
    assert all(map(is_plugin_resource, ours))
    assert not any(map(is_plugin_resource, others))
