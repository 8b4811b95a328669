# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole story on simulated clusters, with the playbooks as an operator runs them.

Arguments: the acts to play, ``sharing`` and ``mig``; without any, both.
"""

from __future__ import annotations

import os
import sys
import time

from demo import mig_story, story
from demo.stage import DemoError
from simulator.cluster import ClusterError

ACTS = {"sharing": story, "mig": mig_story}


def main(names: list[str]) -> int:
    """Run the demo; KEEP=1 leaves the clusters running."""
    keep = os.environ.get("KEEP", "") not in ("", "0")
    unknown = [name for name in names if name not in ACTS]
    if unknown:
        print(f"There is no act {', '.join(unknown)}; the acts are {', '.join(ACTS)}.", file=sys.stderr)
        return 2
    acts = [ACTS[name] for name in names or ACTS]
    started = time.monotonic()
    try:
        for act in acts:
            act.tell(keep=keep)
    except (DemoError, ClusterError) as failure:
        print(f"\nThe demo stopped: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nThe demo was interrupted and its cluster ended. The same command starts it again.", file=sys.stderr)
        return 130
    print(f"\nThe whole story took {time.monotonic() - started:.0f} s. Open these in a browser:")
    for act in acts:
        print(f"  {act.REPORTS / 'report.html'}")
    if keep:
        print("The clusters go on running (KEEP=1): use them with inventories/demo and inventories/demo-mig,")
        print("end them with: make cluster-down")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
