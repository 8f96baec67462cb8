// Owns: when the timers of a run are due, in wall clock. One system timer serves all of them. Timers are only hints: the
// journal holds `due_at`, the core decides what an expiry means.
import type { Clock } from './clock.ts'

/**
 * The longest sleep. System timers stand still while the machine is suspended and overflow beyond 2^31 ms; looking at
 * the wall clock this often keeps both from mattering.
 */
const LONGEST_SLEEP_MS = 10_000

export interface Timers {
  /** Sets or moves a timer. `due` is epoch ms; a past one fires at once. */
  set(id: string, due: number): void
  drop(id: string): void
  /** Drops all of them. */
  clear(): void
}

/** `fired` is called once per due timer, never from within `set`. */
export function createTimers(clock: Clock, fired: (id: string) => void): Timers {
  const dues = new Map<string, number>()
  // A binary heap ordered by due time. Moved and dropped timers stay in it until they surface (`dues` has the truth).
  const heap: { readonly id: string; readonly due: number }[] = []
  let sleeping: NodeJS.Timeout | undefined
  let wakesAt = Infinity

  const schedule = (): void => {
    while (heap[0] && dues.get(heap[0].id) !== heap[0].due) pop(heap)
    const next = heap[0]
    if (!next) {
      clearTimeout(sleeping)
      wakesAt = Infinity
    } else if (next.due < wakesAt) {
      clearTimeout(sleeping)
      const now = clock.now()
      const sleep = Math.min(Math.max(0, next.due - now), LONGEST_SLEEP_MS)
      wakesAt = now + sleep
      sleeping = setTimeout(wake, Math.ceil(sleep))
    }
  }
  const wake = (): void => {
    wakesAt = Infinity
    const now = clock.now()
    for (let next = heap[0]; next && next.due <= now; next = heap[0]) {
      pop(heap)
      if (dues.get(next.id) !== next.due) continue
      dues.delete(next.id)
      fired(next.id)
    }
    schedule()
  }
  return {
    set(id, due) {
      if (dues.get(id) === due) return
      dues.set(id, due)
      push(heap, { id, due })
      schedule()
    },
    drop(id) {
      dues.delete(id)
      if (heap.length > 64 && heap.length > 4 * dues.size) rebuild(heap, dues)
      schedule()
    },
    clear() {
      dues.clear()
      heap.length = 0
      schedule()
    },
  }
}

interface Due {
  readonly id: string
  readonly due: number
}

function push(heap: Due[], entry: Due): void {
  let at = heap.push(entry) - 1
  while (at > 0) {
    const parent = (at - 1) >> 1
    if (heap[parent]!.due <= entry.due) break
    heap[at] = heap[parent]!
    at = parent
  }
  heap[at] = entry
}

function pop(heap: Due[]): void {
  const last = heap.pop()
  if (!last || heap.length === 0) return
  let at = 0
  for (;;) {
    let child = 2 * at + 1
    if (child >= heap.length) break
    if (child + 1 < heap.length && heap[child + 1]!.due < heap[child]!.due) child++
    if (heap[child]!.due >= last.due) break
    heap[at] = heap[child]!
    at = child
  }
  heap[at] = last
}

/** Most of the heap is dropped timers: start over with the live ones (sorted, which is a heap). */
function rebuild(heap: Due[], dues: ReadonlyMap<string, number>): void {
  heap.length = 0
  for (const [id, due] of dues) heap.push({ id, due })
  heap.sort((a, b) => a.due - b.due)
}
