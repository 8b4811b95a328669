# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The law of editing, over configs of the toolkit in every spelling."""

from __future__ import annotations

import copy
import difflib
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from unit.plugins.module_utils._runtime.test_toolkit_config import planned
from unit.plugins.module_utils._runtime.toolkit_configs import toolkit_configs

from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.plan import RuntimePlan
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.toml_reading import flatten, parse
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.toolkit_config import PATH, SECTION, SWITCHES
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.wish import Wish

law = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
texts = st.one_of(toolkit_configs(), st.sampled_from(["", "\n", "# nothing\n", "\ufeff"]), st.none())
wishes = st.tuples(st.sampled_from(list(SWITCHES)), st.sampled_from(["", "crun", "/usr/libexec/crio/crun"]))
ABSENT = Wish(state="absent")


def step(text: str | None, wish: tuple[str, str], before: RuntimePlan | None = None) -> tuple[str | None, RuntimePlan]:
    """The file once the plan was carried out, and the plan."""
    plan = planned(text, Wish(visible_devices=wish[0]), wish[1], before)
    assert not plan.problems
    return (plan.files[0].content if plan.files else text), plan


def gone(text: str | None, before: RuntimePlan) -> str | None:
    plan = planned(text, ABSENT, before=before)
    assert (plan.problems, plan.record) == ((), None)
    return plan.files[0].content if plan.files else text


def with_ours(text: str | None, wish: tuple[str, str]) -> dict[str, Any]:
    data = {**copy.deepcopy(parse(text or "", PATH)), **SWITCHES[wish[0]]}
    if wish[1]:
        section = data.setdefault(SECTION, {})
        others = section.get("runtimes") or ["docker-runc", "runc"]
        section["runtimes"] = [wish[1], *(one for one in others if one != wish[1])]
    return data


def ended(text: str | None) -> list[str]:
    """Lines, of which the last one too has an end: something may come behind it."""
    lines = (text or "").splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += "\r\n" if "\r\n" in lines[0] else "\n"
    return lines


@law
@given(text=texts, wish=wishes)
def test_result_means_what_was_there_and_ours(text: str | None, wish: tuple[str, str]) -> None:
    content, _plan = step(text, wish)
    assert parse(content or "", PATH) == with_ours(text, wish)


@law
@given(text=toolkit_configs(), wish=wishes)
@example(
    text="[nvidia-container-runtime]\nruntimes = [\n  'docker-runc',\n  'crun',  # why\n  'runc'\n]\n",
    wish=("unchanged", "crun"),
)
def test_bytes_of_others_stay(text: str, wish: tuple[str, str]) -> None:
    content, _plan = step(text, wish)
    lost = [line for line in difflib.ndiff(ended(text), ended(content)) if line.startswith("- ")]
    # An inline table is one value, and so is a list without anything in it.
    replaced = (*SWITCHES["both"], "runtimes", f"{SECTION} = {{", wish[1] or "runtimes")
    assert all(any(key in line for key in replaced) or line[2:].lstrip().startswith("]") for line in lost), lost
    assert (content or "").count("#") == text.count("#")


@law
@given(text=toolkit_configs(), wish=wishes)
def test_line_breaks_stay_of_one_kind(text: str, wish: tuple[str, str]) -> None:
    content, _plan = step(text, wish)
    if "\r\n" in text and text.count("\r\n") == text.count("\n"):
        assert "\n" not in (content or "").replace("\r\n", "")
    if "\r\n" not in text:
        assert "\r" not in (content or "")


@law
@given(text=texts, wish=wishes)
def test_present_twice_is_once_with_a_record_and_without(text: str | None, wish: tuple[str, str]) -> None:
    content, plan = step(text, wish)
    again = planned(content, Wish(visible_devices=wish[0]), wish[1], plan)
    assert (again.changed, again.record) == (False, plan.record)
    assert step(content, wish)[0] == content


@law
@given(text=texts, wish=wishes)
def test_absent_undoes_present_to_the_byte(text: str | None, wish: tuple[str, str]) -> None:
    content, plan = step(text, wish)
    assert gone(content, plan) == text


@law
@given(text=texts, wish=wishes, other=wishes)
def test_present_with_other_options_is_absent_and_present(
    text: str | None, wish: tuple[str, str], other: tuple[str, str]
) -> None:
    content, plan = step(text, wish)
    assert step(content, other, plan)[0] == step(text, other)[0]


@law
@given(text=toolkit_configs(), wish=wishes)
def test_absent_takes_out_ours_alone_of_a_file_that_others_edited(text: str, wish: tuple[str, str]) -> None:
    content, plan = step(text, wish)
    end = "\r\n" if "\r\n" in text else "\n"
    added = f"{end}[other] # theirs{end}key = 1{end}"
    left = gone((content or "") + added, plan) or ""
    assert left.endswith(added)
    filled = [
        {path: one for path, one in flatten(parse(each, PATH)).items() if one != {}} for each in (left, text + added)
    ]
    assert filled[0] == filled[1]
    assert left.count("#") == (text + added).count("#")
