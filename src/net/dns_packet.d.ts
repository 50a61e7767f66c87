/**
 * The types of what is used of `dns-packet`, which ships none.
 *
 * Import as: `// @ts-types="./dns_packet.d.ts"` above `import packet from "dns-packet"`.
 * Trap: a decoded record's octets are views of the packet that came in; copy what is kept.
 *
 * @module
 */

/** A question; names are without the dot at the end. */
export interface PacketQuestion {
  readonly name: string;
  /** `A`, `MX`, …, or `UNKNOWN_65`. */
  readonly type: string;
  /** @default "IN" */
  readonly class?: string;
}

/** A resource record; `.` is the root's name. */
export interface PacketRecord {
  readonly name: string;
  readonly type: string;
  /** Absent in an OPT record. */
  readonly class?: string;
  /** Seconds; absent in an OPT record. */
  readonly ttl?: number;
  /** Its form depends on the type. */
  readonly data?: unknown;
  /** OPT: the UDP octets that the sender takes. */
  readonly udpPayloadSize?: number;
  /** OPT: such as {@linkcode Codec.DNSSEC_OK}. */
  readonly flags?: number;
  /** OPT: the upper eight bits of the response code. */
  readonly extendedRcode?: number;
  readonly options?: readonly unknown[];
}

export interface Packet {
  readonly type?: "query" | "response";
  readonly id?: number;
  /** Without the bit that tells responses from queries; the response code is in the lowest four. */
  readonly flags?: number;
  readonly questions?: readonly PacketQuestion[];
  readonly answers?: readonly PacketRecord[];
  readonly authorities?: readonly PacketRecord[];
  readonly additionals?: readonly PacketRecord[];
}

export interface DecodedPacket extends Required<Packet> {
  readonly opcode: string;
  /** `NOERROR`, `NXDOMAIN`, …. */
  readonly rcode: string;
  /** From the server that is in charge of the name. */
  readonly flag_aa: boolean;
  /** Truncated. */
  readonly flag_tc: boolean;
  /** Authentic data. */
  readonly flag_ad: boolean;
}

interface Decode {
  /** @throws {Error} where the octets are no packet */
  (octets: Uint8Array): DecodedPacket;
  /** Where the packet read last ended; beyond the octets given where its last record is cut short, which doesn't throw. */
  readonly bytes: number;
}

interface Codec {
  readonly RECURSION_DESIRED: number;
  readonly RECURSION_AVAILABLE: number;
  readonly AUTHORITATIVE_ANSWER: number;
  readonly TRUNCATED_RESPONSE: number;
  readonly AUTHENTIC_DATA: number;
  readonly DNSSEC_OK: number;
  /** Octets of a packet. @throws {Error} where a name or a record can't be written */
  encode(packet: Packet): Uint8Array;
  /** Reads a packet. */
  readonly decode: Decode;
}

declare const codec: Codec;
export default codec;
