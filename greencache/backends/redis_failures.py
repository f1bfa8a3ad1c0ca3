"""Why none of several servers, asked in turn, has answered."""

from greencache.backends.redis_address import RedisAddress
from greencache.backends.redis_errors import explain_failure, hint_for
from greencache.backends.retry import TransientError
from greencache.errors import TierUnavailableError

__all__ = ["Failures"]


class Failures:
    """Collects what went wrong with each."""

    def __init__(self) -> None:
        self._said: list[str] = []
        self._lasting: list[TierUnavailableError] = []

    def __str__(self) -> str:
        return "; ".join(self._said) or "not yet asked"

    def add(self, address: RedisAddress, error: Exception) -> None:
        """Note that one could not be asked.

        Args:
            address: Where it is.
            error: One of `FOREIGN_ERRORS`.
        """
        said = f"{address.scrub(str(error))[:100] or 'no answer'}{hint_for(address, error)}"
        self._said.append(f"{address.label}: {said}")
        fault = explain_failure(address, error, may_have_run=False)
        if isinstance(fault, TierUnavailableError) and not isinstance(fault, TransientError):
            self._lasting.append(fault)

    def add_answer(self, address: RedisAddress, said: str) -> None:
        """Note that the answer of one is of no use."""
        self._said.append(f"{address.label}: {said}")

    def raise_if_lasting(self) -> None:
        """Say why nobody answers, if with most of them it is nothing that passes: no trust, no valid login.

        Raises:
            TierUnavailableError: A new one each time: several threads may raise it.
        """
        if 2 * len(self._lasting) > len(self._said):
            fault = self._lasting[0]
            raise type(fault)(str(fault))
