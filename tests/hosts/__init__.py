# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts with a real systemd for tests, as systemd-nspawn containers of this machine.

    python -m hosts prepare                      install what they need, and build the root that all of them share
    python -m hosts up --dir DIR --name NAME     start one, and wait until Ansible can reach it
    python -m hosts down --dir DIR               end it; nothing of it is left

A host's disk, its mounts and its network live in namespaces of one process, so that they end with it in whatever way it ends.
The disk is a layer over the shared root, kept in memory: it survives a reboot of the host and ends with the host.
"""
