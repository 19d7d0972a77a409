/** The first page, and the wait for the gateway's answer. */
import { useCourierConnection } from '@lumiere/courier-client/react';
import { Alert, Button, Card, Center, Loader, Stack, Text, Textarea, Title } from '@mantine/core';
import { type FormEvent, type KeyboardEvent, type ReactElement, useState } from 'react';
import { Legible } from '../parts/legible.tsx';
import { session } from './session.ts';

export function SignIn({ reason }: { readonly reason: string | undefined }): ReactElement {
  const [token, setToken] = useState('');
  const [problem, setProblem] = useState<string>();
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const found = problemOf(token);
    setProblem(found);
    if (found === undefined) session.signIn(bare(token));
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === 'Enter') submit(event);
  };
  return (
    <Center component="main" mih="100vh" p="md">
      <Card w="100%" maw={480} padding="xl">
        <Stack component="form" onSubmit={submit}>
          <div>
            <Title order={1} size="h2">
              Courier
            </Title>
            <Text c="dimmed">Connections, streams and events of this gateway</Text>
          </div>
          {reason !== undefined && (
            <Alert color="orange" variant="outline" title="You are signed out" role="alert">
              <Legible>{reason}</Legible>
            </Alert>
          )}
          <Textarea
            label="Token"
            description="A JWT of an admin, or of a service, which sees less. It is kept in this tab only, until it is closed."
            placeholder="eyJ…"
            value={token}
            onChange={(event) => setToken(event.currentTarget.value)}
            onKeyDown={onKeyDown}
            error={problem}
            autosize
            minRows={3}
            maxRows={8}
            spellCheck={false}
            autoComplete="off"
            autoCapitalize="none"
            data-autofocus
            styles={{ input: { fontFamily: 'var(--mantine-font-family-monospace)' } }}
          />
          <Button type="submit">Sign in</Button>
          <Text size="sm" c="dimmed">
            In development, the gateway's first log lines say how to get one.
          </Text>
        </Stack>
      </Card>
    </Center>
  );
}

export function SigningIn(): ReactElement {
  const connection = useCourierConnection();
  const error = connection.status === 'connecting' ? connection.error : undefined;
  return (
    <Center component="main" mih="100vh" p="md">
      <Card w="100%" maw={480} padding="xl">
        <Stack align="center">
          <Title order={1} size="h3">
            Courier
          </Title>
          <Loader aria-label="Signing in" />
          <Text role="status">{error === undefined ? 'Signing in …' : 'The gateway cannot be reached; it is tried again.'}</Text>
          {error !== undefined && (
            <Text size="sm" c="dimmed">
              <Legible>{error.message}</Legible>
            </Text>
          )}
          <Button variant="default" onClick={() => session.signOut()}>
            Cancel
          </Button>
        </Stack>
      </Card>
    </Center>
  );
}

/** Users often copy a token with the text around it. */
export function bare(token: string): string {
  return token.trim().replace(/^Bearer\s+/i, '');
}

/** The reason why a text is not a token. Only the gateway knows whether a token is valid. */
export function problemOf(token: string): string | undefined {
  const text = bare(token);
  if (text === '') return 'Paste a token.';
  if (/\s/.test(text)) return 'There is a space or a line break within the token.';
  return /^[\w-]+\.[\w-]+\.[\w-]+$/.test(text) ? undefined : 'This is no JWT: it has three parts, separated by dots.';
}
