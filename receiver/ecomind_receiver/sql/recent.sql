-- The last spans that each organisation has in a segment, and why each counted or not: rows of recent_spans.
SELECT s.received_at, {{ segment_id }}, org_id, project_id, s.trace_id, s.span_id, service, scope,
       if(response_model != '', response_model, request_model) AS model,
       if(verdict = 'resent', 'resent', s.outcome), if(verdict NOT IN ('', 'resent'), verdict, s.reason)
FROM {{ staging }} AS s
LEFT ANY JOIN {{ losers }} AS l ON s.row = l.row
WHERE s.row IN
(
    SELECT arrayJoin(groupArrayLast(100)(row)) FROM {{ staging }}
    WHERE length(trace_id) = 16 AND length(span_id) = 8
    GROUP BY org_id
)
SETTINGS max_threads = 1
