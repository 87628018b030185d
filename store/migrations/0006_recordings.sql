-- What is kept of sessions that were recorded. A row names its stream and session, and refers to no row: streams can be removed
-- and made again, recordings stay.

create table recordings (
    id            text   not null primary key,   -- UUIDv7
    stream        text   not null,               -- its name
    session       text   not null,
    from_msn      bigint not null,               -- first segment
    until_msn     bigint,                        -- the one after the last; null while it runs
    renditions    text   not null,               -- names, commas between
    title         text   not null,
    title_key     text   not null,               -- the title in lower case, to sort by
    description   text   not null,
    tags          text   not null,               -- one a line
    search        text   not null,               -- title, description and tags in lower case
    visibility    text   not null,               -- 'public', 'unlisted' or 'private'
    embed_parents text   not null,               -- origins, spaces between; empty: every site
    thumbnail_ms  bigint,                        -- where its picture is taken
    status        text   not null,               -- 'recording', 'processing', 'available', 'failed' or 'deleted'
    reason        text   not null,               -- why it failed
    stopped       bigint not null,               -- 1: somebody ended it, so its session does not go on with it
    started_ms    bigint not null,
    ended_ms      bigint,
    duration_ms   bigint not null,
    size_bytes    bigint not null,
    clip_of       text,                          -- the recording it was cut from, which may be gone
    vault         text,                          -- where its segments are copied to; null: nowhere
    stored_msn    bigint not null,               -- of its segments, those below are verified there
    trashed_ms    bigint,                        -- in the trash since
    created_ms    bigint not null,
    updated_ms    bigint not null
);

create index recordings_by_start on recordings (started_ms, id);
create index recordings_of_stream on recordings (stream, started_ms, id);
create index recordings_of_session on recordings (stream, session, from_msn);

alter table streams add column record text not null default 'never';                   -- 'always', 'never' or 'request'
alter table streams add column record_renditions text not null default 'source,720p';
alter table streams add column record_visibility text not null default 'public';       -- of new recordings
alter table streams add column keep_days bigint;                                       -- its recordings are kept so long
alter table streams add column keep_bytes bigint;                                      -- and all together so large
alter table streams add column keep_count bigint;                                      -- and so many; null: no limit, in all three

-- Which key playback tokens are signed with: the keys themselves are made from the API token and this number, and the one
-- before it still opens.

alter table revision add column playback_key bigint not null default 1;
