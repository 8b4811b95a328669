"""Running the application on 127.0.0.1 over TLS."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from simulator.apiserver.app import SERVER
from simulator.apiserver.tls import make_tls

SHUTDOWN_SECONDS = 0.5


@dataclass(frozen=True)
class Served:
    """A running server; ``close`` ends it and its open watches."""

    runner: web.AppRunner
    url: str
    ca_pem: bytes

    async def close(self) -> None:
        await self.runner.cleanup()


async def serve(app: web.Application, directory: Path, *, port: int = 0) -> Served:
    """Port 0 takes a free one. The certificate is written into ``directory``."""
    tls = make_tls(directory)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=SHUTDOWN_SECONDS)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port, ssl_context=tls.context())
    await site.start()
    bound = runner.addresses[0][1]
    app[SERVER].address = f"127.0.0.1:{bound}"
    return Served(runner, f"https://127.0.0.1:{bound}", tls.ca_pem)
