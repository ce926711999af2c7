"""An HTTP server on loopback that answers byte for byte as a test says, however wrong."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field


@dataclass
class Request:
    """What arrived."""

    line: str
    headers: dict[str, str]
    body: str


Behaviour = Callable[[socket.socket, threading.Event], None]


@dataclass
class TrapServer:
    """Its address, what it was asked, and an event that is set when the test is over."""

    behaviour: Behaviour
    url: str = ""
    requests: list[Request] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            while (request := _read(connection)) is not None:
                self.requests.append(request)
                self.behaviour(connection, self.over)


@contextmanager
def trap(behaviour: Behaviour, tls: ssl.SSLContext | None = None) -> Iterator[TrapServer]:
    """A server with this behaviour; each connection in a thread of its own."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        scheme = "https" if tls else "http"
        server = TrapServer(behaviour, f"{scheme}://127.0.0.1:{listener.getsockname()[1]}/prefix")

        def accept() -> None:
            with suppress(OSError):
                while True:
                    raw, _ = listener.accept()
                    threading.Thread(target=_shake, args=(server, raw, tls), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        try:
            yield server
        finally:
            server.over.set()
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)


def _shake(server: TrapServer, raw: socket.socket, tls: ssl.SSLContext | None) -> None:
    with suppress(OSError):
        server.serve(tls.wrap_socket(raw, server_side=True) if tls else raw)


def _read(connection: socket.socket) -> Request | None:
    head = b""
    while b"\r\n\r\n" not in head:
        received = connection.recv(65536)
        if not received:
            return None
        head += received
    text, body = head.split(b"\r\n\r\n", 1)
    line, *lines = text.decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (one.partition(": ") for one in lines)}
    while len(body) < int(headers.get("content-length", 0)):
        body += connection.recv(65536)
    return Request(line, headers, body.decode())


def reply(body: object, status: str = "200 OK", *headers: str) -> Behaviour:
    """A well-formed answer; anything but text becomes JSON."""
    content = (body if isinstance(body, str) else json.dumps(body)).encode()
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(content)}", *headers]
    raw = "\r\n".join(lines).encode() + b"\r\n\r\n" + content
    return lambda connection, over: connection.sendall(raw)


def vector(*lines: tuple[dict[str, str], str], **more: object) -> dict[str, object]:
    """A Prometheus answer of these series."""
    result = [{"metric": labels, "value": [1700000000, value]} for labels, value in lines]
    return {"status": "success", "data": {"resultType": "vector", "result": result}, **more}
