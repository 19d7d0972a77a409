/** An event's data: as a form, or as JSON. */
import type { Issue } from '@lumiere/courier-client';
import { Button, Group, SegmentedControl, Stack, Text, Textarea, Title } from '@mantine/core';
import { type ReactElement, useState } from 'react';
import type { JsonSchema } from '../../../../../src/contract/json-schema.ts';
import type { SampleDraft } from '../../../../../src/contract/samples.ts';
import { Legible } from '../../parts/legible.tsx';
import { DataForm } from './data-form.tsx';
import { type Draft, dataOf } from './draft.ts';
import { Examples } from './examples.tsx';
import { held, isObject, misfit } from './form-data.ts';
import { readJson } from './json-text.ts';

interface DataFieldProps {
  readonly draft: Draft;
  readonly schema: JsonSchema;
  readonly examples: readonly SampleDraft[];
  readonly issues: readonly Issue[];
  /** @param path of the changed field; undefined when it is unknown. */
  readonly onChange: (change: Pick<Draft, 'data' | 'json'>, path?: string) => void;
  readonly onExample: (example: SampleDraft) => void;
}

export function DataField({ draft, schema, examples, issues, onChange, onExample }: DataFieldProps): ReactElement {
  const { data, json } = draft;
  const [refusal, setRefusal] = useState<string>();
  const choose = (shown: string) => {
    setRefusal(undefined);
    if (shown === 'json') return onChange({ data, json: JSON.stringify(dataOf(draft, schema), null, 2) });
    const read = formDataOf(json ?? '{}', schema);
    if ('fault' in read) return setRefusal(read.fault);
    return onChange({ data: read.data, json: undefined });
  };
  return (
    <Stack gap="sm">
      <Group justify="space-between">
        <Title order={2} size="h5">
          Data
        </Title>
        <Group gap="xs">
          <Examples
            examples={examples}
            onChoose={(example) => {
              setRefusal(undefined);
              onExample(example);
            }}
          />
          <SegmentedControl
            size="xs"
            aria-label="How the data is written"
            data={[
              { value: 'form', label: 'Form' },
              { value: 'json', label: 'JSON' },
            ]}
            value={json === undefined ? 'form' : 'json'}
            onChange={choose}
          />
        </Group>
      </Group>
      {refusal !== undefined && (
        <Text size="sm" c="var(--mantine-color-error)" role="alert">
          No form can show this yet: <Legible>{refusal}</Legible>
        </Text>
      )}
      {json === undefined ? (
        <DataForm schema={schema} data={data} issues={issues} onChange={(changed, path) => onChange({ data: changed, json }, path)} />
      ) : (
        <DataText json={json} issues={issues} onChange={(changed) => onChange({ data, json: changed })} />
      )}
    </Stack>
  );
}

function formDataOf(json: string, schema: JsonSchema): { readonly data: Draft['data'] } | { readonly fault: string } {
  const read = readJson(json);
  if ('fault' in read) return { fault: `the text ${read.fault}` };
  const path = misfit(read.value, schema, 'data');
  if (path !== undefined || !isObject(read.value)) return { fault: `${path ?? 'data'} is not what the field for it holds` };
  return { data: held(read.value, schema) as Draft['data'] };
}

interface DataTextProps {
  readonly json: string;
  readonly issues: readonly Issue[];
  readonly onChange: (json: string) => void;
}

function DataText({ json, issues, onChange }: DataTextProps): ReactElement {
  const read = readJson(json);
  const told = 'fault' in read ? [read.fault] : issues.map(({ path, message }) => `${path}: ${message}`);
  return (
    <>
      <Textarea
        id="data"
        label="Data as JSON"
        value={json}
        onChange={(event) => onChange(event.currentTarget.value)}
        error={told.length > 0 && <Legible>{told.join('\n')}</Legible>}
        autosize
        minRows={8}
        maxRows={30}
        spellCheck={false}
        styles={{ input: { fontFamily: 'var(--mantine-font-family-monospace)' } }}
      />
      {'value' in read && (
        <Button
          size="xs"
          variant="default"
          onClick={() => onChange(JSON.stringify(read.value, null, 2))}
          style={{ alignSelf: 'flex-start' }}
        >
          Indent
        </Button>
      )}
    </>
  );
}
