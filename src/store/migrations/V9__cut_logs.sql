-- Bytes of an execution's output that its log does not hold; null when nobody has counted them.
ALTER TABLE executions ADD COLUMN log_bytes_left_out INTEGER;
