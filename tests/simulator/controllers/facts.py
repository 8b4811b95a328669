"""What real nodes do, one switch each.

Every switch is a behaviour that was observed on, or read in the source of, the real thing, and that careless automation
trips over. All are on in every simulated cluster. A test turns one off to prove that it would notice its absence.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Facts:
    """Behaviours of plugin, kubelet and controllers; False means: pretend that the world was kinder."""

    #: Without a plugin capacity stays and allocatable is 0; after the grace period both are 0, and present.
    capacity_outlives_plugin: bool = True
    #: The node's allocatable follows the plugin only with the next node status (about 10 s).
    status_lags: bool = True
    #: Two plugins use one socket file: the end of the older one removes it, and nothing re-creates it.
    shared_socket: bool = True
    #: A pod bound to a node where no plugin serves fails for good.
    admission_needs_healthy_devices: bool = True
    #: Device ids change with the sharing mode, and the kubelet knows a card by its ids only.
    ids_change_with_sharing: bool = True
    #: After a reboot a pod whose device ids no longer exist is rejected.
    reboot_checks_old_ids: bool = True
    #: A changed template makes a RollingUpdate DaemonSet replace its pods on all nodes.
    template_change_rolls: bool = True
    #: The plugin reads its mounted file again when the kubelet's socket is re-created.
    reread_on_kubelet_restart: bool = True
    #: Command line beats environment beats file.
    command_line_first: bool = True
    #: NVML tells a program of MIG devices only with CAP_SYS_ADMIN and the monitor capability's device.
    mig_needs_sys_admin: bool = True
    #: failOnInitError=false keeps a plugin on a broken node Running with 0 GPUs.
    fail_on_init_error_hides: bool = True
    #: The config-manager exits when the label names a key that its volume does not show.
    config_manager_exits: bool = True
    #: A mounted ConfigMap follows changes only after up to two minutes, an immutable one never.
    config_map_lags: bool = True
    #: GPU Feature Discovery changes the product label of shared cards.
    gfd_suffixes_product: bool = True
    #: Devices of pods that are gone stay in the kubelet's checkpoint until the next allocation.
    checkpoint_cleaned_lazily: bool = True
    #: An OnDelete DaemonSet replaces nothing when its template changes.
    on_delete_waits: bool = True
    #: OnDelete or not, a pod leaves a node that its template's affinity does not take any more at once.
    affinity_moves_on_delete: bool = True
    #: DaemonSet pods are removed from and started on cordoned nodes like on any other.
    daemon_pods_ignore_cordon: bool = True
    #: Plugin v0.14.5 takes a file and crashes on a directory.
    directory_crashes: bool = True
    #: NVML's plain memory total includes what the driver reserves.
    total_includes_reserved: bool = True
    #: A program that finds not enough memory left on its card ends with an error, whoever took it.
    memory_is_finite: bool = True
    #: A request for more than one shared device is refused where failRequestsGreaterThanOne says so.
    shared_requests_limited: bool = True


ALL = Facts()
