-- The corrections of a window, a month at a time: rows of calls. Made again under the same token, nothing changes.
SELECT {{ columns | join(', ') }} FROM corrections
WHERE window_end = {{ to }} AND sign != 0 AND toYYYYMM(start_time, 'UTC') = {{ month }}
SETTINGS max_threads = 1
