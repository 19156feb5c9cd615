import { useCallback, useEffect, useState } from 'preact/hooks'
import { type Answer, type Evaluated, evaluateAll, listen } from './evaluation-client.ts'

const STORED_KEY = 'rampart.clientKey'

function show(value: unknown): string {
  if (value === undefined) return 'the application’s default'
  return typeof value === 'string' ? value : JSON.stringify(value)
}

function parseContext(text: string): { readonly [name: string]: unknown } | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : undefined
  } catch {
    return undefined
  }
}

function AnswerRow({ answer }: { readonly answer: Answer }) {
  return (
    <tr>
      <th scope="row">{answer.key}</th>
      <td>{answer.errorCode ? '—' : show(answer.value)}</td>
      <td>{answer.variant ?? '—'}</td>
      <td>
        <span class={answer.errorCode ? 'reason failed' : 'reason'}>{answer.errorCode ?? answer.reason}</span>
      </td>
    </tr>
  )
}

/** Asks for every flag that a client key may see, for a context typed in, and follows changes as they come. */
export function TryFlags() {
  const [key, setKey] = useState(localStorage.getItem(STORED_KEY) ?? '')
  const [contextText, setContextText] = useState('{ "targetingKey": "ada", "country": "IE" }')
  const [evaluated, setEvaluated] = useState<Evaluated>()
  const [fault, setFault] = useState<string>()
  const [live, setLive] = useState(false)
  const context = parseContext(contextText)

  const ask = useCallback(async () => {
    if (key === '' || !context) return
    try {
      setEvaluated(await evaluateAll(key, context))
      setFault(undefined)
      localStorage.setItem(STORED_KEY, key)
    } catch (error) {
      setFault(error instanceof Error ? error.message : 'The server cannot be reached.')
    }
  }, [key, contextText])

  const stream = evaluated?.stream
  useEffect(() => {
    if (!stream) return undefined
    return listen(stream, () => void ask(), setLive)
  }, [stream, ask])

  return (
    <main>
      <header>
        <h1>Rampart</h1>
        <p>Every flag that a client key may see, for the context you type, as the edge answers it.</p>
      </header>
      <form
        onSubmit={(event) => {
          event.preventDefault()
          void ask()
        }}
      >
        <label>
          Client key
          <input
            name="key"
            value={key}
            placeholder="rp_client_production_…"
            autocomplete="off"
            spellcheck={false}
            onInput={(event) => setKey(event.currentTarget.value.trim())}
          />
        </label>
        <label>
          Evaluation context
          <textarea
            name="context"
            rows={4}
            spellcheck={false}
            aria-invalid={!context}
            value={contextText}
            onInput={(event) => setContextText(event.currentTarget.value)}
          />
        </label>
        <button type="submit" disabled={key === '' || !context}>
          Evaluate
        </button>
        {context ? null : <p class="fault">The context must be a JSON object.</p>}
      </form>
      {fault ? (
        <p class="fault" role="alert">
          {fault}
        </p>
      ) : null}
      {evaluated ? (
        <section aria-live="polite">
          <p class="version">
            {evaluated.environment}, version {evaluated.version}
            <span class={live ? 'live on' : 'live'}>{live ? 'live' : 'not connected'}</span>
          </p>
          <div class="table">
            <table>
              <thead>
                <tr>
                  <th scope="col">Flag</th>
                  <th scope="col">Value</th>
                  <th scope="col">Variant</th>
                  <th scope="col">Reason</th>
                </tr>
              </thead>
              <tbody>
                {evaluated.flags.map((answer) => (
                  <AnswerRow key={answer.key} answer={answer} />
                ))}
              </tbody>
            </table>
          </div>
        </section>
      ) : null}
    </main>
  )
}
