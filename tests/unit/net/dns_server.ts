/**
 * A DNS server on loopback that answers as a test tells it, by UDP and by TCP on one port.
 *
 * @module
 */
// @ts-types="../../../src/net/dns_packet.d.ts"
import packet, { type DecodedPacket, type Packet, type PacketRecord } from "dns-packet";
import { Buffer } from "node:buffer";
import { createSocket } from "node:dgram";
import * as net from "node:net";

/** One question that has come. */
export interface Asked {
  /** `MX example.org`. */
  readonly question: string;
  readonly by: "udp" | "tcp";
  readonly query: DecodedPacket;
  readonly octets: Uint8Array;
}

/** Messages to send back, in order; none is silence. */
export type Script = (asked: Asked) => readonly Uint8Array[];

export interface DnsFixture {
  readonly port: number;
  readonly asked: Asked[];
  close(): Promise<void>;
}

/** Starts a server; with port 0 the system chooses one. */
export async function dnsServer(script: Script, options: { port?: number } = {}): Promise<DnsFixture> {
  const asked: Asked[] = [];
  const take = (octets: Uint8Array, by: "udp" | "tcp"): readonly Uint8Array[] => {
    const query = packet.decode(octets);
    const [question] = query.questions;
    const one = { question: `${question!.type} ${question!.name}`, by, query, octets };
    asked.push(one);
    return script(one);
  };
  const udp = createSocket("udp4");
  udp.on("message", (octets, from) => {
    for (const reply of take(octets, "udp")) udp.send(reply, from.port, from.address);
  });
  await new Promise<void>((resolve) => udp.bind(options.port ?? 0, "127.0.0.1", resolve));
  const { port } = udp.address();
  const sockets = new Set<net.Socket>();
  const tcp = net.createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
    let come = Buffer.alloc(0);
    socket.on("data", (chunk) => {
      come = Buffer.concat([come, chunk as Buffer]);
      if (come.length < 2 || come.length < 2 + come.readUInt16BE(0)) return;
      for (const reply of take(come.subarray(2), "tcp")) {
        // In two pieces, so that the client has to put them together.
        const framed = Buffer.concat([Buffer.from([reply.length >> 8, reply.length & 255]), reply]);
        socket.write(framed.subarray(0, 1));
        setTimeout(() => socket.write(framed.subarray(1)), 5);
      }
    });
  });
  await new Promise<void>((resolve) => tcp.listen(port, "127.0.0.1", resolve));
  return {
    port,
    asked,
    async close() {
      udp.close();
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => tcp.close(resolve));
    },
  };
}

export interface ReplyOptions {
  readonly answers?: readonly PacketRecord[];
  readonly authorities?: readonly PacketRecord[];
  readonly additionals?: readonly PacketRecord[];
  /** The response code's number. */
  readonly code?: number;
  readonly flags?: number;
  readonly id?: number;
  readonly questions?: Packet["questions"];
}

export const SERVFAIL = 2;
export const NXDOMAIN = 3;
export const REFUSED = 5;
export const FORMERR = 1;
export const AD = packet.AUTHENTIC_DATA;
export const TC = packet.TRUNCATED_RESPONSE;

/** The octets of a reply to what was asked. */
export function replyTo(query: DecodedPacket, options: ReplyOptions = {}): Uint8Array {
  const { answers = [], authorities = [], additionals = [], code = 0, flags = 0 } = options;
  const octets = packet.encode({
    type: "response",
    id: options.id ?? query.id,
    flags: packet.RECURSION_DESIRED | packet.RECURSION_AVAILABLE | flags | code,
    questions: options.questions ?? query.questions,
    answers,
    authorities,
    additionals,
  });
  return Uint8Array.from(octets);
}

/** `record("A", "example.org", "192.0.2.1")`, with a time to live of 300 seconds. */
export function record(type: string, name: string, data: unknown, ttl = 300): PacketRecord {
  return { type, name, data, ttl, class: "IN" };
}

/** An SOA record that lets the lack of a record be remembered for `minimum` seconds. */
export function soa(name: string, minimum: number): PacketRecord {
  const data = {
    mname: "ns.example.org",
    rname: "hostmaster.example.org",
    serial: 1,
    refresh: 1,
    retry: 1,
    expire: 1,
    minimum,
  };
  return record("SOA", name, data, 3600);
}
