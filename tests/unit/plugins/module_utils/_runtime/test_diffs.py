# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What --diff shows of configs, and what it does not."""

from __future__ import annotations

import pytest

from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.diffs import diff_entry, without_secrets


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param(
            "  password = \"hunter2\" # was 'hunter2'\nx = 1\n", '  password = "(not shown)"\nx = 1\n', id="line"
        ),
        pytest.param('# token = "hunter2"\n', '# token = "(not shown)"\n', id="comment"),
        pytest.param('a."b.c".auth.password = "hunter2"\n', 'a."b.c".auth.password = "(not shown)"\n', id="dotted"),
        pytest.param(
            '"r" = { auth = { username = "u", password = "hunter2" } }\n',
            '"r" = { auth = { username = "u", password = "(not shown)" } }\n',
            id="inline",
        ),
        pytest.param('password = """\nhunter2\n"""\nx = 1\n', 'password = "(not shown)"\nx = 1\n', id="lines"),
        pytest.param(
            'Authorization = [\n  "Basic [hunter2]",\n]\nx = 1\n',
            'Authorization = "(not shown)"\nx = 1\n',
            id="headers",
        ),
        pytest.param(
            'Authorization = [ # [ask] "me"\n  "hunter2", # don\'t share\n]\nx = 1\n',
            'Authorization = "(not shown)"\nx = 1\n',
            id="headers with comments",
        ),
        pytest.param('token = """a\\"""hunter2""""\n', 'token = "(not shown)"\n', id="quotes"),
        pytest.param('{"auth": "hunter2", "x": 1}\n', '{"auth": "(not shown)", "x": 1}\n', id="json"),
        pytest.param("token: hunter2\r\nx: 1\r\n", 'token: "(not shown)"\r\nx: 1\r\n', id="yaml"),
        pytest.param(
            '{"proxies": {"http-proxy": "http://u:hunter2@proxy:3128"}}',
            '{"proxies": {"http-proxy": "http://(not shown)@proxy:3128"}}',
            id="address",
        ),
    ],
)
def test_what_lets_one_in_is_not_shown(text: str, shown: str) -> None:
    assert without_secrets(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        'author = "me"\ntokens_per_second = 5\n',
        '[plugins."x".registry.configs."r".auth]\nusername = "u"\n',
        'endpoint = ["https://registry.example/v2/@x"] # http://proxy\n',
    ],
)
def test_all_else_is_shown_as_it_is(text: str) -> None:
    assert without_secrets(text) == text


@pytest.mark.timeout(20)
@pytest.mark.parametrize("text", ['"""a""", ', '""""', "'''", '#\n"', " # it's\n", '"",'])
def test_list_that_nothing_closes_is_not_read_in_all_ways(text: str) -> None:
    assert without_secrets(f"auth = [{text * 200}") == f"auth = [{text * 200}"


def test_file_that_is_made_or_goes_has_no_other_side() -> None:
    assert diff_entry("/a", None, "x\n") == {
        "before_header": "/a (absent)",
        "after_header": "/a",
        "before": "",
        "after": "x\n",
    }
    assert diff_entry("/a", "x\n", None)["after_header"] == "/a (absent)"
