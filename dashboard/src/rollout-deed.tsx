import { useState } from 'preact/hooks'
import { DeedForm, type DeedWords } from './deed-form.tsx'
import { type Deed, nextStage, type Rollout } from './rollout.ts'
import { percentageOf } from './wording.ts'

type Mode = 'immediate' | 'gradual'

function wordsOf(deed: Deed, rollout: Rollout): DeedWords {
  const { flag, variant } = rollout
  const next = nextStage(rollout)
  const common = { question: 'Why', isGrave: false }
  switch (deed) {
    case 'approve':
      return {
        ...common,
        title: 'Approve',
        confirm: 'Approve now',
        what: next
          ? `“${next.name}” may begin: ${percentageOf(next.percentage)} get “${variant}” of ${flag}.`
          : `The rollout of “${variant}” of ${flag} may go on.`,
      }
    case 'pause':
      return {
        ...common,
        title: 'Pause',
        confirm: 'Pause now',
        what: `Whoever has “${variant}” of ${flag} keeps it; nobody else gets it. Guardrails go on watching.`,
      }
    case 'resume':
      return {
        ...common,
        title: 'Resume',
        confirm: 'Resume now',
        what: `The rollout of “${variant}” of ${flag} goes on where it stood.`,
      }
    case 'rollback':
      return {
        question: 'Why',
        isGrave: true,
        title: 'Roll back',
        confirm: 'Roll back now',
        what: `“${variant}” of ${flag} is taken back from everybody who got it by this rollout.`,
      }
  }
}

function ModeChoice({ mode, onMode }: { readonly mode: Mode; readonly onMode: (mode: Mode) => void }) {
  const choice = (value: Mode, label: string) => (
    <label class="choice">
      <input type="radio" name="mode" value={value} checked={mode === value} onChange={() => onMode(value)} />
      {label}
    </label>
  )
  return (
    <fieldset>
      <legend>How</legend>
      {choice('immediate', 'At once')}
      {choice('gradual', 'Step by step, as the plan has it')}
    </fieldset>
  )
}

/** What is asked for beside the deed: so that it is about what the page showed, whatever has happened since. */
function choiceOf(deed: Deed, mode: Mode, rollout: Rollout): object {
  if (deed === 'rollback') return { mode }
  const next = nextStage(rollout)
  return deed === 'approve' && rollout.state !== 'awaiting_approval' && next ? { stage: next.name } : {}
}

/** Does something to a rollout, once it is confirmed with a reason. */
export function RolloutDeed({
  deed,
  rollout,
  onDone,
  onClose,
}: {
  readonly deed: Deed
  readonly rollout: Rollout
  readonly onDone: () => void
  readonly onClose: () => void
}) {
  const [mode, setMode] = useState<Mode>('immediate')
  return (
    <DeedForm
      words={wordsOf(deed, rollout)}
      path={`/rollouts/${rollout.id}/${deed}`}
      bodyOf={(comment) => ({ comment, ...choiceOf(deed, mode, rollout) })}
      onDone={onDone}
      onClose={onClose}
    >
      {deed === 'rollback' && rollout.state !== 'rolling_back' ? (
        <ModeChoice mode={mode} onMode={setMode} />
      ) : null}
    </DeedForm>
  )
}
