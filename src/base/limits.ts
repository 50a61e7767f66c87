/**
 * Every limit's default, in one place, with its unit in its name and its reason beside it.
 *
 * @module
 */

/** RFC 5321 4.5.3.1.4 asks for 512 octets at least; the extensions announced here add some 800 to MAIL and RCPT (RFC 6531, 1870, 4954, 3461). */
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
/** The seed, Figure 2: "this should keep the number of receiver tasks to one". */
export const BUFFER_RECEIVERS = 1;
/** RFC 5321 4.5.4.1: the first tries close together, later ones 2 to 4 hours apart. */
export const RETRY_MS: readonly number[] = [5, 15, 30, 60, 120, 240].map((minutes) => minutes * 60_000);
/** RFC 5321 4.5.4.1: at least 4 to 5 days. */
export const QUEUE_EXPIRE_MS = 5 * 86_400_000;
/** Long enough for most troubles to pass, short enough for a sender to use the telephone the same day. */
export const DELAY_NOTICE_MS = 4 * 60 * 60_000;
/** More at a time are taken for an attack by many receivers. */
export const CONNECTIONS_PER_HOST = 8;
/** All connections to other systems: files and memory are bounded, and a burst to many domains goes on in parallel. */
export const CONNECTIONS_OUT = 100;
/** RFC 5321 4.5.3.1.8: every server takes 100. */
export const RECIPIENTS_OUT = 100;
/** How long dialogues are kept: long enough to ask for them after a holiday week. */
export const RETIRED_MS = 14 * 86_400_000;
/** One question to one DNS server; a server that is up answers within a second or two. */
export const DNS_TIMEOUT_MS = 5000;
/** How long a rewritten sender's address takes notifications: longer than any host tries, with queue.expire of days on the way. */
export const SRS_DAYS = 21;
/** DNS answers remembered: some for each of a few thousand domains. */
export const DNS_CACHE_ENTRIES = 10_000;
/** Larger replies are answers, but are not remembered, so that the entries together stay within 40 MB. */
export const DNS_CACHED_OCTETS = 4096;
/** A record that claims to live shorter still serves the recipients of one message. */
export const DNS_TTL_LEAST_MS = 1000;
/** Who moves a mail host waits an hour for it, whatever the old record said. */
export const DNS_TTL_MOST_MS = 60 * 60_000;
/** RFC 2308 5 allows hours; a domain whose records were forgotten gets its mail soon after they are there. */
export const DNS_NEGATIVE_TTL_MS = 5 * 60_000;
/** RFC 2308 7.1: at most 5 minutes; this is long enough for one message's recipients not to ask again. */
export const DNS_FAILURE_TTL_MS = 5000;
/** Names that lead to other names: a longer chain is a loop or a mistake. */
export const DNS_ALIASES = 10;
/** Questions on their way at a time, each with a socket of its own; later ones wait. */
export const DNS_QUESTIONS = 200;
/** Mail hosts tried for one domain: RFC 5321 5.1 lets the number be bounded, and the rest serve no one who is up. */
export const HOSTS_PER_DOMAIN = 20;
/** Addresses tried for one host. */
export const ADDRESSES_PER_HOST = 8;
/** A line of another server's reply: RFC 5321 4.5.3.1.5 allows 512 octets, and servers that list much in one line exist. */
export const CLIENT_REPLY_LINE_OCTETS = 2048;
/** Lines of another server's reply: EHLO's is the longest that is honest, with some 30. */
export const CLIENT_REPLY_LINES = 100;
/** All of another server's reply. */
export const CLIENT_REPLY_OCTETS = 64 * 1024;
/** Characters of a reply that are kept with each recipient: what a person can read. */
export const CLIENT_REPLY_KEPT = 2000;
/** Commands to another server in flight where it offers PIPELINING: their replies fit the buffers of both systems (RFC 2920 3.1). */
export const PIPELINED_COMMANDS = 100;
/** A dialogue that is kept with a try: some 200 lines. */
export const DIALOGUE_OCTETS = 16 * 1024;
/** SCRAM iterations that a server may make us do at a log-in: some 300 ms of one core; servers ask for 4,096 to 200,000. */
export const SCRAM_CLIENT_ITERATIONS = 600_000;
/** How long a submission may ask to be held (RFC 4865): over the longest holiday, and no store for years. */
export const FUTURE_RELEASE_MS = 30 * 86_400_000;
/** Strangers told at a time that they may not use a listener; more of them are cut off with the same words. */
export const REFUSED_SESSIONS = 20;
/** How long such a stranger may take to say QUIT. */
export const REFUSED_IDLE_MS = 10_000;
/** How often a folder is looked into for files that another system left. */
export const DROP_POLL_MS = 5000;
/** How long a command may take over one message: slow programs hand over to a queue of their own. */
export const PIPE_MS = 60_000;
/** Parts of a MIME message that are told apart; more are taken for an attack, and the message stays whole. */
export const MIME_PARTS = 2000;
/** Multiparts inside multiparts: real mail has four or five levels. */
export const MIME_DEPTH = 20;
/** Header octets of all of a message's parts together that are kept while it is looked through. */
export const MIME_HEADER_OCTETS = 2 * 1024 * 1024;
/** Lines before the text of an EMS note, and characters in one of them. */
export const NOTE_LINES = 1000;
export const NOTE_LINE_CHARACTERS = 4000;
/** A note with its text: what a person writes, or a program's listing. */
export const NOTE_OCTETS = 4 * 1024 * 1024;
/** A file of directory entries: some 300 octets for each of 100,000. */
export const CONTACT_OCTETS = 32 * 1024 * 1024;
/** Entries in one file: more people than a system of this kind serves. */
export const CONTACT_ENTRIES = 100_000;
/** One line of such a file, unfolded: in CSV a list's members stand in one, {@linkcode ALIAS_NAMES} of them at 50 octets. */
export const CONTACT_LINE_OCTETS = 1024 * 1024;
/** Display name, department or phone: what fits a screen's field and a line of a report. */
export const IDENTITY_OCTETS = 256;
/** Nicknames of one user; a person's address book. */
export const NICKNAMES = 5000;
/** Stretches a body may be made of: what a message of MIME_PARTS parts comes to, twice over. */
export const SEGMENTS = 5000;
/** Messages that one is broken apart into; beyond this it stays whole. */
export const PIECES = 500;
/** Octets of the headers that these get, together: each has those of the message. */
export const PIECES_HEADER_OCTETS = 4 * 1024 * 1024;
