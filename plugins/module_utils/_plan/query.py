# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A JMESPath query over the facts of one GPU. PRIVATE to the collection."""

from __future__ import annotations

from typing import Any, Mapping

# Only the control node needs it, and only for configs that match by query.
jmespath: Any
try:
    import jmespath
except ImportError:  # pragma: no cover
    jmespath = None


class Query:
    """A question about a GPU, to be answered with yes or no.

    :param text: in JMESPath, such as "memory_total_mib > `40000` && !mig.capable".
    :raises ValueError: the text does not parse.
    """

    def __init__(self, text: str) -> None:
        if jmespath is None:
            raise ValueError("the Python library jmespath is missing on the control node; install it there")
        self.text = text
        try:
            parsed = jmespath.compile(text).parsed
        except jmespath.exceptions.JMESPathError as error:
            raise ValueError(_one_line(error)) from error
        self._compiled = jmespath.parser.ParsedResult(text, _bind_not(parsed))

    def ask(self, facts: Mapping[str, Any]) -> bool:
        """The answer for one GPU.

        :param facts: of plain types only: JMESPath knows types by their exact class.
        :raises ValueError: the query fails on these facts, or its answer is neither true nor false.
        """
        try:
            answer = self._compiled.search(facts)
        except jmespath.exceptions.JMESPathError as error:
            raise ValueError(f"{self.text!r} fails: {_one_line(error)}") from error
        if not isinstance(answer, bool):
            raise ValueError(f"{self.text!r} yields {answer!r}, neither true nor false")
        return answer

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Query) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __repr__(self) -> str:
        return f"Query({self.text!r})"


def _bind_not(tree: Any) -> Any:
    """The tree with "!a.b" as not (a.b).

    The library reads it as (not a).b. That is always null, for a boolean has no fields, so nobody can have meant it.
    """
    if isinstance(tree, list):
        return [_bind_not(one) for one in tree]
    if not isinstance(tree, dict) or tree["type"] == "literal":
        return tree
    bound = {**tree, "children": _bind_not(tree.get("children", []))}
    first = bound["children"][0] if bound["children"] else None
    if tree["type"] in ("subexpression", "index_expression") and first and first["type"] == "not_expression":
        inner = {**bound, "children": [*first["children"], *bound["children"][1:]]}
        return {**first, "children": [inner]}
    return bound


def _one_line(error: Exception) -> str:
    """JMESPath points at the place with a line of its own, which a list of problems has no room for."""
    return " ".join(str(error).replace("^", "").split()).rstrip(".")
