-- The role that drivers use: they run what users submit, so they may do what a job needs and no more. They see neither keys nor
-- browsers' cookies, delete no job, and change no schema. They can write to every job, not to their own alone, and name files as
-- litter: whoever can run code in a driver can spoil results, though not read a key. Run after every migration, as the owner of
-- the tables; running it again changes nothing but the password, which is the text of `password_file`.
\set ON_ERROR_STOP on
\set password `cat :'password_file'`

SELECT 'CREATE ROLE nas_driver LOGIN' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'nas_driver') \gexec
ALTER ROLE nas_driver LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD :'password';

BEGIN;
REVOKE ALL ON ALL TABLES IN SCHEMA public FROM nas_driver, PUBLIC;
REVOKE ALL ON ALL SEQUENCES IN SCHEMA public FROM nas_driver, PUBLIC;
REVOKE ALL ON SCHEMA public FROM nas_driver, PUBLIC;
SELECT format('REVOKE ALL ON DATABASE %I FROM nas_driver, PUBLIC', current_database()) \gexec
SELECT format('GRANT CONNECT ON DATABASE %I TO nas_driver', current_database()) \gexec
GRANT USAGE ON SCHEMA public TO nas_driver;

GRANT SELECT, INSERT, UPDATE ON jobs, candidates, artifacts, litter TO nas_driver; -- a search queues its training
GRANT SELECT, INSERT, UPDATE ON arm_tables, usage, totals TO nas_driver; -- one row grows, or is written anew
GRANT SELECT, INSERT ON samples, arm_rounds, architectures, candidate_epochs, datasets, events TO nas_driver;
GRANT SELECT ON file_holds TO nas_driver; -- while a backup is made, nothing is deleted
GRANT USAGE ON SEQUENCE events_id_seq TO nas_driver;
COMMIT;
