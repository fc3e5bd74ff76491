-- Whoever listens hears of a change when it is committed. The number is told so that no two in one transaction are
-- taken for one.
CREATE FUNCTION api_token_changes_notify() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('api_token_changes', NEW.id::text);
    RETURN NULL;
END
$$;

CREATE TRIGGER api_token_changes_notify AFTER INSERT ON api_token_changes
    FOR EACH ROW EXECUTE FUNCTION api_token_changes_notify();
