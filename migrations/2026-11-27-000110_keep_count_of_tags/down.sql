DROP TRIGGER entry_tags_are_counted ON entry_tags;
