# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs one unmodified Ansible module without Ansible's start-up, and times it from its main() to its end.

Arguments: the module's full import name, its options as JSON. Prints one line of JSON: seconds, and the module's result.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import sys
import time

from ansible.module_utils.testing import patch_module_args


def main() -> None:
    """Import, then time."""
    module = importlib.import_module(sys.argv[1])
    printed = io.StringIO()
    with patch_module_args(json.loads(sys.argv[2])), contextlib.redirect_stdout(printed):
        began = time.perf_counter()
        with contextlib.suppress(SystemExit):
            module.main()
        seconds = time.perf_counter() - began
    print(json.dumps({"seconds": seconds, "result": json.loads(printed.getvalue())}))


if __name__ == "__main__":
    main()
