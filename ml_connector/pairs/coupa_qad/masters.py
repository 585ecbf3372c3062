"""Suppliers and reference codes on their way from QAD to Coupa."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any

from ml_connector.domain.outcomes import READY, Decision, rejected, skipped
from ml_connector.domain.reasons import reason
from ml_connector.domain.records import ReferenceCode, Supplier
from ml_connector.domain.text import shortened
from ml_connector.pairs.coupa_qad.settings import ReferenceData, SupplierRules
from ml_connector.sync.seams import Facts, Turn

SUPPLIER_READS = frozenset({"number", "name", "active", "credit_terms"})
CODE_READS = frozenset({"code", "description", "active"})
_NAME_LENGTH = 100
# Which of these the other system has already.
Known = Callable[[Collection[str]], Awaitable[Collection[str]]]


class SupplierCheck:
    """A supplier needs number and name; one that is inactive and unknown there is left alone."""

    def __init__(self, known: Known, *, number_length: int | None = None) -> None:
        self._known = known
        self._number_length = number_length

    async def load(self, records: Sequence[Supplier]) -> frozenset[str]:
        """Which of the inactive ones the target has."""
        inactive = sorted({one.number for one in records if one.number and not one.active})
        return frozenset(await self._known(inactive)) if inactive else frozenset()

    def decide(self, records: Sequence[Supplier], context: frozenset[str]) -> list[Decision]:
        """One decision per supplier."""
        return [self._decide(one, context) for one in records]

    def _decide(self, one: Supplier, known: frozenset[str]) -> Decision:
        if not one.number:
            # A supplier that is still being set up gets its number later, which is another version of it.
            return skipped(reason("supplier_number_missing"))
        if self._number_length is not None and len(one.number) > self._number_length:
            return rejected(reason("supplier_number_too_long", supplier=one.number, limit=self._number_length))
        if not one.name.strip():
            return rejected(reason("name_missing"))
        if not one.active and one.number not in known:
            return skipped(reason("inactive_and_unknown"))
        return READY


def supplier_turn(payload: Mapping[str, Any]) -> Turn:
    """Two suppliers of one name go one after another, so that the second is found to be a double."""
    return Turn(str(payload["name"]).casefold())


def coupa_supplier(facts: Facts[Supplier], rules: SupplierRules) -> Mapping[str, Any]:
    """A supplier for Coupa: what QAD owns, and the defaults of a new one."""
    one = facts.record
    document: dict[str, Any] = {
        "number": one.number,
        "name": shortened(one.name, _NAME_LENGTH),
        "status": "active" if one.active else "inactive",
        "defaults": dict(rules.defaults),
    }
    term = rules.payment_terms.get(one.credit_terms)
    return document | ({"payment_term": term} if term else {})


def qad_supplier(facts: Facts[Supplier], rules: SupplierRules) -> Mapping[str, Any]:
    """A supplier for QAD: what Coupa owns. Currency and terms that Coupa does not tell stay as QAD has them."""
    one = facts.record
    terms = {coupa: qad for qad, coupa in rules.payment_terms.items()}
    return {
        "number": one.number,
        "name": one.name,
        "active": one.active,
        "currency": one.currency,
        "credit_terms": terms.get(one.credit_terms, ""),
    }


class CodeCheck:
    """A code must fit its lookup; one that is inactive and unknown there is left alone."""

    def __init__(self, rules: ReferenceData, known: Known) -> None:
        self._rules = rules
        self._known = known

    async def load(self, records: Sequence[ReferenceCode]) -> frozenset[str]:
        """Which of the inactive ones the target has."""
        inactive = sorted({one.code for one in records if not one.active})
        return frozenset(await self._known(inactive)) if inactive else frozenset()

    def decide(self, records: Sequence[ReferenceCode], context: frozenset[str]) -> list[Decision]:
        """One decision per code."""
        return [self._decide(one, context) for one in records]

    def _decide(self, one: ReferenceCode, known: frozenset[str]) -> Decision:
        if not one.active and one.code not in known:
            return skipped(reason("inactive_and_unknown"))
        if self._rules.account_segment and "-" in one.code:
            return rejected(reason("code_has_hyphen", code=one.code))
        return READY


def lookup_value(facts: Facts[ReferenceCode], rules: ReferenceData) -> Mapping[str, Any]:
    """A value of the lookup, retired when its code is."""
    one = facts.record
    return {
        "lookup": rules.lookup,
        "parent": rules.parent,
        "code": one.code,
        "name": rules.label(one.code, one.description),
        "description": one.description,
        "active": one.active,
    }


def value_turn(payload: Mapping[str, Any]) -> Turn:
    """Two values of one name go one after another, so that the second is found to be a double."""
    return Turn(str(payload["name"]).casefold())
