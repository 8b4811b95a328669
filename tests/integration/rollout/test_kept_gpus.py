# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host on which containers have lost their GPUs when its runtime was restarted stops there, and is not said to be well.

What the kernel lets containers open is asked by the module, in tests of its own; here its answers are what they are.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
HELD = [{"container_id": "c1", "devices": []}]
GOOD: dict[str, Any] = {"containers": HELD, "lost": [], "unknown": [], "reason": "", "message": ""}
LOST = {**GOOD, "lost": [{"pod": "train-0"}], "message": "nlp/train-0 may not open /dev/nvidia0 any more."}
# What each host's module answers after the restart.
ANSWERS: dict[str, dict[str, Any]] = {
    "kept": GOOD,
    "lost": LOST,
    "unseen": {**GOOD, "reason": "/proc cannot be read: Permission denied."},
    "unknown": {**GOOD, "unknown": [{"pod": "train-1", "reason": "no program to ask with"}]},
    "broken": {"failed": True, "msg": "the module ended without a word"},
    "apart": LOST,
}
MODULE = """\
import json
from ansible.module_utils.basic import AnsibleModule
names = ("proc_root", "kubelet_root", "log_root")
module = AnsibleModule({"before": {"type": "list"}, **{name: {} for name in names}}, supports_check_mode=True)
with open(module.params["proc_root"] + "/looks", "a+", encoding="utf-8") as looks:
    looks.write(json.dumps(module.params["before"]) + "\\n")
    looks.seek(0)
    turn = len(looks.readlines())
with open(module.params["proc_root"] + "/answer-%d" % turn, encoding="utf-8") as answer:
    module.exit_json(**json.load(answer))
"""
# The role's place in between: it notes that it was there.
ROLE = [
    {
        "name": "Note that the runtime is changed",
        "ansible.builtin.copy": {
            "content": "{{ nvidia_container_runtime_expected_digest }}",
            "dest": "{{ rollout_proc_root }}/changed",
        },
    }
]


def linked(source: Path, target: Path, *, apart: tuple[str, ...] = ()) -> None:
    """A directory with links to all that is in another one, but for some names."""
    target.mkdir(parents=True)
    for one in source.iterdir():
        if one.name not in apart and not one.name.startswith("."):
            (target / one.name).symlink_to(one)


@pytest.fixture
def collections(tmp_path: Path) -> Path:
    """The collection with a module and a role that are stand-ins."""
    ours = tmp_path / "collections/ansible_collections/kubegpu/sharing"
    linked(ROOT, ours, apart=("plugins", "roles", "tests", "docs", "build"))
    linked(ROOT / "plugins", ours / "plugins", apart=("modules",))
    linked(ROOT / "plugins/modules", ours / "plugins/modules", apart=("gpu_access_info.py",))
    (ours / "plugins/modules/gpu_access_info.py").write_text(MODULE, encoding="utf-8")
    linked(ROOT / "roles", ours / "roles", apart=("nvidia_container_runtime",))
    tasks = ours / "roles/nvidia_container_runtime/tasks/main.yml"
    tasks.parent.mkdir(parents=True)
    tasks.write_text(yaml.safe_dump(ROLE), encoding="utf-8")
    return tmp_path / "collections"


def play(tmp_path: Path, collections: Path) -> str:
    steps = {name: {"digest": f"digest-{name}", "live_loss": False} for name in ANSWERS if name != "apart"}
    variables = {
        "__rollout_node": "{{ inventory_hostname }}",
        "__rollout_runtime_steps": steps,
        "__rollout_run": {"id": "run-1"},
        "rollout_proc_root": f"{tmp_path}/{{{{ inventory_hostname }}}}",
    }
    role = {"name": "kubegpu.sharing.rollout", "tasks_from": "runtime_host"}
    plays = [
        {"hosts": "localhost", "gather_facts": False, "tasks": [{"set_fact": {"__rollout_run": {"id": "run-1"}}}]},
        {"hosts": "nodes", "gather_facts": False, "vars": variables, "tasks": [{"include_role": role}]},
    ]
    playbook, inventory = tmp_path / "play.yml", tmp_path / "hosts"
    playbook.write_text(yaml.safe_dump(plays), encoding="utf-8")
    words = f"ansible_connection=local ansible_python_interpreter={sys.executable}"
    inventory.write_text("[nodes]\n" + "".join(f"{name} {words}\n" for name in ANSWERS), encoding="utf-8")
    environment = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": str(collections),
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_FORKS": "6",
    }
    command = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", str(inventory), str(playbook)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120, env=environment)
    return done.stdout + done.stderr


def test_host_whose_containers_have_lost_their_gpus_stops_and_one_that_cannot_tell_says_so(
    tmp_path: Path, collections: Path
) -> None:
    for name, answer in ANSWERS.items():
        (tmp_path / name).mkdir()
        for turn, told in ((1, GOOD), (2, answer)):
            (tmp_path / name / f"answer-{turn}").write_text(json.dumps(told), encoding="utf-8")
    said = play(tmp_path, collections)
    recap = {line.split()[0]: line for line in said.partition("PLAY RECAP")[2].splitlines() if line.strip()}
    assert {name for name in ANSWERS if "failed=1" in recap[name]} == {"lost"}, said
    assert LOST["message"] in said
    # It is asked once before and once after, and told what was seen before.
    for name in ANSWERS:
        looks = tmp_path / name / "looks"
        assert (tmp_path / name / "changed").exists() == looks.exists() == (name != "apart")
        if looks.exists():
            assert [json.loads(line) for line in looks.read_text(encoding="utf-8").splitlines()] == [None, HELD]
            assert (tmp_path / name / "changed").read_text(encoding="utf-8") == f"digest-{name}"
    shown = " ".join(said.split())
    for name, why in (
        ("unseen", "/proc cannot be read: Permission denied."),
        ("unknown", "no program to ask with"),
        ("broken", "the module ended without a word"),
    ):
        assert f"Whether containers of {name} have kept their GPUs over the restart is not known: {why}" in shown
    assert "containers of kept have" not in shown
