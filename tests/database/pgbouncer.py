"""PgBouncer in transaction mode, in front of a server."""

import contextlib
import pathlib
import shutil
import subprocess
import tempfile
import urllib.parse

import psycopg

from greencache.testing import wait_until
from greencache.testing.servers.accounts import hand_over, new_folder, unprivileged_account
from greencache.testing.servers.launching import popen_arguments
from greencache.testing.servers.ports import free_port

SETTINGS = """
[databases]
{database} = host={host} port={server} user={user} password={password}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 3
max_client_conn = 200
"""


def program():
    """Return where PgBouncer is; `None` if it is not on the PATH."""
    return shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin:/usr/local/sbin")


@contextlib.contextmanager
def pooled(url):
    """Run PgBouncer before a database, and yield the URL that leads through it."""
    parts, port, account = urllib.parse.urlsplit(url), free_port(), unprivileged_account()
    folder = new_folder("greencache-pgbouncer-", account)
    settings = folder / "pgbouncer.ini"
    settings.write_text(
        SETTINGS.format(
            database=parts.path.lstrip("/"),
            host=parts.hostname,
            server=parts.port,
            user=parts.username,
            password=urllib.parse.unquote(parts.password),
            port=port,
        )
    )
    hand_over(folder, account)
    with tempfile.TemporaryFile() as log:
        command = [program(), str(settings)]
        child = subprocess.Popen(command, stdout=log, stderr=log, **popen_arguments(folder, account))
        through = parts._replace(netloc=f"{parts.username}@127.0.0.1:{port}").geturl()
        try:
            wait_until(lambda: answers(through), reason="PgBouncer answers")
            yield through
        finally:
            child.terminate()
            child.wait(10)
            shutil.rmtree(pathlib.Path(folder))


def answers(url):
    """Return whether a database can be reached."""
    with contextlib.suppress(psycopg.Error), psycopg.connect(url, prepare_threshold=None):
        return True
    return False
