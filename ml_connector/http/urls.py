"""Which addresses a tenant may name: a host typed into a form must not lead into the installation's own network."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Callable, Iterable
from urllib.parse import SplitResult, unquote, urlsplit

from ml_connector.errors import ConfigurationError

LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
_PATH = re.compile(r"(?:/[A-Za-z0-9._~!$&'()*+,;=:@%-]+)*/?")

Resolve = Callable[[str], Iterable[str]]


def resolve_host(host: str) -> Iterable[str]:
    """The addresses of a host; none when it cannot be resolved now (the first call will say so)."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return ()
    return {str(entry[4][0]) for entry in found}


def check_base_url(url: str, *, tenant: str, allow_private: bool, resolve: Resolve = resolve_host) -> str:
    """The address normalised and without trailing slash, or a ConfigurationError with field, tenant and remedy."""
    try:
        parts = urlsplit(url.strip())
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError as error:
        raise _refusal(tenant, "is not a valid address", "enter it as https://host") from error
    if not host:
        raise _refusal(tenant, "has no host", "enter it as https://host")
    _check_parts(parts, host, tenant)
    if host not in LOOPBACK_HOSTS and not allow_private:
        _check_public(host, tenant, resolve)
    shown = f"[{host}]" if ":" in host else host
    default = {"https": 443, "http": 80}[parts.scheme]
    where = shown if port in (None, default) else f"{shown}:{port}"
    return f"{parts.scheme}://{where}{parts.path.rstrip('/')}"


def _check_parts(parts: SplitResult, host: str, tenant: str) -> None:
    if parts.scheme != "https" and not (parts.scheme == "http" and host in LOOPBACK_HOSTS):
        raise _refusal(tenant, f"must start with https:// (got {parts.scheme or 'no scheme'})", "use https")
    if parts.username is not None or parts.password is not None:
        raise _refusal(tenant, "contains a login", "put user name and secret into their own fields")
    if parts.query or parts.fragment:
        raise _refusal(tenant, "contains a query or fragment", "remove everything from ? or # on")
    if not _safe(parts.path):
        raise _refusal(tenant, "has an unsafe path", "remove '..', '//' and unusual characters")


def _check_public(host: str, tenant: str, resolve: Resolve) -> None:
    try:
        addresses: Iterable[str] = (str(ipaddress.ip_address(host)),)
    except ValueError:
        addresses = resolve(host)
    for text in addresses:
        address = ipaddress.ip_address(text.partition("%")[0])
        mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
        if not (mapped or address).is_global or address.is_multicast:
            remedy = "enter the public host, or allow private addresses for this tenant"
            raise _refusal(tenant, f"leads to the non-public address {text}", remedy)


def _refusal(tenant: str, what: str, remedy: str) -> ConfigurationError:
    return ConfigurationError(f"base_url of tenant {tenant} {what}: {remedy}")


def _safe(path: str) -> bool:
    if not _PATH.fullmatch(path):
        return False
    decoded = unquote(path).split("/")
    return not any(segment in {".", ".."} or "\\" in segment for segment in decoded)


def join(base: str, path: str) -> str:
    """The path below the base; a path that could leave it (`..`, `//`, a scheme, a query) is a ConfigurationError."""
    if not path.startswith("/") or not _safe(path):
        raise ConfigurationError(f"path {path!r} is unsafe: paths start with one / and contain no '..', '//' or query")
    return base + path
