-- What users may transfer, in MB, and what was transferred, in bytes.
ALTER TABLE users ADD COLUMN upload_data_transfer BIGINT NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN download_data_transfer BIGINT NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN total_data_transfer BIGINT NOT NULL DEFAULT 0;
ALTER TABLE quota_usage ADD COLUMN uploaded BIGINT NOT NULL DEFAULT 0;
ALTER TABLE quota_usage ADD COLUMN downloaded BIGINT NOT NULL DEFAULT 0;
