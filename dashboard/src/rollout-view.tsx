import {
  canDo,
  DEEDS,
  type Decided,
  type Deed,
  type Guard,
  type Health,
  holdEnd,
  nextStage,
  type Rollout,
  stateOf,
  whyOf,
} from './rollout.ts'
import { agoOf, percentageOf, spanOf } from './wording.ts'

const LABELS: { readonly [deed in Deed]: string } = {
  approve: 'Approve',
  resume: 'Resume',
  pause: 'Pause',
  rollback: 'Roll back',
}

const VERDICTS: { readonly [verdict: string]: string } = {
  fine: 'fine',
  broken: 'broken',
  waiting: 'not yet',
}

function Granted({ rollout }: { readonly rollout: Rollout }) {
  if (rollout.granted.length === 0) return <p class="quiet">Nobody has it by this rollout.</p>
  return (
    <ul class="plain">
      {rollout.granted.map(({ audience, percentage }) => (
        <li key={audience}>
          <span class="share">
            <span>{audience}</span>
            <strong>{percentageOf(percentage)}</strong>
          </span>
          <meter min={0} max={100} value={percentage} aria-label={audience} />
        </li>
      ))}
    </ul>
  )
}

function Next({ rollout, now }: { readonly rollout: Rollout; readonly now: number }) {
  const next = nextStage(rollout)
  if (!next) return null
  const end = holdEnd(rollout)
  const percentage = percentageOf(next.percentage)
  return (
    <section>
      <h2>Next</h2>
      <p>
        <strong>{next.name}</strong>
        {next.name === percentage ? '' : `, ${percentage}`}
        {end === null
          ? ''
          : end > now
            ? `, in ${spanOf(end - now)} at the earliest`
            : ', as soon as nothing holds it'}
        {next.needsApproval ? ', once somebody has approved it' : ''}.
      </p>
    </section>
  )
}

function GuardRow({ guard }: { readonly guard: Guard }) {
  return (
    <li>
      <span class="share">
        <strong>
          {guard.guardrail}
          {guard.audience === null ? '' : `, ${guard.audience}`}
        </strong>
        <span class={`verdict ${guard.verdict}`}>{VERDICTS[guard.verdict] ?? guard.verdict}</span>
      </span>
      <p>{guard.words}</p>
    </li>
  )
}

function Guards({ health: { guards, promise } }: { readonly health: Health }) {
  return (
    <section>
      <h2>Guardrails</h2>
      <p class="quiet">{promise.words}</p>
      <ul class="plain">
        {guards.map((guard) => (
          <GuardRow key={`${guard.guardrail} ${guard.audience}`} guard={guard} />
        ))}
      </ul>
    </section>
  )
}

function Decisions({ decisions, now }: { readonly decisions: readonly Decided[]; readonly now: number }) {
  if (decisions.length === 0) return null
  return (
    <section>
      <h2>What happened</h2>
      <ul class="plain">
        {decisions.map(({ id, at, actor, reason, comment }) => (
          <li key={id}>
            <p>{reason.words}</p>
            {comment === '' ? null : <p>“{comment}”</p>}
            <p class="quiet">
              <time dateTime={new Date(at).toISOString()}>{agoOf(at, now)}</time>, {actor}
            </p>
          </li>
        ))}
      </ul>
    </section>
  )
}

/** How a rollout stands, and what can be decided about it. */
export function RolloutView({
  rollout,
  health,
  decisions,
  now,
  onDeed,
}: {
  readonly rollout: Rollout
  readonly health: Health
  readonly decisions: readonly Decided[]
  readonly now: number
  readonly onDeed: (deed: Deed) => void
}) {
  const deeds = DEEDS.filter((deed) => canDo(deed, rollout))
  return (
    <>
      <header>
        <h1>{rollout.flag}</h1>
        <p>
          “{rollout.variant}” in {rollout.environment}
        </p>
      </header>
      <p class="state">
        <strong class={`badge ${rollout.state}`}>{stateOf(rollout)}</strong>
        <span>{whyOf(health, decisions)}</span>
      </p>
      {deeds.length === 0 ? null : (
        <div class="deeds">
          {deeds.map((deed) => (
            <button
              key={deed}
              type="button"
              class={deed === 'rollback' ? 'grave' : deed === 'approve' ? '' : 'plain'}
              onClick={() => onDeed(deed)}
            >
              {LABELS[deed]}
            </button>
          ))}
        </div>
      )}
      <section>
        <h2>Now</h2>
        <Granted rollout={rollout} />
        {rollout.blocked.length === 0 ? null : <p>Taken back alone: {rollout.blocked.join(', ')}.</p>}
      </section>
      <Next rollout={rollout} now={now} />
      <Guards health={health} />
      <Decisions decisions={decisions} now={now} />
    </>
  )
}
