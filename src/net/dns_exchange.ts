/**
 * One question to one DNS server and its reply, by UDP or by TCP (RFC 1035 4.2, RFC 7766).
 *
 * Guarantees: each exchange has a socket of its own, and so a source port that the kernel chose by chance (RFC 5452 9.2);
 * datagrams from elsewhere than the server are not looked at; the socket is closed whatever happens; the promise always
 * resolves, within the time given; nothing throws out of a socket event. Waiting doesn't keep the process alive.
 *
 * @module
 */
import { createSocket } from "node:dgram";
import { connect, isIPv6 } from "node:net";
import { asBuffer, concat } from "../base/bytes.ts";
import type { Clock } from "../base/clock.ts";
import { plainAddress } from "./connection.ts";

export interface DnsServer {
  /** An IP address. */
  readonly host: string;
  readonly port: number;
}

export type Exchanged<T> =
  | { readonly kind: "answered"; readonly reply: T }
  | { readonly kind: "failed"; readonly reason: string };

export interface ExchangeOptions<T> {
  readonly server: DnsServer;
  readonly timeoutMs: number;
  readonly clock: Clock;
  /** Holds a function that ends the exchange for as long as it goes on. */
  readonly open: Set<() => void>;
  /** Makes sense of a message, or gives undefined to wait for another. Must not throw. */
  readonly read: (octets: Uint8Array) => T | undefined;
}

/** Datagrams that are no answer to the question: more come from somebody who guesses ids. */
const WRONG_DATAGRAMS = 50;
/** A message by TCP: a length of 16 bits, then that many octets. */
const LENGTH_OCTETS = 2;

/** Sends `query` in a datagram. */
export function exchangeByUdp<T>(query: Uint8Array, options: ExchangeOptions<T>): Promise<Exchanged<T>> {
  const { server, read } = options;
  const socket = createSocket(isIPv6(server.host) ? "udp6" : "udp4");
  socket.unref();
  const address = comparable(server.host);
  let wrong = 0;
  return settle(options, () => socket.close(), (answered, failed) => {
    socket.on("error", (error) => failed(reasonOf(error)));
    socket.on("message", (octets, from) => {
      // Connecting the socket makes the kernel see to this, but not in both runtimes.
      if (comparable(from.address) !== address || from.port !== server.port) return;
      const reply = read(octets);
      if (reply !== undefined) answered(reply);
      else if (++wrong > WRONG_DATAGRAMS) failed("too many answers to questions that were not asked");
    });
    socket.connect(server.port, server.host, () => {
      socket.send(query, (error) => {
        if (error) failed(reasonOf(error));
      });
    });
  });
}

/** Sends `query` by TCP. */
export function exchangeByTcp<T>(query: Uint8Array, options: ExchangeOptions<T>): Promise<Exchanged<T>> {
  const { server, read } = options;
  const socket = connect({ host: server.host, port: server.port, noDelay: true });
  socket.unref();
  let come: Uint8Array = new Uint8Array(0);
  return settle(options, () => socket.destroy(), (answered, failed) => {
    socket.on("error", (error) => failed(reasonOf(error)));
    socket.on("close", () => failed("it closed the connection"));
    socket.on("connect", () => {
      socket.write(concat([Uint8Array.of(query.length >> 8, query.length & 255), query]));
    });
    socket.on("data", (octets) => {
      come = concat([come, octets as Uint8Array]);
      if (come.length < LENGTH_OCTETS) return;
      const end = LENGTH_OCTETS + asBuffer(come).readUInt16BE(0);
      if (come.length < end) return;
      const reply = read(come.subarray(LENGTH_OCTETS, end));
      if (reply !== undefined) answered(reply);
      else failed("its answer is to another question");
    });
  });
}

/** Runs an exchange to its one end: a reply, a failure, the end of its time, or being called off. */
function settle<T>(
  { timeoutMs, clock, open }: ExchangeOptions<T>,
  close: () => void,
  run: (answered: (reply: T) => void, failed: (reason: string) => void) => void,
): Promise<Exchanged<T>> {
  return new Promise((resolve) => {
    let isOver = false;
    const end = (exchanged: Exchanged<T>) => {
      if (isOver) return;
      isOver = true;
      timer.cancel();
      open.delete(stop);
      close();
      resolve(exchanged);
    };
    const failed = (reason: string) => end({ kind: "failed", reason });
    const stop = () => failed("the question was called off");
    const timer = clock.after(timeoutMs, () => failed(`no answer within ${timeoutMs / 1000} s`));
    open.add(stop);
    try {
      run((reply) => end({ kind: "answered", reply }), failed);
    } catch (error) {
      failed(reasonOf(error as Error));
    }
  });
}

const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: "no DNS server is there",
  ECONNRESET: "it closed the connection",
  EHOSTUNREACH: "there is no way to it",
  ENETUNREACH: "there is no way to it",
};

function reasonOf(error: Error & { readonly code?: string }): string {
  return REASONS[error.code ?? ""] ?? error.code ?? error.message;
}

/** An address in the one form in which it can be compared. */
function comparable(address: string): string {
  const plain = plainAddress(address);
  if (!isIPv6(plain)) return plain;
  return new URL(`http://[${plain}]`).hostname;
}
