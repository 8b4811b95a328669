# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What to say about a word that nobody knows. PRIVATE to the collection."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any, Iterable, Mapping, Sequence


def did_you_mean(word: Any, known: Iterable[str]) -> str:
    """The question "Did you mean X?", with a leading blank, if a known word is near; else nothing."""
    folded = {name.lower(): name for name in known}
    near = get_close_matches(str(word).lower(), folded, n=1, cutoff=0.6)
    return f" Did you mean {folded[near[0]]}?" if near else ""


def unknown_words(where: str, given: Mapping[Any, Any], known: Sequence[str]) -> list[str]:
    """One problem for each key of ``given`` that is not in ``known``, with the nearest known word or all of them."""
    problems = []
    for word in given:
        if word in known:
            continue
        hint = did_you_mean(word, known) or f" Known words: {', '.join(known)}."
        problems.append(f"{where}: unknown word {str(word)!r}.{hint}")
    return problems


def kind_of(value: Any) -> str:
    """A value's type in the operator's words."""
    if value is None:
        return "nothing"
    for kinds, name in (
        (bool, "a boolean"),
        ((int, float), "a number"),
        (str, "a string"),
        (Mapping, "a mapping"),
        ((list, tuple), "a list"),
    ):
        if isinstance(value, kinds):
            return name
    return type(value).__name__
