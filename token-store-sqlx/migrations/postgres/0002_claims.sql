-- The row that claims of events take their turn by.
INSERT INTO api_token_meta (name, value) VALUES ('turn:claim', '');
