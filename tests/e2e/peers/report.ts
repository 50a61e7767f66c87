/**
 * What Python's email package makes of a notification (RFC 3464): a reader that nobody here wrote.
 *
 * @module
 */
import { mustRun } from "../harness.ts";

/** A multipart/report in parts. Names of fields are in lower case. */
export interface ReadReport {
  /** `multipart/report; report-type=delivery-status`, without its boundary. */
  readonly type: string;
  readonly header: Readonly<Record<string, string>>;
  /** The media types of the parts, in order. */
  readonly parts: readonly string[];
  readonly text: string;
  readonly message: Readonly<Record<string, string>>;
  readonly recipients: readonly Readonly<Record<string, string>>[];
  /** The last part's text: the message that it is about, or its header. */
  readonly original: string;
  /** What the package found wrong with it. */
  readonly defects: readonly string[];
}

const PROGRAM = `
import email, email.policy, json, sys
message = email.message_from_bytes(sys.stdin.buffer.read(), policy=email.policy.default)
fields = lambda part: {name.lower(): str(value) for name, value in part.items()}
parts = list(message.iter_parts())
blocks = [fields(block) for block in parts[1].get_payload()]
if len(blocks) == 1:
    # Of RFC 6533's type the package knows no more than that it holds a message.
    rest = parts[1].get_payload()[0].get_payload().strip().split("\\n\\n")
    blocks += [fields(email.message_from_string(block, policy=email.policy.default)) for block in rest]
last = parts[2].get_payload()
print(json.dumps({
    "type": message.get_content_type() + "; report-type=" + str(message.get_param("report-type")),
    "header": fields(message),
    "parts": [part.get_content_type() for part in parts],
    "text": parts[0].get_content(),
    "message": blocks[0],
    "recipients": blocks[1:],
    "original": last if isinstance(last, str) else last[0].as_string(),
    "defects": [repr(defect) for part in message.walk() for defect in part.defects],
}))
`;

/** Takes a notification to pieces. */
export async function readReport(text: string): Promise<ReadReport> {
  return JSON.parse(await mustRun(["python3", "-c", PROGRAM], { stdin: text })) as ReadReport;
}
