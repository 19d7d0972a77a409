/**
 * Writes the contract as one Python module that needs the package `courier_client` only: for each event type a model, a typed
 * dict, a class of events and a builder; for each entity a model and a class of items; the channels; and what lets a client check what
 * is published. The layout is Ruff's, with lines of 120 characters.
 */

import type { ContractDocument } from '../../src/contract/document.ts';
import type { JsonSchema } from '../../src/contract/json-schema.ts';
import { Names } from './python-classes.ts';
import {
  builderOf,
  callProtocol,
  channelClasses,
  channelsAlias,
  type EventType,
  eventClass,
  type Family,
  familiesOf,
  homeOf,
  mappingOf,
  NO_BUILDERS,
} from './python-events.ts';
import {
  type EntityType,
  entityTypes,
  entityUnions,
  STATE_CLASSES,
  STATE_IMPORTS,
  STATE_NAMES,
  stateCalls,
  stateClasses,
  statesOf,
} from './python-states.ts';
import { BUILTINS, className, docstring, functionName, identifier, laidOut, list, quoted, sorted, union } from './python-text.ts';
import { fieldNamesIn, TypeWriter } from './python-types.ts';

/** Classes and aliases that the module imports or has besides those of the contract. */
const OWN_NAMES = ['AnyEvent', 'AsyncPublish', 'Channels', 'Client', 'EventType', 'Publish', 'Publisher', 'Submit', 'SyncClient'];
/** What the module gives on: it is the same in every contract. */
const COMMON_NAMES = ['CourierGapData', 'CourierGapEvent', 'CourierLiveData', 'CourierLiveEvent', 'EventMetadata', 'GenericEvent'];
// biome-ignore format: the names in the order of Ruff
const IMPORTS: readonly (readonly [module: string, names: readonly string[]])[] = [
  ['collections.abc', ['Coroutine', 'Mapping', 'Sequence']],
  ['decimal', ['Decimal']],
  ['typing', ['TYPE_CHECKING', 'Annotated', 'Any', 'Literal', 'Protocol', 'TypeAlias', 'Union', 'overload']],
  [
    'courier_client.contract',
    [
      'NULLABLE', 'Channel', 'Contract', 'CourierGapData', 'CourierGapEvent', 'CourierLiveData', 'CourierLiveEvent', 'Event',
      'EventDraft', 'EventMetadata', 'EventOptions', 'ExactDecimal', 'Field', 'GenericEvent', 'Instant', 'Model', 'NotRequired',
      'PositiveDecimal', 'Receipt', 'ResultT_co', 'TypedDict', 'Unpack', 'channel_of', 'checked', 'event_options', 'matching', 'multiple_of',
      'one_of',
    ],
  ],
];
const CLIENTS = ['BackgroundPublisher', 'CourierClient', 'SyncCourierClient'];
/** What only a module whose contract has entities imports. */
const STATE_ONLY = [...STATE_IMPORTS, ...STATE_CLASSES];

/**
 * @param contractHash of the document's contract
 * @throws {TypeError} naming the path of what Python cannot express
 */
export function pythonOf(document: ContractDocument, contractHash: string): string {
  const states = statesOf(document);
  const names = new Names([...Object.values(document['x-drafts']).map(dataOf), ...states].flatMap((object) => fieldNamesIn(object)));
  const hasStates = states.length > 0;
  const imports = [...IMPORTS.flatMap(([, imported]) => imported), ...CLIENTS, ...(hasStates ? STATE_ONLY : [])];
  for (const name of [...OWN_NAMES, ...imports, ...(hasStates ? STATE_NAMES : [])]) names.claim(name, 'the module itself');
  const families = familiesOf(document, names);
  const entities = entityTypes(document, names);
  const types = eventTypes(document, families, names);
  if (types.length === 0) throw new TypeError('the contract has no event type');
  const body = [
    `CONTRACT_HASH = ${quoted(contractHash)}\n${docstring('', 'The hash of the contract that this module was made of. A gateway sends the hash of its own.')}`,
    ...channelClasses(families),
    ...types.flatMap((type) => [...type.source, eventClass(type), channelsAlias(type)]),
    ...stateClasses(entities, names),
    ...unions(types),
    ...entityUnions(entities),
    ...types.map(builderOf),
    ...calls(types),
    ...stateCalls(entities),
    contractValue(document, families, entities),
    ...clients(entities),
  ];
  const exported = [
    ...names.all().filter((name) => !imports.includes(name)),
    ...COMMON_NAMES,
    ...types.map(({ builder }) => builder),
    ...(hasStates ? ['STATES', 'GenericItem', 'RemovedItem'] : []),
  ];
  const all = laidOut('__all__ = ', list('[', sorted([...exported, 'CONTRACT', 'CONTRACT_HASH', 'EVENTS', 'channels']).map(quoted), ']'));
  const source = spaced([all, ...body]);
  return `${head(source, entities)}${source}\n`;
}

function eventTypes(document: ContractDocument, families: readonly Family[], names: Names): EventType[] {
  const builders = new Set<string>();
  // All types have their names before what is within any of them gets one.
  const named = Object.entries(document['x-drafts']).map(([name, draft]) => {
    const base = className(name);
    const parts = ['Data', 'Dict', 'Event', 'Channels'].map((part) => names.claim(`${base}${part}`, name));
    return { name, draft, base, parts };
  });
  return named.map(({ name, draft, base, parts: [model = '', dict = '', event = '', channels = ''] }) => {
    const { source, fields } = new TypeWriter(names).object(dataOf(draft), `${name}: data`, { model, dict, base }, `Data of \`${name}\`.`);
    const builder = identifier(functionName(name), { has: (other) => builders.has(other) || NO_BUILDERS.has(other) });
    builders.add(builder);
    const description = document['x-types'][name]?.description;
    const home = homeOf(draft.properties?.['channel'] ?? {}, families, document, name);
    const carriers = families.filter((family) => family.types.includes(name));
    return { name, model, dict, event, channels, builder, description, source, fields, home, families: carriers };
  });
}

function dataOf(draft: JsonSchema): JsonSchema {
  return draft.properties?.['data'] ?? {};
}

/** What all event types are together. */
function unions(types: readonly EventType[]): string[] {
  return [
    `${laidOut('AnyEvent: TypeAlias = ', union([...types.map(({ event }) => event), 'GenericEvent'], 'AnyEvent: TypeAlias = '))}
${docstring('', 'Every event that a subscription gives is one of these.')}`,
    `${laidOut(
      'EventType: TypeAlias = ',
      list(
        'Literal[',
        types.map(({ name }) => quoted(name)),
        ']',
      ),
    )}
${docstring('', 'The name of an event type.')}`,
    mappingOf(
      'EVENTS',
      'Mapping[str, type[Event[Any]]]',
      types.map(({ name, event }) => [name, event]),
      'The class of each event type.',
    ),
  ];
}

function calls(types: readonly EventType[]): string[] {
  return [
    callProtocol('Publish', 'How `publish` of a client is called.', types, { result: 'ResultT_co', timeout: true }),
    callProtocol('Submit', 'How `submit` of a background publisher is called.', types, { result: 'None', timeout: false }),
    'AsyncPublish: TypeAlias = Publish[Coroutine[Any, Any, Receipt]]',
  ];
}

function contractValue(document: ContractDocument, families: readonly Family[], entities: readonly EntityType[]): string {
  const states = entities.length > 0 ? ['WatchState', 'ReadState', 'WatchStateNow', 'ReadStateNow'] : [];
  const type = list('Contract[', ['AnyEvent', 'EventType', 'AsyncPublish', 'Publish[Receipt]', 'Submit', ...states], ']');
  const channels = list(
    '(',
    families.map(({ channel }) => channel),
    families.length === 1 ? ',)' : ')',
  );
  return `${laidOut('CONTRACT: ', type, ' = Contract(')}
    name=${quoted(document['x-name'])},
    hash=CONTRACT_HASH,
    events=EVENTS,
${laidOut('    families=', channels, ',')}
${entities.length > 0 ? '    states=STATES,\n' : ''})
${docstring('', 'The contract, for the clients of `courier_client`.')}`;
}

/** The types of the clients, for annotations. */
function clients(entities: readonly EntityType[]): string[] {
  const [states, statesNow] = entities.length > 0 ? [', WatchState, ReadState', ', WatchStateNow, ReadStateNow'] : ['', ''];
  return [
    `Client: TypeAlias = "CourierClient[AnyEvent, EventType, AsyncPublish, Submit${states}]"`,
    `SyncClient: TypeAlias = "SyncCourierClient[AnyEvent, EventType, Publish[Receipt]${statesNow}]"`,
    'Publisher: TypeAlias = "BackgroundPublisher[Submit]"',
  ];
}

/** The docstring, the exceptions for linters, and the imports of what the source uses. */
function head(source: string, entities: readonly EntityType[]): string {
  // In one pass: what begins a docstring or a comment may be within a literal.
  const code = source.replaceAll(/("""[\s\S]*?"""|#.*)|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'/g, (_all, said) =>
    said === undefined ? '""' : '',
  );
  const exported = /__all__ = \[[\s\S]*?\]/.exec(source)?.[0] ?? '';
  const isUsed = (name: string) => new RegExp(`\\b${name}\\b`).test(code) || exported.includes(`"${name}"`);
  const imports = [...(code.includes('dt.') ? ['import datetime as dt'] : [])];
  const sections = [imports, []] as [string[], string[]];
  for (const [module, always] of IMPORTS) {
    const names = module.startsWith('courier') && entities.length > 0 ? [...always, ...STATE_IMPORTS] : always;
    const used = sorted(names.filter((name) => name === 'TYPE_CHECKING' || isUsed(name)));
    if (used.length > 0) sections[module.startsWith('courier') ? 1 : 0].push(importOf(module, used));
  }
  const codes = linterCodes(source, code);
  return `${docstring('', ...MODULE_DOC)}
${codes.length === 0 ? '' : `\n# ruff: noqa: ${codes.join(', ')}\n`}
from __future__ import annotations

${sections[0].join('\n')}

${sections[1].join('\n')}

if TYPE_CHECKING:
    ${importOf('courier_client', sorted(entities.length > 0 ? [...CLIENTS, ...STATE_CLASSES] : CLIENTS), '    ')}

`;
}

const MODULE_DOC = [
  'The events of a contract of Courier: for each type a class, which subscribers receive, and a builder, which makes a draft.',
  'A builder checks the fields, and knows the channel of its events unless `channel` names another. It takes `EventOptions`, and raises InvalidInputError, whose `issues` name the fields.',
  'Generated by `courier contract export --format python`: change the contract, not this file.',
];

function importOf(module: string, names: readonly string[], indent = ''): string {
  const line = `from ${module} import ${names.join(', ')}`;
  return line.length <= 88 ? line : `from ${module} import (\n${names.map((name) => `${indent}    ${name},\n`).join('')}${indent})`;
}

/** The rules of Ruff that names and texts of the contract may break. */
function linterCodes(source: string, code: string): string[] {
  const parameters = [...code.matchAll(/(?:^ {4}|^ {4}def \w+\()(\w+): (?:.*,$|str\))/gm)].map(([, name = '']) => name);
  const fields = [...code.matchAll(/^ {4}(\w+): .*(?<!,)$/gm)].map(([, name = '']) => name);
  const found = {
    A002: parameters.some((name) => BUILTINS.has(name)),
    // Ruff lets a word be as long as it is.
    E501: source.split('\n').some((line) => [...line].length > 120 && /\s/.test(line.trim())),
    E741: [...parameters, ...fields].some((name) => /^[lOI]$/.test(name)),
    E743: /^ *def [lOI]\(/m.test(code),
    N803: parameters.some((name) => /[A-Z]/.test(name)),
    N815: fields.some((name) => /^[a-z].*[A-Z]/.test(name)),
    UP007: code.includes('Union['),
  };
  return Object.entries(found).flatMap(([rule, applies]) => (applies ? [rule] : []));
}

/** The parts of a module, with two empty lines around classes and functions and one between others. */
function spaced(parts: readonly string[]): string {
  const isBlock = (part: string) => /^(class|def|@)/.test(part);
  return parts.reduce((text, part, index) => {
    if (index === 0) return part;
    return `${text}\n${isBlock(part) || isBlock(parts[index - 1] ?? '') ? '\n\n' : '\n'}${part}`;
  }, '');
}
