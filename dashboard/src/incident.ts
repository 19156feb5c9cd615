// An incident as the page knows it. Instants are milliseconds since 1970.

export type Incident = {
  readonly id: string
  readonly environment: string
  readonly flag: string
  readonly rollout: string | null
  readonly state: 'open' | 'acknowledged' | 'resolved'
  readonly title: string
  readonly reason: { readonly words: string }
  readonly detectedAt: number
  readonly acknowledgeBy: number
  readonly acknowledgedBy: string | null
  readonly resolution: string
  readonly timeline: readonly {
    readonly at: number
    readonly actor: string
    readonly words: string
  }[]
}

/** What somebody can do about an incident. */
export type IncidentDeed = 'acknowledge' | 'resolve'

export const INCIDENT_DEEDS: readonly IncidentDeed[] = ['acknowledge', 'resolve']

/** Whether something can be done about an incident as it is. */
export function canDoAbout(deed: IncidentDeed, { state }: Pick<Incident, 'state'>): boolean {
  return deed === 'acknowledge' ? state === 'open' : state !== 'resolved'
}
