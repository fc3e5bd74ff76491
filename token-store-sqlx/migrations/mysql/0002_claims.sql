-- The row that claims of events take their turn by.
INSERT IGNORE INTO api_token_meta (name, value) VALUES ('turn:claim', '');
