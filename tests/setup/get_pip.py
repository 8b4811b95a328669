# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stands in for the get-pip script that ansible-test would download.

It brings pip from the interpreter itself and lets that pip install what get-pip was asked for, so that nothing but the
package index is needed.
"""

from __future__ import annotations

import subprocess
import sys


def main() -> None:
    """Install pip, then the packages named on the command line."""
    subprocess.run([sys.executable, "-m", "ensurepip", "--upgrade"], check=True, stdout=subprocess.DEVNULL)
    # Two options of get-pip that pip itself does not know.
    arguments = [argument for argument in sys.argv[1:] if argument not in ("--no-setuptools", "--no-wheel")]
    subprocess.run([sys.executable, "-m", "pip", "-qq", "install", *arguments], check=True)


if __name__ == "__main__":
    main()
