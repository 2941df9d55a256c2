"""The recovery protocol as a model: one partition, two instances with a disk each, one broker with transactions.

    python3 tests/fault/model.py [--walks N] [--seed S] [--events N] [--only MUTATION]

Random walks over everything that may happen: turns, commits whose answer is lost (applied, not applied, applied later),
checkpoints, kill -9, power loss, wiped disks, partitions that move while the old owner notices or does not, open
transactions that time out.  After every step the invariants of engine/flow/README.md must hold:

    I1  committed outputs are those of the offsets [0, C), each once and in order, with the values of an undisturbed fold
    I2  no checkpoint is ahead of C
    I3  what a checkpoint or a lane in memory holds is the fold of exactly the offsets before its position

Then each deliberate mistake in MUTATIONS must be caught, or the model proves nothing.  Ends with "N passed, N failed".

What is modelled is what the code does (engine/flow/driver_transaction.c, driver_assign.c): snapshots at committed
positions, a new producer after every doubt.  Not modelled: several partitions per transaction, a broker that loses
acknowledged data, a second delivery of an end-of-transaction request (KIP-890), floating point.
"""
import argparse
import random
import sys

MUTATIONS = {
    "no_generation": "a commit of a former owner of the partition is accepted",
    "no_epoch": "a new producer does not end what the old one of the same id has left open",
    "unstable_read": "the committed position is read while another transaction that carries it is undecided",
    "no_replay": "a restart goes on at C with the checkpoint's state, without the silent fold",
    "checkpoint_ahead": "a checkpoint is written before the transaction is committed",
    "positions_apart": "positions are committed after the outputs, not with them",
    "resend_in_doubt": "a commit without an answer is taken for one that failed",
    "half_a_turn": "a partition that is revoked in the middle of a turn commits what was sent of it",
    "other_weights": "the silent fold learns other weights than the first one did",
}


class Violation(Exception):
    pass


def fold(state, offset, weights=0):
    """The state after the event at `offset`; its output is the same number."""
    return (state * 1000003 + offset * 7919 + 17 + weights) % (1 << 61)


class Broker:
    def __init__(self):
        self.outputs = []          # [(offset, value)] visible to readers of committed records
        self.committed = 0         # C
        self.owner, self.generation = 0, 1
        self.epoch = [0, 0]        # by transactional.id
        self.open = {}             # (instance, epoch): what a producer that is gone has left in its transaction
        self.undecided = []        # [(instance, outputs, position)]: the end is on its way inside the broker
        self.late = []             # [(instance, epoch, outputs, position)]: requests to commit that may still arrive

    def apply(self, outputs, position, rules):
        self.outputs += outputs
        if position is not None and "positions_apart" not in rules:
            self.committed = position

    def init(self, i, rules):
        """init_transactions: ends what is open under this id, waits for what is undecided, raises the epoch."""
        if "no_epoch" in rules:
            return
        for key in [k for k in self.open if k[0] == i]:
            del self.open[key]
        self.settle(i, rules)
        self.epoch[i] += 1

    def unstable(self):
        """The position is part of a transaction that has not ended: readers have to wait."""
        return bool(self.undecided) or any((i, epoch) in self.open for i, epoch, _, _ in self.late)

    def deliver(self, rules):
        """A request that was given up arrives after all; a higher epoch or an ended transaction makes it void."""
        if self.late:
            i, epoch, outputs, position = self.late.pop(0)
            if epoch == self.epoch[i] and (i, epoch) in self.open:
                del self.open[(i, epoch)]
                self.apply(outputs, position, rules)

    def settle(self, i, rules):
        for entry in [e for e in self.undecided if i is None or e[0] == i]:
            self.undecided.remove(entry)
            self.apply(entry[1], entry[2], rules)


class Instance:
    def __init__(self, i):
        self.i, self.disk, self.memory = i, [], None


class Memory:
    """A lane, with the transaction of its producer."""
    def __init__(self, generation, epoch, position, state):
        self.generation, self.epoch, self.position, self.state = generation, epoch, position, state
        self.begun, self.outputs, self.before = position, [], None


class World:
    def __init__(self, rng, n_events, rules):
        self.rng, self.n, self.rules = rng, n_events, rules
        self.broker = Broker()
        self.instances = [Instance(0), Instance(1)]
        self.truth = [0]
        for offset in range(n_events):
            self.truth.append(fold(self.truth[-1], offset))

    # ---- what an instance does ----

    def start(self, it):
        b = self.broker
        if it.memory or b.owner != it.i:
            return
        b.init(it.i, self.rules)
        if b.unstable() and "unstable_read" not in self.rules:
            return                 # asked again later
        at = b.committed
        position, state = it.disk[-1] if it.disk else (0, 0)
        if position > at:
            raise Violation("a checkpoint at %d is ahead of C = %d" % (position, at))
        weights = self.rng.randrange(1, 9) if "other_weights" in self.rules and position < at else 0
        if "no_replay" not in self.rules:
            while position < at:
                state, position = fold(state, position, weights), position + 1
        it.memory = Memory(b.generation, b.epoch[it.i], at, state)

    def turn(self, it):
        m = it.memory
        if not m or m.position >= self.n:
            return
        if not m.outputs:
            self.broker.open.setdefault((it.i, m.epoch), [])
        m.before = (m.position, m.state)
        m.state = fold(m.state, m.position)
        m.outputs.append((m.position, m.state))
        m.position += 1

    def abandon(self, it):
        """The process or its producer is gone; what it sent stays in the open transaction."""
        m = it.memory
        if m and (it.i, m.epoch) in self.broker.open:
            self.broker.open[(it.i, m.epoch)] += m.outputs
        it.memory = None

    def refused(self, it):
        m, b = it.memory, self.broker
        if "no_epoch" not in self.rules and (m.epoch != b.epoch[it.i] or (it.i, m.epoch) not in b.open):
            return True
        return m.generation != b.generation and "no_generation" not in self.rules

    def commit(self, it):
        """True when it is known to have happened; a refusal and a doubt drop the lane."""
        m, b = it.memory, self.broker
        if not m or not m.outputs:
            return bool(m)
        if self.refused(it):
            self.abandon(it)
            return False
        what = self.rng.choice(("answered",) * 6 + ("answer lost", "request lost", "undecided"))
        if what == "answered" or what == "answer lost":
            b.apply(b.open.pop((it.i, m.epoch), []) + m.outputs, m.position, self.rules)
        elif what == "undecided":
            b.undecided.append((it.i, b.open.pop((it.i, m.epoch), []) + m.outputs, m.position))
        elif what == "request lost":
            b.late.append((it.i, m.epoch, m.outputs, m.position))
        if what == "answered":
            if "positions_apart" in self.rules and self.rng.random() < .9:
                b.committed = m.position
            m.outputs = []
            return True
        if "resend_in_doubt" in self.rules:
            b.open.setdefault((it.i, m.epoch), [])
            return False
        if what == "request lost":
            self.abandon(it)
        it.memory = None
        return False

    def checkpoint(self, it):
        m = it.memory
        if m and (not m.outputs or "checkpoint_ahead" in self.rules):
            it.disk.append((m.position, m.state))

    def revoked(self, it):
        """The group asks for the partition back and waits: commit, checkpoint, let go."""
        if not it.memory:
            return
        if it.memory.outputs and self.rng.random() < .3:   # in the middle of a turn: its last output may be sent or not
            m = it.memory
            if "half_a_turn" in self.rules:                # the position says that the event is still to come
                m.position, m.state = m.before
            else:
                self.abandon(it)
                return
        if self.commit(it):
            self.checkpoint(it)
        self.abandon(it)

    # ---- what happens to it ----

    def move(self):
        b = self.broker
        if self.rng.random() < .6:
            self.revoked(self.instances[b.owner])
        b.owner, b.generation = 1 - b.owner, b.generation + 1

    def crash(self, it, loss):
        self.abandon(it)
        if loss == "power":
            del it.disk[len(it.disk) - self.rng.randrange(len(it.disk) + 1):]
        elif loss == "disk":
            it.disk.clear()

    def time_out(self):
        b = self.broker
        if b.open:
            i, epoch = self.rng.choice(sorted(b.open))
            del b.open[(i, epoch)]
            if epoch == b.epoch[i]:
                b.epoch[i] += 1

    def step(self):
        it = self.rng.choice(self.instances)
        r = self.rng.random()
        if r < .25: self.start(it)
        elif r < .60: self.turn(it)
        elif r < .76: self.commit(it)
        elif r < .84: self.checkpoint(it)
        elif r < .86: self.broker.settle(None, self.rules)
        elif r < .88: self.broker.deliver(self.rules)
        elif r < .92: self.move()
        elif r < .95: self.crash(it, "process")
        elif r < .97: self.crash(it, "power")
        elif r < .98: self.crash(it, "disk")
        else: self.time_out()

    # ---- what must hold ----

    def check(self):
        b = self.broker
        if [o for o, _ in b.outputs] != list(range(len(b.outputs))):
            raise Violation("outputs of the offsets %s" % [o for o, _ in b.outputs])
        if any(v != self.truth[o + 1] for o, v in b.outputs):
            raise Violation("an output has another value than in an undisturbed fold")
        if b.committed != len(b.outputs):
            raise Violation("C = %d with %d outputs" % (b.committed, len(b.outputs)))
        for it in self.instances:
            for position, state in it.disk:
                if position > b.committed + sum(len(u[1]) for u in b.undecided):
                    raise Violation("a checkpoint at %d is ahead of C = %d" % (position, b.committed))
                if state != self.truth[position]:
                    raise Violation("a checkpoint at %d holds another state" % position)
            if it.memory and it.memory.state != self.truth[it.memory.position]:
                raise Violation("the lane at %d holds another state" % it.memory.position)

    def done(self):
        return len(self.broker.outputs) == self.n


def walk(seed, n_events, rules, most=2000):
    """Steps made and whether every event was answered; raises Violation."""
    w = World(random.Random(seed), n_events, rules)
    for k in range(most):
        w.step()
        w.check()
        if w.done():
            return k + 1, True
    return most, False


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--walks", type=int, default=3000)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--events", type=int, default=10)
    p.add_argument("--only", choices=sorted(MUTATIONS))
    a = p.parse_args()
    failed = passed = 0
    if not a.only:
        steps = ended = 0
        try:
            for s in range(a.seed, a.seed + a.walks):
                k, end = walk(s, a.events, ())
                steps, ended = steps + k, ended + end
            print("# %d walks, %d steps, %d walks answered everything" % (a.walks, steps, ended))
            good = ended == a.walks
        except Violation as e:
            print("# walk %d: %s" % (s, e))
            good = False
        print("%s - no violation, and every walk gets to the end" % ("ok" if good else "not ok"))
        passed, failed = passed + good, failed + (not good)
    for name in [a.only] if a.only else MUTATIONS:
        caught = None
        for s in range(a.seed, a.seed + a.walks):
            try:
                walk(s, a.events, (name,))
            except Violation as e:
                caught = "walk %d: %s" % (s - a.seed + 1, e)
                break
        print("%s - caught: %s (%s)" % ("ok" if caught else "not ok", MUTATIONS[name], caught or "not in %d walks" % a.walks))
        passed, failed = passed + bool(caught), failed + (not caught)
    print("%d passed, %d failed" % (passed, failed))
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
