"""Serves RBG's admission rules on loopback, for the namespaces that carry a label, or for all.

The API server calls it by `url:`, so that it needs no Service; its certificate is made at each start.
"""

from __future__ import annotations

import base64
import ipaddress
import ssl
import tempfile
from datetime import UTC, datetime, timedelta

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from localplane.rbg import names
from localplane.rbg.admission import refusal
from localplane.rbg.client import Resource
from localplane.rbg.groups import is_bound
from localplane.rbg.names import Obj
from localplane.rbg.world import World

NAMESPACE_LABEL = "localplane/rbg-webhooks"
CONFIGURATIONS = Resource(
    "ValidatingWebhookConfiguration",
    "admissionregistration.k8s.io/v1",
    "validatingwebhookconfigurations",
)


class Webhook:
    """`start` listens and registers; afterwards the API server asks before any group is written."""

    def __init__(self, world: World, *, everywhere: bool) -> None:
        self._world = world
        self._everywhere = everywhere

    async def start(self) -> None:
        certificate, context = _certificate()
        app = web.Application(client_max_size=8 * 2**20)
        app.router.add_post("/validate", self._validate)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
        await site.start()
        port = runner.addresses[0][1]
        await self._world.apply(CONFIGURATIONS, self._configuration(port, certificate), "rbg-stand-in")

    def _configuration(self, port: int, certificate: bytes) -> Obj:
        selector: Obj = {} if self._everywhere else {"matchLabels": {NAMESPACE_LABEL: "enabled"}}
        rule = {
            "apiGroups": ["workloads.x-k8s.io"],
            "apiVersions": ["v1alpha2"],
            "operations": ["CREATE", "UPDATE"],
            "resources": ["rolebasedgroups"],
        }
        hook = {
            "name": "vrolebasedgroup.kb.io",
            "clientConfig": {
                "url": f"https://127.0.0.1:{port}/validate",
                "caBundle": base64.b64encode(certificate).decode(),
            },
            "rules": [rule],
            "namespaceSelector": selector,
            "admissionReviewVersions": ["v1"],
            "sideEffects": "None",
            "failurePolicy": "Ignore",
            "timeoutSeconds": 5,
        }
        return {"metadata": {"name": "rbg-stand-in"}, "webhooks": [hook]}

    async def _validate(self, request: web.Request) -> web.Response:
        review = await request.json()
        asked = review["request"]
        group, old = asked["object"], asked.get("oldObject")
        reason = (
            None if names.is_deleting(group) else refusal(group, old, self._bound(asked["namespace"], group))
        )
        response: Obj = {"uid": asked["uid"], "allowed": reason is None}
        if reason:
            response["status"] = {"code": 403, "reason": "Forbidden", "message": reason}
        return web.json_response(
            {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}
        )

    def _bound(self, namespace: str, group: Obj) -> dict[str, tuple[str, int]]:
        found = {}
        for adapter in self._world.adapters.in_namespace(namespace):
            target = adapter["spec"]["scaleTargetRef"]
            replicas = adapter["spec"].get("replicas")
            if target["name"] == group["metadata"].get("name") and is_bound(adapter) and replicas is not None:
                found[target["role"]] = (names.name_of(adapter), int(replicas))
        return found


def _certificate() -> tuple[bytes, ssl.SSLContext]:
    """A self-signed certificate for 127.0.0.1, as PEM and loaded."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "rbg-stand-in")])
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=30))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    pem = built.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile(suffix=".pem") as file:
        file.write(pem + private)
        file.flush()
        context.load_cert_chain(file.name)
    return pem, context
