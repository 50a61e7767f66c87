/** A DNS for tests: what it was told, and what it was asked. */
import type { Dns, DnsAnswer, DnsRecords, DnsType } from "../../../src/net/dns.ts";

// deno-lint-ignore no-explicit-any -- answers of every type stand side by side
type Answers = Record<string, DnsAnswer<any>>;

/** Answers by `TYPE name`; everything else doesn't exist. */
export class FakeDns implements Dns {
  readonly answers: Answers = {};
  readonly asked: string[] = [];

  query<K extends DnsType>(name: string, type: K): Promise<DnsAnswer<DnsRecords[K]>> {
    const question = `${type} ${name}`;
    this.asked.push(question);
    return Promise.resolve(this.answers[question] ?? { status: "no-such-name", authentic: true });
  }

  found<K extends DnsType>(
    type: K,
    name: string,
    records: readonly DnsRecords[K][],
    options: { readonly authentic?: boolean; readonly name?: string } = {},
  ): void {
    const { authentic = true } = options;
    this.answers[`${type} ${name}`] = { status: "found", records, name: options.name ?? name, authentic };
  }

  failed(type: DnsType, name: string): void {
    this.answers[`${type} ${name}`] = { status: "failed", reason: "SERVFAIL" };
  }
}
