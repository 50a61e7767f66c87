/**
 * The tables, as the steps that make them.
 *
 * Absent on purpose: foreign keys (each operation keeps its tables in step, and checks would cost every commit), and an
 * index on message_id: a Message-ID is random, so each accepted message would rewrite another page of it, while the
 * only reader is an operator's `trace`, for whom a scan (7 ms for 100,000 messages) is quick enough.
 *
 * @module
 */

/** Migration n leads from schema version n to n + 1. What has been released is never changed. */
export const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE account (
    id INTEGER PRIMARY KEY AUTOINCREMENT, -- a number is never used again
    name TEXT NOT NULL UNIQUE,
    pop3 TEXT NOT NULL,
    quota_octets INTEGER,
    quota_messages INTEGER,
    send_as_any INTEGER NOT NULL,
    password_hash TEXT NOT NULL,
    scram_verifier TEXT NOT NULL,
    created_at INTEGER NOT NULL
  ) STRICT;
  -- Names of removed accounts, for the history of messages they once got.
  CREATE TABLE departed_account (id INTEGER PRIMARY KEY, name TEXT NOT NULL, at INTEGER NOT NULL) STRICT;
  CREATE TABLE alias (
    name TEXT NOT NULL,
    place INTEGER NOT NULL,
    target TEXT NOT NULL,
    PRIMARY KEY (name, place)
  ) STRICT, WITHOUT ROWID;
  -- Apart from account, so that a delivery rewrites a dozen octets and not an account with its verifiers.
  CREATE TABLE usage (account INTEGER PRIMARY KEY, octets INTEGER NOT NULL, messages INTEGER NOT NULL) STRICT;

  CREATE TABLE message (
    key INTEGER PRIMARY KEY,
    received_at INTEGER NOT NULL,
    size INTEGER NOT NULL,
    reverse_path TEXT NOT NULL,
    smtp_utf8 INTEGER NOT NULL,
    message_id TEXT NOT NULL,
    origin TEXT NOT NULL,                 -- JSON
    refs INTEGER NOT NULL                 -- queued and held recipients, and entries: at 0 the body goes
  ) STRICT;
  -- What prune may forget; costs nothing until a message is done with.
  CREATE INDEX message_done ON message (received_at) WHERE refs = 0;

  CREATE TABLE part (id INTEGER PRIMARY KEY, data BLOB NOT NULL) STRICT; -- id = key * 65536 + index
  -- Messages of several parts that are still coming in: after a crash, the orphans.
  CREATE TABLE arriving (key INTEGER PRIMARY KEY, parts INTEGER NOT NULL, octets INTEGER NOT NULL) STRICT;

  CREATE TABLE recipient (
    key INTEGER NOT NULL,
    place INTEGER NOT NULL,
    address TEXT NOT NULL,
    state INTEGER NOT NULL,               -- 0 queued, 1 delivered, 2 failed, 3 held
    at INTEGER NOT NULL,
    detail TEXT NOT NULL,
    accounts TEXT,                        -- JSON: numbers of the accounts whose maildrop got it
    PRIMARY KEY (key, place)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX recipient_waiting ON recipient (key, place) WHERE state IN (0, 3);
  -- Accepted while nobody listened for it in the process that accepted it; the serving process looks here.
  CREATE TABLE unannounced (key INTEGER PRIMARY KEY) STRICT;

  CREATE TABLE entry (
    account INTEGER NOT NULL,
    key INTEGER NOT NULL,
    size INTEGER NOT NULL,                -- trace and body
    smtp_utf8 INTEGER NOT NULL,
    at INTEGER NOT NULL,
    trace BLOB NOT NULL,
    PRIMARY KEY (account, key)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX entry_by_time ON entry (at);
  CREATE TABLE removal (
    key INTEGER NOT NULL,
    account INTEGER NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (key, account)
  ) STRICT, WITHOUT ROWID;
  -- newest_key: what prune has forgotten must not be forgotten as a number.
  CREATE TABLE kept (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
`,
  `
  ALTER TABLE message ADD COLUMN requests TEXT;         -- JSON: what was asked for the message; most often NULL

  ALTER TABLE recipient ADD COLUMN requests TEXT;       -- JSON: what was asked for the recipient
  ALTER TABLE recipient ADD COLUMN reverse_path TEXT;   -- in place of the message's own
  ALTER TABLE recipient ADD COLUMN reroute TEXT;        -- host:port that an operator chose
  ALTER TABLE recipient ADD COLUMN expanded_from INTEGER;
  ALTER TABLE recipient ADD COLUMN accepted_by TEXT;
  -- What it was last deferred for; stays when it is held or queued again. attempts IS NULL: it never was.
  ALTER TABLE recipient ADD COLUMN destination TEXT;
  ALTER TABLE recipient ADD COLUMN due_at INTEGER;
  ALTER TABLE recipient ADD COLUMN deadline_at INTEGER;
  ALTER TABLE recipient ADD COLUMN attempts INTEGER;
  ALTER TABLE recipient ADD COLUMN delay_told INTEGER;
  ALTER TABLE recipient ADD COLUMN backup_since INTEGER;

  -- States from now on: 0 queued, 1 delivered, 2 failed, 3 held, 4 deferred, 5 relayed, 6 handed, 7 expanded, 8 dropped.
  -- Held was: nobody has the name; now it is an operator's. Those of before are looked at anew.
  DROP INDEX recipient_waiting;
  UPDATE recipient SET state = 0 WHERE state = 3;
  -- Each touches only what is in its state, so mail that goes out at once pays for the first alone.
  CREATE INDEX recipient_queued ON recipient (key, place) WHERE state = 0;
  CREATE INDEX recipient_held ON recipient (key, place) WHERE state = 3;
  CREATE INDEX recipient_deferred ON recipient (key, place) WHERE state = 4;
  CREATE INDEX recipient_due ON recipient (destination, due_at, key, place) WHERE state = 4;
  CREATE INDEX recipient_deadline ON recipient (deadline_at, key, place) WHERE state = 4;

  -- Of single recipients, since an operator may queue one anew while its neighbours are known already. What stands in
  -- it now is queued, and the serving process begins with all that is queued.
  DROP TABLE unannounced;
  CREATE TABLE unannounced (
    key INTEGER NOT NULL,
    place INTEGER NOT NULL,
    PRIMARY KEY (key, place)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE attempt (
    key INTEGER NOT NULL,
    no INTEGER NOT NULL,
    places TEXT NOT NULL,                 -- JSON: the recipients that were in it
    at INTEGER NOT NULL,
    duration INTEGER NOT NULL,            -- ms
    destination TEXT NOT NULL,
    host TEXT NOT NULL,
    address TEXT NOT NULL,
    tls TEXT NOT NULL,
    result TEXT NOT NULL,
    dialogue TEXT NOT NULL,
    PRIMARY KEY (key, no)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE destination (
    name TEXT PRIMARY KEY,
    failures INTEGER NOT NULL,
    retry_at INTEGER NOT NULL,
    reason TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE signing_key (
    domain TEXT NOT NULL,
    selector TEXT NOT NULL,
    algorithm TEXT NOT NULL,
    private_key TEXT NOT NULL,            -- PKCS #8, PEM
    created_at INTEGER NOT NULL,
    PRIMARY KEY (domain, selector)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE secret (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE sts_policy (
    domain TEXT PRIMARY KEY,
    id TEXT NOT NULL,
    policy TEXT NOT NULL,
    fetched_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE tls_tally (
    day TEXT NOT NULL,
    domain TEXT NOT NULL,
    subject TEXT NOT NULL,                -- JSON
    sessions INTEGER NOT NULL,
    PRIMARY KEY (day, domain, subject)
  ) STRICT, WITHOUT ROWID;
`,
  `
  -- Until now Y and P did the same: what their owners have got so far is what P gives from now on.
  UPDATE account SET pop3 = 'P' WHERE pop3 = 'Y';
  ALTER TABLE account ADD COLUMN display_name TEXT NOT NULL DEFAULT '';
  ALTER TABLE account ADD COLUMN department TEXT NOT NULL DEFAULT '';
  ALTER TABLE account ADD COLUMN phone TEXT NOT NULL DEFAULT '';
  ALTER TABLE account ADD COLUMN view TEXT;             -- NULL: oldest first
  ALTER TABLE account ADD COLUMN forward TEXT;          -- JSON

  CREATE TABLE shadow (
    name TEXT PRIMARY KEY,
    address TEXT NOT NULL,
    inbound INTEGER NOT NULL,
    display_name TEXT NOT NULL,
    department TEXT NOT NULL,
    phone TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE list (
    name TEXT PRIMARY KEY,
    owner TEXT,
    display_name TEXT NOT NULL,
    department TEXT NOT NULL,
    phone TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE list_member (
    list TEXT NOT NULL,
    place INTEGER NOT NULL,
    member TEXT NOT NULL,
    PRIMARY KEY (list, place)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX list_member_by_name ON list_member (member);
  CREATE TABLE nickname (
    account INTEGER NOT NULL,
    name TEXT NOT NULL,
    place INTEGER NOT NULL,
    address TEXT NOT NULL,
    PRIMARY KEY (account, name, place)
  ) STRICT, WITHOUT ROWID;

  -- A body made of stretches of others: JSON [[source or 0, offset, length], ...]; NULL: its parts from end to end.
  ALTER TABLE message ADD COLUMN segments TEXT;
  ALTER TABLE message ADD COLUMN piece_of INTEGER;      -- the message that was broken apart
  ALTER TABLE message ADD COLUMN piece TEXT;            -- 2/4
  CREATE INDEX message_piece ON message (piece_of, key) WHERE piece_of IS NOT NULL;
  -- Maildrops that got a message in pieces: it doesn't come again, whole or in pieces.
  CREATE TABLE apart (
    key INTEGER NOT NULL,
    account INTEGER NOT NULL,
    PRIMARY KEY (key, account)
  ) STRICT, WITHOUT ROWID;
  -- Bodies that are no messages: what reports hold. refs counts reports and messages made of them.
  CREATE TABLE content (key INTEGER PRIMARY KEY, size INTEGER NOT NULL, refs INTEGER NOT NULL) STRICT;
  CREATE TABLE report (
    name TEXT NOT NULL,
    version INTEGER NOT NULL,
    title TEXT NOT NULL,
    owner TEXT NOT NULL,
    readers TEXT,                         -- JSON; NULL: everyone
    created_at INTEGER NOT NULL,
    carriage TEXT NOT NULL,
    file TEXT NOT NULL,                   -- JSON, as are the next two
    text TEXT,
    pdf TEXT,
    PRIMARY KEY (name, version)
  ) STRICT, WITHOUT ROWID;
`,
];
