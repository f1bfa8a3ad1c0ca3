"""Passwords that change while a program runs."""

from collections.abc import Callable
from typing import TypeAlias

from greencache.errors import TierUnavailableError

__all__ = ["Password", "PasswordSource"]

Password: TypeAlias = "str | Callable[[], str] | None"  # noqa: S105 -- a type
"""A password, or what returns the one that holds now."""


class PasswordSource:
    """Asks for the password anew before each login; what redis-py calls a credential provider.

    Args:
        ask: Returns it, on the thread that opens a connection.
        username: ACL user; `None` for the default user.
    """

    def __init__(self, ask: Callable[[], str], username: str | None) -> None:
        self._ask = ask
        self._username = username
        self._last = ""

    def get_credentials(self) -> tuple[str] | tuple[str, str]:
        """Return what logs in.

        Raises:
            TierUnavailableError: There is no password to be had; the message says nothing of what went wrong
                but its kind, for that may quote a secret.
        """
        problem = ""
        password: object = None
        try:
            password = self._ask()
        except Exception as error:  # of whoever keeps the passwords
            problem = f"the function that returns it raised {type(error).__name__}"
        if not problem and not (isinstance(password, str) and password):
            problem = f"the function that returns it returned {type(password).__name__}, or nothing"
        if problem:
            raise TierUnavailableError(f"no password to log in to Redis with: {problem}")
        self._last = str(password)
        return (self._username, self._last) if self._username else (self._last,)

    def scrub(self, text: str) -> str:
        """Return a text without the last password in it."""
        return text.replace(self._last, "***") if self._last else text
