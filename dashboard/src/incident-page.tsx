import { useCallback, useState } from 'preact/hooks'
import { DeedForm, type DeedWords, deedAskedFor } from './deed-form.tsx'
import { canDoAbout, INCIDENT_DEEDS, type Incident, type IncidentDeed } from './incident.ts'
import { read } from './management-client.ts'
import { SignedIn } from './signed-in.tsx'
import { agoOf, spanOf } from './wording.ts'

const LABELS: { readonly [deed in IncidentDeed]: string } = { acknowledge: 'Acknowledge', resolve: 'Resolve' }

const STATES: { readonly [state in Incident['state']]: string } = {
  open: 'Open',
  acknowledged: 'Acknowledged',
  resolved: 'Resolved',
}

const WORDS: { readonly [deed in IncidentDeed]: DeedWords } = {
  acknowledge: {
    title: 'Acknowledge',
    what: 'Everybody who is told of it sees that you look after it.',
    question: 'What you do now',
    confirm: 'Acknowledge now',
    isGrave: false,
  },
  resolve: {
    title: 'Resolve',
    what: 'It is over, and nobody need look after it any more.',
    question: 'How it ended',
    confirm: 'Resolve now',
    isGrave: false,
  },
}

async function load(id: string) {
  return { incident: await read<Incident>(`/incidents/${id}`), now: Date.now() }
}

/** Who looks after it, or until when somebody should. */
function care({ state, acknowledgedBy, acknowledgeBy, resolution }: Incident, now: number): string {
  if (state === 'resolved') return resolution
  if (acknowledgedBy !== null) return `${acknowledgedBy} looks after it.`
  const left = acknowledgeBy - now
  return left > 0
    ? `Somebody should acknowledge it within ${spanOf(left)}.`
    : `Somebody should have acknowledged it ${agoOf(acknowledgeBy, now)}.`
}

function IncidentView({
  incident,
  now,
  onDeed,
}: {
  readonly incident: Incident
  readonly now: number
  readonly onDeed: (deed: IncidentDeed) => void
}) {
  return (
    <>
      <header>
        <h1>{incident.title}</h1>
        <p>
          {incident.environment}, {agoOf(incident.detectedAt, now)}
        </p>
      </header>
      <p class="state">
        <strong class={`badge ${incident.state}`}>{STATES[incident.state]}</strong>
        <span>{incident.reason.words}</span>
        <span>{care(incident, now)}</span>
      </p>
      <div class="deeds">
        {INCIDENT_DEEDS.filter((deed) => canDoAbout(deed, incident)).map((deed) => (
          <button
            key={deed}
            type="button"
            class={deed === 'acknowledge' ? '' : 'plain'}
            onClick={() => onDeed(deed)}
          >
            {LABELS[deed]}
          </button>
        ))}
      </div>
      {incident.rollout === null ? null : (
        <section>
          <a href={`/rollouts/${incident.rollout}`}>The rollout of {incident.flag}</a>
        </section>
      )}
      <section>
        <h2>What happened</h2>
        <ul class="plain">
          {incident.timeline.map(({ at, actor, words }, place) => (
            <li key={`${at} ${place}`}>
              <p>{words}</p>
              <p class="quiet">
                <time dateTime={new Date(at).toISOString()}>{agoOf(at, now)}</time>, {actor}
              </p>
            </li>
          ))}
        </ul>
      </section>
    </>
  )
}

/** An incident for whoever is told of it: what happened, and saying that one looks after it. */
export function IncidentPage({ id }: { readonly id: string }) {
  const [deed, setDeed] = useState(() => deedAskedFor(INCIDENT_DEEDS))
  return (
    <SignedIn
      load={useCallback(() => load(id), [id])}
      show={({ incident, now }, refresh) => (
        <>
          <IncidentView incident={incident} now={now} onDeed={setDeed} />
          {deed && canDoAbout(deed, incident) ? (
            <DeedForm
              key={deed}
              words={WORDS[deed]}
              path={`/incidents/${incident.id}/${deed}`}
              bodyOf={(words) => (deed === 'resolve' ? { resolution: words } : { comment: words })}
              onDone={refresh}
              onClose={() => setDeed(undefined)}
            />
          ) : null}
        </>
      )}
    />
  )
}
