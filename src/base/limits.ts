/**
 * Every limit's default, in one place, with its unit in its name and its reason beside it.
 *
 * @module
 */

/** RFC 5321 4.5.3.1.4 asks for 512 octets at least; the extensions announced here add to MAIL and RCPT (RFC 6531, 1870, 4954). */
export const COMMAND_LINE_OCTETS = 2048;
/** A SASL response may be far longer than a command (RFC 4954 4: 12288 octets). */
export const AUTH_LINE_OCTETS = 12_288;
/** RFC 2449 4: 255 octets for a POP3 command; RFC 5034 and UTF-8 names need more. */
export const POP3_LINE_OCTETS = 1024;
/** 50 MiB takes what office users send. */
export const MESSAGE_OCTETS = 50 * 1024 * 1024;
/** RFC 5321 4.5.3.1.8 asks for 100 at least. */
export const RECIPIENTS = 1000;
/** Errors before a client is sent away: a program that gets this many wrong is not speaking SMTP. */
export const ERRORS = 20;
/** RFC 5321 4.5.3.2.7: a server waits 5 minutes for a command at least. */
export const SMTP_IDLE_MS = 5 * 60_000;
/** RFC 1939 3: an autologout timer of 10 minutes at least. */
export const POP3_IDLE_MS = 10 * 60_000;
/** The seed: "the system is configured to support 50 active receivers". */
export const RECEIVERS = 50;
/** One office behind one address may use many, one runaway client may not use all. */
export const RECEIVERS_PER_CLIENT = 20;
/** POP3 sessions at a time; each polling client holds one for well under a second. */
export const POP3_SESSIONS = 500;
/** Message octets held in memory by all connections together; beyond it, parts go to disk and sockets wait. */
export const MEMORY_OCTETS = 64 * 1024 * 1024;
/** Bodies are stored in parts of this size: one part is what a connection may hold in memory. */
export const CHUNK_OCTETS = 256 * 1024;
/** Header sections are looked into up to here; what lies beyond is kept but not interpreted. */
export const HEADER_OCTETS = 256 * 1024;
/** RFC 5321 6.3: a message that has passed this many servers is in a loop. */
export const RECEIVED_FIELDS = 50;
/** Aliases that name aliases that name aliases: deeper is a mistake. */
export const ALIAS_DEPTH = 10;
/** Names one recipient may come to stand for, counting those on the way: a list for everybody on a large system. */
export const ALIAS_NAMES = 20_000;
/** RFC 5321 4.5.3.1.1. */
export const LOCAL_PART_OCTETS = 64;
/** RFC 5321 4.5.3.1.2. */
export const DOMAIN_OCTETS = 255;
/** Password attempts in one connection before it is ended. */
export const LOGIN_ATTEMPTS = 3;
/** A log-in name: a mailbox at its longest (RFC 5321 4.5.3.1). */
export const LOGIN_NAME_OCTETS = LOCAL_PART_OCTETS + 1 + DOMAIN_OCTETS;
/** A password; RFC 4616 5 lets a server refuse what is absurdly long, and hashing it costs by its length. */
export const PASSWORD_OCTETS = 1024;
/** Password hashes computed at a time in one thread: each takes 16 MiB and a core for some 50 ms. */
export const PASSWORD_HASHES = 2;
/** Log-ins that wait for a password hash in one thread; the last of them waits for about two seconds. */
export const PASSWORD_HASH_QUEUE = 64;
/** How long a verified password is remembered, so that polling clients don't cost a hash each time. */
export const PASSWORD_MEMORY_MS = 5 * 60_000;
/** Verified passwords remembered in one thread; about 150 octets each. */
export const PASSWORD_MEMORY_ENTRIES = 10_000;
/** The longest wait of an address that failed often: an online search gets less than 6,000 tries a day. */
export const LOGIN_WAIT_ADDRESS_MS = 15_000;
/** The longest wait that failures of others may cause an account's owner, at an address not known for the account. */
export const LOGIN_WAIT_ACCOUNT_MS = 5_000;
/** One failed log-in is forgotten in this time. */
export const LOGIN_FAILURE_MS = 5 * 60_000;
/** Threads that share the counters of `base/shared.ts`: as many as message ids have slots. */
export const THREADS = 32;
/** Accounts with a maildrop lock of their own; later ones share (see `server/login/maildrop_lock.ts`). */
export const MAILDROP_LOCKS = 2 ** 20;
/** A POP3 session silent for this long has lost its client: another log-in may take its maildrop over. */
export const MAILDROP_TAKEOVER_MS = 2 * 60_000;
/** POP3 commands kept while earlier ones are worked on: RETRs for some 6,000 messages; beyond it the client is not reading. */
export const POP3_PIPELINED_OCTETS = 64 * 1024;
/** POP3 output that may gather before the server is asked to write it out. */
export const POP3_FLUSH_OCTETS = 64 * 1024;
