"""The parts of Coupa's answers that we read. Names are Coupa's with underscores; answers spell them with hyphens."""

from __future__ import annotations

import typing
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict

from ml_connector.http.models import WireModel


def _text(value: Any) -> Any:
    # Numbers such as order-header-num come as number or string, depending on the release.
    if value is None:
        return ""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _blank_is_none(value: Any) -> Any:
    return None if value == "" else value


def _none_is_false(value: Any) -> Any:
    return False if value is None else value


def _date_as_written(value: Any) -> Any:
    # README: Surprises, "Dates". Midnight in the company's zone would become the day before in UTC.
    return value[:10] if isinstance(value, str) and value else None


def _date_readable(value: str) -> str:
    if value:
        date.fromisoformat(value[:10])
    return value


def _aware(value: Any) -> Any:
    if not isinstance(value, str) or not value:
        return None
    moment = datetime.fromisoformat(value)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


Text = Annotated[str, BeforeValidator(_text)]
Amount = Annotated[Decimal | None, BeforeValidator(_blank_is_none)]
Flag = Annotated[bool, BeforeValidator(_none_is_false)]
WrittenDate = Annotated[date | None, BeforeValidator(_date_as_written)]
Instant = Annotated[datetime | None, BeforeValidator(_aware)]
# An instant exactly as Coupa shows it, for writing the very same one elsewhere; its date is the part as written.
ShownInstant = Annotated[str, BeforeValidator(_text), AfterValidator(_date_readable)]


class CoupaModel(WireModel):
    """One object of an answer; keys are hyphenated."""

    model_config = ConfigDict(alias_generator=lambda name: name.replace("_", "-"))


class CodeRef(CoupaModel):
    """An association known by its code: currency, account, integration."""

    code: Text = ""


class CurrencyRef(CoupaModel):
    """A currency with the digits of its minor unit, where Coupa shows them."""

    code: Text = ""
    decimals: int | None = None


class NameRef(CoupaModel):
    """An association known by its name: account type."""

    name: Text = ""


class SupplierRef(CoupaModel):
    """The supplier an object names."""

    number: Text = ""
    name: Text = ""


class Allocation(CoupaModel):
    """One part of a split coding."""

    account: CodeRef | None = None


class InvoiceCharge(CoupaModel):
    """A charge beside the lines, type `InvoiceShippingCharge` and the like."""

    type: Text = ""
    total: Amount = None


class InvoiceLine(CoupaModel):
    """One billed line, type `InvoiceQuantityLine` or `InvoiceAmountLine`."""

    line_num: int
    total: Decimal
    type: Text = ""
    description: Text = ""
    quantity: Amount = None
    price: Amount = None
    tax_amount: Amount = None
    tax_code: CodeRef | None = None
    po_number: Text = ""
    order_header_num: Text = ""
    order_line_num: Text = ""
    account: CodeRef | None = None
    account_allocations: tuple[Allocation, ...] | None = None


class Invoice(CoupaModel):
    """An invoice or credit note."""

    id: int
    status: str
    exported: Flag = False
    document_type: Text = ""
    invoice_number: Text = ""
    invoice_date: WrittenDate = None
    net_due_date: WrittenDate = None
    updated_at: Instant = None
    payment_channel: Text = ""
    account_type: NameRef | None = None
    line_level_taxation: Flag = False
    tax_amount: Amount = None
    shipping_amount: Amount = None
    handling_amount: Amount = None
    misc_amount: Amount = None
    gross_total: Amount = None
    total_with_taxes: Amount = None
    currency: CodeRef | None = None
    supplier: SupplierRef | None = None
    invoice_charges: tuple[InvoiceCharge, ...] | None = None
    invoice_lines: tuple[InvoiceLine, ...]


@dataclass(frozen=True, slots=True)
class Unparsed:
    """An invoice whose id is known and whose content breaks the contract at `path`."""

    id: int
    path: str


class InvoiceFlags(CoupaModel):
    """What the exported mark is judged by."""

    id: int
    exported: bool
    status: str
    updated_at: Instant = None


class Payment(CoupaModel):
    """One payment entry of an invoice."""

    amount_paid: Decimal
    notes: Text = ""
    payment_date: ShownInstant = ""


class PaidInvoice(CoupaModel):
    """What payments need to know of an invoice. `payments` must be shown: no entries is not the same as no answer."""

    id: int
    status: Text
    invoice_number: Text = ""
    payment_channel: Text = ""
    gross_total: Amount = None
    total_with_taxes: Amount = None
    currency: CurrencyRef | None = None
    paid: Flag = False
    payment_date: ShownInstant = ""
    payments: tuple[Payment, ...]


class Stamped(CoupaModel):
    """An object with the instant of its last change exactly as shown."""

    id: int
    updated_at: ShownInstant = ""


class PurchaseOrderLine(CoupaModel):
    """One ordered line."""

    id: int
    line_num: Text = ""
    type: Text = ""
    description: Text = ""
    quantity: Amount = None
    price: Amount = None
    total: Amount = None
    status: Text = ""


class PurchaseOrder(CoupaModel):
    """An order with its lines; `status` as Coupa spells it (issued, closed, cancelled or canceled, ...)."""

    id: int
    po_number: str
    status: str
    updated_at: Instant = None
    currency: CodeRef | None = None
    supplier: SupplierRef | None = None
    order_lines: tuple[PurchaseOrderLine, ...] = ()


class Response(CoupaModel):
    """Code and text of a history record."""

    response_code: Text = ""
    response_message: Text = ""


class HistoryRecord(CoupaModel):
    """What some integration reported about a document."""

    id: int
    document_type: Text = ""
    document_id: int | None = None
    status: Text = ""
    resolved: Flag = False
    external_id: Text = ""
    integration: CodeRef | None = None
    responses: tuple[Response, ...] | None = None

    @property
    def codes(self) -> frozenset[str]:
        """The response codes it carries."""
        return frozenset(one.response_code for one in self.responses or ())


class Created(CoupaModel):
    """The id of an object just created."""

    id: int


class IntegrationRun(CoupaModel):
    """One run of an integration as Coupa counts it."""

    id: int
    status: Text = ""


class Currency(CoupaModel):
    """A currency of the instance."""

    id: int
    code: Text = ""


class Supplier(CoupaModel):
    """A supplier."""

    id: int
    number: Text = ""
    name: Text = ""
    status: Text = ""
    payment_term: CodeRef | None = None


class ChangedSupplier(Supplier):
    """A supplier with the time of its last change."""

    updated_at: Instant = None


class Lookup(CoupaModel):
    """A list of codes that an administrator set up."""

    id: int
    name: Text = ""


class ParentValue(CoupaModel):
    """The value above another one; its code joins the ref nums from the root."""

    external_ref_code: Text = ""


class LookupValue(CoupaModel):
    """One code of a lookup."""

    id: int
    name: Text = ""
    description: Text = ""
    external_ref_num: Text = ""
    active: Flag = False
    parent: ParentValue | None = None


class Integration(CoupaModel):
    """An integration that an administrator set up."""

    id: int
    code: Text = ""


@cache
def wire_fields(model: type[BaseModel]) -> tuple[Any, ...]:
    """The `fields` argument that asks for exactly what a model reads, associations nested."""
    wanted: list[Any] = []
    for name, info in model.model_fields.items():
        inner = _inner_model(info.annotation)
        wanted.append({name: list(wire_fields(inner))} if inner else name)
    return tuple(wanted)


def _inner_model(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = (_inner_model(part) for part in typing.get_args(annotation))
    return next((model for model in found if model), None)
