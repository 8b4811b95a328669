# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command that comes next can be copied as it is, and tells no secrets."""

from __future__ import annotations

import shlex

import pytest

from ansible_collections.kubegpu.sharing.plugins.plugin_utils._command import follow_up

APPROVED = "-e kubegpu_plan_id=0123456789abcdef"


def after(typed: str, playbook: str = "rollout") -> str:
    """What follows ``typed``, without the program's name and the id."""
    command = follow_up(shlex.split(typed), playbook, "0123456789abcdef")
    assert command.endswith(f" {APPROVED}")
    return command.removesuffix(f" {APPROVED}").partition(" ")[2]


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        pytest.param(
            "ansible-playbook kubegpu.sharing.plan -i inventory",
            "kubegpu.sharing.rollout -i inventory",
            id="the playbook alone",
        ),
        pytest.param(
            "ansible-playbook -i inventory playbooks/plan.yml --limit 'gpu-7,kubegpu-wave-*'",
            "-i inventory kubegpu.sharing.rollout --limit 'gpu-7,kubegpu-wave-*'",
            id="the playbook's file, a limit",
        ),
        pytest.param(
            "ansible-playbook kubegpu.sharing.rollout --check --diff -i a -i b -bK",
            "kubegpu.sharing.rollout -i a -i b -bK",
            id="no dry run any more",
        ),
        pytest.param(
            "ansible-playbook kubegpu.sharing.rollout -CD -vC -i a",
            "kubegpu.sharing.rollout -v -i a",
            id="no dry run in short",
        ),
        pytest.param(
            'ansible-playbook kubegpu.sharing.plan -e kubegpu_wave=1 -e@more.yml --extra-vars=\'{"kubegpu_facts": "labels"}\'',
            'kubegpu.sharing.rollout -e kubegpu_wave=1 -e @more.yml -e \'{"kubegpu_facts": "labels"}\'',
            id="variables stay as they were typed",
        ),
        pytest.param(
            "ansible-playbook kubegpu.sharing.measure -e kubegpu_measure_seconds=5 -e 'kubegpu_measure_margin=0.1 kubegpu_measurements_dir=m'",
            "kubegpu.sharing.rollout -e kubegpu_measurements_dir=m",
            id="nothing of a sampling",
        ),
        pytest.param(
            "ansible-playbook kubegpu.sharing.rollout -e kubegpu_plan_id=fff -e 'kubegpu_plan_id=fff kubegpu_wave=50%'",
            "kubegpu.sharing.rollout -e kubegpu_wave=50%",
            id="one id only",
        ),
        pytest.param(
            "ansible-playbook kubegpu.sharing.plan -e ansible_become_password=hush -e '{token: hush, kubegpu_wave: [1]}'",
            "kubegpu.sharing.rollout -e ansible_become_password=... -e '{kubegpu_wave: [1]}' -e token=...",
            id="no secrets",
        ),
        pytest.param(
            "ansible-playbook -i /home/me/playbooks/hosts.yml -l playbooks/plan.yml kubegpu.sharing.plan",
            "-i /home/me/playbooks/hosts.yml -l playbooks/plan.yml kubegpu.sharing.rollout",
            id="a value that looks like a playbook",
        ),
        pytest.param(
            "ansible-playbook playbooks/inspect.yml kubegpu.sharing.plan -i a",
            "kubegpu.sharing.rollout -i a",
            id="two playbooks become one",
        ),
        pytest.param(
            "ansible-playbook -i a -- kubegpu.sharing.plan", "-i a kubegpu.sharing.rollout", id="the end of options"
        ),
        pytest.param(
            "ansible-playbook kubegpu.sharing.plan --extra-var ansible_become_password=hush --extra=token=hush --chec --dif --lim=a",
            "kubegpu.sharing.rollout -e ansible_become_password=... -e token=... --limit a",
            id="shortened options",
        ),
        pytest.param(
            "ansible-playbook kubegpu.sharing.plan -Ci inv -bDvibundled -Ce token=hush --ssh-common-args '-o Port=1' -t ''",
            "kubegpu.sharing.rollout -i inv -bv -i bundled -e token=... --ssh-common-args '-o Port=1' -t ''",
            id="bundled options",
        ),
        pytest.param(
            "ansible-playbook kubegpu.sharing.plan -e 'kubegpu_wave=1 hush' -e hush -e ' {token: hush}'",
            "kubegpu.sharing.rollout -e kubegpu_wave=1",
            id="words that set no variable",
        ),
    ],
)
def test_follow_up_is_the_command_at_hand_for_the_next_playbook(typed: str, words: str) -> None:
    assert after(typed) == words


@pytest.mark.parametrize(
    "typed",
    [
        pytest.param("ansible-playbook site.yml -i inventory", id="a playbook of the user's own"),
        pytest.param("ansible-playbook playbooks/site.yml -i inventory", id="one in a folder named as ours"),
        pytest.param("ansible-playbook site.yml kubegpu.sharing.plan -i inventory", id="one beside ours"),
        pytest.param("python -m ansible playbook kubegpu.sharing.plan", id="another program"),
        pytest.param("ansible-playbook kubegpu.sharing.plan --con token=hush", id="more than one option is meant"),
        pytest.param("ansible-playbook kubegpu.sharing.plan --new-option token=hush", id="an option not known"),
        pytest.param("ansible-playbook kubegpu.sharing.plan -Z token=hush", id="a short option not known"),
        pytest.param("ansible-playbook kubegpu.sharing.plan --check=token", id="a switch with a value"),
        pytest.param("ansible-playbook kubegpu.sharing.plan -ve=token=hush", id="a value behind switches"),
        pytest.param("ansible-playbook kubegpu.sharing.plan -i", id="no value"),
        pytest.param("ansible-playbook kubegpu.sharing.plan -e '{'", id="no YAML"),
        pytest.param("ansible-playbook kubegpu.sharing.plan -e '[hush]'", id="a list"),
        pytest.param("ansible-playbook kubegpu.sharing.plan -e '{1: hush}'", id="a name that is none"),
    ],
)
def test_follow_up_to_what_cannot_be_read_for_sure_is_the_plain_command(typed: str) -> None:
    assert (
        follow_up(shlex.split(typed), "rollback", "x")
        == "ansible-playbook kubegpu.sharing.rollback -e kubegpu_plan_id=x"
    )


def test_follow_up_keeps_a_program_that_the_shell_does_not_find() -> None:
    typed = ["./bin/ansible-playbook", "kubegpu.sharing.plan"]
    assert follow_up(typed, "rollout", "x") == "./bin/ansible-playbook kubegpu.sharing.rollout -e kubegpu_plan_id=x"
