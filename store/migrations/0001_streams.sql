-- One text for SQLite and Postgres: ids are text, times are milliseconds since 1970 in bigint columns ending in _ms,
-- flags are bigint 0 or 1, hashes are lower-case hex.

create table streams (
    id              text   not null primary key,   -- UUIDv7
    name            text   not null unique,        -- [a-z0-9][a-z0-9_-]{0,62}, part of every public URL
    title           text   not null,
    created_ms      bigint not null,
    ladder          text,                          -- null: the server's default
    passthrough     bigint not null,               -- 0: the source is always encoded again
    next_msn        bigint not null,               -- first media sequence number never used
    session         text,                          -- the session that is open, null when there is none
    session_seen_ms bigint                         -- when that session last opened a segment
);

create table stream_keys (
    id                   text   not null primary key,   -- the public part, 8 characters
    stream_id            text   not null references streams (id) on delete cascade,
    hash                 text   not null,               -- SHA-256 of the secret part
    created_ms           bigint not null,
    expires_ms           bigint,
    revoked_ms           bigint,
    keyframe_interval_ms bigint                         -- longest seen in the key's last session
);

create index stream_keys_of_stream on stream_keys (stream_id, created_ms);

create table boots (
    epoch bigint not null primary key,
    at_ms bigint not null
);

-- The one row every change takes first: it numbers the changes, holds the end of the audit chain, keeps writers in
-- line on Postgres, and is what a running server polls.
create table revision (
    id     bigint not null primary key,
    number bigint not null,
    head   text   not null
);

insert into revision (id, number, head) values (1, 0, '');

create table audit (
    seq    bigint not null primary key,   -- the revision's number
    at_ms  bigint not null,
    actor  text   not null,
    act    text   not null,
    target text   not null,
    detail text   not null,               -- JSON, never a secret
    hash   text   not null                -- SHA-256 of the row before's hash and this row
);
