-- A segment's part is one file with all its columns, not one file each: forty syncs fewer before it counts as stored. What is
-- merged from a hundred of them is larger than this and has a file for each column again.
ALTER TABLE calls MODIFY SETTING min_bytes_for_wide_part = 104857600
