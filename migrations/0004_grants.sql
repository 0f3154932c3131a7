-- By what an org gives tokens: a refresh token, the app's key (JWT bearer) or the app's secret (client credentials).

ALTER TABLE org
    ADD COLUMN grant_kind       text NOT NULL DEFAULT 'refresh_token'
        CHECK (grant_kind IN ('refresh_token', 'jwt_bearer', 'client_credentials')),
    -- For whom the app's key signs, and to whom it is addressed (null: as the login URL says).
    ADD COLUMN jwt_username     text,
    ADD COLUMN jwt_audience     text,
    -- Encrypted, as the other secrets are.
    ADD COLUMN jwt_key          bytea,
    -- Whether the last refresh brought a new refresh token.
    ADD COLUMN token_rotates    boolean,
    -- A refresh was sent, and no answer to it was stored: the oldest such time since the last good one. With rotation
    -- the next refresh token was in that answer.
    ADD COLUMN unanswered_since timestamptz,
    -- Somebody disconnected the org: its secrets are gone until it is connected again.
    ADD COLUMN disconnected_at  timestamptz,
    ALTER COLUMN refresh_token DROP NOT NULL,
    ADD CONSTRAINT org_grant CHECK (
        disconnected_at IS NOT NULL OR CASE grant_kind
            WHEN 'refresh_token' THEN refresh_token IS NOT NULL
            WHEN 'jwt_bearer' THEN jwt_key IS NOT NULL AND jwt_username IS NOT NULL
            ELSE client_secret IS NOT NULL
        END
    );
