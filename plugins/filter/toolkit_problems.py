# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands against installing the NVIDIA container toolkit with the given settings."""

from __future__ import annotations

DOCUMENTATION = r"""
name: toolkit_problems
short_description: Tell what stands against installing the NVIDIA container toolkit
version_added: 0.1.0
author: kubegpu.sharing maintainers (@kubegpu)
description:
  - The collection knows no address of a repository and trusts no key by itself, so that nodes without a way to the outside are
    installed as any other. It tells of everything that is missing at once.
options:
  _input:
    description:
      - C(manager), which is C(apt), C(dnf), or empty where the node has neither; C(version), C(apt_url), C(dnf_url), C(key) and
        C(key_sha256) as the role P(kubegpu.sharing.nvidia_container_runtime#role) has them.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Refuse settings that name no package
  ansible.builtin.assert:
    that: settings | kubegpu.sharing.toolkit_problems | length == 0
  vars:
    settings:
      manager: apt
      version: 1.17.8-1
      apt_url: https://mirror.example.com/libnvidia-container/stable/deb/$(ARCH)
      dnf_url: ""
      key: /srv/keys/nvidia-container-toolkit.asc
      key_sha256: "{{ '0' * 64 }}"
"""

RETURN = r"""
_value:
  description: A sentence for each problem.
  type: list
  elements: str
  sample: ["kubegpu_runtime_toolkit_version is empty: give the version to install, such as 1.17.8-1."]
"""

import re
from collections.abc import Mapping
from typing import Any

_VERSION = re.compile(r"\d+\.\d+\.\d+(?:~rc\.\d+)?-\d+(?:\.[\w.]+)?")
_URL = re.compile(r"(?:https?|file)://\S+")
# What sources.list(5) takes as well.
_APT_PATH = re.compile(r"file:/\S+")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_NAME = "kubegpu_runtime_toolkit_"
_SAMPLE = {
    "apt": "https://mirror.example.com/libnvidia-container/stable/deb/$(ARCH)",
    "dnf": "https://mirror.example.com/libnvidia-container/stable/rpm/$basearch",
}


def toolkit_problems(settings: Mapping[str, Any]) -> list[str]:
    """A sentence for each setting that cannot be used."""
    given = {name: str(value or "").strip() for name, value in settings.items()}
    found = [_manager(given["manager"]), _version(given["version"])]
    if given["manager"] in _SAMPLE:
        found.append(_url(given["manager"], given[f"{given['manager']}_url"]))
    found += [_key(given["key"]), _sha256(given["key_sha256"])]
    return [problem for problem in found if problem]


def _manager(manager: str) -> str | None:
    if manager in _SAMPLE:
        return None
    return "The node has neither dpkg nor /usr/bin/dnf: install the toolkit by other means, and set kubegpu_runtime_install_toolkit to false."


def _version(version: str) -> str | None:
    if _VERSION.fullmatch(version):
        return None
    wanted = "give the version to install with its release, such as 1.17.8-1"
    return (
        f"{_NAME}version is {_show(version)}: {wanted}. There is no default, and no latest: nodes would come to differ."
    )


def _url(manager: str, url: str) -> str | None:
    if _URL.fullmatch(url) or (manager == "apt" and _APT_PATH.fullmatch(url)):
        return None
    return (
        f"{_NAME}{manager}_url is {_show(url)}: give the URL of the vendor's repository, or of your mirror of it,"
        f" such as {_SAMPLE[manager]}."
    )


def _key(key: str) -> str | None:
    if _URL.fullmatch(key) or key.startswith(("/", "~/")):
        return None
    return f"{_NAME}key is {_show(key)}: give the key of the repository, as a URL or as an absolute path on the control node."


def _sha256(digest: str) -> str | None:
    if _SHA256.fullmatch(digest):
        return None
    return (
        f"{_NAME}key_sha256 is {_show(digest)}: give the SHA-256 of the key's file, 64 digits in lower case"
        " (sha256sum FILE), of a key that you have compared with its publisher's."
    )


def _show(value: str) -> str:
    return f"'{value}'" if value else "empty"


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Any]:
        """Name to function."""
        return {"toolkit_problems": toolkit_problems}
