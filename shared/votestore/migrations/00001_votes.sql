create table SCHEMA.votes (
  id        uuid primary key,
  pet       text not null check (pet in ('dogs', 'cats', 'lizards')),
  cast_at   timestamptz not null,
  stored_at timestamptz not null default now(),
  trace_id  text,
  entry_id  text -- the stream entry that brought it: tells a repeated delivery from a repeated vote
);

create table SCHEMA.tally (
  pet   text primary key,
  votes bigint not null default 0
) with (fillfactor = 50); -- room on the page, so that its constant updates need no index work
insert into SCHEMA.tally (pet) values ('dogs'), ('cats'), ('lizards');

create table SCHEMA.history (
  minute timestamptz not null,
  pet    text not null,
  votes  bigint not null,
  primary key (minute, pet)
) with (fillfactor = 50);

-- Votes that were published more than once, by the entry that came too late.
create table SCHEMA.duplicates (
  entry_id text primary key,
  vote_id  uuid not null,
  seen_at  timestamptz not null default now()
);
create table SCHEMA.duplicate_count (n bigint not null) with (fillfactor = 50);
insert into SCHEMA.duplicate_count values (0);
