-- Which file the database is, so that a copy is known for one. NULL until this version has opened it first.
ALTER TABLE log ADD COLUMN inode INTEGER;
ALTER TABLE log ADD COLUMN born_ns INTEGER;
