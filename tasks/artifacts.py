"""What the analyst reads in the Prefect UI: outcomes with links, holds with reasons, progress of long runs."""

from __future__ import annotations

from typing import Any

from prefect.artifacts import acreate_markdown_artifact, acreate_table_artifact

from ml_connector.domain.outcomes import Outcome
from ml_connector.store import ledger
from ml_connector.store.ledger import LedgerRow
from ml_connector.sync.work import Page
from tasks.runtime import ActiveRun

_ROWS_SHOWN = 500
_WAITING = (Outcome.HELD, Outcome.REJECTED, Outcome.IN_DOUBT)


async def show_progress(run: ActiveRun, page: Page) -> None:
    """On a run of several pages, one line that grows; a run of one page needs none."""
    if page.number < 2 or not page.size:
        return
    counts = ", ".join(f"{count} {name}" for name, count in sorted(run.counts.items()))
    await acreate_markdown_artifact(
        key=_key(run, "progress"), markdown=f"Page {page.number + 1} of {page.route} is done: {counts}."
    )


async def show_outcomes(run: ActiveRun) -> None:
    """The table of what this run wrote, and the list of everything that waits in this direction."""
    if run.steps is None:
        return
    sync = run.steps.run
    touched = await ledger.touched(sync.store.db, run=sync.id, limit=_ROWS_SHOWN)
    links = run.session.links
    if touched:
        table = [_line(row, links) for row in touched]
        await acreate_table_artifact(key=_key(run, "outcomes"), table=table, description=_caption(run, len(touched)))
    if not touched and not run.counts:
        # Nothing was looked at, so the list that an earlier run left still holds.
        return
    waiting = await ledger.listing(sync.store.db, outcomes=_WAITING, connection=run.connection)
    waiting = [row for row in waiting if row.direction == run.direction]
    await acreate_markdown_artifact(key=_key(run, "waiting"), markdown=_waiting_text(waiting, links))


def _caption(run: ActiveRun, shown: int) -> str:
    told = f"{sum(run.counts.values())} records read, {shown} shown. Records that stand unchanged are not listed."
    ignored = sum(run.session.ignored().values())
    return f"{told} {ignored} unknown fields in the answers were ignored." if ignored else told


def _line(row: LedgerRow, links: Any) -> dict[str, str]:
    return {
        "record": row.label,
        "outcome": row.outcome.value,
        "reason": "; ".join(one.text for one in row.reasons),
        "source": links.source(row),
        "target": row.target_id or "",
        "target link": links.target(row),
        "notes": "; ".join(note for effect in row.effects for note in effect.notes),
    }


def _waiting_text(rows: list[LedgerRow], links: Any) -> str:
    if not rows:
        return "Nothing is held, rejected or in doubt."
    lines = ["| record | outcome | since | why |", "|---|---|---|---|"]
    for row in rows[:_ROWS_SHOWN]:
        why = "; ".join(one.text for one in row.reasons).replace("|", "/")
        lines.append(
            f"| [{row.label}]({links.source(row)}) | {row.outcome.value} | {row.since:%Y-%m-%d %H:%M} | {why} |"
        )
    if len(rows) > _ROWS_SHOWN:
        lines.append(f"\n{len(rows) - _ROWS_SHOWN} more: `ml-connector held` and `ml-connector rejected` list all.")
    return "\n".join(lines)


def _key(run: ActiveRun, what: str) -> str:
    name = f"{run.connection}-{run.direction}-{what}".lower()
    return "".join(letter if letter.isalnum() and letter.isascii() else "-" for letter in name)
