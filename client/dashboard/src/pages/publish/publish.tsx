/** Publishes an event by hand, and shows its recipients. */
import type { Receipt } from '@lumiere/courier-client';
import { Card, Grid, Stack, Title } from '@mantine/core';
import { Link, useNavigate, useSearch } from '@tanstack/react-router';
import { type ReactElement, useState } from 'react';
import type { ContractDocument } from '../../../../../src/contract/document.ts';
import { descriptionOf, serviceOf } from '../../contract/look-up.ts';
import { useContract } from '../../contract/use-contract.ts';
import { Legible } from '../../parts/legible.tsx';
import { Empty, Loaded } from '../../parts/states.tsx';
import { useIdentity } from '../../session/use-identity.ts';
import { Composer } from './composer.tsx';
import { draftOfType, newDraft } from './draft.ts';
import { type Result, Results } from './results.tsx';
import { servicesFor, TypeChoice } from './type-choice.tsx';

/** Results that the page keeps, at most. */
const MAX_RESULTS = 10;

export function PublishPage(): ReactElement {
  const contract = useContract();
  return (
    <Stack>
      <Title order={1} size="h3">
        Publish
      </Title>
      <Loaded what="The event types" query={contract} rows={8}>
        {({ document }) => <Publisher document={document} />}
      </Loaded>
    </Stack>
  );
}

function Publisher({ document }: { readonly document: ContractDocument }): ReactElement {
  const { role, sub } = useIdentity();
  const { type, channel } = useSearch({ from: '/publish' });
  const navigate = useNavigate({ from: '/publish' });
  const [results, setResults] = useState<readonly Result[]>([]);
  const [draft, setDraft] = useState(() => newDraft(type ?? '', channel));
  const services = servicesFor(document, role, sub);
  const isAllowed = type !== undefined && services.some(([, types]) => types.includes(type));
  if (isAllowed && draft.type !== type) setDraft(draftOfType(draft, type, document));
  const keep = (receipt: Receipt<string>) =>
    setResults((before) => [{ number: (before[0]?.number ?? 0) + 1, receipt }, ...before].slice(0, MAX_RESULTS));
  if (services.length === 0)
    return (
      <Empty title="There is nothing that you may publish">
        No event type is that of a service called <Legible>{sub}</Legible>.
      </Empty>
    );
  return (
    <Grid>
      <Grid.Col span={{ base: 12, md: 7 }}>
        <Card>
          <Stack>
            <TypeChoice
              services={services}
              type={isAllowed ? type : undefined}
              description={isAllowed ? descriptionOf(document, type) : undefined}
              onChange={(chosen) => void navigate({ search: (before) => ({ ...before, type: chosen }), replace: true })}
            />
            {isAllowed ? (
              <Composer key={type} document={document} draft={draft} onChange={setDraft} onPublished={keep} />
            ) : (
              <NotPublished document={document} type={type} />
            )}
          </Stack>
        </Card>
      </Grid.Col>
      <Grid.Col span={{ base: 12, md: 5 }}>
        <Results results={results} />
      </Grid.Col>
    </Grid>
  );
}

function NotPublished({ document, type }: { readonly document: ContractDocument; readonly type: string | undefined }): ReactElement {
  if (type === undefined)
    return (
      <Empty title="Choose a type">
        What each is for stands in the <Link to="/contract">contract</Link>.
      </Empty>
    );
  const service = serviceOf(document, type);
  return (
    <Empty title="This type is not yours to publish">
      <Legible>{type}</Legible> {service === undefined ? 'is no type of the contract.' : `is published by ${service} only.`}
    </Empty>
  );
}
