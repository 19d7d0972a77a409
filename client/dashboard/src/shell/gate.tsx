/** Shows the sign-in only, until the gateway has accepted a token. */
import { CourierProvider } from '@lumiere/courier-client/react';
import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { RouterProvider } from '@tanstack/react-router';
import { type ReactElement, useMemo } from 'react';
import { router } from '../routes.tsx';
import { useSession } from '../session/session.ts';
import { SignIn, SigningIn } from '../session/sign-in.tsx';

export function Gate(): ReactElement {
  const state = useSession();
  if (state.status === 'signed-out') return <SignIn reason={state.reason} />;
  if (state.status === 'signing-in')
    return (
      <CourierProvider client={state.client}>
        <SigningIn />
      </CourierProvider>
    );
  return <SignedIn key={state.identity.sub} client={state.client} />;
}

function SignedIn({
  client,
}: {
  readonly client: Extract<ReturnType<typeof useSession>, { status: 'signed-in' }>['client'];
}): ReactElement {
  // The answers to one principal end with its session.
  const queries = useMemo(
    () =>
      new QueryClient({
        defaultOptions: { queries: { retry: false, networkMode: 'always', refetchOnWindowFocus: true, staleTime: 1000 } },
      }),
    [],
  );
  return (
    <CourierProvider client={client}>
      <QueryClientProvider client={queries}>
        <RouterProvider router={router} />
      </QueryClientProvider>
    </CourierProvider>
  );
}
