//! Asks for a key when the server wants one.

import { useState, type FormEvent } from 'react';
import { signIn } from '../server/access';
import { KeyIcon } from './icons';

/** The card that stands in for the page until a key is accepted. */
export function SignIn() {
  const [key, setKey] = useState('');
  const [trouble, setTrouble] = useState<string>();
  const [busy, setBusy] = useState(false);
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    setBusy(true);
    setTrouble(await signIn(key.trim()));
    setBusy(false);
  };
  return (
    <main className="grid h-full place-items-center bg-side p-4">
      <form onSubmit={(event) => void submit(event)} className="appear w-full max-w-96 rounded-xl border border-line bg-page p-6" data-testid="sign-in">
        <h1 className="flex items-center gap-2 text-lg font-semibold"><KeyIcon /> Sign in to Tidewire</h1>
        <p className="mt-2 text-sm text-muted">This server asks for a key. It is kept in this tab only and forgotten when you close it</p>
        <label className="mt-4 block text-sm font-medium" htmlFor="key">Key</label>
        <input
          id="key"
          type="password"
          autoFocus
          autoComplete="off"
          value={key}
          onChange={(event) => setKey(event.target.value)}
          aria-invalid={trouble !== undefined}
          aria-describedby={trouble === undefined ? undefined : 'key-trouble'}
          className="mt-1 h-10 w-full rounded-lg border border-edge bg-page px-3 font-mono text-sm outline-none focus:border-accent"
        />
        {trouble !== undefined && <p id="key-trouble" role="alert" className="mt-2 text-sm text-bad">{trouble}</p>}
        <button type="submit" disabled={busy || key.trim() === ''} className="mt-4 h-10 w-full rounded-lg bg-accent font-medium text-on-accent hover:opacity-90 disabled:opacity-50">
          {busy ? 'Signing in…' : 'Sign in'}
        </button>
      </form>
    </main>
  );
}
