/** What `--where` asks of fields: texts of a command line, which the gateway's contract says how to read. */
import type { FieldForms } from './meant.ts';

type Scalar = string | number | boolean;
/** By field, `state.symbol`: what it may be, as it was written. */
export type Where = Readonly<Record<string, readonly string[]>>;

/** Reads `state.symbol=SPX,NDX` beside what was given before; undefined where it says no field and value. */
export function conditionOf(given: string, before: Where = {}): Where | undefined {
  const at = given.indexOf('=');
  if (at < 1) return undefined;
  const field = given.slice(0, at);
  return { ...before, [field]: [...(before[field] ?? []), ...given.slice(at + 1).split(',')] };
}

/** The conditions as the gateway takes them. What a field can have is for the gateway to say: here it stays a text. */
export function conditionsFor(where: Where, entities: readonly FieldForms[]): Record<string, Scalar | Scalar[]> {
  return Object.fromEntries(
    Object.entries(where).map(([path, texts]) => {
      const kinds = new Set(entities.flatMap((fields) => kindsIn(fields[path.replace(/^state\./, '')])));
      const values = texts.flatMap((text) => readings(text, kinds));
      return [path, values.length === 1 ? (values[0] as Scalar) : values];
    }),
  );
}

function readings(text: string, kinds: ReadonlySet<string>): Scalar[] {
  const fitting: Scalar[] = [
    ...(kinds.has('string') ? [text] : []),
    ...(kinds.has('boolean') && /^(true|false)$/.test(text) ? [text === 'true'] : []),
    ...(kinds.has('number') && NUMBER.test(text) && Number.isFinite(Number(text)) ? [Number(text)] : []),
  ];
  return fitting.length === 0 ? [text] : fitting;
}

/** As JSON has them, and with noughts before it. */
const NUMBER = /^-?\d+(\.\d+)?([eE][+-]?\d+)?$/;

/** Whether a JSON Schema is one of texts, numbers or booleans, or of several of them. */
function kindsIn(schema: unknown): string[] {
  if (typeof schema !== 'object' || schema === null) return [];
  const { type, enum: values, anyOf = [] } = schema as { type?: unknown; enum?: readonly unknown[]; anyOf?: readonly unknown[] };
  if (typeof type === 'string') return [type === 'integer' ? 'number' : type];
  return [...(values ?? []).map((value) => typeof value), ...anyOf.flatMap(kindsIn)];
}
