/** The door: the API token becomes a cookie that only this browser sends. */
import { useSignal } from '@preact/signals';
import { Fault, useDoing } from './act.tsx';
import { signIn } from './client.ts';
import { focusHeading } from './place.ts';
import type { Session } from './server-shapes.ts';
import { useTitle } from './shell.tsx';

export function SignIn({ session }: { session: Session }) {
  useTitle('Sign in');
  return (
    <section class="door">
      <h1 tabIndex={-1}>Sign in</h1>
      {session.secure ? <TokenForm /> : <NotSecure https={session.https} />}
    </section>
  );
}

function TokenForm() {
  const token = useSignal('');
  const doing = useDoing();
  const submit = (event: Event): void => {
    event.preventDefault();
    void doing.run(() => signIn(token.value.trim())).then((done) => done && focusHeading());
  };
  return (
    <form class="card-panel" onSubmit={submit}>
      {/* Password managers file the token under this name. */}
      <input type="text" autocomplete="username" value="operator" readOnly hidden />
      <label class="field">
        <span class="field-name">API token</span>
        <input
          type="password" value={token.value} autocomplete="current-password" required placeholder="wt_…" aria-describedby="token-where"
          onInput={(event) => (token.value = event.currentTarget.value)}
        />
      </label>
      <p id="token-where" class="hint">
        It lies in the file <code>api-token</code> in the server's data folder; <code>weir serve</code> prints where at its start.
      </p>
      <Fault doing={doing} />
      <button type="submit" class="button primary" disabled={doing.busy.value}>
        {doing.busy.value ? 'Signing in…' : 'Sign in'}
      </button>
    </form>
  );
}

function NotSecure({ https }: { https: string | null }) {
  return (
    <div class="card-panel">
      <p>
        This page came over plain HTTP from another machine. The token would travel in clear, and the browser would not keep the sign-in.
      </p>
      {https ? (
        <>
          <p>Use the server's HTTPS address, or a browser on the server itself.</p>
          <p>
            <a class="button primary" href={`${https}/dashboard`}>
              Continue with HTTPS
            </a>
          </p>
          <p class="hint">
            {https}/dashboard. With a certificate of the server's own making the browser warns once; continue only in a network you trust.
          </p>
        </>
      ) : (
        <p>
          Open <code>http://localhost{location.port && `:${location.port}`}/dashboard</code> in a browser on the server itself, or switch
          on <code>https</code> in <code>weir.toml</code>.
        </p>
      )}
    </div>
  );
}
