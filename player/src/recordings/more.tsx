/** The end of a list: how much of it is shown, and the button for more. */
import { useRef } from 'preact/hooks';
import type { Listing } from './listing.ts';

export interface MoreProps {
  readonly listing: Listing;
  /** Finds the links of the rows, the first of which takes the focus when the button goes. */
  readonly rows: string;
}

export function More({ listing, rows }: MoreProps) {
  const place = useRef<HTMLDivElement>(null);
  const shown = listing.rows.value?.length ?? 0;
  const total = listing.total.value;
  const more = async (): Promise<void> => {
    await listing.more();
    if (!listing.isMore.value) place.current?.parentElement?.querySelectorAll<HTMLElement>(rows)[shown]?.focus();
  };
  return (
    <div class="more" ref={place}>
      <p role="status">{listing.isMore.value && total !== null && `${shown} of ${total} are shown.`}</p>
      {listing.isMore.value && (
        <button type="button" class="more-button" onClick={() => void more()} aria-disabled={listing.busy.value}>
          {listing.busy.value ? 'One moment…' : 'Show more'}
        </button>
      )}
    </div>
  );
}
