# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every kind of test needs: the import paths, and settings of the caller kept out of the tests."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COLLECTIONS = ROOT / ".venv" / "collections"

# The collection is imported by its full name, as Ansible does it, from where set-up linked the checkout;
# the simulator and the demo are packages of their own below tests/.
for path in (ROOT / "tests", COLLECTIONS):
    if str(path) not in sys.path:
        sys.path.insert(0, str(path))

# Variables that would send a test to another cluster, or change how Ansible behaves. The integration suite is
# pointed at a real cluster by KUBEGPU_TEST_KUBECONFIG alone.
for name in list(os.environ):
    if name == "KUBECONFIG" or name.startswith(("K8S_AUTH_", "ANSIBLE_")):
        del os.environ[name]

os.environ["ANSIBLE_CONFIG"] = str(ROOT / "ansible.cfg")
os.environ["ANSIBLE_COLLECTIONS_PATH"] = str(COLLECTIONS)
os.environ.setdefault("ANSIBLE_LOCALHOST_WARNING", "false")

# Not where node-side code is tested under the oldest Python, which has no such package.
with contextlib.suppress(ImportError):
    from hypothesis import HealthCheck, settings

    # How long an example takes tells of the machine and not of the code.
    settings.register_profile("steady", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("steady")
