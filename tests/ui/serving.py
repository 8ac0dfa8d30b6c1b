"""Serves an app on a free loopback port for as long as a `with` lasts."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI
from ui.sample import SampleReader

from ecomind_query.desk import Desk
from ecomind_query.ui.pages import router_for
from ecomind_receiver.tenants import LOCAL, Reach


def local() -> Reach:
    """The reach of whoever asks while no keys are asked for."""
    return Reach(LOCAL.org_id)


def sample_app(*, empty: bool = False) -> FastAPI:
    """The pages over the sample month, or over a store that has nothing yet."""
    app = FastAPI(docs_url=None, redoc_url=None)
    app.include_router(router_for(SampleReader(empty=empty), Desk(), reach_of=local))
    return app


@contextmanager
def served(app: FastAPI) -> Iterator[str]:
    """The base URL of the running app. The socket listens first, so no request comes too early."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", ws="none", lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(timeout=10)
