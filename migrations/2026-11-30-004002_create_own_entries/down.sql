DROP VIEW own_entries;
