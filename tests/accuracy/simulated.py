"""Series that a few equations make: the same on every machine, whatever was drawn before them."""
import math

MASK = (1 << 64) - 1


def mix(x):
    """splitmix64."""
    x = (x + 0x9E3779B97F4A7C15) & MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return x ^ (x >> 31)


def number(name):
    """A fixed hash of a name (FNV-1a, mixed)."""
    value = 0xCBF29CE484222325
    for byte in name.encode():
        value = ((value ^ byte) * 0x100000001B3) & MASK
    return mix(value)


class Random:
    """Counter-based: number i of a name is a function of both alone."""

    def __init__(self, name):
        self.key, self.counter = number(name), 0

    def uniform(self, low=0., high=1.):
        self.counter += 1
        return low + (high - low) * (mix(self.key ^ mix(self.counter)) >> 11) * 2. ** -53

    def normal(self):
        radius = math.sqrt(-2 * math.log(1 - self.uniform()))
        return radius * math.cos(2 * math.pi * self.uniform())

    def whole(self, low, high):
        """low .. high - 1"""
        return low + int(self.uniform() * (high - low))


def daily(r, rows):
    """Two harmonics of a day of 24 rows, a slow level and noise."""
    second, phase, noise, level, out = r.uniform(.2, .6), r.uniform(0, 6.28), r.uniform(.05, .2), 0., []
    for t in range(rows):
        level += .01 * r.normal()
        a = 2 * math.pi * t / 24 + phase
        out.append(20 + level + math.sin(a) + second * math.sin(2 * a + 1) + noise * r.normal())
    return out


def autoregressive(r, rows):
    """Second order, with a resonance and no season."""
    x = before = 0.
    radius, angle, out = r.uniform(.7, .95), r.uniform(.1, .6), []
    for _ in range(rows):
        x, before = 2 * radius * math.cos(angle) * x - radius * radius * before + r.normal(), x
        out.append(50 + x)
    return out


def duty(r, rows):
    """On and off: a square wave whose spans vary a little, with a small noise; a heater's current."""
    on, left, out = True, 8, []
    for _ in range(rows):
        left -= 1
        if left <= 0:
            on = not on
            left = (8 if on else 16) + r.whole(-1, 2)
        out.append((10 if on else 2) + .15 * r.normal())
    return out


def counter(r, rows):
    """Work done per row: a whole number, many by day, few by night."""
    most, out = r.uniform(20, 200), []
    for t in range(rows):
        mean = most * (.15 + .85 * max(0., math.sin(2 * math.pi * (t % 24 - 6) / 24)))
        out.append(float(max(0, round(mean + math.sqrt(mean) * r.normal()))))
    return out


def bursts(r, rows):
    """A quiet level from which batches rise and fall away, at no fixed times."""
    height, out = 0., []
    for _ in range(rows):
        height *= .8
        if r.uniform() < .03:
            height += r.uniform(3, 6)
        out.append(5 + height + .3 * r.normal())
    return out


SHAPES = {"daily": (daily, 24), "autoregressive": (autoregressive, 0), "duty": (duty, 0), "counter": (counter, 24),
          "bursts": (bursts, 0)}


def plants(rows, each=2):
    """name: (season in rows or 0, values)"""
    return {f"sim_{shape}{i}": (season, make(Random(f"{shape}{i}"), rows))
            for shape, (make, season) in SHAPES.items() for i in range(each)}


def device(name, rows):
    """A member of a fleet: (scale, values).

    Shared dynamics: a course of the day, a second-order process, short spells of extra load, a slow drift. Its own level,
    scale, phase of the day and noise of the reading.
    """
    r = Random(name)
    level, scale, phase = 10 + 3 * r.normal(), math.exp(r.normal()), r.whole(0, 24)
    noise, x, before, load, drift, out = .05 * math.exp(.7 * r.normal()), 0., 0., 0., 0., []
    for t in range(-200, rows):
        x, before = 1.5 * x - .56 * before + .25 * r.normal(), x
        load = .75 * (load + (r.uniform(2, 4) if r.uniform() < .01 else 0))
        drift += .01 * r.normal()
        a = 2 * math.pi * (t + phase) / 24
        course = 1.2 * math.sin(a) + .5 * math.sin(2 * a + 1) + (.6 if math.sin(a) > .9 else 0)
        if t >= 0:
            out.append(level + scale * (course + x + load + drift + noise * r.normal()))
    return scale, out
