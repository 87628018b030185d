import { expect, it } from 'vitest';
import { decodeRecording } from '../recordings/shape.ts';
import { detailsChange, detailsFault, detailsOf } from './details.ts';

const recording = decodeRecording({
  id: 'a', title: 'Friday', description: 'one\ntwo', tags: ['Jazz', 'Live'], visibility: 'public', status: 'available',
});
if (!recording) throw new Error('no recording');
const form = detailsOf(recording);

it('what_was_not_edited_is_not_sent', () => {
  expect(detailsChange(recording, form)).toEqual({});
  expect(detailsChange(recording, { ...form, tags: ' Jazz,Live , jazz,' })).toEqual({});
});

it('each_edit_is_sent_in_the_words_of_the_api', () => {
  const edited = { title: ' Saturday ', description: '', tags: 'Blues', visibility: 'private', chapters: ' 0:00 Doors\n' } as const;
  expect(detailsChange(recording, edited)).toEqual({ title: 'Saturday', description: '', tags: ['Blues'], visibility: 'private', chapters: '0:00 Doors' });
  expect(detailsChange(recording, { ...form, tags: '' })).toEqual({ tags: [] });
});

it('what_the_server_would_refuse_is_told_before', () => {
  expect(detailsFault(form)).toBeNull();
  expect(detailsFault({ ...form, tags: Array.from({ length: 21 }, (_, i) => `t${i}`).join() })).toBe('At most 20 tags; these are 21.');
  expect(detailsFault({ ...form, tags: 'x'.repeat(41) })).toMatch(/at most 40/);
  expect(detailsFault({ ...form, tags: 'x'.repeat(40) })).toBeNull();
});
