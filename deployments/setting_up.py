"""What `connect` does: a login becomes a block, two blocks and settings become a connection, once all of it works."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import typer

from deployments import asking, connecting, server
from deployments.asking import agreed, ask, choose
from deployments.block_forms import UNASKED, Given, block_types, choose_type, fill_in, required_settings
from deployments.connecting import Wanted
from deployments.consent import Dance
from deployments.jira_logins import CONSENTED, JIRA, Completed, complete, keep_consent, on_trial
from deployments.output import show_facts
from deployments.tenancies import lone_side
from deployments.trying import load_logins, show_reports, start_again, try_pair, try_sides
from ml_connector.errors import ConfigurationError
from ml_connector.installation import Installation
from ml_connector.systems.ping import PingReport


@dataclass(frozen=True, slots=True)
class Draft:
    """A connection as far as the command line describes it; `settings` None means that no file was named."""

    pair: str
    name: str
    source_block: str
    target_block: str
    settings: dict[str, Any] | None

    def refuse_gaps(self) -> None:
        """Without anybody to ask, everything must have been said; settings that were named must be valid."""
        if not asking.somebody_there():
            for value, option in ((self.source_block, "--source-block"), (self.target_block, "--target-block")):
                if not value:
                    raise ConfigurationError(f"{option} is missing")
            if self.settings is None:
                raise ConfigurationError("--settings is missing")
        if self.settings is not None:
            self.model(self.settings)

    def model(self, given: dict[str, Any]) -> Any:
        """The settings as the pair's model."""
        return connecting.settings_of(self.pair, given, about=f"connection {self.name}")


@dataclass(frozen=True, slots=True)
class LoginDraft:
    """A login as far as the command line describes it; `site` and `dance` are for Jira alone."""

    system: str
    name: str
    given: Given
    settings: dict[str, Any]
    site: str = ""
    dance: Dance = field(default_factory=Dance)


async def new_login(draft: LoginDraft, *, yes: bool, as_json: bool) -> None:
    """Ask for a login, try it, and keep it as a block; nothing is kept when it does not work."""
    block_type = choose_type(draft.system, draft.given)
    name = draft.name or ask("name of the block", "NAME")
    block = f"{block_type._block_type_slug}/{connecting.check_name(name)}"
    filled = await _filled(draft, block_type, block, yes=yes)
    done = await complete(filled, site=draft.site, dance=draft.dance) if draft.system == JIRA else Completed(filled)
    filled = done.block
    async with Installation.open() as installation:
        side = lone_side(block, filled.login(), draft.settings)
        slot = installation.slot(block, side.login)
        if done.token:
            side = replace(side, tokens=await on_trial(slot, done.token))
        reports = await try_sides(installation, [side], again=True)
        if not reports[0].ok:
            show_reports(reports, as_json=as_json)
            raise typer.Exit(1)
        await filled.asave(name, overwrite=True)
        if side.tokens and (token := await side.tokens.load(slot)):
            await keep_consent(installation.vault, slot, token)
        await start_again(installation, [block])
    remarks = _remarks(reports)
    facts = {"block": block, "tenant": side.login.base_url, "as": reports[0].who, **remarks}
    follows = " or ".join(f"ml-connector connect {pair}" for pair in connecting.pairs_with(draft.system))
    show_facts({**facts, "next": follows}, as_json=as_json)


async def _filled(draft: LoginDraft, block_type: Any, block: str, *, yes: bool) -> Any:
    """The block as typed; a consent to an app that is known already is asked for again without typing it anew."""
    given, unasked = draft.given, UNASKED.get(draft.system, frozenset())
    exists = block in await _existing(draft.system)
    known = block_type._block_type_slug == CONSENTED and not given.secret_file and "client_id" not in given.fields
    if exists and known:
        if not agreed(f"Block {block} exists. Consent again with its app?", yes=yes):
            raise typer.Exit(1)
        from tasks.runtime import load_block

        return await load_block(block)
    if exists and not agreed(f"Block {block} exists. Replace it?", yes=yes):
        raise typer.Exit(1)
    if block_type._block_type_slug == CONSENTED:
        # Which site it is shows when a person has consented.
        given = replace(given, fields={"site_url": draft.site, **given.fields})
    elif draft.site:
        given = replace(given, fields={**given.fields, "site_url": draft.site})
    return fill_in(block_type, given, unasked=unasked)


async def new_connection(draft: Draft, *, yes: bool, as_json: bool) -> None:
    """Prove both logins and the settings, show who we are there, and store the connection."""
    async with Installation.open() as installation:
        wanted = await _described(installation, draft)
        await connecting.refuse_overlap(installation, wanted)
        reports = await try_pair(installation, wanted)
        if not all(report.ok for report in reports):
            show_reports(reports, as_json=as_json)
            raise typer.Exit(1)
        facts = {
            "connection": wanted.name,
            "source": f"{wanted.source.system} {wanted.source.identity}, as {reports[0].who}",
            "target": f"{wanted.target.system} {wanted.target.identity}, as {reports[1].who}",
            **_remarks(reports),
        }
        if not yes:
            show_facts(facts, as_json=False)
            if not typer.confirm("Are these the right tenants?", err=True):
                raise typer.Exit(1)
        row = await connecting.save(installation, wanted)
        await start_again(installation, [row.source_block, row.target_block])
    told = {"settings_version": row.settings_version, "next": "ml-connector deploy"}
    show_facts({**facts, **told} if yes else told, as_json=as_json)


async def _described(installation: Installation, draft: Draft) -> Wanted:
    known = await connecting.stored(installation, draft.name)
    way = connecting.directions_of(draft.pair)[0]
    given = (draft.source_block, draft.target_block)
    present = (known.source_block, known.target_block) if known else ("", "")
    sides = zip((way.source, way.target), given, present, strict=True)
    source, target = [one or await _chosen(system, now) for system, one, now in sides]
    content = draft.settings
    if content is None:
        content = _asked_for(draft, dict(known.settings) if known else None)
    logins = await load_logins((source, target))
    return connecting.describe(draft.name, draft.pair, (source, target), logins, draft.model(content))


async def _chosen(system: str, now: str) -> str:
    """The block of one side: the present one is offered first."""
    blocks = await _existing(system)
    if not blocks:
        remedy = f"make one: ml-connector connect {system}"
        raise ConfigurationError(f"there is no block with a login of {system} yet; {remedy}")
    return choose(f"Block of {system}", sorted(blocks, key=lambda one: (one != now, one)))


def _asked_for(draft: Draft, stored: dict[str, Any] | None) -> dict[str, Any]:
    nothing = "to keep its settings" if stored else "to answer what has no default"
    path = ask(f"settings file (empty {nothing})", "--settings", default="")
    if path:
        return connecting.read_file(Path(path).expanduser())
    return stored or required_settings(connecting.directions_of(draft.pair)[0].settings)


async def _existing(system: str) -> list[str]:
    """The names of the blocks that hold a login of this system."""
    from prefect.exceptions import ObjectNotFound

    found = []
    async with server.api() as client:
        for block_type in block_types(system).values():
            slug = block_type._block_type_slug
            try:
                documents = await client.read_block_documents_by_type(slug, include_secrets=False)
            except ObjectNotFound:
                continue
            found += [f"{slug}/{one.name}" for one in documents]
    return found


def _remarks(reports: list[PingReport]) -> dict[str, str]:
    return {f"look at {check.name}": check.message for one in reports for check in one.checks if check.remedy}
