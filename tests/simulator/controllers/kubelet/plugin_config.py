"""How the device plugin reads its settings: command line, environment, file; by version. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import yaml

Object = dict[str, Any]
Version = tuple[int, int, int]
#: Reads a path in the container: the text of a file; raises OSError as open or read would.
Reader = Callable[[str], str]

NEWEST: Version = (0, 20, 0)
DOMAIN = "nvidia.com"


class PluginError(Exception):
    """The plugin ends with this message in its log."""


@dataclass(frozen=True)
class Flag:
    name: str
    env: str
    path: tuple[str, ...]
    boolean: bool = False
    since: Version = (0, 0, 0)


FLAGS = (
    Flag("mig-strategy", "MIG_STRATEGY", ("migStrategy",)),
    Flag("fail-on-init-error", "FAIL_ON_INIT_ERROR", ("failOnInitError",), boolean=True),
    Flag("nvidia-driver-root", "NVIDIA_DRIVER_ROOT", ("nvidiaDriverRoot",)),
    Flag("nvidia-dev-root", "NVIDIA_DEV_ROOT", ("nvidiaDevRoot",), since=(0, 16, 0)),
    Flag("pass-device-specs", "PASS_DEVICE_SPECS", ("plugin", "passDeviceSpecs"), boolean=True),
    Flag("device-list-strategy", "DEVICE_LIST_STRATEGY", ("plugin", "deviceListStrategy")),
    Flag("device-id-strategy", "DEVICE_ID_STRATEGY", ("plugin", "deviceIDStrategy")),
    Flag("gds-enabled", "GDS_ENABLED", ("gdsEnabled",), boolean=True),
    Flag("mofed-enabled", "MOFED_ENABLED", ("mofedEnabled",), boolean=True),
    Flag("gdrcopy-enabled", "GDRCOPY_ENABLED", ("gdrcopyEnabled",), boolean=True, since=(0, 18, 0)),
    Flag("config-file", "CONFIG_FILE", ()),
    Flag("cdi-annotation-prefix", "CDI_ANNOTATION_PREFIX", ("plugin", "cdiAnnotationPrefix"), since=(0, 14, 0)),
    Flag("nvidia-ctk-path", "NVIDIA_CTK_PATH", ("plugin", "nvidiaCTKPath"), since=(0, 14, 0)),
    Flag("container-driver-root", "CONTAINER_DRIVER_ROOT", ("plugin", "containerDriverRoot"), since=(0, 14, 0)),
    Flag("mps-root", "MPS_ROOT", ("mpsRoot",), since=(0, 15, 0)),
    Flag("device-discovery-strategy", "DEVICE_DISCOVERY_STRATEGY", ("deviceDiscoveryStrategy",), since=(0, 16, 0)),
    Flag("imex-channel-ids", "IMEX_CHANNEL_IDS", (), since=(0, 17, 0)),
    Flag("imex-required", "IMEX_REQUIRED", (), boolean=True, since=(0, 17, 0)),
    Flag(
        "shared-devices-allocation-policy",
        "SHARED_DEVICES_ALLOCATION_POLICY",
        ("plugin", "sharedDevicesAllocationPolicy"),
        since=(0, 20, 0),
    ),
)


#: Of GPU Feature Discovery.
DISCOVERY_FLAGS = (
    *(
        flag
        for flag in FLAGS
        if flag.name in ("mig-strategy", "fail-on-init-error", "nvidia-driver-root", "config-file")
    ),
    Flag("oneshot", "GFD_ONESHOT", (), boolean=True),
    Flag("no-timestamp", "GFD_NO_TIMESTAMP", (), boolean=True),
    Flag("sleep-interval", "GFD_SLEEP_INTERVAL", ()),
    Flag("output-file", "GFD_OUTPUT_FILE", ()),
    Flag("machine-type-file", "GFD_MACHINE_TYPE_FILE", ()),
    Flag("use-node-feature-api", "GFD_USE_NODE_FEATURE_API", (), boolean=True),
    Flag("device-discovery-strategy", "DEVICE_DISCOVERY_STRATEGY", (), since=(0, 16, 0)),
)


@dataclass(frozen=True)
class Settings:
    """What the plugin runs with. ``replicas`` is by resource name; ``mechanism`` none, time-slicing or mps."""

    mig_strategy: str = "none"
    fail_on_init_error: bool = True
    mechanism: str = "none"
    replicas: dict[str, int] = field(default_factory=dict)
    rename: bool = False
    fail_requests_greater_than_one: bool = False
    config_file: str = ""
    flags: Object = field(default_factory=dict)


def parse_version(image: str) -> Version:
    """The version of an image by its tag; what is no version counts as the newest."""
    tag = image.rpartition("/")[2].partition(":")[2].partition("@")[0]
    found = re.match(r"v?(\d+)\.(\d+)\.(\d+)", tag)
    return (int(found[1]), int(found[2]), int(found[3])) if found else NEWEST


def read_settings(
    arguments: list[str],
    environment: dict[str, str],
    version: Version,
    read: Reader,
    *,
    command_line_first: bool = True,
    flags: tuple[Flag, ...] = FLAGS,
) -> Settings:
    """The plugin's settings; raises PluginError if it would refuse to start."""
    known = tuple(flag for flag in flags if flag.since <= version)
    given = {**_from_environment(environment, known), **_from_arguments(arguments, known)}
    path = str(given.pop("config-file", ""))
    content = _parse_file(path, read) if path else {}
    filed = _file_flags(content)
    chosen = {**filed, **given} if command_line_first else {**given, **filed}
    strategy = str(chosen.get("mig-strategy", "none"))
    if strategy not in ("none", "single", "mixed"):
        raise PluginError(
            f"error starting plugins: error getting plugins: unable to construct NVML resource managers: unknown MIG strategy: {strategy}"
        )
    sharing = _sharing(content.get("sharing") or {}, version)
    if strategy == "mixed" and sharing.get("mechanism") == "mps" and flags is FLAGS:
        raise PluginError(
            "error starting plugins: unable to load config: unable to validate flags: using --mig-strategy=mixed is not supported with MPS"
        )
    return Settings(
        mig_strategy=strategy,
        fail_on_init_error=bool(chosen.get("fail-on-init-error", True)),
        config_file=path,
        flags=chosen,
        **sharing,
    )


def _from_environment(environment: dict[str, str], flags: tuple[Flag, ...]) -> Object:
    found: Object = {}
    for flag in flags:
        value = environment.get(flag.env)
        if value:
            found[flag.name] = _boolean(flag, value) if flag.boolean else value
    return found


def _from_arguments(arguments: list[str], flags: tuple[Flag, ...]) -> Object:
    known = {flag.name: flag for flag in flags}
    found: Object = {}
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        name, equals, value = word.lstrip("-").partition("=")
        if not word.startswith("-"):
            continue
        if name not in known:
            raise PluginError(f"Incorrect Usage: flag provided but not defined: -{name}")
        flag = known[name]
        if flag.boolean:
            found[name] = _boolean(flag, value) if equals else True
        elif not equals and not rest:
            raise PluginError(f"Incorrect Usage: flag needs an argument: -{name}")
        else:
            found[name] = value if equals else rest.pop(0)
    return found


def _boolean(flag: Flag, value: str) -> bool:
    if value.lower() in ("1", "t", "true"):
        return True
    if value.lower() in ("0", "f", "false"):
        return False
    raise PluginError(f'invalid boolean value "{value}" for -{flag.name}: parse error')


def _parse_file(path: str, read: Reader) -> Object:
    prefix = "error starting plugins: unable to load config: unable to finalize config: unable to parse config file: error parsing config file"
    try:
        text = read(path)
    except IsADirectoryError:
        raise PluginError(f"{prefix}: read error: read {path}: is a directory") from None
    except OSError:
        raise PluginError(f"{prefix}: error opening config file: open {path}: no such file or directory") from None
    try:
        content = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        raise PluginError(
            f"{prefix}: unmarshal error: error converting YAML to JSON: yaml: {str(error).splitlines()[0]}"
        ) from error
    if not isinstance(content, dict):
        raise PluginError(
            f"{prefix}: unmarshal error: error unmarshaling JSON: json: cannot unmarshal {_go_kind(content)} into Go value of type v1.Config"
        )
    if content.get("version", "v1") != "v1":
        raise PluginError(f"{prefix}: unknown version: {content['version']}")
    try:
        _check_sharing(content.get("sharing") or {})
    except ValueError as error:
        raise PluginError(f"{prefix}: unmarshal error: error unmarshaling JSON: while decoding JSON: {error}") from None
    return content


def _file_flags(content: Object) -> Object:
    """Values of the file by the name of the flag; keys that the plugin does not know are passed over."""
    found: Object = {}
    for flag in FLAGS:
        value: Any = content.get("flags") or {}
        for part in flag.path:
            value = value.get(part) if isinstance(value, dict) else None
        if flag.path and value is not None:
            found[flag.name] = value
    return found


def _check_sharing(sharing: Object) -> None:
    """What both sharing mechanisms demand of their resources. Raises ValueError with the plugin's words."""
    for mechanism in ("timeSlicing", "mps"):
        seen = set()
        for item in (sharing.get(mechanism) or {}).get("resources") or []:
            name, replicas = str(item.get("name") or ""), item.get("replicas")
            if not name:
                raise ValueError("no resource name specified")
            if replicas is None:
                raise ValueError("no replicas specified")
            if not isinstance(replicas, int):
                raise ValueError(f"json: cannot unmarshal {_go_kind(replicas)} into Go value of type int")
            if replicas < 2:
                raise ValueError("number of replicas must be >= 2")
            if name in seen:
                raise ValueError(f"duplicate resource found: {name}")
            seen.add(name)


def _sharing(sharing: Object, version: Version) -> Object:
    """MPS wins over time-slicing where both are given; versions before 0.15 do not know it at all."""
    slicing, mps = sharing.get("timeSlicing") or {}, sharing.get("mps") or {}
    if mps.get("resources") and version >= (0, 15, 0):
        block, mechanism, limited = mps, "mps", bool(mps.get("failRequestsGreaterThanOne", True))
    elif slicing.get("resources"):
        block, mechanism, limited = slicing, "time-slicing", bool(slicing.get("failRequestsGreaterThanOne", False))
    else:
        return {}
    return {
        "mechanism": mechanism,
        "replicas": {_full_name(item["name"]): item["replicas"] for item in block["resources"]},
        "rename": bool(block.get("renameByDefault", False)),
        "fail_requests_greater_than_one": limited,
    }


def _full_name(name: str) -> str:
    return name if name.startswith(f"{DOMAIN}/") else f"{DOMAIN}/{name}"


def _go_kind(value: Any) -> str:
    kinds: dict[type, str] = {
        str: "string",
        bool: "bool",
        int: "number",
        float: "number",
        list: "array",
        dict: "object",
    }
    return kinds.get(type(value), "null")
