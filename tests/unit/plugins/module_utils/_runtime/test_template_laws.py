# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The law of editing, over templates: what containerd gets of one means what it did, and ours."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from unit.plugins.module_utils._runtime import test_k3s, test_microk8s
from unit.plugins.module_utils._runtime.containerd_configs import CRI, blank_lines, comments, literal, others, runc
from unit.plugins.module_utils._runtime.nodes import BINARY, there_and_back

from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.templates import BASE
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.toml_reading import lookup, parse
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.wish import Wish

law = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
TRISTATE = st.sampled_from(["inherit", "true", "false"])
wishes = st.builds(
    Wish,
    name=st.sampled_from(["nvidia", "gpu"]),
    default=st.booleans(),
    privileged_without_host_devices=TRISTATE,
    cdi=TRISTATE,
)
of_sed = st.sampled_from(["${SNAP_DATA}/args", "${RUNTIME}", "${SNAPSHOTTER} [x] # = y", "plain"])


@st.composite
def said(draw: st.DrawFn, key: str, values: st.SearchStrategy[Any], indent: str) -> list[str]:
    """A key's line, in one of the spellings of a key; or none."""
    spelling = draw(st.sampled_from(["", "{} = {}", "{}={}", '"{}" = {}', "'{}' = {}"]))
    line = spelling.format(key, literal(draw(values)))
    return [*draw(blank_lines), f"{indent}{line}{draw(comments)}"] if spelling else []


@st.composite
def templates(draw: st.DrawFn, version: int) -> str:
    """A template of MicroK8s, whose variables stand within strings, so that it is TOML before sed and after it."""
    cri, indent = CRI[version], draw(st.sampled_from(["", "  ", "\t"]))
    lines = [f"version = {version}{draw(comments)}", *draw(said("root", of_sed, ""))]
    if draw(st.booleans()):
        lines += [f'[plugins."{cri}"]{draw(comments)}', *draw(said("enable_cdi", st.booleans(), indent))]
        lines += draw(said("sandbox_image", of_sed, indent))
    runtime = draw(runc(cri, indent))
    if not runtime[0].endswith(".containerd]") and draw(st.booleans()):
        lines += [f"{indent}[plugins.'{cri}'.containerd]", *draw(said("snapshotter", of_sed, indent))]
        lines += draw(said("default_runtime_name", st.just("runc"), f"{indent}  "))
    lines += [*runtime, *draw(blank_lines)]
    if draw(st.booleans()):
        lines += [f"[plugins.'{cri}'.cni]", *draw(said("conf_dir", of_sed, indent))]
    text = "\n".join([*lines, *draw(blank_lines)]) + draw(st.sampled_from(["\n", "", "\n\n"]))
    return text.replace("\n", "\r\n") if draw(st.booleans()) else text


@pytest.mark.parametrize("version", [2, 3])
@law
@given(data=st.data(), wish=wishes)
def test_template_of_microk8s_means_what_it_did_and_ours(version: int, data: st.DataObject, wish: Wish) -> None:
    text = data.draw(templates(version))
    configured, _plan = there_and_back(test_microk8s.microk8s(text), wish)
    now, expected = (
        parse(test_microk8s.fill_in(one or ""), "x") for one in (configured.text(test_microk8s.PATH), text)
    )
    cri = expected["plugins"][CRI[version]]
    if wish.cdi != "inherit":
        cri["enable_cdi"] = wish.cdi == "true"
    if wish.default:
        cri["containerd"]["default_runtime_name"] = wish.name
    table = now["plugins"][CRI[version]]["containerd"]["runtimes"].pop(wish.name)
    assert now == expected
    assert (table["runtime_type"], table["options"]["BinaryName"]) == ("io.containerd.runc.v2", BINARY)
    if wish.privileged_without_host_devices != "inherit":
        assert table["privileged_without_host_devices"] is (wish.privileged_without_host_devices == "true")


@pytest.mark.parametrize(("release", "version"), [(test_k3s.OLD, 2), (test_k3s.SECOND, 3)])
@law
@given(data=st.data(), wished=TRISTATE)
def test_template_of_k3s_and_rke2_means_what_it_did_and_ours(
    release: tuple[str, str], version: int, data: st.DataObject, wished: str
) -> None:
    name, path = (
        data.draw(st.sampled_from(["k3s", "rke2"])),
        "config.toml.tmpl" if version == 2 else "config-v3.toml.tmpl",
    )
    tables = "\n".join([BASE, *data.draw(others(CRI[version], data.draw(st.sampled_from(["", "  "]))))])
    text = data.draw(st.sampled_from([None, BASE, f"{tables}\n", tables, tables.replace("\n", "\r\n")]))
    path = f"{test_k3s.etc(name)}/{path}"
    start = test_k3s.rancher(release, {path: text}, name=name)
    configured, _plan = there_and_back(start, Wish(name="gpu", privileged_without_host_devices=wished))
    base = test_k3s.generated(release, name)
    now, expected = (
        parse((one or BASE).replace(BASE.strip(), base).replace("{{ .SystemdCgroup }}", "true"), "x")
        for one in (configured.text(path), text)
    )
    runtimes = lookup(expected, ("plugins", CRI[version], "containerd", "runtimes"))
    runtimes["gpu"] = {
        "runtime_type": "io.containerd.runc.v2",
        "options": {"BinaryName": BINARY, "SystemdCgroup": True},
    }
    if wished != "inherit":
        runtimes["gpu"]["privileged_without_host_devices"] = wished == "true"
    assert now == expected
