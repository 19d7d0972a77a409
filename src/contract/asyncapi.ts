/**
 * The contract as an AsyncAPI document (https://www.asyncapi.com): what a client without tRPC sends and receives. The path of
 * a server followed by the address of a channel is the path of a request: `/publish/global`, `/ws/global`.
 */
import type { ContractDocument, FamilyOfChannels } from './document.ts';
import { NOTICE_DESCRIPTIONS } from './envelope.ts';
import type { JsonSchema } from './json-schema.ts';
import { sampleDraft, sampleEvent } from './samples.ts';

interface Reference {
  readonly $ref: string;
}

interface Message {
  readonly name: string;
  readonly title: string;
  readonly summary?: string;
  readonly payload: Reference;
  readonly correlationId: Reference;
  readonly examples: readonly { readonly payload: object }[];
}

interface Channel {
  readonly address: string;
  readonly title?: string;
  readonly description: string;
  readonly parameters?: Readonly<Record<string, { readonly description: string }>>;
  readonly messages: Readonly<Record<string, Reference>>;
  readonly bindings: object;
}

interface Operation {
  readonly action: 'send' | 'receive';
  readonly title: string;
  readonly channel: Reference;
  readonly messages: readonly Reference[];
  readonly tags?: readonly { readonly name: string }[];
  readonly bindings?: object;
}

export interface AsyncApiDocument {
  readonly asyncapi: '3.1.0';
  readonly info: object;
  readonly defaultContentType: string;
  readonly servers: Readonly<Record<string, object>>;
  readonly channels: Readonly<Record<string, Channel>>;
  readonly operations: Readonly<Record<string, Operation>>;
  readonly components: {
    readonly messages: Readonly<Record<string, Message>>;
    readonly schemas: Readonly<Record<string, JsonSchema>>;
    readonly correlationIds: object;
    readonly securitySchemes: object;
  };
}

/** The Courier that serves the contract. */
export interface Edition {
  readonly version: string;
  readonly contractHash: string;
}

/** Makes the document. The name of a received event is its type, and the name of its draft is the type and `.draft`. */
export function asyncApiDocument(document: ContractDocument, { version, contractHash }: Edition): AsyncApiDocument {
  const { $defs, 'x-drafts': drafts, 'x-channels': channels, 'x-notices': notices } = document;
  const schemas = { ...$defs, ...Object.fromEntries(Object.entries(drafts).map(([type, schema]) => [draftOf(type), schema])) };
  return {
    asyncapi: '3.1.0',
    info: {
      title: 'Courier',
      version,
      description:
        'A typed event gateway, seen from its clients: services send drafts of events over HTTP, subscribers receive events over WebSocket. ' +
        `Receivers pass over fields and types that they do not know. The contract is ${document['x-name']}.`,
      license: { name: 'MIT' },
      'x-contract-hash': contractHash,
    },
    defaultContentType: 'application/json',
    servers: SERVERS,
    channels: Object.fromEntries(Object.entries(channels).map(([family, of]) => [family, channelOf(of, notices)])),
    operations: { ...sendOperations(document), ...receiveOperations(document) },
    components: {
      messages: messagesOf(document),
      schemas,
      correlationIds: {
        correlation_id: {
          location: '$message.payload#/metadata/correlation_id',
          description: 'Ties together what belongs to one piece of work, across services.',
        },
      },
      securitySchemes: SECURITY_SCHEMES,
    },
  };
}

const SECURITY_SCHEMES = {
  bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT', description: 'A token in the Authorization header.' },
  query: { type: 'httpApiKey', in: 'query', name: 'token', description: 'The same in the address, for clients that cannot set headers.' },
};

const place = {
  host: '{host}',
  variables: {
    host: { default: '127.0.0.1:8766', description: 'Where the gateway listens, or what stands before it.' },
    base_path: { default: '', description: 'What all of its paths begin with there: nothing, or such as /courier.' },
  },
};

const SERVERS = {
  http: {
    ...place,
    pathname: '{base_path}/publish',
    protocol: 'http',
    description: 'POST a draft. The answer is 201 once the event is stored.',
    security: [ref('components', 'securitySchemes', 'bearer')],
  },
  websocket: {
    ...place,
    pathname: '{base_path}/ws',
    protocol: 'ws',
    description:
      'One event a text message; there is nothing to send. The address may list channels and patterns, separated by commas: `*` is one segment, `**` one or more.',
    security: [ref('components', 'securitySchemes', 'bearer'), ref('components', 'securitySchemes', 'query')],
  },
};

const WEBSOCKET_BINDING = {
  method: 'GET',
  query: {
    type: 'object',
    properties: {
      last_event_id: { type: 'string', description: 'The position to resume after: the id of the last event that was received.' },
      from: { type: 'string', enum: ['now', 'earliest'], description: 'Where to begin without a position; `now` when absent.' },
      types: { type: 'string', description: 'Only events of these types, separated by commas.' },
    },
  },
  bindingVersion: '0.1.0',
};

function channelOf({ form, title, types }: FamilyOfChannels, notices: readonly string[]): Channel {
  const names = [...types, ...notices, ...types.map(draftOf)];
  return {
    address: form,
    ...(title !== undefined && { title }),
    description: `What is published to ${form}, and what Courier itself says to its subscribers.`,
    ...(form.includes('{id}') && { parameters: { id: { description: '1 to 64 of A-Z a-z 0-9 _ -.' } } }),
    messages: Object.fromEntries(names.map((name) => [name, ref('components', 'messages', name)])),
    bindings: { ws: WEBSOCKET_BINDING },
  };
}

/** By name: events and notices as they are received, and drafts as they are sent. */
function messagesOf(document: ContractDocument): Record<string, Message> {
  const received = Object.keys(document.$defs).map((type) =>
    messageOf(type, type, summaryOf(document, type), samplesOf(document, type, sampleEvent)),
  );
  const sent = Object.keys(document['x-drafts']).map((type) =>
    messageOf(draftOf(type), `Draft of ${type}`, summaryOf(document, type), samplesOf(document, type, sampleDraft)),
  );
  return Object.fromEntries([...received, ...sent].map((message) => [message.name, message]));
}

function messageOf(name: string, title: string, summary: string | undefined, samples: readonly object[]): Message {
  return {
    name,
    title,
    ...(summary !== undefined && { summary }),
    payload: ref('components', 'schemas', name),
    correlationId: ref('components', 'correlationIds', 'correlation_id'),
    examples: samples.map((payload) => ({ payload })),
  };
}

function summaryOf({ 'x-types': types }: ContractDocument, type: string): string | undefined {
  return types[type]?.description ?? NOTICE_DESCRIPTIONS[type];
}

/** One for each example of a type, and one for a notice. */
function samplesOf(document: ContractDocument, type: string, make: typeof sampleDraft): object[] {
  const { examples } = document['x-types'][type] ?? { examples: [undefined] };
  return examples.map((data) => make(document, type, data));
}

/** By service and family: the events that the service may publish there. */
function sendOperations({ 'x-services': services, 'x-channels': channels }: ContractDocument): Record<string, Operation> {
  const operations = Object.entries(services).flatMap(([service, own]) =>
    Object.entries(channels).flatMap(([family, { form, types }]): [string, Operation][] => {
      const sent = types.filter((type) => own.includes(type));
      if (sent.length === 0) return [];
      const operation: Operation = {
        action: 'send',
        title: `${service} publishes to ${form}`,
        channel: ref('channels', family),
        messages: sent.map((type) => ref('channels', family, 'messages', draftOf(type))),
        tags: [{ name: service }],
        bindings: { http: { method: 'POST', bindingVersion: '0.3.0' } },
      };
      return [[`publish.${service}.${family}`, operation]];
    }),
  );
  return Object.fromEntries(operations);
}

/** By family: what subscribers receive. */
function receiveOperations({ 'x-channels': channels, 'x-notices': notices }: ContractDocument): Record<string, Operation> {
  const operations = Object.entries(channels).map(([family, { form, types }]): [string, Operation] => [
    `subscribe.${family}`,
    {
      action: 'receive',
      title: `Events of ${form}`,
      channel: ref('channels', family),
      messages: [...types, ...notices].map((name) => ref('channels', family, 'messages', name)),
    },
  ]);
  return Object.fromEntries(operations);
}

function draftOf(type: string): string {
  return `${type}.draft`;
}

/** A reference within the document. No part has a `/` or a `~`, which would need escapes. */
function ref(...path: readonly string[]): Reference {
  return { $ref: `#/${path.join('/')}` };
}
