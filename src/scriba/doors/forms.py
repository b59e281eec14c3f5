"""Fields of a form to values: shared by the doors that take one."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from scriba.domain.errors import InvalidOptionError, UnsupportedOptionError

_TRUE = frozenset({"true", "1", "yes", "on"})
_FALSE = frozenset({"false", "0", "no", "off"})
_SHOWN = 60


def shown(text: str) -> str:
    """A client's value for a message: quoted, and not longer than a message may be."""
    return repr(text if len(text) <= _SHOWN else text[:_SHOWN] + "…")


def refuse_unknown(fields: Mapping[str, object], known: Collection[str]) -> None:
    """Refuse by name what nobody would read.

    Raises:
        UnsupportedOptionError: a field is not in ``known``.
    """
    for name in fields:
        if name not in known:
            label = name if len(name) <= _SHOWN and name.isprintable() else shown(name)
            raise UnsupportedOptionError(
                f"{label} is no field of this route. It takes: {', '.join(sorted(known))}.", field=label
            )


def refuse_query(query: Iterable[str]) -> None:
    """Refuse by name what was put into the address, where no field is read.

    Raises:
        UnsupportedOptionError: there is something.
    """
    for name in query:
        label = name if len(name) <= _SHOWN and name.isprintable() else shown(name)
        raise UnsupportedOptionError(
            f"{label} stands in the address; send it as a field of the form.", field=label
        )


def scalar(fields: Mapping[str, list[str]], name: str) -> str | None:
    """The field's only value; None when it was not sent or is blank.

    Raises:
        InvalidOptionError: it was sent more than once.
    """
    values = fields.get(name, [])
    if len(values) > 1:
        raise InvalidOptionError(f"{name} was sent {len(values)} times; send it once.", field=name)
    return values[0] if values and values[0].strip() else None


def items(fields: Mapping[str, list[str]], name: str) -> list[str]:
    """A list field's values, sent as ``name[]`` or ``name``; blank ones are left out."""
    values = [*fields.get(name + "[]", []), *fields.get(name, [])]
    return [value.strip() for value in values if value.strip()]


def boolean(fields: Mapping[str, list[str]], name: str) -> bool | None:
    """The field as true or false; None when it was not sent."""
    text = scalar(fields, name)
    if text is None:
        return None
    value = text.strip().lower()
    if value in _TRUE:
        return True
    if value in _FALSE:
        return False
    raise InvalidOptionError(f"{name} must be true or false, not {shown(text)}.", field=name)


def number(fields: Mapping[str, list[str]], name: str) -> float | None:
    """The field as a number; None when it was not sent."""
    text = scalar(fields, name)
    if text is None:
        return None
    try:
        return float(text)
    except ValueError:
        raise InvalidOptionError(f"{name} must be a number, not {shown(text)}.", field=name) from None


def integer(fields: Mapping[str, list[str]], name: str) -> int | None:
    """The field as a whole number; None when it was not sent."""
    text = scalar(fields, name)
    if text is None:
        return None
    try:
        return int(text)
    except ValueError:
        raise InvalidOptionError(f"{name} must be a whole number, not {shown(text)}.", field=name) from None
