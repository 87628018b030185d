-- Who may watch a stream: everybody, and it is listed ('public'), who knows its address ('unlisted'), who has a ticket ('private').

alter table streams add column visibility text not null default 'public';
