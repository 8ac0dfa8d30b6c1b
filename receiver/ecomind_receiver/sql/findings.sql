-- What a segment holds that takes a statement of its own; most hold nothing of it.
SELECT uniqExact(span_key) != count() AS several,
       countIf(reason = '' AND response_hash != 0) AS with_id,
       countIf(reason = '' AND response_hash = 0) AS without_id,
       countIf(reason = '' AND operation = 'invoke_agent') AS stand_ins,
       countIf(reason = '' AND signal = 'log' AND spend_microusd = 0) AS from_logs,
       countIf(reason = 'error' AND parent_number != 0) AS failed
FROM {{ staging }}
WHERE outcome = 'stored'
