"""Masters: which codes resolve, and the two masters that callers may write (business relations, suppliers)."""

from __future__ import annotations

from collections.abc import Container
from typing import TYPE_CHECKING

from sandbox.qad.metadata import RESOURCES, Field
from sandbox.qad.outcome import Context, Outcome, Problem, fresh, mandatory, missing, overlay, refused, too_long
from sandbox.qad.records import Row
from sandbox.qad.values import CURRENCIES, Record

if TYPE_CHECKING:
    from sandbox.qad.tenant import QadTenant

SUPPLIER = RESOURCES["supplier"]
RELATION = RESOURCES["businessRelation"]
_PROFILES = (
    "invoiceControlGLProfileCode",
    "creditNoteControlGLProfileCode",
    "prePaymentControlGLProfileCode",
    "purchaseAccountGLProfileCode",
)


def supplier(tenant: QadTenant, code: str) -> Record | None:
    """The supplier of a code."""
    row = tenant.find("supplier", tenant.options.shared_set_supplier, code)
    return row.record if row else None


def active_account(tenant: QadTenant, code: str) -> Record | None:
    """The GL account of a code if it may be posted to."""
    row = tenant.find("glAccount", tenant.options.shared_set_account, code)
    return row.record if row and row.record["isActive"] else None


def active_cost_center(tenant: QadTenant, code: str) -> Record | None:
    """The cost centre of a code if it may be posted to."""
    row = tenant.find("costCenter", tenant.options.shared_set_cost_center, code)
    return row.record if row and row.record["isActive"] else None


def active_project(tenant: QadTenant, code: str) -> Record | None:
    """The project of a code if it may be posted to."""
    row = tenant.find("project", tenant.options.shared_set_project, code)
    return row.record if row and row.record["isActive"] else None


def unresolved(tenant: QadTenant, fields: dict[str, Field], record: Record) -> list[Problem]:
    """A problem for each well-known code member whose value is set but resolves to nothing."""
    options, codes = tenant.options, tenant.masters
    known: dict[str, Container[str]] = {
        "currencyCode": CURRENCIES,
        "creditTermsCode": codes["creditTerms"],
        "invoiceStatusCode": codes["invoiceStatusCodes"],
        "daybookCode": codes["daybooks"],
        "daybookSetCode": options.daybook_sets,
        "shipToSite": options.sites,
        "billToCode": options.sites,
        **dict.fromkeys(_PROFILES, options.gl_profiles),
    }
    return [
        mandatory(fields[name], record[name])
        for name, codes_known in known.items()
        if name in fields and record[name] and record[name] not in codes_known
    ]


def account_problems(
    tenant: QadTenant, fields: dict[str, Field], row: Record, *, account: str, prefix: str = ""
) -> list[Problem]:
    """Check an account with its analysis: what is given must exist, what the account demands must be given."""
    problems = []
    found = active_account(tenant, row[account]) if row[account] else None
    if row[account] and found is None:
        problems.append(mandatory(fields[account], row[account], prefix))
    if row["costCenterCode"] and active_cost_center(tenant, row["costCenterCode"]) is None:
        problems.append(mandatory(fields["costCenterCode"], row["costCenterCode"], prefix))
    if row["projectCode"] and active_project(tenant, row["projectCode"]) is None:
        problems.append(mandatory(fields["projectCode"], row["projectCode"], prefix))
    demands = {
        "isCostCenterRequired": "costCenterCode",
        "isSubAccountRequired": "subAccountCode",
        "isProjectRequired": "projectCode",
    }
    for flag, name in demands.items():
        if found and found[flag] and not row[name]:
            problems.append(mandatory(fields[name], "", prefix))
    return problems


def create_relation(context: Context, sent: Record) -> Outcome:
    """Create a business relation: the name and address a supplier hangs on."""
    record = fresh(RELATION.fields, sent)
    table = context.tenant.table("businessRelation")
    if table.find(record["businessRelationCode"]):
        return refused(_exists("businessRelationCode", "Business relation", record))
    return _store_relation(context, record)


def update_relation(context: Context, row: Row, sent: Record) -> Outcome:
    """Replace a business relation."""
    return _store_relation(context, overlay(RELATION.fields, row.record, sent))


def _store_relation(context: Context, record: Record) -> Outcome:
    problems = missing(RELATION.fields, record) + too_long(RELATION.fields, record)
    if problems:
        return refused(*problems)
    return Outcome([context.tenant.table("businessRelation").put(record, context.stamp())])


def create_supplier(context: Context, sent: Record) -> Outcome:
    """Create a supplier on an existing business relation."""
    record = fresh(SUPPLIER.fields, sent)
    if context.tenant.find("supplier", record["sharedSetCode"], record["supplierCode"]):
        return refused(_exists("supplierCode", "Supplier", record))
    return _store_supplier(context, record, creating=True)


def update_supplier(context: Context, row: Row, sent: Record) -> Outcome:
    """Replace a supplier."""
    return _store_supplier(context, overlay(SUPPLIER.fields, row.record, sent))


def _store_supplier(context: Context, record: Record, *, creating: bool = False) -> Outcome:
    tenant, fields = context.tenant, SUPPLIER.by_name
    problems = missing(SUPPLIER.fields, record) + too_long(SUPPLIER.fields, record)
    problems += unresolved(tenant, fields, record)
    if record["sharedSetCode"] and record["sharedSetCode"] != tenant.options.shared_set_supplier:
        problems.append(mandatory(fields["sharedSetCode"], record["sharedSetCode"]))
    relation = tenant.find("businessRelation", record["businessRelationCode"])
    if record["businessRelationCode"] and relation is None:
        problems.append(mandatory(fields["businessRelationCode"], record["businessRelationCode"]))
    if problems:
        return refused(*problems)
    attach_relation(record, relation.record if relation else {})
    if creating:
        record["supplierID"] = tenant.next_number("supplierID", 1)
    record["sharedSetID"] = 1
    return Outcome([tenant.table("supplier").put(record, context.stamp())])


def attach_relation(record: Record, relation: Record) -> None:
    """Show the business relation's members on a supplier."""
    record["businessRelationName"] = relation.get("businessRelationName", "")
    record["isBusinessRelationActive"] = relation.get("isActive", True)


def _exists(name: str, what: str, record: Record) -> Problem:
    return Problem(name, f"{what} already exists", record[name])
