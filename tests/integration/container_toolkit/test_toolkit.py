# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Installing the NVIDIA container toolkit: apt and dnf of a real host ask signed repositories that are laid out as the vendor's."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml
from integration.container_toolkit.repository import NAMES, Repository, served

from hosts.base import base
from hosts.debian import Packages, unpacked
from hosts.fixture import running, skipped_where_unavailable
from hosts.host import Host, ask
from hosts.packages import codename, install_packages

pytestmark = pytest.mark.timeout(600)  # package managers on a loaded machine, several times in a test

SECONDS = 180
OLD, NEW = "1.17.8-1", "1.18.0-1"
EARLIER = "libnvidia-container1"  # is on the host before the role is
SOURCE = "/etc/apt/sources.list.d/kubegpu-nvidia-container-toolkit.list"
PIN = "/etc/apt/preferences.d/kubegpu-nvidia-container-toolkit"
INSTALLED = "dpkg-query -W -f '${Package} ${Version} ${db:Status-Status}\\n' '*nvidia-container*' 2>/dev/null | grep ' installed'"
OWN_FILES = "find /etc/apt /var/lib/kubegpu-sharing -name '*kubegpu-nvidia*' -o -name toolkit.json 2>/dev/null"
# systemd tells of a unit whose file has changed since it was read: a reload would make it forget that.
CHANGED_UNIT = "systemctl show --property=NeedDaemonReload --value canary.service"
# The vendor's packages for dnf, cut to what matters here. Nothing else on the host is of rpm.
SPEC = """\
Name: {name}
Version: {version}
Release: 1
Summary: stand-in
License: none
BuildArch: noarch
Provides: /bin/sh
{requires}%description
Stand-in.
%post
systemctl daemon-reload
%files
"""
RPMS = "/srv/rpm"


class Toolkit:
    """A host, the repository that it is to install from, and the role's settings."""

    def __init__(self, host: Host, repository: Repository, url: str, directory: Path) -> None:
        self.host, self.repository, self.directory = host, repository, directory
        self.settings: dict[str, Any] = {
            "ansible_host": host.address,
            "ansible_user": host.user,
            "ansible_ssh_private_key_file": host.key,
            "ansible_ssh_common_args": "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR"
            " -o ControlMaster=auto -o ControlPersist=60s",
            "ansible_pipelining": True,
            "ansible_python_interpreter": "/usr/bin/python3",
            "kubegpu_runtime_install_toolkit": True,
            "kubegpu_runtime_toolkit_version": OLD,
            "kubegpu_runtime_toolkit_apt_url": f"{url}/deb",
            "kubegpu_runtime_toolkit_key": f"{url}/gpgkey",
            "kubegpu_runtime_toolkit_key_sha256": repository.key_sha256,
        }

    def play(self, *arguments: str, tasks: str = "toolkit", **settings: Any) -> str:
        """The role's output; settings are without kubegpu_runtime_toolkit_ before them."""
        variables = {**self.settings, **{f"kubegpu_runtime_toolkit_{name}": value for name, value in settings.items()}}
        role = {"name": "kubegpu.sharing.nvidia_container_runtime", "tasks_from": tasks}
        play = {"hosts": "all", "gather_facts": False, "tasks": [{"ansible.builtin.include_role": role}]}
        playbook, inventory = self.directory / "play.yml", self.directory / "inventory.yml"
        playbook.write_text(json.dumps([play]), encoding="utf-8")
        inventory.write_text(yaml.safe_dump({"all": {"hosts": {"node": variables}}}), encoding="utf-8")
        command = [
            str(Path(sys.executable).with_name("ansible-playbook")),
            "-i",
            str(inventory),
            str(playbook),
            *arguments,
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        return done.stdout + done.stderr

    def run(self, command: str) -> str:
        return ask(self.host, command, SECONDS)

    def make_debian_package(self, name: str, depends: str) -> None:
        """An empty package below /srv of the host."""
        control = f"Package: {name}\nVersion: 1\nArchitecture: all\nMaintainer: nobody <nobody@example.com>\n"
        control += f"Depends: {depends}\nDescription: stand-in\n"
        self.run(f"mkdir -p /srv/{name}/DEBIAN; cat > /srv/{name}/DEBIAN/control <<'END'\n{control}END\n")
        self.run(f"dpkg-deb --build /srv/{name} /srv/{name}.deb")

    def make_rpms(self) -> None:
        """A signed repository for dnf, with both versions, on the host itself."""
        for version, name in itertools.product((OLD, NEW), NAMES):
            self.make_rpm(name, version.removesuffix("-1"))
        index = f"{RPMS}/repodata/repomd.xml"
        listed = self.run(f"mkdir -p /etc/yum.repos.d; createrepo_c -q {RPMS} && cat {index}") + "\n"
        signature = self.repository.sign_detached(listed)
        self.run(f"cat > {index} <<'END'\n{listed}END\ncat > {index}.asc <<'END'\n{signature}END\n")

    def make_rpm(self, name: str, version: str, requires: str = "", directory: str = RPMS) -> None:
        """A package below a directory of the host, in one that is named by its architecture."""
        spec = SPEC.format(name=name, version=version, requires=f"Requires: {requires}\n" if requires else "")
        build = f"rpmbuild -bb --quiet --define '_rpmdir {directory}' --define '_topdir /srv/build' /srv/{name}.spec"
        self.run(f"cat > /srv/{name}.spec <<'END'\n{spec}END\n{build}")

    def rpms(self) -> list[str]:
        return sorted(self.run("rpm -qa --qf '%{NAME}-%{VERSION}-%{RELEASE}\\n' | grep -v gpg-pubkey").split())

    def installed(self) -> dict[str, str]:
        return dict(line.split()[:2] for line in self.run(INSTALLED).splitlines())


def changed(output: str) -> int:
    """How many tasks changed something in a run that went well."""
    found = re.search(r"node +: ok=\d+ +changed=(\d+) +unreachable=0 +failed=0", output)
    assert found, output
    return int(found[1])


def refused(output: str) -> str:
    """What a run that failed says, in one line."""
    assert re.search(r"failed=1", output), output
    return re.sub(r"\s+", " ", output)


def dnf() -> Path:
    """dnf and what makes its repositories, as files for a host."""
    return unpacked(Packages(codename(), ("dnf", "createrepo-c", "rpm"), root=base() / "root"))


@pytest.fixture(scope="module")
def toolkit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Toolkit]:
    """The steps below share a host, as versions of a node follow each other."""
    directory = tmp_path_factory.mktemp("toolkit")
    with skipped_where_unavailable():
        install_packages()
        layers = [dnf()]
    with ExitStack() as ending:
        repository = Repository(directory / "repository")
        ending.callback(repository.close)
        for version in (OLD, NEW):
            repository.add(version)
        repository.sign()
        host = ending.enter_context(running(directory / "host", "toolkit", layers))
        unit = "/etc/systemd/system/canary.service"
        ask(host, f"printf '[Service]\\nExecStart=/bin/sleep inf\\n' > {unit} && systemctl start canary", SECONDS)
        ask(host, f"printf '[Unit]\\nDescription=changed\\n' >> {unit}", SECONDS)
        url = ending.enter_context(served(directory / "repository", host.address))
        earlier = f"{url}/deb/{EARLIER}_{OLD}_all.deb"
        fetch = f'python3 -c \'import urllib.request as u; u.urlretrieve("{earlier}", "/srv/a.deb")\''
        said = ask(host, f"({fetch} && dpkg -i /srv/a.deb) 2>&1", SECONDS)
        found = Toolkit(host, repository, url, directory)
        assert found.installed() == {EARLIER: OLD}, said
        yield found


def test_toolkit_settings_are_told_all_at_once(toolkit: Toolkit) -> None:
    said = refused(toolkit.play(version="latest", apt_url="", key="", key_sha256=""))
    for name in ("version", "apt_url", "key", "key_sha256"):
        assert f"kubegpu_runtime_toolkit_{name} is" in said
    assert toolkit.run(OWN_FILES) == ""


def test_toolkit_with_another_key_than_pinned_is_refused(toolkit: Toolkit) -> None:
    fetched = refused(toolkit.play(key_sha256="0" * 64))
    assert "checksum" in fetched
    brought = refused(toolkit.play(key=str(toolkit.repository.key), key_sha256="0" * 64))
    assert f"has the SHA-256 {toolkit.repository.key_sha256}, expected {'0' * 64}" in brought
    assert toolkit.run(OWN_FILES) == ""


def test_toolkit_check_mode_says_what_would_be_installed(toolkit: Toolkit) -> None:
    # Older releases of Debian and Ubuntu come without it.
    toolkit.run("rmdir /etc/apt/keyrings")
    said = toolkit.play("--check")
    assert changed(said) > 0
    assert f"{', '.join(NAMES)} {OLD}; now installed: {EARLIER} {OLD}" in re.sub(r"\s+", " ", said)
    assert toolkit.run(OWN_FILES) == ""
    assert toolkit.installed() == {EARLIER: OLD}


def test_toolkit_that_did_not_come_is_not_kept_as_the_roles(toolkit: Toolkit) -> None:
    """Somebody else may install it now, and the role must not remove that."""
    assert "was not installed on node" in refused(toolkit.play(version="9.9.9-1"))
    assert not re.search("toolkit.json|preferences", toolkit.run(OWN_FILES))
    assert toolkit.installed() == {EARLIER: OLD}


def test_toolkit_is_installed_without_a_reload_and_stays(toolkit: Toolkit) -> None:
    assert toolkit.run(CHANGED_UNIT) == "yes"
    assert changed(toolkit.play()) > 0
    assert toolkit.installed() == dict.fromkeys(NAMES, OLD)
    assert toolkit.run("nvidia-container-runtime") == OLD
    assert toolkit.run(CHANGED_UNIT) == "yes"
    assert (
        toolkit.run("systemctl is-enabled nvidia-cdi-refresh.path nvidia-cdi-refresh.service").split()
        == ["enabled"] * 2
    )
    assert toolkit.run("systemctl is-active nvidia-cdi-refresh.path") == "active"
    assert changed(toolkit.play()) == 0
    # An upgrade of the node leaves it alone.
    assert "0 upgraded" in toolkit.run("apt-get update -q 2>&1; apt-get -y upgrade 2>&1")
    assert toolkit.installed() == dict.fromkeys(NAMES, OLD)


def test_toolkit_version_that_the_repository_has_not_is_told(toolkit: Toolkit) -> None:
    said = refused(toolkit.play(version="9.9.9-1"))
    assert "The NVIDIA container toolkit 9.9.9-1 was not installed on node: apt-get" in said
    assert "Version '9.9.9-1' for 'nvidia-container-toolkit' was not found" in said
    assert toolkit.installed() == dict.fromkeys(NAMES, OLD)
    assert f"Pin: version {OLD}" in toolkit.run(f"cat {PIN}")


def test_toolkit_other_version_is_installed_when_wanted(toolkit: Toolkit) -> None:
    assert changed(toolkit.play(version=NEW)) > 0
    assert toolkit.installed() == dict.fromkeys(NAMES, NEW)
    assert toolkit.run(CHANGED_UNIT) == "yes"


def test_toolkit_index_that_was_tampered_with_is_refused(toolkit: Toolkit) -> None:
    index = toolkit.repository.packages / "InRelease"
    signed = index.read_text(encoding="utf-8")
    try:
        index.write_text(signed.replace("Origin: example", "Origin: somebody"), encoding="utf-8")
        said = refused(toolkit.play(version=OLD))
        assert re.search("apt-get .* update ended with 100: .*InRelease", said)
        assert "is its metadata signed by the pinned key" in said
        assert toolkit.installed() == dict.fromkeys(NAMES, NEW)
    finally:
        index.write_text(signed, encoding="utf-8")


def test_toolkit_leaves_a_package_manager_that_works(toolkit: Toolkit) -> None:
    other = "/etc/apt/sources.list.d/vendor.list"
    url = toolkit.settings["kubegpu_runtime_toolkit_apt_url"]
    toolkit.run(f"rm {SOURCE}; cp /etc/apt/keyrings/kubegpu-nvidia-container-toolkit.asc /etc/apt/keyrings/vendor.asc")
    toolkit.run(f"echo 'deb [signed-by=/etc/apt/keyrings/vendor.asc] {url} /' > {other}")
    try:
        said = refused(toolkit.play(version=OLD))
        assert "Conflicting values set for option Signed-By" in said
        assert "If another file names the same repository, remove that one" in said
        # apt would go to the version that is pinned by itself, at the next upgrade.
        assert NEW in toolkit.run(f"cat {PIN}")
        assert toolkit.run("apt-get indextargets >/dev/null && echo works") == "works"
        # One that apt has worked with is what the packages there came from: it stays.
        worked = "deb [trusted=yes] file:/srv/mirror /"
        toolkit.run(f"echo '{worked}' > {SOURCE}")
        said = refused(toolkit.play(version=OLD))
        assert "The file is what it was before." in said
        assert toolkit.run(f"cat {SOURCE}") == worked
        assert toolkit.run("apt-get indextargets >/dev/null && echo works") == "works"
    finally:
        toolkit.run(f"rm {other}; rm -f {SOURCE}")


def test_toolkit_removal_takes_what_the_role_brought(toolkit: Toolkit) -> None:
    assert changed(toolkit.play(version=OLD, key=str(toolkit.repository.key))) > 0
    assert toolkit.installed() == dict.fromkeys(NAMES, OLD)
    assert toolkit.run(CHANGED_UNIT) == "yes"
    assert changed(toolkit.play(tasks="toolkit_remove")) > 0
    assert toolkit.installed() == {EARLIER: OLD}
    assert toolkit.run(OWN_FILES) == ""
    assert changed(toolkit.play(tasks="toolkit_remove")) == 0
    assert toolkit.run(CHANGED_UNIT) == "yes"
    # A reload is seen here where nothing holds it back.
    toolkit.run("systemctl daemon-reload")
    assert toolkit.run(CHANGED_UNIT) == "no"


def test_toolkit_that_other_packages_need_is_not_removed(toolkit: Toolkit) -> None:
    toolkit.make_debian_package("other", depends=NAMES[1])
    assert changed(toolkit.play()) > 0
    assert toolkit.run("dpkg -i /srv/other.deb >/dev/null 2>&1 && echo there") == "there"
    for mode in (["--check"], []):
        said = refused(toolkit.play(*mode, tasks="toolkit_remove"))
        assert "The NVIDIA container toolkit was not removed from node: dpkg --no-act --remove" in said
        assert f"other depends on {NAMES[1]}" in said
        assert "kubegpu_runtime_install_toolkit false" in said
    assert toolkit.installed() == dict.fromkeys(NAMES, OLD)
    toolkit.run("dpkg --remove other")
    script = f"/var/lib/dpkg/info/{NAMES[1]}.prerm"
    toolkit.run(f"printf '#!/bin/sh\\necho it will not go >&2; exit 1\\n' > {script}; chmod 755 {script}")
    said = refused(toolkit.play(tasks="toolkit_remove"))
    assert (
        "The NVIDIA container toolkit was not removed from node: apt-get -y -q -o DPkg::Lock::Timeout=300 remove"
        in said
    )
    assert "ended with 100: " in said
    assert "it will not go" in said
    assert "Its source and its key stay with it. Make that command work, and run again." in said
    assert toolkit.run(f"rm {script}; ls {SOURCE}") == SOURCE
    toolkit.run("dpkg --configure -a >/dev/null 2>&1")
    assert changed(toolkit.play(tasks="toolkit_remove")) > 0
    assert toolkit.installed() == {EARLIER: OLD}


def test_toolkit_by_dnf_is_installed_as_pinned(toolkit: Toolkit) -> None:
    toolkit.make_rpms()
    settings = {"manager": "dnf", "dnf_url": f"file://{RPMS}"}
    toolkit.run("echo '# changed again' >> /etc/systemd/system/canary.service")
    assert toolkit.run(CHANGED_UNIT) == "yes"
    # rpm's words for a package that is not there end as those for one that is.
    assert toolkit.run(f"rpm -q {NAMES[0]} 2>/dev/null || true") == f"package {NAMES[0]} is not installed"
    said = toolkit.play("--check", **settings)
    assert f"{', '.join(NAMES)} {OLD}; now installed: none of them" in re.sub(r"\s+", " ", said)
    assert changed(toolkit.play(**settings)) > 0
    assert toolkit.rpms() == sorted(f"{name}-{OLD}" for name in NAMES)
    assert toolkit.run(CHANGED_UNIT) == "yes"
    assert changed(toolkit.play(**settings)) == 0
    # An upgrade of the node leaves it alone.
    assert "Nothing to do" in toolkit.run("dnf -y upgrade 2>&1")
    assert changed(toolkit.play(**settings, version=NEW)) > 0
    assert toolkit.rpms() == sorted(f"{name}-{NEW}" for name in NAMES)
    toolkit.run(f"sed -i 's/<revision>/<revision>1/' {RPMS}/repodata/repomd.xml")
    said = refused(toolkit.play(**settings))
    assert "repomd.xml GPG signature verification error" in said
    assert toolkit.rpms() == sorted(f"{name}-{NEW}" for name in NAMES)
    toolkit.make_rpm("other", "1", requires=NAMES[1], directory="/srv/other")
    assert toolkit.run("rpm --install /srv/other/noarch/other-1-1.noarch.rpm && echo there") == "there"
    said = refused(toolkit.play(tasks="toolkit_remove", **settings))
    assert f"{NAMES[1]} is needed by (installed) other-1" in said
    toolkit.run("rpm --erase other")
    assert changed(toolkit.play(tasks="toolkit_remove", **settings)) > 0
    assert toolkit.rpms() == []
    assert toolkit.run("ls /etc/yum.repos.d /etc/pki/rpm-gpg | grep kubegpu") == ""
