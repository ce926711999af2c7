"""What the API server may answer instead of an object, typed by what the caller does next.

Retry later (Throttled, Unavailable), re-read and decide again (Conflict, Invalid, NotFound, Expired),
report and stop (Forbidden, Misconfigured).
"""

from __future__ import annotations


class KubeError(Exception):
    """A request that was not carried out, or of which that is not known.

    `status` is the HTTP status (0: no answer came), `reason` the CamelCase reason of the Status object.
    """

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(status, reason, message)
        self.status = status
        self.reason = reason
        self.message = message

    def __str__(self) -> str:
        return f"{self.status or 'no answer'} {self.reason}: {self.message}"


class NotFound(KubeError):
    """404: the object, or its kind, does not exist."""


class Conflict(KubeError):
    """409: the object changed meanwhile (Conflict), or exists already (AlreadyExists)."""


class Invalid(KubeError):
    """400, 415, 422, ...: refused by the schema, or a `test` of a JSON patch failed."""


class Forbidden(KubeError):
    """401, 403: no right to do this, or an admission webhook denied it; `message` carries its words."""


class Expired(KubeError):
    """410: the list's continue token or the watch's resourceVersion is too old."""


class Throttled(KubeError):
    """429: ask again after `retry_after` seconds."""

    def __init__(self, status: int, reason: str, message: str, retry_after: float = 1.0) -> None:
        super().__init__(status, reason, message)
        self.retry_after = retry_after


class Unavailable(KubeError):
    """No answer in time or a 5xx. A write may or may not have been carried out: read before writing again."""


class Misconfigured(KubeError):
    """There is no usable kubeconfig or service account."""


_BY_STATUS: dict[int, type[KubeError]] = {
    401: Forbidden,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Expired,
}


def error_of(status: int, reason: str, message: str, retry_after: float | None = None) -> KubeError:
    """The typed error of an HTTP status of 400 or more."""
    if status == 429:
        return Throttled(status, reason, message, 1.0 if retry_after is None else retry_after)
    if status >= 500:
        return Unavailable(status, reason, message)
    return _BY_STATUS.get(status, Invalid)(status, reason, message)
