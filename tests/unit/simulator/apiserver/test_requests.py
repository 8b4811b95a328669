# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading a request: path, Accept header, body, options."""

from __future__ import annotations

import pytest

from simulator.apiserver import body, options
from simulator.apiserver.errors import ApiError
from simulator.apiserver.negotiation import Form, negotiate, wants_aggregated_discovery
from simulator.apiserver.requestinfo import parse_request

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
CONFIG_MAP = body.Expected("", "v1", "ConfigMap")


@pytest.mark.parametrize(
    ("method", "path", "query", "expected"),
    [
        ("GET", "/api/v1/nodes", {}, ("list", "", "", "nodes", "", "")),
        ("GET", "/api/v1/nodes", {"watch": "true"}, ("watch", "", "", "nodes", "", "")),
        ("GET", "/api/v1/watch/namespaces/a/pods/p", {}, ("watch", "", "a", "pods", "p", "")),
        ("GET", "/api/v1/namespaces/a", {}, ("get", "", "a", "namespaces", "a", "")),
        ("PUT", "/api/v1/namespaces/a/finalize", {}, ("update", "", "a", "namespaces", "a", "finalize")),
        ("POST", "/api/v1/namespaces/a/pods/p/eviction", {}, ("create", "", "a", "pods", "p", "eviction")),
        (
            "DELETE",
            "/apis/apps/v1/namespaces/a/daemonsets",
            {},
            ("deletecollection", "apps", "a", "daemonsets", "", ""),
        ),
        (
            "PATCH",
            "/apis/apps/v1/namespaces/a/daemonsets/d/status",
            {},
            ("patch", "apps", "a", "daemonsets", "d", "status"),
        ),
        ("GET", "/apis/apps/v1", {}, ("get", "", "", "", "", "")),
        ("GET", "/version", {}, ("get", "", "", "", "", "")),
    ],
)
def test_request_info(method: str, path: str, query: dict[str, str], expected: tuple[str, ...]) -> None:
    info = parse_request(method, path, query)
    assert (info.verb, info.group, info.namespace, info.resource, info.name, info.subresource) == expected


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("", Form("application/json")),
        ("*/*", Form("application/json")),
        ("application/yaml", Form("application/yaml")),
        (TABLE, Form("application/json", "Table")),
        ("application/vnd.kubernetes.protobuf,application/json", Form("application/json")),
        ("application/json;as=Nope;v=v1;g=meta.k8s.io,application/json", Form("application/json")),
    ],
)
def test_negotiation(accept: str, form: Form) -> None:
    assert negotiate(accept) == form


@pytest.mark.parametrize("accept", ["text/html", "application/vnd.kubernetes.protobuf", "application/json;as=Table"])
def test_forms_that_are_not_served(accept: str) -> None:
    with pytest.raises(ApiError) as refused:
        negotiate(accept)
    assert refused.value.code == 406


def test_aggregated_discovery_is_recognised() -> None:
    assert wants_aggregated_discovery(
        "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"
    )
    assert not wants_aggregated_discovery("application/json")


def read(raw: str, content_type: str = "application/json") -> body.Body:
    return body.read_object(raw.encode(), content_type, CONFIG_MAP, {("v1", "Secret")})


def test_bodies_may_be_json_or_yaml_and_leave_out_their_type() -> None:
    assert read("{}").obj == {"apiVersion": "v1", "kind": "ConfigMap"}
    assert read("kind: ConfigMap\ndata: {a: b}", "application/yaml; charset=utf-8").obj["data"] == {"a": "b"}
    assert read('{"data":{"a":"1","a":"2"},"x":1,"x":2}').duplicates == ["data.a", "x"]


@pytest.mark.parametrize(
    ("raw", "content_type", "code", "text"),
    [
        ('{"a":', "application/json", 400, "unexpected end of JSON input"),
        ("[]", "application/json", 400, "cannot unmarshal array"),
        ('{"kind":"Secret"}', "application/json", 400, "unknown conversion"),
        ('{"kind":"Nope"}', "application/json", 400, 'no kind "Nope" is registered'),
        ("k8s", "application/vnd.kubernetes.protobuf", 415, "unknown format"),
        ("a" * (3 * 1024 * 1024 + 1), "application/json", 413, "limit is 3145728"),
    ],
)
def test_bodies_that_are_refused(raw: str, content_type: str, code: int, text: str) -> None:
    with pytest.raises(ApiError, match=text) as refused:
        read(raw, content_type)
    assert refused.value.code == code


def test_patches_are_told_by_their_media_type() -> None:
    assert body.read_patch(b'[{"op":"test"}]', "application/json-patch+json", custom=False)[0] == "json"
    assert body.read_patch(b"a: 1", "application/apply-patch+yaml", custom=True) == ("apply", {"a": 1})
    for content_type, custom in (("application/json", False), ("application/strategic-merge-patch+json", True)):
        with pytest.raises(ApiError) as refused:
            body.read_patch(b"{}", content_type, custom=custom)
        assert refused.value.code == 415


def test_write_options_name_the_manager() -> None:
    assert options.write_options({}, "CreateOptions", "kubectl/v1.32.4 (linux)").manager == "kubectl"
    assert options.write_options({"fieldManager": "m", "dryRun": "All"}, "PatchOptions", "x").dry_run
    for query, kind in (({"dryRun": "yes"}, "CreateOptions"), ({"force": "true"}, "PatchOptions")):
        with pytest.raises(ApiError) as refused:
            options.write_options(query, kind, "x")
        assert refused.value.code == 422


def test_delete_options_come_from_body_or_query() -> None:
    assert options.delete_options({"gracePeriodSeconds": "0"}, b"").grace_period_seconds == 0
    parsed = options.delete_options({}, b'{"propagationPolicy":"Orphan","dryRun":["All"],"preconditions":{"uid":"u"}}')
    assert (parsed.propagation, parsed.dry_run, parsed.preconditions) == ("Orphan", True, {"uid": "u"})
