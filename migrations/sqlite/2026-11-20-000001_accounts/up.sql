-- Lists and nested objects are JSON text; times are Unix milliseconds.
CREATE TABLE users (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    username TEXT NOT NULL UNIQUE,
    status INTEGER NOT NULL,
    email TEXT NOT NULL,
    description TEXT NOT NULL,
    additional_info TEXT NOT NULL,
    expiration_date BIGINT NOT NULL,
    password TEXT NOT NULL,
    public_keys TEXT NOT NULL,
    home_dir TEXT NOT NULL,
    uid BIGINT NOT NULL,
    gid BIGINT NOT NULL,
    max_sessions BIGINT NOT NULL,
    quota_size BIGINT NOT NULL,
    quota_files BIGINT NOT NULL,
    permissions TEXT NOT NULL,
    upload_bandwidth BIGINT NOT NULL,
    download_bandwidth BIGINT NOT NULL,
    filters TEXT NOT NULL,
    filesystem TEXT NOT NULL,
    last_login BIGINT NOT NULL,
    last_password_change BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE TABLE admins (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    username TEXT NOT NULL UNIQUE,
    status INTEGER NOT NULL,
    email TEXT NOT NULL,
    description TEXT NOT NULL,
    additional_info TEXT NOT NULL,
    password TEXT NOT NULL,
    permissions TEXT NOT NULL,
    filters TEXT NOT NULL,
    last_login BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE TABLE folders (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    name TEXT NOT NULL UNIQUE,
    mapped_path TEXT NOT NULL,
    description TEXT NOT NULL,
    filesystem TEXT NOT NULL
);

-- What accounts have stored: apart from them, because it changes with every
-- upload and they hardly ever. owner_kind: 0 user, 1 folder.
CREATE TABLE quota_usage (
    owner_kind INTEGER NOT NULL,
    owner_name TEXT NOT NULL,
    used_size BIGINT NOT NULL,
    used_files BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (owner_kind, owner_name)
);
