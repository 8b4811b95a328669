# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What hosts of a play say to each other before one of them takes a RuntimeClass away, as Ansible makes it of the role's variables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ansible.template
import pytest
import yaml
from ansible.parsing.dataloader import DataLoader

from ansible_collections.kubegpu.sharing.plugins.filter.runtime_class_steps import runtime_class_steps

ROLE = Path(__file__).resolve().parents[3] / "roles" / "nvidia_container_runtime"
BEFORE = "__nvidia_container_runtime_"
NVIDIA: dict[str, Any] = {"name": "nvidia", "there": "nvidia", "handler": "nvidia", "wanted": False, "keeps": False}
NVIDIA |= {"leaves": True, "renames": False}
# Also by a host that sees to no RuntimeClass, or has the runtime as its default.
KEPT = {**NVIDIA, "keeps": True, "leaves": False}


def trusted(value: Any) -> Any:
    """From 2.19 on, Ansible reads no text as a template that did not come from the user's files."""
    if isinstance(value, dict):
        return {key: trusted(one) for key, one in value.items()}
    if isinstance(value, list):
        return [trusted(one) for one in value]
    trust = getattr(ansible.template, "trust_as_template", None)
    return trust(value) if trust is not None and isinstance(value, str) else value


def load(path: str) -> Any:
    return yaml.safe_load((ROLE / path).read_text(encoding="utf-8"))


def templated(template: Any, **variables: Any) -> Any:
    """What Ansible makes of a template beside the variables of the role."""
    known = {
        **load("defaults/main.yml"),
        **load("vars/main.yml"),
        "inventory_hostname": "gpu-1",
        "groups": {},
        **variables,
    }
    return ansible.template.Templar(loader=DataLoader(), variables=trusted(known)).template(trusted(template))


def steps(said: dict[str, Any], batch: list[str], hosts: list[str], **variables: Any) -> Any:
    """What is to become of RuntimeClasses, if gpu-1 asks: the role's variables as Ansible makes them, and the filter that they are given to.

    :param said: by host what it has noted of itself.
    :param batch: hosts of the batch that have not failed.
    :param hosts: those of the play.
    """
    answers = [{f"{BEFORE}item": "nvidia", "exists": True, "ours": True, "pods": []}]
    known: dict[str, Any] = {
        "hostvars": {
            host: {f"{BEFORE}concern": {**said[host], "host": host}} if host in said else {} for host in hosts
        },
        "ansible_play_hosts_all": hosts,
        "ansible_play_hosts": hosts,
        "ansible_play_batch": batch,
        f"{BEFORE}answers": {"results": answers},
        f"{BEFORE}look": {"was_name": None},
        "kubegpu_runtime_state": "absent",
    }
    known |= variables
    noted, classes, run = (templated(f"{{{{ {BEFORE}{name} }}}}", **known) for name in ("noted", "classes", "run"))
    return runtime_class_steps(noted, "gpu-1", classes, run)


@pytest.mark.parametrize(
    ("said", "batch", "expected"),
    [
        pytest.param({"gpu-1": NVIDIA, "gpu-2": NVIDIA}, ["gpu-1", "gpu-2"], ["nvidia"], id="all-leave"),
        pytest.param({"gpu-1": NVIDIA, "gpu-2": KEPT}, ["gpu-1", "gpu-2"], [], id="kept-in-the-batch"),
        pytest.param({"gpu-1": NVIDIA, "gpu-2": KEPT}, ["gpu-1"], [], id="kept-in-an-earlier-batch"),
        pytest.param({"gpu-1": NVIDIA, "gpu-2": NVIDIA}, ["gpu-1"], ["nvidia"], id="last-batch-in-another-order"),
        pytest.param({"gpu-1": NVIDIA}, ["gpu-1"], [], id="another-batch-comes"),
        pytest.param({"gpu-1": NVIDIA}, ["gpu-1", "gpu-2"], [], id="look-failed-in-a-block-that-went-on"),
    ],
)
def test_class_goes_once_no_host_of_the_play_can_have_or_want_it(
    said: dict[str, Any], batch: list[str], expected: list[str]
) -> None:
    assert steps(said, batch, ["gpu-1", "gpu-2"])["going"] == expected
    # Nor does it depend on the place of a host in the inventory.
    assert steps(said, batch, ["gpu-2", "gpu-1"])["going"] == expected


def test_class_of_one_host_does_not_go_with_that_of_another() -> None:
    other = {**NVIDIA, "name": "other", "there": "other"}
    for one in (KEPT, {**NVIDIA, "leaves": False}):
        said, hosts = {"gpu-1": other, "gpu-2": one}, ["gpu-1", "gpu-2"]
        assert steps(said, hosts, hosts, kubegpu_runtime_class_name="other")["going"] == []


def test_class_stays_where_the_run_is_limited_or_the_group_has_more_hosts() -> None:
    said, hosts = {"gpu-1": {**NVIDIA, "gone": True}}, ["gpu-1"]
    assert steps(said, hosts, hosts)["goes"] == ["nvidia"]
    assert steps(said, hosts, hosts, ansible_limit="gpu-1")["stays"] == ["nvidia"]
    more = steps(said, hosts, hosts, groups={"gpus": ["gpu-1", "gpu-2"]}, kubegpu_group="gpus")
    assert (more["goes"], more["stays"], more["holders"]) == ([], ["nvidia"], ["gpu-2"])


def test_host_that_asks_is_heard_though_the_play_has_lost_it() -> None:
    lost = {
        "ansible_play_hosts": ["gpu-2"],
        "ansible_play_batch": [],
        "ansible_play_hosts_all": ["gpu-1", "gpu-2"],
    }
    said = {"gpu-1": {**NVIDIA, "gone": True}, "gpu-2": {**NVIDIA, "gone": True}}
    told = steps(said, ["gpu-2"], ["gpu-1", "gpu-2"], **lost)
    assert (told["goes"], told["stays"], told["holders"]) == ([], ["nvidia"], ["gpu-1"])


@pytest.mark.parametrize(("state", "wanted"), [("present", True), ("absent", False)])
def test_host_says_with_its_look_whether_it_wants_the_class(state: str, wanted: bool) -> None:
    """Ansible sees to hosts that are asked for something else in an order of its own."""
    noted = load("tasks/preflight.yml")[1]["ansible.builtin.set_fact"][f"{BEFORE}concern"]
    said = templated(noted, kubegpu_runtime_state=state, omit="nothing")
    assert (said["host"], said["wanted"], said["keeps"], said["leaves"]) == ("gpu-1", wanted, wanted, not wanted)
    said = templated(noted, kubegpu_runtime_state=state, kubegpu_runtime_class="false", omit="nothing")
    assert (said["wanted"], said["keeps"], said["leaves"]) == (False, wanted, False)
    # A plan asks for nothing.
    assert templated(noted, **{f"{BEFORE}plans": True, "omit": "nothing"}) == "nothing"


@pytest.mark.parametrize(
    ("look", "due"),
    [(None, "runtime_class"), ({"would_change": True}, "put_in"), ({"would_change": False}, "runtime_class")],
    ids=["before-the-look", "change", "no-change"],
)
def test_what_is_due_is_a_name_of_a_file_before_the_look_too(look: dict[str, Any] | None, due: str) -> None:
    """Up to 2.18, ansible-core asks for it without the facts of a host when it imports files into that one, and ends if it gets none."""
    known = {f"{BEFORE}look": look} if look is not None else {}
    assert templated(f"{{{{ {BEFORE}due }}}}", **known) == due
