"""The Prometheus adapter against servers that misbehave in every way that has been seen."""

import gzip
import json
import math
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from rbg_autoscaler.observe.prometheus import PrometheusSource
from rbg_autoscaler.observe.sources import (
    MetricsError,
    Overloaded,
    Partial,
    QueryResult,
    Rejected,
    Row,
    SourceSettings,
    TimedOut,
    Unreachable,
)
from tests.unit.observe_metrics.trap_server import Behaviour, reply, trap, vector

ONE_ROW = vector(({"pod": "a"}, "3"))
GENEROUS = 15.0
"""No query of these tests may take longer, however busy the machine is."""


def source(url: str, **settings: object) -> PrometheusSource:
    return PrometheusSource(replace(SourceSettings(url=url, timeout_seconds=10.0), **settings))  # type: ignore[arg-type]


def test_an_answer_is_its_rows() -> None:
    body = vector(({"pod": "a"}, "3"), ({"pod": "b"}, "NaN"), ({"pod": "c"}, "+Inf"), ({}, "0.5"))
    with trap(reply(body)) as server:
        rows = source(server.url).query("up").rows
    assert [row.labels for row in rows] == [{"pod": "a"}, {"pod": "b"}, {"pod": "c"}, {}]
    assert rows[0].value == 3
    assert math.isnan(rows[1].value)
    assert (rows[2].value, rows[3].value) == (math.inf, 0.5)


def test_a_scalar_is_one_row_without_labels() -> None:
    body = {"status": "success", "data": {"resultType": "scalar", "result": [1700000000, "7"]}}
    with trap(reply(body)) as server:
        assert source(server.url).query("7") == QueryResult([Row({}, 7.0)])


def test_the_query_goes_into_the_body_with_the_sources_parameters_and_headers(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("secret\n")
    with trap(reply(ONE_ROW)) as server:
        asked = source(
            server.url + "/",
            headers={"X-Scope-OrgID": "tenant"},
            params={"dedup": "true"},
            bearer_token_file=str(token),
        )
        asked.query('up{a="b&c"}', 2.5)
    (request,) = server.requests
    assert request.line == "POST /prefix/api/v1/query HTTP/1.1"
    assert request.headers["x-scope-orgid"] == "tenant"
    assert request.headers["authorization"] == "Bearer secret"
    form = parse_qs(request.body)
    assert (form["query"], form["dedup"]) == (['up{a="b&c"}'], ["true"])
    (timeout,) = form["timeout"]
    assert 2000 < int(timeout.removesuffix("ms")) <= 2500


def test_a_token_is_read_again_when_its_file_changes(tmp_path: Path) -> None:
    """Projected tokens change by a new file under the old name."""
    token = tmp_path / "token"
    token.write_text("first")
    with trap(reply(ONE_ROW)) as server:
        asked = source(server.url, bearer_token_file=str(token))
        asked.query("up")
        (tmp_path / "new").write_text("second")
        (tmp_path / "new").rename(token)
        asked.query("up")
        token.unlink()
        with pytest.raises(Rejected, match="bearerTokenFile cannot be read: FileNotFoundError"):
            asked.query("up")
    assert [r.headers["authorization"] for r in server.requests] == ["Bearer first", "Bearer second"]


def test_nothing_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with trap(reply(ONE_ROW)) as server:
        assert source(server.url).query("up").rows
    assert "authorization" not in server.requests[0].headers


def test_cookies_are_not_kept() -> None:
    with trap(reply(ONE_ROW, "200 OK", "Set-Cookie: a=b")) as server:
        asked = source(server.url)
        asked.query("up")
        asked.query("up")
    assert all("cookie" not in request.headers for request in server.requests)


def send(*parts: bytes, pause: float = 0.0) -> Behaviour:
    """Bytes one after another, then silence until the test is over."""

    def behave(connection: socket.socket, over: threading.Event) -> None:
        for part in parts:
            connection.sendall(part)
            if pause and over.wait(pause):
                return
        over.wait(60)

    return behave


HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "behaviour",
    [
        send(),
        send(HEAD),
        send(HEAD, *[b" "] * 1000, pause=0.05),
        send(*[bytes([byte]) for byte in HEAD * 20], pause=0.05),
        send(CHUNKED, *[b"1\r\n \r\n"] * 1000, pause=0.05),
        send(CHUNKED, b"f", *[b"0"] * 10, pause=0.05),
    ],
    ids=[
        "hangs",
        "hangs after the head",
        "dribbles the body",
        "dribbles the head",
        "chunks",
        "half a chunk size",
    ],
)
def test_a_query_never_outlives_its_deadline(behaviour: Behaviour) -> None:
    with trap(behaviour) as server:
        began = time.monotonic()
        with pytest.raises(TimedOut):
            source(server.url).query("up", 0.3)
        assert time.monotonic() - began < GENEROUS
    assert len(server.requests) == 1


def test_a_connection_is_used_again_with_a_deadline_of_its_own() -> None:
    """The first query's deadline passes while the connection idles; the second has all of its own."""
    with trap(reply(ONE_ROW)) as server:
        asked = source(server.url)
        asked.query("up", 0.5)
        threading.Event().wait(0.6)
        assert asked.query("up", 10.0).rows


def test_a_dead_server_is_unreachable_at_once_and_not_retried() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(Unreachable):
        source(f"http://127.0.0.1:{port}").query("up")


def close(connection: socket.socket, over: threading.Event) -> None:
    connection.shutdown(socket.SHUT_RDWR)


def half(connection: socket.socket, over: threading.Event) -> None:
    connection.sendall(HEAD + b"{")
    connection.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("behaviour", [close, half], ids=["closes", "closes in the middle"])
def test_a_cut_connection_is_unreachable(behaviour: Behaviour) -> None:
    with trap(behaviour) as server, pytest.raises(Unreachable):
        source(server.url).query("up")
    assert len(server.requests) == 1


def error(words: str) -> dict[str, str]:
    return {"status": "error", "errorType": "x", "error": words}


@pytest.mark.parametrize(
    ("behaviour", "kind", "words"),
    [
        (reply("busy", "503 Service Unavailable"), Overloaded, "HTTP 503: no further explanation"),
        (reply(error("query timed out in expression"), "503 Service Unavailable"), TimedOut, "timed out"),
        (reply("", "429 Too Many Requests"), Overloaded, "429"),
        (reply("", "504 Gateway Timeout"), TimedOut, "504"),
        (reply("", "502 Bad Gateway"), Unreachable, "502"),
        (reply(error("storage"), "500 Internal Server Error"), Unreachable, "storage"),
        (reply(error("parse error at 1:3"), "400 Bad Request"), Rejected, "parse error at 1:3"),
        (reply(error("too many samples"), "422 Unprocessable Entity"), Rejected, "too many samples"),
        (reply("", "404 Not Found"), Rejected, "404"),
        (reply("", "401 Unauthorized"), Rejected, "credentials"),
        (reply("", "403 Forbidden"), Rejected, "credentials"),
        (reply("", "302 Found", "Location: http://127.0.0.1:9/"), Rejected, "redirects are not followed"),
        (reply("<html>"), Rejected, "no JSON"),
        (reply("[]"), Rejected, "no JSON object"),
        (reply(error("odd")), Rejected, "odd"),
        (reply({"status": "success", "data": {}}), Rejected, "form"),
        (reply({"status": "success", "data": {"resultType": "vector", "result": [1]}}), Rejected, "form"),
        (reply({"status": "success", "data": {"resultType": "matrix", "result": []}}), Rejected, "matrix"),
        (reply(vector(warnings=["store 1 down"])), Partial, "store 1 down"),
        (reply(vector(isPartial=True)), Partial, "isPartial"),
    ],
)
def test_every_refusal_has_its_kind_and_is_not_retried(
    behaviour: Behaviour, kind: type[MetricsError], words: str
) -> None:
    with trap(behaviour) as server, pytest.raises(MetricsError, match=words) as raised:
        source(server.url).query("up")
    assert type(raised.value) is kind
    assert raised.value.reason == kind.__name__
    assert len(server.requests) == 1


def test_hints_about_good_promql_are_no_warnings() -> None:
    with trap(reply(vector(infos=["metric might not be a counter"]))) as server:
        assert source(server.url).query("up").rows == []


def test_label_sets_in_a_servers_words_are_not_passed_on() -> None:
    words = 'found duplicate series for the match group {namespace="other", pod="theirs"} on the left'
    with trap(reply(error(words), "422 Unprocessable Entity")) as server, pytest.raises(Rejected) as raised:
        source(server.url).query("up")
    assert str(raised.value) == "HTTP 422: found duplicate series for the match group {...} on the left"


def test_an_error_names_neither_address_nor_secret() -> None:
    with trap(close) as server, pytest.raises(Unreachable) as raised:
        source(server.url, headers={"X-Token": "hidden"}, params={"key": "hidden"}).query("up")
    assert "hidden" not in str(raised.value)
    assert "127.0.0.1" not in str(raised.value)
    assert "hidden" not in repr(SourceSettings(headers={"X-Token": "hidden"}))


def test_answers_have_a_largest_size() -> None:
    body = json.dumps(vector(*[({"pod": str(i)}, "1") for i in range(100)]))
    packed = gzip.compress(b" " * 10_000_000)
    zipped = (
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n" + f"Content-Length: {len(packed)}\r\n\r\n".encode()
    )
    with trap(reply(body)) as server:
        assert len(source(server.url, max_body_bytes=len(body), max_series=100).query("up").rows) == 100
        with pytest.raises(Rejected, match="maxBodyBytes"):
            source(server.url, max_body_bytes=len(body) - 1).query("up")
        with pytest.raises(Rejected, match="maxSeries"):
            source(server.url, max_series=99).query("up")
    with trap(send(zipped + packed)) as server, pytest.raises(Rejected, match="maxBodyBytes"):
        source(server.url, max_body_bytes=1_000_000).query("up")


# TLS, with certificates of the test's own.


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[str, str]]:
    """Makes a self-signed certificate for 127.0.0.1: paths of certificate and key."""
    folder = tmp_path_factory.mktemp("tls")

    def make(name: str) -> tuple[str, str]:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        now = datetime.now(UTC)
        built = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
            .sign(key, hashes.SHA256())
        )
        cert_file, key_file = folder / f"{name}.crt", folder / f"{name}.key"
        cert_file.write_bytes(built.public_bytes(serialization.Encoding.PEM))
        key_file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return str(cert_file), str(key_file)

    return make


def test_tls_trusts_the_ca_file_and_shows_the_certificate(
    certificate: Callable[[str], tuple[str, str]],
) -> None:
    server_files, client_files = certificate("server"), certificate("client")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*server_files)
    with trap(reply(ONE_ROW), context) as server:
        assert source(server.url, ca_file=server_files[0]).query("up").rows
        with pytest.raises(Unreachable, match="caFile"):
            source(server.url).query("up")
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(client_files[0])
    with trap(reply(ONE_ROW), context) as server:
        shown = {"cert_file": client_files[0], "key_file": client_files[1]}
        assert source(server.url, ca_file=server_files[0], **shown).query("up").rows
        with pytest.raises(Unreachable):
            source(server.url, ca_file=server_files[0]).query("up")


def test_a_dribble_over_tls_ends_at_the_deadline(certificate: Callable[[str], tuple[str, str]]) -> None:
    files = certificate("slow")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files)
    with trap(send(HEAD, *[b" "] * 1000, pause=0.05), context) as server, pytest.raises(TimedOut):
        source(server.url, ca_file=files[0]).query("up", 0.5)
