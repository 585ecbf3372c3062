"""Tells a receiver that an invoice, an order or a payment changed; Coupa documents none of this, see the README."""

from __future__ import annotations

import base64
import hashlib
import hmac
from itertools import count
from typing import TYPE_CHECKING

from sandbox.coupa.options import Options
from sandbox.coupa.store import Record
from sandbox.kit import jsontext
from sandbox.kit.deliveries import Delivery, RetryPolicy

if TYPE_CHECKING:
    from sandbox.coupa.tenant import CoupaTenant

RETRY = RetryPolicy(frozenset({408, 429, 500, 502, 503, 504}), (5, 15, 30))
_TYPES = {"invoices": "invoice", "purchase_orders": "purchase_order", "purchase_order_lines": "purchase_order"}


def signature(options: Options, body: bytes) -> str:
    """HMAC-SHA256 over the bytes as they are sent, in the encoding the tenant is set to."""
    digest = hmac.new(options.webhook_secret.get_secret_value().encode(), body, hashlib.sha256).digest()
    text = digest.hex() if options.webhook_encoding == "hex" else base64.b64encode(digest).decode()
    return f"sha256={text}" if options.webhook_prefix else text


class Webhooks:
    """The one subscription of the tenant; without an address nothing is sent, without a secret nothing is signed."""

    def __init__(self, tenant: CoupaTenant) -> None:
        self._tenant = tenant
        self._numbers = count(1)

    def changed(self, collection: str, record: Record) -> None:
        """A record changed by the API or by a person; collections nobody subscribes to are passed over."""
        kind = _TYPES.get(collection)
        if kind is not None:
            key = record.get("order-header-id") if collection == "purchase_order_lines" else record["id"]
            self._send(f"{kind}.updated", {"type": kind, "id": key})

    def paid(self, invoice: Record, payment: Record) -> None:
        """A payment was appended to an invoice."""
        self._send("payment.created", {"type": "payment", "id": payment["id"], "invoice_id": invoice["id"]})

    def _send(self, event: str, about: Record) -> None:
        tenant, options = self._tenant, self._tenant.options
        if not options.webhook_url:
            return
        moment = tenant.now()
        # The instant is part of the id, so that a tenant started anew does not repeat the ids of its former life.
        seal = hashlib.sha256(f"{event}|{about['id']}|{moment}|{next(self._numbers)}".encode()).hexdigest()[:24]
        body = jsontext.dumps({"event_type": event, "id": f"evt_{seal}", "object": about, "occurred_at": moment})
        headers = {"Content-Type": "application/json"}
        if options.webhook_secret.get_secret_value():
            headers[options.webhook_header] = signature(options, body)
        tenant.deliveries.put(Delivery(options.webhook_url, body, headers, tenant.clock.now(), policy=RETRY))
