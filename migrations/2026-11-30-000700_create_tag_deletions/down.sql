DROP TABLE tag_deletions;
