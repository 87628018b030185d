-- Chapters of a recording, a line each: `0:00:00 Title`.

alter table recordings add column chapters text not null default '';
