/**
 * The seed's figure for a configuration: the network the system lives in, and every way that mail takes in or out.
 *
 * Guarantees: pure; what is closed is drawn as closed and not left out; no secret and no file name is shown.
 *
 * @module
 */
import { type Cidr, type Config, listenDefaults, type ListenerName } from "../config/config.ts";
import { formatListenAddress } from "../net/listener.ts";
import { gatewayDomains } from "../server/mailboxes.ts";
import { type Box, type Charset, drawFigure, type Figure, type Link } from "./figure.ts";

/** What `emsmail topology --json` prints. */
export interface TopologyView extends Figure {
  readonly mode: Config["relay"]["mode"];
  /** Sentences below the figure. */
  readonly notes: readonly string[];
}

/** Boxes beside each other at most: of more, the words would get too narrow to read. */
const ROW_BOXES = 3;

/** The figure as data. */
export function describeTopology(config: Config): TopologyView {
  const { mode } = config.relay;
  const internet = INTERNET[mode](config);
  const host = buffer(config) ?? fallback(config);
  const above = [...internet, ...optional(host), ...optional(listedHosts(config))];
  const below = [
    clients(config),
    ...mode === "combined" ? [travellers(config)] : [],
    ...optional(trusted(config)),
  ];
  const joined = optional(gateways(config));
  const place = above.length < ROW_BOXES ? "above" : below.length < ROW_BOXES ? "below" : "middle";
  return {
    mode,
    above: place === "above" ? [...above, ...joined] : above,
    middle: {
      title: `EMSmail  ${config.hostname}`,
      lines: [
        ...middleLines(config),
        ...place === "middle" ? joined.map(({ lines }) => `gateways: ${lines.join("; ")}`) : [],
      ],
    },
    below: place === "below" ? [...below, ...joined] : below,
    ...mode === "buffer" || mode === "combined" ? { neighbours: ["Internet", "Buffer host"] as const } : {},
    notes: notes(config),
  };
}

/** The figure as lines of at most 80 columns. */
export function drawTopology(config: Config, charset: Charset): string[] {
  const view = describeTopology(config);
  return [...drawFigure(view, charset), ...view.notes];
}

// ---------------------------------------------------------------- above: where mail comes from and goes to

/** The seed, Figures 1 to 4. */
const INTERNET: { readonly [mode in Config["relay"]["mode"]]: (config: Config) => readonly Box[] } = {
  direct: (config) => [{
    ...NET,
    links: [openToAll(config), { direction: "out", words: "DNS + SMTP out" }],
  }],
  combined: (config) => [{
    ...NET,
    links: [openToAll(config), { direction: "out", words: "DNS + SMTP out, tried first" }],
  }],
  buffer: (config) => [{
    ...NET,
    links: [
      isOff(config, "smtp")
        ? off("smtp")
        : { direction: "closed", words: `smtp ${ports(config, "smtp")}: closed to strangers (554)` },
      config.relay.outbound === "dump"
        ? { direction: "closed", words: "nothing goes out directly" }
        : { direction: "out", words: "DNS + SMTP out, tried first" },
    ],
  }],
  intranet: (config) => [
    { title: "Intranet", lines: ["other hosts and devices"], links: [openToAll(config)] },
    {
      title: "Internet",
      lines: ["not there, or not used"],
      links: [{ direction: "closed", words: "no DNS, no connections; mail for outside is refused (550)" }],
    },
  ],
};

const NET = { title: "Internet", lines: ["other mail systems"] } as const;

function openToAll(config: Config): Link {
  if (isOff(config, "smtp")) return off("smtp");
  return { direction: "in", words: `smtp ${ports(config, "smtp")}: from anyone` };
}

function buffer({ relay, ...config }: Config): Box | undefined {
  const { mode, buffer, outbound } = relay;
  if (mode !== "buffer" && mode !== "combined") return undefined;
  const whole = { relay, ...config };
  const from = mode === "combined"
    ? "what it kept for us"
    : `from ${some(buffer.acceptFrom.map(block)).join(", ") || "nobody"} only`;
  const out = mode === "combined"
    ? "SMTP: what can't go directly"
    : outbound === "dump"
    ? "SMTP, all mail"
    : "SMTP: what DNS names no host for";
  return {
    title: "Buffer host",
    lines: [hostAndPort(buffer)],
    links: [
      isOff(whole, "smtp")
        ? off("smtp")
        : { direction: "in", words: `smtp ${ports(whole, "smtp")}: ${from}` },
      { direction: "out", words: out },
    ],
  };
}

function fallback({ relay: { mode, fallback } }: Config): Box | undefined {
  if (mode !== "direct" || fallback.host === undefined) return undefined;
  return {
    title: "Fallback host",
    lines: [hostAndPort(fallback)],
    links: [{ direction: "out", words: "SMTP: what finds no host, or none that answers" }],
  };
}

/** Entries shown of a list; the rest is counted. */
const LIST_SHOWN = 4;

function listedHosts({ relay: { mode, routes, senders } }: Config): Box | undefined {
  // On an intranet no sender has a way of its own.
  const used = mode === "intranet" ? [] : senders;
  const lines = [
    ...routes.map((route) => `${route.domain}: ${hostAndPort(route)}`),
    ...used.map((sender) => `from ${sender.sender}: ${hostAndPort(sender)}`),
  ];
  if (lines.length === 0) return undefined;
  return {
    title: "Listed hosts",
    lines: some(lines),
    links: [{ direction: "out", words: "SMTP: their mail" }],
  };
}

/** Systems joined by other means than SMTP. */
function gateways(config: Config): Box | undefined {
  const { filedrop, pipe } = config.gateways;
  const domains = new Map(gatewayDomains(config).map(({ name, domain }) => [name, domain]));
  const lines = [
    ...filedrop.map(({ name }) => `${name} (file drop) for ${domains.get(name)}`),
    ...pipe.map(({ name }) => `${name} (pipe) for ${domains.get(name)}`),
  ];
  if (lines.length === 0) return undefined;
  const isBoth = filedrop.some((drop) => drop.in !== undefined);
  const means = filedrop.length === 0 ? "commands" : pipe.length === 0 ? "files" : "files, commands";
  return {
    title: "Gateways",
    lines: some(lines),
    links: [{ direction: isBoth ? "both" : "out", words: `${means}: their mail` }],
  };
}

// ---------------------------------------------------------------- the middle

function middleLines({ domains, relay, receivers }: Config): string[] {
  const isBuffer = relay.mode === "buffer";
  const mode = isBuffer ? `buffer, outbound ${relay.outbound}` : relay.mode;
  return [
    `keeps the mail of ${some(domains).join(", ")}`,
    `relay mode ${mode}; receivers: ${isBuffer ? relay.buffer.receivers : receivers}`,
  ];
}

// ---------------------------------------------------------------- below: people

function clients(config: Config): Box {
  const lines = ["any mail program that speaks SMTP and POP3"];
  return { title: "PC clients", lines, links: [submission(config), fetching(config)] };
}

function travellers(config: Config): Box {
  return {
    title: "Travelling users",
    lines: ["over the Internet"],
    links: [submission(config), fetching(config)],
  };
}

function submission(config: Config): Link {
  const shown = ports(config, "submission", "submissions");
  if (shown === "") return off("submission");
  return { direction: "in", words: `SMTP ${shown}: log-in${tls(config.smtp.plainAuth)}` };
}

function fetching(config: Config): Link {
  const shown = ports(config, "pop3", "pop3s");
  if (shown === "") return off("pop3");
  return { direction: "out", words: `POP3 ${shown}: log-in${tls(config.pop3.plainLogin)}` };
}

/** In mode buffer the smtp listeners talk to the buffer host alone. */
function trusted(config: Config): Box | undefined {
  const { clients, mode } = config.relay;
  if (clients.length === 0 || mode === "buffer" || isOff(config, "smtp")) return undefined;
  return {
    title: "Listed clients",
    lines: some(clients.map(block)),
    links: [{ direction: "in", words: `smtp ${ports(config, "smtp")}: no log-in` }],
  };
}

function tls(policy: "tls-only" | "always"): string {
  return policy === "tls-only" ? " by TLS" : ", also without TLS";
}

// ---------------------------------------------------------------- leaves

function optional<T>(value: T | undefined): readonly T[] {
  return value === undefined ? [] : [value];
}

function isOff({ listen }: Config, service: ListenerName): boolean {
  return listen[service]?.length === 0;
}

function off(service: string): Link {
  return { direction: "closed", words: `${service} is turned off` };
}

/** `25`, `587, 127.0.0.1:465`; "" where all of them are off. */
function ports({ listen }: Config, ...services: ListenerName[]): string {
  const shown = services.flatMap((service) => listen[service] ?? listenDefaults("yes")[service]).map((
    address,
  ) => address.host === undefined ? String(address.port) : formatListenAddress(address));
  return some(shown).join(", ");
}

function hostAndPort({ host, port }: { readonly host: string | undefined; readonly port: number }): string {
  return `${host ?? "not named yet"}${port === 25 ? "" : `, port ${port}`}`;
}

function block({ family, address, prefixBits }: Cidr): string {
  return prefixBits === (family === "ipv4" ? 32 : 128) ? address : `${address}/${prefixBits}`;
}

/** The first few of a list, and how many more there are. */
function some(list: readonly string[]): readonly string[] {
  return list.length <= LIST_SHOWN
    ? list
    : [...list.slice(0, LIST_SHOWN - 1), `${list.length - LIST_SHOWN + 1} more`];
}

function notes({ listen }: Config): string[] {
  const high = listenDefaults("no");
  const names = (Object.keys(high) as ListenerName[]).filter((name) => listen[name] === undefined);
  if (names.length === 0) return [];
  const shown = names.map((name) => `${name} ${high[name][0]!.port}`);
  return [
    "Where ports below 1024 can't be had:",
    `  ${shown.join(", ")}.`,
  ];
}
