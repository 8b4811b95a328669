# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A report before it is text or a page: title, sections, tables. PRIVATE to the collection."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Mapping, Optional, Sequence

Row = Sequence[str]


@dataclass(frozen=True)
class Column:
    """A column of a table.

    :param right: figures are aligned to the right.
    :param wrap: prose that may be broken into lines where the screen is narrow.
    """

    title: str
    right: bool = False
    wrap: bool = False


@dataclass(frozen=True)
class Table:
    """Rows of text. A cell may hold several lines.

    :param total: a last row that sums up.
    :param left_out: how many rows there are beyond ``rows``.
    """

    columns: Sequence[Column]
    rows: Sequence[Row]
    total: Optional[Row] = None
    left_out: int = 0


@dataclass(frozen=True)
class Section:
    """A heading, then prose, a table, a list, commands to copy, and lines of a file as they are; each may be missing."""

    heading: str
    text: str = ""
    table: Optional[Table] = None
    items: Sequence[str] = ()
    commands: Sequence[str] = ()
    lines: Sequence[str] = ()


@dataclass(frozen=True)
class Document:
    """A view: the first line says the most important thing."""

    title: str
    subtitle: str
    sections: Sequence[Section]


def capped_table(columns: Sequence[Column], rows: Sequence[Row], limit: int, total: Optional[Row] = None) -> Table:
    """A table of the first ``limit`` rows that says how many it leaves out."""
    return Table(columns, rows[:limit], total, max(0, len(rows) - limit))


def capped_items(items: Sequence[str], limit: int) -> list[str]:
    """The first ``limit`` items, and a last one that says how many are left out."""
    left_out = len(items) - limit
    return [*items[:limit], *([f"… and {left_out} more"] if left_out > 0 else [])]


def add_section(document: Document, section: Section) -> Document:
    """The document with one more section at its end."""
    return replace(document, sections=[*document.sections, section])


def list_left_alone(skipped: Sequence[Mapping[str, Any]], limit: int) -> Optional[Section]:
    """Nodes that a plan leaves alone, with the reasons; None if there are none."""
    items = [f"{entry.get('node')}: {entry.get('reason')}" for entry in skipped]
    return Section("Left alone", items=capped_items(items, limit)) if items else None
