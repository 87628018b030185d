-- Sessions outlive connections and restarts: a stream's own rules for that, an operator's stop, and what a new start of
-- the server must know to go on with the session that was open.

alter table streams add column reconnect_window_s bigint;      -- null: the server's default
alter table streams add column takeover text;                  -- 'newest' or 'reject'; null: the server's default
alter table streams add column stopped_until_ms bigint;        -- an operator's stop holds until then
alter table streams add column session_plan text;              -- the open session's plan; null: it can't be gone on with
alter table streams add column session_discontinuities bigint; -- of the open session, so far
