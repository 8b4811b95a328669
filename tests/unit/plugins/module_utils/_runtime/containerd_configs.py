# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Configs of containerd as people and tools write them: in every spelling that TOML has for the same thing."""

from __future__ import annotations

import json
from typing import Any, Dict, List

from hypothesis import strategies as st

CRI = {2: "io.containerd.grpc.v1.cri", 3: "io.containerd.cri.v1.runtime", 4: "io.containerd.cri.v1.runtime"}
WORDS = ("a", "sandbox_image", "conf dir", "registry.mirrors", "x-y", "ключ", "z")

scalars = st.one_of(
    st.booleans(),
    st.integers(-(2**40), 2**40),
    st.text(alphabet=st.sampled_from("ab \"\\'#=[]{}.,\u00e9/\t"), max_size=8),
    st.lists(st.text(alphabet='ab,#]"', max_size=4), max_size=3),
)
comments = st.sampled_from(["", "", "", "  # why", "\t#", " # [not a table]", ' # "'])
# Tables within values, and text over several lines that looks like tables and keys.
nested = st.lists(
    st.sampled_from(
        [
            'inline = { one = 1, "two [x]" = { three = ["}", 3] } }',
            "dotted.'of two'.keys = true",
            '''long = """
[plugins]
version = 1 # no
\\"""""''',
            "raw = '''\n[plugins.\"io.containerd.grpc.v1.cri\".containerd]\n# x '' '''",
        ]
    ),
    unique=True,
    max_size=2,
)
blank_lines = st.lists(st.sampled_from(["", "  ", "# comment", "  # x = 1", "#[plugins]"]), max_size=2)


def literal(value: Any) -> str:
    """JSON's spelling is TOML's for what is made here."""
    return json.dumps(value, ensure_ascii=False)


def quoted(key: str, single: bool = False) -> str:
    """A key in quotes of either kind."""
    return f"'{key}'" if single else literal(key)


@st.composite
def values(draw: st.DrawFn, indent: str) -> List[str]:
    """Lines of a table's own values."""
    lines: List[str] = []
    for word in draw(st.lists(st.sampled_from(WORDS), unique=True, max_size=4)):
        value = draw(scalars)
        key = quoted(word, draw(st.booleans())) if not word.isascii() or " " in word or "." in word else word
        shown = literal(value)
        if isinstance(value, list) and value and draw(st.booleans()):
            shown = (
                "[\n"
                + "".join(f"{indent}  {literal(one)}, # {number}\n" for number, one in enumerate(value))
                + f"{indent}]"
            )
        if isinstance(value, str) and "'" not in value and "\t" not in value and draw(st.booleans()):
            shown = draw(st.sampled_from([f"'{value}'", f"'''{value}'''"])) if value else "''"
        lines += [*draw(blank_lines), f"{indent}{key} = {shown}{draw(comments)}"]
    return lines + [f"{indent}{line}{draw(comments)}" for line in draw(nested)]


def runc_values(draw: st.DrawFn) -> Dict[str, Any]:
    """Options of the runc that is there."""
    options: Dict[str, Any] = {"SystemdCgroup": draw(st.booleans())}
    binary = draw(st.sampled_from(["", "/usr/bin/runc", "/usr/bin/nvidia-container-runtime"]))
    if binary:
        options["BinaryName"] = binary
    return options


@st.composite
def runc(draw: st.DrawFn, cri: str, indent: str) -> List[str]:
    """The tables of runc, in one of the spellings of TOML."""
    options = runc_values(draw)
    style = draw(st.sampled_from(["tables", "inline", "dotted", "inline_runtime", "quoted"]))
    base = f'plugins."{cri}".containerd'
    shown = ", ".join(f"{key} = {literal(value)}" for key, value in options.items())
    if style == "inline":
        return [
            f"{indent}[{base}.runtimes.runc]",
            f'{indent}runtime_type = "io.containerd.runc.v2"',
            f"{indent}options = {{ {shown} }}",
        ]
    if style == "inline_runtime":
        return [
            f"{indent}[{base}.runtimes]",
            f'{indent}  runc = {{ runtime_type = "io.containerd.runc.v2", options = {{ {shown} }} }}',
        ]
    if style == "dotted":
        lines = [f"{indent}[{base}]", f'{indent}runtimes.runc.runtime_type = "io.containerd.runc.v2"']
        return lines + [f"{indent}runtimes.runc.options.{key} = {literal(value)}" for key, value in options.items()]
    if style == "quoted":
        base, table = f"plugins.'{cri}' . containerd", "'options'"
    else:
        table = "options"
    lines = [f"{indent}[ {base}.runtimes.runc ]", f'{indent}  runtime_type = "io.containerd.runc.v2"{draw(comments)}']
    lines += [*draw(blank_lines), f"{indent}  [{base}.runtimes.runc.{table}]{draw(comments)}"]
    return lines + [f"{indent}    {key} = {literal(value)}" for key, value in options.items()]


@st.composite
def others(draw: st.DrawFn, cri: str, indent: str) -> List[str]:
    """Tables beside runc's that nobody may touch: another runtime, an array of tables, how images are decrypted."""
    base = f'plugins."{cri}"'
    kata = [f"{indent}[{base}.containerd.runtimes.kata-qemu]", f'{indent}  runtime_type = "io.containerd.kata.v2"']
    array = [f"{indent}[[{base}.registry.'array of'.tables]]{draw(comments)}", f'{indent}name = "x" # [[']
    nested_array = [f"{indent}  [[{base}.registry.'array of'.tables.within]]", f"{indent}  deep.er = 1"]
    images = [*draw(blank_lines), f"{indent}[ {base} . image_decryption ]{draw(comments)}", *draw(values(indent))]
    parts = draw(st.lists(st.sampled_from([0, 1, 2]), unique=True, max_size=3))
    return [line for part in parts for line in (kata, [*array, *array, *nested_array, *array], images)[part]]


@st.composite
def configs(draw: st.DrawFn, version: int = 2, filler: int = 0) -> str:
    """A whole config file of a version.

    :param filler: how many tables of registries it has beside.
    """
    cri = CRI[version]
    indent = draw(st.sampled_from(["", "  ", "\t"]))
    lines = [*draw(blank_lines), f"version = {version}{draw(comments)}"]
    if draw(st.booleans()):
        lines.append(
            draw(
                st.sampled_from(
                    ['imports = ["/etc/x.toml"]', "imports = []", 'imports = [\n  "a.toml", # one\n  "b.toml",\n]']
                )
            )
        )
    lines += draw(values(""))
    if draw(st.booleans()):
        lines += [*draw(blank_lines), "[plugins]"]
    if draw(st.booleans()):
        lines += [f'{indent}[plugins."{cri}"]', *draw(values(indent + "  "))]
    if draw(st.booleans()):
        lines += draw(runc(cri, indent))
    if draw(st.booleans()):
        lines += draw(others(cri, indent))
    for number in range(filler):
        lines += [
            f'{indent}[plugins."{cri}".registry.mirrors."r{number}"]',
            f'{indent}  endpoint = ["https://r{number}"] # {number}',
        ]
    if draw(st.booleans()):
        lines += [*draw(blank_lines), '[plugins."io.containerd.internal.v1.opt"]', *draw(values("  "))]
    lines += draw(blank_lines)
    text = "\n".join(lines) + draw(st.sampled_from(["\n", "", "\n\n"]))
    text = text.replace("\n", "\r\n") if draw(st.booleans()) else text
    return draw(st.sampled_from(["", "", "\ufeff"])) + text
