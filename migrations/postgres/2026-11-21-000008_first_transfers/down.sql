ALTER TABLE users DROP COLUMN first_download;
ALTER TABLE users DROP COLUMN first_upload;
