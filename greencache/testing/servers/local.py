"""A server started as a program of this machine."""

import atexit
import os
import pathlib
import shutil
import signal
import subprocess
from typing import Protocol

from greencache.testing.servers.accounts import Account, new_folder
from greencache.testing.servers.errors import PortTakenError, ServerControlError, ServerStartError
from greencache.testing.servers.family import kill_family, pause_family, resume_family
from greencache.testing.servers.launching import popen_arguments
from greencache.testing.servers.lifeline import Lifeline
from greencache.testing.servers.ports import free_port
from greencache.testing.waiting import WaitTimeoutError, wait_until
from greencache.typing import Seconds

__all__ = ["LocalRunner", "Program"]

_ATTEMPTS = 10
_LOG_SHOWN = 4_000


class Program(Protocol):
    """What is different between one server program and another."""

    @property
    def name(self) -> str:
        """Its name, for folders and messages."""
        ...

    @property
    def account(self) -> Account | None:
        """As whom it must run; `None` for ourselves."""
        ...

    @property
    def stop_signal(self) -> signal.Signals:
        """What makes it end soon and in good order."""
        ...

    def install(self, folder: pathlib.Path) -> None:
        """Put into the server's folder what it needs there once."""
        ...

    def fill(self, folder: pathlib.Path) -> None:
        """Make an empty store below the server's folder."""
        ...

    def command(self, folder: pathlib.Path, port: int) -> list[str]:
        """Return its command line, to stay in the foreground and log to stderr."""
        ...

    def answers(self, folder: pathlib.Path, port: int, pid: int) -> bool:
        """Say whether it is this very process that serves on the port."""
        ...

    def clear_remains(self, folder: pathlib.Path) -> None:
        """Remove what it leaves behind, outside its folder too, when it is killed."""
        ...

    def url(self, port: int) -> str:
        """Return where clients connect."""
        ...

    def describe(self) -> str:
        """Return its version."""
        ...


class LocalRunner:
    """Starts a program on a free port of 127.0.0.1 in a temporary folder, and stops it by its process id.

    The server ends with the process that made this object, by an exit handler or by its lifeline.

    Args:
        program: Which server.
        persist: Whether what it stores survives a stop or a kill; else each start begins empty.
        deadline: Seconds for it to come up, and for it to go down before it is killed.
    """

    def __init__(self, program: Program, *, persist: bool, deadline: Seconds) -> None:
        self._program = program
        self._persist = persist
        self._deadline = deadline
        self._owner = os.getpid()
        self._folder: pathlib.Path | None = None
        self._port: int | None = None
        self._child: subprocess.Popen[bytes] | None = None
        self._lifeline: Lifeline | None = None

    @property
    def url(self) -> str:
        """Where clients connect, also while it is down."""
        if self._port is None:
            raise ServerControlError(f"{self._program.name} was never started and has no port; call start()")
        return self._program.url(self._port)

    @property
    def pid(self) -> int | None:
        """Its process id while it runs."""
        return self._child.pid if self._child is not None and self.is_running else None

    @property
    def is_running(self) -> bool:
        """Whether its process exists."""
        return self._child is not None and self._child.poll() is None

    def start(self) -> None:
        """Start it and wait until it answers: at first on a free port, then always on that port.

        Raises:
            ServerStartError: It did not come up; the message ends with its log.
            ServerControlError: It runs already.
        """
        self._require_owner()
        if self.is_running:
            raise ServerControlError(
                f"{self._program.name} runs already, as process {self.pid}; stop() first"
            )
        self._forget_child()  # it may have ended by itself
        if self._port is not None:
            self._launch(self._port)
            return
        try:
            self._port = self._launch_somewhere()
        except BaseException:
            self.close()
            raise

    def stop(self) -> None:
        """Stop it in good order, or kill it when that takes too long; its folder stays for another start."""
        self._require_owner()
        if self._child is not None and self.is_running:
            self.resume()  # the frozen do not hear the signal
            self._child.send_signal(self._program.stop_signal)
            try:
                self._child.wait(self._deadline)
            except subprocess.TimeoutExpired:
                self._kill(self._child.pid)
        self._forget_child()

    def kill(self) -> None:
        """End it and its children at once with SIGKILL."""
        self._kill(self._require_running())
        self._forget_child()

    def pause(self) -> None:
        """Freeze it and its children with SIGSTOP: the kernel still accepts connections, nothing answers."""
        family = pause_family(self._require_running())
        self._paused_list.write_text(" ".join(map(str, family)))

    def resume(self) -> None:
        """Let it run on after `pause`."""
        resume_family(self._require_running())
        self._paused_list.unlink(missing_ok=True)

    def close(self) -> None:
        """Stop it and remove its folder."""
        self.stop()
        if self._folder is not None:
            shutil.rmtree(self._folder)
            self._folder = None
        atexit.unregister(self._close_at_exit)

    def describe(self) -> str:
        """Return the program's version."""
        return self._program.describe()

    def log(self) -> str:
        """Return what it has logged since its first start."""
        path = self._folder / "log" if self._folder is not None else None
        return path.read_text(errors="replace") if path is not None and path.exists() else ""

    def _launch_somewhere(self) -> int:
        for attempt in range(_ATTEMPTS):
            port = self._choose_port()
            try:
                self._launch(port)
            except PortTakenError:
                if attempt == _ATTEMPTS - 1:
                    raise
            else:
                return port
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _choose_port(self) -> int:
        return free_port()

    def _launch(self, port: int) -> None:
        folder = self._prepared_folder()
        try:
            with (folder / "log").open("ab") as log:
                self._child = subprocess.Popen(
                    self._program.command(folder, port),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    **popen_arguments(folder, self._program.account),
                )
            self._lifeline = Lifeline(self._child.pid, self._program.stop_signal.name[3:], str(folder))
            self._await_answer(self._child, folder, port)
        except BaseException as error:
            self._abandon()
            if isinstance(error, OSError | subprocess.SubprocessError):
                raise ServerStartError(f"{self._program.name} could not be run: {error}") from error
            raise

    def _prepared_folder(self) -> pathlib.Path:
        if self._folder is None:
            self._folder = new_folder(f"greencache-{self._program.name}-", self._program.account)
            atexit.register(self._close_at_exit)
            self._program.install(self._folder)
        store = self._folder / "store"
        if store.exists() and not self._persist:
            shutil.rmtree(store)
        if not store.exists():
            self._program.fill(self._folder)
        return self._folder

    def _await_answer(self, child: subprocess.Popen[bytes], folder: pathlib.Path, port: int) -> None:
        name = self._program.name
        try:
            wait_until(
                lambda: child.poll() is not None or self._program.answers(folder, port, child.pid),
                reason=f"{name} answers on port {port}",
                deadline=self._deadline,
            )
        except WaitTimeoutError as error:
            raise ServerStartError(f"{error}\n{self._end_of_log()}") from error
        if child.poll() is not None:
            log = self._end_of_log()
            wrong = PortTakenError if "already in use" in log else ServerStartError
            raise wrong(
                f"{name} ended with status {child.returncode} before it answered on port {port}\n{log}"
            )

    def _end_of_log(self) -> str:
        return f"the end of its log:\n{self.log()[-_LOG_SHOWN:]}"

    def _abandon(self) -> None:
        if self._child is not None and self._child.poll() is None:
            self._kill(self._child.pid)
        self._forget_child()

    def _kill(self, pid: int) -> None:
        kill_family(pid)
        if self._folder is not None:
            self._program.clear_remains(self._folder)

    def _forget_child(self) -> None:
        # The watch ends before wait() gives the process id back, lest a later owner of that number be hit.
        if self._lifeline is not None:
            self._lifeline.release()
            self._lifeline = None
        if self._child is not None:
            self._child.wait()
            self._child = None
            self._paused_list.unlink(missing_ok=True)

    @property
    def _paused_list(self) -> pathlib.Path:
        """For the lifeline: a frozen family is told to go on before it is told to end."""
        assert self._folder is not None
        return self._folder / "paused"

    def _require_running(self) -> int:
        self._require_owner()
        if self._child is None or self._child.poll() is not None:
            raise ServerControlError(f"{self._program.name} is not running; start() it first")
        return self._child.pid

    def _require_owner(self) -> None:
        if os.getpid() != self._owner:
            raise ServerControlError(
                f"{self._program.name} belongs to process {self._owner}; only that one may start or stop it, "
                f"and this is its fork {os.getpid()}"
            )

    def _close_at_exit(self) -> None:
        # A forked child that leaves by sys.exit() runs this too.
        if os.getpid() == self._owner:
            self.close()
