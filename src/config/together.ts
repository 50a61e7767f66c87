/**
 * Checks of settings that are right by themselves and have to fit each other.
 *
 * Guarantees: pure; a fault stands at the setting that would be changed, and names the other.
 *
 * @module
 */
import { normalize } from "node:path";
import type { Config } from "./config.ts";
import type { Fault, ListenAddress } from "./kinds.ts";
import type { Path } from "./locate.ts";
import { gatewayDomain } from "./names.ts";
import type { Report } from "./schema.ts";

/** Reports what doesn't go together. */
export function checkTogether(config: Config, report: Report): void {
  checkCertificate(config, report);
  checkListeners(config, report);
  checkBuffer(config, report);
  checkHosts(config, report);
  checkGateways(config, report);
}

function checkCertificate({ tls: { certFile, keyFile } }: Config, report: Report): void {
  if ((certFile === undefined) === (keyFile === undefined)) return;
  const [set, missing] = certFile === undefined ? ["keyFile", "certFile"] : ["certFile", "keyFile"];
  report(["tls", set!], {
    must: `needs tls.${missing} beside it`,
    reason: "give both, or neither for a self-signed certificate",
  });
}

function checkListeners({ listen }: Config, report: Report): void {
  const taken = new Map<string, string>();
  for (const [name, addresses] of Object.entries(listen)) {
    for (const { host, port } of addresses ?? []) {
      const address = host === undefined ? `port ${port} on every address` : `${host} port ${port}`;
      const other = taken.get(address);
      if (other !== undefined && port !== 0) {
        report(["listen", name], { must: `takes ${address}, which listen.${other} has already` });
      }
      taken.set(address, name);
    }
  }
}

/** The seed, Figures 2 and 4: what a mode with a buffer host has to know of it. */
function checkBuffer({ relay: { mode, buffer } }: Config, report: Report): void {
  if (mode !== "buffer" && mode !== "combined") return;
  if (buffer.host === undefined) {
    report(["relay", "mode"], {
      must: `${mode} needs relay.buffer.host`,
      reason: "the name or address of the host that takes this system's mail",
    });
  }
  if (mode === "buffer" && buffer.acceptFrom.length === 0) {
    report(["relay", "mode"], {
      must: "buffer needs relay.buffer.acceptFrom",
      reason: "the addresses that the buffer host sends from, since nobody else may use the smtp listeners",
    });
  }
}

/** A host that mail is given to, as the settings have it. */
interface Host {
  readonly host: string | undefined;
  readonly port: number;
  readonly tls: string;
  readonly user: string | undefined;
  readonly passwordFile: string | undefined;
}

function checkHosts(config: Config, report: Report): void {
  const { buffer, fallback, routes, senders } = config.relay;
  const own = ownAddresses(config);
  const check = (path: Path, host: Host): void => {
    // Of an entry in a list only the entry has a line.
    const reportHost = (setting: string, fault: Fault) =>
      typeof path.at(-1) === "number"
        ? report(path, { ...fault, must: `field '${setting}' ${fault.must}` })
        : report([...path, setting], fault);
    checkLogin(host, reportHost);
    if (host.host === undefined || !own(host.host, host.port)) return;
    reportHost("host", {
      must: `leads to this system itself (${host.host}, port ${host.port})`,
      reason: "mail would go round in circles; name another host or port",
    });
  };
  check(["relay", "buffer"], buffer);
  check(["relay", "fallback"], fallback);
  routes.forEach((route, index) => check(["relay", "routes", index], route));
  senders.forEach((sender, index) => check(["relay", "senders", index], sender));
}

/** A log-in is whole, and never said in the clear. */
function checkLogin(
  { host, tls, user, passwordFile }: Host,
  report: (setting: string, fault: Fault) => void,
): void {
  if ((user === undefined) !== (passwordFile === undefined)) {
    const [set, missing] = user === undefined ? ["passwordFile", "user"] : ["user", "passwordFile"];
    report(set!, {
      must: `needs ${missing} beside it`,
      reason: "give both, or neither for no log-in",
    });
  }
  if (user === undefined) return;
  if (host === undefined) report("user", { must: "needs a host beside it to log in at" });
  if (tls === "off" || tls === "opportunistic") {
    report("user", {
      must: "needs tls: verified, implicit or required beside it",
      reason: `with tls: ${tls} the password could be sent in the clear`,
    });
  }
}

type FileDrop = Config["gateways"]["filedrop"][number];
type Pipe = Config["gateways"]["pipe"][number];

function checkGateways(config: Config, report: Report): void {
  const { filedrop, pipe, default: standard } = config.gateways;
  const all = [
    ...filedrop.map((gateway, index) => ({ gateway, path: ["gateways", "filedrop", index] as const })),
    ...pipe.map((gateway, index) => ({ gateway, path: ["gateways", "pipe", index] as const })),
  ];
  const names = new Map<string, string>();
  const domains: { readonly domain: string; readonly whose: string }[] = [];
  for (const { gateway, path } of all) {
    const whose = `gateways.${path[1]}[${path[2]}]`;
    checkGatewayName(gateway.name, names.get(gateway.name), (fault) => report(path, fault));
    names.set(gateway.name, whose);
    const domain = gatewayDomain(gateway, config);
    checkGatewayDomain(domain, { config, others: domains }, (fault) => report(path, fault));
    domains.push({ domain, whose });
  }
  pipe.forEach((gateway, index) =>
    checkCommand(gateway, (fault) => report(["gateways", "pipe", index], fault))
  );
  checkFolders(filedrop, report);
  if (standard !== "smtp" && !names.has(standard)) {
    report(["gateways", "default"], {
      must: `is '${standard}', which no gateway is called`,
      reason: names.size === 0
        ? "use smtp, or add a gateway of that name under gateways.filedrop or gateways.pipe"
        : `use ${[...new Set(["smtp", ...names.keys()])].join(" or ")}`,
    });
  }
}

function checkGatewayName(name: string, other: string | undefined, report: (fault: Fault) => void): void {
  if (name === "smtp") {
    report({ must: "field 'name' is smtp, the built-in gateway's name", reason: "choose another" });
  } else if (other !== undefined) {
    report({ must: `field 'name' is ${name}, as that of ${other}`, reason: "each gateway needs its own" });
  }
}

/** Routing tells by its domain which gateway an address is of. */
function checkGatewayDomain(
  domain: string,
  { config, others }: {
    readonly config: Config;
    readonly others: readonly { readonly domain: string; readonly whose: string }[];
  },
  report: (fault: Fault) => void,
): void {
  const isBelow = (inner: string, outer: string) => inner === outer || inner.endsWith(`.${outer}`);
  const own = config.domains.find((each) => isBelow(each, domain));
  if (own !== undefined) {
    const relation = own === domain ? "is" : `takes in ${own},`;
    report({
      must: `field 'domain' (${domain}) ${relation} one of this system's own domains`,
      reason: "mail for people here would go to the gateway; name a domain below it, or another",
    });
  }
  const other = others.find((each) => isBelow(each.domain, domain) || isBelow(domain, each.domain));
  if (other === undefined) return;
  report({
    must: other.domain === domain
      ? `field 'domain' (${domain}) is also that of ${other.whose}`
      : `field 'domain' (${domain}) and that of ${other.whose} (${other.domain}) lie within each other`,
    reason: "each gateway needs a domain that is not below another's",
  });
}

function checkCommand({ command }: Pipe, report: (fault: Fault) => void): void {
  if (!/\{(?:to|from|id)\}/.test(command[0]!)) return;
  report({
    must: `field 'command' begins with '${command[0]}'`,
    reason: "which program is started may not depend on the message; give its name first, and {to} behind it",
  });
}

/** A folder that is both read and written would bring everything back. */
function checkFolders(filedrop: readonly FileDrop[], report: Report): void {
  const plain = (folder: string) => normalize(folder).replace(/(?!^)\/$/, "");
  filedrop.forEach((drop, index) => {
    if (drop.in === undefined) return;
    const path = ["gateways", "filedrop", index] as const;
    const folder = plain(drop.in);
    const writer = filedrop.findIndex((each) => plain(each.out) === folder);
    if (writer >= 0) {
      const whose = writer === index ? "its own field 'out'" : `gateways.filedrop[${writer}] field 'out'`;
      report(path, {
        must: `field 'in' is the folder ${drop.in}, as ${whose}`,
        reason: "what goes out would come in again; use two folders",
      });
    }
    const reader = filedrop.findIndex((each) => each.in !== undefined && plain(each.in) === folder);
    if (reader >= index) return;
    report(path, {
      must: `field 'in' is the folder ${drop.in}, as that of gateways.filedrop[${reader}]`,
      reason: "each needs its own, or nobody could tell whose mail it is",
    });
  });
}

/** Ports that a listener of a configuration that names none takes. */
const STANDARD_PORTS = { smtp: 25, submission: 587, submissions: 465 } as const;
const THIS_MACHINE = ["localhost", "127.0.0.1", "::1"];

/**
 * Tells whether a host and port are obviously an SMTP listener of this system. Where listen says nothing, only the host's
 * own name counts: the standard ports of localhost may well be another program's.
 */
function ownAddresses({ hostname, listen }: Config): (host: string, port: number) => boolean {
  const services = ["smtp", "submission", "submissions"] as const;
  return (host, port) =>
    services.some((service) => {
      const addresses = listen[service];
      if (addresses === undefined) {
        return host === hostname && host !== "localhost" && port === STANDARD_PORTS[service];
      }
      return addresses.some((address: ListenAddress) =>
        address.port === port && port !== 0 &&
        (address.host === undefined
          ? host === hostname || THIS_MACHINE.includes(host)
          : address.host === host)
      );
    });
}
