-- A checksum of each row, as `integrity.rs` reads it; null in rows that an earlier version has written.
ALTER TABLE tasks ADD COLUMN sum INTEGER;
ALTER TABLE events ADD COLUMN sum INTEGER;
