ALTER TABLE account_groups DROP COLUMN quota_size;
ALTER TABLE account_groups DROP COLUMN quota_files;
