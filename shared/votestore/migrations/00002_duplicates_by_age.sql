-- Duplicates are kept for a day: see duplicatesStatement.
create index duplicates_seen_at on SCHEMA.duplicates (seen_at);
