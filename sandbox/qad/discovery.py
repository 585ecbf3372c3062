"""What the tenant says about itself: session rules, entity metadata and a list of its paths."""

from __future__ import annotations

from sandbox.qad.entities import WRITERS, Query
from sandbox.qad.metadata import BUILDER_VIEW, RESOURCES, describe
from sandbox.qad.options import User
from sandbox.qad.outcome import Context
from sandbox.qad.values import Record


def security_control(context: Context, user: User) -> Record:
    """Client and session limits (minutes) of the user who asks."""
    options = context.tenant.options
    control = {
        "clientId": user.client_id,
        "sessionLength": options.session_minutes,
        "timeoutMinutes": options.idle_minutes,
    }
    return {"data": {"securityControls": [control]}}


def entity_metadata(query: Query) -> Record:
    """Fields of one entity; an unknown entity or another view gives an empty list."""
    found = [item for item in RESOURCES.values() if item.entity_uri == query.get("entityURI")]
    if query.get("viewUri") != BUILDER_VIEW:
        found = []
    return {"data": {"entityMetadatas": [describe(item) for item in found]}}


def swagger(root: str) -> Record:
    """A minimal description of the paths that exist, with their verbs."""
    paths: dict[str, dict[str, object]] = {f"/{root}/api/qracore/browses": {"get": {}}}
    for resource in RESOURCES.values():
        verbs: dict[str, object] = {"get": {}}
        if resource.name in WRITERS:
            verbs["post"] = {}
        paths[f"/{root}/api/erp/{resource.collection}"] = verbs
    paths[f"/{root}/api/erp/purchaseOrderLinesGrid"] = {"get": {}, "post": {}}
    return {"openapi": "3.0.1", "info": {"title": "QAD Adaptive", "version": "1"}, "paths": paths}
