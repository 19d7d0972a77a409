/** One type of event or notice: its channels and its fields. */
import { Anchor, Badge, Card, Group, Stack, Text, Title } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import type { ReactElement } from 'react';
import type { JsonSchema } from '../../../../../src/contract/json-schema.ts';
import { CodeBlock } from '../../parts/code.tsx';
import { legible } from '../../parts/legible.tsx';
import classes from './contract.module.css';
import { Disclosure } from './disclosure.tsx';
import { type Field, fieldsOf } from './fields.ts';

interface TypeCardProps {
  readonly type: string;
  /** The forms of the channels that carry the type. */
  readonly channels: readonly string[];
  readonly description: string | undefined;
  /** Of the form of the data; it counts the breaking changes. */
  readonly version: number;
  readonly data: JsonSchema;
  readonly examples: readonly unknown[];
  /** The whole schema. */
  readonly schema: JsonSchema;
  readonly canPublish: boolean;
}

export function TypeCard({ type, channels, description, version, data, examples, schema, canPublish }: TypeCardProps): ReactElement {
  return (
    <Card data-type={type}>
      <Stack gap="xs">
        <Group justify="space-between" gap="xs">
          <Group gap="xs">
            <Title order={4} size="h6" className="text">
              {type}
            </Title>
            {version > 1 && (
              <Badge variant="default" tt="none">
                Version {version}
              </Badge>
            )}
          </Group>
          {canPublish && (
            <Anchor
              size="sm"
              renderRoot={(props) => <Link {...props} to="/publish" search={{ type }} aria-label={`Publish one: ${type}`} />}
            >
              Publish one
            </Anchor>
          )}
        </Group>
        {description !== undefined && <Text size="sm">{legible(description)}</Text>}
        <Group gap={4}>
          <Text size="sm" c="dimmed">
            On
          </Text>
          {channels.map((form) => (
            <Badge key={form} variant="default" tt="none" maw="100%" title={form}>
              {form}
            </Badge>
          ))}
        </Group>
        <ul className={classes['list']} aria-label={`Fields of ${type}`}>
          {fieldsOf(data).map((field) => (
            <FieldItem key={field.path} field={field} />
          ))}
        </ul>
        {examples.length > 0 && <Examples type={type} examples={examples} />}
        <Disclosure label="JSON Schema" of={type}>
          <CodeBlock name={`schema of ${type}`}>{JSON.stringify(schema, null, 2)}</CodeBlock>
        </Disclosure>
      </Stack>
    </Card>
  );
}

function Examples({ type, examples }: Pick<TypeCardProps, 'type' | 'examples'>): ReactElement {
  return (
    <Disclosure label={examples.length === 1 ? 'Example' : 'Examples'} of={type}>
      {examples.map((example) => (
        <CodeBlock key={JSON.stringify(example)} name={`example of ${type}`}>
          {JSON.stringify(example, null, 2)}
        </CodeBlock>
      ))}
    </Disclosure>
  );
}

function FieldItem({ field: { path, type, isRequired, constraints, description } }: { readonly field: Field }): ReactElement {
  return (
    <Stack component="li" gap={0} py={6} data-field={path}>
      <Group gap="xs">
        <Text span size="sm" fw={600} ff="monospace" className="text">
          {path}
        </Text>
        <Text span size="sm">
          {type}
        </Text>
        <Text span size="sm" c="dimmed">
          {isRequired ? 'required' : 'optional'}
        </Text>
      </Group>
      {description !== undefined && <Text size="sm">{legible(description)}</Text>}
      {constraints.map((constraint) => (
        <Text key={constraint} size="xs" c="dimmed" className="text">
          {legible(constraint)}
        </Text>
      ))}
    </Stack>
  );
}
