/**
 * How a recipient gets a message: whole, or broken apart (the seed, "PassThru vs Break Apart").
 *
 * | recipient | `passthru: yes` | `passthru: no` |
 * |---|---|---|
 * | outside, by SMTP | whole | apart |
 * | account with POP3 access P | whole | apart |
 * | account with POP3 access Y or N | apart | apart |
 * | gateway with `attachments: whole` | whole | whole |
 * | gateway with `attachments: apart` | apart | apart |
 *
 * PassThru is the seed's facility for SMTP and its users; what another gateway takes is a property of the system behind it,
 * and so a setting of its own.
 *
 * @module
 */

/** `whole`: what comes in goes out. `apart`: the text is one message, and each attachment one of its own. */
export type Handling = "whole" | "apart";

/** Who gets a message, as far as its handling depends on it. */
export type Receiver =
  | { readonly kind: "smtp" }
  /** The seed's "Allow POP3 Access". */
  | { readonly kind: "account"; readonly pop3: "P" | "Y" | "N" }
  /** What the gateway's configuration says. */
  | { readonly kind: "gateway"; readonly attachments: Handling };

/** How a recipient gets a message; `passthru` is the configuration's setting. */
export function handlingFor(
  receiver: Receiver,
  { passthru }: { readonly passthru: boolean },
): Handling {
  switch (receiver.kind) {
    case "smtp":
      return passthru ? "whole" : "apart";
    case "account":
      return passthru && receiver.pop3 === "P" ? "whole" : "apart";
    case "gateway":
      return receiver.attachments;
  }
}
