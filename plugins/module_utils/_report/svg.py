# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shapes of a figure, and the figure as inline SVG. PRIVATE to the collection.

Shapes carry style classes and no colours: the page decides those, for light, dark and paper.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape
from typing import Optional, Sequence, Union


@dataclass(frozen=True)
class Rect:
    """A bar. :param title: what a pointer over it is told."""

    x: float
    y: float
    width: float
    height: float
    style: str
    title: str = ""
    radius: float = 2

    def render(self) -> str:
        title = f"<title>{escape(self.title)}</title>" if self.title else ""
        place = f'x="{_n(self.x)}" y="{_n(self.y)}" width="{_n(self.width)}" height="{_n(self.height)}" rx="{_n(self.radius)}"'
        return f'<rect {place} class="{escape(self.style)}">{title}</rect>'


@dataclass(frozen=True)
class Text:
    """A line of text. :param anchor: start, middle or end."""

    x: float
    y: float
    text: str
    style: str = "label"
    anchor: str = "start"

    def render(self) -> str:
        anchor = "" if self.anchor == "start" else f' text-anchor="{escape(self.anchor)}"'
        return (
            f'<text x="{_n(self.x)}" y="{_n(self.y)}" class="{escape(self.style)}"{anchor}>{escape(self.text)}</text>'
        )


@dataclass(frozen=True)
class Line:
    """A straight line."""

    x1: float
    y1: float
    x2: float
    y2: float
    style: str = "axis"

    def render(self) -> str:
        ends = f'x1="{_n(self.x1)}" y1="{_n(self.y1)}" x2="{_n(self.x2)}" y2="{_n(self.y2)}"'
        return f'<line {ends} class="{escape(self.style)}"/>'


@dataclass(frozen=True)
class Area:
    """A filled polygon. :param title: what a pointer over it is told."""

    points: Sequence[tuple[float, float]]
    style: str
    title: str = ""

    def render(self) -> str:
        title = f"<title>{escape(self.title)}</title>" if self.title else ""
        points = " ".join(f"{_n(x)},{_n(y)}" for x, y in self.points)
        return f'<polygon points="{points}" class="{escape(self.style)}">{title}</polygon>'


Shape = Union[Rect, Text, Line, Area]


@dataclass(frozen=True)
class Figure:
    """A drawing with its text alternative.

    :param title: short name, read out first.
    :param description: what the drawing shows, in a sentence or two.
    :param legend: (style class, words) of each kind of bar.
    :param note: what is left out, if something is.
    """

    title: str
    description: str
    width: float
    height: float
    shapes: Sequence[Shape] = field(default_factory=tuple)
    legend: Sequence[tuple[str, str]] = field(default_factory=tuple)
    note: Optional[str] = None

    def render(self, identity: str) -> str:
        """As an inline SVG element.

        :param identity: unique in the page; names the text alternative.
        """
        shapes = "".join(shape.render() for shape in self.shapes)
        box = f'viewBox="0 0 {_n(self.width)} {_n(self.height)}"'
        names = f'aria-labelledby="{identity}-title {identity}-description"'
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" {box} role="img" {names}>'
            f'<title id="{identity}-title">{escape(self.title)}</title>'
            f'<desc id="{identity}-description">{escape(self.description)}</desc>{shapes}</svg>'
        )


def _n(value: float) -> str:
    """A coordinate without needless digits."""
    return f"{value:.2f}".rstrip("0").rstrip(".")
