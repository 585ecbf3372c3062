"""The shapes of QAD's rows and records under our names, and how its texts, dates and numbers are read."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from ml_connector.errors import ContractError
from ml_connector.http.models import WireModel
from ml_connector.systems.qad.errors import SYSTEM
from ml_connector.systems.qad.resources import Resource


def _text(value: Any) -> Any:
    # Codes such as an account may travel as numbers, unset text as null.
    if value is None:
        return ""
    return str(value) if isinstance(value, int | Decimal) and not isinstance(value, bool) else value


def _day(value: Any) -> Any:
    # Dates travel as midnight instants without a time zone of their own: only the date part means anything.
    return value[:10] if isinstance(value, str) else value


def _number(value: Any) -> Any:
    return Decimal(0) if value is None or value == "" else value


Text = Annotated[str, BeforeValidator(_text)]
Day = Annotated[date, BeforeValidator(_day)]
Number = Annotated[Decimal, BeforeValidator(_number), Field(allow_inf_nan=False)]
Exact = Annotated[Decimal, Field(allow_inf_nan=False)]
SomeNumber = Annotated[Exact | None, BeforeValidator(lambda value: None if value == "" else value)]
SomeDay = Annotated[date | None, BeforeValidator(lambda value: _day(value) or None)]
# A flag that is not set may travel as null or as unset text.
Flag = Annotated[bool, BeforeValidator(lambda value: False if value is None or value == "" else value)]


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class SupplierRow(_Row):
    """A supplier."""

    number: Text = Field(min_length=1)
    name: Text = ""
    business_name: Text = ""
    active: bool
    currency: Text = ""
    credit_terms: Text = ""


class OrderRow(_Row):
    """Head of a purchase order."""

    number: Text = Field(min_length=1)
    supplier: Text
    currency: Text
    status: Text


class OrderLineRow(_Row):
    """Line of a purchase order."""

    po_number: Text = Field(min_length=1)
    line: int
    item: Text = ""
    quantity: Exact
    price: Number = Decimal(0)
    unit: Text = ""
    status: Text = ""


class DueLineRow(OrderLineRow):
    """Line of a purchase order with what was received of it and when it is due."""

    description: Text = ""
    received: Exact
    due_on: SomeDay = None
    cost_center: Text = ""


class ReceiptRow(_Row):
    """One posted receipt of one order line."""

    receiver: Text = Field(min_length=1)
    po_number: Text = Field(min_length=1)
    line: int
    supplier: Text = ""
    quantity: Exact
    received_on: Day


class InvoiceRow(_Row):
    """A supplier invoice as a list shows it."""

    entity: Text = Field(min_length=1)
    year: int
    daybook: Text = Field(min_length=1)
    voucher: int
    supplier: Text
    reference: Text
    type: Text
    amount: Exact
    token: Text
    invoice_date: Text = ""
    currency: Text = ""
    status: Text = ""
    hold_amount: Number = Decimal(0)
    open: bool | None = None
    balance: SomeNumber = None


class GlanceRow(_Row):
    """A posted invoice as far as a list goes, with what may keep it from being paid."""

    entity: Text = Field(min_length=1)
    year: int
    daybook: Text = Field(min_length=1)
    voucher: int
    supplier: Text = ""
    supplier_name: Text = ""
    reference: Text = ""
    type: Text = ""
    currency: Text = ""
    amount: Number = Decimal(0)
    balance: SomeNumber = None
    hold_amount: Number = Decimal(0)
    payment_locked: Flag = False
    status: Text = ""
    open: bool | None = None
    receiver_matching: Flag = False
    matching_status: Text = ""
    initial: Flag = False
    submitted: Flag = False
    selected: Flag = False
    invoice_date: SomeDay = None
    posting_date: SomeDay = None
    due_date: SomeDay = None


class WholeRow(GlanceRow):
    """The same invoice as its record shows it: what decides about it has to be there."""

    supplier: Text = Field(min_length=1)
    reference: Text
    currency: Text = Field(min_length=1)
    amount: Exact
    hold_amount: Exact
    status: Text


class DecidedRow(_Row):
    """What of a record decides about changing it."""

    status: Text = ""
    hold_amount: Number = Decimal(0)
    payment_locked: Flag = False
    submitted: Flag = False
    selected: Flag = False


class DecidedInvoiceRow(DecidedRow):
    """The same of an invoice: a hold that is not shown is not none."""

    status: Text
    hold_amount: Exact


class MatchRow(_Row):
    """A quantity of a receipt that an invoice uses."""

    po: Text = Field(min_length=1)
    line: int
    receiver: Text = ""
    quantity: Exact
    unit_price: Number = Decimal(0)
    rate_variance: Number = Decimal(0)
    usage_variance: Number = Decimal(0)


class AllocationRow(_Row):
    """What one payment gives to one invoice: a row of the payment list, or the whole payment and one of its rows."""

    entity: Text = Field(min_length=1)
    year: int
    number: Text = Field(min_length=1)
    status: Text = Field(min_length=1)
    instrument: Text = ""
    supplier: Text = Field(min_length=1)
    currency: Text = Field(min_length=1)
    value_date: SomeDay = None
    invoice_year: int = Field(gt=0)
    invoice_daybook: Text = Field(min_length=1)
    invoice_voucher: int = Field(gt=0)
    reference: Text = ""
    allocated: Exact
    discount: Number = Decimal(0)


class CodeRow(_Row):
    """A cost center, project or account as a code."""

    code: Text = Field(min_length=1)
    description: Text = ""
    active: bool


class AccountRow(_Row):
    """An account and what a document line on it has to name."""

    code: Text = Field(min_length=1)
    active: bool
    needs_sub_account: bool = False
    needs_cost_center: bool = False
    needs_project: bool = False


class PostedRow(_Row):
    """What QAD answers about an invoice it has just posted."""

    entity: Text = Field(min_length=1)
    year: int = Field(gt=0)
    daybook: Text = Field(min_length=1)
    voucher: int = Field(gt=0)
    registration: Text = ""
    hold_amount: Number = Decimal(0)
    status: Text = ""
    matching_status: Text = ""


class EntityField(WireModel):
    """One member of an entity as the tenant describes it."""

    json_name: str = Field(alias="jsonName")
    data_type: str = Field(default="", alias="dataType")
    max_length: int | None = Field(default=None, alias="maxLength")
    is_required: bool = Field(default=False, alias="isRequired")


Shape = TypeVar("Shape", bound=_Row)


def read_row(shape: type[Shape], resource: Resource, values: Mapping[str, Any], operation: str) -> Shape:
    """One row or record; a ContractError names the member as the tenant calls it, never its value."""
    try:
        return shape.model_validate(values)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False, include_context=False)[0]
        name = str(problem["loc"][0])
        wire = resource.row_name(name) if name in resource.fields else name
        raise ContractError(f"{wire}: {problem['msg']}", system=SYSTEM, operation=operation) from None


def read_matches(resource: Resource, record: Mapping[str, Any], operation: str) -> list[MatchRow]:
    """The receipts that a full invoice record uses."""
    child = resource.children["matches"]
    matches = []
    for index, values in enumerate(resource.logical(record).get("matches", ())):
        try:
            matches.append(MatchRow.model_validate(values))
        except ValidationError as error:
            problem = error.errors(include_url=False, include_input=False, include_context=False)[0]
            wire = child.fields.get(str(problem["loc"][0]), str(problem["loc"][0]))
            path = f"data.{resource.collection}[0].{child.collection}[{index}].{wire}"
            raise ContractError(f"{path}: {problem['msg']}", system=SYSTEM, operation=operation) from None
    return matches
