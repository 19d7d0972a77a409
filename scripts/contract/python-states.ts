/** Writes what the Python module has for each entity: a model of its state, a class of its items, and how it is watched and read. */
import type { ContractDocument } from '../../src/contract/document.ts';
import type { JsonSchema } from '../../src/contract/json-schema.ts';
import { classOf, type Names } from './python-classes.ts';
import { mappingOf } from './python-events.ts';
import { className, docstring, laidOut, list, quoted } from './python-text.ts';
import { TypeWriter } from './python-types.ts';

/** Classes and aliases of a module whose contract has entities, besides those of the entities. */
export const STATE_NAMES: readonly string[] = ['EntityName', 'ReadState', 'ReadStateNow', 'WatchState', 'WatchStateNow'];
/** What such a module takes of `courier_client.contract` and may give on. */
export const STATE_IMPORTS: readonly string[] = [
  'ChannelSelection',
  'GenericItem',
  'ReadOptions',
  'RemovedItem',
  'StateItem',
  'TotalDecimal',
  'WatchOptions',
];
/** What such a module takes of `courier_client` for its annotations. */
export const STATE_CLASSES: readonly string[] = ['LiveState', 'StateSnapshot', 'SyncLiveState'];

/** An entity. */
export interface EntityType {
  readonly name: string;
  readonly description: string;
  readonly schema: JsonSchema;
  readonly model: string;
  readonly item: string;
}

/** The states of the entities of a contract. */
export function statesOf(document: ContractDocument): JsonSchema[] {
  return Object.values(document['x-entities'] ?? {}).map(({ state }) => state);
}

/** The entities with the names of their classes, which are claimed before what is within them gets one. */
export function entityTypes(document: ContractDocument, names: Names): EntityType[] {
  return Object.entries(document['x-entities'] ?? {}).map(([name, { description, state }]) => {
    const base = className(name);
    const [model = '', item = ''] = ['State', 'Item'].map((part) => names.claim(`${base}${part}`, `the entity ${name}`));
    return { name, description, schema: state, model, item };
  });
}

export function stateClasses(entities: readonly EntityType[], names: Names): string[] {
  return entities.flatMap(({ name, description, schema, model, item }) => {
    const classes = { model, dict: model, base: model };
    const { source } = new TypeWriter(names, { isReceived: true }).object(schema, `${name}: state`, classes, `State of \`${name}\`.`);
    return [...source, classOf(item, `StateItem[${model}], frozen=True`, description, [`    entity: Literal[${quoted(name)}]`])];
  });
}

export function entityUnions(entities: readonly EntityType[]): string[] {
  if (entities.length === 0) return [];
  const literals = list(
    'Literal[',
    entities.map(({ name }) => quoted(name)),
    ']',
  );
  return [
    `${laidOut('EntityName: TypeAlias = ', literals)}\n${docstring('', 'The name of an entity.')}`,
    mappingOf(
      'STATES',
      'Mapping[str, type[StateItem[Any]]]',
      entities.map(({ name, item }) => [name, item]),
      "The class of each entity's items.",
    ),
  ];
}

/** How the clients are asked for the state: typed by the name of the entity. */
export function stateCalls(entities: readonly EntityType[]): string[] {
  if (entities.length === 0) return [];
  return [
    stateProtocol('WatchState', 'How `state` of a client is called.', entities, 'WatchOptions', (item) => `LiveState[${item}]`),
    stateProtocol(
      'WatchStateNow',
      'How `state` of a client without asyncio is called.',
      entities,
      'WatchOptions',
      (item) => `SyncLiveState[${item}]`,
    ),
    stateProtocol(
      'ReadStateNow',
      'How `read_state` of a client without asyncio is called.',
      entities,
      'ReadOptions',
      (item) => `StateSnapshot[${item}]`,
    ),
    stateProtocol(
      'ReadState',
      'How `read_state` of a client is called.',
      entities,
      'ReadOptions',
      (item) => `Coroutine[Any, Any, StateSnapshot[${item}]]`,
    ),
  ];
}

function stateProtocol(
  name: string,
  says: string,
  entities: readonly EntityType[],
  options: string,
  result: (item: string) => string,
): string {
  const overloads = entities.map(
    (entity) => `    ${entities.length > 1 ? '@overload\n    ' : ''}def __call__(
        self,
        channels: ChannelSelection,
        entity: Literal[${quoted(entity.name)}],
        **options: Unpack[${options}],
    ) -> ${result(entity.item)}: ...
`,
  );
  return `class ${name}(Protocol):\n${docstring('    ', says)}\n\n${overloads.join('\n')}`.trimEnd();
}
