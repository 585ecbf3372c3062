"""Values as Coupa writes them: decimals as text with their scale, instants in the company's offset, whole records."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal, InvalidOperation
from typing import Any

from sandbox.coupa.errors import invalid
from sandbox.coupa.schema import MODELS, REFERENCES, Attribute
from sandbox.coupa.store import Ids, Record

Resolver = Callable[[str, Record, bool], Record]


def hyphened(name: str) -> str:
    """The hyphenated spelling of an attribute name."""
    return name.replace("_", "-")


def hyphen_keys(value: Any) -> Any:
    """The same structure with every key in its hyphenated spelling."""
    if isinstance(value, dict):
        return {hyphened(key): hyphen_keys(item) for key, item in value.items()}
    if isinstance(value, list):
        return [hyphen_keys(item) for item in value]
    return value


def offset_zone(offset: str) -> timezone:
    """The time zone of an offset such as -08:00; raises ValueError."""
    sign = -1 if offset.startswith("-") else 1
    hours, _, minutes = offset.lstrip("+-").partition(":")
    return timezone(sign * timedelta(hours=int(hours), minutes=int(minutes or 0)))


def read_time(text: str) -> datetime:
    """An ISO 8601 instant; without time or zone it is midnight UTC or UTC; raises ValueError."""
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


def decimal_text(value: object, places: int) -> str:
    """A decimal as text with at least so many places; raises ValueError or TypeError."""
    if isinstance(value, bool):
        raise TypeError("not a number")
    try:
        number = Decimal(str(value))
    except InvalidOperation as error:
        raise ValueError("not a number") from error
    if not number.is_finite():
        raise ValueError("not a number")
    exponent = number.as_tuple().exponent
    if isinstance(exponent, int) and -exponent < places:
        number = number.quantize(Decimal(1).scaleb(-places))
    return format(number, "f")


def truth_of(given: object) -> bool:
    """A boolean given as JSON or as text; raises ValueError."""
    if isinstance(given, bool):
        return given
    text = str(given).lower()
    if text in ("true", "1"):
        return True
    if text in ("false", "0"):
        return False
    raise ValueError("not a boolean")


class Writer:
    """Turns given values into the tenant's spelling; records keep only what was given, the rest is null when shown."""

    def __init__(self, zone: timezone, ids: Ids, resolve: Resolver) -> None:
        self._zone = zone
        self._ids = ids
        self._resolve = resolve

    def instant(self, moment: datetime) -> str:
        """An instant in the company's offset, to the second."""
        return moment.astimezone(self._zone).isoformat(timespec="seconds")

    def time(self, text: str, *, as_written: bool = False) -> str:
        """A date (midnight in the company's zone) or an instant in the company's spelling; raises ValueError."""
        if len(text) == 10:
            day = date.fromisoformat(text)
            return datetime(day.year, day.month, day.day, tzinfo=self._zone).isoformat(timespec="seconds")
        moment = read_time(text)
        return text if as_written else self.instant(moment)

    def value(self, name: str, attribute: Attribute, given: Any, *, seeding: bool = False) -> Any:
        """One given value in the tenant's spelling; raises ApiError when it has the wrong kind."""
        if given is None:
            return None
        try:
            if attribute.many:
                return [self.record(attribute.model or "", item, seeding=seeding) for item in given]
            if attribute.model is not None:
                return self.record(attribute.model, given, seeding=seeding)
            if attribute.kind == "time":
                return self.time(str(given), as_written=seeding)
            return _plain(attribute, given)
        except (ValueError, TypeError, AttributeError) as error:
            raise invalid(name.replace("-", "_"), f"{name.replace('-', ' ').capitalize()} is invalid.") from error

    def record(self, model: str, given: Record, *, seeding: bool = False) -> Record:
        """A record of the model with an id; keys must be hyphenated.

        Unknown keys raise ApiError while seeding and are left out otherwise; a reference becomes the record it names.
        """
        if model in REFERENCES:
            return self._resolve(model, given, seeding)
        attributes = MODELS[model]
        made: Record = {}
        for name, value in given.items():
            if name in attributes:
                made[name] = self.value(name, attributes[name], value, seeding=seeding)
            elif seeding:
                raise invalid(model, f"{name} is not an attribute of {model}")
        if "id" in attributes:
            made["id"] = self._ids.of(model, made)
        return made


def _plain(attribute: Attribute, given: Any) -> Any:
    if attribute.places is not None:
        return decimal_text(given, attribute.places)
    match attribute.kind:
        case "int":
            if isinstance(given, bool):
                raise TypeError("not a whole number")
            return int(given)
        case "bool":
            return truth_of(given)
        case "text":
            if isinstance(given, dict | list):
                raise TypeError("not a text")
            return str(given)
        case "custom":
            return dict(given)
        case _:
            return given
