/** The fields of an event's metadata. */
import { Button, Stack, TextInput } from '@mantine/core';
import type { ReactElement, ReactNode } from 'react';
import type { JsonSchema } from '../../../../../src/contract/json-schema.ts';
import { legible } from '../../parts/legible.tsx';
import type { Metadata } from './draft.ts';

const FIELDS = [
  { key: 'timestamp', path: 'metadata.timestamp', label: 'Time', placeholder: '2026-01-31T09:30:00Z' },
  { key: 'correlation_id', path: 'metadata.correlation_id', label: 'Correlation id', placeholder: 'research-1' },
  { key: 'user_id', path: 'metadata.user_id', label: 'User id', placeholder: '' },
  { key: 'idempotency_key', path: 'idempotency_key', label: 'Idempotency key', placeholder: 'a new one' },
] as const satisfies readonly { readonly key: keyof Metadata; readonly [of: string]: string }[];

interface MetadataFieldsProps {
  readonly metadata: Metadata;
  /** The schema of the whole draft. */
  readonly schema: JsonSchema;
  readonly errorAt: (path: string) => ReactNode;
  readonly isOpen: boolean;
  readonly onToggle: () => void;
  readonly onChange: (metadata: Metadata, path: string) => void;
}

export function MetadataFields({ metadata, schema, errorAt, isOpen, onToggle, onChange }: MetadataFieldsProps): ReactElement {
  const said = FIELDS.filter(({ key }) => metadata[key].trim() !== '').length;
  return (
    <div>
      <Button size="xs" variant="default" onClick={onToggle} aria-expanded={isOpen}>
        Metadata{said === 0 ? '' : ` (${said})`}
      </Button>
      {isOpen && (
        <Stack gap="sm" mt="xs">
          {FIELDS.map(({ key, path, label, placeholder }) => (
            <TextInput
              key={key}
              id={path}
              label={label}
              description={legible(descriptionOf(schema, path))}
              placeholder={placeholder}
              value={metadata[key]}
              onChange={(event) => onChange({ ...metadata, [key]: event.currentTarget.value }, path)}
              error={errorAt(path)}
              autoComplete="off"
              spellCheck={false}
            />
          ))}
        </Stack>
      )}
    </div>
  );
}

function descriptionOf(schema: JsonSchema, path: string): string {
  const field = path.split('.').reduce<JsonSchema | undefined>((within, name) => within?.properties?.[name], schema);
  return field?.description ?? '';
}
