-- When a quota scan was asked for that is not done yet, as Unix milliseconds; 0 for none.
ALTER TABLE quota_usage ADD COLUMN scan_requested BIGINT NOT NULL DEFAULT 0;
