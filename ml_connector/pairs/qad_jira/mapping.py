"""An exception of QAD as a Jira issue: its fields, its text, the comment that tells a change, and its state."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from ml_connector.domain.money import plain
from ml_connector.domain.text import shortened
from ml_connector.pairs.qad_jira.exceptions import ExceptionLine, QadException
from ml_connector.pairs.qad_jira.settings import IssueRules, QadJiraSettings
from ml_connector.sync.seams import Facts
from ml_connector.systems.jira import adf

CONNECTOR = "ml-connector"
COST_CODE = "cost_code"
_SUMMARY_LENGTH = 200
_LINES_SHOWN = 40
_HEADLINES = {
    "match": "The invoice fails the match in QAD.",
    "hold": "The invoice is held in QAD.",
    "late": "Goods of this order are late.",
    "": "The exception has cleared in QAD.",
}


def field_member(field: str) -> str:
    """The member of an issue's document that fills a custom field."""
    return f"field:{field}"


def issue(facts: Facts[QadException], settings: QadJiraSettings, link: str) -> Mapping[str, Any]:
    """The issue of an exception.

    `seen` is the hold that people get to see, so that a release can be refused when it is another by then. Priority,
    assignee and labels are for new issues; afterwards they belong to whoever works on the issue.
    """
    one, rules = facts.record, settings.issues
    # As one text, because a payload is hashed and sealed several times over.
    found: dict[str, Any] = {"description": adf.packed(description(one, rules, link)), "seen": _seen(one)}
    if one.kind:
        found["summary"] = summary(one)
    for name, field in rules.fields.items():
        value = _fact(one, name, rules)
        # A cleared exception keeps the kind that it had.
        if value is not None and (one.kind or name != "kind"):
            found[field_member(field)] = value
    return found if facts.target_id else found | _for_new(one, rules)


def _seen(one: QadException) -> dict[str, str]:
    return {"hold": plain(one.hold), "locked": "yes" if one.locked else "no", "status": one.status}


def summary(one: QadException) -> str:
    """What the list of issues shows: what is wrong with which document of whom."""
    what = {"match": "fails the match", "hold": "is held", "late": "is late"}[one.kind]
    named = f"Invoice {one.number}" if one.subject == "invoice" else f"Order {one.number}"
    supplier = one.supplier_name or one.supplier_number
    orders = f" ({', '.join(one.orders)})" if one.subject == "invoice" and one.orders else ""
    return shortened(f"{named} of {supplier}{orders} {what}", _SUMMARY_LENGTH)


def description(one: QadException, rules: IssueRules, link: str) -> Mapping[str, Any]:
    """The issue's text: what is wrong, the facts as a table, the lines concerned, and the way to the record in QAD."""
    blocks = [adf.paragraph(_HEADLINES[one.kind]), adf.table(("Fact", "In QAD"), _facts(one))]
    if one.lines:
        head = ("Order", "Line", "What", "Quantity", "Received", "Price", "Due", "Variance")
        blocks.append(adf.table(head, [_cells(line, one.currency) for line in one.lines[:_LINES_SHOWN]]))
    if len(one.lines) > _LINES_SHOWN:
        blocks.append(adf.paragraph(f"{len(one.lines) - _LINES_SHOWN} more lines are in QAD."))
    blocks.append(adf.paragraph(adf.link(f"Open {one.key} in QAD", (rules.link or link).replace("{key}", one.key))))
    return adf.doc(*blocks)


def note(facts: Facts[QadException]) -> Mapping[str, Any]:
    """What the last comment (or the issue itself) has told; the next one says what is different."""
    one = facts.record
    return {"head": _HEADLINES[one.kind], "lines": [["State", "open" if one.kind else "cleared"], *_told(one)]}


def state(facts: Facts[QadException], rules: IssueRules) -> Mapping[str, Any]:
    """Whether the issue ought to be open; where it moves to is the customer's choice."""
    if facts.record.kind:
        return {"state": "open", "to": rules.returned_status, "resolution": ""}
    return {"state": "cleared", "to": rules.cleared_status, "resolution": rules.cleared_resolution}


def _for_new(one: QadException, rules: IssueRules) -> dict[str, Any]:
    people = rules.assignees
    assignee = people.get(one.cost_code) or people.get(one.supplier_number) or people.get("default") or ""
    fits = (rule for rule in rules.priorities if one.kind in (rule.kinds or (one.kind,)) and one.amount > rule.above)
    priority = next((rule.priority for rule in fits), "")
    found = {"assignee": assignee, "priority": priority, "labels": list(rules.labels)}
    return {name: value for name, value in found.items() if value}


def _fact(one: QadException, name: str, rules: IssueRules) -> str | None:
    """The value of one mapped field as text; None where this kind of record has no such fact."""
    invoice = one.subject == "invoice"
    values: dict[str, str | None] = {
        "po_number": ", ".join(one.orders),
        "supplier": one.supplier_number,
        "supplier_name": one.supplier_name,
        "invoice_number": one.number if invoice else None,
        "document": one.key,
        "amount": plain(one.amount),
        "currency": one.currency,
        "hold_amount": plain(one.hold) if invoice else None,
        "variance": plain(one.variance) if invoice else None,
        "cost_code": one.cost_code,
        "kind": rules.kind_names.get(one.kind, one.kind),  # type: ignore[call-overload]
        "status": one.status,
        "due_date": one.due_on.isoformat() if one.due_on else None,
    }
    return values[name]


def _facts(one: QadException) -> list[tuple[str, str]]:
    """The table of the description."""
    supplier = f"{one.supplier_number} {one.supplier_name}".strip()
    rows = [("Document", one.key), ("Supplier", supplier), ("Orders", ", ".join(one.orders))]
    return [(label, text) for label, text in (*rows, *_told(one), ("Cost code", one.cost_code)) if text]


def _told(one: QadException) -> list[list[str]]:
    """What a comment tells when it changes. The cost code is not among it: its field shows who changed it."""
    if one.subject == "order":
        late = "; ".join(f"line {line.line}: {_late(line)}" for line in one.lines[:_LINES_SHOWN])
        return [["Late lines", late], ["Value missing", _money(one.amount, one)], ["Order status", one.status]]
    return [
        ["Amount", _money(one.amount, one)],
        ["Hold", _money(one.hold, one)],
        ["Payment lock", "yes" if one.locked else "no"],
        ["Variance", _money(one.variance, one)],
        ["Status", one.status],
        ["Matching", one.matching_status],
    ]


def _late(line: ExceptionLine) -> str:
    due = f", due {line.due_on.isoformat()}" if line.due_on else ""
    return f"{plain(line.received)} of {plain(line.quantity)} received{due}"


def _cells(line: ExceptionLine, currency: str) -> tuple[str, ...]:
    return (
        line.po_number,
        str(line.line),
        line.what,
        plain(line.quantity),
        plain(line.received),
        f"{plain(line.price)} {currency}",
        line.due_on.isoformat() if line.due_on else "",
        plain(line.variance) if line.variance else "",
    )


def _money(amount: Decimal, one: QadException) -> str:
    return f"{plain(amount)} {one.currency}".strip()
