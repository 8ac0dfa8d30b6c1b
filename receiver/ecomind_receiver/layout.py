"""How the tables of the one schema lie on a store: as written, on one server, or over a cluster.

Migrations are written for one engine. For a server only the windows of tokens change; for a cluster
each table becomes a replicated one on every node. Tables that grow with the calls are split over
the shards: the rows lie in `…_local`, and a Distributed table under the plain name reads them all.
Small ones are whole on every node, so that a join finds them there. What has a token is inserted
into the local table of the shard that the token decides, never through a Distributed table, so
that a retry meets the shard that knows the token.
"""

from __future__ import annotations

import re
from hashlib import blake2b

LOCAL = "_local"
SHARDED = (
    "calls", "usage_hourly", "span_outcomes", "recent_spans", "corrections", "closed_usage",
    "restated_usage",
)  # fmt: skip
"""Tables that are split over the shards of a cluster; all others are whole on every node."""

WINDOW_BLOCKS = 4 * 1 * 2 * 6 * 3600
"""Tokens that a table of a server remembers: 4 receivers × 1 segment a second each × 2 partitions
that a segment touches about midnight × 6 hours that one of them may be away, having stored a
segment and not deleted it: 172,800. See docs/server-mode.md."""

WINDOW_SECONDS = 7 * 24 * 3600
"""How long a cluster remembers them at most; its own default is an hour."""

_EMBEDDED_WINDOW = re.compile(r"non_replicated_deduplication_window = \d+")
_ENGINE = re.compile(r"ENGINE = (\w*MergeTree)(?:\((.*?)\))?")
_CREATE = re.compile(r"CREATE TABLE IF NOT EXISTS (\w+)")
_ALTER = re.compile(r"ALTER TABLE (\w+)")
_VIEW = re.compile(r"CREATE MATERIALIZED VIEW IF NOT EXISTS (\w+) TO (\w+) AS")
_PLAIN_VIEW = re.compile(r"(CREATE VIEW( IF NOT EXISTS)?|DROP VIEW IF EXISTS) (\w+)")
_FROM_CALLS = re.compile(r"\bFROM calls\b")


class Layout:
    """Statements as they are, for the engine in this process."""

    def local(self, table: str) -> str:
        """The table that rows are inserted into."""
        return table

    def migration(self, statement: str) -> str:
        """A statement of a migration for this store; empty: there is nothing to do."""
        return statement

    def everywhere(self, statement: str) -> str:
        """A DDL statement that names a table or view, made to run on every node."""
        return statement

    def readers(self) -> list[str]:
        """What makes the tables that are only read from, once the others are as they should be."""
        return []


class ServerLayout(Layout):
    """One server: the same tables, with windows that are wide enough for several receivers."""

    def migration(self, statement: str) -> str:
        """The same with a wider window."""
        window = f"non_replicated_deduplication_window = {WINDOW_BLOCKS}"
        return _EMBEDDED_WINDOW.sub(window, statement)


class ClusterLayout(Layout):
    """Several servers: replicated tables made ON CLUSTER, split over the shards or not."""

    def __init__(self, cluster: str) -> None:
        self.cluster = cluster
        self._on = f"ON CLUSTER '{cluster}'"

    def local(self, table: str) -> str:
        """The part of the table on one shard, if it is split."""
        return table + LOCAL if table in SHARDED else table

    def migration(self, statement: str) -> str:
        """Views that only read are made anew at the end, over the Distributed tables."""
        if _PLAIN_VIEW.match(statement):
            return ""
        if view := _VIEW.match(statement):
            name, target = view.groups()
            head = f"CREATE MATERIALIZED VIEW IF NOT EXISTS {name} {self._on}"
            body = statement[view.end() :]
            return self._reading(f"{head} TO {self.local(target)} AS{body}")
        if created := _CREATE.match(statement):
            return self._created(statement, created[1])
        if altered := _ALTER.match(statement):
            return self._altered(statement, altered[1])
        raise ValueError(f"No rule says how this runs on a cluster: {statement[:80]}")

    def everywhere(self, statement: str) -> str:
        """With ON CLUSTER."""
        named = re.compile(
            r"((?:DETACH|ATTACH|CREATE|DROP|ALTER) (?:TABLE|VIEW)(?: IF (?:NOT )?EXISTS)? \w+)"
        )
        return named.sub(rf"\1 {self._on}", statement, count=1)

    def readers(self) -> list[str]:
        """The Distributed tables, with the columns that the local ones have now."""
        return [
            f"CREATE OR REPLACE TABLE {name} {self._on} AS {self.local(name)}"
            f" ENGINE = Distributed('{self.cluster}', currentDatabase(), '{self.local(name)}')"
            for name in SHARDED
        ]

    def _created(self, statement: str, name: str) -> str:
        local = self.local(name)
        # The macros {shard} and {replica} are of each node's own configuration.
        where, who = (
            (f"{{database}}/{{shard}}/{local}", "{replica}")
            if name in SHARDED
            else (f"{{database}}/all/{local}", "{shard}-{replica}")
        )

        def engine(found: re.Match[str]) -> str:
            more = f", {found[2]}" if found[2] else ""
            return f"ENGINE = Replicated{found[1]}('/clickhouse/ecomind/{where}', '{who}'{more})"

        windows = (
            f"replicated_deduplication_window = {WINDOW_BLOCKS},"
            f" replicated_deduplication_window_seconds = {WINDOW_SECONDS}"
        )
        text = _CREATE.sub(f"CREATE TABLE IF NOT EXISTS {local} {self._on}", statement, count=1)
        text = _ENGINE.sub(engine, text, count=1)
        return self._reading(_EMBEDDED_WINDOW.sub(windows, text))

    def _altered(self, statement: str, name: str) -> str:
        """A table that is whole on every node is altered on one: the change is replicated."""
        on = self._on + " " if name in SHARDED or name.endswith("_mv") else ""
        text = _ALTER.sub(f"ALTER TABLE {self.local(name)} {on}".rstrip(), statement, count=1)
        return self._reading(text)

    def _reading(self, statement: str) -> str:
        """What a local table is made from are the local rows."""
        return _FROM_CALLS.sub(f"FROM calls{LOCAL} AS calls", statement)


def shard_of(token: str, shards: int) -> int:
    """The place in the frozen list of shards that a token decides."""
    digest = blake2b(token.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % shards
