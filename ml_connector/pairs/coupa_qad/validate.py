"""Looks up what the settings name in both tenants, so that a wrong code is found when connecting and not by an invoice.

What neither tenant can show (sub-accounts, status codes, credit terms, payment terms) is not checked here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping

from ml_connector.domain.records import ReferenceCode
from ml_connector.errors import AuthenticationError, ConnectorError
from ml_connector.pairs.coupa_qad.settings import Accounts, Coding, CoupaQadSettings
from ml_connector.systems.coupa.client import CoupaClient
from ml_connector.systems.coupa.lookups import lookups_known, order_field_known
from ml_connector.systems.ping import PingCheck
from ml_connector.systems.qad.ports import Code, GlAccount, QadPort

Check = Callable[[], Awaitable[list[PingCheck]]]
_AGAIN = "try again; if it stays so, check the rights of the login and the tenant's settings"


async def check_settings(coupa: CoupaClient, qad: QadPort, settings: CoupaQadSettings) -> list[PingCheck]:
    """One check per thing that a setting names; never raises for a tenant's fault, stops when a login is refused."""
    codings = dict(_codings(settings.invoices.accounts))
    cost_centers = {place: one.cost_center for place, one in codings.items()}
    projects = {place: one.project for place, one in codings.items()}
    checks: dict[str, Check] = {
        "accounts": lambda: _accounts(qad, codings),
        "cost centres": lambda: _codes(qad, "costCenter", "cost centre", cost_centers),
        "projects": lambda: _codes(qad, "project", "project", projects),
        "PO rule": lambda: _po_rule(coupa, qad, settings),
        "chart of accounts": lambda: _chart(coupa, settings.invoices.chart_of_accounts),
        "lookups": lambda: _lookups(coupa, settings),
        "suppliers": lambda: _suppliers(settings),
    }
    found: list[PingCheck] = []
    for name, check in checks.items():
        try:
            found += await check()
        except AuthenticationError as error:
            return [*found, PingCheck(name, False, error.message, "enter the login again")]
        except ConnectorError as error:
            found.append(PingCheck(name, False, error.message, _AGAIN))
    return found


async def _accounts(qad: QadPort, codings: Mapping[str, Coding]) -> list[PingCheck]:
    if not codings:
        return []
    known = await qad.gl_accounts(_named(one.account for one in codings.values()))
    wrong = {place: list(_account_problems(one, known.get(one.account))) for place, one in codings.items()}
    return _wrong(wrong) or [PingCheck("accounts", True, f"{len(codings)} codings found in QAD")]


async def _codes(qad: QadPort, resource: Code, what: str, used: Mapping[str, str]) -> list[PingCheck]:
    """Cost centres or projects; a tenant without any is not asked as long as no setting names one."""
    codes = _named(used.values())
    if not codes:
        return []
    known = await qad.reference_codes(resource, codes)
    wrong = {place: list(_code_problems(what, code, known)) for place, code in used.items()}
    return _wrong(wrong) or [PingCheck(f"{what}s", True, f"{len(codes)} found in QAD")]


def _wrong(problems: Mapping[str, list[str]]) -> list[PingCheck]:
    remedy = "correct invoices.accounts.{}, or ask QAD's administrator"
    return [
        PingCheck(f"accounts.{place}", False, "; ".join(found), remedy.format(place))
        for place, found in problems.items()
        if found
    ]


def _codings(accounts: Accounts) -> Iterator[tuple[str, Coding]]:
    """Every coding by its place in the settings."""
    for name in Accounts.model_fields:
        value = getattr(accounts, name)
        if isinstance(value, Coding):
            yield name, value
        elif isinstance(value, Mapping):
            yield from ((f"{name}[{code}]", coding) for code, coding in value.items())


def _named(codes: Iterable[str]) -> list[str]:
    return sorted({code for code in codes if code})


def _account_problems(coding: Coding, account: GlAccount | None) -> Iterator[str]:
    if account is None:
        yield f"account {coding.account} is not in QAD"
        return
    if not account.active:
        yield f"account {coding.account} is inactive"
    demands = {
        "a sub-account": account.needs_sub_account and not coding.sub_account,
        "a cost centre": account.needs_cost_center and not coding.cost_center,
        "a project": account.needs_project and not coding.project,
    }
    yield from (f"account {coding.account} demands {what}" for what, lacking in demands.items() if lacking)


def _code_problems(what: str, code: str, known: Mapping[str, ReferenceCode]) -> Iterator[str]:
    if code and code not in known:
        yield f"{what} {code} is not in QAD"
    elif code and not known[code].active:
        yield f"{what} {code} is inactive"


async def _po_rule(coupa: CoupaClient, qad: QadPort, settings: CoupaQadSettings) -> list[PingCheck]:
    rule, name = settings.invoices.po_rule, "PO rule"
    if rule.kind == "qad_slot":
        if problem := await qad.order_slot_problem(rule.name):
            return [PingCheck(name, False, problem, "enter in invoices.po_rule.name the member that holds the number")]
        return [PingCheck(name, True, f"QAD's orders can be searched by {rule.name}")]
    if rule.kind == "coupa_field":
        known = await order_field_known(coupa, rule.name)
        if known is None:
            return [PingCheck(name, True, f"{rule.name} is not checked: no purchase order is visible in Coupa yet")]
        if not known:
            text = f"Coupa's purchase orders have no custom field {rule.name}"
            return [PingCheck(name, False, text, "enter in invoices.po_rule.name the field's API name as set up")]
        return [PingCheck(name, True, f"Coupa's purchase orders have {rule.name}")]
    return []


async def _chart(coupa: CoupaClient, chart: str | None) -> list[PingCheck]:
    """The chart is a filter: one invoice that passes it proves the name."""
    if not chart:
        return []
    if await coupa.invoices(limit=1, filters=[("account_type[name]", chart)]):
        return [PingCheck("chart of accounts", True, f"invoices of {chart} are visible")]
    text = f"warning: no invoice of account type {chart} is visible yet"
    return [PingCheck("chart of accounts", True, text, "check the spelling in invoices.chart_of_accounts")]


async def _lookups(coupa: CoupaClient, settings: CoupaQadSettings) -> list[PingCheck]:
    wanted = {one.lookup for one in settings.reference_data}
    if not wanted:
        return []
    known = await lookups_known(coupa, wanted)
    found = []
    for one in settings.reference_data:
        name = f"lookup {one.lookup}"
        if one.lookup not in known:
            text = f"Coupa has no lookup {one.lookup} for {one.source}"
            found.append(PingCheck(name, False, text, "set it up in Coupa, or correct reference_data"))
        elif one.parent and not await coupa.lookup_values(one.lookup, [one.parent]):
            text = f"warning: no value {one.parent} on the top level of {one.lookup}"
            found.append(PingCheck(name, True, text, "check the parent in reference_data"))
        else:
            found.append(PingCheck(name, True, f"takes {one.source}"))
    return found


async def _suppliers(settings: CoupaQadSettings) -> list[PingCheck]:
    if settings.suppliers.direction != "coupa_to_qad" or settings.qad.supplier_defaults is not None:
        return []
    text = "warning: suppliers travel to QAD, but none is created there without defaults"
    return [PingCheck("suppliers", True, text, "fill in qad.supplier_defaults")]
