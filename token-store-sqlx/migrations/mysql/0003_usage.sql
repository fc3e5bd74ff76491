-- What the client of the last use called itself. MySQL knows no ADD COLUMN IF NOT EXISTS, and this may be done again.
SET @has_client = (SELECT count(*) FROM information_schema.columns
    WHERE table_schema = database() AND table_name = 'api_token_usage_last' AND column_name = 'client');
SET @add_client = IF(@has_client = 0, 'ALTER TABLE api_token_usage_last ADD COLUMN client VARBINARY(80)', 'DO 0');
PREPARE add_client FROM @add_client;
EXECUTE add_client;
DEALLOCATE PREPARE add_client;

SET @has_hour = (SELECT count(*) FROM information_schema.statistics
    WHERE table_schema = database() AND table_name = 'api_token_usage_hours' AND index_name = 'api_token_usage_hours_hour');
SET @add_hour = IF(@has_hour = 0, 'CREATE INDEX api_token_usage_hours_hour ON api_token_usage_hours (hour, token)', 'DO 0');
PREPARE add_hour FROM @add_hour;
EXECUTE add_hour;
DEALLOCATE PREPARE add_hour;

SET @has_refusal = (SELECT count(*) FROM information_schema.statistics
    WHERE table_schema = database() AND table_name = 'api_token_refusals' AND index_name = 'api_token_refusals_hour');
SET @add_refusal = IF(@has_refusal = 0, 'CREATE INDEX api_token_refusals_hour ON api_token_refusals (hour, token)', 'DO 0');
PREPARE add_refusal FROM @add_refusal;
EXECUTE add_refusal;
DEALLOCATE PREPARE add_refusal;

-- Hours are added to their days when they are older than the policy keeps them. Reason 0 counts uses.
CREATE TABLE IF NOT EXISTS api_token_usage_days (
    token    BINARY(16)  NOT NULL,
    day      DATETIME(6) NOT NULL,
    reason   BIGINT      NOT NULL,
    requests BIGINT      NOT NULL,
    PRIMARY KEY (token, day, reason),
    KEY api_token_usage_days_day (day)
) ENGINE = InnoDB;

CREATE TABLE IF NOT EXISTS api_token_usage_sources (
    token      BINARY(16)    NOT NULL,
    network    VARBINARY(64) NOT NULL,
    first_seen DATETIME(6)   NOT NULL,
    last_seen  DATETIME(6)   NOT NULL,
    -- The day of the last request: it has an index, and changes once a day and not with every flush.
    last_day   DATETIME(6)   NOT NULL,
    uses       BIGINT        NOT NULL,
    refusals   BIGINT        NOT NULL,
    PRIMARY KEY (token, network),
    KEY api_token_usage_sources_last_day (last_day)
) ENGINE = InnoDB;

CREATE TABLE IF NOT EXISTS api_token_usage_scopes (
    token   BINARY(16)     NOT NULL,
    scope   VARBINARY(255) NOT NULL,
    last_at DATETIME(6)    NOT NULL,
    PRIMARY KEY (token, scope)
) ENGINE = InnoDB;

-- A ring of slots for each token.
CREATE TABLE IF NOT EXISTS api_token_usage_calls (
    token   BINARY(16)     NOT NULL,
    slot    BIGINT         NOT NULL,
    owner   VARBINARY(255) NOT NULL,
    at      DATETIME(6)    NOT NULL,
    method  VARBINARY(16)  NOT NULL,
    route   VARBINARY(96),
    reason  BIGINT,
    address VARBINARY(45),
    PRIMARY KEY (token, slot),
    KEY api_token_usage_calls_owner (owner, at, token, slot),
    KEY api_token_usage_calls_at (at, token, slot)
) ENGINE = InnoDB;

CREATE TABLE IF NOT EXISTS api_token_signals (
    token    BINARY(16)     NOT NULL,
    kind     BIGINT         NOT NULL,
    subject  VARBINARY(64)  NOT NULL,
    owner    VARBINARY(255) NOT NULL,
    first_at DATETIME(6)    NOT NULL,
    last_at  DATETIME(6)    NOT NULL,
    times    BIGINT         NOT NULL,
    PRIMARY KEY (token, kind, subject),
    KEY api_token_signals_owner (owner, last_at, token, kind, subject),
    KEY api_token_signals_last_at (last_at, token, kind, subject)
) ENGINE = InnoDB;
