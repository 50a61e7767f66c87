/**
 * Lists of small mappings, such as `relay.routes`.
 *
 * Guarantees: as in kinds.ts; a fault names the field it is about.
 *
 * @module
 */
import { type Fault, type Kind, type Reading, shown } from "./kinds.ts";
import { nearest } from "./suggest.ts";

/** One field of a record. */
export interface Field<T> {
  readonly kind: Kind<Exclude<T, undefined>>;
  readonly presence: "required" | "optional";
  readonly fallback: T | undefined;
}

/** A field that has to be there. */
export function required<T>(kind: Kind<T>): Field<T> {
  return { kind: kind as Kind<Exclude<T, undefined>>, presence: "required", fallback: undefined };
}

/** A field that may be left out, and then has a value all the same. */
export function optional<T>(kind: Kind<T>, fallback: NoInfer<T>): Field<T>;
/** A field that may be left out. */
export function optional<T>(kind: Kind<T>): Field<T | undefined>;
export function optional<T>(kind: Kind<T>, fallback?: T): Field<T | undefined> {
  return { kind: kind as Kind<Exclude<T, undefined>>, presence: "optional", fallback };
}

// deno-lint-ignore no-explicit-any -- fields of every type stand side by side; RecordOf gives each its own again
export type Fields = { readonly [key: string]: Field<any> };
export type RecordOf<F extends Fields> = {
  readonly [K in keyof F]: F[K] extends Field<infer T> ? T : never;
};

/** A mapping with these fields and no others. */
export function record<const F extends Fields>(name: string, fields: F): Kind<RecordOf<F>> {
  const example = `{ ${Object.keys(fields).map((key) => `${key}: …`).join(", ")} }`;
  return {
    name,
    read(value) {
      if (!isMapping(value)) return { faults: [{ must: `must be ${name} ${example}`, not: shown(value) }] };
      return readFields<F>(value, fields);
    },
    write(value) {
      const parts = Object.entries(fields).flatMap(([key, field]) => {
        const held = (value as Readonly<Record<string, unknown>>)[key];
        return held === undefined || held === field.fallback ? [] : [`${key}: ${field.kind.write(held)}`];
      });
      return `{ ${parts.join(", ")} }`;
    },
  };
}

function readFields<F extends Fields>(
  value: Readonly<Record<string, unknown>>,
  fields: F,
): Reading<RecordOf<F>> {
  const faults: Fault[] = [];
  for (const key of Object.keys(value)) {
    if (Object.hasOwn(fields, key)) continue;
    faults.push({
      must: `has no field ${shown(key)}`,
      suggestion: nearest(key, Object.keys(fields)),
    });
  }
  const read: Record<string, unknown> = {};
  for (const [key, { kind, presence, fallback }] of Object.entries(fields)) {
    const given = Object.hasOwn(value, key) ? value[key] : undefined;
    if (given === undefined) {
      if (presence === "required") faults.push({ must: `needs a field '${key}' (${kind.name})` });
      read[key] = fallback;
      continue;
    }
    const reading = kind.read(given);
    if ("value" in reading) read[key] = reading.value;
    else faults.push(...reading.faults.map((fault) => ({ ...fault, must: `field '${key}' ${fault.must}` })));
  }
  return faults.length > 0 ? { faults } : { value: read as RecordOf<F> };
}

function isMapping(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Date);
}
