"""The evidence after a history: what both tenants show, what the diary says and how the rows of the store stand."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass, field
from decimal import Decimal

from tests.engine.histories import Line
from tests.engine.history_player import Player
from tests.engine.world import Json

ZERO = Decimal(0)
CREDITS = ("Credit Note", "Invoice Correction")


@dataclass(frozen=True, slots=True)
class Content:
    """What a document says, whichever system shows it: amounts positive, credits told apart by their kind."""

    reference: str
    supplier: str
    credit: bool
    amount: Decimal
    lines: tuple[tuple[Line, Decimal], ...]

    def __str__(self) -> str:
        return f"{'credit' if self.credit else 'invoice'} {self.reference} of {self.amount}"


def of_coupa(record: Json) -> Content:
    """The content of a Coupa invoice."""
    total = Decimal(record["total-with-taxes"])
    parts: dict[Line, Decimal] = {}
    for line in record["invoice-lines"]:
        place = (line["po-number"], int(line["order-line-num"]))
        parts[place] = parts.get(place, ZERO) + abs(Decimal(line["quantity"]))
    lines = tuple(sorted(parts.items()))
    return Content(record["invoice-number"], record["supplier"]["number"], total < 0, abs(total), lines)


def of_qad(record: Json) -> Content:
    """The content of a QAD supplier invoice, as posted or as shown."""
    lines = tuple(sorted(matched(record).items()))
    credit = record["invoiceType"] in CREDITS
    amount = Decimal(str(record["originalAmountTC"]))
    return Content(record["invoiceReference"], record["supplierCode"], credit, amount, lines)


def matched(record: Json) -> dict[Line, Decimal]:
    """Pieces per order line that a QAD supplier invoice is matched with, unsigned."""
    found: dict[Line, Decimal] = {}
    for part in record.get("receiverMatchingLines") or []:
        line = (part["purchaseOrderNumber"], part["purchaseOrderLine"])
        found[line] = found.get(line, ZERO) + abs(Decimal(str(part["matchQuantity"])))
    return found


def agrees(posted: Content, paper: Content) -> bool:
    """Whether a voucher says what an invoice says; a credit's pieces need no receiver."""
    same = (posted.reference, posted.supplier, posted.credit, posted.amount)
    if same != (paper.reference, paper.supplier, paper.credit, paper.amount):
        return False
    return posted.credit or posted.lines == paper.lines


def key_of(voucher: Json) -> int:
    """The Coupa invoice that a voucher of ours names, 0 for anybody else's."""
    words = str(voucher.get("description") or "").split()
    return int(words[-1]) if voucher.get("customShort0") and words[:2] == ["Coupa", "invoice"] else 0


@dataclass(slots=True)
class Case:
    """Everything that the oracle looks at."""

    player: Player
    coupa: dict[int, Json] = field(default_factory=dict)
    truth: Json = field(default_factory=dict)
    vouchers: list[Json] = field(default_factory=list)
    receipts: list[Json] = field(default_factory=list)
    payments: list[Json] = field(default_factory=list)
    rows: dict[int, Json] = field(default_factory=dict)
    other_rows: dict[str, Json] = field(default_factory=dict)
    reserved: dict[int, dict[Line, tuple[Decimal, bool]]] = field(default_factory=dict)
    given_back: dict[int, dict[Line, tuple[Decimal, bool]]] = field(default_factory=dict)
    leases: list[str] = field(default_factory=list)

    @property
    def ours(self) -> dict[int, Json]:
        """The voucher of each posted invoice."""
        return {key_of(one): one for one in self.vouchers if key_of(one)}

    @property
    def corrected(self) -> dict[int, list[Json]]:
        """The corrections of vouchers of ours, by the invoice that was voided."""
        numbers = {voucher["voucher"]: key for key, voucher in self.ours.items()}
        found: dict[int, list[Json]] = {}
        for one in self.vouchers:
            words = str(one.get("description") or "").split("/")
            if one["customShort0"] and words[0].startswith("Reverses ") and int(words[-1]) in numbers:
                found.setdefault(numbers[int(words[-1])], []).append(one)
        return found

    def stands(self, key: int) -> tuple[str, list[str]]:
        """Outcome and reasons of an invoice's row."""
        row = self.rows.get(key)
        return (row["outcome"], row["codes"]) if row else ("no row", [])

    def billed(self, key: int) -> dict[Line, Decimal]:
        """Pieces per line that a posted document bills, signed, from the version that was posted."""
        posted = of_qad(self.ours[key])
        versions = [of_coupa(one) for _, one in self.player.diary.versions[key]]
        paper = next((one for one in versions if agrees(posted, one)), posted)
        return {line: -pieces if posted.credit else pieces for line, pieces in paper.lines}


async def collect(player: Player) -> Case:
    """Ask both tenants and read the store's file."""
    case = Case(player)
    case.coupa = {one["id"]: one for one in await player.ask("coupa", "state/invoices", method="GET")}
    case.truth = await player.world.truth("coupa")
    case.vouchers = await player.ask("qad", "state/supplierInvoice", method="GET")
    case.receipts = await player.ask("qad", "state/receipt", method="GET")
    case.payments = await player.ask("qad", "state/supplierPayment", method="GET")
    file = sqlite3.connect(player.world.path)
    try:
        _read_store(case, file)
    finally:
        file.close()
    return case


def _read_store(case: Case, file: sqlite3.Connection) -> None:
    file.row_factory = sqlite3.Row
    keys: dict[str, tuple[str, int]] = {}
    for one in file.execute("SELECT * FROM ledger"):
        effects = file.execute("SELECT state FROM effect WHERE ledger_id = ?", (one["id"],))
        states = [effect["state"] for effect in effects]
        row = dict(one) | {"codes": [why["code"] for why in json.loads(one["reasons"])], "states": states}
        _, kind, key = one["external_id"].split(":", 2)
        if kind == "invoice":
            case.rows[int(key)] = row
        else:
            case.other_rows[f"{kind} {key}"] = row
        if kind in ("invoice", "invoice_void"):
            keys[one["id"]] = (kind, int(key))
    for one in file.execute("SELECT * FROM reservation"):
        kind, key = keys.get(one["ledger_id"], ("invoice", 0))
        home = case.reserved if kind == "invoice" else case.given_back
        part = (Decimal(one["quantity"]), bool(one["permanent"]))
        home.setdefault(key, {})[one["po_number"], one["po_line"]] = part
    case.leases = [one["name"] for one in file.execute("SELECT name FROM lease WHERE owner <> ''")]
