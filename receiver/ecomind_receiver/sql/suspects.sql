-- What a window may have counted twice, or where a call may know more by now, as hashes, from the window and {{ look_back }}
-- seconds before it; a span that was sent again, from longer ago, and a line of an invoice from as long as it is kept. In
-- buckets, so that memory is bounded.
{% import 'keys.sql' as made %}
{% set recent = 'received_at >= ' ~ from ~ ' - ' ~ look_back ~ ' AND received_at < ' ~ to %}
INSERT INTO {{ suspects }}
SELECT 'span', cityHash64(org_id, trace_hash, span_id) AS key
FROM calls
WHERE {{ made.may_be_resent(to, resent_look_back, spend_look_back) }} AND trace_hash % {{ buckets }} = {{ bucket }}
  AND (org_id, trace_hash, span_id) IN
  (
      SELECT org_id, trace_hash, span_id FROM calls
      WHERE received_at >= {{ from }} AND received_at < {{ to }} AND trace_hash % {{ buckets }} = {{ bucket }}
  )
GROUP BY org_id, trace_hash, span_id HAVING sum(sign) > 1
UNION ALL
SELECT 'response', cityHash64(org_id, response_hash) AS key
FROM calls
WHERE {{ recent }} AND counted AND response_hash != 0 AND response_hash % {{ buckets }} = {{ bucket }}
GROUP BY org_id, response_hash HAVING sum(sign) > 1
UNION ALL
SELECT 'alike', {{ made.alike_key() }} AS key
FROM calls
WHERE {{ recent }} AND counted AND operation != 'invoke_agent' AND spend_microusd = 0 AND key % {{ buckets }} = {{ bucket }}
GROUP BY key HAVING sum(sign) > 1 AND uniqExact(if(response_hash != 0, '', toString(scope))) > 1
UNION ALL
SELECT DISTINCT 'trace', cityHash64(org_id, trace_hash) AS key
FROM calls
WHERE {{ recent }} AND counted AND operation = 'invoke_agent' AND {{ bucket }} = 0
UNION ALL
SELECT DISTINCT 'parent', cityHash64(org_id, trace_hash, parent_span_id) AS key
FROM calls
WHERE {{ recent }} AND parent_span_id != 0 AND trace_hash % {{ buckets }} = {{ bucket }}
  AND (org_id, trace_hash, parent_span_id) IN
  (
      SELECT org_id, trace_hash, span_id FROM calls
      WHERE {{ recent }} AND trace_hash % {{ buckets }} = {{ bucket }}
        AND (lent_reasoning > 0 OR (org_id, trace_hash, span_id) IN
             (SELECT org_id, trace_hash, parent_span_id FROM calls
              WHERE {{ recent }} AND parent_span_id != 0 AND trace_hash % {{ buckets }} = {{ bucket }} AND {{ made.nameless() }}))
  )
UNION ALL
SELECT DISTINCT 'opened', {{ made.opened_key() }} AS key
FROM calls
WHERE {{ recent }} AND counted AND usage_quality = 'estimated' AND response_hash = 0 AND {{ made.apart_scope(apart_scopes) }} AND {{ bucket }} = 0
UNION ALL
SELECT DISTINCT 'service', cityHash64(org_id, project_id, service) AS key
FROM calls
WHERE {{ recent }} AND counted AND signal = 'log' AND spend_microusd = 0 AND {{ bucket }} = 0
SETTINGS insert_deduplicate = 0, async_insert = 0, max_threads = 1, max_bytes_before_external_group_by = 500000000
