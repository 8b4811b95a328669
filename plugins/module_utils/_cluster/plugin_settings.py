# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a device plugin is told, and which of the places that say so wins. PRIVATE to the collection.

The plugin takes the command line before the environment, and both before its config file (k8s-device-plugin,
cmd/nvidia-device-plugin/main.go and api/config/v1).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Mapping, Sequence

COMMAND_LINE = "command line"
ENVIRONMENT = "environment"
FILE = "file"
DEFAULT = "default"


@dataclass(frozen=True)
class Setting:
    """A setting of the plugin.

    :param path: its place in the config file, below "flags"; "" if a file cannot say it.
    :param kind: text, bool or list.
    """

    name: str
    flags: tuple[str, ...]
    variables: tuple[str, ...]
    path: str
    default: Any
    kind: str = "text"


SETTINGS = (
    Setting("migStrategy", ("mig-strategy",), ("MIG_STRATEGY",), "migStrategy", "none"),
    Setting("failOnInitError", ("fail-on-init-error",), ("FAIL_ON_INIT_ERROR",), "failOnInitError", True, "bool"),
    Setting("passDeviceSpecs", ("pass-device-specs",), ("PASS_DEVICE_SPECS",), "plugin.passDeviceSpecs", False, "bool"),
    Setting(
        "deviceListStrategy",
        ("device-list-strategy",),
        ("DEVICE_LIST_STRATEGY",),
        "plugin.deviceListStrategy",
        ["envvar"],
        "list",
    ),
    Setting("deviceIDStrategy", ("device-id-strategy",), ("DEVICE_ID_STRATEGY",), "plugin.deviceIDStrategy", "uuid"),
    Setting("nvidiaDriverRoot", ("nvidia-driver-root",), ("NVIDIA_DRIVER_ROOT",), "nvidiaDriverRoot", "/"),
    Setting("nvidiaDevRoot", ("nvidia-dev-root", "dev-root"), ("NVIDIA_DEV_ROOT",), "nvidiaDevRoot", ""),
    Setting("mpsRoot", ("mps-root",), ("MPS_ROOT",), "mpsRoot", ""),
    Setting("gdsEnabled", ("gds-enabled",), ("GDS_ENABLED",), "gdsEnabled", False, "bool"),
    Setting("mofedEnabled", ("mofed-enabled",), ("MOFED_ENABLED",), "mofedEnabled", False, "bool"),
    Setting("gdrcopyEnabled", ("gdrcopy-enabled",), ("GDRCOPY_ENABLED",), "gdrcopyEnabled", False, "bool"),
    Setting(
        "deviceDiscoveryStrategy",
        ("device-discovery-strategy",),
        ("DEVICE_DISCOVERY_STRATEGY",),
        "deviceDiscoveryStrategy",
        "auto",
    ),
    Setting("configFile", ("config-file",), ("CONFIG_FILE",), "", ""),
)
_BY_FLAG = {flag: setting for setting in SETTINGS for flag in setting.flags}
# Go's strconv.ParseBool.
_TRUE = frozenset({"1", "t", "true"})


def read_settings(
    args: Sequence[str], env: Mapping[str, str], config: Mapping[str, Any] | None
) -> dict[str, dict[str, Any]]:
    """Every setting as the plugin takes it: {name: {"value": ..., "source": where it was found}}.

    :param args: command and arguments together.
    :param config: the decoded config file, if there is one and it is known.
    """
    given = parse_flags(args)
    flags = (config or {}).get("flags")
    return {
        setting.name: _resolve(setting, given, env, flags if isinstance(flags, Mapping) else {}) for setting in SETTINGS
    }


def parse_flags(args: Sequence[str]) -> dict[str, str]:
    """Flags that the plugin knows, by setting. Takes --flag=value, --flag value, -flag, and a bare switch as "true"."""
    found: dict[str, str] = {}
    words = list(args)
    for position, word in enumerate(words):
        if not word.startswith("-"):
            continue
        flag, equals, value = word.lstrip("-").partition("=")
        setting = _BY_FLAG.get(flag)
        if setting is None:
            continue
        if not equals:
            following = words[position + 1] if position + 1 < len(words) else ""
            value = "true" if setting.kind == "bool" else following
        found[setting.name] = value
    return found


def _resolve(
    setting: Setting, given: Mapping[str, str], env: Mapping[str, str], flags: Mapping[str, Any]
) -> dict[str, Any]:
    if setting.name in given:
        return {"value": _convert(setting, given[setting.name]), "source": COMMAND_LINE}
    for variable in setting.variables:
        # An empty variable counts as not set.
        if env.get(variable):
            return {"value": _convert(setting, env[variable]), "source": ENVIRONMENT}
    in_file = _look_up(flags, setting.path)
    if in_file is not None:
        return {"value": _convert(setting, in_file), "source": FILE}
    return {"value": setting.default, "source": DEFAULT}


def _look_up(flags: Mapping[str, Any], path: str) -> Any:
    if not path:
        return None
    value: Any = flags
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _convert(setting: Setting, value: Any) -> Any:
    if setting.kind == "bool":
        return value if isinstance(value, bool) else str(value).lower() in _TRUE
    if setting.kind == "list":
        return list(value) if isinstance(value, list) else [part.strip() for part in str(value).split(",")]
    return str(value)
