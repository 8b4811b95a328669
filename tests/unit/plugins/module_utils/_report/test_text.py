# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reports as text for a terminal."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.kubegpu.sharing.plugins.module_utils._report.check_view import show_check
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.document import (
    Column,
    Document,
    Section,
    Table,
    capped_items,
    capped_table,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.inspection import inspect_cluster
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.outcome import Rollout, summarise
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.plan_view import show_plan
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.summary import show_summary
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.text import Screen, render_text
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.verification import verify


def render(section: Section, screen: Screen = Screen()) -> str:  # noqa: B008 - a screen cannot be changed
    return render_text(Document("Title", "Subtitle", [section]), screen)


def test_render_text_aligns_figures_to_the_right() -> None:
    table = Table(
        [Column("Node"), Column("Slots", right=True)], [("gpu-1", "8"), ("gpu-10", "11")], total=("Total", "19")
    )
    assert render(Section("Slots", table=table)).splitlines() == [
        "Title",
        "Subtitle",
        "",
        "Slots",
        "  Node    Slots",
        "  ──────  ─────",
        "  gpu-1       8",
        "  gpu-10     11",
        "  ──────  ─────",
        "  Total      19",
    ]


def test_render_text_breaks_prose_between_words_and_keeps_arguments_whole() -> None:
    prose = "word " * 40
    table = Table(
        [Column("Arguments", wrap=True), Column("Why", wrap=True)], [("--fail-on-init-error=false\n--x", prose)]
    )
    lines = render(Section("Heading", table=table), Screen(80, 80)).splitlines()
    assert max(map(len, lines)) <= 80
    assert sum("--fail-on-init-error=false" in line for line in lines) == 1
    assert sum(line.count("word") for line in lines) == 40


def test_render_text_breaks_words_only_if_nothing_else_helps() -> None:
    table = Table([Column("A", wrap=True), Column("B")], [("x" * 100, "whole")])
    lines = render(Section("Heading", table=table), Screen(80, 80)).splitlines()
    assert max(map(len, lines)) <= 80
    assert sum(line.count("x") for line in lines) == 100


def test_render_text_takes_control_characters_out() -> None:
    table = Table([Column("Node")], [("evil\x1b[31m\x07\r",)])
    text = render(Section("Heading", "a\x1b[2Jb", table, ["c\x9bd"]))
    assert not {"\x1b", "\x07", "\r", "\x9b"} & set(text)


def test_render_text_without_unicode_is_ascii() -> None:
    table = Table([Column("Slots")], [("1 → 8",)], left_out=3)
    text = render(Section("Heading × …", table=table, items=["Größe"]), Screen(unicode=False))
    assert text.isascii()
    assert "1 -> 8" in text
    assert "... and 3 more, not shown here" in text
    assert "-----" in text


def test_every_view_fits_into_a_terminal_of_80_columns(story: Any) -> None:
    figures = summarise(Rollout(story.plan, story.before, story.after, story.journal), "2026-03-01T12:00:00Z")
    views = [
        inspect_cluster(story.before, story.facts, 50),
        show_plan(story.plan, 50, story.before),
        show_check(story.plan, 50, story.before),
        verify(story.plan, story.before, story.after, 50),
        show_summary(figures, 50),
    ]
    for view in views:
        lines = render_text(view, Screen.of(80, "utf-8")).splitlines()
        assert [line for line in lines if len(line) > 80] == [], view.title


@pytest.mark.parametrize(
    ("columns", "width", "table_width"), [(20, 80, 80), (100, 100, 100), (120, 120, 120), (250, 120, 250)]
)
def test_screen_of_bounds_prose_but_not_tables(columns: int, width: int, table_width: int) -> None:
    screen = Screen.of(columns, "UTF-8")
    assert (screen.width, screen.table_width, screen.unicode) == (width, table_width, True)


@pytest.mark.parametrize(
    ("encoding", "unicode"), [("utf-8", True), ("UTF8", True), ("ANSI_X3.4-1968", False), ("latin-1", False)]
)
def test_screen_of_knows_what_an_encoding_can_show(encoding: str, unicode: bool) -> None:
    assert Screen.of(100, encoding).unicode is unicode


def test_capped_table_counts_what_it_leaves_out() -> None:
    table = capped_table([Column("A")], [("1",), ("2",), ("3",)], 2)
    assert (table.rows, table.left_out) == ([("1",), ("2",)], 1)


def test_capped_items_end_with_what_is_left_out() -> None:
    assert capped_items(["a", "b", "c"], 2) == ["a", "b", "… and 1 more"]
    assert capped_items(["a", "b"], 2) == ["a", "b"]


def test_render_text_breaks_after_commas_before_it_breaks_names() -> None:
    names = ",".join(f"--option-{number}=value" for number in range(8))
    table = Table([Column("Arguments", wrap=True), Column("B")], [(names, "x" * 30)])
    lines = render(Section("Heading", table=table), Screen(80, 80)).splitlines()
    assert max(map(len, lines)) <= 80
    assert all(sum(f"--option-{number}=value" in line for line in lines) == 1 for number in range(8))
