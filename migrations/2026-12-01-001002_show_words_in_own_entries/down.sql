-- It is made again with the columns of before.
DROP VIEW own_entries;
