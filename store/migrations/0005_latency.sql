-- What a stream's playlists offer: 'low' (parts) or 'standard' (whole segments).

alter table streams add column latency text not null default 'low';
