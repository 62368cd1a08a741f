-- What worker and result may do, and nothing else. The owner, who runs the migrations, needs no grant.
-- SCHEMA, WORKER and RESULT stand for the names.
grant usage on schema SCHEMA to WORKER, RESULT;
grant select on SCHEMA.petvote_migrations to WORKER, RESULT;

grant select, insert on SCHEMA.votes to WORKER;
grant select, insert, update on SCHEMA.tally, SCHEMA.history to WORKER;
grant select, update on SCHEMA.duplicate_count to WORKER;
grant select, insert, update, delete on SCHEMA.duplicates to WORKER;

grant select on SCHEMA.votes, SCHEMA.tally, SCHEMA.history, SCHEMA.duplicate_count to RESULT;
