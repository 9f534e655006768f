-- +goose Up
-- The positions of events ascend in the order of the commits: who inserts events holds a
-- lock until its transaction ends. This server takes it itself, at the end of a
-- transaction; the trigger takes it for everybody else, such as an older server that still
-- runs while the others are upgraded.
-- +goose StatementBegin
CREATE FUNCTION lock_event_positions() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- Not a WHEN of the trigger: PostgreSQL plans that anew for each insert.
    IF current_setting('headrace.event_positions', true) IS DISTINCT FROM 'at_commit' THEN
        PERFORM pg_advisory_xact_lock(hashtextextended('positions of events', 0));
    END IF;
    RETURN NULL;
END
$$;
-- +goose StatementEnd
CREATE TRIGGER events_in_order BEFORE INSERT ON events FOR EACH STATEMENT
    EXECUTE FUNCTION lock_event_positions();

-- The newest position that there was when events were removed with their pipeline.
CREATE TABLE removed_positions (
    position BIGINT PRIMARY KEY
);

-- +goose Down
DROP TABLE removed_positions;
DROP TRIGGER events_in_order ON events;
DROP FUNCTION lock_event_positions();
