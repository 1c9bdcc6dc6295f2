DROP INDEX admins_role ON admins;
DROP INDEX users_role ON users;
ALTER TABLE admins DROP COLUMN role;
ALTER TABLE users DROP COLUMN role;
DROP TABLE roles;
