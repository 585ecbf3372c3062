"""Integration monitoring: runs with their states, history records and errors on documents, alerts to contacts."""

from __future__ import annotations

from sandbox.coupa import changes
from sandbox.coupa.api import Call, Handler, Operation, Reply, reading
from sandbox.coupa.errors import invalid, unknown_reference
from sandbox.coupa.reference import creator, updater
from sandbox.coupa.schema import COLLECTIONS, REFERENCES
from sandbox.coupa.store import Record

READ, WRITE = "core.integration.read", "core.integration.write"
DOCUMENT_TYPES = frozenset(
    {
        "OrderHeader",
        "ExternalOrderHeader",
        "ContingentWorkOrderHeader",
        "InventoryTransaction",
        "InvoiceHeader",
        "ExpenseReport",
        "RequisitionHeader",
        "Account",
        "Supplier",
        "User",
        "Address",
        "RemitToAddress",
        "Contract",
        "ExchangeRate",
        "Invoice",
        "Requisition",
        "Payment",
        "ApprovalChain",
        "LookupValue",
        "Item",
        "SupplierInformation",
        "Asn::Header",
        "AccountValidationRule",
        "Payables::External::Payable",
        "Payables::Invoice",
        "Payables::Expense",
        "Charge",
        "CoupaPay::Payment",
        "CoupaPay::Statement",
        "ReceiptRequest",
        "InventoryRequestHeader",
    }
)
ALERT_TYPES = ("Technical", "Functional", "Both")
_NOTICE = (
    "contact-alert-type",
    "document-id",
    "document-revision",
    "document-status",
    "document-type",
    "external-id",
    "integration-filename",
    "responses",
    "status",
)
# Where a document's own records stand, so that a notice shows on the document.
_DOCUMENTS = {
    "InvoiceHeader": "invoices",
    "OrderHeader": "purchase_orders",
    "ExternalOrderHeader": "purchase_orders",
    "InventoryTransaction": "receiving_transactions",
}
_OVER = frozenset({"success", "failed"})
# Action in the address -> the status it leads to and those it may start from.
_RUN_ACTIONS: dict[str, tuple[str, frozenset[str]]] = {
    "run": ("running", frozenset({"pending", "paused"})),
    "pause": ("paused", frozenset({"running"})),
    "pending": ("pending", frozenset({"paused", "running"})),
    "success": ("success", frozenset({"running"})),
    "finish": ("success", frozenset({"running"})),
    "fail": ("failed", frozenset({"pending", "running", "paused"})),
}


def create_run(call: Call) -> Reply:
    """Create a run of an integration; it waits as pending."""
    tenant = call.tenant
    integration = changes.by_id_attribute(call, "integration")
    if integration is None:
        raise invalid("integration_run", "Integration can't be blank")
    record = changes.taken(call, "integration_runs", ("total-records",))
    record["id"] = tenant.ids.of("integration-run", {})
    record["integration"] = tenant.writer.record("integration-ref", {"id": integration["id"]})
    record |= {"status": "pending", "records-processed": 0}
    return Reply(tenant.add("integration_runs", record), 201)


def _run_action(name: str, target: str, starts: frozenset[str]) -> Handler:
    def act(call: Call) -> Reply:
        record = call.record("integration_runs")
        if record["status"] not in starts:
            raise invalid("integration_run", f"Cannot {name} a run with status {record['status']}.")
        record.update(changes.taken(call, "integration_runs", ("total-records", "records-processed")))
        ends = _finished(call, record) if name == "finish" else target
        record["status"] = ends
        if ends == "running":
            record["start-time"] = call.tenant.now()
        elif ends in _OVER:
            record["end-time"] = call.tenant.now()
        call.tenant.touch("integration_runs", record)
        return Reply(record)

    return act


def _finished(call: Call, record: Record) -> str:
    errors = call.tenant.tables["integration_errors"]
    return "failed" if any(one.get("integration-run-id") == record["id"] for one in errors) else "success"


def _notice(collection: str, *, alert: bool) -> Handler:
    def create(call: Call) -> Reply:
        tenant = call.tenant
        record = changes.taken(call, collection, _NOTICE)
        _check(collection, record)
        run = changes.by_id_attribute(call, "integration-run")
        if run is None and collection == "integration_errors":
            raise invalid("integration_error", "Integration run can't be blank")
        if run is not None:
            record["integration-run"] = tenant.writer.record("integration-run-ref", {"id": run["id"]})
            record["integration-run-id"] = run["id"]
        _integration(call, record, run)
        record["id"] = tenant.ids.of(COLLECTIONS[collection], {})
        record |= {"resolved": False, "creation-method": "API"}
        for part in record.get("responses") or []:
            tenant.stamp(part)
        tenant.add(collection, record)
        _show_on_document(call, record, collection)
        if alert:
            tenant.alerts[f"{record.get('document-type')}/{record.get('document-id')}"] += 1
        return Reply(record, 201)

    return create


def _check(collection: str, record: Record) -> None:
    key = "integration_error" if collection == "integration_errors" else "integration_history_record"
    needed = ["contact-alert-type"]
    changes.required(key, record, needed if collection == "integration_errors" else [*needed, "document-id"])
    if collection != "integration_errors" or record.get("document-type"):
        changes.required(key, record, ["document-type"])
        if record["document-type"] not in DOCUMENT_TYPES:
            raise invalid(key, "Document type is not included in the list")
    if record["contact-alert-type"] not in ALERT_TYPES:
        raise invalid(key, f"Contact alert type must be one of {', '.join(ALERT_TYPES)}.")


def _integration(call: Call, record: Record, run: Record | None) -> None:
    given = call.body.get("integration")
    if given is not None:
        if call.tenant.named("integration-ref", given) is None:
            raise unknown_reference("integration", given, REFERENCES["integration-ref"][2])
        record["integration"] = call.tenant.writer.record("integration-ref", given)
    elif run is not None and run.get("integration"):
        record["integration"] = run["integration"]


def _show_on_document(call: Call, record: Record, collection: str) -> None:
    documents = _DOCUMENTS.get(str(record.get("document-type")))
    if documents is None or collection == "integration_errors" or record.get("document-id") is None:
        return
    document = call.tenant.tables[documents].get(record["document-id"])
    if document is not None:
        document.setdefault("current-integration-history-records", []).append(record)


def _resolving(collection: str, *, resolved: bool) -> Handler:
    def act(call: Call) -> Reply:
        record = call.record(collection)
        record["resolved"] = resolved
        call.tenant.touch(collection, record)
        return Reply(record)

    return act


def _notices(collection: str) -> list[Operation]:
    path = f"/api/{collection}"
    update = updater(collection, writable=("status", "external-id", "document-status"), unique=None)
    return [
        *reading(collection, READ),
        Operation("POST", path, WRITE, collection, _notice(collection, alert=False)),
        Operation("POST", f"{path}/create_alert", WRITE, collection, _notice(collection, alert=True)),
        *(Operation(verb, f"{path}/{{id}}", WRITE, collection, update) for verb in ("PUT", "PATCH")),
        Operation("PUT", f"{path}/{{id}}/resolve", WRITE, collection, _resolving(collection, resolved=True)),
        Operation("PUT", f"{path}/{{id}}/unresolve", WRITE, collection, _resolving(collection, resolved=False)),
    ]


_SETUP = ("name", "code", "business-object", "direction", "end-system", "end-system-type", "integration-type")
_CONTACT = ("integration", "contactable-type", "contactable-id", "contact-alert-type")
_RUN_FACTS = ("total-records", "records-processed")

OPERATIONS: list[Operation] = [
    *reading("integrations", READ),
    Operation(
        "POST",
        "/api/integrations",
        WRITE,
        "integrations",
        creator("integrations", writable=_SETUP, needed=_SETUP[:6], unique="code"),
    ),
    Operation(
        "PUT", "/api/integrations/{id}", WRITE, "integrations", updater("integrations", writable=_SETUP, unique="code")
    ),
    *reading("integration_contacts", READ),
    Operation(
        "POST",
        "/api/integration_contacts",
        WRITE,
        "integration_contacts",
        creator("integration_contacts", writable=_CONTACT, needed=_CONTACT[1:], unique=None),
    ),
    *reading("integration_runs", READ),
    Operation("POST", "/api/integration_runs", WRITE, "integration_runs", create_run),
    Operation(
        "PUT",
        "/api/integration_runs/{id}",
        WRITE,
        "integration_runs",
        updater("integration_runs", writable=_RUN_FACTS, unique=None),
    ),
    *(
        Operation(
            "PUT", f"/api/integration_runs/{{id}}/{name}", WRITE, "integration_runs", _run_action(name, target, starts)
        )
        for name, (target, starts) in _RUN_ACTIONS.items()
    ),
    *_notices("integration_history_records"),
    *_notices("integration_errors"),
]
