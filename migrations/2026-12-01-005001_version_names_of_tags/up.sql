-- Which rule has made a tag's key. The release before folds the case of names alone and does not know this column, so that
-- what it writes has the default; this release compares names by compatibility caseless matching (The Unicode Standard,
-- D146), which is computed by the application. It brings older keys up to date by itself, and merges the tags of a user
-- that are one by it.
ALTER TABLE tags ADD COLUMN name_version smallint NOT NULL DEFAULT 0;

COMMENT ON COLUMN tags.folded_name IS 'What is the same for all names that are one, for uniqueness and order. Computed by the application: by compatibility caseless matching if name_version is 1, without regard to case if it is 0.';
COMMENT ON COLUMN tags.name_version IS 'Which rule has made folded_name: 0 that of the release before, 1 that of this one.';
