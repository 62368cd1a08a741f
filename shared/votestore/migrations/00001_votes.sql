-- +goose Up
-- A migration may take hours, whatever the role's limits are. (transaction_timeout is there from PostgreSQL 17 on.)
select set_config(name, '0', true) from pg_settings
where name in ('statement_timeout', 'lock_timeout', 'transaction_timeout', 'idle_in_transaction_session_timeout');

create table votes (
  id        uuid primary key,
  pet       text not null check (pet in ('dogs', 'cats', 'lizards')),
  cast_at   timestamptz not null,
  stored_at timestamptz not null default now(),
  trace_id  text,
  entry_id  text -- the stream entry that brought it: tells a repeated delivery from a repeated vote
);

create table tally (
  pet   text primary key,
  votes bigint not null default 0
) with (fillfactor = 50); -- room on the page, so that its constant updates need no index work
insert into tally (pet) values ('dogs'), ('cats'), ('lizards');

create table history (
  minute timestamptz not null,
  pet    text not null,
  votes  bigint not null,
  primary key (minute, pet)
) with (fillfactor = 50);

-- Votes that were published more than once, by the entry that came too late.
create table duplicates (
  entry_id text primary key,
  vote_id  uuid not null,
  seen_at  timestamptz not null default now()
);
create table duplicate_count (n bigint not null) with (fillfactor = 50);
insert into duplicate_count values (0);

-- +goose Down
drop table duplicate_count;
drop table duplicates;
drop table history;
drop table tally;
drop table votes;
