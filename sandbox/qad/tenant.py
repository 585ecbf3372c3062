"""The whole state of a stand-in QAD tenant, free of any wire format: tables, masters, counters, drafts."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from sandbox.kit.app import Action, Document, UnknownRecord
from sandbox.kit.clock import Clock
from sandbox.qad import actions, defaults, seeding, truth
from sandbox.qad.auth import Auth
from sandbox.qad.metadata import RESOURCES
from sandbox.qad.options import Options
from sandbox.qad.outcome import Context
from sandbox.qad.records import Key, Row, Table
from sandbox.qad.values import Record, wire

PLAIN_MASTERS = ("daybooks", "creditTerms", "invoiceStatusCodes")


class QadTenant:
    """One QAD tenant: every surface reads and writes this."""

    name = "qad"

    def __init__(self, clock: Clock, options: Options) -> None:
        self.clock, self.options = clock, options
        self.auth = Auth(clock, options)
        self.actions: dict[str, Action] = actions.bind(self)
        self._clear()

    def _clear(self) -> None:
        self._changes = 0
        self.tables = {name: Table(resource, self._next_change) for name, resource in RESOURCES.items()}
        self.masters: dict[str, dict[str, Record]] = {name: {} for name in PLAIN_MASTERS}
        self.closed_periods: set[tuple[int, int]] = {defaults.period(text) for text in self.options.closed_periods}
        self.numbers: dict[Any, int] = {}
        self.matched: defaultdict[Key, Decimal] = defaultdict(Decimal)  # signed quantity by receipt key
        self.finished: defaultdict[Key, set[Key]] = defaultdict(set)  # invoices that finished a receipt
        self.references: defaultdict[Key, set[Key]] = defaultdict(set)  # invoices by entity, supplier, type, reference
        self.payments_of: defaultdict[Key, set[Key]] = defaultdict(set)  # payments allocated to an invoice
        self.drafts: dict[Key, Record] = {}  # order lines in conversation
        self.page_calls: set[tuple[str, str]] = set()  # (callId, browse) whose first page was read
        self.writes = 0
        self.ignored: Counter[str] = Counter()
        self.updates: dict[str, dict[str, Counter[str]]] = {}  # by resource and key: what the API changed, how often

    def _next_change(self) -> int:
        self._changes += 1
        return self._changes

    def table(self, name: str) -> Table:
        """The table of a resource."""
        return self.tables[name]

    def find(self, name: str, *key: Any) -> Row | None:
        """A row by resource and key, or None."""
        return self.tables[name].find(*key)

    def next_number(self, counter: Any, first: int) -> int:
        """The next number of a counter; numbers start at a fixed one, so runs repeat exactly."""
        self.numbers[counter] = max(self.numbers.get(counter, 0), first - 1) + 1
        return self.numbers[counter]

    def number_taken(self, counter: Any, number: int) -> None:
        """Move a counter past a number that somebody chose."""
        self.numbers[counter] = max(self.numbers.get(counter, 0), number)

    def local_now(self) -> datetime:
        """The server's local time, without a zone on the wire."""
        return self.clock.now() + timedelta(hours=self.options.utc_offset_hours)

    def today(self) -> date:
        """The server's local date."""
        return self.local_now().date()

    def visible_from(self) -> datetime | None:
        """When an invoice written now is seen by readers; None is at once."""
        lag = self.options.read_lag_seconds
        return self.clock.now() + timedelta(seconds=lag) if lag else None

    def domain_of(self, entity: str) -> str:
        """The domain an entity belongs to."""
        pairs = (name.partition("_") for name in self.options.workspaces)
        return next((domain for domain, _, code in pairs if code == entity), "")

    def system_context(self, entity: str = "", user: str = "mfg") -> Context:
        """The context of somebody inside QAD: seeds, admin verbs, people at the screen."""
        domain, _, default = self.options.workspaces[0].partition("_")
        chosen = entity or default
        return Context(self, self.domain_of(chosen) or domain, chosen, user)

    def seed(self, document: Document) -> Document:
        """Add records in wire spelling; what a record leaves out gets a fixed default."""
        return seeding.seed(self, document)

    def reset(self) -> None:
        """Forget every record, token and counter."""
        self.auth = Auth(self.clock, self.options)
        self._clear()

    def truth(self) -> Document:
        """What really took effect."""
        return truth.report(self)

    def state(self, collection: str) -> list[Document]:
        """Raw records of a seed collection, read lag ignored."""
        name = seeding.TABLE_OF.get(collection, collection)
        if name in self.tables:
            return [{key: wire(value) for key, value in record.items()} for record in self.tables[name].records()]
        if collection in self.masters:
            return list(self.masters[collection].values())
        if collection == "closedPeriods":
            return [{"year": year, "period": period} for year, period in sorted(self.closed_periods)]
        raise UnknownRecord(f"no collection {collection}")
