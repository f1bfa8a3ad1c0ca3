"""A PostgreSQL that has no room left: what is there is read, what does not fit is said."""

import contextlib
import os
import pathlib
import shutil
import subprocess
import sys

import psycopg
import pytest

from greencache import CacheConfig, CacheManager, InvalidationPending, ViewSpec
from greencache.testing import wait_until
from greencache.testing.servers.accounts import new_folder, unprivileged_account
from tests.faults.scenarios import NOT_MEASURED

MOUNT, UMOUNT = shutil.which("mount"), shutil.which("umount")

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(
        sys.platform != "linux" or os.geteuid() != 0 or None in (MOUNT, UMOUNT),
        reason=NOT_MEASURED["92"],
    ),
]


@pytest.fixture
def tiny(postgres_servers):
    """The address of a database that has 24 MB, and a connection to it."""
    server = postgres_servers()
    owner = pathlib.Path(f"/proc/{server.pid}").stat().st_uid
    folder = new_folder("greencache-tiny-", unprivileged_account())
    size = f"size=24m,mode=700,uid={owner}"
    command = [MOUNT, "-t", "tmpfs", "-o", size, "tmpfs", folder]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        pytest.skip(f"{NOT_MEASURED['92']}: {done.stderr.decode(errors='replace').strip()}")
    try:
        with psycopg.connect(server.url, autocommit=True) as admin:
            admin.execute(f"create tablespace tiny location '{folder}'")
            admin.execute("create database tiny template template0 encoding 'UTF8' tablespace tiny")
        url = server.url.rpartition("/")[0] + "/tiny"
        with psycopg.connect(url, autocommit=True, options="-c search_path=public") as database:
            yield url, database
        server.stop()
    finally:
        subprocess.run([UMOUNT, "--lazy", folder], check=False)
        with contextlib.suppress(OSError):
            folder.rmdir()


def test_a_full_disk_leaves_what_can_be_read(tiny, figure):
    """Reads answer, writes say that they are not done, and all goes on when there is room again."""
    url, database = tiny
    database.execute("create table facts as select 1 as id, 7 as value")
    spec = ViewSpec(name="fact_view", template="fact:{id}", value="value", query="select * from public.facts")
    config = CacheConfig(l1={"enabled": False}, l4={"url": url}, logging={"enabled": False})
    with CacheManager.from_config(config, views=[spec]).initialize(strict=True) as cache:
        cache.set("kept", "here")
        database.execute("create table filler (data text)")
        with pytest.raises(psycopg.errors.DiskFull):
            _fill(database)
        refused, failed = 0, 0
        for number in range(40):
            try:
                cache.set(f"big:{number}", os.urandom(200_000))
            except InvalidationPending:
                refused += 1
            failed += cache.get("fact:1") != 7
        failed += cache.get("kept") != "here"
        assert cache.get_or_load("other", lambda: os.urandom(200_000)), "what does not fit is loaded"
        figure(92, "writes that do not fit and are said", refused, "", ">= 1")
        figure(92, "reads that fail", failed, "", "== 0")
        database.execute("drop table filler")
        wait_until(lambda: _is_written(cache), deadline=30, reason="there is room again")
        assert cache.get("kept") == "here"


def _fill(database):
    rows = "select repeat(md5(random()::text), 2000) from generate_series(1, 50)"
    for _ in range(1_000):
        database.execute(f"insert into filler {rows}")


def _is_written(cache):
    with contextlib.suppress(InvalidationPending):
        cache.set("later", os.urandom(200_000))
        return cache.get("later") is not None
    return False
