-- What viewers see while a stream's publisher is away: 'last' (its last picture), 'image' (the one below) or 'off'.

alter table streams add column slate text not null default 'last';

create table stream_slates (
    stream_id text   not null primary key references streams (id) on delete cascade,
    image     text   not null,   -- a JPEG of our own making, in base64: one column type for both databases
    set_ms    bigint not null
);
