"""A server that somebody else runs and the environment names."""

import os
import urllib.parse
from collections.abc import Callable, Sequence
from typing import NoReturn

from greencache.testing.servers.errors import NotHere, ServerControlError, ServerStartError

__all__ = ["EnvironmentRunner", "without_password"]


class EnvironmentRunner:
    """Uses a server by its URL and leaves its life alone.

    Args:
        variable: Environment variable that holds the URL.
        schemes: What the URL may begin with.
        connect: Takes the URL; raises when nothing answers there.

    Raises:
        NotHere: The variable is not set.
        ServerStartError: It is set to something that is no such URL.
    """

    pid = None

    def __init__(self, variable: str, schemes: Sequence[str], connect: Callable[[str], object]) -> None:
        url = os.environ.get(variable, "")
        if not url:
            raise NotHere(f"{variable} is not set")
        if urllib.parse.urlsplit(url).scheme not in schemes:
            shown = without_password(url)
            raise ServerStartError(f"expected {variable} to be a {schemes[0]}:// URL, got {shown!r}")
        self.url = url
        self._variable = variable
        self._connect = connect
        self._connected = False

    @property
    def is_running(self) -> bool:
        """Whether it has answered."""
        return self._connected

    def start(self) -> None:
        """Make sure that it answers.

        Raises:
            ServerStartError: It does not.
        """
        try:
            self._connect(self.url)
        except Exception as error:
            # Whatever the driver raises, the answer is the same: the URL in the environment does not serve.
            where = without_password(self.url)
            raise ServerStartError(f"{self._variable} is {where}, which does not answer: {error}") from error
        self._connected = True

    def stop(self) -> None:
        """Refuse."""
        self._refuse("stopped")

    def kill(self) -> None:
        """Refuse."""
        self._refuse("killed")

    def pause(self) -> None:
        """Refuse."""
        self._refuse("paused")

    def resume(self) -> None:
        """Refuse."""
        self._refuse("resumed")

    def close(self) -> None:
        """Leave it running."""
        self._connected = False

    def describe(self) -> str:
        """Return where it is."""
        return without_password(self.url)

    def log(self) -> str:
        """Return nothing: its log is not ours."""
        return ""

    def _refuse(self, action: str) -> NoReturn:
        raise ServerControlError(
            f"the server of {self._variable} is not ours and cannot be {action}; "
            f"ask for a local one with sources=LOCAL, or unset {self._variable}"
        )


def without_password(url: str) -> str:
    """Return a URL fit for a message: its password starred out."""
    parts = urllib.parse.urlsplit(url)
    credentials, at, place = parts.netloc.rpartition("@")
    user, colon, _ = credentials.partition(":")
    return parts._replace(netloc=f"{user}{colon}{'***' if colon else ''}{at}{place}").geturl()
