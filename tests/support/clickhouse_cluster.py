"""What a cluster's statements come to on one node without a Keeper.

An engine that can't replicate takes the statements of a cluster in these words, so that their
order, their names and what is inserted where can be tried: ON CLUSTER is here, a replicated table
is a plain one with the same window, and a Distributed table is a Merge table over its local one. It
proves nothing of replication, of quorums or of reading from several shards.
"""

from __future__ import annotations

import re

NAME, HOST = "one-node", "127.0.0.1"

_RULES = (
    (rb" ON CLUSTER '[\w-]+'", rb""),
    (rb"ENGINE = Replicated(\w*MergeTree)\('[^']*', '[^']*'(?:, (\w+))?\)", rb"ENGINE = \1(\2)"),
    (rb"\breplicated_deduplication_window_seconds = \d+", rb"index_granularity = 8192"),
    (rb"\breplicated_deduplication_window =", rb"non_replicated_deduplication_window ="),
    (
        rb"ENGINE = Distributed\('[^']*', currentDatabase\(\), '(\w+)'\)",
        rb"ENGINE = Merge(currentDatabase(), '^\1$')",
    ),
    (
        rb"\bsystem\.clusters\b",
        f"(SELECT '{NAME}' AS cluster, 1 AS shard_num, 1 AS replica_num,"
        f" '{HOST}' AS host_name)".encode(),
    ),
)


def on_one_node(statement: bytes) -> bytes:
    """The statement for an engine that is alone."""
    for pattern, words in _RULES:
        statement = re.sub(pattern, words, statement)
    return statement
