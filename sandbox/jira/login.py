"""The pages around the API: consent, token endpoint, the list of sites, and where to find the site's id."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from sandbox.jira.auth import refusal, same
from sandbox.jira.errors import gateway
from sandbox.jira.options import OTHER_CLOUD_ID, App
from sandbox.jira.scopes import KNOWN
from sandbox.kit import jsontext

if TYPE_CHECKING:
    from sandbox.jira.tenant import JiraTenant

OTHER_SITE = "https://acme-lab.example"


def consent(tenant: JiraTenant, query: Mapping[str, str]) -> str:
    """The address that the consent page sends the browser to; raises ApiError when it shows an error instead."""
    app = _app(tenant, query.get("client_id"))
    back = query.get("redirect_uri", "")
    if app is None or app.kind != "3lo":
        raise refusal(400, "invalid_request", "Unknown client_id.")
    if not (_is_loopback(back) or back in app.redirect_uris):
        raise refusal(400, "invalid_request", "redirect_uri is not registered for client")
    expected = {"audience": "api.atlassian.com", "response_type": "code", "prompt": "consent"}
    wrong = [name for name, value in expected.items() if query.get(name) != value]
    wrong += [name for name in ("state", "scope") if not query.get(name)]
    if wrong:
        raise refusal(400, "invalid_request", f"Missing or wrong: {', '.join(wrong)}")
    state = query["state"]
    scopes = frozenset(query["scope"].split())
    if not scopes <= KNOWN:
        outcome = {"error": "invalid_scope", "error_description": "Unknown scope.", "state": state}
    elif tenant.options.consent == "deny":
        outcome = {"error": "access_denied", "error_description": "User did not authorize the request", "state": state}
    else:
        outcome = {"code": tenant.tokens.code(app, back, scopes, tenant.consenter), "state": state}
    return f"{back}{'&' if urlsplit(back).query else '?'}{urlencode(outcome)}"


def grant(tenant: JiraTenant, content_type: str, raw: bytes) -> dict[str, Any]:
    """Answer the token endpoint; raises ApiError."""
    body = _read(content_type, raw)
    app = _app(tenant, body.get("client_id"))
    if app is None or not same(app.client_secret.get_secret_value(), body.get("client_secret")):
        raise refusal(401, "access_denied", "Unauthorized")
    match body.get("grant_type"), app.kind:
        case "authorization_code", "3lo":
            return tenant.tokens.exchange(app, body, tenant.options)
        case "refresh_token", "3lo":
            return tenant.tokens.rotate(app, body.get("refresh_token"), tenant.options)
        case "client_credentials", "service":
            return tenant.tokens.service(app, tenant.service_account, tenant.options)
        case (("authorization_code" | "refresh_token" | "client_credentials"), _):
            raise refusal(403, "unauthorized_client", "Grant type not allowed for the client.")
    raise refusal(400, "unsupported_grant_type", "Unsupported grant type.")


def accessible_resources(tenant: JiraTenant, authorization: str, site_url: str) -> list[dict[str, Any]]:
    """The sites that a token reaches; raises ApiError 401."""
    kind, _, text = authorization.partition(" ")
    caller = tenant.tokens.bearer(text.strip()) if kind.lower() == "bearer" else None
    if caller is None:
        raise gateway(401, "Unauthorized")
    scopes = sorted((caller.scopes or frozenset()) - {"offline_access"})
    sites = [(tenant.options.cloud_id, "acme", site_url)]
    if caller.kind == "3lo":
        sites.append((OTHER_CLOUD_ID, "acme-lab", OTHER_SITE))
    return [
        {"id": cloud, "url": url, "name": name, "scopes": scopes, "avatarUrl": f"{url}/avatar.png"}
        for cloud, name, url in sites
    ]


def _app(tenant: JiraTenant, client_id: object) -> App | None:
    return next((app for app in tenant.options.apps if app.client_id == client_id), None)


def _read(content_type: str, raw: bytes) -> dict[str, Any]:
    kind = content_type.split(";")[0].strip().lower()
    if kind == "application/x-www-form-urlencoded":
        return dict(parse_qsl(raw.decode("utf-8", "replace")))
    try:
        body = jsontext.loads(raw) if kind == "application/json" else None
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise refusal(400, "invalid_request", "The body must be JSON or a form.")
    return body


def _is_loopback(url: str) -> bool:
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname:
        return False
    if parts.hostname == "localhost":
        return True
    try:
        return ipaddress.ip_address(parts.hostname).is_loopback
    except ValueError:
        return False
