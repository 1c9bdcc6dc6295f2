DROP INDEX admins_role;
DROP INDEX users_role;
ALTER TABLE admins DROP COLUMN role;
ALTER TABLE users DROP COLUMN role;
DROP TABLE roles;
