# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Templates are edited as text: a table never twice, every variable and every other byte kept."""

from __future__ import annotations

import pytest
import tomlkit
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.plugins.module_utils._runtime.nodes import sample

from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.templates import (
    BASE,
    Setting,
    TemplateEditor,
    find_table,
    own_blocks,
    tables,
    uses_base,
    values,
)

CRI = ("plugins", "io.containerd.grpc.v1.cri")
RUNTIMES = (*CRI, "containerd", "runtimes")
BLOCK = '[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.gpu]\n  runtime_type = "io.containerd.runc.v2"\n'
DEFAULT = Setting((*CRI, "containerd"), "default_runtime_name", '"gpu"')
EDITOR = TemplateEditor("x.tmpl", BLOCK, (DEFAULT,))

LINES = st.sampled_from(
    [
        "",
        "# a comment",
        "[grpc]",
        "  address = '/run/x.sock'",
        "{{ if .IsRunningInUserNS }}",
        "{{ end }}",
        'snapshotter = "${SNAPSHOTTER}"',
        '[plugins."io.containerd.grpc.v1.cri".containerd]',
        '    default_runtime_name = "${RUNTIME}" # of sed',
        "[plugins.'io.containerd.grpc.v1.cri'.containerd.runtimes.runc]",
        "\tSystemdCgroup = {{ .SystemdCgroup }}",
        "{{- range $k, $v := .ExtraRuntimes }}",
        "[[x]]",
    ]
)
TEXTS = st.builds(lambda lines, end: end.join(lines), st.lists(LINES, max_size=25), st.sampled_from(["\n", "\r\n"]))


@settings(max_examples=80, deadline=None)
@given(text=TEXTS, block=st.sampled_from(["", BLOCK]), set_default=st.booleans())
def test_any_text_with_ours_and_without_is_the_text(text: str, block: str, set_default: bool) -> None:
    editor = TemplateEditor("x.tmpl", block, (DEFAULT,) if set_default else ())
    result, ours = editor.with_ours(text)
    assert result is not None
    if text.count("default_runtime_name") < 2:
        assert editor.without_ours(result, ours) == (text, [])
    for line in text.splitlines():
        assert line in result or "default_runtime_name" in line


@settings(max_examples=40, deadline=None)
@given(text=TEXTS, tail=TEXTS)
def test_any_text_edited_behind_ours_loses_ours_alone(text: str, tail: str) -> None:
    editor = TemplateEditor("x.tmpl", BLOCK)
    result, ours = editor.with_ours(text)
    assert result is not None
    gone, told = editor.without_ours(result + tail, ours)
    assert not told
    # A line end that the text lacked may stay, since somebody wrote behind it.
    assert (gone or "").replace("\r", "").replace("\n", "") == (text + tail).replace("\r", "").replace("\n", "")
    assert editor.same(editor.with_ours(gone)[0], result + tail) or "\r\n" in text + tail or not text.endswith("\n")


def test_microk8s_template_keeps_its_variables_and_stays_toml() -> None:
    text = sample("microk8s-template.toml")
    result, _ours = EDITOR.with_ours(text)
    assert result is not None
    wanted = tomlkit.parse(text).unwrap()
    containerd = wanted["plugins"]["io.containerd.grpc.v1.cri"]["containerd"]
    containerd["default_runtime_name"] = "gpu"
    containerd["runtimes"]["gpu"] = {"runtime_type": "io.containerd.runc.v2"}
    assert tomlkit.parse(result).unwrap() == wanted
    assert result.count("${") == text.count("${") - 1


def test_key_that_the_table_lacks_is_put_first_in_it_with_its_indentation() -> None:
    text = "[plugins.\"io.containerd.grpc.v1.cri\"]\n\n[plugins.'io.containerd.grpc.v1.cri'.containerd]\n    snapshotter = 'x'\n"
    result, ours = TemplateEditor("x", "", (DEFAULT,)).with_ours(text)
    assert result == text.replace("    snap", '    default_runtime_name = "gpu"\n    snap')
    assert EDITOR.without_ours(result, ours) == (text, [])


@pytest.mark.parametrize(
    "header",
    [
        '[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.gpu]',
        "[plugins.'io.containerd.grpc.v1.cri'.containerd.runtimes.'gpu']",
        '  [ plugins . "io.containerd.grpc.v1.cri" . containerd.runtimes . "gpu" ] # ours',
        '[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.gpu.options]\r',
    ],
)
def test_table_is_found_however_it_is_written(header: str) -> None:
    assert find_table(f"version = 2\n{header}\n  a = 1\n", (*RUNTIMES, "gpu")) == 2


@pytest.mark.parametrize(
    "header",
    [
        '# [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.gpu]',
        '[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.gpu2]',
        '[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.gpu]',
        'x = "[plugins]"',
    ],
)
def test_other_table_is_not_taken_for_it(header: str) -> None:
    assert find_table(f"{header}\n", (*RUNTIMES, "gpu")) is None


def test_values_are_as_they_are_written_each_as_a_whole() -> None:
    text = '[a]\r\n  x = ${X} # of sed\r\n y=1\n z = \'it # is\' # so\n  w = {{ .W }}\nv = [\n  \'u = 1\', # ]\n]\nt = """\ns = 2\n"""\n[b]\n'
    found = values(text, ("a",))
    assert {key: value for key, value in found.items() if key not in ("v", "t")} == {
        "x": "${X}",
        "y": "1",
        "z": "'it # is'",
        "w": "{{ .W }}",
    }
    assert found["v"] == "[\n  'u = 1', # ]\n]"
    assert found["t"] == '"""\ns = 2\n"""'
    assert values("[a]\nx = 1\ny = [\nz = 2\n", ("a",)) == {"x": "1"}
    assert values("[a]\nx = 1\n", ("b",)) == {}


def test_tables_with_go_expressions_are_kept_as_they_stand() -> None:
    text = "[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.'{{ $k }}']\n[grpc]\n"
    assert tables(text)[0][0][-1] == "{{ $k }}"
    assert tables(text)[1] == (("grpc",), 2)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (BASE, True),
        ('{{- template "base" . -}}', True),
        ('{{template "base" .}}', True),
        ('{{/* {{ template "base" . }} */}}', False),
        ('# {{ template "base" . }}', False),
        ('{{ template "other" . }}', False),
        ("version = 2\n", False),
    ],
)
def test_uses_base(text: str, answer: bool) -> None:
    assert uses_base(text) is answer


def test_key_of_a_table_that_ends_the_text_gets_a_line_of_its_own() -> None:
    text = '[plugins."io.containerd.grpc.v1.cri".containerd]'
    result, ours = TemplateEditor("x", "", (DEFAULT,)).with_ours(text)
    assert result == f'{text}\ndefault_runtime_name = "gpu"'
    assert EDITOR.without_ours(result, ours) == (text, [])


def test_changed_block_goes_and_changed_line_stays_and_both_are_told() -> None:
    text = sample("microk8s-template.toml")
    result, ours = EDITOR.with_ours(text)
    assert result is not None
    edited = result.replace(
        'runtimes.gpu]\n  runtime_type = "io.containerd.runc.v2"', 'runtimes.gpu]\n  runtime_type = "mine"'
    )
    edited = edited.replace('= "gpu"', '= "runc"')
    gone, told = TemplateEditor("x").without_ours(edited, ours)
    assert gone == edited[: edited.index("# BEGIN")]
    assert ["it goes" in told[0], "it stays as it is" in told[1]] == [True, True]
    # What is put in anew is undone.
    assert EDITOR.without_ours(edited, ours)[0] == gone
    assert all("that is undone" in one for one in EDITOR.without_ours(edited, ours)[1])


def test_table_that_somebody_put_between_our_marks_is_not_taken_along() -> None:
    result, ours = EDITOR.with_ours(sample("microk8s-template.toml"))
    edited = (result or "").replace("# END", '[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.kata]\n# END')
    for editor in (EDITOR, TemplateEditor("x", settings=(DEFAULT,))):
        gone, told = editor.without_ours(edited, ours)
        assert "runtimes.kata]" in (gone or "")
        assert "it stays as it is" in told[0]
    assert not own_blocks(edited)


def test_file_with_windows_line_ends_keeps_them() -> None:
    result, ours = EDITOR.with_ours(sample("microk8s-template.toml").replace("\n", "\r\n"))
    assert result is not None
    assert result.count("\n") == result.count("\r\n")
    assert EDITOR.without_ours(result, ours)[0] == sample("microk8s-template.toml").replace("\n", "\r\n")
