"""The kubeconfig with which clients reach a simulated cluster."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import yaml


def write_kubeconfig(path: Path, server: str, ca_pem: bytes, token: str, *, name: str = "simulator") -> Path:
    """``server`` is a URL. The file is readable for its owner alone and appears at once."""
    cluster = {"server": server, "certificate-authority-data": base64.b64encode(ca_pem).decode()}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": name,
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": name, "user": {"token": token}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
    }
    partial = path.with_name(f"{path.name}.partial")
    partial.touch(mode=0o600)
    partial.write_text(yaml.safe_dump(document))
    os.replace(partial, path)
    return path
