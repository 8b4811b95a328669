# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.paths import api_path, parse_path, request_verb


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/api/v1/nodes", "nodes"),
        ("/api/v1/nodes/gpu-1?fieldManager=x", "nodes gpu-1"),
        ("/api/v1/namespaces", "namespaces"),
        ("/api/v1/namespaces/web", "namespaces web"),
        ("/api/v1/namespaces/web/status", "namespaces/status web"),
        ("/api/v1/namespaces/web/pods", "pods in namespace web"),
        ("/api/v1/namespaces/web/pods/a/eviction", "pods/eviction web/a"),
        ("/apis/apps/v1/daemonsets", "daemonsets.apps"),
        ("/apis/apps/v1/namespaces/kube-system/daemonsets/plugin", "daemonsets.apps kube-system/plugin"),
        ("/version", "the API"),
        ("/api", "the API"),
    ],
)
def test_parse_path_names_the_object_in_words(path: str, words: str) -> None:
    assert str(parse_path(path)) == words


@pytest.mark.parametrize(
    ("method", "path", "verb"),
    [
        ("GET", "/api/v1/nodes", "list"),
        ("GET", "/api/v1/nodes/gpu-1", "get"),
        ("POST", "/api/v1/namespaces/web/pods/a/eviction", "create"),
        ("PATCH", "/api/v1/nodes/gpu-1", "patch"),
        ("DELETE", "/api/v1/namespaces/web", "delete"),
    ],
)
def test_request_verb_is_the_one_of_roles(method: str, path: str, verb: str) -> None:
    assert request_verb(method, path) == verb


def test_api_path_quotes_what_it_is_given() -> None:
    assert api_path("pods", "web", "../nodes", "eviction") == "/api/v1/namespaces/web/pods/..%2Fnodes/eviction"
    assert (
        api_path("daemonsets", "kube-system", api="apis/apps/v1") == "/apis/apps/v1/namespaces/kube-system/daemonsets"
    )
