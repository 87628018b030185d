-- Where copies of a stream go: other RTMP(S) servers.

create table targets (
    id            text   not null primary key,   -- UUIDv7
    stream_id     text   not null references streams (id) on delete cascade,
    name          text   not null,               -- for people
    service       text   not null,               -- which of the known services, or 'custom'
    url           text   not null,               -- without the key
    sealed_key    text   not null,               -- the key, sealed with the master key
    master_key    text   not null,               -- which master key that was, by its id
    silence       bigint not null,               -- 1: a source without sound gets silence
    hevc          bigint not null,               -- 1: it takes HEVC
    allow_private bigint not null,               -- 1: it may be at an address inside
    wanted        bigint not null,               -- 1: it gets a copy; 0: somebody stopped it
    created_ms    bigint not null,
    updated_ms    bigint not null
);

create index targets_of_stream on targets (stream_id, created_ms, id);
