-- Lists and nested objects are JSON text; times are Unix milliseconds. Names
-- compare by bytes, as on the other engines.
CREATE TABLE users (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    username VARCHAR(255) NOT NULL UNIQUE,
    status INTEGER NOT NULL,
    email LONGTEXT NOT NULL,
    description LONGTEXT NOT NULL,
    additional_info LONGTEXT NOT NULL,
    expiration_date BIGINT NOT NULL,
    password LONGTEXT NOT NULL,
    public_keys LONGTEXT NOT NULL,
    home_dir LONGTEXT NOT NULL,
    uid BIGINT NOT NULL,
    gid BIGINT NOT NULL,
    max_sessions BIGINT NOT NULL,
    quota_size BIGINT NOT NULL,
    quota_files BIGINT NOT NULL,
    permissions LONGTEXT NOT NULL,
    upload_bandwidth BIGINT NOT NULL,
    download_bandwidth BIGINT NOT NULL,
    filters LONGTEXT NOT NULL,
    filesystem LONGTEXT NOT NULL,
    last_login BIGINT NOT NULL,
    last_password_change BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE admins (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    username VARCHAR(255) NOT NULL UNIQUE,
    status INTEGER NOT NULL,
    email LONGTEXT NOT NULL,
    description LONGTEXT NOT NULL,
    additional_info LONGTEXT NOT NULL,
    password LONGTEXT NOT NULL,
    permissions LONGTEXT NOT NULL,
    filters LONGTEXT NOT NULL,
    last_login BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE folders (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    name VARCHAR(255) NOT NULL UNIQUE,
    mapped_path LONGTEXT NOT NULL,
    description LONGTEXT NOT NULL,
    filesystem LONGTEXT NOT NULL
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- What accounts have stored: apart from them, because it changes with every
-- upload and they hardly ever. owner_kind: 0 user, 1 folder.
CREATE TABLE quota_usage (
    owner_kind INTEGER NOT NULL,
    owner_name VARCHAR(255) NOT NULL,
    used_size BIGINT NOT NULL,
    used_files BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (owner_kind, owner_name)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
