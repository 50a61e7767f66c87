import { assertEquals, assertMatch } from "@std/assert";
import fc from "fast-check";
import { gunzipSync } from "node:zlib";
import { isAscii, latin1 } from "../../../src/base/bytes.ts";
import { fieldValue, parseHeader } from "../../../src/mime/header.ts";
import { parseParameterised } from "../../../src/mime/parameters.ts";
import {
  composeTlsReport,
  formatTlsSubject,
  parseTlsSubject,
  reportDestinations,
  type TlsReport,
  tlsReportJson,
  type TlsSubject,
} from "../../../src/mime/tls_report.ts";
import { decodeTransfer } from "../../../src/mime/transfer_encoding.ts";

const sts = {
  policyType: "sts",
  policyString: ["version: STSv1", "mode: testing", "mx: *.example.org", "max_age: 86400"],
  mxHost: ["*.example.org"],
} as const;
const none = { policyType: "no-policy-found", policyString: [], mxHost: [] } as const;

const report: TlsReport = {
  hostname: "mail.example.net",
  contact: "postmaster@example.net",
  domain: "example.org",
  day: "2026-11-24",
  counted: [
    { subject: { ...sts, resultType: "" }, sessions: 7 },
    { subject: { ...sts, resultType: "certificate-expired", receivingMx: "mx1.example.org" }, sessions: 2 },
    {
      subject: { ...sts, resultType: "starttls-not-supported", receivingMx: "mx2.example.org" },
      sessions: 1,
    },
    { subject: { ...none, resultType: "" }, sessions: 5 },
  ],
};

Deno.test("tlsReportJson() is RFC 8460 4.4's report", () => {
  assertEquals(JSON.parse(tlsReportJson(report)), {
    "organization-name": "mail.example.net",
    "date-range": { "start-datetime": "2026-11-24T00:00:00Z", "end-datetime": "2026-11-24T23:59:59Z" },
    "contact-info": "postmaster@example.net",
    "report-id": "2026-11-24.example.org@mail.example.net",
    "policies": [
      {
        policy: {
          "policy-type": "sts",
          "policy-string": [...sts.policyString],
          "policy-domain": "example.org",
          "mx-host": ["*.example.org"],
        },
        summary: { "total-successful-session-count": 7, "total-failure-session-count": 3 },
        "failure-details": [
          {
            "result-type": "certificate-expired",
            "receiving-mx-hostname": "mx1.example.org",
            "failed-session-count": 2,
          },
          {
            "result-type": "starttls-not-supported",
            "receiving-mx-hostname": "mx2.example.org",
            "failed-session-count": 1,
          },
        ],
      },
      {
        policy: { "policy-type": "no-policy-found", "policy-domain": "example.org" },
        summary: { "total-successful-session-count": 5, "total-failure-session-count": 0 },
      },
    ],
  });
});

Deno.test("composeTlsReport() is a multipart/report around the compressed JSON", () => {
  const octets = composeTlsReport(report, {
    from: "postmaster@example.net",
    to: ["tls@example.org"],
    atMs: Date.UTC(2026, 10, 25, 1),
    key: 7_000_000_000,
  });
  assertEquals(isAscii(octets), true);
  const header = parseHeader(octets);
  const field = (name: string) => fieldValue(header, name);
  assertEquals(field("TLS-Report-Domain"), "example.org");
  assertEquals(field("TLS-Report-Submitter"), "mail.example.net");
  assertEquals(field("To"), "<tls@example.org>");
  assertEquals(
    field("Subject"),
    "Report Domain: example.org Submitter: mail.example.net Report-ID: <2026-11-24.example.org@mail.example.net>",
  );
  const type = parseParameterised(field("Content-Type")!);
  assertEquals([type.value, type.parameters.get("report-type")], ["multipart/report", "tlsrpt"]);
  const [, , file] = latin1(octets.subarray(header.bodyOffset)).split(`--${type.parameters.get("boundary")}`);
  const part = parseHeader(new TextEncoder().encode(file!.slice(2)));
  assertEquals(fieldValue(part, "Content-Type"), "application/tlsrpt+gzip");
  const begin = Date.UTC(2026, 10, 24) / 1000;
  assertEquals(
    parseParameterised(fieldValue(part, "Content-Disposition")!).parameters.get("filename"),
    `mail.example.net!example.org!${begin}!${begin + 86_399}.json.gz`,
  );
  const body = decodeTransfer(new TextEncoder().encode(file!.slice(2)).subarray(part.bodyOffset), "base64");
  assertEquals(gunzipSync(body).toString(), tlsReportJson(report));
});

Deno.test("reportDestinations() reads mailto and https, in order", () => {
  assertEquals(
    reportDestinations(["v=TLSRPTv1; rua=mailto:tls%2Breports@example.org , https://r.example.org/v1/tls"]),
    [
      { kind: "mail", address: "tls+reports@example.org" },
      { kind: "https", url: "https://r.example.org/v1/tls" },
    ],
  );
  assertEquals(reportDestinations(["v=spf1 -all", "v=TLSRPTv1;rua=mailto:a@example.org;"]).length, 1);
});

Deno.test("reportDestinations() takes nothing else", () => {
  const none = [
    "v=TLSRPTv1",
    "v=TLSRPTv1; rua=",
    "v=TLSRPTv2; rua=mailto:a@example.org",
    "rua=mailto:a@example.org; v=TLSRPTv1",
    "v=TLSRPTv1; rua=http://r.example.org/",
    "v=TLSRPTv1; rua=https://127.0.0.1/",
    "v=TLSRPTv1; rua=https://0x7f000001/",
    "v=TLSRPTv1; rua=https://[::1]/",
    "v=TLSRPTv1; rua=https://user:secret@example.org/",
    "v=TLSRPTv1; rua=mailto:a@[127.0.0.1]",
    "v=TLSRPTv1; rua=mailto:a%0d%0aBcc:b@example.org",
    "v=TLSRPTv1; rua=mailto:%ff@example.org",
    `v=TLSRPTv1; rua=mailto:a@example.org; x=${"y".repeat(5000)}`,
  ];
  for (const record of none) assertEquals(reportDestinations([record]), [], record);
  const twice = "v=TLSRPTv1; rua=mailto:a@example.org";
  assertEquals(reportDestinations([twice, twice]), []);
  const many = Array.from({ length: 50 }, (_, i) => `mailto:a${i}@example.org`).join(",");
  assertEquals(reportDestinations([`v=TLSRPTv1; rua=${many}`]).length, 5);
});

Deno.test("reportDestinations() never throws", () => {
  fc.assert(fc.property(fc.string(), (text) => {
    reportDestinations([`v=TLSRPTv1; rua=mailto:${text}`]);
    reportDestinations([`v=TLSRPTv1; rua=https://${text}`]);
    reportDestinations([text]);
  }));
});

Deno.test("parseTlsSubject() reads what formatTlsSubject() made and nothing else", () => {
  const subject: TlsSubject = { ...sts, resultType: "validation-failure", receivingMx: "mx.example.org" };
  assertEquals(parseTlsSubject(formatTlsSubject(subject)), subject);
  assertMatch(formatTlsSubject({ ...none, resultType: "" }), /no-policy-found/);
  for (
    const text of [
      "",
      "{}",
      "null",
      "1",
      '{"policyType":"sts","policyString":[1],"mxHost":[],"resultType":""}',
    ]
  ) {
    assertEquals(parseTlsSubject(text), undefined, text);
  }
});
