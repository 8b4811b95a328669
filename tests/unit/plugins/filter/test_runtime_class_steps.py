# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which RuntimeClasses are made, which go with container runtimes, and which have to stay."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.kubegpu.sharing.plugins.filter.runtime_class_steps import runtime_class_steps

OURS = {"exists": True, "handler": "nvidia", "ours": True}
NONE = {"exists": False, "handler": None, "ours": False}


def note(host: str, does: str = "leaves", **more: Any) -> dict[str, Any]:
    """What a host notes: one that is to lose its runtime, or keeps it, or renames it."""
    said: dict[str, Any] = {"name": "nvidia", "handler": "nvidia", "there": "nvidia", "host": host, "definition": {}}
    said |= {"wanted": does != "leaves", "keeps": does != "leaves", "leaves": does == "leaves"}
    return said | {"renames": does == "renames"} | more


def gone(host: str) -> dict[str, Any]:
    return note(host, gone=True)


def steps(*notes: dict[str, Any], classes: Any = None, **run: Any) -> dict[str, Any]:
    """Of a run on the hosts that have noted something, unless RUN says otherwise."""
    hosts = [said["host"] for said in notes]
    of_run = {"all": hosts, "playing": hosts, "batch": hosts, "limited": False} | run
    return runtime_class_steps(list(notes), hosts[0], {"nvidia": OURS} if classes is None else classes, of_run)


def test_class_that_is_wanted_and_not_there_is_made_once_as_the_first_host_says() -> None:
    wanted = [note("a", "keeps"), note("b", "keeps"), note("c", "keeps", name="cuda")]
    told = steps(*wanted, classes={"nvidia": NONE, "cuda": NONE})
    assert (told["missing"], told["wrong"]) == ([wanted[0], wanted[2]], [])


def test_asker_gets_its_class_though_it_says_of_none_that_it_is_wanted_and_others_do_not() -> None:
    silent = {"wanted": False}
    told = steps(note("a", "keeps", **silent), note("b", "keeps", name="cuda", **silent), classes={"nvidia": NONE})
    assert [said["host"] for said in told["missing"]] == ["a"]


def test_asker_that_the_play_has_lost_is_heard_all_the_same() -> None:
    told = steps(note("a", "keeps"), note("b"), classes={"nvidia": NONE}, playing=["b"], batch=["b"])
    assert [said["host"] for said in told["missing"]] == ["a"]
    assert steps(gone("a"), all=["a", "b"], playing=["b"], batch=["b"])["stays"] == ["nvidia"]


def test_class_that_was_noted_after_the_api_was_asked_is_left_to_who_wants_it() -> None:
    told = steps(note("a", "keeps"), note("b", "keeps", name="cuda"), classes={"nvidia": NONE})
    assert [said["name"] for said in told["missing"]] == ["nvidia"]


def test_class_that_only_a_host_of_another_batch_wants_is_not_made() -> None:
    told = steps(
        note("a", "keeps"), note("b", "keeps", name="cuda"), classes={"nvidia": OURS, "cuda": NONE}, batch=["a"]
    )
    assert (told["missing"], told["wrong"]) == ([], [])


def test_class_for_another_handler_is_told_for_each_host_that_is_another() -> None:
    (told,) = steps(note("a", "keeps"), classes={"nvidia": {**OURS, "handler": "runsc"}})["wrong"]
    assert told.startswith("The RuntimeClass nvidia stands for the handler runsc, not for nvidia, which a")


@pytest.mark.parametrize("there", [NONE, OURS])
def test_class_for_two_handlers_is_told_once_whether_it_is_there_or_not(there: Any) -> None:
    told = steps(note("a", "keeps"), note("b", "keeps", handler="gpu"), classes={"nvidia": there})["wrong"]
    assert sum("would have to stand for two handlers" in sentence for sentence in told) == 1


def test_class_goes_once_every_host_has_lost_the_runtime() -> None:
    before, after = steps(note("a"), note("b")), steps(gone("a"), gone("b"))
    assert (before["going"], before["goes"], before["holders"]) == (["nvidia"], [], ["a", "b"])
    assert (after["going"], after["goes"], after["stays"]) == (["nvidia"], ["nvidia"], [])


@pytest.mark.parametrize(
    ("notes", "run", "holders"),
    [
        pytest.param([gone("a")], {"limited": True}, [], id="limited"),
        pytest.param([gone("a")], {"all": ["a", "b"]}, ["b"], id="group-has-another-host"),
        pytest.param([gone("a")], {"playing": ["a", "b"], "batch": ["a", "b"]}, ["b"], id="not-looked-at"),
        pytest.param([gone("a"), note("b")], {}, ["b"], id="failed"),
    ],
)
def test_class_stays_while_a_host_may_have_the_runtime_and_names_it(notes: Any, run: Any, holders: Any) -> None:
    told = steps(*notes, **run)
    assert (told["goes"], told["stays"], told["holders"]) == ([], ["nvidia"], holders)


def test_class_goes_with_the_last_batch_and_earlier_ones_say_nothing_of_it() -> None:
    first = steps(gone("a"), playing=["a", "b"], batch=["a"])
    assert (first["going"], first["goes"], first["stays"]) == ([], [], [])
    last = runtime_class_steps(
        [gone("a"), gone("b")],
        "b",
        {"nvidia": OURS},
        {"all": ["a"], "playing": ["a", "b"], "batch": ["b"], "limited": False},
    )
    assert last["goes"] == ["nvidia"]


@pytest.mark.parametrize(
    ("notes", "classes"),
    [
        pytest.param([gone("a"), note("b", "keeps")], {"nvidia": OURS}, id="another-host-keeps-it"),
        pytest.param([gone("a")], {"nvidia": {**OURS, "ours": False}}, id="made-by-somebody-else"),
        pytest.param([gone("a")], {"nvidia": NONE}, id="not-there"),
        pytest.param([gone("a")], {"cuda": OURS}, id="of-no-host-that-loses-it"),
    ],
)
def test_class_that_is_not_to_go_is_neither_removed_nor_told(notes: Any, classes: Any) -> None:
    told = steps(*notes, classes={"nvidia": NONE} | classes)
    assert (told["goes"], told["stays"], told["old"]) == ([], [], [])


def test_class_does_not_go_at_the_word_of_a_host_that_keeps_its_runtime() -> None:
    told = steps(note("a", "keeps", name="cuda"), gone("b"), classes={"nvidia": OURS, "cuda": OURS})
    assert (told["going"], told["goes"]) == ([], [])


def test_class_goes_though_another_host_keeps_a_runtime_of_another_name() -> None:
    told = steps(gone("a"), note("b", "keeps", name="cuda"), classes={"nvidia": OURS, "cuda": OURS})
    assert (told["goes"], told["stays"]) == (["nvidia"], [])


def test_class_of_the_name_that_a_runtime_has_now_goes_and_one_of_a_lost_name_is_old() -> None:
    classes = {"nvidia": OURS, "gpu": OURS}
    assert steps(gone("a") | {"there": "gpu"}, classes=classes)["goes"] == ["gpu"]
    renamed = steps(note("a", "renames", there="gpu"), classes=classes)
    assert (renamed["old"], renamed["goes"], renamed["stays"]) == (["gpu"], [], [])


SOME_NOTES = st.lists(
    st.builds(note, st.sampled_from("abcd"), st.sampled_from(["leaves", "keeps", "renames"]), gone=st.booleans()),
    min_size=1,
    unique_by=lambda said: said["host"],
)
SOME_HOSTS = st.sets(st.sampled_from("abcdef")).map(sorted)


@given(notes=SOME_NOTES, others=SOME_HOSTS, lost=SOME_HOSTS, limited=st.booleans())
def test_class_goes_only_when_no_host_can_have_the_runtime(notes: Any, others: Any, lost: Any, limited: bool) -> None:
    hosts = [said["host"] for said in notes]
    playing = [host for host in "abcdef" if host in hosts or (host in others and host not in lost)]
    told = steps(*notes, all=sorted({*hosts, *others, *lost}), playing=playing, batch=playing, limited=limited)
    all_lost_it = all(said["leaves"] and said["gone"] for said in notes)
    everybody_was_heard = {*others, *lost} <= {*hosts}
    assert (told["goes"] == ["nvidia"]) == (all_lost_it and everybody_was_heard and not limited)
    assert not (told["goes"] and told["stays"])
