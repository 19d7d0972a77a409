/** The reason of a failed publish, unless a field shows it, and what to do. */
import { CourierError, type CourierErrorCode, type Issue } from '@lumiere/courier-client';
import { Alert, Button, List, Stack, Text } from '@mantine/core';
import type { ReactElement } from 'react';
import { Legible } from '../../parts/legible.tsx';

const TITLES: Readonly<Partial<Record<CourierErrorCode, string>>> = {
  BAD_REQUEST: 'The gateway refused the event',
  FORBIDDEN: 'You may not publish this',
  UNAUTHORIZED: 'The token is not valid any more',
  PAYLOAD_TOO_LARGE: 'The event is too large',
  TOO_MANY_REQUESTS: 'Too much was published',
};
/** After these codes the event may be stored or not. A publish repeated with its key stores it once. */
const OUTCOME_UNKNOWN: readonly CourierErrorCode[] = ['TIMEOUT', 'INTERNAL_SERVER_ERROR', 'SERVICE_UNAVAILABLE'];

interface FailureProps {
  readonly error: Error;
  /** The faults that no field shows. */
  readonly issues: readonly Issue[];
  readonly onRepeat: (idempotencyKey: string) => void;
}

export function Failure({ error, issues, onRepeat }: FailureProps): ReactElement {
  const { code, hint, retryAfterMs, requestId, idempotencyKey } = error instanceof CourierError ? error : NOTHING_TOLD;
  const isUnknown = code !== undefined && OUTCOME_UNKNOWN.includes(code);
  const title = isUnknown ? 'It is not known whether the event was published' : (code && TITLES[code]) || 'The event was not published';
  return (
    <Alert color={isUnknown ? 'orange' : 'red'} variant="outline" title={title} role="alert" tabIndex={-1} data-issue data-code={code}>
      <Stack gap="xs" align="flex-start">
        {issues.length === 0 ? (
          <Text size="sm">
            <Legible>{error.message}</Legible>
          </Text>
        ) : (
          <List size="sm">
            {issues.map(({ path, message }) => (
              <List.Item key={`${path} ${message}`}>
                <Legible>{path === '' ? message : `${path}: ${message}`}</Legible>
              </List.Item>
            ))}
          </List>
        )}
        {retryAfterMs !== undefined && <Text size="sm">Try again in {Math.ceil(retryAfterMs / 1000)} s.</Text>}
        {hint !== undefined && issues.length === 0 && (
          <Text size="sm" c="dimmed">
            <Legible>{hint}</Legible>
          </Text>
        )}
        {requestId !== undefined && (
          <Text size="xs" c="dimmed">
            In the gateway's log: <Legible>{requestId}</Legible>
          </Text>
        )}
        {isUnknown && idempotencyKey !== undefined && (
          <Button size="xs" variant="default" onClick={() => onRepeat(idempotencyKey)}>
            Publish again with the same key
          </Button>
        )}
      </Stack>
    </Alert>
  );
}

const NOTHING_TOLD: Partial<CourierError> = {};
