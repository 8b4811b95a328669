from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from simulator.simulation import Simulation
from simulator.worlds import gpu_node, gpu_pod, shared_plugin, world


def busy(memory: Any, **annotations: str) -> dict[str, Any]:
    pod = gpu_pod()
    pod["metadata"]["annotations"] |= {
        "simulator.kubegpu/gpu-memory-mib": json.dumps(memory),
        **{f"simulator.kubegpu/{name}": value for name, value in annotations.items()},
    }
    return pod


def use_at(simulation: Simulation, seconds: float) -> list[int | None]:
    """Memory of the processes on the first GPU so many simulated seconds later."""
    simulation.engine.advance(seconds)
    return [item.used_mib for item in simulation.agent("gpu-1").gpus.gpus[0].processes]


def test_memory_of_a_program_changes_while_the_cluster_lives(tmp_path: Path) -> None:
    course = {"steps": [[0, 900], [20, 0], [30, 1500]], "every": 40}
    simulation = world(gpu_node(count=1), apply=shared_plugin(), directory=tmp_path)
    simulation.go_live()
    simulation.apply(busy(course))
    simulation.engine.run_until(lambda: use_at(simulation, 0) == [900])
    state = tmp_path / "nodes/gpu-1/nvml.state"
    seen = [use_at(simulation, 10), use_at(simulation, 15), use_at(simulation, 10)]
    assert seen == [[900], [], [1500]]
    assert "1500" in state.read_text(encoding="utf-8")
    assert use_at(simulation, 10) == [900]

    simulation.delete(busy(course))
    simulation.engine.settle()
    assert use_at(simulation, 60) == []


def test_replayed_history_costs_nothing_and_leaves_the_memory_of_its_end() -> None:
    """An hour of changes every second would be 3,600 of them."""
    course = {"steps": [[0, 900], [0.5, 1500]], "every": 1}
    simulation = world(gpu_node(count=1), apply=[*shared_plugin(), busy(course)])
    assert simulation.engine._sequence < 500
    simulation.go_live()
    begun = use_at(simulation, 0)
    assert {begun[0], use_at(simulation, 0.5)[0]} == {900, 1500}


def test_several_processes_of_a_container_take_the_memory_each(tmp_path: Path) -> None:
    pod = busy(700, **{"gpu-processes": "3"})
    simulation = world(gpu_node(count=1), apply=[*shared_plugin(), pod], directory=tmp_path)
    assert use_at(simulation, 0) == [700, 700, 700]


def test_node_tells_start_of_processes_and_names_of_pods_as_a_real_one(tmp_path: Path) -> None:
    simulation = world(gpu_node(count=1), apply=[*shared_plugin(), busy(700)], directory=tmp_path)
    (process,) = simulation.agent("gpu-1").gpus.gpus[0].processes
    node = tmp_path / "nodes/gpu-1"
    name, _unused, rest = (node / f"proc/{process.pid}/stat").read_text(encoding="utf-8").rpartition(") ")
    fields = rest.split()
    assert (name, len(fields)) == (f"{process.pid} (python3", 50)
    assert int(fields[19]) > 0
    uid = simulation.get("pods", "gpu/job")["metadata"]["uid"]
    assert (node / f"log/pods/gpu_job_{uid}/main/0.log").is_file()
    (link,) = (node / "log/containers").glob("job_gpu_main-*.log")
    assert link.resolve() == node / f"log/pods/gpu_job_{uid}/main/0.log"

    simulation.delete(busy(700))
    simulation.engine.settle()
    assert not list((node / "log/pods").glob("gpu_job_*"))
    assert not link.is_symlink()
