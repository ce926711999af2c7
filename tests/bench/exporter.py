"""Plays every pod's engine with values that the benchmark sets: a change is exact, and at once."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import urlsplit

STEADY = 0.7
"""KV-cache usage that is on target."""
WOBBLE = 0.02
"""How far a value moves by itself from scrape to scrape."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """A scrape that was given up is nobody's trouble."""


class Exporter:
    """KV-cache usage by group; pods are named `<group>-<role>-<ordinal>`, groups without a dash."""

    def __init__(self) -> None:
        self.usage: defaultdict[str, float] = defaultdict(lambda: STEADY)

    def page(self, pod: str) -> str:
        """What a scrape of the pod gets."""
        usage = self.usage[pod.split("-")[0]] + random.uniform(-WOBBLE, WOBBLE)
        labels = '{engine="0",model_name="llama"}'
        return (
            "# TYPE vllm:kv_cache_usage_perc gauge\n"
            f"vllm:kv_cache_usage_perc{labels} {usage}\n"
            "# TYPE vllm:num_requests_waiting gauge\n"
            f"vllm:num_requests_waiting{labels} {random.randrange(3)}\n"
        )

    @contextmanager
    def serving(self, url: str) -> Iterator[Exporter]:
        """Answer at this address of the machine itself until the block ends."""
        exporter = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                body = exporter.page(self.path.split("/")[3]).encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        port = urlsplit(url).port
        assert port is not None
        server = _Server(("127.0.0.1", port), Handler)
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()
