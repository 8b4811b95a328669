from __future__ import annotations

import pytest

from simulator.controllers.kubelet.enumeration import Enumeration
from simulator.controllers.kubelet.mig import MigDevice, MigView
from simulator.controllers.kubelet.plugin_config import PluginError
from simulator.nvml.state import NodeGpus, NvmlError

START = "error starting plugins: "
MAP = (
    "error getting plugins: unable to create plugins: failed to construct resource managers: "
    "error building device map: error building device map from config.resources: "
)
VISIT = "error visiting devices: error visiting device: error visiting device: "
VISIT_MIG = f"{VISIT}error visiting MIG device: error visiting MIG device: "


def node(*layouts: dict[str, int] | None, cards: tuple[str, ...] = ()) -> tuple[NodeGpus, MigView]:
    """GPUs (H20 unless told), each with its profiles' counts; None: MIG is off. ``1c.`` in front takes one slice of it."""
    gpus = NodeGpus.of("n", cards or ["H20"] * len(layouts))
    by_gpu: dict[str, list[MigDevice]] = {}
    for gpu, layout in zip(gpus.gpus, layouts):
        mig = gpu.card.mig
        if layout is None or mig is None:
            continue
        names = [name for name, count in layout.items() for _unused in range(count)]
        by_gpu[gpu.uuid] = []
        for number, name in enumerate(names):
            profile = mig.profile(name.removeprefix("1c."))
            slices = 1 if name.startswith("1c.") else profile.compute_slices
            device = MigDevice(f"MIG-{gpu.index}-{number}", gpu, number, number + 1, 0, profile, slices)
            by_gpu[gpu.uuid].append(device)
    return gpus, MigView(frozenset(by_gpu), by_gpu)


def units(
    given: tuple[NodeGpus, MigView],
    strategy: str,
    *,
    may_monitor: bool = True,
    version: tuple[int, int, int] = (0, 17, 1),
) -> dict[str, int]:
    found = Enumeration(*given, strategy, may_monitor, version).units()
    return {resource: len(items) for resource, items in found.items()}


@pytest.mark.parametrize(
    ("layouts", "strategy", "expected"),
    [
        ([{"1g.12gb": 7}], "mixed", {"nvidia.com/mig-1g.12gb": 7}),
        ([{"1g.12gb": 7}], "single", {"nvidia.com/gpu": 7}),
        ([{"1g.12gb": 7}], "none", {"nvidia.com/gpu": 1}),
        ([{}], "none", {"nvidia.com/gpu": 1}),
        ([None, None], "single", {"nvidia.com/gpu": 2}),
        ([None], "mixed", {"nvidia.com/gpu": 1}),
        ([{"1g.12gb": 4, "3g.48gb": 1}], "mixed", {"nvidia.com/mig-1g.12gb": 4, "nvidia.com/mig-3g.48gb": 1}),
        ([{"1g.12gb+me": 1, "1g.12gb": 1}], "mixed", {"nvidia.com/mig-1g.12gb.me": 1, "nvidia.com/mig-1g.12gb": 1}),
        ([{"1g.12gb": 7}, None], "mixed", {"nvidia.com/mig-1g.12gb": 7, "nvidia.com/gpu": 1}),
        ([{"1g.12gb": 7}, {"1g.12gb": 2}], "single", {"nvidia.com/gpu": 9}),
        ([{"1c.3g.48gb": 3}], "single", {"nvidia.com/gpu": 3}),
    ],
)
def test_resources_by_strategy(layouts: list[dict[str, int] | None], strategy: str, expected: dict[str, int]) -> None:
    assert units(node(*layouts), strategy) == expected


def test_ids_are_those_of_the_mig_devices_and_of_whole_cards() -> None:
    gpus, view = node({"3g.48gb": 2}, None)
    found = Enumeration(gpus, view, "mixed", True, (0, 17, 1)).units()
    assert [unit.uuid for unit in found["nvidia.com/mig-3g.48gb"]] == ["MIG-0-0", "MIG-0-1"]
    assert [unit.uuid for unit in found["nvidia.com/gpu"]] == [gpus.gpus[1].uuid]


@pytest.mark.parametrize(
    ("layouts", "strategy", "message"),
    [
        (
            [{"1g.12gb": 4, "3g.48gb": 1}],
            "single",
            f"{MAP}invalid MIG configuration: {VISIT_MIG}more than one MIG device type present on node",
        ),
        (
            [{"1g.12gb+me": 1, "1g.12gb": 6}],
            "single",
            f"{MAP}invalid MIG configuration: {VISIT_MIG}more than one MIG device type present on node",
        ),
        (
            [{"1g.12gb": 7}, None],
            "single",
            f"{MAP}all devices on the node must be configured with the same migEnabled value",
        ),
        *(
            (
                [{"1g.12gb": 7}, {}],
                strategy,
                f"{MAP}invalid MIG configuration: at least one device with migEnabled=true was not configured correctly: "
                "error visiting device: device 0 has an invalid MIG configuration",
            )
            for strategy in ("single", "mixed")
        ),
        (
            [{"1c.3g.48gb": 1}],
            "mixed",
            f"{MAP}error building MIG device map: {VISIT_MIG}MIG profile '1c.3g.48gb' does not match any resource patterns",
        ),
    ],
)
def test_layouts_that_the_plugin_refuses(layouts: list[dict[str, int] | None], strategy: str, message: str) -> None:
    with pytest.raises(PluginError) as error:
        units(node(*layouts), strategy)
    assert str(error.value) == START + message


def test_without_the_right_to_monitor_the_plugin_ends_where_mig_is_on() -> None:
    with pytest.raises(PluginError) as error:
        units(node({"1g.12gb": 7}), "mixed", may_monitor=False)
    assert str(error.value) == (
        f"{START}unable to add default resources to config: {VISIT}error getting device memory info: Insufficient Permissions"
    )
    with pytest.raises(PluginError) as error:
        units(node({"1g.12gb": 7}), "single", may_monitor=False)
    assert str(error.value) == (
        f"{START}{MAP}error building MIG device map: {VISIT_MIG}error getting MIG profile for MIG device at index '(0, 0)': "
        "error getting parent memory info: Insufficient Permissions"
    )
    assert units(node({"1g.12gb": 7}), "none", may_monitor=False) == {"nvidia.com/gpu": 1}
    for strategy in ("single", "mixed"):
        assert units(node(None), strategy, may_monitor=False) == {"nvidia.com/gpu": 1}


def test_older_plugins_say_it_otherwise() -> None:
    with pytest.raises(PluginError, match="error getting plugins: failed to construct NVML resource managers: "):
        units(node({}), "single", version=(0, 14, 5))


@pytest.mark.parametrize(
    ("function", "text"),
    [
        ("nvmlDeviceGetMigMode", "error checking if MIG is enabled on GPU: error getting MIG mode: GPU is lost"),
        ("nvmlDeviceGetMemoryInfo", "error getting parent memory info: GPU is lost"),
        ("nvmlDeviceGetAttributes", "error getting MIG device attributes: GPU is lost"),
        ("nvmlDeviceGetGpuInstanceById", "error getting GPU Instance: GPU is lost"),
    ],
)
@pytest.mark.parametrize("of_node", [True, False])
def test_faults_of_nvml_end_it(function: str, text: str, of_node: bool) -> None:
    given = node({"1g.12gb": 7})
    (given[0] if of_node else given[0].gpus[0]).faults = {function: NvmlError.GPU_IS_LOST}
    with pytest.raises(PluginError, match=text):
        units(given, "single")


def test_card_without_mig_is_never_asked_for_its_mode() -> None:
    gpus, view = node(None, cards=("T4",))
    gpus.faults = {"nvmlDeviceGetMigMode": NvmlError.UNKNOWN}
    assert units((gpus, view), "mixed") == {"nvidia.com/gpu": 1}


def test_cap_files_follow_the_numbering_of_the_driver() -> None:
    gpus, view = node({"1g.12gb": 1}, {"1g.12gb": 1})
    (first,), (second,) = (view.devices(gpu) for gpu in gpus.gpus)
    assert first.cap_paths == ("/dev/nvidia-caps/nvidia-cap12", "/dev/nvidia-caps/nvidia-cap13")
    assert second.cap_paths == ("/dev/nvidia-caps/nvidia-cap147", "/dev/nvidia-caps/nvidia-cap148")
