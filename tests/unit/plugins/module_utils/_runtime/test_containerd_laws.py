# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The law of editing, over containerd configs in every spelling."""

from __future__ import annotations

import copy
import difflib
from typing import Any, Dict, Mapping, Optional, Tuple

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from unit.plugins.fakes.seen_runtime import after, seen_runtime
from unit.plugins.module_utils._runtime.containerd_configs import CRI, configs

from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.observation import Observation
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.planning import plan_runtime
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.toml_reading import flatten, lookup, parse
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.wish import Wish

MAIN = "/etc/containerd/config.toml"
DROP_IN = "/etc/containerd/conf.d/80-kubegpu-sharing.toml"
NORMAL = Wish()
FULL = Wish(default=True, privileged_without_host_devices="true", cdi="false")
ABSENT = Wish(state="absent")
law = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
wishes = st.builds(
    Wish,
    name=st.sampled_from(["nvidia", "gpu"]),
    default=st.booleans(),
    privileged_without_host_devices=st.sampled_from(["inherit", "true", "false"]),
    cdi=st.sampled_from(["inherit", "true", "false"]),
    restore_runc=st.booleans(),
)


def seen(text: Optional[str], version: str = "1.7.24", **fields: Any) -> Dict[str, Any]:
    """A containerd with that main file, of which nothing was dumped."""
    return seen_runtime(
        "containerd", {MAIN: text}, version=version, program="/usr/bin/containerd", config_path=MAIN, **fields
    )


def step(wish: Wish, told: Mapping[str, Any]) -> Tuple[Dict[str, Any], Dict[str, Any]]:
    """The plan, and what is seen once it was applied."""
    plan = plan_runtime(wish, Observation.from_dict(told)).to_dict()
    assert not plan["problems"]
    return plan, after(told, plan)


def text_of(told: Mapping[str, Any], path: str = MAIN) -> Optional[str]:
    entry = told["files"].get(path) or {}
    content: Optional[str] = entry.get("content")
    return content


def merged(data: Mapping[str, Any], path: Tuple[str, ...], value: Any) -> None:
    """A value put into data."""
    table: Any = data
    for key in path[:-1]:
        table = table.setdefault(key, {})
    table[path[-1]] = value


@law
@given(text=configs(), wish=wishes)
def test_result_means_what_was_there_and_ours(text: str, wish: Wish) -> None:
    plan, there = step(wish, seen(text))
    expected = copy.deepcopy(parse(text, MAIN))
    had_runtimes = lookup(expected, ("plugins", CRI[2], "containerd", "runtimes")) is not None
    for path, value in plan["ours"]["values"]:
        merged(expected, tuple(path), value)
    if not had_runtimes:
        # containerd has its built-in runc only as long as no file names a runtime.
        merged(expected, ("plugins", CRI[2], "containerd", "runtimes", "runc", "runtime_type"), "io.containerd.runc.v2")
    assert parse(text_of(there) or "", MAIN) == expected


@law
@given(text=configs(), wish=wishes)
def test_bytes_of_others_stay(text: str, wish: Wish) -> None:
    _plan, there = step(wish, seen(text))
    result = (text_of(there) or "").splitlines(keepends=True)
    lines = text.splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        # Something comes behind what was the last line.
        lines[-1] += "\r\n" if "\r\n" in text else "\n"
        result[-1] += "\r\n" if "\r\n" in text else "\n"
    changed = [line for line in difflib.ndiff(lines, result) if line.startswith("- ")]
    replaced = ("{", "enable_cdi", "default_runtime_name", "BinaryName")
    assert all(any(key in line for key in replaced) for line in changed), changed


@law
@given(text=configs(), wish=wishes)
def test_line_breaks_stay_of_one_kind(text: str, wish: Wish) -> None:
    assume("\r\n" in text)
    _plan, there = step(wish, seen(text))
    assert "\n" not in (text_of(there) or "").replace("\r\n", "")


@law
@given(text=configs(), wish=wishes)
def test_present_twice_is_once(text: str, wish: Wish) -> None:
    _plan, there = step(wish, seen(text))
    again, still = step(wish, there)
    assert not again["changed"]
    assert text_of(still) == text_of(there)


@law
@given(text=configs(), wish=wishes)
def test_present_twice_is_once_without_a_record(text: str, wish: Wish) -> None:
    _plan, there = step(wish, seen(text))
    again, _still = step(wish, {**there, "record": None})
    assert not again["changed"]


@law
@given(text=st.one_of(configs(), st.sampled_from(["", "\n", "# nothing\n", "\ufeff"]), st.none()), wish=wishes)
def test_absent_undoes_present_to_the_byte(text: Optional[str], wish: Wish) -> None:
    _plan, there = step(wish, seen(text))
    undone, gone = step(Wish(name=wish.name, state="absent"), there)
    assert text_of(gone) == text
    assert undone["record"] is None
    assert not step(ABSENT, gone)[0]["changed"]


@law
@given(text=configs(), wish=wishes, other=wishes)
def test_present_with_other_options_is_absent_and_present(text: str, wish: Wish, other: Wish) -> None:
    _plan, there = step(wish, seen(text))
    _changed, now = step(other, there)
    _fresh, fresh = step(other, seen(text))
    assert text_of(now) == text_of(fresh)


@law
@given(text=configs(), wish=wishes, version=st.sampled_from([2, 3, 4]), data=st.data())
def test_absent_undoes_a_drop_in_to_the_byte(text: str, wish: Wish, version: int, data: st.DataObject) -> None:
    text = data.draw(configs(version=version))
    start = seen(text, "2.3.1")
    plan, there = step(wish, start)
    drop_in = text_of(there, DROP_IN)
    assert drop_in is not None
    assert parse(drop_in, DROP_IN)["version"] == version
    for path, value in plan["ours"]["values"]:
        assert lookup(parse(drop_in, DROP_IN), path) == value
    imports = parse(text_of(there) or "", MAIN)["imports"]
    assert imports == [*(parse(text, MAIN).get("imports") or []), DROP_IN]
    assert not step(wish, there)[0]["changed"]
    _undone, gone = step(ABSENT, there)
    assert text_of(gone) == text
    assert text_of(gone, DROP_IN) is None


@law
@given(text=configs(), wish=wishes, position=st.sampled_from(["before", "behind"]))
def test_absent_takes_out_ours_alone_of_a_file_that_others_edited(text: str, wish: Wish, position: str) -> None:
    assume("[other]" not in text and not text.startswith("\ufeff"))
    _plan, there = step(wish, seen(text))
    edited = text_of(there) or ""
    break_ = "\r\n" if "\r\n" in text else "\n"
    added = f"[other]{break_}key = 1{break_}"
    edited = f"# mine{break_}{edited}" if position == "before" else edited + break_ + added
    told = after(there, {"files": [{"path": MAIN, "content": edited}], "record": there["record"], "changed": True})
    _undone, gone = step(ABSENT if wish.name == "nvidia" else Wish(name=wish.name, state="absent"), told)
    expected = copy.deepcopy(parse(text, MAIN))
    if position == "behind":
        expected["other"] = {"key": 1}
    left = parse(text_of(gone) or "", MAIN)
    assert _without_empty(left) == _without_empty(expected)
    assert ("# mine" if position == "before" else "[other]") in (text_of(gone) or "")


@law
@given(text=configs(), wish=wishes)
def test_absent_leaves_every_line_of_a_file_to_which_others_have_added_one(text: str, wish: Wish) -> None:
    break_ = "\r\n" if "\r\n" in text else "\n"
    text = text if text.endswith(break_) else text + break_
    _plan, there = step(wish, seen(text))
    edited = (text_of(there) or "") + f"# mine{break_}"
    told = after(there, {"files": [{"path": MAIN, "content": edited}], "record": there["record"], "changed": True})
    _undone, gone = step(Wish(name=wish.name, state="absent"), told)
    lines, left = ((one or "").splitlines(keepends=True) for one in (f"{text}# mine{break_}", text_of(gone)))
    differing = [line for line in difflib.ndiff(lines, left) if line[0] in "+-"]
    # The header of a table that was there by those within it alone says nothing.
    assert all(line[0] == "+" and line[1:].strip()[:8] in ("", "[plugins") for line in differing), differing


def _without_empty(data: Mapping[str, Any]) -> Dict[Tuple[str, ...], Any]:
    return {path: value for path, value in flatten(data).items() if value != {}}


@pytest.mark.parametrize("version", ["1.7.24", "2.1.9"])
@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_a_file_of_five_hundred_lines_obeys_as_well(version: str, data: st.DataObject) -> None:
    text = data.draw(configs(version=2, filler=250))
    _plan, there = step(FULL, seen(text, version))
    assert not step(FULL, there)[0]["changed"]
    assert text_of(step(ABSENT, there)[1]) == text
