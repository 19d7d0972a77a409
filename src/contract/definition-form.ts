/** What the definition of a contract is made of. The compiler sees that too, but nobody compiles a contract in JavaScript. */
import { z } from 'zod';

const text = z.string({ error: 'must be a text' }).min(1, { error: 'must be a text' });
const list = <T extends z.ZodType>(item: T) => z.array(item, { error: 'must be a list' });
const entries = <T extends z.ZodType>(value: T) => z.record(z.string(), value, { error: 'must be an object' });
const fields = <T extends z.ZodRawShape>(shape: T) =>
  z.strictObject(shape, { error: ({ code }) => (code === 'invalid_type' ? 'must be an object' : undefined) });

/** What kind of schema it is, is told with all else that is wrong with what it is for. */
const schema = z.custom((value) => value !== undefined, { error: 'must be a z.strictObject' });

const EARLIER = { error: 'must be an earlierVersion(schema, toPresent)' };

const event = fields({
  on: list(text),
  description: text,
  data: schema,
  examples: list(z.unknown()),
  subject: text.optional(),
  version: z.number({ error: 'must be a number' }).optional(),
  upcast: entries(z.custom((value) => typeof value === 'object' && value !== null, EARLIER)).optional(),
});

const fn = z.custom((value) => typeof value === 'function', { error: 'must be a function' });

const entity = fields({
  description: text,
  key: list(text),
  types: list(text),
  on: list(text).optional(),
  state: schema,
  version: z.number({ error: 'must be a number' }).optional(),
  reduce: fn,
  open: fn,
  migrate: entries(z.custom((value) => typeof value === 'object' && value !== null, EARLIER)).optional(),
});

const definition = fields({
  name: z.string({ error: 'must be a text' }),
  families: entries(fields({ id: text, title: text.optional() })),
  services: entries(fields({ description: text.optional(), events: entries(event) })),
  entities: entries(entity).optional(),
});

/** One line each; none when all that has to be there is there, and nothing else. */
export function formProblems(given: unknown): string[] {
  const { error } = definition.safeParse(given);
  return (error?.issues ?? []).flatMap((issue) => {
    const place = placeOf(issue.path.map(String));
    if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => `${place}there is no ${JSON.stringify(key)}`);
    return [`${place}${issue.message}`];
  });
}

/** As the other problems of an event begin: `services.stations.events.station.measured: description: `. */
function placeOf(path: readonly string[]): string {
  const depth = path[0] === 'services' && path[2] === 'events' ? 4 : path[0] === 'entities' ? 2 : path.length;
  const parts = path.length >= depth ? [path.slice(0, depth).join('.'), path.slice(depth).join('.')] : [path.join('.')];
  return parts.map((part) => (part === '' ? '' : `${part}: `)).join('');
}
