"""Credentials that cannot be printed, logged or pickled by accident."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn


class Secret:
    """A string that shows itself only when `reveal` is called."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        if not value or value != value.strip():
            raise ValueError("a secret must not be empty nor begin or end with white space")
        self._value = value

    def reveal(self) -> str:
        """The secret itself, for signing."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format(repr(self), spec)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not pickled: read it from its file or variable where it is needed")


@dataclass(frozen=True, slots=True)
class Credentials:
    """API key and secret of one account."""

    api_key: str
    api_secret: Secret

    def __repr__(self) -> str:
        return f"Credentials({self.api_key[:4]}…)"

    __str__ = __repr__
