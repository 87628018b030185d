-- A target may get an encoded rendition in place of what the publisher sends.

alter table targets add column rendition text not null default '';   -- such as '720p'; '': what the publisher sends
