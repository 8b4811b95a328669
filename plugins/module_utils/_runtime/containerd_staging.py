# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files that containerd is shown before anything is written. Pure. PRIVATE to the collection.

A candidate of the main file stands beside the real one, so that relative imports mean the same. Where it would import a file
that the plan writes or removes, its imports are written out, with the staged file in its place or without it. Names of staged files
do not end in .toml: one that a killed run left is read by nobody.
"""

from __future__ import annotations

import posixpath
from typing import Dict, List, Optional, Tuple

from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.containerd_config import Configs, expand
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.containerd_edits import IMPORTS
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.draft import Draft
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.plan import RuntimePlan, Staging
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.toml_edits import put
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.toml_reading import parse
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.toolkit_config import PATH as TOOLKIT


def staging(draft: Draft, configs: Configs, plan: RuntimePlan) -> Optional[Staging]:
    """Files and command; None without a program to ask."""
    if draft.observation.program is None:
        return None
    main = configs.main.seen
    contents = {change.path: change.content for change in plan.files}
    text = contents.get(main.target, configs.main.text) or ""
    directory = configs.directory if main.exists else draft.wish.state_dir
    stem = posixpath.join(directory, f".kubegpu-candidate-{plan.digest[:8]}")
    files: List[Tuple[str, str]] = []
    staged: Dict[str, Optional[str]] = {main.path: None}
    for number, (path, target) in enumerate(_others(draft, configs, plan), start=1):
        content = contents[target]
        staged[path] = None if content is None else f"{stem}-{number}.staged"
        if content is not None:
            files.append((f"{stem}-{number}.staged", content))
    imports = parse(text, main.path).get("imports")
    if isinstance(imports, list):
        new = [path for path, where in staged.items() if where is not None]
        paths = expand([str(one) for one in imports], configs.directory, draft.observation, new)
        if any(path in staged for path in paths):
            shown = [staged.get(path, path) for path in paths]
            text = put(text, IMPORTS, [path for path in shown if path is not None])
    candidate = f"{stem}.staged"
    return Staging((*files, (candidate, text)), (draft.observation.program, "--config", candidate, "config", "dump"))


def _others(draft: Draft, configs: Configs, plan: RuntimePlan) -> List[Tuple[str, str]]:
    """Path by which a file is imported and the one that is written, of those that the plan changes beside the main one."""
    main = configs.main.seen.target
    written = [change.path for change in plan.files if change.path not in (main, TOOLKIT)]
    links = {seen.target: path for path, seen in draft.observation.files.items()}
    return [(links.get(path, path), path) for path in written]
