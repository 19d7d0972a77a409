/** Warns before the token expires, and takes another one, without losing anything on the page. */
import { CourierError } from '@lumiere/courier-client';
import { useCourierClient } from '@lumiere/courier-client/react';
import { Alert, Button, Group, Modal, Stack, Text, Textarea } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { type FormEvent, type ReactElement, useEffect, useState } from 'react';
import { duration } from '../parts/format.ts';
import { Legible } from '../parts/legible.tsx';
import { session } from './session.ts';
import { bare, problemOf } from './sign-in.tsx';
import { useIdentity } from './use-identity.ts';

/** The time from the warning to the token's end, in ms. */
const ANNOUNCED_MS = 5 * 60_000;

export function ExpiryNotice(): ReactElement | null {
  const leftMs = useTimeLeft();
  const [isOpen, setOpen] = useState(false);
  if (leftMs === undefined || leftMs > ANNOUNCED_MS) return null;
  return (
    <Alert color="orange" variant="outline" title="Your token is about to expire" role="status" mb="md">
      <Group justify="space-between">
        <Text size="sm">You will be signed out in {duration(Math.max(0, leftMs / 1000))}.</Text>
        <Button size="xs" variant="default" onClick={() => setOpen(true)}>
          Go on with another token
        </Button>
      </Group>
      <Renewal opened={isOpen} onClose={() => setOpen(false)} />
    </Alert>
  );
}

/** The time until the token expires, by the gateway's clock, in ms; to the second. */
function useTimeLeft(): number | undefined {
  const { trpc } = useCourierClient();
  const { expiresAt } = useIdentity();
  const { data: endsAt } = useQuery({
    queryKey: ['whoami', expiresAt.getTime()],
    queryFn: async ({ signal }) => Date.now() + (await trpc.auth.whoami.query(undefined, { signal })).expires_in_ms,
    staleTime: Number.POSITIVE_INFINITY,
    retry: true,
  });
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 1000);
    return () => clearInterval(timer);
  }, []);
  return endsAt === undefined ? undefined : endsAt - now;
}

function Renewal({ opened, onClose }: { readonly opened: boolean; readonly onClose: () => void }): ReactElement {
  const { sub } = useIdentity();
  const [token, setToken] = useState('');
  const [problem, setProblem] = useState<string>();
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    const found = problemOf(token);
    setProblem(found);
    if (found !== undefined) return;
    try {
      await session.renew(bare(token));
      setToken('');
      onClose();
    } catch (error) {
      setProblem(error instanceof CourierError ? error.message : String(error));
    }
  };
  return (
    <Modal opened={opened} onClose={onClose} title="Go on with another token">
      <Stack component="form" onSubmit={submit}>
        <Text size="sm">
          It must be one of <Legible>{sub}</Legible>. The page stays as it is.
        </Text>
        <Textarea
          label="Token"
          value={token}
          onChange={(event) => setToken(event.currentTarget.value)}
          error={problem}
          minRows={3}
          autosize
          spellCheck={false}
          autoComplete="off"
          data-autofocus
        />
        <Button type="submit">Go on</Button>
      </Stack>
    </Modal>
  );
}
