/** Writes what the Python module has for each channel family and each event type, besides the models. */
import type { ContractDocument } from '../../src/contract/document.ts';
import type { JsonSchema } from '../../src/contract/json-schema.ts';
import { classOf, type Field, type Names } from './python-classes.ts';
import { pythonPattern } from './python-patterns.ts';
import {
  BUILTINS,
  className,
  docstring,
  flat,
  functionName,
  identifier,
  laidOut,
  list,
  literal,
  quoted,
  union,
  wrapped,
} from './python-text.ts';
import type { ObjectClasses } from './python-types.ts';

/** Names that the class of the channels uses itself. */
const NO_METHODS: ReadonlySet<string> = new Set(['staticmethod', 'str']);

/** A channel family. */
export interface Family {
  readonly name: string;
  readonly form: string;
  /** The class of its channels. */
  readonly channel: string;
  /** The field with the id; undefined when there is one channel only. */
  readonly id: string | undefined;
  /** The pattern of the channels' names. */
  readonly pattern: string;
  readonly types: readonly string[];
}

/** An event type. */
export interface EventType extends ObjectClasses {
  readonly name: string;
  readonly model: string;
  readonly dict: string;
  readonly event: string;
  /** The alias for the channels that may carry it. */
  readonly channels: string;
  readonly builder: string;
  readonly description: string | undefined;
  readonly families: readonly Family[];
  /** The family of its channels when the publisher names no channel. */
  readonly home: Family;
}

/** Names that a builder uses itself, and the options of every event. */
const NO_PARAMETERS: ReadonlySet<string> = new Set(
  'channel data options correlation_id causation_id user_id timestamp traceparent idempotency_key checked channel_of event_options EventDraft'.split(
    ' ',
  ),
);
/** Names of the module, which no builder may have. */
export const NO_BUILDERS: ReadonlySet<string> = new Set([
  ...BUILTINS,
  ...'annotations channels checked channel_of event_options matching multiple_of one_of overload dt'.split(' '),
]);

export function familiesOf(document: ContractDocument, names: Names): Family[] {
  return Object.entries(document['x-channels']).map(([name, about]) => {
    const { form, name: schema, types, id } = about;
    const channel = names.claim(`${className(name)}Channel`, `the family ${name}`);
    return { name, form, channel, id, pattern: patternOf(schema, name), types };
  });
}

function patternOf({ pattern, const: only }: JsonSchema, family: string): string {
  const known = pattern === undefined ? undefined : pythonPattern(pattern);
  if (known !== undefined) return known;
  if (typeof only === 'string') return only.replace(/[^A-Za-z0-9_]/g, '\\$&');
  throw new TypeError(`the channels of ${family} have no pattern that Python has`);
}

/** The family that a draft's first channel belongs to. */
export function homeOf(channel: JsonSchema, families: readonly Family[], document: ContractDocument, type: string): Family {
  const [first = channel] = channel.anyOf ?? [];
  const home = families.find(({ name }) => {
    const { pattern, const: only } = document['x-channels'][name]?.name ?? {};
    return pattern === undefined ? only === first.const : pattern === first.pattern;
  });
  if (home === undefined) throw new TypeError(`${type} has no channel of a family`);
  return home;
}

export function channelClasses(families: readonly Family[]): string[] {
  const classes = families.map(({ channel, form, pattern }) =>
    classOf(channel, 'Channel', `A channel \`${form}\`.`, [`    FORM = ${quoted(form)}`, `    NAME = ${quoted(pattern)}`]),
  );
  const methods = families.map(({ name, channel, id }) => {
    const parameter = id === undefined ? undefined : identifier(id);
    const body = parameter === undefined ? `${channel}(${channel}.FORM)` : `${channel}.of(${parameter})`;
    const head = laidOut(
      `    def ${identifier(functionName(name), NO_METHODS)}`,
      list('(', parameter === undefined ? [] : [`${parameter}: str`], ')'),
      ` -> ${channel}:`,
    );
    return `    @staticmethod\n${head}\n        return ${body}\n`;
  });
  const says = docstring('    ', 'Makes the channels of each family. Raises InvalidInputError for an id that no channel has.');
  return [...classes, `class Channels:\n${says}\n\n${methods.join('\n')}`.trimEnd(), `channels = Channels()`];
}

export function eventClass({ event, model, name, description }: EventType): string {
  return classOf(event, `Event[${model}], frozen=True`, description, [`    type: Literal[${quoted(name)}]`]);
}

export function channelsAlias({ channels, families }: EventType): string {
  const before = `${channels}: TypeAlias = `;
  return laidOut(before, union(['str', ...families.map(({ channel }) => channel)], before));
}

/** A keyword argument of a builder. */
interface Parameter {
  readonly name: string;
  readonly type: string;
  readonly required: boolean;
  readonly description?: string | undefined;
  /** The attribute of the model. */
  readonly attribute?: string;
}

/** The function that makes a draft. */
export function builderOf(type: EventType): string {
  const parameters = parametersOf(type);
  const home = homeParameter(type, parameters);
  const extra: Parameter[] = home !== undefined && !parameters.includes(home) ? [home] : [];
  const all: Parameter[] = [...parameters.toSorted((a, b) => Number(b.required) - Number(a.required)), ...extra];
  const lines = [...all, { name: 'channel', type: type.channels, required: false }].map(declared);
  const channel = list('channel_of(', ['channel', type.home.channel, home?.name ?? 'None', quoted(home?.name ?? 'channel')], ')');
  const given = list(
    '{',
    parameters.map(({ name, attribute }) => `${quoted(attribute ?? name)}: ${name}`),
    '}',
  );
  return `def ${type.builder}(
    *,
${lines.join('')}    **options: Unpack[EventOptions],
) -> EventDraft[${type.model}]:
${builderDoc(type, all, home)}
${laidOut('    data = ', list('checked(', [type.model, given], ')'))}
    return EventDraft(
${laidOut('        channel=', channel, ',')}
        type=${quoted(type.name)},
        data=data,
        **event_options(${quoted(type.builder)}, options),
    )`;
}

function parametersOf({ fields }: EventType): Parameter[] {
  const taken = new Set<string>();
  return fields.map(({ python, lenient, required, description }: Field) => {
    const name = identifier(python, { has: (other) => taken.has(other) || NO_PARAMETERS.has(other) });
    taken.add(name);
    return { name, attribute: python, type: lenient, required, description };
  });
}

/** The parameter with the id of the channel: a field, or one of its own. */
function homeParameter({ home, fields }: EventType, parameters: readonly Parameter[]): Parameter | undefined {
  if (home.id === undefined) return undefined;
  const index = fields.findIndex(({ wire }) => wire === home.id);
  if (index >= 0) return parameters[index];
  const taken = new Set(parameters.map(({ name }) => name));
  const name = identifier(home.id, { has: (other) => taken.has(other) || NO_PARAMETERS.has(other) });
  return { name, type: 'str', required: false, description: 'Names the channel.' };
}

function declared({ name, type, required }: Parameter): string {
  const takesNone = type === 'Any' || /(^|\| )None$/.test(type);
  return `    ${name}: ${type}${required ? '' : `${takesNone ? '' : ' | None'} = None`},\n`;
}

function builderDoc({ name, description, home }: EventType, parameters: readonly Parameter[], id: Parameter | undefined): string {
  const form = id === undefined ? home.form : home.form.replace('{id}', `{${id.name}}`);
  const needs = id === undefined || id.required ? '' : ` \`${id.name}\` or \`channel\` is required.`;
  const says = `Makes a draft of \`${name}\`, on \`${form}\` unless \`channel\` names another.${needs}`;
  const described = parameters
    .filter((parameter) => parameter.description !== undefined && parameter.description.trim() !== '')
    .map((parameter) => `        ${wrapped(`${parameter.name}: ${parameter.description}`, '        ', '            ')}\n`);
  const doc = docstring('    ', says, description);
  if (described.length === 0) return doc;
  return `${doc.replace(/\n? *"""$/, '')}\n\n    Args:\n${described.join('')}    """`;
}

/** A protocol whose overloads take the channels and the data of each type. */
export function callProtocol(
  name: string,
  says: string,
  types: readonly EventType[],
  { result, timeout }: { readonly result: string; readonly timeout: boolean },
): string {
  const overloads = types.map(
    (type) => `    ${types.length > 1 ? '@overload\n    ' : ''}def __call__(
        self,
        channel: ${type.channels},
        event_type: Literal[${quoted(type.name)}],
        data: ${type.model} | ${type.dict},
${timeout ? '        *,\n        timeout: float | None = ...,\n' : ''}        **options: Unpack[EventOptions],
    ) -> ${result}: ...
`,
  );
  const about = timeout ? '`timeout` is that of the client by default. None is no limit.' : undefined;
  return `class ${name}(Protocol${timeout ? `[${result}]` : ''}):\n${docstring('    ', says, about)}\n\n${overloads.join('\n')}`.trimEnd();
}

export function mappingOf(name: string, type: string, entries: readonly (readonly [string, string])[], says: string): string {
  const body = entries.map(([key, value]) => `    ${flat(literal(key))}: ${value},\n`).join('');
  return `${name}: ${type} = {\n${body}}\n${docstring('', says)}`;
}
