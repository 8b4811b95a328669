# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of the toolkit's installation: complete ones pass, and all that is wrong is told at once."""

from __future__ import annotations

import pytest

from ansible_collections.kubegpu.sharing.plugins.filter.toolkit_problems import FilterModule

problems = FilterModule().filters()["toolkit_problems"]
GOOD = {
    "manager": "apt",
    "version": "1.17.8-1",
    "apt_url": "https://mirror.example.com/stable/deb/$(ARCH)",
    "dnf_url": "",
    "key": "/srv/keys/toolkit.asc",
    "key_sha256": "0123456789abcdef" * 4,
}


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"manager": "dnf", "apt_url": "", "dnf_url": "https://mirror.example.com/stable/rpm/$basearch"},
        {"version": "1.18.0~rc.2-1"},
        {"apt_url": "file:/srv/packages"},
        {"key": "https://mirror.example.com/gpgkey"},
        {"key": "~/keys/toolkit.asc"},
    ],
    ids=str,
)
def test_settings_that_are_complete_pass(settings: dict[str, str]) -> None:
    assert problems({**GOOD, **settings}) == []


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"version": ""}, "kubegpu_runtime_toolkit_version is empty: give the version to install"),
        ({"version": "latest"}, "kubegpu_runtime_toolkit_version is 'latest'"),
        ({"version": "1.17.8"}, "kubegpu_runtime_toolkit_version is '1.17.8'"),
        ({"version": "1.17.*-1"}, "kubegpu_runtime_toolkit_version is '1.17.*-1'"),
        ({"apt_url": ""}, "kubegpu_runtime_toolkit_apt_url is empty: give the URL of the vendor's repository"),
        ({"apt_url": "mirror.example.com/deb"}, "kubegpu_runtime_toolkit_apt_url is 'mirror.example.com/deb'"),
        ({"apt_url": "https:/mirror.example.com/deb"}, "kubegpu_runtime_toolkit_apt_url is 'https:/mirror"),
        ({"manager": "dnf"}, "kubegpu_runtime_toolkit_dnf_url is empty"),
        ({"manager": "dnf", "dnf_url": "file:/srv/rpm"}, "kubegpu_runtime_toolkit_dnf_url is 'file:/srv/rpm'"),
        ({"key": ""}, "kubegpu_runtime_toolkit_key is empty"),
        ({"key": "keys/toolkit.asc"}, "as a URL or as an absolute path on the control node"),
        ({"key": "https:/mirror.example.com/gpgkey"}, "kubegpu_runtime_toolkit_key is 'https:/mirror"),
        ({"key": "file:/srv/keys/toolkit.asc"}, "kubegpu_runtime_toolkit_key is 'file:/srv"),
        ({"key_sha256": ""}, "kubegpu_runtime_toolkit_key_sha256 is empty: give the SHA-256 of the key's file"),
        ({"key_sha256": "C0FFEE"}, "64 digits in lower case"),
        ({"manager": ""}, "The node has neither dpkg nor /usr/bin/dnf"),
    ],
    ids=str,
)
def test_setting_that_cannot_be_used_is_told(settings: dict[str, str], told: str) -> None:
    (problem,) = problems({**GOOD, **settings})
    assert told in problem


def test_all_problems_are_told_at_once() -> None:
    assert len(problems({**dict.fromkeys(GOOD, ""), "manager": "apt"})) == 4
    assert len(problems(dict.fromkeys(GOOD))) == 4
