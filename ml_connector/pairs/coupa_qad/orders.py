"""Which QAD order the PO number on a Coupa line means.

Coupa's numbers may have 20 characters and QAD's 8, so a customer keeps one number in both, QAD's number in a custom
field of Coupa's order, or Coupa's number in a member of QAD's order header.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import replace

from ml_connector.domain.records import InvoiceLine, SupplierInvoice
from ml_connector.pairs.coupa_qad.settings import PoRule

# The QAD orders that each Coupa number means; a number without any may be left out.
Links = Mapping[str, tuple[str, ...]]
Resolve = Callable[[Collection[str]], Awaitable[Links]]
ByField = Callable[[Collection[str], str], Awaitable[Mapping[str, str]]]
BySlot = Callable[[str, Collection[str]], Awaitable[Links]]


async def same_number(numbers: Collection[str]) -> Links:
    """Both systems use one number."""
    return {number: (number,) for number in numbers}


def resolver(rule: PoRule, *, by_field: ByField, by_slot: BySlot) -> Resolve:
    """The way of a connection to find QAD's orders: by number, by a field of Coupa's order, by a slot of QAD's."""
    if rule.kind == "same_number":
        return same_number

    async def resolve(numbers: Collection[str]) -> Links:
        if not numbers:
            return {}
        if rule.kind == "qad_slot":
            return await by_slot(rule.name, numbers)
        shown = await by_field(numbers, rule.name)
        return {number: (value.strip(),) for number, value in shown.items() if value.strip()}

    return resolve


def po_numbers(invoices: Iterable[SupplierInvoice]) -> list[str]:
    """The PO numbers on the lines of these invoices."""
    return sorted({line.po_number for one in invoices for line in one.lines if line.po_number})


def linked(invoice: SupplierInvoice, links: Links) -> SupplierInvoice:
    """The invoice with QAD's numbers on its lines; a line whose order is not known there loses its number."""
    if all(links.get(number) == (number,) for number in po_numbers([invoice])):
        return invoice
    lines = (replace(line, po_number=_only(line, links)) for line in invoice.lines)
    return replace(invoice, lines=tuple(lines))


def renamed(invoice: SupplierInvoice, links: Links) -> dict[str, str]:
    """QAD's number for each PO number of the invoice that is another one there."""
    found = {number: links.get(number, ()) for number in po_numbers([invoice])}
    return {number: there[0] for number, there in found.items() if len(there) == 1 and there[0] != number}


def _only(line: InvoiceLine, links: Links) -> str | None:
    if not line.po_number:
        return line.po_number
    found = links.get(line.po_number, ())
    return found[0] if len(found) == 1 else None
