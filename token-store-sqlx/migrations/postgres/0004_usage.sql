-- What the client of the last use called itself.
ALTER TABLE api_token_usage_last ADD COLUMN client text;

-- Hours are added to their days when they are older than the policy keeps them. Reason 0 counts uses.
CREATE TABLE api_token_usage_days (
    token    uuid        NOT NULL,
    day      timestamptz NOT NULL,
    reason   bigint      NOT NULL,
    requests bigint      NOT NULL,
    PRIMARY KEY (token, day, reason)
);
CREATE INDEX api_token_usage_days_day ON api_token_usage_days (day);
CREATE INDEX api_token_usage_hours_hour ON api_token_usage_hours (hour, token);
CREATE INDEX api_token_refusals_hour ON api_token_refusals (hour, token);

CREATE TABLE api_token_usage_sources (
    token      uuid        NOT NULL,
    network    text        COLLATE "C" NOT NULL,
    first_seen timestamptz NOT NULL,
    last_seen  timestamptz NOT NULL,
    -- The day of the last request: it has an index, and changes once a day and not with every flush.
    last_day   timestamptz NOT NULL,
    uses       bigint      NOT NULL,
    refusals   bigint      NOT NULL,
    PRIMARY KEY (token, network)
);
CREATE INDEX api_token_usage_sources_last_day ON api_token_usage_sources (last_day);

CREATE TABLE api_token_usage_scopes (
    token   uuid        NOT NULL,
    scope   text        COLLATE "C" NOT NULL,
    last_at timestamptz NOT NULL,
    PRIMARY KEY (token, scope)
);

-- A ring of slots for each token.
CREATE TABLE api_token_usage_calls (
    token   uuid        NOT NULL,
    slot    bigint      NOT NULL,
    owner   text        COLLATE "C" NOT NULL,
    at      timestamptz NOT NULL,
    method  text        NOT NULL,
    route   text,
    reason  bigint,
    address text,
    PRIMARY KEY (token, slot)
);
CREATE INDEX api_token_usage_calls_owner ON api_token_usage_calls (owner, at, token, slot);
CREATE INDEX api_token_usage_calls_at ON api_token_usage_calls (at, token, slot);

CREATE TABLE api_token_signals (
    token    uuid        NOT NULL,
    kind     bigint      NOT NULL,
    subject  text        COLLATE "C" NOT NULL,
    owner    text        COLLATE "C" NOT NULL,
    first_at timestamptz NOT NULL,
    last_at  timestamptz NOT NULL,
    times    bigint      NOT NULL,
    PRIMARY KEY (token, kind, subject)
);
CREATE INDEX api_token_signals_owner ON api_token_signals (owner, last_at, token, kind, subject);
CREATE INDEX api_token_signals_last_at ON api_token_signals (last_at, token, kind, subject);
