# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real containerd's reading of config files in a directory, without a daemon."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence

from unit.plugins.fakes.seen_runtime import seen_runtime

from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.dumps import compare
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.observation import Observation
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.plan import RuntimePlan
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.planning import plan_runtime
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.toml_reading import lookup, parse
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.wish import Wish


@dataclass
class RealContainerd:
    """Its files are in a directory, whose main config is config.toml.

    :param program: containerd's executable.
    :param record: what the last change noted.
    """

    program: Path
    directory: Path
    record: Optional[Mapping[str, Any]] = field(default=None)

    @property
    def main(self) -> Path:
        """The main config."""
        return self.directory / "config.toml"

    @property
    def drop_in(self) -> Path:
        """Where ours goes on 2.x."""
        return self.directory / "conf.d" / "80-kubegpu-sharing.toml"

    def write(self, name: str, text: str) -> Path:
        """A file of the directory."""
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
        return path

    def files(self) -> Dict[str, bytes]:
        """All files and what is in them."""
        return {str(path): path.read_bytes() for path in sorted(self.directory.rglob("*")) if path.is_file()}

    @cached_property
    def version(self) -> str:
        """As the program tells."""
        return self.run("--version")["stdout"].split()[2].lstrip("v")

    def dump(self) -> Dict[str, Any]:
        """The merged config; of no main file, the default."""
        if not self.main.exists():
            return self.run("config", "default")
        return self.run("--config", str(self.main), "config", "dump")

    def cri(self) -> Mapping[str, Any]:
        """The merged table of what serves the kubelet."""
        data = parse(self.dump()["stdout"], "dump")
        for name in ("io.containerd.cri.v1.runtime", "io.containerd.grpc.v1.cri"):
            found = lookup(data, ("plugins", name))
            if found:
                return dict(found)
        raise AssertionError("no CRI plugin in the dump")

    def runtime(self, name: str) -> Dict[str, Any]:
        """A runtime's merged table; {} without one."""
        return dict(lookup(self.cri(), ("containerd", "runtimes", name)) or {})

    def look(self, record: Optional[Mapping[str, Any]] = None) -> Observation:
        """The observation."""
        text = self.main.read_text() if self.main.exists() else ""
        named = [one for one in parse(text, "main").get("imports", ()) if one.startswith("/") and "*" not in one]
        files: Dict[str, Any] = {**dict.fromkeys((str(self.main), *named)), **self.files()}
        return Observation.from_dict(
            seen_runtime(
                "containerd",
                files,
                version=self.version,
                program=str(self.program),
                config_path=str(self.main),
                dump=self.dump(),
                record=record if record is not None else self.record,
            )
        )

    def plan(self, wish: Wish) -> RuntimePlan:
        """What the wish needs now."""
        return plan_runtime(replace(wish, state_dir=str(self.directory)), self.look())

    def candidate(self, plan: RuntimePlan) -> Dict[str, Any]:
        """The dump of what the plan stages, which is gone again."""
        if plan.staging is None:
            raise AssertionError("nothing is staged")
        for path, text in plan.staging.files:
            Path(path).write_bytes(text.encode())
        try:
            return self.run(*plan.staging.argv[1:])
        finally:
            for path, _text in plan.staging.files:
                os.unlink(path)

    def problems(self, plan: RuntimePlan) -> List[str]:
        """Those of the plan, else those of the comparison."""
        if plan.problems or not plan.restart:
            return list(plan.problems)
        return compare(plan, self.dump(), self.candidate(plan))

    def apply(self, wish: Wish) -> RuntimePlan:
        """What the wish needs is done, as long as nothing speaks against it; what comes of it is what the candidate came to."""
        look = self.look()
        plan = plan_runtime(replace(wish, state_dir=str(self.directory)), look)
        problems, expected = list(plan.problems), None
        if plan.restart and not problems:
            candidate = self.candidate(plan)
            problems = compare(plan, look.dump, candidate)
            expected = without_imports(candidate["stdout"]) if not problems else None
        if problems:
            raise AssertionError("\n".join(problems))
        for change in plan.files:
            path = Path(change.path)
            if change.content is None:
                path.unlink()
                continue
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(change.content.encode())
        if plan.changed:
            self.record = plan.record
        if expected is not None and without_imports(self.dump()["stdout"]) != expected:
            raise AssertionError("the written files come to something else than their candidate")
        return plan

    def run(self, *words: str) -> Dict[str, Any]:
        """Its answer to a command."""
        argv: Sequence[str] = [str(self.program), *words]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
        return {"argv": list(argv), "rc": done.returncode, "stdout": done.stdout, "stderr": done.stderr}


def without_imports(dump: str) -> Dict[str, Any]:
    """The dump as data, but for the names of files."""
    return {key: value for key, value in parse(dump, "dump").items() if key != "imports"}
