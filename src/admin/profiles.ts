/**
 * What a profile holds beside its name: who somebody is (the seed's screen #1), and what becomes of their mail (screen #2).
 *
 * Guarantees: texts are one line and fit a screen; a user's mail is never sent on to nobody or back to the user.
 *
 * @module
 */
import { textFault } from "../contacts/contact.ts";
import type { Account, AccountChanges, Forwarding, Identity, MailView } from "../store/types.ts";
import { type AdminContext, nameRules } from "./context.ts";
import { checkTargets, EntryGraph } from "./entry_graph.ts";
import { usageError } from "./error.ts";
import { parseTarget } from "./names.ts";

/** Who somebody is, as it is changed: what is undefined stays, "" takes away. */
export interface IdentitySettings {
  readonly displayName?: string | undefined;
  readonly department?: string | undefined;
  readonly phone?: string | undefined;
}

/** What may be set of a profile; what is undefined stays. */
export interface ProfileSettings extends IdentitySettings {
  readonly view?: MailView | undefined;
  /** Where mail is sent on to; "none" for nowhere. */
  readonly forward?: readonly string[] | "none" | undefined;
  /** Whether the user's own maildrop gets it too. @default what it was, or "no" */
  readonly forwardKeep?: "yes" | "no" | undefined;
}

/** What is known of somebody; "" where nothing is. */
export const NOBODY: Identity = { displayName: "", department: "", phone: "" };

const TEXTS = { displayName: "a display name", department: "a department", phone: "a phone number" } as const;

/** An identity with changes. @throws {AdminError} `usage` where a text can't be kept */
export function changedIdentity(identity: Identity, settings: IdentitySettings): Identity {
  const changed: Record<keyof Identity, string> = { ...identity };
  for (const field of ["displayName", "department", "phone"] as const) {
    const given = settings[field]?.trim();
    if (given === undefined) continue;
    const fault = textFault(given);
    if (fault !== undefined) {
      throw usageError(`${TEXTS[field]} that ${fault} can't be kept`, "give a text that fits one line");
    }
    changed[field] = given;
  }
  return changed;
}

/** Whether any of an identity's texts is to be changed. */
export function namesIdentity({ displayName, department, phone }: IdentitySettings): boolean {
  return displayName !== undefined || department !== undefined || phone !== undefined;
}

/**
 * The settings as changes to an account, which may be one still to be made.
 * @throws {AdminError} where a text can't be kept, or mail would be sent on to nobody or in a circle
 */
export async function profileChanges(
  context: AdminContext,
  account: Account,
  settings: ProfileSettings,
): Promise<AccountChanges> {
  const identity = namesIdentity(settings)
    ? { identity: changedIdentity(account.identity ?? NOBODY, settings) }
    : {};
  const view = settings.view === undefined ? {} : { view: settings.view };
  return { ...identity, ...view, ...await forwardChanges(context, account, settings) };
}

async function forwardChanges(
  context: AdminContext,
  account: Account,
  { forward, forwardKeep }: ProfileSettings,
): Promise<AccountChanges> {
  if (forward === "none") return { forward: undefined };
  if (forward === undefined && forwardKeep === undefined) return {};
  const rules = nameRules(context.config);
  const to = forward?.map((target) => parseTarget(target, rules)) ?? account.forward?.to;
  if (to === undefined) {
    throw usageError(`mail of ${account.name} isn't sent on to anybody`, "say to whom with --forward");
  }
  const keep = forwardKeep === undefined ? account.forward?.keep ?? false : forwardKeep === "yes";
  const changed: Forwarding = { to: [...new Set(to)], keep };
  checkTargets(
    { kind: "account", account: { ...account, forward: changed } },
    await EntryGraph.read(context),
  );
  return { forward: changed };
}

/** Where a user's mail is sent on to, as operators see it. */
export interface ForwardView {
  readonly to: readonly string[];
  /** Whether the user's own maildrop gets it too. */
  readonly keep: boolean;
}

/** A user's profile, apart from what makes it a maildrop. */
export interface ProfileView extends Identity {
  readonly view: MailView;
  readonly forward: ForwardView | null;
}

/** An account's profile as operators see it. */
export function profileOf({ identity = NOBODY, view = "oldest", forward }: Account): ProfileView {
  const { displayName, department, phone } = identity;
  return {
    displayName,
    department,
    phone,
    view,
    forward: forward === undefined ? null : { to: [...forward.to], keep: forward.keep },
  };
}
