-- Texts compare byte for byte, whatever the collation of the database.

CREATE TABLE api_token_owners (
    owner        text        COLLATE "C" PRIMARY KEY CHECK (octet_length(owner) BETWEEN 1 AND 255),
    suspended_at timestamptz,
    revision     bigint      NOT NULL CHECK (revision >= 1),
    head_seq     bigint      NOT NULL CHECK (head_seq >= 0),
    head_hash    bytea       NOT NULL CHECK (octet_length(head_hash) = 32),
    head_at      timestamptz NOT NULL,
    seal         bytea       NOT NULL CHECK (octet_length(seal) = 32),
    seal_key     text        COLLATE "C" NOT NULL,
    -- Outside the seal: counts the creations that took this row, so that they meet each other and a suspension.
    touched      bigint      NOT NULL DEFAULT 0
);

CREATE INDEX api_token_owners_seal_key ON api_token_owners (seal_key);

CREATE TABLE api_tokens (
    id                 uuid        PRIMARY KEY,
    owner              text        COLLATE "C" NOT NULL REFERENCES api_token_owners (owner),
    name               text        COLLATE "C" NOT NULL CHECK (char_length(name) BETWEEN 1 AND 100),
    -- JSON, kept as the text that it was written as.
    grants             text        COLLATE "C" NOT NULL,
    networks           text        COLLATE "C",
    created_at         timestamptz NOT NULL,
    created_by         text        COLLATE "C" NOT NULL,
    expires_at         timestamptz,
    revoked_at         timestamptz,
    current_generation bigint      NOT NULL CHECK (current_generation >= 1),
    current_selector   bytea       NOT NULL CHECK (octet_length(current_selector) = 16),
    old_generation     bigint,
    old_selector       bytea       CHECK (octet_length(old_selector) = 16),
    old_until          timestamptz,
    revision           bigint      NOT NULL CHECK (revision >= 1),
    head_seq           bigint      NOT NULL CHECK (head_seq >= 0),
    head_hash          bytea       NOT NULL CHECK (octet_length(head_hash) = 32),
    head_at            timestamptz NOT NULL,
    seal               bytea       NOT NULL CHECK (octet_length(seal) = 32),
    seal_key           text        COLLATE "C" NOT NULL,
    CHECK ((old_generation IS NULL) = (old_selector IS NULL) AND (old_generation IS NULL) = (old_until IS NULL))
);

-- Pages of one owner, in each order; the one by expiry also answers how many of an owner's tokens are live.
CREATE INDEX api_tokens_owner_id ON api_tokens (owner, id);
CREATE INDEX api_tokens_owner_name ON api_tokens (owner, name, id);
CREATE INDEX api_tokens_owner_expires ON api_tokens (owner, expires_at, id, revoked_at);
-- Pages of everyone's tokens, and what is to be purged.
CREATE INDEX api_tokens_name ON api_tokens (name, id);
CREATE INDEX api_tokens_expires ON api_tokens (expires_at, id);
CREATE INDEX api_tokens_revoked ON api_tokens (revoked_at) WHERE revoked_at IS NOT NULL;
CREATE INDEX api_tokens_seal_key ON api_tokens (seal_key);

CREATE TABLE api_token_secrets (
    selector   bytea  PRIMARY KEY CHECK (octet_length(selector) = 16),
    token      uuid   NOT NULL REFERENCES api_tokens (id),
    generation bigint NOT NULL CHECK (generation >= 1),
    scheme     bigint NOT NULL,
    digest     bytea  NOT NULL CHECK (octet_length(digest) = 32),
    key_id     text   COLLATE "C" NOT NULL,
    UNIQUE (token, generation)
);

CREATE INDEX api_token_secrets_key_id ON api_token_secrets (key_id);

CREATE TABLE api_token_events (
    subject text        COLLATE "C" NOT NULL,
    seq     bigint      NOT NULL CHECK (seq >= 1),
    owner   text        COLLATE "C",
    at      timestamptz NOT NULL,
    actor   text        COLLATE "C" NOT NULL,
    body    text        COLLATE "C" NOT NULL,
    hash    bytea       NOT NULL CHECK (octet_length(hash) = 32),
    PRIMARY KEY (subject, seq)
);

CREATE TABLE api_token_changes (
    id            bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    change_id     bytea       NOT NULL UNIQUE CHECK (octet_length(change_id) = 16),
    fingerprint   bytea       NOT NULL CHECK (octet_length(fingerprint) = 32),
    subject       text        COLLATE "C" NOT NULL,
    owner         text        COLLATE "C",
    token         uuid,
    seq           bigint      NOT NULL,
    at            timestamptz NOT NULL,
    claimed_until timestamptz,
    delivered_at  timestamptz
);

CREATE INDEX api_token_changes_token ON api_token_changes (token, delivered_at) WHERE token IS NOT NULL;
CREATE INDEX api_token_changes_undelivered ON api_token_changes (id) WHERE delivered_at IS NULL;
CREATE INDEX api_token_changes_undelivered_subject ON api_token_changes (subject, id) WHERE delivered_at IS NULL;

CREATE TABLE api_token_usage_last (
    token      uuid        NOT NULL,
    generation bigint      NOT NULL,
    at         timestamptz NOT NULL,
    address    text,
    PRIMARY KEY (token, generation)
);

CREATE TABLE api_token_usage_hours (
    token      uuid        NOT NULL,
    hour       timestamptz NOT NULL,
    generation bigint      NOT NULL,
    uses       bigint      NOT NULL,
    PRIMARY KEY (token, hour, generation)
);

CREATE TABLE api_token_refusals (
    token    uuid        NOT NULL,
    hour     timestamptz NOT NULL,
    reason   bigint      NOT NULL,
    refusals bigint      NOT NULL,
    PRIMARY KEY (token, hour, reason)
);

CREATE TABLE api_token_meta (
    name  text  COLLATE "C" PRIMARY KEY,
    value bytea NOT NULL
);
