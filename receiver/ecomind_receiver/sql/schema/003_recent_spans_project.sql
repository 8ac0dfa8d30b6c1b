-- Whoever may read one project only must not see the spans of its neighbours. Spans from before this
-- column, kept for a day, belong to no project here and are seen by the whole organisation only.
ALTER TABLE recent_spans ADD COLUMN IF NOT EXISTS project_id LowCardinality(String) AFTER org_id
