from __future__ import annotations

import json
from typing import Any

import pytest

from simulator.controllers.kubelet.plugin_config import PluginError, Settings, parse_version, read_settings

PATH = "/etc/nvidia/config.yaml"


def read(
    content: Any = None,
    arguments: list[str] | None = None,
    environment: dict[str, str] | None = None,
    version: str = "v0.17.1",
) -> Settings:
    def reader(path: str) -> str:
        if path == "/etc/nvidia":
            raise IsADirectoryError(path)
        if path != PATH or content is None:
            raise FileNotFoundError(path)
        return content if isinstance(content, str) else json.dumps(content)

    given = arguments if arguments is not None else [f"--config-file={PATH}"]
    return read_settings(given, environment or {}, parse_version(f"registry/k8s-device-plugin:{version}"), reader)


def sharing(mechanism: str = "timeSlicing", **block: Any) -> dict[str, Any]:
    resources = block.pop("resources", [{"name": "nvidia.com/gpu", "replicas": 4}])
    return {"version": "v1", "sharing": {mechanism: {**block, "resources": resources}}}


@pytest.mark.parametrize(
    ("image", "version"),
    [
        ("nvcr.io/nvidia/k8s-device-plugin:v0.14.5", (0, 14, 5)),
        ("k8s-device-plugin:0.17.1-ubi8", (0, 17, 1)),
        ("localhost:5000/k8s-device-plugin:v0.15.0@sha256:00", (0, 15, 0)),
        ("k8s-device-plugin:latest", (0, 20, 0)),
    ],
)
def test_version_is_the_tag(image: str, version: tuple[int, int, int]) -> None:
    assert parse_version(image) == version


def test_defaults_without_file_share_nothing_and_fail_on_init_errors() -> None:
    settings = read(arguments=[])
    assert (settings.mechanism, settings.replicas, settings.fail_on_init_error, settings.mig_strategy) == (
        "none",
        {},
        True,
        "none",
    )


def test_command_line_beats_environment_beats_file() -> None:
    content = {"flags": {"migStrategy": "mixed", "failOnInitError": False, "plugin": {"passDeviceSpecs": True}}}
    settings = read(
        content,
        [f"--config-file={PATH}", "--mig-strategy=single"],
        {"MIG_STRATEGY": "none", "FAIL_ON_INIT_ERROR": "true"},
    )
    assert (settings.mig_strategy, settings.fail_on_init_error, settings.flags["pass-device-specs"]) == (
        "single",
        True,
        True,
    )


def test_file_may_be_named_by_the_environment() -> None:
    assert read(sharing(), [], {"CONFIG_FILE": PATH}).replicas == {"nvidia.com/gpu": 4}


def test_time_slicing_block_is_read_and_unknown_keys_are_passed_over() -> None:
    content = sharing(renameByDefault=True, failRequestsGreaterThanOne=True, misspelt=1)
    content["surprise"] = {"a": 1}
    settings = read(content)
    assert (settings.mechanism, settings.rename, settings.fail_requests_greater_than_one) == (
        "time-slicing",
        True,
        True,
    )


def test_mps_exists_from_0_15_on_and_limits_requests_by_default() -> None:
    settings = read(sharing("mps"), version="v0.15.0")
    assert (settings.mechanism, settings.fail_requests_greater_than_one) == ("mps", True)
    assert read(sharing("mps"), version="v0.14.5").mechanism == "none"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (sharing(resources=[{"name": "nvidia.com/gpu", "replicas": 1}]), "number of replicas must be >= 2"),
        (sharing(resources=[{"name": "nvidia.com/gpu"}]), "no replicas specified"),
        (sharing(resources=[{"replicas": 2}]), "no resource name specified"),
        (
            sharing(resources=[{"name": "nvidia.com/gpu", "replicas": "2"}]),
            "cannot unmarshal string into Go value of type int",
        ),
        ({"version": "v2"}, "unknown version: v2"),
        ("a: [", "error converting YAML to JSON"),
        ("- a", "cannot unmarshal array"),
        (None, f"open {PATH}: no such file or directory"),
    ],
)
def test_bad_file_is_refused_in_the_plugins_words(content: Any, message: str) -> None:
    with pytest.raises(PluginError) as refused:
        read(content)
    assert message in str(refused.value)


def test_directory_is_refused_by_every_version() -> None:
    with pytest.raises(PluginError, match="read error: read /etc/nvidia: is a directory"):
        read(arguments=["--config-file=/etc/nvidia"], version="v0.14.5")


@pytest.mark.parametrize(
    ("arguments", "version", "message"),
    [
        (["--no-such-flag"], "v0.17.1", "flag provided but not defined: -no-such-flag"),
        (["--mps-root=/run/mps"], "v0.14.5", "flag provided but not defined: -mps-root"),
        (["--mig-strategy"], "v0.17.1", "flag needs an argument: -mig-strategy"),
        (["--fail-on-init-error=maybe"], "v0.17.1", 'invalid boolean value "maybe"'),
        (["--mig-strategy=double"], "v0.17.1", "unknown MIG strategy: double"),
    ],
)
def test_bad_command_line_is_refused(arguments: list[str], version: str, message: str) -> None:
    with pytest.raises(PluginError) as refused:
        read(arguments=arguments, version=version)
    assert message in str(refused.value)


def test_mps_and_mixed_mig_exclude_each_other() -> None:
    with pytest.raises(PluginError, match="using --mig-strategy=mixed is not supported with MPS"):
        read({**sharing("mps"), "flags": {"migStrategy": "mixed"}})
    assert read({**sharing("mps"), "flags": {"migStrategy": "single"}}).mechanism == "mps"


def test_value_of_a_flag_may_be_a_word_of_its_own() -> None:
    assert read(arguments=["--mig-strategy", "single"]).mig_strategy == "single"
