-- What became of the spans of a segment, and how often they named another tenant than their key's.
SELECT org_id, project_id, max(s.received_at) AS received_at,
       if(s.row IN (SELECT row FROM {{ losers }} WHERE verdict = 'resent'), 'resent', s.outcome) AS outcome,
       count() AS spans, sum(s.claims) AS claims
FROM {{ staging }} AS s
GROUP BY org_id, project_id, outcome
SETTINGS prefer_column_name_to_alias = 0
