-- What members inherit whose own quota is 0: copies of what is in user_settings, so that
-- a query can compare them.
ALTER TABLE account_groups ADD COLUMN quota_size BIGINT NOT NULL DEFAULT 0;
ALTER TABLE account_groups ADD COLUMN quota_files BIGINT NOT NULL DEFAULT 0;
UPDATE account_groups SET
    quota_size = COALESCE(json_extract(user_settings, '$.quota_size'), 0),
    quota_files = COALESCE(json_extract(user_settings, '$.quota_files'), 0);
