"""The shards of a cluster, in the order that was written down when the store was made.

A token decides a place in this list, so it must be the same for ever: a shard that the cluster got
later is none of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ecomind_receiver.clients import StoreError
from ecomind_receiver.store_url import StoreUrl

if TYPE_CHECKING:
    from ecomind_receiver.store import Store

_SHARDS = (
    "CREATE TABLE IF NOT EXISTS schema_shards (place UInt32, hosts Array(String))"
    " ENGINE = MergeTree ORDER BY place"
)


def freeze_shards(store: Store, url: StoreUrl) -> list[tuple[str, ...]]:
    """The hosts of each shard; written down if nobody has. Raises StoreError."""
    store.command(store.layout.migration(_SHARDS))
    kept = (
        "SELECT place, any(s.hosts) AS hosts FROM schema_shards AS s GROUP BY place ORDER BY place"
    )
    rows = store.query(kept)
    if not rows:
        known = store.query(
            "SELECT shard_num AS place, groupArray(host_name) AS hosts FROM"
            " (SELECT * FROM system.clusters WHERE cluster = {name:String}"
            " ORDER BY shard_num, replica_num) GROUP BY shard_num ORDER BY shard_num",
            {"name": url.cluster},
        )
        if not known:
            raise StoreError(
                f"The ClickHouse server at {url.where} knows no cluster {url.cluster!r}. Correct"
                " the option cluster of ECOMIND_STORE_URL, or the server's remote_servers."
            )
        values: list[list[object]] = [[row["place"], list(row["hosts"])] for row in known]
        store.insert("schema_shards", ["place", "hosts"], values, "schema_shards")
        rows = store.query(kept)
    return [tuple(row["hosts"]) for row in rows]
