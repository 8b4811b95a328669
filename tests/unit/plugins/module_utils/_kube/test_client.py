# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import re
import socket
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import KubeGpuError
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube import client as client_module
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube import transport
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.arguments import AUTH_OPTIONS
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.client import KubeClient
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.errors import ApiError

ROOT = Path(__file__).parents[5]
NODE = "/api/v1/nodes/gpu-1"


def status(code: int, reason: str, message: str, **more: Any) -> dict[str, Any]:
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "code": code,
        "reason": reason,
        "message": message,
        **more,
    }


def reply_type(api: Any) -> Any:
    return type(api.replies[0])


def lay(api: Any, *replies: dict[str, Any]) -> None:
    api.replies[:] = [reply_type(api)(**reply) for reply in replies]


def failure(call: Any) -> ApiError:
    with pytest.raises(ApiError) as caught:
        call()
    return caught.value


class TestRequests:
    def test_get_sends_credentials_and_who_we_are(self, api: Any) -> None:
        lay(api, {"body": {"metadata": {"name": "gpu-1"}}})
        assert api.client().get(NODE)["metadata"]["name"] == "gpu-1"
        (seen,) = api.seen
        assert (seen.method, seen.path) == ("GET", NODE)
        assert seen.headers["authorization"] == ["Bearer secret"]
        assert seen.headers["User-Agent"] == ["kubegpu.sharing/0.1.0"]

    def test_user_agent_bears_the_version_of_the_collection(self) -> None:
        text = (ROOT / "galaxy.yml").read_text()
        assert f"version: {client_module.COLLECTION_VERSION}\n" in text

    def test_impersonated_groups_are_headers_of_their_own(self, api: Any) -> None:
        api.client(impersonate_user="kim", impersonate_groups=["ops", "gpu"]).get(NODE)
        assert api.seen[0].headers["Impersonate-User"] == ["kim"]
        assert api.seen[0].headers["Impersonate-Group"] == ["ops", "gpu"]

    @pytest.mark.parametrize(
        ("kind", "content_type"),
        [
            ("merge", "application/merge-patch+json"),
            ("strategic", "application/strategic-merge-patch+json"),
            ("json", "application/json-patch+json"),
        ],
    )
    def test_patch_names_its_kind_and_field_manager(self, api: Any, kind: str, content_type: str) -> None:
        api.client().patch(NODE, {"spec": {}}, kind=kind)
        (seen,) = api.seen
        assert seen.path == f"{NODE}?fieldManager=kubegpu.sharing"
        assert seen.headers["Content-Type"] == [content_type]
        assert seen.body == {"spec": {}}

    def test_requests_are_counted_by_kind(self, api: Any) -> None:
        client = api.client()
        client.get(NODE)
        client.patch(NODE, {})
        client.replace(NODE, {})
        client.delete(NODE)
        client.create("/api/v1/nodes", {}, dry_run=True)
        client.create("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", {})
        assert client.requests.to_dict() == {"get": 1, "write": 3, "review": 1, "dry_run": 1, "bytes": 12}
        assert "dryRun=All" in api.seen[4].path
        assert "fieldManager" not in api.seen[5].path

    def test_list_follows_the_pages(self, api: Any) -> None:
        first = {"metadata": {"resourceVersion": "7", "continue": "a/b="}, "items": [{"n": 1}]}
        lay(api, {"body": first}, {"body": {"metadata": {"resourceVersion": "7"}, "items": [{"n": 2}]}})
        client = api.client()
        result = client.list("/api/v1/nodes", page_size=1, labelSelector="a in (b)")
        assert ([item["n"] for item in result.items], result.resource_version) == ([1, 2], "7")
        assert api.seen[0].path == "/api/v1/nodes?limit=1&labelSelector=a+in+%28b%29"
        assert api.seen[1].path.endswith("&continue=a%2Fb%3D")
        assert client.requests.get == 2

    def test_list_goes_on_when_its_token_has_expired(self, api: Any) -> None:
        expired = status(410, "Expired", "The provided continue parameter is too old", metadata={"continue": "fresh"})
        lay(
            api,
            {"body": {"metadata": {"continue": "old"}, "items": [{"n": 1}]}},
            {"status": 410, "body": expired},
            {"body": {"metadata": {}, "items": [{"n": 2}]}},
        )
        assert len(api.client().list("/api/v1/pods").items) == 2
        assert api.seen[2].path.endswith("continue=fresh")

    def test_get_or_none_of_a_missing_api_group_is_none(self, api: Any) -> None:
        lay(api, {"status": 404, "body": b"404 page not found\n"})
        assert api.client().get_or_none("/apis/resource.k8s.io/v1/resourceslices") is None


class TestRetries:
    @pytest.mark.parametrize(
        "trouble", [{"status": 503}, {"status": 500}, {"status": 429}, {"cut": "before"}, {"cut": "inside"}]
    )
    def test_read_is_tried_again(self, api: Any, trouble: dict[str, Any]) -> None:
        lay(api, {"body": {"pad": "x" * 50}, **trouble}, {"body": {"ok": True}})
        client = api.client()
        assert client.get(NODE) == {"ok": True}
        assert (len(api.seen), client.requests.get) == (2, 2)

    def test_read_gives_up_after_a_bounded_number(self, api: Any) -> None:
        lay(api, {"status": 503, "body": status(503, "ServiceUnavailable", "etcd is away")})
        error = failure(lambda: api.client().get(NODE))
        assert len(api.seen) == 1 + transport.READ_RETRIES
        assert error.status == 503
        assert (
            "Cannot read nodes gpu-1: the API answered 503 ServiceUnavailable: etcd is away. The API server"
            in error.msg
        )

    def test_retry_after_is_obeyed_up_to_a_limit(self) -> None:
        class Answer:
            headers = {"Retry-After": "3600"}

        assert transport.ReadRetry.default().get_retry_after(Answer()) == transport.RETRY_AFTER_LIMIT_SECONDS

    @pytest.mark.parametrize("trouble", [{"status": 503}, {"status": 429}, {"cut": "before"}])
    def test_write_is_never_tried_again(self, api: Any, trouble: dict[str, Any]) -> None:
        lay(api, trouble, {})
        client = api.client()
        failure(lambda: client.patch(NODE, {}))
        assert (len(api.seen), client.requests.write) == (1, 1)

    def test_write_without_an_answer_says_that_its_outcome_is_unknown(self, api: Any) -> None:
        lay(api, {"cut": "before"})
        error = failure(lambda: api.client().patch(NODE, {}))
        assert error.outcome_unknown
        assert "Whether the request was carried out is not known" in error.msg
        assert "object at 0x" not in error.msg


class TestRefusals:
    def test_401_says_where_credentials_come_from(self, api: Any) -> None:
        lay(api, {"status": 401, "body": status(401, "Unauthorized", "Unauthorized")})
        error = failure(lambda: api.client().list("/api/v1/nodes"))
        assert error.msg.startswith("Cannot list nodes: the API answered 401 Unauthorized: Unauthorized.")
        assert "K8S_AUTH_KUBECONFIG" in error.msg
        assert error.facts["api_error"] == {
            "status": 401,
            "reason": "Unauthorized",
            "verb": "list",
            "path": "/api/v1/nodes",
        }

    @pytest.mark.parametrize(
        ("path", "grant"),
        [
            ("/api/v1/nodes", '"list" on "nodes" for the whole cluster (ClusterRole)'),
            ("/apis/apps/v1/namespaces/x/daemonsets/y", '"get" on "daemonsets.apps" in namespace "x" (Role)'),
        ],
    )
    def test_403_names_the_verb_and_resource_to_grant(self, api: Any, path: str, grant: str) -> None:
        said = 'nodes is forbidden: User "kim" cannot list resource "nodes" in API group "" at the cluster scope'
        lay(api, {"status": 403, "body": status(403, "Forbidden", said)})
        error = failure(lambda: api.client().get(path))
        assert grant in error.msg
        assert said in error.msg

    def test_403_of_a_request_without_credentials_says_so(self, api: Any) -> None:
        said = 'nodes is forbidden: User "system:anonymous" cannot list resource "nodes" in API group ""'
        lay(api, {"status": 403, "body": status(403, "Forbidden", said)})
        assert "The request bore no credentials." in failure(lambda: api.client().list("/api/v1/nodes")).msg

    def test_403_of_admission_asks_for_no_grant(self, api: Any) -> None:
        said = 'configmaps "a" is forbidden: unable to create new content in namespace x because it is being terminated'
        lay(api, {"status": 403, "body": status(403, "Forbidden", said)})
        error = failure(lambda: api.client().create("/api/v1/namespaces/x/configmaps", {}))
        assert "Grant" not in error.msg

    def test_409_and_429_keep_what_a_caller_acts_on(self, api: Any) -> None:
        causes = [{"reason": "DisruptionBudget", "message": "the budget needs 2 healthy pods"}]
        lay(
            api,
            {"status": 409, "body": status(409, "Conflict", "the object has been modified")},
            {
                "status": 429,
                "body": status(429, "TooManyRequests", "budget", details={"causes": causes}),
                "headers": {"Retry-After": "10"},
            },
        )
        client = api.client()
        assert failure(lambda: client.patch(NODE, {})).reason == "Conflict"
        error = failure(lambda: client.create("/api/v1/namespaces/a/pods/b/eviction", {}))
        assert (error.retry_after, list(error.causes)) == (10.0, causes)
        assert error.msg.startswith("Cannot create pods/eviction a/b: ")

    def test_an_answer_that_is_no_json_is_named(self, api: Any) -> None:
        lay(api, {"body": b"<html>Please log in</html>"})
        error = failure(lambda: api.client().get(NODE))
        assert error.reason == "BadAnswer"
        assert "<html>Please log in" in error.msg

    def test_a_redirect_is_not_followed(self, api: Any) -> None:
        lay(api, {"status": 302, "body": b"moved", "headers": {"Location": f"{api.url}/login"}})
        error = failure(lambda: api.client().get(NODE))
        assert (error.status, len(api.seen)) == (302, 1)
        assert "login page" in error.msg


class TestConnections:
    def test_unreachable_api_is_named_with_its_address(self) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            host = f"https://127.0.0.1:{taken.getsockname()[1]}"
            error = failure(lambda: KubeClient.from_params({"host": host, "api_key": "x"}).get(NODE))
        assert error.reason == "Unreachable"
        assert error.msg.startswith(f"Cannot read nodes gpu-1 at {host}: no connection (")
        assert "Connection refused" in error.msg

    def test_wrong_tls_is_told_apart_and_not_tried_again(self, api: Any) -> None:
        host = api.url.replace("http://", "https://")
        error = failure(lambda: KubeClient.from_params({"host": host, "api_key": "x"}).get(NODE))
        assert error.reason == "CertificateRefused"
        assert "ca_cert" in error.msg

    def test_silence_is_a_timeout(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(transport, "READ_TIMEOUT_SECONDS", 0.05)
        monkeypatch.setattr(transport, "READ_RETRIES", 1)
        with socket.socket() as mute:
            mute.bind(("127.0.0.1", 0))
            mute.listen()
            host = f"http://127.0.0.1:{mute.getsockname()[1]}"
            error = failure(lambda: KubeClient.from_params({"host": host, "api_key": "x"}).get(NODE))
        assert error.reason == "Timeout"


class TestSetUp:
    def test_empty_kubeconfig_counts_as_not_given(
        self, api: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        path = tmp_path / "kubeconfig"
        path.write_text(json.dumps(kubeconfig(api.url)))
        monkeypatch.setenv("K8S_AUTH_KUBECONFIG", str(path))
        client = KubeClient.from_params({"kubeconfig": "", "context": "", "host": None})
        client.get(NODE)
        assert client.host == api.url
        assert "Bearer from-file" in str(api.seen[0].headers)

    def test_kubeconfig_may_be_a_mapping(self, api: Any) -> None:
        KubeClient.from_params({"kubeconfig": kubeconfig(api.url)}).get(NODE)
        assert len(api.seen) == 1

    def test_no_request_goes_out_before_the_first_one_asked_for(self, api: Any) -> None:
        api.client()
        assert api.seen == []

    @pytest.mark.parametrize("content", [None, "", "just a word", "a: [", "apiVersion: v1\nkind: Config\n"])
    def test_unusable_kubeconfig_is_named(self, tmp_path: Path, content: str | None) -> None:
        path = tmp_path / "broken"
        if content is not None:
            path.write_text(content)
        with pytest.raises(KubeGpuError) as caught:
            KubeClient.from_params({"kubeconfig": str(path)})
        assert str(path) in caught.value.msg
        assert "K8S_AUTH_KUBECONFIG" in caught.value.msg

    @pytest.mark.parametrize(
        ("trace", "package"), [("_KUBERNETES_TRACE", "kubernetes"), ("_KUBERNETES_CORE_TRACE", "kubernetes.core")]
    )
    def test_missing_library_is_named(self, monkeypatch: pytest.MonkeyPatch, trace: str, package: str) -> None:
        monkeypatch.setattr(transport, trace, "Traceback")
        with pytest.raises(KubeGpuError, match=re.escape(package)) as caught:
            KubeClient.from_params({})
        assert caught.value.facts["exception"] == "Traceback"

    def test_options_are_those_of_kubernetes_core(self) -> None:
        from ansible_collections.kubernetes.core.plugins.module_utils.args_common import AUTH_ARG_SPEC

        assert AUTH_OPTIONS == AUTH_ARG_SPEC


def test_credentials_are_asked_for_once_in_a_while() -> None:
    now = [100.0]
    tokens = [{"authorization": "first"}, {"authorization": "second"}]
    credentials = transport.Credentials(lambda: tokens.pop(0), lambda: now[0])
    assert credentials() == credentials() == {"authorization": "first"}
    now[0] += 1.0
    assert credentials() == {"authorization": "second"}


class TestWatch:
    def test_watch_yields_events_until_the_end(self, api: Any) -> None:
        events = [{"type": "ADDED", "object": {"n": 1}}, {"type": "MODIFIED", "object": {"n": 2}}]
        lay(api, {"body": events})
        client = api.client()
        assert list(client.watch("/api/v1/pods", "7", 2, fieldSelector="a=b")) == events
        assert "resourceVersion=7" in api.seen[0].path
        assert "timeoutSeconds=2" in api.seen[0].path
        assert client.requests.get == 1

    def test_watch_that_is_cut_ends_quietly(self, api: Any) -> None:
        lay(api, {"body": [{"type": "ADDED", "object": {}}], "cut": "inside"})
        assert len(list(api.client().watch("/api/v1/pods", "7", 2))) == 1

    def test_watch_that_falls_silent_is_a_timeout_and_no_end(self, api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(client_module, "_WATCH_MARGIN_SECONDS", -0.8)
        lay(api, {"body": [{"type": "ADDED", "object": {}}], "cut": "never"})
        events = api.client().watch("/api/v1/pods", "7", 1)
        assert next(events)["type"] == "ADDED"
        error = failure(lambda: next(events))
        assert error.reason == "Timeout"
        assert "Cannot watch pods" in error.msg
        assert "nothing was heard for 0.2 s" in error.msg

    def test_watch_of_a_version_too_old_raises_410(self, api: Any) -> None:
        event = {"type": "ERROR", "object": status(410, "Expired", "too old resource version: 1 (9)")}
        lay(api, {"body": [event]})
        error = failure(lambda: list(api.client().watch("/api/v1/pods", "1", 2)))
        assert (error.status, error.verb) == (410, "watch")

    def test_refused_watch_raises(self, api: Any) -> None:
        lay(
            api,
            {
                "status": 403,
                "body": status(403, "Forbidden", 'pods is forbidden: User "kim" cannot watch resource "pods"'),
            },
        )
        assert '"watch" on "pods"' in failure(lambda: list(api.client().watch("/api/v1/pods", "1", 2))).msg


def kubeconfig(url: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "a",
        "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
        "clusters": [{"name": "a", "cluster": {"server": url}}],
        "users": [{"name": "a", "user": {"token": "from-file"}}],
    }
