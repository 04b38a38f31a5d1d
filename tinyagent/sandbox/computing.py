"""Turns for blocks of code: so many compute at once, the others wait, stopped, and all of them take turns.

While there are fewer blocks than places, a block costs no more than an entry in a table. From then on the processes are
looked at `1 / SLICE` times a second. A process that uses no processor time, because it waits for a tool or sleeps,
takes no place. Where blocks wait, a block that has had its slice is stopped for the next. Every other time, the next is
the block that has computed least, so that a small block does not wait behind many endless ones; the other times it is
the one that has waited longest, so that none waits for ever.
"""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from operator import attrgetter
from typing import TYPE_CHECKING
from weakref import WeakSet

from tinyagent.core.threads import in_forked_copy
from tinyagent.sandbox.cpu import cores, has_one_thread, running_threads, seconds_used, state_of

if TYPE_CHECKING:
    from tinyagent.sandbox.zygote import Child

#: Seconds for which a block computes before one that waits does; also the seconds between two looks.
SLICE = 0.025
#: Blocks that may compute at once, for each processor.
PER_CORE = 4
#: Processor seconds that an interrupted process is taken to have used at most, so that its turn comes soon.
LITTLE = 0.005
#: Processor seconds in a slice below which a process is idle.
_IDLE = 0.0005
#: Processor seconds that a process may use from a tool call until it waits for the answer.
_AFTER_CALL = 0.005
#: Threads of a process that share one place.
_THREADS = 4
#: Most blocks that are stopped in one turn of the event loop.
_SWAPS = 16
#: Least seconds between two searches for an idle process whose place a new block could have.
_SEARCH = 0.005


class Turn:
    """A process that takes turns: between `begin` and `end` it computes when its turn comes, then it is stopped.

    Args:
        process: The process, which is running.
        among: The processes with which it takes turns; default: all sandboxes of this host process.
    """

    def __init__(self, process: Child, among: Computing | None = None) -> None:
        self.process = process
        self.loop = asyncio.get_running_loop()
        self.since = 0.0  # when it was last given a place or lost it
        self.used: float | None = None  # its processor time at the last look
        self.computed = 0.0  # its processor time since `begin`, up to the last look
        self.weight = 1  # places that it takes
        self.waits = self.rests = self.has_lied = False
        self._held = 0.0
        self._stopped = False
        self._bell: asyncio.TimerHandle | None = None
        self._among = among or computing

    def begin(self) -> None:
        """Let the process compute, now or when its turn comes."""
        self._silence()
        self.used, self.computed, self._held, self.has_lied = None, 0.0, 0.0, False
        self._among.enter(self)

    def end(self) -> None:
        """Stop the process until the next `begin`.

        It is stopped at once where other threads live in it, or processes wait for a place; else a little later, since
        stopping and continuing it would be a tenth of a tiny block that follows.
        """
        self._among.leave(self)
        if self._among.is_crowded or not has_one_thread(self.process.pid):
            self.stop()
        else:
            self._bell = asyncio.get_running_loop().call_later(SLICE, self.stop)

    def leave(self) -> None:
        """Forget the process before it is closed, so that nobody signals it any more."""
        self._silence()
        self._among.leave(self)

    def _silence(self) -> None:
        if self._bell is not None:
            self._bell.cancel()
            self._bell = None

    def hurry(self) -> None:
        """Have the next turn come soon, as if the process had computed little, since it has a signal to handle."""
        with self._among.lock:
            self.computed = min(self.computed, LITTLE)

    def rest(self) -> None:
        """Give up the place, if others wait for it, while the process is believed to wait for a tool it has called."""
        if self._among.is_crowded and not self.has_lied:
            self._among.rest(self)

    def resume(self) -> None:
        """Compute again, in turn: the process is about to get an answer."""
        if self.rests:
            self._among.resume(self)

    @property
    def held(self) -> float:
        """Seconds for which the process has waited for its turns since `begin`."""
        if not self.waits and not self._held:
            return 0.0
        with self._among.lock:  # the loop of another thread may continue the process
            return self._held + (time.monotonic() - self.since if self.waits else 0.0)

    # ---- called by `Computing`

    def wait(self, now: float) -> None:
        """Stop the process: its turn is over, or has not come."""
        self.waits, self.since = True, now
        self.stop()

    def go_on(self, now: float) -> None:
        """Continue the process: its turn has come."""
        if self.waits:
            self._held += now - self.since
        self.waits, self.since = False, now
        if self._stopped:
            self.process.signal(signal.SIGCONT)
            self._stopped = False

    def stop(self) -> None:
        """Stop the process, unless it is stopped already."""
        if not self._stopped:
            self.process.signal(signal.SIGSTOP)
            self._stopped = True

    def look(self) -> float:
        """Return the processor seconds since the last look; for a process that is not known, a whole slice."""
        before, self.used = self.used, seconds_used(self.process.pid)
        if self.used is None:
            return SLICE
        took = 0.0 if before is None else self.used - before
        self.computed += took
        return took

    def weigh(self) -> int:
        """Return how many places the threads take that run at this moment, or would."""
        return -(-running_threads(self.process.pid) // _THREADS)

    @property
    def is_asleep(self) -> bool:
        """Whether the process neither runs nor would, if there were a processor for it."""
        return state_of(self.process.pid) not in ("R", "")


class Computing:
    """The processes that take turns; they may belong to several event loops, each in a thread of its own.

    Attributes:
        limit: How many places there are to compute in; 0 until the first process enters: four for each processor.
        lock: Held by whoever looks at the processes or moves them.
    """

    def __init__(self, limit: int = 0) -> None:
        self.limit = limit
        self.forget()

    def forget(self) -> None:
        """Begin anew, without any process, as a forked copy of the host has to."""
        self.lock = threading.Lock()
        self._placed: dict[Turn, None] = {}  # compute, or are thought to; first who has for longest
        self._resting: dict[Turn, None] = {}  # may run, but were idle at the last look
        self._waiting: dict[Turn, None] = {}  # are stopped; first who has waited for longest
        self._stopping: dict[Turn, None] = {}  # were told to; threads without a processor still have to
        self._late = 0  # places of those that should have stopped by now
        self._turns = 0
        self._looked = self._searched = 0.0
        self._watching: WeakSet[asyncio.AbstractEventLoop] = WeakSet()

    def enter(self, turn: Turn) -> None:
        """Let a process compute, at once or in turn."""
        with self.lock:
            self.limit = self.limit or PER_CORE * cores()
            self._begin(turn, time.monotonic())
            if self._waiting or self._resting:
                self._watch(asyncio.get_running_loop())

    def leave(self, turn: Turn) -> None:
        """Take a process out, and let others have its place."""
        with self.lock:
            self._remove(turn)
            turn.waits = False
            if self._waiting:
                self._stopping[turn] = None
                self._fill(time.monotonic())

    @property
    def is_crowded(self) -> bool:
        """Whether any process has to wait for a place."""
        return bool(self._waiting)

    def rest(self, turn: Turn) -> None:
        """Take a process for idle until it resumes, or is found to compute."""
        with self.lock:
            if turn in self._placed:
                self._rest(turn)
                turn.rests = True
                self._fill(time.monotonic())

    def resume(self, turn: Turn) -> None:
        """Let an idle process compute again, at once or in turn."""
        with self.lock:
            if turn in self._resting:
                self._remove(turn)
                self._begin(turn, time.monotonic())

    # ---- with the lock held

    def _begin(self, turn: Turn, now: float) -> None:
        if not self._waiting and len(self._placed) < self.limit:
            self._place(turn, now)
        else:
            self._hold(turn, now)
            self._search(now)
            self._fill(now)

    def _place(self, turn: Turn, now: float) -> None:
        self._stopping.pop(turn, None)
        turn.go_on(now)
        self._placed[turn] = None

    def _hold(self, turn: Turn, now: float) -> None:
        turn.wait(now)
        self._waiting[turn] = self._stopping[turn] = None

    def _remove(self, turn: Turn) -> None:
        turn.rests = False
        for turns in (self._placed, self._resting, self._waiting):
            if turn in turns:
                del turns[turn]
                return

    @property
    def _free(self) -> int:
        return self.limit - sum(turn.weight for turn in self._placed)

    def _fill(self, now: float) -> None:
        """Give free places to processes that wait."""
        while self._waiting and (free := self._free) > 0:
            turn = next(iter(self._waiting)) if self._turns % 2 else min(self._waiting, key=attrgetter("computed"))
            if turn.weight > free and self._placed:  # a heavy process waits until there are places enough
                return
            self._turns += 1
            del self._waiting[turn]
            self._place(turn, now)

    def _search(self, now: float) -> None:
        """Free one place that its process does not need, so that a new block need not wait for the next look."""
        if now - self._searched < _SEARCH:
            return
        for turn in list(self._placed):
            if turn.loop.is_closed():
                self._remove(turn)
                return
            if turn.is_asleep and (turn.used is None or turn.look() < _IDLE):
                self._rest(turn)
                return
        self._searched = now

    def _rest(self, turn: Turn) -> None:
        self._placed.pop(turn)
        self._resting[turn] = None
        turn.look()

    def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        """Look at all processes, from now on, on this event loop."""
        if loop not in self._watching:
            self._watching.add(loop)
            loop.call_later(SLICE, self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        with self.lock:
            now = time.monotonic()
            if now - self._looked > SLICE / 2:  # the loop of another thread may just have done it
                self._looked = now
                self._sort(now)
                self._rotate(now)
                self._fill(now)
            self._watching.discard(loop)
            if (self._waiting or self._resting) and any(turn.loop is loop for turn in self._all()):
                self._watch(loop)

    def _all(self) -> list[Turn]:
        return [*self._placed, *self._resting, *self._waiting]

    def _sort(self, now: float) -> None:
        """Tell the processes that compute from those that do not."""
        for turn in self._all():
            if turn.loop.is_closed():  # while the process computed
                self._remove(turn)
        late = {turn: places for turn in self._stopping if (places := turn.weigh())}
        self._stopping, self._late = dict.fromkeys(late), sum(late.values())
        for turn in list(self._placed):
            if turn.look() < _IDLE and turn.is_asleep:
                self._rest(turn)
            else:
                turn.weight = max(1, turn.weigh())
        for turn in list(self._resting):
            if (took := turn.look()) >= _IDLE:
                turn.has_lied = turn.rests and took > _AFTER_CALL
                turn.since = now
                self._remove(turn)
                self._placed[turn] = None
        if not self._waiting and len(self._placed) + len(self._resting) <= self.limit:
            self._placed |= self._resting  # there is room: no need to look
            self._resting.clear()

    def _rotate(self, now: float) -> None:
        """Stop processes that have had their slice, as many as others need places; and those beyond the limit."""
        free, most = self._free, min(_SWAPS, self.limit - self._late)
        wanted = min(self.limit, sum(turn.weight for turn in self._waiting))
        for turn in sorted(self._placed, key=attrgetter("weight"), reverse=True):
            if free >= 0 and (free >= wanted or most <= 0):
                break
            if free < 0 < len(self._placed) - 1 or now - turn.since >= 0.9 * SLICE:
                del self._placed[turn]
                self._hold(turn, now)
                free += turn.weight
                most -= 1


#: All sandbox processes of this host process.
computing = Computing()

in_forked_copy(computing.forget)
