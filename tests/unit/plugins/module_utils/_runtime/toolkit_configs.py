# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Configs of NVIDIA's toolkit as the vendor's tools and people write them: in every spelling that TOML has for the same thing."""

from __future__ import annotations

from typing import List, Tuple

from hypothesis import strategies as st
from unit.plugins.module_utils._runtime.containerd_configs import blank_lines, comments, literal, values

from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.toolkit_config import (
    ENVIRONMENT,
    SECTION,
    VOLUME_MOUNTS,
)

RUNTIMES = ("docker-runc", "runc", "crun", "/usr/libexec/crio/crun", "kata")


@st.composite
def switches(draw: st.DrawFn) -> List[str]:
    """Lines of the root about the two switches: said, said in a comment as the vendor does, or not at all."""
    lines: List[str] = []
    for key in (VOLUME_MOUNTS, ENVIRONMENT):
        said = draw(st.sampled_from(["", "", "#{} = {}", "{} = {}", '"{}" = {}', "'{}'={}"]))
        if said:
            lines += [*draw(blank_lines), said.format(key, literal(draw(st.booleans()))) + draw(comments)]
    return lines


@st.composite
def runtimes(draw: st.DrawFn, indent: str = "") -> str:
    """The list of low-level runtimes, on one line or spread over several, with comments."""
    names = draw(st.lists(st.sampled_from(RUNTIMES), unique=True, max_size=4))
    shown = [draw(st.sampled_from([f"'{name}'", f'"{name}"'])) for name in names]
    comma = draw(st.sampled_from(["", ","])) if names else ""
    if draw(st.booleans()):
        return f"[{', '.join(shown)}{comma}]"
    first = draw(st.sampled_from(["", f"{indent}  # in this order\n"]))
    last = len(shown) - 1
    lines = [f"{indent}  {one}{comma if at == last else ','}{draw(comments)}\n" for at, one in enumerate(shown)]
    return f"[\n{first}{''.join(lines)}{indent}]"


@st.composite
def own_section(draw: st.DrawFn, indent: str) -> Tuple[List[str], List[str]]:
    """Lines about the runtime itself: those of the file's root, and those of a table."""
    listed = draw(st.booleans())
    style = draw(st.sampled_from(["table", "table", "table", "quoted", "dotted", "inline", "none"]))
    if style == "dotted":
        lines = [f'{SECTION}.log-level = "info"{draw(comments)}']
        return lines + ([f"{SECTION} . 'runtimes' = {draw(runtimes())}{draw(comments)}"] if listed else []), []
    if style == "inline":
        names = ", ".join(f'"{name}"' for name in RUNTIMES[:3])
        return [f'{SECTION} = {{ log-level = "info"{f", runtimes = [{names}]" if listed else ""} }}'], []
    if style == "none":
        return [], []
    header = f"{indent}[ '{SECTION}' ]" if style == "quoted" else f"{indent}[{SECTION}]"
    lines = [f"{header}{draw(comments)}", *draw(values(indent))]
    if listed:
        lines += [*draw(blank_lines), f"{indent}runtimes = {draw(runtimes(indent))}{draw(comments)}"]
    return [], lines


@st.composite
def toolkit_configs(draw: st.DrawFn) -> str:
    """A whole config file."""
    indent = draw(st.sampled_from(["", "  ", "\t"]))
    root, own = draw(own_section(indent))
    inline = any(line.startswith(f"{SECTION} =") for line in root)
    beside = [
        [f"{indent}[nvidia-container-cli]{draw(comments)}", *draw(values(indent))],
        [f"{indent}[{SECTION}-hook]", f'{indent}path = "{SECTION}-hook"'],
        [f"{indent}[[array.'of tables']]", "name = 1", f"{indent}[[array.'of tables']]"],
    ]
    if not inline:
        beside.append([f"{indent}[{SECTION}.modes.csv]{draw(comments)}", *draw(values(indent))])
    chosen = draw(st.permutations([*([own] if own else []), *draw(st.lists(st.sampled_from(beside), unique_by=id))]))
    lines = [*draw(blank_lines), *draw(values("")), *draw(switches()), *root]
    for table in chosen:
        lines += [*draw(blank_lines), *table]
    text = "\n".join([*lines, *draw(blank_lines)]) + draw(st.sampled_from(["\n", "", "\n\n"]))
    ends = draw(st.sampled_from(["\n", "\r\n", "both"]))
    # One who edits a file of the other kind leaves both in it.
    text = text.replace("\n", "\r\n", 1 if ends == "both" else -1) if ends != "\n" else text
    return draw(st.sampled_from(["", "", "\ufeff"])) + text
