"""The children of a worker: as many ready ones as there are slots, new ones for those that ended, from the newest code.

Danger: a job that kills its process at once would make us fork without end; after children that never got ready we pause.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from redrive.infra.worker.child_process import ChildProcess
from redrive.infra.worker.job_process import ChildGone, JobProcess
from redrive.infra.worker.log import Log
from redrive.infra.worker.template_process import BaseProcess, TemplateGone, TemplateProcess

#: Seconds between two polls of the code on disk, and between two questions which modules the jobs have.
POLL, MODULES = 2.0, 30.0
#: Seconds between two tries to start a template or a child that did not get ready.
PAUSE = 1.0

Modules = Callable[[], Awaitable[Sequence[str]]]


class Children:
    """Hands out idle children. Run `keep` beside it. With no slots it only keeps a template ready.

    `base` is one that is there already.
    """

    def __init__(self, slots: int, modules: Modules, log: Log, *, base: BaseProcess | None = None) -> None:
        self._wanted = slots
        self._modules = modules
        self._log = log
        self._base = base
        self._loaded: Sequence[str] = ()
        self._renewing = asyncio.Lock()
        #: Set once there was a template.
        self.template_ready = asyncio.Event()
        self._idle: list[ChildProcess] = []
        self._all: dict[ChildProcess, TemplateProcess] = {}
        self._template: TemplateProcess | None = None
        self._changed = asyncio.Condition()
        self._lacking = asyncio.Event()
        self._lacking.set()
        self._starting = 0
        self._watches: set[asyncio.Task[None]] = set()

    @property
    def expecting(self) -> bool:
        """Whether a process may be below the worker that has not said yet what it is."""
        return self._starting > 0

    @property
    def pids(self) -> set[int]:
        """Processes that are expected below the worker."""
        return {child.pid for child in self._all} | {one.pid for one in (self._template, self._base) if one}

    def want(self, slots: int, modules: Modules, log: Log) -> None:
        """Have so many children from now on."""
        self._wanted, self._modules, self._log = slots, modules, log
        self._lacking.set()

    async def keep(self) -> None:
        """Keep children ready, and their code fresh; runs until cancelled."""
        async with asyncio.TaskGroup() as together:
            together.create_task(self._fill())
            together.create_task(self._poll())

    async def take(self) -> ChildProcess:
        """An idle child, the one that was used last: its connections are open, and the others may stay out of memory."""
        async with self._changed:
            while True:
                await self._changed.wait_for(lambda: bool(self._idle))
                child = self._idle.pop()
                if not child.has_ended:
                    return child

    async def instead_of(self, child: ChildProcess) -> ChildProcess:
        """The same child while it lives and has the code that is on disk, else another one."""
        await self._renew_if_changed()
        if not child.has_ended and child in self._all and self._all[child] is self._template:
            return child
        await self.give_back(child, retire=True)
        return await self.take()

    async def give_back(self, child: JobProcess, *, retire: bool) -> None:
        """A child that a job left as it was is used again, unless it is to retire."""
        assert isinstance(child, ChildProcess)  # noqa: S101  (what was taken here)
        if child in self._idle:
            return
        current = child in self._all and self._all[child] is self._template
        if child.ended.done() or retire or not current:
            await self._let_go(child)
            return
        async with self._changed:
            self._idle.append(child)
            self._changed.notify()

    async def end(self) -> None:
        """Let idle children and the template go."""
        for child in self._idle:
            await child.retire()
        for one in (self._template, self._base):
            if one:
                await one.end()

    async def _let_go(self, child: ChildProcess) -> None:
        # Counted out at once, so that the next one is forked while it says its last words.
        self._all.pop(child, None)
        self._lacking.set()
        await child.retire()

    async def _fill(self) -> None:
        while True:
            await self._lacking.wait()
            self._lacking.clear()
            try:
                async with self._renewing:
                    if self._template is None:
                        self._template = await self._start_template()
                    template = self._template
                await asyncio.gather(*(self._fork(template) for _ in range(self._wanted - len(self._all))))
            except* (TemplateGone, ChildGone, OSError) as errors:
                self._log.warning("no children at the moment: %s; trying again", errors.exceptions[0])
                await self._replace_template(None)
                await asyncio.sleep(PAUSE)
                self._lacking.set()

    async def _start_template(self) -> TemplateProcess:
        """Raises `TemplateGone`."""
        modules = await self._modules()
        self._starting += 1
        try:
            if self._base is None or await self._is_outdated(self._base):
                await self._drop_base()
                self._base = BaseProcess.start()
            template = await self._base.template(modules, self._log)
        finally:
            self._starting -= 1
        self._loaded = modules
        self.template_ready.set()
        return template

    async def _is_outdated(self, base: BaseProcess) -> bool:
        try:
            return await base.changed()
        except TemplateGone:
            return True

    async def _drop_base(self) -> None:
        base, self._base = self._base, None
        if base:
            await base.end()

    async def _fork(self, template: TemplateProcess) -> None:
        self._starting += 1
        try:
            child = await ChildProcess.born(await template.fork())
        finally:
            self._starting -= 1
        self._all[child] = template
        watch = asyncio.create_task(self._watch(child))
        self._watches.add(watch)
        watch.add_done_callback(self._watches.discard)
        async with self._changed:
            self._idle.append(child)
            self._changed.notify()

    async def _watch(self, child: ChildProcess) -> None:
        await asyncio.shield(child.ended)
        if child in self._idle:
            self._idle.remove(child)
        if self._all.pop(child, None):
            self._lacking.set()

    async def _poll(self) -> None:
        clock = asyncio.get_running_loop().time
        asked = clock()
        while True:
            await asyncio.sleep(POLL)
            await self._renew_if_changed()
            if clock() - asked > MODULES or not self._loaded:
                asked = clock()
                if sorted(await self._modules()) != sorted(self._loaded):
                    await self._renew_if_changed(always=True)

    async def _renew_if_changed(self, *, always: bool = False) -> None:
        template = self._template
        if template is None:
            return
        try:
            if always or await template.changed():
                await self._renew(template)
        except TemplateGone as error:
            self._log.warning("the template process ended; another one is started: %s", error)
            if self._template is template:
                await self._replace_template(None)

    async def _renew(self, template: TemplateProcess) -> None:
        """Another template in place of this one, unless somebody was faster."""
        async with self._renewing:
            if self._template is template:
                self._log.info("the code of the jobs changed: new jobs run the new one")
                await self._replace_template(await self._start_template())

    async def _replace_template(self, new: TemplateProcess | None) -> None:
        old, self._template = self._template, new
        if old:
            await old.end()
        for child in tuple(self._idle):
            self._idle.remove(child)
            await self._let_go(child)
        self._lacking.set()


@dataclass(frozen=True)
class Prepared:
    """Children, and the task that keeps them, which one that stood by has for the worker that it becomes."""

    children: Children
    keeping: asyncio.Task[None]

    async def keep(self) -> None:
        """As of the children: until it is cancelled."""
        await self.keeping
