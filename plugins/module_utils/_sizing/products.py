# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of GPU models, made comparable. PRIVATE to the collection."""

from __future__ import annotations

import re
from functools import lru_cache

# GPU Feature Discovery appends how the card is used to the model's name: Tesla-T4-SHARED, A100-SXM4-40GB-MIG-1g.5gb,
# A100-SXM4-40GB-MIG-1g.5gb-SHARED. A card stays the same card, else a second run would match nothing.
_SHARED = re.compile(r" shared$")
_MIG = re.compile(r" mig (?=(?:[0-9]+c\.)?[0-9]+g\.).*$")


@lru_cache(maxsize=4096)
def normalise_product(name: str) -> str:
    """The form in which names are compared: lower case, "-" as a space, without the suffixes of GPU Feature Discovery.

    "NVIDIA L20", "NVIDIA-L20" and "nvidia-l20-SHARED" are one product.
    """
    words = " ".join(name.replace("-", " ").split()).lower()
    return _MIG.sub("", _SHARED.sub("", words))
