-- What readMetadata said of members whose dates say nothing: BLAKE3 of its canonical form.
--
-- A member is retrieved when tonight's digest is not the last one. A digest is read before its member is retrieved, so
-- that what changes in between differs again tomorrow; null means that nothing was read, and the member is retrieved.
ALTER TABLE listed ADD COLUMN digest bytea;
ALTER TABLE staged_listed ADD COLUMN digest bytea;
