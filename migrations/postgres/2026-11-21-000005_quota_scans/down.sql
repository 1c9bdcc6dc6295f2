ALTER TABLE quota_usage DROP COLUMN scan_requested;
