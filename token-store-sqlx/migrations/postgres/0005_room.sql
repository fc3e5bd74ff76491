-- Every flush writes the rows of the tokens that are in use anew. With room beside them the new version of a row stays on its page:
-- no index is written for it, and the page is cleared of the old one when it is next read. Pages from before get it with time.
ALTER TABLE api_token_usage_last SET (fillfactor = 45);
ALTER TABLE api_token_usage_hours SET (fillfactor = 45);
ALTER TABLE api_token_refusals SET (fillfactor = 45);
ALTER TABLE api_token_usage_sources SET (fillfactor = 45);
ALTER TABLE api_token_usage_scopes SET (fillfactor = 45);
