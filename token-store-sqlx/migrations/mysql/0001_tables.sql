-- Texts that are compared are bytes: every collation of characters takes some texts for others, or leaves out the
-- spaces at their end. Times are in UTC. Each statement may be repeated: one that was cut off is run again.

CREATE TABLE IF NOT EXISTS api_token_owners (
    owner        VARBINARY(255) NOT NULL PRIMARY KEY CHECK (length(owner) BETWEEN 1 AND 255),
    suspended_at DATETIME(6),
    revision     BIGINT         NOT NULL CHECK (revision >= 1),
    head_seq     BIGINT         NOT NULL CHECK (head_seq >= 0),
    head_hash    BINARY(32)     NOT NULL,
    head_at      DATETIME(6)    NOT NULL,
    seal         BINARY(32)     NOT NULL,
    seal_key     VARBINARY(255) NOT NULL,
    -- Outside the seal: counts the creations that took this row, so that they meet each other and a suspension.
    touched      BIGINT         NOT NULL DEFAULT 0,
    KEY api_token_owners_seal_key (seal_key)
) ENGINE = InnoDB;

CREATE TABLE IF NOT EXISTS api_tokens (
    id                 BINARY(16)     NOT NULL PRIMARY KEY,
    owner              VARBINARY(255) NOT NULL,
    name               VARBINARY(400) NOT NULL CHECK (length(name) BETWEEN 1 AND 400),
    -- JSON, kept as the text that it was written as.
    grants             MEDIUMBLOB     NOT NULL,
    networks           BLOB,
    created_at         DATETIME(6)    NOT NULL,
    created_by         VARBINARY(255) NOT NULL,
    expires_at         DATETIME(6),
    revoked_at         DATETIME(6),
    current_generation BIGINT         NOT NULL CHECK (current_generation >= 1),
    current_selector   BINARY(16)     NOT NULL,
    old_generation     BIGINT,
    old_selector       BINARY(16),
    old_until          DATETIME(6),
    revision           BIGINT         NOT NULL CHECK (revision >= 1),
    head_seq           BIGINT         NOT NULL CHECK (head_seq >= 0),
    head_hash          BINARY(32)     NOT NULL,
    head_at            DATETIME(6)    NOT NULL,
    seal               BINARY(32)     NOT NULL,
    seal_key           VARBINARY(255) NOT NULL,
    CHECK ((old_generation IS NULL) = (old_selector IS NULL) AND (old_generation IS NULL) = (old_until IS NULL)),
    -- Pages of one owner, in each order; the one by expiry also answers how many of an owner's tokens are live.
    KEY api_tokens_owner_id (owner, id),
    KEY api_tokens_owner_name (owner, name, id),
    KEY api_tokens_owner_expires (owner, expires_at, id, revoked_at),
    -- Pages of everyone's tokens, and what is to be purged.
    KEY api_tokens_name (name, id),
    KEY api_tokens_expires (expires_at, id),
    KEY api_tokens_revoked (revoked_at),
    KEY api_tokens_seal_key (seal_key),
    CONSTRAINT api_tokens_owner FOREIGN KEY (owner) REFERENCES api_token_owners (owner)
) ENGINE = InnoDB;

CREATE TABLE IF NOT EXISTS api_token_secrets (
    selector   BINARY(16)     NOT NULL PRIMARY KEY,
    token      BINARY(16)     NOT NULL,
    generation BIGINT         NOT NULL CHECK (generation >= 1),
    scheme     BIGINT         NOT NULL,
    digest     BINARY(32)     NOT NULL,
    key_id     VARBINARY(255) NOT NULL,
    UNIQUE KEY api_token_secrets_generation (token, generation),
    KEY api_token_secrets_key_id (key_id),
    CONSTRAINT api_token_secrets_token FOREIGN KEY (token) REFERENCES api_tokens (id)
) ENGINE = InnoDB;

CREATE TABLE IF NOT EXISTS api_token_events (
    subject VARBINARY(261) NOT NULL,
    seq     BIGINT         NOT NULL CHECK (seq >= 1),
    owner   VARBINARY(255),
    at      DATETIME(6)    NOT NULL,
    actor   VARBINARY(255) NOT NULL,
    body    MEDIUMBLOB     NOT NULL,
    hash    BINARY(32)     NOT NULL,
    PRIMARY KEY (subject, seq)
) ENGINE = InnoDB;

CREATE TABLE IF NOT EXISTS api_token_changes (
    id            BIGINT         NOT NULL AUTO_INCREMENT PRIMARY KEY,
    change_id     BINARY(16)     NOT NULL,
    fingerprint   BINARY(32)     NOT NULL,
    subject       VARBINARY(261) NOT NULL,
    owner         VARBINARY(255),
    token         BINARY(16),
    seq           BIGINT         NOT NULL,
    at            DATETIME(6)    NOT NULL,
    claimed_until DATETIME(6),
    delivered_at  DATETIME(6),
    UNIQUE KEY api_token_changes_change_id (change_id),
    KEY api_token_changes_token (token, delivered_at),
    KEY api_token_changes_undelivered (delivered_at, id),
    KEY api_token_changes_undelivered_subject (subject, delivered_at, id)
) ENGINE = InnoDB;

CREATE TABLE IF NOT EXISTS api_token_usage_last (
    token      BINARY(16)    NOT NULL,
    generation BIGINT        NOT NULL,
    at         DATETIME(6)   NOT NULL,
    address    VARBINARY(45),
    PRIMARY KEY (token, generation)
) ENGINE = InnoDB;

CREATE TABLE IF NOT EXISTS api_token_usage_hours (
    token      BINARY(16)  NOT NULL,
    hour       DATETIME(6) NOT NULL,
    generation BIGINT      NOT NULL,
    uses       BIGINT      NOT NULL,
    PRIMARY KEY (token, hour, generation)
) ENGINE = InnoDB;

CREATE TABLE IF NOT EXISTS api_token_refusals (
    token    BINARY(16)  NOT NULL,
    hour     DATETIME(6) NOT NULL,
    reason   BIGINT      NOT NULL,
    refusals BIGINT      NOT NULL,
    PRIMARY KEY (token, hour, reason)
) ENGINE = InnoDB;

CREATE TABLE IF NOT EXISTS api_token_meta (
    name  VARBINARY(255) NOT NULL PRIMARY KEY,
    value MEDIUMBLOB     NOT NULL
) ENGINE = InnoDB;
