"""Whatever is written in names, keys, tags, patterns and templates is never run as SQL."""

import contextlib

import psycopg
import pytest

from greencache import CacheManager, GreencacheError, RefreshPolicy, TableWatcher, ViewSpec
from greencache.keys import Pattern

pytestmark = pytest.mark.faults

ATTACKS = [
    "'; drop table canary; --",
    '"; drop table canary; --',
    "x'); drop table canary; --",
    'x"); drop table canary; --',
    "$body$; drop table canary; $body$",
    "$1; drop table canary",
    "%s; %(keys)s; %%; drop table canary",
    "{schema}; {0}; drop table canary",
    "\\'; drop table canary; --",
    "E'\\''; drop table canary; --",
    "a\n; drop table canary; --",
    "/* */; drop table canary",
    "%",
    "_",
    "U&'\\0027'; drop table canary",
]

QUERY = "select text, value from public.canary"


@pytest.fixture
def url(postgres_url):
    """A database with something to lose."""
    with psycopg.connect(postgres_url, autocommit=True) as database:
        database.execute("create table public.canary (text text primary key, value int)")
        for number, text in enumerate(ATTACKS):
            database.execute("insert into public.canary values (%s, %s)", [text, number])
    return postgres_url + "?options=-csearch_path%3Dpublic"


def test_no_text_is_run(url, figure):
    """As a key, a tag, a pattern; in a template, a name of a view, a column, a table, a schema."""
    tried = 0
    with CacheManager.from_urls(l1=None, l4=url, namespace="sql") as cache:
        for text in ATTACKS:
            cache.set(text, text, tags=[text])
            assert cache.get(text) == text
            assert cache.invalidate(pattern=Pattern.escape(text) + "*") >= 1
            assert cache.get(text) is None
            cache.set("other", 1, tags=[text])
            cache.invalidate(tags=[text])
            assert cache.get("other") is None
            tried += 3
        # So many that they are copied.
        many = {f"{text}{number}": number for text in ATTACKS for number in range(80)}
        cache.mset(many)
        assert cache.mget(list(many)) == many
    for text in ATTACKS:
        for call in (_read_view, _name_view, _depend_on, _watch, _use_schema):
            # Refused by an error of ours, or done with the text as a name.
            with contextlib.suppress(GreencacheError, psycopg.errors.SyntaxError):
                call(url, text)
            tried += 1
    with psycopg.connect(url) as database:
        rows = database.execute("select count(*) from public.canary").fetchone()[0]
    figure(99, "texts tried as SQL", tried)
    figure(99, "texts run", len(ATTACKS) - rows, "", "== 0")


def _open(url, *views, **options):
    with CacheManager.from_urls(l1=None, l4=url, namespace="sql", views=views, **options) as cache:
        cache.initialize(strict=True)
        for view in views:
            cache.refresh_view(view.name)
            cache.invalidate(pattern="*")
        return cache.mget([view.keys.format(text=text) for view in views for text in ATTACKS])


def _read_view(url, text):
    spec = ViewSpec(
        name="canary_view", template=text.replace("{", "").replace("}", "") + ":{text}", value="value",
        query=QUERY,
    )  # fmt: skip
    with CacheManager.from_urls(l1=None, l4=url, namespace="sql", views=[spec]) as cache:
        cache.initialize(strict=True)
        cache.refresh_view("canary_view")
        key = spec.keys.format(text=text)
        assert cache.get(key) == ATTACKS.index(text)
        cache.invalidate(key)
        assert cache.get(key) is None


def _name_view(url, text):
    _open(
        url,
        ViewSpec(
            name=text, template="v:{text}", value="value", query="select text, value from public.canary"
        ),
    )
    _open(url, ViewSpec(name="canary_view", template="v:{text}", columns={"text": text}, value=[text]))


def _depend_on(url, text):
    policy = RefreshPolicy(on=[text])
    _open(
        url,
        ViewSpec(
            name="depends", template="v:{text}", value="text", query="select 'x' as text", refresh=policy
        ),
    )


def _watch(url, text):
    with TableWatcher(url, namespace="sql") as watcher:
        watcher.watch("public.canary", keys=[text.replace("{", "").replace("}", "") + ":{text}"], tags=[text])
        with psycopg.connect(url) as writer:
            writer.execute("update canary set value = value where text = %s", [text])
        watcher.unwatch("public.canary")
        watcher.watch(text, keys=["x:{text}"])


def _use_schema(url, text):
    with TableWatcher(url, namespace="sql", schema=text) as watcher:
        watcher.migrate()
        watcher.watch("public.canary", keys=["x:{text}"])
        with psycopg.connect(url) as writer:
            writer.execute("update canary set value = value")
        watcher.unwatch("public.canary")
