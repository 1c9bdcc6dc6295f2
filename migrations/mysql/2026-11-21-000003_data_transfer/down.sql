ALTER TABLE quota_usage DROP COLUMN downloaded;
ALTER TABLE quota_usage DROP COLUMN uploaded;
ALTER TABLE users DROP COLUMN total_data_transfer;
ALTER TABLE users DROP COLUMN download_data_transfer;
ALTER TABLE users DROP COLUMN upload_data_transfer;
