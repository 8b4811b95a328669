# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A report as text for a terminal. PRIVATE to the collection."""

from __future__ import annotations

import contextlib
import re
import textwrap
from dataclasses import dataclass
from typing import Any, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._report.document import Document, Row, Section, Table

# The action plugin names the library if it is missing, before it gets here.
with contextlib.suppress(ImportError):
    from tabulate import SEPARATING_LINE, DataRow, Line, TableFormat, tabulate

MIN_WIDTH = 80
#: Prose is not set wider than this; tables are, if there is room and they need it.
MAX_WIDTH = 120
_INDENT = "  "
_GAP = 2
# Prose in a table is not made narrower than this.
_MIN_COLUMN = 12
# What stays on one line: up to a space or a comma.
_PIECES = re.compile(r"[^\s,]*(?:,\s*|\s+|$)")

_ASCII = str.maketrans({"→": "->", "×": "x", "…": "...", "·": "-", "─": "-", "–": "-", "✓": "+", "✗": "!", "≥": ">="})


@dataclass(frozen=True)
class Screen:
    """Where text is shown.

    :param width: columns for prose.
    :param table_width: columns for tables.
    :param unicode: whether characters beyond ASCII can be shown.
    """

    width: int = MAX_WIDTH
    table_width: int = MAX_WIDTH
    unicode: bool = True

    @classmethod
    def of(cls, columns: int, encoding: str) -> Screen:
        """The screen of a terminal; very narrow ones overflow."""
        columns = max(MIN_WIDTH, columns)
        return cls(min(columns, MAX_WIDTH), columns, encoding.lower().replace("-", "").startswith("utf"))


def render_text(document: Document, screen: Screen) -> str:
    """The document as lines of at most the screen's width, as far as single words allow."""
    blocks = ["\n".join([document.title, *_wrap(document.subtitle, screen.width)])]
    blocks += [_render_section(section, screen) for section in document.sections]
    text = "\n\n".join(blocks) + "\n"
    return text if screen.unicode else text.translate(_ASCII).encode("ascii", "replace").decode("ascii")


def _render_section(section: Section, screen: Screen) -> str:
    lines = [section.heading]
    room = screen.width - len(_INDENT)
    lines += [_INDENT + line for line in _wrap(section.text, room)]
    if section.table:
        lines += [_INDENT + line for line in _render_table(section.table, screen.table_width - len(_INDENT))]
    for item in section.items:
        wrapped = textwrap.wrap(clean(item), room - 2, break_on_hyphens=False) or [""]
        lines += [f"{_INDENT}{'· ' if number == 0 else '  '}{line}" for number, line in enumerate(wrapped)]
    # Never broken: what is copied from two lines is two commands.
    lines += [f"{_INDENT}$ {clean(command)}" for command in section.commands]
    lines += [f"{_INDENT}{_INDENT}{clean(line)}" for line in section.lines]
    return "\n".join(line.rstrip() for line in lines)


def _wrap(text: str, width: int) -> list[str]:
    return [line for part in text.splitlines() for line in textwrap.wrap(clean(part), width, break_on_hyphens=False)]


def clean(text: str) -> str:
    """Text without control characters: what comes from the API may hold terminal escapes."""
    return "".join(character if character.isprintable() else " " for character in text)


def _render_table(table: Table, width: int) -> list[str]:
    rows = [_clean_row(row) for row in table.rows]
    if not rows:
        return ["none"]
    totals = [_clean_row(table.total)] if table.total else []
    limits = fit_columns(table, [*rows, *totals], width)
    # Headings are rows like others: given as such, tabulate would make each column wider than its heading.
    lines: list[Any] = [[column.title for column in table.columns], SEPARATING_LINE]
    lines += [line for row in rows for line in _break_row(row, limits)]
    if totals:
        lines += [SEPARATING_LINE, *(line for row in totals for line in _break_row(row, limits))]
    alignment = ["right" if column.right else "left" for column in table.columns]
    text = tabulate(lines, tablefmt=_format(), colalign=alignment, disable_numparse=True)
    return [*text.splitlines(), *([f"… and {table.left_out} more, not shown here"] if table.left_out else [])]


def _clean_row(row: Row) -> list[str]:
    return ["\n".join(clean(line) for line in str(cell).split("\n")) for cell in row]


def _break_row(row: Sequence[str], limits: Sequence[int | None]) -> list[list[str]]:
    """The row as lines of cells of one line each."""
    cells = [_wrap_cell(cell, limit).split("\n") for cell, limit in zip(row, limits)]
    return [[cell[n] if n < len(cell) else "" for cell in cells] for n in range(max(map(len, cells)))]


def _wrap_cell(cell: str, limit: int | None) -> str:
    if limit is None:
        return cell
    # arguments and label names stay whole where they can: hyphens are no places to break
    return "\n".join(line for part in cell.split("\n") for line in _fill(part, limit))


def _fill(line: str, limit: int) -> list[str]:
    """Lines of at most so many characters, broken at spaces and after commas; elsewhere only where a word is longer than a line."""
    lines = [""]
    for piece in _PIECES.findall(line):
        if lines[-1] and len(lines[-1]) + len(piece.rstrip()) > limit:
            lines.append("")
        lines[-1] += piece
        while len(lines[-1].rstrip()) > limit:
            lines[-1:] = [lines[-1][:limit], lines[-1][limit:]]
    return [found.rstrip() for found in lines]


def fit_columns(table: Table, rows: Sequence[Sequence[str]], width: int) -> list[int | None]:
    """Widths that columns are limited to so that the table fits; None where a column needs no limit.

    The widest column of prose gives way first, down to its longest word; words are broken only if that is not enough.
    """
    titles = [len(column.title) for column in table.columns]
    words = [[word.rstrip() for row in rows for word in _PIECES.findall(row[number])] for number in range(len(titles))]
    full = [
        max([title, *(len(line) for row in rows for line in row[number].split("\n"))])
        for number, title in enumerate(titles)
    ]
    whole_words = [max([_MIN_COLUMN, title, *map(len, found)]) for title, found in zip(titles, words)]
    limits = list(full)
    room = width - _GAP * (len(full) - 1)
    for lowest in (whole_words, [_MIN_COLUMN] * len(full)):
        _narrow(limits, [low if column.wrap else wide for column, low, wide in zip(table.columns, lowest, full)], room)
    return [limit if limit < wide else None for limit, wide in zip(limits, full)]


def _narrow(limits: list[int], lowest: Sequence[int], room: int) -> None:
    """Take from the widest until all fit, or none may give any more."""
    while sum(limits) > room:
        candidates = [number for number, limit in enumerate(limits) if limit > lowest[number]]
        if not candidates:
            return
        limits[max(candidates, key=limits.__getitem__)] -= 1


def _format() -> TableFormat:
    return TableFormat(
        lineabove=None,
        linebelowheader=Line("", "─", " " * _GAP, ""),
        linebetweenrows=None,
        linebelow=None,
        headerrow=DataRow("", " " * _GAP, ""),
        datarow=DataRow("", " " * _GAP, ""),
        padding=0,
        with_header_hide=None,
    )
