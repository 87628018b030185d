/** `/dashboard` and every path below it: the operator's pages behind one door. */
import '../style.css';
import './tone.css';
import './dashboard.css';
import './list.css';
import './stream.css';
import './targets.css';
import './outcome.css';
import './server.css';
import '../recordings/recordings.css';
import '../vod/vod.css';
import './recordings.css';
import { signal } from '@preact/signals';
import { render } from 'preact';
import { useEffect } from 'preact/hooks';
import { AuditPage } from './audit.tsx';
import { askSession, reason, session } from './client.ts';
import { List } from './list.tsx';
import { listen, route } from './place.ts';
import { RecordingPage } from './recording.tsx';
import { RecordingsPage } from './recordings.tsx';
import { ServerPage } from './server.tsx';
import { Shell, Skeleton, Trouble, useTitle } from './shell.tsx';
import { SignIn } from './sign-in.tsx';
import { StreamPage } from './stream.tsx';

const RETRY_MS = 3_000;
const trouble = signal<string | null>(null);

async function knock(): Promise<void> {
  try {
    await askSession();
    trouble.value = null;
  } catch (error) {
    trouble.value = reason(error);
    setTimeout(() => void knock(), RETRY_MS);
  }
}

function Dashboard() {
  useEffect(() => void knock(), []);
  return <Shell>{session.value === null ? <Door /> : session.value.signedIn ? <Page /> : <SignIn session={session.value} />}</Shell>;
}

/** Before it is known whether this browser is signed in. */
function Door() {
  useTitle('Dashboard');
  return (
    <>
      <h1 class="unseen">Dashboard</h1>
      <Trouble trouble={trouble.value} atMs={null} />
      <Skeleton lines={3} label="One moment" />
    </>
  );
}

function Page() {
  const now = route.value;
  switch (now.at) {
    case 'streams':
      return <List />;
    case 'stream':
      return <StreamPage key={now.name} name={now.name} />;
    case 'recordings':
      return <RecordingsPage />;
    case 'recording':
      return <RecordingPage key={now.id} id={now.id} />;
    case 'server':
      return <ServerPage />;
    case 'audit':
      return <AuditPage />;
    case 'nowhere':
      return <Nowhere />;
  }
}

function Nowhere() {
  useTitle('Not found');
  return (
    <section class="nothing">
      <h1 tabIndex={-1}>There is no such page</h1>
      <p>
        The dashboard begins at the <a href="/dashboard">list of streams</a>.
      </p>
    </section>
  );
}

listen();
const root = document.getElementById('app');
if (root) render(<Dashboard />, root);
