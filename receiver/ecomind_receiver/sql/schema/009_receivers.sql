-- Receivers that share this store: everything that one received before `stored_until` is stored. A window is closed, and a day,
-- once that holds for each. Rows of the same receiver replace each other; one that left has nothing more to store.
CREATE TABLE IF NOT EXISTS receivers
(
    receiver      String,
    stored_until  DateTime64(6, 'UTC'),
    has_left      UInt8,
    seen_at       DateTime64(6, 'UTC')                -- by the store's own clock
)
ENGINE = ReplacingMergeTree(seen_at)
ORDER BY receiver
