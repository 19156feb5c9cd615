import type { ComponentChildren } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import { act } from './management-client.ts'

/** What is to be confirmed, in words. */
export type DeedWords = {
  readonly title: string
  /** What becomes of it. */
  readonly what: string
  /** What is asked: `Why`. */
  readonly question: string
  readonly confirm: string
  readonly isGrave: boolean
}

/** Which deed the page's address asks for, as links in messages do; undefined: none. */
export function deedAskedFor<Deed extends string>(deeds: readonly Deed[]): Deed | undefined {
  return deeds.find((deed) => `#${deed}` === location.hash)
}

/** Asks for a reason, and does something only then. */
export function DeedForm({
  words: { title, what, question, confirm, isGrave },
  path,
  bodyOf,
  onDone,
  onClose,
  children,
}: {
  readonly words: DeedWords
  readonly path: string
  /** What is sent, made of the reason. */
  readonly bodyOf: (reason: string) => object
  readonly onDone: () => void
  readonly onClose: () => void
  readonly children?: ComponentChildren
}) {
  const dialog = useRef<HTMLDialogElement>(null)
  const [reason, setReason] = useState('')
  const [underWay, setUnderWay] = useState(false)
  const [fault, setFault] = useState<string>()
  // Made anew with what is asked, so that a second try of the same is the same request.
  const repeatKey = useRef({ asked: '', key: '' })

  useEffect(() => dialog.current?.showModal(), [])

  function closed(): void {
    // What was closed is not to open again when the page is loaded anew.
    history.replaceState(null, '', location.pathname)
    onClose()
  }

  async function confirmed(): Promise<void> {
    const body = bodyOf(reason.trim())
    const asked = JSON.stringify(body)
    if (repeatKey.current.asked !== asked) repeatKey.current = { asked, key: crypto.randomUUID() }
    setUnderWay(true)
    setFault(undefined)
    try {
      await act(path, body, repeatKey.current.key)
      closed()
      onDone()
    } catch (error) {
      setFault(error instanceof Error ? error.message : String(error))
      setUnderWay(false)
    }
  }

  return (
    <dialog ref={dialog} aria-labelledby="deed" onClose={closed}>
      <form
        onSubmit={(event) => {
          event.preventDefault()
          void confirmed()
        }}
      >
        <h2 id="deed">{title}</h2>
        <p>{what}</p>
        {children}
        <label>
          {question}
          <textarea
            name="reason"
            rows={3}
            maxLength={2_000}
            value={reason}
            onInput={(event) => setReason(event.currentTarget.value)}
          />
        </label>
        {fault ? (
          <p class="fault" role="alert">
            {fault}
          </p>
        ) : null}
        <div class="deeds">
          <button type="submit" class={isGrave ? 'grave' : ''} disabled={reason.trim() === '' || underWay}>
            {confirm}
          </button>
          <button type="button" class="plain" onClick={() => dialog.current?.close()}>
            Cancel
          </button>
        </div>
      </form>
    </dialog>
  )
}
