-- Browsers an operator signed in with the API token. The hash is of the browser's secret and of that token together, so another
-- token ends them all.

create table sign_ins (
    hash       text   not null primary key,
    created_ms bigint not null,
    used_ms    bigint not null            -- to the hour
);
