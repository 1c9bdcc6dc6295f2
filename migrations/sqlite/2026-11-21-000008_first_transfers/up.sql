-- When an account first uploaded and downloaded, in milliseconds since the epoch; 0 is
-- not yet, or before this was noted.
ALTER TABLE users ADD COLUMN first_upload BIGINT NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN first_download BIGINT NOT NULL DEFAULT 0;
