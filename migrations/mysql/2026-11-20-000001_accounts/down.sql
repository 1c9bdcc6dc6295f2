DROP TABLE quota_usage;
DROP TABLE folders;
DROP TABLE admins;
DROP TABLE users;
