"""SELECTs over what has come in: what is stored and reconciled, and what became of each span.

`Queries` asks them; `held.within` puts the condition that binds the tenant where they say `{own}`.
"""

from __future__ import annotations

IS_STORED = """
SELECT 1 FROM calls
WHERE {own} AND trace_hash = {trace_hash:UInt64} AND span_id = {span_id:UInt64}
LIMIT 1
"""

CALLS_PER_MINUTE = """
SELECT dateDiff('minute', start_time, {to:DateTime64(6, 'UTC')}) AS age_minutes,
       sum(toInt64(sign)) AS calls
FROM calls
WHERE {own} AND counted
  AND start_time >= {from:DateTime64(6, 'UTC')} AND start_time <= {to:DateTime64(6, 'UTC')}
GROUP BY age_minutes
"""

RECONCILED_UNTIL = "SELECT max(window_end) AS until, count() AS windows FROM reconciled"

FIRST_RECEIVED = """
SELECT min(received_at) AS first FROM calls WHERE {own} HAVING count() > 0
"""

RECENT_SPANS = """
SELECT received_at, lower(hex(trace_id)) AS trace_id, lower(hex(span_id)) AS span_id, service,
       scope, model, outcome, reason
FROM recent_spans
WHERE {own}
ORDER BY received_at DESC, segment_id DESC
LIMIT {limit:UInt32}
"""

COUNTED_SINCE = """
SELECT toBool(counted) AS counted, reason, usage_quality, sum(toInt64(sign)) AS calls,
       sum(sign * toInt64(c.input_tokens)) AS input, sum(sign * toInt64(c.output_tokens)) AS output,
       sum(sign * toInt64(c.cache_read_tokens)) AS cache_read,
       sum(sign * toInt64(c.cache_write_tokens)) AS cache_write,
       sum(sign * toInt64(c.reasoning_tokens)) AS reasoning
FROM calls AS c
WHERE {own} AND received_at >= {from:DateTime('UTC')}
GROUP BY counted, reason, usage_quality
"""

OUTCOMES = """
SELECT outcome, sum(spans) AS spans
FROM span_outcomes
WHERE {own} AND received_at >= {from:DateTime('UTC')}
GROUP BY outcome
ORDER BY outcome
"""
