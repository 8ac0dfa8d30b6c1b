-- The rows of these suspects that stand, shaped like staging, so that the rules for a segment apply to them; those of an
-- earlier, closed window are marked as settled. Their order is that of the spans' ids, and of receipt only for one span sent
-- twice: which of two equal spans counts must not hang on how they were split over segments.
{% import 'keys.sql' as made %}
INSERT INTO {{ staging }}
SELECT
    org_id, project_id, any(calls.team), any(calls.service), any(calls.provider), request_model, response_model,
    any(calls.place), any(calls.operation), any(calls.service_tier), any(calls.scope), any(calls.signal),
    min(calls.start_time), any(calls.duration_us), trace_hash, span_id, any(calls.parent_span_id), any(calls.response_hash),
    any(calls.input_tokens), any(calls.cache_read_tokens), any(calls.cache_write_tokens), any(calls.output_tokens),
    any(calls.reasoning_tokens), any(calls.lent_reasoning), any(calls.parent_span_id) != 0 AND bitAnd(usage_states, {{ made.reasoning_bits }}) = 0,
    any(calls.coef_id) IN (SELECT coef_id FROM coefficients WHERE method = 'measured'),
    any(calls.images + calls.audio_ms + calls.video_ms > 0), any(calls.spend_microusd), any(calls.usage_quality), usage_states,
    'stored', any(calls.reason), segment_id, counted,
    min(received_at) < {{ from }},
    cityHash64(cityHash64(org_id), trace_hash, span_id),
    if(any(calls.response_hash) = 0, 0, cityHash64(cityHash64(org_id), any(calls.response_hash))),
    0 AS resolve_key, 0 AS name_key,
    row_number() OVER (ORDER BY org_id, trace_hash, span_id, min(received_at), segment_id, counted)
FROM calls
WHERE {{ made.may_be_resent(to, resent_look_back, spend_look_back) }}
  AND (cityHash64(org_id, trace_hash, span_id) IN (SELECT key FROM {{ suspects }} WHERE kind = 'span')
       OR (received_at >= {{ from }} - {{ look_back }}
           AND ((response_hash != 0 AND counted AND cityHash64(org_id, response_hash) IN (SELECT key FROM {{ suspects }} WHERE kind = 'response'))
                OR (counted AND spend_microusd = 0 AND {{ made.alike_key() }} IN (SELECT key FROM {{ suspects }} WHERE kind = 'alike'))
                OR (response_hash = 0 AND {{ made.apart_scope(apart_scopes) }}
                    AND {{ made.opened_key() }} IN (SELECT key FROM {{ suspects }} WHERE kind = 'opened'))
                OR cityHash64(org_id, trace_hash) IN (SELECT key FROM {{ suspects }} WHERE kind = 'trace')
                OR cityHash64(org_id, trace_hash, span_id) IN (SELECT key FROM {{ suspects }} WHERE kind = 'parent')
                OR (parent_span_id != 0 AND cityHash64(org_id, trace_hash, parent_span_id) IN (SELECT key FROM {{ suspects }} WHERE kind = 'parent'))
                OR (counted AND cityHash64(org_id, project_id, service) IN (SELECT key FROM {{ suspects }} WHERE kind = 'service')))))
GROUP BY org_id, project_id, trace_hash, span_id, segment_id, counted, {{ version }}
HAVING sum(sign) > 0
SETTINGS max_bytes_before_external_group_by = 500000000, prefer_column_name_to_alias = 1
