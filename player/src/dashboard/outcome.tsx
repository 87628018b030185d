/** What a rehearsal comes to: the seconds until there is a score, then the score. The dashboard and the dock show the same. */
import { useId } from 'preact/hooks';
import { LOOKED_AT_S, scoreSaid, type Rehearsal } from './rehearsal.ts';
import { ToneMark } from './tone.tsx';

export function Outcome({ rehearsal: { state, score, leftS } }: { rehearsal: Rehearsal }) {
  return (
    <div class="outcome">
      {state === 'running' && score === null && <Countdown leftS={leftS} />}
      {/* Always there, so that a screen reader hears the text that comes into it. */}
      <div role="status">
        {score !== null && <Score score={score} />}
        {state === 'over' && score === null && <p>The rehearsal ended before its minute was over.</p>}
      </div>
    </div>
  );
}

function Countdown({ leftS }: { leftS: number }) {
  const id = useId();
  return (
    <>
      <p id={id} class="countdown">
        Looking at it: {leftS} s to go
      </p>
      <progress max={LOOKED_AT_S} value={LOOKED_AT_S - leftS} aria-labelledby={id} />
    </>
  );
}

function Score({ score }: { score: number }) {
  const { word, tone } = scoreSaid(score);
  return (
    <p class={`score ${tone}`}>
      <span class="unseen">Score: </span>
      <b>{score}</b> <span class="score-of">of 100</span>{' '}
      <span class="score-word">
        <ToneMark tone={tone} /> {word}
      </span>
    </p>
  );
}
