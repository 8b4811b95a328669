"""A kubelet that answers nobody, and its return; a machine that is gone."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from simulator.controllers.engine import Timer
from simulator.controllers.meta import key_of, split_key

if TYPE_CHECKING:
    from simulator.controllers.kubelet.node import NodeAgent


class Outage:
    """Whether one node's kubelet is heard. ``on_silence`` is told when it is not, and may return a timer to cancel."""

    def __init__(self, node: NodeAgent) -> None:
        self._node = node
        self._timer: Timer | None = None
        self.on_silence: Callable[[str], Timer | None] = lambda name: None

    def go_silent(self) -> None:
        """The kubelet stops answering; what runs goes on running, nothing is started and no end is confirmed."""
        self._node.reports = False
        if self._timer is None:
            self._timer = self.on_silence(self._node.name)

    def speak_again(self) -> None:
        """The kubelet is back; if its node was deleted, it registers anew."""
        self._node.register()
        self.answer()
        self._node.post_status(rebooted=True)
        self._catch_up()

    def answer(self) -> None:
        """From now on the kubelet reports again."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._node.reports = True

    def _catch_up(self) -> None:
        """Look at all pods that were, and that came, while nobody was there to look."""
        node = self._node
        for key in dict.fromkeys([*node.runtimes, *(key_of(pod) for pod in node.context.pods.on_node(node.name))]):
            node.sync(key)
        for runtime in list(node.runtimes.values()):
            runtime.resume()
            if runtime.started and not runtime.stopping:
                runtime.report()

    def forget_gone(self) -> None:
        """Pods whose objects went while the machine was off."""
        for key, runtime in list(self._node.runtimes.items()):
            pod = self._node.context.store.get("pods", *split_key(key))
            if pod is None or pod["metadata"]["uid"] != runtime.uid:
                self._node.forget(runtime)

    def shut_down(self) -> None:
        """The machine is gone, as when an autoscaler takes it away."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._node.reports = False
        self._node.empty()
