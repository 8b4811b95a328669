# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole story on the simulated reference cluster, with the playbooks as an operator runs them."""

from __future__ import annotations

import os
import sys

from demo.story import DemoError, tell
from simulator.cluster import ClusterError


def main() -> int:
    """Run the demo; KEEP=1 leaves the cluster running."""
    try:
        tell(keep=os.environ.get("KEEP", "") not in ("", "0"))
    except (DemoError, ClusterError) as failure:
        print(f"\nThe demo stopped: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nThe demo was interrupted and its cluster ended. The same command starts it again.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
