/** The MP4 files of a recording to keep. They are asked for when somebody wants to see them, as the server has to lay them out. */
import { useSignal } from '@preact/signals';
import { bytes } from '../dashboard/figures.ts';
import { fetchDownloads } from './api.ts';
import { downloadSaid, type Download } from './downloads.ts';
import { stamp } from './time.ts';

export function DownloadLinks({ id }: { id: string }) {
  const files = useSignal<readonly Download[] | null>(null);
  const trouble = useSignal<string | null>(null);
  const load = async (): Promise<void> => {
    if (files.value) return;
    trouble.value = null;
    try {
      files.value = await fetchDownloads(id);
    } catch (error) {
      trouble.value = error instanceof Error ? error.message : String(error);
    }
  };
  return (
    <details class="downloads" onToggle={(event) => void (event.currentTarget.open && load())}>
      <summary>Download</summary>
      <div role="status">
        {trouble.value && <p class="notice">{trouble.value}</p>}
        {!files.value && !trouble.value && <p class="hint">The files are being prepared…</p>}
        {files.value?.length === 0 && <p class="hint">There is no file of it yet.</p>}
      </div>
      {files.value && (
        <ul>
          {files.value.map((file, _, all) => (
            <li key={file.href}>
              <a href={file.href} download>
                {downloadSaid(file, all, stamp)}
              </a>{' '}
              <span class="hint">MP4, {bytes(file.sizeBytes)}</span>
            </li>
          ))}
        </ul>
      )}
    </details>
  );
}
