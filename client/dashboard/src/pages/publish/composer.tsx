/** The form with which a user writes and publishes an event. */
import { CourierError, type Issue, type Receipt } from '@lumiere/courier-client';
import { Button, Group, Stack, Text } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { type ReactElement, type ReactNode, type Ref, useEffect, useRef, useState } from 'react';
import type { ContractDocument } from '../../../../../src/contract/document.ts';
import { sampleDraft } from '../../../../../src/contract/samples.ts';
import { dataSchemaOf, draftSchemaOf, familiesOf, typeOf } from '../../contract/look-up.ts';
import { Legible } from '../../parts/legible.tsx';
import { ChannelField } from './channel-field.tsx';
import { DataField } from './data-field.tsx';
import { channelOf, contentOf, type Draft, dataOf, idFor } from './draft.ts';
import { Failure } from './failure.tsx';
import { fieldOf, messageAt } from './issues.ts';
import { MetadataFields } from './metadata-fields.tsx';
import { usePublish } from './use-publish.ts';

interface ComposerProps {
  readonly document: ContractDocument;
  readonly draft: Draft;
  readonly onChange: (draft: Draft) => void;
  readonly onPublished: (receipt: Receipt<string>) => void;
}

export function Composer({ document, draft, onChange, onPublished }: ComposerProps): ReactElement {
  const { mutation, refusal, publish, repeat, forget } = usePublish(onPublished);
  const [isMetadataOpen, { toggle, open }] = useDisclosure(false);
  const [noticed, setNoticed] = useState(0);
  const families = familiesOf(document, draft.type);
  const whole = draftSchemaOf(document, draft.type);
  const schema = dataSchemaOf(document, draft.type);
  const data = dataOf(draft, schema);
  const channel = channelOf(draft, families, data);
  const isJson = draft.json !== undefined;
  const issuesAt = (field: string) => refusal.issues.filter(({ path }) => fieldOf(path, schema, isJson) === field);
  const errorAt = (field: string): ReactNode => {
    const messages = issuesAt(field).map((issue) => messageAt(field, issue));
    return messages.length === 0 ? undefined : <Legible>{messages.join('\n')}</Legible>;
  };
  const hasField = ({ path }: Issue) => fieldOf(path, schema, isJson) !== undefined;
  const homeless = refusal.issues.filter((issue) => !hasField(issue));
  const isMetadataWrong = refusal.issues.some(({ path }) => path.startsWith('metadata.') || path === 'idempotency_key');
  const change = (part: Partial<Draft>, path?: string) => {
    if (path !== undefined) forget(path);
    // The data suggests the channel.
    if (draft.channel === undefined) forget('channel');
    onChange({ ...draft, ...part });
  };
  if (noticed !== refusal.number) {
    setNoticed(refusal.number);
    if (isMetadataWrong) open();
  }
  const form = useFocusOnRefusal(refusal.number, mutation.isPending);
  return (
    <form
      ref={form}
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        publish(draft, channel, whole);
      }}
      aria-label="Event"
    >
      <Stack>
        <ChannelField
          channel={channel}
          families={families}
          idOf={(family) => idFor(family, draft, data)}
          error={errorAt('channel')}
          onChange={(typed) => change({ channel: typed }, 'channel')}
        />
        <DataField
          draft={draft}
          schema={schema}
          examples={typeOf(document, draft.type)?.examples.map((example) => sampleDraft(document, draft.type, example)) ?? []}
          issues={refusal.issues.filter(({ path }) => path === 'data' || path.startsWith('data.'))}
          onChange={(changed, path) => change(changed, path)}
          onExample={(example) => {
            forget('channel');
            change(contentOf(example, draft, schema, families), 'data');
          }}
        />
        <MetadataFields
          metadata={draft.metadata}
          schema={whole}
          errorAt={errorAt}
          isOpen={isMetadataOpen}
          onToggle={toggle}
          onChange={(metadata, path) => change({ metadata }, path)}
        />
        {mutation.error !== null && !isToldByFields(mutation.error, hasField) && (
          <Failure error={mutation.error} issues={homeless} onRepeat={repeat} />
        )}
        <Group>
          <Button type="submit" loading={mutation.isPending}>
            Publish
          </Button>
          <Text size="sm" role="status">
            {mutation.data !== undefined && `Published on ${mutation.data.channel}`}
          </Text>
        </Group>
      </Stack>
    </form>
  );
}

/** Faults at fields need no further message, neither before nor after the user corrects them. */
function isToldByFields(error: Error, hasField: (issue: Issue) => boolean): boolean {
  if (!(error instanceof CourierError) || error.code !== 'BAD_REQUEST') return false;
  return error.issues !== undefined && error.issues.length > 0 && error.issues.every(hasField);
}

/** Moves the focus to the first fault, once it is shown. */
function useFocusOnRefusal(number: number, isPending: boolean): Ref<HTMLFormElement> {
  const form = useRef<HTMLFormElement>(null);
  useEffect(() => {
    if (number === 0 || isPending) return;
    form.current?.querySelector<HTMLElement>('[aria-invalid="true"], [data-issue]')?.focus();
  }, [number, isPending]);
  return form;
}
