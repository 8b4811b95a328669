# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``make test-gpu``: what this machine's GPUs answer, beside what the collection relies on. It changes no setting; a process takes
256 MiB for a moment."""

from __future__ import annotations

import sys
from pathlib import Path

# The collection is imported by its full name, from where set-up linked the checkout.
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / ".venv/collections"))
